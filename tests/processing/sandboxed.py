"""What the tests run in the sandbox: functions that behave, and functions that do not."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.sandbox.reporting import report


def echo(source: Path, workdir: Path, *args: Any) -> dict[str, Any]:
    return {
        "text": source.read_text(),
        "args": list(args),
        "pid": os.getpid(),
        "parent": os.getppid(),
        "cwd": os.getcwd(),
    }


def inspection(source: Path, workdir: Path) -> Inspection:
    (workdir / "thumbnail.jpg").write_bytes(b"small")
    return Inspection(
        facts={"width": 3}, renditions=[RenditionFile("thumbnail", "thumbnail.jpg", "image/jpeg")]
    )


def nothing(source: Path, workdir: Path) -> None:
    return None


def surroundings(source: Path, workdir: Path) -> dict[str, Any]:
    (workdir / "made").write_bytes(b"")
    descriptors = []
    for number in range(64):
        try:
            os.fstat(number)
            descriptors.append(number)
        except OSError:
            pass
    return {
        "environment": dict(os.environ),
        "descriptors": descriptors,
        "outputs": [os.fstat(1).st_rdev, os.fstat(0).st_rdev, os.stat("/dev/null").st_rdev],
        "mode": (workdir / "made").stat().st_mode & 0o777,
        "core": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "tmp": __import__("tempfile").gettempdir(),
        "threads": threading.active_count(),
    }


def progress(source: Path, workdir: Path) -> dict[str, Any]:
    for step in range(4):
        report(step / 3)
        time.sleep(0.21)  # reports are told five times a second at most
    return {}


def unreadable(source: Path, workdir: Path) -> None:
    raise Unreadable("ENCRYPTED_FILE", "This file needs a password.")


def fault(source: Path, workdir: Path) -> None:
    raise KeyError("no such field")


def no_json(source: Path, workdir: Path) -> dict[str, Any]:
    return {"value": object()}


def not_a_number(source: Path, workdir: Path) -> dict[str, Any]:
    return {"value": float("nan")}


def a_list(source: Path, workdir: Path) -> list[int]:
    return [1, 2]


def leave(source: Path, workdir: Path) -> None:
    sys.exit(3)


def deep(source: Path, workdir: Path) -> Any:
    return deep(source, workdir)


def large(source: Path, workdir: Path, size: int) -> dict[str, Any]:
    return {"text": "a" * size}


def eat(source: Path, workdir: Path) -> None:
    eaten = []
    while True:
        eaten.append(bytearray(32 << 20))


def eat_in_c(source: Path, workdir: Path) -> None:
    """What a C library does that does not look at what malloc returns."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.malloc.argtypes = [ctypes.c_size_t]
    while True:
        place = libc.malloc(16 << 20)
        ctypes.memset(place, 1, 16 << 20)


def spin(source: Path, workdir: Path) -> None:
    while True:
        pass


def wait(source: Path, workdir: Path, marker: str = "") -> None:
    if marker:
        (workdir / marker).write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def stubborn(source: Path, workdir: Path) -> None:
    """Takes no notice of the signals it can refuse."""
    for number in (signal.SIGTERM, signal.SIGXCPU, signal.SIGALRM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    wait(source, workdir, "stubborn")


def die(source: Path, workdir: Path, number: int) -> None:
    sys.stderr.write("last words\n")
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL) if number != signal.SIGKILL else None
    os.kill(os.getpid(), number)


def crash(source: Path, workdir: Path) -> None:
    ctypes.string_at(1)


def abort(source: Path, workdir: Path) -> None:
    os.abort()


def fill(source: Path, workdir: Path) -> None:
    with (workdir / "big").open("wb") as file:
        while True:
            file.write(bytes(1 << 20))


def no_space(source: Path, workdir: Path) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def open_many(source: Path, workdir: Path) -> dict[str, Any]:
    kept = []
    try:
        while True:
            kept.append(source.open("rb"))
    except OSError as error:
        return {"errno": error.errno, "count": len(kept)}


def chatter(source: Path, workdir: Path) -> None:
    for number in range(20_000):
        sys.stderr.write(f"line {number} of something a library says over and over\n")
    raise ValueError("after much talk")


def lie(source: Path, workdir: Path, frame: str) -> None:
    """A child that was taken over writes what it likes to its caller."""
    os.write(3, bytes.fromhex(frame))
    os._exit(0)


def threads(source: Path, workdir: Path) -> dict[str, Any]:
    """What decoders do: several threads that compute."""
    done: list[int] = []
    workers = [threading.Thread(target=lambda: done.append(sum(range(1000)))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return {"done": len(done)}


def attempts(source: Path, workdir: Path, outside: str) -> dict[str, str]:
    """Try to break out in every way we know; tells how each ended."""
    elsewhere = Path(outside)
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function: Callable[..., int], *args: Any) -> None:
        if function(*args) < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    tries: dict[str, Callable[[], object]] = {
        "socket": lambda: socket.socket().close(),
        "unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
        "socketpair": socket.socketpair,
        "fork": os.fork,
        "program": lambda: subprocess.run(["/bin/true"], check=True),
        "exec": lambda: os.execv("/bin/true", ["true"]),
        "read outside": (elsewhere / "secret").read_text,
        "list outside": lambda: list(elsewhere.iterdir()),
        "write outside": lambda: (elsewhere / "new").write_text("x"),
        "append outside": lambda: (elsewhere / "secret").open("a").close(),
        "truncate outside": lambda: os.truncate(elsewhere / "secret", 0),
        "unlink outside": (elsewhere / "secret").unlink,
        "rename outside": lambda: os.rename(elsewhere / "secret", workdir / "moved"),
        "mkdir outside": (elsewhere / "folder").mkdir,
        "chmod outside": lambda: os.chmod(elsewhere / "secret", 0o777),
        "chown outside": lambda: os.chown(elsewhere / "secret", 1, 1),
        "utime outside": lambda: os.utime(elsewhere / "secret"),
        "write source": lambda: source.open("r+b").close(),
        "link": lambda: os.symlink("/etc/passwd", workdir / "link"),
        "hard link": lambda: os.link(elsewhere / "secret", workdir / "hard"),
        "fifo": lambda: os.mkfifo(workdir / "fifo"),
        "passwords": Path("/etc/passwd").read_text,
        "parent's environment": Path(f"/proc/{os.getppid()}/environ").read_bytes,
        "parent's memory": lambda: open(f"/proc/{os.getppid()}/mem", "rb").close(),
        "kill parent": lambda: os.kill(os.getppid(), 0),
        "kill all": lambda: os.kill(-1, 0),
        "trace parent": lambda: call(libc.ptrace, 16, os.getppid(), 0, 0),
        "raise limit": lambda: resource.setrlimit(resource.RLIMIT_CPU, (10**6, 10**6)),
        "new session": os.setsid,
        "namespace": lambda: call(libc.unshare, 0x10000000),
        "mount": lambda: call(libc.mount, b"none", b"/tmp", b"tmpfs", 0, None),
        "root": lambda: os.setuid(0),
        "memory file": lambda: os.memfd_create("x"),
        "io_uring": lambda: call(libc.syscall, 425, 8, ctypes.create_string_buffer(256)),
        "new system call": lambda: call(libc.syscall, 463),
    }
    ends = {}
    for name, attempt in tries.items():
        try:
            attempt()
            ends[name] = "done"
        except OSError as error:
            ends[name] = errno.errorcode.get(error.errno or 0, str(error.errno))
        except ValueError:  # how Python tells that a limit may not be raised
            ends[name] = "EPERM"
    return ends


def may(source: Path, workdir: Path) -> dict[str, Any]:
    """What a decoder needs and must not lose."""
    (workdir / "folder").mkdir()
    (workdir / "folder" / "a").write_bytes(b"1")
    (workdir / "folder" / "a").rename(workdir / "folder" / "b")
    (workdir / "folder" / "b").unlink()
    (workdir / "folder").rmdir()
    import wave  # noqa: F401 - from the library's folder, after the walls stand
    import xml.etree.ElementTree  # noqa: F401

    os.kill(os.getpid(), 0)
    return {
        "urandom": len(os.urandom(8)),
        "limit": resource.getrlimit(resource.RLIMIT_CPU)[0],
        "time": time.time() > 0,
    }


def program(source: Path, workdir: Path) -> dict[str, Any]:
    done = subprocess.run(["/bin/echo", "hello"], capture_output=True, text=True, check=True)
    refused = ""
    try:
        socket.socket().close()
    except OSError as error:
        refused = errno.errorcode[error.errno or 0]
    return {"output": done.stdout, "socket": refused}


def leave_program_behind(source: Path, workdir: Path) -> dict[str, Any]:
    left = subprocess.Popen(["/bin/sleep", "600"])
    return {"pid": left.pid}


def wait_for_program(source: Path, workdir: Path) -> None:
    left = subprocess.Popen(["/bin/sleep", "600"])
    (workdir / "program").write_text(json.dumps([os.getpid(), left.pid]))
    left.wait()


def meet(source: Path, workdir: Path, number: int, count: int) -> dict[str, Any]:
    """Ends when as many children are here at once."""
    (workdir / f"here-{number}").touch()
    while len(list(workdir.glob("here-*"))) < count:
        time.sleep(0.005)
    return {"pid": os.getpid()}


def picture(source: Path, workdir: Path) -> dict[str, Any]:
    from PIL import Image

    with Image.open(source) as image:
        size = image.size
        image.thumbnail((64, 64))
        image.convert("RGB").save(workdir / "thumbnail.jpg")
        image.convert("RGB").save(workdir / "thumbnail.webp")
    return {"size": size}


def film(source: Path, workdir: Path) -> dict[str, Any]:
    """Decoding with threads, and encoding: all that a film's preview takes."""
    import av

    frames = samples = 0
    with av.open(str(source)) as container, av.open(str(workdir / "copy.mp4"), "w") as copy:
        video = container.streams.video[0]
        video.thread_type = "AUTO"
        out = copy.add_stream("libx264", rate=25)
        out.width, out.height, out.pix_fmt = 64, 48, "yuv420p"
        for frame in container.decode():
            if isinstance(frame, av.VideoFrame):
                frames += 1
                copy.mux(out.encode(frame.reformat(64, 48)))
            else:
                samples += frame.samples
        copy.mux(out.encode(None))
    return {"frames": frames, "samples": samples, "copy": (workdir / "copy.mp4").stat().st_size}


def page(source: Path, workdir: Path) -> dict[str, Any]:
    import pypdfium2

    document = pypdfium2.PdfDocument(source)
    image = document[0].render(scale=1).to_pil()
    image.save(workdir / "page.png")
    return {"pages": len(document), "size": image.size}


def markup(source: Path, workdir: Path) -> dict[str, Any]:
    from lxml import etree

    return {"tags": [element.tag for _, element in etree.iterparse(str(source))]}


def fetch(source: Path, workdir: Path, url: str) -> dict[str, Any]:
    """What a hostile playlist makes of a decoder."""
    import av

    try:
        av.open(url, timeout=2)
    except OSError as error:
        return {"error": type(error).__name__}
    return {"error": ""}


def imported(source: Path, workdir: Path, module: str) -> dict[str, Any]:
    """What an inspector imports only when it runs: work that the zygote could have done once for all."""
    inspector = sys.modules[module]
    before = set(sys.modules)
    inspector.inspect(source, workdir)
    return {"modules": sorted(set(sys.modules) - before)}

"""The sandbox: what a child may do, how its end is told, and that nothing outlives anything."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from processing.errors import InputFault, StepError, TryLater
from processing.sandbox import (
    Limits,
    Sandbox,
    Stopped,
    caller,
    landlock,
    outcomes,
    run,
    seccomp,
    wire,
)
from processing.sandbox.child import allowed, find
from processing.sandbox.reporting import report
from tests import media

ROOT = Path(__file__).parents[2]
FUNCTIONS = "tests.processing.sandboxed"
ON_LINUX = sys.platform == "linux"
WALLED = ON_LINUX and landlock.version() >= 6 and bool(seccomp.prepare(programs=False))
needs_walls = pytest.mark.skipif(
    not WALLED, reason="this kernel has no Landlock 6 or no seccomp filter"
)


@dataclass
class Place:
    """A sandbox, and a folder with a source to run things over."""

    sandbox: Sandbox
    source: Path
    workdir: Path

    def run(self, name: str, *args: Any, **options: Any) -> dict[str, Any]:
        return self.sandbox.run(
            f"{FUNCTIONS}:{name}", *args, source=self.source, workdir=self.workdir, **options
        )

    @property
    def zygote(self) -> psutil.Process:
        running = self.sandbox._zygote
        assert running is not None
        return psutil.Process(running._process.pid)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox(prefixes=(FUNCTIONS,), preload=())
    yield made
    made.close()


@pytest.fixture
def place(sandbox: Sandbox, tmp_path: Path) -> Place:
    return place_for(sandbox, tmp_path)


@pytest.fixture
def own_place(tmp_path: Path) -> Iterator[Place]:
    """With a zygote that the test may harm."""
    made = Sandbox(prefixes=(FUNCTIONS,), preload=())
    yield place_for(made, tmp_path)
    made.close()


def place_for(sandbox: Sandbox, folder: Path) -> Place:
    workdir = folder / "work"
    workdir.mkdir()
    source = folder / "source.txt"
    source.write_text("hello")
    return Place(sandbox, source, workdir)


def until(true: Callable[[], object], seconds: float = 20.0) -> bool:
    """Whether it becomes true in time."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_gone(pid: int) -> bool:
    """Neither alive nor a zombie that somebody of ours left."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def pid_in(path: Path) -> int:
    assert until(lambda: path.exists() and path.read_text())
    return int(path.read_text())


# ------------------------------------------------------------------- what comes back


def test_a_function_runs_in_a_child_of_the_zygote_and_answers_in_json(place: Place) -> None:
    found = place.run("echo", 1, {"a": [None, True]}, "ü")
    assert found["text"] == "hello"
    assert found["args"] == [1, {"a": [None, True]}, "ü"]
    assert found["cwd"] == str(place.workdir)
    assert found["pid"] not in {os.getpid(), place.zygote.pid}
    assert found["parent"] == place.zygote.pid


def test_an_inspection_comes_as_its_json_and_its_files_lie_in_the_folder(place: Place) -> None:
    found = place.run("inspection")
    assert found["facts"] == {"width": 3}
    assert found["renditions"][0]["name"] == "thumbnail.jpg"
    assert (place.workdir / "thumbnail.jpg").read_bytes() == b"small"


def test_nothing_is_an_empty_answer(place: Place) -> None:
    assert place.run("nothing") == {}


def test_progress_is_told_while_it_runs(place: Place) -> None:
    told: list[float] = []
    place.run("progress", progress=told.append)
    assert len(told) >= 3
    assert told == sorted(told)
    assert place.run("progress") == {}  # nobody listens: no matter


def test_outside_a_sandbox_a_report_goes_nowhere() -> None:
    report(0.5)


def test_a_large_answer_comes_whole(place: Place) -> None:
    assert len(place.run("large", 20 << 20)["text"]) == 20 << 20


def test_a_large_request_goes_whole(place: Place) -> None:
    assert place.run("echo", "a" * 3_000_000)["args"] == ["a" * 3_000_000]


def test_children_run_side_by_side(place: Place) -> None:
    with ThreadPoolExecutor(6) as threads:
        found = list(threads.map(lambda number: place.run("meet", number, 6), range(6)))
    assert len({each["pid"] for each in found}) == 6
    assert place.zygote.children() == []


def test_many_calls_from_many_threads_get_their_own_answers(place: Place) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda number: place.run("echo", number)["args"], range(60)))
    assert found == [[number] for number in range(60)]


# ------------------------------------------------------------------- what a child has about it


def test_a_child_inherits_no_secret_and_no_descriptor(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = place.run("surroundings")
    kept = {
        "PATH",
        "LD_LIBRARY_PATH",
        "TZ",
        "TESSDATA_PREFIX",
        "LANG",
        "PYTHONPATH",
        "PYTHONUNBUFFERED",
    }
    kept |= {
        "OMP_NUM_THREADS",
        "OMP_THREAD_LIMIT",
        "OPENBLAS_NUM_THREADS",
        "MALLOC_ARENA_MAX",
        "GLIBC_TUNABLES",
    }
    assert set(found["environment"]) <= kept | {"TMPDIR", "HOME", "LC_CTYPE"}
    assert found["environment"]["HOME"] == found["tmp"] == str(place.workdir)
    assert found["descriptors"] == [0, 1, 2, 3]
    assert len(set(found["outputs"])) == 1  # stdin and stdout are /dev/null
    assert found["mode"] == 0o600
    assert found["core"] == 0
    assert found["threads"] == 1


def test_the_zygotes_own_environment_holds_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SECRET_KEY", "do-not-tell")
    made = Sandbox(prefixes=(FUNCTIONS,), preload=())
    try:
        place = place_for(made, tmp_path)
        place.run("nothing")
        assert "do-not-tell" not in str(place.zygote.environ())
        assert place.zygote.num_threads() == 1
    finally:
        made.close()


def test_the_standard_zygote_has_one_thread_and_leaves_its_children_nothing_to_import(
    tmp_path: Path,
) -> None:
    """Where this fails, add what it names to PRELOAD: each child would import it anew."""
    made = Sandbox(prefixes=(*caller.PREFIXES, FUNCTIONS))
    files = {
        "image": (media.jpeg(), media.png(), media.gif(), media.webp(), media.heic(), media.tiff()),
        "audio": (media.mp3(), media.ogg(), media.m4a()),
        "video": (media.mp4(), media.webm()),
        "document": (media.pdf(), media.word(), media.plain()),
    }
    try:
        place = place_for(made, tmp_path)
        made.warm()
        assert place.zygote.num_threads() == 1
        missed = {
            name
            for kind, contents in files.items()
            for content in contents
            for name in write(place, content).run("imported", f"processing.inspectors.{kind}")[
                "modules"
            ]
        }
        assert missed == set()
        assert place.zygote.num_threads() == 1
    finally:
        made.close()


# ------------------------------------------------------------------- how an end is told


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("unreadable", InputFault, "ENCRYPTED_FILE"),
        ("deep", InputFault, "LIMIT_EXCEEDED"),
        ("crash", InputFault, "CORRUPT_FILE"),
        ("abort", InputFault, "CORRUPT_FILE"),
        ("no_space", TryLater, "INTERNAL_ERROR"),
    ],
)
def test_an_end_has_its_code(place: Place, name: str, kind: type[StepError], code: str) -> None:
    with pytest.raises(kind) as end:
        place.run(name)
    assert end.value.job_code == code


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("fault", "KeyError: 'no such field'"),
        ("no_json", "TypeError: Object of type object"),
        ("not_a_number", "ValueError: Out of range float"),
        ("a_list", "TypeError: .*a_list returned neither"),
        ("leave", "ended by itself with status"),
        ("chatter", "ValueError: after much talk"),
        ("no_such_function", "AttributeError"),
    ],
)
def test_a_fault_of_ours_is_a_broken_run(place: Place, name: str, says: str) -> None:
    with pytest.raises(RuntimeError, match=says):
        place.run(name)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGSEGV, "CORRUPT_FILE"),
        (signal.SIGFPE, "CORRUPT_FILE"),
        (
            signal.SIGKILL,
            "LIMIT_EXCEEDED",
        ),  # nobody else kills our children: the kernel, for memory
        (signal.SIGXCPU, "LIMIT_EXCEEDED"),
        (signal.SIGTERM, "WORKER_LOST"),
    ],
)
def test_a_signal_has_its_code(place: Place, number: int, code: str) -> None:
    with pytest.raises(StepError) as end:
        place.run("die", int(number))
    assert end.value.job_code == code


def test_a_crashs_last_words_are_logged_on_one_line(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InputFault):
        place.run("die", int(signal.SIGSEGV))
    (record,) = [each for each in caplog.records if each.name == caller.__name__]
    assert "last words" in record.getMessage()
    assert "\n" not in record.getMessage()


@pytest.mark.parametrize(
    ("name", "limits", "limit"),
    [
        ("eat", Limits(memory_bytes=200 << 20), "memory"),
        ("eat_in_c", Limits(memory_bytes=200 << 20), "memory"),
        ("spin", Limits(cpu_s=1), "cpu"),
        ("wait", Limits(wall_s=0.2), "wall"),
        ("stubborn", Limits(wall_s=0.2), "wall"),
        ("fill", Limits(file_bytes=1 << 20), "file_size"),
    ],
)
@pytest.mark.skipif(not ON_LINUX, reason="other systems do not hold all limits")
def test_a_limit_is_told_by_name_and_the_sandbox_goes_on(
    place: Place, name: str, limits: Limits, limit: str
) -> None:
    start = time.monotonic()
    with pytest.raises(InputFault) as end:
        place.run(name, limits=limits)
    assert (end.value.job_code, end.value.details) == ("LIMIT_EXCEEDED", {"limit": limit})
    assert time.monotonic() - start < 20
    assert place.run("echo")["text"] == "hello"


def test_an_answer_past_the_limit_is_refused(place: Place) -> None:
    with pytest.raises(InputFault) as end:
        place.run("large", 2 << 20, limits=Limits(result_bytes=1 << 20))
    assert end.value.details == {"limit": "result"}


def test_open_files_are_limited(place: Place) -> None:
    found = place.run("open_many", limits=Limits(open_files=20))
    assert found == {"errno": 24, "count": 16}


def test_longer_media_get_more_time() -> None:
    longer = Limits(cpu_s=60, wall_s=120).for_length(100.5, factor=2)
    assert (longer.cpu_s, longer.wall_s, longer.memory_bytes) == (261, 321.0, 1 << 30)
    assert Limits().for_length(None) == Limits().for_length(-5) == Limits()


# ------------------------------------------------------------------- a child that was taken over


@pytest.mark.parametrize(
    "frame",
    [
        b"garbage",
        wire.frame(b"Z", {}),
        wire.frame(wire.RESULT, [1]),
        wire.frame(wire.STATUS, {"exit": 0}),
        wire.frame(wire.LIMIT, "memory"),
        b"R\x02\x00\x00\x00{]",
        b"R\x20\x4e\x00\x00" + b"[" * 20_000,
        b"",
    ],
)
def test_nonsense_from_a_child_is_a_broken_run(place: Place, frame: bytes) -> None:
    with pytest.raises(RuntimeError):
        place.run("lie", frame.hex())
    assert place.run("echo")["text"] == "hello"


def test_a_frame_that_claims_to_be_endless_is_refused(place: Place) -> None:
    with pytest.raises(InputFault) as end:
        place.run("lie", b"R\xff\xff\xff\xff".hex())
    assert end.value.details == {"limit": "result"}


def test_progress_that_is_no_share_is_dropped(place: Place) -> None:
    told: list[float] = []
    frames = b"".join(wire.frame(wire.PROGRESS, value) for value in ("x", -1, 2, None, 0.5))
    place.run("lie", (frames + wire.frame(wire.RESULT, {})).hex(), progress=told.append)
    assert told == [0.5]


# ------------------------------------------------------------------- walls


@needs_walls
def test_no_way_out_that_we_know_is_open(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    ends = place.run("attempts", str(outside))
    assert len(ends) > 30
    assert {
        name: end for name, end in ends.items() if end not in {"EPERM", "EACCES", "ENOSYS"}
    } == {}
    assert (outside / "secret").read_text() == "secret"
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert list(place.workdir.iterdir()) == []
    assert place.source.read_text() == "hello"


def test_what_a_decoder_needs_is_left(place: Place) -> None:
    assert place.run("may") == {"urandom": 8, "limit": 60, "time": True}
    assert place.run("threads") == {"done": 4}


@needs_walls
def test_the_protections_are_told_as_they_stand(place: Place) -> None:
    assert place.sandbox.protections() == {
        "platform": "linux",
        "rlimits": True,
        "capabilities": True,
        "landlock": landlock.version(),
        "seccomp": True,
        "network_refused": True,
        "programs_refused": True,
        "files_refused": True,
        "parent_death_signal": True,
    }


@needs_walls
def test_a_decoder_sent_to_a_server_does_not_get_there(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0.1)
        found = place.run("fetch", f"http://127.0.0.1:{canary.getsockname()[1]}/")
        assert found["error"]
        with pytest.raises(TimeoutError):
            canary.accept()


def test_without_walls_the_limits_still_hold(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another kernel: no Landlock, no seccomp."""
    own_place.sandbox._config["preload"] = ["tests.processing.unwalled"]
    assert own_place.sandbox.protections()["rlimits"]
    assert not own_place.sandbox.protections().get("landlock")
    assert own_place.run("echo")["text"] == "hello"
    with pytest.raises(InputFault):
        own_place.run("wait", limits=Limits(wall_s=0.2))


@needs_walls
def test_a_wall_that_fell_stops_the_work(own_place: Place) -> None:
    own_place.sandbox._config["preload"] = ["tests.processing.fallen"]
    assert own_place.sandbox.protections()["landlock"]
    with pytest.raises(RuntimeError, match="do not stand now: landlock"):
        own_place.run("echo")


@pytest.mark.parametrize(("column", "arch"), [(0, 0xC000003E), (1, 0xC00000B7)])
def test_the_filter_is_sound_for_each_architecture(column: int, arch: int) -> None:
    """Every jump lands inside the program, and every path through it ends in a verdict."""
    code = seccomp.build(arch, column, programs=False)
    steps = [struct.unpack_from("<HBBI", code, at) for at in range(0, len(code), 8)]
    assert steps[-1][0] == seccomp._RETURN
    assert len(steps) < 4096
    for index, (_, yes, no, _) in enumerate(steps):
        assert index + 1 + max(yes, no) < len(steps) or index == len(steps) - 1
    assert len(seccomp._numbers(seccomp._REFUSED, column)) > 60
    assert len(seccomp.build(arch, column, programs=True)) < len(code)


# ------------------------------------------------------------------- programs


def test_programs_run_only_where_they_are_allowed(place: Place) -> None:
    assert place.run("program", programs=True) == {
        "output": "hello\n",
        "socket": "EPERM" if WALLED else "",
    }
    if WALLED:
        with pytest.raises(RuntimeError, match="PermissionError"):
            place.run("program")


def test_a_program_left_behind_is_killed(place: Place) -> None:
    left = place.run("leave_program_behind", programs=True)["pid"]
    assert until(lambda: is_gone(left))
    assert until(lambda: place.zygote.children(recursive=True) == [])


def test_a_program_dies_with_its_child(place: Place) -> None:
    with pytest.raises(InputFault):
        place.run("wait_for_program", programs=True, limits=Limits(wall_s=1.0))
    pids = json.loads((place.workdir / "program").read_text())
    assert until(lambda: all(map(is_gone, pids)))


# ------------------------------------------------------------------- real decoders


def write(place: Place, data: bytes) -> Place:
    place.source.write_bytes(data)
    return place


def test_pictures_are_decoded_and_written_behind_the_walls(place: Place) -> None:
    assert write(place, media.jpeg(640, 480)).run("picture")["size"] == [640, 480]
    assert (place.workdir / "thumbnail.jpg").stat().st_size > 100
    assert write(place, media.avif()).run("picture")["size"] == [64, 48]


def test_films_are_decoded_and_encoded_behind_the_walls(place: Place) -> None:
    found = write(place, media.mp4(1.0)).run("film")
    assert found["frames"] > 5
    assert found["copy"] > 100


def test_documents_are_read_behind_the_walls(place: Place) -> None:
    assert write(place, media.pdf(["One", "Two"])).run("page")["pages"] == 2
    assert write(place, b"<a><b/></a>").run("markup")["tags"] == ["b", "a"]


@pytest.mark.skipif(shutil.which("tesseract") is None, reason="tesseract is not installed")
def test_tesseract_reads_behind_the_walls(tmp_path: Path) -> None:
    source = tmp_path / "text.png"
    source.write_bytes(media.text_picture("Hello sandbox"))
    (tmp_path / "work").mkdir()
    found = run(
        "processing.inspectors.ocr:read_pictures",
        source=source,
        workdir=tmp_path / "work",
        programs=True,
    )
    assert "Hello sandbox" in " ".join(block["text"] for block in found["blocks"])


# ------------------------------------------------------------------- what may run at all


@pytest.mark.parametrize(
    ("module", "may"),
    [
        ("processing.inspectors.image", True),
        ("transcription.audio", True),
        ("transcription.audio.parts", True),
        ("transcription.audiobooks", False),
        ("processing.inspectorsx.image", False),
        ("os", False),
        ("", False),
    ],
)
def test_only_inspectors_may_run(module: str, may: bool) -> None:
    assert allowed(module, caller.PREFIXES) is may
    if not may:
        with pytest.raises(PermissionError):
            find(f"{module}:system", caller.PREFIXES)


def test_another_function_is_refused_before_anything_starts(tmp_path: Path) -> None:
    made = Sandbox(prefixes=(FUNCTIONS,), preload=())
    with pytest.raises(ValueError, match="may not run"):
        made.run("os:system", "true", source=tmp_path, workdir=tmp_path)
    assert made._zygote is None


# ------------------------------------------------------------------- cancelling


def test_a_cancelled_call_kills_its_child(place: Place) -> None:
    stop = threading.Event()
    marker = place.workdir / "waiting"

    def cancelled() -> bool:
        if marker.exists():
            stop.set()
        return stop.is_set()

    with pytest.raises(Stopped) as end:
        place.run("wait", "waiting", cancelled=cancelled)
    assert end.value.job_code == "CANCELLED"
    assert is_gone(pid_in(marker))


def test_what_cancelled_or_progress_raises_comes_through_and_kills_the_child(place: Place) -> None:
    class Gone(Exception):
        pass

    def raising(*_: object) -> bool:
        raise Gone

    with pytest.raises(Gone):
        place.run("wait", cancelled=raising)
    with pytest.raises(Gone):
        place.run("progress", progress=raising)
    assert until(lambda: place.zygote.children() == [])


# ------------------------------------------------------------------- a zygote that is lost


def test_a_zygote_killed_in_idleness_is_replaced_unnoticed(own_place: Place) -> None:
    own_place.sandbox.warm()
    first = own_place.zygote
    first.kill()
    assert until(lambda: is_gone(first.pid))
    assert own_place.run("echo")["parent"] == own_place.zygote.pid != first.pid
    assert not psutil.pid_exists(first.pid)


@pytest.mark.skipif(not ON_LINUX, reason="needs the parent-death signal")
def test_a_zygote_killed_at_work_takes_its_children_along(own_place: Place) -> None:
    marker = own_place.workdir / "waiting"
    own_place.sandbox.warm()
    zygote = own_place.zygote
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(own_place.run, "wait", "waiting")
        child = pid_in(marker)
        zygote.kill()
        with pytest.raises(TryLater) as end:
            call.result(20)
    assert (end.value.job_code, end.value.waiting_for) == ("WORKER_LOST", "retry")
    assert until(lambda: is_gone(child))
    assert own_place.run("echo")["text"] == "hello"


@pytest.mark.skipif(not ON_LINUX, reason="needs the parent-death signal")
def test_a_zygote_that_hangs_is_killed_after_the_time(
    own_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caller, "_GRACE_S", 0.3)
    marker = own_place.workdir / "waiting"
    own_place.sandbox.warm()
    zygote = own_place.zygote
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(own_place.run, "wait", "waiting", limits=Limits(wall_s=1.5))
        child = pid_in(marker)
        zygote.suspend()
        with pytest.raises(TryLater):
            call.result(20)
    assert until(lambda: is_gone(child) and is_gone(zygote.pid))
    assert own_place.run("echo")["text"] == "hello"


def test_a_zygote_that_cannot_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    made = Sandbox(prefixes=(FUNCTIONS,), preload=())
    with pytest.raises(RuntimeError, match="did not start"):
        made.run(f"{FUNCTIONS}:echo", source=tmp_path, workdir=tmp_path)


def test_closing_ends_the_zygote_and_its_children(own_place: Place) -> None:
    marker = own_place.workdir / "waiting"
    own_place.sandbox.warm()
    zygote = own_place.zygote
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(own_place.run, "wait", "waiting")
        child = pid_in(marker)
        own_place.sandbox.close()
        with pytest.raises(TryLater):
            call.result(20)
    assert is_gone(child)
    assert not psutil.pid_exists(zygote.pid)


def test_nothing_is_left_open_by_calls(place: Place) -> None:
    place.run("nothing")
    assert until(lambda: place.zygote.children() == [])
    us = psutil.Process()

    def open_now() -> tuple[int, int, int]:
        return us.num_fds(), place.zygote.num_fds(), len(place.zygote.children())

    before = open_now()
    for name in ("echo", "crash", "fault", "unreadable") * 3:
        with contextlib.suppress(StepError, RuntimeError):
            place.run(name)
    # The zygote tells of an end just before it closes what belonged to it.
    assert until(lambda: all(now <= then for now, then in zip(open_now(), before, strict=True)))


# ------------------------------------------------------------------- processes around it

_WORKER = """
import os, sys, threading, time
from pathlib import Path
from processing.sandbox import Sandbox

folder = Path(sys.argv[1])
(folder / "work").mkdir()
(folder / "source").write_text("hello")
sandbox = Sandbox(prefixes=("tests.processing.sandboxed",), preload=())

def call(name, *args):
    return sandbox.run(f"tests.processing.sandboxed:{name}", *args,
                       source=folder / "source", workdir=folder / "work")
def tell(name, value):
    (folder / f".{name}").write_text(str(value))
    (folder / f".{name}").rename(folder / name)
"""


def start_worker(folder: Path, script: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _WORKER + script, str(folder)], cwd=ROOT)


def test_a_killed_worker_leaves_no_process(tmp_path: Path) -> None:
    worker = start_worker(
        tmp_path,
        """
for number in range(3):
    threading.Thread(target=call, args=("wait", f"waiting-{number}")).start()
tell("zygote", call("echo")["parent"])
""",
    )
    children = [pid_in(tmp_path / "work" / f"waiting-{number}") for number in range(3)]
    zygote = pid_in(tmp_path / "zygote")
    assert not any(map(is_gone, [*children, zygote]))
    worker.kill()
    worker.wait()
    assert until(lambda: all(map(is_gone, [*children, zygote])))


def test_a_worker_that_exits_takes_its_zygote_along(tmp_path: Path) -> None:
    worker = start_worker(tmp_path, 'tell("zygote", call("echo")["parent"])')
    assert worker.wait(60) == 0
    assert is_gone(pid_in(tmp_path / "zygote"))


def test_a_forked_worker_gets_a_zygote_of_its_own(tmp_path: Path) -> None:
    """And the first one's ends with the first worker, though the fork inherited its socket."""
    worker = start_worker(
        tmp_path,
        """
tell("first", call("echo")["parent"])
pid = os.fork()
if pid == 0:
    tell("second", call("echo")["parent"])
    while not (folder / "end").exists():
        time.sleep(0.01)
    tell("third", call("echo")["parent"])
    sandbox.close()
    os._exit(0)
tell("still", call("echo")["parent"])
tell("fork", pid)
while not (folder / "second").exists():
    time.sleep(0.01)
""",
    )
    assert worker.wait(60) == 0
    first, second = pid_in(tmp_path / "first"), pid_in(tmp_path / "second")
    assert pid_in(tmp_path / "still") == first != second
    assert until(lambda: is_gone(first))
    assert not is_gone(second)
    (tmp_path / "end").touch()
    assert pid_in(tmp_path / "third") == second
    assert until(lambda: is_gone(second) and is_gone(pid_in(tmp_path / "fork")))


def test_a_terminals_interrupt_does_not_reach_the_zygote(own_place: Place) -> None:
    own_place.sandbox.warm()
    assert os.getsid(own_place.zygote.pid) != os.getsid(0)


def test_words_exist_for_each_limit() -> None:
    for limit in ("memory", "cpu", "wall", "file_size", "nesting", "result"):
        assert "than is allowed" in outcomes.limit_exceeded(limit).message

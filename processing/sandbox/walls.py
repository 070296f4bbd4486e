"""The walls around a child: limits, and the rights it gives up. Each is put up where the system has it."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import site
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from processing.sandbox import landlock, seccomp
from processing.sandbox.limits import Limits

LINUX = sys.platform == "linux"

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x20080522
libc = ctypes.CDLL(None, use_errno=True)

# What decoders and the libraries beneath them look at: fonts, time zones, the loader's list, the processors.
_READABLE = """
/usr/lib /usr/lib64 /usr/local/lib /lib /lib64 /usr/share/fonts /usr/local/share/fonts /usr/share/zoneinfo
/usr/share/mime /etc/fonts /etc/ld.so.cache /etc/localtime /etc/mime.types /dev/zero /dev/urandom /dev/random
/proc/cpuinfo /proc/meminfo /sys/devices/system/cpu
""".split()
# And what starting a program takes beside them.
_RUNNABLE = "/usr/bin /usr/local/bin /bin /usr/share /usr/local/share /opt".split()


def put_up(
    *, limits: Limits, source: Path | None, workdir: Path, packages: Iterable[Path], programs: bool
) -> dict[str, Any]:
    """Put up all walls around this process, for good. Returns which stand."""
    os.umask(0o077)
    os.chdir(workdir)
    _prefer_to_die()
    _limit(limits)
    stands: dict[str, Any] = {"rlimits": True}
    if LINUX:
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)  # no core dump, not even into a pipe; no debugger
        stands["capabilities"] = _drop_capabilities()
        if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
            stands["landlock"] = landlock.restrict(
                _rules(source, workdir, packages, programs=programs)
            )
            stands["seccomp"] = seccomp.restrict(programs=programs)
    return stands


def die_with(parent: int) -> None:
    """Be killed when the parent dies. The parent has one thread, so its thread's death is its own."""
    if LINUX:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it died before it was asked
            os._exit(1)


def _prefer_to_die() -> None:
    """Where memory runs out, the kernel shall take this process and not the worker."""
    with suppress(OSError):
        descriptor = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        os.write(descriptor, b"1000")
        os.close(descriptor)


def _limit(limits: Limits) -> None:
    size, data = _in_use()
    wanted = {
        # Memory that is really written to; the address space, of which allocators reserve much more
        # than they use, is bounded behind it.
        "RLIMIT_DATA": data + limits.memory_bytes,
        "RLIMIT_AS": size + 2 * limits.memory_bytes + (2 << 30),
        "RLIMIT_FSIZE": limits.file_bytes,
        "RLIMIT_NOFILE": limits.open_files,
        "RLIMIT_CORE": 0,
    }
    for name, value in wanted.items():
        with suppress(ValueError, OSError):  # macOS knows not all, and refuses to set some
            resource.setrlimit(getattr(resource, name), (value, value))
    with suppress(ValueError, OSError):
        # SIGXCPU at the soft limit; SIGKILL two seconds later, should it be ignored.
        resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_s, limits.cpu_s + 2))
    # Where the zygote was lost without a parent-death signal, this ends the child all the same.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_s + 10)


def _in_use() -> tuple[int, int]:
    """Bytes of address space, and of data in it, that this process takes already."""
    try:
        pages = Path("/proc/self/statm").read_text().split()
    except OSError:
        return 1 << 33, 1 << 30  # no /proc: roughly what the libraries take
    page = resource.getpagesize()
    return int(pages[0]) * page, int(pages[5]) * page


def _drop_capabilities() -> bool:
    """Root in a container keeps its name and loses its powers."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    return int(libc.capset(header, none)) == 0


def _rules(
    source: Path | None, workdir: Path, packages: Iterable[Path], *, programs: bool
) -> list[tuple[Path, int]]:
    rules = [*_libraries(tuple(packages), programs)]
    rules += [(workdir, landlock.WRITE), (Path("/dev/null"), landlock.READ | landlock.WRITE_FILE)]
    if source is not None:
        rules.append((source, landlock.READ))
    return rules


@cache
def _libraries(packages: tuple[Path, ...], programs: bool) -> tuple[tuple[Path, int], ...]:  # noqa: FBT001
    """What every child may read: each folder once, and none that lies in another."""
    folders = {*map(Path, _READABLE), *_python_folders(), *packages}
    if programs:
        folders |= set(map(Path, _RUNNABLE))
        if "TESSDATA_PREFIX" in os.environ:
            folders.add(Path(os.environ["TESSDATA_PREFIX"]))
    real = {path.resolve() for path in folders if path.exists()}
    rights = landlock.RUN if programs else landlock.READ
    return tuple((path, rights) for path in sorted(real) if real.isdisjoint(path.parents))


def _python_folders() -> set[Path]:
    """Python's own library and what is installed; not the whole prefix, which may be the project's folder."""
    named = sysconfig.get_paths()
    folders = {Path(named[key]) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    folders |= {Path(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix)}
    return folders | {Path(path) for path in site.getsitepackages()}


def prepare(packages: Iterable[Path]) -> None:
    """Work out once, in the zygote, what is the same for every child."""
    for programs in (False, True):
        _libraries(tuple(packages), programs)
        seccomp.prepare(programs=programs)


def probe() -> dict[str, Any]:
    """Put the walls up around this process and lean on each. For a process that ends after it."""
    folder = Path(tempfile.gettempdir())
    stands = put_up(limits=Limits(), source=None, workdir=folder, packages=(), programs=False)
    stands["network_refused"] = _refused(lambda: socket.socket().close())
    stands["programs_refused"] = _refused(os.fork)
    stands["files_refused"] = _refused(Path("/etc/passwd").read_bytes)
    return stands


def _refused(attempt: Any) -> bool:
    try:
        if attempt() == 0:  # a fork that was not refused: this is its child
            os._exit(0)
    except PermissionError:
        return True
    except OSError:
        return False
    return False

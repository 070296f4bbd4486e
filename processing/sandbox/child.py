"""What a forked child does: put the walls up, call the function, send its answer, end."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from processing.inspectors.base import Inspection, Unreadable
from processing.sandbox import reporting, walls, wire
from processing.sandbox.limits import Limits

CALLER = 3  # the child's one descriptor beside stdin, stdout and stderr


def take_descriptors(caller: int, errors: int) -> None:
    """Keep the caller's socket and the pipe for errors under fixed numbers, and close all else."""
    nothing = os.open(os.devnull, os.O_RDWR)
    # Copies first: one of them may have the number another is moved to.
    copies = [os.dup(number) for number in (nothing, nothing, errors, caller)]
    for number, copy in enumerate(copies):
        os.dup2(copy, number, inheritable=number < CALLER)
    os.closerange(CALLER + 1, max(map(int, os.listdir("/dev/fd"))) + 1)  # noqa: PTH208 - each file


def live(
    *, caller: int, errors: int, zygote: int, prefixes: Iterable[str], walled: Mapping[str, Any]
) -> None:
    """The whole life of a child; `walled` says which walls stand on this machine. Never returns."""
    status = 1
    try:
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        take_descriptors(caller, errors)
        walls.die_with(zygote)
        request = wire.read_frame(CALLER)
        if request is not None:
            answer = _answer(request[1], prefixes, walled)
            reporting.listen(None)
            wire.write_all(CALLER, answer)
            status = 0
    except BrokenPipeError:
        pass  # the caller has gone: nobody wants the answer
    except Exception:  # noqa: BLE001 - the last resort of a process without a caller above it
        traceback.print_exc()
    finally:
        os._exit(status)


def _answer(request: dict[str, Any], prefixes: Iterable[str], walled: Mapping[str, Any]) -> bytes:
    limits = Limits(**request["limits"])
    source, workdir = Path(request["source"]), Path(request["workdir"])
    try:
        function = find(request["function"], prefixes)
        sys.dont_write_bytecode = True
        os.environ["TMPDIR"] = os.environ["HOME"] = os.fspath(workdir)
        stands = walls.put_up(
            limits=limits,
            source=source,
            workdir=workdir,
            packages=packages(prefixes),
            programs=request["programs"],
        )
        if fallen := [wall for wall in stands if walled[wall] and not stands[wall]]:
            raise RuntimeError(f"walls that stood before do not stand now: {', '.join(fallen)}")
        reporting.listen(lambda share: wire.write_all(CALLER, wire.frame(wire.PROGRESS, share)))
        found = function(source, workdir, *request["args"])
        if isinstance(found, Inspection):
            found = found.as_json()
        if not isinstance(found, dict | None):
            raise TypeError(f"{request['function']} returned neither an Inspection nor a dict")
        frame = wire.frame(wire.RESULT, {} if found is None else found)
    except Unreadable as fault:
        return wire.frame(wire.UNREADABLE, {"code": fault.code, "message": fault.message})
    except MemoryError:
        return wire.frame(wire.LIMIT, {"limit": "memory"})
    except RecursionError:
        return wire.frame(wire.LIMIT, {"limit": "nesting"})
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
        return _told(error)
    if len(frame) > limits.result_bytes:
        return wire.frame(wire.LIMIT, {"limit": "result"})
    return frame


def _told(error: Exception) -> bytes:
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.ENOMEM:
        return wire.frame(wire.LIMIT, {"limit": "memory"})
    if number == errno.EFBIG:
        return wire.frame(wire.LIMIT, {"limit": "file_size"})
    if number in {errno.ENOSPC, errno.EDQUOT}:
        return wire.frame(wire.DISK_FULL, {})
    trace = "".join(traceback.format_exception(error))[-wire.SMALL :]
    return wire.frame(
        wire.BROKEN,
        {"type": type(error).__name__, "message": str(error)[:1000], "traceback": trace},
    )


def allowed(module: str, prefixes: Iterable[str]) -> bool:
    """`processing.inspectors.` allows what lies in that package, `transcription.audio` that module too."""
    return any(
        module == prefix.rstrip(".") or module.startswith(prefix.rstrip(".") + ".")
        for prefix in prefixes
    )


def find(function: str, prefixes: Iterable[str]) -> Any:
    """The function named `package.module:name`."""
    module, _, name = function.partition(":")
    if not allowed(module, prefixes):
        raise PermissionError(f"{function} may not run in the sandbox")
    return getattr(importlib.import_module(module), name)


def packages(prefixes: Iterable[str]) -> list[Path]:
    """The folders of our own packages, for imports inside functions; never the project's, with its .env."""
    tops = {"processing", "media_assets", *(prefix.partition(".")[0] for prefix in prefixes)}
    folders: list[Path] = []
    for top in tops:
        folders += map(Path, getattr(sys.modules.get(top), "__path__", ()))
    return sorted(folders)

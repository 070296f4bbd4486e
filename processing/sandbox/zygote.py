"""The zygote: has the decoders loaded, forks one child for each file, and tells how it ended.

Started by `caller` as `python -m processing.sandbox.zygote FD CONFIG`. It has one thread, so that forking
is safe and a child's parent-death signal means its death. It ends when the other end of FD does.
"""

from __future__ import annotations

import faulthandler
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from processing.sandbox import child, walls, wire

_PR_SET_CHILD_SUBREAPER = 36
_DESCRIPTORS = (
    3  # that come with an order: the child's socket, the pipe for its errors, our status socket
)


@dataclass(slots=True)
class _Child:
    status: socket.socket
    deadline: float
    killed: str = ""
    base_rss: int = 0


class Zygote:
    def __init__(
        self, control: socket.socket, prefixes: tuple[str, ...], walled: dict[str, Any]
    ) -> None:
        self._control = control
        self._prefixes = prefixes
        self._walled = walled
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()
        self._pid = os.getpid()
        self._woken, wake = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(control, selectors.EVENT_READ)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def serve(self) -> None:
        """Take orders until the caller is gone; then nothing of ours is left."""
        while True:
            for key, _ in self._selector.select(self._patience()):
                if key.fileobj is self._control:
                    if not self._take_order():
                        self._kill_all()
                        return
                elif key.fileobj == self._woken:
                    with suppress(BlockingIOError):
                        os.read(self._woken, 4096)
                else:
                    self._kill(key.data, "cancelled")  # its caller has hung up
            self._kill_overdue()
            self._reap()

    def _patience(self) -> float | None:
        waiting = [each.deadline for each in self._children.values() if not each.killed]
        return max(min(waiting) - time.monotonic(), 0.0) if waiting else None

    def _take_order(self) -> bool:
        """Read one order and fork its child; False when the caller has closed."""
        try:
            data, descriptors, _, _ = socket.recv_fds(self._control, 4, _DESCRIPTORS)
        except OSError:
            return False
        if not data:
            return False
        (length,) = struct.unpack("<I", data + self._exactly(4 - len(data)))
        order = json.loads(self._exactly(length))
        caller, errors, status = descriptors
        try:
            self._fork(order, caller, errors, socket.socket(fileno=status))
        finally:
            os.close(caller)
            os.close(errors)
        return True

    def _exactly(self, length: int) -> bytes:
        data = b""
        while len(data) < length:
            piece = self._control.recv(length - len(data))
            if not piece:
                raise EOFError("the caller is gone")
            data += piece
        return data

    def _fork(self, order: dict[str, Any], caller: int, errors: int, status: socket.socket) -> None:
        try:
            # Here and not in the child, so that only the first file of its kind waits for the import.
            child.find(order["function"], self._prefixes)
            walls.prepare(child.packages(self._prefixes))
            if _threads() > 1:
                raise RuntimeError(f"{order['function']} starts threads when it is imported")
            pid = os.fork()
        except Exception as error:  # noqa: BLE001 - told to the one who asked; the zygote goes on
            _tell(status, {"broken": f"{type(error).__name__}: {error}"})
            return
        if pid == 0:
            child.live(
                caller=caller,
                errors=errors,
                zygote=self._pid,
                prefixes=self._prefixes,
                walled=self._walled,
            )
        with suppress(OSError):  # the child does the same: whoever comes first
            os.setpgid(pid, pid)
        job = _Child(status, time.monotonic() + order["wall_s"], base_rss=_resident())
        self._children[pid] = job
        self._selector.register(status, selectors.EVENT_READ, pid)

    def _kill(self, pid: int, why: str) -> None:
        job = self._children[pid]
        if not job.killed:
            job.killed = why
            self._selector.unregister(job.status)
            _kill_group(pid)

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for pid, job in self._children.items():
            if not job.killed and job.deadline <= now:
                self._kill(pid, "wall")

    def _kill_all(self) -> None:
        for pid in self._children:
            _kill_group(pid)
        for pid in self._children:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)

    def _reap(self) -> None:
        """Bury the dead: our children, and orphans of theirs, which come to us."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self._children.pop(pid, None)
            if job is None:
                continue
            _kill_group(pid)  # programs it started and left behind
            if not job.killed:
                self._selector.unregister(job.status)
            unit = 1 if sys.platform == "darwin" else 1024
            told = {
                "exit": os.WEXITSTATUS(status) if os.WIFEXITED(status) else None,
                "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None,
                "killed": job.killed,
                "cpu_s": usage.ru_utime + usage.ru_stime,
                "grown_bytes": max(usage.ru_maxrss * unit - job.base_rss, 0),
            }
            _tell(job.status, told)


def _tell(status: socket.socket, value: dict[str, Any]) -> None:
    with suppress(OSError):  # the caller may be gone
        status.send(wire.frame(wire.STATUS, value))
    status.close()


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):
        with suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _resident() -> int:
    """Bytes of memory a fresh child shares with us: none of its own growth."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - called for each file
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - called for each file
    except OSError:
        return 1


def _preload(modules: list[str]) -> list[str]:
    loaded = []
    for module in modules:
        with suppress(ImportError):  # an optional decoder
            importlib.import_module(module)
            loaded.append(module)
    return loaded


def _probe() -> dict[str, Any]:
    """Which walls stand on this machine, found out by a child that leans on them."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            wire.write_all(writer, wire.frame(wire.STATUS, walls.probe()))
        finally:
            os._exit(0)
    os.close(writer)
    found = wire.read_frame(reader)
    os.close(reader)
    os.waitpid(pid, 0)
    if found is None:
        raise RuntimeError("the walls cannot be put up")
    return dict(found[1])


def main(descriptor: int, config: dict[str, Any]) -> None:
    control = socket.socket(fileno=descriptor)
    control.set_inheritable(False)
    faulthandler.enable()
    loaded = _preload(config["preload"])
    if walls.LINUX:
        walls.libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    walled = _probe()
    protections = {"platform": sys.platform, **walled, "parent_death_signal": walls.LINUX}
    zygote = Zygote(control, tuple(config["prefixes"]), walled)
    # The children's garbage collections shall not touch, and so copy, what they share with us.
    gc.collect()
    gc.freeze()
    with suppress(AttributeError):  # only glibc can: give back what the imports left, less to fork
        walls.libc.malloc_trim(0)
    control.sendall(wire.frame(wire.STATUS, {"protections": protections, "loaded": loaded}))
    zygote.serve()


if __name__ == "__main__":
    main(int(sys.argv[1]), json.loads(sys.argv[2]))

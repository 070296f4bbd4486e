"""The parent of all processes: starts them, starts again the ones that end, stops them all.

Plain Python without Django: it stays small for as long as MediaHub runs. It has one thread, since Linux
sends the parent-death signal when the thread that started a child ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

# How long children have to end after SIGTERM before their process groups are killed, in seconds.
GRACE_S = 10.0
# Waits before an ended child is started again, in seconds; the last one repeats.
BACKOFF_S = (0.5, 1, 2, 4, 8, 16, 30)
# One that has run this long has recovered: its next failure counts as a first.
RECOVERED_S = 60.0
# So many failures of an essential child before it was ever ready mean that it cannot start.
HOPELESS = 3
# How often to look whether the one who started us is still there, in seconds.
LOOK_S = 1.0

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LINUX = sys.platform == "linux"
# How children end with a parent that was killed: by this signal, or by a lifeline around each.
PARENT_DEATH_SIGNAL = _LINUX
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Child:
    """A command to keep running. An essential one that never gets ready ends the whole."""

    name: str
    command: Sequence[str]
    descriptors: Sequence[int] = ()  # open files that it inherits
    environment: Mapping[str, str] = field(default_factory=dict)
    essential: bool = False


@dataclass
class _Watched:
    child: Child
    process: subprocess.Popen[bytes] | None = None
    lifeline: int | None = None
    started: float = 0.0
    due: float = 0.0
    failures: int = 0


class Parent:
    """Runs `first`, one after the other, then keeps `children` running until told to stop.

    A byte on the descriptor `ready` says that the essential children are up: then `on_ready` is called.
    `run` returns an exit status: 0 after a stop, that of a failed `first`, 1 when an essential child
    cannot start.
    """

    def __init__(
        self,
        *,
        children: Sequence[Child],
        first: Sequence[Child] = (),
        folder: Path,
        ready: int | None = None,
        on_ready: Callable[[], None] = lambda: None,
        until_parent_ends: bool = False,
        grace: float = GRACE_S,
    ) -> None:
        self._first = first
        self._children = children
        self._watched: list[_Watched] = []
        self._folder = folder
        self._ready = ready
        self._on_ready = on_ready
        self._starter = os.getppid() if until_parent_ends else None
        self._grace = grace
        self._told_to_stop = False
        self._interrupts = 0  # a second Ctrl-C means at once
        self._wake, self._wake_writer = os.pipe()

    def run(self) -> int:
        if _LINUX:
            # What a dying child leaves behind comes to us, so that we can end it.
            _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with self._signals():
            try:
                for child in self._first:
                    status = self._run_once(child)
                    if status or self._told_to_stop:
                        return status
                return self._keep_running()
            finally:
                self._stop_all()

    # ------------------------------------------------------------------ one child

    def _start(self, watched: _Watched) -> None:
        child = watched.child
        command = [*child.command]
        descriptors = [*child.descriptors]
        reader = None
        if not PARENT_DEATH_SIGNAL:
            reader, watched.lifeline = os.pipe()
            command = [sys.executable, "-m", "mediahub.lifeline", str(reader), *command]
            descriptors.append(reader)
        try:
            watched.process = subprocess.Popen(  # noqa: S603 - our own commands
                command,
                cwd=self._folder,
                env={**os.environ, **child.environment},
                stdin=subprocess.DEVNULL,
                pass_fds=descriptors,
                # A Ctrl-C at the terminal reaches this process alone, which stops its children one
                # by one: django-q2 hangs when a signal reaches its whole group at once.
                start_new_session=True,
                preexec_fn=self._before_exec(),  # noqa: PLW1509 - safe: one thread, no locks
            )
        finally:
            if reader is not None:
                os.close(reader)
        watched.started = time.monotonic()

    def _before_exec(self) -> Callable[[], None] | None:
        if not PARENT_DEATH_SIGNAL:
            return None
        pid = os.getpid()

        def die_with_parent() -> None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != pid:  # it ended before the call
                os._exit(1)

        return die_with_parent

    def _ended(self, watched: _Watched) -> int | None:
        """The status of a child that has ended, with all that it left in its group ended too."""
        process = watched.process
        if process is None or (status := process.poll()) is None:
            return None
        _kill_group(process.pid)
        if watched.lifeline is not None:
            os.close(watched.lifeline)
        watched.process = watched.lifeline = None
        return status

    def _run_once(self, child: Child) -> int:
        watched = _Watched(child)
        self._watched = [watched]
        self._start(watched)
        while (status := self._ended(watched)) is None:
            if self._told_to_stop:
                return 0
            self._sleep(None)
        return status if status >= 0 else 128 - status

    # ------------------------------------------------------------------ all of them

    def _keep_running(self) -> int:
        self._watched = [_Watched(child) for child in self._children]
        while not self._told_to_stop:
            for watched in self._watched:
                self._look_after(watched)
                if self._is_hopeless(watched):
                    say(f"{watched.child.name} cannot start; the reason stands above.")
                    return 1
            _reap_adopted({watched.process.pid for watched in self._watched if watched.process})
            dues = [watched.due for watched in self._watched if watched.process is None]
            self._sleep(max(0.0, min(dues) - time.monotonic()) if dues else None)
        say("Stopping. Ctrl-C once more stops at once.")
        return 0

    def _look_after(self, watched: _Watched) -> None:
        """Start it when its time has come; when it has ended, say so and set the time."""
        now = time.monotonic()
        if watched.process is None and now < watched.due:
            return
        if watched.process is None:
            try:
                self._start(watched)
                return
            except OSError as error:  # no memory for a fork, say: it may pass
                how = str(error)
        else:
            if (status := self._ended(watched)) is None:
                return
            how = _meaning(status)
            if now - watched.started > RECOVERED_S:
                watched.failures = 0
        watched.failures += 1
        wait = BACKOFF_S[min(watched.failures, len(BACKOFF_S)) - 1]
        watched.due = now + wait
        say(f"{watched.child.name} ended ({how}); starting it again in {wait:g} s.")

    def _is_hopeless(self, watched: _Watched) -> bool:
        never_ready = self._ready is not None
        return watched.child.essential and never_ready and watched.failures >= HOPELESS

    def _stop_all(self) -> None:
        """SIGTERM to each child alone, never to its group; after the grace, SIGKILL to the groups."""
        for watched in self._watched:
            if watched.process is not None:
                watched.process.terminate()
        deadline = time.monotonic() + self._grace
        interrupts = self._interrupts
        while running := [watched for watched in self._watched if watched.process is not None]:
            left = deadline - time.monotonic()
            if left > 0 and self._interrupts == interrupts:
                self._sleep(left)
            else:
                for watched in running:
                    say(f"{watched.child.name} did not end in time: killed.")
                    _kill(watched)
            for watched in running:
                self._ended(watched)
        _kill_adopted()

    # ------------------------------------------------------------------ waiting

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM, SIGINT and SIGHUP ask for a stop; each signal ends a wait."""

        def stop(number: int, _frame: FrameType | None) -> None:
            self._told_to_stop = True
            self._interrupts += number == signal.SIGINT

        os.set_blocking(self._wake_writer, False)
        before = signal.set_wakeup_fd(self._wake_writer, warn_on_full_buffer=False)
        handlers = {signal.SIGCHLD: signal.signal(signal.SIGCHLD, lambda *_: None)}
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            handlers[number] = signal.signal(number, stop)
        if handlers[signal.SIGHUP] == signal.SIG_IGN:  # started with nohup
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(before)

    def _sleep(self, seconds: float | None) -> None:
        """Until a signal, a word that all is ready, or the end of `seconds`."""
        if self._starter is not None:
            seconds = LOOK_S if seconds is None else min(seconds, LOOK_S)
        readers = [self._wake] if self._ready is None else [self._wake, self._ready]
        woken, _, _ = select.select(readers, [], [], seconds)
        if self._wake in woken:
            os.read(self._wake, 4096)
        if self._ready in woken:
            self._ready = None
            self._on_ready()
        if self._starter not in {None, os.getppid()}:
            self._starter = None
            self._told_to_stop = True


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _meaning(status: int) -> str:
    return f"status {status}" if status >= 0 else f"signal {-status}, {signal.strsignal(-status)}"


def _kill(watched: _Watched) -> None:
    if watched.process is not None:
        _kill_group(watched.process.pid)
        watched.process.wait()


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _reap_adopted(own: set[int]) -> None:
    """Take leave of ended processes that our children left to us."""
    if not _LINUX:
        return
    with contextlib.suppress(ChildProcessError):
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in own:  # its status belongs to its Popen
                return
            os.waitpid(ended.si_pid, 0)


def _kill_adopted() -> None:
    """End what our children left to us, in whatever process group it is."""
    if not _LINUX:
        return
    listed = Path(f"/proc/self/task/{os.getpid()}/children")
    # Each one killed may leave children of its own to us.
    with contextlib.suppress(OSError):
        while pids := [int(pid) for pid in listed.read_text().split()]:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

"""Real processes for tests: started in a group of their own, and never left behind.

Whatever a test starts here dies with the test run, even when that is killed: a keeper, a small shell
that waits for our end of a pipe to close, kills what it keeps.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import psutil

T = TypeVar("T")

# Set for a process and so for all its descendants, whatever groups they make.
MARK = "MEDIAHUB_TEST_PROCESS"


def wait_until(
    predicate: Callable[[], T], timeout: float = 10.0, *, what: str = "", every: float = 0.02
) -> T:
    """The first true answer of `predicate`. Fails when there is none in `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := predicate()):
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {timeout:g} s: {what or predicate}")
        time.sleep(every)
    return answer


class Keeper:
    """Runs shell commands when this process is gone, however it went."""

    def __init__(self, *commands: str) -> None:
        script = "; ".join(["read -r _", *commands])
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """End without running anything: all is in order."""
        self._shell.kill()
        self._shell.wait()
        assert self._shell.stdin is not None
        self._shell.stdin.close()


class Process:
    """A process with its own group, its output in a file, and nothing left of it after `stop`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        log: Path,
        cwd: Path | None = None,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.log = log
        self._mark = uuid.uuid4().hex
        stream: IO[bytes]
        with log.open("ab") as stream:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                env={**env, MARK: self._mark},
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        self.pid = self._child.pid
        self._keeper = Keeper(f"kill -KILL -{self.pid}")
        self._cleaned = False

    @property
    def returncode(self) -> int | None:
        """As subprocess tells it. The process stays a zombie until `kill`, so that its number, which
        is its group's too, is nobody else's."""
        if self._child.returncode is None and hasattr(os, "waitid"):
            ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is None:
                return None
            return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        return self._child.poll()

    @property
    def running(self) -> bool:
        return self.returncode is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def family(self) -> list[psutil.Process]:
        """The process and all its living descendants, orphaned or not, in whatever group."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if (
                    process.environ().get(MARK) == self._mark
                    and process.status() != psutil.STATUS_ZOMBIE
                ):
                    found.append(process)
        return found

    def terminate(self) -> None:
        """SIGTERM to the process alone: a queue cluster hangs when its whole group gets one."""
        if self.running:
            self._child.send_signal(signal.SIGTERM)

    def wait(self, timeout: float = 15.0) -> int:
        """Its exit code. Fails when it does not end in time."""
        try:
            wait_until(lambda: not self.running, timeout, what=f"process {self.pid} ended")
        except AssertionError as error:
            error.add_note(f"The last of {self.log}:\n{self.output()[-3000:]}")
            raise
        assert self.returncode is not None
        return self.returncode

    def stop(self, timeout: float = 15.0) -> int:
        """Ask it to end, wait, then kill whatever is left. Fails when it did not end by itself."""
        try:
            self.terminate()
            return self.wait(timeout)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL for the whole group and for every descendant outside it. A second time is fine."""
        if self._cleaned:
            return
        self._cleaned = True
        with contextlib.suppress(ProcessLookupError, PermissionError):  # only a zombie is left
            os.killpg(self.pid, signal.SIGKILL)
        self._keeper.dismiss()
        self._child.wait()
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


def remove_folder(folder: Path) -> str:
    """The shell command that removes a folder, for a keeper."""
    return f"rm -rf {shlex.quote(str(folder))}"


def find_program(*names: str) -> str | None:
    """The first of these programs that is installed."""
    return next((path for name in names if (path := shutil.which(name))), None)

"""Runs a command that ends when the process at the other end of a pipe does, however that went.

For systems without Linux's parent-death signal: `python -m mediahub.lifeline FD COMMAND…`, in a process
group of its own. FD is the reading end; the writing end is held by the parent alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from types import FrameType


def main(arguments: list[str]) -> int:
    descriptor = int(arguments[0])
    os.set_inheritable(descriptor, False)
    process = subprocess.Popen(arguments[1:], close_fds=False)  # noqa: S603 - the parent's command

    def pass_on(number: int, _frame: FrameType | None) -> None:
        process.send_signal(number)

    signal.signal(signal.SIGTERM, pass_on)
    signal.signal(signal.SIGINT, pass_on)
    threading.Thread(target=_end_with, args=(descriptor,), daemon=True).start()
    return process.wait()


def _end_with(descriptor: int) -> None:
    """Wait for the end of the pipe, then end this whole process group, with us in it."""
    while os.read(descriptor, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

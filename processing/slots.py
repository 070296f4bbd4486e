"""How many decoders run at once on this host: CPU_SLOTS, shared by all its worker processes.

A slot is a locked file, so that a killed worker's slot is free at once. One more slot is kept for
interactive jobs: a person's picture does not wait behind films.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings

_LOOK_AGAIN_S = 0.01
_door = threading.Lock()  # one thread of a process looks for a slot at a time


@contextmanager
def cpu_slot(*, interactive: bool, give_up: Callable[[], None]) -> Iterator[None]:
    """Hold a slot. While waiting, `give_up` is called now and then and may raise."""
    folder = Path(settings.DATA_DIR) / "run" / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    count = settings.CPU_SLOTS + (1 if interactive else 0)
    descriptor = _wait_for_one(folder, count, give_up)
    try:
        yield
    finally:
        os.close(descriptor)  # closing unlocks


def _wait_for_one(folder: Path, count: int, give_up: Callable[[], None]) -> int:
    while True:
        with _door:
            for number in range(count):
                descriptor = os.open(folder / f"cpu-{number}", os.O_RDWR | os.O_CREAT, 0o600)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    os.close(descriptor)
                else:
                    return descriptor
        give_up()
        time.sleep(_LOOK_AGAIN_S)

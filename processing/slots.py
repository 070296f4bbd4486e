"""How many decoders and downloads run at once on this host, shared by all its worker processes.

A slot is a locked file, so that a killed worker's slot is free at once. Of the decoders' CPU_SLOTS one
more is kept for interactive jobs: a person's picture does not wait behind films.
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
_LOOK_AGAIN_FOR_DOWNLOAD_S = 0.1
_door = threading.Lock()  # one thread of a process looks for a slot at a time


class NoSlot(Exception):
    """All slots stayed taken for as long as one was waited for."""


@contextmanager
def cpu_slot(*, interactive: bool, give_up: Callable[[], None]) -> Iterator[None]:
    """Hold one of CPU_SLOTS. While waiting, `give_up` is called now and then and may raise."""
    count = settings.CPU_SLOTS + (1 if interactive else 0)
    with _slot("cpu", count, give_up, every_s=_LOOK_AGAIN_S):
        yield


@contextmanager
def download_slot(*, give_up: Callable[[], None], wait_s: float) -> Iterator[None]:
    """Hold one of DOWNLOAD_CONCURRENCY. Raises NoSlot where none gets free within `wait_s`."""
    until = time.monotonic() + wait_s

    def give_up_in_time() -> None:
        give_up()
        if time.monotonic() > until:
            raise NoSlot

    count = settings.DOWNLOAD_CONCURRENCY
    with _slot("download", count, give_up_in_time, every_s=_LOOK_AGAIN_FOR_DOWNLOAD_S):
        yield


@contextmanager
def _slot(name: str, count: int, give_up: Callable[[], None], *, every_s: float) -> Iterator[None]:
    folder = Path(settings.DATA_DIR) / "run" / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    while (descriptor := _take(folder, name, count)) is None:
        give_up()
        time.sleep(every_s)
    try:
        yield
    finally:
        os.close(descriptor)  # closing unlocks


def _take(folder: Path, name: str, count: int) -> int | None:
    """A lock on the first free slot's file, or None."""
    with _door:
        for number in range(count):
            descriptor = os.open(folder / f"{name}-{number}", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
            else:
                return descriptor
    return None

"""Numbers for Prometheus from several processes: each process counts in files that any can read.

The client library names these files after the process id, so that workers, which are replaced now and
then, would leave more of them every day. Here a process takes the lowest free place, a number whose file
it keeps locked while it lives, and counts on from where the last one in that place ended. There are never
more files than there were processes at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import struct
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

logger = logging.getLogger(__name__)


class _Place:
    """The place of this process; a forked child takes another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pid = 0
        self._descriptor = -1
        self._name = ""

    def __call__(self) -> str:
        if self._pid != os.getpid():
            self._leave()
            self._take()
        return self._name

    def _take(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in count():
            descriptor = _locked(self._folder / f"{number}.lock")
            if descriptor is not None:
                # Not a bare number, which django-q2 would take for a process id and tidy away.
                self._pid, self._descriptor, self._name = os.getpid(), descriptor, f"p{number}"
                return

    def _leave(self) -> None:
        """In a forked child: closing does not unlock what the parent holds."""
        if self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)


def _locked(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def share(folder: Path) -> None:
    """Let this process and its children count in `folder`. Before the first metric is defined."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    with contextlib.suppress(OSError):  # else it counts for itself
        shared = values.MultiProcessValue(_Place(folder))  # type: ignore[no-untyped-call]
        values.ValueClass = _or_alone(shared)


def _or_alone(shared: Any) -> Any:
    """A disk that is full or away costs the number, not the request."""

    def value(*args: Any, **kwargs: Any) -> Any:
        try:
            return shared(*args, **kwargs)
        except OSError:
            return values.MutexValue(*args, **kwargs)  # type: ignore[no-untyped-call]

    return value


def forget_dead(folder: Path, *, counts: bool = False) -> None:
    """Remove what processes left that are gone: what they showed just now, and with `counts` everything."""
    for lock in folder.glob("*.lock"):
        descriptor = _locked(lock)
        if descriptor is None:
            continue  # somebody's place
        try:
            left = "*" if counts else "gauge_live*"
            for file in folder.glob(f"{left}_p{lock.stem}.db"):
                file.unlink(missing_ok=True)
        finally:
            os.close(descriptor)


def shared_folder() -> Path | None:
    """Where this process counts together with others; None where it counts for itself."""
    folder = os.environ.get("PROMETHEUS_MULTIPROC_DIR")
    return Path(folder) if folder else None


class SharedCollector(Collector):
    """What all processes that share a folder have counted. Files that cannot be read cost their numbers,
    and are told by a number of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        found: list[Metric] = []
        readable = True
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            forget_dead(self._folder)
            together = MultiProcessCollector(None, path=str(self._folder))  # type: ignore[no-untyped-call]
            found = list(together.collect())  # type: ignore[no-untyped-call]
        except (OSError, ValueError, RuntimeError, LookupError, struct.error):
            logger.warning("The processes' numbers cannot be read.", exc_info=True)
            readable = False
        yield from found
        meaning = "Whether the numbers of the processes could be read"
        yield GaugeMetricFamily("mediahub_process_numbers_readable", meaning, int(readable))

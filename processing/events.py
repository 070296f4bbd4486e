"""What happens to jobs, told to those who watch: one thread of each process looks for all its watchers.

A watcher costs a sleeping thread and no database connection. What it gets is state, not history: one that
was away gets the present state, and has missed nothing that still matters.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection

from processing.models import OPEN, Job, JobStep

logger = logging.getLogger(__name__)

LOOK_S = 0.5  # between two looks at the watched jobs
CHUNK = 500  # ids in one query
_KEPT = 100  # news a slow watcher may pile up before the oldest are dropped


@dataclass(frozen=True, slots=True)
class News:
    """The state of one job as it was seen. `mark` grows with every change."""

    job_id: UUID
    mark: str
    status: str
    progress: float
    waiting_for: str
    steps: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        return self.status not in OPEN


class Watcher:
    """One who waits for news of some jobs."""

    def __init__(self, job_ids: Sequence[UUID]) -> None:
        self.job_ids = frozenset(job_ids)
        self.over = False  # there will be no more news: this process stops
        self._news: queue.Queue[News | None] = queue.Queue(_KEPT)

    def end(self) -> None:
        """Wake it for the last time."""
        self.over = True
        self.tell(None)

    def tell(self, news: News | None) -> None:
        while True:
            try:
                self._news.put_nowait(news)
            except queue.Full:
                # State, not history: the oldest is outdated by what follows it.
                self._drop_oldest()
            else:
                return

    def _drop_oldest(self) -> None:
        try:
            self._news.get_nowait()
        except queue.Empty:
            return

    def wait(self, seconds: float) -> News | None:
        """The next news, or None where there were none for so long, or it is over."""
        try:
            return self._news.get(timeout=seconds)
        except queue.Empty:
            return None


class Hub:
    """All watchers of this process, and the one thread that looks for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watchers: set[Watcher] = set()
        self._closed = False
        self._marks: dict[UUID, str] = {}
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._watchers)

    @contextmanager
    def watch(self, job_ids: Sequence[UUID]) -> Iterator[Watcher]:
        watcher = Watcher(job_ids)
        with self._lock:
            self._watchers.add(watcher)
            if self._closed:
                watcher.end()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="events", daemon=True)
                self._thread.start()
        self._wanted.set()
        try:
            yield watcher
        finally:
            with self._lock:
                self._watchers.discard(watcher)

    def close(self) -> None:
        """End all watching, now and from now on: a stop must not wait for those who watch."""
        with self._lock:
            self._closed = True
            for watcher in self._watchers:
                watcher.end()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            with self._lock:
                watched = {job_id for each in self._watchers for job_id in each.job_ids}
                if not watched:
                    self._wanted.clear()
                    self._marks.clear()
                    connection.close()
                    continue
            try:
                self._look(sorted(watched))
            except DatabaseError:
                logger.warning("Watched jobs could not be looked at.", exc_info=True)
                connection.close()
            time.sleep(LOOK_S)

    def _look(self, watched: list[UUID]) -> None:
        for start in range(0, len(watched), CHUNK):
            chunk = watched[start : start + CHUNK]
            marks = dict(Job.objects.filter(pk__in=chunk).values_list("pk", "updated_at"))
            changed = [pk for pk, at in marks.items() if self._marks.get(pk) != at.isoformat()]
            for news in read(changed):
                self._marks[news.job_id] = news.mark
                self._tell(news)

    def _tell(self, news: News) -> None:
        with self._lock:
            interested = [each for each in self._watchers if news.job_id in each.job_ids]
        for each in interested:
            each.tell(news)


def read(job_ids: Sequence[UUID]) -> list[News]:
    """The present state of these jobs."""
    if not job_ids:
        return []
    steps: dict[UUID, list[dict[str, Any]]] = {}
    rows = JobStep.objects.filter(job_id__in=job_ids).order_by("job_id", "position")
    for step in rows.values("job_id", "name", "state", "error_code"):
        steps.setdefault(step["job_id"], []).append(
            {"name": step["name"], "status": step["state"], "error": step["error_code"] or None}
        )
    return [
        News(
            job_id=job["pk"],
            mark=job["updated_at"].isoformat(),
            status=job["status"],
            progress=job["progress"],
            waiting_for=job["waiting_for"],
            steps=steps.get(job["pk"], []),
        )
        for job in Job.objects.filter(pk__in=job_ids).values(
            "pk", "updated_at", "status", "progress", "waiting_for"
        )
    ]


hub = Hub()
os.register_at_fork(after_in_child=lambda: globals().update(hub=Hub()))

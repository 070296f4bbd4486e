"""What a woken worker process does: claim and run until nothing is due.

Up to JOB_THREADS jobs run side by side, each in a thread with its own lease and connection, because most
of their time is waiting for providers. One more thread is kept for interactive jobs.
"""

from __future__ import annotations

import logging
import math
import os
import queue as queues
import threading
import time
from pathlib import Path

from django.conf import settings
from django.db import (
    DatabaseError,
    InterfaceError,
    close_old_connections,
    connection,
    connections,
)

from processing import leases, runner, sweeper
from processing.leases import Claim

logger = logging.getLogger(__name__)

# How often a process with a free thread looks for new work while others of its jobs still run.
LOOK_S = 0.1
# A drain ends after so many jobs, so that django-q2 can recycle a process that has grown.
MOST_JOBS = 1000
# Set by the supervisor: while this file exists no new job is taken.
STOP_FILE = "MEDIAHUB_STOP_FILE"
SIGN_OF_LIFE = "life"


class Threads:
    """The job threads of this process: started when first needed, kept with their connections."""

    def __init__(self) -> None:
        self._claims: queues.SimpleQueue[Claim] = queues.SimpleQueue()
        self._changed = threading.Condition()
        self._running = 0
        self._started = 0

    @property
    def running(self) -> int:
        return self._running

    def start(self, claim: Claim) -> None:
        with self._changed:
            self._running += 1
            if self._running > self._started:
                self._started += 1
                name = f"job-{self._started}"
                threading.Thread(target=self._work, name=name, daemon=True).start()
        self._claims.put(claim)

    def wait_for_change(self, timeout: float) -> None:
        """Until a job ends, at most so long."""
        with self._changed:
            before = self._running
            self._changed.wait_for(lambda: self._running < before, timeout)

    def _work(self) -> None:
        while True:
            claim = self._claims.get()
            try:
                close_old_connections()
                runner.run(claim)
                close_old_connections()
            except Exception:
                # The boundary of a thread: it must live, and the lease gives the job back.
                logger.exception("Job %s broke its thread.", claim.job_id)
                connections.close_all()
            finally:
                with self._changed:
                    self._running -= 1
                    self._changed.notify_all()


_threads = Threads()
os.register_at_fork(after_in_child=lambda: globals().update(_threads=Threads()))


def work() -> str:
    """Run due jobs until none is due. Returns a short word for the queue's log."""
    started = 0
    next_promotion = 0.0
    seen = 0.0
    while True:
        seen = _show_life(seen)
        try:
            if time.monotonic() >= next_promotion:
                next_promotion = time.monotonic() + 1
                sweeper.release_due()
            while not _stopping() and started < MOST_JOBS:
                claim = _claim()
                if claim is None:
                    break
                started += 1
                _threads.start(claim)
        except (DatabaseError, InterfaceError):
            # Away for a moment. Jobs that run here go on: this process may not end under them.
            logger.warning("The database did not answer a drain.", exc_info=True)
            connection.close()
        if _threads.running == 0:
            return f"{started} jobs"
        _threads.wait_for_change(LOOK_S)


def _claim() -> Claim | None:
    running = _threads.running
    if running < settings.JOB_THREADS:
        return leases.claim()
    if running == settings.JOB_THREADS:
        return leases.claim(interactive_only=True)
    return None


def _show_life(last: float) -> float:
    """Touch this host's sign of life, once a second: what the supervisor tells a hang by."""
    now = time.monotonic()
    if now - last < 1:
        return last
    folder = Path(settings.DATA_DIR) / "run"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SIGN_OF_LIFE).touch()
    return now


def last_sign_of_life(folder: Path) -> float:
    """Seconds since a worker of this host last looked for work."""
    try:
        return time.time() - (folder / SIGN_OF_LIFE).stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _stopping() -> bool:
    path = os.environ.get(STOP_FILE)
    return path is not None and Path(path).exists()

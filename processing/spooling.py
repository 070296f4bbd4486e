"""Moves this host's spool up when the bucket is back, and lets any host take the jobs that waited for it.

A thread of the supervisor's own: a film takes minutes to go up, and nobody else is to wait for that.
"""

from __future__ import annotations

import logging
import threading

from django.db import DatabaseError, connection

from media_assets import spool
from media_assets.models import Whereabouts
from processing import queue
from processing.models import Job, JobStatus

logger = logging.getLogger(__name__)

LOOK_S = 5.0


def move_up() -> int:
    """What can go up goes up. Returns how many jobs are bound to this host no more."""
    spool.move_up()
    return release()


def release() -> int:
    """Unbind the jobs whose bytes any host can read by now: also those that a crash left bound."""
    bound = Job.objects.filter(
        status=JobStatus.PENDING, host=spool.host_name(), asset__blob__isnull=False
    ).exclude(asset__blob__whereabouts=Whereabouts.SPOOL)
    released = Job.objects.filter(pk__in=list(bound.values_list("pk", flat=True)[:1000])).update(
        host=""
    )
    if released:
        queue.wake()
    return released


class Mover:
    """Looks every few seconds, until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not wait: what is half way up begins anew."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                move_up()
            except DatabaseError:
                logger.warning("The database did not answer the spool.", exc_info=True)
            except Exception:
                # The boundary of this thread: without it, what waits would wait for ever.
                logger.exception("The spool could not be moved up.")
            finally:
                connection.close()

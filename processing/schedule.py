"""Work that is done again and again: once in each period, whatever the number of hosts.

Apps say in `ready()` what is to be done how often. Each supervisor looks every few seconds and writes down
a `maintenance` job for each period that has none: the name of the job is unique, so that of all hosts one
succeeds. Periods are counted by the database's clock. A job that breaks is retried like any other, then
fails, and stands in the way of nothing: the next period has a job of its own.

    schedule.every("purge-tokens", timedelta(hours=1), tokens.purge)
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, IntegrityError, connection, transaction

from processing import engine
from processing.clock import DbNow, sql_now
from processing.models import Job, JobKind, JobStatus, Priority

logger = logging.getLogger(__name__)

STEP = "maintenance"  # see processing.steps.maintenance
# How long the job of a past period is kept. No period may be as long, or it would run twice.
KEEP = timedelta(days=30)

Verb = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Scheduled:
    """What is done in each period. `verb` may be run again after a crash, so it must be repeatable."""

    name: str
    period: timedelta
    verb: Verb

    def once(self, now: float) -> str:
        """The name of the one job of the period that holds this moment (seconds since 1970)."""
        seconds = int(self.period.total_seconds())
        return f"{self.name}/{seconds}/{int(now) // seconds}"


_scheduled: dict[str, Scheduled] = {}


def every(name: str, period: timedelta, verb: Verb) -> None:
    """Do this once in each period. Called by apps in `ready()`."""
    if not timedelta(seconds=1) <= period < KEEP:
        raise ValueError(f"The period of {name} must be between a second and {KEEP.days} days.")
    if name in _scheduled and _scheduled[name].verb is not verb:
        raise ValueError(f"Two schedules are named {name}.")
    _scheduled[name] = Scheduled(name, period, verb)


def get(name: str) -> Scheduled | None:
    return _scheduled.get(name)


def known() -> dict[str, Scheduled]:
    return dict(_scheduled)


@contextmanager
def only(*scheduled: Scheduled) -> Iterator[None]:
    """These schedules and no others, for the length of a test."""
    before = dict(_scheduled)
    _scheduled.clear()
    _scheduled.update({each.name: each for each in scheduled})
    try:
        yield
    finally:
        _scheduled.clear()
        _scheduled.update(before)


def submit_due() -> int:
    """Write down the jobs of the present periods that nobody wrote down yet; how many."""
    now = _database_time()
    wanted = {each.once(now): each for each in _scheduled.values()}
    there = set(Job.objects.filter(once__in=wanted).values_list("once", flat=True))
    return sum(_submit(wanted[once], once) for once in sorted(set(wanted) - there))


def _submit(scheduled: Scheduled, once: str) -> int:
    try:
        with transaction.atomic():
            engine.submit(
                asset=None,
                steps=[STEP],
                params={"task": scheduled.name},
                kind=JobKind.MAINTENANCE,
                priority=Priority.BULK,
                once=once,
            )
    except IntegrityError:
        return 0  # another host was quicker
    except DatabaseError:
        # One that cannot be written (a name that is too long, say) must not keep back the others.
        logger.exception("The schedule %s could not be written down.", scheduled.name)
        return 0
    return 1


def _database_time() -> float:
    """Seconds since 1970 by the clock that all hosts share."""
    if connection.vendor == "postgresql":
        sql = f"SELECT EXTRACT(EPOCH FROM {sql_now()})"  # noqa: S608 - made by sql_now alone
    else:
        sql = f"SELECT strftime('%%s', {sql_now()})"
    with connection.cursor() as cursor:
        cursor.execute(sql, [])
        return float(cursor.fetchone()[0])


def still_running(job: Job) -> bool:
    """Whether the job of an earlier period does this work just now."""
    return (
        Job.objects.filter(
            lease_until__isnull=False,
            kind=JobKind.MAINTENANCE,
            params__task=job.params.get("task"),
            pk__lt=job.pk,
        )
        .exclude(pk=job.pk)
        .exists()
    )


def purge_old_jobs() -> int:
    """Forget maintenance that ended longer ago than `KEEP`; how many jobs."""
    old = Job.objects.filter(
        kind=JobKind.MAINTENANCE,
        status__in=(JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED),
        completed_at__lt=DbNow(-KEEP.total_seconds()),
    )
    return old.delete()[1].get(Job._meta.label, 0)

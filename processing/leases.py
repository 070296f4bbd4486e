"""Leases: who works on which job, and the fence that keeps a late worker from writing.

A claim takes the most urgent job that waits for nothing, in one statement, and raises its token. Every
write of a run goes through `fenced`, which locks the row and finds it only while the token is still the
run's own. Times are the database's.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.backends.utils import CursorWrapper

from media_assets import spool
from processing.clock import DbNow, sql_now
from processing.models import Job, JobStatus

logger = logging.getLogger(__name__)


class LeaseLost(Exception):
    """The job is somebody else's by now, or cancelled. Stop, and write nothing."""


@dataclass(frozen=True, slots=True)
class Claim:
    job_id: UUID
    token: int
    # By our own clock, a moment before the lease began by the database's: it cannot end earlier than this
    # tells, however long the process is stopped in between.
    asked: float = field(default_factory=time.monotonic, compare=False)


def host_name() -> str:
    """This host, as leases and spooled blobs name it."""
    return spool.host_name()


@cache
def _worker_name(pid: int) -> str:
    return f"{host_name()}:{pid}:{secrets.token_hex(3)}"


def worker_name() -> str:
    """This process. The last part tells it from an earlier process with the same pid."""
    return _worker_name(os.getpid())


def claim(*, interactive_only: bool = False) -> Claim | None:
    """Take the most urgent job, or None. One statement; two workers never get the same."""
    skip_locked = "FOR UPDATE SKIP LOCKED" if connection.vendor == "postgresql" else ""
    only = "AND priority = 0" if interactive_only else ""
    # S608: every inserted piece is a constant of this module or made by sql_now.
    sql = f"""
        UPDATE processing_job
           SET status = 'processing', token = token + 1, worker = %s,
               lease_until = {sql_now(settings.JOB_LEASE_S)},
               started_at = COALESCE(started_at, {sql_now()}), updated_at = {sql_now()},
               error_code = '', error_message = ''
         WHERE id = (SELECT id FROM processing_job
                      WHERE status = 'pending' AND waiting_for = ''
                        AND (host = '' OR host = %s) {only}
                      ORDER BY priority, fair_at, id LIMIT 1 {skip_locked})
     RETURNING id, token
    """  # noqa: S608
    asked = time.monotonic()
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite" and not _anything_to_claim(cursor):
            return (
                None  # a look takes no lock; an idle worker must not queue up with those who write
            )
        cursor.execute(sql, [worker_name(), host_name()])
        row = cursor.fetchone()
    return None if row is None else _as_claim(row, asked)


def _anything_to_claim(cursor: CursorWrapper) -> bool:
    cursor.execute(
        "SELECT 1 FROM processing_job WHERE status = 'pending' AND waiting_for = ''"
        " AND (host = '' OR host = %s) LIMIT 1",
        [host_name()],
    )
    return cursor.fetchone() is not None


def _as_claim(row: tuple[UUID | str, int], asked: float) -> Claim:
    """SQLite gives ids as text."""
    return Claim(row[0] if isinstance(row[0], UUID) else UUID(row[0]), row[1], asked)


@contextmanager
def fenced(claim: Claim) -> Iterator[Job]:
    """A transaction that is this run's, with the job's row locked; LeaseLost where it is not any more."""
    with transaction.atomic():
        job = (
            Job.objects.select_for_update(of=("self",))
            .filter(pk=claim.job_id, token=claim.token, status=JobStatus.PROCESSING)
            .first()
        )
        if job is None:
            raise LeaseLost
        yield job


class Keeper:
    """One thread that renews all leases of this process, a quarter of a lease apart.

    A lease is lost when the row says so, or when our own clock says that we have not renewed it in time:
    then another may have it, whatever the database would answer.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[Claim, float] = {}
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def hold(self, claim: Claim) -> None:
        with self._lock:
            self._deadlines[claim] = claim.asked + settings.JOB_LEASE_S
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
                self._thread.start()
        self._wanted.set()

    def release(self, claim: Claim) -> None:
        with self._lock:
            self._deadlines.pop(claim, None)

    def extend(self, claim: Claim) -> None:
        """Renew one lease inside its run's own `fenced` transaction: for runs whose writes follow each
        other so closely that on SQLite the keeper's thread may not get its turn."""
        asked = time.monotonic()
        Job.objects.filter(pk=claim.job_id, token=claim.token).update(
            lease_until=DbNow(settings.JOB_LEASE_S)
        )
        with self._lock:
            if claim in self._deadlines:
                self._deadlines[claim] = asked + settings.JOB_LEASE_S

    def held(self, claim: Claim) -> bool:
        deadline = self._deadlines.get(claim)
        return deadline is not None and time.monotonic() < deadline

    def _run(self) -> None:
        try:
            while True:
                self._wanted.wait()
                time.sleep(settings.JOB_LEASE_S / 4)
                with self._lock:
                    claims = list(self._deadlines)
                    if not claims:
                        self._wanted.clear()
                        connection.close()  # an idle process holds none
                        continue
                self._renew(claims)
        finally:
            connection.close()

    def _renew(self, claims: list[Claim]) -> None:
        asked = time.monotonic()
        try:
            kept = renew(claims)
        except (DatabaseError, InterfaceError):
            # Away for a moment: the deadlines decide. A broken connection is opened anew next time.
            logger.warning("The leases of this process could not be renewed.", exc_info=True)
            connection.close()
            return
        with self._lock:
            for each in claims:
                if each not in self._deadlines:
                    continue
                if each in kept:
                    self._deadlines[each] = asked + settings.JOB_LEASE_S
                else:
                    self._deadlines[each] = 0.0


def renew(claims: Collection[Claim]) -> set[Claim]:
    """Extend these leases; the claims that are still ours.

    Only what is named: a run that broke off must lose its lease though its process lives.
    """
    if not claims:
        return set()
    each = " OR ".join(["(id = %s AND token = %s)"] * len(claims))
    sql = f"""
        UPDATE processing_job SET lease_until = {sql_now(settings.JOB_LEASE_S)}
         WHERE lease_until IS NOT NULL AND status = 'processing' AND ({each})
     RETURNING id, token
    """  # noqa: S608 - made of constants and by sql_now
    to_db = Job._meta.pk.get_db_prep_value
    params = [part for c in claims for part in (to_db(c.job_id, connection), c.token)]
    asked = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
        rows = cursor.fetchall()
    return {_as_claim(row, asked) for row in rows}


def process_lives(pid: int) -> bool:
    """Whether a process of this host is there and not just a zombie."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:  # noqa: PTH123 - read often, and short
            return stat.read().rpartition(b")")[2].split()[0] != b"Z"
    except OSError:
        return True


keeper = Keeper()


def _after_fork() -> None:
    """A fork has the parent's claims but not its thread: start anew."""
    keeper.__init__()  # type: ignore[misc]


os.register_at_fork(after_in_child=_after_fork)

"""What puts right what a crash or a lost message left: every few seconds, on any number of hosts.

Each act is one conditional update, so that two sweepers, or a sweeper and a worker, never undo each
other's work.
"""

from __future__ import annotations

import logging
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from media_assets import analysis_log
from media_assets.models import MediaAsset, Status
from processing import batches, leases, queue, webhooks
from processing.clock import DbNow, sql_now
from processing.models import Batch, BatchState, Job, JobKind, JobStatus, JobStep, StepState

logger = logging.getLogger(__name__)


def sweep() -> dict[str, int]:
    """Everything the sweeper does, with what it found."""
    found = {
        "expired": give_back(Job.objects.filter(lease_until__lt=DbNow())),
        "released": release_due(),
        **batches.sweep(),
    }
    found["pending"] = int(_wake_for_pending())
    return found


def release_due() -> int:
    """Jobs whose wait is over can be claimed; those of a paused batch when it goes on."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM processing_job WHERE status = 'pending'"  # noqa: S608 - made by sql_now alone
            " AND waiting_for IN ('retry', 'provider', 'budget')"
            f" AND run_after <= {sql_now()} LIMIT 1",
            [],
        )
        if cursor.fetchone() is None:
            return 0
    paused = Batch.objects.filter(state=BatchState.PAUSED)
    return (
        Job.objects.filter(
            status=JobStatus.PENDING,
            waiting_for__in=("retry", "provider", "budget"),
            run_after__lte=DbNow(),
        )
        .exclude(batch_id__in=paused.values("pk"))
        .update(waiting_for="")
    )


def _wake_for_pending() -> bool:
    """Send a wake-up where work waits: the one sent at submit may be lost."""
    if not Job.objects.filter(status=JobStatus.PENDING, waiting_for="").exists():
        return False
    queue.wake()
    return True


def give_back(jobs: Any, *, reason: str = "Its worker died.", counts: bool = True) -> int:
    """Take these processing jobs from their workers: pending again, or failed after the last attempt.

    Where it does not count, a worker was stopped in good order and the job is not to blame.
    """
    given = 0
    for job_id, token in list(jobs.filter(status=JobStatus.PROCESSING).values_list("pk", "token")):
        given += _give_back_one(job_id, token, reason, counts=counts)
    if given:
        queue.wake()
    return given


@transaction.atomic
def _give_back_one(job_id: Any, token: int, reason: str, *, counts: bool) -> int:
    job = (
        Job.objects.select_for_update(of=("self",))
        .filter(pk=job_id, token=token, status=JobStatus.PROCESSING)
        .first()
    )
    if job is None:
        return 0
    attempts = job.attempts + int(counts)
    lost = counts and attempts >= job.max_attempts
    now = timezone.now()
    changes: dict[str, Any] = {"attempts": attempts, "lease_until": None, "updated_at": now}
    running = JobStep.objects.filter(job=job, state=StepState.PROCESSING)
    message = f"{reason} This happened {attempts} times, so it is not tried again."
    if lost:
        changes |= {
            "status": JobStatus.FAILED,
            "error_code": "WORKER_LOST",
            "error_message": message,
            "completed_at": now,
        }
        running.update(
            state=StepState.FAILED,
            error_code="WORKER_LOST",
            error_message=message,
            completed_at=now,
        )
        JobStep.objects.filter(job=job, state=StepState.PENDING).update(
            state=StepState.CANCELLED, completed_at=now
        )
    else:
        changes |= {"status": JobStatus.PENDING, "run_after": now}
        running.update(state=StepState.PENDING, reason=reason)
    # The token rises, so that the old worker cannot write even before the next claim.
    Job.objects.filter(pk=job.pk).update(token=token + 1, **changes)
    if job.asset_id:
        entry = analysis_log.entry(
            "worker_lost", status="failed" if lost else "pending", job=job.pk, worker=job.worker
        )
        status = {"status": Status.FAILED} if lost and job.kind == JobKind.ANALYSIS else {}
        MediaAsset.objects.filter(pk=job.asset_id).update(
            analysis_log=analysis_log.appended(entry), **status
        )
    if lost:
        for name in ("status", "error_code", "error_message", "completed_at"):
            setattr(job, name, changes[name])
        webhooks.job_ended(job)
    logger.warning("Job %s was taken from %s: %s", job.pk, job.worker, reason)
    return 1


def give_back_dead_workers(*, counts: bool = True) -> int:
    """Take back what dead processes of this host held. Called by its supervisor, and by nobody else."""
    held = Job.objects.filter(
        lease_until__isnull=False, worker__startswith=f"{leases.host_name()}:"
    )
    dead = [
        name
        for name in set(held.values_list("worker", flat=True))
        if not leases.process_lives(_pid_of(name))
    ]
    return give_back(held.filter(worker__in=dead), counts=counts) if dead else 0


def _pid_of(worker: str) -> int:
    """See `leases.worker_name`; a host's name may hold colons."""
    return int(worker.rsplit(":", 2)[1])

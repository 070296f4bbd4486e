"""What can be done with jobs: submit, cancel, retry, boost. Running them is `runner`; taking them, `leases`.

Every verb is one transaction of conditional updates, so that two people, or a person and a worker, can
act on one job at once and it still only makes legal moves.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from media_assets import analysis_log
from media_assets.errors import Conflict, Invalid
from media_assets.models import ClientSession, MediaAsset, Space, Status
from processing import pipelines, queue, turns
from processing.clock import DbNow
from processing.models import (
    OPEN,
    Batch,
    DeliveryState,
    Job,
    JobKind,
    JobStatus,
    JobStep,
    Priority,
    StepState,
    WaitingFor,
    WebhookDelivery,
)
from processing.steps import base

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_PARAMS_BYTES = 64 * 1024
MAX_PARAMS_DEPTH = 12


@transaction.atomic
def submit(  # noqa: PLR0913 - what a job is made of
    *,
    asset: MediaAsset | None,
    steps: list[str] | None = None,
    params: dict[str, Any] | None = None,
    kind: JobKind = JobKind.ANALYSIS,
    priority: Priority = Priority.INTERACTIVE,
    requested_by: User | None = None,
    key_label: str = "",
    session: ClientSession | None = None,
    space: Space | None = None,
    batch: Batch | None = None,
    once: str | None = None,
    host: str = "",
) -> Job:
    """Write down a job with its steps and wake a worker: all of it commits, or nothing."""
    params = params or {}
    check_params(params)
    if asset is not None:
        names = pipelines.plan(kind=asset.kind, steps=steps, has_bytes=asset.blob_id is not None)
    else:
        names = pipelines.named(steps or [])
    check_steps(names, params)
    owner_id = (
        (requested_by.pk if requested_by else None) or (asset.owner_id if asset else None) or 0
    )
    job = Job.objects.create(
        kind=kind,
        asset=asset,
        space_id=asset.space_id if asset else (space.pk if space else None),
        batch=batch,
        params=params,
        priority=priority,
        fair_at=turns.next_turn(owner_id=owner_id, priority=priority),
        run_after=timezone.now(),
        host=host or _host_of_bytes(asset),
        max_attempts=settings.JOB_MAX_ATTEMPTS,
        requested_by=requested_by,
        owner_id=owner_id,
        key_label=key_label,
        session=session,
        status_before=asset.status if asset else "",
        once=once,
    )
    JobStep.objects.bulk_create(
        JobStep(job=job, name=name, position=position) for position, name in enumerate(names)
    )
    queue.wake()
    return job


@transaction.atomic
def submit_many(  # noqa: PLR0913 - what jobs are made of
    *,
    assets: Sequence[MediaAsset],
    batch: Batch,
    steps: list[str] | None,
    params: dict[str, Any],
    priority: Priority,
    requested_by: User | None,
    key_label: str = "",
    session: ClientSession | None = None,
    held: bool = False,
) -> int:
    """A job of a batch for each of these that some of the steps fit; how many there are.

    Two statements for all of them, and one turn after the other for their one owner. `held` jobs wait
    for the batch to go on. The assets have their blob joined.
    """
    planned = _plan_many(assets, steps, params)
    if not planned:
        return 0
    owner_id = requested_by.pk if requested_by else 0
    turn = turns.next_turn(owner_id=owner_id, priority=priority)
    now = timezone.now()
    jobs = Job.objects.bulk_create(
        Job(
            asset=asset,
            space_id=asset.space_id,
            batch=batch,
            waiting_for=WaitingFor.BATCH if held else "",
            params=params,
            priority=priority,
            fair_at=turn + number,
            run_after=now,
            host=_host_of_bytes(asset),
            max_attempts=settings.JOB_MAX_ATTEMPTS,
            requested_by=requested_by,
            owner_id=owner_id,
            key_label=key_label,
            session=session,
            status_before=asset.status,
        )
        for number, (asset, _) in enumerate(planned)
    )
    JobStep.objects.bulk_create(
        JobStep(job=job, name=name, position=position)
        for job, (_, names) in zip(jobs, planned, strict=True)
        for position, name in enumerate(names)
    )
    if not held:
        queue.wake()
    return len(jobs)


def _plan_many(
    assets: Sequence[MediaAsset], steps: list[str] | None, params: dict[str, Any]
) -> list[tuple[MediaAsset, list[str]]]:
    """Which steps each asset gets, without those that none fits; refuses what the steps refuse."""
    fitting = [
        (
            asset,
            pipelines.fitting(kind=asset.kind, steps=steps, has_bytes=asset.blob_id is not None),
        )
        for asset in assets
    ]
    planned = [(asset, names) for asset, names in fitting if names]
    if planned:
        check_params(params)
    for distinct in {tuple(names) for _, names in planned}:
        check_steps(list(distinct), params)
    return planned


def _host_of_bytes(asset: MediaAsset | None) -> str:
    """Bytes in a host's spool can be read by that host alone."""
    return asset.blob.spool_host if asset is not None and asset.blob is not None else ""


def check_params(params: dict[str, Any]) -> None:
    """Refuse what is no plain JSON, too large or too deep."""
    if _deeper_than(params, MAX_PARAMS_DEPTH):
        raise Invalid("The parameters are nested too deeply.", params=["Nested too deeply."])
    try:
        size = len(json.dumps(params))
    except (TypeError, ValueError) as error:
        raise Invalid("The parameters are not plain JSON.", params=["Not JSON."]) from error
    if size > MAX_PARAMS_BYTES:
        raise Invalid(
            "The parameters are too large.", params=[f"More than {MAX_PARAMS_BYTES} bytes."]
        )


def _deeper_than(value: Any, depth: int) -> bool:
    """Whether a value is nested deeper than this; ends on cycles too."""
    if not isinstance(value, dict | list):
        return False
    if depth == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_deeper_than(each, depth - 1) for each in inner)


def check_steps(names: list[str], params: dict[str, Any]) -> None:
    """Refuse params that one of these steps does not take."""
    wrong: dict[str, list[str]] = {}
    for name in names:
        for field, message in base.get(name).validate(params).items():
            wrong.setdefault(field, []).append(message)
    if wrong:
        raise Invalid("A parameter is not valid.", **wrong)


@transaction.atomic
def cancel(*, job: Job, reason: str = "Cancelled by a person.") -> Job:
    """End an open job. Its worker, if any, finds its token outdated and stops."""
    if not cancel_many(jobs=Job.objects.filter(pk=job.pk), reason=reason):
        job.refresh_from_db()
        raise Conflict(f"A job that is {job.status} cannot be cancelled.", status=job.status)
    job.refresh_from_db()
    return job


@transaction.atomic
def cancel_many(*, jobs: QuerySet[Job], reason: str) -> int:
    """End all of these that are open; how many there were."""
    rows: list[tuple[Any, Any, str, str]] = list(
        jobs.filter(status__in=OPEN)
        .select_for_update(of=("self",))
        .values_list("pk", "asset_id", "status_before", "kind")
    )
    ids = [row[0] for row in rows]
    now = timezone.now()
    Job.objects.filter(pk__in=ids).update(
        status=JobStatus.CANCELLED,
        waiting_for="",
        token=F("token") + 1,
        # A worker may not have noticed yet: a retry waits until its lease would have ended.
        run_after=Coalesce(F("lease_until"), DbNow()),
        lease_until=None,
        error_code="CANCELLED",
        error_message=reason,
        completed_at=now,
        updated_at=now,
    )
    JobStep.objects.filter(
        job_id__in=ids, state__in=(StepState.PENDING, StepState.PROCESSING)
    ).update(state=StepState.CANCELLED, completed_at=now)
    if any(row[3] == JobKind.DELIVERY for row in rows):
        WebhookDelivery.objects.filter(task_id__in=ids, state=DeliveryState.PENDING).update(
            state=DeliveryState.FAILED, error_message=reason
        )
    for job_id, asset_id, before, kind in rows:
        if asset_id is not None and kind == JobKind.ANALYSIS:
            MediaAsset.objects.filter(pk=asset_id).update(
                status=before or Status.NOT_STARTED,
                analysis_log=analysis_log.appended(
                    analysis_log.entry(
                        "job_cancelled", status="cancelled", job=job_id, reason=reason
                    )
                ),
            )
    return len(ids)


# What was skipped because an earlier step failed gets another chance too.
_KEPT_BY_RETRY = Q(state=StepState.COMPLETED) | Q(state=StepState.SKIPPED, error_code="")
_STEP_ANEW = {
    "state": StepState.PENDING,
    "error_code": "",
    "error_message": "",
    "reason": "",
    "started_at": None,
    "completed_at": None,
    "duration_ms": None,
}
_JOB_ANEW = {
    "status": JobStatus.PENDING,
    "attempts": 0,
    "progress": 0,
    "error_code": "",
    "error_message": "",
    "started_at": None,  # the time it takes is counted from here, not from the run that failed
    "completed_at": None,
}


@transaction.atomic
def retry(*, job: Job) -> Job:
    """Run a failed or cancelled job again, from the step that did not get done."""
    locked = Job.objects.select_for_update(of=("self",)).get(pk=job.pk)
    if locked.status not in (JobStatus.FAILED, JobStatus.CANCELLED):
        raise Conflict(f"A job that is {locked.status} cannot be retried.", status=locked.status)
    JobStep.objects.filter(job=locked).exclude(_KEPT_BY_RETRY).update(**_STEP_ANEW)
    waits = locked.run_after > timezone.now()
    Job.objects.filter(pk=locked.pk).update(
        **_JOB_ANEW,
        waiting_for=WaitingFor.RETRY if waits else "",
        fair_at=turns.next_turn(owner_id=locked.owner_id, priority=locked.priority),
        updated_at=timezone.now(),
    )
    queue.wake(at=locked.run_after if waits else None)
    job.refresh_from_db()
    return job


@transaction.atomic
def retry_failed(*, batch: Batch, priority: Priority, held: bool) -> int:
    """Run all failed jobs of a batch again, as `retry` does with one; how many there were.

    The jobs are moved first and found again by the time of it, so that one which fails meanwhile is
    either retried with its steps or not at all.
    """
    now = timezone.now()
    # Asked for before they are pending: their old turns are not to count.
    first = turns.next_turn(owner_id=batch.created_by_id or 0, priority=priority)
    moved = Job.objects.filter(batch=batch, status=JobStatus.FAILED).update(
        **_JOB_ANEW,
        waiting_for=WaitingFor.BATCH if held else "",
        priority=priority,
        updated_at=now,
    )
    if moved:
        turns.line_up(batch=batch, moved_at=now, first=first)
        JobStep.objects.filter(
            job__batch=batch, job__status=JobStatus.PENDING, job__updated_at=now
        ).exclude(_KEPT_BY_RETRY).update(**_STEP_ANEW)
        if not held:
            queue.wake()
    return moved


@transaction.atomic
def boost(*, job: Job) -> Job:
    """Make a pending job interactive."""
    changed = Job.objects.filter(pk=job.pk, status=JobStatus.PENDING).update(
        priority=Priority.INTERACTIVE,
        fair_at=turns.next_turn(owner_id=job.owner_id, priority=Priority.INTERACTIVE),
        updated_at=timezone.now(),
    )
    job.refresh_from_db()
    if not changed:
        raise Conflict(f"A job that is {job.status} cannot be boosted.", status=job.status)
    queue.wake()
    return job

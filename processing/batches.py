"""Batches: many jobs asked for at once. Made in the background, paused, resumed, cancelled, retried.

A batch is answered at once; a `bulk` job fills it chunk by chunk, each chunk one transaction that also
says how far it got, so that a killed worker's successor goes on there. Jobs are made for what the batch's
maker may run on at that moment.

Who changes a batch locks its row before any row of its jobs, so that no two wait for each other.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from media_assets.access import Asker
from media_assets.errors import Conflict, Invalid
from processing import engine, leases, pipelines, queue, selections, webhooks
from processing.errors import TryLater
from processing.leases import Claim
from processing.models import (
    OPEN,
    Batch,
    BatchState,
    Job,
    JobKind,
    JobStatus,
    Priority,
    WaitingFor,
)
from processing.selections import Remaining

logger = logging.getLogger(__name__)

CHUNK = 500  # jobs made in one transaction
CANCELLED_AT_ONCE = 1000  # the sweeper cancels so many more each time
FILL = "fill_batch"  # see processing.steps.fill_batch
# The place after the last asset: the batch has all its jobs.
FILLED = UUID(int=(1 << 128) - 1)

_HELD = (BatchState.PAUSED, BatchState.CANCELLED)


# ------------------------------------------------------------------- making and filling


@transaction.atomic
def create(
    *,
    asker: Asker,
    assets: Sequence[UUID] | None = None,
    filter_: dict[str, Any] | None = None,
    space_id: UUID | None = None,
    params: dict[str, Any],
    sample: int | None = None,
    label: str = "",
) -> Batch:
    """Write down a batch and the job that fills it. `params` are a job's own, with `steps` and `priority`."""
    chosen = choose(
        asker=asker,
        assets=assets,
        filter_=filter_,
        space_id=space_id,
        params=params,
        sample=sample,
    )
    batch = chosen.batch
    batch.label = label
    batch.total = chosen.count()
    batch.save()
    engine.submit(
        asset=None,
        steps=[FILL],
        params={"batch": str(batch.pk)},
        kind=JobKind.BULK,
        requested_by=asker.user_or_none,
        key_label=asker.key_label,
        session=asker.session,
        space=batch.space,
        batch=batch,
        once=filling(batch.pk),
    )
    return batch


@dataclass(frozen=True, slots=True)
class Chosen:
    """A batch that is not written down yet, and what it would be about."""

    batch: Batch
    asker: Asker
    ids: list[UUID] | None

    def count(self) -> int:
        """How many assets some of the steps fit; of a list, at most how many. Refuses a list of none."""
        steps = self.batch.params.get("steps")
        if self.ids is None:
            found = selections.by_filter(
                asker=self.asker,
                space=self.batch.space,
                filter_=self.batch.selection["filter"],
            )
            return found.filter(selections.fit_for(steps)).count()
        if not selections.any_fits(asker=self.asker, ids=self.ids, steps=steps):
            message = "None of these steps fits any of these assets."
            raise Invalid(message, steps=[message])
        return len(self.ids)


def choose(
    *,
    asker: Asker,
    assets: Sequence[UUID] | None,
    filter_: dict[str, Any] | None,
    space_id: UUID | None,
    params: dict[str, Any],
    sample: int | None = None,
) -> Chosen:
    """Check all that was asked, and find the assets. Nothing is written."""
    if (assets is None) == (filter_ is None):
        message = "Give either assets or a filter."
        raise Invalid(message, assets=[message], filter=[message])
    if assets is not None and not assets:
        raise Invalid("Name at least one asset.", assets=["This list may not be empty."])
    _check(params)
    ids: list[UUID] | None = None
    if assets is not None:
        ids = list(dict.fromkeys(assets))[:sample]
        space = selections.space_of(asker=asker, ids=ids)
        if space_id is not None and (space is None or space.pk != space_id):
            message = "These assets do not lie in this space."
            raise Invalid(message, space=[message])
    else:
        space = selections.space_for(asker, space_id)
        found = selections.by_filter(asker=asker, space=space, filter_=filter_ or {})
        if sample is not None:
            fit = found.filter(selections.fit_for(params.get("steps")))
            ids = list(fit.order_by("-pk").values_list("pk", flat=True)[:sample])
    selection = {"filter": filter_} if ids is None else {"assets": [str(e) for e in sorted(ids)]}
    batch = Batch(space=space, created_by=asker.user_or_none, selection=selection, params=params)
    return Chosen(batch, asker, ids)


def _check(params: dict[str, Any]) -> None:
    """As `engine.submit` does for each job, before any is made."""
    asked = {name: value for name, value in params.items() if name not in ("steps", "priority")}
    engine.check_params(asked)
    steps = params.get("steps")
    if steps is not None:
        unfit = [name for name in pipelines.named(steps) if not selections.fits_media(name)]
        if unfit:
            raise Invalid(
                f"There is no step named {unfit[0]}.", steps=[f"Unknown: {', '.join(unfit)}"]
            )
        engine.check_steps(steps, asked)


def filling(batch_id: UUID) -> str:
    """The name of the one job that fills a batch."""
    return f"fill/{batch_id}"


def priority_of(batch: Batch) -> Priority:
    return Priority[str(batch.params.get("priority", "bulk")).upper()]


def load(batch_id: UUID) -> Remaining:
    """What a batch is about, read once for all chunks."""
    return Remaining(Batch.objects.select_related("space").get(pk=batch_id))


def fill_next(*, batch_id: UUID, remaining: Remaining, claim: Claim) -> bool:
    """Make the next chunk of jobs; False where there is nothing left to make."""
    with transaction.atomic():
        batch = _locked(batch_id)
        if batch.state == BatchState.CANCELLED or batch.filled_to == FILLED:
            return False
        if batch.state == BatchState.PAUSED:
            raise TryLater("BATCH_PAUSED", "The batch is paused.", waiting_for=WaitingFor.BATCH)
        with leases.fenced(claim) as job:
            leases.keeper.extend(claim)
            asker = selections.asker_of(batch)
            assets, place = remaining.after(batch.filled_to, asker=asker, most=CHUNK)
            params = dict(batch.params)
            steps = params.pop("steps", None)
            params.pop("priority", None)
            engine.submit_many(
                assets=assets,
                batch=batch,
                steps=steps,
                params=params,
                priority=priority_of(batch),
                requested_by=batch.created_by,
                key_label=job.key_label,
                session=job.session,
            )
            batch.filled_to = place or FILLED
            changed = ["filled_to", "updated_at"]
            if place is None:
                # What was counted may be gone, or changed hands, by now.
                batch.total = Job.objects.filter(batch=batch).exclude(pk=job.pk).count()
                batch.state = BatchState.RUNNING
                batch.selection = (
                    {**batch.selection, "assets": []} if _listed(batch) else batch.selection
                )
                changed += ["total", "state", "selection"]
            batch.save(update_fields=changed)
    return place is not None


def _listed(batch: Batch) -> bool:
    """Whether it has a list, which from now on its jobs are."""
    return "assets" in batch.selection


def _locked(batch_id: UUID) -> Batch:
    return (
        Batch.objects.select_for_update(of=("self",))
        .select_related("space", "created_by")
        .get(pk=batch_id)
    )


# ------------------------------------------------------------------- what people do with one


@transaction.atomic
def pause(*, batch: Batch) -> Batch:
    """Start no more of its jobs. Those that run go on to their end."""
    locked = _locked(batch.pk)
    _refuse_unless(locked, (BatchState.FILLING, BatchState.RUNNING), "paused")
    _move(locked, BatchState.PAUSED)
    Job.objects.filter(batch=locked, status=JobStatus.PENDING, waiting_for="").update(
        waiting_for=WaitingFor.BATCH, updated_at=timezone.now()
    )
    return locked


@transaction.atomic
def resume(*, batch: Batch) -> Batch:
    """Go on after a pause."""
    locked = _locked(batch.pk)
    _refuse_unless(locked, (BatchState.PAUSED,), "resumed")
    _move(locked, _going_on(locked))
    _release(Q(batch=locked))
    queue.wake()
    finish(batch_id=locked.pk)
    locked.refresh_from_db()
    return locked


@transaction.atomic
def cancel(*, batch: Batch) -> Batch:
    """End its open jobs: those that run at once, of the rest what can be done at once; none starts any more.

    The sweeper ends what is left of a large one, within seconds to minutes.
    """
    locked = _locked(batch.pk)
    _refuse_unless(locked, (BatchState.FILLING, BatchState.RUNNING, BatchState.PAUSED), "cancelled")
    _move(locked, BatchState.CANCELLED, completed_at=timezone.now())
    mine = Job.objects.filter(batch=locked)
    engine.cancel_many(jobs=mine.filter(status=JobStatus.PROCESSING), reason=_CANCELLED)
    mine.filter(status=JobStatus.PENDING).update(
        waiting_for=WaitingFor.BATCH, updated_at=timezone.now()
    )
    _cancel_some(Q(batch=locked))
    return locked


_CANCELLED = "Its batch was cancelled."


def _cancel_some(of: Q) -> int:
    held = Job.objects.filter(of, status=JobStatus.PENDING, waiting_for=WaitingFor.BATCH)
    ids = list(held.values_list("pk", flat=True)[:CANCELLED_AT_ONCE])
    return engine.cancel_many(jobs=Job.objects.filter(pk__in=ids), reason=_CANCELLED) if ids else 0


@transaction.atomic
def retry(*, batch: Batch) -> Batch:
    """Run its failed jobs again, and go on filling it where that had failed."""
    locked = _locked(batch.pk)
    if locked.state == BatchState.CANCELLED:
        raise Conflict("A batch that was cancelled cannot be retried.", status=locked.state)
    paused = locked.state == BatchState.PAUSED
    moved = engine.retry_failed(batch=locked, priority=priority_of(locked), held=paused)
    stopped = Job.objects.filter(once=filling(locked.pk), status=JobStatus.CANCELLED).first()
    if stopped is not None:
        engine.retry(job=stopped)
    elif not moved:
        raise Conflict("No job of this batch has failed.", status=locked.state)
    if not paused:
        _move(locked, _going_on(locked))
    return locked


def _refuse_unless(batch: Batch, states: Sequence[BatchState], done: str) -> None:
    if batch.state not in states:
        raise Conflict(f"A batch that is {batch.state} cannot be {done}.", status=batch.state)


def _move(batch: Batch, state: BatchState, **changes: Any) -> None:
    batch.state = state
    batch.completed_at = changes.get("completed_at")
    batch.save(update_fields=["state", "completed_at", "updated_at"])


def _going_on(batch: Batch) -> BatchState:
    return BatchState.RUNNING if batch.filled_to == FILLED else BatchState.FILLING


# ------------------------------------------------------------------- the end, and what is put right


def finish(*, batch_id: UUID) -> bool:
    """Complete a batch that is filled and has no open job. Called when one of its jobs has ended."""
    return _complete(Q(pk=batch_id)) > 0


def _complete(which: Q) -> int:
    open_job = Job.objects.filter(batch=OuterRef("pk"), status__in=OPEN)
    ended = Batch.objects.filter(which, ~Exists(open_job), state=BatchState.RUNNING)
    return sum(_complete_one(ended.filter(pk=pk)) for pk in ended.values_list("pk", flat=True))


@transaction.atomic
def _complete_one(ended: QuerySet[Batch]) -> int:
    """Complete a batch, unless another was quicker, together with the notices of it."""
    batch = ended.first()
    now = timezone.now()
    changes = {"state": BatchState.COMPLETED, "completed_at": now, "updated_at": now}
    if batch is None or not ended.update(**changes):
        return 0
    batch.refresh_from_db(fields=["state", "completed_at"])
    webhooks.batch_completed(batch, progress([batch])[batch.pk].counts)
    return 1


def _release(of: Q) -> int:
    return Job.objects.filter(of, status=JobStatus.PENDING, waiting_for=WaitingFor.BATCH).update(
        waiting_for="", updated_at=timezone.now()
    )


def sweep() -> dict[str, int]:
    """Put right what races and crashes left: every few seconds, on any number of hosts."""
    found = {"held": _hold(), "resumed": 0, "cancelled": 0, "finished": 0}
    if Job.objects.filter(status=JobStatus.PENDING, waiting_for=WaitingFor.BATCH).exists():
        found["cancelled"] = _cancel_some(Q(batch__state=BatchState.CANCELLED))
        goes_on = Batch.objects.exclude(state__in=_HELD)
        found["resumed"] = _release(Q(batch__isnull=True) | Q(batch__in=goes_on.values("pk")))
    if Batch.objects.filter(state=BatchState.RUNNING).exists():
        found["finished"] = _complete(Q())
    return found


def _hold() -> int:
    """Jobs that became pending while their batch was being paused or cancelled: a dead worker's, say."""
    recently = timezone.now() - timedelta(hours=1)
    batches = list(
        Batch.objects.filter(
            Q(state=BatchState.PAUSED) | Q(state=BatchState.CANCELLED, updated_at__gte=recently)
        ).values_list("pk", flat=True)
    )
    if not batches:
        return 0
    return Job.objects.filter(
        batch_id__in=batches, status=JobStatus.PENDING, waiting_for=""
    ).update(waiting_for=WaitingFor.BATCH, updated_at=timezone.now())


# ------------------------------------------------------------------- how far it is


@dataclass(slots=True)
class Progress:
    """A batch's jobs by status, its failures by code, and why its filling failed, if it did."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(JobStatus.values, 0))
    failures: dict[str, int] = field(default_factory=dict)
    filling_failed: tuple[str, str] | None = None


def progress(batches: Sequence[Batch]) -> dict[UUID, Progress]:
    """How far these are: one query over the index job_of_batch, and one for the jobs that fill them."""
    found = {batch.pk: Progress() for batch in batches}
    rows = (
        Job.objects.filter(batch_id__in=found)
        .values_list("batch_id", "status", "error_code")
        .annotate(number=Count("*"))
        .order_by()
    )
    for batch_id, status, code, number in rows:
        found[batch_id].counts[status] += number
        if status == JobStatus.FAILED:
            found[batch_id].failures[code] = found[batch_id].failures.get(code, 0) + number
    fills = Job.objects.filter(once__in=[filling(pk) for pk in found])
    for batch_id, status, code, message in fills.values_list(
        "batch_id", "status", "error_code", "error_message"
    ):
        _without_filling(found[batch_id], status, code, message)
    return found


def _without_filling(progress: Progress, status: str, code: str, message: str) -> None:
    """The job that fills a batch is no job of its selection."""
    progress.counts[status] -= 1
    if status in (JobStatus.FAILED, JobStatus.CANCELLED):
        progress.filling_failed = (code, message)
    if status == JobStatus.FAILED:
        progress.failures[code] -= 1
        if not progress.failures[code]:
            del progress.failures[code]

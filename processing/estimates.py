"""What a batch would take, told before it is made: how many assets, how many already done, minutes, cost."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db.models import Avg, Count, Q, QuerySet, Sum

from media_assets.models import MediaAsset
from processing import pipelines, selections
from processing.batches import Chosen
from processing.clock import DbNow
from processing.models import Job, JobStatus, JobStep, StepState, WorkerHost
from processing.steps import base

RECENT = 500  # completed jobs whose steps tell how long one takes
AWAKE_S = 30.0  # a host that was heard of so recently works


@dataclass(frozen=True, slots=True)
class Estimate:
    """None where it cannot be told: unknown is never 0."""

    count: int
    cached: int
    minutes: float | None
    cost_usd: Decimal | None


def estimate(chosen: Chosen) -> Estimate:
    """For a batch that `batches.choose` found; nothing is written."""
    params = chosen.batch.params
    steps: list[str] | None = params.get("steps")
    usual = _usual_seconds()
    count = cached = 0
    seconds: float | None = 0.0
    for assets in _assets(chosen):
        for kind, has_bytes, number in _by_kind(assets):
            names = pipelines.fitting(kind=kind, steps=steps, has_bytes=has_bytes)
            if not names:
                continue
            same = assets.filter(kind=kind, blob__isnull=not has_bytes)
            done = 0 if params.get("force") else _done_before(same, names, params)
            count += number
            cached += done
            seconds = _plus(seconds, number - done, names, kind, usual)
    minutes = None if seconds is None else round(seconds / 60 / _workers(), 1)
    # No step knows a price, so none can be told.
    return Estimate(count, cached, minutes, cost_usd=None)


def _assets(chosen: Chosen) -> Iterator[QuerySet[MediaAsset]]:
    if chosen.ids is None:
        yield selections.by_filter(
            asker=chosen.asker,
            space=chosen.batch.space,
            filter_=chosen.batch.selection["filter"],
        )
        return
    ids: list[UUID] = chosen.ids
    for part in selections.parts(ids):
        yield selections.by_ids(asker=chosen.asker, ids=part)


def _by_kind(assets: QuerySet[MediaAsset]) -> list[tuple[str, bool, int]]:
    """Kind, whether the bytes are here, and how many such assets."""
    counted = (
        assets.order_by()
        .values_list("kind")
        .annotate(
            here=Count("pk", filter=Q(blob__isnull=False)),
            away=Count("pk", filter=Q(blob__isnull=True)),
        )
    )
    found = []
    for kind, here, away in counted:
        found += [(kind, True, here)] if here else []
        found += [(kind, False, away)] if away else []
    return found


def _done_before(assets: QuerySet[MediaAsset], names: list[str], params: dict[str, object]) -> int:
    for name in names:
        assets = base.get(name).done_before(assets, params)
    return assets.count()


def _plus(
    seconds: float | None,
    number: int,
    names: list[str],
    kind: str,
    usual: dict[tuple[str, str], float],
) -> float | None:
    """With the time of these assets' steps; None where one of them was never timed."""
    if not number:
        return seconds
    times = [usual.get((name, kind), usual.get((name, ""))) for name in names]
    if seconds is None or any(each is None for each in times):
        return None
    return seconds + number * sum(each for each in times if each is not None)


def _usual_seconds() -> dict[tuple[str, str], float]:
    """How long a step took of late, by kind of media; under the kind "" over all kinds."""
    recent = Job.objects.filter(status=JobStatus.COMPLETED).order_by("-id").values("pk")[:RECENT]
    rows = (
        JobStep.objects.filter(
            job_id__in=recent, state=StepState.COMPLETED, cached=False, duration_ms__isnull=False
        )
        .order_by()
        .values_list("name", "job__asset__kind")
        .annotate(mean=Avg("duration_ms"), number=Count("*"))
    )
    found: dict[tuple[str, str], float] = {}
    totals: dict[str, tuple[float, int]] = {}
    for name, kind, mean, number in rows:
        found[name, kind or ""] = mean / 1000
        total, count = totals.get(name, (0.0, 0))
        totals[name] = (total + mean / 1000 * number, count + number)
    return found | {(name, ""): total / count for name, (total, count) in totals.items()}


def _workers() -> int:
    """Worker processes of all hosts that are awake; at least one."""
    awake = WorkerHost.objects.filter(heartbeat_at__gte=DbNow(-AWAKE_S))
    return awake.aggregate(all=Sum("workers"))["all"] or 1

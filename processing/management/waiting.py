"""How a command waits for jobs: asset by asset, as long as somebody works."""

from __future__ import annotations

import time
from uuid import UUID

from django.core.management.base import CommandError

from processing.clock import DbNow
from processing.models import OPEN, Job, JobStatus, WorkerHost

LOOK_EVERY_S = 0.5
# A worker gives a sign of life every five seconds.
SILENCE_S = 30


def for_asset(asset_id: UUID) -> Job | None:
    """Wait until no job of the asset is open; the newest of them where it failed."""
    started = time.monotonic()
    while Job.objects.filter(asset_id=asset_id, status__in=OPEN).exists():
        if time.monotonic() - started > SILENCE_S and not _somebody_works():
            raise CommandError(
                "No worker is running, so nothing would come of waiting. The jobs stay."
            )
        time.sleep(LOOK_EVERY_S)
    newest = Job.objects.filter(asset_id=asset_id).order_by("-id").first()
    return newest if newest is not None and newest.status == JobStatus.FAILED else None


def _somebody_works() -> bool:
    return WorkerHost.objects.filter(heartbeat_at__gt=DbNow(-SILENCE_S)).exists()

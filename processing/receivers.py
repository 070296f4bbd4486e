"""What this floor does when the one below tells it something."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.dispatch import receiver

from media_assets import retention
from media_assets.models import MediaAsset
from media_assets.signals import asset_deleting, asset_received
from processing import engine
from processing.models import OPEN, Job, Priority


def needed_bytes(blob_ids: Collection[UUID]) -> set[UUID]:
    """The blobs that open jobs still work on."""
    waiting = Job.objects.filter(status__in=OPEN, asset__blob_id__in=list(blob_ids))
    return set(waiting.values_list("asset__blob_id", flat=True))


retention.hold("jobs", needed_bytes)


@receiver(asset_received, dispatch_uid="processing.submit")
def submit_job(asset: MediaAsset, **received: Any) -> None:
    """A new asset gets its job in the same transaction, as its uploader wished."""
    if received.get("repeated") and asset.blob_id is None and _is_fetched(asset):
        return
    wishes = dict(asset.wishes)
    steps = wishes.pop("steps", None)
    if steps is not None and asset.blob_id is None:
        wishes["steps"] = steps  # for the step that fetches the bytes to plan with
    priority = received.get("priority")
    engine.submit(
        asset=asset,
        steps=steps,
        params=wishes,
        priority=Priority.INTERACTIVE if priority is None else Priority(priority),
        requested_by=received.get("requested_by"),
        key_label=received.get("key_label", ""),
        session=received.get("session"),
    )


def _is_fetched(asset: MediaAsset) -> bool:
    """Whether a job will bring the bytes. It may have been cancelled."""
    return asset.jobs.filter(status__in=OPEN).exists()


@receiver(asset_deleting, dispatch_uid="processing.cancel")
def cancel_jobs(assets: list[Any], **_: Any) -> None:
    """What is deleted is not worked on any more."""
    engine.cancel_many(
        jobs=Job.objects.filter(asset_id__in=assets), reason="The asset was deleted."
    )

"""What this floor does when the one below tells it something."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from media_assets.models import MediaAsset
from media_assets.signals import asset_deleting, asset_received
from processing import engine
from processing.models import Job


@receiver(asset_received, dispatch_uid="processing.submit")
def submit_job(asset: MediaAsset, **received: Any) -> None:
    """A new asset gets its job in the same transaction, as its uploader wished."""
    wishes = dict(asset.wishes)
    steps = wishes.pop("steps", None)
    priority = wishes.pop("priority", None)
    engine.submit(
        asset=asset,
        steps=steps,
        params=wishes,
        **({} if priority is None else {"priority": priority}),
        requested_by=received.get("requested_by"),
        key_label=received.get("key_label", ""),
        session=received.get("session"),
    )


@receiver(asset_deleting, dispatch_uid="processing.cancel")
def cancel_jobs(assets: list[Any], **_: Any) -> None:
    """What is deleted is not worked on any more."""
    engine.cancel_many(
        jobs=Job.objects.filter(asset_id__in=assets), reason="The asset was deleted."
    )

"""The log of who read which original, by which door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone

from media_assets import log_context
from media_assets.access import Asker
from media_assets.models import AccessLog, Blob, MediaAsset


def note_read(*, asset: MediaAsset, asker: Asker, door: str, request: Any) -> None:
    """Write down one read, and that the bytes are in use."""
    AccessLog.objects.create(
        asset_id=asset.pk,
        space_id=asset.space_id,
        filename=asset.filename,
        user_id=asker.user.pk,
        username=asker.user.get_username(),
        key_label=asker.key_label,
        door=door,
        ip=getattr(request, "client_ip", None) or None,
        request_id=str(log_context.fields().get("request_id") or ""),
    )
    if asset.blob_id is not None:
        Blob.objects.filter(pk=asset.blob_id).update(accessed_at=timezone.now())


def purge_old() -> int:
    """Forget reads older than ACCESS_LOG_DAYS."""
    horizon = timezone.now() - timedelta(days=settings.ACCESS_LOG_DAYS)
    return AccessLog.objects.filter(created_at__lt=horizon).delete()[0]

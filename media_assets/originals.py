"""The bytes of a blob, wherever they are: opened, fetched to a local file, or given an address."""

from __future__ import annotations

from pathlib import Path

from media_assets import storage
from media_assets.errors import MediaHubError
from media_assets.models import Blob, MediaAsset, Rendition, Whereabouts


class BytesGone(MediaHubError):
    """The bytes of this file are not kept any more."""

    code = "GONE"


def fetch(blob: Blob, target: Path) -> None:
    """Put the bytes at `target`, for a decoder to read: a link where they are local, else a copy."""
    if blob.whereabouts == Whereabouts.EXPIRED:
        raise BytesGone
    storage.copy_to(blob.key, target)


def url(asset: MediaAsset) -> str | None:
    """Where the original can be downloaded for a while."""
    if asset.blob is None or asset.blob.whereabouts == Whereabouts.EXPIRED:
        return None
    return storage.signed_url(
        asset.blob.key, filename=asset.filename, mime_type=asset.blob.mime_type
    )


def rendition_url(rendition: Rendition, *, filename: str) -> str:
    """Where a rendition can be shown for a while."""
    extension = rendition.key.rpartition(".")[2]
    stem = filename.rpartition(".")[0] or filename
    return storage.signed_url(
        rendition.key,
        filename=f"{stem}-{rendition.kind}.{extension}",
        mime_type=rendition.mime_type,
        inline=True,
    )

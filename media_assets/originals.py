"""The bytes of a blob, wherever they are: opened, fetched to a local file, or given an address."""

from __future__ import annotations

from pathlib import Path

from media_assets import spool, storage
from media_assets.errors import MediaHubError, StorageAway
from media_assets.models import Blob, MediaAsset, Rendition, Whereabouts


class BytesGone(MediaHubError):
    """The bytes of this file are not kept any more."""

    code = "GONE"


def fetch(blob: Blob, target: Path) -> None:
    """Put the bytes at `target`, for a decoder to read: a link where they are local, else a copy."""
    if blob.whereabouts == Whereabouts.EXPIRED:
        raise BytesGone
    if spool.fetch(blob.key, target):
        return
    try:
        storage.copy_to(blob.key, target)
    except FileNotFoundError as error:
        if blob.whereabouts != Whereabouts.SPOOL:
            raise
        raise StorageAway("The bytes wait on another host.") from error


def is_there(blob: Blob) -> bool:
    """Whether the bytes are where the row says. Another host's spool is believed."""
    if blob.whereabouts == Whereabouts.SPOOL:
        return blob.spool_host != spool.host_name() or spool.holds(blob.key)
    return storage.exists(blob.key)


def url(asset: MediaAsset) -> str | None:
    """Where the original can be downloaded for a while."""
    blob = asset.blob
    if blob is None or blob.whereabouts == Whereabouts.EXPIRED:
        return None
    address = storage.signed_url
    if blob.whereabouts == Whereabouts.SPOOL or spool.holds(blob.key):
        address = storage.served_url
    return address(blob.key, filename=asset.filename, mime_type=blob.mime_type)


def rendition_url(rendition: Rendition, *, filename: str) -> str:
    """Where a rendition can be shown for a while."""
    extension = rendition.key.rpartition(".")[2]
    stem = filename.rpartition(".")[0] or filename
    address = storage.served_url if spool.holds(rendition.key) else storage.signed_url
    return address(
        rendition.key,
        filename=f"{stem}-{rendition.kind}.{extension}",
        mime_type=rendition.mime_type,
        inline=True,
    )

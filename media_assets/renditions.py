"""Files made from a blob: stored under keys made of their content, one row for each kind and variant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media_assets import spool, storage
from media_assets.models import Blob, Rendition


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A rendition whose bytes are stored; `record` writes its row."""

    kind: str
    variant: str
    key: str
    mime_type: str
    size: int
    width: int | None = None
    height: int | None = None
    position: float | None = None
    data: dict[str, Any] = field(default_factory=dict)


_EXTENSIONS = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "audio/mpeg": "mp3",
    "audio/flac": "flac",
    "audio/wav": "wav",
    "audio/ogg": "ogg",
    "video/mp4": "mp4",
    "application/json": "json",
}


def store(  # noqa: PLR0913 - the columns of a rendition
    blob: Blob,
    path: Path,
    *,
    kind: str,
    mime_type: str,
    variant: str = "",
    width: int | None = None,
    height: int | None = None,
    position: float | None = None,
    data: dict[str, Any] | None = None,
) -> Stored:
    """Put a rendition's bytes into storage, or this host's spool. Before the transaction that records it."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    name = "-".join(part for part in (kind, variant, digest[:12]) if part)
    key = storage.rendition_key(blob.sha256, f"{name}.{_EXTENSIONS[mime_type]}")
    spool.place(path, key, mime_type=mime_type)
    return Stored(
        kind=kind,
        variant=variant,
        key=key,
        mime_type=mime_type,
        size=path.stat().st_size,
        width=width,
        height=height,
        position=position,
        data=data or {},
    )


def record(blob: Blob, stored: list[Stored]) -> list[str]:
    """Write the rows; a newer rendition of a kind takes the older one's place.

    Returns the keys that no row names any more, to be deleted once the transaction has committed.
    """
    replaced = []
    for each in stored:
        values = {
            "key": each.key,
            "mime_type": each.mime_type,
            "size": each.size,
            "width": each.width,
            "height": each.height,
            "position": each.position,
            "data": each.data,
        }
        old = Rendition.objects.filter(blob=blob, kind=each.kind, variant=each.variant).first()
        if old is None:
            Rendition.objects.create(blob=blob, kind=each.kind, variant=each.variant, **values)
            continue
        if old.key != each.key:
            replaced.append(old.key)
        Rendition.objects.filter(pk=old.pk).update(**values)
    return replaced


def thumbnail_of(blob: Blob) -> Rendition | None:
    """The small picture of a blob; uses renditions that were prefetched."""
    kinds = {each.kind: each for each in blob.renditions.all() if each.kind in _SMALL_FIRST}
    return next((kinds[kind] for kind in _SMALL_FIRST if kind in kinds), None)


_SMALL_FIRST = ("thumbnail", "poster", "preview")

"""The `inspect` step: what can be learned from the bytes alone, and the small pictures of them.

It runs without a network and without a provider. The facts belong to the blob, so that a second asset of
the same bytes costs nothing.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from media_assets import phashes, renditions, storage
from media_assets.models import Blob, Kind, MediaAsset
from media_assets.renditions import Stored
from processing.context import StepContext
from processing.sandbox import Limits
from processing.steps.base import Completed, Outcome, Step

# Raised when an inspector learns something new, so that old facts are looked up again.
VERSION = 1
# Bytes a second of the thinnest sound and film worth having: 16 kbit/s.
SLOWEST_STREAM = 2000

_FACTS = ("width", "height", "duration", "pages", "blurhash", "phash")


class Inspect(Step):
    """Facts, thumbnail and preview."""

    name: ClassVar[str] = "inspect"

    def run(self, context: StepContext) -> Outcome:
        asset = context.asset
        blob = asset.blob
        assert blob is not None  # planned only for assets with bytes
        if _is_known(blob) and not context.force:
            return Completed(cached=True)
        found = context.decode(
            f"processing.inspectors.{blob.kind}:inspect",
            options_for(blob.kind, context.params),
            limits=limits_for(blob),
        )
        context.shared["inspection"] = found
        context.check()
        stored = [_store(blob, context.workdir, each) for each in found["renditions"]]
        return Completed(
            save=partial(_save, blob, found, stored),
            details={"mime_type": blob.mime_type, "file_size": blob.size, **_brief(found["facts"])},
        )

    def done_before(
        self, assets: QuerySet[MediaAsset], params: dict[str, Any]
    ) -> QuerySet[MediaAsset]:
        return assets.filter(blob__inspected_at__isnull=False, blob__metadata__inspector=VERSION)


def options_for(kind: str, params: dict[str, Any]) -> dict[str, Any]:
    """The inspector's options: the limits of the settings and what the job asks for."""
    if kind == Kind.IMAGE:
        return {"max_pixels": settings.MAX_PIXELS}
    if kind == Kind.DOCUMENT:
        return {"max_pages": settings.MAX_PAGES, "max_pixels": settings.MAX_PIXELS}
    options: dict[str, Any] = {
        "max_duration": float(settings.MAX_DURATION_S),
        "max_pixels": settings.MAX_PIXELS,
    }
    if kind == Kind.VIDEO:
        options["contact_sheet_grid"] = params.get("grid") or settings.CONTACT_SHEET_GRID
    return options


def limits_for(blob: Blob) -> Limits:
    """Time for the length the bytes can have: what a container says of it is not to be believed."""
    if blob.kind not in (Kind.AUDIO, Kind.VIDEO):
        return Limits()
    longest = min(blob.size / SLOWEST_STREAM, settings.MAX_DURATION_S)
    return Limits().for_length(longest, factor=0.3)


def _is_known(blob: Blob) -> bool:
    return blob.inspected_at is not None and blob.metadata.get("inspector") == VERSION


def _brief(facts: dict[str, Any]) -> dict[str, Any]:
    return {
        name: facts[name] for name in ("width", "height", "duration", "pages") if facts.get(name)
    }


def _store(blob: Blob, workdir: Path, made: dict[str, Any]) -> Stored:
    variant = "" if made.get("position") is None else f"{made['position']:.3f}"
    if made["kind"] in ("thumbnail", "preview", "poster"):
        variant = ""
    return renditions.store(
        blob,
        workdir / made["name"],
        kind=made["kind"],
        variant=variant,
        mime_type=made["mime_type"],
        width=made["width"],
        height=made["height"],
        position=made["position"],
        data=made["data"],
    )


def _about_text(text: dict[str, Any] | None) -> dict[str, Any]:
    """What a document's facts keep of its text; the text itself is the step read_document's."""
    names = ("word_count", "language", "truncated")
    return {name: text[name] for name in names if text and text.get(name) is not None}


def _save(blob: Blob, found: dict[str, Any], stored: list[Stored]) -> None:
    facts = found["facts"]
    for name in _FACTS:
        if facts.get(name) is not None:
            setattr(blob, name, facts[name])
    taken_at = parse_datetime(facts["taken_at"]) if facts.get("taken_at") else None
    if taken_at is not None:
        # Cameras write their local time without a zone; it is kept as if it were ours.
        blob.taken_at = taken_at if timezone.is_aware(taken_at) else timezone.make_aware(taken_at)
    blob.metadata = {**found["metadata"], **_about_text(found["text"]), "inspector": VERSION}
    blob.inspected_at = timezone.now()
    blob.save(update_fields=[*_FACTS, "taken_at", "metadata", "inspected_at", "updated_at"])
    phashes.index(blob, blob.phash)
    for key in renditions.record(blob, stored):
        transaction.on_commit(partial(storage.delete, key), robust=True)

"""The one door: every file comes in through here, whichever way it came.

The bytes go to storage first, under a key made of their hash; then the blob, the asset and whatever the
floors above write on `asset_received` commit together. Bytes without rows are swept up later; rows
without bytes cannot come about: the transaction looks, once the blob's row is its own, whether the bytes
are still there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import transaction

from media_assets import analysis_log, log_context, storage
from media_assets.errors import Invalid
from media_assets.models import Blob, ClientSession, Door, MediaAsset, Post, Space, Tag, Whereabouts
from media_assets.receiver import Received, Receiver
from media_assets.signals import asset_received

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TAGS = 50
MAX_TAG_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What comes with a file: where it goes, who sent it, and what they wish."""

    space: Space
    owner: User | None
    door: Door
    post: Post | None = None
    title: str = ""
    alt_text: str = ""
    tags: tuple[str, ...] = ()
    local_only: bool = False
    source_url: str = ""
    # For the floors above, opaque here: steps, prompt, language, lexicon.
    wishes: dict[str, Any] = field(default_factory=dict)
    key_label: str = ""
    session: ClientSession | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    asset: MediaAsset
    created: bool


def receive(
    chunks: Iterable[bytes],
    *,
    filename: str | None,
    details: Details,
    declared_size: int | None = None,
) -> Kept:
    """Take a stream in and keep it."""
    with Receiver(filename=filename, declared_size=declared_size) as receiver:
        for chunk in chunks:
            receiver.feed(chunk)
        return keep(received=receiver.finish(), details=details)


def keep(*, received: Received, details: Details) -> Kept:
    """Make an asset of a file that was taken in; the one that is there already, for the same bytes."""
    key = storage.original_key(received.filetype.kind, received.sha256, received.filetype.extension)
    known = Blob.objects.filter(sha256=received.sha256).first()
    if known is None or known.whereabouts != Whereabouts.PRIMARY:
        storage.put(received.path, key, mime_type=received.filetype.mime_type)
    with transaction.atomic():
        blob = _blob(received, key)
        if not storage.exists(blob.key):
            # A purge took them after our look, and let go of the row before we had it.
            storage.put(received.path, blob.key, mime_type=blob.mime_type)
        there = _same_asset(blob, details)
        if there is not None:
            return _seen_again(there, details)
        return Kept(_new_asset(blob, received, details), created=True)


def _blob(received: Received, key: str) -> Blob:
    """The row of these bytes, locked until the transaction ends."""
    Blob.objects.get_or_create(
        sha256=received.sha256,
        defaults={
            "md5": received.md5,
            "size": received.size,
            "mime_type": received.filetype.mime_type,
            "kind": received.filetype.kind,
            "key": key,
        },
    )
    blob = Blob.objects.select_for_update().get(sha256=received.sha256)
    if blob.whereabouts != Whereabouts.PRIMARY:
        blob.whereabouts = Whereabouts.PRIMARY
        blob.spool_host = ""
        blob.save(update_fields=["whereabouts", "spool_host", "updated_at"])
    return blob


def _same_asset(blob: Blob, details: Details) -> MediaAsset | None:
    return MediaAsset.objects.filter(
        space=details.space, post=details.post, blob=blob, deleted_at__isnull=True
    ).first()


def _seen_again(asset: MediaAsset, details: Details) -> Kept:
    """The same bytes in the same place: nothing new, but a new wish is still work."""
    if details.wishes and details.wishes != asset.wishes:
        asset.wishes = details.wishes
        asset.save(update_fields=["wishes", "updated_at"])
        _announce(asset, details, repeated=True)
    return Kept(asset, created=False)


def _new_asset(blob: Blob, received: Received, details: Details) -> MediaAsset:
    asset = MediaAsset.objects.create(
        space=details.space,
        owner=details.owner,
        post=details.post,
        blob=blob,
        kind=blob.kind,
        mime_type=blob.mime_type,
        size=blob.size,
        filename=received.filename,
        title=details.title,
        alt_text=details.alt_text,
        door=details.door,
        source_url=details.source_url,
        local_only=details.local_only,
        wishes=details.wishes,
        analysis_log=[_stored(blob, received, details)],
    )
    set_tags(asset=asset, names=details.tags)
    _announce(asset, details, repeated=False)
    return asset


def _stored(blob: Blob, received: Received, details: Details) -> dict[str, Any]:
    return analysis_log.entry(
        "media_stored",
        status="stored",
        door=str(details.door),
        file_size=blob.size,
        mime_type=blob.mime_type,
        filename=received.filename,
        by=details.owner.get_username() if details.owner else None,
        key=details.key_label or None,
        request_id=log_context.fields().get("request_id"),
    )


def _announce(asset: MediaAsset, details: Details, *, repeated: bool) -> None:
    asset_received.send(
        sender=MediaAsset,
        asset=asset,
        requested_by=details.owner,
        key_label=details.key_label,
        session=details.session,
        repeated=repeated,
    )


def set_tags(*, asset: MediaAsset, names: Iterable[str]) -> None:
    """Give an asset exactly these tags; they are made where the space lacks them."""
    wanted = list(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    if len(wanted) > MAX_TAGS:
        raise Invalid(f"An asset takes at most {MAX_TAGS} tags.", tags=["Too many tags."])
    too_long = [name for name in wanted if len(name) > MAX_TAG_LENGTH]
    if too_long:
        raise Invalid("A tag is too long.", tags=[f"At most {MAX_TAG_LENGTH} characters."])
    Tag.objects.bulk_create(
        [Tag(space_id=asset.space_id, name=name) for name in wanted], ignore_conflicts=True
    )
    asset.tags.set(Tag.objects.filter(space_id=asset.space_id, name__in=wanted))

"""What people do with an asset: change it, put it in the trash, take it out, purge it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from media_assets import analysis_log, intake, spool, storage
from media_assets.errors import Conflict, ServiceUnavailable
from media_assets.models import Blob, MediaAsset, Post, Rendition, Review, Whereabouts
from media_assets.signals import asset_deleting

if TYPE_CHECKING:
    from django.contrib.auth.models import User


@transaction.atomic
def change(
    *,
    asset: MediaAsset,
    by: User | None,
    fields: dict[str, Any],
    tags: list[str] | None = None,
) -> MediaAsset:
    """Set some of title, alt_text, post, review and local_only, and the tags where given."""
    locked = MediaAsset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
    changed = sorted(name for name, value in fields.items() if getattr(locked, name) != value)
    for name in changed:
        setattr(locked, name, fields[name])
    if "review" in changed:
        locked.reviewed_by = by if fields["review"] != Review.UNREVIEWED else None
        locked.reviewed_at = timezone.now() if fields["review"] != Review.UNREVIEWED else None
    try:
        with transaction.atomic():
            locked.save(update_fields=[*changed, "reviewed_by", "reviewed_at", "updated_at"])
    except IntegrityError as error:
        raise Conflict("The same file is in that post already.") from error
    if tags is not None:
        intake.set_tags(asset=locked, names=tags)
        changed.append("tags")
    if changed:
        _log(locked.pk, "asset_changed", by, fields=changed)
    asset.refresh_from_db()
    return asset


def _log(asset_id: UUID, event: str, by: User | None, **details: Any) -> None:
    entry = analysis_log.entry(event, by=by.get_username() if by else None, **details)
    analysis_log.append(asset_id, entry)


@transaction.atomic
def trash(*, asset: MediaAsset, by: User | None) -> None:
    """Out of sight, with its jobs cancelled; `restore` brings it back until TRASH_DAYS are over."""
    asset_deleting.send(sender=MediaAsset, assets=[asset.pk])
    MediaAsset.objects.filter(pk=asset.pk, deleted_at__isnull=True).update(
        deleted_at=timezone.now(), deleted_by=by, updated_at=timezone.now()
    )
    _log(asset.pk, "trashed", by)


@transaction.atomic
def restore(*, asset: MediaAsset, by: User | None) -> MediaAsset:
    """Take an asset out of the trash."""
    if asset.gave_way_to_id is not None:
        raise Conflict("Its bytes belong to another asset, which was here first.")
    try:
        with transaction.atomic():
            changed = MediaAsset.objects.filter(pk=asset.pk, deleted_at__isnull=False).update(
                deleted_at=None, deleted_by=None, updated_at=timezone.now()
            )
    except IntegrityError as error:
        raise Conflict("The same file was uploaded again in the meantime.") from error
    if not changed:
        raise Conflict("This asset is not in the trash.")
    _log(asset.pk, "restored", by)
    asset.refresh_from_db()
    return asset


def purge(*, asset: MediaAsset) -> int:
    """Delete an asset for good, and its bytes where no other asset has them. Returns the bytes freed.

    The row goes first, then the blob is marked as expired, then the bytes go, then the blob's row: a
    crash at any point leaves bytes without a row, which are swept up, never a row without its bytes.
    """
    with transaction.atomic():
        asset_deleting.send(sender=MediaAsset, assets=[asset.pk])
        MediaAsset.objects.filter(pk=asset.pk).delete()
    try:
        return drop_unused(blob_id=asset.blob_id) if asset.blob_id else 0
    except ServiceUnavailable:
        # The asset is gone, as was asked. Its bytes are marked, and go when the bucket is back.
        return 0


def drop_unused(*, blob_id: UUID) -> int:
    """Delete a blob that no asset uses, with its bytes and renditions. Returns the bytes freed."""
    with transaction.atomic():
        blob = Blob.objects.select_for_update().filter(pk=blob_id).first()
        if blob is None or blob.assets.exists():
            return 0
        blob.whereabouts = Whereabouts.EXPIRED
        blob.spool_host = ""
        blob.save(update_fields=["whereabouts", "spool_host", "updated_at"])
    with transaction.atomic():
        # Intake locks this row too, and looks for the bytes after that: it will put them anew.
        blob = Blob.objects.select_for_update().filter(pk=blob_id).first()
        if blob is None or blob.assets.exists() or blob.whereabouts != Whereabouts.EXPIRED:
            return 0
        freed = blob.size
        keys = list(Rendition.objects.filter(blob=blob).values_list("key", flat=True))
        spool.discard(blob.key)
        storage.delete(blob.key)
        blob.delete()
        for key in keys:
            spool.discard(key)
            transaction.on_commit(partial(storage.delete, key), robust=True)
    return freed


def move_to_post(asset: MediaAsset, post: Post | None) -> dict[str, Any]:
    """The change that puts an asset under a post of its own space, or under none."""
    if post is not None and post.space_id != asset.space_id:
        raise Conflict("The post lies in another space.")
    return {"post": post}

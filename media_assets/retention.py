"""What is deleted in time: old trash, left-over files, originals past their retention. One verb, `cleanup`.

Nothing that anybody can still see is deleted unless a retention is set or asked for. Where more than a few
of the originals look missing, a volume is lost or the database is another one: then nothing is deleted.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from media_assets import analysis_log, assets, spool, storage
from media_assets.errors import ServiceUnavailable
from media_assets.models import Blob, Kind, MediaAsset, Rendition, Whereabouts

logger = logging.getLogger(__name__)

LEFT_OVER = timedelta(days=1)  # an upload or a transaction that takes longer is dead
SAMPLE = 200
MOST_MISSING = 0.05
# More unknown objects than this share of all, and this many, are somebody else's.
MOST_ORPHANS, FEW_ORPHANS = 0.5, 100
_AT_ONCE = 500

# What we name: a bucket may hold other things beside.
_OURS = re.compile(
    r"(?:images|audios|videos|documents)/[0-9a-f]{2}/[0-9a-f]{64}\.\w+"
    r"|renditions/[0-9a-f]{2}/[0-9a-f]{64}/[\w.-]+"
)

# Asked whose bytes are still needed: blob ids in, those that must stay out.
Hold = Callable[[Collection[UUID]], set[UUID]]
_holds: dict[str, Hold] = {}


def hold(name: str, ask: Hold) -> None:
    """Let an upper floor keep bytes from being deleted. Called by apps in `ready()`."""
    _holds[name] = ask


@dataclass(slots=True)
class Cleaned:
    """What was looked at, deleted (or would be), and went wrong."""

    scanned: int = 0
    deleted: int = 0
    failed: int = 0
    freed_bytes: int = 0
    errors: list[str] = field(default_factory=list)

    def took(self, size: int) -> None:
        self.deleted += 1
        self.freed_bytes += size

    def fail(self, what: str, error: Exception) -> None:
        self.failed += 1
        self.errors.append(f"{what}: {error}")

    def as_dict(self) -> dict[str, int | list[str]]:
        return asdict(self)


def cleanup(
    *, dry_run: bool = False, older_than: timedelta | None = None, orphans: bool = True
) -> Cleaned:
    """Delete what is due. `older_than` stands for all retentions, also where none is set."""
    done = Cleaned()
    _dead_uploads(done, dry_run=dry_run)
    try:
        if not _looks_whole(done):
            return done
        _old_trash(done, dry_run=dry_run)
        _unused_blobs(done, dry_run=dry_run)
        for kind in Kind.values:
            _past_retention(done, kind, older_than or retention_of(kind), dry_run=dry_run)
        if orphans:
            _orphans(done, dry_run=dry_run)
    except ServiceUnavailable as error:
        done.fail("storage", error)
    if done.errors:
        logger.warning("Cleanup: %s", "; ".join(done.errors[:10]))
    return done


def retention_of(kind: str) -> timedelta | None:
    """How long originals of a kind are kept; None for ever."""
    hours = getattr(settings, f"RETENTION_HOURS_{kind.upper()}")
    hours = settings.RETENTION_HOURS if hours is None else hours
    return None if hours is None else timedelta(hours=hours)


def _dead_uploads(done: Cleaned, *, dry_run: bool) -> None:
    """Files of uploads whose process was killed. Of this host alone."""
    for path in storage.incoming_folder().iterdir():
        try:
            found = path.stat()
            done.scanned += 1
            if time.time() - found.st_mtime > LEFT_OVER.total_seconds():
                if not dry_run:
                    path.unlink()
                done.took(found.st_size)
        except FileNotFoundError:
            continue  # its upload has just ended
        except OSError as error:
            done.fail(path.name, error)


def _looks_whole(done: Cleaned) -> bool:
    """Whether the originals are there: some of the oldest and of the newest are looked for."""
    kept = Blob.objects.filter(whereabouts=Whereabouts.PRIMARY)
    keys = {
        *kept.order_by("id").values_list("key", flat=True)[: SAMPLE // 2],
        *kept.order_by("-id").values_list("key", flat=True)[: SAMPLE // 2],
    }
    missing = sum(not storage.exists(key) for key in keys)
    if missing <= len(keys) * MOST_MISSING:
        return True
    done.failed += 1
    done.errors.append(
        f"{missing} of {len(keys)} originals look missing: is a volume lost? Nothing was deleted."
    )
    return False


def _old_trash(done: Cleaned, *, dry_run: bool) -> None:
    horizon = timezone.now() - timedelta(days=settings.TRASH_DAYS)
    old = MediaAsset.objects.filter(deleted_at__lt=horizon)
    for asset_id in list(old.values_list("pk", flat=True)):
        done.scanned += 1
        found = MediaAsset.objects.filter(pk=asset_id, deleted_at__lt=horizon).first()
        if found is None:
            continue  # restored just now
        done.took(0)
        if not dry_run:
            done.freed_bytes += assets.purge(asset=found)


def _unused_blobs(done: Cleaned, *, dry_run: bool) -> None:
    """Those that a purge left half done."""
    unused = Blob.objects.filter(
        assets__isnull=True, updated_at__lt=timezone.now() - LEFT_OVER
    ).values_list("pk", flat=True)
    for blob_id in list(unused):
        done.scanned += 1
        size = Blob.objects.values_list("size", flat=True).get(pk=blob_id)
        if dry_run or assets.drop_unused(blob_id=blob_id):
            done.took(size)


# ------------------------------------------------------------------- retention


def _past_retention(done: Cleaned, kind: str, keep: timedelta | None, *, dry_run: bool) -> None:
    """Originals past their time, with no newer use. What was found in them stays, and the small pictures."""
    if keep is None:
        return
    horizon = timezone.now() - keep
    due = (
        Blob.objects.filter(
            kind=kind, whereabouts=Whereabouts.PRIMARY, archived_at=None, created_at__lt=horizon
        )
        .filter(assets__isnull=False)
        .exclude(assets__created_at__gte=horizon)
        .distinct()
    )
    ids = list(due.values_list("pk", flat=True))
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        held: set[UUID] = set().union(*(ask(some) for ask in _holds.values()))
        for blob_id in some:
            done.scanned += 1
            if blob_id in held:
                continue
            freed = _expire(blob_id, dry_run=dry_run)
            if freed:
                done.took(freed)


def _expire(blob_id: UUID, *, dry_run: bool) -> int:
    """Mark first, then delete with the row ours: intake locks it too, and puts the bytes anew."""
    with transaction.atomic():
        blob = Blob.objects.select_for_update().get(pk=blob_id)
        if blob.whereabouts != Whereabouts.PRIMARY:
            return 0
        if dry_run:
            return blob.size
        blob.whereabouts = Whereabouts.EXPIRED
        blob.save(update_fields=["whereabouts", "updated_at"])
        entry = analysis_log.entry("expired", status="expired", file_size=blob.size)
        for asset_id in blob.assets.values_list("pk", flat=True):
            analysis_log.append(asset_id, entry)
    with transaction.atomic():
        blob = Blob.objects.select_for_update().get(pk=blob_id)
        if blob.whereabouts != Whereabouts.EXPIRED:
            return 0
        spool.discard(blob.key)
        storage.delete(blob.key)
    return blob.size


# ------------------------------------------------------------------- orphans


def _orphans(done: Cleaned, *, dry_run: bool) -> None:
    """Objects that no row names, older than a day, that the last look found too."""
    seen_before = _remembered()
    unknown: dict[str, int] = {}
    total = 0
    page: list[storage.StoredObject] = []
    for each in storage.objects():
        if not _OURS.fullmatch(each.key):
            continue
        total += 1
        page.append(each)
        if len(page) == _AT_ONCE:
            unknown |= _unnamed(page)
            page = []
    unknown |= _unnamed(page)
    done.scanned += total
    if len(unknown) > max(FEW_ORPHANS, total * MOST_ORPHANS):
        done.failed += 1
        done.errors.append(
            f"No row names {len(unknown)} of {total} objects: is this their database? They stay."
        )
        return
    for key in sorted(unknown.keys() & seen_before):
        if dry_run or _delete_orphan(key):
            done.took(unknown[key])
    if not dry_run:
        _remember(unknown)


def _unnamed(objects: list[storage.StoredObject]) -> dict[str, int]:
    """Those of these that are old and named by no row, with their size."""
    horizon = timezone.now() - LEFT_OVER
    old = {each.key: each.size for each in objects if each.modified < horizon}
    blobs = Blob.objects.exclude(whereabouts=Whereabouts.EXPIRED).filter(key__in=old)
    named = {
        *blobs.values_list("key", flat=True),
        *Rendition.objects.filter(key__in=old).values_list("key", flat=True),
    }
    return {key: size for key, size in old.items() if key not in named}


def _delete_orphan(key: str) -> bool:
    """Look once more at this very moment: an upload of the same bytes makes the object young again."""
    found = storage.stored(key)
    if found is None or not _unnamed([found]):
        return False
    storage.delete(key)
    return True


def _memory() -> Path:
    return Path(settings.DATA_DIR) / "run" / "orphans.json"


def _remembered() -> set[str]:
    try:
        return set(json.loads(_memory().read_text()))
    except (OSError, ValueError):
        return set()


def _remember(keys: Collection[str]) -> None:
    _memory().parent.mkdir(parents=True, exist_ok=True)
    part = _memory().with_suffix(".new")
    part.write_text(json.dumps(sorted(keys)))
    part.replace(_memory())

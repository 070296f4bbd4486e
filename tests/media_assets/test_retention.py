"""Cleanup: what is due goes, what anybody needs stays, and a lost volume deletes nothing."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from media_assets import assets, retention, storage
from media_assets.models import Blob, MediaAsset, Whereabouts
from processing.models import Job, JobStatus
from tests import media
from tests.buckets import Bucket
from tests.make import make_asset, make_space

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
ORPHAN = f"images/ab/{'ab' * 32}.jpg"


@pytest.fixture
def asset() -> MediaAsset:
    """Forty days old, its job done."""
    made = make_asset()
    Job.objects.update(status=JobStatus.COMPLETED)
    grow_old(made, days=40)
    return made


def grow_old(asset: MediaAsset, *, days: int) -> None:
    then = timezone.now() - timedelta(days=days)
    MediaAsset.objects.filter(pk=asset.pk).update(created_at=then)
    Blob.objects.filter(pk=asset.blob_id).update(created_at=then)


def key_of(asset: MediaAsset) -> str:
    return Blob.objects.values_list("key", flat=True).get(pk=asset.blob_id)


def age(path: Path, *, days: int = 2) -> None:
    then = time.time() - days * 86_400
    os.utime(path, (then, then))


def put_orphan(tmp_path: Path) -> Path:
    source = tmp_path / "orphan"
    source.write_bytes(b"orphan")
    storage.put(source, ORPHAN)
    path = Path(storage.media().path(ORPHAN))
    age(path)
    return path


def test_with_no_retention_set_nothing_is_ever_deleted(asset: MediaAsset) -> None:
    done = retention.cleanup()
    assert (done.deleted, done.failed, done.errors) == (0, 0, [])
    assert storage.exists(key_of(asset))


@pytest.mark.parametrize(
    ("name", "hours", "deleted"),
    [
        ("RETENTION_HOURS", 24, 1),
        ("RETENTION_HOURS_IMAGE", 24, 1),
        ("RETENTION_HOURS_AUDIO", 24, 0),
        ("RETENTION_HOURS", 24 * 100, 0),
    ],
)
def test_originals_past_the_retention_of_their_kind_go(
    asset: MediaAsset, settings: Any, name: str, hours: int, deleted: int
) -> None:
    setattr(settings, name, hours)
    key = key_of(asset)
    dry = retention.cleanup(dry_run=True)
    assert storage.exists(key)
    done = retention.cleanup()
    assert dry.deleted == done.deleted == deleted
    assert dry.freed_bytes == done.freed_bytes == (asset.size if deleted else 0)
    assert storage.exists(key) is not bool(deleted)
    asset.refresh_from_db()  # the asset, and what was found in it, stay
    blob = Blob.objects.get(pk=asset.blob_id)
    assert (blob.whereabouts == Whereabouts.EXPIRED) is bool(deleted)
    assert retention.cleanup().deleted == 0


def test_a_kinds_own_retention_stands_before_the_general_one(
    asset: MediaAsset, settings: Any
) -> None:
    settings.RETENTION_HOURS, settings.RETENTION_HOURS_IMAGE = 1, 24 * 100
    assert retention.cleanup().deleted == 0


def test_a_newer_use_of_the_same_bytes_keeps_them(asset: MediaAsset, settings: Any) -> None:
    settings.RETENTION_HOURS = 24
    make_asset(space=make_space("Other"))
    assert retention.cleanup().deleted == 0


def test_bytes_of_an_open_job_stay(asset: MediaAsset, settings: Any) -> None:
    settings.RETENTION_HOURS = 24
    Job.objects.update(status=JobStatus.PENDING)
    assert retention.cleanup().deleted == 0
    Job.objects.update(status=JobStatus.FAILED)
    assert retention.cleanup().deleted == 1


def test_old_trash_is_purged_and_young_trash_stays(asset: MediaAsset, settings: Any) -> None:
    key = key_of(asset)
    assets.trash(asset=asset, by=None)
    assert retention.cleanup().deleted == 0
    MediaAsset.objects.update(deleted_at=timezone.now() - timedelta(days=settings.TRASH_DAYS + 1))
    done = retention.cleanup()
    assert (done.deleted, done.freed_bytes) == (1, asset.size)
    assert not MediaAsset.objects.exists()
    assert not Blob.objects.exists()
    assert not storage.exists(key)


def test_files_of_dead_uploads_go_and_those_of_living_ones_stay() -> None:
    dead, living = (storage.incoming_folder() / name for name in ("in-dead", "in-living"))
    for path in (dead, living):
        path.write_bytes(b"12345")
    age(dead)
    done = retention.cleanup()
    assert (done.deleted, done.freed_bytes) == (1, 5)
    assert living.exists()
    assert not dead.exists()


def test_orphans_go_when_they_are_seen_twice(asset: MediaAsset, tmp_path: Path) -> None:
    path = put_orphan(tmp_path)
    other = path.parent / "notes.txt"
    other.write_bytes(b"not ours")
    age(other)
    assert retention.cleanup(dry_run=True).deleted == 0
    assert retention.cleanup().deleted == 0
    assert path.exists()
    assert retention.cleanup().deleted == 1
    assert not path.exists()
    assert other.exists()
    assert storage.exists(key_of(asset))


def test_an_orphan_that_was_put_again_meanwhile_stays(tmp_path: Path) -> None:
    path = put_orphan(tmp_path)
    retention.cleanup()
    storage.put(tmp_path / "orphan", ORPHAN)  # an upload whose transaction is not over
    assert retention.cleanup().deleted == 0
    assert path.exists()


def test_a_storage_of_another_database_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "FEW_ORPHANS", 0)
    path = put_orphan(tmp_path)
    for _ in range(3):
        done = retention.cleanup()
        assert done.deleted == 0
        assert "is this their database?" in done.errors[0]
    assert path.exists()


def test_a_lost_volume_deletes_nothing(asset: MediaAsset, settings: Any, tmp_path: Path) -> None:
    settings.RETENTION_HOURS = 1
    orphan = put_orphan(tmp_path)
    storage.delete(key_of(asset))
    for _ in range(3):
        done = retention.cleanup()
        assert done.deleted == 0
        assert done.failed == 1
        assert "1 of 1 originals look missing" in done.errors[0]
    assert orphan.exists()
    assert Blob.objects.get().whereabouts == Whereabouts.PRIMARY


def test_a_bucket_that_is_away_deletes_nothing(bucket: Bucket, settings: Any) -> None:
    made = make_asset(media.plain("text"), filename="a.txt")
    Job.objects.update(status=JobStatus.COMPLETED)
    grow_old(made, days=40)
    settings.RETENTION_HOURS = 1
    bucket.go_away()
    done = retention.cleanup()
    assert (done.deleted, done.failed) == (0, 1)
    bucket.come_back()
    assert retention.cleanup().deleted == 1
    assert bucket.listed() == []


def test_a_kill_between_mark_and_delete_leaves_bytes_that_are_swept_up(
    asset: MediaAsset, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(key: str) -> Iterator[None]:
        raise Killed

    settings.RETENTION_HOURS = 1
    key = key_of(asset)
    with monkeypatch.context() as patch:
        patch.setattr(storage, "delete", kill)
        with pytest.raises(Killed):
            retention.cleanup()
    assert Blob.objects.get().whereabouts == Whereabouts.EXPIRED
    age(Path(storage.media().path(key)))
    retention.cleanup()
    retention.cleanup()
    assert not storage.exists(key)
    make_asset(space=make_space("Other"))
    assert storage.exists(key)


def test_the_command_counts_and_fails_where_something_failed(asset: MediaAsset) -> None:
    output = StringIO()
    call_command("cleanup_media", "--json", "--older-than", "24", "--dry-run", stdout=output)
    told = json.loads(output.getvalue())
    assert (told["deleted"], told["freed_bytes"], told["dry_run"]) == (1, asset.size, True)
    storage.delete(key_of(asset))
    with pytest.raises(CommandError):
        call_command("cleanup_media", stdout=StringIO(), stderr=StringIO())
    with pytest.raises(CommandError, match="more than 0"):
        call_command("cleanup_media", "--older-than", "0")

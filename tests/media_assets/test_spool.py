"""The spool: what comes in while the bucket is away is kept here, usable at once, and moves up by itself."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client

from media_assets import assets, intake, originals, renditions, spool, storage
from media_assets.errors import ServiceUnavailable, StorageAway
from media_assets.models import Blob, Door, MediaAsset, Rendition, Whereabouts
from processing.models import Job
from tests import media
from tests.buckets import Bucket
from tests.make import make_asset, make_space

pytestmark = pytest.mark.django_db
TEXT = b"digits 0123456789"


class Killed(BaseException):
    """The process dies here."""


def kill(*_: Any, **__: Any) -> None:
    raise Killed


def spooled() -> list[Path]:
    return [each for each in spool.folder().rglob("*") if each.is_file()]


def blob_of(asset: MediaAsset) -> Blob:
    return Blob.objects.get(pk=asset.blob_id)


@pytest.fixture
def asset(bucket: Bucket) -> MediaAsset:
    """It came in while the bucket was away."""
    bucket.go_away()
    return make_asset(TEXT, filename="digits.txt")


def body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


# ------------------------------------------------------------------- coming in


def test_an_upload_without_its_bucket_is_kept_by_this_host(asset: MediaAsset) -> None:
    blob = blob_of(asset)
    assert (blob.whereabouts, blob.spool_host) == (Whereabouts.SPOOL, spool.host_name())
    assert [each.read_bytes() for each in spooled()] == [TEXT]
    assert Job.objects.get(asset=asset).host == spool.host_name()
    assert list(storage.incoming_folder().iterdir()) == []


@pytest.mark.parametrize(("status", "code"), [(500, "InternalError"), (503, "SlowDown")])
def test_a_bucket_that_fails_counts_as_away(bucket: Bucket, status: int, code: str) -> None:
    bucket.fail(status, code)
    assert blob_of(make_asset()).whereabouts == Whereabouts.SPOOL


def test_a_bucket_that_fails_after_it_stored_counts_as_away(bucket: Bucket) -> None:
    bucket.fail(500, "InternalError")
    bucket.server.fails_afterwards = True
    blob = blob_of(make_asset())
    assert blob.whereabouts == Whereabouts.SPOOL
    bucket.come_back()
    assert bucket.listed() == [blob.key]
    assert spool.move_up() == [blob.pk]
    assert spooled() == []


def test_the_files_and_folders_of_the_spool_are_private(asset: MediaAsset) -> None:
    for each in [spool.folder(), *spool.folder().rglob("*")]:
        assert each.stat().st_mode & 0o077 == 0


def test_with_bucket_and_spool_away_an_upload_is_refused(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    bucket.go_away()
    monkeypatch.setattr(storage, "put_local", full)
    given = intake.Details(space=make_space(), owner=None, door=Door.UPLOAD)
    with pytest.raises(ServiceUnavailable) as refused:
        intake.receive([TEXT], filename="a.txt", details=given)
    assert refused.value.retry_after > 0
    assert not Blob.objects.exists()
    assert not MediaAsset.objects.exists()
    assert not Job.objects.exists()
    assert list(storage.incoming_folder().iterdir()) == []


def test_the_same_upload_while_its_bucket_is_away_again_doubts_no_row(bucket: Bucket) -> None:
    first = make_asset(TEXT, filename="a.txt")
    bucket.go_away()
    make_asset(TEXT, filename="a.txt", space=make_space("Other"))
    assert blob_of(first).whereabouts == Whereabouts.PRIMARY
    assert len(spooled()) == 1  # until the bucket proves that it has them
    bucket.come_back()
    spool.move_up()
    assert spooled() == []
    assert bucket.listed() == [blob_of(first).key]


def test_bytes_that_the_bucket_lost_are_put_again_from_a_second_upload(bucket: Bucket) -> None:
    first = make_asset(TEXT, filename="a.txt")
    storage.delete(blob_of(first).key)
    bucket.go_away()
    make_asset(TEXT, filename="a.txt", space=make_space("Other"))
    bucket.come_back()
    spool.move_up()
    assert b"".join(storage.chunks(blob_of(first).key)) == TEXT


def test_the_same_upload_with_the_bucket_back_is_in_the_bucket(
    bucket: Bucket, asset: MediaAsset
) -> None:
    bucket.come_back()
    make_asset(TEXT, filename="a.txt", space=make_space("Other"))
    assert blob_of(asset).whereabouts == Whereabouts.PRIMARY
    assert spool.move_up() == [asset.blob_id]
    assert spooled() == []


# ------------------------------------------------------------------- being read


def test_it_is_read_at_once_on_this_host(asset: MediaAsset, tmp_path: Path, client: Client) -> None:
    originals.fetch(blob_of(asset), tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == TEXT
    url = originals.url(asset)
    assert url is not None
    response = client.get(url)
    assert body(response) == TEXT
    assert response["Content-Disposition"] == 'attachment; filename="digits.txt"'
    assert response["X-Content-Type-Options"] == "nosniff"
    part = client.get(url, headers={"Range": "bytes=7-8"})
    assert (part.status_code, body(part)) == (206, b"01")
    assert body(client.head(url)) == b""


def test_an_address_made_before_it_moved_up_leads_on(
    bucket: Bucket, asset: MediaAsset, client: Client
) -> None:
    url = originals.url(asset)
    assert url is not None
    bucket.come_back()
    spool.move_up()
    response = client.get(url)
    assert response.status_code == 302
    assert httpx.get(response["Location"], trust_env=False).content == TEXT


def test_another_host_says_when_to_ask_again(
    asset: MediaAsset, settings: Any, client: Client, tmp_path: Path
) -> None:
    url = originals.url(asset)
    assert url is not None
    settings.DATA_DIR = tmp_path / "other host"
    response = client.get(url)
    assert (response.status_code, response["Retry-After"]) == (503, "15")
    with pytest.raises(StorageAway):
        originals.fetch(blob_of(asset), tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_rendition_waits_too_and_is_shown_from_here(
    bucket: Bucket, asset: MediaAsset, tmp_path: Path, client: Client
) -> None:
    picture = tmp_path / "thumbnail.jpg"
    picture.write_bytes(media.jpeg())
    made = renditions.store(blob_of(asset), picture, kind="thumbnail", mime_type="image/jpeg")
    renditions.record(blob_of(asset), [made])
    rendition = Rendition.objects.get()
    shown = client.get(originals.rendition_url(rendition, filename="digits.txt"))
    assert body(shown) == media.jpeg()
    bucket.come_back()
    spool.move_up()
    assert spooled() == []
    url = originals.rendition_url(rendition, filename="digits.txt")
    assert httpx.get(url, trust_env=False).content == media.jpeg()


# ------------------------------------------------------------------- moving up


def test_it_moves_up_when_the_bucket_is_back(bucket: Bucket, asset: MediaAsset) -> None:
    assert spool.move_up() == []
    assert len(spooled()) == 1
    bucket.come_back()
    assert spool.move_up() == [asset.blob_id]
    blob = blob_of(asset)
    assert (blob.whereabouts, blob.spool_host) == (Whereabouts.PRIMARY, "")
    assert blob.verified_at is not None
    assert b"".join(storage.chunks(blob.key)) == TEXT
    assert spooled() == []
    assert spool.move_up() == []


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (storage, "put"),  # before a byte is up
        (storage, "chunks"),  # before it was read back
        (spool, "_is_up"),
        (spool, "_arrived"),  # up and verified, the row does not say so
        (Path, "unlink"),  # the row says so, the file is still here
    ],
)
def test_a_kill_at_any_point_loses_nothing(
    bucket: Bucket, asset: MediaAsset, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    bucket.come_back()
    with monkeypatch.context() as patch:
        patch.setattr(module, name, kill)
        with pytest.raises(Killed):
            spool.move_up()
    blob = blob_of(asset)
    if blob.whereabouts == Whereabouts.PRIMARY:
        assert b"".join(storage.chunks(blob.key)) == TEXT
    assert [each.read_bytes() for each in spooled()] == [TEXT]
    assert spool.move_up() == [blob.pk]
    assert blob_of(asset).whereabouts == Whereabouts.PRIMARY
    assert b"".join(storage.chunks(blob.key)) == TEXT
    assert spooled() == []


def test_a_kill_before_the_rows_commit_leaves_bytes_that_are_swept_up(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = intake.Details(space=make_space(), owner=None, door=Door.UPLOAD)
    bucket.go_away()
    monkeypatch.setattr(intake, "_new_asset", kill)
    with pytest.raises(Killed):
        intake.receive([TEXT], filename="a.txt", details=given)
    assert not Blob.objects.exists()
    bucket.come_back()
    spool.move_up()
    (left,) = spooled()  # its transaction might not be over
    long_ago = time.time() - spool.UNNAMED_S - 60
    os.utime(left, (long_ago, long_ago))
    spool.move_up()
    assert spooled() == []
    assert bucket.listed() == []


def test_a_bucket_that_gives_other_bytes_back_is_not_believed(
    bucket: Bucket, asset: MediaAsset, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    bucket.come_back()

    def put_other(source: Path, key: str, *, mime_type: str = "") -> None:
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"rubbish")

    with monkeypatch.context() as patch:
        patch.setattr(storage, "put", put_other)
        assert spool.move_up() == []
    assert "other bytes" in caplog.text
    assert blob_of(asset).whereabouts == Whereabouts.SPOOL
    assert len(spooled()) == 1
    assert spool.move_up() == [asset.blob_id]  # and what lies there wrong is put right
    assert b"".join(storage.chunks(blob_of(asset).key)) == TEXT


def test_a_damaged_file_stays_and_takes_nobodys_place(
    bucket: Bucket, asset: MediaAsset, caplog: Any
) -> None:
    (path,) = spooled()
    path.unlink()
    path.write_bytes(b"damaged")
    other = make_asset(b"another file", filename="b.txt")
    bucket.come_back()
    assert spool.move_up() == [other.blob_id]
    assert "damaged" in caplog.text
    assert spooled() == [path]
    assert blob_of(asset).verify_error
    assert bucket.listed() == [blob_of(other).key]


def test_what_was_purged_meanwhile_does_not_move_up(bucket: Bucket, asset: MediaAsset) -> None:
    assets.purge(asset=asset)
    assert not MediaAsset.objects.exists()
    bucket.come_back()
    spool.move_up()
    assert spooled() == []
    assert bucket.listed() == []


def test_files_move_up_into_a_folder_where_there_is_no_bucket_any_more(
    bucket: Bucket, asset: MediaAsset, settings: Any
) -> None:
    settings.MEDIA_STORAGE = "local"
    local = {
        "BACKEND": "media_assets.storage.LocalStorage",
        "OPTIONS": {"location": settings.MEDIA_ROOT},
    }
    before = settings.STORAGES
    settings.STORAGES = {**before, "default": local}
    assert spool.move_up() == [asset.blob_id]
    assert b"".join(storage.chunks(blob_of(asset).key)) == TEXT
    settings.STORAGES = before


def test_two_uploads_that_race_the_sweep_lose_nothing(
    bucket: Bucket, asset: MediaAsset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep moves the file up between the second upload's put and its transaction."""
    place: Callable[..., str] = spool.place

    def place_and_sweep(source: Path, key: str, *, mime_type: str) -> str:
        found = place(source, key, mime_type=mime_type)
        bucket.come_back()
        spool.move_up()
        return found

    monkeypatch.setattr(spool, "place", place_and_sweep)
    again = make_asset(TEXT, filename="again.txt", space=make_space("Other"))
    blob = blob_of(again)
    assert blob.whereabouts == Whereabouts.PRIMARY
    assert b"".join(storage.chunks(blob.key)) == TEXT

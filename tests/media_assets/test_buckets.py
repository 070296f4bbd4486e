"""MEDIA_STORAGE=s3 against a real server: what is asked of a bucket, and what its failures mean."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest

from media_assets import intake, originals, storage
from media_assets.errors import StorageAway, StorageRefuses
from media_assets.models import Blob, Door, MediaAsset
from processing.models import Job
from tests import media
from tests.buckets import Bucket, use_bucket
from tests.make import make_asset, make_space

KEY = "images/ab/abc.jpg"
MB = 1 << 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(bytes(range(256)) * 1000)
    return path


# ------------------------------------------------------------------- objects


def test_a_put_can_be_repeated_and_read_back(bucket: Bucket, source: Path, tmp_path: Path) -> None:
    for _ in range(2):
        storage.put(source, KEY, mime_type="image/jpeg")
    storage.copy_to(KEY, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert storage.exists(KEY)
    assert storage.size(KEY) == 256_000
    assert bucket.listed() == [KEY]
    told = bucket.client.head_object(Bucket=bucket.name, Key=KEY)
    assert told["ContentType"] == "image/jpeg"


def test_puts_may_race(bucket: Bucket, source: Path) -> None:
    wrong: list[Exception] = []

    def put() -> None:
        try:
            storage.put(source, KEY)
        except Exception as error:  # noqa: BLE001 - whatever a thread meets belongs in the report
            wrong.append(error)

    threads = [threading.Thread(target=put) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert b"".join(storage.chunks(KEY)) == source.read_bytes()


@pytest.mark.parametrize(
    ("start", "length"), [(0, None), (0, 10), (1000, 1), (255_990, None), (100, 200_000), (5, 0)]
)
def test_ranges_are_read_alone(bucket: Bucket, source: Path, start: int, length: int) -> None:
    storage.put(source, KEY)
    whole = source.read_bytes()
    wanted = whole[start:] if length is None else whole[start : start + length]
    assert b"".join(storage.chunks(KEY, start=start, length=length)) == wanted


def test_large_files_go_in_parts_and_stay_out_of_memory(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        for number in range(70):
            file.write(bytes([number]) * MB)
    storage.put(path, KEY)
    parts = [each for each in bucket.counted() if each[0] == "PUT"]
    assert len(parts) == 5  # of 16 MB, 16 MB, 16 MB, 16 MB and 6 MB
    digest = hashlib.sha256()
    for piece in storage.chunks(KEY):
        assert len(piece) <= storage.CHUNK
        digest.update(piece)
    with path.open("rb") as file:
        assert digest.digest() == hashlib.file_digest(file, "sha256").digest()


def test_an_upload_that_breaks_leaves_no_object(bucket: Bucket, tmp_path: Path) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(20 * MB))
    bucket.fail(
        500,
        "InternalError",
        when=lambda method, _: (500, "InternalError") if method == "PUT" else None,
    )
    with pytest.raises(StorageAway):
        storage.put(path, KEY)
    bucket.come_back()
    assert bucket.listed() == []
    assert not bucket.client.list_multipart_uploads(Bucket=bucket.name).get("Uploads")


def test_deleting_what_is_not_there_is_fine(bucket: Bucket, source: Path) -> None:
    storage.put(source, KEY)
    storage.delete(KEY)
    storage.delete(KEY)
    assert not storage.exists(KEY)


def test_what_is_not_there_is_told_and_leaves_no_file(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        storage.copy_to(KEY, tmp_path / "copy")
    with pytest.raises(FileNotFoundError):
        storage.size(KEY)
    assert list(tmp_path.iterdir()) == []


def test_a_prefix_stands_before_every_key(bucket: Bucket, settings: Any, source: Path) -> None:
    use_bucket(settings, bucket, S3_PREFIX="team/one")
    storage.put(source, KEY)
    assert bucket.listed() == [f"team/one/{KEY}"]
    assert [each.key for each in storage.bucket().objects()] == [KEY]
    assert httpx.get(address(), trust_env=False).content == source.read_bytes()


# ------------------------------------------------------------------- through the door


@pytest.mark.django_db
def test_an_upload_asks_the_bucket_twice_and_a_repeat_once(bucket: Bucket) -> None:
    asset = make_asset()
    assert asset.blob is not None
    key = asset.blob.key
    assert bucket.counted() == [("PUT", key), ("HEAD", key)]
    make_asset(space=make_space("Other"))
    assert bucket.counted() == [("HEAD", key)]
    assert Blob.objects.count() == 1
    assert bucket.listed() == [key]


@pytest.mark.django_db
def test_bytes_that_are_missing_come_back_with_the_same_upload(bucket: Bucket) -> None:
    asset = make_asset()
    assert asset.blob is not None
    storage.delete(asset.blob.key)
    make_asset(space=make_space("Other"))
    assert storage.exists(asset.blob.key)


@pytest.mark.django_db
def test_the_original_is_downloaded_from_the_bucket_with_a_safe_name(bucket: Bucket) -> None:
    asset = make_asset(b"1,2\n3,4\n", filename='rés"umé.csv')
    url = originals.url(asset)
    assert url is not None
    assert url.startswith(bucket.url)
    answer = httpx.get(url, trust_env=False)
    assert answer.content == b"1,2\n3,4\n"
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"].startswith("attachment; filename")
    part = httpx.get(url, headers={"Range": "bytes=4-6"}, trust_env=False)
    assert (part.status_code, part.content) == (206, b"3,4")


# ------------------------------------------------------------------- addresses


def address(name: str = "a b.jpg", key: str = KEY) -> str:
    return storage.signed_url(key, filename=name, mime_type="image/jpeg", inline=True)


def test_an_address_is_the_one_that_botocore_would_sign(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore import auth

    ours = storage.bucket().address(
        "images/ä b+c/~x.jpg",
        mime_type="image/jpeg",
        disposition="inline; filename*=utf-8''%C3%A4%20b.jpg",
        begins=1_800_000_000,
        life=3600,
    )
    monkeypatch.setattr(
        auth, "get_current_datetime", lambda: datetime.fromtimestamp(1_800_000_000, UTC)
    )
    theirs = bucket.client.generate_presigned_url(
        "get_object",
        Params={
            "Bucket": bucket.name,
            "Key": "images/ä b+c/~x.jpg",
            "ResponseContentType": "image/jpeg",
            "ResponseContentDisposition": "inline; filename*=utf-8''%C3%A4%20b.jpg",
        },
        ExpiresIn=3600,
    )
    assert parse_qs(urlsplit(ours).query) == parse_qs(urlsplit(theirs).query)
    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]


def test_an_address_stays_the_same_for_half_its_life(
    bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.SIGNED_URL_S = 600
    now = 1_800_000_000.0
    monkeypatch.setattr(time, "time", lambda: now)
    first = address()
    now += 299
    assert address() == first
    now += 1
    second = address()
    assert second != first
    told = parse_qs(urlsplit(second).query)
    assert told["X-Amz-Expires"] == ["600"]
    assert told["X-Amz-Date"] == ["20270115T080500Z"]


def test_two_hundred_addresses_are_signed_without_asking_the_bucket(bucket: Bucket) -> None:
    address()
    bucket.counted()
    started = time.process_time()
    made = {address(key=f"renditions/ab/{number}/thumbnail.jpg") for number in range(200)}
    assert time.process_time() - started < 0.2
    assert len(made) == 200
    assert bucket.counted() == []


# ------------------------------------------------------------------- failures


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_bucket_that_fails_is_away(bucket: Bucket, source: Path, status: int) -> None:
    bucket.fail(status, "SlowDown")
    with pytest.raises(StorageAway):
        storage.put(source, KEY)


def test_a_bucket_that_nobody_serves_is_away_and_not_asked_again_at_once(
    bucket: Bucket, source: Path
) -> None:
    bucket.go_away()
    with pytest.raises(StorageAway):
        storage.exists(KEY)
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(StorageAway):
            storage.put(source, KEY)
    assert time.monotonic() - started < 0.5
    bucket.come_back()
    assert not storage.exists(KEY)


@pytest.mark.parametrize(
    ("status", "code", "cure"),
    [
        (403, "AccessDenied", "AWS_ACCESS_KEY_ID"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "RequestTimeTooSkewed", "clock"),
        (400, "AuthorizationHeaderMalformed", "S3_REGION"),
    ],
)
def test_a_refusal_is_told_to_the_operator_with_its_cure(
    bucket: Bucket, source: Path, status: int, code: str, cure: str, caplog: Any
) -> None:
    bucket.fail(status, code)
    with (
        caplog.at_level(logging.ERROR, "media_assets.buckets"),
        pytest.raises(StorageRefuses) as refused,
    ):
        storage.put(source, KEY)
    assert cure in caplog.text
    assert code in refused.value.reason
    assert bucket.name not in refused.value.message


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket, settings: Any, source: Path) -> None:
    use_bucket(settings, bucket, S3_BUCKET="not-there")
    with pytest.raises(StorageRefuses, match="Whoever runs it") as refused:
        storage.put(source, KEY)
    assert "storage_init" in refused.value.reason
    with pytest.raises(StorageRefuses):
        storage.check()


@pytest.mark.django_db
def test_a_bucket_that_refuses_makes_no_row(bucket: Bucket) -> None:
    space = make_space()
    given = intake.Details(space=space, owner=None, door=Door.UPLOAD)
    bucket.fail(403, "AccessDenied")
    with pytest.raises(StorageRefuses):
        intake.receive([media.jpeg()], filename="a.jpg", details=given)
    assert not Blob.objects.exists()
    assert not MediaAsset.objects.exists()
    assert not Job.objects.exists()
    assert list(storage.incoming_folder().iterdir()) == []


def test_a_download_that_breaks_off_is_away(
    bucket: Bucket, source: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from botocore.exceptions import ResponseStreamingError
    from botocore.response import StreamingBody

    storage.put(source, KEY)

    def breaks(self: Any, size: int) -> Iterator[bytes]:
        yield b"first"
        raise ResponseStreamingError(error="reset")

    monkeypatch.setattr(StreamingBody, "iter_chunks", breaks)
    with pytest.raises(StorageAway):
        storage.copy_to(KEY, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_fork_has_a_client_of_its_own(bucket: Bucket, source: Path) -> None:
    storage.put(source, KEY)
    first = storage.bucket().client
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            other = storage.bucket().client is not first
            os.write(writer, b"yes" if other and storage.exists(KEY) else b"no")
        finally:
            os._exit(0)
    os.close(writer)
    psutil.Process(child).wait(20)
    with os.fdopen(reader, "rb") as answer:
        assert answer.read() == b"yes"

"""The one door: what it keeps, what it refuses, and that a refusal leaves nothing."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from media_assets import intake, receiver, storage
from media_assets.errors import EmptyFile, FileTooLarge, Invalid, InvalidFileFormat, StorageFull
from media_assets.models import Blob, Door, MediaAsset, Whereabouts
from media_assets.receiver import Receiver
from processing.models import Job
from tests import media
from tests.make import make_asset, make_post, make_space, make_user

pytestmark = pytest.mark.django_db


def details(**more: Any) -> intake.Details:
    space = more.pop("space", None) or make_space()
    return intake.Details(space=space, owner=None, door=Door.UPLOAD, **more)


def stored_files() -> list[Path]:
    root = Path(storage.media().location)  # type: ignore[attr-defined]
    return [each for each in root.rglob("*") if each.is_file()]


def test_a_file_becomes_a_blob_an_asset_and_a_job() -> None:
    data = media.jpeg(64, 48)
    kept = intake.receive([data[:100], data[100:]], filename="IMG 1.JPG", details=details())
    blob = kept.asset.blob
    assert kept.created
    assert blob is not None
    assert blob.sha256 == hashlib.sha256(data).hexdigest()
    assert blob.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert blob.key == f"images/{blob.sha256[:2]}/{blob.sha256}.jpg"
    assert b"".join(storage.chunks(blob.key)) == data
    assert (kept.asset.kind, kept.asset.mime_type, kept.asset.size) == (
        "image",
        "image/jpeg",
        len(data),
    )
    assert kept.asset.analysis_log[0]["event"] == "media_stored"
    assert Job.objects.filter(asset=kept.asset).count() == 1


def test_bytes_are_kept_once_for_two_spaces() -> None:
    first = make_asset(space=make_space("One"))
    second = make_asset(space=make_space("Two"))
    assert first.pk != second.pk
    assert first.blob_id == second.blob_id
    assert Blob.objects.count() == 1
    assert len(stored_files()) == 1


def test_the_same_bytes_in_the_same_place_are_the_asset_that_is_there() -> None:
    space = make_space()
    one = intake.receive([media.jpeg()], filename="a.jpg", details=details(space=space))
    two = intake.receive([media.jpeg()], filename="b.jpg", details=details(space=space))
    in_post = intake.receive(
        [media.jpeg()], filename="a.jpg", details=details(space=space, post=make_post(space))
    )
    assert (one.created, two.created, in_post.created) == (True, False, True)
    assert one.asset == two.asset != in_post.asset
    assert Job.objects.filter(asset=one.asset).count() == 1


def test_a_new_wish_for_the_same_bytes_is_new_work() -> None:
    space = make_space()
    intake.receive([media.jpeg()], filename="a.jpg", details=details(space=space))
    again = intake.receive(
        [media.jpeg()],
        filename="a.jpg",
        details=details(space=space, wishes={"prompt": "What is it?"}),
    )
    assert not again.created
    assert Job.objects.filter(asset=again.asset).count() == 2
    assert Job.objects.latest("id").params["prompt"] == "What is it?"


def test_tags_are_cleaned_and_shared_in_a_space() -> None:
    space = make_space()
    asset = make_asset(space=space, tags=(" red  car ", "red car", "", "night"))
    assert sorted(tag.name for tag in asset.tags.all()) == ["night", "red car"]
    with pytest.raises(Invalid):
        intake.set_tags(asset=asset, names=["x" * 61])
    assert asset.tags.count() == 2


@pytest.mark.parametrize(
    ("name", "data", "refusal"),
    [
        ("empty.jpg", b"", EmptyFile),
        ("page.html", media.html(), InvalidFileFormat),
        ("page.jpg", media.html(), InvalidFileFormat),
        ("drawing.png", media.svg(), InvalidFileFormat),
        ("program.jpg", b"\x7fELF\x02\x01\x01" + bytes(100), InvalidFileFormat),
    ],
)
def test_a_refused_file_leaves_nothing(name: str, data: bytes, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        intake.receive([data], filename=name, details=details())
    assert not Blob.objects.exists()
    assert not MediaAsset.objects.exists()
    assert not Job.objects.exists()
    assert stored_files() == []


def test_a_format_that_is_not_allowed_here_is_refused(settings: Any) -> None:
    settings.ALLOWED_FORMATS = ["png"]
    with pytest.raises(InvalidFileFormat) as refused:
        intake.receive([media.jpeg()], filename="a.jpg", details=details())
    assert refused.value.details["received_format"] == "jpg"
    assert refused.value.details["supported_formats"] == {"image": ["png"]}


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_the_limit_of_a_kind_is_exact(settings: Any, more: int) -> None:
    settings.MAX_DOCUMENT_MB = 1
    text = b"x" * (receiver.MB + more)
    if more > 0:
        with pytest.raises(FileTooLarge):
            intake.receive([text], filename="a.txt", details=details())
        assert stored_files() == []
    else:
        assert intake.receive([text], filename="a.txt", details=details()).created


def test_too_much_is_noticed_while_it_streams(settings: Any) -> None:
    settings.MAX_DOCUMENT_MB = 1
    taken = 0

    def endless() -> Any:
        nonlocal taken
        while True:
            taken += 1
            yield b"x" * 100_000

    with pytest.raises(FileTooLarge):
        intake.receive(endless(), filename="a.txt", details=details())
    assert taken <= 11
    assert stored_files() == []


def test_an_announced_size_is_refused_before_a_byte(settings: Any) -> None:
    with pytest.raises(FileTooLarge):
        Receiver(filename="a.txt", declared_size=10**13)
    settings.MIN_FREE_MB = 10**9
    with pytest.raises(StorageFull):
        Receiver(filename="a.txt", declared_size=10)
    assert stored_files() == []


def test_large_files_are_hashed_by_threads_to_the_same_end() -> None:
    data = b"large " * 2_000_000
    with Receiver(filename="a.txt") as taking:
        for start in range(0, len(data), 1 << 20):
            taking.feed(data[start : start + (1 << 20)])
        received = taking.finish()
    assert received.sha256 == hashlib.sha256(data).hexdigest()
    assert received.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()
    assert threading.active_count() < 20


def test_bytes_that_a_purge_took_in_between_are_put_again(monkeypatch: pytest.MonkeyPatch) -> None:
    asset = make_asset()
    assert asset.blob is not None
    storage.delete(asset.blob.key)
    make_asset(space=make_space("Other"))
    assert storage.exists(asset.blob.key)


def test_expired_bytes_that_come_in_anew_are_there_again() -> None:
    asset = make_asset()
    Blob.objects.update(whereabouts=Whereabouts.EXPIRED)
    assert asset.blob is not None
    storage.delete(asset.blob.key)
    make_asset(space=make_space("Other"))
    asset.blob.refresh_from_db()
    assert asset.blob.whereabouts == Whereabouts.PRIMARY
    assert storage.exists(asset.blob.key)


@pytest.mark.django_db(transaction=True)
def test_twenty_same_uploads_at_once_make_one_asset() -> None:
    space, owner = make_space(), make_user()
    data = media.jpeg(640, 480)
    barrier = threading.Barrier(20)
    kept: list[intake.Kept] = []
    wrong: list[Exception] = []

    def upload() -> None:
        given = intake.Details(space=space, owner=owner, door=Door.UPLOAD)
        barrier.wait(20)
        try:
            kept.append(intake.receive([data], filename="same.jpg", details=given))
        except Exception as error:  # noqa: BLE001 - whatever a thread meets belongs in the report
            wrong.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=upload) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len({each.asset.pk for each in kept}) == 1
    assert sum(each.created for each in kept) == 1
    assert (Blob.objects.count(), MediaAsset.objects.count(), Job.objects.count()) == (1, 1, 1)
    assert len(stored_files()) == 1
    connection.close()

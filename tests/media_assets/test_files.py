"""Stored files behind signed addresses: ranges, caching, and addresses that are not ours."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from media_assets import originals, storage
from media_assets.models import MediaAsset
from tests import media
from tests.make import make_asset

pytestmark = pytest.mark.django_db
TEXT = b"0123456789" * 10


@pytest.fixture
def asset() -> MediaAsset:
    return make_asset(TEXT, filename="digits.txt")


@pytest.fixture
def url(asset: MediaAsset) -> str:
    found = originals.url(asset)
    assert found is not None
    return found


def body(response: Any) -> bytes:
    return b"".join(response) if response.streaming else response.content


def test_the_whole_file(client: Client, url: str) -> None:
    response = client.get(url)
    assert body(response) == TEXT
    assert response["Content-Length"] == "100"
    assert response["Accept-Ranges"] == "bytes"
    assert response["Content-Disposition"] == 'attachment; filename="digits.txt"'


@pytest.mark.parametrize(
    ("asked", "status", "expected", "told"),
    [
        ("bytes=0-9", 206, b"0123456789", "bytes 0-9/100"),
        ("bytes=95-", 206, b"56789", "bytes 95-99/100"),
        ("bytes=-3", 206, b"789", "bytes 97-99/100"),
        ("bytes=-1000", 206, TEXT, "bytes 0-99/100"),
        ("bytes=90-1000", 206, b"0123456789", "bytes 90-99/100"),
        ("bytes=100-", 416, b"", "bytes */100"),
        ("bytes=-0", 416, b"", "bytes */100"),
        ("bytes=5-2", 200, TEXT, None),
        ("bytes=0-1,5-6", 200, TEXT, None),
        ("lines=1-2", 200, TEXT, None),
        ("bytes=" + "9" * 100 + "-", 200, TEXT, None),
    ],
)
def test_ranges(
    client: Client, url: str, asked: str, status: int, expected: bytes, told: str | None
) -> None:
    response = client.get(url, headers={"Range": asked})
    assert response.status_code == status
    assert body(response) == expected
    assert response.get("Content-Range") == told


def test_what_is_known_already_is_not_sent_again(client: Client, url: str) -> None:
    etag = client.get(url)["ETag"]
    assert client.get(url, headers={"If-None-Match": etag}).status_code == 304
    other = client.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'})
    assert other.status_code == 200


def test_an_address_stays_the_same_for_a_while(asset: MediaAsset, url: str) -> None:
    assert originals.url(asset) == url


def test_an_address_expires(client: Client, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    later = storage.time.time() + 10_000
    monkeypatch.setattr(storage.time, "time", lambda: later)
    assert client.get(url).status_code == 403


def test_an_address_that_is_not_ours_finds_nothing(client: Client, url: str) -> None:
    for wrong in (url[:-2] + "xx", "/files/abc", "/files/" + "a:" * 50):
        assert client.get(wrong).status_code == 404


def test_bytes_that_are_gone_say_so(client: Client, asset: MediaAsset, url: str) -> None:
    assert asset.blob is not None
    storage.delete(asset.blob.key)
    assert client.get(url).status_code == 410


@pytest.mark.parametrize("name", ["grüße.jpg", "a\u202egpj.exe.jpg", 'quote".jpg', "=1+1.jpg"])
def test_names_are_safe_in_the_header(client: Client, name: str) -> None:
    asset = make_asset(media.jpeg(), filename=name)
    found = originals.url(asset)
    assert found is not None
    header = client.get(found)["Content-Disposition"]
    assert header.startswith("attachment;")
    assert "\n" not in header
    assert "\u202e" not in header

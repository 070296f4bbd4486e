"""Addresses over HTTP: announced, held in the address itself, refused, and given way."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from media_assets import intake
from media_assets.intake import Arrival
from media_assets.models import Blob, MediaAsset, Role, Space
from processing.models import Job
from tests import media
from tests.make import make_asset, make_post, make_space

pytestmark = pytest.mark.django_db

URL = "/api/v1/assets/"


def client_of(name: str) -> APIClient:
    client = APIClient()
    client.force_authenticate(User.objects.get(username=name))
    return client


@pytest.fixture(autouse=True)
def isolated(settings: Any) -> None:
    """Nobody is let into a space that everybody shares."""
    settings.DEFAULT_ROLE = "none"


@pytest.fixture
def space() -> Space:
    return make_space(alice=Role.CONTRIBUTOR, max=Role.MANAGER)


@pytest.fixture
def alice(space: Space) -> APIClient:
    return client_of("alice")


def send(client: APIClient, url: Any, **fields: Any) -> Any:
    return client.post(URL, {"url": url, **fields}, format="json")


def data_url(data: bytes, media_type: str = "image/jpeg") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def test_an_address_is_an_asset_without_bytes_and_a_job_that_fetches_them(
    alice: APIClient, space: Space
) -> None:
    post = make_post(space)
    response = send(
        alice,
        "https://example.com/a.jpg",
        title="A picture",
        tags=["red"],
        post=str(post.pk),
        prompt="What is it?",
        steps=["inspect"],
    )
    body = response.json()
    assert response.status_code == 202, body
    assert response["Location"].endswith(f"{URL}{body['id']}/")
    assert body["source_url"] == "https://example.com/a.jpg"
    assert (body["kind"], body["size"], body["sha256"], body["file_url"]) == (None,) * 4
    assert (body["title"], body["tags"], body["post"]) == ("A picture", ["red"], str(post.pk))
    assert body["status"] == "not_started"
    assert [step["name"] for step in body["jobs"][0]["steps"]] == ["download"]
    assert alice.get(f"{URL}{body['id']}/download/").status_code == 404
    listed = alice.get(URL).json()["results"]
    assert [each["id"] for each in listed] == [body["id"]]


def test_the_same_address_again_is_the_same_asset(alice: APIClient) -> None:
    first, again = (send(alice, "https://example.com/a.jpg") for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"]
    assert Job.objects.count() == 1


def test_a_data_url_is_there_at_once(alice: APIClient) -> None:
    first = send(alice, data_url(media.jpeg()))
    again = send(alice, data_url(media.jpeg()))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["size"] == len(media.jpeg())
    assert first.json()["source_url"] is None
    text = send(alice, "data:text/csv,a%2Cb%0A1%2C2%0A").json()
    assert (text["mime_type"], text["filename"]) == ("text/csv", "file.csv")


@pytest.mark.parametrize(
    ("url", "status", "code"),
    [
        ("http://127.0.0.1/a.jpg", 400, "UNSAFE_URL"),
        ("http://[::ffff:169.254.169.254]/", 400, "UNSAFE_URL"),
        ("http://localhost/", 400, "UNSAFE_URL"),
        ("http://example.com:22/", 400, "UNSAFE_URL"),
        ("http://alice:secret@example.com/", 400, "UNSAFE_URL"),
        ("file:///etc/passwd", 400, "UNSAFE_URL"),
        (" https://example.com/a.jpg", 400, "UNSAFE_URL"),
        ("https://example.com/" + "a" * 2000, 400, "UNSAFE_URL"),
        ("", 400, "VALIDATION_ERROR"),
        (None, 400, "VALIDATION_ERROR"),
        (["https://example.com/"], 400, "VALIDATION_ERROR"),
        ("data:image/jpeg", 400, "VALIDATION_ERROR"),
        ("data:image/jpeg;base64,====", 400, "VALIDATION_ERROR"),
        ("data:image/jpeg;base64,", 400, "EMPTY_FILE"),
        (data_url(media.html()), 415, "INVALID_FILE_FORMAT"),
        (data_url(bytes(10_600_000)), 413, "FILE_TOO_LARGE"),
        (data_url(bytes(20_000_000)), 413, "FILE_TOO_LARGE"),
    ],
)
def test_a_bad_address_is_refused_and_makes_nothing(
    alice: APIClient, url: Any, status: int, code: str
) -> None:
    response = send(alice, url)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert not MediaAsset.objects.exists()
    assert not Blob.objects.exists()
    assert not Job.objects.exists()


def test_an_unknown_step_is_refused_before_anything_is_made(alice: APIClient) -> None:
    response = send(alice, "https://example.com/a.jpg", steps=["dance"])
    assert (response.status_code, response.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert not MediaAsset.objects.exists()


def test_a_viewer_may_send_no_address(space: Space) -> None:
    make_space("Elsewhere", vera=Role.VIEWER)
    assert send(client_of("vera"), "https://example.com/a.jpg").status_code == 403
    assert (
        send(client_of("vera"), "https://example.com/a.jpg", space=str(space.pk)).status_code == 404
    )
    assert not MediaAsset.objects.exists()


def test_who_asks_for_an_asset_that_gave_way_is_shown_the_other(
    alice: APIClient, space: Space
) -> None:
    there = make_asset(space=space)
    announced = send(alice, "https://example.com/a.jpg").json()["id"]
    blob = there.blob
    assert blob is not None
    intake.fill(
        asset=MediaAsset.objects.get(pk=announced), arrival=Arrival.of_blob(blob, filename="a.jpg")
    )
    assert alice.get(f"{URL}{announced}/").json()["id"] == str(there.pk)
    assert alice.get(f"{URL}{announced}/log/").status_code == 200
    assert len(alice.get(URL).json()["results"]) == 1
    # What changes or deletes names the asset itself.
    assert alice.delete(f"{URL}{announced}/").status_code == 404
    assert client_of("max").post(f"{URL}{announced}/restore/").status_code == 409
    make_space("Elsewhere", charlie=Role.MANAGER)
    assert client_of("charlie").get(f"{URL}{announced}/").status_code == 404
    there.refresh_from_db()
    assert there.deleted_at is None

"""Posts over HTTP: taken in with their media, repeated, listed, changed, deleted, and who may."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from media_assets.models import MediaAsset, Post, Role, Space
from processing.models import Job, JobStatus
from tests import media
from tests.make import make_asset, make_post, make_space

pytestmark = pytest.mark.django_db

URL = "/api/v1/posts/"
A, B, C = (f"https://example.com/{name}" for name in ("a.jpg", "b.mp4", "c.pdf"))


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
    return make_space(
        alice=Role.CONTRIBUTOR, bob=Role.CONTRIBUTOR, vera=Role.VIEWER, rita=Role.REVIEWER
    )


@pytest.fixture
def alice(space: Space) -> APIClient:
    return client_of("alice")


def send(client: APIClient, media: Any = None, **fields: Any) -> Any:
    body = {"source": "chat", "external_id": "17", **fields}
    return client.post(URL, body if media is None else {**body, "media": media}, format="json")


def test_a_post_is_taken_in_with_its_media(alice: APIClient, space: Space) -> None:
    response = send(
        alice,
        [{"type": "image", "url": A}, {"type": "video", "url": B}],
        author="Ann",
        text="Look!",
        url="https://chat.example.com/17",
        posted_at="2024-05-06T07:08:09Z",
    )
    body = response.json()
    assert response.status_code == 201, body
    assert response["Location"].endswith(f"{URL}{body['id']}/")
    shown = alice.get(f"{URL}{body['id']}/").json()
    for answer in (body, shown):
        assert (answer["source"], answer["external_id"]) == ("chat", "17")
        assert (answer["author"], answer["text"]) == ("Ann", "Look!")
        assert answer["url"] == "https://chat.example.com/17"
        assert answer["posted_at"] == "2024-05-06T07:08:09Z"
        assert [each["kind"] for each in answer["assets"]] == ["image", "video"]
        assert set(answer["assets"][0]) == {
            "id",
            "kind",
            "status",
            "thumbnail_url",
            "analysis",
            "transcription",
        }
    assert body["unknown_media"] == []
    assert set(MediaAsset.objects.values_list("source_url", flat=True)) == {A, B}
    assert Job.objects.filter(steps__name="download").count() == 2
    assert Post.objects.get().raw["media"][1]["url"] == B


@pytest.mark.parametrize(
    ("media", "kinds"),
    [
        (None, []),
        ([], []),
        ({"type": "audio", "url": A}, ["audio"]),
        ({"type": "images", "images": [{"url": A}, {"url": B}]}, ["image", "image"]),
        (
            [{"type": "images", "images": [A]}, {"type": "document", "url": C}],
            ["image", "document"],
        ),
        ([{"type": "image", "url": A}, {"type": "image", "url": A}], ["image"]),
    ],
)
def test_media_come_in_all_shapes(alice: APIClient, media: Any, kinds: list[str]) -> None:
    body = send(alice, media).json()
    assert [each["kind"] for each in body["assets"]] == kinds


def test_media_of_unknown_kinds_are_told_and_stop_nothing(alice: APIClient) -> None:
    response = send(alice, [{"type": "poll", "url": B}, {"type": "image", "url": A}, {"url": C}])
    body = response.json()
    assert response.status_code == 201
    assert [each["kind"] for each in body["assets"]] == ["image"]
    assert body["unknown_media"] == [
        {"position": 0, "type": "poll"},
        {"position": 2, "type": "None"},
    ]


def test_a_repeated_post_adds_what_it_lacked_and_fetches_nothing_twice(alice: APIClient) -> None:
    first = send(alice, {"type": "image", "url": A}, text="First")
    again = send(alice, [{"type": "image", "url": A}, {"type": "video", "url": B}], text="Second")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["text"] == "First"
    assert [each["kind"] for each in again.json()["assets"]] == ["image", "video"]
    assert Job.objects.count() == 2


def test_a_repeated_post_does_not_bring_back_what_was_deleted(alice: APIClient) -> None:
    asset = send(alice, {"type": "image", "url": A}).json()["assets"][0]["id"]
    assert alice.delete(f"/api/v1/assets/{asset}/").status_code == 204
    assert send(alice, {"type": "image", "url": A}).json()["assets"] == []


def test_posts_without_an_id_of_their_own_are_all_new(alice: APIClient) -> None:
    assert send(alice, external_id="").status_code == send(alice, external_id="").status_code == 201
    assert Post.objects.count() == 2


def test_the_same_post_in_another_space_is_another(alice: APIClient, space: Space) -> None:
    other = make_space("Elsewhere", alice=Role.MANAGER)
    assert send(alice).status_code == send(alice, space=str(other.pk)).status_code == 201


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"media": {"type": "image", "url": "http://127.0.0.1/a.jpg"}}, "UNSAFE_URL"),
        (
            {"media": [{"type": "image", "url": A}, {"type": "image", "url": "ftp://a"}]},
            "UNSAFE_URL",
        ),
        ({"media": {"type": "image", "url": "data:image/png;base64,AA"}}, "UNSAFE_URL"),
        ({"media": {"type": "image"}}, "VALIDATION_ERROR"),
        ({"media": {"type": "images"}}, "VALIDATION_ERROR"),
        ({"media": {"type": "images", "images": [{}]}}, "VALIDATION_ERROR"),
        ({"media": "https://example.com/a.jpg"}, "VALIDATION_ERROR"),
        ({"media": [{"type": "image", "url": f"{A}?{n}"} for n in range(201)]}, "VALIDATION_ERROR"),
        ({"url": "javascript:alert(1)"}, "VALIDATION_ERROR"),
        ({"posted_at": "yesterday"}, "VALIDATION_ERROR"),
        ({"source": "s" * 61}, "VALIDATION_ERROR"),
    ],
)
def test_a_bad_post_makes_nothing(alice: APIClient, fields: dict[str, Any], code: str) -> None:
    response = send(alice, **fields)
    assert (response.status_code, response.json()["error"]["code"]) == (400, code)
    assert not Post.objects.exists()
    assert not MediaAsset.objects.exists()


def test_a_post_shows_what_the_machines_say(alice: APIClient, space: Space) -> None:
    post = make_post(space)
    asset = make_asset(space=space, post=post)
    MediaAsset.objects.filter(pk=asset.pk).update(
        current={"describe": {"description": "A car"}, "transcribe": {"text": "Hello"}}
    )
    trashed = make_asset(media.png(), space=space, post=post, filename="b.png")
    alice.force_authenticate(User.objects.get(username="rita"))
    MediaAsset.objects.filter(pk=trashed.pk).update(deleted_at="2024-01-01T00:00:00Z")
    shown = alice.get(f"{URL}{post.pk}/").json()["assets"]
    assert len(shown) == 1
    assert shown[0]["analysis"] == {"description": "A car"}
    assert shown[0]["transcription"] == {"text": "Hello"}


def test_posts_are_found_by_source_author_and_date(alice: APIClient, space: Space) -> None:
    old = make_post(space, source="chat", author="Ann", posted_at="2024-01-01T00:00:00Z")
    new = make_post(space, source="mail", author="Ben", posted_at="2024-03-01T00:00:00Z")

    def found(query: str) -> list[str]:
        return [each["id"] for each in alice.get(f"{URL}?{query}").json()["results"]]

    assert found("") == [str(new.pk), str(old.pk)]
    assert found("source=chat") == [str(old.pk)]
    assert found("author=Ben") == [str(new.pk)]
    assert found("posted_after=2024-02-01T00:00:00Z") == [str(new.pk)]
    assert found("posted_before=2024-02-01T00:00:00Z") == [str(old.pk)]
    assert found("ordering=posted_at") == [str(old.pk), str(new.pk)]
    assert alice.get(f"{URL}?owner__password=x").status_code == 400


def test_the_list_has_as_many_queries_for_many_posts_as_for_one(
    alice: APIClient, space: Space, django_assert_max_num_queries: Callable[..., Any]
) -> None:
    for number in range(6):
        post = make_post(space, external_id=str(number))
        for seed in range(2):
            make_asset(media.jpeg(64, 48, seed=10 * number + seed), space=space, post=post)
    first = alice.get(f"{URL}?page_size=4").json()
    with django_assert_max_num_queries(5):
        second = alice.get(first["next"]).json()
    assert (len(first["results"]), len(second["results"])) == (4, 2)
    assert all(len(each["assets"]) == 2 for each in second["results"])


def test_a_post_is_changed_by_whoever_brought_it_or_works_on_all(
    alice: APIClient, space: Space
) -> None:
    address = f"{URL}{send(alice).json()['id']}/"
    for name, status in (("alice", 200), ("rita", 200), ("bob", 403), ("vera", 403)):
        response = client_of(name).patch(address, {"text": f"By {name}"}, format="json")
        assert response.status_code == status
    assert Post.objects.get().text == "By rita"


def test_a_post_takes_no_other_s_place(alice: APIClient, space: Space) -> None:
    make_post(space, source="chat", external_id="18")
    post = send(alice).json()["id"]
    response = alice.patch(f"{URL}{post}/", {"external_id": "18"}, format="json")
    assert (response.status_code, response.json()["error"]["code"]) == (409, "CONFLICT")


def test_a_deleted_post_puts_its_media_into_the_trash(alice: APIClient) -> None:
    post = send(alice, {"type": "image", "url": A}).json()["id"]
    assert client_of("bob").delete(f"{URL}{post}/").status_code == 403
    assert alice.delete(f"{URL}{post}/").status_code == 204
    asset = MediaAsset.objects.get()
    assert (asset.post, asset.deleted_at is None) == (None, False)
    assert Job.objects.get().status == JobStatus.CANCELLED
    assert alice.get(f"{URL}{post}/").status_code == 404


def test_a_post_with_media_that_one_may_not_delete_stays_whole(
    alice: APIClient, space: Space
) -> None:
    post = Post.objects.get(pk=send(alice, {"type": "image", "url": A}).json()["id"])
    make_asset(space=space, post=post, owner=User.objects.get(username="bob"))
    assert alice.delete(f"{URL}{post.pk}/").status_code == 403
    assert MediaAsset.objects.filter(post=post, deleted_at__isnull=True).count() == 2


def test_posts_of_a_space_one_is_not_in_are_not_there(alice: APIClient, space: Space) -> None:
    post = send(alice).json()["id"]
    make_space("Elsewhere", charlie=Role.MANAGER)
    charlie = client_of("charlie")
    assert charlie.get(URL).json()["results"] == []
    for method in (charlie.get, charlie.patch, charlie.delete):
        assert method(f"{URL}{post}/").status_code == 404
    assert send(charlie, space=str(space.pk)).status_code == 404
    assert send(client_of("vera")).status_code == 403
    assert send(APIClient()).status_code == 401
    assert Post.objects.count() == 1

"""Lists are read page by page, whatever comes and goes, and nonsense is refused."""

from __future__ import annotations

import base64
import json
from typing import Any, ClassVar

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.urls import include, path
from rest_framework import mixins, serializers
from rest_framework.test import APIClient
from rest_framework.viewsets import GenericViewSet

from media_assets.models import Post, Space
from tests.make import make_user
from tests.mediahub.api.ground import error_of

# Posts stand for any list: `posted_at` may be empty, `source` has many equal ones.


class _PostSerializer(serializers.ModelSerializer[Post]):
    class Meta:
        model = Post
        fields: ClassVar = ["id", "source", "external_id", "posted_at"]


class _Posts(mixins.ListModelMixin, GenericViewSet[Post]):
    queryset = Post.objects.all()
    serializer_class = _PostSerializer
    ordering_fields: ClassVar = ["created_at", "posted_at", "source"]


urlpatterns = [
    path("api/v1/list/", _Posts.as_view({"get": "list"})),
    path("api/", include("mediahub.api.urls")),
]


@pytest.fixture
def client(db: None) -> Any:
    client = APIClient()
    client.force_login(make_user())
    with override_settings(ROOT_URLCONF=__name__):
        yield client


def fill(count: int) -> list[Post]:
    space = Space.objects.first() or Space.objects.create(name="Team")
    return [
        Post.objects.create(
            space=space,
            source="web" if number % 3 else "chat",
            external_id=str(number),
            posted_at=f"2026-01-{number % 5 + 1:02d}T00:00:00Z" if number % 4 else None,
        )
        for number in range(count)
    ]


def walk(client: APIClient, address: str, towards: str = "next") -> list[list[str]]:
    """The external ids of all pages from an address on."""
    pages = []
    following: str | None = address
    while following:
        body = client.get(following).json()
        pages.append([row["external_id"] for row in body["results"]])
        following = body[towards]
        assert len(pages) < 100
    return pages


def last_page(client: APIClient, address: str) -> str:
    while True:
        body = client.get(address).json()
        if body["next"] is None:
            return address
        address = body["next"]


def test_the_newest_come_first(client: APIClient) -> None:
    fill(5)
    body = client.get("/api/v1/list/").json()
    assert set(body) == {"next", "previous", "results"}
    assert [row["external_id"] for row in body["results"]] == ["4", "3", "2", "1", "0"]
    assert body["next"] is None
    assert body["previous"] is None


ORDERINGS = ["created_at", "-created_at", "posted_at", "-posted_at", "source", "-source"]


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("size", [1, 3, 7, 23])
def test_all_rows_come_once_forwards_and_backwards(
    client: APIClient, ordering: str, size: int
) -> None:
    fill(23)
    address = f"/api/v1/list/?ordering={ordering}&page_size={size}"
    forwards = [row for page in walk(client, address) for row in page]
    assert sorted(forwards, key=int) == [str(number) for number in range(23)]
    end = last_page(client, address)
    backwards = [row for page in reversed(walk(client, end, "previous")) for row in page]
    assert backwards == forwards


def test_empty_values_are_the_largest(client: APIClient) -> None:
    fill(9)
    rows = client.get("/api/v1/list/?ordering=posted_at").json()["results"]
    assert [row["posted_at"] is None for row in rows] == [False] * 6 + [True] * 3
    rows = client.get("/api/v1/list/?ordering=-posted_at").json()["results"]
    assert [row["posted_at"] is None for row in rows] == [True] * 3 + [False] * 6


def test_what_comes_and_goes_meanwhile_shifts_nothing(client: APIClient) -> None:
    posts = fill(6)
    first = client.get("/api/v1/list/?page_size=2").json()
    assert [row["external_id"] for row in first["results"]] == ["5", "4"]
    posts[4].delete()
    Post.objects.create(space=posts[0].space, external_id="new")
    second = client.get(first["next"]).json()
    assert [row["external_id"] for row in second["results"]] == ["3", "2"]


def test_a_page_whose_rows_are_gone_leads_back(client: APIClient) -> None:
    fill(4)
    first = client.get("/api/v1/list/?page_size=2").json()
    Post.objects.filter(external_id__in=["0", "1"]).delete()
    second = client.get(first["next"]).json()
    assert second["results"] == []
    assert second["next"] is None
    assert client.get(second["previous"]).json()["results"]
    back = client.get(client.get(second["previous"]).json()["next"] or second["previous"])
    assert back.status_code == 200


def test_going_back_past_the_first_leads_to_the_first(client: APIClient) -> None:
    fill(4)
    first = client.get("/api/v1/list/?page_size=2").json()
    second = client.get(first["next"]).json()
    Post.objects.filter(external_id__in=["3", "2"]).delete()
    before = client.get(second["previous"]).json()
    assert before["results"] == []
    assert before["previous"] is None
    again = client.get(before["next"]).json()
    assert [row["external_id"] for row in again["results"]] == ["1", "0"]


def test_other_parameters_stay_in_the_links(client: APIClient) -> None:
    fill(4)
    following = client.get("/api/v1/list/?page_size=2&ordering=source").json()["next"]
    assert "page_size=2" in following
    assert "ordering=source" in following


@pytest.mark.parametrize("size", ["0", "-1", "abc", "1.5", "", " ", "٣", "1e9", "null", "00"])
def test_a_page_size_that_is_none_is_refused(client: APIClient, size: str) -> None:
    response = client.get("/api/v1/list/", {"page_size": size})
    if size == "":
        assert response.status_code == 200
        return
    assert "page_size" in error_of(response, 400, "VALIDATION_ERROR")["details"]


@pytest.mark.parametrize("size", ["201", "1000000000", "9" * 400, "9" * 5000])
def test_a_page_size_past_the_most_is_cut(client: APIClient, size: str) -> None:
    fill(201)
    assert len(client.get(f"/api/v1/list/?page_size={size}").json()["results"]) == 200


@pytest.mark.parametrize(
    "ordering",
    ["id", "space", "space__name", "-space__memberships__user__password", "?", "--source"],
)
def test_an_ordering_that_is_not_offered_is_refused(client: APIClient, ordering: str) -> None:
    error = error_of(client.get("/api/v1/list/", {"ordering": ordering}), 400, "VALIDATION_ERROR")
    assert "created_at, posted_at, source" in error["details"]["ordering"][0]


def made_up(*told: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "%00",
        "A" * 5000,
        made_up(),
        made_up(1, 2, 3),
        made_up("-created_at", None, "not an id", 0),
        made_up("-created_at", None, {"a": 1}, 0),
        made_up("-created_at", [1], "0190b0b0-0000-7000-8000-000000000000", 0),
        made_up("source", None, "0190b0b0-0000-7000-8000-000000000000", 0),
        made_up({}, None, "0190b0b0-0000-7000-8000-000000000000", 0),
        base64.urlsafe_b64encode(b"[" * 1400).decode(),
    ],
)
def test_a_cursor_that_is_not_ours_is_refused(client: APIClient, cursor: str) -> None:
    fill(1)
    error = error_of(client.get("/api/v1/list/", {"cursor": cursor}), 400, "VALIDATION_ERROR")
    assert "cursor" in error["details"]


@pytest.mark.parametrize("value", ["yesterday", "2026-01-01", "2026-01-01T00:00:00", 5, True, {}])
def test_a_cursor_with_a_value_of_another_type_is_refused(client: APIClient, value: Any) -> None:
    cursor = made_up("posted_at", value, "0190b0b0-0000-7000-8000-000000000000", 0)
    response = client.get("/api/v1/list/", {"cursor": cursor, "ordering": "posted_at"})
    error_of(response, 400, "VALIDATION_ERROR")


def test_the_last_page_costs_as_many_queries_as_the_first(
    client: APIClient, django_assert_num_queries: Any
) -> None:
    fill(20)
    client.get("/api/v1/list/")  # the client's session is made here
    end = last_page(client, "/api/v1/list/?page_size=5")
    for address in ("/api/v1/list/?page_size=5", end):
        with django_assert_num_queries(3):  # the session, the user, the page
            client.get(address)


@pytest.mark.parametrize(
    "query",
    [
        "owner=1",
        "owner__password__startswith=pbkdf2",
        "source=web",
        "limit=5",
        "cursor=&offset=3",
        "space__memberships__user__username=alice",
    ],
)
def test_a_filter_nobody_declared_is_refused_and_the_known_are_named(
    client: APIClient, query: str
) -> None:
    fill(1)
    error = error_of(client.get(f"/api/v1/list/?{query}"), 400, "VALIDATION_ERROR")
    assert "cursor, ordering, page_size" in error["message"]


def test_the_filters_of_a_list_are_known_and_no_others(
    client: APIClient, django_user_model: type[User]
) -> None:
    assert (
        client.get("/api/v1/assets/?kind=image&page_size=5&ordering=created_at").status_code == 200
    )
    error = error_of(
        client.get("/api/v1/assets/?owner__password__startswith=p"), 400, "VALIDATION_ERROR"
    )
    assert "kind" in error["message"]
    assert list(error["details"]) == ["owner__password__startswith"]

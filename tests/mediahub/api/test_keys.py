"""API keys: one's own, shown once, within their scopes and their space."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.utils import timezone
from rest_framework.test import APIClient

from media_assets.models import Role, Space
from mediahub.api.permissions import scope_of
from mediahub.models import ApiKey, Scope
from tests.make import make_space, make_user
from tests.mediahub.api.ground import People, client_of, error_of, make_key

KEYS = "/api/v1/api-keys/"


def make_staff(*permissions: str) -> User:
    staff = make_user("staff", is_staff=True)
    staff.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return staff


def test_a_key_is_shown_once_and_works(people: People) -> None:
    client = client_of(people.alice)
    response = client.post(KEYS, {"label": "Robot", "scopes": ["read", "upload"]})
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    made = response.json()
    assert set(made) == {
        *("id", "owner", "label", "space", "scopes", "prefix", "expires_at"),
        *("last_used_at", "revoked_at", "created_at", "key"),
    }
    assert made["key"].startswith(made["prefix"])
    [listed] = client.get(KEYS).json()["results"]
    assert "key" not in listed
    assert made["key"] not in client.get(f"{KEYS}{made['id']}/").content.decode()
    robot = APIClient()
    robot.credentials(HTTP_AUTHORIZATION=f"Token {made['key']}")
    assert robot.get("/api/v1/config/").status_code == 200


def test_a_key_ends_in_a_year_if_nothing_else_is_said(people: People) -> None:
    client = client_of(people.alice)
    made = client.post(KEYS, {"label": "Robot", "scopes": ["read"]}).json()
    ends = datetime.fromisoformat(made["expires_at"]) - timezone.now()
    assert timedelta(days=364) < ends <= timedelta(days=365)
    forever = client.post(KEYS, {"label": "Robot", "scopes": ["read"], "expires_at": None}).json()
    assert forever["expires_at"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"label": ""}, "label"),
        ({"label": "x" * 101}, "label"),
        ({"label": None}, "label"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["everything"]}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": None}, "scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"space": "nowhere"}, "space"),
        ({"space": "0190b0b0-0000-7000-8000-000000000000"}, "space"),
    ],
    ids=str,
)
def test_a_wrong_wish_makes_no_key(people: People, change: dict[str, Any], field: str) -> None:
    wish = {"label": "Robot", "scopes": ["read"], **change}
    response = client_of(people.alice).post(KEYS, wish)
    assert field in error_of(response, 400, "VALIDATION_ERROR")["details"]
    assert not ApiKey.objects.exists()


def test_nobody_sets_what_is_not_theirs_to_set(people: People) -> None:
    wish = {
        "label": "Robot",
        "scopes": ["read"],
        "owner": people.bob.pk,
        "prefix": "mh_mine",
        "key_hash": "0" * 64,
        "last_used_at": "2020-01-01T00:00:00Z",
    }
    made = client_of(people.alice).post(KEYS, wish).json()
    assert made["owner"] == people.alice.pk
    assert made["prefix"] != "mh_mine"
    assert made["last_used_at"] is None


def test_a_key_is_bound_to_a_space_of_ones_own_alone(people: People) -> None:
    other = make_space("Charlie's", charlie=Role.MANAGER)
    wish = {"label": "Robot", "scopes": ["read"], "space": str(other.pk)}
    error_of(client_of(people.alice).post(KEYS, wish), 400, "VALIDATION_ERROR")
    wish["space"] = str(people.space.pk)
    made = client_of(people.alice).post(KEYS, wish).json()
    assert made["space"] == str(people.space.pk)


def test_others_neither_see_nor_revoke_a_key(people: People) -> None:
    key, client = make_key(people.alice, "read")
    for other in (people.bob, people.charlie):
        theirs = client_of(other)
        assert theirs.get(KEYS).json()["results"] == []
        error_of(theirs.get(f"{KEYS}{key.pk}/"), 404, "NOT_FOUND")
        error_of(theirs.delete(f"{KEYS}{key.pk}/"), 404, "NOT_FOUND")
    assert client.get("/api/v1/config/").status_code == 200


def test_a_revoked_key_stays_listed_and_is_refused(people: People) -> None:
    key, robot = make_key(people.alice, "read")
    client = client_of(people.alice)
    assert client.delete(f"{KEYS}{key.pk}/").status_code == 204
    error_of(robot.get("/api/v1/config/"), 401, "NOT_AUTHENTICATED")
    [listed] = client.get(KEYS).json()["results"]
    first = listed["revoked_at"]
    assert first is not None
    assert client.delete(f"{KEYS}{key.pk}/").status_code == 204
    assert client.get(KEYS).json()["results"][0]["revoked_at"] == first


def test_staff_see_and_revoke_by_permission(people: People) -> None:
    key, robot = make_key(people.alice, "read")
    client = client_of(make_staff("view_apikey"))
    assert [each["id"] for each in client.get(KEYS).json()["results"]] == [str(key.pk)]
    error_of(client.delete(f"{KEYS}{key.pk}/"), 404, "NOT_FOUND")
    assert robot.get("/api/v1/config/").status_code == 200
    User.objects.get(username="staff").user_permissions.add(
        Permission.objects.get(codename="delete_apikey")
    )
    assert (
        client_of(User.objects.get(username="staff")).delete(f"{KEYS}{key.pk}/").status_code == 204
    )


def test_staff_without_the_permission_see_their_own_alone(people: People) -> None:
    make_key(people.alice, "read")
    assert client_of(make_staff()).get(KEYS).json()["results"] == []


# ------------------------------------------------------------------- scopes


@pytest.mark.parametrize("scope", Scope.values)
def test_a_key_does_what_its_scope_says_and_nothing_else(people: People, scope: str) -> None:
    _, robot = make_key(people.alice, scope)
    for needed, answer in [
        ("read", robot.get("/api/v1/spaces/")),
        ("upload", robot.post("/api/v1/assets/", {}, format="multipart")),
        ("analyze", robot.post("/api/v1/jobs/0190b0b0-0000-7000-8000-000000000000/cancel/")),
        ("manage", robot.post("/api/v1/spaces/", {"name": "New"})),
    ]:
        if needed == scope:
            assert answer.status_code != 403, (scope, needed)
        else:
            error = error_of(answer, 403, "PERMISSION_DENIED")
            assert error["details"] == {"scope": needed}
    assert Space.objects.filter(name="New").exists() == (scope == "manage")


def test_people_have_all_scopes(people: People) -> None:
    assert client_of(people.alice).post("/api/v1/spaces/", {"name": "New"}).status_code == 201


def test_what_names_no_scope_needs_read_or_manage() -> None:
    class View:
        action = "anything"

    assert [scope_of(View(), method) for method in ("GET", "HEAD", "OPTIONS")] == ["read"] * 3
    assert {scope_of(View(), method) for method in ("POST", "PUT", "PATCH", "DELETE")} == {"manage"}


def test_a_scope_is_named_by_action_or_method_or_both() -> None:
    class View:
        scopes = {
            "create": "upload",
            "jobs": {"GET": "read", "POST": "analyze"},
            "PATCH": "upload",
        }
        action: str | None = None

    view = View()
    assert scope_of(view, "PATCH") == "upload"
    view.action = "create"
    assert scope_of(view, "POST") == "upload"
    view.action = "jobs"
    assert scope_of(view, "POST") == "analyze"
    assert scope_of(view, "DELETE") == "manage"


# ------------------------------------------------------------------- keys that make keys


def test_only_a_key_that_manages_makes_keys(people: People) -> None:
    _, robot = make_key(people.alice, "read", "upload", "analyze")
    error_of(robot.post(KEYS, {"label": "x", "scopes": ["read"]}), 403, "PERMISSION_DENIED")
    assert ApiKey.objects.count() == 1


def test_a_key_gives_no_more_than_it_has(people: People) -> None:
    soon = timezone.now() + timedelta(days=2)
    _, robot = make_key(people.alice, "read", "manage", expires_at=soon)
    for wish in (
        {"scopes": ["upload"]},
        {"scopes": ["read"], "expires_at": None},
        {"scopes": ["read"], "expires_at": (soon + timedelta(days=1)).isoformat()},
    ):
        error_of(robot.post(KEYS, {"label": "x", **wish}), 403, "PERMISSION_DENIED")
    assert ApiKey.objects.count() == 1
    made = robot.post(KEYS, {"label": "x", "scopes": ["read"]}).json()
    assert datetime.fromisoformat(made["expires_at"]) == soon


def test_a_key_of_one_space_makes_and_sees_keys_of_that_space(people: People) -> None:
    other = make_space("Other", alice=Role.MANAGER)
    _, robot = make_key(people.alice, "read", "manage", space=people.space)
    make_key(people.alice, "read", space=other)
    make_key(people.alice, "read")
    made = robot.post(KEYS, {"label": "x", "scopes": ["read"]}).json()
    assert made["space"] == str(people.space.pk)
    wish = {"label": "x", "scopes": ["read"], "space": str(other.pk)}
    error_of(robot.post(KEYS, wish), 400, "VALIDATION_ERROR")
    seen = robot.get(KEYS).json()["results"]
    assert {each["space"] for each in seen} == {str(people.space.pk)}

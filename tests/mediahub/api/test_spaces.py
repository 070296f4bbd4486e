"""Spaces over HTTP: members see them, managers change them, and to others they are not there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Permission, User

from media_assets.models import Membership, Role, Space
from tests.make import make_asset, make_post, make_space, make_user
from tests.mediahub.api.ground import People, client_of, error_of, make_key

SPACES = "/api/v1/spaces/"
NOWHERE = "0190b0b0-0000-7000-8000-000000000000"


def address(space: Space, *rest: object) -> str:
    return SPACES + "".join(f"{part}/" for part in (space.pk, *rest))


def members(space: Space) -> dict[str, str]:
    rows = Membership.objects.filter(space=space)
    return {row.user.username: row.role for row in rows.select_related("user")}


def membership(space: Space, user: User) -> Membership:
    return Membership.objects.get(space=space, user=user)


@pytest.fixture
def staff(db: None) -> User:
    user = make_user("staff", is_staff=True)
    user.user_permissions.set(
        Permission.objects.filter(codename__in=["view_mediaasset", "change_space"])
    )
    return user


# ------------------------------------------------------------------- who sees what


def test_a_member_sees_the_space_and_their_role(people: People) -> None:
    for user, role in ((people.alice, "manager"), (people.bob, "viewer")):
        [space] = client_of(user).get(SPACES).json()["results"]
        assert space["id"] == str(people.space.pk)
        assert space["name"] == "Team"
        assert space["role"] == role
        assert client_of(user).get(address(people.space)).json() == space


def test_to_an_outsider_the_space_is_not_there(people: People) -> None:
    client = client_of(people.charlie)
    assert client.get(SPACES).json()["results"] == []
    members_of = address(people.space, "members")
    one = address(people.space, "members", membership(people.space, people.bob).pk)
    for answer in (
        client.get(address(people.space)),
        client.patch(address(people.space), {"name": "Mine"}),
        client.delete(address(people.space)),
        client.get(members_of),
        client.post(members_of, {"username": "charlie"}),
        client.get(one),
        client.patch(one, {"role": "manager"}),
        client.delete(one),
    ):
        error_of(answer, 404, "NOT_FOUND")
    people.space.refresh_from_db()
    assert people.space.name == "Team"
    assert members(people.space) == {"alice": "manager", "bob": "viewer"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.CONTRIBUTOR, Role.REVIEWER])
def test_a_member_who_is_no_manager_changes_nothing(people: People, role: Role) -> None:
    Membership.objects.filter(user=people.bob).update(role=role)
    client = client_of(people.bob)
    one = address(people.space, "members", membership(people.space, people.alice).pk)
    for answer in (
        client.patch(address(people.space), {"name": "Mine"}),
        client.delete(address(people.space)),
        client.get(address(people.space, "members")),
        client.post(address(people.space, "members"), {"username": "charlie"}),
        client.get(one),
        client.patch(one, {"role": "viewer"}),
        client.delete(one),
    ):
        error_of(answer, 403, "PERMISSION_DENIED")
    people.space.refresh_from_db()
    assert people.space.name == "Team"
    assert members(people.space) == {"alice": "manager", "bob": role.value}


def test_staff_see_all_spaces_and_change_them_by_permission(people: People, staff: User) -> None:
    client = client_of(staff)
    [space] = client.get(SPACES).json()["results"]
    assert space["role"] is None
    assert client.patch(address(people.space), {"name": "New"}).json()["name"] == "New"
    response = client.post(address(people.space, "members"), {"username": "charlie"})
    assert response.status_code == 201
    staff.user_permissions.remove(Permission.objects.get(codename="change_space"))
    client = client_of(User.objects.get(pk=staff.pk))
    error_of(client.patch(address(people.space), {"name": "Newer"}), 403, "PERMISSION_DENIED")
    staff.user_permissions.clear()
    assert client_of(User.objects.get(pk=staff.pk)).get(SPACES).json()["results"] == []


def test_without_a_credential_everything_is_401(people: People) -> None:
    client = client_of(None)
    error_of(client.get(SPACES), 401, "NOT_AUTHENTICATED")
    error_of(client.post(SPACES, {"name": "x"}), 401, "NOT_AUTHENTICATED")
    error_of(client.get(address(people.space, "members")), 401, "NOT_AUTHENTICATED")


def test_a_key_of_one_space_sees_that_space_alone(people: People) -> None:
    other = make_space("Other", alice=Role.MANAGER)
    _, robot = make_key(people.alice, "read", "manage", space=people.space)
    seen = robot.get(SPACES).json()["results"]
    assert [each["name"] for each in seen] == ["Team"]
    error_of(robot.get(address(other)), 404, "NOT_FOUND")
    error_of(robot.patch(address(other), {"name": "x"}), 404, "NOT_FOUND")
    error_of(robot.get(address(other, "members")), 404, "NOT_FOUND")
    error_of(robot.post(SPACES, {"name": "x"}), 403, "PERMISSION_DENIED")


def test_a_key_of_staff_bound_to_a_space_sees_that_space_alone(people: People, staff: User) -> None:
    make_space("Other")
    _, robot = make_key(staff, "read", space=people.space)
    assert [each["name"] for each in robot.get(SPACES).json()["results"]] == ["Team"]


# ------------------------------------------------------------------- the space


def test_whoever_makes_a_space_manages_it(people: People) -> None:
    response = client_of(people.charlie).post(SPACES, {"name": "  My   own "})
    assert response.status_code == 201
    assert response.json()["name"] == "My own"
    assert response.json()["role"] == "manager"
    space = Space.objects.get(pk=response.json()["id"])
    assert members(space) == {"charlie": "manager"}


@pytest.mark.parametrize("name", ["", "   ", "x" * 101, None, ["x"]])
def test_a_space_needs_a_name(people: People, name: Any) -> None:
    client = client_of(people.alice)
    for answer in (
        client.post(SPACES, {"name": name}),
        client.patch(address(people.space), {"name": name}),
    ):
        assert "name" in error_of(answer, 400, "VALIDATION_ERROR")["details"]
    assert list(Space.objects.values_list("name", flat=True)) == ["Team"]


def test_a_manager_renames_the_space_and_nothing_else_of_it(people: People) -> None:
    change = {"name": "New", "id": NOWHERE, "role": "viewer", "created_at": "2020-01-01T00:00:00Z"}
    answer = client_of(people.alice).patch(address(people.space), change).json()
    assert answer["name"] == "New"
    assert answer["id"] == str(people.space.pk)
    assert answer["role"] == "manager"
    assert not answer["created_at"].startswith("2020")
    assert client_of(people.alice).patch(address(people.space), {}).json()["name"] == "New"


def test_an_empty_space_is_deleted(people: People) -> None:
    assert client_of(people.alice).delete(address(people.space)).status_code == 204
    assert not Space.objects.exists()


@pytest.mark.parametrize("trashed", [False, True])
def test_a_space_with_media_is_not_deleted(people: People, trashed: bool) -> None:
    asset = make_asset(space=people.space, owner=people.alice)
    if trashed:
        type(asset).objects.update(deleted_at=asset.created_at)
    error_of(client_of(people.alice).delete(address(people.space)), 409, "CONFLICT")
    assert members(people.space) == {"alice": "manager", "bob": "viewer"}


def test_a_space_with_posts_is_not_deleted(people: People) -> None:
    make_post(people.space)
    error_of(client_of(people.alice).delete(address(people.space)), 409, "CONFLICT")
    assert Space.objects.exists()


# ------------------------------------------------------------------- its members


def test_a_manager_lets_people_in_by_name(people: People) -> None:
    client = client_of(people.alice)
    response = client.post(
        address(people.space, "members"), {"username": "charlie", "role": "reviewer"}
    )
    assert response.status_code == 201
    assert response.json()["user"] == {"id": people.charlie.pk, "username": "charlie", "name": ""}
    assert members(people.space)["charlie"] == "reviewer"
    assert len(client_of(people.charlie).get(SPACES).json()["results"]) == 1
    listed = client.get(address(people.space, "members")).json()["results"]
    assert [each["user"]["username"] for each in listed] == ["alice", "bob", "charlie"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "username"),
        ({"username": "nobody"}, "username"),
        ({"username": "gone"}, "username"),
        ({"username": "charlie", "role": "owner"}, "role"),
    ],
)
def test_nobody_unknown_is_let_in(people: People, body: dict[str, str], field: str) -> None:
    make_user("gone", is_active=False)
    answer = client_of(people.alice).post(address(people.space, "members"), body)
    assert field in error_of(answer, 400, "VALIDATION_ERROR")["details"]
    assert members(people.space) == {"alice": "manager", "bob": "viewer"}


def test_nobody_is_let_in_twice(people: People) -> None:
    body = {"username": "bob", "role": "manager"}
    answer = client_of(people.alice).post(address(people.space, "members"), body)
    error_of(answer, 409, "CONFLICT")
    assert members(people.space)["bob"] == "viewer"


def test_a_role_changes(people: People) -> None:
    one = address(people.space, "members", membership(people.space, people.bob).pk)
    client = client_of(people.alice)
    assert client.patch(one, {"role": "manager"}).json()["role"] == "manager"
    assert client.get(one).json()["role"] == "manager"
    error_of(client.patch(one, {"role": "king"}), 400, "VALIDATION_ERROR")
    assert members(people.space)["bob"] == "manager"


def test_the_last_manager_stays(people: People) -> None:
    one = address(people.space, "members", membership(people.space, people.alice).pk)
    client = client_of(people.alice)
    error_of(client.patch(one, {"role": "viewer"}), 409, "CONFLICT")
    error_of(client.delete(one), 409, "CONFLICT")
    assert members(people.space)["alice"] == "manager"
    assert client.patch(one, {"role": "manager"}).status_code == 200


def test_of_two_managers_one_may_go(people: People) -> None:
    Membership.objects.filter(user=people.bob).update(role=Role.MANAGER)
    one = address(people.space, "members", membership(people.space, people.alice).pk)
    assert client_of(people.bob).delete(one).status_code == 204
    assert members(people.space) == {"bob": "manager"}
    error_of(client_of(people.alice).get(address(people.space)), 404, "NOT_FOUND")


def test_everybody_may_leave(people: People) -> None:
    one = address(people.space, "members", membership(people.space, people.bob).pk)
    assert client_of(people.bob).delete(one).status_code == 204
    assert members(people.space) == {"alice": "manager"}


def test_a_member_of_another_space_is_not_found_here(people: People) -> None:
    other = make_space("Other", charlie=Role.MANAGER, alice=Role.MANAGER)
    foreign = membership(other, people.charlie).pk
    client = client_of(people.alice)
    one = address(people.space, "members", foreign)
    for answer in (client.get(one), client.patch(one, {"role": "viewer"}), client.delete(one)):
        error_of(answer, 404, "NOT_FOUND")
    assert members(other)["charlie"] == "manager"


@pytest.mark.parametrize("path", [f"{NOWHERE}/", f"{NOWHERE}/members/", "1/", "x/members/"])
def test_a_space_that_is_not_there_is_404(people: People, path: str) -> None:
    error_of(client_of(people.alice).get(SPACES + path), 404, "NOT_FOUND")


def test_the_list_costs_the_same_however_long(
    people: People, django_assert_num_queries: Any
) -> None:
    client = client_of(people.alice)
    client.get(SPACES)
    for number in range(5):
        make_space(f"Space {number}", alice=Role.MANAGER)
    with django_assert_num_queries(3):  # the session, the user, the spaces
        assert len(client.get(SPACES).json()["results"]) == 6

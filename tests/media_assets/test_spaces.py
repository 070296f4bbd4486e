"""The verbs of spaces: whatever the order and the hurry, everybody has a place and a space a manager."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import serializers
from django.db import connection

from media_assets import access, spaces
from media_assets.access import Asker
from media_assets.errors import Conflict, Invalid, PermissionDenied
from media_assets.models import Membership, Role, Space


def make_user(name: str = "alice", **fields: Any) -> User:
    return User.objects.create_user(name, **fields)


def side_by_side(*acts: Callable[[], Any]) -> list[Any]:
    """Run all at once; what each returned or raised."""
    results: list[Any] = [None] * len(acts)
    start = threading.Barrier(len(acts))

    def run(number: int, act: Callable[[], Any]) -> None:
        try:
            start.wait(10)
            results[number] = act()
        except Exception as error:  # noqa: BLE001 - handed to the test
            results[number] = error
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=each) for each in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["viewer", "contributor", "reviewer", "manager"])
def test_a_new_user_is_in_the_first_space_with_the_default_role(settings: Any, role: str) -> None:
    settings.DEFAULT_ROLE = role
    alice, bob = make_user("alice"), make_user("bob")
    assert Space.objects.count() == 1
    for user in (alice, bob):
        assert user.memberships.get().role == role
        assert spaces.default_space_for(user).pk == spaces.FIRST_SPACE


@pytest.mark.django_db
def test_a_superuser_manages_the_first_space() -> None:
    admin = User.objects.create_superuser("admin")
    assert admin.memberships.get().role == Role.MANAGER


@pytest.mark.django_db
def test_the_first_space_sorts_before_all_others() -> None:
    older = Space.objects.create(name="Older")
    make_user()
    first = Space.objects.order_by("id").first()
    assert first is not None
    assert first.pk == spaces.FIRST_SPACE
    assert first.pk != older.pk


@pytest.mark.django_db
def test_isolated_users_get_a_space_of_their_own_when_they_need_one(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    alice, bob = make_user("alice"), make_user("bob")
    assert not Space.objects.exists()
    own = spaces.default_space_for(alice)
    assert spaces.default_space_for(alice) == own
    assert own.memberships.get().user == alice
    assert own.memberships.get().role == Role.MANAGER
    assert spaces.default_space_for(bob) != own


@pytest.mark.django_db
def test_the_longest_name_gives_a_space_too(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    assert len(spaces.default_space_for(make_user("x" * 150)).name) <= 100


@pytest.mark.django_db
def test_who_was_put_out_of_the_first_space_has_no_way_back() -> None:
    alice = make_user()
    spaces.remove_member(membership=alice.memberships.get())
    with pytest.raises(PermissionDenied):
        spaces.default_space_for(alice)
    assert not alice.memberships.exists()


@pytest.mark.django_db
def test_a_door_finds_the_space_of_who_has_none_yet(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    alice = make_user()
    space = access.space_for(Asker(alice), None)
    assert space.memberships.get().user == alice
    assert access.space_for(Asker(alice), None) == space


@pytest.mark.django_db
def test_a_door_makes_no_space_for_a_viewer_or_a_key_of_another(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    alice = make_user()
    other = Space.objects.create(name="Other")
    with pytest.raises(PermissionDenied):
        access.space_for(Asker(alice, only_space=other.pk), None)
    spaces.add_member(space=other, user=alice, role=Role.VIEWER)
    with pytest.raises(PermissionDenied):
        access.space_for(Asker(alice), None)
    assert Space.objects.count() == 1


@pytest.mark.django_db
def test_a_user_from_a_fixture_is_not_touched() -> None:
    text = serializers.serialize("json", [User(pk=77, username="loaded")])
    for loaded in serializers.deserialize("json", text):
        loaded.save()
    assert not Membership.objects.filter(user_id=77).exists()


@pytest.mark.django_db
def test_saving_a_user_again_changes_no_membership() -> None:
    alice = make_user()
    alice.memberships.all().delete()
    alice.save()
    assert not alice.memberships.exists()


@pytest.mark.django_db(transaction=True)
def test_two_first_needs_at_once_make_one_space(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    alice = make_user()
    found = side_by_side(*[lambda: spaces.default_space_for(alice)] * 4)
    assert len({space.pk for space in found}) == 1
    assert Space.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_first_users_at_once_meet_in_one_space() -> None:
    made = side_by_side(*[lambda name=name: make_user(name) for name in ("a", "b", "c", "d")])
    assert all(isinstance(each, User) for each in made), made
    assert Space.objects.count() == 1
    assert Membership.objects.count() == 4


@pytest.mark.django_db(transaction=True)
def test_two_managers_who_leave_at_once_do_not_both_get_out(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    space = spaces.create_space(name="Team", by=make_user("alice"))
    spaces.add_member(space=space, user=make_user("bob"), role=Role.MANAGER)
    rows = list(space.memberships.all())
    outcomes = side_by_side(
        lambda: spaces.remove_member(membership=rows[0]),
        lambda: spaces.change_role(membership=rows[1], role=Role.VIEWER),
    )
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 1, outcomes
    assert space.memberships.filter(role=Role.MANAGER).count() == 1


@pytest.mark.django_db
def test_a_stale_row_does_not_decide_who_is_the_last_manager(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"
    space = spaces.create_space(name="Team", by=make_user("alice"))
    bob = spaces.add_member(space=space, user=make_user("bob"), role=Role.VIEWER)
    Membership.objects.filter(pk=bob.pk).update(role=Role.MANAGER)
    Membership.objects.filter(user__username="alice").delete()
    with pytest.raises(Conflict):
        spaces.remove_member(membership=bob)  # this object still says viewer
    assert space.memberships.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("role", ["", "owner", "MANAGER"])
def test_an_unknown_role_is_refused(role: str) -> None:
    space = spaces.create_space(name="Team", by=make_user("alice"))
    bob = make_user("bob")
    with pytest.raises(Invalid):
        spaces.add_member(space=space, user=bob, role=role)
    assert not space.memberships.filter(user=bob).exists()

"""Who may see and do what, at its one place; and that it costs no sorting of whole spaces."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import connection

from media_assets import access
from media_assets.access import Action, Asker
from media_assets.errors import NotFound, PermissionDenied
from media_assets.models import Role, Space
from tests.make import make_asset, make_space, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def isolated(settings: Any) -> None:
    settings.DEFAULT_ROLE = "none"


def asker(name: str, **more: Any) -> Asker:
    return Asker(user=User.objects.get(username=name), **more)


@pytest.mark.parametrize(
    ("role", "own", "others"),
    [
        (Role.VIEWER, {Action.VIEW}, {Action.VIEW}),
        (
            Role.CONTRIBUTOR,
            {Action.VIEW, Action.UPLOAD, Action.RUN, Action.CHANGE, Action.DELETE},
            {Action.VIEW, Action.UPLOAD},
        ),
        (
            Role.REVIEWER,
            set(Action) - {Action.PURGE, Action.MANAGE},
            set(Action) - {Action.PURGE, Action.MANAGE, Action.DELETE},
        ),
        (Role.MANAGER, set(Action), set(Action)),
    ],
)
def test_a_role_may_do_this(role: Role, own: set[Action], others: set[Action]) -> None:
    space = make_space(alice=role)
    alice = asker("alice")
    mine = make_asset(space=space, owner=User.objects.get(username="alice"))
    theirs = make_asset(b"other", filename="a.txt", space=space, owner=make_user("bob"))
    assert {action for action in Action if access.may(alice, action, mine)} == own
    assert {action for action in Action if access.may(alice, action, theirs)} == others
    for action in Action:
        found = access.assets(alice, action)
        assert found.filter(pk=mine.pk).exists() == (action in own), action
        assert found.filter(pk=theirs.pk).exists() == (action in others), action


def test_strangers_and_nobody_find_nothing() -> None:
    asset = make_asset(space=make_space(alice=Role.MANAGER))
    make_user("charlie")
    for each in (asker("charlie"), Asker(user=AnonymousUser())):
        assert not access.assets(each).exists()
        for action in Action:
            with pytest.raises(NotFound):
                access.require(each, action, asset)


def test_what_one_sees_but_may_not_do_is_refused_as_that() -> None:
    asset = make_asset(space=make_space(vera=Role.VIEWER))
    with pytest.raises(PermissionDenied):
        access.require(asker("vera"), Action.CHANGE, asset)


def test_a_key_opens_its_own_space_alone() -> None:
    one, two = make_space("One", alice=Role.MANAGER), make_space("Two", alice=Role.MANAGER)
    make_asset(space=one)
    make_asset(space=two)
    bound = asker("alice", only_space=one.pk)
    assert [each.space_id for each in access.assets(bound)] == [one.pk]
    assert list(access.spaces(bound)) == [one]


def test_an_inactive_member_is_nobody() -> None:
    make_asset(space=make_space(alice=Role.MANAGER))
    User.objects.update(is_active=False)
    assert not access.assets(asker("alice")).exists()


def test_a_page_of_a_member_s_list_is_not_sorted() -> None:
    """On SQLite a condition by subquery would sort the whole space for each page."""
    space = make_space(alice=Role.VIEWER)
    make_asset(space=space)
    Space.objects.create(name="Another")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plan = access.assets(asker("alice")).order_by("-id")[:50].explain()
    assert "USE TEMP B-TREE" not in plan

"""Who may see and do what: the only place that says so.

What lies in a space one is no member of is not there: querysets leave it out, so that it answers 404 and
is not counted. What one sees but may not do is refused by `require`. Staff go by Django's permissions,
over all spaces.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, Q, QuerySet

from media_assets.errors import NotFound, PermissionDenied
from media_assets.models import ClientSession, MediaAsset, Membership, Post, Role, Space
from media_assets.spaces import default_space_for

if TYPE_CHECKING:
    from django.contrib.auth.models import User

M = TypeVar("M", bound=Model)


class Action(enum.Enum):
    """What can be done in a space: the role for others' media, for one's own, and staff's permission."""

    VIEW = (Role.VIEWER, Role.VIEWER, "media_assets.view_mediaasset")
    UPLOAD = (Role.CONTRIBUTOR, Role.CONTRIBUTOR, "media_assets.add_mediaasset")
    RUN = (Role.REVIEWER, Role.CONTRIBUTOR, "processing.add_job")
    CHANGE = (Role.REVIEWER, Role.CONTRIBUTOR, "media_assets.change_mediaasset")
    REVIEW = (Role.REVIEWER, Role.REVIEWER, "media_assets.change_mediaasset")
    DELETE = (Role.MANAGER, Role.CONTRIBUTOR, "media_assets.delete_mediaasset")
    PURGE = (Role.MANAGER, Role.MANAGER, "media_assets.delete_mediaasset")
    MANAGE = (Role.MANAGER, Role.MANAGER, "media_assets.change_space")

    def __init__(self, role: Role, own: Role, permission: str) -> None:
        self.role = role
        self.own = own
        self.permission = permission


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a person, perhaps through an API key that is bound to one space."""

    user: User | AnonymousUser
    only_space: UUID | None = None
    key_label: str = ""
    session: ClientSession | None = None

    @property
    def user_or_none(self) -> User | None:
        return self.user if self.user.is_authenticated else None

    def is_staff_with(self, permission: str) -> bool:
        return bool(self.user.is_active and self.user.is_staff and self.user.has_perm(permission))


def spaces(asker: Asker, action: Action = Action.VIEW, *, own: bool = False) -> QuerySet[Space]:
    """The spaces in which the asker may do this (to their own things, where `own`)."""
    found = Space.objects.filter(_may_in(asker, action, own=own))
    return found if asker.only_space is None else found.filter(pk=asker.only_space)


def _may_in(asker: Asker, action: Action, *, own: bool) -> Q:
    if not (asker.user.is_authenticated and asker.user.is_active):
        return Q(pk__in=[])
    if asker.is_staff_with(action.permission):
        return Q()
    roles = Role.at_least(action.own if own else action.role)
    memberships = Membership.objects.filter(user_id=asker.user.pk, role__in=roles)
    return Q(pk__in=memberships.values("space_id"))


def within(
    queryset: QuerySet[M], asker: Asker, action: Action = Action.VIEW, *, field: str = "space"
) -> QuerySet[M]:
    """Of any rows that lie in a space (by `field`), those in which the asker may do this."""
    if asker.is_staff_with(action.permission) and asker.only_space is None:
        return queryset
    return queryset.filter(_in_spaces(asker, action, field=field))


def _in_spaces(asker: Asker, action: Action, *, own: bool = False, field: str = "space") -> Q:
    """The condition by ids, read first: for one space a plain equality, so that the index which begins
    with the space gives a page of a list in its order. With a subquery SQLite would sort all rows.
    """
    ids = list(spaces(asker, action, own=own).values_list("pk", flat=True))
    return Q(**{field: ids[0]}) if len(ids) == 1 else Q(**{f"{field}__in": ids})


def assets(asker: Asker, action: Action = Action.VIEW) -> QuerySet[MediaAsset]:
    """The assets outside the trash to which the asker may do this."""
    alive = MediaAsset.objects.filter(deleted_at__isnull=True)
    if asker.is_staff_with(action.permission) and asker.only_space is None:
        return alive
    allowed = _in_spaces(asker, action)
    if action.own is not action.role:
        allowed |= Q(owner_id=asker.user.pk) & _in_spaces(asker, action, own=True)
    return alive.filter(allowed)


def posts(asker: Asker, action: Action = Action.VIEW) -> QuerySet[Post]:
    return within(Post.objects.all(), asker, action)


def may(asker: Asker, action: Action, thing: Any) -> bool:
    """Whether the asker may do this to `thing`: a space, or anything with a space (and an owner)."""
    space_id = thing.pk if isinstance(thing, Space) else thing.space_id
    if space_id is None:  # over all spaces: for staff alone
        return asker.only_space is None and asker.is_staff_with(action.permission)
    owns = asker.user.pk is not None and getattr(thing, "owner_id", None) == asker.user.pk
    return spaces(asker, action, own=owns).filter(pk=space_id).exists()


def require(asker: Asker, action: Action, thing: Any) -> None:
    """Refuse with 404 what the asker may not see, with 403 what they see but may not do."""
    if may(asker, action, thing):
        return
    if action is Action.VIEW or not may(asker, Action.VIEW, thing):
        raise NotFound
    raise PermissionDenied


def space_for(asker: Asker, space_id: UUID | None, action: Action = Action.UPLOAD) -> Space:
    """The space a door puts things into: the one named, the key's, or the asker's first."""
    if space_id is not None:
        space = spaces(asker).filter(pk=space_id).first()
        if space is None:
            raise NotFound("There is no such space.")
        require(asker, action, space)
        return space
    candidates = spaces(asker, action)
    if not asker.user.is_staff:
        space = candidates.order_by("id").first()
    else:
        # Staff see every space; their own come first.
        own = candidates.filter(memberships__user_id=asker.user.pk).order_by("id").first()
        space = own or candidates.order_by("id").first()
    if space is None and asker.only_space is None and (user := asker.user_or_none):
        first = default_space_for(user)
        space = first if may(asker, action, first) else None
    if space is None:
        raise PermissionDenied("You are in no space where you may do this.")
    return space

"""Spaces and who is in them: made, renamed, joined and left. Who may do it is for the caller to ask."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import transaction

from media_assets.errors import Conflict, Invalid, PermissionDenied
from media_assets.models import MediaAsset, Membership, Post, Role, Space

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# The space everybody meets in. Its id sorts before all others, and makes it one, whoever needs it first.
FIRST_SPACE = UUID("00000000-0000-7000-8000-000000000000")
ISOLATED = "none"  # the DEFAULT_ROLE that gives everyone a space of their own instead


@transaction.atomic
def create_space(*, name: str, by: User) -> Space:
    """A new space, managed by whoever makes it."""
    space = Space.objects.create(name=_clean(name))
    Membership.objects.create(space=space, user=by, role=Role.MANAGER)
    return space


def rename_space(*, space: Space, name: str) -> Space:
    space.name = _clean(name)
    space.save(update_fields=["name", "updated_at"])
    return space


@transaction.atomic
def delete_space(*, space: Space) -> None:
    """Delete an empty space. What is in the trash still counts: purge it first."""
    _lock(space.pk)
    held = MediaAsset.objects.filter(space=space).exists()
    if held or Post.objects.filter(space=space).exists():
        raise Conflict("This space still holds media or posts. Move or purge them first.")
    space.delete()


@transaction.atomic
def add_member(*, space: Space, user: User, role: str) -> Membership:
    """Let somebody in. Conflict if they are in already."""
    role = _role(role)
    membership, made = Membership.objects.get_or_create(
        space=space, user=user, defaults={"role": role}
    )
    if not made:
        raise Conflict(f"{user.get_username()} is in this space already.")
    return membership


@transaction.atomic
def change_role(*, membership: Membership, role: str) -> Membership:
    """Give a member another role. Conflict if no manager would be left."""
    role = _role(role)
    _lock(membership.space_id)
    membership.refresh_from_db(fields=["role"])
    if membership.role == Role.MANAGER and role != Role.MANAGER:
        _refuse_last_manager(membership)
    membership.role = role
    membership.save(update_fields=["role"])
    return membership


@transaction.atomic
def remove_member(*, membership: Membership) -> None:
    """Put somebody out. Conflict if no manager would be left."""
    _lock(membership.space_id)
    membership.refresh_from_db(fields=["role"])
    if membership.role == Role.MANAGER:
        _refuse_last_manager(membership)
    membership.delete()


def welcome(*, user: User) -> Membership | None:
    """A new user's place: in the first space with DEFAULT_ROLE, or nowhere yet, where all are isolated."""
    if settings.DEFAULT_ROLE == ISOLATED:
        return None
    role = Role.MANAGER if user.is_superuser else _role(settings.DEFAULT_ROLE)
    return Membership.objects.get_or_create(
        space=_first_space(), user=user, defaults={"role": role}
    )[0]


@transaction.atomic
def default_space_for(user: User) -> Space:
    """The space a user's things go to if nobody says which: their first.

    Who is isolated gets one of their own now. Who is not, and is in none, was put out: this is no way back.
    """
    # One at a time for each user: two first uploads must not make two spaces.
    get_user_model().objects.select_for_update().get(pk=user.pk)
    space = Space.objects.filter(memberships__user=user).order_by("id").first()
    if space is not None:
        return space
    if settings.DEFAULT_ROLE != ISOLATED:
        raise PermissionDenied("You are in no space.")
    return create_space(name=f"{user.get_username()[:80]}'s library", by=user)


def _first_space() -> Space:
    return Space.objects.get_or_create(pk=FIRST_SPACE, defaults={"name": "Library"})[0]


def _lock(space_id: UUID) -> None:
    """Changes among a space's members come one after another, or two managers could leave at once."""
    Space.objects.select_for_update().filter(pk=space_id).first()


def _refuse_last_manager(membership: Membership) -> None:
    others = Membership.objects.filter(space_id=membership.space_id, role=Role.MANAGER)
    if not others.exclude(pk=membership.pk).exists():
        raise Conflict("A space needs a manager: make somebody else one first.")


def _role(role: str) -> Role:
    try:
        return Role(role)
    except ValueError as error:
        known = ", ".join(Role.values)
        raise Invalid(
            f"role: One of {known} is needed.", role=[f"One of {known} is needed."]
        ) from error


def _clean(name: str) -> str:
    name = " ".join(name.split())
    if not name or len(name) > 100:
        raise Invalid(
            "name: 1 to 100 characters are needed.", name=["1 to 100 characters are needed."]
        )
    return name

"""Where a command puts things, and in whose name: --space and --owner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError, CommandParser

from media_assets import access
from media_assets.access import Asker
from media_assets.models import Space

if TYPE_CHECKING:
    from django.contrib.auth.models import User


def add_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        "--space", help="Id or name of the space. Default: the owner's, or the first."
    )
    parser.add_argument("--owner", help="User name of whoever it belongs to. Default: nobody.")


def of(options: dict[str, Any]) -> tuple[Space, User | None]:
    """The space and the owner that were named. An owner puts things only where they may."""
    owner = _owner(options["owner"]) if options["owner"] else None
    space = find_space(options["space"]) if options["space"] else None
    if owner is not None:
        return access.space_for(Asker(user=owner), space.pk if space else None), owner
    space = space or Space.objects.order_by("id").first()
    if space is None:
        raise CommandError("There is no space yet. Name a user with --owner.")
    return space, None


def find_space(named: str) -> Space:
    try:
        found = list(Space.objects.filter(pk=UUID(named)))
    except ValueError:
        found = list(Space.objects.filter(name=named)[:2])
    if len(found) != 1:
        what = "several spaces named" if found else "no space"
        raise CommandError(f"There is {what} {named}.")
    return found[0]


def _owner(name: str) -> User:
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user {name}.")
    return user

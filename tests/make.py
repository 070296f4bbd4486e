"""Makes rows for tests, through the product's own verbs where there are any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib.auth.models import User

from media_assets import intake
from media_assets.models import Door, MediaAsset, Membership, Post, Role, Space
from processing.context import StepContext
from processing.steps.base import Completed, Outcome, Step
from tests import media


def make_user(name: str = "alice", **fields: Any) -> User:
    return User.objects.create_user(name, password="correct horse", **fields)


def make_space(name: str = "Team", **members: Role) -> Space:
    """A space; members by user name: make_space(alice=Role.MANAGER)."""
    space = Space.objects.create(name=name)
    for username, role in members.items():
        user = User.objects.filter(username=username).first() or make_user(username)
        Membership.objects.update_or_create(space=space, user=user, defaults={"role": role})
    return space


def make_post(space: Space, **fields: Any) -> Post:
    return Post.objects.create(space=space, **fields)


def make_asset(
    content: bytes | None = None,
    *,
    space: Space | None = None,
    owner: User | None = None,
    filename: str = "picture.jpg",
    **details: Any,
) -> MediaAsset:
    """An asset that came in by the door, as every one does."""
    space = space or Space.objects.first() or make_space()
    given = intake.Details(space=space, owner=owner, door=Door.UPLOAD, **details)
    data = media.jpeg(64, 48) if content is None else content
    return intake.receive([data], filename=filename, details=given).asset


class FakeStep(Step):
    """A step that does what the test says. `ran` counts its runs."""

    kinds: ClassVar[frozenset[str]] = Step.kinds

    def __init__(
        self,
        name: str,
        act: Callable[[StepContext], Outcome | None] | None = None,
        *,
        needs: tuple[str, ...] = (),
    ) -> None:
        self.name = name  # type: ignore[misc]
        self.needs = needs  # type: ignore[misc]
        self.act = act
        self.ran = 0

    def run(self, context: StepContext) -> Outcome:
        self.ran += 1
        return (self.act(context) if self.act else None) or Completed()

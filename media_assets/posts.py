"""What can be done with posts: take one in with its media, change it, delete it.

A post is told from others by its source and its id there. One that comes again brings only what it lacked:
whatever address it named before is not fetched again, also where the file is in the trash by now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, transaction

from media_assets import access, assets, intake
from media_assets.access import Action, Asker
from media_assets.errors import Conflict, Invalid, UnsafeUrl
from media_assets.models import ClientSession, Door, Kind, MediaAsset, Post, Space

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_MEDIA = 200
IMAGES = "images"
FIELDS = ("source", "external_id", "author", "text", "url", "posted_at")


@dataclass(frozen=True, slots=True)
class Link:
    """One file of a post: where it is, and what the post says it is."""

    kind: str
    url: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A part of a post's media that is of no kind we take: at which place, and what it calls itself."""

    position: int
    type: str


@dataclass(frozen=True, slots=True)
class Media:
    links: list[Link]
    unknown: list[Unknown]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brings a post, and by which way."""

    owner: User | None
    door: Door = Door.POST
    key_label: str = ""
    session: ClientSession | None = None
    priority: int | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What came of a post: the row, whether it is new, and the assets it lacked."""

    post: Post
    created: bool
    assets: list[MediaAsset] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)


def add(
    *, space: Space, fields: dict[str, Any], media: Any, raw: dict[str, Any], sender: Sender
) -> Added:
    """Take in a post, or add to the one that is there the media it lacks. Refused whole, or done whole."""
    found = read_media(media)
    with transaction.atomic():
        post, created = _find_or_make(space, fields, raw, sender)
        # One at a time: the same post twice at once must not announce its media twice.
        Post.objects.select_for_update(of=("self",)).get(pk=post.pk)
        there = set(MediaAsset.objects.filter(post=post).values_list("source_url", flat=True))
        added = [
            _announce(post, link, sender)
            for link in dict.fromkeys(found.links)
            if link.url not in there
        ]
    return Added(post, created, added, found.unknown)


def _find_or_make(
    space: Space, fields: dict[str, Any], raw: dict[str, Any], sender: Sender
) -> tuple[Post, bool]:
    values = {name: value for name, value in fields.items() if name in FIELDS}
    if not values.get("external_id"):
        return Post.objects.create(space=space, owner=sender.owner, raw=raw, **values), True
    return Post.objects.get_or_create(
        space=space,
        source=values.pop("source", ""),
        external_id=values.pop("external_id"),
        defaults={**values, "owner": sender.owner, "raw": raw},
    )


def _announce(post: Post, link: Link, sender: Sender) -> MediaAsset:
    details = intake.Details(
        space=post.space,
        owner=sender.owner,
        door=sender.door,
        post=post,
        priority=sender.priority,
        key_label=sender.key_label,
        session=sender.session,
    )
    try:
        return intake.announce(url=link.url, details=details, kind=link.kind).asset
    except UnsafeUrl as error:
        raise UnsafeUrl(error.message, media=link.url[:200]) from error


@transaction.atomic
def change(*, post: Post, fields: dict[str, Any]) -> Post:
    """Set some of what is said of a post."""
    for name, value in fields.items():
        setattr(post, name, value)
    try:
        with transaction.atomic():
            post.save(update_fields=[*fields, "updated_at"])
    except IntegrityError as error:
        raise Conflict("The space has another post of this source and external_id.") from error
    return post


@transaction.atomic
def delete(*, post: Post, asker: Asker) -> int:
    """Delete a post; its media go to the trash, all of them or, where one may not, nothing."""
    held = list(MediaAsset.objects.filter(post=post, deleted_at__isnull=True))
    for asset in held:
        access.require(asker, Action.DELETE, asset)
    for asset in held:
        assets.trash(asset=asset, by=asker.user_or_none)
    post.delete()
    return len(held)


# ------------------------------------------------------------------- what a post says of its media


def read_media(media: Any) -> Media:
    """One item or a list of them, as people write them. Kinds nobody knows are told, not refused."""
    items = media if isinstance(media, list) else [] if media is None else [media]
    links: list[Link] = []
    unknown: list[Unknown] = []
    for position, item in enumerate(items):
        if not isinstance(item, dict):
            raise _malformed(position, "An object with type and url is needed.")
        kind = item.get("type")
        if kind == IMAGES:
            links.extend(_images(position, item.get(IMAGES)))
        elif kind in Kind.values:
            links.append(Link(str(kind), _url_of(position, item)))
        else:
            unknown.append(Unknown(position, str(kind)[:100]))
    if len(links) > MAX_MEDIA:
        raise Invalid(f"A post takes at most {MAX_MEDIA} files.", media=["Too many files."])
    return Media(links, unknown)


def _images(position: int, images: Any) -> Iterator[Link]:
    if not isinstance(images, list):
        raise _malformed(position, "A list named images is needed.")
    for image in images:
        yield Link(Kind.IMAGE, _url_of(position, image))


def _url_of(position: int, item: Any) -> str:
    url = item if isinstance(item, str) else item.get("url") if isinstance(item, dict) else None
    if not isinstance(url, str) or not url:
        raise _malformed(position, "A url is needed.")
    return url


def _malformed(position: int, message: str) -> Invalid:
    return Invalid(f"media, item {position + 1}: {message}", media=[message])

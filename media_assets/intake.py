"""The one door: every file comes in through here, whichever way it came.

The bytes go to storage first, under a key made of their hash; then the blob, the asset and whatever the
floors above write on `asset_received` commit together. Bytes without rows are swept up later; rows
without bytes cannot come about: the transaction looks, once the blob's row is its own, whether the bytes
are still there.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from media_assets import (
    analysis_log,
    filenames,
    log_context,
    originals,
    spool,
    storage,
    url_cache,
)
from media_assets.downloads import read_data_url
from media_assets.errors import Invalid, ServiceUnavailable, StorageAway
from media_assets.models import (
    Blob,
    ClientSession,
    Door,
    MediaAsset,
    Post,
    Space,
    Status,
    Tag,
    Whereabouts,
)
from media_assets.netguard import AllowList, read_url
from media_assets.receiver import Received, Receiver
from media_assets.signals import asset_received

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_TAGS = 50
MAX_TAG_LENGTH = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What comes with a file: where it goes, who sent it, and what they wish."""

    space: Space
    owner: User | None
    door: Door
    post: Post | None = None
    title: str = ""
    alt_text: str = ""
    tags: tuple[str, ...] = ()
    local_only: bool = False
    source_url: str = ""
    # For the floors above, opaque here: steps, prompt, language, lexicon.
    wishes: dict[str, Any] = field(default_factory=dict)
    # How urgent its work is, in the words of the floor above; None: as usual.
    priority: int | None = None
    key_label: str = ""
    session: ClientSession | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    asset: MediaAsset
    created: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """Bytes that lie in storage under their key, and the name they came with."""

    filename: str
    key: str
    sha256: str
    md5: str
    size: int
    mime_type: str
    kind: str
    # Whose spool has them, where the bucket was away. Empty: they are in storage.
    spool_host: str = ""

    @classmethod
    def of_blob(cls, blob: Blob, *, filename: str) -> Self:
        return cls(
            filename=filename,
            key=blob.key,
            sha256=blob.sha256,
            md5=blob.md5,
            size=blob.size,
            mime_type=blob.mime_type,
            kind=blob.kind,
            spool_host=blob.spool_host,
        )


def receive(
    chunks: Iterable[bytes],
    *,
    filename: str | None,
    details: Details,
    declared_size: int | None = None,
) -> Kept:
    """Take a stream in and keep it."""
    with Receiver(filename=filename, declared_size=declared_size) as receiver:
        for chunk in chunks:
            receiver.feed(chunk)
        return keep(received=receiver.finish(), details=details)


def keep(*, received: Received, details: Details) -> Kept:
    """Make an asset of a file that was taken in; the one that is there already, for the same bytes."""
    arrival = store(received)
    with transaction.atomic():
        blob = _blob(arrival)
        _secure(blob, received)
        there = _same_asset(blob, details.space, details.post)
        if there is not None:
            return _seen_again(there, details)
        return Kept(_new_asset(blob, arrival, details), created=True)


def store(received: Received) -> Arrival:
    """Put the bytes into storage, before the transaction that names them."""
    filetype = received.filetype
    key = storage.original_key(filetype.kind, received.sha256, filetype.extension)
    known = Blob.objects.filter(sha256=received.sha256).first()
    spool_host = ""
    if known is None or known.whereabouts != Whereabouts.PRIMARY:
        spool_host = spool.place(received.path, key, mime_type=filetype.mime_type)
    return Arrival(
        filename=received.filename,
        key=key,
        sha256=received.sha256,
        md5=received.md5,
        size=received.size,
        mime_type=filetype.mime_type,
        kind=filetype.kind,
        spool_host=spool_host,
    )


def _secure(blob: Blob, received: Received) -> None:
    """Look, with the row ours, whether a purge took the bytes after our first look; put them again.

    While the bucket is away nobody can look: this host keeps them too, until the bucket gives them back.
    """
    try:
        if originals.is_there(blob):
            return
    except StorageAway:
        spool.put(received.path, blob.key)
        return
    _set_place(blob, spool.place(received.path, blob.key, mime_type=blob.mime_type))


def _set_place(blob: Blob, spool_host: str) -> None:
    blob.whereabouts = Whereabouts.SPOOL if spool_host else Whereabouts.PRIMARY
    blob.spool_host = spool_host
    blob.save(update_fields=["whereabouts", "spool_host", "updated_at"])


def _blob(arrival: Arrival) -> Blob:
    """The row of these bytes, locked until the transaction ends."""
    Blob.objects.get_or_create(
        sha256=arrival.sha256,
        defaults={
            "md5": arrival.md5,
            "size": arrival.size,
            "mime_type": arrival.mime_type,
            "kind": arrival.kind,
            "key": arrival.key,
            "whereabouts": Whereabouts.SPOOL if arrival.spool_host else Whereabouts.PRIMARY,
            "spool_host": arrival.spool_host,
        },
    )
    blob = Blob.objects.select_for_update().get(sha256=arrival.sha256)
    if blob.whereabouts != Whereabouts.PRIMARY and blob.spool_host != (arrival.spool_host or None):
        _set_place(blob, arrival.spool_host)
    return blob


def _same_asset(blob: Blob, space: Space, post: Post | None) -> MediaAsset | None:
    return MediaAsset.objects.filter(
        space=space, post=post, blob=blob, deleted_at__isnull=True
    ).first()


def _seen_again(asset: MediaAsset, details: Details) -> Kept:
    """The same bytes in the same place: nothing new, but a new wish is still work."""
    if details.wishes and details.wishes != asset.wishes:
        asset.wishes = details.wishes
        asset.save(update_fields=["wishes", "updated_at"])
        _announce(asset, details, repeated=True)
    return Kept(asset, created=False)


def _new_asset(blob: Blob, arrival: Arrival, details: Details) -> MediaAsset:
    asset = MediaAsset.objects.create(
        space=details.space,
        owner=details.owner,
        post=details.post,
        blob=blob,
        kind=blob.kind,
        mime_type=blob.mime_type,
        size=blob.size,
        filename=arrival.filename,
        title=details.title,
        alt_text=details.alt_text,
        door=details.door,
        source_url=details.source_url,
        local_only=details.local_only,
        wishes=details.wishes,
        analysis_log=[
            _came_in(
                "media_stored",
                details,
                status="stored",
                file_size=blob.size,
                mime_type=blob.mime_type,
                filename=arrival.filename,
            )
        ],
    )
    set_tags(asset=asset, names=details.tags)
    _announce(asset, details, repeated=False)
    return asset


def _came_in(event: str, details: Details, *, status: str = "", **more: Any) -> dict[str, Any]:
    """The first line of an asset's log: how it came, and by whom."""
    return analysis_log.entry(
        event,
        status=status,
        door=str(details.door),
        by=details.owner.get_username() if details.owner else None,
        key=details.key_label or None,
        request_id=log_context.fields().get("request_id"),
        **more,
    )


def _announce(asset: MediaAsset, details: Details, *, repeated: bool) -> None:
    asset_received.send(
        sender=MediaAsset,
        asset=asset,
        requested_by=details.owner,
        key_label=details.key_label,
        session=details.session,
        priority=details.priority,
        repeated=repeated,
    )


def take(*, url: str, details: Details, kind: str = "") -> Kept:
    """Take in what an address names: a `data:` URL holds it, any other is announced."""
    if url[:5].lower() != "data:":
        return announce(url=url, details=details, kind=kind)
    found = read_data_url(url)
    media_type = found.content_type.partition(";")[0].strip().lower()
    name = f"file{mimetypes.guess_extension(media_type) or ''}"
    return receive([found.data], filename=name, details=details, declared_size=len(found.data))


@transaction.atomic
def announce(*, url: str, details: Details, kind: str = "") -> Kept:
    """Make an asset of an address, its bytes to be fetched by a job. Raises UnsafeUrl.

    The asset that is there, where the same asker sent the same address and its bytes are on their way, or
    were fetched within URL_CACHE_HOURS. `kind` is what the sender says it is, until its bytes tell.
    """
    read_url(url, AllowList.parse(settings.DOWNLOAD_ALLOW_HOSTS))
    awaited = _awaited(url, details)
    if awaited is not None:
        _announce(awaited, details, repeated=True)
        return Kept(awaited, created=False)
    known = url_cache.find(space=details.space, owner=details.owner, url=url)
    if known is not None and url_cache.is_fresh(known):
        there = _same_asset(known.blob, details.space, details.post)
        if there is not None:
            return _seen_again(there, details)
    asset = MediaAsset.objects.create(
        space=details.space,
        owner=details.owner,
        post=details.post,
        kind=kind,
        filename=filenames.clean(unquote(urlsplit(url).path)),
        title=details.title,
        alt_text=details.alt_text,
        door=details.door,
        source_url=url,
        local_only=details.local_only,
        wishes=details.wishes,
        analysis_log=[_came_in("media_announced", details)],
    )
    set_tags(asset=asset, names=details.tags)
    _announce(asset, details, repeated=False)
    return Kept(asset, created=True)


def _awaited(url: str, details: Details) -> MediaAsset | None:
    """What the same asker announced before with the same wishes, and is still being fetched."""
    return MediaAsset.objects.filter(
        space=details.space,
        owner=details.owner,
        post=details.post,
        source_url=url,
        wishes=details.wishes,
        blob__isnull=True,
        deleted_at__isnull=True,
        status__in=(Status.NOT_STARTED, Status.STARTED),
    ).first()


def fill(*, asset: MediaAsset, arrival: Arrival, **told: Any) -> MediaAsset:
    """Give an announced asset its bytes; `told` goes into its log. Inside the caller's transaction.

    Returns the asset that has them now. It is another one where the same bytes lie in the same space and
    post already: then the announced one gives way to it, and whoever asks for it is shown the other.
    """
    blob = _blob(arrival)
    if not originals.is_there(blob):
        # A purge took them after they were put. The caller still knows where they came from.
        raise ServiceUnavailable("The bytes were deleted at this very moment.")
    locked = MediaAsset.objects.select_for_update(of=("self",)).get(pk=asset.pk)
    if locked.blob_id is not None:
        return locked
    entry = analysis_log.entry("media_downloaded", status="stored", **told)
    there = _same_asset(blob, locked.space, locked.post)
    if there is not None:
        MediaAsset.objects.filter(pk=locked.pk).update(
            gave_way_to=there,
            deleted_at=timezone.now(),
            updated_at=timezone.now(),
            analysis_log=analysis_log.appended(entry),
        )
        again = analysis_log.entry("media_seen_again", source_url=locked.source_url, **told)
        analysis_log.append(there.pk, again)
        return there
    MediaAsset.objects.filter(pk=locked.pk).update(
        blob=blob,
        kind=blob.kind,
        mime_type=blob.mime_type,
        size=blob.size,
        filename=arrival.filename,
        updated_at=timezone.now(),
        analysis_log=analysis_log.appended(entry),
    )
    return MediaAsset.objects.select_related("blob").get(pk=locked.pk)


def set_tags(*, asset: MediaAsset, names: Iterable[str]) -> None:
    """Give an asset exactly these tags; they are made where the space lacks them."""
    wanted = list(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    if len(wanted) > MAX_TAGS:
        raise Invalid(f"An asset takes at most {MAX_TAGS} tags.", tags=["Too many tags."])
    too_long = [name for name in wanted if len(name) > MAX_TAG_LENGTH]
    if too_long:
        raise Invalid("A tag is too long.", tags=[f"At most {MAX_TAG_LENGTH} characters."])
    Tag.objects.bulk_create(
        [Tag(space_id=asset.space_id, name=name) for name in wanted], ignore_conflicts=True
    )
    asset.tags.set(Tag.objects.filter(space_id=asset.space_id, name__in=wanted))

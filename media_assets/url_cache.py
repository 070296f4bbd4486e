"""Remembers what an address gave to whom, so that the same asker does not fetch it twice."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils import timezone

from media_assets.models import Blob, Space, UrlFetch, Whereabouts
from media_assets.netguard import take_apart

if TYPE_CHECKING:
    from django.contrib.auth.models import User

# An address that nobody asked for this long is fetched whole again.
KEPT = timedelta(days=90)


def find(*, space: Space, owner: User | None, url: str) -> UrlFetch | None:
    """The asker's last fetch of this address, where its bytes can still be read here."""
    return (
        UrlFetch.objects.select_related("blob")
        .filter(
            space=space,
            owner=owner,
            url_hash=_hash(url),
            blob__whereabouts=Whereabouts.PRIMARY,
        )
        .first()
    )


def is_fresh(fetch: UrlFetch) -> bool:
    """Whether the server need not even be asked if the file has changed."""
    return fetch.fetched_at > timezone.now() - timedelta(hours=settings.URL_CACHE_HOURS)


def remember(
    *,
    space: Space,
    owner: User | None,
    url: str,
    blob: Blob,
    filename: str,
    etag: str = "",
    last_modified: str = "",
) -> None:
    """Note that the server gave these bytes just now, or that they are still what it has."""
    UrlFetch.objects.update_or_create(
        space=space,
        owner=owner,
        url_hash=_hash(url),
        defaults={
            "blob": blob,
            "filename": filename,
            "etag": etag,
            "last_modified": last_modified,
            "fetched_at": timezone.now(),
        },
    )


def purge(*, older_than: timedelta = KEPT) -> int:
    """Forget what was last fetched longer ago; how many addresses that were."""
    return UrlFetch.objects.filter(fetched_at__lt=timezone.now() - older_than).delete()[0]


def _hash(url: str) -> str:
    """Of what is sent: a fragment never reaches the server, and a host's case means nothing."""
    return hashlib.sha256(take_apart(url).url.encode()).hexdigest()

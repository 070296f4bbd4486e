"""What was fetched from an address, by whom, and which bytes came: so that it is not fetched again."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models.base import Row
from media_assets.models.blobs import Blob
from media_assets.models.spaces import Space


class UrlFetch(Row):
    """The last answer of one address to one asker: a person (or nobody) in a space.

    An asker learns nothing from what others fetched. The address itself is not kept, since it may hold a
    secret: its hash finds it again.
    """

    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="+", db_index=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    url_hash = models.CharField(max_length=64, help_text="SHA-256 of the address")
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="+")
    filename = models.CharField(max_length=255)
    etag = models.CharField(max_length=500, blank=True)
    last_modified = models.CharField(max_length=100, blank=True)
    # When the server last gave these bytes, or said that they are still the same.
    fetched_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "URL fetches"
        constraints: ClassVar = [
            # Also the look-up before each download.
            models.UniqueConstraint(
                fields=["space", "owner", "url_hash"],
                condition=models.Q(owner__isnull=False),
                name="url_fetch_once_for_owner",
            ),
            models.UniqueConstraint(
                fields=["space", "url_hash"],
                condition=models.Q(owner__isnull=True),
                name="url_fetch_once_for_nobody",
            ),
        ]
        indexes: ClassVar = [
            # the purge: the oldest first
            models.Index(fields=["fetched_at"], name="url_fetch_oldest"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} ({self.url_hash[:12]})"

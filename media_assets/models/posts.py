"""A post is what media came with: a chat message, an imported entry, a batch of one's own."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models.base import Row
from media_assets.models.spaces import Space


class Post(Row):
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="posts")
    # Who brought it in, and may change it as their own. The author is somebody else's word.
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="posts",
    )
    source = models.CharField(max_length=60, blank=True)
    external_id = models.CharField(max_length=200, blank=True)
    author = models.CharField(max_length=200, blank=True)
    text = models.TextField(blank=True)
    url = models.CharField(max_length=2000, blank=True)
    posted_at = models.DateTimeField(null=True, blank=True)
    raw = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["space", "source", "external_id"],
                condition=~models.Q(external_id=""),
                name="post_once_per_source",
            ),
        ]
        indexes: ClassVar = [
            # GET posts/: a space's posts, newest first
            models.Index(fields=["space", "-id"], name="post_newest_in_space"),
            # GET posts/?source=
            models.Index(fields=["space", "source", "-id"], name="post_newest_by_source"),
            # GET posts/?author=
            models.Index(fields=["space", "author", "-id"], name="post_newest_by_author"),
            # GET posts/?ordering=posted_at, and between two dates
            models.Index(fields=["space", "posted_at", "id"], name="post_by_date"),
            # the admin's list over all spaces, by source
            models.Index(fields=["source", "-id"], name="post_newest_of_source"),
        ]

    def __str__(self) -> str:
        return self.text[:60] or self.external_id or str(self.id)

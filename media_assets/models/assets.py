"""A media asset: one use of a blob in a space, with what people and machines say of it."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models.base import Row
from media_assets.models.blobs import Blob, Kind
from media_assets.models.posts import Post
from media_assets.models.spaces import Space


class Status(models.TextChoices):
    """How far the machines are.

    not_started → started → completed | failed;  completed, failed → started (run again)
    A cancelled job gives back the status before it.
    """

    NOT_STARTED = "not_started", "Not started"
    STARTED = "started", "Started"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"


class Review(models.TextChoices):
    """What people say: unreviewed ⇄ approved ⇄ rejected, any to any."""

    UNREVIEWED = "unreviewed", "Unreviewed"
    APPROVED = "approved", "Approved"
    REJECTED = "rejected", "Rejected"


class Door(models.TextChoices):
    """By which way an asset came in."""

    UPLOAD = "upload", "Upload"
    RESUMABLE = "resumable", "Resumable upload"
    DIRECT = "direct", "Direct to the bucket"
    URL = "url", "Address"
    POST = "post", "Post"
    TELEGRAM = "telegram", "Telegram"
    COMMAND = "command", "Command"
    GATEWAY = "gateway", "Transcription gateway"


class Tag(Row):
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=60)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["space", "name"], name="tag_once_per_space"),
        ]

    def __str__(self) -> str:
        return self.name


class MediaAssetQuerySet(models.QuerySet["MediaAsset"]):
    def alive(self) -> MediaAssetQuerySet:
        """Those not in the trash."""
        return self.filter(deleted_at__isnull=True)

    def trashed(self) -> MediaAssetQuerySet:
        return self.filter(deleted_at__isnull=False)

    def light(self) -> MediaAssetQuerySet:
        """For lists: the blob beside each row, without the columns that can be large."""
        return (
            self.select_related("blob")
            .defer("analysis_log", "wishes", "blob__metadata")
            .prefetch_related("tags")
        )


class MediaAsset(Row):
    space = models.ForeignKey(
        Space, on_delete=models.PROTECT, related_name="assets", db_index=False
    )
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="assets",
    )
    post = models.ForeignKey(
        Post,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="assets",
        db_index=False,
    )
    # Null until the bytes are here.
    blob = models.ForeignKey(
        Blob, null=True, blank=True, on_delete=models.PROTECT, related_name="assets"
    )
    # Of the blob, copied so that lists filter without a join. Empty until the bytes are here,
    # except for the kind a post announced.
    kind = models.CharField(max_length=8, choices=Kind.choices, blank=True)
    mime_type = models.CharField(max_length=100, blank=True)
    size = models.PositiveBigIntegerField(null=True, blank=True)

    filename = models.CharField(max_length=255)
    title = models.CharField(max_length=300, blank=True)
    alt_text = models.CharField(max_length=1000, blank=True)
    tags = models.ManyToManyField(Tag, related_name="assets", blank=True)
    door = models.CharField(max_length=12, choices=Door.choices, default=Door.UPLOAD)
    source_url = models.CharField(max_length=2000, blank=True)

    status = models.CharField(max_length=12, choices=Status.choices, default=Status.NOT_STARTED)
    analyzed_at = models.DateTimeField(null=True, blank=True)
    review = models.CharField(max_length=12, choices=Review.choices, default=Review.UNREVIEWED)
    reviewed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    reviewed_at = models.DateTimeField(null=True, blank=True)
    # Why a person should look; `flagged` is true while the list holds anything.
    needs_review = models.JSONField(default=list, blank=True)
    flagged = models.BooleanField(default=False)
    local_only = models.BooleanField(default=False, help_text="Never sent to an outside provider")
    deleted_at = models.DateTimeField(null=True, blank=True)
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    # The asset that has the bytes this one was announced for; then this one lies in the trash for good.
    gave_way_to = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )

    # The promoted result of each step, pushed down by the steps: {"describe": {...}, "transcribe": {...}}.
    current = models.JSONField(default=dict, blank=True)
    # Append-only; see media_assets.analysis_log.
    analysis_log = models.JSONField(default=list, blank=True, editable=False)
    # What the uploader wished of the upper floors: steps, prompt, language, lexicon. Opaque here.
    wishes = models.JSONField(default=dict, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[models.Manager[MediaAsset]] = MediaAssetQuerySet.as_manager()

    class Meta:
        constraints: ClassVar = [
            # The same bytes once in a post, and once among what belongs to no post.
            models.UniqueConstraint(
                fields=["space", "post", "blob"],
                condition=models.Q(deleted_at__isnull=True, post__isnull=False),
                name="asset_once_in_post",
            ),
            models.UniqueConstraint(
                fields=["space", "blob"],
                condition=models.Q(deleted_at__isnull=True, post__isnull=True),
                name="asset_once_without_post",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="asset_status_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(review__in=Review.values), name="asset_review_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=[*Kind.values, ""]), name="asset_kind_valid"
            ),
        ]
        # The lists: GET assets/ and the admin, newest first, each filter with its own index. The first
        # group serves members of a space, the second staff, who see all spaces.
        indexes: ClassVar = [
            models.Index(
                fields=["space", "-id"],
                name="asset_newest",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["space", "kind", "-id"],
                name="asset_newest_of_kind",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["space", "status", "-id"],
                name="asset_newest_in_status",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["space", "review", "-id"],
                name="asset_newest_in_review",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["kind", "-id"],
                name="asset_all_of_kind",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["status", "-id"],
                name="asset_all_in_status",
                condition=models.Q(deleted_at__isnull=True),
            ),
            models.Index(
                fields=["review", "-id"],
                name="asset_all_in_review",
                condition=models.Q(deleted_at__isnull=True),
            ),
            # the review queue: what a person should look at
            models.Index(
                fields=["space", "-id"],
                name="asset_flagged",
                condition=models.Q(deleted_at__isnull=True, flagged=True),
            ),
            # a post's strip of media
            models.Index(fields=["post", "id"], name="asset_of_post"),
            # a repeat of an address whose bytes are still on their way
            models.Index(
                fields=["space", "owner"],
                name="asset_awaited",
                condition=models.Q(blob__isnull=True, deleted_at__isnull=True),
            ),
            # the trash, oldest first, for the purge
            models.Index(
                fields=["deleted_at"],
                name="asset_trashed",
                condition=models.Q(deleted_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.title or self.filename

"""An upload that comes in parts: resumable (tus), or sent by the browser straight to the bucket."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models.assets import MediaAsset
from media_assets.models.base import Row
from media_assets.models.spaces import Space


class UploadProtocol(models.TextChoices):
    TUS = "tus", "Resumable (tus)"
    PRESIGNED = "presigned", "Direct to the bucket"


class UploadState(models.TextChoices):
    """open → verifying → completed | failed;  open → aborted | expired"""

    OPEN = "open", "Open"
    VERIFYING = "verifying", "Verifying"
    COMPLETED = "completed", "Completed"
    FAILED = "failed", "Failed"
    ABORTED = "aborted", "Aborted"
    EXPIRED = "expired", "Expired"


class Upload(Row):
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="uploads")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.CASCADE, related_name="uploads"
    )
    protocol = models.CharField(max_length=10, choices=UploadProtocol.choices)
    state = models.CharField(max_length=10, choices=UploadState.choices, default=UploadState.OPEN)
    filename = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100, blank=True)
    size = models.PositiveBigIntegerField()
    offset = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, help_text="As announced by the sender")
    # Where the parts are: keys in storage, the bucket's multipart id, part tags.
    parts = models.JSONField(default=dict, blank=True)
    # The fields an asset is made with once the bytes are verified: post, title, tags, wishes.
    fields = models.JSONField(default=dict, blank=True)
    asset = models.ForeignKey(
        MediaAsset, null=True, blank=True, on_delete=models.SET_NULL, related_name="uploads"
    )
    error_code = models.CharField(max_length=40, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    expires_at = models.DateTimeField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=UploadState.values), name="upload_state_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(offset__lte=models.F("size")), name="upload_offset_within_size"
            ),
        ]
        indexes: ClassVar = [
            # the sweep of abandoned uploads
            models.Index(fields=["state", "expires_at"], name="upload_by_expiry"),
            # one's own uploads, to go on with
            models.Index(fields=["owner", "-id"], name="upload_newest_of_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.filename} {self.offset}/{self.size}"

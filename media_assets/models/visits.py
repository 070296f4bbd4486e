"""Who was here: client sessions, and every read of an original."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models.base import Row


class ClientSession(Row):
    """One client: a user or an API key, from one address, with one user agent."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        on_delete=models.CASCADE,
        related_name="client_sessions",
    )
    key_label = models.CharField(max_length=100, blank=True)
    ip = models.GenericIPAddressField(null=True)
    user_agent = models.CharField(max_length=300, blank=True)
    # SHA-256 over user, key label, address and user agent: one short column to be unique by.
    fingerprint = models.CharField(max_length=64, unique=True, editable=False)
    first_seen = models.DateTimeField()
    last_seen = models.DateTimeField()
    count = models.PositiveBigIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["-last_seen"]
        indexes: ClassVar = [
            # the admin's list, and the purge of old ones
            models.Index(fields=["-last_seen"], name="session_by_last_seen"),
        ]

    def __str__(self) -> str:
        return f"{self.key_label or self.user} from {self.ip}"


class AccessLog(Row):
    """One read of an original. It outlives the asset and the user, so it holds copies, not keys."""

    asset_id = models.UUIDField()
    space_id = models.UUIDField()
    filename = models.CharField(max_length=255)
    user_id = models.BigIntegerField(null=True)
    username = models.CharField(max_length=150, blank=True)
    key_label = models.CharField(max_length=100, blank=True)
    door = models.CharField(max_length=20)
    ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        indexes: ClassVar = [
            # who read this asset
            models.Index(fields=["asset_id", "-id"], name="access_of_asset"),
            # the purge after ACCESS_LOG_DAYS
            models.Index(fields=["created_at"], name="access_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.username or self.key_label} read {self.filename}"

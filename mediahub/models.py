"""People's own things: API keys, sign-ins for tokens, answers kept for repeats, saved filters."""

from __future__ import annotations

import hashlib
import secrets
import string
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from media_assets.models import Row, Space

if TYPE_CHECKING:
    from collections.abc import Collection

    from django.contrib.auth.models import User

KEY_MARK = "mh_"  # tells a key from a JWT wherever both may come
_KEY_ALPHABET = string.ascii_letters + string.digits  # a double click selects the whole key
_KEY_RANDOM = 43  # characters: 256 bits, so that a plain hash needs no salt
_PREFIX_LENGTH = len(KEY_MARK) + 8
_TOUCH_EVERY = timedelta(minutes=1)


class Scope(models.TextChoices):
    """What a key may be used for. None contains another."""

    READ = "read", "Read"
    UPLOAD = "upload", "Upload"
    ANALYZE = "analyze", "Analyze"
    MANAGE = "manage", "Manage"


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def usable(self) -> ApiKeyQuerySet:
        """Neither revoked nor expired, of people who may still sign in."""
        return self.filter(
            Q(expires_at__isnull=True) | Q(expires_at__gt=timezone.now()),
            revoked_at__isnull=True,
            owner__is_active=True,
        )

    def presented(self, key: str) -> ApiKey | None:
        """The usable key whose secret this is."""
        return self.usable().select_related("owner").filter(key_hash=hash_of_key(key)).first()

    def issue(
        self,
        *,
        owner: User,
        label: str,
        scopes: Collection[str],
        space: Space | None = None,
        expires_at: datetime | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret, which is told this once and kept nowhere."""
        secret = KEY_MARK + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(_KEY_RANDOM))
        key = self.create(
            owner=owner,
            label=label,
            space=space,
            scopes=[scope for scope in Scope.values if scope in scopes],
            prefix=secret[:_PREFIX_LENGTH],
            key_hash=hash_of_key(secret),
            expires_at=expires_at,
        )
        return key, secret


def hash_of_key(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


class ApiKey(Row):
    """usable → revoked (by its owner or staff) or expired (by its date); there is no way back."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="api_keys", db_index=False
    )
    label = models.CharField(max_length=100)
    # A key bound to a space dies with it: without one it would open more than it was made for.
    space = models.ForeignKey(
        Space,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="api_keys",
        help_text="The only space it opens; empty: all of its owner's",
    )
    scopes = models.JSONField(default=list)
    prefix = models.CharField(max_length=16, help_text="How the key begins, to tell it by")
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = "API key"
        indexes: ClassVar = [
            # GET api-keys/: one's own, newest first
            models.Index(fields=["owner", "-id"], name="api_key_newest_of_owner"),
        ]

    def __str__(self) -> str:
        return f"{self.label} ({self.prefix}…)"

    @property
    def is_usable(self) -> bool:
        expired = self.expires_at is not None and self.expires_at <= timezone.now()
        return self.revoked_at is None and not expired

    def revoke(self) -> None:
        """Refuse it from now on. Revoking again changes nothing."""
        if self.revoked_at is None:
            self.revoked_at = timezone.now()
            self.save(update_fields=["revoked_at"])

    def touch(self) -> None:
        """Note that it was used: written at most once a minute, however many requests come."""
        now = timezone.now()
        if self.last_used_at is not None and self.last_used_at > now - _TOUCH_EVERY:
            return
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=now - _TOUCH_EVERY)
        ApiKey.objects.filter(stale, pk=self.pk).update(last_used_at=now)
        self.last_used_at = now


class SignIn(Row):
    """One signing in for tokens. Its refresh tokens follow one another; only the newest is good.

    A refresh with an older one means that two hold the chain: the row is deleted, and with it every
    token of the chain stops working. So does a change of the password.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="sign_ins"
    )
    newest = models.CharField(
        max_length=64, editable=False, help_text="The id of the good refresh token"
    )
    auth_hash = models.CharField(
        max_length=128, editable=False, help_text="Changes with the password"
    )
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            # the purge of those that ran out
            models.Index(fields=["expires_at"], name="sign_in_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.user} since {self.created_at:%Y-%m-%d %H:%M}"


class IdempotencyKey(Row):
    """The first answer to a POST that carried an Idempotency-Key, kept for a day.

    claimed (status is null) → answered;  claimed → deleted (refused or failed: the next try may run)
    """

    # SHA-256 over user, API key, method, path and the client's key: one short column to be unique by.
    scope = models.CharField(max_length=64, unique=True, editable=False)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    # Who holds the claim: a request that lost it to another writes nothing.
    claim = models.UUIDField()
    claimed_at = models.DateTimeField()
    fingerprint = models.CharField(max_length=64, blank=True, help_text="SHA-256 of the body")
    length = models.PositiveBigIntegerField(default=0, help_text="Of the body, in bytes")
    status = models.PositiveSmallIntegerField(null=True)
    headers = models.JSONField(default=dict)
    content = models.BinaryField(default=b"")
    expires_at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [
            # the purge after a day
            models.Index(fields=["expires_at"], name="idempotency_by_expiry"),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.status or 'running'}"


class SavedFilter(Row):
    """A query somebody wants to come back to, on one of our pages."""

    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="saved_filters",
        db_index=False,
    )
    page = models.CharField(max_length=40, help_text="The page it filters, such as assets or jobs")
    name = models.CharField(max_length=80)
    query = models.CharField(
        max_length=2000, help_text="The query string, without the question mark"
    )
    shared = models.BooleanField(default=False, help_text="Shown to everybody who sees the page")

    class Meta:
        ordering: ClassVar = ["page", "name"]
        constraints: ClassVar = [
            # also serves one's own filters of a page
            models.UniqueConstraint(fields=["owner", "page", "name"], name="saved_filter_once"),
        ]
        indexes: ClassVar = [
            # what others share on a page
            models.Index(
                fields=["page", "name"], name="saved_filter_shared", condition=models.Q(shared=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name

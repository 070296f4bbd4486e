"""What this floor does when Django tells it something."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models.signals import post_save
from django.dispatch import receiver

from media_assets import spaces


@receiver(post_save, sender=settings.AUTH_USER_MODEL, dispatch_uid="media_assets.welcome")
def give_a_place(instance: User, created: bool, raw: bool, **_: Any) -> None:  # noqa: FBT001 - Django's
    """A new user is at home at once. Fixtures bring their own memberships."""
    if created and not raw:
        spaces.welcome(user=instance)

"""What all rows share: a key that sorts by time, and when they were made."""

from __future__ import annotations

from django.db import models

from media_assets.ids import uuid7


class Row(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    created_at = models.DateTimeField(auto_now_add=True, editable=False)

    class Meta:
        abstract = True

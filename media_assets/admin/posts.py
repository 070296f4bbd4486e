"""Posts, newest first."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from media_assets.admin.base import HouseAdmin
from media_assets.models import Post


@admin.register(Post)
class PostAdmin(HouseAdmin):
    """List: 1 query, spaces joined."""

    list_display: ClassVar = ["__str__", "source", "author", "space", "posted_at", "created_at"]
    list_select_related: ClassVar = ["space"]
    search_fields: ClassVar = ["external_id", "author", "text"]
    ordering: ClassVar = ["-id"]
    readonly_fields: ClassVar = ["id", "raw", "created_at", "updated_at"]

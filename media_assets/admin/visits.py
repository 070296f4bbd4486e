"""Who was here, and who read what. Nobody edits that."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from media_assets.admin.base import ReadOnlyAdmin
from media_assets.models import AccessLog, ClientSession


@admin.register(ClientSession)
class ClientSessionAdmin(ReadOnlyAdmin):
    """List: 1 query, users joined."""

    list_display: ClassVar = ["user", "key_label", "ip", "last_seen", "count", "user_agent"]
    list_select_related: ClassVar = ["user"]
    ordering: ClassVar = ["-last_seen"]


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    """List: 1 query."""

    list_display: ClassVar = ["created_at", "username", "key_label", "filename", "door", "ip"]
    search_fields: ClassVar = ["asset_id", "username", "key_label"]
    ordering: ClassVar = ["-id"]

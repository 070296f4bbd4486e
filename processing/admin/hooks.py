"""Webhooks and what was sent to them. Changed and sent again by the API; the secret is shown nowhere."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from media_assets.admin.base import ReadOnlyAdmin
from processing.models import WebhookDelivery, WebhookEndpoint


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnlyAdmin):
    """List: 1 query, spaces and owners joined."""

    exclude: ClassVar = ["secret"]
    list_display: ClassVar = [
        "url",
        "space",
        "owner",
        "active",
        "failing_since",
        "disabled_reason",
        "created_at",
    ]
    list_filter: ClassVar = ["active"]
    list_select_related: ClassVar = ["space", "owner"]
    search_fields: ClassVar = ["id", "url"]
    ordering: ClassVar = ["-id"]


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnlyAdmin):
    """List: 1 query, endpoints joined."""

    list_display: ClassVar = [
        "created_at",
        "endpoint",
        "event",
        "state",
        "attempts",
        "response_status",
        "error_message",
        "delivered_at",
    ]
    list_filter: ClassVar = ["state"]
    list_select_related: ClassVar = ["endpoint"]
    search_fields: ClassVar = ["id"]
    ordering: ClassVar = ["-id"]

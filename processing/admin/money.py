"""The ledger of provider calls, and budgets."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from media_assets.admin.base import HouseAdmin, ReadOnlyAdmin
from processing.models import Budget, ProviderCall


@admin.register(ProviderCall)
class ProviderCallAdmin(ReadOnlyAdmin):
    """List: 1 query."""

    list_display: ClassVar = [
        "created_at",
        "provider",
        "model",
        "capability",
        "outcome",
        "error_class",
        "latency_ms",
        "cost_usd",
    ]
    list_filter: ClassVar = ["outcome"]
    ordering: ClassVar = ["-id"]


@admin.register(Budget)
class BudgetAdmin(HouseAdmin):
    """List: 1 query."""

    list_display: ClassVar = ["__str__", "provider", "space", "batch", "active"]
    list_select_related: ClassVar = ["space", "batch"]
    autocomplete_fields: ClassVar = ["space"]

"""Results of the machines."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin

from media_assets.admin.base import ReadOnlyAdmin
from processing.models import Analysis


@admin.register(Analysis)
class AnalysisAdmin(ReadOnlyAdmin):
    """List: 1 query, assets joined."""

    list_display: ClassVar = [
        "__str__",
        "asset",
        "kind",
        "provider",
        "model",
        "review",
        "current",
        "created_at",
    ]
    list_filter: ClassVar = ["kind", "review", "current"]
    list_select_related: ClassVar = ["asset"]
    ordering: ClassVar = ["-id"]

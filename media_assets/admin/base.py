"""What our admin pages share: they never count a table, and history is read-only."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db.models import Model
from django.http import HttpRequest
from unfold.admin import ModelAdmin


class HouseAdmin(ModelAdmin):  # type: ignore[misc]
    """A list of constant cost: no second count of all rows."""

    show_full_result_count: ClassVar[bool] = False
    list_per_page: ClassVar[int] = 50


class ReadOnlyAdmin(HouseAdmin):
    """Rows that machines write and people read."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

"""Spaces and their members."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from unfold.admin import TabularInline

from media_assets.admin.base import HouseAdmin
from media_assets.models import Membership, Space


class MembershipInline(TabularInline):  # type: ignore[misc]
    model = Membership
    fields: ClassVar = ["user", "role"]
    autocomplete_fields: ClassVar = ["user"]
    extra = 0


@admin.register(Space)
class SpaceAdmin(HouseAdmin):
    """List: 1 query."""

    list_display: ClassVar = ["name", "created_at"]
    search_fields: ClassVar = ["name"]
    inlines: ClassVar = [MembershipInline]

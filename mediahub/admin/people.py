"""Users and groups, in the theme of the staff site; and the keys and filters that people made."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from media_assets.admin.base import HouseAdmin, ReadOnlyAdmin
from mediahub.models import ApiKey

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class UserAdmin(auth_admin.UserAdmin, HouseAdmin):  # type: ignore[type-arg]
    """List: 1 query."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(auth_admin.GroupAdmin, HouseAdmin):
    """List: 1 query."""


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnlyAdmin):
    """List: 1 query, owners and spaces joined. Keys are made by their owners; staff revoke them."""

    list_display: ClassVar = [
        "label",
        "owner",
        "space",
        "prefix",
        "expires_at",
        "last_used_at",
        "revoked_at",
    ]
    list_select_related: ClassVar = ["owner", "space"]
    ordering: ClassVar = ["-id"]
    actions: ClassVar = ["revoke"]

    @admin.action(description="Revoke", permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: Any) -> None:
        for key in queryset:
            key.revoke()

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("mediahub.change_apikey")

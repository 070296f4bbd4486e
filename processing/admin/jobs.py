"""Jobs with their steps, batches, and the hosts that run them."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import TabularInline

from media_assets.admin.base import ReadOnlyAdmin
from processing.models import Batch, Job, JobStep, WorkerHost


class JobStepInline(TabularInline):  # type: ignore[misc]
    model = JobStep
    fields: ClassVar = [
        "name",
        "state",
        "attempts",
        "provider",
        "model",
        "cached",
        "duration_ms",
        "reason",
        "error_code",
        "error_message",
    ]
    readonly_fields = fields
    extra = 0
    can_delete = False

    def has_add_permission(self, request: object, obj: object = None) -> bool:
        return False


@admin.register(Job)
class JobAdmin(ReadOnlyAdmin):
    """List: 1 query, assets joined."""

    list_display: ClassVar = [
        "__str__",
        "asset",
        "status",
        "waiting_for",
        "priority",
        "progress",
        "attempts",
        "worker",
        "error_code",
        "created_at",
    ]
    list_filter: ClassVar = ["status", "kind", "priority", "waiting_for"]
    list_select_related: ClassVar = ["asset"]
    search_fields: ClassVar = ["id", "error_code"]
    ordering: ClassVar = ["-id"]
    inlines: ClassVar = [JobStepInline]


@admin.register(Batch)
class BatchAdmin(ReadOnlyAdmin):
    """List: 1 query, without what each is about: that can be a list of 100,000."""

    exclude: ClassVar = ["selection"]

    list_display: ClassVar = ["__str__", "state", "total", "created_by", "created_at"]
    list_filter: ClassVar = ["state"]
    list_select_related: ClassVar = ["created_by"]
    ordering: ClassVar = ["-id"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Batch]:
        found: QuerySet[Batch] = super().get_queryset(request)
        return found.defer("selection")


@admin.register(WorkerHost)
class WorkerHostAdmin(ReadOnlyAdmin):
    """List: 1 query."""

    list_display: ClassVar = ["name", "workers", "started_at", "heartbeat_at"]

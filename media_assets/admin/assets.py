"""Assets with what is known of them and their log, and the blobs behind them."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.html import format_html
from django.utils.safestring import SafeString

from media_assets import originals, renditions
from media_assets.admin.base import HouseAdmin, ReadOnlyAdmin
from media_assets.models import Blob, MediaAsset, Rendition

_SMALL = Prefetch(
    "blob__renditions",
    queryset=Rendition.objects.filter(kind__in=("thumbnail", "poster")).order_by(),
)


@admin.register(MediaAsset)
class MediaAssetAdmin(HouseAdmin):
    """List: 2 queries: assets with blob and owner joined, and their small pictures."""

    list_display: ClassVar = [
        "thumbnail",
        "title_or_name",
        "kind",
        "status",
        "review",
        "owner",
        "created_at",
    ]
    list_display_links: ClassVar = ["title_or_name"]
    list_filter: ClassVar = ["kind", "status", "review"]
    list_select_related: ClassVar = ["blob", "owner"]
    search_fields: ClassVar = ["filename", "title"]
    ordering: ClassVar = ["-id"]
    fields: ClassVar = [
        "preview",
        "filename",
        "title",
        "alt_text",
        "review",
        "local_only",
        "facts",
        "log",
        "status",
        "space",
        "owner",
        "post",
        "door",
        "source_url",
        "created_at",
    ]
    readonly_fields: ClassVar = [
        "preview",
        "filename",
        "facts",
        "log",
        "status",
        "space",
        "owner",
        "post",
        "door",
        "source_url",
        "created_at",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[MediaAsset]:
        found = super().get_queryset(request).filter(deleted_at__isnull=True)
        if (
            request.resolver_match
            and request.resolver_match.url_name == "media_assets_mediaasset_changelist"
        ):
            return found.prefetch_related(_SMALL).defer("analysis_log", "wishes", "current")  # type: ignore[no-any-return]
        return found  # type: ignore[no-any-return]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # every file comes in by intake

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # deleting is the trash's work, not a bare delete of the row

    @admin.display(description="")
    def thumbnail(self, asset: MediaAsset) -> SafeString | str:
        found = renditions.thumbnail_of(asset.blob) if asset.blob else None
        if found is None:
            return ""
        url = originals.rendition_url(found, filename=asset.filename)
        return format_html(
            '<img src="{}" alt="" width="56" height="42" loading="lazy" class="mh-thumb">', url
        )

    @admin.display(description="Asset", ordering="id")
    def title_or_name(self, asset: MediaAsset) -> str:
        return str(asset)

    @admin.display(description="Preview")
    def preview(self, asset: MediaAsset) -> SafeString | str:
        pictures = {each.kind: each for each in asset.blob.renditions.all()} if asset.blob else {}
        found = pictures.get("preview") or pictures.get("poster") or pictures.get("thumbnail")
        if found is None:
            return "No preview"
        url = originals.rendition_url(found, filename=asset.filename)
        return format_html('<img src="{}" alt="{}" class="mh-preview">', url, asset.alt_text)

    @admin.display(description="Facts")
    def facts(self, asset: MediaAsset) -> str:
        metadata = asset.blob.metadata if asset.blob else {}
        found = {
            name.replace("_", " ").capitalize(): value
            for name, value in sorted(metadata.items())
            if isinstance(value, str | int | float) and name != "inspector"
        }
        return render_to_string(
            "staff/facts.html", {"asset": asset, "blob": asset.blob, "found": found}
        )

    @admin.display(description="Log")
    def log(self, asset: MediaAsset) -> str:
        return render_to_string("staff/log.html", {"entries": asset.analysis_log[::-1]})


@admin.register(Blob)
class BlobAdmin(ReadOnlyAdmin):
    """List: 1 query."""

    list_display: ClassVar = [
        "sha256",
        "kind",
        "mime_type",
        "size",
        "whereabouts",
        "verified_at",
        "created_at",
    ]
    list_filter: ClassVar = ["kind", "whereabouts"]
    search_fields: ClassVar = ["sha256"]
    ordering: ClassVar = ["-id"]

"""The staff's pages for what was said."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from unfold.admin import TabularInline

from media_assets.admin.base import HouseAdmin, ReadOnlyAdmin
from transcription.models import Lexicon, LexiconEntry, Transcription


class LexiconEntryInline(TabularInline):  # type: ignore[misc]
    model = LexiconEntry
    fields: ClassVar = ["term", "replacement", "match_case", "whole_word", "regex"]
    extra = 1


@admin.register(Lexicon)
class LexiconAdmin(HouseAdmin):
    """List: 1 query, spaces joined."""

    list_display: ClassVar = ["name", "language", "space", "updated_at"]
    list_select_related: ClassVar = ["space"]
    search_fields: ClassVar = ["name"]
    autocomplete_fields: ClassVar = ["space"]
    inlines: ClassVar = [LexiconEntryInline]


@admin.register(Transcription)
class TranscriptionAdmin(ReadOnlyAdmin):
    """List: 1 query, assets joined."""

    list_display: ClassVar = [
        "__str__",
        "asset",
        "provider",
        "language",
        "review",
        "current",
        "created_at",
    ]
    list_filter: ClassVar = ["review", "current"]
    list_select_related: ClassVar = ["asset"]
    ordering: ClassVar = ["-id"]

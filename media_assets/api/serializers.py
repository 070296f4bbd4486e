"""How posts and assets are shown, and what may be sent with them."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from media_assets import originals, renditions
from media_assets.models import MediaAsset, Rendition, Review


class WordList(serializers.ListField):
    """A list of words: repeated fields, one JSON list, or one line with commas."""

    child = serializers.CharField(max_length=100)

    def get_value(self, dictionary: Any) -> Any:
        value = super().get_value(dictionary)
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str):
            return self._split(value[0])
        return value

    @staticmethod
    def _split(text: str) -> list[str]:
        if text.lstrip().startswith("["):
            try:
                found = json.loads(text)
            except ValueError:
                return [text]
            return found if isinstance(found, list) else [text]
        return [word.strip() for word in text.split(",") if word.strip()]


class AssetSerializer(serializers.ModelSerializer[MediaAsset]):
    """An asset in a list: no log, no analyses. Facts of the blob stand on the asset."""

    sha256 = serializers.CharField(source="blob.sha256", default=None, read_only=True)
    md5 = serializers.CharField(source="blob.md5", default=None, read_only=True)
    width = serializers.IntegerField(source="blob.width", default=None, read_only=True)
    height = serializers.IntegerField(source="blob.height", default=None, read_only=True)
    duration = serializers.FloatField(source="blob.duration", default=None, read_only=True)
    pages = serializers.IntegerField(source="blob.pages", default=None, read_only=True)
    taken_at = serializers.DateTimeField(source="blob.taken_at", default=None, read_only=True)
    blurhash = serializers.SerializerMethodField()
    kind = serializers.SerializerMethodField()
    mime_type = serializers.SerializerMethodField()
    source_url = serializers.SerializerMethodField()
    tags = serializers.SlugRelatedField[Any](slug_field="name", many=True, read_only=True)
    thumbnail_url = serializers.SerializerMethodField()
    archive_url = serializers.SerializerMethodField()
    archived_at = serializers.DateTimeField(source="blob.archived_at", default=None, read_only=True)

    class Meta:
        model = MediaAsset
        fields: ClassVar = [
            "id",
            "space",
            "post",
            "owner",
            "local_only",
            "kind",
            "filename",
            "title",
            "alt_text",
            "tags",
            "source_url",
            "mime_type",
            "size",
            "md5",
            "sha256",
            "width",
            "height",
            "duration",
            "pages",
            "taken_at",
            "blurhash",
            "status",
            "analyzed_at",
            "needs_review",
            "review",
            "thumbnail_url",
            "archive_url",
            "archived_at",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.STR)
    def get_kind(self, asset: MediaAsset) -> str | None:
        return asset.kind or None

    @extend_schema_field(OpenApiTypes.STR)
    def get_mime_type(self, asset: MediaAsset) -> str | None:
        return asset.mime_type or None

    @extend_schema_field(OpenApiTypes.STR)
    def get_source_url(self, asset: MediaAsset) -> str | None:
        return asset.source_url or None

    @extend_schema_field(OpenApiTypes.STR)
    def get_blurhash(self, asset: MediaAsset) -> str | None:
        return (asset.blob.blurhash or None) if asset.blob else None

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, asset: MediaAsset) -> str | None:
        found = renditions.thumbnail_of(asset.blob) if asset.blob else None
        return (
            self._absolute(originals.rendition_url(found, filename=asset.filename))
            if found
            else None
        )

    @extend_schema_field(OpenApiTypes.URI)
    def get_archive_url(self, asset: MediaAsset) -> str | None:
        return (asset.blob.archive_url or None) if asset.blob else None

    def _absolute(self, url: str) -> str:
        request = self.context.get("request")
        return request.build_absolute_uri(url) if request is not None else url


class RenditionSerializer(serializers.ModelSerializer[Rendition]):
    url = serializers.SerializerMethodField()

    class Meta:
        model = Rendition
        fields: ClassVar = [
            "id",
            "kind",
            "variant",
            "mime_type",
            "size",
            "width",
            "height",
            "position",
            "data",
            "url",
            "created_at",
        ]
        read_only_fields = fields

    @extend_schema_field(OpenApiTypes.URI)
    def get_url(self, rendition: Rendition) -> str:
        url = originals.rendition_url(rendition, filename=self.context.get("filename", "file"))
        request = self.context.get("request")
        return request.build_absolute_uri(url) if request is not None else url


class WishesSerializer(serializers.Serializer[Any]):
    """What an uploader may wish of the machines."""

    steps = WordList(required=False, max_length=20)
    prompt = serializers.CharField(required=False, max_length=8000)
    language = serializers.RegexField(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", required=False)
    lexicon = serializers.UUIDField(required=False)


class UploadSerializer(WishesSerializer):
    """The fields beside the file."""

    # Required, and not empty: intake says so with codes of its own.
    file = serializers.FileField(required=False, write_only=True, allow_empty_file=True)
    space = serializers.UUIDField(required=False)
    post = serializers.UUIDField(required=False)
    title = serializers.CharField(required=False, max_length=300)
    alt_text = serializers.CharField(required=False, max_length=1000)
    tags = WordList(required=False, max_length=50)
    local_only = serializers.BooleanField(required=False, default=False)


class AssetChangeSerializer(serializers.Serializer[Any]):
    """What people may change of an asset."""

    title = serializers.CharField(required=False, allow_blank=True, max_length=300)
    alt_text = serializers.CharField(required=False, allow_blank=True, max_length=1000)
    tags = WordList(required=False, max_length=50)
    post = serializers.UUIDField(required=False, allow_null=True)
    review = serializers.ChoiceField(required=False, choices=Review.choices)
    local_only = serializers.BooleanField(required=False)


class LogEntrySerializer(serializers.Serializer[Any]):
    """One line of the append-only log."""

    timestamp = serializers.DateTimeField()
    event = serializers.CharField()
    status = serializers.CharField(allow_null=True)
    job = serializers.UUIDField(allow_null=True)
    step = serializers.CharField(allow_null=True)
    provider = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    details = serializers.DictField()

"""How posts and assets are shown, and what may be sent with them."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.core.validators import URLValidator
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


def thumbnail_url(asset: MediaAsset, request: Any) -> str | None:
    """The address of an asset's small picture; uses renditions that were prefetched."""
    found = renditions.thumbnail_of(asset.blob) if asset.blob else None
    if found is None:
        return None
    url = originals.rendition_url(found, filename=asset.filename)
    return request.build_absolute_uri(url) if request is not None else url


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
        return thumbnail_url(asset, self.context.get("request"))

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


class ArrivalSerializer(WishesSerializer):
    """What may be said of a new asset."""

    space = serializers.UUIDField(required=False)
    post = serializers.UUIDField(required=False)
    title = serializers.CharField(required=False, max_length=300)
    alt_text = serializers.CharField(required=False, max_length=1000)
    tags = WordList(required=False, max_length=50)
    local_only = serializers.BooleanField(required=False, default=False)


class UploadSerializer(ArrivalSerializer):
    """The fields beside the file."""

    # Required, and not empty: intake says so with codes of its own.
    file = serializers.FileField(required=False, write_only=True, allow_empty_file=True)


class AddressSerializer(ArrivalSerializer):
    """The fields beside the address."""

    # Judged by the guard, which says more than a field could; nothing is trimmed before it.
    url = serializers.CharField(
        write_only=True, trim_whitespace=False, help_text="http, https, or data: up to 10 MB"
    )


class PostFieldsSerializer(serializers.Serializer[Any]):
    """What may be said, and later changed, of a post."""

    source = serializers.CharField(  # type: ignore[assignment]  # a field's own attribute has this name
        required=False, allow_blank=True, max_length=60
    )
    external_id = serializers.CharField(required=False, allow_blank=True, max_length=200)
    author = serializers.CharField(required=False, allow_blank=True, max_length=200)
    text = serializers.CharField(required=False, allow_blank=True, max_length=100_000)
    url = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=2000,
        validators=[URLValidator(schemes=["http", "https"])],
    )
    posted_at = serializers.DateTimeField(required=False, allow_null=True)


class NewPostSerializer(PostFieldsSerializer):
    """A post with its media."""

    space = serializers.UUIDField(required=False)
    media = serializers.JSONField(
        required=False,
        help_text="{type: image|video|audio|document, url}, {type: images, images: [{url}]},"
        " or a list of such",
    )


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

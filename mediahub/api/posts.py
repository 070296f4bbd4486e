"""Posts over HTTP: taken in with their media, listed with what the machines say of these."""

from __future__ import annotations

from typing import Any, ClassVar, cast
from uuid import UUID

import django_filters
from django.db.models import Prefetch, QuerySet
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access, posts
from media_assets.access import Action, Asker
from media_assets.api.asking import asker_of
from media_assets.api.serializers import NewPostSerializer, PostFieldsSerializer, thumbnail_url
from media_assets.models import MediaAsset, Post
from mediahub.api.assets import SMALL, main_result, result_of
from mediahub.models import Scope


class PostFilter(django_filters.FilterSet):
    space = django_filters.UUIDFilter(field_name="space_id")
    source = django_filters.CharFilter()
    external_id = django_filters.CharFilter()
    author = django_filters.CharFilter()
    posted_after = django_filters.IsoDateTimeFilter(field_name="posted_at", lookup_expr="gte")
    posted_before = django_filters.IsoDateTimeFilter(field_name="posted_at", lookup_expr="lt")
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = Post
        fields: ClassVar[list[str]] = []


class PostAssetSerializer(serializers.ModelSerializer[MediaAsset]):
    """An asset as its post shows it: what it is, and what the machines say of it."""

    kind = serializers.SerializerMethodField()
    thumbnail_url = serializers.SerializerMethodField()
    analysis = serializers.SerializerMethodField()
    transcription = serializers.SerializerMethodField()

    class Meta:
        model = MediaAsset
        fields: ClassVar = ["id", "kind", "status", "thumbnail_url", "analysis", "transcription"]
        read_only_fields = fields

    def get_kind(self, asset: MediaAsset) -> str | None:
        return asset.kind or None

    @extend_schema_field(OpenApiTypes.URI)
    def get_thumbnail_url(self, asset: MediaAsset) -> str | None:
        return thumbnail_url(asset, self.context.get("request"))

    def get_analysis(self, asset: MediaAsset) -> dict[str, Any] | None:
        return main_result(asset)

    def get_transcription(self, asset: MediaAsset) -> dict[str, Any] | None:
        return result_of(asset, "transcribe")


class PostSerializer(serializers.ModelSerializer[Post]):
    assets = PostAssetSerializer(many=True, read_only=True)

    class Meta:
        model = Post
        fields: ClassVar = [
            "id",
            "space",
            "source",
            "external_id",
            "author",
            "text",
            "url",
            "posted_at",
            "assets",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class UnknownMediaSerializer(serializers.Serializer[posts.Unknown]):
    position = serializers.IntegerField(help_text="In the list of media, from 0")
    type = serializers.CharField()


class AddedPostSerializer(PostSerializer):
    """A post as it was taken in, with what of its media is of no known kind."""

    unknown_media = serializers.SerializerMethodField()

    class Meta(PostSerializer.Meta):
        fields: ClassVar = [*PostSerializer.Meta.fields, "unknown_media"]
        read_only_fields = fields

    @extend_schema_field(UnknownMediaSerializer(many=True))
    def get_unknown_media(self, post: Post) -> list[dict[str, Any]]:
        return list(UnknownMediaSerializer(self.context["unknown"], many=True).data)


class PostViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Post]):
    queryset = Post.objects.none()
    serializer_class = PostSerializer
    filterset_class = PostFilter
    ordering_fields: ClassVar = ["created_at", "posted_at"]
    scopes: ClassVar = {
        "create": Scope.UPLOAD,
        "partial_update": Scope.UPLOAD,
        "destroy": Scope.UPLOAD,
    }
    lookup_value_converter = "uuid"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[Post]:
        # Whatever the number of posts and assets: the posts, their assets with blobs, the small pictures.
        held = (
            MediaAsset.objects.filter(deleted_at__isnull=True)
            .select_related("blob")
            .prefetch_related(SMALL)
            .defer("analysis_log", "wishes", "blob__metadata")
            .order_by("id")
        )
        return access.posts(self.asker).defer("raw").prefetch_related(Prefetch("assets", held))

    @extend_schema(
        request=NewPostSerializer, responses={200: AddedPostSerializer, 201: AddedPostSerializer}
    )
    def create(self, request: Request) -> Response:
        """Take in a post. Its media are fetched by jobs.

        The same source and external_id again answer 200 with the post there, and add the media it lacked.
        """
        form = NewPostSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = dict(cast("dict[str, Any]", form.validated_data))
        asker = self.asker
        added = posts.add(
            space=access.space_for(asker, sent.pop("space", None)),
            media=sent.pop("media", None),
            fields=sent,
            raw=dict(request.data),
            sender=posts.Sender(
                owner=asker.user_or_none, key_label=asker.key_label, session=asker.session
            ),
        )
        post = self.get_queryset().get(pk=added.post.pk)
        context = {**self.get_serializer_context(), "unknown": added.unknown}
        return Response(
            AddedPostSerializer(post, context=context).data,
            status=status.HTTP_201_CREATED if added.created else status.HTTP_200_OK,
            headers={
                "Location": request.build_absolute_uri(reverse("api:post-detail", args=[post.pk]))
            },
        )

    @extend_schema(request=PostFieldsSerializer, responses=PostSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Change what is said of a post."""
        post = self.get_object()
        access.require(self.asker, Action.CHANGE, post)
        form = PostFieldsSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        posts.change(post=post, fields=dict(cast("dict[str, Any]", form.validated_data)))
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Delete a post; its media go to the trash."""
        post = self.get_object()
        access.require(self.asker, Action.DELETE, post)
        posts.delete(post=post, asker=self.asker)
        return Response(status=status.HTTP_204_NO_CONTENT)

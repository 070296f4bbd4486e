"""Assets over HTTP: the upload door, the list, and all that is known about one."""

from __future__ import annotations

from typing import Any, ClassVar, cast
from uuid import UUID

import django_filters
from django.db.models import Prefetch, QuerySet
from django.http import Http404, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.parsers import MultiPartParser
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access, assets, intake, originals, visits
from media_assets.access import Action, Asker
from media_assets.api import multipart
from media_assets.api.asking import asker_of
from media_assets.api.multipart import ReceivedUpload
from media_assets.api.serializers import (
    AddressSerializer,
    AssetChangeSerializer,
    AssetSerializer,
    LogEntrySerializer,
    RenditionSerializer,
    UploadSerializer,
)
from media_assets.errors import Invalid, NotFound
from media_assets.intake import Kept
from media_assets.models import Door, Kind, MediaAsset, Rendition, Review, Status
from mediahub.api.parsers import StrictJSONParser
from mediahub.models import Scope
from processing import engine
from processing.api.serializers import (
    AnalysisSerializer,
    JobRequestSerializer,
    JobSerializer,
)
from processing.models import Analysis, Job, Priority

SMALL = Prefetch(
    "blob__renditions",
    queryset=Rendition.objects.filter(kind__in=("thumbnail", "poster")).order_by(),
)
WISHES = ("steps", "prompt", "language", "lexicon")


class AssetFilter(django_filters.FilterSet):
    kind = django_filters.ChoiceFilter(choices=Kind.choices)
    status = django_filters.ChoiceFilter(choices=Status.choices)
    review = django_filters.ChoiceFilter(choices=Review.choices)
    needs_review = django_filters.BooleanFilter(field_name="flagged")
    space = django_filters.UUIDFilter(field_name="space_id")
    post = django_filters.UUIDFilter(field_name="post_id")
    tag = django_filters.CharFilter(method="with_tag")
    mime_type = django_filters.CharFilter()
    archived = django_filters.BooleanFilter(
        field_name="blob__archived_at", lookup_expr="isnull", exclude=True
    )
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")
    created_before = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="lt")

    class Meta:
        model = MediaAsset
        fields: ClassVar[list[str]] = []

    def with_tag(
        self, queryset: QuerySet[MediaAsset], name: str, value: str
    ) -> QuerySet[MediaAsset]:
        return queryset.filter(tags__name=value)


class AssetDetailSerializer(AssetSerializer):
    """One asset with what all floors know of it."""

    file_url = serializers.SerializerMethodField()
    metadata = serializers.SerializerMethodField()
    renditions = serializers.SerializerMethodField()
    analysis = serializers.SerializerMethodField()
    transcription = serializers.SerializerMethodField()
    jobs = serializers.SerializerMethodField()

    class Meta(AssetSerializer.Meta):
        fields: ClassVar = [
            *AssetSerializer.Meta.fields,
            "file_url",
            "metadata",
            "renditions",
            "analysis",
            "transcription",
            "jobs",
        ]
        read_only_fields = fields

    def get_file_url(self, asset: MediaAsset) -> str | None:
        if asset.blob_id is None:
            return None
        return self._absolute(reverse("api:asset-download", args=[asset.pk]))

    def get_metadata(self, asset: MediaAsset) -> dict[str, Any]:
        return asset.blob.metadata if asset.blob else {}

    def get_renditions(self, asset: MediaAsset) -> list[dict[str, Any]]:
        found = list(asset.blob.renditions.all()) if asset.blob else []
        context = {**self.context, "filename": asset.filename}
        return list(RenditionSerializer(found, many=True, context=context).data)

    def get_analysis(self, asset: MediaAsset) -> dict[str, Any] | None:
        return main_result(asset)

    def get_transcription(self, asset: MediaAsset) -> dict[str, Any] | None:
        return result_of(asset, "transcribe")

    def get_jobs(self, asset: MediaAsset) -> list[dict[str, Any]]:
        jobs = asset.jobs.prefetch_related("steps").order_by("-id")[:10]
        return list(JobSerializer(jobs, many=True, context=self.context).data)


def main_result(asset: MediaAsset) -> dict[str, Any] | None:
    """What the machines say of it: seen, else read."""
    return result_of(asset, "describe") or result_of(asset, "read_document")


def result_of(asset: MediaAsset, step: str) -> dict[str, Any] | None:
    found: dict[str, Any] | None = asset.current.get(step)
    return found


class AssetViewSet(mixins.ListModelMixin, GenericViewSet[MediaAsset]):
    serializer_class = AssetSerializer
    filterset_class = AssetFilter
    ordering_fields: ClassVar = ["created_at"]
    parser_classes = (MultiPartParser, StrictJSONParser)
    error_statuses: ClassVar = {"create": (413, 415, 422, 507), "download": (410,)}
    scopes: ClassVar = {
        "create": Scope.UPLOAD,
        "partial_update": Scope.UPLOAD,
        "destroy": Scope.UPLOAD,
        "restore": Scope.UPLOAD,
        "POST": Scope.ANALYZE,
    }
    lookup_value_converter = "uuid"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[MediaAsset]:
        found = access.assets(self.asker).select_related("blob").prefetch_related("tags")
        if self.action == "list":
            return found.prefetch_related(SMALL).defer(
                "analysis_log", "wishes", "current", "blob__metadata"
            )
        return found.prefetch_related("blob__renditions")

    def initialize_request(self, request: Any, *args: Any, **kwargs: Any) -> Request:
        if request.method == "POST" and request.content_type == "multipart/form-data":
            self._door = multipart.install(request)
        return super().initialize_request(request, *args, **kwargs)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if (door := getattr(self, "_door", None)) is not None:
            door.discard()
        return super().finalize_response(request, response, *args, **kwargs)

    def get_object(self) -> MediaAsset:
        try:
            return super().get_object()
        except Http404:
            if self.request.method not in SAFE_METHODS:
                raise
        # Whoever asks for an asset that gave way is shown the one that has its bytes.
        gone = MediaAsset.objects.filter(pk=self.kwargs["pk"], gave_way_to__isnull=False)
        there = self.get_queryset().filter(pk__in=gone.values("gave_way_to")).first()
        if there is None:
            raise NotFound
        return there

    @extend_schema(
        request={"multipart/form-data": UploadSerializer, "application/json": AddressSerializer},
        responses={
            200: AssetDetailSerializer,
            201: AssetDetailSerializer,
            202: AssetDetailSerializer,
        },
    )
    def create(self, request: Request) -> Response:
        """Take in a file, or what an address leads to.

        A file and a `data:` URL answer 201. An address answers 202 with an asset without bytes, which a job
        fetches. The same bytes in the same space and post answer 200 with the asset there.
        """
        kept = self._from_form(request) if hasattr(self, "_door") else self._from_address(request)
        code: int = status.HTTP_201_CREATED if kept.created else status.HTTP_200_OK
        if kept.asset.blob_id is None:
            code = status.HTTP_202_ACCEPTED
        url = request.build_absolute_uri(reverse("api:asset-detail", args=[kept.asset.pk]))
        return Response(self._detail(kept.asset.pk), status=code, headers={"Location": url})

    def _from_form(self, request: Request) -> Kept:
        form = UploadSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        upload = request.FILES.get("file")
        if upload is None:
            raise Invalid("There is no file in this request.", file=["This field is required."])
        sent = cast("dict[str, Any]", form.validated_data)
        return intake.keep(
            received=cast("ReceivedUpload", upload).received(), details=self._details(sent)
        )

    def _from_address(self, request: Request) -> Kept:
        form = AddressSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = cast("dict[str, Any]", form.validated_data)
        return intake.take(url=sent["url"], details=self._details(sent, door=Door.URL))

    def _details(self, sent: dict[str, Any], *, door: Door = Door.UPLOAD) -> intake.Details:
        asker = self.asker
        space = access.space_for(asker, sent.get("space"))
        post = None
        if sent.get("post"):
            post = access.posts(asker).filter(pk=sent["post"], space=space).first()
            if post is None:
                raise NotFound("There is no such post in this space.")
        return intake.Details(
            space=space,
            owner=asker.user_or_none,
            door=door,
            post=post,
            title=sent.get("title", ""),
            alt_text=sent.get("alt_text", ""),
            tags=tuple(sent.get("tags", ())),
            local_only=sent.get("local_only", False),
            wishes={
                name: str(sent[name]) if isinstance(sent[name], UUID) else sent[name]
                for name in WISHES
                if name in sent
            },
            key_label=asker.key_label,
            session=asker.session,
        )

    def _detail(self, pk: UUID) -> dict[str, Any]:
        asset = self.get_queryset().get(pk=pk)
        return dict(AssetDetailSerializer(asset, context=self.get_serializer_context()).data)

    @extend_schema(responses=AssetDetailSerializer)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        """All that is known of one asset."""
        asset = self.get_object()
        return Response(AssetDetailSerializer(asset, context=self.get_serializer_context()).data)

    @extend_schema(request=AssetChangeSerializer, responses=AssetDetailSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Change what people say of an asset."""
        asset = self.get_object()
        form = AssetChangeSerializer(data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        fields = dict(cast("dict[str, Any]", form.validated_data))
        access.require(self.asker, Action.CHANGE, asset)
        if "review" in fields:
            access.require(self.asker, Action.REVIEW, asset)
        tags = fields.pop("tags", None)
        if "post" in fields:
            fields |= self._new_post(asset, fields["post"])
        assets.change(asset=asset, by=self.asker.user_or_none, fields=fields, tags=tags)
        return Response(self._detail(asset.pk))

    def _new_post(self, asset: MediaAsset, post_id: UUID | None) -> dict[str, Any]:
        if post_id is None:
            return assets.move_to_post(asset, None)
        post = access.posts(self.asker).filter(pk=post_id).first()
        if post is None:
            raise NotFound("There is no such post.")
        return assets.move_to_post(asset, post)

    @extend_schema(parameters=[OpenApiParameter("purge", bool, description="Delete for good.")])
    def destroy(self, request: Request, pk: UUID) -> Response:
        """Move to the trash; with `purge=1` delete for good."""
        if request.query_params.get("purge", "").lower() in ("1", "true"):
            asset = self._in_trash_or_not(pk)
            access.require(self.asker, Action.PURGE, asset)
            assets.purge(asset=asset)
        else:
            asset = self.get_object()
            access.require(self.asker, Action.DELETE, asset)
            assets.trash(asset=asset, by=self.asker.user_or_none)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _page(self, rows: Any, serializer: Any) -> Response:
        """One page of what belongs to an asset."""
        page = self.paginate_queryset(rows)
        context = self.get_serializer_context()
        return self.get_paginated_response(serializer(page, many=True, context=context).data)

    def _in_trash_or_not(self, pk: UUID) -> MediaAsset:
        asset = access.within(MediaAsset.objects.all(), self.asker).filter(pk=pk).first()
        if asset is None:
            raise NotFound
        return asset

    @extend_schema(request=None, responses=AssetDetailSerializer)
    @action(detail=True, methods=["post"])
    def restore(self, request: Request, pk: UUID) -> Response:
        """Take an asset out of the trash."""
        asset = self._in_trash_or_not(pk)
        access.require(self.asker, Action.DELETE, asset)
        assets.restore(asset=asset, by=self.asker.user_or_none)
        return Response(self._detail(asset.pk))

    @extend_schema(responses={302: None})
    @action(detail=True)
    def download(self, request: Request, pk: UUID) -> HttpResponseBase:
        """A redirect to the bytes, at an address that expires."""
        asset = self.get_object()
        if asset.blob is None:
            raise NotFound("The bytes of this asset are not here yet.")
        url = originals.url(asset)
        if url is None:
            raise originals.BytesGone
        visits.note_read(asset=asset, asker=self.asker, door="api", request=request)
        return HttpResponseRedirect(url)

    @extend_schema(responses=LogEntrySerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def log(self, request: Request, pk: UUID) -> Response:
        """What happened to this asset, oldest first."""
        return Response(self.get_object().analysis_log)

    @extend_schema(responses=RenditionSerializer(many=True))
    @action(detail=True, pagination_class=None, filterset_class=None)
    def renditions(self, request: Request, pk: UUID) -> Response:
        """The files made from this asset's bytes."""
        asset = self.get_object()
        found = Rendition.objects.filter(blob__assets=asset)
        context = {**self.get_serializer_context(), "filename": asset.filename}
        return Response(RenditionSerializer(found, many=True, context=context).data)

    @extend_schema(responses=AnalysisSerializer(many=True))
    @action(detail=True, filterset_class=None)
    def analyses(self, request: Request, pk: UUID) -> Response:
        """All results of all runs, newest first."""
        return self._page(Analysis.objects.filter(asset=self.get_object()), AnalysisSerializer)

    @extend_schema(methods=["GET"], responses=JobSerializer(many=True))
    @extend_schema(methods=["POST"], request=JobRequestSerializer, responses={202: JobSerializer})
    @action(detail=True, methods=["get", "post"], filterset_class=None)
    def jobs(self, request: Request, pk: UUID) -> Response:
        """The work on this asset, newest first; POST asks for more."""
        asset = self.get_object()
        if request.method == "GET":
            jobs = Job.objects.filter(asset=asset).prefetch_related("steps")
            return self._page(jobs, JobSerializer)
        access.require(self.asker, Action.RUN, asset)
        form = JobRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        job = submit(
            asset=asset, asked=cast("dict[str, Any]", form.validated_data), asker=self.asker
        )
        return Response(
            JobSerializer(job).data,
            status=status.HTTP_202_ACCEPTED,
            headers={
                "Location": request.build_absolute_uri(reverse("api:job-detail", args=[job.pk]))
            },
        )


def submit(*, asset: MediaAsset, asked: dict[str, Any], asker: Asker) -> Job:
    """A job as a request asked for it."""
    params: dict[str, Any] = {
        name: str(value) if isinstance(value, UUID) else value for name, value in asked.items()
    }
    steps = params.pop("steps", None)
    if steps is not None and asset.blob_id is None:
        params["steps"] = steps  # for the step that fetches the bytes to plan with
    priority = Priority[params.pop("priority", "interactive").upper()]
    return engine.submit(
        asset=asset,
        steps=steps,
        params=params,
        priority=priority,
        requested_by=asker.user_or_none,
        key_label=asker.key_label,
        session=asker.session,
    )

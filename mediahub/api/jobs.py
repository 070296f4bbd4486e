"""Jobs over HTTP: the list, one with its results, cancel, retry and boost."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access
from media_assets.access import Action, Asker
from media_assets.api.asking import asker_of
from media_assets.api.serializers import RenditionSerializer
from media_assets.models import Rendition
from mediahub.models import Scope
from processing import engine
from processing.api.serializers import AnalysisSerializer, JobSerializer
from processing.models import Job, JobKind, JobStatus, Priority


class JobFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=JobStatus.choices)
    kind = django_filters.ChoiceFilter(choices=JobKind.choices)
    asset = django_filters.UUIDFilter(field_name="asset_id")
    batch = django_filters.UUIDFilter(field_name="batch_id")
    space = django_filters.UUIDFilter(field_name="space_id")
    error_code = django_filters.CharFilter()
    priority = django_filters.ChoiceFilter(
        choices=[(each.name.lower(), each.label) for each in Priority], method="with_priority"
    )

    class Meta:
        model = Job
        fields: ClassVar[list[str]] = []

    def with_priority(self, queryset: QuerySet[Job], name: str, value: str) -> QuerySet[Job]:
        return queryset.filter(priority=Priority[value.upper()])


class JobDetailSerializer(JobSerializer):
    """A job with the results of its steps, whichever app they come from."""

    results = serializers.SerializerMethodField()

    class Meta(JobSerializer.Meta):
        fields: ClassVar = [*JobSerializer.Meta.fields, "results"]
        read_only_fields = fields

    def get_results(self, job: Job) -> dict[str, Any]:
        blob_id = job.asset.blob_id if job.asset else None
        renditions = list(Rendition.objects.filter(blob_id=blob_id)) if blob_id else []
        transcription = job.transcriptions.order_by("-id").first()
        context = {**self.context, "filename": job.asset.filename if job.asset else "file"}
        return {
            "analyses": AnalysisSerializer(job.analyses.order_by("id"), many=True).data,
            "transcription": {"id": str(transcription.pk)} if transcription else None,
            "renditions": RenditionSerializer(renditions, many=True, context=context).data,
        }


class JobViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Job]):
    serializer_class = JobSerializer
    filterset_class = JobFilter
    ordering_fields: ClassVar = ["created_at"]
    scopes: ClassVar = {"POST": Scope.ANALYZE}
    lookup_value_converter = "uuid"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[Job]:
        # A job on an asset is seen by those who see the asset; in the trash nobody does.
        jobs = (
            access.within(Job.objects.all(), self.asker)
            .filter(asset__deleted_at__isnull=True)
            .prefetch_related("steps")
        )
        return jobs if self.action == "list" else jobs.select_related("asset")

    def get_serializer_class(self) -> type[JobSerializer]:
        return JobDetailSerializer if self.action == "retrieve" else JobSerializer

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """End a job that is pending or running."""
        return self._do(engine.cancel)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:
        """Run a failed or cancelled job again, from the step that did not get done."""
        return self._do(engine.retry)

    @extend_schema(request=None, responses=JobSerializer)
    @action(detail=True, methods=["post"])
    def boost(self, request: Request, pk: UUID) -> Response:
        """Put a pending job before the bulk."""
        return self._do(engine.boost)

    def _do(self, verb: Any) -> Response:
        job = self.get_object()
        access.require(self.asker, Action.RUN, job.asset or job)
        return Response(JobSerializer(verb(job=job)).data)

"""Batches over HTTP: many jobs asked for at once, by a list of assets or by a filter of their list."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, ClassVar, cast
from uuid import UUID

import django_filters
from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access
from media_assets.access import Action, Asker
from media_assets.api.asking import asker_of
from media_assets.errors import Invalid
from media_assets.models import MediaAsset
from mediahub.api.assets import AssetFilter
from mediahub.models import Scope
from processing import batches, estimates, selections
from processing.api.serializers import ErrorSerializer, JobRequestSerializer
from processing.batches import Progress
from processing.models import Batch, BatchState

MAX_SAMPLE = 1000
_OF_THE_BATCH = ("assets", "filter", "space", "label", "sample", "estimate")


def narrow(assets: QuerySet[MediaAsset], asked: dict[str, Any]) -> QuerySet[MediaAsset]:
    """The assets that the list shows with this filter. Refuses what the list refuses."""
    known = sorted(AssetFilter.base_filters)
    unknown = sorted(set(asked) - set(known))
    if unknown:
        message = f"{unknown[0]} is not known here. Known: {', '.join(known)}."
        raise Invalid(f"filter: {message}", filter=[message])
    found = AssetFilter({name: _as_query(name, asked[name]) for name in asked}, queryset=assets)
    if not found.is_valid():
        wrong = {
            f"filter.{name}": [str(e) for e in errors] for name, errors in found.errors.items()
        }
        raise Invalid("The filter is not valid.", **wrong)
    narrowed: QuerySet[MediaAsset] = found.qs
    return narrowed


def _as_query(name: str, value: Any) -> str:
    """As it would stand in the address of the list."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    message = f"{name} must be a text, a number, true or false."
    raise Invalid(f"filter: {message}", **{f"filter.{name}": [message]})


@extend_schema_field({"type": "array", "items": {"type": "string", "format": "uuid"}})
class IdList(serializers.Field[list[UUID], list[str], list[str], Any]):
    """A long list of ids, read without a field for each."""

    def to_internal_value(self, data: Any) -> list[UUID]:
        if not isinstance(data, list):
            raise serializers.ValidationError("A list of ids is needed.")
        if len(data) > selections.MAX_ASSETS:
            raise serializers.ValidationError(
                f"At most {selections.MAX_ASSETS} assets can be listed. Use a filter for more."
            )
        try:
            return [UUID(each) for each in data]
        except (ValueError, AttributeError, TypeError) as error:
            raise serializers.ValidationError("This list holds what is no id.") from error

    def to_representation(self, value: list[UUID]) -> list[str]:
        return [str(each) for each in value]


class BatchRequestSerializer(JobRequestSerializer):
    """Either `assets` or `filter`, and what each job is asked to do."""

    assets = IdList(required=False)
    filter = serializers.DictField(
        required=False, help_text="As the parameters of the list of assets"
    )
    space = serializers.UUIDField(required=False, help_text="Where the filter looks")
    label = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields out
        required=False, max_length=200
    )
    sample = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_SAMPLE,
        help_text="Only so many: the first of the list, the newest of the filter",
    )
    estimate = serializers.BooleanField(
        required=False, default=False, help_text="Make nothing; tell what it would take"
    )


class EstimateSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    cached = serializers.IntegerField(help_text="Of these, how many have an equal result already")
    minutes = serializers.FloatField(
        allow_null=True, help_text="By how long jobs took of late; null where that is unknown"
    )
    cost_usd = serializers.DecimalField(
        max_digits=12, decimal_places=6, allow_null=True, help_text="Null where a price is unknown"
    )


class BatchSerializer(serializers.ModelSerializer[Batch]):
    """A batch with how far it is: give `progress` in the context."""

    status = serializers.ChoiceField(source="state", choices=BatchState.choices, read_only=True)
    pending = serializers.SerializerMethodField()
    processing = serializers.SerializerMethodField()
    completed = serializers.SerializerMethodField()
    failed = serializers.SerializerMethodField()
    cancelled = serializers.SerializerMethodField()
    failures = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields: ClassVar = [
            "id",
            "space",
            "label",
            "status",
            "total",
            "pending",
            "processing",
            "completed",
            "failed",
            "cancelled",
            "failures",
            "error",
            "params",
            "created_by",
            "created_at",
            "completed_at",
            "updated_at",
        ]
        read_only_fields = fields

    def _progress(self, batch: Batch) -> Progress:
        return cast("Progress", self.context["progress"][batch.pk])

    def get_pending(self, batch: Batch) -> int:
        return self._progress(batch).counts["pending"]

    def get_processing(self, batch: Batch) -> int:
        return self._progress(batch).counts["processing"]

    def get_completed(self, batch: Batch) -> int:
        return self._progress(batch).counts["completed"]

    def get_failed(self, batch: Batch) -> int:
        return self._progress(batch).counts["failed"]

    def get_cancelled(self, batch: Batch) -> int:
        return self._progress(batch).counts["cancelled"]

    def get_failures(self, batch: Batch) -> dict[str, int]:
        """Failed jobs by error code."""
        return self._progress(batch).failures

    @extend_schema_field(ErrorSerializer(allow_null=True))
    def get_error(self, batch: Batch) -> dict[str, str] | None:
        """Why not all of its jobs could be made."""
        failed = self._progress(batch).filling_failed
        return {"code": failed[0], "message": failed[1]} if failed else None


class BatchFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(field_name="state", choices=BatchState.choices)
    space = django_filters.UUIDFilter(field_name="space_id")

    class Meta:
        model = Batch
        fields: ClassVar[list[str]] = []


class BatchViewSet(mixins.ListModelMixin, GenericViewSet[Batch]):
    serializer_class = BatchSerializer
    filterset_class = BatchFilter
    scopes: ClassVar = {"POST": Scope.ANALYZE}
    lookup_value_converter = "uuid"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[Batch]:
        return access.within(Batch.objects.all(), self.asker).defer("selection")

    def get_serializer(self, *args: Any, **kwargs: Any) -> Any:
        shown = args[0] if args else None
        if shown is not None:
            found = shown if kwargs.get("many") else [shown]
            kwargs["context"] = {
                **self.get_serializer_context(),
                "progress": batches.progress(found),
            }
        return super().get_serializer(*args, **kwargs)

    def retrieve(self, request: Request, pk: UUID) -> Response:
        """How far a batch is, and what failed."""
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(
        request=BatchRequestSerializer,
        responses={200: EstimateSerializer, 202: BatchSerializer},
    )
    def create(self, request: Request) -> Response:
        """Ask for many jobs at once. They are made in the background."""
        form = BatchRequestSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        sent = cast("dict[str, Any]", form.validated_data)
        asked: dict[str, Any] = {
            "asker": self.asker,
            "assets": sent.get("assets"),
            "filter_": sent.get("filter"),
            "space_id": sent.get("space") or _space_of_filter(sent.get("filter")),
            "params": _params(sent),
            "sample": sent.get("sample"),
        }
        if sent["estimate"]:
            found = estimates.estimate(batches.choose(**asked))
            return Response(EstimateSerializer(asdict(found)).data)
        batch = batches.create(**asked, label=sent.get("label", ""))
        url = request.build_absolute_uri(reverse("api:batch-detail", args=[batch.pk]))
        return Response(
            self.get_serializer(batch).data,
            status=status.HTTP_202_ACCEPTED,
            headers={"Location": url},
        )

    @extend_schema(request=None, responses=BatchSerializer)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: UUID) -> Response:
        """Start no more of its jobs."""
        return self._do(batches.pause)

    @extend_schema(request=None, responses=BatchSerializer)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: UUID) -> Response:
        """Go on after a pause."""
        return self._do(batches.resume)

    @extend_schema(request=None, responses=BatchSerializer)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: UUID) -> Response:
        """End all of its jobs that have not ended."""
        return self._do(batches.cancel)

    @extend_schema(request=None, responses=BatchSerializer)
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: UUID) -> Response:
        """Run its failed jobs again, each from the step that failed."""
        return self._do(batches.retry)

    def _do(self, verb: Any) -> Response:
        batch = self.get_object()
        access.require(self.asker, Action.RUN, batch)
        return Response(self.get_serializer(verb(batch=batch)).data)


def _params(sent: dict[str, Any]) -> dict[str, Any]:
    """What each job is asked, as plain JSON."""
    return {
        name: str(value) if isinstance(value, UUID) else value
        for name, value in sent.items()
        if name not in _OF_THE_BATCH
    }


def _space_of_filter(asked: dict[str, Any] | None) -> UUID | None:
    """A filter that names a space means that space."""
    try:
        return UUID(str(asked["space"])) if asked and "space" in asked else None
    except ValueError:
        return None  # refused with the rest of the filter

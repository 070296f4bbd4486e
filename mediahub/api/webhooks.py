"""Outgoing webhooks over HTTP: for the managers of a space; to others they are not there."""

from __future__ import annotations

from typing import Any, ClassVar, cast

import django_filters
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access
from media_assets.access import Action, Asker
from media_assets.api.asking import asker_of
from media_assets.errors import NotFound
from media_assets.netguard import MAX_URL
from processing import webhooks
from processing.models import DeliveryState, Event, WebhookDelivery, WebhookEndpoint


class WebhookSerializer(serializers.ModelSerializer[WebhookEndpoint]):
    """A webhook as it is shown later: without its secret."""

    events = serializers.ListField(child=serializers.ChoiceField(choices=Event.choices))

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar = [
            "id",
            "space",
            "owner",
            "url",
            "events",
            "active",
            "failing_since",
            "disabled_reason",
            "created_at",
            "updated_at",
        ]
        read_only_fields = fields


class WebhookWithSecretSerializer(WebhookSerializer):
    """A webhook as it is shown once."""

    secret = serializers.CharField(
        allow_null=True,
        read_only=True,
        help_text="Signs each notice; null where the answer is told again",
    )

    class Meta(WebhookSerializer.Meta):
        fields: ClassVar = [*WebhookSerializer.Meta.fields, "secret"]
        read_only_fields = fields


def _events(**options: Any) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.ChoiceField(choices=Event.choices),
        allow_empty=False,
        max_length=len(Event),
        **options,
    )


class NewWebhookSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=MAX_URL)
    events = _events(required=False, help_text="All of them if not said")
    space = serializers.UUIDField(required=False, help_text="Your first if not said")


class WebhookChangesSerializer(serializers.Serializer[Any]):
    url = serializers.CharField(max_length=MAX_URL, required=False)
    events = _events(required=False)
    active = serializers.BooleanField(required=False)


class WebhookFilter(django_filters.FilterSet):
    space = django_filters.UUIDFilter(field_name="space_id")
    active = django_filters.BooleanFilter()

    class Meta:
        model = WebhookEndpoint
        fields: ClassVar[list[str]] = []


@extend_schema_view(
    list=extend_schema(summary="List the webhooks of the spaces you manage"),
    retrieve=extend_schema(summary="Show a webhook, without its secret"),
    destroy=extend_schema(summary="Delete a webhook and what is known of its deliveries"),
)
class WebhookViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[WebhookEndpoint],
):
    queryset = WebhookEndpoint.objects.none()
    serializer_class = WebhookSerializer
    filterset_class = WebhookFilter
    lookup_value_converter = "uuid"
    ordering_fields: ClassVar = ["created_at"]

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[WebhookEndpoint]:
        return access.within(WebhookEndpoint.objects.all(), self.asker, Action.MANAGE)

    @extend_schema(request=NewWebhookSerializer, responses={201: WebhookWithSecretSerializer})
    def create(self, request: Request) -> Response:
        """Be told when jobs and batches end. The secret is in this answer and nowhere else."""
        form = NewWebhookSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wish = cast("dict[str, Any]", form.validated_data)
        endpoint, secret = webhooks.create(
            space=access.space_for(self.asker, wish.get("space"), Action.MANAGE),
            url=wish["url"],
            events=wish.get("events", Event.values),
            owner=self.asker.user_or_none,
        )
        shown = dict(WebhookSerializer(endpoint).data)
        response = Response({**shown, "secret": secret}, status=status.HTTP_201_CREATED)
        response["Cache-Control"] = "no-store"
        response.answer_to_keep = {**shown, "secret": None}  # type: ignore[attr-defined]
        return response

    @extend_schema(request=WebhookChangesSerializer, responses=WebhookSerializer)
    def partial_update(self, request: Request, pk: str) -> Response:
        """Change a webhook, switch it off, or on again."""
        endpoint = self.get_object()
        form = WebhookChangesSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        changes = cast("dict[str, Any]", form.validated_data)
        return Response(self.get_serializer(webhooks.change(endpoint=endpoint, **changes)).data)

    def perform_destroy(self, instance: WebhookEndpoint) -> None:
        webhooks.delete(endpoint=instance)


class DeliverySerializer(serializers.ModelSerializer[WebhookDelivery]):
    status = serializers.ChoiceField(source="state", choices=DeliveryState.choices, read_only=True)
    next_try_at = serializers.SerializerMethodField()

    class Meta:
        model = WebhookDelivery
        fields: ClassVar = [
            "id",
            "event",
            "job",
            "batch",
            "status",
            "attempts",
            "response_status",
            "error_message",
            "payload",
            "created_at",
            "delivered_at",
            "next_try_at",
        ]
        read_only_fields = fields

    def get_next_try_at(self, delivery: WebhookDelivery) -> str | None:
        """When it is sent again; null where it has ended, or is due."""
        task = delivery.task
        waits = task is not None and task.waiting_for and delivery.state == DeliveryState.PENDING
        return task.run_after.isoformat() if task is not None and waits else None


class DeliveryFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(field_name="state", choices=DeliveryState.choices)
    event = django_filters.ChoiceFilter(choices=Event.choices)

    class Meta:
        model = WebhookDelivery
        fields: ClassVar[list[str]] = []


_OF_WEBHOOK = extend_schema(
    parameters=[OpenApiParameter("webhook_id", OpenApiTypes.UUID, OpenApiParameter.PATH)]
)


@extend_schema_view(list=_OF_WEBHOOK, retrieve=_OF_WEBHOOK)
class DeliveryViewSet(
    mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[WebhookDelivery]
):
    queryset = WebhookDelivery.objects.none()
    serializer_class = DeliverySerializer
    filterset_class = DeliveryFilter
    lookup_value_converter = "uuid"
    ordering_fields: ClassVar = ["created_at"]

    def endpoint(self) -> WebhookEndpoint:
        mine = access.within(WebhookEndpoint.objects.all(), asker_of(self.request), Action.MANAGE)
        endpoint = mine.filter(pk=self.kwargs["webhook_id"]).first()
        if endpoint is None:
            raise NotFound
        return endpoint

    def get_queryset(self) -> QuerySet[WebhookDelivery]:
        if "webhook_id" not in self.kwargs:
            return WebhookDelivery.objects.none()  # the schema is being written
        return self.endpoint().deliveries.select_related("task")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """What was sent to a webhook in the last 30 days, newest first."""
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show a delivery."""
        return super().retrieve(request, *args, **kwargs)

    @_OF_WEBHOOK
    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, webhook_id: str, pk: str) -> Response:
        """Send an ended delivery again, with the same webhook-id."""
        delivery = webhooks.resend(delivery=self.get_object())
        return Response(self.get_serializer(delivery).data, status=status.HTTP_202_ACCEPTED)

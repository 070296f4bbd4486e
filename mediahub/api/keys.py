"""API keys over HTTP: one's own; staff with the permission see and revoke everybody's."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, cast

from django.contrib.auth.models import User
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access
from media_assets.access import Asker
from media_assets.api.asking import asker_of
from media_assets.errors import Invalid, PermissionDenied
from media_assets.models import Space
from mediahub.api.authentication import key_of
from mediahub.models import ApiKey, ApiKeyQuerySet, Scope

DEFAULT_LIFE = timedelta(days=365)


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key as it is shown later: without its secret."""

    scopes = serializers.ListField(child=serializers.ChoiceField(choices=Scope.choices))

    class Meta:
        model = ApiKey
        fields: ClassVar = [
            "id",
            "owner",
            "label",
            "space",
            "scopes",
            "prefix",
            "expires_at",
            "last_used_at",
            "revoked_at",
            "created_at",
        ]
        read_only_fields = fields


class ApiKeyWithSecretSerializer(ApiKeySerializer):
    """A key as it is shown once."""

    key = serializers.CharField(
        allow_null=True,
        read_only=True,
        help_text="The secret; null where the answer is told again",
    )

    class Meta(ApiKeySerializer.Meta):
        fields: ClassVar = [*ApiKeySerializer.Meta.fields, "key"]
        read_only_fields = fields


class NewApiKeySerializer(serializers.Serializer[Any]):
    # A field of this name hides an attribute of the serializer, which nobody reads here.
    label = serializers.CharField(max_length=100)  # type: ignore[assignment]
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=Scope.choices),
        allow_empty=False,
        max_length=len(Scope),
    )
    space = serializers.UUIDField(
        required=False, allow_null=True, help_text="The only space it opens; null: all of yours"
    )
    expires_at = serializers.DateTimeField(
        required=False, allow_null=True, help_text="In a year if not said; null: never"
    )

    def validate_expires_at(self, value: datetime | None) -> datetime | None:
        if value is not None and value <= timezone.now():
            raise serializers.ValidationError("This lies in the past.")
        return value


@extend_schema_view(
    list=extend_schema(summary="List your keys"),
    retrieve=extend_schema(summary="Show a key, without its secret"),
    destroy=extend_schema(summary="Revoke a key"),
)
class ApiKeyViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[ApiKey],
):
    queryset = ApiKey.objects.none()
    serializer_class = ApiKeySerializer
    lookup_value_converter = "uuid"
    ordering_fields: ClassVar = ["created_at"]

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> ApiKeyQuerySet:
        permission = "delete" if self.action == "destroy" else "view"
        keys = ApiKey.objects.all()
        if not self.asker.is_staff_with(f"mediahub.{permission}_apikey"):
            keys = keys.filter(owner_id=self.asker.user.pk)
        if self.asker.only_space is not None:
            keys = keys.filter(space_id=self.asker.only_space)
        return keys

    @extend_schema(request=NewApiKeySerializer, responses={201: ApiKeyWithSecretSerializer})
    def create(self, request: Request) -> Response:
        """Make a key. Its secret is in this answer and nowhere else."""
        form = NewApiKeySerializer(data=request.data)
        form.is_valid(raise_exception=True)
        wish = dict(cast("dict[str, Any]", form.validated_data))
        maker = key_of(request)
        if maker is not None:
            _refuse_more_scopes(maker, wish["scopes"])
        key, secret = ApiKey.objects.issue(
            owner=cast("User", request.user),
            label=wish["label"],
            scopes=wish["scopes"],
            space=self._space(wish.get("space")),
            expires_at=_expiry(wish, maker),
        )
        shown = dict(ApiKeySerializer(key).data)
        response = Response({**shown, "key": secret}, status=status.HTTP_201_CREATED)
        response["Cache-Control"] = "no-store"
        response.answer_to_keep = {**shown, "key": None}  # type: ignore[attr-defined]
        return response

    def _space(self, wanted: Any) -> Space | None:
        """The space a new key is bound to. A key bound to one makes keys for that one alone."""
        wanted = wanted or self.asker.only_space
        if wanted is None:
            return None
        space = access.spaces(self.asker).filter(pk=wanted).first()
        if space is None:
            raise Invalid("space: There is no such space.", space=["There is no such space."])
        return space

    def perform_destroy(self, instance: ApiKey) -> None:
        """Revoke. The row stays, so that what was done with the key keeps its name."""
        instance.revoke()


def _expiry(wish: dict[str, Any], maker: ApiKey | None) -> datetime | None:
    """When a new key ends: as wished, else in a year, and never after the key that made it."""
    in_a_year = timezone.now() + DEFAULT_LIFE
    if maker is None or maker.expires_at is None:
        return cast("datetime | None", wish.get("expires_at", in_a_year))
    wished = wish.get("expires_at", min(in_a_year, maker.expires_at))
    if wished is None or wished > maker.expires_at:
        raise PermissionDenied("This key cannot make one that lives longer than itself.")
    return cast("datetime", wished)


def _refuse_more_scopes(maker: ApiKey, scopes: list[str]) -> None:
    beyond = sorted(set(scopes) - set(maker.scopes))
    if beyond:
        raise PermissionDenied(
            f"This key cannot give the scope {beyond[0]}, which it lacks.", scopes=beyond
        )

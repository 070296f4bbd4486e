"""Spaces and their members over HTTP: seen by members, changed by managers, or staff with the permission."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.db.models import OuterRef, QuerySet, Subquery
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import mixins, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from media_assets import access, spaces
from media_assets.access import Action, Asker
from media_assets.api.asking import asker_of
from media_assets.errors import Invalid, NotFound, PermissionDenied
from media_assets.models import Membership, Role, Space


class SpaceSerializer(serializers.ModelSerializer[Space]):
    role = serializers.ChoiceField(
        choices=Role.choices, read_only=True, allow_null=True, help_text="Yours; null for staff"
    )

    class Meta:
        model = Space
        fields: ClassVar = ["id", "name", "role", "created_at", "updated_at"]
        read_only_fields: ClassVar = ["id", "created_at", "updated_at"]


@extend_schema_view(
    list=extend_schema(summary="List the spaces you are in"),
    retrieve=extend_schema(summary="Show a space"),
    destroy=extend_schema(summary="Delete an empty space"),
)
class SpaceViewSet(
    mixins.ListModelMixin,
    mixins.RetrieveModelMixin,
    mixins.DestroyModelMixin,
    GenericViewSet[Space],
):
    queryset = Space.objects.none()
    serializer_class = SpaceSerializer
    lookup_value_converter = "uuid"
    ordering_fields: ClassVar = ["created_at", "name"]
    ordering = "created_at"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def get_queryset(self) -> QuerySet[Space]:
        mine = Membership.objects.filter(user=cast("User", self.asker.user), space=OuterRef("pk"))
        return access.spaces(self.asker).annotate(role=Subquery(mine.values("role")[:1]))

    @extend_schema(responses={201: SpaceSerializer})
    def create(self, request: Request) -> Response:
        """Make a space, and be its manager."""
        if self.asker.only_space is not None:
            raise PermissionDenied("This API key opens one space only.")
        form = self.get_serializer(data=request.data)
        form.is_valid(raise_exception=True)
        space = spaces.create_space(name=form.validated_data["name"], by=cast("User", request.user))
        return Response(self._shown(space), status=status.HTTP_201_CREATED)

    def partial_update(self, request: Request, pk: str) -> Response:
        """Rename a space."""
        space = self.get_object()
        access.require(self.asker, Action.MANAGE, space)
        form = self.get_serializer(space, data=request.data, partial=True)
        form.is_valid(raise_exception=True)
        if "name" in form.validated_data:
            spaces.rename_space(space=space, name=form.validated_data["name"])
        return Response(self._shown(space))

    def perform_destroy(self, instance: Space) -> None:
        access.require(self.asker, Action.MANAGE, instance)
        spaces.delete_space(space=instance)

    def _shown(self, space: Space) -> dict[str, Any]:
        return dict(self.get_serializer(self.get_queryset().get(pk=space.pk)).data)


class MemberUserSerializer(serializers.Serializer[User]):
    id = serializers.IntegerField(read_only=True)
    username = serializers.CharField(read_only=True)
    name = serializers.CharField(source="get_full_name", read_only=True)


class MemberSerializer(serializers.ModelSerializer[Membership]):
    user = MemberUserSerializer(read_only=True)

    class Meta:
        model = Membership
        fields: ClassVar = ["id", "user", "role", "created_at"]
        read_only_fields: ClassVar = ["id", "created_at"]


class NewMemberSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    role = serializers.ChoiceField(choices=Role.choices, default=Role.CONTRIBUTOR)


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


_IN_SPACE = extend_schema(
    parameters=[OpenApiParameter("space_id", OpenApiTypes.UUID, OpenApiParameter.PATH)]
)


@extend_schema_view(list=_IN_SPACE, retrieve=_IN_SPACE)
class MemberViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, GenericViewSet[Membership]):
    queryset = Membership.objects.none()
    serializer_class = MemberSerializer
    lookup_value_converter = "uuid"
    ordering_fields: ClassVar = ["created_at"]
    ordering = "created_at"

    @property
    def asker(self) -> Asker:
        return asker_of(self.request)

    def space(self, action: Action = Action.MANAGE) -> Space:
        space = access.spaces(self.asker).filter(pk=self.kwargs["space_id"]).first()
        if space is None:
            raise NotFound
        access.require(self.asker, action, space)
        return space

    def get_queryset(self) -> QuerySet[Membership]:
        return Membership.objects.filter(space_id=self.kwargs["space_id"]).select_related("user")

    def list(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Who is in a space."""
        self.space()
        return super().list(request, *args, **kwargs)

    def retrieve(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """Show a member."""
        self.space()
        return super().retrieve(request, *args, **kwargs)

    @_IN_SPACE
    @extend_schema(request=NewMemberSerializer, responses={201: MemberSerializer})
    def create(self, request: Request, space_id: str) -> Response:
        """Let somebody in, by their user name."""
        space = self.space()
        form = NewMemberSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        name = form.validated_data["username"]
        user = get_user_model().objects.filter(username=name, is_active=True).first()
        if user is None:
            raise Invalid("username: There is no such user.", username=["There is no such user."])
        membership = spaces.add_member(space=space, user=user, role=form.validated_data["role"])
        return Response(self.get_serializer(membership).data, status=status.HTTP_201_CREATED)

    @_IN_SPACE
    @extend_schema(request=RoleSerializer, responses=MemberSerializer)
    def partial_update(self, request: Request, space_id: str, pk: str) -> Response:
        """Give a member another role."""
        self.space()
        membership = self.get_object()
        form = RoleSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        spaces.change_role(membership=membership, role=form.validated_data["role"])
        return Response(self.get_serializer(membership).data)

    @_IN_SPACE
    @extend_schema(request=None, responses={204: None})
    def destroy(self, request: Request, space_id: str, pk: str) -> Response:
        """Put a member out. Everybody may leave by themselves."""
        space = self.space(Action.VIEW)
        membership = self.get_object()
        if membership.user_id != self.asker.user.pk:
            access.require(self.asker, Action.MANAGE, space)
        spaces.remove_member(membership=membership)
        return Response(status=status.HTTP_204_NO_CONTENT)

"""Signing in for tokens: a short-lived access token, and a refresh token that is good once.

A refresh gives a new pair. Whoever refreshes with a token that was used already holds a copy, so the
whole chain ends: the `SignIn` row is deleted, and access tokens look for it too.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import transaction
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import RefreshToken

from mediahub.api.authentication import SIGN_IN_CLAIM, standing
from mediahub.api.throttles import ApiThrottle, LoginThrottle
from mediahub.models import SignIn

_REFUSED = "This refresh token is not valid, or no longer is. Sign in again."


class CredentialsSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    # Hashing is slow on purpose: nobody's password is longer than this.
    password = serializers.CharField(max_length=1024, trim_whitespace=False, write_only=True)


class RefreshSerializer(serializers.Serializer[Any]):
    refresh = serializers.CharField(max_length=4096)


class TokenPairSerializer(serializers.Serializer[Any]):
    access = serializers.CharField(help_text="For `Authorization: Bearer`, for some minutes")
    refresh = serializers.CharField(help_text="For one refresh, which gives the next")


@transaction.atomic
def sign_in(*, user: User) -> dict[str, str]:
    """Begin a chain of tokens."""
    refresh = RefreshToken.for_user(user)
    row = SignIn.objects.create(
        user=user,
        newest=str(refresh["jti"]),
        auth_hash=user.get_session_auth_hash(),
        expires_at=timezone.now() + refresh.lifetime,
    )
    return _pair(refresh, row)


def follow(*, refresh: str) -> dict[str, str]:
    """The next pair of a chain. A token that was followed before ends the chain."""
    try:
        presented = RefreshToken(refresh)  # type: ignore[arg-type]
    except TokenError as error:
        raise exceptions.AuthenticationFailed(_REFUSED) from error
    row = standing(presented.get(SIGN_IN_CLAIM))
    if row is None:
        raise exceptions.AuthenticationFailed(_REFUSED)
    following = RefreshToken.for_user(row.user)
    moved = SignIn.objects.filter(pk=row.pk, newest=str(presented["jti"])).update(
        newest=str(following["jti"]), expires_at=timezone.now() + following.lifetime
    )
    if not moved:
        SignIn.objects.filter(pk=row.pk).delete()
        raise exceptions.AuthenticationFailed(_REFUSED)
    return _pair(following, row)


def _pair(refresh: RefreshToken, row: SignIn) -> dict[str, str]:
    refresh[SIGN_IN_CLAIM] = str(row.pk)  # goes into the access token too
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


def purge() -> int:
    """Delete the sign-ins whose last refresh token ran out; how many they were."""
    old = SignIn.objects.filter(expires_at__lte=timezone.now())
    return old.delete()[1].get(SignIn._meta.label, 0)


class TokenView(APIView):
    """Sign in with a name and a password."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (LoginThrottle,)

    @extend_schema(
        operation_id="auth_token", request=CredentialsSerializer, responses=TokenPairSerializer
    )
    def post(self, request: Request) -> Response:
        form = CredentialsSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        user = authenticate(request, **form.validated_data)
        if not isinstance(user, User) or not user.is_active:
            raise exceptions.AuthenticationFailed("The name or the password is wrong.")
        return Response(sign_in(user=user), headers={"Cache-Control": "no-store"})


class RefreshView(APIView):
    """Exchange a refresh token for a new pair. Each is good once."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = (ApiThrottle,)

    @extend_schema(
        operation_id="auth_token_refresh", request=RefreshSerializer, responses=TokenPairSerializer
    )
    def post(self, request: Request) -> Response:
        form = RefreshSerializer(data=request.data)
        form.is_valid(raise_exception=True)
        pair = follow(refresh=form.validated_data["refresh"])
        return Response(pair, headers={"Cache-Control": "no-store"})

"""Who asks: an API key, a JWT or a browser's session.

A key comes as `Authorization: Token mh_…`, or as Bearer, where clients of OpenAI's API can only send
that. A wrong credential is refused with 401 even if another, good one came beside it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from rest_framework import authentication, exceptions
from rest_framework.request import Request
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.tokens import AccessToken

from mediahub.models import KEY_MARK, ApiKey, SignIn

if TYPE_CHECKING:
    from django.contrib.auth.models import User

AUTHENTICATE = 'Bearer realm="mediahub"'
_LONGEST_CREDENTIAL = 4096
_REFUSED = "This token or key is not valid, or no longer is."
SIGN_IN_CLAIM = "sid"


class KeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Token <API key>`; also Bearer, if it begins as our keys do."""

    def authenticate(self, request: Request) -> tuple[User, ApiKey] | None:
        scheme, credential = _credential(request)
        if scheme == "token" or (scheme == "bearer" and credential.startswith(KEY_MARK)):
            key = ApiKey.objects.presented(credential)
            if key is None:
                raise exceptions.AuthenticationFailed(_REFUSED)
            key.touch()
            return key.owner, key
        return None

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE


class JwtAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer <JWT>`: good while its sign-in stands and the password is the same."""

    def authenticate(self, request: Request) -> tuple[User, AccessToken] | None:
        scheme, credential = _credential(request)
        if scheme != "bearer" or credential.startswith(KEY_MARK):
            return None
        try:
            token = AccessToken(credential)  # type: ignore[arg-type]
        except TokenError as error:
            raise exceptions.AuthenticationFailed(_REFUSED) from error
        sign_in = standing(token.get(SIGN_IN_CLAIM))
        if sign_in is None:
            raise exceptions.AuthenticationFailed(_REFUSED)
        return sign_in.user, token

    def authenticate_header(self, request: Request) -> str:
        return AUTHENTICATE


class SessionAuthentication(authentication.SessionAuthentication):
    """A browser's session, with the CSRF token in the X-CSRFToken header.

    Django would look for the token in the form first, and so read a whole upload before it is known
    whether it may come. Here only the header counts.
    """

    def enforce_csrf(self, request: Request) -> None:
        http = getattr(request, "_request", request)
        probe = copy.copy(http)
        if probe.method == "POST":
            probe.method = "PUT"  # checked alike, but never for a form field
        check = authentication.CSRFCheck(lambda _: None)  # type: ignore[arg-type]
        check.process_request(probe)
        reason = check.process_view(probe, None, (), {})  # type: ignore[arg-type]
        if reason:
            raise exceptions.PermissionDenied(f"CSRF check failed: {reason}")


def _credential(request: Request) -> tuple[str, str]:
    """The scheme, in small letters, and what follows it; empty where there is no such header."""
    header = authentication.get_authorization_header(request)
    scheme, _, credential = header.decode("latin-1").partition(" ")
    if len(credential) > _LONGEST_CREDENTIAL:
        raise exceptions.AuthenticationFailed(_REFUSED)
    return scheme.lower(), credential.strip()


def standing(sign_in_id: Any) -> SignIn | None:
    """The sign-in of this id, if its user may still come and has the password it was made with."""
    try:
        wanted = UUID(str(sign_in_id))
    except ValueError:
        return None
    sign_in = (
        SignIn.objects.select_related("user")
        .filter(pk=wanted, user__is_active=True, expires_at__gt=timezone.now())
        .first()
    )
    if sign_in is None:
        return None
    good = constant_time_compare(sign_in.auth_hash, sign_in.user.get_session_auth_hash())
    return sign_in if good else None


def key_of(request: HttpRequest | Request) -> ApiKey | None:
    """The API key a request came with, if with one."""
    auth = getattr(request, "auth", None)
    return auth if isinstance(auth, ApiKey) else None

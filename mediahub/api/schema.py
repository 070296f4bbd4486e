"""The API described: OpenAPI 3.1 at /api/schema/, and the two pages that show it.

Every operation lists the refusals it can answer with, in one shape. The pages load nothing from other
hosts and run under the site's Content-Security-Policy; see docs/decisions for what ReDoc needs besides.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from mediahub.api.errors import code_for_status, default_message

_ENVELOPE: Final = {
    "type": "object",
    "description": "Every refusal, whatever its status.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details", "request_id"],
            "properties": {
                "code": {"type": "string", "description": "For machines; see the list of codes."},
                "message": {"type": "string", "description": "For a person."},
                "details": {
                    "type": "object",
                    "additionalProperties": True,
                    "description": "For VALIDATION_ERROR: what is wrong, by field.",
                },
                "request_id": {"type": "string", "description": "As in X-Request-ID."},
            },
        }
    },
}
_WITH_RETRY_AFTER: Final = {429, 503}
_BODY_METHODS: Final = {"POST", "PUT", "PATCH"}


class HouseSchema(AutoSchema):
    """DRF's DEFAULT_SCHEMA_CLASS: adds the refusals, and Idempotency-Key to what makes things.

    A view adds statuses of its own by action: `error_statuses = {"create": (422, 507)}`.
    """

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            for status in sorted(self._error_statuses(operation)):
                operation["responses"].setdefault(str(status), self._refusal(status).ref)
        return operation

    def get_override_parameters(self) -> list[Any]:
        parameters = list(super().get_override_parameters())
        if self.method == "POST" and self.view.get_authenticators():
            parameters.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    str,
                    OpenApiParameter.HEADER,
                    description="A repeat with the same key gets the first answer, for 24 hours.",
                )
            )
        return parameters

    def _error_statuses(self, operation: dict[str, Any]) -> set[int]:
        statuses = {406, 429, 500, 503}
        places = {parameter.get("in") for parameter in operation.get("parameters", ())}
        if "requestBody" in operation or "query" in places:
            statuses.add(400)
        if "requestBody" in operation:
            statuses |= {413, 415}
        if "path" in places:
            statuses.add(404)
        if self.view.get_authenticators():
            statuses |= {401, 403}
            if self.method in _BODY_METHODS | {"DELETE"}:
                statuses.add(409)
        elif self.method == "POST":
            statuses.add(401)  # signing in
        declared: dict[str, tuple[int, ...]] = getattr(self.view, "error_statuses", {})
        return statuses | set(declared.get(getattr(self.view, "action", None) or self.method, ()))

    def _refusal(self, status: int) -> ResolvedComponent:
        """The response of a status, described once for all operations."""
        envelope = self._component("ErrorEnvelope", ResolvedComponent.SCHEMA, _ENVELOPE)
        schema: dict[str, Any] = {
            "description": default_message(status),
            "content": {"application/json": {"schema": envelope.ref}},
        }
        if status in _WITH_RETRY_AFTER:
            schema["headers"] = {
                "Retry-After": {"description": "In seconds", "schema": {"type": "integer"}}
            }
        name = "".join(word.capitalize() for word in code_for_status(status).split("_"))
        return self._component(name, ResolvedComponent.RESPONSE, schema)

    def _component(self, name: str, kind: str, schema: dict[str, Any]) -> ResolvedComponent:
        component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)  # type: ignore[no-untyped-call]
        self.registry.register_on_missing(component)
        return component


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mediahub.api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token mh_…`: an API key, within its scopes and its space.",
        }


class JwtScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mediahub.api.authentication.JwtAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of `POST /api/v1/auth/token/`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "mediahub.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A browser's session; what changes something needs X-CSRFToken too.",
        }


@functools.cache
def document() -> dict[str, Any]:
    """The schema. The same for everybody, and a second's work, so it is made once for each process."""
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call,no-any-return]


class SchemaView(SpectacularAPIView):
    """This API, described in OpenAPI 3.1."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    def _get_schema_response(self, request: Request) -> Response:
        return Response(document(), headers={"Cache-Control": "public, max-age=300"})


# ------------------------------------------------------------------- the pages

_REDOC: Final = "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
# ReDoc's page shows a logo from its maker's host. The pages load nothing from there.
_FOREIGN_LOGO: Final = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_LOCAL_LOGO: Final = (
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
)
_ALONE: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "font-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
)
# What ReDoc needs besides: style elements that are empty when they come (this is the hash of nothing)
# and are filled by its script, and its search in a worker made from a blob.
_EMPTY_STYLE: Final = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
SWAGGER_POLICY: Final = _ALONE + "style-src 'self'"
REDOC_POLICY: Final = _ALONE + f"style-src 'self' {_EMPTY_STYLE}; worker-src blob:"


@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    """Swagger UI: read the API, and try it with the session one has."""
    context = {"schema_url": reverse("api:schema"), "csrf_token_value": get_token(request)}
    response = render(request, "api/swagger.html", context)
    response["Content-Security-Policy"] = SWAGGER_POLICY
    return response


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    """ReDoc: the same to read at length."""
    response = render(request, "api/redoc.html", {"schema_url": reverse("api:schema")})
    response["Content-Security-Policy"] = REDOC_POLICY
    return response


@require_safe
@cache_control(public=True, max_age=86400)
def redoc_script(request: HttpRequest) -> HttpResponse:
    """ReDoc's script, without the address of the foreign logo."""
    return HttpResponse(_redoc_script(), content_type="text/javascript; charset=utf-8")


@functools.cache
def _redoc_script() -> str:
    found = finders.find(_REDOC)
    assert isinstance(found, str), "drf-spectacular's sidecar brings ReDoc"
    return Path(found).read_text().replace(_FOREIGN_LOGO, _LOCAL_LOGO)

"""How the API describes itself: every operation lists the refusals it can answer with, in one shape."""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiParameter

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
_VERBS: Final = {"GET": "show", "POST": "make", "PATCH": "change", "DELETE": "delete"}
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

    def get_summary(self) -> str:
        """A title for people: the first sentence of what is said of it, else what it does to what."""
        said = super().get_summary() or self._sentence()
        if said:
            return str(said)
        thing = self.get_tags()[0].replace("-", " ").replace("api", "API")
        verb = "list" if self._is_list_view() else _VERBS.get(self.method, self.method)
        return f"{verb} {thing}".capitalize().replace("api", "API")

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's has no arguments
        """What is said beyond the title."""
        description = str(super().get_description() or "")
        return "" if description.strip() == f"{self._sentence()}." else description

    def _sentence(self) -> str:
        first, stop, _ = str(super().get_description() or "").strip().partition(".")
        return first if stop and "\n\n" not in first else ""

    def map_parsers(self) -> list[str]:
        """JSON where it is taken: that forms are understood too is a courtesy, not a second contract."""
        found: list[str] = super().map_parsers()
        return ["application/json"] if "application/json" in found else found

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
        component = ResolvedComponent(name=name, type=kind, schema=schema, object=name)
        self.registry.register_on_missing(component)
        return component


class KeyScheme(OpenApiAuthenticationExtension):
    target_class = "mediahub.api.authentication.KeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token mh_…`: an API key, within its scopes and its space.",
        }


class JwtScheme(OpenApiAuthenticationExtension):
    target_class = "mediahub.api.authentication.JwtAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "An access token of `POST /api/v1/auth/token/`.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "mediahub.api.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: AutoSchema) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A browser's session; what changes something needs X-CSRFToken too.",
        }

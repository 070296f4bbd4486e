"""What an API key may be used for: every view asks for a scope, unless it says which, the strictest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from media_assets.errors import PermissionDenied
from mediahub.api.authentication import key_of
from mediahub.models import Scope

if TYPE_CHECKING:
    from rest_framework.views import APIView  # at run time it would import us


class RequiresScope(BasePermission):
    """A key needs `read` for what changes nothing, else the scope the view names, else `manage`.

    A view names it by action, or by action and method, or by method:
    `scopes = {"create": "upload", "jobs": {"GET": "read", "POST": "analyze"}}`.
    People and their JWTs have all scopes.
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        key = key_of(request)
        if key is None:
            return True
        scope = scope_of(view, request.method or "")
        if scope not in key.scopes:
            raise PermissionDenied(f"This API key lacks the scope {scope}.", scope=scope)
        return True


def scope_of(view: Any, method: str) -> str:
    """The scope a key needs for this method of a view."""
    declared = getattr(view, "scopes", {})
    named = declared.get(getattr(view, "action", None)) or declared.get(method)
    if isinstance(named, dict):
        named = named.get(method)
    return str(named or (Scope.READ if method in SAFE_METHODS else Scope.MANAGE))

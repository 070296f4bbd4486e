"""The API's description, OpenAPI 3.1 at /api/schema/, and the two pages that show it.

The pages load nothing from other hosts and run no inline script; docs/decisions says what ReDoc needs
besides the site's Content-Security-Policy.
"""

from __future__ import annotations

import functools
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from django.contrib.staticfiles import finders
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from mediahub.middleware import content_security_policy


@functools.cache
def document() -> dict[str, Any]:
    """The schema. The same for everybody, and a second's work, so it is made once for each process."""
    return SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-any-return]


class SchemaView(SpectacularAPIView):
    """This API, described in OpenAPI 3.1."""

    permission_classes = (AllowAny,)
    authentication_classes = ()

    def _get_schema_response(self, request: Request) -> Response:
        return Response(document(), headers={"Cache-Control": "public, max-age=300"})


_REDOC: Final = "drf_spectacular_sidecar/redoc/bundles/redoc.standalone.js"
# ReDoc's page shows a logo from its maker's host. The pages load nothing from there.
_FOREIGN_LOGO: Final = "https://cdn.redoc.ly/redoc/logo-mini.svg"
_LOCAL_LOGO: Final = (
    "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
)
# What ReDoc needs besides the site's policy: style elements that are empty when they come (the first is
# the hash of nothing) and are filled by its script; one with the rules of its scroll bars (the second;
# another version of ReDoc may need another); and its search, in a worker made from a blob.
_REDOC_STYLES: Final = (
    "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    " 'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='"
)


@require_safe
def swagger(request: HttpRequest) -> HttpResponse:
    """Swagger UI: read the API, and try it with the session one has."""
    context = {"schema_url": reverse("api:schema"), "csrf_token_value": get_token(request)}
    return render(request, "api/swagger.html", context)


@require_safe
def redoc(request: HttpRequest) -> HttpResponse:
    """ReDoc: the same to read at length."""
    # The address changes with the script, so that browsers may keep it.
    script_url = f"{reverse('api:redoc-script')}?v={version('drf-spectacular-sidecar')}"
    context = {"schema_url": reverse("api:schema"), "script_url": script_url}
    response = render(request, "api/redoc.html", context)
    response["Content-Security-Policy"] = content_security_policy(
        style_src=_REDOC_STYLES, worker_src="blob:"
    )
    return response


@require_safe
@gzip_page
@cache_control(public=True, max_age=31_536_000, immutable=True)
def redoc_script(request: HttpRequest) -> HttpResponse:
    """ReDoc's script, without the address of the foreign logo."""
    return HttpResponse(_redoc_script(), content_type="text/javascript; charset=utf-8")


@functools.cache
def _redoc_script() -> str:
    found = finders.find(_REDOC)
    assert isinstance(found, str), "drf-spectacular's sidecar brings ReDoc"
    return Path(found).read_text().replace(_FOREIGN_LOGO, _LOCAL_LOGO)

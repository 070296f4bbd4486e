"""What this installation can do, asked of those who know: `GET config/`. Nothing secret is told.

A part is a function without arguments, registered under its name by whoever knows the answer:

    overview.register("providers", chain.configured)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from media_assets import filetypes, receiver
from media_assets.models import Kind
from processing import pipelines
from processing.steps import base

_parts: dict[str, Callable[[], Any]] = {}


def register(name: str, tell: Callable[[], Any]) -> None:
    """Add a part to `GET config/`, or replace it."""
    _parts[name] = tell


def _kinds() -> list[str]:
    return [kind for kind, formats in _formats().items() if formats]


def _formats() -> dict[str, list[str]]:
    return filetypes.supported_formats(settings.ALLOWED_FORMATS)


def _limits() -> dict[str, Any]:
    return {
        "max_bytes": {kind: receiver.limit_bytes(kind) for kind in Kind.values},
        "max_pixels": settings.MAX_PIXELS,
        "max_duration_s": settings.MAX_DURATION_S,
        "max_pages": settings.MAX_PAGES,
        "user_quota_gb": settings.USER_QUOTA_GB,
        "user_quota_files": settings.USER_QUOTA_FILES,
        "api_rate": settings.API_RATE,
    }


def _steps() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "kinds": sorted(step.kinds),
            "default_for": sorted(
                kind for kind, steps in pipelines.DEFAULTS.items() if name in steps
            ),
        }
        for name, step in sorted(base.known().items(), key=lambda each: pipelines.position(each[0]))
    ]


register("kinds", _kinds)
register("formats", _formats)
register("limits", _limits)
register("steps", _steps)


class StepConfigSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    kinds = serializers.ListField(child=serializers.CharField())
    default_for = serializers.ListField(child=serializers.CharField())


class ConfigSerializer(serializers.Serializer[Any]):
    kinds = serializers.ListField(child=serializers.CharField())
    formats = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    limits = serializers.DictField()
    steps = StepConfigSerializer(many=True)
    providers = serializers.ListField(child=serializers.DictField(), required=False)


class ConfigView(APIView):
    """What is switched on: kinds, formats, limits, steps, providers."""

    @extend_schema(operation_id="config", responses=ConfigSerializer)
    def get(self, request: Request) -> Response:
        return Response({name: tell() for name, tell in _parts.items()})

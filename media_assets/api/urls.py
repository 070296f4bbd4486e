"""Addresses of stored files, outside the versioned API: they are handed out, not made by hand."""

from __future__ import annotations

from django.urls import path

from media_assets.api.files import serve

urlpatterns = [path("files/<str:token>", serve, name="media-file")]

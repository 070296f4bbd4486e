"""Every address of the site: each part includes its own list."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.generic import RedirectView

from mediahub import health, metrics

urlpatterns: list[URLPattern | URLResolver] = [
    # Asked by machines, which follow no redirect for a slash.
    re_path(r"^health/?$", health.alive, name="health"),
    re_path(r"^health/live/?$", health.alive, name="health-live"),
    re_path(r"^health/ready/?$", health.ready, name="health-ready"),
    re_path(r"^metrics/?$", metrics.metrics, name="metrics"),
    # One sign-in page for everybody, with its limit on attempts.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
    path("api/", include("mediahub.api.urls")),
    path("", include("media_assets.api.urls")),
    path("", include("mediahub.web.urls")),
]

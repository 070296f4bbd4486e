"""Every address of the API, under /api/. Each part of the product adds its routes to `router`."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path
from rest_framework.routers import SimpleRouter

from mediahub.api.assets import AssetViewSet
from mediahub.api.batches import BatchViewSet
from mediahub.api.docs import SchemaView, redoc, redoc_script, swagger
from mediahub.api.errors import not_found
from mediahub.api.events import JobEventsView
from mediahub.api.jobs import JobViewSet
from mediahub.api.keys import ApiKeyViewSet
from mediahub.api.overview import ConfigView
from mediahub.api.posts import PostViewSet
from mediahub.api.spaces import MemberViewSet, SpaceViewSet
from mediahub.api.tokens import RefreshView, TokenView
from mediahub.api.webhooks import DeliveryViewSet, WebhookViewSet

app_name = "api"

router = SimpleRouter(use_regex_path=False)
router.register("assets", AssetViewSet, basename="asset")
router.register("batches", BatchViewSet, basename="batch")
router.register("posts", PostViewSet, basename="post")
router.register("jobs", JobViewSet, basename="job")
router.register("api-keys", ApiKeyViewSet, basename="api-key")
router.register("spaces", SpaceViewSet, basename="space")
router.register("spaces/<uuid:space_id>/members", MemberViewSet, basename="member")
router.register("webhooks", WebhookViewSet, basename="webhook")
router.register("webhooks/<uuid:webhook_id>/deliveries", DeliveryViewSet, basename="delivery")

v1: list[URLPattern | URLResolver] = [
    path("auth/token/", TokenView.as_view(), name="auth-token"),
    path("auth/token/refresh/", RefreshView.as_view(), name="auth-token-refresh"),
    path("config/", ConfigView.as_view(), name="config"),
    path("jobs/<uuid:pk>/events/", JobEventsView.as_view(), name="job-events"),
    *router.urls,
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("schema/", SchemaView.as_view(), name="schema"),
    path("docs/", swagger, name="docs"),
    path("redoc/", redoc, name="redoc"),
    path("redoc/redoc.js", redoc_script, name="redoc-script"),
    path("v1/", include(v1)),
    re_path(r"", not_found),
]

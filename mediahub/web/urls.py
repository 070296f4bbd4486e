"""Addresses of the colleagues' pages."""

from __future__ import annotations

from django.contrib.auth.views import LogoutView
from django.urls import path
from django.views.generic import RedirectView

from mediahub.web.account import SignIn
from mediahub.web.asset import asset, download
from mediahub.web.library import library
from mediahub.web.upload import upload

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="library"), name="home"),
    path("login/", SignIn.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("upload/", upload, name="upload"),
    path("library/", library, name="library"),
    path("assets/<uuid:pk>/", asset, name="asset"),
    path("assets/<uuid:pk>/download/", download, name="asset-download"),
]

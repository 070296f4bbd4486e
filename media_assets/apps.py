"""The app that keeps the media: spaces, posts, assets, blobs and their bytes."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class MediaAssetsConfig(AppConfig):
    name = "media_assets"
    verbose_name = "Media"

    def ready(self) -> None:
        import_module("media_assets.receivers")

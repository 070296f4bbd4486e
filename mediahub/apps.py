"""The app people see: API, staff site, pages, and what operations look at."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

from mediahub import sentry


class MediaHubConfig(AppConfig):
    name = "mediahub"
    verbose_name = "MediaHub"

    def ready(self) -> None:
        import_module("mediahub.checks")
        import_module("mediahub.schedules")
        selections = import_module("processing.selections")
        selections.narrow_with(import_module("mediahub.api.batches").narrow)
        sentry.start()

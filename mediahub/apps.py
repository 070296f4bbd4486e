"""The app people see: API, staff site, pages, and what operations look at."""

from __future__ import annotations

from django.apps import AppConfig


class MediaHubConfig(AppConfig):
    name = "mediahub"
    verbose_name = "MediaHub"

"""The app that works on the media: jobs, steps, analyses and what they cost."""

from __future__ import annotations

from django.apps import AppConfig


class ProcessingConfig(AppConfig):
    name = "processing"
    verbose_name = "Processing"

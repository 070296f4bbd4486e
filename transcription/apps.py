"""The app that turns speech into text people can correct."""

from __future__ import annotations

from django.apps import AppConfig


class TranscriptionConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"

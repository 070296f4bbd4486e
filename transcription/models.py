"""What was said: transcriptions with their versions, and lexicons that put words right."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models import Blob, MediaAsset, Review, Row, Space
from processing.models import Job


class Lexicon(Row):
    """Words a team wants written its own way."""

    space = models.ForeignKey(
        Space, on_delete=models.CASCADE, related_name="lexicons", db_index=False
    )
    name = models.CharField(max_length=100)
    language = models.CharField(max_length=20, blank=True, help_text="Empty: any language")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name_plural = "lexicons"
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["space", "name"], name="lexicon_once_per_space"),
        ]

    def __str__(self) -> str:
        return self.name


class LexiconEntry(Row):
    lexicon = models.ForeignKey(
        Lexicon, on_delete=models.CASCADE, related_name="entries", db_index=False
    )
    term = models.CharField(max_length=300)
    replacement = models.CharField(max_length=300, blank=True)
    match_case = models.BooleanField(default=False)
    whole_word = models.BooleanField(default=True)
    regex = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = "lexicon entries"
        ordering: ClassVar = ["id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["lexicon", "term", "match_case", "regex"], name="lexicon_entry_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.term} → {self.replacement}"


class Transcription(Row):
    asset = models.ForeignKey(
        MediaAsset, on_delete=models.CASCADE, related_name="transcriptions", db_index=False
    )
    blob = models.ForeignKey(
        Blob, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    job = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="transcriptions"
    )
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100, blank=True)
    params = models.JSONField(default=dict, blank=True)
    cache_key = models.CharField(max_length=64, blank=True)
    cached_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    provisional = models.BooleanField(default=False)

    language = models.CharField(max_length=20, blank=True)
    confidence = models.FloatField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True, help_text="Seconds")
    original_text = models.TextField(blank=True)
    # Null where the lexicon failed: the original stays, the log says why.
    processed_text = models.TextField(null=True, blank=True)  # noqa: DJ001
    lexicon = models.ForeignKey(
        Lexicon, null=True, blank=True, on_delete=models.SET_NULL, related_name="transcriptions"
    )
    segments = models.JSONField(default=list, blank=True)
    words = models.JSONField(default=list, blank=True)
    speakers = models.JSONField(default=dict, blank=True, help_text="Names people gave to speakers")
    raw = models.JSONField(default=dict, blank=True, editable=False)

    review = models.CharField(max_length=12, choices=Review.choices, default=Review.UNREVIEWED)
    current = models.BooleanField(default=False)
    locked = models.BooleanField(default=False)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    edited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["asset"],
                condition=models.Q(current=True),
                name="transcription_one_current",
            ),
            models.CheckConstraint(
                condition=models.Q(confidence__isnull=True)
                | models.Q(confidence__gte=0, confidence__lte=1),
                name="transcription_confidence_a_share",
            ),
        ]
        indexes: ClassVar = [
            # GET assets/{id}/transcriptions/
            models.Index(fields=["asset", "-id"], name="transcription_of_asset"),
            # reuse: an equal earlier result, newest first
            models.Index(fields=["cache_key", "-id"], name="transcription_by_cache_key"),
            # word error rates by provider and language
            models.Index(fields=["provider", "language", "-id"], name="transcription_by_provider"),
        ]

    def __str__(self) -> str:
        return (self.processed_text or self.original_text)[:60]


class TranscriptionVersion(Row):
    """A transcription as it stood before an edit, with who made it so and when."""

    transcription = models.ForeignKey(
        Transcription, on_delete=models.CASCADE, related_name="versions", db_index=False
    )
    number = models.PositiveIntegerField()
    processed_text = models.TextField(blank=True)
    segments = models.JSONField(default=list, blank=True)
    words = models.JSONField(default=list, blank=True)
    speakers = models.JSONField(default=dict, blank=True)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    note = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering: ClassVar = ["-number"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["transcription", "number"], name="transcription_version_once"
            ),
        ]

    def __str__(self) -> str:
        return f"Version {self.number}"

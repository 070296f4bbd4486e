"""An analysis is one result of one step, never overwritten: a re-run makes another row."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models import Blob, MediaAsset, Review, Row, Space
from processing.models.jobs import Job


class AnalysisKind(models.TextChoices):
    IMAGE = "image", "Image"
    VIDEO = "video", "Video"
    DOCUMENT = "document", "Document"
    SUMMARY = "summary", "Summary"
    ANSWER = "answer", "Answer"


class Analysis(Row):
    asset = models.ForeignKey(
        MediaAsset, on_delete=models.CASCADE, related_name="analyses", db_index=False
    )
    # The bytes it is about, so that an equal later question finds it. Kept while the asset is.
    blob = models.ForeignKey(
        Blob, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    job = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="analyses"
    )
    step = models.CharField(max_length=30)
    kind = models.CharField(max_length=8, choices=AnalysisKind.choices)
    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100, blank=True)
    prompt = models.TextField(blank=True)
    prompt_version = models.CharField(max_length=40, blank=True)
    params = models.JSONField(default=dict, blank=True)
    # SHA-256 over bytes, step, provider, model, parameters, prompt and its version.
    cache_key = models.CharField(max_length=64, blank=True)
    cached_from = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # Made by `local` while the provider the chain prefers was away.
    provisional = models.BooleanField(default=False)

    description = models.TextField(blank=True)
    summary = models.TextField(blank=True)
    labels = models.JSONField(default=list, blank=True)
    objects_found = models.JSONField(default=list, blank=True)
    text = models.TextField(blank=True)
    text_blocks = models.JSONField(default=list, blank=True)
    faces = models.JSONField(default=list, blank=True)
    celebrities = models.JSONField(default=list, blank=True)
    moderation = models.JSONField(default=list, blank=True)
    attributes = models.JSONField(default=dict, blank=True)
    dimensions = models.JSONField(default=dict, blank=True)
    language = models.CharField(max_length=20, blank=True)
    word_count = models.PositiveIntegerField(null=True, blank=True)
    page_count = models.PositiveIntegerField(null=True, blank=True)
    frame_count = models.PositiveIntegerField(null=True, blank=True)
    confidence = models.FloatField(null=True, blank=True)

    review = models.CharField(max_length=12, choices=Review.choices, default=Review.UNREVIEWED)
    current = models.BooleanField(default=False)
    # A person promoted, approved or corrected it: no machine replaces it.
    locked = models.BooleanField(default=False)
    edited_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    edited_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "analyses"
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["asset", "step"],
                condition=models.Q(current=True),
                name="analysis_one_current",
            ),
            models.CheckConstraint(
                condition=models.Q(kind__in=AnalysisKind.values), name="analysis_kind_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(confidence__isnull=True)
                | models.Q(confidence__gte=0, confidence__lte=1),
                name="analysis_confidence_a_share",
            ),
        ]
        indexes: ClassVar = [
            # GET assets/{id}/analyses/
            models.Index(fields=["asset", "-id"], name="analysis_newest_of_asset"),
            # reuse: an equal earlier result, newest first
            models.Index(fields=["cache_key", "-id"], name="analysis_by_cache_key"),
            # the admin's filters and backfill --stale-model
            models.Index(fields=["provider", "model", "-id"], name="analysis_by_model"),
        ]

    def __str__(self) -> str:
        return f"{self.step} by {self.provider}"


class PromptTemplate(Row):
    """A prompt staff keep; a new text is a new version, so that results are told apart."""

    space = models.ForeignKey(
        Space, null=True, blank=True, on_delete=models.CASCADE, related_name="prompt_templates"
    )
    name = models.CharField(max_length=100)
    step = models.CharField(max_length=30, default="describe")
    text = models.TextField()
    version = models.PositiveIntegerField(default=1)
    active = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["space", "name"],
                condition=models.Q(space__isnull=False),
                name="prompt_once_in_space",
            ),
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(space__isnull=True), name="prompt_once_for_all"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


class ReviewClaim(Row):
    """Who has which asset in the review queue, until when; and what to give back on undo."""

    asset = models.OneToOneField(MediaAsset, on_delete=models.CASCADE, related_name="review_claim")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="review_claims"
    )
    until = models.DateTimeField()
    decided_at = models.DateTimeField(null=True, blank=True)
    undo = models.JSONField(default=dict, blank=True)

    class Meta:
        indexes: ClassVar = [
            # undo: a reviewer's last decisions
            models.Index(fields=["user", "-decided_at"], name="claim_decided_by"),
        ]

    def __str__(self) -> str:
        return f"{self.user} reviews {self.asset_id}"

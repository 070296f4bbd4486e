"""How jobs and analyses are shown, and what a job may be asked."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from media_assets.api.serializers import WordList
from processing.models import Analysis, Job, JobStep, Priority


class ErrorSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    message = serializers.CharField()


def _error(code: str, message: str) -> dict[str, str] | None:
    return {"code": code, "message": message} if code else None


class JobStepSerializer(serializers.ModelSerializer[JobStep]):
    status = serializers.CharField(source="state", read_only=True)
    provider = serializers.SerializerMethodField()
    model = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    error = serializers.SerializerMethodField()

    class Meta:
        model = JobStep
        fields: ClassVar = [
            "name",
            "status",
            "attempts",
            "provider",
            "model",
            "cached",
            "started_at",
            "duration_ms",
            "reason",
            "error",
        ]
        read_only_fields = fields

    def get_provider(self, step: JobStep) -> str | None:
        return step.provider or None

    def get_model(self, step: JobStep) -> str | None:
        return step.model or None

    def get_reason(self, step: JobStep) -> str | None:
        return step.reason or None

    def get_error(self, step: JobStep) -> dict[str, str] | None:
        if step.state != "failed":
            return None
        return _error(step.error_code, step.error_message)


class JobSerializer(serializers.ModelSerializer[Job]):
    """A job with its steps."""

    priority = serializers.SerializerMethodField()
    waiting_for = serializers.SerializerMethodField()
    steps = JobStepSerializer(many=True, read_only=True)
    error = serializers.SerializerMethodField()
    processing_time_ms = serializers.IntegerField(read_only=True, allow_null=True)

    class Meta:
        model = Job
        fields: ClassVar = [
            "id",
            "kind",
            "asset",
            "batch",
            "status",
            "waiting_for",
            "priority",
            "progress",
            "attempts",
            "max_attempts",
            "params",
            "cached",
            "steps",
            "error",
            "cost_usd",
            "requested_by",
            "session",
            "created_at",
            "started_at",
            "completed_at",
            "updated_at",
            "processing_time_ms",
        ]
        read_only_fields = fields

    def get_priority(self, job: Job) -> str:
        return Priority(job.priority).name.lower()

    def get_waiting_for(self, job: Job) -> str | None:
        return job.waiting_for or None

    def get_error(self, job: Job) -> dict[str, str] | None:
        return _error(job.error_code, job.error_message)


class AnalysisSerializer(serializers.ModelSerializer[Analysis]):
    objects = serializers.JSONField(source="objects_found", read_only=True)

    class Meta:
        model = Analysis
        fields: ClassVar = [
            "id",
            "asset",
            "job",
            "kind",
            "provider",
            "model",
            "prompt",
            "description",
            "summary",
            "labels",
            "objects",
            "text",
            "text_blocks",
            "faces",
            "celebrities",
            "moderation",
            "attributes",
            "dimensions",
            "word_count",
            "page_count",
            "frame_count",
            "confidence",
            "review",
            "current",
            "created_at",
        ]
        read_only_fields = fields


class JobRequestSerializer(serializers.Serializer[Any]):
    """What may be asked of the machines. Each step refuses what does not fit it."""

    steps = WordList(required=False, max_length=20)
    prompt = serializers.CharField(required=False, max_length=8000)
    features = WordList(required=False, max_length=20)
    attributes = serializers.JSONField(required=False)
    max_labels = serializers.IntegerField(required=False, min_value=1, max_value=1000)
    min_confidence = serializers.FloatField(required=False, min_value=0, max_value=1)
    fps = serializers.FloatField(required=False, min_value=0.01, max_value=60)
    grid = serializers.RegexField(r"^[1-9]\d?x[1-9]\d?$", required=False)
    frame_format = serializers.ChoiceField(required=False, choices=["jpg", "png", "webp"])
    max_side = serializers.IntegerField(required=False, min_value=64, max_value=8000)
    provider = serializers.CharField(required=False, max_length=40)
    model = serializers.CharField(required=False, max_length=100)
    language = serializers.RegexField(r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", required=False)
    speakers = serializers.IntegerField(required=False, min_value=1, max_value=30)
    vocabulary = WordList(required=False, max_length=1000)
    lexicon = serializers.UUIDField(required=False)
    priority = serializers.ChoiceField(required=False, choices=["interactive", "bulk"])
    force = serializers.BooleanField(required=False, default=False)

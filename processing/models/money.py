"""The ledger: every attempt at an outside service, what it cost, and what may be spent."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models import MediaAsset, Row, Space
from processing.models.jobs import Batch, Job


class Outcome(models.TextChoices):
    STARTED = "started", "Started"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed"


class ProviderCall(Row):
    """One attempt at a provider. Space, owner, author and post are copied in: it outlives its asset."""

    provider = models.CharField(max_length=40)
    model = models.CharField(max_length=100, blank=True)
    capability = models.CharField(max_length=20)
    step = models.CharField(max_length=30, blank=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.STARTED)
    error_class = models.CharField(max_length=20, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    http_status = models.PositiveSmallIntegerField(null=True, blank=True)
    latency_ms = models.PositiveIntegerField(null=True, blank=True)
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    seconds = models.FloatField(null=True, blank=True, help_text="Of sound or film")
    images = models.PositiveIntegerField(null=True, blank=True)
    # Null: the price is not known, which is not the same as nothing.
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, null=True, blank=True)
    # What was asked and answered, so that a crash before the commit does not pay twice.
    cache_key = models.CharField(max_length=64, blank=True)
    answer = models.JSONField(null=True, blank=True)

    asset = models.ForeignKey(
        MediaAsset, null=True, blank=True, on_delete=models.SET_NULL, related_name="provider_calls"
    )
    job = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="provider_calls"
    )
    batch_id = models.UUIDField(null=True, blank=True)
    space_id = models.UUIDField(null=True, blank=True)
    owner_id = models.BigIntegerField(null=True, blank=True)
    owner_name = models.CharField(max_length=150, blank=True)
    author = models.CharField(max_length=200, blank=True)
    post_id = models.UUIDField(null=True, blank=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(outcome__in=Outcome.values), name="call_outcome_valid"
            ),
        ]
        indexes: ClassVar = [
            # the provider page: calls, latency and cost of a provider, newest first
            models.Index(fields=["provider", "-created_at"], name="call_of_provider"),
            # budgets and cost by day
            models.Index(fields=["created_at"], name="call_by_time"),
            # stats of a space
            models.Index(fields=["space_id", "-created_at"], name="call_of_space"),
            # the stored answer to an equal question
            models.Index(fields=["cache_key", "-id"], name="call_by_cache_key"),
            # cost of a batch
            models.Index(
                fields=["batch_id"],
                name="call_of_batch",
                condition=models.Q(batch_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.model} {self.outcome}"


class BudgetPeriod(models.TextChoices):
    DAY = "day", "Day"
    MONTH = "month", "Month"
    TOTAL = "total", "In total"


class Budget(Row):
    """What may be spent: over all, by one provider, in one space, or on one batch."""

    period = models.CharField(max_length=5, choices=BudgetPeriod.choices)
    provider = models.CharField(max_length=40, blank=True)
    space = models.ForeignKey(
        Space, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets"
    )
    batch = models.ForeignKey(
        Batch, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets"
    )
    limit_usd = models.DecimalField(max_digits=12, decimal_places=6)
    active = models.BooleanField(default=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(period__in=BudgetPeriod.values), name="budget_period_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(limit_usd__gte=0), name="budget_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.limit_usd} USD, {self.get_period_display()}"


class ProviderState(models.Model):
    """A provider's circuit breaker and pause, shared by all workers of all hosts."""

    name = models.CharField(max_length=40, unique=True)
    failures = models.PositiveIntegerField(default=0, help_text="In a row")
    open_until = models.DateTimeField(null=True, blank=True)
    # Who may send the one probe while the circuit is half open, and until when.
    probe_until = models.DateTimeField(null=True, blank=True)
    paused = models.BooleanField(default=False)
    paused_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    paused_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=500, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

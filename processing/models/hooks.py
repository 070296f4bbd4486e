"""Outgoing webhooks: who wants to be told, and every message sent."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.db import models

from media_assets.models import Row, Space
from processing.models.jobs import Batch, Job


class Event(models.TextChoices):
    JOB_COMPLETED = "job.completed", "A job on an asset is completed"
    JOB_FAILED = "job.failed", "A job on an asset has failed"
    BATCH_COMPLETED = "batch.completed", "A batch has no open job any more"


class WebhookEndpoint(Row):
    space = models.ForeignKey(Space, on_delete=models.CASCADE, related_name="webhooks")
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="webhooks"
    )
    url = models.CharField(max_length=2000)
    # Kept readable: signing needs it. Shown once, never listed.
    secret = models.CharField(max_length=100)
    events = models.JSONField(default=list, help_text="job.completed, job.failed, batch.completed")
    active = models.BooleanField(default=True)
    # The first failure after the last notice that was taken.
    failing_since = models.DateTimeField(null=True, blank=True)
    # Nobody asks a receiver that gave no answer before this moment.
    held_until = models.DateTimeField(null=True, blank=True)
    disabled_reason = models.CharField(max_length=300, blank=True)
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return self.url


class DeliveryState(models.TextChoices):
    """pending → delivered | failed;  delivered, failed → pending (sent again by a person)"""

    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"


class WebhookDelivery(Row):
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries", db_index=False
    )
    # What it tells of: a job, or a batch.
    job = models.ForeignKey(Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    batch = models.ForeignKey(
        Batch, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    # The job that sends it, or last did.
    task = models.ForeignKey(
        Job, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    event = models.CharField(max_length=40)
    payload = models.JSONField()
    state = models.CharField(
        max_length=10, choices=DeliveryState.choices, default=DeliveryState.PENDING
    )
    attempts = models.PositiveIntegerField(default=0, help_text="How often it was sent")
    response_status = models.PositiveSmallIntegerField(null=True, blank=True)
    error_message = models.CharField(max_length=500, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name_plural = "webhook deliveries"
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(state__in=DeliveryState.values), name="delivery_state_valid"
            ),
        ]
        indexes: ClassVar = [
            # GET webhooks/{id}/deliveries/
            models.Index(fields=["endpoint", "-id"], name="delivery_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.event}: {self.state}"

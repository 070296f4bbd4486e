"""Outgoing webhooks: who is told when a job or a batch ends, and what has become of each notice.

A notice is a WebhookDelivery with a `delivery` job that sends it (see processing.steps.deliver). Both are
written in the transaction that ends what they tell of, so a notice is neither lost nor made up. It is sent
at least once, and carries the same id each time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from media_assets.egress import Route
from media_assets.errors import Conflict, Invalid
from media_assets.models import Space
from media_assets.netguard import read_url
from processing import engine
from processing.clock import DbNow
from processing.models import (
    OPEN,
    Batch,
    DeliveryState,
    Event,
    Job,
    JobKind,
    JobStatus,
    Priority,
    WebhookDelivery,
    WebhookEndpoint,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

STEP = "deliver"  # see processing.steps.deliver
MOST_IN_A_SPACE = 20  # endpoints
# An endpoint that took no notice for so long is switched off at the next failure.
DISABLE_AFTER = timedelta(days=5)
KEEP = timedelta(days=30)  # ended deliveries and the jobs that sent them
# How long a receiver that gives no answer is left in peace; longer the longer it has been so.
SHORTEST_HOLD_S, LONGEST_HOLD_S = 4.0, 45.0
LONGEST_RETRY_AFTER_S = 3600.0  # what a receiver may ask for

_SECRET_BYTES = 32
_SECRET_PREFIX = "whsec_"  # noqa: S105 - what each begins with
_MOST_OF_A_MESSAGE = 500  # characters of an error, so that a notice has a bounded size
_ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


# ------------------------------------------------------------------- endpoints


@transaction.atomic
def create(
    *, space: Space, url: str, events: Iterable[str], owner: User | None
) -> tuple[WebhookEndpoint, str]:
    """An endpoint, and its secret, which is shown this once."""
    Space.objects.select_for_update().get(pk=space.pk)  # so that the count holds
    if WebhookEndpoint.objects.filter(space=space).count() >= MOST_IN_A_SPACE:
        raise Conflict(f"A space may have {MOST_IN_A_SPACE} webhooks.")
    secret = _SECRET_PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
    endpoint = WebhookEndpoint.objects.create(
        space=space, owner=owner, url=_checked(url), events=_known(events), secret=secret
    )
    return endpoint, secret


@transaction.atomic
def change(
    *,
    endpoint: WebhookEndpoint,
    url: str | None = None,
    events: Iterable[str] | None = None,
    active: bool | None = None,
) -> WebhookEndpoint:
    """Change what is given. Switched on again, an endpoint begins without a past."""
    locked = WebhookEndpoint.objects.select_for_update(of=("self",)).get(pk=endpoint.pk)
    if url is not None:
        locked.url = _checked(url)
        locked.held_until = None
    if events is not None:
        locked.events = _known(events)
    if active is not None and active != locked.active:
        locked.active = active
        locked.failing_since = locked.held_until = None
        locked.disabled_reason = ""
    locked.save()
    return locked


@transaction.atomic
def delete(*, endpoint: WebhookEndpoint) -> None:
    """Forget an endpoint with its deliveries. What was not sent yet is not sent any more."""
    tasks = endpoint.deliveries.filter(state=DeliveryState.PENDING).values("task_id")
    engine.cancel_many(jobs=Job.objects.filter(pk__in=tasks), reason="The webhook was deleted.")
    endpoint.delete()


def _checked(url: str) -> str:
    """Refuse what the guard would refuse without asking a name server; that is done at each sending."""
    read_url(url, Route.for_webhooks().allow)
    return url


def _known(events: Iterable[str]) -> list[str]:
    wanted = set(events)
    unknown = sorted(wanted - set(Event.values))
    if unknown:
        raise Invalid(
            f"There is no event named {unknown[0]}.", events=[f"Unknown: {', '.join(unknown)}"]
        )
    if not wanted:
        raise Invalid("Name at least one event.", events=["This list may not be empty."])
    return [event for event in Event.values if event in wanted]


# ------------------------------------------------------------------- saying that something ended


def job_ended(job: Job) -> None:
    """Called in the transaction that ends a job, with `job` as it is written."""
    if job.kind == JobKind.DELIVERY:
        if job.status == JobStatus.FAILED:
            WebhookDelivery.objects.filter(task=job, state=DeliveryState.PENDING).update(
                state=DeliveryState.FAILED, error_message=job.error_message[:_MOST_OF_A_MESSAGE]
            )
    elif job.asset_id is not None:
        failed = job.status == JobStatus.FAILED
        event = Event.JOB_FAILED if failed else Event.JOB_COMPLETED
        if listeners := _listeners(job.space_id, event):
            _announce(listeners, event, {"job": _told_of_job(job)}, job=job)


def batch_completed(batch: Batch, counts: dict[str, int]) -> None:
    """Called in the transaction that completes a batch. One over all spaces is told to nobody."""
    if listeners := _listeners(batch.space_id, Event.BATCH_COMPLETED):
        told = _told_of_batch(batch, counts)
        _announce(listeners, Event.BATCH_COMPLETED, {"batch": told}, batch=batch)


def _listeners(space_id: UUID | None, event: Event) -> list[WebhookEndpoint]:
    """One look into the index of the foreign key; a space has few endpoints, mostly none."""
    if space_id is None:
        return []
    found = WebhookEndpoint.objects.filter(space_id=space_id, active=True).select_related("space")
    return [endpoint for endpoint in found if event in endpoint.events]


def _announce(
    listeners: list[WebhookEndpoint],
    event: Event,
    data: dict[str, Any],
    *,
    job: Job | None = None,
    batch: Batch | None = None,
) -> None:
    payload = {"type": event.value, "timestamp": timezone.now().isoformat(), "data": data}
    for endpoint in listeners:
        delivery = WebhookDelivery.objects.create(
            endpoint=endpoint, event=event, payload=payload, job=job, batch=batch
        )
        _send(delivery, endpoint)


def _send(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> None:
    """A job that sends it. Of bulk priority: a slow receiver must not keep people waiting."""
    task = engine.submit(
        asset=None,
        steps=[STEP],
        params={"delivery": str(delivery.pk)},
        kind=JobKind.DELIVERY,
        priority=Priority.BULK,
        space=endpoint.space,
    )
    WebhookDelivery.objects.filter(pk=delivery.pk).update(task=task)
    delivery.task = task


def _told_of_job(job: Job) -> dict[str, Any]:
    """Ids and how it ended. What was found is fetched by the API, under its rules of access."""
    error = {"code": job.error_code, "message": job.error_message[:_MOST_OF_A_MESSAGE]}
    return {
        "id": str(job.pk),
        "kind": job.kind,
        "space": str(job.space_id),
        "asset": str(job.asset_id),
        "batch": str(job.batch_id) if job.batch_id else None,
        "status": job.status,
        "cached": job.cached,
        "error": error if job.error_code else None,
        "created_at": job.created_at.isoformat(),
        "completed_at": job.completed_at.isoformat() if job.completed_at else None,
    }


def _told_of_batch(batch: Batch, counts: dict[str, int]) -> dict[str, Any]:
    return {
        "id": str(batch.pk),
        "space": str(batch.space_id),
        "label": batch.label,
        "status": batch.state,
        "total": batch.total,
        **{name: counts.get(name, 0) for name in ("completed", "failed", "cancelled")},
        "created_at": batch.created_at.isoformat(),
        "completed_at": batch.completed_at.isoformat() if batch.completed_at else None,
    }


# ------------------------------------------------------------------- sending


def message_id(delivery: WebhookDelivery) -> str:
    """By which a receiver knows a notice it has had before."""
    return f"msg_{delivery.pk.hex}"


def body_of(delivery: WebhookDelivery) -> bytes:
    """The same bytes each time, whatever order the database keeps the keys in."""
    return json.dumps(delivery.payload, sort_keys=True, separators=(",", ":")).encode()


def headers_of(delivery: WebhookDelivery, body: bytes, *, at: datetime) -> dict[str, str]:
    """What Standard Webhooks 1.0 asks for; the timestamp is that of this sending."""
    sent_at = str(int(at.timestamp()))
    key = base64.b64decode(delivery.endpoint.secret.removeprefix(_SECRET_PREFIX))
    signed = b".".join((message_id(delivery).encode(), sent_at.encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id(delivery),
        "webhook-timestamp": sent_at,
        "webhook-signature": f"v1,{signature}",
    }


def may_ask(endpoint: WebhookEndpoint) -> bool:
    """Whether a notice may be sent now. A receiver that fails is asked by one worker at a time."""
    if endpoint.failing_since is None:
        return True
    now = timezone.now()
    failing_s = (now - endpoint.failing_since).total_seconds()
    hold_s = min(max(failing_s / 2, SHORTEST_HOLD_S), LONGEST_HOLD_S)
    due = Q(held_until__isnull=True) | Q(held_until__lte=now)
    free = WebhookEndpoint.objects.filter(due, pk=endpoint.pk)
    return bool(free.update(held_until=now + timedelta(seconds=hold_s)))


def delivered(delivery: WebhookDelivery, *, status: int) -> None:
    """The receiver took it."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        state=DeliveryState.DELIVERED,
        attempts=F("attempts") + 1,
        response_status=status,
        error_message="",
        delivered_at=timezone.now(),
    )
    # A condition, so that all is well costs no write.
    WebhookEndpoint.objects.filter(pk=delivery.endpoint_id, failing_since__isnull=False).update(
        failing_since=None, held_until=None
    )


def not_delivered(
    delivery: WebhookDelivery, *, message: str, status: int | None, retry_after: float | None
) -> None:
    """The receiver did not take it, or gave no answer (no status)."""
    WebhookDelivery.objects.filter(pk=delivery.pk).update(
        attempts=F("attempts") + 1,
        response_status=status,
        error_message=message[:_MOST_OF_A_MESSAGE],
    )
    now = timezone.now()
    endpoint = WebhookEndpoint.objects.select_for_update(of=("self",), no_key=True).get(
        pk=delivery.endpoint_id
    )
    endpoint.failing_since = endpoint.failing_since or now
    if retry_after:
        endpoint.held_until = now + timedelta(seconds=min(retry_after, LONGEST_RETRY_AFTER_S))
    elif status is not None:
        endpoint.held_until = None  # it answers, so nobody waits for it in vain
    elif endpoint.held_until is None:
        endpoint.held_until = now + timedelta(seconds=SHORTEST_HOLD_S)
    endpoint.save(update_fields=["failing_since", "held_until", "updated_at"])
    if now - endpoint.failing_since >= DISABLE_AFTER:
        days = DISABLE_AFTER.days
        disable(endpoint, f"It took no notice for {days} days. Last: {message}")


def disable(endpoint: WebhookEndpoint, reason: str) -> None:
    """Switch an endpoint off by ourselves, and say why on it."""
    changed = WebhookEndpoint.objects.filter(pk=endpoint.pk, active=True).update(
        active=False, disabled_reason=reason[:300], held_until=None, updated_at=timezone.now()
    )
    if changed:
        logger.warning("The webhook %s was switched off: %s", endpoint.pk, reason)


# ------------------------------------------------------------------- history


@transaction.atomic
def resend(*, delivery: WebhookDelivery) -> WebhookDelivery:
    """Send an ended delivery again, under the same id, with all tries before it."""
    endpoint = WebhookEndpoint.objects.select_related("space").get(pk=delivery.endpoint_id)
    if not endpoint.active:
        raise Conflict("This webhook is switched off.")
    if not reopen(delivery):
        raise Conflict("This delivery is still being sent.", status=DeliveryState.PENDING)
    delivery.refresh_from_db()
    _send(delivery, endpoint)
    return delivery


def reopen(delivery: WebhookDelivery) -> bool:
    """An ended delivery is pending again; False where it is so already."""
    ended = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(state=DeliveryState.PENDING)
    return bool(ended.update(state=DeliveryState.PENDING, delivered_at=None))


def purge_old() -> int:
    """Forget deliveries that were made longer ago than `KEEP` and ended, and their jobs; how many."""
    before = DbNow(-KEEP.total_seconds())
    Job.objects.filter(kind=JobKind.DELIVERY, status__in=_ENDED, completed_at__lt=before).delete()
    old = WebhookDelivery.objects.filter(created_at__lt=before).exclude(task__status__in=OPEN)
    return old.delete()[1].get(WebhookDelivery._meta.label, 0)

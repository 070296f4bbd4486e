"""The `deliver` step: sends one notice to a webhook, signed, and again later where it was not taken."""

from __future__ import annotations

import random
from functools import partial
from typing import ClassVar
from uuid import UUID

from django.utils import timezone

from media_assets import egress
from media_assets.errors import UnsafeUrl
from processing import leases, webhooks
from processing.context import StepContext
from processing.errors import InputFault, TryLater
from processing.models import DeliveryState, WaitingFor, WebhookDelivery
from processing.steps.base import Completed, Outcome, Skipped, Step

# Seconds from one try to the next: nine tries within a day (23.6 hours, and up to a tenth more).
BACKOFF_S = (5, 60, 300, 1800, 7200, 18_000, 25_200, 32_400)
GONE = 410


class Deliver(Step):
    """A 2xx ends it. What the guard refuses, and 410 Gone, fail it at once; the rest is tried again.

    Waits are not the job's attempts: those count workers that died. How many tries there were is kept in
    the step's checkpoint, so that a notice sent again by a person has all of them before it. Failures are
    written down under the fence, as a step that waits has no outcome to save.
    """

    name: ClassVar[str] = webhooks.STEP
    kinds: ClassVar[frozenset[str]] = frozenset()

    def run(self, context: StepContext) -> Outcome:
        delivery = (
            WebhookDelivery.objects.filter(pk=UUID(str(context.params["delivery"])))
            .select_related("endpoint")
            .first()
        )
        if delivery is None:
            return Skipped("The webhook was deleted.")
        if delivery.task_id != context.job.pk or delivery.state == DeliveryState.DELIVERED:
            return Skipped("It was taken before, or another job sends it.")
        if delivery.state == DeliveryState.FAILED:  # a person ran the job again
            with leases.fenced(context.claim):
                webhooks.reopen(delivery)
        if not delivery.endpoint.active:
            raise InputFault("WEBHOOK_DISABLED", "The webhook is switched off.")
        if not webhooks.may_ask(delivery.endpoint):
            raise _again(context, "The receiver fails, and is left in peace for a while.")
        return _send(context, delivery)


def _send(context: StepContext, delivery: WebhookDelivery) -> Outcome:
    body = webhooks.body_of(delivery)
    headers = webhooks.headers_of(delivery, body, at=timezone.now())
    context.check()
    try:
        answer = egress.post(
            delivery.endpoint.url,
            body,
            headers,
            route=egress.Route.for_webhooks(),
            max_answer=0,  # what it says is nobody's business here
        )
    except UnsafeUrl as error:
        _note(context, delivery, error.message)
        raise InputFault("UNSAFE_URL", error.message) from error
    except egress.DownloadFailed as error:
        _note(context, delivery, error.message)
        raise _again(context, error.message) from error
    if 200 <= answer.status < 300:
        return Completed(save=partial(webhooks.delivered, delivery, status=answer.status))
    message = f"The receiver answered with status {answer.status}."
    _note(context, delivery, message, status=answer.status, retry_after=answer.retry_after)
    if answer.status == GONE:
        with leases.fenced(context.claim):
            webhooks.disable(delivery.endpoint, "The receiver answered 410 Gone.")
        raise InputFault("DELIVERY_FAILED", message)
    raise _again(context, message, retry_after=answer.retry_after)


def _note(
    context: StepContext,
    delivery: WebhookDelivery,
    message: str,
    *,
    status: int | None = None,
    retry_after: float | None = None,
) -> None:
    with leases.fenced(context.claim):
        webhooks.not_delivered(delivery, message=message, status=status, retry_after=retry_after)


def _again(
    context: StepContext, message: str, *, retry_after: float | None = None
) -> TryLater | InputFault:
    """The wait before the next try, or the end of all tries."""
    tries = int(context.step.checkpoint.get("tries", 0))
    if tries >= len(BACKOFF_S):
        return InputFault("DELIVERY_FAILED", f"{message} It was tried {tries + 1} times.")
    context.keep({"tries": tries + 1})
    after = max(BACKOFF_S[tries], min(retry_after or 0.0, webhooks.LONGEST_RETRY_AFTER_S))
    after *= random.uniform(1, 1.1)  # noqa: S311 - so that many do not come back at once
    return TryLater("DELIVERY_FAILED", message, after=after, waiting_for=WaitingFor.PROVIDER)

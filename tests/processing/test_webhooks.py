"""Outgoing webhooks: each end is told once, signed, again until it is taken, and to nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from media_assets.access import Asker
from media_assets.errors import Conflict, Invalid, UnsafeUrl
from media_assets.models import MediaAsset, Role, Space
from processing import batches, engine, leases, runner, sweeper, webhooks
from processing.context import StepContext
from processing.errors import InputFault
from processing.models import (
    BatchState,
    DeliveryState,
    Event,
    Job,
    JobKind,
    JobStatus,
    StepState,
    WebhookDelivery,
    WebhookEndpoint,
)
from processing.steps import base, deliver
from processing.steps.base import Outcome
from tests import media
from tests.make import FakeStep, make_asset, make_space

# The lease keeper has a connection of its own, which sees committed rows only.
pytestmark = pytest.mark.django_db(transaction=True)


class Receiver:
    """Keeps what it is sent, and answers with the statuses given, the last of them ever after."""

    def __init__(self) -> None:
        self.statuses = [200]
        self.headers: dict[str, str] = {}
        self.got: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body))
                left = receiver.statuses
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook?token=in-the-url"


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    receiver = Receiver()
    settings.WEBHOOK_ALLOW_HOSTS = [f"127.0.0.1:{receiver.port}"]
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join(5)


@pytest.fixture(autouse=True)
def step() -> Iterator[FakeStep]:
    with base.registered(FakeStep("first")) as first:
        yield first  # type: ignore[misc]


@pytest.fixture
def space(settings: Any) -> Space:
    settings.DEFAULT_ROLE = "none"
    return make_space("Team", alice=Role.MANAGER)


@pytest.fixture
def asset(space: Space) -> MediaAsset:
    asset = make_asset(space=space)
    Job.objects.all().delete()
    return asset


def make_endpoint(space: Space, receiver: Receiver, *events: Event) -> tuple[WebhookEndpoint, str]:
    return webhooks.create(space=space, url=receiver.url, events=events or Event.values, owner=None)


def run_next() -> Job:
    claim = leases.claim()
    assert claim is not None
    runner.run(claim)
    return Job.objects.get(pk=claim.job_id)


def run_all() -> None:
    while (claim := leases.claim()) is not None:
        runner.run(claim)


def make_due() -> None:
    """The waits of jobs and endpoints are over."""
    Job.objects.filter(status=JobStatus.PENDING).update(waiting_for="")
    WebhookEndpoint.objects.update(held_until=None)


def a_job_ends(asset: MediaAsset) -> WebhookDelivery:
    """Run a job up to the notice of its end, which is not sent yet."""
    job = engine.submit(asset=asset, steps=["first"])
    assert run_next().pk == job.pk
    return WebhookDelivery.objects.get(job=job)


def broken(context: StepContext) -> Outcome:
    raise InputFault("CORRUPT_FILE", "Broken. " * 10_000)


def verify(headers: dict[str, str], body: bytes, secret: str) -> None:
    """As a receiver does who knows Standard Webhooks and nothing of us."""
    assert secret.startswith("whsec_")
    key = base64.b64decode(secret[6:], validate=True)
    assert 24 <= len(key) <= 64
    version, _, signature = headers["webhook-signature"].partition(",")
    assert version == "v1"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    expected = base64.b64encode(hmac.new(key, signed.encode(), hashlib.sha256).digest()).decode()
    assert hmac.compare_digest(expected, signature)
    assert abs(int(headers["webhook-timestamp"]) - timezone.now().timestamp()) < 300


# ------------------------------------------------------------------- what is told


def test_a_completed_job_is_told_with_a_signature(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    _, secret = make_endpoint(space, receiver)
    delivery = a_job_ends(asset)
    assert (delivery.state, delivery.task.kind) == ("pending", JobKind.DELIVERY)  # type: ignore[union-attr]
    assert run_next().status == JobStatus.COMPLETED
    [(headers, body)] = receiver.got
    verify(headers, body, secret)
    assert headers["content-type"] == "application/json"
    assert headers["webhook-id"] == f"msg_{delivery.pk.hex}"
    told = json.loads(body)
    assert set(told) == {"type", "timestamp", "data"}
    assert told["type"] == "job.completed"
    job = told["data"]["job"]
    assert (job["asset"], job["space"]) == (str(asset.pk), str(space.pk))
    assert (job["status"], job["error"]) == ("completed", None)
    assert job["completed_at"]
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts, delivery.response_status) == ("delivered", 1, 200)
    assert delivery.delivered_at is not None
    assert leases.claim() is None  # the end of a delivery is told to nobody


def test_a_failed_job_is_told_with_a_bounded_error(
    space: Space, asset: MediaAsset, receiver: Receiver, step: FakeStep
) -> None:
    make_endpoint(space, receiver)
    step.act = broken
    delivery = a_job_ends(asset)
    run_all()
    [(_, body)] = receiver.got
    assert delivery.event == "job.failed"
    error = json.loads(body)["data"]["job"]["error"]
    assert error["code"] == "CORRUPT_FILE"
    assert len(error["message"]) == 500
    assert len(body) < 4096


def test_a_job_that_loses_all_its_workers_is_told(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    job = engine.submit(asset=asset, steps=["first"])
    for _ in range(job.max_attempts):
        assert leases.claim() is not None
        sweeper.give_back(Job.objects.filter(pk=job.pk))
    run_all()
    [(_, body)] = receiver.got
    told = json.loads(body)
    assert (told["type"], told["data"]["job"]["error"]["code"]) == ("job.failed", "WORKER_LOST")


def test_a_completed_batch_is_told_once(space: Space, receiver: Receiver) -> None:
    assets = [make_asset(media.jpeg(seed=seed), space=space) for seed in range(3)]
    Job.objects.all().delete()
    make_endpoint(space, receiver, Event.BATCH_COMPLETED)
    batch = batches.create(
        asker=Asker(space.memberships.get().user),
        assets=[each.pk for each in assets],
        params={"steps": ["first"]},
        label="Again",
    )
    run_all()
    batches.sweep()
    batches.finish(batch_id=batch.pk)
    run_all()
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED
    [(_, body)] = receiver.got
    told = json.loads(body)
    assert told["type"] == "batch.completed"
    assert told["data"]["batch"]["id"] == str(batch.pk)
    assert told["data"]["batch"]["label"] == "Again"
    assert (told["data"]["batch"]["total"], told["data"]["batch"]["completed"]) == (3, 3)


def test_only_the_events_asked_for_are_told(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver, Event.JOB_FAILED)
    engine.submit(asset=asset, steps=["first"])
    run_all()
    assert not WebhookDelivery.objects.exists()
    assert receiver.got == []


def test_two_spaces_never_hear_of_each_other(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    other = make_space("Elsewhere")
    theirs, _ = make_endpoint(other, receiver)
    mine, _ = make_endpoint(space, receiver)
    engine.submit(asset=asset, steps=["first"])
    run_all()
    assert WebhookDelivery.objects.get().endpoint == mine
    assert not theirs.deliveries.exists()
    assert len(receiver.got) == 1


def test_the_notice_and_the_end_commit_together(
    space: Space, asset: MediaAsset, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_endpoint(space, receiver)
    job = engine.submit(asset=asset, steps=["first"])
    monkeypatch.setattr(webhooks, "_send", lambda *_: 1 / 0)
    run_next()
    job.refresh_from_db()
    assert (job.status, job.attempts) == (
        JobStatus.PENDING,
        1,
    )  # nothing ended, so it is tried again
    assert job.steps.get().state == StepState.PENDING
    assert not WebhookDelivery.objects.exists()


def test_a_space_without_webhooks_pays_one_query(space: Space, asset: MediaAsset) -> None:
    job = engine.submit(asset=asset, steps=["first"])
    with CaptureQueriesContext(connection) as queries:
        webhooks.job_ended(job)
    assert len(queries) == 1
    with connection.cursor() as cursor:
        sql = queries[0]["sql"]
        if connection.vendor == "sqlite":
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}")
            assert "USING INDEX processing_webhookendpoint_space_id" in str(cursor.fetchall())


# ------------------------------------------------------------------- until it is taken


def test_what_is_not_taken_is_sent_again_under_the_same_id(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    endpoint, secret = make_endpoint(space, receiver)
    receiver.statuses = [500, 404, 302, 204]
    delivery = a_job_ends(asset)
    for number, wait in enumerate((5, 60, 300)):
        task = run_next()
        assert (task.status, task.waiting_for) == ("pending", "provider")
        assert task.attempts == 0  # waits use up none
        assert wait - 1 < (task.run_after - timezone.now()).total_seconds() < 1.1 * wait + 1
        delivery.refresh_from_db()
        assert (delivery.state, delivery.attempts) == ("pending", number + 1)
        make_due()
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None
    assert run_next().status == JobStatus.COMPLETED
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    for headers, body in receiver.got:
        verify(headers, body, secret)
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.active) == (None, True)


def test_after_the_last_try_the_delivery_fails(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    receiver.statuses = [500]
    delivery = a_job_ends(asset)
    for _ in range(len(deliver.BACKOFF_S)):
        assert run_next().status == JobStatus.PENDING
        make_due()
    task = run_next()
    assert (task.status, task.error_code) == ("failed", "DELIVERY_FAILED")
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("failed", 9)
    assert "status 500" in delivery.error_message
    assert len(receiver.got) == 9
    assert 23 * 3600 < sum(deliver.BACKOFF_S) <= 24 * 3600


def test_the_receiver_may_ask_for_more_time_but_not_for_ever(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    receiver.statuses, receiver.headers = [429], {"Retry-After": "999999"}
    a_job_ends(asset)
    task = run_next()
    assert 3590 < (task.run_after - timezone.now()).total_seconds() < 3970


def test_a_receiver_that_is_away_is_asked_by_one_at_a_time(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    endpoint, _ = make_endpoint(space, receiver)
    first, second = a_job_ends(asset), None
    receiver.server.server_close()
    assert run_next().waiting_for == "provider"
    second = a_job_ends(asset)
    assert run_next().waiting_for == "provider"
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.attempts, second.attempts) == (1, 0)  # the second was not sent
    endpoint.refresh_from_db()
    assert endpoint.held_until is not None
    assert (endpoint.held_until - timezone.now()).total_seconds() < 5
    make_due()
    run_all()
    assert WebhookDelivery.objects.filter(attempts__gt=0).count() == 1  # the other one waits again


def test_a_person_sends_it_again(space: Space, asset: MediaAsset, receiver: Receiver) -> None:
    make_endpoint(space, receiver)
    delivery = a_job_ends(asset)
    with pytest.raises(Conflict):
        webhooks.resend(delivery=delivery)
    run_all()
    webhooks.resend(delivery=delivery)
    run_all()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_cancelled_delivery_has_failed_and_can_be_sent_again(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    delivery = a_job_ends(asset)
    assert delivery.task is not None
    engine.cancel(job=delivery.task)
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED
    engine.retry(job=delivery.task)
    run_all()
    delivery.refresh_from_db()
    assert (delivery.state, len(receiver.got)) == ("delivered", 1)


def test_a_delivery_that_kills_its_workers_has_failed(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    delivery = a_job_ends(asset)
    for _ in range(3):
        assert leases.claim() is not None
        sweeper.give_back(Job.objects.filter(pk=delivery.task_id))
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED
    assert delivery.error_message


# ------------------------------------------------------------------- switched off


def test_an_endpoint_that_fails_for_days_is_switched_off(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    endpoint, _ = make_endpoint(space, receiver)
    receiver.statuses = [500]
    first = a_job_ends(asset)
    run_next()
    WebhookEndpoint.objects.update(failing_since=timezone.now() - timedelta(days=4, hours=23))
    make_due()
    run_next()
    endpoint.refresh_from_db()
    assert endpoint.active
    WebhookEndpoint.objects.update(failing_since=timezone.now() - webhooks.DISABLE_AFTER)
    make_due()
    run_next()
    endpoint.refresh_from_db()
    assert not endpoint.active
    assert "5 days" in endpoint.disabled_reason
    assert "status 500" in endpoint.disabled_reason
    make_due()
    assert run_next().error_code == "WEBHOOK_DISABLED"
    first.refresh_from_db()
    assert first.state == DeliveryState.FAILED
    assert len(receiver.got) == 3
    engine.submit(asset=asset, steps=["first"])
    run_all()
    assert WebhookDelivery.objects.count() == 1  # nothing new is told
    with pytest.raises(Conflict):
        webhooks.resend(delivery=first)
    receiver.statuses = [200]
    webhooks.change(endpoint=endpoint, active=True)
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.disabled_reason) == (None, "")
    webhooks.resend(delivery=first)
    run_all()
    assert len(receiver.got) == 4


def test_410_gone_switches_the_endpoint_off_at_once(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    endpoint, _ = make_endpoint(space, receiver)
    receiver.statuses = [410]
    delivery = a_job_ends(asset)
    assert run_next().status == JobStatus.FAILED
    endpoint.refresh_from_db()
    delivery.refresh_from_db()
    assert not endpoint.active
    assert "410" in endpoint.disabled_reason
    assert (delivery.state, delivery.response_status) == ("failed", 410)


# ------------------------------------------------------------------- whom not to reach


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/hook",
        "http://localhost/hook",
        "http://169.254.169.254/latest/",
        "http://[::1]/hook",
        "https://user:secret@example.com/",
        "ftp://example.com/",
        "https://example.com:22/",
    ],
)
def test_an_address_of_the_inside_is_refused_at_once(space: Space, url: str) -> None:
    with pytest.raises(UnsafeUrl):
        webhooks.create(space=space, url=url, events=Event.values, owner=None)
    assert not WebhookEndpoint.objects.exists()


def test_what_the_guard_refuses_fails_without_a_connection(
    space: Space, asset: MediaAsset, receiver: Receiver, settings: Any
) -> None:
    make_endpoint(space, receiver)
    delivery = a_job_ends(asset)
    settings.WEBHOOK_ALLOW_HOSTS = []  # as if the name led elsewhere by now
    task = run_next()
    assert (task.status, task.error_code) == ("failed", "UNSAFE_URL")
    delivery.refresh_from_db()
    assert delivery.state == DeliveryState.FAILED
    assert receiver.got == []


def test_a_redirect_is_not_followed(space: Space, asset: MediaAsset, receiver: Receiver) -> None:
    make_endpoint(space, receiver)
    receiver.statuses, receiver.headers = [307], {"Location": receiver.url}
    a_job_ends(asset)
    assert run_next().status == JobStatus.PENDING
    assert len(receiver.got) == 1


def test_the_secret_is_in_no_log_and_no_other_row(
    space: Space, asset: MediaAsset, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        _, secret = make_endpoint(space, receiver)
        receiver.statuses = [500, 410]
        delivery = a_job_ends(asset)
        run_next()
        make_due()
        run_next()
    delivery.refresh_from_db()
    asset.refresh_from_db()
    rows = [*Job.objects.values(), delivery.__dict__, asset.analysis_log]
    for hidden in (secret, secret[6:], "in-the-url"):
        assert hidden not in caplog.text
        assert hidden not in str(rows)


# ------------------------------------------------------------------- endpoints and history


def test_unknown_and_no_events_are_refused(space: Space, receiver: Receiver) -> None:
    for events in (["job.started"], []):
        with pytest.raises(Invalid):
            webhooks.create(space=space, url=receiver.url, events=events, owner=None)
    assert not WebhookEndpoint.objects.exists()


def test_a_space_has_only_so_many(space: Space, receiver: Receiver) -> None:
    for _ in range(webhooks.MOST_IN_A_SPACE):
        make_endpoint(space, receiver)
    with pytest.raises(Conflict):
        make_endpoint(space, receiver)
    make_endpoint(make_space("Elsewhere"), receiver)


def test_each_endpoint_has_a_secret_of_its_own(space: Space, receiver: Receiver) -> None:
    assert make_endpoint(space, receiver)[1] != make_endpoint(space, receiver)[1]


def test_a_deleted_endpoint_is_sent_nothing_more(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    endpoint, _ = make_endpoint(space, receiver)
    task = a_job_ends(asset).task
    assert task is not None
    webhooks.delete(endpoint=endpoint)
    run_all()
    task.refresh_from_db()
    assert task.status == JobStatus.CANCELLED
    assert not WebhookDelivery.objects.exists()
    assert receiver.got == []


def test_old_deliveries_and_their_jobs_are_forgotten(
    space: Space, asset: MediaAsset, receiver: Receiver
) -> None:
    make_endpoint(space, receiver)
    old = a_job_ends(asset)
    run_all()
    stuck = a_job_ends(asset)
    past = timezone.now() - webhooks.KEEP - timedelta(hours=1)
    WebhookDelivery.objects.update(created_at=past)
    Job.objects.filter(pk=old.task_id).update(completed_at=past)
    fresh = a_job_ends(asset)
    assert webhooks.purge_old() == 1
    assert set(WebhookDelivery.objects.values_list("pk", flat=True)) == {stuck.pk, fresh.pk}
    assert not Job.objects.filter(pk=old.task_id).exists()
    assert Job.objects.filter(pk=old.job_id).exists()
    assert webhooks.purge_old() == 0

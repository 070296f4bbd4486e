"""Submitting, cancelling, retrying and boosting: all of it commits, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from django_q.models import OrmQ

from media_assets.errors import Conflict, Invalid
from media_assets.models import MediaAsset, Status
from processing import engine, leases
from processing.leases import LeaseLost
from processing.models import Job, JobStatus, JobStep, Priority, StepState
from processing.steps import base
from tests.make import FakeStep, make_asset, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def asset() -> MediaAsset:
    return make_asset()


@pytest.fixture(autouse=True)
def steps() -> Iterator[None]:
    with base.registered(FakeStep("first")), base.registered(FakeStep("second")):
        yield


def test_a_job_its_steps_and_a_message_are_written_together(asset: MediaAsset) -> None:
    OrmQ.objects.all().delete()
    job = engine.submit(asset=asset, steps=["first", "second"])
    assert [step.name for step in job.steps.all()] == ["first", "second"]
    assert job.status == JobStatus.PENDING
    assert OrmQ.objects.count() == 1


def test_a_rolled_back_submit_leaves_nothing(asset: MediaAsset) -> None:
    jobs, messages = Job.objects.count(), OrmQ.objects.count()
    with transaction.atomic():
        engine.submit(asset=asset, steps=["first"])
        transaction.set_rollback(True)
    assert (Job.objects.count(), OrmQ.objects.count()) == (jobs, messages)


@pytest.mark.parametrize(
    ("steps", "params"),
    [
        (["nonsense"], {}),
        ([], {}),
        (["read_document"], {}),  # not for a picture
        (["first"], {"prompt": object()}),
        (["first"], {"prompt": "x" * 70_000}),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_queued(
    asset: MediaAsset, steps: list[str], params: dict[str, Any]
) -> None:
    class ForDocuments(FakeStep):
        kinds = frozenset({"document"})

    before = Job.objects.count()
    with base.registered(ForDocuments("read_document")), pytest.raises(Invalid):
        engine.submit(asset=asset, steps=steps, params=params)
    assert Job.objects.count() == before


def test_params_that_hold_themselves_are_refused(asset: MediaAsset) -> None:
    cyclic: dict[str, Any] = {}
    cyclic["self"] = cyclic
    with pytest.raises(Invalid):
        engine.submit(asset=asset, steps=["first"], params=cyclic)


def test_many_submits_do_not_pile_up_messages(asset: MediaAsset, settings: Any) -> None:
    for _ in range(40):
        engine.submit(asset=asset, steps=["first"])
    assert OrmQ.objects.count() <= 2 * settings.WORKERS


def test_cancelling_a_pending_job_ends_its_steps_and_gives_the_status_back() -> None:
    asset = make_asset()
    MediaAsset.objects.update(status=Status.COMPLETED)
    asset.refresh_from_db()
    job = engine.cancel(job=engine.submit(asset=asset, steps=["first", "second"]))
    asset.refresh_from_db()
    assert job.status == JobStatus.CANCELLED
    assert job.error_code == "CANCELLED"
    assert {step.state for step in job.steps.all()} == {StepState.CANCELLED}
    assert asset.status == Status.COMPLETED
    assert asset.analysis_log[-1]["event"] == "job_cancelled"


def test_a_worker_of_a_cancelled_job_can_write_nothing(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    job = engine.submit(asset=asset, steps=["first"])
    claim = leases.claim()
    assert claim is not None
    engine.cancel(job=job)
    with pytest.raises(LeaseLost), leases.fenced(claim):
        JobStep.objects.update(state=StepState.COMPLETED)
    assert not JobStep.objects.filter(state=StepState.COMPLETED).exists()


def test_what_has_ended_cannot_be_cancelled(asset: MediaAsset) -> None:
    job = engine.cancel(job=engine.submit(asset=asset, steps=["first"]))
    with pytest.raises(Conflict):
        engine.cancel(job=job)


def test_a_retry_keeps_what_is_done_and_repeats_the_rest(asset: MediaAsset) -> None:
    job = engine.submit(asset=asset, steps=["first", "second"])
    job.steps.filter(name="first").update(state=StepState.COMPLETED)
    engine.cancel(job=job)
    job = engine.retry(job=job)
    assert job.status == JobStatus.PENDING
    assert job.error_code == ""
    assert dict(job.steps.values_list("name", "state")) == {
        "first": StepState.COMPLETED,
        "second": StepState.PENDING,
    }


def test_a_retried_job_shows_nothing_of_its_failed_run(asset: MediaAsset) -> None:
    job = engine.submit(asset=asset, steps=["first"])
    now = timezone.now()
    Job.objects.filter(pk=job.pk).update(
        status=JobStatus.FAILED, progress=1, started_at=now, completed_at=now
    )
    job.steps.update(state=StepState.FAILED, started_at=now, completed_at=now, duration_ms=7)
    job = engine.retry(job=job)
    step = job.steps.get()
    assert (job.progress, job.started_at, job.processing_time_ms) == (0, None, None)
    assert (step.started_at, step.completed_at, step.duration_ms) == (None, None, None)


def test_a_running_job_cannot_be_retried(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    job = engine.submit(asset=asset, steps=["first"])
    leases.claim()
    with pytest.raises(Conflict):
        engine.retry(job=job)
    job.refresh_from_db()
    assert job.status == JobStatus.PROCESSING


def test_a_retry_soon_after_a_cancel_waits_until_the_old_lease_is_over(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    job = engine.submit(asset=asset, steps=["first"])
    leases.claim()
    engine.cancel(job=job)
    engine.retry(job=job)
    assert leases.claim() is None


def test_a_boosted_job_is_interactive(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    slow = engine.submit(asset=asset, steps=["first"], priority=Priority.BULK)
    other = engine.submit(asset=asset, steps=["first"], priority=Priority.BULK)
    engine.boost(job=other)
    claim = leases.claim()
    assert claim is not None
    assert claim.job_id == other.pk
    assert Job.objects.get(pk=slow.pk).priority == Priority.BULK


def test_owners_take_turns(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    alice, bob = make_user("alice"), make_user("bob")
    hers = [
        engine.submit(asset=asset, steps=["first"], requested_by=alice, priority=Priority.BULK)
        for _ in range(20)
    ]
    assert leases.claim().job_id == hers[0].pk  # type: ignore[union-attr]
    his = engine.submit(asset=asset, steps=["first"], requested_by=bob, priority=Priority.BULK)
    order = [leases.claim().job_id for _ in range(3)]  # type: ignore[union-attr]
    assert his.pk in order[:2]


def test_interactive_goes_before_bulk(asset: MediaAsset) -> None:
    Job.objects.all().delete()
    for _ in range(3):
        engine.submit(asset=asset, steps=["first"], priority=Priority.BULK)
    urgent = engine.submit(asset=asset, steps=["first"])
    assert leases.claim().job_id == urgent.pk  # type: ignore[union-attr]
    assert leases.claim(interactive_only=True) is None

"""Running a job: steps in order, failures that stop only what needs them, waits, and workers that die."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from media_assets.models import MediaAsset, Status
from processing import engine, leases, runner, sweeper
from processing.context import StepContext
from processing.errors import InputFault, TryLater
from processing.models import Job, JobStatus, StepState
from processing.steps import base
from processing.steps.base import Completed, Outcome, Skipped
from tests.make import FakeStep, make_asset

# The lease keeper has a connection of its own, which sees committed rows only.
pytestmark = pytest.mark.django_db(transaction=True)

Register = Callable[[FakeStep], FakeStep]


@pytest.fixture
def register() -> Iterator[Register]:
    with ExitStack() as stack:
        yield lambda step: stack.enter_context(base.registered(step))  # type: ignore[return-value]


@pytest.fixture
def asset() -> MediaAsset:
    asset = make_asset()
    Job.objects.all().delete()
    return asset


def run_next() -> Job:
    claim = leases.claim()
    assert claim is not None
    runner.run(claim)
    return Job.objects.get(pk=claim.job_id)


def states(job: Job) -> dict[str, str]:
    return dict(job.steps.values_list("name", "state"))


def test_a_job_whose_steps_are_done_is_completed(asset: MediaAsset, register: Register) -> None:
    register(FakeStep("first"))
    register(FakeStep("second", lambda context: Skipped("Nothing to do here.")))
    job = engine.submit(asset=asset, steps=["first", "second"])
    job = run_next()
    asset.refresh_from_db()
    assert job.status == JobStatus.COMPLETED
    assert job.progress == 1
    assert job.attempts == 0
    assert states(job) == {"first": StepState.COMPLETED, "second": StepState.SKIPPED}
    assert job.steps.get(name="second").reason == "Nothing to do here."
    assert asset.status == Status.COMPLETED
    assert asset.analyzed_at is not None


def test_the_effects_of_a_step_commit_with_its_mark(asset: MediaAsset, register: Register) -> None:
    def save() -> None:
        MediaAsset.objects.filter(pk=asset.pk).update(title="changed")
        raise ZeroDivisionError

    register(FakeStep("first", lambda context: Completed(save=save)))
    engine.submit(asset=asset, steps=["first"])
    job = run_next()
    asset.refresh_from_db()
    assert asset.title == ""
    assert states(job) == {"first": StepState.PENDING}
    assert job.attempts == 1


def test_a_fault_of_the_input_fails_the_step_and_spares_the_others(
    asset: MediaAsset, register: Register
) -> None:
    def corrupt(context: StepContext) -> Outcome:
        raise InputFault("CORRUPT_FILE", "The picture is cut off.")

    register(FakeStep("first", corrupt))
    dependent = register(FakeStep("second", needs=("first",)))
    free = register(FakeStep("third"))
    engine.submit(asset=asset, steps=["first", "second", "third"])
    job = run_next()
    asset.refresh_from_db()
    assert job.status == JobStatus.FAILED
    assert job.error_code == "CORRUPT_FILE"
    assert job.error_message == "The picture is cut off."
    assert states(job) == {
        "first": StepState.FAILED,
        "second": StepState.SKIPPED,
        "third": StepState.COMPLETED,
    }
    assert (dependent.ran, free.ran) == (0, 1)
    assert asset.status == Status.FAILED


def test_a_retry_resumes_at_the_step_that_failed(asset: MediaAsset, register: Register) -> None:
    first = register(FakeStep("first"))
    broken = [True]

    def sometimes(context: StepContext) -> Outcome | None:
        if broken[0]:
            raise InputFault("PROVIDER_REJECTED", "No.")
        return None

    register(FakeStep("second", sometimes))
    third = register(FakeStep("third", needs=("second",)))
    engine.submit(asset=asset, steps=["first", "second", "third"])
    job = run_next()
    assert job.status == JobStatus.FAILED
    broken[0] = False
    engine.retry(job=job)
    job = run_next()
    assert job.status == JobStatus.COMPLETED
    assert (first.ran, third.ran) == (1, 1)


def test_waiting_for_a_provider_is_no_attempt(asset: MediaAsset, register: Register) -> None:
    def away(context: StepContext) -> Outcome:
        raise TryLater("PROVIDER_UNAVAILABLE", "Away.", after=3600, waiting_for="provider")

    register(FakeStep("first", away))
    engine.submit(asset=asset, steps=["first"])
    job = run_next()
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "provider", 0)
    assert job.run_after > timezone.now() + timedelta(minutes=59)
    assert leases.claim() is None


def test_what_breaks_is_tried_again_and_then_fails(asset: MediaAsset, register: Register) -> None:
    def bug(context: StepContext) -> Outcome:
        raise KeyError("a bug")

    register(FakeStep("first", bug))
    engine.submit(asset=asset, steps=["first"])
    for attempt in (1, 2):
        job = run_next()
        assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "retry", attempt)
        Job.objects.update(run_after=timezone.now() - timedelta(seconds=1))
        assert sweeper.release_due() == 1
    job = run_next()
    assert (job.status, job.error_code, job.attempts) == (JobStatus.FAILED, "INTERNAL_ERROR", 3)
    assert "a bug" not in job.error_message


def test_a_job_that_kills_its_worker_ends_after_its_attempts(
    asset: MediaAsset, register: Register
) -> None:
    register(FakeStep("first"))
    job = engine.submit(asset=asset, steps=["first"])
    for _ in range(job.max_attempts):
        assert leases.claim() is not None
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        sweeper.sweep()
    job.refresh_from_db()
    asset.refresh_from_db()
    assert (job.status, job.error_code, job.attempts) == (JobStatus.FAILED, "WORKER_LOST", 3)
    assert asset.status == Status.FAILED
    assert leases.claim() is None


def test_a_lease_that_runs_is_not_taken(asset: MediaAsset, register: Register) -> None:
    register(FakeStep("first"))
    job = engine.submit(asset=asset, steps=["first"])
    leases.claim()
    sweeper.sweep()
    job.refresh_from_db()
    assert job.status == JobStatus.PROCESSING
    assert job.attempts == 0


def test_a_late_worker_writes_nothing(asset: MediaAsset, register: Register) -> None:
    late: list[Any] = []

    def overtaken(context: StepContext) -> Outcome:
        late.append(context.claim)
        # The lease runs out, and another worker claims the job and finishes it.
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        sweeper.sweep()
        if len(late) == 1:
            run_next()
        return Completed(save=lambda: MediaAsset.objects.update(title=f"run {len(late)}"))

    step = register(FakeStep("first", overtaken))
    step.act = lambda context: (
        overtaken(context)
        if not late
        else Completed(save=lambda: MediaAsset.objects.update(title="the second run"))
    )
    engine.submit(asset=asset, steps=["first"])
    job = run_next()
    asset.refresh_from_db()
    assert job.status == JobStatus.COMPLETED
    assert asset.title == "the second run"
    assert job.attempts == 1


def test_the_private_folder_of_a_run_is_always_removed(
    asset: MediaAsset, register: Register, settings: Any
) -> None:
    folders = []

    def look(context: StepContext) -> Outcome:
        folders.append(context.workplace.root)
        assert context.source.read_bytes()[:2] == b"\xff\xd8"
        raise InputFault("CORRUPT_FILE", "Broken.")

    register(FakeStep("first", look))
    engine.submit(asset=asset, steps=["first"])
    run_next()
    assert folders
    assert not folders[0].exists()


def test_steps_found_on_the_way_are_run_too(asset: MediaAsset, register: Register) -> None:
    register(FakeStep("download", lambda context: Completed(then=("first",))))
    first = register(FakeStep("first"))
    job = engine.submit(asset=asset, steps=["download", "first"])
    job.steps.filter(name="first").delete()
    job.steps.get_or_create(name="download", defaults={"position": 0})
    job = run_next()
    assert first.ran == 1
    assert job.status == JobStatus.COMPLETED

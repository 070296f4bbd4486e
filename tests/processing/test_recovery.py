"""What is left when things die in the middle: leases, folders, marks, and a cluster that hangs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError
from django.utils import timezone

from processing import context, drain, engine, leases, runner, supervisor, sweeper
from processing.leases import Claim
from processing.models import Job, JobKind, JobStatus, JobStep
from processing.steps import base
from processing.steps.base import Completed, Outcome
from processing.supervisor import Supervisor
from tests.make import FakeStep

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def step() -> Iterator[FakeStep]:
    with base.registered(FakeStep("first")) as step:
        yield step  # type: ignore[misc]


@pytest.fixture
def job(step: FakeStep) -> Job:
    return engine.submit(asset=None, steps=["first"], kind=JobKind.BENCHMARK)


def claimed() -> Claim:
    claim = leases.claim()
    assert claim is not None
    return claim


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_a_lease_that_nobody_named_is_not_renewed(job: Job) -> None:
    """A run that broke off kept its job for as long as its process had others."""
    claim = claimed()
    before = Job.objects.get().lease_until
    assert leases.renew([]) == set()
    assert leases.renew([Claim(claim.job_id, claim.token - 1)]) == set()
    assert Job.objects.get().lease_until == before
    assert leases.renew([claim]) == {claim}
    after = Job.objects.get().lease_until
    assert before is not None
    assert after is not None
    assert after > before


def test_time_between_the_claim_and_the_run_counts_against_the_lease(settings: Any) -> None:
    """A process stopped in between believed for too long that the job was its own."""
    keeper = leases.Keeper()
    late = Claim(Job().pk, 1, asked=time.monotonic() - settings.JOB_LEASE_S)
    keeper.hold(late)
    assert not keeper.held(late)
    keeper.release(late)


def test_a_run_that_lost_its_job_before_it_began_marks_nothing(job: Job, step: FakeStep) -> None:
    claim = claimed()
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeper.sweep()
    runner.run(claim)
    mark = JobStep.objects.get(job=job)
    assert (mark.state, mark.attempts, mark.started_at, step.ran) == ("pending", 0, None, 0)


def test_a_step_and_the_beginning_of_the_next_commit_together(job: Job, step: FakeStep) -> None:
    with base.registered(FakeStep("second")):
        both = engine.submit(asset=None, steps=["first", "second"], kind=JobKind.BENCHMARK)
        Job.objects.filter(pk=job.pk).delete()
        seen: list[dict[str, str]] = []

        def look(found: context.StepContext) -> Outcome:
            seen.append(dict(both.steps.values_list("name", "state")))
            return Completed()

        step.act = look
        base.get("second").act = look  # type: ignore[attr-defined]
        runner.run(claimed())
    assert seen == [
        {"first": "processing", "second": "pending"},
        {"first": "completed", "second": "processing"},
    ]


def test_what_the_database_refuses_breaks_the_step_not_the_worker(job: Job, step: FakeStep) -> None:
    def refused() -> None:
        raise IntegrityError("a bug")

    step.act = lambda _: Completed(save=refused)
    runner.run(claimed())
    job.refresh_from_db()
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "retry", 1)
    assert job.error_code == "INTERNAL_ERROR"


def test_a_database_that_is_away_is_no_fault_of_the_job(
    job: Job, step: FakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(_: context.StepContext) -> Outcome:
        raise OperationalError("the connection is closed")

    step.act = gone
    monkeypatch.setattr(runner, "_database_is_away", lambda _: True)
    runner.run(claimed())
    job.refresh_from_db()
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "", 0)
    assert job.lease_until is None


def test_a_drain_outlives_a_database_that_is_away(
    job: Job, step: FakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise OperationalError("away")

    monkeypatch.setattr(sweeper, "release_due", away)
    assert drain.work() == "0 jobs"


def test_folders_of_killed_processes_are_removed_and_no_others(settings: Any) -> None:
    parent = context.workplaces()
    left, used = parent / f"{dead_pid()}-job-x", parent / f"{os.getpid()}-job-x"
    for folder in (left, used):
        folder.mkdir(parents=True)
        (folder / "original.mp4").touch()
    assert context.remove_abandoned() == 1
    assert [each.name for each in parent.iterdir()] == [used.name]


def test_a_dead_worker_is_told_by_its_number_whatever_its_host_is_called(
    job: Job, settings: Any
) -> None:
    settings.HOST_NAME = "rack:7"
    claimed()
    Job.objects.update(worker=f"rack:7:{os.getpid()}:abc")
    assert sweeper.give_back_dead_workers() == 0
    Job.objects.update(worker=f"rack:7:{dead_pid()}:abc")
    assert sweeper.give_back_dead_workers() == 1


def _watch(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    monkeypatch.setattr(supervisor, "START_S", 0.0)
    return Supervisor(concurrency=1)


def test_a_job_that_waited_long_for_another_try_is_no_sign_of_a_hang(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle cluster was killed when a job became due that had waited for minutes."""
    Job.objects.update(updated_at=timezone.now() - timedelta(minutes=5))
    assert not _watch(monkeypatch)._hangs()


def test_work_that_waits_while_no_worker_stirs_is_a_hang(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = _watch(monkeypatch)
    monkeypatch.setattr(supervisor, "HANG_S", 0.0)
    assert watch._hangs()
    drain._show_life(0.0)
    assert not watch._hangs()


def test_stop_files_of_killed_supervisors_are_removed(settings: Any) -> None:
    folder = Path(settings.DATA_DIR) / "run"
    dead, living = folder / f"stop-{dead_pid()}", folder / f"stop-{os.getppid()}"
    for path in (dead, living):
        path.touch()
    Supervisor(concurrency=1)._remove_stop_files()
    assert not dead.exists()
    assert living.exists()


@pytest.mark.skipif(
    sys.platform != "linux", reason="Only Linux tells a child of its parent's death."
)
def test_a_child_whose_parent_died_before_it_asked_ends() -> None:
    code = (
        "import django; django.setup()\n"
        "from processing.supervisor import die_with_parent\n"
        "die_with_parent(1)\nprint('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")

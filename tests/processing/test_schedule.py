"""Scheduled work: one job in each period, whoever looks; what breaks stops nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from media_assets import visits
from mediahub.api import idempotency, sessions, tokens
from processing import leases, runner, schedule, webhooks
from processing.models import Job, JobKind, JobStatus, JobStep, StepState
from processing.schedule import Scheduled
from tests.processes import Process, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)


def nothing() -> int:
    return 0


def broken() -> int:
    raise ZeroDivisionError


def run_all() -> list[Job]:
    ran = []
    while (claim := leases.claim()) is not None:
        runner.run(claim)
        ran.append(Job.objects.get(pk=claim.job_id))
    return ran


def test_a_period_has_one_job_however_often_one_looks() -> None:
    with schedule.only(Scheduled("a", DAY, nothing), Scheduled("b", DAY, nothing)):
        assert schedule.submit_due() == 2
        assert schedule.submit_due() == 0
    jobs = Job.objects.all()
    assert {job.params["task"] for job in jobs} == {"a", "b"}
    assert {job.kind for job in jobs} == {JobKind.MAINTENANCE}
    assert {job.asset_id for job in jobs} == {None}


def test_the_next_period_has_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = schedule._database_time()
    with schedule.only(Scheduled("a", DAY, nothing)):
        schedule.submit_due()
        monkeypatch.setattr(schedule, "_database_time", lambda: now + 86_400)
        assert schedule.submit_due() == 1
        assert schedule.submit_due() == 0
    assert Job.objects.count() == 2


def test_the_clock_is_the_database_s() -> None:
    assert abs(schedule._database_time() - timezone.now().timestamp()) < 60


def test_many_schedulers_at_once_make_one_job_for_each_period() -> None:
    """As many hosts do, all at the same moment."""
    hosts, made, errors = 6, list[int](), list[Exception]()
    start = threading.Barrier(hosts)

    def look() -> None:
        try:
            start.wait(20)
            made.append(schedule.submit_due())
        except DatabaseError as error:
            errors.append(error)
        finally:
            connection.close()

    names = [f"task-{number}" for number in range(12)]
    with schedule.only(*(Scheduled(name, DAY, nothing) for name in names)):
        threads = [threading.Thread(target=look) for _ in range(hosts)]
        for each in threads:
            each.start()
        for each in threads:
            each.join(60)
    assert not errors
    assert sum(made) == len(names)
    assert sorted(job.params["task"] for job in Job.objects.all()) == sorted(names)
    assert JobStep.objects.count() == len(names)


def test_what_it_answers_is_kept_in_the_job() -> None:
    with schedule.only(Scheduled("a", DAY, lambda: 7)):
        schedule.submit_due()
        (job,) = run_all()
    assert job.status == JobStatus.COMPLETED
    assert job.result == {"result": 7}


def test_one_that_breaks_fails_its_own_job_and_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ran = list[str]()

    def good() -> None:
        ran.append("good")

    monkeypatch.setattr(runner, "backoff", lambda attempts: 0.0)
    with schedule.only(Scheduled("a-broken", DAY, broken), Scheduled("b-good", DAY, good)):
        schedule.submit_due()
        for _ in range(3):
            run_all()
            Job.objects.filter(waiting_for="retry").update(waiting_for="")
    bad, fine = Job.objects.order_by("id")
    assert (bad.status, bad.error_code, bad.attempts) == (JobStatus.FAILED, "INTERNAL_ERROR", 3)
    assert "ZeroDivisionError" in bad.error_message
    assert fine.status == JobStatus.COMPLETED
    assert ran == ["good"]


def test_one_that_cannot_be_written_keeps_back_no_other() -> None:
    too_long = Scheduled("a" * 200, DAY, nothing)
    with schedule.only(too_long, Scheduled("b", DAY, nothing)):
        schedule.submit_due()
        assert Job.objects.filter(params={"task": "b"}).exists()


def test_a_task_this_host_does_not_know_waits_for_one_that_does() -> None:
    with schedule.only(Scheduled("new", DAY, nothing)):
        schedule.submit_due()
    with schedule.only():
        (job,) = run_all()
    assert (job.status, job.waiting_for) == (JobStatus.PENDING, "retry")
    assert job.error_code == "UNKNOWN_SCHEDULE"


def test_a_run_that_outlasts_its_period_is_not_overtaken() -> None:
    ran = list[int]()
    with schedule.only(Scheduled("slow", DAY, lambda: ran.append(1))):
        schedule.submit_due()
        first = leases.claim()
        Job.objects.filter(once__isnull=False).update(once="slow/86400/1")
        schedule.submit_due()
        (second,) = run_all()
    assert first is not None
    assert ran == []
    assert second.steps.get().state == StepState.SKIPPED
    assert second.status == JobStatus.COMPLETED


def test_old_maintenance_is_forgotten_and_nothing_else_is() -> None:
    long_ago = timezone.now() - schedule.KEEP - timedelta(hours=1)
    with schedule.only(*(Scheduled(name, DAY, nothing) for name in "abc")):
        schedule.submit_due()
    first, second, _ = Job.objects.order_by("id")
    ended = {"status": JobStatus.COMPLETED, "completed_at": long_ago}
    Job.objects.filter(pk=first.pk).update(**ended)
    Job.objects.filter(pk=second.pk).update(**{**ended, "kind": JobKind.BULK})
    assert schedule.purge_old_jobs() == 1
    assert not Job.objects.filter(pk=first.pk).exists()
    assert Job.objects.count() == 2


@pytest.mark.parametrize("period", [timedelta(0), schedule.KEEP, timedelta(days=365)])
def test_a_period_that_could_run_twice_is_refused(period: timedelta) -> None:
    with schedule.only(), pytest.raises(ValueError, match="period"):
        schedule.every("a", period, nothing)


def test_two_schedules_of_one_name_are_refused() -> None:
    with schedule.only(Scheduled("a", DAY, nothing)), pytest.raises(ValueError, match="Two"):
        schedule.every("a", DAY, broken)


def test_the_house_cleans_up_after_itself() -> None:
    verbs = {each.verb for each in schedule.known().values()}
    assert {
        idempotency.purge,
        tokens.purge,
        sessions.purge,
        visits.purge_old,
        schedule.purge_old_jobs,
        webhooks.purge_old,
    } <= verbs


def test_a_real_worker_does_what_is_scheduled(start_worker: Callable[..., Process]) -> None:
    """Two hosts, one database: each period's work is done once."""
    start_worker(HOST_NAME="one")
    start_worker(HOST_NAME="two")
    names = set(schedule.known())

    def done() -> bool:
        return Job.objects.filter(status=JobStatus.COMPLETED).count() >= len(names)

    wait_until(done, 60, what="all scheduled work is done")
    assert sorted(job.params["task"] for job in Job.objects.all()) == sorted(names)

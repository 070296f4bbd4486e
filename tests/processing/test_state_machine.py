"""Any order of submit, claim, renew, finish, fail, wait, cancel, retry, boost and death: only legal moves.

A model beside the database says what each job may be. After each act the rules that must always hold are
checked on the rows themselves.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from media_assets.errors import Conflict
from media_assets.models import MediaAsset, Status
from processing import engine, leases, sweeper
from processing.leases import Claim, LeaseLost
from processing.models import OPEN, Job, JobStatus, JobStep, Priority, StepState
from processing.steps import base
from tests.make import FakeStep, make_asset

MOVES = {
    JobStatus.PENDING: {JobStatus.PENDING, JobStatus.PROCESSING, JobStatus.CANCELLED},
    JobStatus.PROCESSING: {
        JobStatus.PROCESSING,
        JobStatus.PENDING,
        JobStatus.COMPLETED,
        JobStatus.FAILED,
        JobStatus.CANCELLED,
    },
    JobStatus.COMPLETED: {JobStatus.COMPLETED},
    JobStatus.FAILED: {JobStatus.FAILED, JobStatus.PENDING},
    JobStatus.CANCELLED: {JobStatus.CANCELLED, JobStatus.PENDING},
}


class Life(RuleBasedStateMachine):
    """The life of some jobs of one asset."""

    jobs: Bundle[Any] = Bundle("jobs")
    claims: Bundle[Any] = Bundle("claims")

    asset: MediaAsset

    def __init__(self) -> None:
        super().__init__()
        Job.objects.all().delete()
        self.seen: dict[Any, tuple[str, int]] = {}

    @rule(target=jobs, bulk=st.booleans())
    def submit(self, bulk: bool) -> Any:
        priority = Priority.BULK if bulk else Priority.INTERACTIVE
        return engine.submit(asset=self.asset, steps=["first"], priority=priority).pk

    @rule(target=claims)
    def claim(self) -> Any:
        found = leases.claim()
        if found is None:
            assert not Job.objects.filter(status=JobStatus.PENDING, waiting_for="").exists()
            return multiple()
        return found

    @rule(claim=claims, failed=st.booleans())
    def finish(self, claim: Claim, failed: bool) -> None:
        owned = self._owned(claim)
        try:
            with leases.fenced(claim) as job:
                JobStep.objects.filter(job=job).update(
                    state=StepState.FAILED if failed else StepState.COMPLETED
                )
                Job.objects.filter(pk=job.pk).update(
                    status=JobStatus.FAILED if failed else JobStatus.COMPLETED, lease_until=None
                )
        except LeaseLost:
            assert not owned
        else:
            assert owned

    @rule(claim=claims, seconds=st.sampled_from([-1, 60]))
    def wait(self, claim: Claim, seconds: int) -> None:
        try:
            with leases.fenced(claim) as job:
                Job.objects.filter(pk=job.pk).update(
                    status=JobStatus.PENDING,
                    waiting_for="provider",
                    lease_until=None,
                    run_after=timezone.now() + timedelta(seconds=seconds),
                )
        except LeaseLost:
            assert not self._owned(claim)

    @rule()
    def renew(self) -> None:
        held = {
            Claim(*row)
            for row in Job.objects.filter(status=JobStatus.PROCESSING).values_list("pk", "token")
        }
        assert leases.renew(held) == held

    @rule(claim=claims)
    def die(self, claim: Claim) -> None:
        """The worker is gone and its lease runs out."""
        Job.objects.filter(pk=claim.job_id, status=JobStatus.PROCESSING).update(
            lease_until=timezone.now() - timedelta(seconds=1)
        )
        before = dict(Job.objects.values_list("pk", "attempts"))
        given = sweeper.sweep()["expired"]
        after = dict(Job.objects.values_list("pk", "attempts"))
        assert sum(after.values()) - sum(before.values()) == given

    @rule()
    def sweep(self) -> None:
        sweeper.sweep()

    @rule(job=jobs)
    def cancel(self, job: Any) -> None:
        row = Job.objects.get(pk=job)
        if row.status in OPEN:
            assert engine.cancel(job=row).status == JobStatus.CANCELLED
        else:
            with pytest.raises(Conflict):
                engine.cancel(job=row)

    @rule(job=jobs)
    def retry(self, job: Any) -> None:
        row = Job.objects.get(pk=job)
        if row.status in (JobStatus.FAILED, JobStatus.CANCELLED):
            assert engine.retry(job=row).status == JobStatus.PENDING
        else:
            with pytest.raises(Conflict):
                engine.retry(job=row)

    @rule(job=jobs)
    def boost(self, job: Any) -> None:
        row = Job.objects.get(pk=job)
        if row.status == JobStatus.PENDING:
            assert engine.boost(job=row).priority == Priority.INTERACTIVE
        else:
            with pytest.raises(Conflict):
                engine.boost(job=row)

    def _owned(self, claim: Claim) -> bool:
        return Job.objects.filter(
            pk=claim.job_id, token=claim.token, status=JobStatus.PROCESSING
        ).exists()

    @invariant()
    def only_legal_moves(self) -> None:
        for pk, status, token in Job.objects.values_list("pk", "status", "token"):
            before, old_token = self.seen.get(pk, (JobStatus.PENDING, 0))
            assert token >= old_token, "a token never falls"
            assert status in MOVES[JobStatus(before)], f"{before} → {status}"
            self.seen[pk] = (status, token)

    @invariant()
    def rows_agree(self) -> None:
        for job in Job.objects.prefetch_related("steps"):
            assert (job.lease_until is not None) == (job.status == JobStatus.PROCESSING)
            assert job.attempts <= job.max_attempts
            if job.status == JobStatus.COMPLETED:
                assert all(step.state == StepState.COMPLETED for step in job.steps.all())
            if job.status == JobStatus.CANCELLED:
                assert job.error_code == "CANCELLED"
        assert MediaAsset.objects.get().status in Status.values


@pytest.mark.django_db
def test_every_order_of_events_makes_only_legal_moves() -> None:
    with base.registered(FakeStep("first")), transaction.atomic():
        Life.asset = make_asset()
        run_state_machine_as_test(
            Life,
            settings=settings(
                max_examples=60,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

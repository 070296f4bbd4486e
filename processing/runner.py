"""Run one claimed job: each step not done yet, in order, and then the end.

A step's effects and the mark that it is done commit together. A step that fails for good does not stop
those that do not need it; the job then ends as failed, with the first failure as its error.
"""

from __future__ import annotations

import logging
import random
import time
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.db.models import F
from django.utils import timezone

from media_assets import analysis_log, log_context
from media_assets.errors import ServiceUnavailable
from media_assets.models import MediaAsset, Status
from processing import batches, leases, pipelines, queue, sweeper, webhooks
from processing.context import StepContext, Workplace
from processing.errors import InputFault, TryLater
from processing.leases import Claim, LeaseLost
from processing.models import DONE, Job, JobKind, JobStatus, JobStep, StepState
from processing.steps import base
from processing.steps.base import Completed, Outcome, Skipped

logger = logging.getLogger(__name__)

BACKOFF_S = (2.0, 10.0, 60.0, 300.0, 900.0)
STORAGE_AWAY_S = 30.0
NEEDS_FAILED = "NEEDS_FAILED"
# How long, and how often, a job is offered back while the database is away.
HAND_BACK_S = 60.0
HAND_BACK_EVERY_S = 0.5


def run(claim: Claim) -> None:
    """Run a job that this process has just claimed. Never raises for the job's own sake."""
    leases.keeper.hold(claim)
    try:
        with log_context.bind(job_id=str(claim.job_id)):
            _run(claim)
    except LeaseLost:
        logger.info("Job %s is not ours any more; nothing was written.", claim.job_id)
    except (DatabaseError, InterfaceError) as error:
        logger.exception("Job %s broke off: the database refused.", claim.job_id)
        _hand_back(claim, counts=not isinstance(error, OperationalError | InterfaceError))
    finally:
        leases.keeper.release(claim)


def _hand_back(claim: Claim, *, counts: bool) -> None:
    """Give the job back as soon as the database answers again. Where it was away, no job is to blame."""
    until = time.monotonic() + HAND_BACK_S
    while time.monotonic() < until:
        try:
            connection.close()
            sweeper.give_back(
                Job.objects.filter(pk=claim.job_id, token=claim.token),
                reason="The database did not answer.",
                counts=counts,
            )
        except (DatabaseError, InterfaceError):
            time.sleep(HAND_BACK_EVERY_S)
        else:
            return


def _run(claim: Claim) -> None:
    job, step = _start(claim)
    workplace = Workplace(job)
    shared: dict[str, Any] = {}
    try:
        while step is not None:
            step = _run_step(
                StepContext(claim=claim, job=job, step=step, workplace=workplace, shared=shared)
            )
    finally:
        workplace.remove()
    if job.batch_id is not None:
        batches.finish(batch_id=job.batch_id)


def _start(claim: Claim) -> tuple[Job, JobStep | None]:
    """Mark the run's beginning: the asset is started, the log says so, and its first step has begun."""
    with leases.fenced(claim) as job:
        if job.asset_id and job.kind == JobKind.ANALYSIS:
            MediaAsset.objects.filter(pk=job.asset_id).update(
                status=Status.STARTED,
                updated_at=timezone.now(),
                analysis_log=analysis_log.appended(
                    analysis_log.entry(
                        "ai_analysis_started",
                        status=Status.STARTED,
                        job=job.pk,
                        attempt=job.attempts + 1,
                        queued_ms=_milliseconds_since(job.created_at),
                    )
                ),
            )
        return job, _go_on(job)


def _milliseconds_since(moment: datetime) -> int:
    return round((timezone.now() - moment).total_seconds() * 1000)


def _go_on(job: Job) -> JobStep | None:
    """Begin the next step, or end the job where there is none.

    Inside the transaction that did the step before: no other run can come between, and a job of one
    step takes one commit less.
    """
    steps = list(job.steps.order_by("position"))
    for step in steps:
        if step.state not in (StepState.PENDING, StepState.PROCESSING):
            continue
        unmet = _failed_need(step, steps)
        if not unmet:
            _begin(job, step, steps)
            return step
        _skip_for_need(step, unmet)
    _finish(job, steps)
    return None


def _begin(job: Job, step: JobStep, steps: list[JobStep]) -> None:
    now = timezone.now()
    JobStep.objects.filter(pk=step.pk).update(
        state=StepState.PROCESSING, attempts=F("attempts") + 1, started_at=now
    )
    done = sum(each.state in DONE for each in steps)
    Job.objects.filter(pk=job.pk).update(progress=done / len(steps), updated_at=now)


def _failed_need(step: JobStep, steps: list[JobStep]) -> str:
    """The name of a step that this one needs and that did not get done."""
    known = base.known().get(step.name)
    needs = known.needs if known is not None else ()
    return next(
        (
            each.name
            for each in steps
            if each.name in needs and (each.state not in DONE or each.error_code == NEEDS_FAILED)
        ),
        "",
    )


def _skip_for_need(step: JobStep, unmet: str) -> None:
    step.state, step.error_code = StepState.SKIPPED, NEEDS_FAILED
    step.reason = f"The step {unmet} did not succeed."
    step.completed_at = timezone.now()
    step.save(update_fields=["state", "error_code", "reason", "completed_at"])


def _run_step(context: StepContext) -> JobStep | None:
    """Run one step that has begun; the next one, or None where the job ended or waits."""
    started = time.monotonic()
    try:
        outcome = base.get(context.step.name).run(context)
        return _complete(context, outcome, started)
    except LeaseLost:
        raise
    except InputFault as fault:
        return _fail_step(context, fault.job_code, fault.message, started)
    except TryLater as wait:
        return _wait(context, wait)
    except ServiceUnavailable as away:
        # Storage, above all. It comes back, or an operator sees to it: no fault of the job.
        waits = TryLater(
            "PROVIDER_UNAVAILABLE",
            away.message,
            after=min(away.retry_after, STORAGE_AWAY_S),
            waiting_for="provider",
        )
        return _wait(context, waits)
    except Exception as error:
        if _database_is_away(error):
            raise
        # The boundary of foreign code: whatever a step let escape is a broken run.
        logger.exception("Step %s of job %s broke.", context.step.name, context.job.pk)
        broken = TryLater(
            "INTERNAL_ERROR", f"The step {context.step.name} broke: {type(error).__name__}."
        )
        return _wait(context, broken)


def _database_is_away(error: Exception) -> bool:
    """Whether it is the connection that failed, not what was asked of it."""
    return isinstance(error, OperationalError | InterfaceError) and not connection.is_usable()


def _complete(context: StepContext, outcome: Outcome, started: float) -> JobStep | None:
    """The step's effects and its mark, in one transaction."""
    elapsed = round((time.monotonic() - started) * 1000)
    with leases.fenced(context.claim) as job:
        changes: dict[str, Any] = {"completed_at": timezone.now(), "duration_ms": elapsed}
        if isinstance(outcome, Skipped):
            changes |= {"state": StepState.SKIPPED, "reason": outcome.reason}
            entry = analysis_log.entry(
                "step_skipped",
                status="skipped",
                job=job.pk,
                step=context.step.name,
                reason=outcome.reason,
            )
        else:
            outcome.save()
            changes |= {
                "state": StepState.COMPLETED,
                "provider": outcome.provider,
                "model": outcome.model,
                "cached": outcome.cached,
                "reason": "",
            }
            entry = analysis_log.entry(
                "step_completed",
                status="completed",
                job=job.pk,
                step=context.step.name,
                provider=outcome.provider,
                model=outcome.model,
                duration_ms=elapsed,
                cached=outcome.cached or None,
                **outcome.details,
            )
            _add_steps(job, outcome)
        JobStep.objects.filter(pk=context.step.pk).update(**changes)
        if job.asset_id:
            analysis_log.append(job.asset_id, entry)
        return _go_on(job)


def _add_steps(job: Job, outcome: Completed) -> None:
    """Steps that are only known now: those of a file that was just fetched."""
    if not outcome.then:
        return
    there = list(job.steps.order_by("position").values_list("name", flat=True))
    names = sorted(dict.fromkeys([*there, *outcome.then]), key=pipelines.position)
    for position, name in enumerate(names):
        JobStep.objects.update_or_create(job=job, name=name, defaults={"position": position})


def _fail_step(
    context: StepContext, code: str, message: str, started: float, *, counts: bool = False
) -> JobStep | None:
    elapsed = round((time.monotonic() - started) * 1000)
    with leases.fenced(context.claim) as job:
        if counts:
            Job.objects.filter(pk=job.pk).update(attempts=F("attempts") + 1)
        JobStep.objects.filter(pk=context.step.pk).update(
            state=StepState.FAILED,
            error_code=code,
            error_message=message,
            completed_at=timezone.now(),
            duration_ms=elapsed,
        )
        if job.asset_id:
            entry = analysis_log.entry(
                "step_failed",
                status="failed",
                job=job.pk,
                step=context.step.name,
                code=code,
                message=message,
                duration_ms=elapsed,
            )
            analysis_log.append(job.asset_id, entry)
        return _go_on(job)


def _wait(context: StepContext, wait: TryLater) -> JobStep | None:
    """Put the job back for later. After the last attempt it goes on without the step, if with another."""
    counts = wait.waiting_for == "retry"
    if counts and context.job.attempts + 1 >= context.job.max_attempts:
        return _fail_step(context, wait.job_code, wait.message, time.monotonic(), counts=True)
    seconds = wait.after if wait.after is not None else backoff(context.job.attempts)
    with leases.fenced(context.claim) as job:
        at = timezone.now() + timedelta(seconds=seconds)
        JobStep.objects.filter(pk=context.step.pk).update(
            state=StepState.PENDING, reason=wait.message[:300]
        )
        Job.objects.filter(pk=job.pk).update(
            status=JobStatus.PENDING,
            waiting_for=wait.waiting_for,
            run_after=at,
            lease_until=None,
            attempts=F("attempts") + (1 if counts else 0),
            error_code=wait.job_code,
            error_message=wait.message,
            updated_at=timezone.now(),
        )
        if job.asset_id:
            entry = analysis_log.entry(
                "job_waits",
                status="pending",
                job=job.pk,
                step=context.step.name,
                code=wait.job_code,
                message=wait.message,
                seconds=round(seconds, 1),
            )
            analysis_log.append(job.asset_id, entry)
        queue.wake(at=at)
    return None


def backoff(attempts: int) -> float:
    """Seconds before the next try, half of it at random, so that many do not come back at once."""
    base_s = BACKOFF_S[min(attempts, len(BACKOFF_S) - 1)]
    return base_s / 2 + random.uniform(0, base_s / 2)  # noqa: S311 - spreading, not secrecy


def _finish(job: Job, steps: list[JobStep]) -> None:
    failed = next((each for each in steps if each.state == StepState.FAILED), None)
    now = timezone.now()
    completed = [each for each in steps if each.state == StepState.COMPLETED]
    job.status = JobStatus.FAILED if failed else JobStatus.COMPLETED
    job.cached = bool(completed) and all(each.cached for each in completed)
    job.error_code = failed.error_code if failed else ""
    job.error_message = failed.error_message if failed else ""
    job.completed_at = now
    Job.objects.filter(pk=job.pk).update(
        status=job.status,
        lease_until=None,
        progress=1,
        cached=job.cached,
        error_code=job.error_code,
        error_message=job.error_message,
        completed_at=now,
        updated_at=now,
    )
    if job.asset_id and job.kind == JobKind.ANALYSIS:
        _finish_asset(job, failed)
    webhooks.job_ended(job)


def _finish_asset(job: Job, failed: JobStep | None) -> None:
    status = Status.FAILED if failed else Status.COMPLETED
    entry = analysis_log.entry(
        "ai_analysis_failed" if failed else "ai_analysis_completed",
        status=status,
        job=job.pk,
        step=failed.name if failed else "",
        code=failed.error_code if failed else None,
        message=failed.error_message if failed else None,
        duration_ms=_milliseconds_since(job.started_at or job.created_at),
    )
    now = timezone.now()
    changes: dict[str, Any] = {"status": status, "updated_at": now}
    if not failed:
        changes["analyzed_at"] = now
    MediaAsset.objects.filter(jobs=job.pk).update(
        analysis_log=analysis_log.appended(entry), **changes
    )

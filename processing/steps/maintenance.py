"""The `maintenance` step: what a schedule names, on no asset."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from processing import schedule
from processing.context import StepContext
from processing.errors import TryLater
from processing.models import Job
from processing.steps.base import Completed, Outcome, Skipped, Step


class Maintenance(Step):
    """Runs one scheduled verb and keeps what it answered in the job's result."""

    name: ClassVar[str] = "maintenance"
    kinds: ClassVar[frozenset[str]] = frozenset()

    def run(self, context: StepContext) -> Outcome:
        task = str(context.params.get("task"))
        scheduled = schedule.get(task)
        if scheduled is None:
            # During an upgrade another host may know it.
            raise TryLater("UNKNOWN_SCHEDULE", f"This host knows no schedule named {task}.")
        if schedule.still_running(context.job):
            return Skipped("The run of an earlier period has not ended yet.")
        answer = scheduled.verb()
        return Completed(save=partial(_keep, context.job, answer))


def _keep(job: Job, answer: Any) -> None:
    told = answer if isinstance(answer, int | float | str | bool | dict) else None
    Job.objects.filter(pk=job.pk).update(result={} if told is None else {"result": told})

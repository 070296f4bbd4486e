"""`manage.py job_status`: how far a job is, step by step. Ends with 1 where the job failed."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.core.management.base import CommandError, CommandParser

from media_assets.management.reporting import Report, ReportingCommand
from processing.api.serializers import JobSerializer
from processing.models import Job, JobStatus


class Command(ReportingCommand):
    help = "Show a job with its steps. Ends with 1 where it failed."
    changes: ClassVar[bool] = False

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=UUID, metavar="ID")

    def work(self, report: Report, options: dict[str, Any]) -> None:
        job = Job.objects.filter(pk=options["id"]).prefetch_related("steps").first()
        if job is None:
            raise CommandError(f"There is no job {options['id']}.")
        report.data = dict(JobSerializer(job).data)
        waits = f", waits for {job.waiting_for}" if job.waiting_for else ""
        report.lines = [f"{job.kind} {job.pk}: {job.status}{waits}, {job.progress:.0%}"]
        for step in job.steps.all():
            reason = step.error_message or step.reason
            took = "" if step.duration_ms is None else f"{step.duration_ms} ms"
            report.lines.append(f"  {step.name:<14} {step.state:<10} {took:>10}  {reason}".rstrip())
        if job.status == JobStatus.FAILED:
            report.fail(str(job.pk), job.error_code, job.error_message)

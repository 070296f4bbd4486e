"""`manage.py cleanup_media`: delete old trash, left-over files, originals past their retention."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser

from media_assets import retention
from media_assets.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    help = "Delete old trash, left-over files, and originals past their retention."

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=float,
            metavar="HOURS",
            help="Delete originals of all kinds older than this, whatever RETENTION_HOURS says.",
        )
        parser.add_argument(
            "--orphans",
            action="store_true",
            help="Look for objects that no row names too: this lists the whole storage.",
        )

    def work(self, report: Report, options: dict[str, Any]) -> None:
        hours = options["older_than"]
        if hours is not None and hours <= 0:
            raise CommandError("--older-than must be more than 0 hours.")
        done = retention.cleanup(
            dry_run=options["dry_run"],
            older_than=None if hours is None else timedelta(hours=hours),
            orphans=options["orphans"],
        )
        report.counts.update(
            scanned=done.scanned, deleted=done.deleted, freed_bytes=done.freed_bytes
        )
        for error in done.errors:
            report.fail("cleanup", "CLEANUP_FAILED", error)

"""`manage.py storage_init`: the folder or the bucket, ready for files. Safe to run again."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from media_assets import storage_setup
from media_assets.errors import StorageRefuses
from media_assets.management.reporting import Report, ReportingCommand


class Command(ReportingCommand):
    help = (
        "Make the folder, or the bucket with its CORS, public-access block and the abort of old"
        " uploads in parts, where its server knows them."
    )

    def work(self, report: Report, options: dict[str, Any]) -> None:
        try:
            items = storage_setup.prepare(dry_run=options["dry_run"])
        except StorageRefuses as error:
            raise CommandError(error.reason) from error
        report.data = {"items": [{"what": each.what, "state": each.state} for each in items]}
        report.lines = [f"{each.what}: {each.state}" for each in items]

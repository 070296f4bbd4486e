"""`manage.py add_media`: files and folders of this machine, taken in as uploads are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.management.base import CommandParser

from media_assets import filetypes, intake
from media_assets.errors import FileTooLarge, InvalidFileFormat, MediaHubError
from media_assets.management import placement
from media_assets.management.reporting import Report, ReportingCommand
from media_assets.models import Door
from media_assets.receiver import limit_bytes
from processing import pipelines
from processing.management import waiting
from processing.models import Priority

CHUNK = 1 << 20


class Command(ReportingCommand):
    help = (
        "Take in files, and all files in folders, those with hidden names left out."
        " The same bytes are not taken twice."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        parser.add_argument("--steps", help="What is done with them: inspect,describe,...")
        parser.add_argument(
            "--wait", action="store_true", help="Wait until the work on them is done."
        )
        placement.add_arguments(parser)

    def work(self, report: Report, options: dict[str, Any]) -> None:
        space, owner = placement.of(options)
        steps = [name.strip() for name in (options["steps"] or "").split(",") if name.strip()]
        details = intake.Details(
            space=space,
            owner=owner,
            door=Door.COMMAND,
            wishes={"steps": pipelines.named(steps)} if steps else {},
            priority=int(Priority.BULK),
        )
        ids: dict[UUID, str] = {}
        for path in self.progress(_files(options["paths"], report), what="files"):
            try:
                if options["dry_run"]:
                    _look(path)
                    report.counts["would_add"] += 1
                    continue
                kept = _take(path, details)
            except MediaHubError as error:
                report.fail(str(path), error.code, error.message)
            except OSError as error:
                report.fail(str(path), "UNREADABLE", error.strerror or "It cannot be read.")
            else:
                report.counts["added" if kept.created else "cached"] += 1
                ids[kept.asset.pk] = str(path)
        report.data["assets"] = list(ids)
        if options["wait"]:
            self._wait(report, ids)

    def _wait(self, report: Report, ids: dict[UUID, str]) -> None:
        for asset_id in self.progress(list(ids), what="worked on"):
            failed = waiting.for_asset(asset_id)
            if failed is None:
                report.counts["completed"] += 1
            else:
                report.fail(ids[asset_id], failed.error_code, failed.error_message)


def _files(paths: list[Path], report: Report) -> list[Path]:
    """All files below these paths, in order; links to folders are not followed."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found.extend(_below(path))
        elif path.exists():
            found.append(path)
        else:
            report.fail(str(path), "NOT_FOUND", "There is no such file or folder.")
    return found


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if not name.startswith(".") and path.is_file():
                yield path


def _take(path: Path, details: intake.Details) -> intake.Kept:
    with path.open("rb") as file:
        return intake.receive(
            iter(partial(file.read, CHUNK), b""),
            filename=path.name,
            details=details,
            declared_size=os.fstat(file.fileno()).st_size,
        )


def _look(path: Path) -> None:
    """Refuse what the door would refuse at first sight."""
    with path.open("rb") as file:
        head = file.read(filetypes.HEAD_BYTES)
        size = os.fstat(file.fileno()).st_size
    found = filetypes.sniff(head, name=path.name)
    if found is None or not filetypes.is_allowed(found, settings.ALLOWED_FORMATS):
        raise InvalidFileFormat
    if size > limit_bytes(found.kind):
        raise FileTooLarge

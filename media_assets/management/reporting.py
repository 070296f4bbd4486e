"""What all our commands share: progress on a terminal, a summary for people or machines, and an exit status.

A command counts what it did and notes what failed. One failure does not stop it; it ends with 1 then, with
130 where it was interrupted, and in each case says what was done until then.
"""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from media_assets.errors import MediaHubError

T = TypeVar("T")

BAR_WIDTH = 30
_REDRAW_S = 0.1
INTERRUPTED = 130  # as shells have it: 128 and the number of SIGINT


@dataclass(slots=True)
class Report:
    """What a command did so far."""

    counts: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, str]] = field(default_factory=list)
    # For machines, beside the counts.
    data: dict[str, Any] = field(default_factory=dict)
    # For people, before the summary.
    lines: list[str] = field(default_factory=list)

    def fail(self, what: str, code: str, message: str) -> None:
        self.failures.append({"what": what, "code": code, "message": message})

    def as_json(self, *, dry_run: bool) -> str:
        told = {**({"dry_run": True} if dry_run else {}), **self.data, **self.counts}
        if self.counts or self.failures:
            told |= {"failed": len(self.failures), "errors": self.failures}
        return json.dumps(told, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)

    def summary(self) -> str:
        counts = {**self.counts, **({"failed": len(self.failures)} if self.failures else {})}
        return ", ".join(f"{name.replace('_', ' ')}: {count}" for name, count in counts.items())


class ReportingCommand(BaseCommand, ABC):
    """Subclasses define `arguments` and `work`, count in the report, and let MediaHubError escape."""

    # Whether it changes anything, and so can be tried with --dry-run.
    changes: ClassVar[bool] = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Answer in JSON, for machines.")
        if self.changes:
            parser.add_argument(
                "--dry-run", action="store_true", help="Say what would be done, and do nothing."
            )
        self.arguments(parser)

    def arguments(self, parser: CommandParser) -> None:
        """The command's own arguments."""

    @abstractmethod
    def work(self, report: Report, options: dict[str, Any]) -> None:
        """What the command does, counted in the report."""

    def handle(self, *args: Any, **options: Any) -> None:
        self._as_json: bool = options["json"]
        self._dry_run: bool = options.get("dry_run", False)
        report = Report()
        try:
            self.work(report, options)
        except KeyboardInterrupt:
            self._show(report)
            raise CommandError(
                "Stopped. Run it again to go on: nothing is done twice.", returncode=INTERRUPTED
            ) from None
        except MediaHubError as error:
            self._show(report)
            raise CommandError(error.message) from error
        self._show(report)
        if report.failures:
            raise CommandError(f"{len(report.failures)} failed.")

    def _show(self, report: Report) -> None:
        if self._as_json:
            self.stdout.write(report.as_json(dry_run=self._dry_run))
            return
        for failure in report.failures:
            self.stderr.write(f"{failure['what']}: {failure['message']} ({failure['code']})")
        for line in report.lines:
            self.stdout.write(line)
        if report.counts:
            said = "Nothing was done. " if self._dry_run else ""
            self.stdout.write(f"{said}{report.summary()}")

    def progress(self, items: Sequence[T], *, what: str) -> Iterator[T]:
        """The items one by one, with a bar where somebody looks."""
        drawn = 0.0
        for number, item in enumerate(items):
            if self.stderr.isatty() and time.monotonic() - drawn > _REDRAW_S:
                drawn = time.monotonic()
                self._draw(number, len(items), what)
            yield item
        if drawn:
            self._draw(len(items), len(items), what)
            self.stderr.write("", style_func=str)

    def _draw(self, done: int, total: int, what: str) -> None:
        filled = BAR_WIDTH * done // total
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        self.stderr.write(f"\r[{bar}] {done}/{total} {what}", style_func=str, ending="")
        self.stderr.flush()

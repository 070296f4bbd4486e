"""`manage.py list_media`: the assets that are there, newest first."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, ClassVar
from uuid import UUID

from django.core.management.base import CommandError, CommandParser
from django.db.models import Q

from media_assets.management import placement
from media_assets.management.reporting import Report, ReportingCommand
from media_assets.models import Kind, MediaAsset, Post, Status

COLUMNS = ("id", "kind", "status", "size", "created_at", "filename")


class Command(ReportingCommand):
    help = "List the assets outside the trash, newest first."
    changes: ClassVar[bool] = False

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--post", help="Id, or external_id, of a post.")
        parser.add_argument("--status", choices=Status.values)
        parser.add_argument("--kind", choices=Kind.values)
        parser.add_argument("--space", help="Id or name of a space.")
        parser.add_argument("--limit", type=int, help="List so many at most.")

    def work(self, report: Report, options: dict[str, Any]) -> None:
        found = MediaAsset.objects.filter(deleted_at__isnull=True).order_by("-id")
        for name in ("status", "kind"):
            if options[name]:
                found = found.filter(**{name: options[name]})
        if options["space"]:
            found = found.filter(space=placement.find_space(options["space"]))
        if options["post"]:
            found = found.filter(post__in=_posts(options["post"]))
        if options["limit"] is not None:
            found = found[: max(options["limit"], 0)]
        rows = list(found.values(*COLUMNS))
        report.data = {"assets": rows, "total": len(rows)}
        report.lines = [_line(row) for row in rows] or ["There are none."]


def _posts(named: str) -> list[UUID]:
    by_id = Q(external_id=named)
    with suppress(ValueError):  # it may be no id of ours
        by_id |= Q(pk=UUID(named))
    found = list(Post.objects.filter(by_id).values_list("pk", flat=True))
    if not found:
        raise CommandError(f"There is no post {named}.")
    return found


def _line(row: dict[str, Any]) -> str:
    created = row["created_at"].isoformat(timespec="seconds")
    size = "-" if row["size"] is None else row["size"]
    return (
        f"{row['id']}  {row['kind'] or '-':<8}  {row['status']:<11}  {size:>12}  {created}"
        f"  {row['filename']}"
    )

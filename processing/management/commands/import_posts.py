"""`manage.py import_posts`: posts from JSON files, as the API takes them; their media are fetched by jobs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from media_assets import posts
from media_assets.api.serializers import NewPostSerializer
from media_assets.errors import Invalid, MediaHubError
from media_assets.management import placement
from media_assets.management.reporting import Report, ReportingCommand
from media_assets.models import Space
from media_assets.posts import Added, Sender
from processing.models import Priority

SUFFIXES = (".json", ".jsonl")


class Command(ReportingCommand):
    help = (
        "Import posts: files of JSON (one post, or a list), of JSON lines, or folders of such."
        " A post that is there gets the media it lacked."
    )

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
        placement.add_arguments(parser)

    def work(self, report: Report, options: dict[str, Any]) -> None:
        space, owner = placement.of(options)
        sender = Sender(owner=owner, priority=int(Priority.BULK))
        report.counts.update(total=0, added=0, extended=0, cached=0, media=0)
        for path in self.progress(_files(options["paths"], report), what="files"):
            for name, post in _posts(path, report):
                report.counts["total"] += 1
                try:
                    added = _add(post, space, sender, dry_run=options["dry_run"])
                except MediaHubError as error:
                    report.fail(name, error.code, error.message)
                    continue
                report.counts[_outcome(added)] += 1
                report.counts["media"] += len(added.assets)
                for unknown in added.unknown:
                    report.counts["unknown_media"] += 1
                    report.lines.append(
                        f"{name}: media of the unknown kind {unknown.type} left out"
                    )


def _outcome(added: Added) -> str:
    if added.created:
        return "added"
    return "extended" if added.assets else "cached"


def _add(post: Any, space: Space, sender: Sender, *, dry_run: bool) -> Added:
    form = NewPostSerializer(data=post)
    if not form.is_valid():
        field, messages = next(iter(form.errors.items()))
        message = messages[0] if isinstance(messages, list) else messages
        raise Invalid(f"{field}: {message}")
    fields = dict(form.validated_data)
    fields.pop("space", None)
    # Without an id of its own it is told by its content, or a second run would make it anew.
    fields["external_id"] = fields.get("external_id") or _digest(post)
    with transaction.atomic():
        added = posts.add(
            space=space, media=fields.pop("media", None), fields=fields, raw=post, sender=sender
        )
        # A trial does all of it, and takes it back.
        transaction.set_rollback(dry_run)
    return added


def _digest(post: dict[str, Any]) -> str:
    told = json.dumps(post, sort_keys=True).encode()
    return f"sha256:{hashlib.sha256(told).hexdigest()}"


def _files(paths: list[Path], report: Report) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            below = (each for each in path.rglob("*") if each.suffix.lower() in SUFFIXES)
            found.extend(sorted(each for each in below if each.is_file()))
        elif path.exists():
            found.append(path)
        else:
            report.fail(str(path), "NOT_FOUND", "There is no such file or folder.")
    return found


def _posts(path: Path, report: Report) -> Iterator[tuple[str, Any]]:
    """The posts of a file, each with a name to find it by."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        report.fail(str(path), "UNREADABLE", f"It cannot be read: {type(error).__name__}.")
        return
    if path.suffix.lower() == ".jsonl":
        lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        for number, line in lines:
            yield from _read(f"{path}:{number}", line, report)
    else:
        yield from _read(str(path), text, report)


def _read(name: str, text: str, report: Report) -> Iterator[tuple[str, Any]]:
    try:
        value = json.loads(text, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False).encode()  # half a character cannot be kept
        if "\\u0000" in text:
            raise ValueError("a text holds NUL")
    except (ValueError, RecursionError) as error:
        report.fail(name, "VALIDATION_ERROR", f"This is no JSON that can be kept: {error}")
        return
    if not isinstance(value, list):
        yield name, value
        return
    for number, each in enumerate(value, 1):
        yield f"{name}[{number}]", each


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number")

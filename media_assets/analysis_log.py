"""The append-only log of an asset, appended by one SQL expression, never read and written back.

So two workers that log at once lose nothing. The newest 500 entries are kept.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import F, Func, JSONField, Value
from django.db.models.sql.compiler import SQLCompiler
from django.utils import timezone

from media_assets.models import MediaAsset

KEPT = 500


class Appended(Func):
    """`list || entry`, with the oldest entry dropped once KEPT are there."""

    output_field = JSONField()
    arity = 2

    def as_postgresql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        template = (
            f"(CASE WHEN jsonb_array_length(%(log)s) >= {KEPT} THEN %(log)s - 0 ELSE %(log)s END)"
            " || jsonb_build_array(%(entry)s::jsonb)"
        )
        return self._filled(template, compiler)

    def as_sqlite(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **extra: Any
    ) -> tuple[str, tuple[Any, ...]]:
        template = (
            f"json_insert(CASE WHEN json_array_length(%(log)s) >= {KEPT}"
            " THEN json_remove(%(log)s, '$[0]') ELSE %(log)s END, '$[#]', json(%(entry)s))"
        )
        return self._filled(template, compiler)

    def _filled(self, template: str, compiler: SQLCompiler) -> tuple[str, tuple[Any, ...]]:
        log, log_params = compiler.compile(self.source_expressions[0])
        entry, entry_params = compiler.compile(self.source_expressions[1])
        params = (*log_params,) * template.count("%(log)s") + (*entry_params,)
        return template % {"log": log, "entry": entry}, params


def entry(
    event: str,
    *,
    status: str = "",
    job: UUID | None = None,
    step: str = "",
    provider: str = "",
    model: str = "",
    **details: Any,
) -> dict[str, Any]:
    """One entry, as the API shows it. Details that are None are left out."""
    return {
        "timestamp": timezone.now().isoformat(timespec="milliseconds"),
        "event": event,
        "status": status or None,
        "job": str(job) if job else None,
        "step": step or None,
        "provider": provider or None,
        "model": model or None,
        "details": {key: value for key, value in details.items() if value is not None},
    }


def appended(*entries: dict[str, Any]) -> Appended | F:
    """The expression that adds `entries`, for an update that changes other columns too."""
    expression: Appended | F = F("analysis_log")
    for each in entries:
        text = json.dumps(each, cls=DjangoJSONEncoder).replace("\\u0000", "")
        expression = Appended(expression, Value(text))
    return expression


def append(asset_id: UUID, *entries: dict[str, Any]) -> None:
    """Add `entries` to one asset's log."""
    MediaAsset.objects.filter(pk=asset_id).update(analysis_log=appended(*entries))

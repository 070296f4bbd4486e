"""Which result of a step stands: the newest good one, unless a person chose or corrected another.

A result is never overwritten. The current one of each step is pushed down to its asset in brief, so that
lists and pages need no join; the whole stays in its own row.
"""

from __future__ import annotations

from typing import Any

from media_assets import analysis_log
from media_assets.models import MediaAsset
from processing.models import Analysis

# Characters of a text that an asset keeps of a result; the row has all of it.
BRIEF_TEXT = 4000


def keep(*, analysis: Analysis) -> bool:
    """Write a machine's new result and make it current; True where it became so.

    Where a person's word stands, the new result is only proposed beside it. Call it inside the
    transaction of the step.
    """
    asset = MediaAsset.objects.select_for_update(of=("self",)).get(pk=analysis.asset_id)
    standing = Analysis.objects.filter(asset=asset, step=analysis.step, current=True)
    if standing.filter(locked=True).exists():
        analysis.save(force_insert=True)
        entry = analysis_log.entry(
            "result_proposed", job=analysis.job_id, step=analysis.step, provider=analysis.provider
        )
        analysis_log.append(asset.pk, entry)
        return False
    standing.update(current=False)
    analysis.current = True
    analysis.save(force_insert=True)
    show(asset=asset, step=analysis.step, brief=brief(analysis))
    return True


def show(*, asset: MediaAsset, step: str, brief: dict[str, Any]) -> None:
    """Push a step's current result down to its asset, whose row the caller has locked."""
    asset.current = {**asset.current, step: brief}
    asset.save(update_fields=["current", "updated_at"])


def brief(analysis: Analysis) -> dict[str, Any]:
    """What an asset keeps of its current result."""
    found = {
        "id": str(analysis.pk),
        "kind": analysis.kind,
        "provider": analysis.provider,
        "model": analysis.model,
        "description": analysis.description[:BRIEF_TEXT],
        "summary": analysis.summary[:BRIEF_TEXT],
        "labels": [label.get("name") for label in analysis.labels[:50]],
        "text": analysis.text[:BRIEF_TEXT],
        "language": analysis.language,
        "word_count": analysis.word_count,
        "page_count": analysis.page_count,
        "confidence": analysis.confidence,
    }
    return {name: value for name, value in found.items() if value not in (None, "", [])}

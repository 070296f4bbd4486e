"""The log and the facts of an asset, said in words."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.template.defaultfilters import filesizeformat
from django.utils.dateparse import parse_datetime

from media_assets.models import MediaAsset

_SENTENCES = {
    "media_stored": "Stored{by}.",
    "media_downloaded": "Downloaded from its address.",
    "ai_analysis_started": "Work began.",
    "ai_analysis_completed": "Work is done.",
    "ai_analysis_failed": "Work failed: {message}",
    "step_completed": "{step} is done{after}{cached}.",
    "step_skipped": "{step} was left out: {reason}",
    "step_failed": "{step} failed: {message}",
    "job_waits": "{step} waits: {message}",
    "job_cancelled": "The job was cancelled: {reason}",
    "worker_lost": "A worker died while it worked on this.",
    "provider_failed": "{provider} failed: {message}",
    "asset_changed": "Changed{by}.",
    "trashed": "Moved to the trash{by}.",
    "restored": "Taken out of the trash{by}.",
    "archived": "Copied to the archive.",
    "evicted": "Left local storage; the archive has it.",
}


def sentence(entry: dict[str, Any]) -> str:
    """One log entry as a sentence. Texts from outside are left for the template to escape."""
    details = entry.get("details") or {}
    template = _SENTENCES.get(entry["event"])
    if template is None:
        return str(entry["event"]).replace("_", " ").capitalize() + "."
    milliseconds = details.get("duration_ms")
    return template.format(
        step=str(entry.get("step") or "The step").replace("_", " ").capitalize(),
        provider=entry.get("provider") or "A provider",
        message=details.get("message", ""),
        reason=details.get("reason", ""),
        by=f" by {details['by']}" if details.get("by") else "",
        after=f" after {max(milliseconds / 1000, 0.1):.1f} s" if milliseconds else "",
        cached=", from an earlier result" if details.get("cached") else "",
    )


def log_lines(asset: MediaAsset) -> list[dict[str, Any]]:
    """The log, newest first, for a page."""
    return [
        {
            "timestamp": entry["timestamp"],
            "at": parse_datetime(entry["timestamp"]),
            "words": sentence(entry),
            "entry": entry,
        }
        for entry in reversed(asset.analysis_log)
    ]


def facts(asset: MediaAsset) -> list[tuple[str, str]]:
    """What is known of a file, as pairs of name and value."""
    found: list[tuple[str, Any]] = [("Type", asset.mime_type), ("File", asset.filename)]
    if asset.size is not None:
        found.append(("Size", filesizeformat(asset.size)))
    blob = asset.blob
    if blob is not None:
        found += [
            ("Dimensions", f"{blob.width} × {blob.height}" if blob.width else None),
            ("Duration", duration(blob.duration) if blob.duration else None),
            ("Pages", blob.pages),
            ("Words", blob.metadata.get("word_count")),
            ("Taken", _moment(blob.taken_at)),
            ("Camera", camera(blob.metadata)),
        ]
    found += [
        ("Tags", ", ".join(tag.name for tag in asset.tags.all())),
        ("Added", _moment(asset.created_at)),
    ]
    return [(name, str(value)) for name, value in found if value]


def _moment(value: datetime | None) -> str | None:
    return value.strftime("%Y-%m-%d %H:%M") if value else None


def camera(metadata: dict[str, Any]) -> str:
    """Make and model, once where the model says the make too, as many do."""
    make, model = (str(metadata.get(f"camera_{part}") or "") for part in ("make", "model"))
    return (
        model
        if model.casefold().startswith(make.casefold()) and model
        else f"{make} {model}".strip()
    )


def duration(seconds: float) -> str:
    """1:02:03, or 0:07."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

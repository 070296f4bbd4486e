"""Which steps a kind of media gets, and in which order."""

from __future__ import annotations

from media_assets.errors import Invalid
from media_assets.models import Kind
from processing.steps import base

# The order in which steps run, whatever the order asked for.
ORDER = (
    "download",
    "inspect",
    "read_document",
    "sample_video",
    "describe",
    "transcribe",
    "summarize",
    "web_preview",
)

DEFAULTS: dict[str, tuple[str, ...]] = {
    Kind.IMAGE: ("inspect", "describe"),
    Kind.DOCUMENT: ("inspect", "read_document"),
    Kind.AUDIO: ("inspect", "transcribe"),
    Kind.VIDEO: ("inspect", "sample_video", "describe", "transcribe"),
}


def plan(*, kind: str, steps: list[str] | None, has_bytes: bool) -> list[str]:
    """The steps of a job on media of this kind, in order. Refuses what is unknown or does not fit.

    Without bytes the job can only fetch them; what comes after is planned when the kind is known.
    """
    known = base.known()
    if steps is not None:
        named(steps)
    if not has_bytes:
        return ["download"]
    wanted = DEFAULTS[kind] if steps is None else tuple(steps)
    if steps is not None:
        unfit = [name for name in wanted if kind not in known[name].kinds]
        if unfit:
            raise Invalid(
                f"The step {unfit[0]} does not fit media of kind {kind}.",
                steps=[f"Not for {kind}: {', '.join(unfit)}"],
            )
    chosen = [
        name for name in dict.fromkeys(wanted) if name in known and not known[name].fetches_bytes
    ]
    return sorted(chosen, key=position)  # a stable sort: steps of plug-ins keep the order asked for


def named(steps: list[str]) -> list[str]:
    """These names as they are. Refuses an empty list, and what nobody registered."""
    unknown = sorted(set(steps) - set(base.known()))
    if unknown:
        raise Invalid(
            f"There is no step named {unknown[0]}.", steps=[f"Unknown: {', '.join(unknown)}"]
        )
    if not steps:
        raise Invalid("Name at least one step.", steps=["This list may not be empty."])
    return steps


def fitting(*, kind: str, steps: list[str] | None, has_bytes: bool) -> list[str]:
    """As `plan`, for many assets of several kinds: the steps that fit this one, maybe none."""
    known = base.known()
    if not has_bytes:
        fetches = "download" in known and (steps is None or "download" in steps)
        return ["download"] if fetches else []
    wanted = DEFAULTS[kind] if steps is None else steps
    fit = [
        name
        for name in dict.fromkeys(wanted)
        if name in known and kind in known[name].kinds and not known[name].fetches_bytes
    ]
    return sorted(fit, key=position)


def position(name: str) -> int:
    """Where a step stands in the order; steps of plug-ins come last."""
    return ORDER.index(name) if name in ORDER else len(ORDER)

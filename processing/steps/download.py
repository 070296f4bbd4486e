"""The `download` step: fetches the bytes of an announced asset, then says which steps come next.

Nothing is fetched twice: not what the same asker fetched within URL_CACHE_HOURS, and later only what the
server says has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

from media_assets import intake, url_cache
from media_assets.downloads import DownloadFailed, Fetched, fetch
from media_assets.errors import (
    FileTooLarge,
    InvalidFileFormat,
    MediaHubError,
    QuotaExceeded,
    ServiceUnavailable,
    StorageFull,
    UnsafeUrl,
)
from media_assets.intake import Arrival
from media_assets.models import MediaAsset, UrlFetch
from media_assets.receiver import Receiver, limit_bytes
from processing import pipelines
from processing.context import StepContext
from processing.errors import InputFault, StepError, TryLater
from processing.models import Job, JobStep, StepState
from processing.slots import NoSlot, download_slot
from processing.steps import base
from processing.steps.base import Completed, Outcome, Step

# A job that finds all slots taken gives its thread to others after this, and comes back.
SLOT_WAIT_S = 5.0
COME_BACK_S = 5.0
# A server may ask for a day. Nobody waits that long for a picture; each wait is an attempt.
LONGEST_RETRY_AFTER_S = 3600.0
# Between two looks at the database for the progress bar.
REPORT_EVERY_S = 1.0

# Which job code a refusal at the door becomes; all others are DOWNLOAD_FAILED.
_CODES: dict[type[MediaHubError], str] = {
    UnsafeUrl: "UNSAFE_URL",
    FileTooLarge: "LIMIT_EXCEEDED",
    QuotaExceeded: "LIMIT_EXCEEDED",
    InvalidFileFormat: "UNSUPPORTED_CODEC",
}


@dataclass(frozen=True, slots=True)
class _Gotten:
    """What the address gave: bytes that lie in storage, and what the log says of the way."""

    arrival: Arrival
    etag: str
    last_modified: str
    cached: bool
    details: dict[str, Any]


class Download(Step):
    """The bytes behind an address."""

    name: ClassVar[str] = "download"
    fetches_bytes: ClassVar[bool] = True

    def run(self, context: StepContext) -> Outcome:
        asset = context.asset
        if asset.blob_id is not None:  # another job was quicker
            planned = _plan(context, asset.kind)
            return Completed(
                save=partial(_save_left_out, context, planned), cached=True, then=planned.steps
            )
        try:
            gotten = _get(context, asset)
        except MediaHubError as error:
            raise _as_step_error(error) from error
        planned = _plan(context, gotten.arrival.kind)
        return Completed(
            save=partial(_save, context, asset, gotten, planned),
            cached=gotten.cached,
            details={"from_cache": gotten.details.get("from_cache")},
            then=planned.steps,
        )


def _as_step_error(error: MediaHubError) -> StepError:
    """What a job says of a failed download, and whether it is worth another try."""
    if isinstance(error, StepError):
        return error
    if isinstance(error, DownloadFailed) and not error.permanent:
        wait = error.retry_after
        after = None if wait is None else min(max(wait, 1.0), LONGEST_RETRY_AFTER_S)
        return TryLater("DOWNLOAD_FAILED", error.message, after=after)
    if isinstance(error, ServiceUnavailable | StorageFull):
        return TryLater("DOWNLOAD_FAILED", error.message)
    code = next((code for kind, code in _CODES.items() if isinstance(error, kind)), None)
    return InputFault(code or "DOWNLOAD_FAILED", error.message, **error.details)


# ------------------------------------------------------------------- fetching


def _get(context: StepContext, asset: MediaAsset) -> _Gotten:
    known = url_cache.find(space=asset.space, owner=asset.owner, url=asset.source_url)
    if known is not None and url_cache.is_fresh(known) and not context.force:
        return _remembered(known, source="kept")
    try:
        with download_slot(give_up=context.check, wait_s=SLOT_WAIT_S):
            return _fetch(context, asset, known)
    except NoSlot:
        raise TryLater(
            "DOWNLOAD_FAILED",
            "As many downloads as are allowed are running.",
            after=COME_BACK_S,
            waiting_for="provider",
        ) from None


def _fetch(context: StepContext, asset: MediaAsset, known: UrlFetch | None) -> _Gotten:
    started = time.monotonic()
    with Receiver(filename=asset.filename) as receiver:
        fetched = fetch(
            asset.source_url,
            _checked(context, receiver.feed),
            max_bytes=limit_bytes(None),
            etag=known.etag if known else "",
            last_modified=known.last_modified if known else "",
            progress=_reporter(context),
            begin=lambda name: receiver.call(name or asset.filename),
        )
        if fetched.not_modified and known is not None:
            return _remembered(known, source="not modified")
        received = receiver.finish()
        context.check()
        arrival = intake.store(received)
    return _Gotten(
        arrival, fetched.etag, fetched.last_modified, False, _told(arrival, fetched, started)
    )


def _told(arrival: Arrival, fetched: Fetched, started: float) -> dict[str, Any]:
    return {
        "file_size": arrival.size,
        "mime_type": arrival.mime_type,
        "duration_ms": round((time.monotonic() - started) * 1000),
        "http_status": fetched.status,
    }


def _remembered(known: UrlFetch, *, source: str) -> _Gotten:
    arrival = Arrival.of_blob(known.blob, filename=known.filename)
    details = {"file_size": arrival.size, "mime_type": arrival.mime_type, "from_cache": source}
    return _Gotten(arrival, known.etag, known.last_modified, True, details)


def _checked(context: StepContext, feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """A cancelled job stops at the next piece."""

    def sink(piece: bytes) -> None:
        context.check()
        feed(piece)

    return sink


def _reporter(context: StepContext) -> Callable[[int, int | None], None]:
    last = time.monotonic()

    def report(size: int, declared: int | None) -> None:
        nonlocal last
        if declared and time.monotonic() - last > REPORT_EVERY_S:
            last = time.monotonic()
            context.report(size / declared)

    return report


# ------------------------------------------------------------------- what comes next


@dataclass(frozen=True, slots=True)
class _Plan:
    """The steps that follow, and those that were wished for but do not fit, each with its reason."""

    steps: tuple[str, ...]
    left_out: dict[str, str]


def _plan(context: StepContext, kind: str) -> _Plan:
    """What was wished for while the kind was not known. A wish that does not fit never costs the bytes."""
    wished = context.params.get("steps")
    params = {name: value for name, value in context.params.items() if name != "steps"}
    names = list(pipelines.DEFAULTS[kind] if wished is None else wished)
    left_out = {}
    for name in names:
        reason = _unfit(name, kind, params)
        if reason:
            left_out[name] = reason
    fitting = [name for name in names if name not in left_out]
    steps = pipelines.plan(kind=kind, steps=fitting, has_bytes=True) if fitting else []
    return _Plan(tuple(steps), left_out if wished is not None else {})


def _unfit(name: str, kind: str, params: dict[str, Any]) -> str:
    step = base.known().get(name)
    if step is None:
        return f"There is no step named {name}."
    if kind not in step.kinds:
        return f"The step {name} does not fit media of kind {kind}."
    return " ".join(step.validate(params).values())


# ------------------------------------------------------------------- inside the engine's transaction


def _save(context: StepContext, asset: MediaAsset, gotten: _Gotten, planned: _Plan) -> None:
    try:
        filled = intake.fill(asset=asset, arrival=gotten.arrival, **gotten.details)
    except MediaHubError as error:
        raise _as_step_error(error) from error
    assert filled.blob is not None
    url_cache.remember(
        space=asset.space,
        owner=asset.owner,
        url=asset.source_url,
        blob=filled.blob,
        filename=gotten.arrival.filename,
        etag=gotten.etag,
        last_modified=gotten.last_modified,
    )
    if filled.blob.spool_host:
        # The steps to come read the bytes where they lie.
        Job.objects.filter(pk=context.job.pk).update(host=filled.blob.spool_host)
    if filled.pk != asset.pk:
        # The job goes on with the asset that has the bytes, and gives its status back if cancelled.
        Job.objects.filter(asset=asset).update(asset=filled, status_before=filled.status)
    _save_left_out(context, planned)


def _save_left_out(context: StepContext, planned: _Plan) -> None:
    JobStep.objects.bulk_create(
        JobStep(
            job=context.job,
            name=name,
            position=pipelines.position(name),
            state=StepState.SKIPPED,
            reason=reason[:300],
        )
        for name, reason in planned.left_out.items()
    )

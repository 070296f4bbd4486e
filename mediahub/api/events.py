"""Server-Sent Events: a job's progress as it happens.

Each open stream holds one thread of the web server, which sleeps. So streams are limited in each process,
below the number of its threads: watchers can never take the threads that answer requests.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connections
from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from media_assets import access
from media_assets.api.asking import asker_of
from media_assets.errors import NotFound, ServiceUnavailable
from mediahub import stopping
from processing import events
from processing.events import News
from processing.models import Job

HEARTBEAT_S: Final = 15.0  # proxies cut what is silent for a minute
LONGEST_S: Final = 900.0  # then the browser connects anew, and is asked again who it is
RETRY_MS: Final = 3000


class _Open:
    """How many streams this process holds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def enter(self) -> None:
        with self._lock:
            if self.count >= settings.MAX_EVENT_STREAMS:
                raise ServiceUnavailable("Too many people are watching just now.", retry_after=10)
            self.count += 1

    def leave(self) -> None:
        with self._lock:
            self.count -= 1


streams = _Open()


@stopping.on_stop
def _let_watchers_go() -> None:
    """They connect anew, to the process that comes next."""
    events.hub.close()


class Negotiation(BaseContentNegotiation):
    """An EventSource asks for text/event-stream; errors are JSON all the same."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), "application/json"


class JobEventsView(APIView):
    content_negotiation_class = Negotiation

    @extend_schema(
        operation_id="jobs_events",
        parameters=[OpenApiParameter("Last-Event-ID", str, OpenApiParameter.HEADER)],
        responses={(200, "text/event-stream"): OpenApiTypes.STR},
    )
    def get(self, request: Request, pk: UUID) -> StreamingHttpResponse:
        """Events `progress`, `step` and `done` until the job has ended."""
        jobs = access.within(Job.objects.all(), asker_of(request))
        if not jobs.filter(pk=pk, asset__deleted_at__isnull=True).exists():
            raise NotFound
        seen = request.headers.get("Last-Event-ID", "")
        streams.enter()
        response = StreamingHttpResponse(_Stream(pk, seen), content_type="text/event-stream")
        response["Cache-Control"] = "no-store"
        response["X-Accel-Buffering"] = "no"
        return response


class _Stream:
    """The body. Its place is given back when the server closes it, whether it was ever read or not."""

    def __init__(self, job_id: UUID, seen: str) -> None:
        self._parts = _events(job_id, seen)
        self._left = False

    def __iter__(self) -> Iterator[str]:
        return self._parts

    def close(self) -> None:
        self._parts.close()  # type: ignore[attr-defined]
        if not self._left:
            self._left = True
            streams.leave()


def _events(job_id: UUID, seen: str) -> Iterator[str]:
    ends = time.monotonic() + LONGEST_S
    told: dict[str, str] = {}
    with events.hub.watch([job_id]) as watcher:
        yield f"retry: {RETRY_MS}\n\n"
        now = events.read([job_id])
        # A stream may last for minutes: it must not hold a connection of the pool.
        connections.close_all()
        mark = ""
        for news in now:
            mark = news.mark
            yield from _lines(news, told, already=mark == seen)
            if news.ended:
                return
        while time.monotonic() < ends and not watcher.over:
            found = watcher.wait(HEARTBEAT_S)
            if found is None:
                yield ": still here\n\n"
                continue
            if found.mark == mark:
                continue  # the hub's first look saw what this stream has told already
            mark = found.mark
            yield from _lines(found, told)
            if found.ended:
                return


def _lines(news: News, told: dict[str, str], *, already: bool = False) -> Iterator[str]:
    """The events for what changed since the last news of this stream."""
    for step in news.steps:
        if told.get(step["name"]) != step["status"]:
            told[step["name"]] = step["status"]
            if not already:
                yield _event("step", news.mark, step)
    state = {
        "status": news.status,
        "progress": news.progress,
        "waiting_for": news.waiting_for or None,
    }
    if not already:
        yield _event("progress", news.mark, state)
    if news.ended:
        yield _event("done", news.mark, {"id": str(news.job_id), **state})


def _event(name: str, mark: str, data: dict[str, Any]) -> str:
    return f"event: {name}\nid: {mark}\ndata: {json.dumps(data)}\n\n"

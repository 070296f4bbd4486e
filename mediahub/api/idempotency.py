"""`Idempotency-Key` on a POST: a repeat gets the first answer, and nothing is done twice.

The first request claims a row, unique by user, API key, method, path and the client's key; a second one
that comes meanwhile waits briefly for its answer. Bodies are told apart by a digest taken while the view
reads them, whatever their size, so that no upload is kept or read twice.

Kept for a day are answers below 400. A refusal did nothing: the next try may run, with another body too.
An answer that tells a secret sets `answer_to_keep`, which repeats get instead.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException, Throttled
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from media_assets.errors import Conflict, Invalid, MediaHubError
from media_assets.ids import uuid7
from mediahub.api.authentication import key_of
from mediahub.api.errors import error_response, is_api_path, problem_of
from mediahub.api.throttles import ApiThrottle
from mediahub.models import IdempotencyKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

KEEP: Final = timedelta(hours=24)
# A claim this old belongs to a process that died: one that reads a long upload renews its own.
CLAIM_S: Final = 120
_RENEW_S: Final = 30
WAIT_S = 3.0  # for the answer to a request that is running
_POLL_S: Final = 0.05
_CHUNK: Final = 1 << 16
_MOST_UNREAD: Final = 1 << 20  # bytes a view may leave unread of a body whose answer is kept
_KEY: Final = re.compile(r"[\x21-\x7e]{1,200}")
_BOUNDARY: Final = re.compile(r'boundary="?([^";,\s]{1,200})"?', re.IGNORECASE)
_KEPT_HEADERS: Final = (
    "Content-Type",
    "Location",
    "Tus-Resumable",
    "Upload-Expires",
    "Upload-Offset",
)


class DigestedStream:
    """A request's body, digested as it is read, without the boundary of a multipart body.

    Clients make the boundary anew for each try; everything else of a repeat is the same.
    """

    def __init__(self, stream: Any, boundary: bytes = b"") -> None:
        self._stream = stream
        self._boundary = boundary
        self._held = b""  # may be the beginning of a boundary
        self._digest = hashlib.sha256()
        self.length = 0
        # Called now and then while the body is read.
        self.still_reading: Callable[[], None] = lambda: None
        self._told = time.monotonic()

    def read(self, *size: int) -> bytes:
        return self._taken(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._taken(self._stream.readline(*size))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        self._stream.close()

    def _taken(self, data: bytes) -> bytes:
        if time.monotonic() - self._told > _RENEW_S:
            self._told = time.monotonic()
            self.still_reading()
        if not self._boundary:
            self._feed(data)
            return data
        *whole, rest = (self._held + data).split(self._boundary)
        for part in whole:
            self._feed(part)
        split = max(0, len(rest) - len(self._boundary) + 1)
        self._feed(rest[:split])
        self._held = rest[split:]
        return data

    def _feed(self, data: bytes) -> None:
        self._digest.update(data)
        self.length += len(data)

    def finish(self) -> str:
        """The digest of what was read. Only once, at the end."""
        self._feed(self._held)
        self._held = b""
        return self._digest.hexdigest()


class StillRunning(Conflict):
    """The first request with this Idempotency-Key is still running."""

    retry_after = 1


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer for a key, held by one request."""

    row_id: UUID
    token: UUID


def claim(*, user: User, scope: str) -> Claim | IdempotencyKey:
    """Claim a key, or get the row that holds its first answer. Conflict if that takes too long."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found = _take(user=user, scope=scope)
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise StillRunning
        time.sleep(_POLL_S)


def _take(*, user: User, scope: str) -> Claim | IdempotencyKey | None:
    """One try: None while another request holds the key."""
    token, now = uuid7(), timezone.now()
    found = IdempotencyKey.objects.filter(scope=scope).first()
    if found is not None and found.expires_at <= now:
        IdempotencyKey.objects.filter(pk=found.pk, expires_at__lte=now).delete()
        found = None
    if found is None:
        with contextlib.suppress(IntegrityError), transaction.atomic():  # another was quicker
            row = IdempotencyKey.objects.create(
                scope=scope, user=user, claim=token, claimed_at=now, expires_at=now + KEEP
            )
            return Claim(row.pk, token)
        return None
    if found.status is not None:
        return found
    abandoned = IdempotencyKey.objects.filter(
        pk=found.pk, claim=found.claim, claimed_at__lte=now - timedelta(seconds=CLAIM_S)
    )
    return Claim(found.pk, token) if abandoned.update(claim=token, claimed_at=now) else None


def keep(held: Claim, *, response: HttpResponse, fingerprint: str, length: int) -> None:
    """Keep an answer for repeats, unless the claim went to another."""
    told = getattr(response, "answer_to_keep", None)
    content = response.content if told is None else json.dumps(told, cls=JSONEncoder).encode()
    IdempotencyKey.objects.filter(pk=held.row_id, claim=held.token).update(
        status=response.status_code,
        headers={name: response[name] for name in _KEPT_HEADERS if name in response},
        content=content,
        fingerprint=fingerprint,
        length=length,
    )


def release(held: Claim) -> None:
    """Let the next try run."""
    IdempotencyKey.objects.filter(pk=held.row_id, claim=held.token).delete()


def renew(held: Claim) -> None:
    """Say that the claim's request is still being read."""
    row = IdempotencyKey.objects.filter(pk=held.row_id, claim=held.token)
    with contextlib.suppress(DatabaseError, InterfaceError):
        row.update(claimed_at=timezone.now())


def purge() -> int:
    """Delete the answers kept for longer than a day; how many they were."""
    old = IdempotencyKey.objects.filter(expires_at__lte=timezone.now())
    return old.delete()[1].get(IdempotencyKey._meta.label, 0)


class IdempotencyMiddleware:
    """Stands inside of authentication and of the error envelope, around the view."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        held: Claim | None = getattr(request, "idempotency_claim", None)
        if held is not None:
            try:
                _settle(request, held, response)
            except (DatabaseError, InterfaceError):
                # The answer is true and must go out; a repeat waits until the claim is old.
                logger.exception("an answer could not be kept for repeats")
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        key = request.headers.get("Idempotency-Key")
        if key is None or request.method != "POST" or not is_api_path(request.path_info):
            return None
        probe = _probe(request, view)
        if probe is None:
            return None  # the view refuses, or answers everybody the same
        try:
            if not _KEY.fullmatch(key):
                raise Invalid("Idempotency-Key: 1 to 200 visible ASCII characters are needed.")
            found = claim(user=cast("User", probe.user), scope=_scope(probe, key))
            stream = _digest_body(request)
            if isinstance(found, IdempotencyKey):
                _refuse_haste(probe)
                return _repeat(request, found, stream)
        except (MediaHubError, Throttled, UnreadablePostError) as error:
            return error_response(request, problem_of(error))
        stream.still_reading = partial(renew, found)
        request.idempotency_claim = found  # type: ignore[attr-defined]
        return None


def _probe(request: HttpRequest, view: Any) -> Request | None:
    """A request of who asks, found as the view itself will find them; None if it is nobody.

    A copy: what authentication writes onto a request stays off the real one until its view runs.
    """
    view_class = getattr(view, "cls", None)
    if view_class is None:
        return None
    authenticators = view_class(**view.initkwargs).get_authenticators()
    probe = Request(copy.copy(request), authenticators=authenticators)
    try:
        return probe if probe.user.is_authenticated else None
    except APIException:
        return None


def _scope(probe: Request, key: str) -> str:
    api_key = key_of(probe)
    told = [probe.user.pk, str(api_key.pk) if api_key else "", probe.method, probe.path, key]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _refuse_haste(probe: Request) -> None:
    """A repeat is a request like any other, though its view does not run to say so."""
    throttle = ApiThrottle()
    if not throttle.allow_request(probe, None):
        raise Throttled(throttle.wait())


def _digest_body(request: HttpRequest) -> DigestedStream:
    """From here on, whoever reads the body feeds its digest."""
    found = _BOUNDARY.search(request.META.get("CONTENT_TYPE", ""))
    boundary = found[1].encode("latin-1") if found else b""
    # Django has no public way to stand between a request and its body.
    stream = DigestedStream(request._stream, boundary)  # noqa: SLF001
    request._stream = stream  # type: ignore[assignment]  # noqa: SLF001
    request.idempotency_stream = stream  # type: ignore[attr-defined]
    return stream


def _fingerprint(request: HttpRequest, stream: DigestedStream) -> str:
    told = [request.content_type, request.META.get("QUERY_STRING", ""), stream.finish()]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _repeat(
    request: HttpRequest, first: IdempotencyKey, stream: DigestedStream
) -> HttpResponseBase:
    """The first answer again, if this is the first request again."""
    while request.read(_CHUNK) and stream.length <= first.length:
        pass
    if _fingerprint(request, stream) != first.fingerprint:
        raise Conflict("This Idempotency-Key came with another request before.")
    response = HttpResponse(bytes(first.content), status=first.status, headers=first.headers)
    response["Idempotency-Replayed"] = "true"
    return response


def _settle(request: HttpRequest, held: Claim, response: HttpResponseBase) -> None:
    """After the view: keep its answer, or let the next try run."""
    stream: DigestedStream = request.idempotency_stream  # type: ignore[attr-defined]
    if response.status_code >= 400 or response.streaming or not _read_to_end(stream):
        release(held)
        return
    keep(
        held,
        response=cast("HttpResponse", response),
        fingerprint=_fingerprint(request, stream),
        length=stream.length,
    )


def _read_to_end(stream: DigestedStream) -> bool:
    """Read what the view left of the body. False if that is more than anybody sends by mistake."""
    left = 0
    while chunk := stream.read(_CHUNK):
        left += len(chunk)
        if left > _MOST_UNREAD:
            return False
    return True

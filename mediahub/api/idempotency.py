"""`Idempotency-Key` on a POST: a repeat gets the first answer, and nothing is done twice.

The first request claims a row, unique by user, API key, method, path and the client's key; a second one
that comes meanwhile waits briefly for its answer. Bodies are told apart by a digest taken while the view
reads them, whatever their size, so that no upload is kept or read twice.

Kept for a day are answers below 400. A refusal did nothing: the next try may run, with another body too.
An answer that tells a secret sets `answer_to_keep`, which repeats get instead.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from uuid import UUID

from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils import timezone
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.utils.encoders import JSONEncoder

from media_assets.errors import Conflict, Invalid, MediaHubError
from media_assets.ids import uuid7
from mediahub.api.authentication import key_of
from mediahub.api.errors import error_response, is_api_path, problem_of
from mediahub.models import IdempotencyKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

KEEP: Final = timedelta(hours=24)
# A claim this old belongs to a process that died: no request of ours takes as long.
CLAIM_S: Final = 120
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

    def read(self, *size: int) -> bytes:
        return self._taken(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        return self._taken(self._stream.readline(*size))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def close(self) -> None:
        self._stream.close()

    def _taken(self, data: bytes) -> bytes:
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


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer for a key, held by one request."""

    row_id: UUID
    token: UUID


def claim(*, user: User, scope: str) -> Claim | IdempotencyKey:
    """Claim a key, or get the row that holds its first answer. Conflict if that takes too long."""
    deadline = time.monotonic() + WAIT_S
    while True:
        token = uuid7()
        now = timezone.now()
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(
                    scope=scope, user=user, claim=token, claimed_at=now, expires_at=now + KEEP
                )
            return Claim(row.pk, token)
        except IntegrityError:
            found = IdempotencyKey.objects.filter(scope=scope).first()
        if found is None or found.expires_at <= now:
            IdempotencyKey.objects.filter(scope=scope, expires_at__lte=now).delete()
            continue
        if found.status is not None:
            return found
        abandoned = IdempotencyKey.objects.filter(
            pk=found.pk, claim=found.claim, claimed_at__lte=now - timedelta(seconds=CLAIM_S)
        )
        if abandoned.update(claim=token, claimed_at=now):
            return Claim(found.pk, token)
        if time.monotonic() >= deadline:
            raise Conflict("The first request with this Idempotency-Key is still running.")
        time.sleep(_POLL_S)


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
        who = _who_asks(request, view)
        if who is None:
            return None  # the view refuses, or answers everybody the same
        user, key_id = who
        try:
            if not _KEY.fullmatch(key):
                raise Invalid("Idempotency-Key: 1 to 200 visible ASCII characters are needed.")
            found = claim(user=user, scope=_scope(user.pk, key_id, request, key))
            stream = _digest_body(request)
            if isinstance(found, IdempotencyKey):
                return _repeat(request, found, stream)
        except (MediaHubError, UnreadablePostError) as error:
            response = error_response(request, problem_of(error))
            if isinstance(error, Conflict) and "still running" in error.message:
                response["Retry-After"] = "1"
            return response
        request.idempotency_claim = found  # type: ignore[attr-defined]
        return None


def _who_asks(request: HttpRequest, view: Any) -> tuple[User, str] | None:
    """The user behind a request, and their API key's id, found as the view itself will.

    Asked of a copy: what authentication writes onto a request stays off the real one until its view runs.
    """
    view_class = getattr(view, "cls", None)
    if view_class is None:
        return None
    authenticators = view_class(**view.initkwargs).get_authenticators()
    probe = Request(copy.copy(request), authenticators=authenticators)
    try:
        user = probe.user
    except APIException:
        return None
    if not user.is_authenticated:
        return None
    key = key_of(probe)
    return user, str(key.pk) if key else ""


def _scope(user_id: Any, key_id: str, request: HttpRequest, key: str) -> str:
    told = json.dumps([user_id, key_id, request.method, request.path, key])
    return hashlib.sha256(told.encode()).hexdigest()


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

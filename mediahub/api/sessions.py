"""Client sessions: who comes, from where, with what; one row each, and how often.

A request costs no query here in most cases: counts gather in this process and are written at most once a
minute per client, as `count = count + n`, so that processes do not overwrite each other. What is still
gathered when the process ends is written then.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Final, cast

from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import DatabaseError, InterfaceError, models
from django.db.models.functions import Greatest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from media_assets.models import ClientSession
from mediahub.models import ApiKey

if TYPE_CHECKING:
    from django.contrib.auth.models import User

logger = logging.getLogger(__name__)

TOUCH_EVERY_S: Final = 60.0
_MOST_GATHERED = 10_000  # clients this process remembers; past it, all are written and let go
_USER_AGENT_LENGTH: Final = 300


@dataclass(frozen=True, slots=True)
class Client:
    """What tells one client from another."""

    user_id: int
    key_label: str
    ip: str | None
    user_agent: str

    @property
    def fingerprint(self) -> str:
        told = json.dumps([self.user_id, self.key_label, self.ip, self.user_agent])
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(slots=True)
class _Gathered:
    """Requests of one client that are not in the database yet."""

    written: float  # when they last were, by the gatherer's clock
    count: int = 0


@dataclass(slots=True)
class Gatherer:
    """The counts of this process. `clock` is in seconds and never goes back."""

    clock: Callable[[], float] = time.monotonic
    _clients: dict[Client, _Gathered] = field(default_factory=dict)
    _swept: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, client: Client) -> None:
        """One more request of this client; written now if it is new or its minute has passed."""
        now = self.clock()
        with self._lock:
            known = self._clients.setdefault(client, _Gathered(now - TOUCH_EVERY_S))
            known.count += 1
            due = self._take(client, known, now)
            if now - self._swept >= TOUCH_EVERY_S or len(self._clients) > _MOST_GATHERED:
                self._swept = now
                due += self._sweep(now)
        _write_all(due)

    def flush(self) -> None:
        """Write everything that is gathered."""
        with self._lock:
            due = [(client, each.count) for client, each in self._clients.items() if each.count]
            self._clients.clear()
        _write_all(due)

    def forget(self) -> None:
        """Drop everything that is gathered, unwritten."""
        with self._lock:
            self._clients.clear()

    def _take(self, client: Client, known: _Gathered, now: float) -> list[tuple[Client, int]]:
        if now - known.written < TOUCH_EVERY_S:
            return []
        count, known.count, known.written = known.count, 0, now
        return [(client, count)]

    def _sweep(self, now: float) -> list[tuple[Client, int]]:
        """Who made requests and then stayed away for a minute; they are let go."""
        full = len(self._clients) > _MOST_GATHERED
        quiet = [
            client
            for client, known in self._clients.items()
            if full or now - known.written >= TOUCH_EVERY_S
        ]
        counts = [(client, self._clients.pop(client).count) for client in quiet]
        return [(client, count) for client, count in counts if count]


def _write_all(due: list[tuple[Client, int]]) -> None:
    for client, count in due:
        try:
            write(client=client, count=count)
        except (DatabaseError, InterfaceError):
            # The visit itself matters more than that it is counted.
            logger.warning("a client session could not be written", exc_info=True)


gatherer = Gatherer()


@atexit.register
def _flush_at_exit() -> None:
    with contextlib.suppress(Exception):  # nobody is left to be told, and nothing else may fail
        gatherer.flush()


def write(*, client: Client, count: int) -> ClientSession | None:
    """Make or touch the row of a client, adding `count` requests. None if its user is gone."""
    now = timezone.now()
    rows = ClientSession.objects.filter(fingerprint=client.fingerprint)
    if count:
        rows.update(last_seen=Greatest(models.F("last_seen"), now), count=models.F("count") + count)
    session = rows.first()
    if session is not None or not get_user_model().objects.filter(pk=client.user_id).exists():
        return session
    session, made = ClientSession.objects.get_or_create(
        fingerprint=client.fingerprint,
        defaults={
            "user_id": client.user_id,
            "key_label": client.key_label,
            "ip": client.ip,
            "user_agent": client.user_agent,
            "first_seen": now,
            "last_seen": now,
            "count": count,
        },
    )
    if not made and count:  # another process made it in between
        rows.update(count=models.F("count") + count)
    return session


def purge(*, older_than: timedelta | None = None) -> int:
    """Delete the sessions not seen for ACCESS_LOG_DAYS; how many they were."""
    age = timedelta(days=settings.ACCESS_LOG_DAYS) if older_than is None else older_than
    old = ClientSession.objects.filter(last_seen__lt=timezone.now() - age)
    return old.delete()[1].get(ClientSession._meta.label, 0)


def session_of(request: HttpRequest) -> ClientSession:
    """The row of the client behind a signed-in request, fetched or made when it is first used."""
    kept = getattr(request, "client_session", None)
    if kept is None:
        kept = SimpleLazyObject(lambda: _session_now(request))
        request.client_session = kept  # type: ignore[attr-defined]
    return cast("ClientSession", kept)


def _session_now(request: HttpRequest) -> ClientSession:
    client = _client_of(request)
    session = None if client is None else write(client=client, count=0)
    if session is None:
        raise LookupError("Nobody is signed in.")
    return session


def _client_of(request: HttpRequest) -> Client | None:
    """Who came, if anybody signed in and somebody asked: nothing is looked up for it."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        user = getattr(request, "_cached_user", None)
    if user is None or not user.is_authenticated:
        return None
    auth = getattr(request, "auth", None)
    agent = request.headers.get("User-Agent", "")
    return Client(
        user_id=cast("User", user).pk,
        key_label=auth.label if isinstance(auth, ApiKey) else "",
        ip=getattr(request, "client_ip", None) or None,
        user_agent="".join(c if c.isprintable() else " " for c in agent)[:_USER_AGENT_LENGTH],
    )


class ClientSessionMiddleware:
    """Counts each signed-in request and gives it `request.client_session`.

    Stands inside of authentication. With tokens and keys the user is known only after the view ran, so
    the counting is done on the way out.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        session_of(request)
        response = self.get_response(request)
        client = _client_of(request)
        if client is not None:
            gatherer.note(client)
        return response

"""Sends requests out of the house: opens guarded connections, speaks HTTP, puts failures in our words.

httpcore is used directly: it takes a network backend, and has no proxies, netrc, cookies, redirects or
decoding that would have to be switched off. Who may be reached is `netguard`'s business; fetching files
is `downloads`'.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from typing import Any, ClassVar

import certifi
import httpcore
from django.conf import settings

from media_assets.errors import MediaHubError
from media_assets.netguard import (
    AllowList,
    Deadline,
    GuardedBackend,
    NameNotFound,
    Resolver,
    Target,
    read_url,
    system_resolver,
    take_apart,
)

USER_AGENT = "MediaHub/1.0"
MAX_HEADERS = 200
MAX_HEADER_BYTES = 65536
MAX_JSON_BYTES = 1 << 20
MAX_RETRY_AFTER_S = 86400.0
# Client errors that may pass by themselves: request timeout, too early, too many requests.
PASSING = frozenset({408, 425, 429})


class DownloadFailed(MediaHubError):
    """The server did not give the file."""

    code: ClassVar[str] = "DOWNLOAD_FAILED"

    def __init__(
        self,
        message: str = "",
        *,
        permanent: bool,
        retry_after: float | None = None,
        answer: Any = None,
        **details: Any,
    ) -> None:
        super().__init__(message, **details)
        self.permanent = permanent
        self.retry_after = retry_after  # seconds the server asked to wait
        self.answer = answer  # JSON that came with the refusal; not for people's eyes


@cache
def default_tls() -> ssl.SSLContext:
    """The system's certificate authorities (or SSL_CERT_FILE's) and certifi's: either may be missing some."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


@dataclass(frozen=True, slots=True)
class Route:
    """Whom an exchange may reach, how long it may take, and by which means."""

    allow: AllowList
    timeout_s: float  # to connect, for the headers, and without progress
    total_s: float
    resolver: Resolver = system_resolver
    tls: ssl.SSLContext | None = None

    @classmethod
    def for_downloads(cls) -> Route:
        return cls(
            AllowList.parse(settings.DOWNLOAD_ALLOW_HOSTS),
            settings.DOWNLOAD_TIMEOUT_S,
            settings.DOWNLOAD_TOTAL_S,
        )

    @classmethod
    def for_webhooks(cls) -> Route:
        """A receiver is slow after one DOWNLOAD_TIMEOUT_S: nobody waits ten minutes for a notice."""
        timeout = settings.DOWNLOAD_TIMEOUT_S
        return cls(AllowList.parse(settings.WEBHOOK_ALLOW_HOSTS), timeout, timeout)

    def trusting(self, url: str) -> Route:
        """The same route, which also leads to this URL's host and port: an operator's own address."""
        target = take_apart(url)
        pairs = self.allow.pairs | {(target.host, target.port)}
        return replace(self, allow=AllowList(pairs, self.allow.networks))


@dataclass(frozen=True, slots=True)
class Head:
    """Status and header fields of an answer; of a repeated field the first."""

    status: int
    fields: Mapping[str, str]

    @classmethod
    def of(cls, response: httpcore.Response) -> Head:
        size = sum(len(name) + len(value) for name, value in response.headers)
        if len(response.headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            raise httpcore.RemoteProtocolError("too many header fields")
        fields: dict[str, str] = {}
        for name, value in response.headers:
            fields.setdefault(name.decode("ascii", "replace").lower(), _text(value))
        return cls(response.status, fields)


def _text(value: bytes) -> str:
    """Header bytes are Latin-1 by the book and UTF-8 in fact."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


@contextmanager
def exchange(
    method: str,
    target: Target,
    *,
    route: Route,
    deadline: Deadline,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> Iterator[tuple[Head, Iterator[bytes]]]:
    """Send one request over a connection of its own; gives the answer's head and its body in pieces.

    Raises UnsafeUrl where the guard refuses, and httpcore's exceptions for the rest.
    """
    sent = {
        "Host": target.host_header,
        "User-Agent": USER_AGENT,
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "Connection": "close",
        **(headers or {}),
    }
    waits = dict.fromkeys(("connect", "read", "write", "pool"), route.timeout_s)
    backend = GuardedBackend(route.allow, route.resolver, deadline)
    with (
        httpcore.ConnectionPool(
            ssl_context=route.tls or default_tls(),
            max_connections=1,
            network_backend=backend,
        ) as pool,
        pool.stream(
            method,
            target.for_httpcore(),
            headers=[(name.encode(), value.encode()) for name, value in sent.items()],
            content=content,
            extensions={"timeout": waits, "trace": _pacer(deadline, route.timeout_s)},
        ) as response,
    ):
        deadline.end_phase()
        yield Head.of(response), response.iter_stream()


def _pacer(deadline: Deadline, timeout_s: float) -> Callable[[str, Mapping[str, Any]], None]:
    """Gives connecting, and waiting for headers, one `timeout_s` each, however slowly bytes drip in."""

    def trace(event: str, info: Mapping[str, Any]) -> None:
        if event in {"connection.connect_tcp.started", "http11.receive_response_headers.started"}:
            deadline.start_phase(timeout_s)
        elif event == "http11.send_request_headers.started":
            deadline.end_phase()

    return trace


@contextmanager
def translated() -> Iterator[None]:
    """Put httpcore's exceptions in our words, which name no address and repeat nothing a server said."""
    try:
        yield
    except httpcore.TimeoutException as error:
        raise DownloadFailed(
            "The server did not answer in time.", permanent=False, reason="timeout"
        ) from error
    except NameNotFound as error:
        raise DownloadFailed(
            "There is no server of this name.", permanent=True, reason="name"
        ) from error
    except httpcore.ConnectError as error:
        # httpcore drops the cause on its way out, and keeps it as the first argument.
        if isinstance(next(iter(error.args), None), ssl.SSLCertVerificationError):
            raise DownloadFailed(
                "The server's certificate is not valid for this address.",
                permanent=True,
                reason="tls",
            ) from error
        raise DownloadFailed(
            "The server could not be reached.", permanent=False, reason="connection"
        ) from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise DownloadFailed(
            "The server broke off, or did not speak HTTP.", permanent=False, reason="connection"
        ) from error


def refusal(head: Head, answer: Any = None) -> DownloadFailed:
    return DownloadFailed(
        f"The server answered with status {head.status}.",
        permanent=head.status < 500 and head.status not in PASSING,
        retry_after=retry_after(head),
        answer=answer,
        reason="status",
        status=head.status,
    )


def retry_after(head: Head) -> float | None:
    """Seconds the server asks to wait, at most a day; None where it does not say."""
    text = head.fields.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:10])
    else:
        try:
            date = parsedate_to_datetime(text)
        except (ValueError, TypeError, OverflowError):
            return None
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        seconds = (date - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole small answer: its head, and the beginning of its body."""

    status: int
    fields: Mapping[str, str]
    body: bytes
    retry_after: float | None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    route: Route | None = None,
    max_answer: int = 2048,
) -> Answer:
    """Deliver a notice to an address somebody gave; any status is an answer, no redirect is followed.

    Raises UnsafeUrl, or DownloadFailed where there was no answer.
    """
    route = route or Route.for_webhooks()
    target = read_url(url, route.allow)
    return _ask("POST", target, route, headers=headers, content=body, max_answer=max_answer)


def head(url: str, *, route: Route | None = None) -> Answer:
    """HEAD an operator's own address: trusted, whatever it resolves to; no redirect is followed."""
    route = (route or Route.for_downloads()).trusting(url)
    return _ask("HEAD", take_apart(url), route)


def get_json(url: str, *, route: Route | None = None) -> Any:
    """GET JSON from an operator's own address; DownloadFailed for any status but 2xx."""
    route = (route or Route.for_downloads()).trusting(url)
    return _json_of(_ask("GET", take_apart(url), route, max_answer=MAX_JSON_BYTES + 1))


def post_json(url: str, payload: Any, *, route: Route | None = None) -> Any:
    """POST JSON to an operator's own address and read JSON back; DownloadFailed for any status but 2xx."""
    route = (route or Route.for_downloads()).trusting(url)
    answer = _ask(
        "POST",
        take_apart(url),
        route,
        headers={"Content-Type": "application/json"},
        content=json.dumps(payload).encode(),
        max_answer=MAX_JSON_BYTES + 1,
    )
    return _json_of(answer)


def _ask(
    method: str,
    target: Target,
    route: Route,
    *,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
    max_answer: int = 0,
) -> Answer:
    deadline = Deadline(route.total_s)
    with (
        translated(),
        exchange(
            method, target, route=route, deadline=deadline, headers=headers, content=content
        ) as (head, body),
    ):
        received = bytearray()
        while len(received) < max_answer and (piece := next(body, b"")):
            received += piece
        return Answer(head.status, head.fields, bytes(received[:max_answer]), retry_after(head))


def _json_of(answer: Answer) -> Any:
    try:
        if len(answer.body) > MAX_JSON_BYTES:
            raise ValueError("too long")
        value = json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        if 200 <= answer.status < 300:
            raise DownloadFailed(
                "The server did not answer in JSON.", permanent=False, reason="answer"
            ) from error
        value = None
    if not 200 <= answer.status < 300:
        raise refusal(Head(answer.status, answer.fields), value)
    return value

"""Around every request: its id, its log line, whose address counts, and the headers of its answer."""

from __future__ import annotations

import ipaddress
import logging
import re
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from media_assets import log_context
from media_assets.ids import uuid7
from mediahub import metrics

logger = logging.getLogger(__name__)
access_log = logging.getLogger("mediahub.access")

GetResponse: TypeAlias = Callable[[HttpRequest], HttpResponseBase]
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{7,127}")
_LONGEST_PATH: Final = 500
# Asked every few seconds by machines, or for files that tell nothing.
_QUIET: Final = ("/health", "/metrics", settings.STATIC_URL)
# A proxy's word about the client; from anybody else they are lies.
_PROXY_HEADERS: Final = (
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_FORWARDED",
)
_warned_of: set[str] = set()
_MOST_WARNINGS: Final = 20


class RequestMiddleware:
    """Gives the request its id and its client's address; logs and counts it when it is answered."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        started = time.perf_counter()
        request_id = request_id_of(request)
        request.request_id = request_id  # type: ignore[attr-defined]
        request.client_ip = client_ip(request)  # type: ignore[attr-defined]
        _drop_unproven_headers(request)
        with log_context.bind(request_id=request_id), metrics.RUNNING.track_inprogress():
            response = self.get_response(request)
            response["X-Request-ID"] = request_id
            seconds = time.perf_counter() - started
            metrics.observe(request, response.status_code, seconds)
            _log(request, response.status_code, seconds)
        return response


def request_id_of(request: HttpRequest) -> str:
    """The caller's own X-Request-ID where it is well formed, so that it can follow its calls; else ours."""
    given = request.headers.get("X-Request-ID", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid7().hex


def _log(request: HttpRequest, status: int, seconds: float) -> None:
    path = request.path[:_LONGEST_PATH]
    access_log.log(
        logging.DEBUG if path.startswith(_QUIET) else logging.INFO,
        "%s %s %s",
        request.method,
        path,
        status,
        extra={
            "method": request.method,
            "path": path,
            "status": status,
            "ms": round(seconds * 1000, 1),
            "user": _user_id(request),
            "ip": getattr(request, "client_ip", ""),
        },
    )


def _user_id(request: HttpRequest) -> str | None:
    """Who asked, where that is known already: a log line is worth no query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject):
        loaded = getattr(getattr(request, "session", None), "_session_cache", {})
        return loaded.get(SESSION_KEY)
    return str(user.pk) if user is not None and user.is_authenticated else None


# ------------------------------------------------------------------- whose address counts


def client_ip(request: HttpRequest) -> str:
    """The client's address. X-Forwarded-For is read from its end, and only as far as proxies in
    TRUSTED_PROXIES wrote it: everything before may be the client's invention."""
    peer = request.META.get("REMOTE_ADDR", "")
    address = _parse(peer)
    if address is None or not _is_proxy(address):
        return str(address) if address else peer
    for text in reversed(request.headers.get("X-Forwarded-For", "").split(",")):
        hop = _parse(text)
        if hop is None:
            break
        address = hop
        if not _is_proxy(hop):
            break
    return str(address)


def _parse(text: str) -> Address | None:
    """An address as proxies write them: with a port, in brackets, or an IPv4 one in IPv6 dress."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_proxy(address: Address) -> bool:
    return any(address in network for network in settings.TRUSTED_PROXIES)


def _drop_unproven_headers(request: HttpRequest) -> None:
    """Take a proxy's headers from whoever is none, before anything believes them."""
    sent = [name for name in _PROXY_HEADERS if name in request.META]
    peer = _parse(request.META.get("REMOTE_ADDR", ""))
    if not sent or (peer is not None and _is_proxy(peer)):
        return
    for name in sent:
        del request.META[name]
    request.__dict__.pop("headers", None)  # a cached view of META
    if str(peer) not in _warned_of and len(_warned_of) < _MOST_WARNINGS:
        _warned_of.add(str(peer))
        logger.warning(
            "Headers of a proxy came from %s and are ignored. If that is your proxy, name it in"
            " TRUSTED_PROXIES; else links, redirects and rate limits take it for the client.",
            peer,
        )


# ------------------------------------------------------------------- headers of every answer


class SecurityHeadersMiddleware:
    """Adds what browsers need to know. A view that sets one of these headers itself keeps its own."""

    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        for name, value in _headers(request.path_info).items():
            response.headers.setdefault(name, value)
        return response


def _headers(path: str) -> dict[str, str]:
    admin = path.startswith("/admin/")
    headers = {
        "Content-Security-Policy": content_security_policy(
            **(_ADMIN_POLICY if admin else {}),
        ),
        "Permissions-Policy": _PERMISSIONS,
        "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
        "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
    if settings.HTTPS:
        # Also where a proxy in front is not named, and Django takes the request for plain http.
        headers["Strict-Transport-Security"] = f"max-age={settings.SECURE_HSTS_SECONDS}"
    return headers


# Sound is recorded and pictures are taken on the upload page; nothing else is needed.
_PERMISSIONS: Final = ", ".join(
    [
        *(f"{name}=(self)" for name in ("camera", "microphone", "fullscreen", "clipboard-write")),
        *(
            f"{name}=()"
            for name in (
                "accelerometer",
                "display-capture",
                "geolocation",
                "gyroscope",
                "magnetometer",
                "midi",
                "payment",
                "usb",
            )
        ),
    ]
)
_POLICY: Final = {
    "default-src": ["'self'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:", "blob:"],
    "media-src": ["'self'", "blob:"],
    "connect-src": ["'self'"],
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
    "form-action": ["'self'"],
}
# Browsers fetch from the bucket, and send to it, straight.
_BUCKET_MAY: Final = ("img-src", "media-src", "connect-src")
# The admin's theme evaluates expressions in attributes and sets styles inline; see docs/decisions.
_ADMIN_POLICY: Final = {"script_src": "'unsafe-eval'", "style_src": "'unsafe-inline'"}


def content_security_policy(**more: str) -> str:
    """The policy of every page, with `more` sources by directive: `style_src="'unsafe-inline'"`."""
    added = {name.replace("_", "-"): sources.split() for name, sources in more.items()}
    directives = []
    for name in (*_POLICY, *(name for name in added if name not in _POLICY)):
        sources = _POLICY.get(name, [])
        sources = [*sources, *(settings.BUCKET_ORIGINS if name in _BUCKET_MAY else [])]
        directives.append(f"{name} {' '.join([*sources, *added.get(name, [])])}")
    return "; ".join(directives)

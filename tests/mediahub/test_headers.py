"""Headers: request ids, the client's address, what browsers are told, and what proxies may say."""

from __future__ import annotations

import logging
import re
from ipaddress import ip_network
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory

from mediahub import middleware
from mediahub.middleware import (
    RequestMiddleware,
    SecurityHeadersMiddleware,
    client_ip,
    content_security_policy,
)

# ------------------------------------------------------------------- request ids


@pytest.mark.parametrize("given", ["a1b2c3d4", "req-2026.11:21_x", "A" * 128])
def test_a_well_formed_request_id_is_kept(client: Client, given: str) -> None:
    assert client.get("/health", headers={"X-Request-ID": given})["X-Request-ID"] == given


@pytest.mark.parametrize(
    "given",
    ["", "short", "-12345678", "a" * 129, "with space", "new\nline12", "<script>1", "näme12345"],
)
def test_any_other_is_replaced(client: Client, given: str) -> None:
    made = client.get("/health", headers={"X-Request-ID": given})["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{32}", made)


def test_each_request_has_its_own_id(client: Client) -> None:
    assert client.get("/health")["X-Request-ID"] != client.get("/health")["X-Request-ID"]


@pytest.mark.django_db
def test_refusals_carry_the_id_too(client: Client) -> None:
    response = client.get("/api/v1/nowhere/", headers={"X-Request-ID": "find-me-again"})
    assert response.status_code == 404
    assert response["X-Request-ID"] == "find-me-again"
    assert response.json()["error"]["request_id"] == "find-me-again"


def test_a_wrong_host_is_refused_with_id_and_headers(client: Client) -> None:
    response = client.get("/library/", headers={"Host": "evil.example.com"})
    assert response.status_code == 400
    assert response["X-Request-ID"]
    assert response["Content-Security-Policy"]


# ------------------------------------------------------------------- whose address counts


def _ip(peer: str, forwarded: str | None = None) -> str:
    meta: dict[str, Any] = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_ip(RequestFactory().get("/", **meta))


@pytest.fixture
def proxies(settings: Any) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


def test_without_proxies_only_the_peer_counts() -> None:
    assert _ip("203.0.113.5", "198.51.100.1") == "203.0.113.5"
    assert _ip("127.0.0.1", "198.51.100.1") == "127.0.0.1"


@pytest.mark.usefixtures("proxies")
@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        (
            "10.0.0.1",
            "6.6.6.6, 198.51.100.1",
            "198.51.100.1",
        ),  # the first is the client's invention
        ("10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2", "198.51.100.1"),  # two proxies in a row
        ("10.0.0.1", "10.9.9.9, 10.0.0.2", "10.9.9.9"),  # somebody inside
        ("10.0.0.1", "198.51.100.1:4711", "198.51.100.1"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, garbage", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", None, "10.0.0.1"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # no proxy of ours
        ("", "198.51.100.1", ""),
    ],
)
def test_the_clients_address_is_what_our_outermost_proxy_saw(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert _ip(peer, forwarded) == client


HEADERS: dict[str, Any] = {
    "HTTP_X_FORWARDED_FOR": "198.51.100.1",
    "HTTP_X_FORWARDED_PROTO": "https",
    "HTTP_X_FORWARDED_HOST": "evil.example.com",
    "HTTP_FORWARDED": "for=198.51.100.1",
}


@pytest.fixture
def _nobody_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(middleware, "_warned_of", set())


@pytest.mark.usefixtures("_nobody_warned", "proxies")
def test_a_strangers_proxy_headers_are_dropped_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen: list[dict[str, Any]] = []

    def view(request: Any) -> HttpResponse:
        seen.append({name: request.META.get(name) for name in HEADERS})
        assert not {"X-Forwarded-For", "Forwarded"} & set(request.headers)
        return HttpResponse()

    handle = RequestMiddleware(view)
    for _ in range(2):
        handle(RequestFactory().get("/", REMOTE_ADDR="203.0.113.5", **HEADERS))
    assert seen == [dict.fromkeys(HEADERS)] * 2
    (told,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "203.0.113.5" in told.getMessage()
    assert "TRUSTED_PROXIES" in told.getMessage()


@pytest.mark.usefixtures("_nobody_warned", "proxies")
def test_our_proxys_headers_stay(caplog: pytest.LogCaptureFixture) -> None:
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", **HEADERS)
    RequestMiddleware(lambda _: HttpResponse())(request)
    assert request.META["HTTP_X_FORWARDED_PROTO"] == "https"
    assert request.client_ip == "198.51.100.1"  # type: ignore[attr-defined]
    assert not [each for each in caplog.records if each.levelno == logging.WARNING]


@pytest.mark.usefixtures("_nobody_warned")
def test_strangers_cannot_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    handle = RequestMiddleware(lambda _: HttpResponse())
    for number in range(100):
        handle(RequestFactory().get("/", REMOTE_ADDR=f"203.0.113.{number}", **HEADERS))
    assert len([each for each in caplog.records if each.levelno == logging.WARNING]) == 20


@pytest.mark.usefixtures("proxies", "_nobody_warned")
def test_a_page_asked_for_by_http_is_redirected_once_a_proxy_is_named(
    client: Client, settings: Any
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    from_proxy: dict[str, Any] = {"REMOTE_ADDR": "10.0.0.1"}
    plain = client.get("/library/", **from_proxy)
    assert plain.status_code == 301
    assert plain["Location"].startswith("https://")
    secure = client.get("/health/x", headers={"X-Forwarded-Proto": "https"}, **from_proxy)
    assert secure.status_code != 301
    forged = client.get(
        "/library/", headers={"X-Forwarded-Proto": "https"}, REMOTE_ADDR="203.0.113.5"
    )
    assert forged.status_code == 301
    assert client.get("/health", **from_proxy).status_code == 200  # machines ask from inside


# ------------------------------------------------------------------- what browsers are told


def _policy(header: str) -> dict[str, list[str]]:
    parts = [directive.split() for directive in header.split(";")]
    return {name: sources for name, *sources in parts}


def test_scripts_and_styles_come_from_ourselves_alone(client: Client) -> None:
    policy = _policy(client.get("/health")["Content-Security-Policy"])
    assert policy == {
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


@pytest.mark.django_db
def test_the_admin_alone_may_evaluate_and_style_inline_and_never_runs_inline_scripts(
    client: Client,
) -> None:
    policy = _policy(client.get("/admin/login/")["Content-Security-Policy"])
    assert policy["script-src"] == ["'self'", "'unsafe-eval'"]
    assert policy["style-src"] == ["'self'", "'unsafe-inline'"]
    for path in ("/administrator/", "/library/", "/"):
        header = client.get(path)["Content-Security-Policy"]
        assert "unsafe" not in header


def test_browsers_may_reach_the_bucket_for_media_and_nothing_else(settings: Any) -> None:
    settings.BUCKET_ORIGINS = ["https://bucket.example.com"]
    policy = _policy(content_security_policy())
    assert {
        name for name, sources in policy.items() if "https://bucket.example.com" in sources
    } == {
        "img-src",
        "media-src",
        "connect-src",
    }


def test_a_page_may_add_to_the_policy_what_it_needs() -> None:
    policy = _policy(content_security_policy(style_src="'unsafe-inline'", worker_src="blob:"))
    assert policy["style-src"] == ["'self'", "'unsafe-inline'"]
    assert policy["worker-src"] == ["blob:"]
    assert policy["script-src"] == ["'self'"]


def test_a_view_that_sets_a_header_itself_keeps_its_own() -> None:
    def view(request: Any) -> HttpResponse:
        return HttpResponse(headers={"Content-Security-Policy": "default-src 'none'; sandbox"})

    response = SecurityHeadersMiddleware(view)(RequestFactory().get("/"))
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert response["X-Content-Type-Options"] == "nosniff"


def test_every_answer_tells_browsers_what_they_may_not_do(client: Client) -> None:
    response = client.get("/health")
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["X-Frame-Options"] == "DENY"
    assert "microphone=(self)" in response["Permissions-Policy"]
    assert "camera=(self)" in response["Permissions-Policy"]
    assert "geolocation=()" in response["Permissions-Policy"]
    assert "Strict-Transport-Security" not in response


def test_an_https_house_asks_browsers_to_stay_on_https(client: Client, settings: Any) -> None:
    settings.HTTPS = True
    settings.SECURE_HSTS_SECONDS = 31_536_000
    assert client.get("/health")["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.django_db
def test_other_origins_are_not_let_in_unless_named(client: Client, settings: Any) -> None:
    asked = {"Origin": "https://app.example.com"}
    assert "Access-Control-Allow-Origin" not in client.get("/api/v1/config/", headers=asked)
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    response = client.get("/api/v1/config/", headers=asked)
    assert response["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert "Access-Control-Allow-Credentials" not in response
    assert "Access-Control-Allow-Origin" not in client.get("/admin/login/", headers=asked)
    for origin in ("null", "https://evil.example.com"):
        response = client.get("/api/v1/config/", headers={"Origin": origin})
        assert "Access-Control-Allow-Origin" not in response


def test_static_files_are_for_our_own_pages(client: Client) -> None:
    response = client.get("/static/mediahub/css/site.css")
    assert response.status_code == 200
    assert response.getvalue()
    assert "Access-Control-Allow-Origin" not in response
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"

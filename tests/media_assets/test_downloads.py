"""Downloads against a server that misbehaves in every way we know: what is fetched, refused, and given up."""

from __future__ import annotations

import base64
import os
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from media_assets import egress, netguard
from media_assets.downloads import (
    Answer,
    DownloadFailed,
    Fetched,
    Route,
    fetch,
    get_json,
    head,
    post,
    post_json,
    read_data_url,
)
from media_assets.errors import FileTooLarge, Invalid, UnsafeUrl
from media_assets.netguard import AllowList
from tests.hostile_server import BODY, Authority, HostileServer

MAX_BYTES = 1_000_000
NAMES = {
    "hostile.test": ["127.0.0.1"],
    "other.test": ["127.0.0.1"],
    "inside.test": ["10.0.0.7"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "private6.test": ["93.184.216.34", "fd00::7"],
}


@pytest.fixture
def server() -> Iterator[HostileServer]:
    with HostileServer() as running:
        yield running


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    """A server of the inside, on a port the guard believes to be a web port."""
    with HostileServer() as running:
        monkeypatch.setattr(netguard, "WEB_PORTS", frozenset({80, 443, running.port}))
        yield running


def route(*servers: HostileServer, timeout_s: float = 2.0, total_s: float = 5.0) -> Route:
    """To these servers, by the names hostile.test and other.test, and to nothing else that is inside."""
    pairs = [f"{name}:{each.port}" for each in servers for name in ("hostile.test", "other.test")]
    return Route(
        AllowList.parse(pairs), timeout_s, total_s, resolver=lambda host, port: NAMES[host]
    )


def download(url: str, way: Route, **options: Any) -> tuple[Fetched, bytes]:
    pieces: list[bytes] = []
    options.setdefault("max_bytes", MAX_BYTES)
    fetched = fetch(url, pieces.append, route=way, **options)
    return fetched, b"".join(pieces)


def failure(url: str, way: Route, **options: Any) -> DownloadFailed:
    with pytest.raises(DownloadFailed) as failed:
        download(url, way, **options)
    assert failed.value.code == "DOWNLOAD_FAILED"
    return failed.value


# ------------------------------------------------------------------- what is fetched


def test_a_file_is_fetched_with_what_the_server_says_of_it(server: HostileServer) -> None:
    progress: list[tuple[int, int | None]] = []
    fetched, got = download(
        server.url("file?size=1"),
        route(server),
        progress=lambda done, total: progress.append((done, total)),
    )
    assert got == BODY
    assert fetched == Fetched(
        status=200,
        final_url=server.url("file?size=1"),
        filename="file",
        content_type="image/png",
        etag='"abc"',
        last_modified="",
        not_modified=False,
        bytes=len(BODY),
    )
    assert progress[-1] == (len(BODY), len(BODY))


def test_the_request_says_who_asks_and_nothing_more(server: HostileServer) -> None:
    download(server.url("file"), route(server))
    lines = server.requests[0].strip().split("\r\n")
    assert lines[0] == "GET /file HTTP/1.1"
    assert sorted(lines[1:]) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        "Connection: close",
        f"Host: hostile.test:{server.port}",
        f"User-Agent: {egress.USER_AGENT}",
    ]


@pytest.mark.parametrize(
    ("behaviour", "filename"),
    [
        ("photo.png", "photo.png"),
        ("traversal_name", "../../etc/passwd"),  # a hint: cleaning is the intake's
        ("bidi_name", "a\u202egnp\r\nX.png"),
        ("both_names", "\xe9.png"),
        ("odd_charset", "odd_charset"),
        ("raw_utf8_name", "\u0444\u043e\u0442\u043e.png"),
    ],
)
def test_the_filename_is_the_servers_hint_or_the_urls_last_part(
    server: HostileServer, behaviour: str, filename: str
) -> None:
    fetched, _ = download(server.url(behaviour), route(server))
    assert fetched.filename == filename


def test_a_filename_of_the_url_is_unescaped_and_bounded(server: HostileServer) -> None:
    assert (
        download(server.url("file/a%20b%2F..%2Fc.png"), route(server))[0].filename == "a b/../c.png"
    )
    assert len(download(server.url("long_name"), route(server))[0].filename) <= 1000
    assert download(server.url("two_names"), route(server))[0].filename in {"a.png", "b.php"}


@pytest.mark.parametrize("behaviour", ["html_as_jpeg", "error_page", "meta_refresh"])
def test_what_a_page_says_is_data_and_never_followed(server: HostileServer, behaviour: str) -> None:
    fetched, got = download(server.url(behaviour), route(server))
    assert got.startswith(b"<")
    assert fetched.final_url == server.url(behaviour)
    assert len(server.requests) == 1


def test_an_empty_file_is_fetched_as_such(server: HostileServer) -> None:
    assert download(server.url("empty"), route(server))[0].bytes == 0


@pytest.mark.parametrize("behaviour", ["length_too_small", "trailing_garbage"])
def test_bytes_past_the_declared_length_are_ignored(server: HostileServer, behaviour: str) -> None:
    _, got = download(server.url(behaviour), route(server))
    assert got == (BODY[:10] if behaviour == "length_too_small" else BODY)


def test_an_unchanged_file_is_not_sent_again(server: HostileServer) -> None:
    first, _ = download(server.url("conditional"), route(server))
    again, got = download(
        server.url("conditional"), route(server), etag=first.etag, last_modified=first.last_modified
    )
    assert (again.not_modified, again.status, again.bytes, got) == (True, 304, 0, b"")
    assert f"If-Modified-Since: {first.last_modified}" in server.requests[1]


def test_a_server_that_recovers_gives_the_file_at_the_next_attempt(server: HostileServer) -> None:
    assert not failure(server.url("broken_once"), route(server)).permanent
    assert download(server.url("broken_once"), route(server))[1] == BODY


# ------------------------------------------------------------------- redirects


def test_a_relative_redirect_is_followed(server: HostileServer) -> None:
    fetched, got = download(server.url("relative"), route(server))
    assert got == BODY
    assert fetched.final_url == server.url("file?from=relative")


def test_five_redirects_are_followed_and_six_are_not(server: HostileServer) -> None:
    assert download(server.url("hops/5"), route(server))[1] == BODY
    for path in ("hops/6", "hops/20", "itself"):
        seen = len(server.requests)
        refused = failure(server.url(path), route(server))
        assert refused.permanent
        assert refused.details["reason"] == "redirects"
        assert len(server.requests) == seen + 6


def test_a_redirect_without_a_place_fails(server: HostileServer) -> None:
    assert failure(server.url("no_location"), route(server)).permanent


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{canary}/file",
        "//127.0.0.1:{canary}/file",
        "http://[::1]:{canary}/",
        "http://2130706433:{canary}/",
        "http://mixed.test:{canary}/file",
        "http://private6.test:{canary}/file",
        "http://inside.test/file",
        "http://169.254.169.254/latest/meta-data/",
        "http://metadata.google.internal/",
        "file:///etc/passwd",
        "ftp://hostile.test/",
        "javascript:alert(1)",
        "http://hostile.test:22/",
        "http://user:secret@hostile.test:{server}/file",
        "http://hostile.test:{server}@127.0.0.1:{canary}/",
        "/\\127.0.0.1:{canary}/",
        "http://hostile.test\t/",
    ],
)
def test_a_redirect_is_judged_like_the_first_address(
    server: HostileServer, canary: HostileServer, location: str
) -> None:
    server.values["location"] = location.replace("{canary}", str(canary.port)).replace(
        "{server}", str(server.port)
    )
    with pytest.raises(UnsafeUrl):
        download(server.url("redirect"), route(server))
    assert canary.connections == 0
    assert len(server.requests) == 1


def test_a_redirect_with_a_broken_line_sends_no_second_header(server: HostileServer) -> None:
    server.values["location"] = f"{server.url('file')}\r\nX-Injected: yes"
    download(server.url("redirect"), route(server))  # the second line was a field of its own
    assert "X-Injected" not in server.requests[1]


def test_nothing_of_one_host_is_told_to_another(server: HostileServer) -> None:
    with HostileServer() as other:
        server.values["location"] = other.url("file", host="other.test")
        download(server.url("redirect?token=secret"), route(server, other), etag='"abc"')
        sent = other.requests[0]
    assert "Host: other.test" in sent
    for word in ("secret", "Cookie", "Authorization", "Referer"):
        assert word not in sent


def test_a_redirect_from_https_to_http_is_refused(server: HostileServer, tmp_path: Path) -> None:
    authority = Authority()
    with HostileServer(tls=authority.server(tmp_path, "hostile.test")) as secure:
        secure.values["location"] = server.url("file")
        way = replace(route(server, secure), tls=authority.client())
        with pytest.raises(UnsafeUrl):
            download(secure.url("redirect"), way)
    assert server.connections == 0


# ------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["mixed.test", "private6.test", "inside.test"])
def test_a_name_that_leads_inside_is_refused(canary: HostileServer, name: str) -> None:
    with pytest.raises(UnsafeUrl):
        download(f"http://{name}:{canary.port}/file", route())
    assert canary.connections == 0


def test_a_rebinding_name_is_resolved_once_for_each_hop(
    server: HostileServer, canary: HostileServer
) -> None:
    """The second hop asks again and is judged again: its answer is the inside, so it is refused."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])
    with HostileServer("127.0.0.2") as outside:
        outside.values["location"] = f"http://rebinding.test:{canary.port}/file"
        way = Route(
            AllowList.parse(["127.0.0.2/32"]), 2.0, 5.0, resolver=lambda host, port: next(answers)
        )
        with pytest.raises(UnsafeUrl):
            download(outside.url("redirect", host="rebinding.test"), way)
        assert len(outside.requests) == 1
    assert canary.connections == 0
    assert next(answers, None) is None


def test_a_name_server_that_hangs_ends_the_download(server: HostileServer) -> None:
    hanging = threading.Event()

    def never(host: str, port: int) -> list[str]:
        hanging.wait(30)
        return ["127.0.0.1"]

    failed = failure(server.url("file"), replace(route(server, timeout_s=0.1), resolver=never))
    hanging.set()
    assert (failed.permanent, failed.details["reason"]) == (False, "timeout")
    assert server.connections == 0


def test_proxies_and_netrc_of_the_environment_are_ignored(
    server: HostileServer, canary: HostileServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{canary.port}")
    netrc = tmp_path / ".netrc"
    netrc.write_text(
        "machine hostile.test login me password secret\ndefault login me password secret\n"
    )
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", os.fspath(netrc))
    monkeypatch.setenv("HOME", os.fspath(tmp_path))
    download(server.url("file"), route(server))
    assert canary.connections == 0
    assert "Authorization" not in server.requests[0]


# ------------------------------------------------------------------- bodies and heads that misbehave


@pytest.mark.parametrize("behaviour", ["length_10_tb", "infinite_body"])
def test_more_than_the_limit_is_refused_as_it_streams(
    server: HostileServer, behaviour: str
) -> None:
    received = 0

    def sink(piece: bytes) -> None:
        nonlocal received
        received += len(piece)

    with pytest.raises(FileTooLarge) as refused:
        fetch(server.url(behaviour), sink, max_bytes=MAX_BYTES, route=route(server))
    assert refused.value.details == {"limit": MAX_BYTES}
    assert received <= MAX_BYTES


def test_a_file_of_just_the_limit_is_taken(server: HostileServer) -> None:
    assert download(server.url("file"), route(server), max_bytes=len(BODY))[1] == BODY
    with pytest.raises(FileTooLarge):
        download(server.url("file"), route(server), max_bytes=len(BODY) - 1)


@pytest.mark.parametrize(
    "behaviour",
    [
        "length_too_large",
        "length_negative",
        "length_twice",
        "reset",
        "transfer_gzip",
        "bad_chunks",
        "huge_chunk",
        "cut_chunks",
        "not_http",
        "nothing",
        "big_header",
        "many_headers",
        "some_headers",
        "endless_headers",
    ],
)
def test_a_server_that_breaks_the_protocol_fails_for_now(
    server: HostileServer, behaviour: str
) -> None:
    failed = failure(server.url(behaviour), route(server))
    assert (failed.permanent, failed.details) == (False, {"reason": "connection"})


@pytest.mark.parametrize("behaviour", ["gzip_bomb", "double_gzip", "brotli"])
def test_a_compressed_answer_is_refused_unread(server: HostileServer, behaviour: str) -> None:
    pieces: list[bytes] = []
    with pytest.raises(DownloadFailed) as failed:
        fetch(server.url(behaviour), pieces.append, max_bytes=MAX_BYTES, route=route(server))
    assert failed.value.permanent
    assert pieces == []


@pytest.mark.parametrize(
    "behaviour", ["silent", "slow_headers", "endless_continue", "stalling_body"]
)
def test_a_server_without_progress_is_left_after_the_timeout(
    server: HostileServer, behaviour: str
) -> None:
    start = time.monotonic()
    failed = failure(server.url(behaviour), route(server, timeout_s=0.3, total_s=30))
    assert time.monotonic() - start < 5
    assert (failed.permanent, failed.details) == (False, {"reason": "timeout"})


def test_a_trickle_ends_with_the_total_deadline(server: HostileServer) -> None:
    start = time.monotonic()
    failed = failure(server.url("slow_body"), route(server, timeout_s=0.4, total_s=0.8))
    assert 0.7 < time.monotonic() - start < 5
    assert failed.details == {"reason": "timeout"}


def test_an_address_where_nobody_listens_fails_for_now() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    way = Route(AllowList.parse([f"127.0.0.1:{port}"]), 1.0, 1.0)
    failed = failure(f"http://127.0.0.1:{port}/", way)
    assert (failed.permanent, failed.details) == (False, {"reason": "connection"})
    assert str(port) not in failed.message


def test_what_the_sink_raises_comes_through(server: HostileServer) -> None:
    def full(piece: bytes) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fetch(server.url("file"), full, max_bytes=MAX_BYTES, route=route(server))


# ------------------------------------------------------------------- statuses


@pytest.mark.parametrize(
    ("behaviour", "status", "permanent", "wait"),
    [
        ("unauthorized", 401, True, None),
        ("not_found", 404, True, None),
        ("gone", 410, True, None),
        ("partial_unasked", 206, True, None),
        ("no_content", 204, True, None),
        ("not_modified_unasked", 304, True, None),
        ("too_early", 425, False, None),
        ("slow_down", 429, False, 86400.0),
        ("slow_down_date", 503, False, 0.0),
        ("slow_down_words", 503, False, None),
        ("broken", 500, False, None),
    ],
)
def test_a_status_says_whether_to_come_back(
    server: HostileServer, behaviour: str, status: int, permanent: bool, wait: float | None
) -> None:
    failed = failure(server.url(behaviour), route(server))
    assert (failed.permanent, failed.retry_after) == (permanent, wait)
    assert failed.details == {"reason": "status", "status": status}
    assert "hunter2" not in str(failed)
    assert "secret" not in str(failed)


# ------------------------------------------------------------------- TLS


def test_a_certificate_is_checked_by_name_at_the_judged_address(tmp_path: Path) -> None:
    authority = Authority()
    with HostileServer(tls=authority.server(tmp_path, "hostile.test")) as secure:
        way = replace(route(secure), tls=authority.client())
        assert download(secure.url("file"), way)[1] == BODY
        wrong = failure(secure.url("file", host="other.test"), way)
        unknown = failure(secure.url("file"), replace(way, tls=None))  # signed by nobody we know
        assert len(secure.requests) == 1
    for failed in (wrong, unknown):
        assert (failed.permanent, failed.details) == (True, {"reason": "tls"})


def test_a_certificate_for_an_address_is_checked_too(tmp_path: Path) -> None:
    authority = Authority()
    with HostileServer(tls=authority.server(tmp_path, "127.0.0.1")) as secure:
        way = Route(AllowList.parse(["127.0.0.0/8"]), 2.0, 5.0, tls=authority.client())
        assert download(secure.url("file", host="127.0.0.1"), way)[1] == BODY


def test_a_server_that_speaks_only_http2_fails(tmp_path: Path) -> None:
    authority = Authority()
    context = authority.server(tmp_path, "hostile.test", alpn=["h2"])
    with HostileServer(tls=context) as secure:
        way = replace(route(secure), tls=authority.client())
        # Without a common protocol OpenSSL goes on in HTTP/1.1, which such a server does not answer.
        assert not failure(secure.url("nothing"), way).permanent


def test_plain_http_where_tls_is_expected_fails_for_now(server: HostileServer) -> None:
    url = server.url("not_http").replace("http:", "https:")
    assert not failure(url, route(server, timeout_s=0.5)).permanent


# ------------------------------------------------------------------- routes from the settings


def test_the_routes_follow_the_settings(settings: Any) -> None:
    settings.DOWNLOAD_ALLOW_HOSTS = ["files.test:8080"]
    settings.WEBHOOK_ALLOW_HOSTS = ["10.1.0.0/16"]
    settings.DOWNLOAD_TIMEOUT_S, settings.DOWNLOAD_TOTAL_S = 7, 70
    downloads, webhooks = Route.for_downloads(), Route.for_webhooks()
    assert (downloads.timeout_s, downloads.total_s, webhooks.total_s) == (7, 70, 7)
    assert downloads.allow.names("files.test", 8080)
    assert not webhooks.allow.names("files.test", 8080)
    assert webhooks.allow.networks


def test_without_a_route_the_settings_hold(server: HostileServer, settings: Any) -> None:
    settings.DOWNLOAD_ALLOW_HOSTS = [f"127.0.0.1:{server.port}"]
    settings.WEBHOOK_ALLOW_HOSTS = []
    url = server.url("file", host="127.0.0.1")
    assert fetch(url, lambda piece: None, max_bytes=MAX_BYTES).bytes == len(BODY)
    with pytest.raises(UnsafeUrl):
        post(url, b"{}", {})  # what downloads may reach, webhooks may not
    assert len(server.requests) == 1


# ------------------------------------------------------------------- notices and an operator's service


def test_a_notice_is_posted_and_any_status_is_an_answer(server: HostileServer) -> None:
    answer = post(server.url("file"), b'{"a": 1}', {"webhook-id": "m1"}, route=route(server))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body) == (200, BODY)
    lines = server.requests[0]
    assert lines.startswith("POST /file HTTP/1.1")
    assert "webhook-id: m1" in lines
    assert "Content-Length: 8" in lines
    busy = post(server.url("slow_down"), b"", {}, route=route(server))
    assert (busy.status, busy.retry_after) == (429, 86400.0)


def test_a_notice_is_guarded_and_not_redirected(
    server: HostileServer, canary: HostileServer
) -> None:
    server.values["location"] = f"http://127.0.0.1:{canary.port}/file"
    assert post(server.url("redirect"), b"", {}, route=route(server)).status == 302
    for url in (
        f"http://127.0.0.1:{canary.port}/",
        f"http://mixed.test:{canary.port}/",
        "file:///x",
    ):
        with pytest.raises(UnsafeUrl):
            post(url, b"", {}, route=route(server))
    assert canary.connections == 0


def test_a_receivers_answer_is_cut_and_its_silence_bounded(server: HostileServer) -> None:
    assert len(post(server.url("infinite_body"), b"", {}, route=route(server)).body) == 2048
    with pytest.raises(DownloadFailed):
        post(server.url("silent"), b"", {}, route=route(server, timeout_s=0.2, total_s=0.2))


def test_a_header_cannot_be_split(server: HostileServer) -> None:
    with pytest.raises(DownloadFailed):
        post(server.url("file"), b"", {"X-A": "1\r\nX-B: 2"}, route=route(server))
    assert server.requests == []


def test_an_operators_own_address_is_trusted_but_not_redirected(
    server: HostileServer, canary: HostileServer
) -> None:
    way = route()
    url = server.url("json", host="127.0.0.1")
    assert get_json(url, route=way) == {"ok": True}
    assert post_json(url, {"chat": 1}, route=way) == {"ok": True}
    assert "Content-Type: application/json" in server.requests[1]
    assert head(server.url("file", host="127.0.0.1"), route=way).fields["etag"] == '"abc"'
    server.values["location"] = f"http://127.0.0.1:{canary.port}/json"
    with pytest.raises(DownloadFailed) as refused:
        get_json(server.url("redirect", host="127.0.0.1"), route=way)
    assert refused.value.details == {"reason": "status", "status": 302}
    assert canary.connections == 0


def test_a_refusal_in_json_is_kept_for_the_program(server: HostileServer) -> None:
    with pytest.raises(DownloadFailed) as refused:
        get_json(server.url("json_refusal", host="127.0.0.1"), route=route())
    assert refused.value.answer == {"ok": False, "description": "file is too big"}
    assert refused.value.permanent
    assert "too big" not in str(refused.value)


@pytest.mark.parametrize("behaviour", ["file", "json_nested", "json_long", "empty"])
def test_an_answer_that_is_no_json_fails(server: HostileServer, behaviour: str) -> None:
    with pytest.raises(DownloadFailed) as failed:
        get_json(server.url(behaviour, host="127.0.0.1"), route=route())
    assert failed.value.details == {"reason": "answer"}


def test_no_error_tells_the_url(server: HostileServer) -> None:
    """A bot's token is part of its URLs: it must not reach a log by way of an exception."""
    for behaviour in ("not_found", "broken", "reset", "json_nested", "nothing"):
        with pytest.raises(DownloadFailed) as failed:
            get_json(server.url(f"{behaviour}/bot123:TOKEN", host="127.0.0.1"), route=route())
        error: BaseException | None = failed.value
        while error is not None:
            assert "TOKEN" not in f"{error!s}{error!r}{vars(error)}"
            error = error.__cause__ or error.__context__


# ------------------------------------------------------------------- data: URLs


@pytest.mark.parametrize(
    ("url", "content_type", "data"),
    [
        ("data:image/png;base64," + base64.b64encode(BODY).decode(), "image/png", BODY),
        ("DATA:image/png;BASE64,aGk=", "image/png", b"hi"),
        ("data:;base64,aGk", "", b"hi"),
        ("data:text/plain;base64,aGk%3D%0A", "text/plain", b"hi"),
        ("data:text/plain;base64,a\r\nG\tk =", "text/plain", b"hi"),
        ("data:text/plain;charset=utf-8,a%20b%2C+c", "text/plain;charset=utf-8", b"a b,+c"),
        ("data:,", "", b""),
    ],
)
def test_a_data_url_is_decoded(url: str, content_type: str, data: bytes) -> None:
    decoded = read_data_url(url)
    assert (decoded.content_type, decoded.data) == (content_type, data)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "data:",
        "data:text/plain",
        "data:text/plain;base64,a",
        "data:text/plain;base64,a$b=",
        "data:text/plain;base64,aGk=aGk=",
        "data:text/plain;base64,\u00e9",
        "data:text/plain,\ud800",
        "data:" + "a" * 1000 + ",x",
        "data:," + "%41" * 300_000,
    ],
)
def test_a_broken_data_url_is_refused(url: str) -> None:
    with pytest.raises(Invalid):
        read_data_url(url)


def test_a_data_url_past_the_limit_is_refused() -> None:
    full = "data:image/png;base64," + base64.b64encode(bytes(100_000)).decode()
    assert len(read_data_url(full, max_bytes=100_000).data) == 100_000
    for url in (full, "data:," + "a" * 100_000):
        with pytest.raises(FileTooLarge):
            read_data_url(url, max_bytes=99_999)


def test_fifty_megabytes_of_white_space_cost_nothing() -> None:
    bomb = "data:image/png;base64," + " " * (50 << 20)
    start = time.process_time()
    with pytest.raises(FileTooLarge):
        read_data_url(bomb)
    assert time.process_time() - start < 0.5

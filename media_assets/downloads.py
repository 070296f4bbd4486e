"""Fetches files from addresses that people give: streamed, within limits, redirects judged one by one."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes, urljoin

from django.utils.http import parse_header_parameters

from media_assets.egress import (
    Answer,
    DownloadFailed,
    Head,
    Route,
    exchange,
    get_json,
    head,
    post,
    post_json,
    refusal,
    translated,
)
from media_assets.errors import FileTooLarge, Invalid, UnsafeUrl
from media_assets.netguard import AllowList, Deadline, Target, read_url

__all__ = [
    "Answer",
    "DataUrl",
    "DownloadFailed",
    "Fetched",
    "Route",
    "fetch",
    "get_json",
    "head",
    "post",
    "post_json",
    "read_data_url",
]

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
MAX_DATA_URL_BYTES = 10 << 20
MAX_ESCAPES = 200_000  # in a data: URL without base64; each costs about a hundred bytes to undo


@dataclass(frozen=True, slots=True)
class Fetched:
    """What came back. `filename` is the server's word and needs cleaning; no bytes came if `not_modified`."""

    status: int
    final_url: str
    filename: str
    content_type: str
    etag: str
    last_modified: str
    not_modified: bool
    bytes: int


def fetch(  # noqa: PLR0913 - what may be said of a request
    url: str,
    sink: Callable[[bytes], None],
    *,
    max_bytes: int,
    etag: str = "",
    last_modified: str = "",
    route: Route | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    begin: Callable[[str], None] | None = None,
) -> Fetched:
    """GET a URL into `sink`, piece by piece, following redirects that the guard admits.

    Raises UnsafeUrl, DownloadFailed or FileTooLarge; what the sink was given by then is the caller's to
    throw away. `begin` is told the file's name before its first piece. With `etag` or `last_modified` of
    an earlier answer the server may say "not modified".
    """
    route = route or Route.for_downloads()
    deadline = Deadline(route.total_s)
    headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
    headers = {name: value for name, value in headers.items() if value}
    target = read_url(url, route.allow)
    for _ in range(MAX_REDIRECTS + 1):
        with (
            translated(),
            exchange("GET", target, route=route, deadline=deadline, headers=headers) as (
                head,
                body,
            ),
        ):
            if head.status in REDIRECTS:
                target = _redirected(target, head, route.allow)
                continue
            _expect_file(head, conditional=bool(headers))
            filename = _filename_hint(head, target)
            if begin is not None:
                begin(filename)
            size = 0 if head.status == 304 else _pour(head, body, sink, max_bytes, progress)
            return Fetched(
                status=head.status,
                final_url=target.url,
                filename=filename,
                content_type=head.fields.get("content-type", "")[:200],
                etag=head.fields.get("etag", "")[:500],
                last_modified=head.fields.get("last-modified", "")[:100],
                not_modified=head.status == 304,
                bytes=size,
            )
    raise DownloadFailed(
        "The address leads on to too many others.", permanent=True, reason="redirects"
    )


def _redirected(target: Target, head: Head, allow: AllowList) -> Target:
    location = head.fields.get("location", "").strip().replace(" ", "%20")
    if not location:
        raise DownloadFailed(
            "The server redirects without saying where.", permanent=True, reason="redirects"
        )
    following = read_url(urljoin(target.url, location), allow)
    if target.scheme == "https" and following.scheme == "http":
        raise UnsafeUrl("The address leads from https to http.")
    return following


def _expect_file(head: Head, *, conditional: bool) -> None:
    if head.status not in {200, 304} or (head.status == 304 and not conditional):
        raise refusal(head)
    encoding = head.fields.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", ""}:
        raise DownloadFailed(
            "The server sends the file compressed, though it was asked not to.",
            permanent=True,
            reason="encoding",
        )


def _pour(
    head: Head,
    body: Iterator[bytes],
    sink: Callable[[bytes], None],
    max_bytes: int,
    progress: Callable[[int, int | None], None] | None,
) -> int:
    # httpcore has checked Content-Length: a number, or the answer would not have got here.
    declared = int(head.fields["content-length"]) if "content-length" in head.fields else None
    if declared is not None and declared > max_bytes:
        raise FileTooLarge(limit=max_bytes)
    size = 0
    for piece in body:
        size += len(piece)
        if size > max_bytes:
            raise FileTooLarge(limit=max_bytes)
        sink(piece)
        if progress is not None:
            progress(size, declared)
    return size


def _filename_hint(head: Head, target: Target) -> str:
    disposition = head.fields.get("content-disposition", "")[:2000]
    try:
        name = parse_header_parameters(disposition)[1].get("filename", "")
    except (ValueError, LookupError, UnicodeError):
        name = ""
    if not name:
        name = unquote(target.path.partition("?")[0].rpartition("/")[2])
    return str(name)[:1000]


@dataclass(frozen=True, slots=True)
class DataUrl:
    """What a `data:` URL held."""

    content_type: str
    data: bytes


def read_data_url(url: str, *, max_bytes: int = MAX_DATA_URL_BYTES) -> DataUrl:
    """Decode a `data:` URL. Raises FileTooLarge or Invalid.

    The length is judged before anything is copied: base64 with line breaks is a twentieth longer than
    without, so a text inflated with white space is too large whatever it would decode to.
    """
    if url[:5].lower() != "data:":
        raise Invalid("This is not a data: address.")
    media_type, comma, _ = url[5:505].partition(",")
    if not comma:
        raise Invalid("This data: address holds no data.")
    start = 5 + len(media_type) + 1
    in_base64 = media_type.lower().endswith(";base64")
    if len(url) - start > max_bytes * (1.4 if in_base64 else 3) + 4096:
        raise FileTooLarge(limit=max_bytes)
    try:
        payload = url[start:].encode("ascii")
        data = _from_base64(payload) if in_base64 else _from_percent(payload)
    except ValueError as error:  # UnicodeError and binascii.Error are ValueErrors
        raise Invalid("This data: address is not encoded correctly.") from error
    if len(data) > max_bytes:
        raise FileTooLarge(limit=max_bytes)
    return DataUrl(media_type[:-7] if in_base64 else media_type, data)


def _from_base64(payload: bytes) -> bytes:
    # Only what base64 needs is unescaped: unescaping in general costs a hundred bytes for each sign.
    for escaped, plain in (
        (b"%2b", b"+"),
        (b"%2f", b"/"),
        (b"%3d", b"="),
        (b"%0d", b""),
        (b"%0a", b""),
    ):
        payload = payload.replace(escaped, plain).replace(escaped.upper(), plain)
    payload = payload.translate(None, b" \t\r\n")
    return base64.b64decode(payload + b"=" * (-len(payload) % 4), validate=True)


def _from_percent(payload: bytes) -> bytes:
    if payload.count(b"%") > MAX_ESCAPES:
        raise ValueError("too many escapes")
    return unquote_to_bytes(payload)

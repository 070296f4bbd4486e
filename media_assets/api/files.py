"""Files of a local storage, behind signed addresses that expire: ranges, ETag, and no way to run them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial

from django.core import signing
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_safe

from media_assets import spool, storage
from media_assets.errors import ServiceUnavailable

# Nothing in a file may run, load or be framed by others.
SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; media-src 'self'; img-src 'self'; sandbox"
AWAY_S = 15  # seconds after which a file that waits elsewhere may be asked for again
_RANGE = re.compile(r"^bytes=(\d{0,19})-(\d{0,19})$")


@require_safe
def serve(request: HttpRequest, token: str) -> HttpResponseBase:
    """One stored file. The address itself is the permission, made for one person for a while."""
    try:
        key, filename, mime_type, inline = storage.read_signed(token)
    except signing.SignatureExpired:
        return HttpResponse("This address has expired.", status=403, content_type="text/plain")
    except signing.BadSignature:
        return HttpResponse("There is no such file.", status=404, content_type="text/plain")
    waiting = spool.size(key)
    if waiting is not None:
        response = _body(request, key, waiting, partial(spool.chunks, key))
    elif not storage.is_local():
        return _in_the_bucket(key, filename, mime_type, inline=inline)
    elif not storage.exists(key):
        return HttpResponse(
            "This file is not kept any more.", status=410, content_type="text/plain"
        )
    else:
        response = _body(request, key, storage.size(key), partial(storage.chunks, key))
    response["Content-Type"] = mime_type
    response["Content-Disposition"] = (
        content_disposition_header(not inline, filename) or "attachment"
    )
    response["Content-Security-Policy"] = SANDBOX
    response["Cross-Origin-Resource-Policy"] = "same-origin"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=3600, immutable"
    return response


def _in_the_bucket(key: str, filename: str, mime_type: str, *, inline: bool) -> HttpResponseBase:
    """What waited in a spool when its address was made: moved up since, or on another host."""
    with suppress(ServiceUnavailable):
        if storage.exists(key):
            return HttpResponseRedirect(
                storage.signed_url(key, filename=filename, mime_type=mime_type, inline=inline)
            )
    return HttpResponse(
        "This file cannot be reached just now. Try again shortly.",
        status=503,
        content_type="text/plain",
        headers={"Retry-After": str(AWAY_S)},
    )


def _body(
    request: HttpRequest, key: str, size: int, read: Callable[..., Iterator[bytes]]
) -> HttpResponseBase:
    etag = f'"{key.rpartition("/")[2]}"'
    if request.headers.get("If-None-Match") == etag:
        return HttpResponse(status=304, headers={"ETag": etag})
    wanted = _range(request, size, etag)
    if wanted == (-1, -1):
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    start, end = wanted or (0, size - 1)
    length = end - start + 1
    content = iter(()) if request.method == "HEAD" else read(start=start, length=length)
    response = StreamingHttpResponse(content, status=206 if wanted else 200)
    response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Content-Length"] = str(length)
    if wanted:
        response["Content-Range"] = f"bytes {start}-{end}/{size}"
    return response


def _range(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """The one range asked for; None for the whole, (-1, -1) for one that cannot be served."""
    header = request.headers.get("Range", "")
    if not header or request.headers.get("If-Range", etag) != etag:
        return None
    found = _RANGE.match(header)
    if not found or header == "bytes=-":
        return None  # several ranges, or another unit: the whole is a right answer
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, size - 1) if length else (-1, -1)
    start = int(first)
    end = min(int(last), size - 1) if last else size - 1
    if start >= size:
        return (-1, -1)
    return (start, end) if start <= end else None

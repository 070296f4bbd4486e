"""Where bytes lie: originals, renditions and incoming files. The only module that touches Django's storages.

Keys are made from content, so a put is repeatable: the same key always means the same bytes. Nothing
outside this module knows whether the storage is a folder or a bucket.
"""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.urls import reverse
from django.utils.http import content_disposition_header

CHUNK = 1 << 20
_SALT = "media_assets.storage.signed_url"


class LocalStorage(FileSystemStorage):
    """Files in MEDIA_ROOT: written beside, flushed to the disk, then given their name at once."""

    def _save(self, name: str, content: File[bytes]) -> str:
        target = Path(self.path(name))
        make_folder(target.parent)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".new-", delete=False) as part:
            try:
                for chunk in content.chunks(CHUNK):
                    part.write(chunk)
                part.flush()
                os.fsync(part.fileno())
                Path(part.name).replace(target)
            finally:
                # Gone already where all went well; a half file never stays.
                Path(part.name).unlink(missing_ok=True)
        _sync_folder(target.parent)
        return name

    def take(self, source: Path, name: str) -> None:
        """Give a flushed file on the same volume its place, without copying a byte."""
        target = Path(self.path(name))
        make_folder(target.parent)
        try:
            os.link(source, target)
        except FileExistsError:
            return
        _sync_folder(target.parent)

    def url(self, name: str | None) -> str:
        raise ValueError("Local files have no lasting address; see signed_url.")


def make_folder(folder: Path) -> None:
    """A folder whose entry is on the disk, readable by us alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)
        _sync_folder(each.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def media() -> Storage:
    return storages["default"]


def is_local() -> bool:
    return isinstance(media(), LocalStorage)


def incoming_folder() -> Path:
    """Where uploads land while they stream: on the volume of the originals, so that keeping is a link."""
    folder = Path(settings.MEDIA_ROOT if is_local() else settings.DATA_DIR) / ".incoming"
    make_folder(folder)
    return folder


def free_bytes() -> int:
    """What is free where uploads land."""
    return shutil.disk_usage(incoming_folder()).free


def put(source: Path, key: str, *, mime_type: str = "") -> None:
    """Store a flushed file under its key; a key that is there already holds the same bytes."""
    storage = media()
    if isinstance(storage, LocalStorage):
        try:
            storage.take(source, key)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return
    if storage.exists(key):
        return
    with source.open("rb") as stream:
        content: File[bytes] = File(stream, name=key)
        if mime_type:
            content.content_type = mime_type  # type: ignore[attr-defined]
        storage.save(key, content)


# Another volume, or one without links.
_NO_LINK = {18, 1, 31, 95}  # EXDEV, EPERM, EMLINK, EOPNOTSUPP


def exists(key: str) -> bool:
    return media().exists(key)


def size(key: str) -> int:
    return media().size(key)


def delete(key: str) -> None:
    """Remove a key; one that is not there is fine."""
    media().delete(key)


def open_stored(key: str) -> File[Any]:
    return media().open(key, "rb")


def chunks(key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a key from `start`, in pieces."""
    with open_stored(key) as stream:
        if start:
            stream.seek(start)
        left = math.inf if length is None else length
        while left > 0 and (piece := stream.read(int(min(CHUNK, left)))):
            left -= len(piece)
            yield piece


def copy_to(key: str, target: Path) -> None:
    """The bytes of a key as a local file, to be read only: a link to local ones, else a copy."""
    storage = media()
    if isinstance(storage, LocalStorage):
        try:
            os.link(storage.path(key), target)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
        else:
            return
    with target.open("xb") as copy:
        for piece in chunks(key):
            copy.write(piece)


def original_key(kind: str, sha256: str, extension: str) -> str:
    return f"{kind}s/{sha256[:2]}/{sha256}.{extension}"


def rendition_key(sha256: str, name: str) -> str:
    return f"renditions/{sha256[:2]}/{sha256}/{name}"


def signed_url(key: str, *, filename: str, mime_type: str, inline: bool = False) -> str:
    """An address that expires. It stays the same for half its life, so that browsers can cache."""
    half = max(settings.SIGNED_URL_S // 2, 1)
    expires = (int(time.time()) // half + 2) * half
    if not is_local():
        disposition = content_disposition_header(not inline, filename)
        return media().url(  # type: ignore[call-arg]
            key,
            parameters={
                "ResponseContentType": mime_type,
                "ResponseContentDisposition": disposition,
            },
            expire=expires - int(time.time()),
        )
    token = signing.Signer(salt=_SALT).sign_object([key, filename, mime_type, int(inline), expires])
    return reverse("media-file", args=[token])


def read_signed(token: str) -> tuple[str, str, str, bool]:
    """The key, file name, type and whether to show inline. Raises `signing.BadSignature`."""
    signed = signing.Signer(salt=_SALT).unsign_object(token)
    key, filename, mime_type, inline, expires = signed
    if time.time() > expires:
        raise signing.SignatureExpired("This address has expired.")
    return key, filename, mime_type, bool(inline)

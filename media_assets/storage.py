"""Where bytes lie: originals, renditions and incoming files. The only module that touches Django's storages.

Keys are made from content, so a put can be repeated and raced: the same key always means the same bytes.
Nothing outside this module knows whether the storage is a folder or a bucket. A bucket that does not
answer raises StorageAway; one that refuses us, StorageRefuses.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, cast

from django.conf import settings
from django.core import signing
from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages
from django.urls import reverse
from django.utils.http import content_disposition_header

if TYPE_CHECKING:
    from media_assets.buckets import (
        BucketStorage,
    )  # brings boto3 along, which local files do without

CHUNK = 1 << 20
_SALT = "media_assets.storage.signed_url"


@dataclass(frozen=True, slots=True)
class StoredObject:
    key: str
    size: int
    modified: datetime


class LocalStorage(FileSystemStorage):
    """Files in MEDIA_ROOT: written beside, flushed to the disk, then given their name at once."""

    def _save(self, name: str, content: File[bytes]) -> str:
        self.write(name, content)
        return name

    def write(self, name: str, content: File[bytes]) -> None:
        """Put a copy under this very name, whatever is there."""
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
        sync_folder(target.parent)

    def take(self, source: Path, name: str) -> None:
        """Give a flushed file on the same volume its place, without copying a byte."""
        target = Path(self.path(name))
        make_folder(target.parent)
        try:
            os.link(source, target)
        except FileExistsError:
            os.utime(target)  # wanted again: whoever sweeps up old files leaves it
            return
        sync_folder(target.parent)

    def give(self, name: str, target: Path) -> None:
        """Make `target` a file of the same bytes, to be read only: a link, or a copy."""
        source = Path(self.path(name))
        if not _linked(source, target):
            shutil.copyfile(source, target)

    def url(self, name: str | None) -> str:
        raise ValueError("Local files have no lasting address; see signed_url.")


def make_folder(folder: Path) -> None:
    """A folder whose entry is on the disk, readable by us alone."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def media() -> Storage:
    return storages["default"]


def bucket() -> BucketStorage:
    """The bucket, where the storage is one."""
    return cast("BucketStorage", media())


def archive() -> BucketStorage | None:
    """The bucket for archive copies, where there is one."""
    if "archive" not in settings.STORAGES:
        return None
    return cast("BucketStorage", storages["archive"])


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
    """Store a flushed file under its key, whatever is there: it can only be the same bytes.

    A bucket is not asked first whether it has them: that would be a request more for each new file.
    """
    storage = media()
    if isinstance(storage, LocalStorage):
        put_local(storage, source, key)
    else:
        bucket().upload(source, key, mime_type=mime_type)


def put_local(storage: LocalStorage, source: Path, key: str) -> None:
    """Give a flushed file its key in a folder: a link, or a copy where there can be none."""
    try:
        storage.take(source, key)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        if not storage.exists(key):
            with source.open("rb") as stream:
                storage.write(key, File(stream, name=key))


# Another volume, or one without links.
_NO_LINK = {errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.ENOTSUP}


def exists(key: str) -> bool:
    return media().exists(key)


def size(key: str) -> int:
    return media().size(key)


def delete(key: str) -> None:
    """Remove a key; one that is not there is fine."""
    media().delete(key)


def check() -> None:
    """Raise where the bucket could not be used; a folder is looked after by `free_bytes`."""
    if not is_local():
        bucket().check()


def chunks(key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of a key from `start`, in pieces. A bucket is asked for just these."""
    if not is_local():
        yield from bucket().read(key, start=start, length=length)
        return
    yield from pieces(media().open(key, "rb"), start=start, length=length)


def pieces(stream: IO[bytes], *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes of an open file from `start`; closes it."""
    with stream:
        if start:
            stream.seek(start)
        left = math.inf if length is None else length
        while left > 0 and (piece := stream.read(int(min(CHUNK, left)))):
            left -= len(piece)
            yield piece


def objects() -> Iterator[StoredObject]:
    """Every object that is stored."""
    storage = media()
    if not isinstance(storage, LocalStorage):
        yield from bucket().objects()
        return
    root = Path(storage.location)
    for path in root.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # deleted just now
            if path.is_file():
                yield _stored_file(root, path)


def stored(key: str) -> StoredObject | None:
    """One object as it is at this moment."""
    storage = media()
    if not isinstance(storage, LocalStorage):
        return bucket().stored(key)
    try:
        return _stored_file(Path(storage.location), Path(storage.path(key)))
    except FileNotFoundError:
        return None


def _stored_file(root: Path, path: Path) -> StoredObject:
    found = path.stat()
    modified = datetime.fromtimestamp(found.st_mtime, UTC)
    return StoredObject(path.relative_to(root).as_posix(), found.st_size, modified)


def copy_to(key: str, target: Path) -> None:
    """The bytes of a key as a local file, to be read only: a link to local ones, else a copy."""
    storage = media()
    if isinstance(storage, LocalStorage):
        storage.give(key, target)
        return
    # Asked before the file is made: a key that is not there leaves none.
    arriving = chunks(key)
    first = next(arriving, b"")
    with target.open("xb") as copy:
        try:
            copy.write(first)
            for piece in arriving:
                copy.write(piece)
        except Exception:
            target.unlink()
            raise


def _linked(source: Path, target: Path) -> bool:
    """Whether `target` is a link to `source` now; not where volumes differ."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return False
    return True


def original_key(kind: str, sha256: str, extension: str) -> str:
    return f"{kind}s/{sha256[:2]}/{sha256}.{extension}"


def rendition_key(sha256: str, name: str) -> str:
    return f"renditions/{sha256[:2]}/{sha256}/{name}"


def signed_url(key: str, *, filename: str, mime_type: str, inline: bool = False) -> str:
    """An address that expires. It stays the same for half its life, so that browsers can cache."""
    if is_local():
        return served_url(key, filename=filename, mime_type=mime_type, inline=inline)
    half = _half_life()
    return bucket().address(
        key,
        mime_type=mime_type,
        disposition=content_disposition_header(not inline, filename) or "inline",
        begins=int(time.time()) // half * half,
        life=2 * half,
    )


def served_url(key: str, *, filename: str, mime_type: str, inline: bool = False) -> str:
    """An address that expires, of a file that this host itself serves."""
    half = _half_life()
    expires = (int(time.time()) // half + 2) * half
    token = signing.Signer(salt=_SALT).sign_object([key, filename, mime_type, int(inline), expires])
    return reverse("media-file", args=[token])


def _half_life() -> int:
    return max(settings.SIGNED_URL_S // 2, 1)


def read_signed(token: str) -> tuple[str, str, str, bool]:
    """The key, file name, type and whether to show inline. Raises `signing.BadSignature`."""
    signed = signing.Signer(salt=_SALT).unsign_object(token)
    key, filename, mime_type, inline, expires = signed
    if time.time() > expires:
        raise signing.SignatureExpired("This address has expired.")
    return key, filename, mime_type, bool(inline)

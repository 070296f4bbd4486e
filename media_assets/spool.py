"""Bytes of this host that wait for a bucket which does not answer, and how they move up.

What cannot go up lands in DATA_DIR/spool under its own key, flushed with its folder, before any row names
it. A file leaves the spool only after the storage gave the same bytes back and the row says so: a crash at
any point leaves bytes in two places, never in none. The files are the truth of what waits: a row that
names this host only tells others where to ask.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from media_assets import storage
from media_assets.errors import ServiceUnavailable, StorageAway, StorageRefuses
from media_assets.models import Blob, Rendition, Whereabouts

logger = logging.getLogger(__name__)

# A file that no row names may belong to an upload whose transaction is not over yet.
UNNAMED_S = 86_400


def host_name() -> str:
    """This host, as leases and spooled blobs name it."""
    return settings.HOST_NAME or socket.gethostname()


def folder() -> Path:
    return Path(settings.DATA_DIR) / "spool"


def _path(key: str) -> Path:
    return Path(_files().path(key))


def _files() -> storage.LocalStorage:
    return storage.LocalStorage(location=folder())


def place(source: Path, key: str, *, mime_type: str) -> str:
    """Store a flushed file; where the bucket is away, here. Returns the host whose spool has it, or ""."""
    try:
        storage.put(source, key, mime_type=mime_type)
    except StorageAway:
        put(source, key)
        return host_name()
    return ""


def put(source: Path, key: str) -> None:
    """Keep a flushed file here under its key. Raises ServiceUnavailable where that fails too."""
    try:
        storage.make_folder(folder())
        storage.put_local(_files(), source, key)
    except OSError as error:
        logger.exception("The spool cannot take files.")
        raise ServiceUnavailable("The storage cannot take files just now.") from error


def holds(key: str) -> bool:
    return _path(key).exists()


def size(key: str) -> int | None:
    """How long the file of a key is; None where it does not wait here."""
    try:
        return _path(key).stat().st_size
    except FileNotFoundError:
        return None


def chunks(key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
    """The bytes from `start`. Opened at once: it may move up while it is read."""
    return storage.pieces(_path(key).open("rb"), start=start, length=length)


def fetch(key: str, target: Path) -> bool:
    """Make `target` a link to the file of a key; False where it does not wait here."""
    try:
        _files().give(key, target)
    except FileNotFoundError:
        return False
    return True


def discard(key: str) -> None:
    """Forget the file of a key; one that is not here is fine."""
    _path(key).unlink(missing_ok=True)


# ------------------------------------------------------------------- moving up


def move_up() -> list[UUID]:
    """Move what waits here to the storage. Returns the blobs that are there now.

    Stops at the first file that the bucket does not take; run it again later. For one process of a host.
    """
    moved = []
    for path in _waiting():
        try:
            blob_id = _move(path, path.relative_to(folder()).as_posix())
        except (StorageAway, StorageRefuses):
            break  # told by the bucket itself
        except OSError:
            logger.exception("A file of the spool could not be moved up: %s", path.name)
            continue
        if blob_id is not None:
            moved.append(blob_id)
    return moved


def waiting() -> int:
    """How many files wait here."""
    return sum(1 for _ in _waiting())


def _waiting() -> Iterator[Path]:
    if folder().is_dir():
        yield from sorted(path for path in folder().rglob("*") if path.is_file())


def _move(path: Path, key: str) -> UUID | None:
    blob = Blob.objects.filter(key=key).first()
    rendition = None if blob else Rendition.objects.filter(key=key).first()
    if blob is None and rendition is None:
        _forget_unnamed(path)
        return None
    if blob is not None and blob.whereabouts not in (Whereabouts.PRIMARY, Whereabouts.SPOOL):
        _forget_dropped(blob, key)
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if blob is not None and digest != blob.sha256:
        # Kept for a person: it may be the only copy, and it must not take the place of a good one.
        logger.error("A file of the spool is damaged and stays there: %s", path)
        Blob.objects.filter(pk=blob.pk).update(verify_error="The copy in the spool is damaged.")
        return None
    if not _is_up(key, digest):
        mime_type = (blob or rendition).mime_type  # type: ignore[union-attr]  # one of them is there
        storage.put(path, key, mime_type=mime_type or mimetypes.guess_type(key)[0] or "")
        if not _is_up(key, digest):
            logger.error("The storage gave other bytes back than it was given: %s", key)
            return None
    if blob is not None:
        _arrived(blob)
    path.unlink(missing_ok=True)
    return blob.pk if blob is not None else None


def _is_up(key: str, digest: str) -> bool:
    """Whether the storage gives back just these bytes."""
    found = hashlib.sha256()
    try:
        for piece in storage.chunks(key):
            found.update(piece)
    except FileNotFoundError:
        return False
    return found.hexdigest() == digest


def _arrived(blob: Blob) -> None:
    """The row says where the bytes are now. A purge or a newer upload may have been quicker."""
    now = timezone.now()
    Blob.objects.filter(pk=blob.pk, whereabouts=Whereabouts.SPOOL).update(
        whereabouts=Whereabouts.PRIMARY, spool_host="", verified_at=now, updated_at=now
    )


def _forget_unnamed(path: Path) -> None:
    if time.time() - path.stat().st_mtime > UNNAMED_S:
        path.unlink(missing_ok=True)


def _forget_dropped(blob: Blob, key: str) -> None:
    """The bytes were deleted on purpose, or lie in the archive; unless they just came in anew."""
    with transaction.atomic():
        row = Blob.objects.select_for_update().filter(pk=blob.pk).first()
        if row is None or row.whereabouts not in (Whereabouts.PRIMARY, Whereabouts.SPOOL):
            discard(key)

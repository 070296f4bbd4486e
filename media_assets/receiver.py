"""Take one stream in, once: count, hash, tell its type and write it to the disk. No rows.

The stream may come in any pieces; memory stays flat. A refusal comes as early as it can: before a byte
where the announced size is too large or the disk too full, after the first 64 KiB where the type is not
accepted, and at the byte that passes the limit of its kind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import queue
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from django.conf import settings

from media_assets import filenames, filetypes, scanner, storage
from media_assets.errors import (
    EmptyFile,
    FileTooLarge,
    InvalidFileFormat,
    MediaHubError,
    ServiceUnavailable,
    StorageFull,
)
from media_assets.filetypes import FileType
from media_assets.models import Kind

MB = 1_000_000
# Below this a thread for each hash costs more than it saves.
_INLINE_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Received:
    """A file that was taken in and lies flushed at `path`, until `Receiver.close`."""

    path: Path
    filename: str
    size: int
    md5: str
    sha256: str
    filetype: FileType


def limit_bytes(kind: str | None) -> int:
    """The most a file of this kind may have; of any kind, where it is not known yet."""
    kinds = [kind] if kind else Kind.values
    most: int = max(getattr(settings, f"MAX_{each.upper()}_MB") for each in kinds)
    if settings.MAX_UPLOAD_MB is not None:
        most = min(most, settings.MAX_UPLOAD_MB)
    return most * MB


def check_announced(size: int | None) -> None:
    """Refuse what is said to be larger than any limit, or would leave less than MIN_FREE_MB."""
    if size is not None and size > limit_bytes(None):
        raise FileTooLarge(limit_bytes=limit_bytes(None), size=size)
    if storage.free_bytes() - (size or 0) < settings.MIN_FREE_MB * MB:
        raise StorageFull


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


class _HashThread:
    """A hash fed by a thread of its own; hashlib lets other threads run while it works."""

    def __init__(self, digest: _Hash) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(4)
        self._digest = digest
        self._thread = threading.Thread(target=self._work, name="hash", daemon=True)
        self._thread.start()

    def feed(self, chunk: bytes) -> None:
        self._chunks.put(chunk)

    def join(self) -> None:
        self._chunks.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (chunk := self._chunks.get()) is not None:
            self._digest.update(chunk)


class Receiver:
    """Feed it the stream, then `finish`; `close` removes the file, whatever happened. A context manager."""

    def __init__(self, *, filename: str | None, declared_size: int | None = None) -> None:
        check_announced(declared_size)
        self._name = filenames.clean(filename)
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()
        self._threads: list[_HashThread] = []
        self._scan: scanner.Scan | None = None
        self._head = bytearray()
        self._filetype: FileType | None = None
        self._limit = limit_bytes(None)
        self.size = 0
        handle, path = tempfile.mkstemp(dir=storage.incoming_folder(), prefix="in-")
        self._file = os.fdopen(handle, "wb", buffering=0)
        self.path = Path(path)
        try:
            self._scan = scanner.begin()
        except MediaHubError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def call(self, filename: str) -> None:
        """Give the file the name that only its sender knew. Before the first piece."""
        self._name = filenames.clean(filename)

    def feed(self, chunk: bytes) -> None:
        """Take the next piece. Raises what the person is told; then only `close` may follow."""
        if not chunk:
            return
        self.size += len(chunk)
        if self._filetype is None:
            self._look(chunk)
        if self.size > self._limit:
            raise FileTooLarge(limit_bytes=self._limit)
        if self._scan is not None:
            self._scan.feed(chunk)
        self._hash(chunk)
        self._write(chunk)

    def finish(self) -> Received:
        """The stream has ended: the last word on its type, and everything on the disk."""
        if self.size == 0:
            raise EmptyFile
        if self._filetype is None:
            self._decide(bytes(self._head))
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise _disk_error(error) from error
        for thread in self._threads:
            thread.join()
        self._threads = []
        filetype = self._confirm()
        if self._scan is not None:
            self._scan.finish()
        return Received(
            path=self.path,
            filename=filenames.clean(self._name, extension=filetype.extension),
            size=self.size,
            md5=self._md5.hexdigest(),
            sha256=self._sha256.hexdigest(),
            filetype=filetype,
        )

    def close(self) -> None:
        """Remove the file and end the threads. Harmless to repeat."""
        for thread in self._threads:
            thread.join()
        self._threads = []
        if self._scan is not None:
            self._scan.close()
            self._scan = None
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _look(self, chunk: bytes) -> None:
        """Collect the head until it is long enough to tell the type."""
        wanted = filetypes.HEAD_BYTES - len(self._head)
        self._head += chunk[:wanted]
        if len(self._head) >= filetypes.HEAD_BYTES:
            self._decide(bytes(self._head))

    def _decide(self, head: bytes) -> None:
        found = filetypes.sniff(head, name=self._name)
        self._filetype = self._accepted(found)
        self._limit = limit_bytes(self._filetype.kind)
        if self.size > self._limit:
            raise FileTooLarge(limit_bytes=self._limit)

    def _confirm(self) -> FileType:
        with self.path.open("rb") as file:
            found = self._accepted(filetypes.confirm(file, name=self._name))
        if self.size > limit_bytes(found.kind):
            raise FileTooLarge(limit_bytes=limit_bytes(found.kind))
        return found

    def _accepted(self, found: FileType | None) -> FileType:
        allowed = settings.ALLOWED_FORMATS
        if found is None or not filetypes.is_allowed(found, allowed):
            raise InvalidFileFormat(
                received_format=filetypes.received_format(bytes(self._head), name=self._name),
                supported_formats=filetypes.supported_formats(allowed),
            )
        return found

    def _hash(self, chunk: bytes) -> None:
        if self._threads:
            for thread in self._threads:
                thread.feed(chunk)
            return
        self._md5.update(chunk)
        self._sha256.update(chunk)
        if self.size >= _INLINE_BYTES:
            self._threads = [_HashThread(self._md5), _HashThread(self._sha256)]

    def _write(self, chunk: bytes) -> None:
        left = memoryview(chunk)
        try:
            while left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise _disk_error(error) from error


def _disk_error(error: OSError) -> MediaHubError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull()
    return ServiceUnavailable("The storage cannot take files just now.")

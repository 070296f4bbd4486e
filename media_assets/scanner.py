"""Asks clamd, over its stream protocol, whether a file is malware: while the file streams in.

Off where CLAMD_ADDRESS is empty. A scanner that cannot be reached or fails lets files pass with a warning
in the log; under CLAMD_REQUIRED it lets none pass.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

from django.conf import settings

from media_assets.errors import FileTooLarge, MalwareDetected, ServiceUnavailable

logger = logging.getLogger(__name__)

CONNECT_S = 5.0
SEND_S = 30.0
REPLY_S = 300.0  # archives and documents are unpacked after the last byte
CHUNK = 1 << 18  # bytes; clamd takes each with its length before it
_MAX_REPLY = 4096


class ScannerFailed(Exception):
    """The scanner could not say."""


class Scan:
    """One file on its way to the scanner: `feed` it as it streams, then `finish`. `close` is always safe."""

    def __init__(self, address: str, *, required: bool) -> None:
        """Raises ServiceUnavailable where a required scanner cannot be reached."""
        self._required = required
        self._connection: socket.socket | None = None
        try:
            self._connection = _connect(address)
            self._connection.sendall(b"zINSTREAM\0")
        except OSError as error:
            self._give_up(ScannerFailed(f"cannot be reached: {error}"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def feed(self, chunk: bytes) -> None:
        """Send the next piece of the file."""
        view = memoryview(chunk)
        for start in range(0, len(view), CHUNK):
            if self._connection is None:
                return
            self._send(view[start : start + CHUNK])

    def finish(self) -> None:
        """The file has ended. Raises MalwareDetected, or what a required scanner's failure means."""
        if self._connection is None:
            return
        try:
            self._connection.sendall(struct.pack("!I", 0))
        except OSError:
            self._conclude()  # it said why before it hung up
        else:
            self._conclude()

    def close(self) -> None:
        """Hang up. A scan that was not finished says nothing about its file."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _send(self, piece: memoryview) -> None:
        assert self._connection is not None
        try:
            self._connection.sendall(struct.pack("!I", len(piece)))
            self._connection.sendall(piece)
        except OSError:
            # clamd hangs up on a stream past its limit, having said so: no later piece changes that.
            self._conclude()

    def _conclude(self) -> None:
        """Read the verdict and act on it."""
        assert self._connection is not None
        try:
            verdict = _read_reply(self._connection)
        except (OSError, ScannerFailed) as error:
            self._give_up(error)
            return
        self.close()
        if verdict.endswith("FOUND"):
            found = verdict.removesuffix("FOUND").rpartition(": ")[2].strip()
            name = "".join(filter(str.isprintable, found))[:200]
            logger.warning("The scanner found %s.", name)
            raise MalwareDetected(signature=name)
        if "size limit exceeded" in verdict:
            self._too_large()
        elif verdict != "stream: OK":
            self._give_up(ScannerFailed(f"answered {verdict!a}"))

    def _too_large(self) -> None:
        if self._required:
            raise FileTooLarge("This file is larger than the malware scanner takes.")
        logger.warning("A file was not scanned: it is larger than the scanner's limit.")

    def _give_up(self, error: Exception) -> None:
        self.close()
        if self._required:
            logger.error("A file was refused, as the scanner %s.", error)
            raise ServiceUnavailable("The malware scanner does not answer.") from error
        logger.warning("A file was not scanned: the scanner %s.", error)


def begin() -> Scan | None:
    """A scan of the next file by the configured scanner; None where there is none."""
    if not settings.CLAMD_ADDRESS:
        if settings.CLAMD_REQUIRED:
            raise ServiceUnavailable("The malware scanner is not set up.")
        return None
    return Scan(settings.CLAMD_ADDRESS, required=settings.CLAMD_REQUIRED)


def scan(content: Path | Iterable[bytes]) -> None:
    """Scan a whole file, or what comes in chunks. Raises as `Scan.finish` does."""
    scanning = begin()
    if scanning is None:
        return
    with scanning:
        for chunk in _chunks(content) if isinstance(content, Path) else content:
            scanning.feed(chunk)
        scanning.finish()


def ping() -> bool:
    """Whether the configured scanner answers."""
    try:
        with _connect(settings.CLAMD_ADDRESS) as connection:
            connection.settimeout(CONNECT_S)
            connection.sendall(b"zPING\0")
            return _read_reply(connection) == "PONG"
    except (OSError, ValueError, ScannerFailed):
        return False


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _connect(address: str) -> socket.socket:
    """`host:port`, `[v6]:port`, or the path of a Unix socket. Raises OSError."""
    if "/" in address:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(CONNECT_S)
            connection.connect(address)
        except OSError:
            connection.close()
            raise
    else:
        host, _, port = address.rpartition(":")
        if not host or not port.isdecimal():
            raise OSError(f"{address!r} is neither host:port nor the path of a socket")
        connection = socket.create_connection((host.strip("[]"), int(port)), CONNECT_S)
    connection.settimeout(SEND_S)
    return connection


def _read_reply(connection: socket.socket) -> str:
    connection.settimeout(REPLY_S)
    reply = b""
    with suppress(ConnectionResetError):  # after a stream it would not read to its end
        while not reply.endswith(b"\0"):
            piece = connection.recv(_MAX_REPLY)
            reply += piece
            if not piece or len(reply) > _MAX_REPLY:
                break
    if not reply.endswith(b"\0"):
        raise ScannerFailed("broke off without a verdict")
    return reply[:-1].decode("utf-8", "replace").strip()

"""What caller, zygote and child say to each other: frames of a kind, a length and JSON."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Callable
from typing import Any

_HEAD = struct.Struct("<cI")

# From caller to child, and from zygote to caller.
REQUEST = b"Q"
STATUS = b"S"
# From child to caller.
PROGRESS = b"P"
RESULT = b"R"
UNREADABLE = b"U"  # the media is at fault: {code, message}
LIMIT = b"L"  # a limit was met: {limit}
DISK_FULL = b"D"
BROKEN = b"X"  # the function has a fault: {type, message, traceback}

_KINDS = frozenset({REQUEST, STATUS, PROGRESS, RESULT, UNREADABLE, LIMIT, DISK_FULL, BROKEN})

SMALL = 1 << 16  # frames other than results are cut to about this


class Nonsense(Exception):
    """The other side sent what no frame of ours can be."""


class TooLarge(Exception):
    """A frame is larger than this side takes."""


def frame(kind: bytes, value: Any) -> bytes:
    payload = json.dumps(value, allow_nan=False).encode()
    return _HEAD.pack(kind, len(payload)) + payload


def write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def read_frame(descriptor: int) -> tuple[bytes, Any] | None:
    """The one frame that comes from a blocking descriptor; None where it ends before."""
    return _only_frame(lambda: os.read(descriptor, 1 << 16))


def receive_frame(connection: socket.socket) -> tuple[bytes, Any] | None:
    """The same from a socket, within its timeout."""
    return _only_frame(lambda: connection.recv(1 << 16))


def _only_frame(read: Callable[[], bytes]) -> tuple[bytes, Any] | None:
    frames = Frames(1 << 31)
    while data := read():
        frames.feed(data)
        if (found := frames.next()) is not None:
            return found
    return None


class Frames:
    """Cuts a stream from an untrusted process into frames, holding `limit` bytes at most."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._data = bytearray()

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> tuple[bytes, Any] | None:
        """The next whole frame. Raises TooLarge or Nonsense."""
        if len(self._data) < _HEAD.size:
            return None
        kind, length = _HEAD.unpack_from(self._data)
        if kind not in _KINDS:
            raise Nonsense
        if length > self._limit:
            raise TooLarge
        end = _HEAD.size + length
        if len(self._data) < end:
            return None
        payload = bytes(self._data[_HEAD.size : end])
        del self._data[:end]
        try:
            return kind, json.loads(payload)
        except (ValueError, RecursionError) as error:
            raise Nonsense from error

"""Primary keys that sort by time: UUID version 7, monotonic inside one process."""

from __future__ import annotations

import os
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0  # milliseconds << 12 | counter of the newest id made here


def uuid7() -> uuid.UUID:
    """A new id: 48 bits of milliseconds, 12 bits that only grow, 62 random bits (RFC 9562)."""
    global _last  # noqa: PLW0603 - one counter per process is the point
    with _lock:
        now = (time.time_ns() // 1_000_000) << 12
        _last = max(now, _last + 1)
        stamp = _last
    random = int.from_bytes(os.urandom(8)) & ((1 << 62) - 1)
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | random
    return uuid.UUID(int=value)

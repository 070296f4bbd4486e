"""Strings out of files, made fit for a database, a log line and a page."""

from __future__ import annotations

import re
from typing import Any

# C0 and C1 controls, marks that reorder text, surrogates, and what Unicode calls no character.
_BAD = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]+"
)
_SPACES = re.compile(r"\s+")
_BAD_BYTES = bytes(sorted(set(range(32)) - {9, 10})) + b"\x7f"


def one_line(value: Any, limit: int = 300) -> str:
    """A string (or bytes that hold one) on one line, cut; empty for anything else."""
    if isinstance(value, bytes):
        value = value[: limit * 8].decode("utf-8", "replace")
    if not isinstance(value, str):
        return ""
    text = _SPACES.sub(" ", _BAD.sub(" ", value[: limit * 8])).strip()
    return text[:limit].rstrip()


def clean_text(text: str) -> str:
    """Text of many lines without NUL, other control characters or lone surrogates; line ends become \\n."""
    raw = text.encode("utf-8", "ignore")
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return raw.translate(None, _BAD_BYTES).decode("utf-8")

"""How log lines look: one line per event, as JSON or text, without secrets and control characters.

`media_assets.log_context` holds what lines of one request or job carry; `redaction` what they must not.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from media_assets import log_context
from mediahub.redaction import redact, redact_all

_LONGEST: Final = 32_000  # characters of a message or a traceback
# What every record has; anything else in it came by `extra`.
_STANDARD: Final = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}
# Extras that Django gives and that are objects, not facts.
_OBJECTS: Final = {"request", "server_time", "status_code", "sql", "params", "alias"}
# C0, C1, line and paragraph separators, marks that reorder text, the byte order mark, lone surrogates.
_UNSAFE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def one_line(text: str) -> str:
    """The text with everything escaped that could start a line, move a cursor or reorder the text."""
    return _UNSAFE.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0], f"\\u{ord(found[0]):04x}")


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record says, as plain data without secrets."""
    time = datetime.fromtimestamp(record.created, UTC)
    message = record.getMessage()
    facts: dict[str, Any] = {
        "time": time.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": redact(_cut(message)),
    }
    extra = {
        name: value
        for name, value in vars(record).items()
        if name not in _STANDARD and name not in _OBJECTS
    }
    for name, value in {**log_context.fields(), **extra}.items():
        facts.setdefault(name, redact_all(value, name=name))
    if record.exc_info:
        facts["error"] = redact(_cut(logging.Formatter().formatException(record.exc_info)))
    if record.stack_info:
        facts["stack"] = redact(_cut(record.stack_info))
    return facts


def _cut(text: str) -> str:
    """The end of a traceback tells most, the start of a message too: the middle goes."""
    if len(text) <= _LONGEST:
        return text
    half = _LONGEST // 2
    return f"{text[:half]} … {text[-half:]}"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, then whatever is known."""

    def format(self, record: logging.LogRecord) -> str:
        # Inside JSON strings the escapes of `one_line` are JSON's own.
        return one_line(json.dumps(facts_of(record), ensure_ascii=False, default=str))


class TextFormatter(logging.Formatter):
    """The same for people: time, level, logger, message, then `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        facts = facts_of(record)
        start = "{time} {level:<8} {logger}: {message}".format(
            **{**facts, "level": facts["level"].upper()}
        )
        rest = [
            f"{name}={value}"
            for name, value in facts.items()
            if name not in {"time", "level", "logger", "message"}
        ]
        return one_line(" ".join([start, *rest]))


class LogFile(logging.Handler):
    """A file that several processes write and turn over at a size.

    Each line is one write to a descriptor opened for appending, which the kernel keeps whole. The file
    is turned over under a lock beside it, by whichever process first finds it full; the others see
    that the name now belongs to another file, and open that. A line can at worst land in the file
    that was just turned over. A log that cannot be written stops nobody: the line is dropped.
    """

    def __init__(self, filename: str | Path, *, most_bytes: int, count: int) -> None:
        super().__init__()
        self._path = Path(filename)
        self._most = most_bytes
        self._count = count
        self._descriptor: int | None = None

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = (self.format(record) + "\n").encode("utf-8", "backslashreplace")
        except Exception:  # noqa: BLE001 - a broken argument of one line must not break its caller
            self.handleError(record)
            return
        with contextlib.suppress(OSError):
            descriptor = self._open()
            if os.fstat(descriptor).st_size + len(line) > self._most:
                descriptor = self._turn_over(len(line))
            os.write(descriptor, line)

    def close(self) -> None:
        self.acquire()
        try:
            self._forget()
        finally:
            self.release()
        super().close()

    def _open(self) -> int:
        """The file that has our name now."""
        if self._descriptor is not None:
            if self._is_current(self._descriptor):
                return self._descriptor
            self._forget()
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o600)
        return self._descriptor

    def _is_current(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(os.fstat(descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _turn_over(self, coming: int) -> int:
        """media.log becomes media.log.1 and so on; the oldest goes."""
        lock = os.open(self._numbered("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            descriptor = self._open()  # another process may have done it meanwhile
            size = os.fstat(descriptor).st_size
            if size and size + coming > self._most:
                for number in range(self._count - 1, 0, -1):
                    with contextlib.suppress(FileNotFoundError):
                        self._numbered(number).replace(self._numbered(number + 1))
                if self._count:
                    self._path.replace(self._numbered(1))
                else:
                    self._path.unlink()
            return self._open()
        finally:
            os.close(lock)

    def _numbered(self, number: int | str) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    def _forget(self) -> None:
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

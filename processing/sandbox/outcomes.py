"""What became of a child, in the words of the engine: its answer, or why there is none."""

from __future__ import annotations

import logging
import signal
from typing import Any

from processing.errors import InputFault, StepError, TryLater
from processing.sandbox import wire
from processing.sandbox.limits import Limits

logger = logging.getLogger(__name__)

_WORDS = {
    "memory": "Decoding this file takes more memory than is allowed.",
    "cpu": "Decoding this file takes more computing time than is allowed.",
    "wall": "Decoding this file takes longer than is allowed.",
    "file_size": "Decoding this file makes files larger than is allowed.",
    "nesting": "This file is nested deeper than is allowed.",
    "result": "What was found in this file is more than is allowed.",
}
# Signals that a decoder raises against itself by a fault in it; others come from outside.
_CRASHES = {
    signal.SIGSEGV,
    signal.SIGBUS,
    signal.SIGABRT,
    signal.SIGFPE,
    signal.SIGILL,
    signal.SIGTRAP,
    signal.SIGSYS,
}


class Stopped(StepError):
    """The work was cancelled; its child is dead."""

    def __init__(self) -> None:
        super().__init__("CANCELLED", "The work was cancelled.")


def limit_exceeded(limit: str) -> InputFault:
    return InputFault("LIMIT_EXCEEDED", _WORDS.get(limit, "A limit was exceeded."), limit=limit)


def zygote_lost() -> TryLater:
    return TryLater("WORKER_LOST", "The process that decodes files was lost.", after=1.0)


def answer(kind: bytes, value: Any) -> dict[str, Any]:
    """The child's result, or the exception it stands for. `value` comes from an untrusted process."""
    if not isinstance(value, dict):
        kind = b""
    if kind == wire.RESULT:
        return {**value}
    if kind == wire.UNREADABLE:
        raise InputFault(str(value.get("code"))[:60], str(value.get("message"))[:1000])
    if kind == wire.LIMIT:
        raise limit_exceeded(str(value.get("limit"))[:60])
    if kind == wire.DISK_FULL:
        raise TryLater("INTERNAL_ERROR", "The disk of the worker is full.")
    if kind == wire.BROKEN:
        logger.error("A function broke in the sandbox: %s", str(value.get("traceback"))[:8000])
        raise RuntimeError(f"{str(value.get('type'))[:200]}: {str(value.get('message'))[:1000]}")
    raise RuntimeError("the sandbox's child answered nonsense")


def death(status: dict[str, Any], limits: Limits) -> Exception:
    """Why a child ended without an answer, from what the zygote saw of its end."""
    if status.get("broken"):
        return RuntimeError(str(status["broken"]))
    if status.get("killed"):
        return limit_exceeded("wall")
    number = status.get("signal")
    if number is None:
        return RuntimeError(f"the sandbox's child ended by itself with status {status.get('exit')}")
    if number == signal.SIGXCPU or (number == signal.SIGKILL and status["cpu_s"] >= limits.cpu_s):
        return limit_exceeded("cpu")
    if number == signal.SIGALRM:
        return limit_exceeded("wall")
    # A C library that is refused memory often falls over the null pointer instead of saying so.
    if number == signal.SIGKILL or status["grown_bytes"] >= 0.8 * limits.memory_bytes:
        return limit_exceeded("memory")
    if number in _CRASHES:
        return InputFault(
            "CORRUPT_FILE", "The decoder crashed on this file.", signal=signal.Signals(number).name
        )
    return TryLater("WORKER_LOST", "Decoding was ended from outside.", after=1.0)

"""What every log line of a piece of work carries: the id of its request, its job, its step.

Lives at the bottom, so that every app can bind; `mediahub.logging` writes what is bound here. Everywhere
the same thing has the same name: `request_id`, `job_id`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any

_bound: ContextVar[Mapping[str, Any]] = ContextVar("log_context", default=MappingProxyType({}))


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Add fields to every log line written inside, by this thread or task; None adds nothing.

    A thread starts with nothing bound: bind again in it.
    """
    token = _bound.set({**_bound.get(), **{k: v for k, v in fields.items() if v is not None}})
    try:
        yield
    finally:
        _bound.reset(token)


def fields() -> Mapping[str, Any]:
    """What is bound here and now."""
    return _bound.get()

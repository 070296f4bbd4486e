"""How a function in the sandbox tells how far it is. Outside a sandbox nobody listens."""

from __future__ import annotations

import time
from collections.abc import Callable

_EVERY_S = 0.2  # more often is dropped: each report wakes the caller

_listener: Callable[[float], None] | None = None
_last = 0.0


def report(share: float) -> None:
    """Tell how much is done, 0 to 1. Cheap enough to call for every frame."""
    global _last  # noqa: PLW0603 - one process, one function, one listener
    if _listener is None:
        return
    now = time.monotonic()
    if now - _last >= _EVERY_S:
        _last = now
        _listener(min(max(share, 0.0), 1.0))


def listen(listener: Callable[[float], None] | None) -> None:
    """Send reports to `listener` from now on."""
    global _listener  # noqa: PLW0603 - see above
    _listener = listener

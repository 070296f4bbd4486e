"""What the queue calls by path."""

from __future__ import annotations

from processing import drain


def work() -> str:
    """Run due jobs until none is due."""
    return drain.work()

"""What a web process does at once when it is told to stop, before it waits for its requests to end.

Registered here so that gunicorn's configuration needs no Django. Actions run in the main thread, inside a
signal handler: short ones only.
"""

from __future__ import annotations

from collections.abc import Callable

_actions: list[Callable[[], None]] = []


def on_stop(action: Callable[[], None]) -> Callable[[], None]:
    """Register an action; a decorator."""
    _actions.append(action)
    return action


def stop() -> None:
    for action in _actions:
        action()

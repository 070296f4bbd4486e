"""What a bare django-q2 task of the speed benchmark calls."""

from __future__ import annotations


def noop() -> str:
    return "done"

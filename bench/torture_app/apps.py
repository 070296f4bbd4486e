"""An app for the torture benchmark: a step, a table for its effects, and names for django-q2's processes."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any

from django.apps import AppConfig

_PR_SET_NAME = 15


class TortureConfig(AppConfig):
    name = "bench.torture_app"
    label = "torture_app"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        if sys.argv[1:2] == ["qcluster"]:
            cluster = import_module("django_q.cluster")  # needs all apps to be loaded
            for role in ("worker", "pusher", "monitor"):
                setattr(cluster, role, _named(role, getattr(cluster, role)))


def _named(role: str, target: Callable[..., Any]) -> Callable[..., Any]:
    """The same, in a process whose name says what it is: who kills it can tell it from the others."""

    def run(*args: Any, **options: Any) -> Any:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_NAME, f"q-{role}".encode())
        return target(*args, **options)

    return run

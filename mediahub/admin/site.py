"""What the staff site shows of packages that are not ours."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.contrib import admin


def hide_the_queue() -> None:
    """django-q2's tables hold wake-ups, not work: jobs have pages of their own."""
    import_module("django_q.admin")  # registers them, if autodiscovery has not come so far
    for model in apps.get_app_config("django_q").get_models():
        if admin.site.is_registered(model):
            admin.site.unregister(model)

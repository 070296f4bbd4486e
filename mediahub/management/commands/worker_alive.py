"""`manage.py worker_alive`: ends with 0 while this host's worker gives signs of life, for health checks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from processing import leases
from processing.clock import DbNow
from processing.models import WorkerHost

# The supervisor writes one every five seconds.
SILENCE_S = 30


class Command(BaseCommand):
    help = "End with 0 while the worker of this host is alive, else with 1."
    requires_system_checks: tuple[
        str, ...
    ] = ()  # they have been done at start, and this runs often

    def handle(self, *args: Any, **options: Any) -> None:
        host = leases.host_name()
        recent = WorkerHost.objects.filter(name=host, heartbeat_at__gt=DbNow(-SILENCE_S))
        if not recent.exists():
            raise CommandError(f"The worker of {host} has given no sign of life for {SILENCE_S} s.")

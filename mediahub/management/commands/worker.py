"""`manage.py worker`: runs jobs on this host until it is told to stop."""

from __future__ import annotations

import signal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from processing.supervisor import Supervisor


class Command(BaseCommand):
    help = "Run jobs on this host: start the worker processes, watch them, and sweep."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency", type=int, help="Worker processes. Default: the setting WORKERS."
        )
        parser.add_argument(
            "--grace",
            type=float,
            help="Seconds that running jobs have to end when this stops. Default: STOP_GRACE_S.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["concurrency"] is not None and options["concurrency"] < 1:
            raise CommandError("--concurrency must be at least 1.")
        supervisor = Supervisor(concurrency=options["concurrency"], grace=options["grace"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.stop())
        supervisor.run()

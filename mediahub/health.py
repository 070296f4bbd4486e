"""Whether MediaHub runs, and whether it can work: for load balancers, orchestrators and people.

`/health/ready` answers 503 while nothing could be accepted, and 200 with a list where MediaHub works with
less than it should have. Strangers may ask, so it names parts and tells nothing else of them.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from media_assets import storage
from processing.clock import DbNow
from processing.models import WorkerHost

logger = logging.getLogger(__name__)

RETRY_AFTER_S: Final = 5
WORKER_SILENT_S: Final = 30  # six heartbeats
_PROBE_EVERY_S: Final = 10.0
_PROBE_WAIT_S: Final = 2.0
_MB: Final = 1 << 20


@never_cache
@require_safe
def alive(request: HttpRequest) -> JsonResponse:
    """GET /health and /health/live: this process answers."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """GET /health/ready: what is needed is there; what is missing beside it is named."""
    if failed := list(_failed()):
        answer = JsonResponse({"status": "unavailable", "failed": failed}, status=503)
        answer["Retry-After"] = str(RETRY_AFTER_S)
        return answer
    degraded = [name for name, works in _USEFUL.items() if not works()]
    return JsonResponse({"status": "degraded" if degraded else "ok", "degraded": degraded})


# ------------------------------------------------------------------- needed


def database_answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except (DatabaseError, InterfaceError):
        logger.warning("The database does not answer.", exc_info=True)
        return False
    return True


def migrations_are_applied() -> bool:
    """Whether the database has every migration of this code. It may have more: of newer code beside us."""
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except (DatabaseError, InterfaceError):
        return False
    return _Migrations.wanted() <= set(applied)


class _Migrations:
    """The migrations of this code, read from the disk once."""

    _found: frozenset[tuple[str, str]] | None = None

    @classmethod
    def wanted(cls) -> frozenset[tuple[str, str]]:
        if cls._found is None:
            loader = MigrationLoader(None)
            cls._found = frozenset(loader.graph.nodes)
        return cls._found


def disk_is_writable() -> bool:
    """Whether uploads can land: room enough, and a folder that takes files."""
    try:
        if storage.free_bytes() < settings.MIN_FREE_MB * _MB:
            return False
        return os.access(storage.incoming_folder(), os.W_OK | os.X_OK)
    except OSError:
        logger.warning("The folder for uploads is away.", exc_info=True)
        return False


def _failed() -> Iterator[str]:
    if not database_answers():
        yield "database"  # to ask it for its migrations would take as long again
    elif not migrations_are_applied():
        yield "migrations"
    if not disk_is_writable():
        yield "disk"


# ------------------------------------------------------------------- useful


class Probe:
    """Asks another server now and then, off the request's thread: one that hangs must not hang us.

    Whoever asks gets the newest answer. Where that is old, one thread asks anew, and is waited for briefly.
    """

    def __init__(self, ask: Callable[[], bool]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._answer = False
        self._asked = float("-inf")

    def __call__(self) -> bool:
        with self._lock:
            if time.monotonic() - self._asked < _PROBE_EVERY_S:
                return self._answer
            if self._asking is None or not self._asking.is_alive():
                self._asking = threading.Thread(target=self._run, name="health-probe", daemon=True)
                self._asking.start()
            asking = self._asking
        asking.join(_PROBE_WAIT_S)
        return self._answer if not asking.is_alive() else False

    def forget(self) -> None:
        """Ask anew next time."""
        self._asked = float("-inf")

    def _run(self) -> None:
        try:
            answer = self._ask()
        except Exception as error:  # noqa: BLE001 - whatever breaks there, it does not work
            logger.warning("A health probe failed: %s: %s", type(error).__name__, error)
            answer = False
        self._answer, self._asked = answer, time.monotonic()


def _ask_bucket() -> bool:
    """It needs the bucket, its name and our keys to be right."""
    storage.check()
    return True


def _ask_scanner() -> bool:
    address: str = settings.CLAMD_ADDRESS
    is_path = address.startswith("/")
    host, _, port = address.rpartition(":")
    with (
        socket.socket(socket.AF_UNIX)
        if is_path
        else socket.create_connection((host.strip("[]"), int(port)), _PROBE_WAIT_S)
    ) as scanner:
        if is_path:
            scanner.settimeout(_PROBE_WAIT_S)
            scanner.connect(address)
        scanner.sendall(b"zPING\0")
        return scanner.recv(16).rstrip(b"\0\n") == b"PONG"


bucket_answers: Final = Probe(_ask_bucket)
scanner_answers: Final = Probe(_ask_scanner)


def a_worker_is_heard() -> bool:
    """Whether any worker host reported lately, by the database's clock."""
    try:
        return WorkerHost.objects.filter(heartbeat_at__gt=DbNow(-WORKER_SILENT_S)).exists()
    except (DatabaseError, InterfaceError):
        return False


_USEFUL: dict[str, Callable[[], bool]] = {
    "bucket": lambda: storage.is_local() or bucket_answers(),
    "worker": a_worker_is_heard,
    "scanner": lambda: not settings.CLAMD_ADDRESS or scanner_answers(),
}

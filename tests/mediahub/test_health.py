"""Health: alive without anything, ready with what is needed, degraded where the rest is missing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.db import OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client
from django.utils import timezone

from media_assets import storage
from mediahub import health
from processing.models import WorkerHost
from tests.buckets import Bucket
from tests.servers import Server

READY = "/health/ready"


@pytest.fixture(autouse=True)
def _asked_anew() -> None:
    health.bucket_answers.forget()
    health.scanner_answers.forget()


@pytest.fixture
def worker_host(db: None) -> WorkerHost:
    now = timezone.now()
    return WorkerHost.objects.create(name="here", started_at=now, heartbeat_at=now)


def _away(*args: Any, **kwargs: Any) -> Any:
    raise OperationalError(
        "connection to server at 10.1.2.3 failed: password authentication failed"
    )


@pytest.mark.parametrize("path", ["/health", "/health/", "/health/live", "/health/live/"])
def test_alive_needs_nothing(client: Client, path: str) -> None:
    # A query would fail this test, which has no database.
    response = client.get(path)
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert "no-store" in response["Cache-Control"]
    assert "Set-Cookie" not in response


def test_only_questions_are_answered(client: Client) -> None:
    assert client.post("/health").status_code == 405
    assert client.head("/health").status_code == 200


@pytest.mark.usefixtures("worker_host")
def test_ready_with_all_that_is_needed(client: Client) -> None:
    response = client.get(READY)
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "degraded": []}


@pytest.mark.usefixtures("worker_host")
def test_ready_is_cheap(client: Client, django_assert_max_num_queries: Any) -> None:
    client.get(READY)
    with django_assert_max_num_queries(4):
        client.get(READY)


def test_without_a_database_it_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mediahub.health.connection.cursor", _away)
    response = client.get(READY)
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "failed": ["database"]}
    assert int(response["Retry-After"]) > 0
    assert b"10.1.2.3" not in response.content


@pytest.mark.django_db
def test_with_a_migration_missing_it_is_not_ready(client: Client) -> None:
    MigrationRecorder(connection).record_unapplied("processing", "0001_initial")
    response = client.get(READY)
    assert response.status_code == 503
    assert response.json() == {"status": "unavailable", "failed": ["migrations"]}


@pytest.mark.usefixtures("worker_host")
def test_a_migration_of_newer_code_beside_us_is_no_fault(client: Client) -> None:
    MigrationRecorder(connection).record_applied("processing", "9999_of_tomorrow")
    assert client.get(READY).status_code == 200


@pytest.mark.django_db
def test_with_too_little_room_it_is_not_ready(client: Client, settings: Any) -> None:
    settings.MIN_FREE_MB = 10**9
    response = client.get(READY)
    assert response.status_code == 503
    assert response.json()["failed"] == ["disk"]


@pytest.mark.django_db
def test_with_a_folder_that_is_away_it_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "free_bytes", away)
    assert client.get(READY).json()["failed"] == ["disk"]


@pytest.mark.django_db
def test_with_a_folder_that_takes_no_files_it_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert client.get(READY).json()["failed"] == ["disk"]


@pytest.mark.django_db
def test_without_a_worker_it_is_degraded(client: Client) -> None:
    response = client.get(READY)
    assert response.status_code == 200
    assert response.json() == {"status": "degraded", "degraded": ["worker"]}


def test_a_worker_that_fell_silent_counts_no_more(client: Client, worker_host: WorkerHost) -> None:
    worker_host.heartbeat_at = timezone.now() - timedelta(seconds=health.WORKER_SILENT_S + 1)
    worker_host.save()
    assert client.get(READY).json()["degraded"] == ["worker"]


@pytest.mark.usefixtures("worker_host")
def test_without_its_bucket_it_is_degraded(client: Client, bucket: Bucket) -> None:
    health.bucket_answers.forget()
    assert client.get(READY).json()["degraded"] == []
    for break_it in (bucket.go_away, lambda: bucket.fail(403, "AccessDenied")):
        break_it()
        health.bucket_answers.forget()
        response = client.get(READY)
        assert response.status_code == 200
        assert response.json() == {"status": "degraded", "degraded": ["bucket"]}
        bucket.come_back()
    health.bucket_answers.forget()
    assert client.get(READY).json()["degraded"] == []


# ------------------------------------------------------------------- the scanner


@pytest.fixture
def scanner() -> Iterator[Callable[[bytes], str]]:
    """`scanner(b"PONG\\0")`: the address of a daemon that answers so."""
    listeners: list[socket.socket] = []

    def start(answer: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            connected, _ = listener.accept()
            with connected:
                assert connected.recv(16) == b"zPING\0"
                connected.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


@pytest.mark.usefixtures("worker_host")
@pytest.mark.parametrize(("answer", "degraded"), [(b"PONG\0", []), (b"what?\0", ["scanner"])])
def test_a_scanner_must_answer(
    client: Client,
    settings: Any,
    scanner: Callable[[bytes], str],
    answer: bytes,
    degraded: list[str],
) -> None:
    settings.CLAMD_ADDRESS = scanner(answer)
    assert client.get(READY).json()["degraded"] == degraded


@pytest.mark.usefixtures("worker_host")
def test_a_scanner_behind_a_socket_that_is_not_there_is_missed(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.CLAMD_ADDRESS = str(tmp_path / "clamd.ctl")
    assert client.get(READY).json()["degraded"] == ["scanner"]


def test_a_probe_asks_once_for_many() -> None:
    asked: list[int] = []
    probe = health.Probe(lambda: not asked.append(1))  # type: ignore[func-returns-value]
    assert [probe() for _ in range(5)] == [True] * 5
    assert asked == [1]


def test_a_probe_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_PROBE_WAIT_S", 0.05)
    answer, asked = threading.Event(), threading.Semaphore(0)

    def ask() -> bool:
        asked.release()
        return answer.wait(20)

    probe = health.Probe(ask)
    assert probe() is False
    assert probe() is False  # and no second thread is hung up
    answer.set()
    assert asked.acquire(timeout=0)
    assert not asked.acquire(blocking=False)
    assert probe._asking is not None
    probe._asking.join(20)
    assert probe() is True


# ------------------------------------------------------------------- the real server


def test_the_server_tells_what_is_missing(server: Server) -> None:
    with server.client() as client:
        assert client.get("/health").json() == {"status": "ok"}
        ready = client.get(READY)
    assert ready.status_code == 200
    assert ready.json() == {"status": "degraded", "degraded": ["worker"]}


def test_the_server_lives_and_is_not_ready_while_its_database_is_away(
    start_server: Callable[..., Server],
) -> None:
    server = start_server(DATABASE_URL="postgres://nobody:hunter2hunter2@127.0.0.1:1/none")
    with server.client() as client:
        assert client.get("/health").status_code == 200
        ready: httpx.Response = client.get(READY)
    assert ready.status_code == 503
    assert ready.json() == {"status": "unavailable", "failed": ["database"]}
    assert "hunter2" not in server.process.output()

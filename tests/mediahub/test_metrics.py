"""Metrics: who may read them, what they tell, that a broken database is a number, and several processes."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families

from media_assets import storage
from media_assets.models import Blob, Whereabouts
from mediahub import metric_files, metrics
from mediahub.models import ApiKey
from processing.models import Job, JobStatus, Priority, WorkerHost
from tests.make import make_asset, make_user
from tests.processes import wait_until
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent
TOKEN = "a-token-for-prometheus"
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def read(client: Client, settings: Any) -> Callable[[], dict[tuple[str, ...], float]]:
    """What /metrics tells now: by name and the values of its labels, which come in alphabetical order."""
    settings.METRICS_TOKEN = TOKEN

    def now() -> dict[tuple[str, ...], float]:
        response = client.get("/metrics", headers=BEARER)
        assert response.status_code == 200
        return _samples(response.content.decode())

    return now


def _samples(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


# ------------------------------------------------------------------- who may read


@pytest.mark.django_db
def test_strangers_may_not_read_the_metrics(client: Client) -> None:
    response = client.get("/metrics")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "PERMISSION_DENIED"
    assert b"mediahub_" not in response.content


@pytest.mark.django_db
def test_somebody_who_is_no_staff_may_not_either(client: Client) -> None:
    client.force_login(make_user("bob"))
    assert client.get("/metrics").status_code == 403


@pytest.mark.django_db
def test_staff_may(client: Client) -> None:
    client.force_login(make_user("alice", is_staff=True))
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain")
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("header", "status"),
    [
        (f"Bearer {TOKEN}", 200),
        (f"bearer {TOKEN}", 200),
        (f"Bearer {TOKEN}x", 403),
        ("Bearer ", 403),
        (f"Basic {TOKEN}", 403),
    ],
)
def test_the_token_opens_them(client: Client, settings: Any, header: str, status: int) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": header}).status_code == status


@pytest.mark.django_db
def test_without_a_token_in_the_settings_an_empty_one_opens_nothing(client: Client) -> None:
    assert client.get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


@pytest.mark.django_db
def test_named_addresses_may(client: Client, settings: Any) -> None:
    settings.METRICS_ALLOW = [ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")]
    assert client.get("/metrics", REMOTE_ADDR="192.0.2.7").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="2001:db8::7").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="198.51.100.7").status_code == 403
    forged = client.get(
        "/metrics", REMOTE_ADDR="198.51.100.7", headers={"X-Forwarded-For": "192.0.2.7"}
    )
    assert forged.status_code == 403


# ------------------------------------------------------------------- what they tell


@pytest.mark.django_db
def test_requests_are_counted_by_view_and_never_by_path(
    client: Client, read: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    counted = ("mediahub_http_requests_total", "GET", "200", "health-live")
    lost = ("mediahub_http_requests_total", "other", "405", "none")
    before = read()
    client.get("/health/live")
    client.get("/health/live?x=1")
    client.generic("FROBNICATE", "/health/live")
    after = read()
    assert after[counted] - before.get(counted, 0) == 2
    other = ("mediahub_http_requests_total", "other", "405", "health-live")
    assert after[other] - before.get(other, 0) == 1
    assert lost not in after
    seconds = ("mediahub_http_request_seconds_count", "GET", "health-live")
    assert after[seconds] - before.get(seconds, 0) == 2
    assert after["mediahub_http_requests_running",] == 1  # the one that asks


@pytest.mark.django_db
def test_a_path_that_leads_nowhere_makes_no_number_of_its_own(
    client: Client, read: Callable[[], dict[tuple[str, ...], float]]
) -> None:
    before = set(read())
    for number in range(5):
        client.get(f"/nowhere-{number}/")
    assert not any("nowhere" in part for key in set(read()) - before for part in key)


@pytest.mark.django_db
def test_jobs_are_counted_by_status_and_priority(
    read: Callable[[], dict[tuple[str, ...], float]],
) -> None:
    make_asset()
    job = Job.objects.get()
    before = read()
    assert before["mediahub_jobs", "interactive", "pending"] == 1
    assert before["mediahub_jobs", "bulk", "completed"] == 0
    Job.objects.filter(pk=job.pk).update(
        created_at=timezone.now() - timedelta(hours=1), priority=Priority.BULK
    )
    old = read()
    assert 3590 < old["mediahub_job_oldest_pending_seconds", "bulk"] < 3700
    assert old["mediahub_job_oldest_pending_seconds", "interactive"] == 0
    Job.objects.filter(pk=job.pk).update(waiting_for="budget")
    assert read()["mediahub_job_oldest_pending_seconds", "bulk"] == 0  # it waits for no worker
    Job.objects.filter(pk=job.pk).update(status=JobStatus.COMPLETED, waiting_for="")
    after = read()
    assert after["mediahub_jobs", "bulk", "completed"] == 1
    assert after["mediahub_jobs", "interactive", "pending"] == 0


@pytest.mark.django_db
def test_bytes_are_told_by_where_they_are(
    read: Callable[[], dict[tuple[str, ...], float]],
) -> None:
    make_asset()
    blob = Blob.objects.get()
    stored = read()
    assert stored["mediahub_stored_bytes", "primary"] == blob.size
    assert stored["mediahub_stored_files", "primary"] == 1
    assert stored["mediahub_stored_bytes", "archive_copies"] == 0
    Blob.objects.update(whereabouts=Whereabouts.ARCHIVED, archive_key="copy")
    archived = read()
    assert archived["mediahub_stored_bytes", "primary"] == 0
    assert archived["mediahub_stored_bytes", "archived"] == blob.size
    assert archived["mediahub_stored_bytes", "archive_copies"] == blob.size


@pytest.mark.django_db
def test_workers_and_the_disk_are_told(read: Callable[[], dict[tuple[str, ...], float]]) -> None:
    now = timezone.now()
    WorkerHost.objects.create(name="w1", started_at=now, heartbeat_at=now - timedelta(seconds=100))
    told = read()
    assert 99 < told["mediahub_worker_heartbeat_age_seconds", "w1"] < 130
    assert told["mediahub_disk_free_bytes",] > 0
    assert told["mediahub_database_up",] == 1


@pytest.mark.django_db
def test_a_scrape_costs_few_queries(
    read: Callable[[], dict[tuple[str, ...], float]], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(6):
        read()


def test_a_database_that_is_away_is_a_number_and_no_failure(
    read: Callable[[], dict[tuple[str, ...], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> Any:
        raise OperationalError("gone")

    monkeypatch.setattr(metrics, "_jobs", away)
    told = read()
    assert told["mediahub_database_up",] == 0
    assert not any(key[0] == "mediahub_jobs" for key in told)
    assert told["mediahub_http_requests_running",] == 1


@pytest.mark.django_db
def test_a_disk_that_is_away_is_a_number_too(
    read: Callable[[], dict[tuple[str, ...], float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(storage, "free_bytes", away)
    assert read()["mediahub_disk_free_bytes",] == 0


# ------------------------------------------------------------------- several processes

COUNTING = """
import os, sys
from pathlib import Path
from mediahub import metric_files
metric_files.share(Path(sys.argv[1]))
from prometheus_client import Counter, Gauge
counter = Counter("done", "x")
gauge = Gauge("busy", "x", multiprocess_mode="livesum")
counter.inc(int(sys.argv[2]))
gauge.set(1)
if sys.argv[3] == "fork" and not (child := os.fork()):
    counter.inc(100)
    os._exit(0)
elif sys.argv[3] == "fork":
    os.waitpid(child, 0)
print("counted", flush=True)
sys.stdin.read()
"""


def _start(folder: Path, amount: int, fork: str = "") -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTING, str(folder), str(amount), fork],
        env={name: value for name, value in os.environ.items() if "DJANGO" not in name},
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "counted\n"
    return process


def _told(folder: Path) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in metric_files.SharedCollector(folder).collect()
        for sample in family.samples
    }


def test_processes_are_counted_together_and_the_dead_are_not_forgotten(tmp_path: Path) -> None:
    with _start(tmp_path, 1) as one, _start(tmp_path, 2) as two:
        assert _told(tmp_path)["done_total"] == 3
        assert _told(tmp_path)["busy"] == 2
        two.kill()
        two.wait()
        told = _told(tmp_path)
        assert told["done_total"] == 3  # what it did, it did
        assert told["busy"] == 1  # what it was doing, it does no more
        one.kill()


def test_whoever_comes_after_a_dead_process_takes_its_place_and_counts_on(tmp_path: Path) -> None:
    for _ in range(3):
        with _start(tmp_path, 1) as process:
            process.kill()
    assert _told(tmp_path)["done_total"] == 3
    assert len(list(tmp_path.glob("*.lock"))) == 1
    assert len(list(tmp_path.glob("counter_*.db"))) == 1


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    with _start(tmp_path, 1, "fork") as process:
        assert _told(tmp_path)["done_total"] == 101
        assert _told(tmp_path)["busy"] == 1  # the child is gone
        process.kill()


def test_numbers_of_the_dead_can_be_cleared_and_those_of_the_living_stay(tmp_path: Path) -> None:
    with _start(tmp_path, 1) as dead, _start(tmp_path, 2) as living:
        dead.kill()
        dead.wait()
        metric_files.forget_dead(tmp_path, counts=True)
        assert _told(tmp_path)["done_total"] == 2
        living.kill()


def test_a_broken_file_costs_the_numbers_of_processes_and_is_told(tmp_path: Path) -> None:
    (tmp_path / "counter_p0.db").write_bytes(struct.pack("ii", 4096, 0) + b"\x7f" * 4088)
    assert _told(tmp_path) == {"mediahub_process_numbers_readable": 0}


def test_a_folder_that_went_away_is_made_anew(tmp_path: Path) -> None:
    assert _told(tmp_path / "gone") == {"mediahub_process_numbers_readable": 1}


def test_a_command_counts_for_itself() -> None:
    assert metric_files.shared_folder() is None


def test_the_servers_processes_are_counted_together(
    start_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = start_server(WEB_WORKERS="2", METRICS_TOKEN=TOKEN, DATA_DIR=str(tmp_path / "data"))

    def counted() -> float:
        with server.client(headers=BEARER) as client:
            told = _samples(client.get("/metrics").text)
        return told["mediahub_http_requests_total", "GET", "200", "health"]

    for _ in range(20):  # each on a connection of its own, so that both processes get some
        with server.client() as client:
            client.get("/health")
    wait_until(lambda: counted() == 20, what="20 requests are counted")
    assert (tmp_path / "data" / "run" / "metrics").stat().st_mode & 0o777 == 0o700


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("staff", "scopes", "status"),
    [(True, ["read"], 200), (True, ["upload"], 403), (False, ["read"], 403)],
)
def test_staff_read_them_with_a_key_too(
    client: Client, staff: bool, scopes: list[str], status: int
) -> None:
    owner = make_user("robot", is_staff=staff)
    _, secret = ApiKey.objects.issue(owner=owner, label="scraper", scopes=scopes)
    answer = client.get("/metrics", headers={"Authorization": f"Token {secret}"})
    assert answer.status_code == status


@pytest.mark.django_db
def test_a_bad_token_beside_a_good_session_is_refused(client: Client) -> None:
    client.force_login(make_user("clerk", is_staff=True))
    assert client.get("/metrics").status_code == 200
    assert client.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 403

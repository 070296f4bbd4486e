"""Wake-ups by Redis and SQS: sent after the commit, and not missed where they are lost."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction
from django_q.brokers import get_broker
from django_q.conf import Conf
from django_q.models import OrmQ
from moto.server import ThreadedMotoServer

from media_assets.models import MediaAsset
from processing import engine, queue
from processing.models import Job, JobStatus
from tests.make import make_asset
from tests.processes import Keeper, Process, wait_until

pytestmark = pytest.mark.django_db(transaction=True)


@dataclass
class Outside:
    """A running broker: what a process needs to be told of it, and how to make it go away."""

    kind: str
    environment: dict[str, str]
    stop: Callable[[], None]
    conf: dict[str, Any] = field(default_factory=dict)

    def messages(self) -> int:
        return int(get_broker().queue_size())


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Outside]:
    program = shutil.which("redis-server")
    assert program, "Install redis-server, on Debian: apt-get install redis-server."
    port = free_port()
    process = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)],
        stdout=subprocess.DEVNULL,
    )
    keeper = Keeper(f"kill -9 {process.pid}")

    def stop() -> None:
        process.kill()
        process.wait()

    try:
        wait_until(lambda: answers(port), 20, what="Redis answers")
        url = f"redis://127.0.0.1:{port}/0"
        yield Outside(
            "redis",
            {"QUEUE_BROKER": "redis", "REDIS_URL": url},
            stop,
            {"REDIS": f"{url}?socket_connect_timeout=3&socket_timeout=5", "SQS": None},
        )
    finally:
        keeper.dismiss()
        stop()


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    # As an operator names another address: AWS' own variable, read by its own client.
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", endpoint)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    name = f"jobs-{uuid4()}"  # the queues of all such servers of a process are the same
    access = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    try:
        yield Outside(
            "sqs",
            {
                "QUEUE_BROKER": "sqs",
                "SQS_QUEUE": name,
                "S3_REGION": "eu-west-1",
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
            },
            server.stop,
            {
                "SQS": {"aws_region": "eu-west-1", **access},
                "REDIS": None,
                "CLUSTER_NAME": name,
            },
        )
    finally:
        server.stop()


@pytest.fixture(params=["redis", "sqs"])
def outside(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[Outside]:
    """Each of them, as this process's broker."""
    found: Outside = request.getfixturevalue(request.param)
    monkeypatch.setattr(Conf, "ORM", None)
    for name, value in found.conf.items():
        monkeypatch.setattr(Conf, name, value)
    settings.QUEUE_BROKER = found.kind
    settings.WORKERS = 1
    queue._outside.forget()
    yield found
    queue._outside.forget()


@pytest.fixture
def asset() -> MediaAsset:
    asset = make_asset()
    Job.objects.all().delete()
    OrmQ.objects.all().delete()
    return asset


def test_a_wake_up_is_sent_after_the_commit(asset: MediaAsset, outside: Outside) -> None:
    with transaction.atomic():
        engine.submit(asset=asset, steps=["inspect"])
        assert outside.messages() == 0
    assert outside.messages() == 1
    assert not OrmQ.objects.exists()


def test_a_rolled_back_submit_sends_nothing(asset: MediaAsset, outside: Outside) -> None:
    with transaction.atomic():
        engine.submit(asset=asset, steps=["inspect"])
        transaction.set_rollback(True)
    assert outside.messages() == 0
    assert not Job.objects.exists()


def test_wake_ups_do_not_pile_up(asset: MediaAsset, outside: Outside) -> None:
    for _ in range(10):
        engine.submit(asset=asset, steps=["inspect"])
    assert 1 <= outside.messages() <= 2


def test_a_broker_that_is_away_refuses_no_work(
    asset: MediaAsset, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside.stop()
    tried = list[None]()
    connect = queue.get_broker
    monkeypatch.setattr(queue, "get_broker", lambda: (tried.append(None), connect())[1])
    queue._outside.forget()
    for _ in range(3):
        engine.submit(asset=asset, steps=["inspect"])
    assert Job.objects.filter(status=JobStatus.PENDING).count() == 3
    assert len(tried) == 1  # and is left alone for a while


def test_a_real_worker_is_woken(
    asset: MediaAsset, outside: Outside, start_worker: Callable[..., Process]
) -> None:
    start_worker(**outside.environment)
    jobs = [engine.submit(asset=asset, steps=["inspect"]) for _ in range(3)]
    ids = [job.pk for job in jobs]

    def done() -> bool:
        mine = Job.objects.filter(pk__in=ids)
        return mine.filter(status=JobStatus.COMPLETED).count() == len(ids)

    wait_until(done, 60, what="the jobs are done")
    wait_until(lambda: outside.messages() == 0, 30, what="the messages are read")


def test_what_nobody_was_told_of_is_found_by_the_sweeper(
    asset: MediaAsset,
    outside: Outside,
    start_worker: Callable[..., Process],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As when a process dies between its commit and the message, or Redis forgets."""
    with monkeypatch.context() as patch:
        patch.setattr(queue, "wake", lambda **_: None)
        job = engine.submit(asset=asset, steps=["inspect"])
    assert outside.messages() == 0
    start_worker(**outside.environment)

    def done() -> bool:
        job.refresh_from_db()
        return job.status == JobStatus.COMPLETED

    wait_until(done, 60, what="the job is done")

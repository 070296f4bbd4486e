"""What the engine costs: rates against bare django-q2 in the same processes, latency, and fairness.

`python -m bench.engine [sqlite|postgres]`. Two worker processes of one host, as `manage.py worker` starts
them. The baseline is a django-q2 task that does nothing, carried by the same broker to the same workers; it
has no durable record, no lease and no retry.
"""

# ruff: noqa: PLC0415 - the settings are read once this run's database and folders are known
from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django
from django.conf import settings

from bench import harness, torture
from bench.harness import Result
from bench.torture import ROOT, Plan
from tests.processes import Process, wait_until

NOOPS = int(os.environ.get("ENGINE_NOOPS", "600"))
BULK = int(os.environ.get("ENGINE_BULK", "10000"))
BULK_S = 0.2  # of one bulk job, while an interactive one comes in
PROBES = 40
TIMEOUT_S = 120


def _prepare(url: str, folder: Path) -> dict[str, str]:
    plan = Plan("", workers=2, threads=4)
    env = torture.environment(url, folder, plan)
    env |= {"HOST_NAME": "engine", "JOB_LEASE_S": "15", "LOG_LEVEL": "WARNING"}
    os.environ.update(env)
    command = [sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"]
    subprocess.run(command, check=True, env=env, cwd=ROOT)
    django.setup()
    return env


def _noops(number: int, **fields: Any) -> None:
    from django.db import transaction

    from processing import engine
    from processing.models import JobKind

    with transaction.atomic():
        for _ in range(number):
            engine.submit(asset=None, steps=["noop"], kind=JobKind.BENCHMARK, **fields)


def _engine_rate() -> float:
    from processing.models import OPEN, Job

    _noops(NOOPS)
    began = time.perf_counter()
    waiting = Job.objects.filter(kind="benchmark", status__in=OPEN)
    wait_until(lambda: not waiting.exists(), TIMEOUT_S, every=0.02)
    return NOOPS / (time.perf_counter() - began)


def _bare_rate() -> float:
    from django.db import transaction
    from django_q.models import OrmQ
    from django_q.tasks import async_task

    wait_until(lambda: not OrmQ.objects.exists(), TIMEOUT_S)
    with transaction.atomic():
        for _ in range(NOOPS):
            async_task("bench.torture_app.noops.noop", save=False)
    began = time.perf_counter()
    wait_until(lambda: not OrmQ.objects.exists(), TIMEOUT_S, every=0.02)
    return NOOPS / (time.perf_counter() - began)


def _start_latency(probes: int, **fields: Any) -> list[float]:
    """Milliseconds from before a submit to the start of the job's step, one job at a time."""
    from processing import engine
    from processing.models import JobKind, JobStep, StepState

    dice = random.Random(1)
    waits = []
    for _ in range(probes):
        time.sleep(dice.uniform(0.1, 0.4))
        began = time.time()
        job = engine.submit(asset=None, steps=["noop"], kind=JobKind.BENCHMARK, **fields)
        step = JobStep.objects.filter(job=job, state=StepState.COMPLETED)
        wait_until(step.exists, TIMEOUT_S, every=0.02)
        started = step.get().started_at
        assert started is not None
        waits.append((started.timestamp() - began) * 1000)
    return sorted(waits)


def _enqueue() -> float:
    """Seconds to write down BULK jobs, chunk by chunk as a batch is filled."""
    from media_assets.models import Blob, Kind, MediaAsset, Space
    from processing import batches, engine
    from processing.models import Batch, Priority

    space = Space.objects.create(name="Engine")
    # Rows alone: no step of this looks at the bytes.
    blobs = [
        Blob(
            sha256=f"{n:064x}",
            md5=f"{n:032x}",
            size=1,
            mime_type="image/jpeg",
            kind=Kind.IMAGE,
            key=f"engine/{n}.jpg",
        )
        for n in range(BULK)
    ]
    Blob.objects.bulk_create(blobs, batch_size=1000)
    assets = [
        MediaAsset(space=space, blob=blob, kind=Kind.IMAGE, filename=f"{n}.jpg")
        for n, blob in enumerate(blobs)
    ]
    MediaAsset.objects.bulk_create(assets, batch_size=1000)
    batch = Batch.objects.create(space=space, label="engine", state="running")
    began = time.perf_counter()
    for at in range(0, BULK, batches.CHUNK):
        engine.submit_many(
            assets=assets[at : at + batches.CHUNK],
            batch=batch,
            steps=["noop"],
            params={"seconds": BULK_S},
            priority=Priority.BULK,
            requested_by=None,
        )
    return time.perf_counter() - began


def measure(database: str) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="mediahub-engine-") as name:
        folder = Path(name)
        with torture.database(database, folder) as url:
            env = _prepare(url, folder)
            command = [sys.executable, "manage.py", "worker", "--grace", "1"]
            worker = Process(command, env=env, log=folder / "worker.log", cwd=ROOT)
            try:
                found = _measure(database)
            except Exception as error:
                error.add_note(worker.output()[-3000:])
                raise
            finally:
                worker.terminate()
                worker.wait(30)
                worker.kill()
    return [asdict(each) for each in found]


def _measure(where: str) -> list[Result]:
    _noops(20)
    _engine_rate()  # warm: the workers have their threads and connections
    rates = [(_engine_rate(), _bare_rate()) for _ in range(3)]
    engine_rate, bare_rate = (max(each) for each in zip(*rates, strict=True))
    idle = _start_latency(PROBES)
    enqueue = _enqueue()
    busy = _start_latency(10)
    poll = settings.Q_CLUSTER["poll"] * 1000
    return [
        harness.at_least(
            f"{where}: no-op jobs / no-op tasks of bare django-q2", engine_rate / bare_rate, 0.6
        ),
        Result(f"{where}: no-op jobs", engine_rate, "jobs/s", bare_rate),
        Result(f"{where}: a job's share of time", 1000 / engine_rate, "ms", 1000 / bare_rate),
        harness.at_most(f"{where}: start when idle, p50", statistics.median(idle), 60, "ms", poll),
        harness.at_most(f"{where}: start when idle, p95", idle[int(PROBES * 0.95)], 150, "ms"),
        harness.at_most(
            f"{where}: start behind {BULK} bulk jobs of {BULK_S} s, most",
            busy[-1],
            BULK_S * 1000,
            "ms",
        ),
        Result(f"{where}: start behind bulk jobs, p50", statistics.median(busy), "ms"),
        Result(f"{where}: enqueue {BULK} jobs", enqueue, "s"),
    ]


def run() -> list[Result]:
    return [
        Result(**each)
        for database in ("sqlite", "postgres")
        for each in harness.in_child("bench.engine", "measure", database)
    ]


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["sqlite", "postgres"]
    rows = [
        Result(**each)
        for database in chosen
        for each in harness.in_child("bench.engine", "measure", database)
    ]
    harness.write(rows, "engine")

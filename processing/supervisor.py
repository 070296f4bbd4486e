"""Keeps one host's worker processes alive: starts django-q2's cluster, watches it, and sweeps.

django-q2 cannot tell when its cluster hangs: a worker killed while it waits for a task leaves the queue
locked for ever. So the supervisor watches from outside: work that nobody takes, and no sign of life from
any worker, mean that the cluster is killed as a whole and started anew. Leases bring its jobs back.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from processing import (
    context,
    drain,
    leases,
    queue,
    sandbox,
    schedule,
    spooling,
    sweeper,
)
from processing.clock import DbNow
from processing.models import Job, JobStatus, WorkerHost

logger = logging.getLogger(__name__)

LOOK_S = 1.0  # between two looks at the cluster and its leases
SWEEP_S = 3.0
HEARTBEAT_S = 5.0
HANG_S = 8.0  # work waits this long and no worker stirs: the cluster hangs
START_S = 20.0  # a cluster is given this long to start before it can count as hung
_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when the one that started it dies. Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)  # it died before we asked, so nobody will be told


class Cluster:
    """One django-q2 cluster: a process group of its own."""

    def __init__(self, *, concurrency: int, stop_file: Path) -> None:
        self._concurrency = concurrency
        self._stop_file = stop_file
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.restarts = -1

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    @property
    def age(self) -> float:
        return time.monotonic() - self._started

    def start(self) -> None:
        """Start it. From the main thread only: the kernel ties a child's life to the thread."""
        environment = {
            **os.environ,
            "WORKERS": str(self._concurrency),
            drain.STOP_FILE: str(self._stop_file),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "django", "qcluster"],
            env={**environment, "DJANGO_SETTINGS_MODULE": os.environ["DJANGO_SETTINGS_MODULE"]},
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509 - this process has no other threads
        )
        self._started = time.monotonic()
        self.restarts += 1

    def exited(self) -> bool:
        return self._process is not None and self._process.poll() is not None

    def kill(self) -> None:
        """End the whole group at once."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, *, grace: float) -> None:
        """Let running jobs end, for so long. TERM goes to the parent alone: the group would hang on it."""
        if self._process is None:
            return
        self._stop_file.touch()
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=grace)
        self.kill()


class Supervisor:
    def __init__(self, *, concurrency: int | None = None, grace: float | None = None) -> None:
        self._concurrency = concurrency or settings.WORKERS
        self._grace = settings.STOP_GRACE_S if grace is None else grace
        self._stopping = threading.Event()
        self._run_folder = Path(settings.DATA_DIR) / "run"
        self._stop_file = self._run_folder / f"stop-{os.getpid()}"
        self._cluster = Cluster(concurrency=self._concurrency, stop_file=self._stop_file)
        self._spool = spooling.Mover()
        self._due: dict[str, float] = {}
        self._waits_since: float | None = None

    def stop(self) -> None:
        self._stopping.set()

    def run(self) -> None:
        """Until `stop`. Ends with no process of its own left."""
        self._run_folder.mkdir(parents=True, exist_ok=True)
        self._remove_stop_files()
        started = timezone.now()
        try:
            self._cluster.start()
            self._spool.start()
            while not self._stopping.wait(LOOK_S):
                self._tend()
                self._every(HEARTBEAT_S, lambda: self._beat(started))
                self._every(LOOK_S, sweeper.give_back_dead_workers)
                self._every(SWEEP_S, sweeper.sweep)
                self._every(SWEEP_S, schedule.submit_due)
                self._every(SWEEP_S, context.remove_abandoned)
        finally:
            self._spool.stop()
            logger.info("Stopping: running jobs have %s s to end.", self._grace)
            self._cluster.stop(grace=self._grace)
            self._say_goodbye()
            self._stop_file.unlink(missing_ok=True)

    def _remove_stop_files(self) -> None:
        """Ours of an earlier life under the same number, and those of supervisors that were killed."""
        for path in self._run_folder.glob("stop-*"):
            pid = int(path.name.removeprefix("stop-"))
            if path == self._stop_file or not leases.process_lives(pid):
                path.unlink(missing_ok=True)

    def _every(self, seconds: float, act: Callable[[], object]) -> None:
        """Do it when it is due. A database that is away stops nothing else."""
        name = getattr(act, "__qualname__", repr(act))
        now = time.monotonic()
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + seconds
        try:
            act()
        except (DatabaseError, InterfaceError):
            logger.warning("The database did not answer the supervisor.", exc_info=True)
            connection.close()

    def _tend(self) -> None:
        if self._cluster.exited():
            logger.warning("The cluster ended; starting it anew.")
            self._cluster.kill()
            self._cluster.start()
        elif self._hangs():
            logger.error("The cluster hangs: work waits and no worker stirs. Starting it anew.")
            self._cluster.kill()
            self._cluster.start()

    def _hangs(self) -> bool:
        """Whether work was waiting at each look for some time, and no worker stirred meanwhile.

        What a job's own times say does not count: one that waited for a minute to be tried again has
        waited for a worker only since then.
        """
        quiet = drain.last_sign_of_life(self._run_folder)
        if self._cluster.age < START_S or quiet < 2 * LOOK_S or not self._work_waits():
            self._waits_since = None
            return False
        now = time.monotonic()
        if self._waits_since is None:
            self._waits_since = now
        return now - self._waits_since >= HANG_S

    def _work_waits(self) -> bool:
        try:
            return Job.objects.filter(
                status=JobStatus.PENDING,
                waiting_for="",
                host__in=("", leases.host_name()),
            ).exists()
        except (DatabaseError, InterfaceError):
            connection.close()
            return False

    def _beat(self, started: datetime) -> None:
        WorkerHost.objects.update_or_create(
            name=leases.host_name(),
            defaults={
                "pid": os.getpid(),
                "workers": self._concurrency,
                "started_at": started,
                "heartbeat_at": DbNow(),
                "info": {"cluster_pid": self._cluster.pid, "restarts": self._cluster.restarts},
            },
        )

    def _say_goodbye(self) -> None:
        """Give back what the last processes held, without counting it against the jobs."""
        context.remove_abandoned()
        with contextlib.suppress(DatabaseError, InterfaceError):
            sweeper.give_back_dead_workers(counts=False)
            WorkerHost.objects.filter(name=leases.host_name(), pid=os.getpid()).delete()


def prepare_cluster_process() -> None:
    """In the cluster's own process, before it forks: children die with their parents."""
    parent = 0

    def remember() -> None:
        nonlocal parent
        parent = os.getpid()

    os.register_at_fork(before=remember, after_in_child=lambda: die_with_parent(parent))
    queue.on_spawn(warm_up)


def warm_up() -> None:
    """Load the decoders while nobody waits: the first file of a process is as quick as the next."""
    threading.Thread(target=sandbox.warm, name="warm-up", daemon=True).start()

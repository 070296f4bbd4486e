"""Jobs on several hosts while all their processes are killed at random: nothing is lost or done twice.

`python -m bench.torture --database postgres --seconds 120 --jobs 500 --seed 1` tortures one database. Jobs
are plain, slow, flaky (break once), poison (kill their worker each time) and bombs (in the sandbox). A
seeded loop kills workers, whole clusters, each of django-q2's processes and the supervisors, which are
started again. Then all is drained and every promise is checked on the rows and on the marks of the runs.
"""

# ruff: noqa: PLC0415 - the settings are read once this run's database and folders are known
from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import django
import psutil
import psycopg

from bench import harness
from bench.harness import Result
from tests.postgres import Postgres
from tests.processes import Process, wait_until

ROOT = Path(__file__).parent.parent
MAX_ATTEMPTS = 4
LEASE_S = 4.0
DRAIN_S = 90.0
STOP_S = 30.0
ORPHAN_S = 5.0  # a process of a killed supervisor that lives longer is an orphan
ROLES = {"poison": 0.01, "bomb": 0.02, "slow": 0.1, "flaky": 0.25}
# What the chaos does, and how often of a hundred.
ACTS = {
    "kill worker": 34,
    "kill cluster": 12,
    "kill main": 6,
    "kill sentinel": 6,
    "kill pusher": 6,
    "kill monitor": 6,
    "terminate worker": 7,
    "stop worker": 11,
    "kill supervisor": 6,
    "terminate supervisor": 6,
}


@dataclass(frozen=True)
class Plan:
    database: str  # sqlite, postgres, or the URL of a server's database postgres://…/NAME
    seconds: float = float(os.environ.get("TORTURE_SECONDS", "120"))
    jobs: int = int(os.environ.get("TORTURE_JOBS", "500"))
    hosts: int = int(os.environ.get("TORTURE_HOSTS", "3"))
    workers: int = int(os.environ.get("TORTURE_WORKERS", "2"))
    threads: int = int(os.environ.get("TORTURE_THREADS", "3"))
    seed: int = int(os.environ.get("TORTURE_SEED", "1"))
    every: tuple[float, float] = (0.4, 1.6)  # seconds between two acts


class Host:
    """A supervisor under a name of its own, started again whenever it is gone."""

    def __init__(self, name: str, folder: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.data = folder / name
        self.data.mkdir()
        self._environment = {**environment, "HOST_NAME": name, "DATA_DIR": str(self.data)}
        self.lives: list[Process] = []
        self.start()

    def start(self) -> None:
        command = [sys.executable, "manage.py", "worker", "--grace", "5"]
        log = self.data / "worker.log"
        self.lives.append(Process(command, env=self._environment, log=log, cwd=ROOT))

    @property
    def supervisor(self) -> Process:
        return self.lives[-1]

    def processes(self) -> dict[str, list[psutil.Process]]:
        """The living processes of this host, by what they are."""
        found: dict[str, list[psutil.Process]] = defaultdict(list)
        with contextlib.suppress(psutil.Error):
            for main in psutil.Process(self.supervisor.pid).children():
                found["main"].append(main)
                for sentinel in main.children():
                    found["sentinel"].append(sentinel)
                    for child in sentinel.children():
                        found[child.name().removeprefix("q-")].append(child)
        return found


@dataclass
class Chaos:
    """The acts, drawn from a seed; which process they meet depends on the moment."""

    hosts: list[Host]
    random: random.Random
    done: Counter[str] = field(default_factory=Counter)
    wakers: list[threading.Timer] = field(default_factory=list)

    def act(self) -> None:
        what = self.random.choices(list(ACTS), weights=list(ACTS.values()))[0]
        host = self.random.choice(self.hosts)
        verb, _, noun = what.partition(" ")
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if noun == "supervisor":
                number = signal.SIGKILL if verb == "kill" else signal.SIGTERM
                os.kill(host.supervisor.pid, number)
            elif noun == "cluster":
                for main in host.processes()["main"]:
                    os.killpg(main.pid, signal.SIGKILL)
            else:
                there = host.processes()[noun]
                if not there:
                    return
                self._meet(verb, self.random.choice(there))
            self.done[what] += 1

    def _meet(self, verb: str, process: psutil.Process) -> None:
        if verb == "kill":
            process.kill()
        elif verb == "terminate":
            process.terminate()
        else:
            process.suspend()
            # A thread of its own: who sleeps may hold SQLite's lock, for which this one waits.
            waker = threading.Timer(self.random.uniform(1, 1.8 * LEASE_S), _resume, [process])
            waker.start()
            self.wakers.append(waker)

    def end(self) -> None:
        """Nothing sleeps any more."""
        for waker in self.wakers:
            waker.join()

    def tend(self) -> None:
        """Start the supervisors that are gone."""
        for host in self.hosts:
            if not host.supervisor.running:
                host.start()


def _resume(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.resume()


# ------------------------------------------------------------------- the databases


@contextlib.contextmanager
def database(which: str, folder: Path) -> Iterator[str]:
    """The address of an empty database, gone afterwards."""
    if which == "sqlite":
        yield f"sqlite:///{folder / 'torture.sqlite3'}"
    elif which == "postgres":
        server = Postgres()
        try:
            with _new_database(server.url()) as url:
                yield url
        finally:
            server.stop()
    else:
        with _new_database(which) as url:
            yield url


@contextlib.contextmanager
def _new_database(server: str) -> Iterator[str]:
    user, _, rest = server.removeprefix("postgres://").partition("@/")
    folder = rest.rpartition("/")[0]
    name = f"torture_{secrets.token_hex(4)}"
    options: dict[str, Any] = {"host": folder, "user": user, "dbname": "postgres"}
    with psycopg.connect(**options, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{server.rpartition('/')[0]}/{name}"
    finally:
        with psycopg.connect(**options, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def environment(url: str, folder: Path, plan: Plan) -> dict[str, str]:
    marks = folder / "marks"
    marks.mkdir(exist_ok=True)
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "bench.torture_settings",
        "DATABASE_URL": url,
        "DATA_DIR": str(folder / "bench"),
        "MEDIA_ROOT": str(folder / "media"),
        "ENV_FILE": "",
        "LOG_FILE": "none",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "TORTURE_MARKS": str(marks),
        "WORKERS": str(plan.workers),
        "JOB_THREADS": str(plan.threads),
        "JOB_LEASE_S": str(LEASE_S),
        "JOB_MAX_ATTEMPTS": str(MAX_ATTEMPTS),
    }


# ------------------------------------------------------------------- the run


@dataclass
class Run:
    """What one torture did and found."""

    plan: Plan
    kills: Counter[str] = field(default_factory=Counter)
    numbers: dict[str, float] = field(default_factory=dict)
    resumes: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def torture(plan: Plan, *, say: Callable[[str], None] = lambda _: None) -> Run:
    """Do it in this process, whose settings are not read yet."""
    with tempfile.TemporaryDirectory(prefix="mediahub-torture-") as name:
        folder = Path(name)
        with database(plan.database, folder) as url:
            env = environment(url, folder, plan)
            os.environ.update(env)
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "--run-syncdb", "-v", "0"],
                check=True,
                env=env,
                cwd=ROOT,
            )
            django.setup()
            return _torture(plan, folder, env, say)


def _torture(plan: Plan, folder: Path, env: dict[str, str], say: Callable[[str], None]) -> Run:
    from django.db import connection  # after django.setup: the settings are this run's

    run = Run(plan)
    hosts = [Host(f"host{n}", folder, env) for n in range(plan.hosts)]
    try:
        chaos = Chaos(hosts, random.Random(plan.seed))
        rolled_back = _submit_through(plan, chaos, say)
        run.kills = chaos.done
        chaos.end()
        began = time.monotonic()
        drained = _drain(chaos)
        run.numbers["seconds to drain"] = time.monotonic() - began
        run.numbers["not drained"] = 0 if drained else 1
        time.sleep(ORPHAN_S)
        run.numbers["orphans"] = sum(len(old.family()) for h in hosts for old in h.lives[:-1])
        run.numbers["supervisors that did not stop"] = _stop(hosts)
        run.numbers["processes left"] = sum(len(old.family()) for h in hosts for old in h.lives)
        left = [path for host in hosts for path in (host.data / "run" / "jobs").glob("*")]
        left += [path for host in hosts for path in (host.data / "run").glob("stop-*")]
        run.numbers["temporary files left"] = len(left)
        _judge(run, folder / "marks", rolled_back)
        connection.close()
        _from_logs(run, hosts)
    finally:
        for host in hosts:
            for life in host.lives:
                life.kill()
    return run


def _submit_through(plan: Plan, chaos: Chaos, say: Callable[[str], None]) -> set[str]:
    """Jobs come in over four fifths of the time; the ids of those that were taken back."""
    began = time.monotonic()
    submitted, rolled_back = 0, set()
    next_act = began + 3  # the first clusters are up
    dice = random.Random(plan.seed + 1)
    roles = _roles(plan, dice)
    while (now := time.monotonic()) < began + plan.seconds:
        due = min(plan.jobs, math.ceil(plan.jobs * (now - began) / (plan.seconds * 0.8)))
        while submitted < due:
            if dice.random() < 0.1:
                rolled_back.add(_submit(roles[submitted], submitted, dice, keep=False))
            _submit(roles[submitted], submitted, dice, keep=True)
            submitted += 1
        chaos.tend()
        if now > next_act:
            chaos.act()
            next_act = now + chaos.random.uniform(*plan.every)
            say(f"{now - began:5.0f} s  {submitted} jobs, {sum(chaos.done.values())} acts")
        time.sleep(0.05)
    return rolled_back


def _roles(plan: Plan, dice: random.Random) -> list[str]:
    roles = [role for role, share in ROLES.items() for _ in range(max(1, round(plan.jobs * share)))]
    roles += ["plain"] * (plan.jobs - len(roles))
    dice.shuffle(roles)
    return roles


def _submit(role: str, number: int, dice: random.Random, *, keep: bool) -> str:
    from django.db import transaction

    from processing import engine
    from processing.models import JobKind, Priority

    seconds = dice.uniform(1, 2) if role == "slow" else dice.uniform(0.05, 0.5)
    with transaction.atomic():
        job = engine.submit(
            asset=None,
            steps=["torture"],
            kind=JobKind.BENCHMARK,
            priority=dice.choice([Priority.INTERACTIVE, Priority.BULK]),
            params={"role": role, "number": number, "seconds": seconds},
        )
        if not keep:
            transaction.set_rollback(True)
    return str(job.pk)


def _drain(chaos: Chaos) -> bool:
    from processing.models import OPEN, Job

    def empty() -> bool:
        chaos.tend()
        return not Job.objects.filter(kind="benchmark", status__in=OPEN).exists()

    with contextlib.suppress(AssertionError):
        return wait_until(empty, DRAIN_S, every=0.2)
    return False


def _stop(hosts: list[Host]) -> int:
    late = 0
    for host in hosts:
        host.supervisor.terminate()
    for host in hosts:
        try:
            host.supervisor.wait(STOP_S)
        except AssertionError:
            late += 1
    return late


# ------------------------------------------------------------------- the judgement


def _judge(run: Run, marks: Path, rolled_back: set[str]) -> None:
    from django.db.models import Count

    from bench.torture_app.models import Effect
    from processing.models import Job, JobStatus

    jobs = {str(job.pk): job for job in Job.objects.filter(kind="benchmark")}
    effects = {
        str(row["job"]): row["n"] for row in Effect.objects.values("job").annotate(n=Count("pk"))
    }
    runs = read_marks(marks)
    count: Counter[str] = Counter()
    for key, job in jobs.items():
        role = job.params["role"]
        count["ended"] += job.status in (JobStatus.COMPLETED, JobStatus.FAILED)
        count["lost"] += job.status not in (JobStatus.COMPLETED, JobStatus.FAILED)
        count["done twice"] += effects.get(key, 0) > 1
        count["done without effect"] += (job.status == JobStatus.COMPLETED) != (key in effects)
        ended = (job.error_code, job.attempts)
        if role == "poison":
            count["poison"] += 1
            right = ended == ("WORKER_LOST", MAX_ATTEMPTS) and len(runs[key]) <= MAX_ATTEMPTS
            count["poison ended otherwise"] += not right
        elif job.error_code == "WORKER_LOST":
            count["blamed for others"] += 1
            run.notes.append(f"blamed: {role} {key} runs {sorted(runs[key])}")
        elif role == "bomb":
            count["bombs ended otherwise"] += job.error_code != "LIMIT_EXCEEDED"
        else:
            count["failed otherwise"] += job.status != JobStatus.COMPLETED
            if job.status != JobStatus.COMPLETED:
                run.notes.append(f"{role} {key}: {job.status} {job.error_code} {job.error_message}")
    count["lost"] += run.plan.jobs - len(jobs)
    count["ran though rolled back"] = len(rolled_back & runs.keys())
    count["overlapping"] = sum(overlap(each) for each in runs.values())
    count["runs"] = sum(len(each) for each in runs.values())
    run.resumes = sorted(gap for each in runs.values() for gap in gaps(each))
    run.numbers |= count


Marks = dict[int, list[tuple[str, float]]]


def read_marks(folder: Path) -> dict[str, Marks]:
    """For each job and token: what happened when, in order."""
    found: dict[str, Marks] = defaultdict(lambda: defaultdict(list))
    for path in folder.glob("*.jsonl"):
        for line in path.read_text().splitlines():
            what, job, token, at, _ = json.loads(line)
            found[job][token].append((what, at))
    for runs in found.values():
        for entries in runs.values():
            entries.sort(key=lambda entry: entry[1])
    return found


def overlap(runs: Marks) -> bool:
    """Whether a run found itself entitled to act after a later one had begun."""
    began = {token: entries[0][1] for token, entries in runs.items()}
    return any(
        what == "act" and at > start
        for token, entries in runs.items()
        for later, start in began.items()
        if later > token
        for what, at in entries
    )


def gaps(runs: Marks) -> list[float]:
    """Seconds from the last sign of a run that was cut off to the start of the next."""
    tokens = sorted(runs)
    return [
        max(0.0, runs[after][0][1] - runs[before][-1][1])
        for before, after in itertools.pairwise(tokens)
        if runs[before][-1][0] != "broke"
    ]


def _from_logs(run: Run, hosts: list[Host]) -> None:
    text = "".join((host.data / "worker.log").read_text(errors="replace") for host in hosts)
    run.numbers["clusters started anew"] = text.count("The cluster ended")
    run.numbers["clusters that hung"] = text.count("The cluster hangs")
    run.numbers["errors in the log"] = text.count("Traceback")
    if keep := os.environ.get("TORTURE_LOG"):
        Path(keep).write_text(text)


# ------------------------------------------------------------------- the report

MUST_BE_NONE = (
    "lost",
    "done twice",
    "done without effect",
    "overlapping",
    "ran though rolled back",
    "poison ended otherwise",
    "bombs ended otherwise",
    "failed otherwise",
    "not drained",
    "orphans",
    "supervisors that did not stop",
    "processes left",
    "temporary files left",
)
COUNTED = (
    "poison",
    "blamed for others",
    "runs",
    "clusters started anew",
    "clusters that hung",
    "errors in the log",
)


def results(run: Run) -> list[Result]:
    where = run.plan.database.partition(":")[0]
    numbers = run.numbers
    p99 = run.resumes[min(len(run.resumes) - 1, int(len(run.resumes) * 0.99))] if run.resumes else 0
    table = [Result(f"{where}: jobs ended", numbers["ended"], f"of {run.plan.jobs}")]
    table += [harness.at_most(f"{where}: {name}", numbers.get(name, 0), 0) for name in MUST_BE_NONE]
    table += [Result(f"{where}: {name}", numbers.get(name, 0), "") for name in COUNTED]
    table += [
        harness.at_most(f"{where}: p99 of resuming after a kill", p99, 30, "s"),
        Result(f"{where}: runs cut off", len(run.resumes), ""),
        Result(f"{where}: seconds to drain", numbers["seconds to drain"], "s"),
    ]
    table += [Result(f"{where}: {act}", n, "times") for act, n in sorted(run.kills.items())]
    return table


def measure(database: str) -> list[dict[str, Any]]:
    return [asdict(result) for result in results(torture(Plan(database)))]


def run() -> list[Result]:
    """On both databases, each in a Python of its own."""
    return [
        Result(**each)
        for database in ("sqlite", "postgres")
        for each in harness.in_child("bench.torture", "measure", database)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", default="sqlite")
    for name in ("seconds", "jobs", "hosts", "workers", "threads", "seed"):
        default = getattr(Plan, name)
        parser.add_argument(f"--{name}", type=type(default), default=default)
    parser.add_argument("--results", type=Path, help="Write the report here too, as JSON.")
    arguments = vars(parser.parse_args())
    copy = arguments.pop("results")
    plan = Plan(**arguments)
    done = torture(plan, say=print)
    report = results(done)
    for note in done.notes:
        print(note)
    written = harness.write(report, f"torture-{plan.database.partition(':')[0]}")
    if copy is not None:
        copy.write_text(json.dumps(written))
    return 0 if all(each.ok is not False for each in report) else 1


if __name__ == "__main__":
    sys.exit(main())

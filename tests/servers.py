"""The real web server and the real worker, as processes on the test's database and data folder.

Their fixtures make a test transactional: what the test commits, the processes see.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from tests.processes import Process, wait_until
from tests.reports import show_on_failure

ROOT = Path(__file__).parent.parent
_GUNICORN = Path(sys.executable).with_name("gunicorn")
_number = itertools.count(1)

# A setting's new value for a process, or None to unset it.
Change: TypeAlias = str | None


class Server:
    """A running gunicorn. `client()` speaks to it; `url` has no slash at its end."""

    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def client(self, **options: object) -> httpx.Client:
        """An HTTP client for this server alone; close it, or use it in a `with`."""
        return httpx.Client(base_url=self.url, trust_env=False, timeout=20, **options)  # type: ignore[arg-type]

    def wait_until_live(self, timeout: float = 30) -> None:
        def answers() -> bool:
            if not self.process.running:
                raise AssertionError("gunicorn ended")
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.url}/health/live", trust_env=False).is_success
            return False

        wait_until(answers, timeout, what=f"{self.url} is live", every=0.05)


def process_environment(**changes: Change) -> dict[str, str]:
    """The environment of a process on the database and data folder of this test."""
    from django.db import connection

    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        url = f"sqlite:///{name}"
    else:
        url = os.environ["DATABASE_URL"].rsplit("/", 1)[0] + f"/{name}"
    merged: dict[str, Change] = {**os.environ, "DATABASE_URL": url, **changes}
    merged.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)
    return {key: value for key, value in merged.items() if value is not None}


def run_server(log: Path, **changes: Change) -> Server:
    """Start gunicorn on a free port. The caller stops `.process`."""
    # We bind, gunicorn inherits: no port is lost to another process in between.
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        process = Process(
            [
                _GUNICORN,
                *("--config", "python:mediahub.gunicorn"),
                *("--bind", f"fd://{listener.fileno()}"),
                "mediahub.wsgi",
            ],
            env=process_environment(HOST="127.0.0.1", PORT=str(port), **changes),
            log=log,
            cwd=ROOT,
            pass_fds=[listener.fileno()],
        )
    server = Server(process, port)
    try:
        server.wait_until_live()
    except BaseException as error:
        process.kill()
        error.add_note(f"The last of {log}:\n{process.output()[-3000:]}")
        raise
    return server


def run_command(log: Path, *arguments: str, **changes: Change) -> Process:
    """Start `manage.py` with these arguments. The caller stops it."""
    return Process(
        [sys.executable, "manage.py", *arguments],
        env=process_environment(**changes),
        log=log,
        cwd=ROOT,
    )


@pytest.fixture(scope="session")
def _shared_server(
    django_db_setup: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = run_server(tmp_path_factory.mktemp("server") / "gunicorn.log")
    yield server
    server.process.stop(timeout=40)


@pytest.fixture
def server(
    request: pytest.FixtureRequest, transactional_db: None, _shared_server: Server
) -> Server:
    """A gunicorn with the settings of the tests, shared by all tests of this process."""
    show_on_failure(request.node, _shared_server.process.log)
    return _shared_server


@pytest.fixture
def start_server(
    request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """`start_server(MAX_IMAGE_MB="1")`: a gunicorn of this test's own, with other settings."""
    servers: list[Server] = []

    def start(**changes: Change) -> Server:
        log = tmp_path / f"gunicorn-{next(_number)}.log"
        servers.append(run_server(log, **{"WEB_WORKERS": "1", **changes}))
        show_on_failure(request.node, servers[-1].process.log)
        return servers[-1]

    yield start
    for each in servers:
        each.process.kill()


@pytest.fixture
def start_command(
    request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path
) -> Iterator[Callable[..., Process]]:
    """`start_command("verify_media", "--json", DEBUG="true")`: any command, in its own process."""
    processes: list[Process] = []

    def start(*arguments: str, **changes: Change) -> Process:
        log = tmp_path / f"{arguments[0]}-{next(_number)}.log"
        processes.append(run_command(log, *arguments, **changes))
        show_on_failure(request.node, log)
        return processes[-1]

    yield start
    # Ask all of them first: they end side by side.
    for each in processes:
        each.terminate()
    for each in processes:
        with contextlib.suppress(AssertionError):
            each.wait(5)
        each.kill()


@pytest.fixture
def start_worker(start_command: Callable[..., Process]) -> Callable[..., Process]:
    """`start_worker(JOB_LEASE_S="2")`: a real worker, with its supervisor and processes."""

    def start(**changes: Change) -> Process:
        return start_command("worker", **{"WORKERS": "1", **changes})

    return start


@pytest.fixture
def worker(start_worker: Callable[..., Process]) -> Process:
    """A running worker."""
    return start_worker()

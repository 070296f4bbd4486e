"""`python -m mediahub`, what `make run` starts: the real web server and worker on a folder of their own."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.processes import Process, wait_until
from tests.reports import show_on_failure

ROOT = Path(__file__).parent.parent.parent
pytestmark = pytest.mark.process

Environment = dict[str, str]


@pytest.fixture
def database_url(tmp_path: Path) -> Iterator[str]:
    """An empty database, of the kind that this run of the tests is on."""
    server = os.environ.get("MEDIAHUB_TEST_POSTGRES")
    if not server:
        yield f"sqlite:///{tmp_path}/data/mediahub.sqlite3"
        return
    name = f"up_{secrets.token_hex(6)}"
    # postgres://user@/folder/postgres, in the form that psycopg reads.
    user, _, folder = server.removeprefix("postgres://").rpartition("/")[0].partition("@/")
    with psycopg.connect(host=folder, user=user, dbname="postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
        yield f"{server.rpartition('/')[0]}/{name}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def environment(tmp_path: Path, database_url: str) -> Environment:
    """That of a shell which knows nothing of the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "ENV_FILE": "",
        "DATA_DIR": str(tmp_path / "data"),
        "DATABASE_URL": database_url,
        "PORT": "0",
        "WEB_WORKERS": "1",
        "WORKERS": "1",
        "STATIC_MANIFEST": "false",
    }


@pytest.fixture
def start(
    request: pytest.FixtureRequest, tmp_path: Path, environment: Environment
) -> Iterator[Callable[..., Process]]:
    processes: list[Process] = []

    def start(**changes: str) -> Process:
        log = tmp_path / f"up-{len(processes)}.log"
        process = Process(
            [sys.executable, "-m", "mediahub"],
            env={**environment, **changes},
            log=log,
            cwd=ROOT,
        )
        processes.append(process)
        show_on_failure(request.node, log)
        return process

    yield start
    for process in processes:
        process.kill()


def address_of(process: Process) -> str:
    """Where it says that it runs, once it does."""

    def told() -> str:
        assert process.running, process.output()
        found = re.search(r"^MediaHub runs at (http://\S+)/$", process.output(), re.MULTILINE)
        return found[1] if found else ""

    return wait_until(told, timeout=90, what="MediaHub runs")


def refused(environment: Environment, **changes: str) -> str:
    """What it says when it cannot start: one line, and no traceback."""
    done = subprocess.run(
        [sys.executable, "-m", "mediahub"],
        env={**environment, **changes},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def worker_is_alive(environment: Environment) -> bool:
    command = [sys.executable, "manage.py", "worker_alive"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=False)
    return done.returncode == 0


def sign_in(address: str, password: str) -> bool:
    with httpx.Client(base_url=address, trust_env=False) as client:
        client.get("/login/")
        form = {"username": "admin", "password": password}
        token = client.cookies["csrftoken"]
        answer = client.post(
            "/login/?next=/admin/",
            data=form,
            headers={"X-CSRFToken": token, "Referer": address},
        )
        return answer.status_code == 302


def test_a_first_start_makes_everything_and_a_second_finds_it(
    start: Callable[..., Process], environment: Environment, tmp_path: Path
) -> None:
    first = start()
    address = address_of(first)

    assert httpx.get(f"{address}/health/live", trust_env=False).json() == {"status": "ok"}
    found = re.search(r"Made the admin user admin with the password (\S+)", first.output())
    assert found is not None
    assert sign_in(address, found[1])
    wait_until(lambda: worker_is_alive(environment), timeout=30, what="the worker works")
    assert first.stop(timeout=30) == 0
    assert first.family() == []
    assert (tmp_path / "data/admin-password").read_text() == found[1] + "\n"
    for path in [tmp_path / "data", *(tmp_path / "data").rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path} {mode:o}"

    second = start()
    address = address_of(second)

    assert sign_in(address, found[1])
    assert found[1] not in second.output()
    assert f"stands in {tmp_path}/data/admin-password" in second.output()
    assert "Migrating" not in second.output()
    assert second.stop(timeout=30) == 0


def test_nothing_is_left_when_it_is_killed(start: Callable[..., Process]) -> None:
    process = start()
    address_of(process)
    wait_until(lambda: len(process.family()) > 5, timeout=30, what="the worker's processes run")

    os.kill(process.pid, signal.SIGKILL)

    process.wait()
    wait_until(lambda: not process.family(), what="nothing is left")


def test_a_killed_web_server_is_started_again_and_refuses_nobody(
    start: Callable[..., Process],
) -> None:
    process = start()
    address = address_of(process)
    (master,) = [
        each
        for each in process.family()
        if "gunicorn" in each.cmdline() and each.ppid() == process.pid
    ]

    master.kill()

    # The port belongs to the parent: a request of this moment waits for the new server.
    answer = httpx.get(f"{address}/health/live", trust_env=False, timeout=60)
    assert answer.is_success
    assert "web ended (signal 9, Killed)" in process.output()


def test_a_web_server_that_cannot_start_is_told(start: Callable[..., Process]) -> None:
    process = start(GUNICORN_CMD_ARGS="--worker-class nonsense")

    assert process.wait(timeout=90) == 1

    assert "web cannot start; the reason stands above." in process.output()
    assert process.family() == []


def test_a_port_in_use_is_told_in_one_line(environment: Environment, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        said = refused(environment, PORT=port)

    assert (
        said == f"Port {port} on 127.0.0.1 is in use. Stop what uses it, or set PORT to a free one."
    )
    assert not (tmp_path / "data/mediahub.sqlite3").exists()


@pytest.mark.parametrize("port", ["http", "-1", "70000"])
def test_a_port_that_is_none_is_told_in_one_line(environment: Environment, port: str) -> None:
    assert refused(environment, PORT=port).startswith("PORT ")


def test_an_address_of_another_machine_is_told_in_one_line(environment: Environment) -> None:
    said = refused(environment, HOST="192.0.2.1")
    assert said == "Cannot listen at HOST=192.0.2.1 PORT=0: Cannot assign requested address."


def test_a_folder_that_cannot_be_written_to_is_told_in_one_line(
    environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")

    said = refused(environment, DATA_DIR=str(tmp_path / "file"))

    assert said.startswith(f"DATA_DIR {tmp_path}/file cannot be written to: Not a directory.")


def test_a_folder_without_permission_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    code = (
        "import os; from pathlib import Path; from mediahub import datadir\n"
        # Root may write anywhere, so it becomes nobody, once it stands in the folder above.
        "if os.geteuid() == 0: os.chdir(sys.argv[1]); os.chown('closed', 65534, 65534); os.setuid(65534)\n"
        "else: os.chdir(sys.argv[1])\n"
        "try: datadir.prepare(Path('closed'))\n"
        "except datadir.CannotStart as error: print(error)"
    )
    tmp_path.chmod(0o711)

    done = subprocess.run(
        [sys.executable, "-c", f"import sys; {code}", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.startswith("DATA_DIR closed cannot be written to: Permission denied.")
    assert list(folder.iterdir()) == []


def test_a_setting_that_cannot_be_read_is_told_in_one_line(environment: Environment) -> None:
    assert "STOP_GRACE_S is 'long'" in refused(environment, STOP_GRACE_S="long")


def test_a_database_that_is_away_is_told(start: Callable[..., Process]) -> None:
    process = start(DATABASE_URL="postgres://nobody@127.0.0.1:1/none")

    assert process.wait(timeout=90) != 0

    assert "The database does not answer: connection failed" in process.output()
    assert "Traceback" not in process.output()

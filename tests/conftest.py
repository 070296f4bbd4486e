"""The ground all tests stand on: a folder and a database for each process, a fixed environment, rules.

The first process of a run makes the run's folder and starts PostgreSQL where it is asked for; the
processes that run tests inherit both by their environment and get a data folder and database each.
"""

from __future__ import annotations

import atexit
import os
import re
import secrets
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings

from tests.postgres import Postgres, PostgresNotFound
from tests.processes import Keeper, remove_folder

pytest_plugins = ["tests.reports", "tests.servers", "tests.browser", "tests.buckets"]

ROOT = Path(__file__).parent.parent

# Between the processes of one run.
_RUN_FOLDER = "MEDIAHUB_TEST_RUN"
_RUN_POSTGRES = "MEDIAHUB_TEST_POSTGRES"

# Their rows are made by migrations and stay: servers that outlive a test remember the ids.
_KEPT_TABLES = frozenset({"django_content_type", "auth_permission", "django_migrations"})


# ------------------------------------------------------------------- the run and its environment


def pytest_configure(config: pytest.Config) -> None:
    # Here and not in the ini file: the settings must be read after this environment is made, and the
    # plugin for Django reads them first where it knows their name.
    if django_settings.configured:
        raise pytest.UsageError(
            "Unset DJANGO_SETTINGS_MODULE: the tests choose their own settings."
        )
    is_worker = hasattr(config, "workerinput")
    if not is_worker:
        _begin_run()
    if is_worker or not _hands_out_tests(config):
        _enter_run(os.environ.get("PYTEST_XDIST_WORKER", "main") if is_worker else "main")


def _hands_out_tests(config: pytest.Config) -> bool:
    """Whether other processes run the tests, and this one needs no Django."""
    return bool(config.getoption("tx", None)) and not config.option.collectonly


def _begin_run() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mediahub-tests-"))
    # The processes that run tests notice after some seconds that the first one was killed; until then
    # theirs go on writing.
    keeper = Keeper(remove_folder(folder), "sleep 20", remove_folder(folder))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(keeper.dismiss)
    os.environ[_RUN_FOLDER] = str(folder)
    os.environ["SECRET_KEY"] = secrets.token_urlsafe(50)
    os.environ.pop(_RUN_POSTGRES, None)
    kind = os.environ.get("TEST_DATABASE", "sqlite")
    if kind == "postgres":
        try:
            server = Postgres()
        except PostgresNotFound as error:
            raise pytest.UsageError(str(error)) from error
        atexit.register(server.stop)
        os.environ[_RUN_POSTGRES] = server.url()
    elif kind != "sqlite":
        raise pytest.UsageError(f"TEST_DATABASE is sqlite or postgres, not {kind!r}.")


def _enter_run(name: str) -> None:
    """The environment of a process that runs tests, whatever the shell's is."""
    folder = Path(os.environ[_RUN_FOLDER]) / name
    data, static = folder / "data", folder / "static"
    for each in (data, static):
        each.mkdir(parents=True, mode=0o700)
    for variable in (*_documented_settings(), *_PROXIES):
        os.environ.pop(variable, None)
    os.environ.update(
        DJANGO_SETTINGS_MODULE="mediahub.settings",
        ENV_FILE="",  # none
        DATA_DIR=str(data),
        DEBUG="false",
        ALLOWED_HOSTS="127.0.0.1,localhost",
        DATABASE_URL=os.environ.get(_RUN_POSTGRES) or f"sqlite:///{folder}/unused.sqlite3",
        LOG_FILE=str(folder / "media.log"),
        STATIC_ROOT=str(static),
        STATIC_MANIFEST="false",  # static files are served from where they lie, uncollected
    )
    _ = django_settings.DATABASES  # reads the settings; the plugin for Django sets up what is read


_PROXIES = [
    each
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for each in (name, name.upper())
]


def _documented_settings() -> set[str]:
    """The names in `.env.example`: a developer's own values are no business of the tests."""
    example = ROOT / ".env.example"
    text = example.read_text() if example.exists() else ""
    names = set(re.findall(r"^#?\s*([A-Z][A-Z0-9_]+)=", text, re.MULTILINE))
    return names - {"SECRET_KEY"}  # made for this run


def worker_folder() -> Path:
    """A folder of this process that outlives each test: the database lies there, and logs."""
    return Path(django_settings.DATA_DIR).parent


# ------------------------------------------------------------------- the database


@pytest.fixture(scope="session")
def django_db_modify_db_settings() -> None:
    """One database for each process that runs tests; on SQLite a file, which other processes open."""
    from django.db import connections

    folder = worker_folder()
    sqlite = connections["default"].vendor == "sqlite"
    name = str(folder / "test.sqlite3") if sqlite else f"test_mediahub_{folder.name}"
    connections.databases["default"].setdefault("TEST", {})["NAME"] = name


@pytest.fixture(scope="session", autouse=True)
def _quick_flush() -> Iterator[None]:
    """After a test that commits, delete rows where there are any.

    Django's own flush empties every table and makes content types and permissions anew, with other
    ids, which a server that goes on running between tests would not know of.
    """
    from django.test import TransactionTestCase

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _: _delete_rows())
        yield


def _delete_rows() -> None:
    from django.core.cache import cache
    from django.db import connection, transaction

    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    tables = [connection.ops.quote_name(name) for name in names if name not in _KEPT_TABLES]
    filled = " UNION ALL ".join(
        f"SELECT {number} WHERE EXISTS (SELECT 1 FROM {table})"
        for number, table in enumerate(tables)
    )
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(filled)
        for (number,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM {tables[number]}")
    cache.clear()


# ------------------------------------------------------------------- around each test


@pytest.fixture(autouse=True)
def _quick_passwords(request: pytest.FixtureRequest, settings: Any) -> None:
    """Cheap password hashes, but where a server of its own process must read them."""
    if not any(request.node.get_closest_marker(name) for name in ("process", "browser")):
        cheap = "django.contrib.auth.hashers.MD5PasswordHasher"
        settings.PASSWORD_HASHERS = [cheap, *settings.PASSWORD_HASHERS]


@pytest.fixture(autouse=True)
def _empty_data_folder() -> Iterator[None]:
    """No test finds the files of another."""
    yield
    folder = Path(django_settings.DATA_DIR)
    # The shared server counts on in files that it holds open.
    kept = {folder / "run", folder / "run" / "metrics"}
    for entry in {*folder.glob("run/*"), *folder.glob("*")} - kept:
        if entry.is_dir():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)


@pytest.fixture(autouse=True)
def _nothing_counted() -> Iterator[None]:
    """What this process counts for users it has met: in the next test their ids are other people's."""
    from mediahub.api import sessions, throttles

    yield
    sessions.gatherer.forget()
    throttles.counter.forget()
    throttles.local_counter.forget()


@pytest.fixture(autouse=True)
def _no_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run inside a test end within their lease. The keeper's thread would open a connection of its
    own, which outlives the test; real workers renew in their own processes.
    """
    from processing import leases

    monkeypatch.setattr(leases.Keeper, "_renew", lambda keeper, claims: None)


@pytest.fixture(scope="session", autouse=True)
def _no_outside_world() -> Iterator[None]:
    """A test that looks up or connects to anything but this machine fails, and reaches nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, _guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", _looking_up(socket.getaddrinfo))
        yield


_LOCAL = re.compile(r"127\.\d+\.\d+\.\d+|::1|::ffff:127\.\d+\.\d+\.\d+|localhost|0\.0\.0\.0|::|")
_ADDRESS = re.compile(r"[\d.]+|[0-9a-fA-F:.]*:[0-9a-fA-F:.%\w]*")


def _guarded(connect: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_UNIX and not _LOCAL.fullmatch(str(address[0])):
            self.close()
            pytest.fail(f"This test tried to reach {address[0]}:{address[1]}.")
        return connect(self, address)

    return guarded


def _looking_up(getaddrinfo: Callable[..., Any]) -> Callable[..., Any]:
    def looking_up(host: Any, *rest: Any, **options: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host or ""
        if not (_LOCAL.fullmatch(name) or _ADDRESS.fullmatch(name) or name == socket.gethostname()):
            if name.rstrip(".").endswith((".invalid", ".test")):
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            pytest.fail(f"This test tried to look up {name!r}.")
        return getaddrinfo(host, *rest, **options)

    return looking_up

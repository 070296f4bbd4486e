"""How gunicorn is set up, with a small application in place of ours."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from django.conf import settings
from django.contrib.auth.models import User

from media_assets.models import Role
from mediahub import alive, gunicorn
from mediahub.models import ApiKey
from processing.models import Job
from tests.make import make_asset, make_space
from tests.processes import Process, wait_until
from tests.servers import Server

ROOT = Path(__file__).parent.parent.parent
APPLICATION = """
def application(environ, start_response):
    if environ["PATH_INFO"] == "/big":
        start_response("200 OK", [])
        return (b"x" * 1_000_000 for _ in range(1000))
    body = environ["wsgi.input"].read()
    status = "503 Away" if environ["QUERY_STRING"] == "away" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    facts = environ["wsgi.url_scheme"], environ.get("SCRIPT_NAME", ""), str(len(body))
    return [" ".join(facts).encode()]
"""
CONFIG = """
from mediahub import gunicorn
from mediahub.gunicorn import *
gunicorn.CLIENT_SILENCE_S = 1
workers = 1
"""

Start = Callable[..., "Web"]


class Web:
    def __init__(self, process: Process, port: int) -> None:
        self.process = process
        self.port = port

    def get(self, path: str = "/", **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.get(
            url, headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    processes: list[Process] = []
    (tmp_path / "small.py").write_text(APPLICATION)
    (tmp_path / "config.py").write_text(CONFIG)

    def start(**environment: str) -> Web:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            home = tmp_path / "home"
            home.mkdir()
            process = Process(
                [sys.executable, "-m", "gunicorn", "--config", "config.py", "small"],
                env={
                    **os.environ,
                    "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
                    "HOME": str(home),
                    "DATA_DIR": str(tmp_path / "data"),
                    "GUNICORN_CMD_ARGS": f"--bind fd://{listener.fileno()}",
                    **environment,
                },
                log=tmp_path / "gunicorn.log",
                cwd=tmp_path,
                pass_fds=[listener.fileno()],
            )
        processes.append(process)
        web = Web(process, port)
        assert web.get().is_success
        return web

    yield start
    for process in processes:
        process.kill()


def test_event_streams_leave_the_ordinary_threads_alone() -> None:
    assert gunicorn.threads == settings.WEB_THREADS + settings.MAX_EVENT_STREAMS
    assert gunicorn.worker_connections > gunicorn.threads
    assert gunicorn.workers == settings.WEB_WORKERS


@pytest.mark.process
def test_the_home_folder_is_left_alone(start: Start, tmp_path: Path) -> None:
    web = start()

    assert list((tmp_path / "home").iterdir()) == []
    assert not [
        each for each in psutil.Process(web.process.pid).net_connections("unix") if each.laddr
    ]


@pytest.mark.process
def test_a_client_that_falls_silent_loses_its_connection(start: Start) -> None:
    web = start()

    with web.connect() as in_the_head, web.connect() as in_the_body:
        in_the_head.sendall(b"GET / HTTP/1.1\r\nHost: me")
        in_the_body.sendall(b"POST / HTTP/1.1\r\nHost: me\r\nContent-Length: 100\r\n\r\nhalf")

        # Both end; the second with an error of the application, perhaps.
        assert in_the_head.makefile("rb").read() == b""
        in_the_body.makefile("rb").read()


@pytest.mark.process
def test_a_client_that_takes_nothing_loses_its_connection(start: Start) -> None:
    web = start()

    with web.connect() as client:
        client.sendall(b"GET /big HTTP/1.1\r\nHost: me\r\n\r\n")
        wait_until(
            lambda: (
                not [
                    each
                    for each in psutil.Process(web.process.pid).children()[0].net_connections("tcp")
                    if each.status == "ESTABLISHED"
                ]
            ),
            what="the server let go",
        )


@pytest.mark.process
def test_the_processes_die_with_a_master_that_is_killed(start: Start) -> None:
    web = start()

    os.kill(web.process.pid, signal.SIGKILL)

    web.process.wait()
    wait_until(lambda: not web.process.family(), timeout=2, what="nothing is left")


@pytest.mark.process
def test_only_a_trusted_proxy_is_believed_and_only_about_the_scheme(start: Start) -> None:
    web = start(TRUSTED_PROXIES="127.0.0.1/32")

    assert web.get(X_Forwarded_Proto="https").text == "https  0"
    assert web.get(X_Forwarded_Proto="http").text == "http  0"
    # What a proxy may pass on from anybody.
    assert web.get(X_Forwarded_Ssl="on").text == "http  0"
    with web.connect() as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: me\r\nSCRIPT_NAME: /evil\r\nConnection: close\r\n\r\n"
        )
        assert b"\r\nhttp  0\r\n" in client.makefile("rb").read()


@pytest.mark.process
def test_without_a_trusted_proxy_nobody_is_believed(start: Start) -> None:
    assert start(TRUSTED_PROXIES="").get(X_Forwarded_Proto="https").text == "http  0"


@pytest.mark.process
def test_a_server_is_alive_when_it_answers(start: Start) -> None:
    web = start()
    assert alive.answers(web.port)

    web.process.stop()
    assert not alive.answers(web.port)


def test_a_server_that_says_nothing_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alive, "TIMEOUT_S", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert not alive.answers(silent.getsockname()[1])


@pytest.mark.django_db(transaction=True)
def test_an_open_event_stream_does_not_hold_up_a_stop(start_server: Callable[..., Server]) -> None:
    asset = make_asset(space=make_space(alice=Role.MANAGER))
    owner = User.objects.get(username="alice")
    _, secret = ApiKey.objects.issue(owner=owner, label="test", scopes=["read"])
    server = start_server(STOP_GRACE_S="1000", WEB_WORKERS="1")
    url = f"/api/v1/jobs/{Job.objects.get(asset=asset).pk}/events/"

    with (
        server.client(headers={"Authorization": f"Token {secret}"}) as client,
        client.stream("GET", url) as response,
    ):
        lines = response.iter_lines()
        assert next(lines)
        server.process.terminate()
        for _ in lines:  # until the server ends it
            pass

    assert server.process.wait(timeout=20) == 0


def test_the_parent_hears_when_a_process_can_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunicorn.signal, "signal", lambda *_: None)
    reader, writer = os.pipe()
    monkeypatch.setenv(gunicorn.READY_FD, str(writer))

    gunicorn.post_worker_init(None)

    assert os.read(reader, 10) == b"1"
    os.close(reader)
    gunicorn.post_worker_init(None)  # nobody listens any more: no harm
    os.close(writer)

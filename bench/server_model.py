"""Do watchers slow down uploads? 500 open event streams, and the p95 of uploads beside them and without.

A real gunicorn with the settings' own defaults, SQLite, no worker: the watched job stays pending. Uploads
of 200 KB, one after the other, before the streams open, while they are open, and after they closed.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import harness
from bench.harness import Result, at_most

ROOT = Path(__file__).parent.parent
STREAMS = int(os.environ.get("BENCH_STREAMS", "500"))
UPLOADS = 100  # in each phase
SIZE = 200_000
PASSWORD = "bench " + secrets.token_hex(8)
JPEG_START = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"


def run() -> list[Result]:
    with server() as (port, process):
        token = _post(port, "auth/token/", {"username": "bench", "password": PASSWORD})["access"]
        asset = _upload(port, token)[1]
        job = asset["jobs"][0]["id"]
        memory = _memory(process)
        before = _phase(port, token)
        with streams(port, token, job):
            beside = _phase(port, token)
            watched = _memory(process)
        after = _phase(port, token)
    idle = statistics.mean([_p95(before), _p95(after)])
    return [
        Result("uploads of 200 KB, p50 idle", statistics.median(before + after) * 1000, "ms"),
        Result("uploads of 200 KB, p95 idle", idle * 1000, "ms"),
        Result(f"p95 beside {STREAMS} streams", _p95(beside) * 1000, "ms", idle * 1000),
        at_most(f"p95 beside {STREAMS} streams, to idle", _p95(beside) / idle, 1.3, "x"),
        Result("memory of a stream", (watched - memory) / STREAMS, "kB"),
    ]


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """A web server of our own on a free port; its port and process id."""
    with tempfile.TemporaryDirectory(prefix="mediahub-bench-") as folder:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        environment = {
            **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            "DATA_DIR": folder,
            "PORT": str(port),
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENV_FILE": "",
            "API_RATE": "none",
            "LOG_LEVEL": "ERROR",
            "STATIC_MANIFEST": "false",
            "DJANGO_SUPERUSER_USERNAME": "bench",
            "DJANGO_SUPERUSER_PASSWORD": PASSWORD,
        }
        prepare = [sys.executable, "manage.py", "prepare"]
        subprocess.run(prepare, env=environment, cwd=ROOT, check=True, capture_output=True)
        serve = [
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            "python:mediahub.gunicorn",
            "mediahub.wsgi",
        ]
        process = subprocess.Popen(serve, env=environment, cwd=ROOT)
        try:
            _wait_until_live(port)
            yield port, process.pid
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_live(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def _post(port: int, path: str, body: dict[str, str]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with _open(request) as answer:
        return json.load(answer)


def _open(request: urllib.request.Request) -> Any:
    try:
        return urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        raise RuntimeError(error.read().decode()) from error


def _upload(port: int, token: str) -> tuple[float, Any]:
    """Seconds for one upload of bytes never seen before, and its answer."""
    body = (
        b'--mediahub-bench-boundary\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        + JPEG_START
        + os.urandom(SIZE)
        + b"\r\n--mediahub-bench-boundary--\r\n"
    )
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v1/assets/",
        body,
        {
            "Content-Type": "multipart/form-data; boundary=mediahub-bench-boundary",
            "Authorization": f"Bearer {token}",
        },
    )
    began = time.perf_counter()
    with _open(request) as answer:
        found = json.load(answer)
    return time.perf_counter() - began, found


def _phase(port: int, token: str) -> list[float]:
    for _ in range(5):
        _upload(port, token)
    return [_upload(port, token)[0] for _ in range(UPLOADS)]


@contextmanager
def streams(port: int, token: str, job: str) -> Iterator[None]:
    """Open streams on one job, each on a connection of its own, until all have got their first event."""
    ask = (
        f"GET /api/v1/jobs/{job}/events/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"Authorization: Bearer {token}\r\nAccept: text/event-stream\r\n\r\n"
    ).encode()
    connections = []
    try:
        for _ in range(STREAMS):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connection.sendall(ask)
            connections.append(connection)
        for connection in connections:
            seen = b""
            while b"event: progress" not in seen:
                piece = connection.recv(65536)
                if not piece:
                    raise RuntimeError(f"A stream was refused: {seen[:300]!r}")
                seen += piece
        yield
    finally:
        for connection in connections:
            connection.close()


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def _memory(pid: int) -> float:
    """kB of the server's processes that nobody shares."""
    total = 0
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for each in [str(pid), *children]:
        rollup = Path(f"/proc/{each}/smaps_rollup").read_text()
        total += sum(int(kb) for kb in re.findall(r"^Private_\w+:\s+(\d+)", rollup, re.MULTILINE))
    return float(total)


def main() -> dict[str, Any]:
    return harness.write(run(), "server_model")


if __name__ == "__main__":
    main()

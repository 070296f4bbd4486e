"""Error reports: sent where a DSN is set, without secrets, and with the ids of our log lines."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

ROOT = Path(__file__).parent.parent.parent
KEY = "a-key-that-nobody-would-recognise"

FAILING = f"""
import logging
import django
from django.test import RequestFactory

django.setup()
from media_assets import log_context
import sys

def break_down(secret):
    raise RuntimeError("cannot reach postgres://media:hunter2hunter2@db/media with " + secret)

with log_context.bind(request_id="r-12345678", job_id="j1"):
    logging.getLogger("a").warning("token=t0ps3cret-value")  # a trail on the way to the failure
    try:
        break_down("{KEY}")
    except RuntimeError:
        logging.getLogger("b").exception("It broke.", extra={{"password": "correct horse"}})
if "sentry_sdk" in sys.modules:
    import sentry_sdk
    sentry_sdk.flush(5)
"""


def _run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FAILING],
        env={**os.environ, "DATA_DIR": str(tmp_path), "OPENAI_API_KEY": KEY, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _reports(server: HTTPServer) -> list[dict[str, Any]]:
    found = []
    for request, _ in server.log:
        body = request.get_data()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        lines = [json.loads(line) for line in body.splitlines() if line]
        found += [each for each in lines if "exception" in each]
    return found


def test_a_failure_is_reported_without_secrets_and_with_its_ids(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    httpserver.expect_request("/api/1/envelope/").respond_with_json({})
    result = _run(
        tmp_path,
        SENTRY_DSN=f"http://public@127.0.0.1:{httpserver.port}/1",
        SENTRY_ENVIRONMENT="here",
    )
    assert result.returncode == 0, result.stderr
    (report,) = _reports(httpserver)
    assert report["environment"] == "here"
    assert report["tags"]["request_id"] == "r-12345678"
    assert report["tags"]["job_id"] == "j1"
    text = json.dumps(report)
    assert "RuntimeError" in text
    for secret in ("hunter2", KEY, "t0ps3cret", "correct horse", os.environ["SECRET_KEY"]):
        assert secret not in text
    assert '"vars"' not in text  # values of local variables


def test_without_a_dsn_nothing_is_loaded_or_sent(httpserver: HTTPServer, tmp_path: Path) -> None:
    result = _run(tmp_path)
    assert result.returncode == 0, result.stderr
    assert httpserver.log == []


def test_a_dsn_that_is_none_is_told_and_stops_nothing(tmp_path: Path) -> None:
    result = _run(tmp_path, SENTRY_DSN="not a dsn")
    assert result.returncode == 0, result.stderr
    assert "SENTRY_DSN is no DSN of Sentry" in result.stderr

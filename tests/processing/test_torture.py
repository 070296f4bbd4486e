"""A short torture on the database of this run: processes are killed at random, and nothing is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.process
def test_killed_processes_lose_no_job_and_do_none_twice(tmp_path: Path) -> None:
    # A process of its own: it has other settings, and a database that is made for it.
    results = tmp_path / "torture.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "bench.torture", "--seconds", "14", "--jobs", "80"),
            *("--hosts", "2", "--workers", "2", "--results", str(results)),
            *("--database", os.environ.get("MEDIAHUB_TEST_POSTGRES") or "sqlite"),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert results.exists(), done.stdout[-3000:] + done.stderr[-3000:]
    missed = [each for each in json.loads(results.read_text())["results"] if each["ok"] is False]
    assert not missed, f"{missed}\n{done.stdout[-3000:]}"
    assert done.returncode == 0, done.stderr[-3000:]

"""Runs every check that needs no test: two at a time, all of them, whichever fails. Arguments name some."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
MANAGE = [sys.executable, "manage.py"]

CHECKS: dict[str, list[str]] = {
    "types": [str(BIN / "mypy")],  # the longest first
    "lint": [str(BIN / "ruff"), "check", "."],
    "format": [str(BIN / "ruff"), "format", "--check", "."],
    "imports": [str(BIN / "lint-imports")],
    "migrations": [*MANAGE, "makemigrations", "--check", "--dry-run"],
    "schema": [*MANAGE, "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull],
    "deploy": [*MANAGE, "check", "--deploy", "--fail-level", "WARNING"],
}


def environment(folder: str) -> dict[str, str]:
    """Settings as a server on the internet has them; a developer's own `.env` plays no part."""
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "mediahub.settings",
        "ENV_FILE": "",
        "SECRET_KEY": secrets.token_urlsafe(64),
        "DEBUG": "false",
        "PUBLIC_URL": "https://media.example.com",
        "ALLOWED_HOSTS": "media.example.com",
        "TRUSTED_PROXIES": "10.0.0.0/24",
        "DATA_DIR": folder,
        "DATABASE_URL": f"sqlite:///{folder}/check.sqlite3",
    }


def check(name: str, variables: dict[str, str]) -> bool:
    start = time.monotonic()
    done = subprocess.run(
        CHECKS[name],
        cwd=ROOT,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    line = f"{'ok' if passed else 'FAILED':<7} {name:<11} {time.monotonic() - start:4.1f} s"
    print(line if passed else f"{line}\n{done.stdout}", flush=True)
    return passed


def main(names: list[str]) -> int:
    if unknown := set(names) - set(CHECKS):
        print(f"No check is named {', '.join(unknown)}: {', '.join(CHECKS)}.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        variables = environment(folder)
        results = list(pool.map(lambda name: check(name, variables), names or CHECKS))
    return 0 if all(results) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

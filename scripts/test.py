"""Runs the whole suite once for each database. Arguments go to pytest; DATABASE=sqlite runs one of them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ("sqlite", "postgres")
# Settings of pytest and Django that a shell may hold; the suite makes its own.
FOREIGN = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS")


def main(arguments: list[str]) -> int:
    named = os.environ.get("DATABASE")
    if named and named not in DATABASES:
        print(f"DATABASE must be one of {', '.join(DATABASES)}, not {named!r}.", file=sys.stderr)
        return 2
    environment = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    failed = []
    for database in [named] if named else DATABASES:
        print(f"\n=== Tests on {database}", flush=True)
        start = time.monotonic()
        status = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=ROOT,
            env={**environment, "TEST_DATABASE": database},
            check=False,
        ).returncode
        print(f"=== {database}: {time.monotonic() - start:.0f} s", flush=True)
        if status:
            failed.append(database)
    if failed:
        print(f"Failed on {' and '.join(failed)}.", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Makes .venv and installs one lock into it: runtime, extras or dev. Does nothing when that is done.

Needs nothing but a Python of the right version with pip: pip brings uv, pinned by hash, and uv brings
the rest, wheels only. A stamp in .venv tells what is installed; it is written last, so that a broken
installation is done again.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".installed"
UV_LOCK = "bootstrap"
# Each holds all that those before it hold, at the same versions.
LOCKS = ("runtime", "extras", "dev")


class CannotInstall(Exception):
    """One line for a person: what is missing and what would cure it."""


def lock_file(name: str) -> Path:
    return ROOT / "locks" / f"{name}.txt"


def stamp_of(name: str) -> str:
    """What the stamp says once `name` is installed."""
    digest = hashlib.sha256(lock_file(UV_LOCK).read_bytes() + lock_file(name).read_bytes())
    return f"{name} {digest.hexdigest()}\n"


def is_installed(name: str) -> bool:
    """Whether .venv holds this lock, or a larger one, as it is now."""
    if not python().exists() or not STAMP.exists():
        return False
    stamp = STAMP.read_text()
    return any(stamp == stamp_of(larger) for larger in LOCKS[LOCKS.index(name) :])


def python() -> Path:
    return VENV / "bin" / "python"


@contextmanager
def alone() -> Iterator[None]:
    """One installation at a time in this folder."""
    with (ROOT / ".venv.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def install(name: str) -> None:
    STAMP.unlink(missing_ok=True)
    if not usable():
        shutil.rmtree(VENV, ignore_errors=True)
        print("Making .venv", flush=True)
        # Without pip: Debian's Python has venv but not always ensurepip.
        venv.create(VENV, symlinks=True)
    print(f"Installing locks/{name}.txt", flush=True)
    pip = pip_command()
    run(
        *pip,
        "install",
        "-qq",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
        f"--requirement={lock_file(UV_LOCK)}",
        environment={"PIP_USER": "0"},
        failed="pip could not install uv (see above). It takes pip 22.3 or newer.",
    )
    run(
        str(VENV / "bin" / "uv"),
        "pip",
        "sync",
        "--quiet",
        f"--python={python()}",
        "--require-hashes",
        "--no-build",
        str(lock_file(UV_LOCK)),
        str(lock_file(name)),
        environment=index_of_pip(pip),
        failed="uv could not install the packages (see above).",
    )
    STAMP.write_text(stamp_of(name))


def usable() -> bool:
    """Whether .venv has a Python that runs and is the one that runs us."""
    if not python().exists():
        return False
    told = subprocess.run(
        [python(), "-c", "import sys; print(*sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout.split() == [str(part) for part in sys.version_info[:2]]


def pip_command() -> list[str]:
    """The pip of this Python, told to work in .venv; where it has none, one that ensurepip makes."""
    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip", "--python", str(python())]
    if find_spec("ensurepip") is None:
        raise CannotInstall(f"{sys.executable} has no pip. On Debian: apt-get install python3-pip.")
    run(str(python()), "-m", "ensurepip", failed="Python's ensurepip failed (see above).")
    return [str(python()), "-m", "pip"]


def index_of_pip(pip: list[str]) -> dict[str, str]:
    """Where pip is told to look, for uv, which does not read pip's configuration."""
    told = subprocess.run([*pip, "config", "list"], capture_output=True, text=True, check=False)
    # Lines such as global.index-url='…'; those from the environment come last, and win.
    named = {}
    for line in told.stdout.splitlines():
        key, _, value = line.partition("=")
        named[key.rpartition(".")[2]] = value.strip("'\"")
    variables = {"index-url": "UV_DEFAULT_INDEX", "cert": "SSL_CERT_FILE"}
    return {
        variable: named[option]
        for option, variable in variables.items()
        if option in named and variable not in os.environ
    }


def run(*command: str, failed: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env={**os.environ, **(environment or {})}, check=False)
    if done.returncode:
        raise CannotInstall(failed)


def main(name: str) -> int:
    if is_installed(name):
        return 0
    try:
        with alone():
            if not is_installed(name):
                install(name)
    except (CannotInstall, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1]))
    except KeyboardInterrupt:
        sys.exit(130)

"""Installs the programs that tests need beside Python's packages; asks the system's package manager, as root.

Without root it says what is missing. Tests cannot do without PostgreSQL and Chromium; the others have
tests of their own, which are skipped where the program is missing, and fail in CI.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.postgres import PostgresNotFound, find_programs  # noqa: E402 - found by the line above

MANAGERS = {
    "apt-get": ["apt-get", "install", "--yes", "-qq", "--no-install-recommends"],
    "dnf": ["dnf", "install", "--assumeyes", "--quiet", "--setopt=install_weak_deps=False"],
}


@dataclass(frozen=True)
class Need:
    name: str
    is_there: Callable[[], bool]
    packages: dict[str, list[str]]  # by package manager
    required: bool = False


def has_postgres() -> bool:
    try:
        find_programs()
    except PostgresNotFound:
        return False
    return True


def has_chromium() -> bool:
    return has("chromium", "chromium-browser", "google-chrome") or has_playwrights_chromium()


def has_libatomic() -> bool:
    """Playwright drives Chromium by a program that is linked to it, even where it needs none of it."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libatomic.so.1")
    except OSError:
        return False
    return True


def has_playwrights_chromium() -> bool:
    if not has_libatomic():
        return False
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - slow, and rarely needed

    with sync_playwright() as playwright:
        return Path(playwright.chromium.executable_path).exists()


def has(*names: str) -> bool:
    # Servers lie where only root looks.
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return any(shutil.which(name, path=path) for name in names)


NEEDS = [
    Need(
        "libatomic",
        has_libatomic,
        {"apt-get": ["libatomic1"], "dnf": ["libatomic"]},
        required=True,
    ),
    Need(
        "PostgreSQL",
        has_postgres,
        {"apt-get": ["postgresql"], "dnf": ["postgresql-server", "postgresql-contrib"]},
        required=True,
    ),
    Need("Chromium", has_chromium, {"apt-get": ["chromium"], "dnf": ["chromium"]}, required=True),
    Need(
        "Tesseract",
        lambda: has("tesseract"),
        {"apt-get": ["tesseract-ocr"], "dnf": ["tesseract"]},
    ),
    Need("espeak-ng", lambda: has("espeak-ng"), {"apt-get": ["espeak-ng"], "dnf": ["espeak-ng"]}),
    Need("Redis", lambda: has("redis-server"), {"apt-get": ["redis-server"], "dnf": ["redis"]}),
    Need("ClamAV", lambda: has("clamd"), {"apt-get": ["clamav-daemon"], "dnf": ["clamd"]}),
]


def install(missing: list[Need]) -> None:
    """Ask the package manager for all that is missing, at once; if it refuses, one by one."""
    manager = next((name for name in MANAGERS if shutil.which(name)), None)
    if manager is None or os.geteuid() != 0:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if manager == "apt-get":
        subprocess.run(["apt-get", "update", "-qq"], env=environment, check=False)
    for needs in (missing, *([need] for need in missing)):
        packages = [
            name for need in needs if not need.is_there() for name in need.packages[manager]
        ]
        if packages:
            print(f"Installing {', '.join(packages)}", flush=True)
            subprocess.run(
                [*MANAGERS[manager], *packages],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )


def main() -> int:
    missing = [need for need in NEEDS if not need.is_there()]
    if missing:
        install(missing)
        missing = [need for need in missing if not need.is_there()]
    if any(need.name == "Chromium" for need in missing):
        # Where the system has no package of it, Playwright may have a build.
        command = [sys.executable, "-m", "playwright", "install", "chromium"]
        subprocess.run(command, stdin=subprocess.DEVNULL, check=False)
        missing = [need for need in missing if not need.is_there()]
    for need in missing:
        debian = " ".join(need.packages["apt-get"])
        effect = "The tests cannot do without it." if need.required else "Its tests are skipped."
        print(
            f"{need.name} is missing. {effect} As root, on Debian: apt-get install {debian}",
            file=sys.stderr,
        )
    return 1 if any(need.required for need in missing) else 0


if __name__ == "__main__":
    sys.exit(main())

"""What `make test` and `make check` run: each part, with stand-ins for the slow ones."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent.parent


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / f"scripts/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------------- make test


def run_tests(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST")}
    return subprocess.run(
        [sys.executable, ROOT / "scripts/test.py", *arguments],
        env={**variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_suite_runs_once_for_each_database() -> None:
    done = run_tests("--version")

    assert done.returncode == 0
    headings = [line for line in done.stdout.splitlines() if line.startswith("=== Tests")]
    assert headings == ["=== Tests on sqlite", "=== Tests on postgres"]


def test_a_database_can_be_named() -> None:
    done = run_tests("--version", DATABASE="postgres")

    assert "=== Tests on sqlite" not in done.stdout
    assert "=== Tests on postgres" in done.stdout


def test_an_unknown_database_is_refused() -> None:
    done = run_tests("--version", DATABASE="oracle")

    assert done.returncode == 2
    assert done.stderr == "DATABASE must be one of sqlite, postgres, not 'oracle'.\n"


def test_a_failure_on_one_database_does_not_hide_the_other() -> None:
    done = run_tests("--no-such-option")

    assert done.returncode == 1
    assert done.stderr.endswith("Failed on sqlite and postgres.\n")


# ------------------------------------------------------------------- make check


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    module = script("check")
    monkeypatch.setattr(
        module, "CHECKS", {"good": ["true"], "bad": ["sh", "-c", "echo no; exit 3"]}
    )
    return module


def test_all_checks_run_and_one_that_fails_shows_why(
    check: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check.main([]) == 1

    said = capsys.readouterr().out
    assert "ok      good" in said
    assert "FAILED  bad" in said
    assert "\nno\n" in said


def test_checks_can_be_named(check: ModuleType) -> None:
    assert check.main(["good"]) == 0
    assert check.main(["nonsense"]) == 2


def test_checks_see_settings_of_a_server_on_the_internet() -> None:
    variables = script("check").environment("/folder")

    assert variables["PUBLIC_URL"].startswith("https://")
    assert variables["DEBUG"] == "false"
    assert len(variables["SECRET_KEY"]) > 50
    assert variables["SECRET_KEY"] != script("check").environment("/folder")["SECRET_KEY"]


# ------------------------------------------------------------------- programs of the system


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/system_packages.py with one program that is needed and one that would be nice, and a
    package manager that installs by making a file.
    """
    module = script("system_packages")
    installed = tmp_path / "installed"
    installed.mkdir()
    manager = tmp_path / "bin" / "apt-get"
    manager.parent.mkdir()
    manager.write_text(
        "#!/bin/sh\n"
        f"echo $* >> {tmp_path}/calls\n"
        '[ "$1" = install ] || exit 0\n'
        "for name; do case $name in -*|install) ;; broken) exit 1;; "
        f"*) touch {installed}/$name;; esac; done\n"
    )
    manager.chmod(0o700)
    monkeypatch.setenv("PATH", f"{manager.parent}{os.pathsep}/usr/bin{os.pathsep}/bin")
    monkeypatch.setattr(
        module.shutil, "which", lambda name: str(manager) if name == "apt-get" else None
    )
    monkeypatch.setattr(module.os, "geteuid", lambda: 0)

    def need(name: str, package: str, *, required: bool) -> object:
        return module.Need(
            name, (installed / package).exists, {"apt-get": [package]}, required=required
        )

    monkeypatch.setattr(module, "need", need, raising=False)
    monkeypatch.setattr(
        module,
        "NEEDS",
        [need("Database", "database", required=True), need("Extra", "extra", required=False)],
    )
    return module


def test_what_is_missing_is_installed_at_once(packages: ModuleType, tmp_path: Path) -> None:
    assert packages.main() == 0

    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[0] == "update -qq"
    assert calls[1].endswith("database extra")
    assert len(calls) == 2


def test_what_is_there_is_not_installed(packages: ModuleType, tmp_path: Path) -> None:
    for name in ("database", "extra"):
        (tmp_path / "installed" / name).touch()

    assert packages.main() == 0

    assert not (tmp_path / "calls").exists()


def test_one_package_that_cannot_be_had_keeps_none_of_the_others_back(
    packages: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    packages.NEEDS.insert(0, packages.need("Rare", "broken", required=False))

    assert packages.main() == 0

    said = capsys.readouterr().err
    assert said == (
        "Rare is missing. Its tests are skipped. As root, on Debian: apt-get install broken\n"
    )


def test_without_root_what_is_missing_is_told_and_what_is_needed_fails(
    packages: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(packages.os, "geteuid", lambda: 1000)

    assert packages.main() == 1

    said = capsys.readouterr().err.splitlines()
    assert said[0] == (
        "Database is missing. The tests cannot do without it."
        " As root, on Debian: apt-get install database"
    )
    assert "Extra is missing. Its tests are skipped." in said[1]
    assert not (tmp_path / "calls").exists()


def test_each_need_has_packages_for_each_manager() -> None:
    module = script("system_packages")
    for need in module.NEEDS:
        assert set(need.packages) == set(module.MANAGERS)
    required = {need.name for need in module.NEEDS if need.required}
    assert required == {"PostgreSQL", "Chromium", "libatomic"}

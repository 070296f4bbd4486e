"""Locks, what installs them, and the reasons for what they hold."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCKS = sorted(path.stem for path in (ROOT / "locks").glob("*.txt"))
# From the smallest to the largest, as scripts/bootstrap.py counts on.
GROWING = ["runtime", "extras", "dev"]


def lock_text(name: str) -> str:
    return (ROOT / "locks" / f"{name}.txt").read_text()


def pinned(name: str) -> dict[str, set[str]]:
    """The versions of each package; more than one where they differ by platform."""
    found: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([\w.-]+)==([\w.+!]+)", lock_text(name), re.MULTILINE):
        found.setdefault(canonicalize_name(package), set()).add(version)
    return found


def needed(*extras: str) -> list[Requirement]:
    listed = [*PROJECT["dependencies"]]
    for extra in extras:
        listed += PROJECT["optional-dependencies"][extra]
    return [Requirement(each) for each in listed]


# ------------------------------------------------------------------- locks


@pytest.mark.parametrize("name", LOCKS)
def test_each_pin_has_a_hash_and_no_lock_names_an_address(name: str) -> None:
    text = lock_text(name)
    entries = re.split(r"\n(?=[\w.-]+==)", text)[1:]
    assert entries
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert not re.search(r"https?://|file:|--(extra-)?index-url|--find-links| @ ", text)
    assert "/home/" not in text
    assert "/root/" not in text


def test_the_locks_are_those_that_are_installed() -> None:
    assert {"bootstrap", *GROWING} == set(LOCKS)


@pytest.mark.parametrize(("smaller", "larger"), [GROWING[:2], GROWING[1:]])
def test_a_larger_lock_holds_the_smaller_at_the_same_versions(smaller: str, larger: str) -> None:
    """So that `make run` after `make test` need not install anything again."""
    assert pinned(smaller).items() <= pinned(larger).items()


@pytest.mark.parametrize(
    ("name", "extras"),
    [("runtime", []), ("extras", ["ocr", "whisper"]), ("dev", ["ocr", "whisper", "dev"])],
)
def test_a_lock_meets_what_the_project_asks_for(name: str, extras: list[str]) -> None:
    pins = pinned(name)
    for requirement in needed(*extras):
        versions = pins[canonicalize_name(requirement.name)]
        assert all(requirement.specifier.contains(version) for version in versions), requirement


def test_nothing_heavy_or_for_tests_alone_is_installed_to_run() -> None:
    runtime = pinned("runtime").keys()
    for package in ("faster-whisper", "onnxruntime", "opencv-python-headless", "pytest", "moto"):
        assert package not in runtime


# ------------------------------------------------------------------- reasons


def test_each_dependency_has_its_reason() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    described = [
        Requirement(name).name
        for name in re.findall(r"^\|(?: `\w+` \|)? `([^`]+)`", text, re.MULTILINE)
    ]
    asked_for = [requirement.name for requirement in needed("ocr", "whisper")]
    assert sorted(described) == sorted(asked_for)


# ------------------------------------------------------------------- what installs them


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/bootstrap.py on a folder with locks of its own and a Python in .venv."""
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "scripts/bootstrap.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "locks").mkdir()
    for name in ("bootstrap", *GROWING):
        (tmp_path / "locks" / f"{name}.txt").write_text(name)
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(sys.executable)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "VENV", venv)
    monkeypatch.setattr(module, "STAMP", venv / ".installed")
    return module


def test_what_is_installed_is_not_installed_again(bootstrap: ModuleType) -> None:
    bootstrap.STAMP.write_text(bootstrap.stamp_of("extras"))

    assert bootstrap.is_installed("extras")
    assert bootstrap.is_installed("runtime")
    assert not bootstrap.is_installed("dev")


@pytest.mark.parametrize("changed", ["runtime", "bootstrap"])
def test_a_changed_lock_is_installed(bootstrap: ModuleType, changed: str) -> None:
    bootstrap.STAMP.write_text(bootstrap.stamp_of("runtime"))
    bootstrap.lock_file(changed).write_text("changed")

    assert not bootstrap.is_installed("runtime")


def test_a_vanished_python_is_installed_again(bootstrap: ModuleType) -> None:
    """As after an update of the system's Python, which .venv links to."""
    bootstrap.STAMP.write_text(bootstrap.stamp_of("runtime"))
    bootstrap.python().unlink()
    bootstrap.python().symlink_to("/nonexistent/python")

    assert not bootstrap.is_installed("runtime")
    assert not bootstrap.usable()


def test_an_installation_that_failed_is_told_and_done_again(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.STAMP.write_text(bootstrap.stamp_of("runtime"))
    monkeypatch.setattr(bootstrap, "pip_command", lambda: ["false"])

    assert bootstrap.main("dev") == 1

    assert "pip could not install uv" in capsys.readouterr().err
    assert not bootstrap.is_installed("runtime")


def test_uv_looks_where_pip_is_told_to(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv reads none of pip's configuration."""
    for variable in ("UV_DEFAULT_INDEX", "SSL_CERT_FILE"):
        monkeypatch.delenv(variable, raising=False)
    pip = tmp_path / "pip"
    pip.write_text("#!/bin/sh\necho \"global.index-url='https://mirror.test/simple'\"\n")
    pip.chmod(0o700)

    assert bootstrap.index_of_pip([str(pip)]) == {"UV_DEFAULT_INDEX": "https://mirror.test/simple"}

    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.test/simple")
    assert bootstrap.index_of_pip([str(pip)]) == {}


# ------------------------------------------------------------------- which Python


def run_with(path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", ROOT / "scripts/python.sh", "-c", "print('ran')"],
        env={"PATH": str(path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def fake_python(folder: Path, name: str, version: str) -> Path:
    """A program that answers as a Python of another version does to the two questions asked of it."""
    supported = version in {"3.11", "3.12", "3.13"}
    path = folder / name
    path.write_text(
        "#!/bin/sh\n"
        f'case "$2" in *exit*) exit {0 if supported else 1};; *print*version*) echo is Python {version};;'
        f" *) echo {name} ran;; esac\n"
    )
    path.chmod(0o700)
    return path


@pytest.mark.parametrize("version", ["2.7", "3.10", "3.14"])
def test_a_python_that_is_too_old_or_too_new_is_told_in_one_line(
    tmp_path: Path, version: str
) -> None:
    fake_python(tmp_path, "python3", version)

    done = run_with(tmp_path)

    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert f"needs Python 3.11, 3.12 or 3.13, but python3 is Python {version}." in done.stderr


def test_no_python_is_told_in_one_line(tmp_path: Path) -> None:
    done = run_with(tmp_path)

    assert done.returncode == 1
    assert "but python3 cannot be run." in done.stderr
    assert done.stderr.count("\n") == 1


def test_another_python_beside_an_old_one_is_found(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.9")
    fake_python(tmp_path, "python3.12", "3.12")

    assert run_with(tmp_path).stdout == "python3.12 ran\n"


def test_a_named_python_is_taken_and_no_other(tmp_path: Path) -> None:
    fake_python(tmp_path, "python3", "3.12")
    old = fake_python(tmp_path, "old", "3.10")

    assert run_with(tmp_path, PYTHON=sys.executable).stdout == "ran\n"
    refused = run_with(tmp_path, PYTHON=str(old))
    assert refused.returncode == 1
    assert f"{old} is Python 3.10." in refused.stderr


def test_the_script_asks_for_the_versions_that_the_project_supports() -> None:
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in (ROOT / "scripts/python.sh").read_text()


# ------------------------------------------------------------------- make and CI


def make(*arguments: str) -> str:
    """What make says, in a shell that knows nothing of the make that runs the tests."""
    done = subprocess.run(
        ["make", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@pytest.mark.parametrize(
    ("target", "lock"),
    [("run", "runtime"), ("test", "dev"), ("check", "dev"), ("bench", "dev"), ("lock", "dev")],
)
def test_each_target_installs_what_it_needs_first(target: str, lock: str) -> None:
    first = make("--dry-run", target).splitlines()[0]
    assert first == f"sh scripts/python.sh scripts/bootstrap.py {lock}"


def test_every_target_is_described() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^(\w+):", makefile, re.MULTILINE))
    assert {line.split()[0] for line in make().splitlines()} == targets
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert set(phony.split()) == targets


def test_the_locks_can_be_made_without_naming_an_address() -> None:
    commands = [line for line in make("--dry-run", "lock").splitlines() if "pip compile" in line]
    assert len(commands) == len(LOCKS)
    for command in commands:
        assert "--generate-hashes" in command
        assert "--no-emit-index-url" in command
        assert "--universal" in command


def test_ci_runs_what_anybody_can_run() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert "set -euo pipefail" in script
    assert re.findall(r"^make (\w+)$", script, re.MULTILINE) == ["check", "test"]
    subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=True)

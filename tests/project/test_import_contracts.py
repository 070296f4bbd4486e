"""The import contracts hold, and each of them notices when it is broken."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("mediahub", "transcription", "processing", "media_assets")
LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The four packages' Python files and the contracts, to break at will."""
    for package in PACKAGES:
        for source in (ROOT / package).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    return tmp_path


def lint_imports(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [LINT_IMPORTS, "--no-cache", "--no-logo", *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_import_contract_is_kept(copy: Path) -> None:
    checked = lint_imports(copy)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("contract", "module", "line"),
    [
        ("direction", "media_assets/upwards.py", "import processing.apps"),
        ("direction", "media_assets/upwards.py", "import transcription.apps"),
        ("direction", "processing/upwards.py", "import transcription.apps"),
        ("direction", "transcription/upwards.py", "import mediahub.models"),
        ("queue", "mediahub/shortcut.py", "from django_q.tasks import async_task"),
        ("queue", "processing/shortcut.py", "import django_q.models"),
        ("buckets", "media_assets/shortcut.py", "import boto3"),
        ("buckets", "processing/shortcut.py", "from storages.backends import s3"),
        ("sdks", "processing/shortcut.py", "import openai"),
        ("sdks", "transcription/shortcut.py", "from faster_whisper import WhisperModel"),
        ("inspectors", "processing/inspectors/shortcut.py", "from django.conf import settings"),
        ("inspectors", "processing/inspectors/shortcut.py", "import media_assets.models"),
    ],
)
def test_a_file_that_breaks_a_contract_is_found(
    copy: Path, contract: str, module: str, line: str
) -> None:
    (copy / module).write_text(f"{line}\n")
    checked = lint_imports(copy, "--contract", contract)
    assert checked.returncode == 1, checked.stdout
    name = module.removesuffix(".py").replace("/", ".")
    assert f"{name} ->" in checked.stdout, checked.stdout

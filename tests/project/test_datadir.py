"""DATA_DIR before Django is there: private, tried, with a secret key that stays."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mediahub import datadir


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "data"

    datadir.prepare(folder)

    assert mode(folder) == mode(folder / "run") == 0o700
    assert mode(folder / "secret-key") == 0o600


def test_the_secret_key_is_long_and_stays(tmp_path: Path) -> None:
    datadir.prepare(tmp_path)
    key = (tmp_path / "secret-key").read_text()

    datadir.prepare(tmp_path)

    assert len(key.strip()) > 50
    assert (tmp_path / "secret-key").read_text() == key


def test_an_empty_folder_is_closed_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)

    datadir.prepare(tmp_path)

    assert mode(tmp_path) == 0o700


def test_our_own_folder_is_closed_to_others(tmp_path: Path) -> None:
    datadir.prepare(tmp_path)
    (tmp_path / "media").mkdir()
    tmp_path.chmod(0o755)

    datadir.prepare(tmp_path)

    assert mode(tmp_path) == 0o700


def test_a_folder_with_other_things_in_it_keeps_its_mode(tmp_path: Path) -> None:
    """DATA_DIR=/tmp by mistake must not lock everybody out of it."""
    (tmp_path / "theirs").write_text("something")
    tmp_path.chmod(0o755)

    datadir.prepare(tmp_path)

    assert mode(tmp_path) == 0o755
    assert mode(tmp_path / "secret-key") == 0o600


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_file_in_its_place_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("no folder")

    with pytest.raises(datadir.CannotStart, match=f"DATA_DIR {tmp_path}/{name} cannot be written"):
        datadir.prepare(tmp_path / name)


def test_a_file_is_written_once_by_whoever_is_first(tmp_path: Path) -> None:
    path = tmp_path / "key"
    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(lambda number: datadir.write_once(path, str(number)), range(50)))

    assert sum(written) == 1
    assert path.read_text() == f"{written.index(True)}\n"
    assert list(tmp_path.iterdir()) == [path]

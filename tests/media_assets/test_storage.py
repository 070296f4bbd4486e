"""Files in MEDIA_ROOT: whole or not there, private, and the same key always the same bytes."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile

from media_assets import storage


def root() -> Path:
    return Path(storage.media().location)  # type: ignore[attr-defined]


def source(tmp_path: Path, data: bytes = b"bytes") -> Path:
    path = tmp_path / "source"
    path.write_bytes(data)
    return path


def test_a_put_is_a_link_and_can_be_repeated(tmp_path: Path) -> None:
    path = source(tmp_path)
    storage.put(path, "images/ab/abc.jpg")
    storage.put(path, "images/ab/abc.jpg")
    assert b"".join(storage.chunks("images/ab/abc.jpg")) == b"bytes"
    assert storage.size("images/ab/abc.jpg") == 5


def test_without_links_the_bytes_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: Any) -> None:
        raise OSError(errno.EXDEV, "another volume")

    monkeypatch.setattr(os, "link", no_link)
    storage.put(source(tmp_path), "images/ab/abc.jpg")
    target = tmp_path / "copy"
    storage.copy_to("images/ab/abc.jpg", target)
    assert target.read_bytes() == b"bytes"
    assert [each.name for each in root().rglob("*") if each.is_file()] == ["abc.jpg"]


def test_a_disk_that_fails_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    (root() / "images" / "ab").mkdir(parents=True)
    with pytest.raises(OSError, match="full"):
        storage.media().save("images/ab/abc.jpg", ContentFile(b"x" * 100_000))
    assert not [each for each in root().rglob("*") if each.is_file()]


def test_folders_and_files_are_private(tmp_path: Path) -> None:
    storage.media().save("images/ab/abc.jpg", ContentFile(b"x"))
    folder = root() / "images" / "ab"
    assert folder.stat().st_mode & 0o077 == 0
    assert (folder / "abc.jpg").stat().st_mode & 0o077 == 0


def test_deleting_what_is_not_there_is_fine() -> None:
    storage.delete("images/ab/none.jpg")
    assert not storage.exists("images/ab/none.jpg")

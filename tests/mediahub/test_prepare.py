"""`manage.py prepare`: the admin user, static files, storage."""

from __future__ import annotations

import os
import stat
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from mediahub.management.commands import prepare
from tests.buckets import Bucket

User = get_user_model()


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("USERNAME", "PASSWORD", "EMAIL"):
        monkeypatch.delenv(f"DJANGO_SUPERUSER_{name}", raising=False)


def make_admin(folder: Path) -> str:
    """What the command says."""
    output = StringIO()
    prepare.Command(stdout=output).make_admin(folder)
    return output.getvalue()


# ------------------------------------------------------------------- the admin user


def test_the_first_admin_gets_a_random_password_that_is_shown_and_kept(
    db: None, tmp_path: Path
) -> None:
    said = make_admin(tmp_path)

    kept = tmp_path / "admin-password"
    admin = User.objects.get()
    assert admin.get_username() == "admin"
    assert admin.is_superuser
    assert admin.check_password(kept.read_text().strip())
    assert kept.read_text().strip() in said
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_given_password_is_neither_shown_nor_kept(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_USERNAME", "boss")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "given by the operator")

    said = make_admin(tmp_path)

    assert User.objects.get(username="boss").check_password("given by the operator")
    assert "given by the operator" not in said
    assert list(tmp_path.iterdir()) == []


def test_an_empty_password_counts_as_none(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "")

    make_admin(tmp_path)

    assert not User.objects.get().check_password("")


def test_an_admin_that_is_there_is_left_alone(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    User.objects.create_superuser("admin", password="chosen since")
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "another")

    assert make_admin(tmp_path) == ""

    assert User.objects.get().check_password("chosen since")


@pytest.mark.parametrize("named", [None, "USERNAME", "PASSWORD"])
def test_a_removed_admin_does_not_come_back(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str | None
) -> None:
    User.objects.create_superuser("somebody", password="else")
    if named:
        monkeypatch.setenv(f"DJANGO_SUPERUSER_{named}", "a word of the environment")

    assert make_admin(tmp_path) == ""

    assert User.objects.get().get_username() == "somebody"


def test_a_new_database_gets_the_password_that_is_kept(db: None, tmp_path: Path) -> None:
    (tmp_path / "admin-password").write_text("as before\n")

    make_admin(tmp_path)

    assert User.objects.get().check_password("as before")


# ------------------------------------------------------------------- static files


@pytest.fixture
def source(tmp_path: Path, settings: Any) -> Path:
    """A folder of static files, the only one."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "page.css").write_text("a {}")
    settings.STATIC_MANIFEST = True
    settings.STATICFILES_DIRS = [source]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = tmp_path / "collected"
    return source


def collect() -> str:
    output = StringIO()
    prepare.Command(stdout=output).collect_static()
    return output.getvalue()


def test_static_files_are_collected_once(source: Path, tmp_path: Path) -> None:
    assert collect() == "Collecting static files.\n"
    assert (tmp_path / "collected/page.css").read_text() == "a {}"

    assert collect() == ""


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_changed_static_files_are_collected_again(
    source: Path, tmp_path: Path, change: str
) -> None:
    collect()
    match change:
        case "changed":
            (source / "page.css").write_text("b {}")
            os.utime(source / "page.css", ns=(0, 10**18))
        case "added":
            (source / "more.css").write_text("c {}")
        case _:
            (source / "page.css").unlink()

    assert collect() == "Collecting static files.\n"

    assert collect() == ""


def test_nothing_is_collected_where_files_are_served_as_they_lie(
    source: Path, tmp_path: Path, settings: Any
) -> None:
    settings.STATIC_MANIFEST = False

    assert collect() == ""

    assert not (tmp_path / "collected").exists()


# ------------------------------------------------------------------- storage, and all of it


def test_without_its_storage_mediahub_still_starts(bucket: Bucket) -> None:
    """What comes in meanwhile waits on this machine."""
    for break_it, said in (
        (bucket.go_away, "does not answer"),
        (lambda: bucket.fail(403, "AccessDenied"), "AWS_ACCESS_KEY_ID"),
    ):
        break_it()
        errors = StringIO()
        prepare.Command(stderr=errors).prepare_storage()
        assert "going on without it." in errors.getvalue()
        assert said in errors.getvalue()
        bucket.come_back()


def test_the_whole_can_be_done_again_and_again(transactional_db: None, settings: Any) -> None:
    settings.STATIC_MANIFEST = False
    call_command("prepare", stdout=StringIO())
    before = list(User.objects.values())
    output = StringIO()

    call_command("prepare", stdout=output)

    assert output.getvalue() == ""
    assert list(User.objects.values()) == before

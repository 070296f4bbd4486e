"""The commands that take media in and tell of it: what they do, count and refuse, and how they end."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from pytest_httpserver import HTTPServer

from media_assets.models import Blob, Door, MediaAsset, Post, Role, Space
from processing import engine
from processing.management.commands import add_media
from processing.models import Job, Priority
from tests import media
from tests.make import make_asset, make_post, make_space
from tests.processes import Process, wait_until

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def space(settings: Any) -> Space:
    settings.DEFAULT_ROLE = "none"
    return make_space(alice=Role.CONTRIBUTOR, vera=Role.VIEWER)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two pictures, one of them twice, in a folder with a hidden file and one that nobody takes."""
    folder = tmp_path / "files"  # logs of processes lie beside it
    (folder / "deeper").mkdir(parents=True)
    (folder / "a.jpg").write_bytes(media.jpeg())
    (folder / "deeper" / "b.png").write_bytes(media.png())
    (folder / "deeper" / "copy.jpg").write_bytes(media.jpeg())
    (folder / ".hidden.jpg").write_bytes(media.jpeg(80, 80))
    return folder


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: Any) -> tuple[dict[str, Any], int]:
    """What a command answers in JSON, and its exit status."""
    out = io.StringIO()
    status = 0
    try:
        call_command(*map(str, arguments), "--json", stdout=out, stderr=io.StringIO())
    except CommandError as error:
        status = error.returncode
    return json.loads(out.getvalue()), status


# ------------------------------------------------------------------- files and folders


def test_files_and_folders_are_taken_in_once(folder: Path, space: Space) -> None:
    first, status = run("add_media", folder)
    assert status == 0
    assert (first["added"], first["cached"], first["failed"]) == (2, 1, 0)
    again, _ = run("add_media", folder / "a.jpg", folder)
    assert (again.get("added"), again["cached"]) == (None, 4)
    assert set(MediaAsset.objects.values_list("filename", "door")) == {
        ("a.jpg", Door.COMMAND),
        ("b.png", Door.COMMAND),
    }
    assert set(Job.objects.values_list("priority", flat=True)) == {Priority.BULK}
    assert set(MediaAsset.objects.values_list("space", "owner")) == {(space.pk, None)}


def test_what_fails_is_told_and_stops_nothing(folder: Path) -> None:
    (folder / "a.html").write_bytes(media.html())
    told, status = run("add_media", folder, folder / "none.jpg")
    assert (told["added"], told["failed"], status) == (2, 2, 1)
    assert {each["code"] for each in told["errors"]} == {"INVALID_FILE_FORMAT", "NOT_FOUND"}


def test_a_trial_takes_nothing(folder: Path) -> None:
    (folder / "a.html").write_bytes(media.html())
    told, status = run("add_media", folder, "--dry-run")
    assert (told["dry_run"], told["would_add"], told["failed"], status) == (True, 3, 1, 1)
    assert not MediaAsset.objects.exists()
    assert not Blob.objects.exists()


def test_the_owner_the_space_and_the_steps_can_be_named(folder: Path, space: Space) -> None:
    run(
        "add_media",
        folder / "a.jpg",
        "--owner",
        "alice",
        "--space",
        space.name,
        "--steps",
        "inspect",
    )
    asset = MediaAsset.objects.get()
    assert asset.owner is not None
    assert (asset.owner.username, asset.wishes) == ("alice", {"steps": ["inspect"]})


@pytest.mark.parametrize(
    "arguments",
    [
        ("--owner", "nobody"),
        ("--space", "Nowhere"),
        ("--owner", "vera"),
        ("--steps", "dance"),
        ("--space", "0190a5f0-0000-7000-8000-000000000000"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(folder: Path, arguments: tuple[str, str]) -> None:
    with pytest.raises(CommandError):
        call_command("add_media", str(folder), *arguments)
    assert not MediaAsset.objects.exists()


def test_a_person_sees_a_bar_and_a_summary(folder: Path) -> None:
    out, terminal = io.StringIO(), Terminal()
    call_command("add_media", str(folder), stdout=out, stderr=terminal)
    assert "added: 2, cached: 1" in out.getvalue()
    assert "3/3 files" in terminal.getvalue()
    quiet = io.StringIO()
    call_command("add_media", str(folder), stdout=io.StringIO(), stderr=quiet)
    assert quiet.getvalue() == ""


def test_an_interrupted_command_says_what_it_did(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = add_media._take

    def interrupted(path: Path, details: Any) -> Any:
        if MediaAsset.objects.exists():
            raise KeyboardInterrupt
        return real(path, details)

    monkeypatch.setattr(add_media, "_take", interrupted)
    told, status = run("add_media", folder)
    assert (told["added"], status) == (1, 130)


@pytest.mark.django_db(transaction=True)
def test_waiting_for_nobody_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("processing.management.waiting.SILENCE_S", 0)
    with pytest.raises(CommandError, match="No worker is running"):
        call_command("add_media", str(folder), "--wait", stdout=io.StringIO())
    assert MediaAsset.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_waiting_ends_when_the_work_is_done(
    folder: Path, worker: Process, start_command: Callable[..., Process]
) -> None:
    (folder / "cut.jpg").write_bytes(media.truncated(media.jpeg(640, 480)))
    process = start_command("add_media", str(folder), "--wait", "--steps", "inspect", "--json")
    assert process.wait(60) == 1
    assert "CORRUPT_FILE" in process.output()
    statuses = dict(MediaAsset.objects.values_list("filename", "status"))
    assert statuses == {"a.jpg": "completed", "b.png": "completed", "cut.jpg": "failed"}


# ------------------------------------------------------------------- posts from files

POST = {
    "source": "chat",
    "external_id": "17",
    "text": "Look!",
    "media": [{"type": "image", "url": "https://example.com/a.jpg"}, {"type": "poll"}],
}


def test_posts_are_imported_once(tmp_path: Path, space: Space) -> None:
    (tmp_path / "one.json").write_text(json.dumps(POST))
    (tmp_path / "two.json").write_text(json.dumps([{"text": "No id"}, {"source": "mail"}]))
    (tmp_path / "three.jsonl").write_text('{"external_id": "1"}\n\n{"external_id": "2"}\n')
    (tmp_path / "notes.txt").write_text("not looked at")
    first, status = run("import_posts", tmp_path)
    assert status == 0
    assert (first["total"], first["added"], first["media"], first["unknown_media"]) == (5, 5, 1, 1)
    again, _ = run("import_posts", tmp_path)
    assert (again["total"], again["added"], again["cached"], again["media"]) == (5, 0, 5, 0)
    assert Post.objects.count() == 5
    assert MediaAsset.objects.get().post == Post.objects.get(source="chat", external_id="17")
    assert Job.objects.get().priority == Priority.BULK


def test_a_post_that_comes_with_more_is_extended(tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    path.write_text(json.dumps(POST))
    run("import_posts", path)
    more = {"type": "video", "url": "https://example.com/b.mp4"}
    path.write_text(json.dumps({**POST, "media": [*POST["media"], more]}))
    told, _ = run("import_posts", path)
    assert (told["extended"], told["media"]) == (1, 1)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[1]",
        '{"posted_at": "yesterday"}',
        '{"text": "\\u0000"}',
        '{"text": "\\ud800"}',
        '{"size": NaN}',
        '{"media": {"type": "image"}}',
        '{"media": {"type": "image", "url": "http://127.0.0.1/"}}',
    ],
)
def test_a_bad_post_is_told_and_leaves_the_good_ones(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    (tmp_path / "b.json").write_text(json.dumps(POST))
    told, status = run("import_posts", tmp_path)
    assert (told["added"], told["failed"], status) == (1, 1, 1)
    assert "a.json" in told["errors"][0]["what"]
    assert Post.objects.count() == 1


def test_a_trial_imports_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(POST))
    told, _ = run("import_posts", tmp_path, "--dry-run")
    assert (told["dry_run"], told["added"], told["media"]) == (True, 1, 1)
    assert not Post.objects.exists()
    assert not MediaAsset.objects.exists()
    assert not Job.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_imported_media_are_fetched_by_a_worker(
    tmp_path: Path,
    httpserver: HTTPServer,
    start_worker: Callable[..., Process],
    start_command: Callable[..., Process],
) -> None:
    httpserver.expect_request("/a.jpg").respond_with_data(media.jpeg(640, 480))
    allowed = f"127.0.0.1:{httpserver.port}"
    url = httpserver.url_for("/a.jpg").replace("localhost", "127.0.0.1")
    (tmp_path / "a.json").write_text(json.dumps({"media": {"type": "image", "url": url}}))
    start_worker(DOWNLOAD_ALLOW_HOSTS=allowed)
    command = start_command("import_posts", str(tmp_path), DOWNLOAD_ALLOW_HOSTS=allowed)
    assert command.wait(60) == 0, command.output()
    wait_until(
        lambda: MediaAsset.objects.filter(status__in=("completed", "failed")).exists(),
        60,
        what="the job has ended",
    )
    asset = MediaAsset.objects.select_related("blob").get()
    assert asset.blob is not None, asset.analysis_log
    assert (asset.blob.width, asset.blob.height) == (640, 480)


# ------------------------------------------------------------------- what is told


def test_the_status_of_a_job_is_told(space: Space) -> None:
    job = engine.submit(asset=make_asset(space=space), steps=["inspect"])
    told, status = run("job_status", job.pk)
    assert (told["status"], told["steps"][0]["name"], status) == ("pending", "inspect", 0)
    out = io.StringIO()
    call_command("job_status", str(job.pk), stdout=out)
    assert "inspect" in out.getvalue()


def test_the_status_of_a_failed_job_ends_with_1(space: Space) -> None:
    job = engine.submit(asset=make_asset(space=space), steps=["inspect"])
    Job.objects.update(status="failed", error_code="CORRUPT_FILE", error_message="Cut off.")
    told, status = run("job_status", job.pk)
    assert (told["error"]["code"], status) == ("CORRUPT_FILE", 1)


def test_a_job_that_is_not_there_is_told() -> None:
    with pytest.raises(CommandError, match="There is no job"):
        call_command("job_status", "0190a5f0-0000-7000-8000-000000000000")


def test_assets_are_listed_newest_first_and_by_what_they_are(space: Space) -> None:
    post = make_post(space, external_id="17")
    picture = make_asset(space=space)
    text = make_asset(b"Some words.", space=space, post=post, filename="b.txt")
    trashed = make_asset(media.png(), space=space, filename="c.png")
    MediaAsset.objects.filter(pk=trashed.pk).update(deleted_at="2024-01-01T00:00:00Z")

    def listed(*arguments: Any) -> list[str]:
        return [each["id"] for each in run("list_media", *arguments)[0]["assets"]]

    assert listed() == [str(text.pk), str(picture.pk)]
    assert listed("--kind", "image") == [str(picture.pk)]
    assert listed("--post", "17") == listed("--post", post.pk) == [str(text.pk)]
    assert listed("--status", "completed") == []
    assert listed("--limit", 1) == [str(text.pk)]
    out = io.StringIO()
    call_command("list_media", stdout=out)
    assert "b.txt" in out.getvalue()
    with pytest.raises(CommandError, match="There is no post"):
        call_command("list_media", "--post", "none")

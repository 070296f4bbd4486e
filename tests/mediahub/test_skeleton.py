"""One file goes all the way through: a real web server, a real worker, and what people then see."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from media_assets import storage
from media_assets.models import MediaAsset
from mediahub.models import ApiKey
from processing.models import Job
from tests import media
from tests.browser import assert_accessible
from tests.make import make_user
from tests.processes import Process, wait_until
from tests.servers import Server

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


def api(server: Server, owner: User) -> httpx.Client:
    _, secret = ApiKey.objects.issue(
        owner=owner, label="curl", scopes=["read", "upload", "analyze"]
    )
    return server.client(headers={"Authorization": f"Token {secret}"})


def finished(client: httpx.Client, asset_id: str) -> dict[str, Any]:
    """The asset, once the machines are through with it."""
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(client.get(f"/api/v1/assets/{asset_id}/").json())
        return found["status"] in ("completed", "failed")

    wait_until(done, 30, what="the asset is worked on", every=0.1)
    return found


def test_every_kind_is_taken_in_inspected_and_shown(server: Server, worker: Process) -> None:
    files = {
        "a.jpg": media.jpeg(
            640, 480, exif=media.exif(taken_at="2024:05:06 07:08:09", camera="Box 1")
        ),
        "b.png": media.png(),
        "c.txt": b"Seven words stand in this small text.",
        "d.pdf": media.pdf(["First page", "Second page"]),
        "e.mp4": media.mp4(),
        "f.mp3": media.mp3(),
    }
    with api(server, make_user("alice")) as client:
        ids = {
            name: client.post("/api/v1/assets/", files={"file": (name, data)}).json()["id"]
            for name, data in files.items()
        }
        assets = {name: finished(client, each) for name, each in ids.items()}
        assert {name: each["status"] for name, each in assets.items()} == dict.fromkeys(
            files, "completed"
        )
        assert (assets["a.jpg"]["width"], assets["a.jpg"]["height"]) == (640, 480)
        assert assets["a.jpg"]["blurhash"]
        assert assets["a.jpg"]["taken_at"].startswith("2024-05-06T07:08:09")
        assert "Box 1" in str(assets["a.jpg"]["metadata"])
        assert assets["c.txt"]["metadata"]["word_count"] == 7
        assert assets["d.pdf"]["pages"] == 2
        assert assets["e.mp4"]["duration"] == pytest.approx(2, abs=0.2)
        assert assets["f.mp3"]["duration"] == pytest.approx(1, abs=0.2)
        thumbnail = client.get(assets["a.jpg"]["thumbnail_url"])
        assert thumbnail.status_code == 200
        assert thumbnail.headers["Content-Type"] == "image/jpeg"
        log = client.get(f"/api/v1/assets/{ids['a.jpg']}/log/").json()
        assert [entry["event"] for entry in log] == [
            "media_stored",
            "ai_analysis_started",
            "step_completed",
            "ai_analysis_completed",
        ]


def test_a_corrupt_picture_is_kept_and_its_job_says_why(server: Server, worker: Process) -> None:
    with api(server, make_user("alice")) as client:
        data = media.truncated(media.jpeg(640, 480))
        sent = client.post("/api/v1/assets/", files={"file": ("cut.jpg", data)})
        assert sent.status_code == 201
        asset = finished(client, sent.json()["id"])
        assert asset["status"] == "failed"
        assert asset["jobs"][0]["error"]["code"] == "CORRUPT_FILE"
        original = client.get(asset["file_url"], follow_redirects=True)
        assert original.content == data


def test_a_body_larger_than_any_limit_is_refused_before_it_is_read(server: Server) -> None:
    _, secret = ApiKey.objects.issue(owner=make_user("alice"), label="curl", scopes=["upload"])
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(
            b"POST /api/v1/assets/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Authorization: Token " + secret.encode() + b"\r\n"
            b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 10000000000000\r\n\r\n"
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
        )
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert not MediaAsset.objects.exists()


def test_too_large_is_told_while_the_file_streams(start_server: Callable[..., Server]) -> None:
    server = start_server(MAX_IMAGE_MB="1")
    with api(server, make_user("alice")) as client:
        data = media.jpeg() + bytes(3_000_000)
        refused = client.post("/api/v1/assets/", files={"file": ("big.jpg", data)})
    assert refused.status_code == 413
    assert not MediaAsset.objects.exists()


@pytest.mark.browser
def test_a_colleague_uploads_and_watches(
    server: Server,
    worker: Process,
    new_page: Callable[..., Page],
    screenshot: Callable[..., Path],
    tmp_path: Path,
) -> None:
    picture = tmp_path / "A red car.jpg"
    picture.write_bytes(media.jpeg(1200, 800))
    page = new_page(make_user("alice"))
    page.goto("/")
    expect(page.get_by_role("heading", name="Nothing here yet")).to_be_visible()
    page.get_by_role("link", name="Upload a file").click()
    assert_accessible(page)
    screenshot(page, "upload")
    page.get_by_label("Choose a file").set_input_files(picture)
    page.get_by_label("Title").fill("A red car")
    page.get_by_label("Tags").fill("red, car")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("heading", name="A red car")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Completed", timeout=30_000)
    expect(page.get_by_text("1200 × 800")).to_be_visible()
    expect(page.locator(".stage img")).to_be_visible()
    expect(page.get_by_text("Work is done.")).to_be_visible()
    assert_accessible(page)
    screenshot(page, "asset", full_page=True)
    page.goto("/library/")
    expect(page.get_by_role("link", name="A red car")).to_be_visible()
    assert_accessible(page)
    screenshot(page, "library")


@pytest.mark.browser
def test_a_refused_file_is_told_in_words(
    server: Server, new_page: Callable[..., Page], watch: Any, tmp_path: Path
) -> None:
    watch.allow_console("status of 415")
    bad = tmp_path / "page.html"
    bad.write_bytes(media.html())
    page = new_page(make_user("alice"))
    page.goto("/upload/")
    page.get_by_label("Choose a file").set_input_files(bad)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("not accepted")
    assert not MediaAsset.objects.exists()


@pytest.mark.browser
def test_a_stranger_is_asked_to_sign_in(server: Server, page: Page) -> None:
    make_user("alice")
    page.goto("/library/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert_accessible(page)
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("User name").fill("alice")
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("button", name="Sign in").click()
    expect(page).to_have_url(f"{server.url}/library/")


@pytest.mark.browser
def test_the_staff_see_the_asset_with_its_log(
    server: Server, worker: Process, new_page: Callable[..., Page], screenshot: Callable[..., Path]
) -> None:
    chief = User.objects.create_superuser("chief", password="correct horse")
    with api(server, chief) as client:
        sent = client.post("/api/v1/assets/", files={"file": ("car.jpg", media.jpeg(800, 600))})
        finished(client, sent.json()["id"])
    page = new_page(chief)
    page.goto("/admin/media_assets/mediaasset/")
    expect(page.locator("img.mh-thumb")).to_be_visible()
    screenshot(page, "staff-assets")
    page.get_by_role("link", name="car.jpg").click()
    expect(page.locator("img.mh-preview")).to_be_visible()
    expect(page.get_by_text("ai_analysis_completed")).to_be_visible()
    screenshot(page, "staff-asset", full_page=True)


def test_clients_that_go_away_leave_nothing(server: Server) -> None:
    _, secret = ApiKey.objects.issue(owner=make_user("alice"), label="curl", scopes=["upload"])
    head = (
        b"POST /api/v1/assets/ HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        b"Authorization: Token " + secret.encode() + b"\r\n"
        b"Content-Type: multipart/form-data; boundary=edge-of-parts\r\nContent-Length: 5000000\r\n\r\n"
        b'--edge-of-parts\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    )
    for number in range(30):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head + media.jpeg()[: 100 * number] + bytes(100_000 * (number % 3)))
    incoming = storage.incoming_folder()
    wait_until(lambda: not list(incoming.iterdir()), 20, what="no temporary file is left")
    assert not MediaAsset.objects.exists()
    with server.client() as client:
        assert client.get("/health").json() == {"status": "ok"}


def test_a_job_knows_the_session_that_asked(server: Server) -> None:
    with api(server, make_user("alice")) as client:
        client.post("/api/v1/assets/", files={"file": ("a.jpg", media.jpeg())})
    session = Job.objects.get().session
    assert session is not None
    assert (session.key_label, session.ip) == ("curl", "127.0.0.1")

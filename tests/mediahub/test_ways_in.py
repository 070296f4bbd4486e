"""Addresses and posts go all the way through: a real web server, a real worker, and a site with files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pytest_httpserver import HTTPServer

from media_assets import storage
from media_assets.models import MediaAsset
from mediahub.models import ApiKey
from tests import media
from tests.make import make_user
from tests.processes import Process, wait_until
from tests.servers import Server

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]

PICTURE = media.jpeg(640, 480)


@pytest.fixture
def site(httpserver: HTTPServer) -> str:
    """The address of a site with files."""
    httpserver.expect_request("/a.jpg").respond_with_data(PICTURE)
    httpserver.expect_request("/same.jpg").respond_with_data(PICTURE)
    httpserver.expect_request("/b.txt").respond_with_data(b"Four words of text.")
    httpserver.expect_request("/page.jpg").respond_with_data(media.html())
    inside = {"Location": "http://169.254.169.254/latest/"}
    httpserver.expect_request("/inside").respond_with_data(b"", status=302, headers=inside)
    return f"http://127.0.0.1:{httpserver.port}"


@pytest.fixture
def client(
    site: str,
    start_server: Callable[..., Server],
    start_worker: Callable[..., Process],
) -> Any:
    allowed = site.removeprefix("http://")
    server = start_server(DOWNLOAD_ALLOW_HOSTS=allowed)
    start_worker(DOWNLOAD_ALLOW_HOSTS=allowed)
    _, secret = ApiKey.objects.issue(
        owner=make_user("alice"), label="curl", scopes=["read", "upload", "analyze"]
    )
    with server.client(headers={"Authorization": f"Token {secret}"}) as found:
        yield found


def finished(client: httpx.Client, asset_id: str) -> dict[str, Any]:
    """The asset, once the machines are through with it."""
    found: dict[str, Any] = {}

    def done() -> bool:
        found.update(client.get(f"/api/v1/assets/{asset_id}/").json())
        return found["status"] in ("completed", "failed")

    wait_until(done, 60, what="the asset is worked on", every=0.1)
    return found


def test_addresses_become_assets_with_bytes(client: httpx.Client, site: str) -> None:
    def announce(path: str) -> str:
        answer = client.post("/api/v1/assets/", json={"url": site + path, "steps": ["inspect"]})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    picture = finished(client, announce("/a.jpg"))
    assert (picture["status"], picture["width"], picture["height"]) == ("completed", 640, 480)
    assert client.get(picture["file_url"], follow_redirects=True).content == PICTURE
    log = client.get(f"/api/v1/assets/{picture['id']}/log/").json()
    assert [entry["event"] for entry in log][:3] == [
        "media_announced",
        "ai_analysis_started",
        "media_downloaded",
    ]
    # The same bytes at another address: the new asset gives way, and is found under its old id.
    assert finished(client, announce("/same.jpg"))["id"] == picture["id"]
    page = finished(client, announce("/page.jpg"))
    assert page["jobs"][0]["error"]["code"] == "UNSUPPORTED_CODEC"
    inside = finished(client, announce("/inside"))
    assert inside["jobs"][0]["error"]["code"] == "UNSAFE_URL"
    assert not list(storage.incoming_folder().iterdir())


def test_a_post_s_media_come_in_the_background(
    client: httpx.Client, site: str, httpserver: HTTPServer
) -> None:
    body = {
        "source": "chat",
        "external_id": "17",
        "media": [
            {"type": "images", "images": [{"url": f"{site}/a.jpg"}, {"url": f"{site}/same.jpg"}]},
            {"type": "document", "url": f"{site}/b.txt"},
        ],
    }
    post = client.post("/api/v1/posts/", json=body)
    assert post.status_code == 201, post.text
    for asset in post.json()["assets"]:
        assert finished(client, asset["id"])["status"] == "completed"
    again = client.post("/api/v1/posts/", json=body)
    assert again.status_code == 200
    # Two addresses of the same picture are one asset; nothing was fetched twice.
    assert [each["kind"] for each in again.json()["assets"]] == ["image", "document"]
    assert again.json()["assets"][0]["thumbnail_url"]
    assert len(httpserver.log) == 3
    assert MediaAsset.objects.filter(deleted_at__isnull=True).count() == 2

"""The ground the tests stand on holds: media are what they say, processes end, the browser complains."""

from __future__ import annotations

import asyncio
import hashlib
import io
import logging
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import docx
import pi_heif
import psutil
import pypdfium2
import pytest
from PIL import Image
from playwright.sync_api import Page

from tests import media
from tests.browser import Watch, assert_accessible
from tests.processes import Keeper, Process, wait_until
from tests.servers import Server

# ------------------------------------------------------------------- media


@pytest.mark.parametrize("name", ["jpeg", "png", "gif", "webp", "tiff", "bmp", "avif"])
def test_pictures_decode_to_their_size(name: str) -> None:
    with Image.open(io.BytesIO(getattr(media, name)(width=72, height=40))) as image:
        image.load()
        assert image.size == (72, 40)


def test_a_heic_decodes_with_its_exif() -> None:
    data = media.heic(200, 100, exif=media.exif(camera="Camera 1"))
    still = pi_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    assert still.size == (200, 100)
    assert b"Camera 1" in still.info["exif"]
    corner = Image.frombytes("RGB", still.size, still.data, "raw", "RGB", still.stride)
    assert corner.getpixel((50, 33)) == (255, 255, 255)


def test_exif_says_when_where_and_with_what() -> None:
    data = media.jpeg(
        exif=media.exif(
            taken_at="2024:05:06 07:08:09", camera="Camera 1", orientation=6, gps=(52.5, -13.4)
        )
    )
    with Image.open(io.BytesIO(data)) as image:
        tags = image.getexif()
        assert (tags[0x0110], tags[0x0112]) == ("Camera 1", 6)
        assert tags.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09"
        assert tags.get_ifd(0x8825)[4] == (13, 24, 0)
        assert tags.get_ifd(0x8825)[3] == "W"


@pytest.mark.parametrize(
    "name",
    "wav mp3 ogg opus flac m4a webm_audio mp4 mov webm mkv".split(),
)
def test_sound_and_films_decode_whole(name: str) -> None:
    film = name in {"mp4", "mov", "webm", "mkv"}
    with av.open(io.BytesIO(getattr(media, name)(1.0))) as container:
        assert container.duration == pytest.approx(1_000_000, rel=0.06)
        assert [stream.type for stream in container.streams] == ["video"] * film + ["audio"]
        frames = list(container.decode(video=0) if film else container.decode(audio=0))
    assert len(frames) == 10 if film else len(frames) > 5


def test_a_turned_film_says_so() -> None:
    with av.open(io.BytesIO(media.mp4(0.5, rotation=90))) as container:
        assert next(container.decode(video=0)).rotation == -90


def test_documents_hold_their_text() -> None:
    pages = pypdfium2.PdfDocument(media.pdf(["One (page)", "Two\nlines"]))
    texts = [page.get_textpage().get_text_bounded() for page in pages]
    pages.close()
    assert texts == ["One (page)", "Two\r\nlines"]
    document = docx.Document(io.BytesIO(media.word(["Hello"], table=[["a", "b"]])))
    assert [each.text for each in document.paragraphs] == ["Hello"]
    assert document.tables[0].cell(0, 1).text == "b"


def test_scans_have_no_text_and_locked_documents_no_entry() -> None:
    scan = pypdfium2.PdfDocument(media.scanned_pdf([media.jpeg()]))
    assert scan[0].get_textpage().get_text_bounded() == ""
    scan.close()
    with pytest.raises(pypdfium2.PdfiumError, match="password"):
        pypdfium2.PdfDocument(media.encrypted_pdf())


def test_media_are_the_same_in_every_process_and_differ_by_seed() -> None:
    program = textwrap.dedent("""
        import hashlib
        from tests import media
        made = media.jpeg() + media.heic() + media.mp4(0.3) + media.ogg(0.3) + media.word() + media.gif()
        print(hashlib.sha256(made).hexdigest())
    """)
    root = Path(__file__).parent.parent.parent
    other = subprocess.run(
        [sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True
    )
    made = media.jpeg() + media.heic() + media.mp4(0.3)
    made += media.ogg(0.3) + media.word() + media.gif()
    assert other.stdout.strip() == hashlib.sha256(made).hexdigest()
    assert media.jpeg(seed=1) != media.jpeg() != media.jpeg(seed=2)


# ------------------------------------------------------------------- processes

FAMILY = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print("ready", flush=True)
time.sleep(600)
"""


def test_nothing_of_a_stopped_process_is_left(tmp_path: Path) -> None:
    process = Process([sys.executable, "-c", FAMILY], env={}, log=tmp_path / "log")
    wait_until(lambda: "ready" in process.output(), what="it is ready")
    family = process.family()
    assert len(family) == 2
    assert process.stop() == 3
    gone, alive = psutil.wait_procs(family, 5)
    assert not alive, gone


def test_a_keeper_acts_when_its_process_is_killed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.touch()
    program = f"""
import os, signal
from tests.processes import Keeper, remove_folder
from pathlib import Path
Keeper(remove_folder(Path({str(kept)!r})))
os.kill(os.getpid(), signal.SIGKILL)
"""
    root = Path(__file__).parent.parent.parent
    subprocess.run([sys.executable, "-c", program], cwd=root, check=False)
    wait_until(lambda: not kept.exists(), what="the keeper removed it")


def test_a_dismissed_keeper_does_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    keeper = Keeper(f"touch {mark}")
    keeper.dismiss()
    assert not mark.exists()


def test_waiting_gives_up_and_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"Not within 0.05 s: the moon"):
        wait_until(lambda: False, 0.05, what="the moon")


def test_no_test_reaches_the_outside() -> None:
    with pytest.raises(pytest.fail.Exception, match=r"look up 'example\.com'"):
        socket.create_connection(("example.com", 80))
    with pytest.raises(pytest.fail.Exception, match=r"reach 192\.0\.2\.1:80"):
        socket.create_connection(("192.0.2.1", 80))
    with pytest.raises(socket.gaierror):
        socket.create_connection(("host.invalid", 80))


def test_half_a_character_in_a_log_does_not_end_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger(__name__).warning("half a character: \ud800")
    capsys.readouterr()


# ------------------------------------------------------------------- server and browser


def test_the_server_answers(server: Server) -> None:
    with server.client() as client:
        assert client.get("/health/live").json() == {"status": "ok"}


def test_a_signed_in_page_is_known_to_the_server(
    new_page: Callable[..., Page], django_user_model: Any
) -> None:
    user = django_user_model.objects.create_superuser("ada", password="secret of hers")
    page = new_page(user)
    page.goto("/admin/")
    assert "/login/" not in page.url
    assert new_page().request.get("/admin/", max_redirects=0).status == 302


def test_a_page_of_the_server_opens(page: Page) -> None:
    response = page.goto("/health/live")
    assert response is not None
    assert response.json() == {"status": "ok"}


def test_asyncio_works_beside_browser_tests() -> None:
    asyncio.run(asyncio.sleep(0))


BAD_PAGE = """<!doctype html><html lang="en"><title>Bad</title><main><h1>Bad</h1>
<img src="http://media.example/a.png" alt="a"><button></button>
<script>console.error("ouch"); alert("hello"); throw new Error("thrown")</script></main></html>"""


def test_the_browser_reports_what_a_page_does_wrong(
    new_page: Callable[..., Page], watch: Watch
) -> None:
    page = new_page()
    page.route("**/bad", lambda route: route.fulfill(body=BAD_PAGE, content_type="text/html"))
    page.goto("/bad")
    wait_until(lambda: page.title() and len(watch.findings) >= 4, what="findings")
    found = " ".join(watch.findings)
    for expected in ("outside request: http://media.example", "ouch", "dialog: hello", "thrown"):
        assert expected in found
    with pytest.raises(AssertionError, match="button-name"):
        assert_accessible(page)
    watch.findings.clear()


def test_the_browser_reports_what_a_policy_forbids(
    new_page: Callable[..., Page], watch: Watch
) -> None:
    watch.allow_console("Content Security Policy")
    page = new_page()
    headers = {"Content-Security-Policy": "default-src 'self'"}
    page.route(
        "**/strict",
        lambda route: route.fulfill(
            body="<!doctype html><title>x</title><script>let a</script>",
            content_type="text/html",
            headers=headers,
        ),
    )
    page.goto("/strict")
    wait_until(lambda: page.title() and watch.findings, what="findings")
    assert watch.findings == [
        f"CSP: script-src-elem forbids inline on {page.url}",
    ]
    watch.findings.clear()

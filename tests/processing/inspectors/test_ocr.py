"""Text in pictures: both engines on real pictures, and what becomes of their answers."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from processing.inspectors import ocr
from processing.inspectors.base import Unreadable
from tests import samples

LINES = ["Invoice number 4711", "Total amount: 1,234.50 EUR", "Thank you for your order"]


def picture(lines: list[str]) -> Image.Image:
    image = Image.new("RGB", (1200, 420), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((60, 40 + number * 120), line, fill="black", font=ImageFont.load_default(44))
    return image


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.png"
    picture(LINES).save(path)
    return path


def needs(engine: str) -> None:
    """Skip where the machine has not the engine that this test runs."""
    here = ocr._has_rapidocr() if engine == ocr.RAPIDOCR else bool(ocr.installed_languages())
    if not here:
        pytest.skip(f"{engine} is not installed")


@pytest.mark.parametrize("engine", [ocr.TESSERACT, ocr.RAPIDOCR])
def test_lines_are_read_with_their_places(page: Path, engine: str) -> None:
    needs(engine)
    blocks = ocr.read(page, "eng", engine=engine)
    assert [block.text for block in blocks] == LINES
    tops = []
    for number, block in enumerate(blocks):
        left, top, width, height = block.box
        assert block.confidence is not None
        assert 0.8 < block.confidence <= 1
        assert left == pytest.approx(60 / 1200, abs=0.02)
        assert top == pytest.approx((40 + number * 120) / 420, abs=0.06)
        assert 0 < width < 1 - left
        assert 0 < height < 0.2
        tops.append(top)
    assert tops == sorted(tops)


@pytest.mark.parametrize("engine", [ocr.TESSERACT, ocr.RAPIDOCR])
def test_a_picture_without_text_has_no_lines(tmp_path: Path, engine: str) -> None:
    needs(engine)
    path = tmp_path / "blank.jpg"
    Image.new("L", (300, 200), 255).save(path)
    assert ocr.read(path, "eng", engine=engine) == []


def test_tesseract_is_preferred_for_scans_and_rapidocr_for_photographs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = {"tesseract": "/usr/bin/tesseract"}
    monkeypatch.setattr("shutil.which", here.get)
    monkeypatch.setattr(ocr, "_has_rapidocr", lambda: True)
    assert (ocr.available(), ocr.available(photo=True)) == ("tesseract", "rapidocr")
    monkeypatch.setattr(ocr, "_has_rapidocr", lambda: False)
    assert (ocr.available(), ocr.available(photo=True)) == ("tesseract", "tesseract")
    here.clear()
    assert ocr.available() is None
    monkeypatch.setattr(ocr, "_has_rapidocr", lambda: True)
    assert ocr.available() == "rapidocr"


def test_without_an_engine_nothing_is_read(page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "available", lambda **_: None)
    assert ocr.read(page) == []


@pytest.fixture
def fake_tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program of that name that writes down how it was called, and does what `behave` says."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "tesseract"
    program.write_text(
        "#!/bin/sh\n"
        'if [ "$1" = --list-langs ]; then printf "List of languages (2):\\neng\\ndeu\\nosd\\n"; exit; fi\n'
        f'echo "$OMP_THREAD_LIMIT $@" > {tmp_path}/called\n'
        f". {tmp_path}/behave\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "behave").write_text("exit 0")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    ocr.installed_languages.cache_clear()
    yield tmp_path
    ocr.installed_languages.cache_clear()


@pytest.mark.parametrize(
    ("asked", "used"),
    [
        ("eng", "eng"),
        ("deu+eng", "deu+eng"),
        (["deu", "xyz"], "deu"),
        ("xyz", "eng"),
        ("../../etc/passwd; rm -rf", "eng"),
        ("--help", "eng"),
        ([], "eng"),
        ("eng,deu,eng", "eng+deu"),
    ],
)
def test_only_installed_languages_are_asked_for_and_one_thread_is_used(
    fake_tesseract: Path, page: Path, asked: str | list[str], used: str
) -> None:
    ocr.read(page, asked, engine=ocr.TESSERACT)
    called = (fake_tesseract / "called").read_text().split()
    assert called == ["1", str(page), "stdout", "-l", used, "--psm", "3", "tsv"]


def test_a_failing_engine_is_a_corrupt_file(fake_tesseract: Path, page: Path) -> None:
    (fake_tesseract / "behave").write_text("echo no >&2; exit 1")
    with pytest.raises(Unreadable) as caught:
        ocr.read(page, engine=ocr.TESSERACT)
    assert caught.value.code == "CORRUPT_FILE"


def test_an_engine_that_takes_too_long_is_a_limit(
    fake_tesseract: Path, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (fake_tesseract / "behave").write_text("exec /bin/sleep 30")
    monkeypatch.setattr(ocr, "TIMEOUT_S", 0.3)
    with pytest.raises(Unreadable) as caught:
        ocr.read(page, engine=ocr.TESSERACT)
    assert caught.value.code == "LIMIT_EXCEEDED"


HEAD = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"


def test_words_are_put_together_to_lines() -> None:
    table = HEAD + (
        "1\t1\t0\t0\t0\t0\t0\t0\t1000\t500\t-1\t\n"
        "5\t1\t1\t1\t1\t1\t100\t50\t200\t40\t90\tHello\n"
        '5\t1\t1\t1\t1\t2\t320\t45\t180\t50\t80\t"world\n'
        "5\t1\t1\t1\t2\t1\t100\t100\t50\t20\t-3\tx\x07y\n"
        "5\t1\t1\t1\t3\t1\t900\t400\t500\t500\t120\tedge\n"
        "5\t1\t1\t1\t4\t1\t0\t0\t9\t9\t50\t \n"
    )
    first, second, third = ocr.parse_tsv(table)
    assert first == ocr.TextBlock('Hello "world', 0.85, [0.1, 0.09, 0.4, 0.1])
    assert (second.text, second.confidence) == ("x y", 0.0)
    assert (third.confidence, third.box) == (1.0, [0.9, 0.8, 0.1, 0.2])


def test_pages_of_a_scan_are_drawn_and_read(tmp_path: Path) -> None:
    needs(ocr.TESSERACT)
    source = tmp_path / "scan.pdf"
    shown = picture(LINES)
    shown.save(
        source, "PDF", resolution=150, save_all=True, append_images=[picture(["Second page"])]
    )
    found = ocr.read_pages(source, tmp_path, [2, 1, 7], "eng")
    assert found["engine"] == ocr.available()
    assert [page["page"] for page in found["pages"]] == [2, 1]
    assert found["pages"][0]["text"] == "Second page"
    assert found["pages"][1]["text"] == "\n".join(LINES)
    assert found["pages"][1]["blocks"][0]["text"] == LINES[0]
    assert [path.name for path in tmp_path.iterdir()] == ["scan.pdf"], "no picture is left behind"


def test_a_picture_is_read_as_json(page: Path, tmp_path: Path) -> None:
    needs(ocr.TESSERACT)
    found = ocr.read_pictures(page, tmp_path, "eng")
    assert found["engine"] == ocr.available()
    assert [block["text"] for block in found["blocks"]] == LINES
    assert set(found["blocks"][0]) == {"text", "confidence", "box"}


def test_what_is_no_pdf_has_no_pages_to_read(tmp_path: Path) -> None:
    source = tmp_path / "a.pdf"
    source.write_bytes(samples.image_file("png"))
    with pytest.raises(Unreadable) as caught:
        ocr.read_pages(source, tmp_path, [1])
    assert caught.value.code == "CORRUPT_FILE"

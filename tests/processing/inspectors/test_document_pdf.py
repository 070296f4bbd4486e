"""PDFs: text, pages, scans, passwords, and documents made to hurt a reader."""

from __future__ import annotations

import io
import json
import time
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pypdf
import pypdfium2
import pypdfium2.raw
import pytest
from PIL import Image, ImageDraw, ImageFont

from processing import sandbox
from processing.errors import InputFault
from processing.inspectors import document, pdf
from processing.inspectors.base import Inspection, Unreadable
from tests import samples

Look = Any


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return document.inspect(source, tmp_path, options)

    return inspect


def text_of(found: Inspection) -> dict[str, Any]:
    assert found.text is not None
    return found.text


def code_of(look: Look, data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        look(data)
    return caught.value.code


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d%s>>stream\n%s\nendstream" % (len(data), entries, data)


def scan(*lines: str) -> bytes:
    """A page that is only the picture of a page."""
    image = Image.new("RGB", (1240, 1754), "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((100, 120 + number * 90), line, fill="black", font=ImageFont.load_default(44))
    buffer = io.BytesIO()
    image.save(buffer, "PDF", resolution=150)
    return buffer.getvalue()


def joined(*documents: bytes) -> bytes:
    writer = pypdf.PdfWriter()
    for data in documents:
        writer.append(pypdf.PdfReader(io.BytesIO(data)))
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


# --- what is found -----------------------------------------------------------------------------------


def test_text_is_told_page_by_page(look: Look, tmp_path: Path) -> None:
    data = samples.pdf(
        ["The first page of the report and its title", "The second page\nwith two lines for you"],
        info={"Title": "Report", "Author": "Alice", "Producer": "Maker 1"},
    )
    found = look(data)
    text = text_of(found)
    assert found.facts["pages"] == text["page_count"] == 2
    assert text["blocks"] == [
        {"page": 1, "text": "The first page of the report and its title"},
        {"page": 2, "text": "The second page\nwith two lines for you"},
    ]
    assert text["text"] == "\n\n".join(block["text"] for block in text["blocks"])
    assert text["word_count"] == 17
    assert text["language"] == "en"
    assert not text["truncated"]
    assert text["needs_ocr"] == text["failed_pages"] == []
    assert text["reason"] is None
    assert found.metadata["title"] == "Report"
    assert found.metadata["author"] == "Alice"
    assert found.metadata["producer"] == "Maker 1"
    assert not found.metadata["encrypted"]
    assert json.loads(json.dumps(found.as_json())) == found.as_json()


def test_the_first_page_is_shown(look: Look, tmp_path: Path) -> None:
    found = look(samples.pdf(["Words " * 10]))
    assert [(file.kind, file.width, file.height) for file in found.renditions] == [
        ("thumbnail", 226, 320),
        ("preview", 905, 1280),
    ]
    with Image.open(tmp_path / "preview.jpg") as shown:
        assert shown.format == "JPEG"
        grey = np.asarray(shown.convert("L"))
    assert grey.min() < 100, "dark letters"
    assert grey.max() == 255, "on white paper"


def test_renditions_may_be_left_out(look: Look, tmp_path: Path) -> None:
    assert look(samples.pdf(), want_renditions=False).renditions == []
    assert not (tmp_path / "preview.jpg").exists()


def test_words_divided_at_a_line_end_are_put_together(look: Look) -> None:
    assert "hyphenated words" in text_of(look(samples.pdf(["some hyphen-\nated words"])))["text"]


def test_strings_of_the_document_are_made_plain(look: Look) -> None:
    info = {
        "Title": "a\x00b\r\n\x07c\u202e",
        "Author": "x" * 5000,
        "Keywords": "\ud800 <b>",
        "Subject": "",
    }
    metadata = look(samples.pdf(info=info)).metadata
    assert metadata["title"] == "a b c"
    assert len(metadata["author"]) == 300
    assert "subject" not in metadata
    json.dumps(metadata).encode()


# --- scans -------------------------------------------------------------------------------------------


def test_a_scan_is_no_failure_and_asks_to_be_read(look: Look) -> None:
    found = look(scan("A scanned letter"))
    text = text_of(found)
    assert text["text"] == ""
    assert text["blocks"] == []
    assert text["needs_ocr"] == [1]
    assert text["reason"] == "scanned"
    assert len(found.renditions) == 2


def test_only_the_scanned_pages_of_a_mixed_document_ask_to_be_read(look: Look) -> None:
    data = joined(
        samples.pdf(["A page of real text, long enough"]), scan("x"), samples.pdf(["", "End"])
    )
    text = text_of(look(data))
    assert text["page_count"] == 4
    assert text["needs_ocr"] == [2], "the empty page and the short one have nothing to be read"
    assert text["reason"] is None


def test_an_empty_page_is_empty(look: Look) -> None:
    text = text_of(look(samples.pdf([""])))
    assert (text["text"], text["needs_ocr"], text["reason"]) == ("", [], "no_text")


def test_a_page_of_outlines_asks_to_be_read(look: Look) -> None:
    shapes = b" ".join(b"%d 10 m %d 30 l %d 20 l f" % (n, n + 3, n + 6) for n in range(40))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R>>"
    pages = b"<</Type/Pages/Count 1/Kids[3 0 R]>>"
    data = samples.pdf_of([b"<</Type/Catalog/Pages 2 0 R>>", pages, page, stream(shapes)])
    assert text_of(look(data))["needs_ocr"] == [1]


def test_pages_are_drawn_for_reading(tmp_path: Path) -> None:
    source = tmp_path / "a.pdf"
    source.write_bytes(samples.pdf(["one", "two", "three"]))
    drawn = list(pdf.draw(source, [3, 1, 9, 0], 200, 4000))
    assert [number for number, _ in drawn] == [3, 1]
    assert {picture.mode for _, picture in drawn} == {"L"}
    assert {picture.size for _, picture in drawn} == {(1653, 2339)}
    ((_, small),) = pdf.draw(source, [2], 200, 500)
    assert max(small.size) == 500


# --- limits ------------------------------------------------------------------------------------------


def test_pages_past_the_limit_are_left_out_and_told(look: Look) -> None:
    data = samples.pdf([f"page {n}" for n in range(1, 31)])
    text = text_of(look(data, max_pages=10))
    assert text["truncated"]
    assert text["page_count"] == 30
    assert [block["page"] for block in text["blocks"]] == list(range(1, 11))
    assert not text_of(look(data, max_pages=30))["truncated"]


def test_three_thousand_real_pages_are_read_to_the_limit(look: Look) -> None:
    began = time.process_time()
    text = text_of(look(samples.pdf([f"This is page {n}" for n in range(3000)])))
    assert time.process_time() - began < 10
    assert text["truncated"]
    assert text["page_count"] == 3000
    assert len(text["blocks"]) == 2000


def test_text_past_the_limit_is_cut_between_characters(look: Look) -> None:
    data = samples.pdf(["caf\xe9 " * 50] * 20)
    text = text_of(look(data, max_text_bytes=1001))
    assert text["truncated"]
    assert 990 <= len("".join(block["text"] for block in text["blocks"]).encode()) <= 1001


# --- passwords ---------------------------------------------------------------------------------------


def locked(user: str, algorithm: str) -> bytes:
    writer = pypdf.PdfWriter()
    writer.append(pypdf.PdfReader(io.BytesIO(samples.pdf(["A secret that is kept"]))))
    writer.encrypt(user, "owner", algorithm=algorithm)
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256-R5", "AES-256"])
def test_a_password_is_told(look: Look, algorithm: str) -> None:
    pytest.importorskip("cryptography")
    assert code_of(look, locked("open sesame", algorithm)) == "ENCRYPTED_FILE"


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128", "AES-128", "AES-256"])
def test_an_empty_password_opens(look: Look, algorithm: str) -> None:
    pytest.importorskip("cryptography")
    found = look(locked("", algorithm))
    assert text_of(found)["text"] == "A secret that is kept"
    assert found.metadata["encrypted"]


# --- damaged and hostile -----------------------------------------------------------------------------

CATALOG = b"<</Type/Catalog/Pages 2 0 R>>"
PAGE = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"


def with_content(content: bytes, *extra: bytes, page: bytes = b"") -> bytes:
    holder = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]/Contents 4 0 R%s>>" % page
    return samples.pdf_of(
        [CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", holder, content, *extra]
    )


def flate(data: bytes, entries: bytes = b"") -> bytes:
    return stream(zlib.compress(data, 9), b"/Filter/FlateDecode" + entries)


def form(number: int, content: bytes) -> bytes:
    entries = (
        b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X %d 0 R>>>>" % number
    )
    return stream(content, entries)


HOSTILE: dict[str, bytes] = {
    "page tree of itself": samples.pdf_of([CATALOG, b"<</Type/Pages/Count 5/Kids[2 0 R]>>"]),
    "page trees of each other": samples.pdf_of(
        [CATALOG, b"<</Type/Pages/Count 5/Kids[3 0 R]>>", b"<</Type/Pages/Count 5/Kids[2 0 R]>>"]
    ),
    "loop with a page": samples.pdf_of(
        [CATALOG, b"<</Type/Pages/Count 5/Kids[3 0 R 2 0 R 3 0 R]>>", PAGE]
    ),
    "page tree 20,000 deep": samples.pdf_of(
        [CATALOG, *(b"<</Type/Pages/Count 1/Kids[%d 0 R]>>" % (n + 3) for n in range(20_000)), PAGE]
    ),
    "2^30 pages in a net": samples.pdf_of(
        [
            CATALOG,
            *(
                b"<</Type/Pages/Count %d/Kids[%d 0 R %d 0 R]>>" % (2 ** (30 - n), n + 3, n + 3)
                for n in range(30)
            ),
            PAGE,
        ]
    ),
    "a million pages claimed": samples.pdf(["one"]).replace(b"/Count 1/", b"/Count 1000000/"),
    "a million kids, one page": samples.pdf_of(
        [CATALOG, b"<</Type/Pages/Count 1000000/Kids[%s]>>" % (b"3 0 R " * 1_000_000), PAGE]
    ),
    "stream of 100 MB": with_content(flate(bytes(100 << 20))),
    "packed twice": with_content(
        stream(
            zlib.compress(zlib.compress(bytes(100 << 20), 9), 9),
            b"/Filter[/FlateDecode/FlateDecode]",
        )
    ),
    "run lengths of 640 MB": with_content(
        stream(b"\x81\0" * 1_000_000, b"/Filter/RunLengthDecode")
    ),
    "1000 filters": with_content(stream(b"x", b"/Filter[%s]" % (b"/ASCIIHexDecode" * 1000))),
    "picture of 100,000 squared": with_content(
        stream(b"/I Do"),
        stream(
            b"x",
            b"/Type/XObject/Subtype/Image/Width 100000/Height 100000/ColorSpace/DeviceRGB/BitsPerComponent 8",
        ),
        page=b"/Resources<</XObject<</I 5 0 R>>>>",
    ),
    "huge page": samples.pdf(["one"]).replace(b"[0 0 595 842]", b"[0 0 1e9 1e9]"),
    "page without size": samples.pdf(["one"]).replace(b"[0 0 595 842]", b"[0 0 0 0]    "),
    "long thin page": samples.pdf(["one"]).replace(b"[0 0 595 842]", b"[0 0 1 14400]"),
    "form that draws itself": with_content(
        stream(b"/X Do"), form(5, b"/X Do"), page=b"/Resources<</XObject<</X 5 0 R>>>>"
    ),
    "200,000 arrays in content": with_content(stream(b"[" * 200_000 + b"]" * 200_000 + b" TJ")),
    "50,000 arrays in an object": samples.pdf_of(
        [CATALOG, b"<</Type/Pages/Count 1/Kids[3 0 R]>>", PAGE, b"[" * 50_000 + b"]" * 50_000]
    ),
    "200,000 states saved": with_content(stream(b"q " * 200_000)),
    "script and launch on opening": samples.pdf(["one"]).replace(
        b"<</Type/Catalog",
        b"<</OpenAction<</S/JavaScript/JS(app.launchURL\\('http://127.0.0.1'\\))>>/AA<</WC<</S/Launch/F(x)>>>>/Type/Catalog",
    ),
    "no pages": samples.pdf_of([b"<</Type/Catalog>>"]),
    "only a header": b"%PDF-1.7\n",
    "header and noise": b"%PDF-1.7\n" + bytes(range(256)) * 400,
    "cut short": samples.pdf(["one", "two", "three"])[:700],
}
NET_OF_FORMS = with_content(
    stream(b"/X Do"),
    *(form(n + 6, b"/X Do /X Do") for n in range(30)),
    stream(b"0 0 9 9 re f", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]"),
    page=b"/Resources<</XObject<</X 5 0 R>>>>",
)
READABLE = {
    *("loop with a page", "a million pages claimed", "a million kids, one page", "huge page"),
    *("page without size", "long thin page", "script and launch on opening"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_ends_soon_in_text_or_a_code(look: Look, what: str) -> None:
    began = time.process_time()
    try:
        found = look(HOSTILE[what])
    except Unreadable as fault:
        outcome = fault.code
    else:
        outcome = "ok"
        assert len(json.dumps(found.as_json())) < 1_000_000
    assert time.process_time() - began < 20
    assert outcome in (("ok",) if what in READABLE else ("ok", "CORRUPT_FILE", "LIMIT_EXCEEDED"))


def test_what_pdfium_itself_cannot_bound_is_ended_by_the_sandbox(tmp_path: Path) -> None:
    """A form that draws another twice, thirty times over, keeps pdfium busy for hours."""
    source = tmp_path / "source"
    source.write_bytes(NET_OF_FORMS)
    workdir = tmp_path / "work"
    workdir.mkdir()
    with pytest.raises(InputFault) as caught:
        sandbox.run(
            "processing.inspectors.document:inspect",
            source=source,
            workdir=workdir,
            limits=sandbox.Limits(cpu_s=1),
        )
    assert caught.value.job_code == "LIMIT_EXCEEDED"


def test_a_page_count_that_lies_is_not_believed(look: Look) -> None:
    found = look(HOSTILE["a million pages claimed"])
    assert found.facts["pages"] == 1
    assert text_of(found)["failed_pages"] == []
    assert text_of(found)["text"] == "one"


def test_a_damaged_page_is_named_and_the_others_are_read(look: Look) -> None:
    data = samples.pdf([f"page {n}" for n in range(5)])
    kids = data[data.index(b"/Kids[") + 6 : data.index(b"]", data.index(b"/Kids["))]
    third = kids.split(b" 0 R")[2].strip()
    text = text_of(
        look(data.replace(kids, kids.replace(b" %s 0 R" % third, b" 99 0 R"[: len(third) + 5])))
    )
    assert 3 in text["failed_pages"]
    read = [block["text"] for block in text["blocks"]]
    assert "page 2" not in read
    assert {"page 0", "page 1", "page 3"} <= set(read)


def test_a_document_without_a_readable_page_is_corrupt(look: Look) -> None:
    for what in ("page tree of itself", "no pages", "only a header", "header and noise"):
        assert code_of(look, HOSTILE[what]) == "CORRUPT_FILE"


def test_what_pdfium_cannot_open_is_given_to_the_second_reader(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise pypdfium2.PdfiumError("Data format error", err_code=pypdfium2.raw.FPDF_ERR_FORMAT)

    monkeypatch.setattr(pypdfium2, "PdfDocument", refuse)
    found = look(samples.pdf(["one page of text", "and two"], info={"Title": "T"}))
    assert text_of(found)["text"] == "one page of text\n\nand two"
    assert found.facts["pages"] == 2
    assert found.metadata["title"] == "T"
    assert found.renditions == []
    pytest.importorskip("cryptography")
    assert code_of(look, locked("secret", "AES-256")) == "ENCRYPTED_FILE"


def test_a_page_that_pdfium_cannot_load_is_given_to_the_second_reader(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = pypdfium2.raw.FPDF_LoadPage
    monkeypatch.setattr(
        pypdfium2.raw, "FPDF_LoadPage", lambda raw, index: None if index == 1 else load(raw, index)
    )
    text = text_of(look(samples.pdf(["one", "two", "three"])))
    assert [block["text"] for block in text["blocks"]] == ["one", "two", "three"]
    assert text["failed_pages"] == []


def test_letters_without_meaning_ask_to_be_read(look: Look) -> None:
    assert pdf._is_picture("\ue001\ue002 \ue003\ue004" * 20)
    assert pdf._is_picture("\ufffd" * 50)
    assert not pdf._is_picture("h\xe9 " * 20)
    assert not pdf._is_picture("A line of plain text")
    assert pdf._is_picture(" \n 12 ")

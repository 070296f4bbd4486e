"""DOCX: text in reading order, and archives and XML made to hurt a reader."""

from __future__ import annotations

import io
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import docx
import numpy as np
import psutil
import pytest

from processing.inspectors import document
from processing.inspectors import docx as inspector
from processing.inspectors.base import Inspection, Unreadable
from tests import samples

Look = Any
W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT = "http://purl.oclc.org/ooxml/wordprocessingml/main"
TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Override PartName="/word/document.xml" ContentType="application/'
    'vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return document.inspect(source, tmp_path, {"format": "docx", **options})

    return inspect


def text_of(found: Inspection) -> dict[str, Any]:
    assert found.text is not None
    return found.text


def code_of(look: Look, data: bytes) -> str:
    with pytest.raises(Unreadable) as caught:
        look(data)
    return caught.value.code


def saved(made: Any) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def package(body: str | bytes, parts: dict[str, Any] | None = None, *, space: str = W) -> bytes:
    """A DOCX of this body, with parts beside it or in place of the usual ones."""
    if isinstance(body, str):
        body = f'<w:document xmlns:w="{space}"><w:body>{body}</w:body></w:document>'
    return samples.zip_file(
        {"[Content_Types].xml": TYPES, "word/document.xml": body} | (parts or {})
    )


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def part(root: str, *texts: str) -> str:
    kind = {"footnotes": "footnote", "endnotes": "endnote", "comments": "comment"}.get(root)
    inner = "".join(f"<w:{kind}>{paragraph(t)}</w:{kind}>" if kind else paragraph(t) for t in texts)
    return f'<w:{root} xmlns:w="{W}">{inner}</w:{root}>'


# --- what is found -----------------------------------------------------------------------------------


def test_text_comes_in_reading_order_with_tables(look: Look) -> None:
    made = docx.Document()
    made.sections[0].header.paragraphs[0].text = "The header"
    made.sections[0].footer.paragraphs[0].text = "The footer"
    made.core_properties.title, made.core_properties.author = "A title", "Alice"
    made.add_paragraph("Before the table")
    table = made.add_table(2, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "one", "two\nlines"
    table.cell(1, 0).text = "three"
    inner = table.cell(1, 1).add_table(1, 2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "in", "side"
    made.add_paragraph("After it").add_run("\twith a tab")
    found = look(saved(made))
    text = text_of(found)
    assert text["text"] == (
        "The header\n\n"
        "Before the table\none\ttwo lines\nthree\tin side\nAfter it\twith a tab\n\n"
        "The footer"
    )
    assert [block.get("section") for block in text["blocks"]] == ["header", None, "footer"]
    assert text["word_count"] == 18
    assert found.metadata["title"] == "A title"
    assert found.metadata["author"] == "Alice"
    assert found.renditions == []


def test_footnotes_endnotes_and_comments_follow_the_text(look: Look) -> None:
    data = package(
        paragraph("The text"),
        {
            "word/comments.xml": part("comments", "A comment"),
            "word/endnotes.xml": part("endnotes", "An endnote"),
            "word/footnotes.xml": part("footnotes", "First note", "Second note"),
            "word/header2.xml": part("hdr", "Same header"),
            "word/header1.xml": part("hdr", "Same header"),
        },
    )
    text = text_of(look(data))
    assert [(b.get("section"), b["text"]) for b in text["blocks"]] == [
        ("header", "Same header"),
        (None, "The text"),
        ("footnotes", "First note\nSecond note"),
        ("endnotes", "An endnote"),
        ("comments", "A comment"),
    ]


def test_pages_are_told_where_the_program_noted_breaks(look: Look) -> None:
    made: Any = docx.Document()
    made.add_paragraph("Page one")
    made.add_page_break()
    made.add_paragraph("Page two")
    found = look(saved(made))
    assert found.facts["pages"] == 2
    assert [(b["page"], b["text"]) for b in text_of(found)["blocks"]] == [
        (1, "Page one"),
        (2, "Page two"),
    ]


def test_a_break_noted_twice_is_one(look: Look) -> None:
    body = (
        paragraph("One")
        + '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
        + "<w:p><w:r><w:lastRenderedPageBreak/><w:t>Two</w:t></w:r></w:p>"
        + "<w:p><w:r><w:t>still two </w:t><w:lastRenderedPageBreak/><w:t>three</w:t></w:r></w:p>"
    )
    assert text_of(look(package(body)))["page_count"] == 3


def test_a_claimed_page_count_is_taken_where_nothing_else_tells(look: Look) -> None:
    app = "<Properties><Pages>7</Pages><Application>Writer</Application></Properties>"
    found = look(package(paragraph("x"), {"docProps/app.xml": app}))
    assert found.facts["pages"] == 7
    assert found.metadata["producer"] == "Writer"
    lie = "<Properties><Pages>-99999999999</Pages></Properties>"
    assert look(package(paragraph("x"), {"docProps/app.xml": lie})).facts["pages"] is None


def test_a_text_box_is_told_once(look: Look) -> None:
    box = f"<w:txbxContent>{paragraph('In the box')}</w:txbxContent>"
    body = (
        '<w:p><w:r><mc:AlternateContent xmlns:mc="urn:mc">'
        f"<mc:Choice>{box}</mc:Choice><mc:Fallback>{box}</mc:Fallback>"
        "</mc:AlternateContent></w:r><w:r><w:t>Around it</w:t></w:r></w:p>"
    )
    assert text_of(look(package(body)))["text"] == "Around it\nIn the box"


def test_deleted_text_field_codes_and_tab_stops_are_no_text(look: Look) -> None:
    body = (
        '<w:p><w:pPr><w:tabs><w:tab w:val="left"/></w:tabs></w:pPr>'
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
        "<w:r><w:instrText>PAGEREF x</w:instrText></w:r>"
        "<w:r><w:t>a</w:t><w:noBreakHyphen/><w:t>b</w:t><w:br/><w:t>c</w:t></w:r></w:p>"
    )
    assert text_of(look(package(body)))["text"] == "newa-b\nc"


def test_cells_in_content_controls_keep_their_place(look: Look) -> None:
    cell = "<w:tc>{}</w:tc>"
    body = (
        "<w:tbl><w:tr>"
        + cell.format(f"<w:sdt><w:sdtContent>{paragraph('a')}</w:sdtContent></w:sdt>")
        + f"<w:sdt><w:sdtContent>{cell.format(paragraph('b'))}</w:sdtContent></w:sdt>"
        + "</w:tr></w:tbl>"
    )
    assert text_of(look(package(body)))["text"] == "a\tb"


def test_the_strict_form_is_read_too(look: Look) -> None:
    assert text_of(look(package(paragraph("strict"), space=STRICT)))["text"] == "strict"


def test_the_main_part_is_found_by_its_relationship(look: Look) -> None:
    relations = (
        f'<Relationships><Relationship Type="{OFFICE}" Target="/doc/main.xml"/></Relationships>'
    )
    body = f'<w:document xmlns:w="{W}"><w:body>{paragraph("elsewhere")}</w:body></w:document>'
    parts = {
        "_rels/.rels": relations,
        "doc/main.xml": body,
        "doc/footnotes.xml": part("footnotes", "note"),
        "word/document.xml": "<x/>",
    }
    assert text_of(look(package("", parts)))["text"] == "elsewhere\n\nnote"


def test_hostile_strings_are_made_plain(look: Look) -> None:
    core = "<c:p xmlns:c='urn:c'><c:title>a\tb&#x202E;&lt;script&gt;</c:title><c:creator>{}</c:creator></c:p>"
    found = look(package(paragraph("x"), {"docProps/core.xml": core.format("y" * 5000)}))
    assert found.metadata["title"] == "a b <script>"
    assert len(found.metadata["author"]) == 300


def test_text_past_the_limit_is_cut_and_told(look: Look) -> None:
    data = package("".join(paragraph(f"number {n}") for n in range(1000)))
    text = text_of(look(data, max_text_bytes=500))
    assert text["truncated"]
    assert len(text["text"]) <= 500
    assert text["text"].startswith("number 0\nnumber 1\n")


def test_pages_past_the_limit_are_left_out_and_told(look: Look) -> None:
    body = "".join(
        f"<w:p><w:r><w:lastRenderedPageBreak/><w:t>p{n}</w:t></w:r></w:p>" for n in range(50)
    )
    text = text_of(look(package(body), max_pages=5))
    assert text["truncated"]
    assert len(text["blocks"]) == 5


def test_links_and_pictures_are_left_alone(look: Look, tmp_path: Path) -> None:
    """A remote template, a picture of 900 megapixels and a path upwards are named and never followed."""
    relations = (
        '<Relationships><Relationship Type="x/attachedTemplate" TargetMode="External"'
        ' Target="http://127.0.0.1:1/t.dotm"/>'
        f'<Relationship Type="{OFFICE}" Target="../../etc/passwd"/></Relationships>'
    )
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(
        ">I4sIIBBBBB", 13, b"IHDR", 30_000, 30_000, 8, 2, 0, 0, 0
    )
    data = package(
        paragraph("safe"),
        {
            "_rels/.rels": relations,
            "word/_rels/document.xml.rels": relations,
            "word/media/a.png": png,
        },
    )
    assert text_of(look(data))["text"] == "safe"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


# --- entities and DTDs -------------------------------------------------------------------------------

XXE = '<?xml version="1.0"?><!DOCTYPE w [<!ENTITY x SYSTEM "{}">]>'
BODY = f'<w:document xmlns:w="{W}"><w:body><w:p><w:r><w:t>A&x;B</w:t></w:r></w:p></w:body></w:document>'
CORE = '<c:p xmlns:c="urn:c"><c:title>&x;</c:title></c:p>'
LAUGHS = "<!DOCTYPE w [<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)
)

DTDS = {
    "file": package((XXE.format("file:///etc/passwd") + BODY).encode()),
    "loopback": package((XXE.format("http://127.0.0.1:1/") + BODY).encode()),
    "metadata service": package((XXE.format("http://169.254.169.254/") + BODY).encode()),
    "external DTD": package(f'<!DOCTYPE w SYSTEM "http://127.0.0.1:1/x.dtd">{BODY}'.encode()),
    "parameter entity": package(
        f'<!DOCTYPE w [<!ENTITY % p SYSTEM "http://127.0.0.1:1/"> %p;]>{BODY}'.encode()
    ),
    "content types": package(
        paragraph("x"), {"[Content_Types].xml": XXE.format("file:///etc/passwd") + TYPES}
    ),
    "core properties": package(
        paragraph("x"), {"docProps/core.xml": XXE.format("file:///etc/passwd") + CORE}
    ),
    "relationships": package(
        paragraph("x"),
        {"_rels/.rels": XXE.format("file:///etc/passwd") + "<Relationships>&x;</Relationships>"},
    ),
    "footnotes": package(
        paragraph("x"), {"word/footnotes.xml": XXE.format("file:///etc/passwd") + BODY}
    ),
    "UTF-16": package((XXE.format("file:///etc/passwd") + BODY).encode("utf-16")),
    "UTF-16 without mark": package((XXE.format("file:///etc/passwd") + BODY).encode("utf-16-be")),
    "UTF-32": package((XXE.format("file:///etc/passwd") + BODY).encode("utf-32")),
    "UTF-7": package(
        b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE w+AD4-' + BODY.encode()
    ),
    "EBCDIC": package((XXE.format("file:///etc/passwd") + BODY).encode("cp037")),
    "behind a long comment": package(
        b"<!--" + b"x" * 200_000 + b"-->" + (XXE.format("file:///etc/passwd")[21:] + BODY).encode()
    ),
    "billion laughs": package((LAUGHS + "]>" + BODY.replace("&x;", "&a11;")).encode()),
    "quadratic blow-up": package(
        (
            f"<!DOCTYPE w [<!ENTITY x '{'y' * 100_000}'>]>" + BODY.replace("&x;", "&x;" * 50_000)
        ).encode()
    ),
}


@pytest.mark.parametrize("what", DTDS)
def test_a_dtd_is_corrupt_and_nothing_is_fetched(look: Look, what: str) -> None:
    began = time.process_time()
    assert code_of(look, DTDS[what]) == "CORRUPT_FILE"
    assert time.process_time() - began < 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_a_dtd_split_between_two_reads_is_seen(encoding: str) -> None:
    for offset in range(8 if encoding == "utf-8" else 14):
        whole = "<a>" + " " * 89 + "<!DOCTYPE x>" + " " * 50
        data = whole.encode(encoding)
        cut = data.index("!".encode(encoding)) + offset
        reads = [data[:cut], data[cut:]]
        file: Any = type(
            "F", (), {"read": lambda _, n, reads=reads: reads.pop(0) if reads else b""}
        )()
        package_: Any = type("P", (), {"unpacked": 0})()
        reader = inspector._Part(package_, file, zipfile.ZipInfo("x"))
        reader.read()
        with pytest.raises(Unreadable):
            reader.read()


def test_words_about_a_dtd_are_words(look: Look) -> None:
    assert text_of(look(package(paragraph("&lt;!DOCTYPE html&gt;"))))["text"] == "<!DOCTYPE html>"


def test_utf16_without_a_dtd_is_read(look: Look) -> None:
    body = f'<w:document xmlns:w="{W}"><w:body>{paragraph("wide")}</w:body></w:document>'
    body = f'<?xml version="1.0" encoding="UTF-16"?>{body}'
    assert text_of(look(package(body.encode("utf-16"))))["text"] == "wide"


# --- archives ----------------------------------------------------------------------------------------


def bomb(size: int) -> bytes:
    """A body that unpacks to this many bytes of empty paragraphs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", TYPES)
        with archive.open("word/document.xml", "w", force_zip64=True) as member:
            member.write(f'<w:document xmlns:w="{W}">'.encode())
            piece = b"<w:p/>" * 174_762  # a mebibyte
            for _ in range(size >> 20):
                member.write(piece)
    return buffer.getvalue()


def lying(data: bytes, claimed: int) -> bytes:
    """The same archive whose directory says that the text part is this long."""
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"word/document.xml"))
    return data[: at + 24] + struct.pack("<I", claimed) + data[at + 28 :]


def many(count: int, claimed: int = 0) -> bytes:
    data = bytearray(package(paragraph("x"), {f"word/media/{n}": b"x" for n in range(count)}))
    if claimed:
        at = data.find(b"PK\x01\x02")
        while at >= 0:
            data[at + 24 : at + 28] = struct.pack("<I", claimed)
            at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: bomb(150 << 20), "LIMIT_EXCEEDED"),
        (lambda: lying(bomb(1 << 20), 600 << 20), "LIMIT_EXCEEDED"),
        (lambda: lying(bomb(150 << 20), 1000), "CORRUPT_FILE"),
        (lambda: many(1990, 50_000_000), "LIMIT_EXCEEDED"),
        (lambda: many(20_000), "LIMIT_EXCEEDED"),
    ],
)
def test_a_zip_bomb_is_stopped_early(look: Look, make: Any, expected: str) -> None:
    data = make()
    before = psutil.Process().memory_info().rss
    began = time.process_time()
    assert code_of(look, data) == expected
    assert time.process_time() - began < 2
    assert psutil.Process().memory_info().rss - before < 100 << 20


def test_a_directory_of_the_64_bit_kind_is_counted_too(look: Look) -> None:
    data = package(paragraph("x"))
    end = data.rindex(b"PK\x05\x06")
    record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**7, 10**7, 10**9, 0)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, end, 1)
    assert code_of(look, data[:end] + record + locator + data[end:]) == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc/evil", "word/../../evil", "word\\..\\evil", "C:evil"]
)
def test_a_name_that_leads_out_is_corrupt_and_writes_nothing(
    look: Look, tmp_path: Path, name: str
) -> None:
    assert code_of(look, package(paragraph("x"), {name: b"evil"})) == "CORRUPT_FILE"
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_link_and_a_double_name_are_corrupt(look: Look) -> None:
    buffer = io.BytesIO(package(paragraph("x")))
    link = zipfile.ZipInfo("word/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    assert code_of(look, buffer.getvalue()) == "CORRUPT_FILE"
    double = package(paragraph("x"), {"word/documenT.xml": b"<y/>"}).replace(
        b"documenT", b"document"
    )
    assert code_of(look, double) == "CORRUPT_FILE"


def test_a_password_is_told(look: Look) -> None:
    locked = samples.ole_file("EncryptionInfo", "EncryptedPackage")
    assert code_of(look, locked) == "ENCRYPTED_FILE"
    with pytest.raises(Unreadable) as caught:
        look(locked, format="")
    assert caught.value.code == "ENCRYPTED_FILE", "told without the name too"
    flagged = bytearray(package(paragraph("x")))
    at = flagged.find(b"PK\x01\x02")
    while at >= 0:
        flagged[at + 8] |= 1
        at = flagged.find(b"PK\x01\x02", at + 4)
    assert code_of(look, bytes(flagged)) == "ENCRYPTED_FILE"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        package(paragraph("x"))[:200],
        samples.ole_file("WordDocument"),
        samples.zip_file({"[Content_Types].xml": TYPES}),
        package(b"not xml"),
        package(b"<w:unclosed"),
        package(b""),
        package("<w:p>" * 20_000 + "</w:p>" * 20_000),
        package(paragraph("x" * 30_000_000)),
    ],
)
def test_what_is_damaged_or_nested_too_deeply_is_corrupt(look: Look, data: bytes) -> None:
    began = time.process_time()
    assert code_of(look, data) in ("CORRUPT_FILE", "LIMIT_EXCEEDED")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_packings_are_corrupt(look: Look, method: int) -> None:
    data = samples.zip_file(
        {"[Content_Types].xml": TYPES, "word/document.xml": "<x/>"}, method=method
    )
    assert code_of(look, data) == "CORRUPT_FILE"


def test_flipped_bytes_end_in_text_or_a_code(look: Look) -> None:
    data = samples.docx_file(["Some words to read", "and more of them"])
    for at in range(0, len(data), 97):
        hurt = bytearray(data)
        hurt[at] ^= 0x5A
        try:
            look(bytes(hurt))
        except Unreadable as fault:
            code = fault.code
        else:
            code = "ok"
        assert code in ("ok", "CORRUPT_FILE", "ENCRYPTED_FILE", "LIMIT_EXCEEDED")


def test_sixty_nested_tables_are_read(look: Look) -> None:
    body = "<w:tbl><w:tr><w:tc>" * 60 + paragraph("deep") + "</w:tc></w:tr></w:tbl>" * 60
    assert text_of(look(package(body)))["text"] == "deep"


def test_many_empty_paragraphs_cost_little_memory(look: Look) -> None:
    random = np.random.default_rng(1).integers(0, 10**9, 20_000)
    data = package("".join("<w:p/>" * 9 + paragraph(str(number)) for number in random))
    before = psutil.Process().memory_info().rss
    text = text_of(look(data))
    assert psutil.Process().memory_info().rss - before < 150 << 20
    assert text["word_count"] == 20_000

"""Types are told by content: every accepted format is known, every disguise is refused."""

from __future__ import annotations

import gzip
import io
import struct
import time
import zipfile
from typing import BinaryIO

import pytest

from media_assets.filetypes import (
    ACCEPTED,
    FileType,
    confirm,
    is_allowed,
    received_format,
    sniff,
    supported_formats,
)
from tests import samples
from tests.samples import box, media_file

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml"
SVG = '<svg xmlns="http://www.w3.org/2000/svg">{}</svg>'


def both(data: bytes, name: str = "") -> tuple[FileType | None, FileType | None]:
    return sniff(data, name=name), confirm(io.BytesIO(data), name=name)


def refused(data: bytes, name: str = "") -> bool:
    return both(data, name) == (None, None)


def kind_and_format(data: bytes, name: str = "") -> str:
    first, last = both(data, name)
    assert first == last, "a small file lies whole in its head"
    return f"{last.kind}/{last.format}" if last else "refused"


# --- what is accepted --------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["jpg", "png", "gif", "webp", "heic", "tiff", "bmp", "avif"])
def test_every_accepted_picture_is_known_by_its_content(format_: str) -> None:
    data = samples.image_file(format_)
    assert kind_and_format(data) == f"image/{format_}"
    assert kind_and_format(data, "misleading.mp4") == f"image/{format_}"


@pytest.mark.parametrize(
    ("container", "codec", "expected", "mime"),
    [
        ("ogg", "vorbis", "ogg", "audio/ogg"),
        ("ogg", "flac", "ogg", "audio/ogg"),
        ("ogg", "libopus", "opus", "audio/ogg"),
        ("mp3", "mp3", "mp3", "audio/mpeg"),
        ("wav", "pcm_s16le", "wav", "audio/wav"),
        ("ipod", "aac", "m4a", "audio/mp4"),
        ("flac", "flac", "flac", "audio/flac"),
        ("webm", "libopus", "webm", "audio/webm"),
        ("mp4", "aac", "m4a", "audio/mp4"),
        ("mov", "aac", "m4a", "audio/mp4"),
        ("matroska", "aac", "mkv", "audio/x-matroska"),
    ],
)
def test_sound_without_pictures_is_audio_in_every_container(
    container: str, codec: str, expected: str, mime: str
) -> None:
    data = media_file(container, sound=codec)
    assert kind_and_format(data) == f"audio/{expected}"
    found = sniff(data)
    assert found is not None
    assert found.mime_type == mime


@pytest.mark.parametrize(
    ("container", "sound", "film", "expected"),
    [
        ("mp4", "aac", "libx264", "mp4"),
        ("mp4", None, "libx265", "mp4"),
        ("3gp", "aac", "libx264", "mp4"),  # says that it is also an MP4
        ("mov", "aac", "libx264", "mov"),
        ("webm", "libopus", "libvpx", "webm"),
        ("webm", None, "libvpx-vp9", "webm"),
        ("matroska", "aac", "libx264", "mkv"),
    ],
)
def test_films_are_video(container: str, sound: str | None, film: str, expected: str) -> None:
    assert kind_and_format(media_file(container, sound=sound, film=film)) == f"video/{expected}"


def test_documents_are_known() -> None:
    assert kind_and_format(samples.pdf()) == "document/pdf"
    assert kind_and_format(samples.docx_file()) == "document/docx"
    assert kind_and_format(b"\xef\xbb\xbf\r\n" + samples.pdf()) == "document/pdf"


@pytest.mark.parametrize(
    ("name", "format_"),
    [
        ("a.txt", "txt"),
        ("", "txt"),
        ("noextension", "txt"),
        ("a.LOG", "txt"),
        ("a.json", "txt"),
        ("a.md", "md"),
        ("A.Markdown", "md"),
        ("a.csv", "csv"),
        ("subtitles.srt", "txt"),
    ],
)
def test_a_name_picks_only_among_kinds_of_text(name: str, format_: str) -> None:
    assert kind_and_format(b"one, two\nthree, four\n", name) == f"document/{format_}"


TEXT = "Съешь же ещё этих мягких французских булок, да выпей чаю.\n" * 20


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("cp1251"),
        TEXT.encode("koi8-r"),
        TEXT.encode("utf-16"),
        "plain words, two lines\n".encode("utf-16-le"),
        "plain words, two lines\n".encode("utf-16-be"),
        TEXT.encode("utf-32"),
        "色は匂へど散りぬるを\n".encode("shift_jis") * 9,
        "色は匂へど散りぬるを\n".encode("iso2022_jp") * 9,
        "天地玄黄宇宙洪荒\n".encode("gb18030") * 9,
        "naïve café\r\n".encode("latin-1"),
        b"dos text\r\n\x1a",
        b'{"a": [1, 2]}',
        b"[" * 200_000,
        b"if a < b and c > d: x <3 y",
        b"<alice@example.org> wrote: hello",
        b"<bob> hi there",
        b"BM, I said, is a good magazine; MZ too",
        rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*",  # for the scanner to find
    ],
)
def test_text_is_known_in_many_charsets(data: bytes) -> None:
    assert kind_and_format(data, "a.txt") == "document/txt"


def test_markdown_may_begin_with_inline_markup() -> None:
    data = b'<!-- badges -->\n<h1 align="center">Name</h1>\n\nWords.\n'
    assert kind_and_format(data, "README.md") == "document/md"
    assert refused(data, "README.txt")
    assert refused(b"<!-- x --><script>alert(1)</script>", "README.md")


# --- films whose head does not tell ------------------------------------------------------------------


def test_a_movie_box_after_the_media_is_found_by_confirm() -> None:
    sound = media_file("ipod", sound="aac").replace(b"M4A ", b"isom")
    start = sound.index(b"mdat") - 4
    assert sound.index(b"moov") > start, "PyAV writes the index last"
    data = sound[:start] + box(b"free", bytes(200_000)) + sound[start:]
    first = sniff(data[:65536])
    last = confirm(io.BytesIO(data))
    assert first is not None
    assert first.kind == "video", "a guess until the tracks are seen"
    assert last is not None
    assert (last.kind, last.format) == ("audio", "m4a")


def test_an_mp3_with_a_large_cover_is_found_by_confirm() -> None:
    size = 300_000
    tag = b"ID3\x03\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127])
    data = tag + bytes(size) + media_file("mp3", sound="mp3")[45:]
    assert data[10 + size :][:2] != b"ID"
    found = sniff(data[:65536])
    assert found is not None
    assert found.format == "mp3"
    last = confirm(io.BytesIO(data))
    assert last == found
    flac = confirm(io.BytesIO(tag + bytes(size) + media_file("flac", sound="flac")))
    assert flac is not None
    assert flac.format == "flac"
    assert confirm(io.BytesIO(tag + bytes(size) + media_file("adts", sound="aac"))) is None
    assert confirm(io.BytesIO(tag + bytes(100))) is None


def test_tags_alone_are_no_mp3() -> None:
    assert confirm(io.BytesIO(b"ID3\x03\0\0\0\0\0\x0a" + bytes(10))) is None


@pytest.mark.parametrize("keep", [40, 200, 3000])
def test_a_film_cut_short_stays_a_film(keep: int) -> None:
    data = media_file("mp4", sound="aac", film="libx264")[:keep]
    found = confirm(io.BytesIO(data))
    assert found is not None
    assert found.kind == "video", "decoding it will say that it is corrupt"


def test_quicktime_without_a_brand_is_known_by_its_tracks() -> None:
    film = media_file("mov", film="libx264")
    bare = film[int.from_bytes(film[:4], "big") :]
    found = confirm(io.BytesIO(bare))
    assert bare[4:8] in (b"wide", b"mdat", b"free")
    assert found is not None
    assert found.format == "mov"
    assert confirm(io.BytesIO(box(b"free", b"x" * 100) + box(b"mdat", bytes(100)))) is None


@pytest.mark.parametrize(
    ("brands", "expected"),
    [
        ([b"mif1", b"mif1", b"heic"], "image/heic"),
        ([b"mif1", b"mif1", b"avif", b"miaf"], "image/avif"),
        ([b"heix"], "image/heic"),
        ([b"hevc", b"msf1"], "image/heic"),
        ([b"avis", b"msf1"], "image/avif"),
        ([b"mif1", b"jpeg"], "refused"),
        (
            [b"crx ", b"isom"],
            "video/mp4",
        ),  # Canon's raw film says isom; the decoder has the last word
        ([b"crx "], "refused"),
        ([b"jp2 "], "refused"),
        ([b"qt  "], "video/mov"),
        ([b"M4V ", b"mp42"], "video/mp4"),
        ([b"M4B ", b"M4A "], "audio/m4a"),
        ([b"3gp4", b"isom"], "video/mp4"),
        ([b"3g2a"], "refused"),
    ],
)
def test_brands_tell_stills_from_films(brands: list[bytes], expected: str) -> None:
    assert kind_and_format(box(b"ftyp", brands[0], bytes(4), *brands)) == expected


def test_a_cover_in_a_matroska_file_of_unknown_length_does_not_matter() -> None:
    live = b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7
    tracks = b"\x16\x54\xae\x6b\x85\xae\x83\x83\x81\x02"
    assert kind_and_format(live + tracks) == "audio/webm"
    assert kind_and_format(live + b"\x1f\x43\xb6\x75\xff") == "video/webm"


# --- what is refused ---------------------------------------------------------------------------------

HOSTILE_TEXT = {
    "html": b"<!DOCTYPE html><html><body>x</body></html>",
    "html in capitals after spaces": b" \r\n\t<HTML><BODY>",
    "html after a mark": b"\xef\xbb\xbf<html>",
    "html after a comment": b"<!-- a --> <!-- b --><script>alert(1)</script>",
    "html in an unclosed comment": b"<!-- a <script>alert(1)</script>",
    "html in UTF-16": "<html><body>".encode("utf-16"),
    "html in UTF-16 without mark": "<html><body>".encode("utf-16-le"),
    "a tag that browsers sniff": b"<b onmouseover=alert(1)>x</b>",
    "an iframe": b"<iframe src=//evil>",
    "xml": b'<?xml version="1.0"?><note/>',
    "xml without declaration": b'<note xmlns="urn:x">y</note>',
    "a doctype": b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
    "svg": SVG.format("<script>alert(1)</script>").encode(),
    "svg with a prefix": b'<s:svg xmlns:s="http://www.w3.org/2000/svg"/>',
    "svg onload": b'<svg onload="alert(1)"/>',
    "svg foreignObject": SVG.format("<foreignObject><body/></foreignObject>").encode(),
    "svg link": SVG.format('<a href="javascript:alert(1)"/>').encode(),
    "svg external": SVG.format('<image href="http://127.0.0.1/x"/>').encode(),
    "svg use bomb": SVG.format('<g id="a"/>' + '<use href="#a"/>' * 99).encode(),
    "svg laughs": b'<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a "ha">]>'
    + SVG.format("&a;").encode(),
    "svg xxe": b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    + SVG.format("&x;").encode(),
    "svg in UTF-16": SVG.format("").encode("utf-16"),
    "svg after a comment": b"<!-- x -->\n" + SVG.format("").encode(),
    "php": b"<?php system($_GET['c']); ?>",
    "asp": b"<% Response.Write(1) %>",
    "shell script": b"#!/bin/sh\nrm -rf /\n",
    "batch": b"@echo off\r\ndel *.*",
    "HLS": b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "HLS in UTF-16": "#EXTM3U\nx\n".encode("utf-16"),
    "ffconcat": b"ffconcat version 1.0\nfile sibling.mp4\n",
    "DASH": b'<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>http://127.0.0.1/</BaseURL></MPD>',
    "SDP": b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n",
    "pls": b"[playlist]\nFile1=http://127.0.0.1/\n",
    "ffmetadata": b";FFMETADATA1\ntitle=x\n",
    "rtf": rb"{\rtf1\ansi hello}",
    "postscript": b"%!PS-Adobe-3.0\n",
    "a PDF after text": b"words\n" * 100 + b"%PDF-1.7\n",
    "a PDF after html": b"<html>" + b"x" * 900 + b"\n%PDF-1.7\n",
}


# Markdown may hold inline markup: it is served as Markdown, as an attachment.
MARKUP_IN_MARKDOWN = ("a tag that browsers sniff", "a.md")


@pytest.mark.parametrize(
    ("what", "name"),
    [
        (what, name)
        for what in HOSTILE_TEXT
        for name in ("a.txt", "a.md", "photo.jpg", "film.mp4", "list.m3u8", "", "a.csv")
        if (what, name) != MARKUP_IN_MARKDOWN
    ],
)
def test_text_that_would_be_run_is_refused_under_every_name(what: str, name: str) -> None:
    assert refused(HOSTILE_TEXT[what], name)


SUBTITLES = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"


@pytest.mark.parametrize(
    "name", ["a.mp3", "a.mp4", "a.mkv", "a.jpg", "a.pdf", "a.docx", "a.html", "a.js", "a.exe"]
)
def test_plain_text_that_claims_to_be_something_else_is_refused(name: str) -> None:
    assert refused(SUBTITLES, name)
    assert refused(b"[Script Info]\nTitle: x\n", name)


def office(main: str, **extra: str) -> bytes:
    types = f'<Types><Override PartName="/word/document.xml" ContentType="{main}"/></Types>'
    return samples.zip_file({"[Content_Types].xml": types, "word/document.xml": "<x/>", **extra})


BINARY = {
    "nothing": b"",
    "one NUL": b"\0",
    "blanks": b" \n\t \n",
    "exe": b"MZ\x90\0\x03\0\0\0" + bytes(56) + b"This program cannot be run in DOS mode",
    "elf": b"\x7fELF\x02\x01\x01" + bytes(57),
    "text with a NUL": b"some words\0and more",
    "text with a bell": b"some words\x07",
    "text with DEL": b"some words\x7f",
    "pcm that looks like UTF-16": bytes(b for n in range(4000) for b in (n * 7 % 256, n % 3 == 0)),
    "svgz": gzip.compress(SVG.format("").encode()),
    "plain zip": samples.zip_file({"a.txt": "x"}),
    "jar": samples.zip_file({"META-INF/MANIFEST.MF": "x", "A.class": "y"}),
    "apk": samples.zip_file({"AndroidManifest.xml": "x", "classes.dex": "y"}),
    "odt": samples.zip_file(
        {"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}
    ),
    "epub": samples.zip_file(
        {"mimetype": "application/epub+zip", "META-INF/container.xml": "<x/>"}
    ),
    "empty zip": samples.zip_file({}),
    "doc": samples.ole_file("WordDocument"),
    "gif signature and html": b"GIF89a<script>alert(1)</script>",
    "riff avi": media_file("avi", film="mpeg4"),
    "mpeg-ts": media_file("mpegts", sound="aac", film="libx264"),
    "adts": media_file("adts", sound="aac"),
    "flv": media_file("flv", film="flv1"),
    "matroska of another kind": b"\x1a\x45\xdf\xa3\x87\x42\x82\x84evil",
    "canon raw": b"II*\0\x10\0\0\0CR\x02\0" + bytes(50),
    "one mp3 header": b"\xff\xfb\x90\x64" + b"\xff" * 600,
    "ico": b"\0\0\1\0\1\0" + bytes(40),
    "psd": b"8BPS\0\1" + bytes(40),
    "truncated png": b"\x89PNG\r\n\x1a\n",
}


@pytest.mark.parametrize("what", BINARY)
def test_other_files_are_refused(what: str) -> None:
    assert refused(BINARY[what])
    assert refused(BINARY[what], "photo.jpg")


@pytest.mark.parametrize(
    "data",
    [
        office("application/vnd.ms-word.document.macroEnabled.main+xml"),
        office(f"{WORD}.template.main+xml"),
        office("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"),
        office(f"{WORD}.document.main+xml", **{"word/vbaProject.bin": "x"}),
        samples.zip_file({"[Content_Types].xml": "<Types/>", "word/document.xml": "x"}),
        samples.zip_file({"word/document.xml": "x"}),
    ],
)
def test_office_files_other_than_a_plain_docx_are_refused(data: bytes) -> None:
    assert confirm(io.BytesIO(data), name="a.docx") is None


def test_a_docx_needs_its_type_not_its_name() -> None:
    data = office(f"{WORD}.document.main+xml")
    assert kind_and_format(data, "archive.zip") == "document/docx"
    stored = samples.zip_file(
        {"[Content_Types].xml": f'"{WORD}.document.main+xml"', "word/document.xml": ""},
        method=zipfile.ZIP_STORED,
    )
    assert kind_and_format(stored) == "document/docx"


def test_a_docx_with_a_password_is_taken_so_that_its_owner_is_told() -> None:
    data = samples.ole_file("EncryptionInfo", "EncryptedPackage")
    assert kind_and_format(data, "contract.docx") == "document/docx"
    assert refused(data, "contract.doc")
    assert confirm(io.BytesIO(samples.ole_file("WordDocument")), name="contract.docx") is None


def test_a_film_in_ogg_is_refused() -> None:
    page = b"OggS\0\2" + bytes(20) + b"\1" + bytes([7])
    assert refused(page + b"\x80theora"[:7])
    assert kind_and_format(page + b"\x01vorbis") == "audio/ogg"
    assert refused(page + b"\x01vorbis" + page + b"\x80theora"[:7])


# --- two things at once ------------------------------------------------------------------------------


def test_a_polyglot_is_what_it_begins_as() -> None:
    archive = samples.zip_file({"evil.txt": "x"})
    script = b"<?php system('id'); ?><script>alert(1)</script>"
    jpeg, png, pdf = samples.image_file("jpg"), samples.image_file("png"), samples.pdf()
    commented = jpeg[:2] + b"\xff\xfe" + struct.pack(">H", len(script) + 2) + script + jpeg[2:]
    assert kind_and_format(jpeg + archive, "a.zip") == "image/jpg"
    assert kind_and_format(png + archive) == "image/png"
    assert kind_and_format(pdf + archive) == "document/pdf"
    assert kind_and_format(commented, "shell.php.jpg") == "image/jpg"
    assert kind_and_format(jpeg + media_file("mp3", sound="mp3"), "a.mp3") == "image/jpg"


def test_text_that_turns_binary_later_is_refused_by_confirm() -> None:
    data = b"words and words\n" * 20_000
    assert sniff(data[:65536]) == confirm(io.BytesIO(data))
    assert confirm(io.BytesIO(data + bytes(80_000))) is None
    wide = ("words and words\n" * 20_000).encode("utf-16")
    assert confirm(io.BytesIO(wide)) is not None
    assert confirm(io.BytesIO(wide + b"\x01\x00" * 40_000)) is None


def test_a_character_cut_by_the_head_does_not_matter() -> None:
    data = "é".encode() * 40_000
    for cut in (65535, 65536):
        assert sniff(data[:cut]) is not None
    assert confirm(io.BytesIO(b"x" + data)) is not None


# --- cost --------------------------------------------------------------------------------------------


class Counting(io.BytesIO):
    """Counts the bytes that are read."""

    read_bytes = 0

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        self.read_bytes += len(data)
        return data


def zip_of_many(count: int) -> bytes:
    members = {"[Content_Types].xml": f'"{WORD}.document.main+xml"', "word/document.xml": "<x/>"}
    return samples.zip_file(members | {f"word/{n}.xml": "" for n in range(count)})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (box(b"ftyp", b"isom", bytes(4)) + box(b"free") * 200_000, "mp4"),
        (box(b"ftyp", b"isom", bytes(4)) + box(b"moov", box(b"trak") * 200_000), "mp4"),
        (box(b"ftyp", b"isom", bytes(4)) + struct.pack(">I4sQ", 1, b"free", 2**62), "mp4"),
        (box(b"ftyp", b"isom", bytes(4)) + struct.pack(">I4s", 3, b"free") + bytes(99), "mp4"),
        (
            b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm\x18\x53\x80\x67\x01"
            + b"\xff" * 7
            + b"\xec\x80" * 500_000,
            "webm",
        ),
        (b"OggS\0\2" + bytes(20) + b"\0" + (b"OggS\0\2" + bytes(20) + b"\0") * 100_000, None),
        (b"ID3\x03\0\0\0\0\0\0" * 100_000, None),
        (b"[" * 25_000_000, "txt"),
        (zip_of_many(20_000), "docx"),
        (b"<!-- -->" * 8000, None),
        (b"<" * 65536, "txt"),
        (b"<a" + b" " * 65536, None),
        (b"<note " + b"a" * 65536, "txt"),
    ],
)
def test_a_hostile_structure_costs_bounded_time_and_reading(
    data: bytes, expected: str | None
) -> None:
    file = Counting(data)
    began = time.process_time()
    found = confirm(file)
    assert time.process_time() - began < 1
    assert file.read_bytes <= 5 << 20
    assert (found.format if found else None) == expected


def test_a_packed_content_type_part_is_not_unpacked_whole() -> None:
    bomb = samples.zip_file({"[Content_Types].xml": b" " * (64 << 20), "word/document.xml": b""})
    assert confirm(io.BytesIO(bomb)) is None


def test_every_prefix_of_every_format_is_answered() -> None:
    whole = [
        *(
            samples.image_file(format_)
            for format_ in ("jpg", "gif", "webp", "heic", "tiff", "avif")
        ),
        *(media_file("mp4", sound="aac", film="libx264"), media_file("webm", sound="libopus")),
        *(media_file("ogg", sound="libopus"), media_file("mp3", sound="mp3")),
        *(samples.docx_file(), samples.pdf(), samples.ole_file("EncryptedPackage")),
    ]
    for data in whole:
        for length in [*range(80), *range(80, min(len(data), 2000), 41)]:
            both(data[:length], "a.docx")


# --- the list of formats -----------------------------------------------------------------------------


def test_supported_formats_are_those_promised() -> None:
    assert supported_formats() == {
        "image": ["jpg", "png", "gif", "webp", "heic", "tiff", "bmp", "avif"],
        "audio": ["ogg", "mp3", "wav", "m4a", "flac", "webm", "opus"],
        "video": ["mp4", "mov", "webm", "mkv"],
        "document": ["pdf", "docx", "txt", "md", "csv"],
    }
    assert supported_formats([]) == supported_formats(None)


def test_an_installation_may_take_fewer_formats() -> None:
    assert supported_formats(["JPEG", " .webm", "pdf", "nonsense"]) == {
        "image": ["jpg"],
        "audio": ["webm"],
        "video": ["webm"],
        "document": ["pdf"],
    }
    assert not is_allowed(next(t for t in ACCEPTED if t.format == "png"), ["jpg"])


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (HOSTILE_TEXT["svg"], "svg"),
        (HOSTILE_TEXT["svg in UTF-16"], "svg"),
        (HOSTILE_TEXT["html"], "html"),
        (HOSTILE_TEXT["xml"], "xml"),
        (HOSTILE_TEXT["php"], "script"),
        (HOSTILE_TEXT["HLS"], "playlist"),
        (HOSTILE_TEXT["DASH"], "playlist"),
        (HOSTILE_TEXT["rtf"], "rtf"),
        (BINARY["exe"], "exe"),
        (BINARY["elf"], "elf"),
        (BINARY["plain zip"], "zip"),
        (BINARY["doc"], "ole"),
        (BINARY["one NUL"], "unknown"),
        (b"", "unknown"),
        (SUBTITLES, "txt"),
        (samples.image_file("jpg"), "jpg"),
    ],
)
def test_a_refusal_can_name_what_came(data: bytes, word: str) -> None:
    assert received_format(data) == word


def test_confirm_starts_at_the_beginning_wherever_the_file_stands() -> None:
    file: BinaryIO = io.BytesIO(samples.image_file("png"))
    file.seek(7)
    found = confirm(file)
    assert found is not None
    assert found.format == "png"

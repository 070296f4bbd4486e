"""DOCX: text in reading order with tables, headers, footnotes and comments; title, author, pages.

A DOCX is a ZIP of XML: before anything is unpacked its directory is looked at, and while it is unpacked
every byte is counted. A DTD in any part we read (the way to other files, to the network and to bombs of
entities) makes the file CORRUPT_FILE; so do names that lead out of the archive, and links. A password makes
it ENCRYPTED_FILE, too many members or bytes LIMIT_EXCEEDED. Pictures and other parts are never unpacked.
"""

from __future__ import annotations

import io
import posixpath
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lxml import etree

from media_assets import containers
from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.passages import DocumentOptions, Passages
from processing.inspectors.strings import one_line
from processing.inspectors.wordml import PARSER, Body

MAX_DIRECTORY_BYTES = 1 << 20
MAX_CLAIMED_BYTES = 512 << 20  # of all members together, pictures too, as the directory says
MAX_READ_BYTES = 100 << 20  # unpacked from all parts we read
MAX_TAGS = 1_000_000  # in one paragraph or table, which is held in memory as a tree
MAX_RATIO = 200  # unpacked to packed, once a part is larger than a mebibyte

_OLE = b"\xd0\xcf\x11\xe0"
_DTDS = tuple("<!DOCTYPE".encode(encoding) for encoding in ("ascii", "utf-16-le", "utf-16-be"))
_ENCODING = re.compile(rb"<\?xml[^>]{0,200}?encoding\s*=\s*[\"']([\w.-]+)")
_ENCODINGS = {b"utf-8", b"utf-16", b"us-ascii", b"ascii", b"iso-8859-1", b"windows-1252"}
# In this order around the main part.
_BEFORE, _AFTER = ("header",), ("footnotes", "endnotes", "footer", "comments")


def inspect(source: Path, options: DocumentOptions) -> Inspection:
    with source.open("rb") as file, _faults():
        _check(containers.Reader(file))
        with zipfile.ZipFile(file) as archive:
            return _Package(archive).inspect(options)


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, etree.XMLSyntaxError) as error:
        raise _corrupt("The document is damaged.") from error
    except (NotImplementedError, UnicodeError, ValueError, OSError, OverflowError) as error:
        raise _corrupt("The document is packed in a way we cannot read.") from error


def _corrupt(message: str) -> Unreadable:
    return Unreadable("CORRUPT_FILE", message)


def _too_much(message: str) -> Unreadable:
    return Unreadable("LIMIT_EXCEEDED", message)


def _check(reader: containers.Reader) -> None:
    """What the file begins with, and how much its directory claims: before a list of it is made."""
    if reader.at(0, 4) == _OLE:
        if containers.ole_holds(reader, "EncryptedPackage"):
            raise Unreadable("ENCRYPTED_FILE", "The document needs a password.")
        raise _corrupt("This is no DOCX but an older kind of file.")
    count, size = containers.zip_claims(reader)
    if not count:
        raise _corrupt("The document is cut short.")
    if count > containers.MAX_ZIP_MEMBERS or size > MAX_DIRECTORY_BYTES:
        raise _too_much("The document has far more parts than a document should.")


class _Package:
    """The archive, its members checked, its parts read under a count."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.unpacked = 0
        for member in archive.infolist():
            self._check_member(member)
        if sum(member.file_size for member in self._members.values()) > MAX_CLAIMED_BYTES:
            raise _too_much("The document would be far too large unpacked.")

    def _check_member(self, member: zipfile.ZipInfo) -> None:
        name = member.filename
        if member.flag_bits & 1:
            raise Unreadable("ENCRYPTED_FILE", "The document needs a password.")
        if name.startswith("/") or "\\" in name or ":" in name or ".." in name.split("/"):
            raise _corrupt("The document has a part whose name leads out of it.")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise _corrupt("The document holds a link.")
        if name in self._members:
            raise _corrupt("The document has two parts of one name.")
        self._members[name] = member

    def inspect(self, options: DocumentOptions) -> Inspection:
        main = self._main_part()
        self._begins_well("[Content_Types].xml")
        metadata, claimed = self._properties()
        passages = Passages(options.max_text_bytes)
        folder = posixpath.dirname(main)
        for section in _BEFORE:
            self._read_side_parts(folder, section, passages)
        body = self._read(main, passages, options.max_pages)
        for section in _AFTER:
            self._read_side_parts(folder, section, passages)
        passages.truncated = passages.truncated or body.cut
        pages = _page_count(body.pages, claimed, passages.words)
        return Inspection(
            {"pages": pages}, {**metadata, "format": "docx"}, [], passages.as_json(page_count=pages)
        )

    def _main_part(self) -> str:
        """Named by the package's relationships; a place outside the archive is no place."""
        if "_rels/.rels" in self._members:
            for each in self._tree("_rels/.rels").iter("{*}Relationship"):
                target = posixpath.normpath((each.get("Target") or "").lstrip("/"))
                if (each.get("Type") or "").endswith("/officeDocument") and target in self._members:
                    return target
        if "word/document.xml" in self._members:
            return "word/document.xml"
        raise _corrupt("The document has no text part.")

    def _begins_well(self, name: str) -> None:
        """Look at the beginning of a part we need not read: a DTD could only be there."""
        if name in self._members:
            with self._open(name) as part:
                part.read(1 << 16)

    def _properties(self) -> tuple[dict[str, Any], int]:
        """Title, author and the like, and the page count that the writing program left."""
        found: dict[str, Any] = {}
        pages = 0
        names = {
            "title": "title",
            "creator": "author",
            "subject": "subject",
            "keywords": "keywords",
        }
        names |= {"lastModifiedBy": "last_author", "created": "created", "modified": "modified"}
        if "docProps/core.xml" in self._members:
            for each in self._tree("docProps/core.xml"):
                name = names.get(etree.QName(each).localname)
                if name and one_line(each.text):
                    found[name] = one_line(each.text)
        if "docProps/app.xml" in self._members:
            for each in self._tree("docProps/app.xml"):
                local, text = etree.QName(each).localname, one_line(each.text)
                if local == "Pages" and text.isascii() and text.isdigit() and len(text) < 6:
                    pages = int(text)
                elif local == "Application" and text:
                    found["producer"] = text
        return found, pages

    def _read_side_parts(self, folder: str, section: str, passages: Passages) -> None:
        pattern = re.compile(re.escape(f"{folder}/" if folder else "") + section + r"\d*\.xml")
        seen: set[str] = set()  # first, even and other pages often have the same header
        for name in sorted(name for name in self._members if pattern.fullmatch(name)):
            body = Body(passages.limit)
            with self._open(name) as part:
                body.read(part)
            text = "\n".join(text for _, text in body.passages)
            if text not in seen:
                seen.add(text)
                passages.add(text, section=section)

    def _read(self, name: str, passages: Passages, max_pages: int) -> Body:
        body = Body(passages.limit, max_pages=max_pages)
        with self._open(name) as part:
            body.read(part)
        for page, text in body.by_page():
            if not passages.add(text, page=page):
                break
        return body

    def _tree(self, name: str) -> Any:
        """A small part, whole."""
        with self._open(name) as part:
            data = part.read(1 << 20)
            if part.read(1):
                raise _too_much("A small part of the document is far too large.")
        return etree.fromstring(data, etree.XMLParser(**PARSER))

    @contextmanager
    def _open(self, name: str) -> Iterator[_Part]:
        member = self._members[name]
        if member.file_size > max(1 << 20, member.compress_size * MAX_RATIO):
            raise _too_much("The document unpacks to far more than it should.")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _corrupt("The document is packed in a way we cannot read.")
        with self._archive.open(member) as file:
            yield _Part(self, file, member)


class _Part:
    """A part as a parser reads it: counted, and watched for a DTD."""

    def __init__(self, package: _Package, file: io.BufferedIOBase | Any, member: Any) -> None:
        self._package = package
        self._file = file
        self._most = max(1 << 20, member.compress_size * MAX_RATIO)
        self._read = 0
        self.tags = 0
        self.has_boxes = False
        self._tail = b""

    def read(self, size: int = 1 << 16) -> bytes:
        data: bytes = self._file.read(min(size, 1 << 20) if size >= 0 else 1 << 20)
        if not self._read:
            _check_beginning(data)
        self._read += len(data)
        self._package.unpacked += len(data)
        self.tags += data.count(b"<")
        over = self._read > self._most or self.tags > MAX_TAGS
        if over or self._package.unpacked > MAX_READ_BYTES:
            raise _too_much("The document unpacks to far more than it should.")
        window = self._tail + data
        # Most parts hold no `<!` at all; in UTF-16 there is a NUL in it.
        if (b"<!" in window or b"\0" in window) and any(mark in window for mark in _DTDS):
            raise _corrupt("The document declares entities, which no real one does.")
        self.has_boxes = self.has_boxes or b"txbxContent" in window
        self._tail = data[-21:]
        return data


def _check_beginning(data: bytes) -> None:
    """XML in an encoding in which a DTD can be seen, and nothing else."""
    start = (
        data[:1024]
        .removeprefix(b"\xef\xbb\xbf")
        .removeprefix(b"\xff\xfe")
        .removeprefix(b"\xfe\xff")
    )
    start = start.replace(b"\0", b"").lstrip(b" \t\r\n")
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff", b"<\0\0\0", b"\0\0\0<") or start[:1] != b"<":
        raise _corrupt("A part of the document is not XML.")
    declared = _ENCODING.match(start)
    if declared and declared[1].lower() not in _ENCODINGS:
        raise _corrupt("A part of the document is in an encoding we do not read.")


def _page_count(counted: int, claimed: int, words: int) -> int | None:
    """Breaks that the writing program noted; else its own count, unless that is a template's "1"."""
    if counted > 1:
        return counted
    return claimed if claimed > 1 or (claimed == 1 and words < 1500) else None

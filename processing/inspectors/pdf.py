"""PDF: text page by page, which pages are only pictures, the first page as a picture, title and author.

pdfium reads; pypdf is asked for what pdfium cannot open or a page it cannot load. A document of more than
`max_pages` is read that far and says `truncated: true`; its page count is told in full where it is no lie.
A password other than the empty one is ENCRYPTED_FILE; a document without a readable page is CORRUPT_FILE.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image

from processing.inspectors import renditions
from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.inspectors.passages import DocumentOptions, Passages
from processing.inspectors.strings import one_line

# pdfium keeps global state without locks: two threads in it at once get random errors.
_ONE_AT_A_TIME = threading.Lock()

# A page with less text than this, and a picture on it, is the picture of a page.
FEW_CHARACTERS = 16
_MANY_SHAPES = 30  # on a page without text these may be letters drawn as outlines
# A share of signs without meaning: the font has no table of what its shapes stand for.
_GARBLED = 0.3
_FAILURES_IN_A_ROW = 20  # then the page count is taken for a lie
_MOST_ON_A_PAGE = 4_000_000  # characters
_INFO = {
    "title": "Title",
    "author": "Author",
    "subject": "Subject",
    "keywords": "Keywords",
    "creator": "Creator",
    "producer": "Producer",
}


def inspect(source: Path, workdir: Path, options: DocumentOptions) -> Inspection:
    with _ONE_AT_A_TIME:
        try:
            with closing(pdfium.PdfDocument(source)) as document:
                return _inspect(document, source, workdir, options)
        except pdfium.PdfiumError as error:
            if _needs_password(error, source):
                raise _encrypted() from error
            return _by_second_reader(source, options)


def _encrypted() -> Unreadable:
    return Unreadable("ENCRYPTED_FILE", "The PDF needs a password.")


def _needs_password(error: pdfium.PdfiumError, source: Path) -> bool:
    """pdfium may repeat the code of an earlier failure: the file itself must speak of encryption too."""
    if error.err_code not in (pdfium_c.FPDF_ERR_PASSWORD, pdfium_c.FPDF_ERR_SECURITY):
        return False
    with source.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return data.find(b"/Encrypt") >= 0


def _damaged() -> Unreadable:
    return Unreadable("CORRUPT_FILE", "The PDF is damaged: none of its pages can be read.")


def _inspect(
    document: pdfium.PdfDocument, source: Path, workdir: Path, options: DocumentOptions
) -> Inspection:
    reader = _Reader(document, source, options)
    reader.read()
    metadata: dict[str, Any] = _named({key: _info(document, key) for key in _INFO.values()})
    metadata["format"] = "pdf"
    metadata["encrypted"] = pdfium_c.FPDF_GetSecurityHandlerRevision(document.raw) != -1
    made = []
    if options.want_renditions:
        with suppress(pdfium.PdfiumError, MemoryError):  # text without a picture is worth having
            made = _first_page(document, workdir)
    return Inspection({"pages": reader.page_count}, metadata, made, reader.as_json())


def _info(document: pdfium.PdfDocument, key: str) -> str:
    """A string of the document's own description; pypdfium2's method fails on lone surrogates."""
    name = key.encode() + b"\0"
    size = min(pdfium_c.FPDF_GetMetaText(document.raw, name, None, 0), 1 << 20)
    buffer = ctypes.create_string_buffer(size)
    pdfium_c.FPDF_GetMetaText(document.raw, name, buffer, size)
    return buffer.raw[: max(0, size - 2)].decode("utf-16-le", "replace")


def _named(info: Mapping[str, Any]) -> dict[str, Any]:
    strings = {name: one_line(info.get(key)) for name, key in _INFO.items()}
    return {name: value for name, value in strings.items() if value}


class _Reader:
    """One pass over the pages."""

    def __init__(
        self, document: pdfium.PdfDocument, source: Path, options: DocumentOptions
    ) -> None:
        self.document = document
        self.claimed = len(document)
        self.page_count = self.claimed
        self.passages = Passages(options.max_text_bytes)
        self.needs_ocr: list[int] = []
        self.failed: list[int] = []
        self._limit = options.max_pages
        self._second = _SecondReader(source)

    def read(self) -> None:
        in_a_row = last = 0
        for number in range(1, min(self.claimed, self._limit) + 1):
            text = self._text(number)
            if text is None:
                self.failed.append(number)
                in_a_row += 1
                if in_a_row == _FAILURES_IN_A_ROW:
                    break
                continue
            in_a_row, last = 0, number
            if not self.passages.add(text, page=number):
                break
        if not last:
            raise _damaged()
        self._settle(last, in_a_row)

    def _settle(self, last: int, in_a_row: int) -> None:
        """Whether the count is to be believed: a tail of pages that are not there is no part of it."""
        if in_a_row == _FAILURES_IN_A_ROW:
            self.page_count = last
            self.failed = [number for number in self.failed if number < last]
        elif self.claimed > self._limit:
            self.passages.truncated = True
            page = pdfium_c.FPDF_LoadPage(self.document.raw, self.claimed - 1)
            if page:
                pdfium_c.FPDF_ClosePage(page)
            else:
                self.page_count = last

    def _text(self, number: int) -> str | None:
        """A page's text; None where no reader can load it."""
        page = pdfium_c.FPDF_LoadPage(self.document.raw, number - 1)
        if not page:
            return self._second.text(number, of=self.claimed)
        try:
            text = page_text(page)
            if _is_picture(text) and _is_drawn_on(page):
                self.needs_ocr.append(number)
            return text
        finally:
            pdfium_c.FPDF_ClosePage(page)

    def as_json(self) -> dict[str, Any]:
        reason = None
        if not self.passages.words:
            reason = "scanned" if self.needs_ocr else "no_text"
        return self.passages.as_json(
            page_count=self.page_count,
            needs_ocr=self.needs_ocr,
            failed_pages=self.failed,
            reason=reason,
        )


def page_text(page: Any) -> str:
    """The text within a loaded page's bounds. One call where pypdfium2's own method makes two."""
    text_page = pdfium_c.FPDFText_LoadPage(page)
    if not text_page:
        return ""
    try:
        count = min(pdfium_c.FPDFText_CountChars(text_page), _MOST_ON_A_PAGE)
        box = pdfium_c.FS_RECTF()
        if count <= 0 or not pdfium_c.FPDF_GetPageBoundingBox(page, box):
            return ""
        room = count + 256  # signs outside the Basic Plane take two places
        while True:
            buffer = (ctypes.c_ushort * room)()
            edges = (box.left, box.top, box.right, box.bottom)
            written = pdfium_c.FPDFText_GetBoundedText(text_page, *edges, buffer, room)
            if written < room or room > 2 * _MOST_ON_A_PAGE:
                return memoryview(buffer)[:written].tobytes().decode("utf-16-le", "ignore")
            room *= 2
    finally:
        pdfium_c.FPDFText_ClosePage(text_page)


def _is_picture(text: str) -> bool:
    if len(text) < 200 and len("".join(text.split())) < FEW_CHARACTERS:
        return True
    if text.isascii():
        return False
    raw = text.encode("utf-8", "ignore")
    return (
        raw.count(b"\xee") + raw.count(b"\xef\xbf\xbd") > len(text) * _GARBLED
    )  # private, replacement


def _is_drawn_on(page: Any) -> bool:
    """Whether there is a picture on the page, or so many shapes that they may be letters."""
    shapes = 0
    for number in range(min(pdfium_c.FPDFPage_CountObjects(page), 500)):
        kind = pdfium_c.FPDFPageObj_GetType(pdfium_c.FPDFPage_GetObject(page, number))
        if kind in (pdfium_c.FPDF_PAGEOBJ_IMAGE, pdfium_c.FPDF_PAGEOBJ_FORM):
            return True
        shapes += int(kind == pdfium_c.FPDF_PAGEOBJ_PATH)
    return shapes >= _MANY_SHAPES


def _first_page(document: pdfium.PdfDocument, workdir: Path) -> list[RenditionFile]:
    preview = render(document, 0, renditions.PREVIEW_SIDE)
    return [
        renditions.write(renditions.thumbnail(preview), workdir, "thumbnail"),
        renditions.write(preview, workdir, "preview"),
    ]


def render(
    document: pdfium.PdfDocument, index: int, side: int, *, grey: bool = False
) -> Image.Image:
    """A page on white, its longest side `side` px."""
    page = document[index]
    try:
        width, height = page.get_size()
        if not (0 < width < 1e7 and 0 < height < 1e7):
            raise pdfium.PdfiumError("a page without a size")
        scale = side / max(width, height)
        # pdfium would make a strip of no pixels of a page a thousand times as long as wide.
        scale = max(scale, 1 / min(width, height))
        if max(width, height) * scale > 4 * side:
            raise pdfium.PdfiumError("a page too long to be shown")
        bitmap = page.render(scale=scale, grayscale=grey, rev_byteorder=True)
        image: Image.Image = bitmap.to_pil()
        shown = renditions.flat(image).copy()
        bitmap.close()
        return shown
    finally:
        page.close()


def draw(
    source: Path, pages: Iterable[int], dpi: int, max_side: int
) -> Iterator[tuple[int, Image.Image]]:
    """Pages (counted from 1) in grey at a resolution for reading; those that cannot be drawn are left out."""
    with _ONE_AT_A_TIME:
        try:
            opened = pdfium.PdfDocument(source)
        except pdfium.PdfiumError as error:
            raise (_encrypted() if _needs_password(error, source) else _damaged()) from error
        with closing(opened) as document:
            for number in pages:
                if 1 <= number <= len(document):
                    with suppress(pdfium.PdfiumError):
                        yield number, _for_reading(document, number - 1, dpi, max_side)


def _for_reading(document: pdfium.PdfDocument, index: int, dpi: int, max_side: int) -> Image.Image:
    page = document[index]
    side = min(max_side, max(1, round(max(page.get_size()) / 72 * dpi)))
    page.close()
    return render(document, index, side, grey=True)


class _SecondReader:
    """pypdf, opened when it is first needed: slower, and it forgives other faults."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._reader: Any = None
        self._hopeless = False

    def open(self) -> Any:
        # Rarely needed, and a quarter of a second to import.
        import pypdf  # noqa: PLC0415

        # It tells of every oddity of a damaged file; ours to tell is whether a page was read.
        logging.getLogger("pypdf").setLevel(logging.CRITICAL)
        reader = pypdf.PdfReader(self._source)
        if reader.is_encrypted and not reader.decrypt(""):
            raise _encrypted()
        return reader

    def text(self, number: int, *, of: int) -> str | None:
        """A page's text, or None: also where it counts other pages than the first reader did."""
        if self._hopeless:
            return None
        try:
            if self._reader is None:
                self._reader = self.open()
                self._hopeless = len(self._reader.pages) != of
                if self._hopeless:
                    return None
            found: str = self._reader.pages[number - 1].extract_text()
            return found
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001 - a parser of hostile bytes raises nearly anything
            self._hopeless = self._reader is None
            return None


def _by_second_reader(source: Path, options: DocumentOptions) -> Inspection:
    """What pypdf finds in a file that pdfium does not open. No renditions: only pdfium can draw."""
    second = _SecondReader(source)
    try:
        reader = second.open()
        count = len(reader.pages)
        info = {key.removeprefix("/"): value for key, value in (reader.metadata or {}).items()}
    except (Unreadable, MemoryError):
        raise
    except Exception as error:
        raise _damaged() from error
    passages = Passages(options.max_text_bytes)
    failed: list[int] = []
    for number in range(1, min(count, options.max_pages) + 1):
        text = second.text(number, of=count)
        if text is None:
            failed.append(number)
            if len(failed) >= _FAILURES_IN_A_ROW:
                break
        elif not passages.add(text, page=number):
            break
    if not passages.blocks:
        raise _damaged()
    passages.truncated = passages.truncated or count > options.max_pages
    return Inspection(
        {"pages": count},
        {**_named(info), "format": "pdf", "encrypted": bool(reader.is_encrypted)},
        [],
        passages.as_json(page_count=count, failed_pages=failed),
    )

"""The text of one part of a DOCX: paragraphs, and tables as rows of cells.

The part is parsed as it is unpacked, and each paragraph or table of the page is read and forgotten as soon
as it is whole, so that memory is bounded by the largest table. A table inside a table is flattened into the
cell it lies in; the words of a text box follow the paragraph or table it is anchored to.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from lxml import etree

# No entities, no network, no DTD, and libxml2's own limits on depth and size.
PARSER: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}

MAX_BLOCKS = 500_000  # paragraphs and tables of one part

_SIGNS = ("t", "tab", "br", "cr", "noBreakHyphen", "lastRenderedPageBreak")
_IN_PARAGRAPH = tuple(f"{{*}}{name}" for name in _SIGNS)
_IN_TABLE = tuple(f"{{*}}{name}" for name in (*_SIGNS, "p", "tc", "tr"))
_ROOTS = tuple(
    f"{{*}}{name}" for name in ("body", "hdr", "ftr", "footnotes", "endnotes", "comments")
)
_CHUNK = 1 << 16


class Part(Protocol):
    """A part as it is unpacked: counted, and watched."""

    tags: int  # begun since this was last set to 0
    has_boxes: bool  # a text box was seen

    def read(self, size: int = ..., /) -> bytes: ...


class Body:
    """`passages` are (page, text) in reading order; `cut` says that there was more than the limit."""

    def __init__(self, limit: int, *, max_pages: int = 1 << 30) -> None:
        self.passages: list[tuple[int, str]] = []
        self.pages = 1
        self.cut = False
        self._room = limit
        self._max_pages = max_pages
        self._runs: list[str] = []  # of the paragraph being read
        self._page_is_blank = True
        self._cells: list[list[str]] = []  # of the outermost table's row being read
        self._blocks = 0
        self._names: dict[str, str] = {}  # tags without their namespace

    def read(self, part: Part) -> None:
        # Asking the parser for every paragraph's end would cost more than reading them does. All children
        # of the part's root but the last are whole.
        parser = etree.XMLPullParser(events=("start",), tag=_ROOTS, **PARSER)
        root: Any = None
        while data := part.read(_CHUNK):
            parser.feed(data)
            if root is None:
                root = next((element for _, element in parser.read_events()), None)
            if root is not None and len(root) > 1:
                self._read_blocks(root[:-1], part)
                del root[:-1]
                part.tags = 0
            if self.cut:
                return
        whole = parser.close()
        self._read_blocks(whole if root is None else root, part)

    def _read_blocks(self, blocks: Iterable[Any], part: Part) -> None:
        for block in blocks:
            boxes = _detached_boxes(block) if part.has_boxes else []
            self._read_block(block)
            for box in boxes:
                for child in box:
                    self._read_block(child)
            self._blocks += 1
            self.cut = self.cut or self._blocks > MAX_BLOCKS
            if self.cut:
                return

    def _name(self, element: Any) -> str:
        tag = element.tag
        return self._names.get(tag) or self._names.setdefault(tag, tag.rpartition("}")[2])

    def _read_block(self, block: Any) -> None:
        name = self._name(block)
        if name == "p":
            self._read_paragraph(block)
        elif name == "tbl":
            self._read_table(block)
        else:  # a content control, a footnote, a comment
            for child in block:
                self._read_block(child)

    def _read_paragraph(self, paragraph: Any) -> None:
        names, runs = self._names, self._runs
        for element in paragraph.iter(*_IN_PARAGRAPH):
            tag = element.tag
            name = names.get(tag) or names.setdefault(tag, tag.rpartition("}")[2])
            if name == "t":
                runs.append(element.text or "")
            else:
                self._mark(name, element)
        self._end_paragraph()

    def _read_table(self, table: Any) -> None:
        names, runs = self._names, self._runs
        row: Any = None  # of this table, not of one within it
        for element in table.iter(*_IN_TABLE):
            tag = element.tag
            name = names.get(tag) or names.setdefault(tag, tag.rpartition("}")[2])
            if name == "t":
                runs.append(element.text or "")
            elif name == "p":
                if runs:
                    self._end_paragraph()
            elif name == "tc":
                if element.getparent() is row or self._nearest(element, "tr") is row:
                    self._end_paragraph()
                    self._cells.append([])
            elif name == "tr":
                if element.getparent() is table or self._nearest(element, "tbl") is table:
                    self._end_row()
                    row = element
            else:
                self._mark(name, element)
        self._end_row()

    def by_page(self) -> list[tuple[int | None, str]]:
        """The passages put together page by page; without page numbers where no break was noted."""
        if self.pages == 1:
            return [(None, "\n".join(text for _, text in self.passages))]
        pages: dict[int, list[str]] = {}
        for page, text in self.passages:
            pages.setdefault(page, []).append(text)
        return [(page, "\n".join(texts)) for page, texts in pages.items()]

    def _nearest(self, element: Any, name: str) -> Any:
        """The nearest element of this name around one; content controls may lie between."""
        element = element.getparent()
        while element is not None and self._name(element) != name:
            element = element.getparent()
        return element

    def _end_paragraph(self) -> None:
        if not self._runs:
            return
        text = "".join(self._runs)
        self._runs.clear()
        if self._cells:
            self._cells[-1].append(text)
        else:
            self._put(text)

    def _end_row(self) -> None:
        self._end_paragraph()
        if self._cells:
            self._put("\t".join([" ".join(" ".join(texts).split()) for texts in self._cells]))
            self._cells = []

    def _put(self, text: str) -> None:
        """Give a line to the page; empty ones are left out."""
        if text and not text.isspace() and self.pages <= self._max_pages:
            self._page_is_blank = False
            self.passages.append((self.pages, text))
            self._room -= len(text) + 1
            self.cut = self.cut or self._room < 0

    def _mark(self, name: str, element: Any) -> None:
        """Signs that are elements. A `tab` outside a run is a tab stop."""
        if name == "tab":
            if element.getparent().tag.endswith("}r"):
                self._runs.append("\t")
        elif name == "noBreakHyphen":
            self._runs.append("-")
        elif name == "lastRenderedPageBreak" or _is_page_break(element):
            if not self._cells:
                self._end_paragraph()
            # Word notes a break twice: as it was made, and where it fell when last shown.
            if not self._page_is_blank:
                self.pages += 1
                self._page_is_blank = True
                self.cut = self.cut or self.pages > self._max_pages
        else:
            self._runs.append("\n")


def _detached_boxes(block: Any) -> list[Any]:
    """The text boxes of a block, taken out of it; of two forms of one box the second is dropped."""
    for second in list(block.iter("{*}Fallback")):
        second.getparent().remove(second)
    boxes = list(block.iter("{*}txbxContent"))
    for box in boxes:
        box.getparent().remove(box)
    return boxes


def _is_page_break(element: Any) -> bool:
    return any(key.endswith("}type") and value == "page" for key, value in element.attrib.items())

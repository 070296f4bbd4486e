"""The text of a document as it is gathered: blocks by page or part, cleaned, counted, and cut at a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from processing.inspectors.prose import SAMPLE, guess_language, word_count
from processing.inspectors.strings import clean_text


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """Limits on a document; the defaults are those of the settings. Past them text is cut and says so."""

    format: str = ""  # pdf, docx, txt, md or csv; told from the content where it is not given
    max_pages: int = 2000
    max_text_bytes: int = 5_000_000  # of UTF-8
    max_pixels: int = 50_000_000
    want_renditions: bool = True  # a preview and a thumbnail of a PDF's first page

    @classmethod
    def of(cls, values: Mapping[str, Any] | DocumentOptions | None) -> Self:
        """From JSON, as a sandboxed call carries it; names it does not know are left alone."""
        known = {each.name for each in fields(cls)}
        given = values if isinstance(values, Mapping) else {}
        return (
            values
            if isinstance(values, cls)
            else cls(**{k: v for k, v in given.items() if k in known})
        )


@dataclass(slots=True)
class Passages:
    """Blocks of text in reading order. `add` returns False when there is room for no more."""

    limit: int
    blocks: list[dict[str, Any]] = field(default_factory=list)
    words: int = 0
    size: int = 0
    truncated: bool = False

    def add(self, text: str, *, page: int | None = None, section: str = "") -> bool:
        text = clean_text(text).strip("\n ")
        if not text:
            return not self.truncated
        size = len(text) if text.isascii() else len(text.encode())
        if size > self.limit - self.size:
            text = text.encode()[: self.limit - self.size].decode("utf-8", "ignore")
            size = self.limit - self.size
            self.truncated = True
        self.size += size
        self.words += word_count(text)
        block: dict[str, Any] = {"page": page, "text": text}
        if section:
            block["section"] = section
        self.blocks.append(block)
        return not self.truncated

    def as_json(self, *, page_count: int | None, **more: Any) -> dict[str, Any]:
        """What `Inspection.text` holds. `page_count` is None for what has no pages."""
        text = "\n\n".join(block["text"] for block in self.blocks)
        return {
            "text": text,
            "word_count": self.words,
            "page_count": page_count,
            "language": guess_language(self._middle(text)),
            "blocks": self.blocks,
            "truncated": self.truncated,
            "needs_ocr": [],
            "failed_pages": [],
            "reason": None if self.words else "no_text",
            **more,
        }

    @staticmethod
    def _middle(text: str) -> str:
        """From a tenth in: title pages and tables of contents have few sentences."""
        start = len(text) // 10 if len(text) > SAMPLE * 2 else 0
        return text[start : start + SAMPLE]

"""What is in a document: its text by pages or parts, words, language, title; a PDF's first page as a picture.

Text past `max_text_bytes` and pages past `max_pages` are left out and `truncated` says so: a long document is
worth having in part. Raises Unreadable (CORRUPT_FILE, ENCRYPTED_FILE, LIMIT_EXCEEDED).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from media_assets import filetypes, plaintext
from processing.inspectors import docx, pdf, plain
from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.passages import DocumentOptions

_TEXTS = ("txt", "md", "csv")


def inspect(
    source: Path, workdir: Path, options: Mapping[str, Any] | DocumentOptions | None = None
) -> Inspection:
    """Facts, text and renditions of one document."""
    wanted = DocumentOptions.of(options)
    format_ = wanted.format or _format(source)
    try:
        if format_ == "pdf":
            return pdf.inspect(source, workdir, wanted)
        if format_ == "docx":
            return docx.inspect(source, wanted)
        if format_ in _TEXTS:
            return plain.inspect(source, wanted, format_)
    except (MemoryError, RecursionError) as error:
        message = "The document needs too much memory, or is nested too deeply."
        raise Unreadable("LIMIT_EXCEEDED", message) from error
    raise Unreadable("CORRUPT_FILE", "This is not a document we know.")


def _format(source: Path) -> str:
    """Told from the content. The working copy may not have the name by which intake knew more."""
    with source.open("rb") as file:
        found = filetypes.confirm(file, name=source.name)
        file.seek(0)
        head = file.read(4096)
    if found is not None:
        return found.format
    if head.startswith(b"\xd0\xcf\x11\xe0"):  # a DOCX with a password is an OLE file
        return "docx"
    return "txt" if plaintext.read_text(head) is not None else ""

"""Text files: which charset they are in, and their text. CSV tells its columns, Markdown its title."""

from __future__ import annotations

import codecs
import csv
import re
from pathlib import Path
from typing import Any

from media_assets.plaintext import BOMS, wide_encoding
from processing.inspectors.base import Inspection
from processing.inspectors.passages import DocumentOptions, Passages
from processing.inspectors.strings import one_line

SAMPLE_BYTES = 1 << 16  # what the detector of other charsets sees
_FALLBACK = "cp1252"  # has a letter for nearly every byte
_HEADING = re.compile(r"^#{1,2}[ \t]+(\S.*)$", re.MULTILINE)
_QUOTED = re.compile(r'"[^"]*"')
_DELIMITERS = ",;\t|"


def inspect(source: Path, options: DocumentOptions, format_: str) -> Inspection:
    # A character has at most four bytes; what lies past this could not be kept.
    most = options.max_text_bytes * 4
    with source.open("rb") as file:
        data = file.read(most)
        more = bool(file.read(1))
    encoding = charset(data, whole=not more)
    text = decode(data, encoding)
    metadata: dict[str, Any] = {"format": format_, "encoding": encoding}
    if format_ == "md" and (heading := _HEADING.search(text[:20_000])):
        metadata["title"] = one_line(heading[1].rstrip("# "))
    if format_ == "csv":
        metadata |= columns(text)
    passages = Passages(options.max_text_bytes)
    pages = text.split("\f", options.max_pages)
    # A form feed at the end closes the last page and begins none.
    pages = pages[:-1] if len(pages) > 1 and not pages[-1].strip() else pages
    several = len(pages) > 1
    for number, page in enumerate(pages, 1):
        if not passages.add(page, page=number if several else None):
            break
    passages.truncated = passages.truncated or more or len(pages) > options.max_pages
    count = len(pages) if several else None
    return Inspection({"pages": count}, metadata, [], passages.as_json(page_count=count))


def charset(data: bytes, *, whole: bool = True) -> str:
    """The name of the charset: by mark, by NULs, by being valid UTF-8, and last by what its letters say."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding
    wide = wide_encoding(data)
    if wide:
        return wide
    if b"\x1b" not in data and _is_utf8(data, whole=whole):
        return "utf-8"
    # Loads tables of a dozen charsets: only for the few files that get here.
    import chardet  # noqa: PLC0415

    found = chardet.detect(data[:SAMPLE_BYTES]).get("encoding")
    try:
        return codecs.lookup(found).name if found else _FALLBACK
    except LookupError:
        return _FALLBACK


def _is_utf8(data: bytes, *, whole: bool) -> bool:
    """Whether all of it is valid; a character cut at the end is, where the file goes on."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def decode(data: bytes, encoding: str) -> str:
    """The text, with a replacement sign for what cannot be decoded, without the mark."""
    mark = next((mark for mark, name in BOMS if name == encoding and data.startswith(mark)), b"")
    return data[len(mark) :].decode(encoding, "replace")


def columns(text: str) -> dict[str, Any]:
    """Delimiter, column names and number of lines of a CSV: what divides its first lines most evenly."""
    lines = [line for line in text[:65536].splitlines()[:20] if line.strip()]
    bare = [_QUOTED.sub("", line) for line in lines]
    best, score = "", 0
    for delimiter in _DELIMITERS:
        counts = [line.count(delimiter) for line in bare]
        common = max(set(counts), key=counts.count) if counts else 0
        even = counts.count(common) if common else 0
        if even > score:
            best, score = delimiter, even
    found: dict[str, Any] = {"lines": text.count("\n") + (not text.endswith("\n") and bool(text))}
    if best:
        names = next(csv.reader(lines[:1], delimiter=best))
        found |= {"delimiter": best, "columns": [one_line(name, 100) for name in names[:100]]}
    return found

"""Lexicons as CSV: in, whatever a spreadsheet made of them; out, safe to open in one.

Coming in, encoding, delimiter and header are found out; each row that cannot be taken is named by its line
and the rest goes on. Going out it is UTF-8 with a mark that Excel needs, and no cell is taken for a formula.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import chardet

from media_assets.errors import FileTooLarge, Invalid
from transcription import patterns
from transcription.entries import MAX_ENTRIES, MAX_REGEXES, Entry, checked

MAX_BYTES: Final = 5_000_000
MAX_PATTERN_SECONDS: Final = 10.0  # of CPU, for all patterns of one file
COLUMNS: Final = ("term", "replacement", "match_case", "whole_word", "regex")
DELIMITERS: Final = (",", ";", "\t", "|")
_MAX_ERRORS: Final = 200
_CHARDET_BYTES: Final = 65_536

# What people and other programs call the columns.
_NAMES: Final = {
    "term": "term from find search original wrong source misheard spoken suche begriff",
    "replacement": "replacement to replace replace_with correct target correction written ersetzung",
    "match_case": "match_case case_sensitive case matchcase casesensitive",
    "whole_word": "whole_word whole_words word wholeword words_only",
    "regex": "regex regexp pattern is_regex regular_expression",
}
_BY_NAME: Final = {name: column for column, names in _NAMES.items() for name in names.split()}
# Spreadsheets write truth in the user's language.
_TRUE: Final = frozenset(
    "1 true yes y x on t wahr ja vrai oui verdadero sí si vero sì verdadeiro sim да истина".split()
)
_FALSE: Final = frozenset(
    "0 false no n off f falsch nein faux non falso não nee нет ложь -".split()
)
_FORMULA: Final = re.compile("'*[=+\\-@\t\r\n|%\uff1d\uff0b\uff0d\uff20]")
_BINARY: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\ufffe\uffff]")
_BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins as UTF-16's does, so it is asked first
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True)
class RowError:
    """Why one row was not taken. `line` is the line of the file, from 1; `column` may be unknown."""

    line: int
    column: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Imported:
    """What a file holds. Nothing is stored; rows with errors are left out of `entries`."""

    entries: tuple[Entry, ...]
    errors: tuple[RowError, ...]
    encoding: str
    delimiter: str
    header: bool
    duplicates: int = 0


def read(data: bytes, *, limit: int = MAX_ENTRIES, encoding: str | None = None) -> Imported:
    """Read a file's bytes. Raises only where no row can be read: too large, binary, or no columns."""
    if len(data) > MAX_BYTES:
        raise FileTooLarge(f"A lexicon file may have at most {MAX_BYTES // 1_000_000} MB.")
    text, encoding = _decoded(data, encoding)
    if _BINARY.search(text):
        raise Invalid("This is not a text file.", field="file")
    delimiter, text = _delimiter(text)
    rows = _rows(text, delimiter)
    errors: list[RowError] = []
    first = next((row for row in rows if _has_cells(row)), None)
    if first is None:
        raise Invalid("The file has no rows.", field="file")
    columns = _header(first[1])
    found = _Reader(columns or COLUMNS, limit)
    if columns is None:
        found.take(*first)
    elif "term" not in columns or "replacement" not in columns:
        raise Invalid(
            "The header needs the columns term and replacement.",
            field="file",
            columns=list(columns),
        )
    for line, cells, problem in rows:
        if problem or any(cell.strip() for cell in cells):
            found.take(line, cells, problem)
        if found.full:
            break
    errors += found.errors
    return Imported(
        tuple(found.entries),
        tuple(errors),
        encoding,
        delimiter,
        columns is not None,
        found.duplicates,
    )


def write(entries: Iterable[Entry]) -> bytes:
    """The entries as a CSV file that `read` gives back unchanged and that no spreadsheet calculates."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in entries:
        flags = (entry.match_case, entry.whole_word, entry.regex)
        writer.writerow(
            [_safe(entry.term), _safe(entry.replacement), *("1" if flag else "0" for flag in flags)]
        )
    return codecs.BOM_UTF8 + stream.getvalue().encode()


Row = tuple[int, list[str], str]


class _Reader:
    """Rows turned into entries, with what was wrong and what came twice."""

    def __init__(self, columns: Sequence[str | None], limit: int) -> None:
        self.columns = columns
        self.limit = limit
        self.entries: list[Entry] = []
        self.errors: list[RowError] = []
        self.duplicates = 0
        self.full = False
        self._seen: dict[tuple[str, bool, bool], tuple[int, Entry]] = {}
        self._regexes = 0
        self._seconds = 0.0  # spent on trying patterns

    def take(self, line: int, cells: list[str], problem: str = "") -> None:
        if problem:
            self._refuse(line, None, problem)
            return
        if any(cell.strip() for cell in cells[len(self.columns) :]):
            self._refuse(
                line, None, f"The row has {len(cells)} cells, {len(self.columns)} are expected."
            )
            return
        values = dict(zip(self.columns, cells, strict=False))
        try:
            entry = self._checked(_entry(values))
        except Invalid as error:
            self._refuse(line, error.details.get("field"), error.message)
            return
        self._keep(line, entry)

    def _checked(self, entry: Entry) -> Entry:
        """The entry in its regular form; patterns only while their number and their time allow."""
        if not entry.regex:
            return checked(entry)
        if self._regexes >= MAX_REGEXES:
            message = f"A lexicon may have at most {MAX_REGEXES} regular expressions."
            raise Invalid(message, field="regex")
        if self._seconds > MAX_PATTERN_SECONDS:
            message = "The patterns before this one took all the time there is for trying them."
            raise Invalid(message, field="regex")
        began = patterns.clock()
        try:
            return checked(entry)
        finally:
            self._seconds += patterns.clock() - began

    def _keep(self, line: int, entry: Entry) -> None:
        key = (
            entry.term if entry.match_case or entry.regex else entry.term.casefold(),
            entry.match_case,
            entry.regex,
        )
        if key in self._seen:
            earlier, same = self._seen[key]
            if same == entry:
                self.duplicates += 1
            else:
                self._refuse(
                    line, "term", f"The same term is in line {earlier}, with another meaning."
                )
            return
        if len(self.entries) >= self.limit:
            self._refuse(
                line,
                None,
                f"Only {self.limit} more entries fit. The rows from here on were not read.",
            )
            self.full = True
            return
        self._regexes += entry.regex
        self._seen[key] = (line, entry)
        self.entries.append(entry)

    def _refuse(self, line: int, column: str | None, message: str) -> None:
        self.errors.append(RowError(line, column, message))
        if len(self.errors) >= _MAX_ERRORS:
            self.errors.append(
                RowError(line, None, "There are too many errors. The rest was not read.")
            )
            self.full = True


def _entry(values: dict[str | None, str]) -> Entry:
    if not values.get("term", "").strip():
        raise Invalid("The term is missing.", field="term")
    if "replacement" not in values:
        raise Invalid("The replacement is missing.", field="replacement")
    regex = _truth(values, "regex", default=False)
    term, replacement = _plain(values["term"]), _plain(values["replacement"])
    if not regex:
        term, replacement = term.strip(), replacement.strip()
    return Entry(
        term=term,
        replacement=replacement,
        match_case=_truth(values, "match_case", default=False),
        whole_word=_truth(values, "whole_word", default=True),
        regex=regex,
    )


def _truth(values: dict[str | None, str], column: str, *, default: bool) -> bool:
    value = values.get(column, "").strip().casefold()
    if not value:
        return default
    if value in _TRUE or value in _FALSE:
        return value in _TRUE
    raise Invalid(f"“{value[:20]}” is neither yes nor no.", field=column)


def _decoded(data: bytes, encoding: str | None) -> tuple[str, str]:
    """The text and the encoding it was read in: a given one, its mark, UTF-8, or the likeliest."""
    marked = next((name for mark, name in _BOMS if data.startswith(mark)), None)
    certain = encoding or marked
    if certain:
        try:
            return data.decode(certain), certain
        except (UnicodeDecodeError, LookupError) as error:
            raise Invalid(f"The file is not in {certain}.", field="file") from error
    for guess in _guesses(data):
        try:
            return data.decode(guess), guess
        except (UnicodeDecodeError, LookupError):
            continue
    return data.decode("cp1252", "replace"), "cp1252"


def _guesses(data: bytes) -> list[str]:
    """Encodings worth a try. Text of two bytes a letter shows by its zeros, which no other text has."""
    if b"\x00" in data:
        even, odd = data[::2].count(0), data[1::2].count(0)
        return ["utf-16-le", "utf-16-be"] if odd >= even else ["utf-16-be", "utf-16-le"]
    # Each line once: the detector counts letters, and a list that repeats itself misleads it.
    sample = b"\n".join(dict.fromkeys(data[:_CHARDET_BYTES].splitlines()))
    guess = chardet.detect(sample, encoding_era=chardet.EncodingEra.MODERN_WEB).get("encoding")
    return ["utf-8", guess, "cp1252"] if guess else ["utf-8", "cp1252"]


def _delimiter(text: str) -> tuple[str, str]:
    """The character that cuts the first rows into the most equal columns; Excel's own `sep=` line counts."""
    first, _, rest = text.partition("\n")
    if first.lower().startswith("sep=") and len(first.strip()) == 5:
        return first.strip()[4], "\n" + rest  # the line stays, empty, so that line numbers are true
    sample = text[:20_000]
    best, score = ",", 0.0
    for delimiter in DELIMITERS:
        rows = [
            len(cells) for _, cells, problem in _rows(sample, delimiter) if cells and not problem
        ][:50]
        wide = [count for count in rows if 1 < count <= len(COLUMNS) + 2]
        value = len(wide) / len(rows) if rows else 0.0
        if value > score:
            best, score = delimiter, value
    return best, text


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    """(line where the row begins, its cells, what is wrong with it)."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            yield line, next(reader), ""
        except StopIteration:
            return
        except csv.Error as error:
            yield line, [], f"The row cannot be read: {error}."


def _has_cells(row: Row) -> bool:
    return bool(row[2]) or any(cell.strip() for cell in row[1])


def _header(cells: Sequence[str]) -> tuple[str | None, ...] | None:
    """The columns by name if this row names them: two at least, so that an entry "word → Word" is none."""
    names = [re.sub(r"[\s\-]+", "_", cell.strip().casefold()) for cell in cells]
    columns = tuple(_BY_NAME.get(name) for name in names)
    known = [column for column in columns if column]
    own = set(names) & set(COLUMNS)
    if (
        len(known) >= 2
        and (own or {"term", "replacement"} <= set(known))
        and len(set(known)) == len(known)
    ):
        return columns
    return None


def _safe(value: str) -> str:
    return f"'{value}" if _FORMULA.match(value) else value


def _plain(value: str) -> str:
    """What `_safe` wrote, back again."""
    return value[1:] if value.startswith("'") and _FORMULA.match(value) else value

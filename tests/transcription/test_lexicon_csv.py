"""Lexicons as CSV: whatever spreadsheets write comes in, and nothing goes out that they calculate."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_assets.errors import FileTooLarge, Invalid
from transcription import lexicon_csv
from transcription.entries import Entry, checked
from transcription.lexicon_csv import MAX_BYTES, read, write

GERMAN = "Begriff;Ersetzung;match case\nmüller;Müller;WAHR\nstraße;Straße;FALSCH\n"


def terms(data: bytes) -> list[tuple[str, str]]:
    return [(entry.term, entry.replacement) for entry in read(data).entries]


# ------------------------------------------------------------------- coming in


def test_columns_by_name_in_any_order() -> None:
    found = read(b"regex,replacement,notes,term\nyes,X,why not,a+\n,B,,b\n")
    assert found.entries == (Entry("a+", "X", regex=True), Entry("b", "B"))
    assert (found.header, found.errors, found.delimiter) == (True, (), ",")


def test_columns_by_place_without_a_header() -> None:
    found = read(b"word,Word,1,0,0\nfrom here,to there\n")
    assert found.entries == (
        Entry("word", "Word", match_case=True, whole_word=False),
        Entry("from here", "to there"),
    )
    assert not found.header


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_a_german_spreadsheet_in_every_encoding(encoding: str) -> None:
    found = read(GERMAN.encode(encoding))
    assert found.entries == (Entry("müller", "Müller", match_case=True), Entry("straße", "Straße"))
    assert found.delimiter == ";"


@pytest.mark.parametrize(
    ("encoding", "rows"),
    [
        ("cp1251", "привет,мир\nхорошо,плохо\nспасибо,пожалуйста\n"),
        ("cp932", "東京,とうきょう\n大阪,おおさか\n会社,かいしゃ\n"),
        ("gb18030", "北京,上海\n中国,人民\n"),
        ("cp949", "서울,대한민국\n부산,사람\n"),
        ("cp1250", "łódź,Łódź\nkraków,Kraków\nświętokrzyskie,Świętokrzyskie\n"),
    ],
)
def test_old_encodings_are_found_out(encoding: str, rows: str) -> None:
    assert terms(rows.encode(encoding)) == [tuple(row.split(",")) for row in rows.split()]


def test_a_given_encoding_is_believed_or_refused() -> None:
    assert read("œuf,Œuf".encode("cp1252"), encoding="cp1252").entries[0].term == "œuf"
    with pytest.raises(Invalid, match="not in ascii"):
        read("é,x".encode(), encoding="ascii")
    with pytest.raises(Invalid, match="not in nonsense"):
        read(b"a,b", encoding="nonsense")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found_out_past_those_in_quotes(delimiter: str) -> None:
    data = f'"a,b;c"{delimiter}"x|y;z"\nd{delimiter}e\n'.replace("|", delimiter)
    assert read(data.encode()).delimiter == delimiter


def test_excels_own_line_names_the_delimiter_and_counts_as_a_line() -> None:
    found = read(b"sep=;\nfoo;bar,x\n;y\n")
    assert found.entries == (Entry("foo", "bar,x"),)
    assert [error.line for error in found.errors] == [3]


def test_rows_in_quotes_may_hold_lines_and_quotes() -> None:
    found = read(b'"a ""b""",c\n"two\nlines",d\nx\n')
    assert [(e.term, e.replacement) for e in found.entries] == [('a "b"', "c"), ("two lines", "d")]
    assert [(e.line, e.column) for e in found.errors] == [(4, "replacement")]


def test_each_wrong_row_is_named_by_its_line_and_the_rest_goes_on() -> None:
    data = (
        "term,replacement,match_case,regex\n"
        "good,Good\n"
        "\n"
        ",nothing\n"
        "maybe,x,perhaps\n"
        "(,x,,1\n"
        "(a|aa)+$,x,,1\n"
        "bad\x0bterm,x\n"
        "good,Better\n"
        "GOOD,Good\n"
        "good,Good\n"
        "a,b,c,d,e,f\n"
        f"{'x' * 201},y\n"
        "last,Last\n"
    )
    found = read(data.encode())
    assert [entry.term for entry in found.entries] == ["good", "bad term", "last"]
    assert [(error.line, error.column) for error in found.errors] == [
        (4, "term"),
        (5, "match_case"),
        (6, "term"),
        (7, "term"),
        (9, "term"),
        (10, "term"),
        (12, None),
        (13, "term"),
    ]
    assert "line 2" in found.errors[4].message
    assert found.duplicates == 1


def test_an_unclosed_quote_is_an_error_of_its_row() -> None:
    found = read(b'a,b\n"c,d\ne,f\n')
    assert terms(b'a,b\n"c,d\ne,f\n') == [("a", "b")]
    assert found.errors[0].line == 2
    found = read(b'a,b\n"c"x,d\ne,f\n')
    assert [entry.term for entry in found.entries] == ["a", "e"]
    assert found.errors[0].line == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n  \n",
        b",,\n",
        b"\x00\x01\x02\x03",
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"PK\x03\x04\x14\x00",
    ],
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid):
        read(data)


def test_a_header_without_the_needed_columns_is_refused() -> None:
    with pytest.raises(Invalid, match="term and replacement"):
        read(b"term,regex\nx,1\n")


def test_a_file_too_large_is_refused() -> None:
    with pytest.raises(FileTooLarge):
        read(b"a" * (MAX_BYTES + 1))


def test_no_more_entries_come_in_than_fit() -> None:
    found = read(b"a,1\nb,2\nc,3\nd,4\n", limit=2)
    assert len(found.entries) == 2
    assert [error.line for error in found.errors] == [3]
    assert "2 more" in found.errors[0].message


def test_errors_end_before_they_fill_the_page() -> None:
    found = read(b"x\n" * 1000)
    assert len(found.errors) == 201
    assert "too many errors" in found.errors[-1].message


def test_too_many_patterns_are_refused_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lexicon_csv, "MAX_REGEXES", 2)
    found = read(b"a,1,,,1\nb,1,,,1\nc,1,,,1\nd,1\n")
    assert [entry.term for entry in found.entries] == ["a", "b", "d"]
    assert [(error.line, error.column) for error in found.errors] == [(3, "regex")]


def test_patterns_that_are_slow_to_try_do_not_hold_up_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lexicon_csv, "MAX_PATTERN_SECONDS", 0.01)
    found = read(b"(a|aa)+$,1,,,1\nb,1,,,1\nc,1\n")
    assert [entry.term for entry in found.entries] == ["c"]
    assert [(error.line, error.column) for error in found.errors] == [(1, "term"), (2, "regex")]


def test_a_field_longer_than_the_csv_module_takes_is_one_rows_error() -> None:
    found = read(b"a,b\n" + b"x" * 200_000 + b",y\nc,d\n")
    assert [entry.term for entry in found.entries] == ["a", "c"]
    assert found.errors[0].line == 2


# ------------------------------------------------------------------- going out

HOSTILE = [
    Entry("=cmd|' /C calc'!A0", "@SUM(1+1)*cmd|' /C calc'!A0"),
    Entry("-1", "+1"),
    Entry("'=x", "''-y"),
    Entry("'tis", "it's"),
    Entry("＝1", "％"),
    Entry('a "quoted", b', "x;y\tz"),
    Entry(r"(\d+) euros?", r"=\1 €", match_case=True, whole_word=False, regex=True),
    Entry(" a ", "\t=1", regex=True),
    Entry("gone", ""),
]


def test_no_cell_begins_like_a_formula() -> None:
    for row in csv.reader(io.StringIO(write(HOSTILE).decode("utf-8-sig"), newline="")):
        for cell in row:
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")), (
                cell
            )


def test_what_went_out_comes_in_again() -> None:
    entries = [HOSTILE[0], *HOSTILE[1:5], *HOSTILE[6:]]
    assert read(write(entries)).entries == tuple(entries)
    assert read(write([])).entries == ()


@given(
    st.lists(
        st.tuples(st.text(max_size=8), st.text(max_size=8), st.booleans(), st.booleans()),
        max_size=6,
    )
)
def test_every_lexicon_survives_the_way_out_and_in(rows: list[tuple[str, str, bool, bool]]) -> None:
    entries: dict[str, Entry] = {}
    for term, new, match_case, whole_word in rows:
        try:
            entry = checked(Entry(term, new, match_case=match_case, whole_word=whole_word))
        except Invalid:
            continue
        entries.setdefault(entry.term.casefold(), entry)
    found = read(write(entries.values()))
    assert found.entries == tuple(entries.values())
    assert not found.errors

"""Where words and letters end in the world's scripts, and how wide they are."""

from __future__ import annotations

from itertools import pairwise

import pytest

from transcription.languages import base_of, language_code, scripts_of
from transcription.scripts import (
    cuts_letter,
    cuts_word,
    join,
    joiner,
    letters_of,
    spans_of,
    split_words,
    width,
    words_of,
)


def pieces(text: str) -> list[str]:
    """The text cut at every edge of a word, white space left out."""
    edges = [at for at in range(len(text) + 1) if not cuts_word(text, at)]
    return [text[a:b] for a, b in pairwise(edges) if text[a:b].strip()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Anna's", ["Anna", "'s"]),
        ("Ankara’da", ["Ankara", "’da"]),
        ("l'Anna dell'Aquila", ["l'", "Anna", "dell", "'", "Aquila"]),
        ("don't can’t", ["don't", "can’t"]),
        ("O'Brien o'zbek", ["O'Brien", "o'zbek"]),
        ("об'єкт м’яч", ["об'єкт", "м’яч"]),
        ("3.14 1,000 10:30", ["3.14", "1,000", "10", ":", "30"]),
        ("end. Next", ["end", ".", "Next"]),
        ("example.com Node.js", ["example.com", "Node.js"]),
        ("e-mail a_b", ["e", "-", "mail", "a_b"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("می‌خواهم", ["می‌خواهم"]),
        ('צה"ל', ['צה"ל']),
        ("東京タワーへ", ["東", "京", "タワー", "へ"]),
        ("アニメーション", ["アニメーション"]),
        ("AIを", ["AI", "を"]),
        ("서울에서", ["서울에서"]),
        ("e\u0301a", ["e\u0301a"]),
        ("👨‍👩‍👧👍🏽", ["👨‍👩‍👧", "👍🏽"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("col·lecció", ["col·lecció"]),
        ("เย็น", ["เย็", "น"]),
    ],
)
def test_words_end_where_readers_say(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("e\u0301", 1),
        ("👨‍👩", 1),
        ("👨‍👩", 2),
        ("👍🏽", 1),
        ("🇩🇪", 1),
        ("เก", 1),
        ("กา", 1),
        ("กำ", 1),
        ("\r\n", 1),
    ],
)
def test_a_letter_is_not_cut_from_what_belongs_to_it(text: str, at: int) -> None:
    assert cuts_letter(text, at)


@pytest.mark.parametrize("text", ["", "a", "東", "\u0301", "🇩"])
def test_the_ends_of_a_text_cut_nothing(text: str) -> None:
    assert not cuts_word(text, 0)
    assert not cuts_word(text, len(text))
    assert not cuts_letter(text, len(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't, STRASSE/straße!", ["dont", "strasse", "strasse"]),
        ("l’Été", ["lété"]),
        ("e\u0301t\u00e9", ["été"]),
        ("東京 Tower", ["東", "京", "tower"]),
        ("हिन्दी", ["हिन्दी"]),
        ("… — !?", []),
        ("", []),
    ],
)
def test_words_to_compare_have_no_case_and_no_punctuation(text: str, expected: list[str]) -> None:
    assert words_of(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world", ["Hello,", "world"]),
        ("Bonjour\u202f! Oui", ["Bonjour\u202f!", "Oui"]),
        ("「世界」です。", ["「世", "界」", "で", "す。"]),
        ("コーヒー、は", ["コーヒー、", "は"]),
        ("AI を", ["AI", "を"]),
        ("  ", []),
    ],
)
def test_lines_may_break_between_words_and_bare_letters(text: str, expected: list[str]) -> None:
    assert [text[a:b] for a, b in spans_of(text)] == expected


def test_every_letter_lies_in_one_span() -> None:
    text = "Mixed 東京タワー、กาแฟเย็น 👨‍👩‍👧 “quoted” שלום"
    spans = spans_of(text)
    assert "".join(text[a:b] for a, b in spans) == "".join(text.split())
    assert all(a[1] <= b[0] for a, b in pairwise(spans))


def test_no_break_spaces_do_not_split() -> None:
    assert split_words("Bonjour\u202f! 10\u00a0000 ok") == ["Bonjour\u202f!", "10\u00a0000", "ok"]


@pytest.mark.parametrize(
    ("text", "columns"),
    [("abc", 3), ("東京", 4), ("e\u0301", 1), ("한국", 4), ("a\u200db", 2), ("", 0)],
)
def test_width_counts_columns(text: str, columns: int) -> None:
    assert width(text) == columns


def test_letters_are_what_a_reader_counts() -> None:
    assert letters_of("e\u0301👨‍👩‍👧x") == ["e\u0301", "👨‍👩‍👧", "x"]


@pytest.mark.parametrize(
    ("language", "sample", "expected"),
    [
        ("ja", "", ""), ("zh-TW", "", ""), ("th", "", ""), ("ko", "", " "), ("en", "東京", " "),
        (None, "今日は", ""), (None, "hello", " "), ("xx", "今日は", ""), (None, "", " "),
    ],
)  # fmt: skip
def test_words_are_joined_as_the_language_does(
    language: str | None, sample: str, expected: str
) -> None:
    assert joiner(language, sample) == expected


def test_two_latin_words_keep_their_space_in_japanese() -> None:
    assert join("GPT", "model", "") == "GPT model"
    assert join("AI", "を", "") == "AIを"
    assert join("", "x", " ") == "x"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("English", "en"), ("en-US", "en"), ("pt_BR", "pt"), ("cmn-Hans-CN", "zh"), ("fr-CA", "fr-CA"),
        ("FR", "fr"), ("iw", "he"), ("nb-NO", "no"), ("yue", "yue"), ("auto", None), ("", None), (None, None),
    ],
)  # fmt: skip
def test_languages_are_known_by_all_their_names(value: str | None, code: str | None) -> None:
    assert language_code(value) == code


def test_scripts_and_bases() -> None:
    assert base_of("fr-CA") == "fr"
    assert base_of("?") == ""
    assert scripts_of("japanese") == ("Han", "Hiragana", "Katakana")
    assert scripts_of("de") == ("Latin",)
    assert scripts_of(None) == ()

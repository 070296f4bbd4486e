"""Spacing by language, NFC, and nothing else: no letter changes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.normalise import clean, normalised, normalised_text
from transcription.words import Segment, Transcript, Word

N, B = "\u202f", "\u00a0"


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "Hello , world  . Yes !", "Hello, world. Yes!"),
        ("en", "wait ... what … :) .NET a . b", "wait ... what … :) .NET a. b"),
        ("en", "( yes ) [ no ]", "(yes) [no]"),
        ("de", "50 % sind 3 . 5", "50 % sind 3. 5"),
        ("es", "¿ Qué tal ? ¡ Hola !", "¿Qué tal? ¡Hola!"),
        ("fr", "Bonjour ! Ça va? Oui ; non", f"Bonjour{N}! Ça va{N}? Oui{N}; non"),
        ("fr", "Il dit: «non» et « oui »", f"Il dit{B}: «{B}non{B}» et «{B}oui{B}»"),
        ("fr", "à 10:30 sur http://x.y?z=1", "à 10:30 sur http://x.y?z=1"),
        ("fr", "10 000 € et 5 %", f"10{N}000{B}€ et 5{B}%"),
        ("fr", "en 2024 12 personnes", "en 2024 12 personnes"),
        ("fr-CA", "Bonjour ! « oui » : 10 000 $", f"Bonjour! «{B}oui{B}»{B}: 10{B}000{B}$"),
        ("ja", "今日 は 良い 天気 です 。", "今日は良い天気です。"),
        ("ja", "AI を 使う GPT 4", "AI を使う GPT 4"),
        ("zh", "我 爱 Python 编程 ，真的", "我爱 Python 编程，真的"),
        ("ko", "안녕 하세요 .", "안녕 하세요."),
        ("th", "กาแฟ  เย็น", "กาแฟ เย็น"),
        ("ar", "مرحبا ، كيف ؟", "مرحبا، كيف؟"),
        ("hi", "नमस्ते ।", "नमस्ते।"),
        ("he", "שלום , עולם", "שלום, עולם"),
        (None, "Bonjour !  Hello , x", "Bonjour ! Hello , x"),
        ("klingon", "a ,  b", "a , b"),
    ],
)
def test_spacing_is_the_languages(language: str | None, text: str, expected: str) -> None:
    assert normalised_text(text, language) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("e\u0301", "é"),
        ("\u212b", "\u00c5"),  # the Ångström sign is the letter
        ("ﬁ ２ ㎏", "ﬁ ２ ㎏"),  # NFC, not NFKC: they look as they were written
        ("a\x00b\ud800c", "abc"),
        ("\ufeffa\u00adb", "ab"),
        ("a\u202eb\u2066c", "abc"),
        ("می\u200cخواهم 👨\u200d👩", "می\u200cخواهم 👨\u200d👩"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
    ],
)
def test_only_what_cannot_be_stored_or_seen_goes(text: str, expected: str) -> None:
    assert clean(text) == expected


def test_paragraphs_stay_and_long_gaps_shrink() -> None:
    assert normalised_text(" a \n\n\n\n b \n c ", "en") == "a\n\nb\nc"


def test_nothing_is_transliterated() -> None:
    text = "Škoda Đorđe Привет мир İstanbul ıspanak Straße Ελλάδα ﷺ"
    assert normalised_text(text, "sr") == text


LANGUAGES = st.sampled_from(["en", "fr", "fr-CA", "ja", "zh", "th", "es", "ar", "hi", "de", None])
TEXTS = st.text(
    st.sampled_from("ab éß« »!?:;,. …\n\t\u00a0\u202f123%€東京、。กเ ؟،।¿¡()’“\u0301\x00"),
    max_size=60,
)


@given(TEXTS, LANGUAGES)
def test_twice_is_the_same_as_once(text: str, language: str | None) -> None:
    once = normalised_text(text, language)
    assert normalised_text(once, language) == once


@given(st.text(max_size=80), LANGUAGES)
def test_letters_are_never_changed(text: str, language: str | None) -> None:
    def letters(value: str) -> str:
        return "".join(char for char in unicodedata.normalize("NFC", value) if char.isalnum())

    assert letters(normalised_text(text, language)) == letters(clean(text))


def test_text_segments_and_words_are_treated_alike() -> None:
    found = normalised(
        Transcript(
            text=" e\u0301t\u00e9 !  ",
            language="French",
            duration=2.0,
            segments=(Segment(0, 1, " A\nB ", " e\u0301te\u0301 ! "), Segment(1, 2, " ", " \x00 ")),
            words=(Word(0, 0.5, " e\u0301te\u0301"), Word(0.5, 0.6, "\x00"), Word(0.5, 1, " !")),
        )
    )
    assert found.text == f"été{N}!"
    assert found.language == "fr"
    assert [(s.speaker, s.text) for s in found.segments] == [("A B", f"été{N}!")]
    assert [w.word for w in found.words] == ["été", "!"]


def test_times_are_tidied_on_the_way() -> None:
    found = normalised(Transcript(text="b a", words=(Word(2, 1, "a"), Word(0, -1, "b"))))
    assert [(w.word, w.start, w.end) for w in found.words] == [("b", 0, 0), ("a", 2, 2)]

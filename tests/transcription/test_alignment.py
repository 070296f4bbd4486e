"""Words and segments found in a text that does not agree with them to the letter."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcription.alignment import Place, locate, located_share, same_length_fold


def found(text: str, pieces: list[str]) -> list[str | None]:
    return [None if p is None else text[p.start : p.end] for p in locate(text, pieces)]


def test_words_without_case_and_punctuation_are_found_in_the_text() -> None:
    text = "Hello, Jon — it's me. “Really?”"
    assert found(text, ["hello", "jon", "it's", "me", "really"]) == [
        "Hello",
        "Jon",
        "it's",
        "me",
        "Really",
    ]


def test_their_own_punctuation_counts_where_the_text_has_the_same() -> None:
    text = "¡Hola! C++ rocks."
    assert found(text, ["¡Hola!", "C++", "rocks."]) == ["¡Hola!", "C++", "rocks."]


def test_punctuation_the_text_lacks_is_left_aside() -> None:
    assert locate("Hola amigo", ["¡Hola!", "amigo."]) == [Place(0, 4, 1), Place(5, 10, 0)]


def test_a_repeated_word_is_found_each_time_further_on() -> None:
    assert [p and p.start for p in locate("no no, no", ["no", "no", "no"])] == [0, 3, 7]


def test_a_word_that_is_not_there_disturbs_no_other() -> None:
    assert found("one two four five", ["one", "two", "three", "four", "five"]) == [
        "one", "two", None, "four", "five",
    ]  # fmt: skip


def test_text_that_is_in_no_word_is_passed_over() -> None:
    text = "one " + "left out here " * 10 + "two three four five"
    assert found(text, ["one", "two", "three", "four", "five"])[1:] == [
        "two",
        "three",
        "four",
        "five",
    ]


def test_a_stray_word_does_not_jump_ahead() -> None:
    text = "alpha beta gamma delta the end of it"
    assert found(text, ["alpha", "the", "beta", "gamma", "delta"]) == [
        "alpha", None, "beta", "gamma", "delta",
    ]  # fmt: skip


def test_scripts_without_spaces_and_with_marks() -> None:
    assert found("今日は良い天気です。", ["今日", "は", "良い", "天気", "です"]) == [
        "今日",
        "は",
        "良い",
        "天気",
        "です",
    ]
    assert found("हिन्दी में, बात", ["हिन्दी", "में", "बात"]) == ["हिन्दी", "में", "बात"]


def test_punctuation_that_is_a_word_of_its_own() -> None:
    assert found("Bonjour\u202f! Oui", ["Bonjour", "!", "Oui"]) == ["Bonjour", "!", "Oui"]


def test_empty_pieces_and_empty_texts_are_nowhere() -> None:
    assert locate("abc", ["", "  ", "abc"]) == [None, None, Place(0, 3)]
    assert locate("", ["a"]) == [None]
    assert locate("abc", []) == []
    assert located_share([]) == 1.0
    assert located_share([None, Place(0, 1)]) == 0.5


def test_folding_never_moves_an_offset() -> None:
    text = "İstanbul STRAẞE ŉ ﬁ ΐ"
    assert len(same_length_fold(text)) == len(text)
    assert found("İstanbul ist GROSS", ["İstanbul", "IST", "gross"]) == ["İstanbul", "ist", "GROSS"]


@given(st.lists(st.text(st.sampled_from("abé東ß'.-"), min_size=1, max_size=5), max_size=20))
def test_pieces_of_a_text_are_all_found_in_order(pieces: list[str]) -> None:
    pieces = [piece for piece in pieces if any(map(str.isalnum, piece))]
    text = " ".join(pieces)
    places = locate(text, pieces)
    assert all(places)
    spans = [(p.start, p.end) for p in places if p]
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert [text[a:b] for a, b in spans] == pieces


@given(st.text(max_size=60), st.lists(st.text(max_size=6), max_size=12))
def test_whatever_comes_places_are_in_order_and_inside(text: str, pieces: list[str]) -> None:
    places = locate(text, pieces)
    assert len(places) == len(pieces)
    at = 0
    for place, piece in zip(places, pieces, strict=True):
        if place is not None:
            assert at <= place.start <= place.end <= len(text)
            assert 0 <= place.skip <= len(piece)
            assert place.skip + place.end - place.start <= len(piece)
            at = place.end

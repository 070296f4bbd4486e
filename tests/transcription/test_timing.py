"""A time for every word of a text, from words, from segments, or from nothing."""

from __future__ import annotations

import time
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transcription.timing import text_tokens, tokens_of
from transcription.words import Segment, Transcript, Word


def test_words_give_their_times_to_the_text_with_its_punctuation() -> None:
    source = Transcript(
        "Hello, Jon!",
        "en",
        5,
        (Segment(0, 5, "A", "Hello, Jon!"),),
        (Word(1, 2, "hello"), Word(3, 4, "jon")),
    )
    found = tokens_of(source)
    assert [(t.start, t.end, t.text, t.speaker, t.exact) for t in found] == [
        (1, 2, "Hello,", "A", True),
        (3, 4, "Jon!", "A", True),
    ]


def test_what_has_no_word_lies_between_its_neighbours() -> None:
    source = Transcript(
        "a bb cc done",
        "en",
        9,
        (Segment(0, 9, None, "a bb cc done"),),
        (Word(1, 2, "a"), Word(6, 7, "done")),
    )
    found = tokens_of(source)
    assert [(t.start, t.end) for t in found] == [(1, 2), (2, 4), (4, 6), (6, 7)]
    assert [t.exact for t in found] == [True, False, False, True]


def test_a_segment_shares_its_time_by_width() -> None:
    found = tokens_of(Transcript("ab 東", "en", None, (Segment(2, 6, None, "ab 東"),)))
    assert [(t.start, t.end, t.spaced) for t in found] == [(2, 4, True), (4, 6, True)]


def test_one_word_over_several_letters_of_a_bare_script_is_shared() -> None:
    found = tokens_of(Transcript("東京へ", "ja", 3, (), (Word(0, 2, "東京"), Word(2, 3, "へ"))))
    assert [(t.start, t.end, t.text) for t in found] == [(0, 1, "東"), (1, 2, "京"), (2, 3, "へ")]


def test_a_text_alone_is_spread_over_the_recording() -> None:
    assert tokens_of(Transcript("aa bb", "en", 4))[1].start == 2
    assert tokens_of(Transcript("a" * 30))[0].end == 2
    assert tokens_of(Transcript()) == []


def test_offsets_are_those_of_the_text() -> None:
    text = "one, two — three"
    assert [text[t.at : t.at + len(t.text)] for t in text_tokens(text, (), 0, 1)] == text.split()


def test_many_segments_take_no_longer_than_their_words() -> None:
    """Once the words' places were listed anew for every segment."""
    texts = [f"a{n} b{n}" for n in range(5_000)]
    segments = tuple(Segment(n, n + 1, None, text) for n, text in enumerate(texts))
    words = tuple(Word(n / 2, n / 2 + 0.5, word) for n, word in enumerate(" ".join(texts).split()))
    began = time.thread_time()
    assert len(tokens_of(Transcript(" ".join(texts), "en", None, segments, words))) == 10_000
    assert time.thread_time() - began < 2


@given(
    st.lists(
        st.tuples(st.floats(0, 9), st.floats(0, 9), st.sampled_from(["a b", "c", "", "東京 d."])),
        max_size=6,
    ),
    st.lists(
        st.tuples(st.floats(0, 9), st.floats(0, 9), st.sampled_from(["a", "b", "c", "東京", "x"])),
        max_size=8,
    ),
)
def test_times_are_in_order_whatever_the_provider_gave(
    segments: list[tuple[float, float, str]], words: list[tuple[float, float, str]]
) -> None:
    source = Transcript(
        "", None, None,
        tuple(Segment(a, b, None, text) for a, b, text in segments),
        tuple(Word(a, b, text) for a, b, text in words),
    )  # fmt: skip
    found = tokens_of(source)
    assert all(token.start <= token.end for token in found)
    assert all(a.start <= b.start for a, b in pairwise(found))
    assert "".join(t.text for t in found) == "".join("".join(text.split()) for *_, text in segments)

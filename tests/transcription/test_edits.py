"""Edits carried into segments and words: nothing is lost, every time stays true."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.alignment import locate
from transcription.edits import Edit, edited_segments, edited_words, retimed, spliced, without_gap
from transcription.words import Segment, Word


def words(text: str, step: float = 1.0) -> tuple[Word, ...]:
    return tuple(Word(n * step, n * step + step, w, 0.5) for n, w in enumerate(text.split()))


def edited(text: str, edits: list[Edit]) -> list[tuple[float, float, str]]:
    """The words of the text, a second each, after the edits."""
    said = words(text)
    found = edited_words(said, locate(text, [word.word for word in said]), edits)
    return [(word.start, word.end, word.word) for word in found]


def test_one_word_for_one_keeps_its_time() -> None:
    assert edited("a jon b", [Edit(2, 5, "John")]) == [(0, 1, "a"), (1, 2, "John"), (2, 3, "b")]


def test_several_words_made_one_take_the_time_of_all() -> None:
    assert edited("in new york city now", [Edit(3, 16, "NYC")]) == [
        (0, 1, "in"),
        (1, 4, "NYC"),
        (4, 5, "now"),
    ]


def test_one_word_made_several_is_shared_by_length() -> None:
    assert edited("say nyc now", [Edit(4, 7, "New York")]) == [
        (0, 1, "say"),
        (1, pytest.approx(1 + 3 / 7), "New"),
        (pytest.approx(1 + 3 / 7), 2, "York"),
        (2, 3, "now"),
    ]


def test_as_many_words_as_before_keep_their_times_one_by_one() -> None:
    assert edited("new yorc now", [Edit(0, 8, "New York")]) == [
        (0, 1, "New"),
        (1, 2, "York"),
        (2, 3, "now"),
    ]


def test_what_an_edit_leaves_of_a_word_stays() -> None:
    assert edited("(jon's) new-yorc.", [Edit(1, 4, "John"), Edit(8, 16, "New-York")]) == [
        (0, 1, "(John's)"), (1, 2, "New-York."),
    ]  # fmt: skip


def test_two_edits_in_one_word() -> None:
    assert edited("ab-cd-ef x", [Edit(0, 2, "AB"), Edit(6, 8, "E F")]) == [
        (0, pytest.approx(7 / 8), "AB-cd-E"), (pytest.approx(7 / 8), 1, "F"), (1, 2, "x"),
    ]  # fmt: skip


def test_two_edits_that_share_a_word() -> None:
    assert edited("new york-berlin line", [Edit(0, 8, "NYC"), Edit(9, 20, "BL")]) == [
        (0, 3, "NYC-BL")
    ]


def test_a_word_taken_out_leaves_the_times_of_the_others() -> None:
    assert edited("so um yes", [Edit(2, 5, "")]) == [(0, 1, "so"), (2, 3, "yes")]


def test_words_without_the_texts_punctuation_are_edited_alike() -> None:
    text = "Hello, Jon! C++ it is."
    said = words("hello jon c it is")
    places = locate(text, [word.word for word in said])
    found = edited_words(said, places, [Edit(7, 10, "John"), Edit(12, 15, "C plus plus")])
    assert [word.word for word in found] == ["hello", "John", "C", "plus", "plus", "it", "is"]


def test_a_word_that_is_not_in_the_text_keeps_its_place_and_spelling() -> None:
    said = words("a zzz b c")
    found = edited_words(said, locate("a b c", ["a", "zzz", "b", "c"]), [Edit(0, 3, "X Y")])
    assert [word.word for word in found] == ["X", "Y", "zzz", "c"]
    assert found[-1] == said[-1]


def test_shared_time_ends_where_an_overlapping_word_begins() -> None:
    said = [Word(0.0, 3.0, "ab")]
    found = retimed(["a", "b"], said, following=1.0)
    assert [(word.start, word.end) for word in found] == [(0.0, 0.5), (0.5, 3.0)]


def test_merged_words_have_their_mean_confidence() -> None:
    found = retimed(["x"], [Word(0, 1, "a", 0.4), Word(1, 2, "b", None), Word(2, 3, "c", 0.8)])
    assert [(word.start, word.end, word.word) for word in found] == [(0, 3, "x")]
    assert found[0].confidence == pytest.approx(0.6)


SEGMENTS = (
    Segment(0, 2, "A", "we went to new"),
    Segment(2, 3, "A", "york"),
    Segment(3, 4, "A", "city today"),
)


def test_an_edit_over_segments_goes_into_the_first_and_its_time_with_it() -> None:
    text = "we went to new york city today"
    places = locate(text, [segment.text for segment in SEGMENTS])
    found = edited_segments(SEGMENTS, places, [Edit(11, 24, "NYC")])
    assert found == (Segment(0, 3, "A", "we went to NYC"), Segment(3, 4, "A", "today"))


def test_the_full_stop_behind_a_term_over_two_segments_goes_with_it() -> None:
    segments = (
        Segment(0, 1, None, "new"),
        Segment(1, 2, None, "york."),
        Segment(2, 3, None, "京。行く"),
    )
    text = "new york. 京。行く"
    places = locate(text, [segment.text for segment in segments])
    assert edited_segments(segments, places, [Edit(0, 8, "NYC")])[0] == Segment(0, 2, None, "NYC.")
    found = edited_segments(segments, places, [Edit(4, 11, "東")])
    assert [segment.text for segment in found] == ["new", "東。", "行く"]


def test_a_segment_in_which_nothing_is_left_is_dropped() -> None:
    segments = (Segment(0, 1, None, "um"), Segment(1, 2, None, "yes"))
    found = edited_segments(segments, locate("um yes", ["um", "yes"]), [Edit(0, 3, "")])
    assert found == (Segment(1, 2, None, "yes"),)


def test_many_edits_in_one_segment_take_linear_time() -> None:
    text = "ab " * 50_000
    edits = [Edit(n * 3, n * 3 + 2, "xyz") for n in range(50_000)]
    found = edited_segments((Segment(0, 1, None, text),), locate(text, [text]), edits)
    assert found[0].text == ("xyz " * 50_000).strip()


@pytest.mark.parametrize(
    ("text", "span", "expected"),
    [
        ("so um yes", (3, 5), (2, 5)),
        ("um yes", (0, 2), (0, 3)),
        ("yes um", (4, 6), (3, 6)),
        ("yes um, no", (4, 6), (3, 6)),
        ("a-um-b", (2, 4), (2, 4)),
        ("um", (0, 2), (0, 2)),
    ],
)
def test_what_is_taken_out_takes_one_space_along(
    text: str, span: tuple[int, int], expected: tuple[int, int]
) -> None:
    assert without_gap(text, *span) == expected


def test_splicing_is_what_it_says() -> None:
    assert spliced("abcdef", [Edit(0, 1, "X"), Edit(2, 4, ""), Edit(6, 6, "!")]) == "Xbef!"


@given(
    st.lists(st.sampled_from(["ab", "c", "de-f", "東京", "xyz."]), min_size=1, max_size=12),
    st.lists(
        st.tuples(
            st.integers(0, 60), st.integers(1, 9), st.sampled_from(["", "Q", "two words", "a b c"])
        )
    ),
    st.lists(st.floats(0, 3, allow_nan=False), min_size=24, max_size=24),
)
def test_times_stay_in_order_and_inside_whatever_is_edited(
    texts: list[str], wishes: list[tuple[int, int, str]], gaps: list[float]
) -> None:
    text = " ".join(texts)
    said, at = [], 0.0
    for n, one in enumerate(texts):
        start = at + gaps[2 * n]
        at = start + gaps[2 * n + 1]
        said.append(Word(start, at, one))
    edits, done = [], 0
    for start, length, new in sorted(wishes):
        end = min(start + length, len(text))
        if start >= done and start < end:
            edits.append(Edit(start, end, new))
            done = end
    found = edited_words(said, locate(text, texts), edits)
    assert all(word.start <= word.end and word.word for word in found)
    assert all(a.start <= b.start + 1e-9 for a, b in pairwise(found))
    if found:
        assert found[0].start >= said[0].start
        assert max(word.end for word in found) <= said[-1].end + 1e-9
    expected = spliced(text, edits)
    assert "".join("".join(word.word for word in found).split()) == "".join(expected.split())

"""Word errors, differences, and corrections that segments and words follow."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription import comparing
from transcription.comparing import (
    Errors,
    aligned,
    corrected,
    differences,
    term_corrections,
    with_segments,
    word_errors,
)
from transcription.words import Segment, Transcript, Word


def plain_distance(a: Sequence[object], b: Sequence[object]) -> int:
    """The edit distance as the textbook has it."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row = row, [i]
        for j, y in enumerate(b, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (x != y)))
    return row[-1]


# ------------------------------------------------------------------- the alignment

LETTERS = st.lists(st.sampled_from("abc"), max_size=14)


@pytest.mark.parametrize("bits", [2, 40, 10**9])
@given(LETTERS, LETTERS)
def test_the_alignment_is_whole_and_of_least_cost(bits: int, a: list[str], b: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing, "_BITS", bits)  # small: texts are halved again and again
        steps = aligned(a, b)
    assert [i for i, _ in steps if i is not None] == list(range(len(a)))
    assert [j for _, j in steps if j is not None] == list(range(len(b)))
    cost = sum(i is None or j is None or a[i] != b[j] for i, j in steps)
    assert cost == plain_distance(a, b)


def test_two_hours_of_speech_are_compared_in_seconds() -> None:
    dice = random.Random(1)
    said = [str(dice.randrange(3000)) for _ in range(20_000)]
    heard = [
        str(dice.randrange(3000)) if dice.random() < 0.1 else w
        for w in said
        if dice.random() > 0.03
    ]
    began = time.thread_time()
    found = word_errors(" ".join(said), " ".join(heard))
    assert time.thread_time() - began < 5
    assert 0.11 < (found.rate or 0) < 0.14


# ------------------------------------------------------------------- word error rate


@pytest.mark.parametrize(
    ("right", "machine", "expected"),
    [
        ("the cat sat", "the cat sat", (0, 0, 0, 3)),
        ("The cat, sat!", "the CAT sat", (0, 0, 0, 3)),
        ("the cat sat", "the hat sat down", (1, 0, 1, 3)),
        ("the cat sat", "cat", (0, 2, 0, 3)),
        ("Straße", "STRASSE", (0, 0, 0, 1)),
        ("don’t", "don't", (0, 0, 0, 1)),
        ("今日は良い", "今日わ良い", (1, 0, 0, 5)),
        ("हिन्दी बात", "हिन्दी", (0, 1, 0, 2)),
        ("cafe\u0301", "café", (0, 0, 0, 1)),
        ("", "", (0, 0, 0, 0)),
    ],
)
def test_errors_are_counted_by_kind(right: str, machine: str, expected: tuple[int, ...]) -> None:
    assert word_errors(right, machine) == Errors(*expected)


def test_the_rate_is_errors_by_words() -> None:
    assert word_errors("a b c d", "a x c").rate == 0.5
    assert word_errors("a", "x y z").rate == 3
    assert word_errors("", "invented").rate is None
    assert word_errors("", "").rate == 0


# ------------------------------------------------------------------- differences


def runs(before: str, after: str) -> list[tuple[str, str, str]]:
    return [(item.kind, item.before, item.after) for item in differences(before, after)]


def test_differences_word_by_word() -> None:
    assert runs(
        "Hello wrold, this is jon from New York.", "Hello world, this is Jon Smith from NYC."
    ) == [
        ("equal", "Hello", "Hello"),
        ("replaced", "wrold,", "world,"),
        ("equal", "this is", "this is"),
        ("respelt", "jon", "Jon"),
        ("inserted", "", "Smith"),
        ("equal", "from", "from"),
        ("replaced", "New York.", "NYC."),
    ]


def test_differences_of_nothing() -> None:
    assert runs("", "") == []
    assert runs("a b", "") == [("deleted", "a b", "")]
    assert runs("", "a b") == [("inserted", "", "a b")]
    assert runs("same\n\nagain", "same again") == [("equal", "same\n\nagain", "same again")]


SENTENCES = st.lists(st.sampled_from(["ab", "Ab", "ab,", "cd", "東京", "e", "—"]), max_size=14).map(
    " ".join
)


@given(SENTENCES, SENTENCES)
def test_both_texts_are_there_in_whole_and_in_order(before: str, after: str) -> None:
    found = differences(before, after)
    assert "".join("".join(item.before.split()) for item in found) == "".join(before.split())
    assert "".join("".join(item.after.split()) for item in found) == "".join(after.split())
    for item in found:
        assert before[item.at_before :].startswith(item.before)
        assert after[item.at_after :].startswith(item.after)
        if item.kind == "equal":
            assert item.before.split() == item.after.split()


def test_corrected_terms_are_candidates_for_the_lexicon() -> None:
    before = "we use open ai and kubernets, and kubernets again. the end of acme was long ago"
    after = (
        "We use OpenAI and Kubernetes, and Kubernetes again. "
        "The end of ACME was something else that nobody wrote down"
    )
    found = term_corrections(before, after)
    assert found == {("open ai", "OpenAI"): 1, ("kubernets", "Kubernetes"): 2, ("acme", "ACME"): 1}


# ------------------------------------------------------------------- corrections

TEXT = "Hello wrold this is Jon. Bye now."
SOURCE = Transcript(
    TEXT,
    "en",
    4,
    (Segment(0, 2.5, "A", "Hello wrold this is Jon."), Segment(2.5, 4, "B", "Bye now.")),
    tuple(Word(n / 2, n / 2 + 0.4, word) for n, word in enumerate(TEXT.split())),
)


def test_a_corrected_text_carries_its_times() -> None:
    found = corrected(SOURCE, "Oh hello, world, this is John. Bye for now.")
    assert [(s.speaker, s.text) for s in found.segments] == [
        ("A", "Oh hello, world, this is John."),
        ("B", "Bye for now."),
    ]
    times = {word.word: word.start for word in found.words}
    assert [word.word for word in found.words] == found.text.split()
    assert (times["this"], times["is"], times["John."], times["Bye"], times["now."]) == (
        1.0,
        1.5,
        2.0,
        2.5,
        3.0,
    )
    assert 2.5 < times["for"] < 2.9


def test_what_is_taken_out_goes_from_all_levels() -> None:
    found = corrected(SOURCE, "Hello this is Jon.\n\nBye now.")
    assert found.text == "Hello this is Jon.\n\nBye now."
    assert [s.text for s in found.segments] == ["Hello this is Jon.", "Bye now."]
    assert [w.word for w in found.words] == found.text.split()
    assert corrected(SOURCE, "").segments == ()
    assert corrected(SOURCE, "").words == ()


def test_the_same_text_changes_nothing() -> None:
    assert corrected(SOURCE, TEXT) == SOURCE


def test_a_text_typed_where_none_was_has_no_times() -> None:
    assert corrected(Transcript(), "typed").text == "typed"
    assert corrected(Transcript(), "typed").words == ()


def test_corrected_segments_carry_text_and_words() -> None:
    segments = (
        Segment(0, 2.5, "Anna", "Hello world, this is John."),
        Segment(2.5, 4, "Bo", "Bye."),
    )
    found = with_segments(SOURCE, segments)
    assert found.text == "Hello world, this is John. Bye."
    assert [w.word for w in found.words] == found.text.split()
    assert found.segments == segments


@given(SENTENCES.filter(bool), SENTENCES)
def test_corrections_keep_every_word_and_the_order_of_times(before: str, after: str) -> None:
    texts = before.split()
    source = Transcript(
        before, "en", None, (Segment(0, len(texts), None, before),),
        tuple(Word(n, n + 1, text) for n, text in enumerate(texts)),
    )  # fmt: skip
    found = corrected(source, after)
    assert "".join(w.word for w in found.words) == "".join(after.split())
    assert "".join("".join(s.text.split()) for s in found.segments) == "".join(after.split())
    assert all(w.start <= w.end for w in found.words)
    assert [w.start for w in found.words] == sorted(w.start for w in found.words)

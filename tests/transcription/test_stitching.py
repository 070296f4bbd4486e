"""Pieces joined: nothing twice, nothing lost, in order, and what is missing named."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from transcription.stitching import Missing, Piece, stitched
from transcription.words import Segment, Transcript, Word

SPEECH = (
    "So yesterday we went to the harbour and yes yes yes we saw the big ships leaving for the islands, "
    "it was lovely. Then we came back home, and home is home, and slept until the morning came. "
)
STEP = 0.5


def recording(text: str) -> list[Word]:
    return [Word(n * STEP, n * STEP + 0.4, word, 0.9) for n, word in enumerate(text.split())]


def heard(index: int, start: float, end: float, words: list[Word], *, timed: bool = True) -> Piece:
    """What a recogniser makes of a stretch: the words that lie in it whole, counted from its start."""
    inside = [w for w in words if w.start >= start - 1e-9 and w.end <= end + 1e-9]
    moved = tuple(Word(w.start - start, w.end - start, w.word, w.confidence) for w in inside)
    text = " ".join(word.word for word in moved)
    segments = (Segment(moved[0].start, moved[-1].end, None, text),) if moved else ()
    return Piece(
        index,
        start,
        end,
        Transcript(
            text, "en", end - start, segments, moved if timed else (), 0.9 if moved else None
        ),
    )


def replaced(piece: Piece, changes: dict[int, str]) -> Piece:
    """The piece with some of its words heard otherwise."""
    assert piece.transcript is not None
    words = list(piece.transcript.words)
    for at, text in changes.items():
        words[at] = Word(words[at].start, words[at].end, text, 0.3)
    text = " ".join(word.word for word in words if word.word)
    kept = tuple(word for word in words if word.word)
    return Piece(
        piece.index,
        piece.start,
        piece.end,
        Transcript(
            text,
            "en",
            piece.end - piece.start,
            (Segment(kept[0].start, kept[-1].end, None, text),),
            kept,
        ),
    )


WORDS = recording(SPEECH)
LENGTH = WORDS[-1].end


def texts(transcript: Transcript) -> tuple[str, str, str]:
    """The text by its three levels; all must say the same."""
    return (
        transcript.text,
        " ".join(segment.text for segment in transcript.segments),
        " ".join(word.word for word in transcript.words),
    )


# ------------------------------------------------------------------- seams


def test_pieces_cut_at_silences_come_one_after_the_other() -> None:
    found = stitched([heard(0, 0, 5, WORDS), heard(1, 5, 10, WORDS), heard(2, 10, LENGTH, WORDS)])
    assert set(texts(found.transcript)) == {SPEECH.strip()}
    assert [w.start for w in found.transcript.words] == pytest.approx([w.start for w in WORDS])
    assert found.complete


def test_a_word_said_twice_across_a_clean_cut_stays_twice() -> None:
    words = recording("no no")
    found = stitched([heard(0, 0, 0.45, words), heard(1, 0.45, 0.9, words)])
    assert texts(found.transcript) == ("no no",) * 3


def test_an_overlap_is_told_once() -> None:
    pieces = [heard(0, 0, 6, WORDS), heard(1, 4.5, 11, WORDS), heard(2, 9.9, LENGTH, WORDS)]
    found = stitched(pieces, duration=LENGTH)
    assert set(texts(found.transcript)) == {SPEECH.strip()}
    assert found.complete


def test_the_order_of_arrival_does_not_matter() -> None:
    pieces = [heard(n, n * 4, n * 4 + 5, WORDS) for n in range(5)]
    expected = stitched(pieces)
    random.Random(3).shuffle(pieces)
    assert stitched(pieces) == expected


def test_words_cut_in_half_at_the_edges_are_taken_whole_from_the_other_side() -> None:
    left = replaced(heard(0, 0, 6, WORDS), {11: "w"})  # "we", cut off
    right = replaced(heard(1, 4.5, LENGTH, WORDS), {0: "es"})  # "yes", cut off
    assert set(texts(stitched([left, right]).transcript)) == {SPEECH.strip()}


def test_two_providers_that_write_differently_still_meet() -> None:
    left = heard(0, 0, 9, WORDS)
    right = heard(1, 6, LENGTH, WORDS)
    assert right.transcript is not None
    louder = Transcript(
        right.transcript.text.upper().replace(",", ""),
        "en", None, (),
        tuple(Word(w.start + 0.2, w.end + 0.2, w.word.upper().strip(",.")) for w in right.transcript.words),
    )  # fmt: skip
    found = stitched([left, Piece(1, 6, LENGTH, louder)])
    plain = found.transcript.text.casefold().replace(",", "").replace(".", "")
    assert plain == SPEECH.strip().casefold().replace(",", "").replace(".", "")


def test_misheard_words_in_the_overlap_neither_double_nor_vanish() -> None:
    left = heard(0, 0, 9, WORDS)
    right = replaced(heard(1, 6, LENGTH, WORDS), {1: "sore", 3: "pig", 4: "chips"})
    found = stitched([left, right]).transcript
    assert len(found.words) == len(WORDS)
    assert found.text.split()[:12] == SPEECH.split()[:12]
    assert found.text.split()[18:] == SPEECH.split()[18:]


def test_an_overlap_in_which_not_one_word_agrees_is_halved() -> None:
    left = Piece(
        0,
        0,
        4,
        Transcript(
            "a b c d", "en", 4, (), tuple(Word(n, n + 0.9, w) for n, w in enumerate("abcd"))
        ),
    )
    right = Piece(
        1,
        2,
        6,
        Transcript(
            "w x y z", "en", 4, (), tuple(Word(n, n + 0.9, w) for n, w in enumerate("wxyz"))
        ),
    )
    assert stitched([left, right]).transcript.text == "a b c x y z"


def test_where_only_one_side_heard_anything_all_of_it_stays() -> None:
    left = heard(0, 0, 6, WORDS)
    deaf = Piece(1, 4, 8, Transcript("later.", "en", 4, (), (Word(3, 3.5, "later."),)))
    assert (
        stitched([left, deaf]).transcript.text == " ".join(w.word for w in WORDS[:12]) + " later."
    )
    silent = Piece(1, 4, 8, Transcript("", "en", 4))
    assert stitched([left, silent]).transcript.text == " ".join(w.word for w in WORDS[:12])


def test_text_and_segments_without_words_are_joined_by_their_text() -> None:
    pieces = [heard(0, 0, 8, WORDS, timed=False), heard(1, 6, LENGTH, WORDS, timed=False)]
    found = stitched(pieces).transcript
    assert texts(found)[:2] == (SPEECH.strip(), SPEECH.strip())
    bare = [
        Piece(p.index, p.start, p.end, Transcript(p.transcript.text))
        for p in pieces
        if p.transcript
    ]
    assert stitched(bare).transcript.text == SPEECH.strip()


def test_japanese_is_joined_without_spaces() -> None:
    letters = "今日は良い天気ですね明日も晴れるでしょう"
    words = [Word(n * 0.5, n * 0.5 + 0.4, char) for n, char in enumerate(letters)]

    def piece(index: int, start: float, end: float) -> Piece:
        inside = [w for w in words if start <= w.start and w.end <= end]
        text = "".join(w.word for w in inside)
        moved = tuple(Word(w.start - start, w.end - start, w.word) for w in inside)
        return Piece(
            index,
            start,
            end,
            Transcript(text, "ja", None, (Segment(0, end - start, None, text),), moved),
        )

    assert stitched([piece(0, 0, 5), piece(1, 4, 10)]).transcript.text == letters


@given(
    st.lists(
        st.sampled_from("yes no the ship and harbour it was".split()), min_size=6, max_size=60
    ),
    st.lists(st.floats(0.15, 0.85), min_size=1, max_size=3),
    st.sampled_from([0.0, 1.0, 2.0, 3.7]),
    st.randoms(use_true_random=False),
)
def test_cut_pieces_equal_the_whole(
    said: list[str], cuts: list[float], overlap: float, dice: random.Random
) -> None:
    words = recording(" ".join(said))
    length = words[-1].end
    edges = sorted({round(cut * length / STEP) * STEP - 0.05 for cut in cuts})
    bounds = [0.0, *edges, length]
    assume(all(b - a > overlap for a, b in pairwise(bounds)))
    pieces = [
        heard(n, max(0.0, a - overlap), b, words) for n, (a, b) in enumerate(pairwise(bounds))
    ]
    dice.shuffle(pieces)
    found = stitched(pieces, duration=length)
    assert texts(found.transcript) == (" ".join(said),) * 3
    assert [w.start for w in found.transcript.words] == pytest.approx([w.start for w in words])
    assert found.complete


# ------------------------------------------------------------------- what is missing


def test_failed_pieces_and_gaps_are_named() -> None:
    pieces = [
        heard(0, 0, 5, WORDS),
        Piece(1, 5, 9, None, "HTTP 500"),
        heard(2, 10, 12, WORDS),
        Piece(3, 12, 14),
    ]
    found = stitched(pieces, duration=20.0)
    assert found.missing == (
        Missing(1, 5, 9, "HTTP 500"),
        Missing(None, 9, 10, "No piece covers this."),
        Missing(3, 12, 14, "The piece was not transcribed."),
        Missing(None, 14, 20.0, "No piece covers this."),
    )
    assert not found.complete
    assert found.transcript.duration == 20.0
    assert found.missing[0].as_json() == {"index": 1, "start": 5, "end": 9, "error": "HTTP 500"}


def test_a_piece_done_again_counts_and_one_that_failed_again_does_not() -> None:
    good, failed = heard(0, 0, LENGTH, WORDS), Piece(0, 0, LENGTH, None, "no")
    assert stitched([failed, good]).complete
    assert stitched([good, failed]).complete
    assert stitched([good, good]).transcript.text == SPEECH.strip()


def test_nothing_at_all() -> None:
    assert stitched([]).transcript == Transcript()
    assert stitched([], duration=3.0).missing == (Missing(None, 0.0, 3.0, "No piece covers this."),)
    assert stitched([Piece(0, 0, 3, Transcript("", "en", 3))]).transcript.text == ""


def test_times_outside_a_piece_are_brought_into_it() -> None:
    piece = Piece(
        1,
        10,
        12,
        Transcript(
            "a b", "en", None, (Segment(0, 99, None, "a b"),), (Word(-1, 1, "a"), Word(1, 50, "b"))
        ),
    )
    found = stitched([heard(0, 0, 10, WORDS), piece], duration=12).transcript
    assert [(w.start, w.end) for w in found.words[-2:]] == [(10, 11), (11, 12)]
    assert found.segments[-1].end == 12


# ------------------------------------------------------------------- what else is put together


def labelled(index: int, start: float, end: float, labels: list[tuple[float, float, str]]) -> Piece:
    piece = heard(index, start, end, WORDS)
    assert piece.transcript is not None
    segments = []
    for a, b, label in labels:
        inside = [w.word for w in piece.transcript.words if a <= w.start < b]
        segments.append(Segment(a, b, label, " ".join(inside)))
    return Piece(
        index,
        start,
        end,
        Transcript(piece.transcript.text, "en", None, tuple(segments), piece.transcript.words),
    )


def test_speakers_of_two_pieces_are_not_taken_for_one() -> None:
    pieces = [labelled(0, 0, 5, [(0, 5, "0")]), labelled(1, 5, 10, [(0, 2.5, "0"), (2.5, 5, "1")])]
    assert stitched(pieces).transcript.speakers == ("0", "0 (2)", "1")


def test_speakers_are_carried_over_by_the_words_both_pieces_heard() -> None:
    pieces = [
        labelled(0, 0, 8, [(0, 5, "0"), (5, 8, "1")]),
        labelled(1, 5, 12, [(0, 4, "0"), (4, 7, "1")]),
    ]
    found = stitched(pieces).transcript
    assert [s.speaker for s in found.segments][:2] == ["0", "1"]
    assert set(found.speakers) == {"0", "1", "1 (2)"}


def test_language_and_confidence_are_those_of_most_of_the_text() -> None:
    pieces = [
        Piece(0, 0, 10, Transcript("ein langer deutscher Satz", "de", 10, confidence=0.9)),
        Piece(1, 10, 12, Transcript("ok", "en", 2, confidence=0.1)),
    ]
    found = stitched(pieces).transcript
    assert found.language == "de"
    assert found.confidence == pytest.approx((0.9 * 25 + 0.1 * 2) / 27)

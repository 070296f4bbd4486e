"""When a person should look: measured on labelled samples, and on what is odd."""

from __future__ import annotations

import math
import random

import pytest

from tests.transcription.quality_samples import ENGLISH, HONEST, INVENTED, Sample, spoken
from transcription.quality import Thresholds, reasons
from transcription.words import Segment, Transcript, Word

MISSED = {"a fluent story that nobody told", "a phrase four times, apart"}
CALLED_OUT = {"a real goodbye of a real video", "a chant", "a round, three times"}


def codes(sample: Sample) -> set[str]:
    return {reason.code for reason in reasons(sample.transcript, **sample.known)}


@pytest.mark.parametrize("sample", INVENTED, ids=lambda sample: sample.name)
def test_what_was_invented_is_caught_for_the_right_reason(sample: Sample) -> None:
    found = codes(sample)
    assert (not found) == (sample.name in MISSED)
    assert sample.name in MISSED or sample.expected in found


@pytest.mark.parametrize("sample", HONEST, ids=lambda sample: sample.name)
def test_what_was_said_is_left_in_peace(sample: Sample) -> None:
    assert bool(codes(sample)) == (sample.name in CALLED_OUT), codes(sample)


def test_hits_and_false_alarms_are_as_stated() -> None:
    """33 of 35 bad ones caught, 3 of 38 good ones called out wrongly."""
    hits = sum(bool(codes(sample)) for sample in INVENTED)
    alarms = sum(bool(codes(sample)) for sample in HONEST)
    assert (hits, len(INVENTED), alarms, len(HONEST)) == (33, 35, 3, 38)


def test_a_reason_says_what_where_and_how_much() -> None:
    found = reasons(spoken(ENGLISH), silences=[(16.0, 30.0)])
    reason = next(each for each in found if each.code == "speech_in_silence")
    assert reason.start is not None
    assert reason.start >= 15.9
    assert reason.score >= reason.threshold == 0.2
    assert "words lie where the recording is silent" in reason.message
    assert set(reason.as_json()) == {"code", "message", "score", "threshold", "start", "end"}


def test_the_repeated_words_are_named() -> None:
    found = reasons(Transcript("Thank you. " * 20, "en", 60))
    assert found[0].message == "“thank you” is repeated 20 times."
    assert (found[0].score, found[0].threshold) == (20, 5)


def test_thresholds_can_be_moved() -> None:
    source = spoken("No, no, no, no, no, that is not it.")
    assert reasons(source) == []
    assert reasons(source, thresholds=Thresholds(repeats_of_one=5))[0].code == "repetition"


def test_an_empty_transcript_has_no_fault() -> None:
    assert (
        reasons(Transcript("  \n", "en", 10), silences=[(0, 10)], no_speech=[0.99], language="de")
        == []
    )


@pytest.mark.parametrize(
    "known",
    [
        {"silences": [(5, 1), (0, 0), (-3, 2), (1, 1e9)]},
        {"silences": [(math.inf, math.inf), (0, math.inf)]},
        {"no_speech": [None, 2.0, -1.0, 0.5, 0.5, 0.5]},
        {"language": "no such language"},
        {"language": ""},
    ],
)
@pytest.mark.parametrize(
    "transcript",
    [
        Transcript("a", None, 0.0),
        Transcript("…!?", "en", None, (Segment(0, 0, None, "…!?"),)),
        Transcript("\u0301\u200d", "xx", 1.0, (), (Word(0, 0, "\u0301"),)),
        Transcript("👍" * 300, "en", 3.0),
        Transcript("".join(map(chr, range(0x4E00, 0x4E00 + 900))), "zh", 200.0),
        Transcript("a b " * 30, "en", 0.0, tuple(Segment(0, 0, "A", "a b") for _ in range(30))),
    ],
)
def test_odd_input_is_judged_without_a_fall(
    transcript: Transcript, known: dict[str, object]
) -> None:
    for reason in reasons(transcript, **known):  # type: ignore[arg-type]
        assert reason.message
        assert reason.score >= reason.threshold


def test_three_hours_are_judged_in_a_moment() -> None:
    dice = random.Random(2)
    vocabulary = ["".join(dice.choices("abcdefghij", k=dice.randint(2, 8))) for _ in range(3000)]
    said = spoken("\n".join(" ".join(dice.choices(vocabulary, k=12)) for _ in range(2500)))
    silences = [(n * 7.0, n * 7.0 + 0.4) for n in range(1500)]
    assert not {reason.code for reason in reasons(said, silences=silences)} - {"language"}

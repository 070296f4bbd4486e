"""Transcripts as data: our JSON in and out, and providers' odd times made fit."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from media_assets.errors import Invalid
from transcription.words import (
    MAX_SECONDS,
    Segment,
    Transcript,
    Word,
    mean_confidence,
    renamed,
    segments_from_json,
    tidied,
    words_from_json,
)

WHOLE = Transcript(
    text="Hello there. Bye.",
    language="en",
    duration=3.25,
    segments=(
        Segment(0.0, 1.5, "A", "Hello there.", 0.9),
        Segment(1.5, 3.0, None, "Bye.", None),
    ),
    words=(Word(0.0, 0.5, "Hello", 0.9), Word(0.5, 1.5, "there.", None), Word(1.5, 3.0, "Bye.", 1)),
    confidence=0.87654,
)


def test_json_comes_back_as_it_went() -> None:
    again = Transcript.from_json(json.loads(json.dumps(WHOLE.as_json())))
    assert again.segments == WHOLE.segments
    assert again.words == WHOLE.words
    assert (again.text, again.language, again.duration) == ("Hello there. Bye.", "en", 3.25)
    assert again.confidence == pytest.approx(0.8765)


def test_json_has_the_names_of_the_api() -> None:
    found = WHOLE.as_json()
    assert found["segments"][0] == {
        "start": 0.0, "end": 1.5, "speaker": "A", "text": "Hello there.", "confidence": 0.9,
    }  # fmt: skip
    assert found["words"][0] == {"start": 0.0, "end": 0.5, "word": "Hello", "confidence": 0.9}


def test_times_are_written_to_the_millisecond() -> None:
    assert Word(1 / 3, 2 / 3, "x").as_json()["start"] == 0.333


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"original_text": "a", "processed_text": "b"}, "b"),
        ({"original_text": "a", "processed_text": None}, "a"),
        ({"original_text": "a", "processed_text": ""}, ""),
        ({}, ""),
    ],
)
def test_the_apis_transcription_is_read_too(fields: dict[str, Any], text: str) -> None:
    assert Transcript.from_json(fields).text == text


GOOD_SEGMENT = {"start": 0, "end": 1, "speaker": None, "text": "a", "confidence": None}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"start": -0.1}, "segments[0].start"),
        ({"start": "0"}, "segments[0].start"),
        ({"start": True}, "segments[0].start"),
        ({"start": None}, "segments[0].start"),
        ({"end": math.nan}, "segments[0].end"),
        ({"end": math.inf}, "segments[0].end"),
        ({"end": MAX_SECONDS + 1}, "segments[0].end"),
        ({"start": 2}, "segments[0].end"),
        ({"text": None}, "segments[0].text"),
        ({"text": "a\x00b"}, "segments[0].text"),
        ({"text": "\ud800"}, "segments[0].text"),
        ({"speaker": 3}, "segments[0].speaker"),
        ({"confidence": 1.01}, "segments[0].confidence"),
        ({"confidence": "high"}, "segments[0].confidence"),
    ],
)
def test_what_a_person_sends_wrong_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        segments_from_json([GOOD_SEGMENT | change])
    assert caught.value.details["field"] == field


@pytest.mark.parametrize("data", ["text", b"text", 3, {"a": 1}, [3], [["start", 0]]])
def test_what_is_no_list_of_objects_is_refused(data: object) -> None:
    with pytest.raises(Invalid):
        words_from_json(data)
    with pytest.raises(Invalid):
        segments_from_json(data)


@pytest.mark.parametrize("data", [None, [], "x", 3])
def test_what_is_no_object_is_no_transcript(data: object) -> None:
    with pytest.raises(Invalid):
        Transcript.from_json(data)


def test_a_blank_speaker_is_none() -> None:
    assert segments_from_json([GOOD_SEGMENT | {"speaker": "  "}])[0].speaker is None


def test_impossible_times_fall_back_to_the_item_before() -> None:
    found = tidied(
        Transcript(
            words=(
                Word(-0.02, 0.5, "a"),
                Word(0.6, 0.9, "b"),
                Word(math.nan, math.nan, "c"),
                Word(-1.0, -1.0, "d"),
                Word(1.2, 1.0, "e"),
                Word(1.3, math.inf, "f"),
            )
        )
    ).words
    assert [word.word for word in found] == list("abcdef")
    assert [(word.start, word.end) for word in found] == [
        (0.0, 0.5), (0.6, 0.9), (0.9, 0.9), (0.9, 0.9), (1.2, 1.2), (1.3, 1.3),
    ]  # fmt: skip


def test_items_out_of_order_are_sorted_and_equal_ones_keep_their_order() -> None:
    segments = (
        Segment(2, 3, "B", "second"),
        Segment(0, 1, "A", "first"),
        Segment(2, 3, "C", "third"),
    )
    found = tidied(Transcript(segments=segments)).segments
    assert [segment.text for segment in found] == ["first", "second", "third"]


def test_nothing_lies_behind_the_end_of_the_recording() -> None:
    found = tidied(Transcript(duration=5.0, words=(Word(4.5, 7.0, "a"), Word(9.0, 10.0, "b"))))
    assert [(word.start, word.end) for word in found.words] == [(4.5, 5.0), (5.0, 5.0)]


def test_a_lying_duration_is_forgotten() -> None:
    assert tidied(Transcript(duration=-3.0)).duration is None
    assert tidied(Transcript(duration=math.nan, words=(Word(1, 2, "a"),))).words[0].end == 2


def test_confidence_outside_its_range_is_brought_in() -> None:
    found = tidied(
        Transcript(confidence=1.2, words=(Word(0, 1, "a", -0.1), Word(1, 2, "b", math.nan)))
    )
    assert (found.confidence, found.words[0].confidence, found.words[1].confidence) == (
        1.0,
        0.0,
        None,
    )


def test_what_is_tidy_is_left_as_it_is() -> None:
    assert tidied(WHOLE) == WHOLE


def test_speakers_are_listed_as_they_are_first_heard_and_renamed() -> None:
    transcript = Transcript(
        segments=tuple(Segment(n, n + 1, name, "x") for n, name in enumerate(["2", "1", None, "2"]))
    )
    assert transcript.speakers == ("2", "1")
    assert renamed(transcript, {"1": "Anna", "2": "Anna", "9": "Nobody"}).speakers == ("Anna",)
    assert renamed(transcript, {"1": ""}).speakers == ("2", "1")


def test_mean_confidence_is_of_what_is_known() -> None:
    assert mean_confidence([Word(0, 1, "a", 0.5), Word(0, 1, "b"), Word(0, 1, "c", 1.0)]) == 0.75
    assert mean_confidence([Word(0, 1, "a")]) is None


def test_the_end_is_the_last_moment_known() -> None:
    assert WHOLE.end == 3.25
    assert Transcript(words=(Word(0, 9, "a"),)).end == 9
    assert Transcript().end == 0

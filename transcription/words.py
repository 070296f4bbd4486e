"""What was said, as data: words with times, segments with speakers, the whole transcript.

No provider and no row is known here. Times are seconds from the start of the recording, confidence is
0..1 or None where nobody gave one. JSON has the names and shapes of the API's Transcription.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, TypeVar

from media_assets.errors import Invalid

MAX_SECONDS: Final = 360_000.0  # 100 hours: past every recording, short enough to print
MAX_ITEMS: Final = 1_000_000  # words or segments of one transcript


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it was said, with its own punctuation where the provider gave any."""

    start: float
    end: float
    word: str
    confidence: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "word": self.word,
            "confidence": _rounded(self.confidence, 4),
        }


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of speech by one speaker: about a sentence."""

    start: float
    end: float
    speaker: str | None
    text: str
    confidence: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "start": round(self.start, 3),
            "end": round(self.end, 3),
            "speaker": self.speaker,
            "text": self.text,
            "confidence": _rounded(self.confidence, 4),
        }


@dataclass(frozen=True, slots=True)
class Transcript:
    """One recording's text with all that is known about it. Words and segments may be missing."""

    text: str = ""
    language: str | None = None
    duration: float | None = None
    segments: tuple[Segment, ...] = ()
    words: tuple[Word, ...] = ()
    confidence: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "language": self.language,
            "confidence": _rounded(self.confidence, 4),
            "duration": _rounded(self.duration, 3),
            "text": self.text,
            "segments": [segment.as_json() for segment in self.segments],
            "words": [word.as_json() for word in self.words],
        }

    @classmethod
    def from_json(cls, data: object) -> Transcript:
        """Read our own JSON, or the API's Transcription (processed text before the original).

        Raises `Invalid` naming the field: what a person sends is refused, not repaired.
        """
        fields = _mapping(data, "transcript")
        text = _first(fields, "text", "processed_text", "original_text")
        return cls(
            text=_text(text, "text"),
            language=_name(fields.get("language"), "language"),
            duration=_seconds(fields["duration"], "duration")
            if fields.get("duration") is not None
            else None,
            segments=segments_from_json(fields.get("segments") or []),
            words=words_from_json(fields.get("words") or []),
            confidence=_confidence(fields.get("confidence"), "confidence"),
        )

    @property
    def speakers(self) -> tuple[str, ...]:
        """Who speaks, in the order in which they are first heard."""
        return tuple(dict.fromkeys(s.speaker for s in self.segments if s.speaker))

    @property
    def end(self) -> float:
        """The last moment anything is known about."""
        segment = self.segments[-1].end if self.segments else 0.0
        return max(self.duration or 0.0, segment, self.words[-1].end if self.words else 0.0)


def words_from_json(data: object) -> tuple[Word, ...]:
    """The words of a JSON list; `Invalid` names the item that is wrong."""
    found = []
    for at, item in enumerate(_items(data, "words")):
        where = f"words[{at}]"
        fields = _mapping(item, where)
        start, end = _span(fields, where)
        found.append(
            Word(
                start,
                end,
                _text(fields.get("word"), f"{where}.word"),
                _confidence(fields.get("confidence"), f"{where}.confidence"),
            )
        )
    return tuple(found)


def segments_from_json(data: object) -> tuple[Segment, ...]:
    """The segments of a JSON list; `Invalid` names the item that is wrong."""
    found = []
    for at, item in enumerate(_items(data, "segments")):
        where = f"segments[{at}]"
        fields = _mapping(item, where)
        start, end = _span(fields, where)
        found.append(
            Segment(
                start,
                end,
                _name(fields.get("speaker"), f"{where}.speaker"),
                _text(fields.get("text"), f"{where}.text"),
                _confidence(fields.get("confidence"), f"{where}.confidence"),
            )
        )
    return tuple(found)


def renamed(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """The same transcript with speakers renamed; two labels may become one person."""

    def name_of(segment: Segment) -> Segment:
        name = names.get(segment.speaker or "")
        return replace(segment, speaker=name) if name else segment

    return replace(transcript, segments=tuple(map(name_of, transcript.segments)))


def tidied(transcript: Transcript) -> Transcript:
    """Times made fit to be stored: finite, not negative, in order. For what providers answer.

    A time that cannot be (not a number, negative, infinite) becomes the end of the item before it,
    so that a word without a time does not jump to the front. An end before its start becomes the start.
    """
    duration = transcript.duration
    if duration is not None and not (math.isfinite(duration) and duration >= 0):
        duration = None
    limit = min(MAX_SECONDS, duration) if duration else MAX_SECONDS
    return replace(
        transcript,
        duration=duration,
        segments=_in_order(transcript.segments, limit),
        words=_in_order(transcript.words, limit),
        confidence=_clamped(transcript.confidence),
    )


def mean_confidence(items: Iterable[Word | Segment]) -> float | None:
    """The mean of what is known; None where nothing is."""
    known = [item.confidence for item in items if item.confidence is not None]
    return sum(known) / len(known) if known else None


Timed = TypeVar("Timed", Word, Segment)


def _in_order(items: Sequence[Timed], limit: float) -> tuple[Timed, ...]:
    found: list[Timed] = []
    before = 0.0
    for item in items:
        start = item.start if math.isfinite(item.start) and item.start >= 0 else before
        start = min(start, limit)
        end = max(start, min(item.end, limit) if math.isfinite(item.end) else start)
        confidence = _clamped(item.confidence)
        same = (start, end, confidence) == (item.start, item.end, item.confidence)
        found.append(item if same else replace(item, start=start, end=end, confidence=confidence))
        before = end
    if any(a.start > b.start for a, b in pairwise(found)):
        found.sort(key=lambda item: item.start)
    return tuple(found)


def _clamped(confidence: float | None) -> float | None:
    if confidence is None or not math.isfinite(confidence):
        return None
    return min(1.0, max(0.0, confidence))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _first(fields: Mapping[str, Any], *names: str) -> object:
    return next((fields[name] for name in names if fields.get(name) is not None), "")


def _mapping(value: object, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Invalid(f"{where} must be an object.", field=where)
    return value


def _items(value: object, where: str) -> Sequence[object]:
    if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
        raise Invalid(f"{where} must be a list.", field=where)
    if len(value) > MAX_ITEMS:
        raise Invalid(f"{where} may have at most {MAX_ITEMS} items.", field=where)
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{where} must be text.", field=where)
    # PostgreSQL stores neither NUL nor half of a surrogate pair, in text or in JSON.
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in _beyond_ascii(value)):
        raise Invalid(f"{where} holds characters that cannot be stored.", field=where)
    return value


def _beyond_ascii(value: str) -> str:
    return "" if value.isascii() else value


def _name(value: object, where: str) -> str | None:
    return None if value is None else (_text(value, where).strip() or None)


def _seconds(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise Invalid(f"{where} must be a number of seconds.", field=where)
    if not 0 <= value <= MAX_SECONDS:  # false for NaN too
        raise Invalid(f"{where} must lie between 0 and {MAX_SECONDS:.0f} seconds.", field=where)
    return float(value)


def _span(fields: Mapping[str, Any], where: str) -> tuple[float, float]:
    start = _seconds(fields.get("start"), f"{where}.start")
    end = _seconds(fields.get("end"), f"{where}.end")
    if end < start:
        raise Invalid(f"{where}.end lies before its start.", field=f"{where}.end")
    return start, end


def _confidence(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise Invalid(f"{where} must lie between 0 and 1, or be null.", field=where)
    return float(value)

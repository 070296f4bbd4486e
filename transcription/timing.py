"""A time for every word of the segments' text, whatever the provider gave: words, segments or text alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from transcription.alignment import Place, locate
from transcription.scripts import joiner, letters_of, spans_of, width
from transcription.words import Segment, Transcript, Word


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text that a line may be broken after: a word, or one letter of a script without spaces.

    `at` is its offset in the text the tokens were made of, `spaced` whether a space stands before it,
    `exact` whether its time comes from a word of its own and not from its place in a segment.
    """

    start: float
    end: float
    text: str
    speaker: str | None = None
    spaced: bool = False
    at: int = 0
    exact: bool = False


def tokens_of(transcript: Transcript, *, limit: int = 0) -> list[Token]:
    """The tokens of all segments in order, their times in order too.

    Segments hold the text with its punctuation; words give it their times where they can be found in it.
    `limit` cuts tokens wider than that many columns.
    """
    segments = transcript.segments or _one_segment(transcript)
    stream = "\n".join(segment.text for segment in segments)
    spoken = _Spoken(stream, transcript.words)
    tokens: list[Token] = []
    at, earliest = 0, 0.0
    apart = bool(joiner(transcript.language, transcript.text))
    for segment in segments:
        found = _segment_tokens(segment, at, spoken, limit, apart=apart)
        at += len(segment.text) + 1
        for token in found:
            start = max(earliest, token.start)
            end = max(start, token.end)
            earliest = start
            tokens.append(
                token
                if start == token.start and end == token.end
                else Token(
                    start, end, token.text, token.speaker, token.spaced, token.at, token.exact
                )
            )
    return tokens


def text_tokens(text: str, words: Sequence[Word], start: float, end: float) -> list[Token]:
    """The tokens of one text, with offsets in it; without words they share the time by their width."""
    spoken = _Spoken(text, words)
    return _segment_tokens(Segment(start, end, None, text), 0, spoken, 0, apart=False)


def _one_segment(transcript: Transcript) -> tuple[Segment, ...]:
    if not transcript.text:
        return ()
    end = max([transcript.duration or 0.0, *(word.end for word in transcript.words[-1:])])
    # Without any time 15 letters a second are as good a guess as any.
    return (Segment(0.0, end or width(transcript.text) / 15, None, transcript.text),)


class _Spoken:
    """The words that lie in a text, by their places."""

    def __init__(self, text: str, words: Sequence[Word]) -> None:
        places = locate(text, [word.word for word in words])
        found = [(place, word) for place, word in zip(places, words, strict=True) if place]
        self._places = [place for place, _ in found]
        self._words = [word for _, word in found]
        self._ends = [place.end for place in self._places]

    def time(self, start: int, end: int) -> tuple[float, float] | None:
        """When text[start:end] was said; None where no word covers any of it."""
        at = bisect_right(self._ends, start)
        begins, until = float("inf"), float("-inf")
        while at < len(self._places) and self._places[at].start < end:
            first, last = _share(self._places[at], self._words[at], start, end)
            begins, until = min(begins, first), max(until, last)
            at += 1
        return (begins, until) if begins <= until else None


def _segment_tokens(
    segment: Segment, offset: int, spoken: _Spoken, limit: int, *, apart: bool
) -> list[Token]:
    """One segment's tokens. Those without a word of their own lie between their neighbours."""
    text = segment.text
    pieces = [piece for span in spans_of(text) for piece in _cut(text, span, limit)]
    known = [spoken.time(offset + start, offset + end) for start, end in pieces]
    widths = [width(text[start:end]) or 1 for start, end in pieces]
    times = _filled(known, widths, segment.start, segment.end)
    return [
        Token(
            times[i][0],
            times[i][1],
            text[start:end],
            segment.speaker,
            text[start - 1].isspace() if start else apart,
            offset + start,
            known[i] is not None,
        )
        for i, (start, end) in enumerate(pieces)
    ]


def _share(place: Place, word: Word, start: int, end: int) -> tuple[float, float]:
    """The part of a word's time that belongs to the part of it between these offsets."""
    length = place.end - place.start
    if (start <= place.start and end >= place.end) or not length:
        return word.start, word.end
    lasts = word.end - word.start
    return (
        word.start + lasts * max(0, start - place.start) / length,
        word.start + lasts * min(length, end - place.start) / length,
    )


def _filled(
    known: Sequence[tuple[float, float] | None], widths: Sequence[int], start: float, end: float
) -> list[tuple[float, float]]:
    """Times for all: each run of unknown ones shares the time between its neighbours by width."""
    times: list[tuple[float, float]] = []
    at = 0
    before = start
    while at < len(known):
        time = known[at]
        if time is not None:
            times.append(time)
            before = time[1]
            at += 1
            continue
        stop = at
        while stop < len(known) and known[stop] is None:
            stop += 1
        after = known[stop] if stop < len(known) else None
        until = max(before, after[0] if after else end)
        total = sum(widths[at:stop])
        done = 0
        for one in widths[at:stop]:
            begins = before + (until - before) * done / total
            done += one
            times.append((begins, before + (until - before) * done / total))
        before, at = until, stop
    return times


def _cut(text: str, span: tuple[int, int], limit: int) -> list[tuple[int, int]]:
    """A span as it is, or in parts no wider than the limit, cut between letters."""
    start, end = span
    if not limit or width(text[start:end]) <= limit:
        return [span]
    parts: list[tuple[int, int]] = []
    total, begin, at = 0, start, start
    for letter in letters_of(text[start:end]):
        if total + width(letter) > limit and at > begin:
            parts.append((begin, at))
            total, begin = 0, at
        total += width(letter)
        at += len(letter)
    parts.append((begin, at))
    return parts

"""Pieces of a recording, transcribed apart and in any order, put together as one transcript.

Where pieces overlap, the same speech is there twice, often not in quite the same words, and cut in half at
the edges. Both sides are aligned word by word and joined at a word they share; what stands before it comes
from the left piece, what follows from the right: nothing twice, nothing lost. Pieces that failed are named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from transcription.alignment import locate
from transcription.scripts import join, joiner, words_of
from transcription.timing import Token, text_tokens
from transcription.words import Segment, Transcript, Word, tidied

_NEAR: Final = 1.0  # seconds by which two providers may disagree on when a word was said
_SLACK: Final = 0.25  # seconds around the overlap in which its words may lie by their times
_NEAR_GUESSED: Final = 4.0  # the same where the times are guessed from the place in the text
_ALIKE: Final = 0.72  # of two words' letters, for them to be the same word heard twice
_SEAM_TOKENS: Final = 200  # words compared on each side; an overlap holds far fewer
_UNCOVERED: Final = 0.05  # seconds between two pieces that are nobody's fault


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of the recording: from `start` to `end` of the whole, its transcript counted from 0.

    Without a transcript it failed, and `error` says why.
    """

    index: int
    start: float
    end: float
    transcript: Transcript | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """A stretch nobody transcribed: a piece that failed, or a gap between pieces (index None)."""

    index: int | None
    start: float
    end: float
    error: str

    def as_json(self) -> dict[str, object]:
        return {"index": self.index, "start": self.start, "end": self.end, "error": self.error}


@dataclass(frozen=True, slots=True)
class Joined:
    """The whole, and what of it is missing."""

    transcript: Transcript
    missing: tuple[Missing, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.missing


def stitched(pieces: Iterable[Piece], *, duration: float | None = None) -> Joined:
    """All pieces as one transcript, in order of their places whatever the order they come in.

    The same index twice: the later one counts, unless it failed and the earlier did not.
    """
    ordered = _ordered(pieces)
    done = [piece for piece in ordered if piece.transcript is not None]
    parts = _numbered_speakers([_Part.of(piece) for piece in done])
    for left, right in pairwise(parts):
        _seam(left, right)
    return Joined(_whole(parts, duration), _missing(ordered, duration))


def _ordered(pieces: Iterable[Piece]) -> list[Piece]:
    latest: dict[int, Piece] = {}
    for piece in pieces:
        known = latest.get(piece.index)
        if known is None or known.transcript is None or piece.transcript is not None:
            latest[piece.index] = piece
    return sorted(latest.values(), key=lambda piece: (piece.start, piece.index))


def _missing(pieces: Sequence[Piece], duration: float | None) -> tuple[Missing, ...]:
    found = []
    covered = 0.0
    for piece in pieces:
        if piece.start - covered > _UNCOVERED:
            found.append(Missing(None, covered, piece.start, "No piece covers this."))
        if piece.transcript is None:
            error = piece.error or "The piece was not transcribed."
            found.append(Missing(piece.index, piece.start, piece.end, error))
        covered = max(covered, piece.end)
    if duration is not None and duration - covered > _UNCOVERED:
        found.append(Missing(None, covered, duration, "No piece covers this."))
    return tuple(found)


Pair = tuple[int, int, float]  # a token of the left, one of the right, how surely they are the same


@dataclass(slots=True)
class _Part:
    """A piece on its way into the whole, its times already those of the whole."""

    index: int
    start: float
    end: float
    transcript: Transcript
    tokens: list[Token]
    first: int = 0  # the tokens that are kept: from here
    last: int = 0  # up to here

    @classmethod
    def of(cls, piece: Piece) -> _Part:
        transcript = _moved(piece)
        words = transcript.words or _as_words(transcript)
        tokens = text_tokens(transcript.text, words, piece.start, piece.end)
        return cls(piece.index, piece.start, piece.end, transcript, tokens, 0, len(tokens))


def _moved(piece: Piece) -> Transcript:
    """The piece's transcript with the times of the whole; none lies outside the piece."""
    transcript = tidied(piece.transcript or Transcript())
    lasts = max(0.0, piece.end - piece.start)

    def place(seconds: float) -> float:
        return piece.start + min(seconds, lasts)

    segments = tuple(
        replace(s, start=place(s.start), end=place(s.end)) for s in transcript.segments
    )
    words = tuple(replace(w, start=place(w.start), end=place(w.end)) for w in transcript.words)
    text = transcript.text
    if not text:
        between = joiner(transcript.language, "".join(segment.text for segment in segments[:20]))
        for segment in segments:
            text = join(text, segment.text, between)
    return replace(transcript, text=text, segments=segments, words=words)


def _as_words(transcript: Transcript) -> tuple[Word, ...]:
    """Segments in the place of words: they give at least a rough time to what they hold."""
    return tuple(Word(s.start, s.end, s.text, s.confidence) for s in transcript.segments)


def _numbered_speakers(parts: list[_Part]) -> list[_Part]:
    """Speakers' labels made distinct: "0" of one piece is not "0" of the next, nobody compared voices.

    Only where pieces overlap and say so by the words they share is a label carried over.
    """
    taken: set[str] = set()
    for at, part in enumerate(parts):
        labels = part.transcript.speakers
        if not labels:
            continue
        known = _same_speakers(parts[at - 1], part) if at else {}
        names: dict[str, str] = {}
        for label in labels:
            name = known.get(label) or label
            if name in taken and label not in known:
                name = f"{label} ({part.index + 1})"
            names[label] = name
        taken.update(names.values())
        part.transcript = replace(
            part.transcript,
            segments=tuple(
                replace(s, speaker=names[s.speaker]) if s.speaker else s
                for s in part.transcript.segments
            ),
        )
    return parts


def _same_speakers(left: _Part, right: _Part) -> dict[str, str]:
    """Which label of the right piece is which of the left: by the words both heard in the overlap."""
    if right.start >= left.end:
        return {}
    votes: dict[tuple[str, str], int] = {}
    for a, b, _ in _shared(left, right):
        ours, theirs = _speaker_at(left, left.tokens[a]), _speaker_at(right, right.tokens[b])
        if ours and theirs:
            votes[theirs, ours] = votes.get((theirs, ours), 0) + 1
    found: dict[str, str] = {}
    for theirs, ours in sorted(votes, key=lambda pair: -votes[pair]):
        if theirs not in found and ours not in found.values() and votes[theirs, ours] >= 2:
            found[theirs] = ours
    return found


def _speaker_at(part: _Part, token: Token) -> str | None:
    middle = (token.start + token.end) / 2
    return next((s.speaker for s in part.transcript.segments if s.start <= middle <= s.end), None)


def _seam(left: _Part, right: _Part) -> None:
    """Decide which tokens of an overlap each side keeps."""
    if right.start >= left.end or not left.tokens or not right.tokens:
        return
    middle = (max(left.start, right.start) + min(left.end, right.end)) / 2
    pairs = [pair for pair in _shared(left, right) if pair[0] >= left.first]
    if pairs:
        # Near the middle, but a likeness of doubtful worth only where nothing better is there.
        reach = max(left.end - right.start, 0.001)
        a, b, _ = min(
            pairs, key=lambda pair: abs(_middle(left.tokens[pair[0]]) - middle) / reach - pair[2]
        )
        # The word itself from the side where it is the farther from its piece's edge: there it is whole.
        from_left = left.end - left.tokens[a].end >= right.tokens[b].start - right.start
        left.last, right.first = (a + 1, b + 1) if from_left else (a, b)
        return
    heard_left = _count_before(left.tokens, right.start) < len(left.tokens)
    heard_right = _count_before(right.tokens, left.end) > 0
    if heard_left and heard_right:  # not one word alike: each keeps its half of the overlap
        left.last = max(left.first, _count_before(left.tokens, middle))
        right.first = _count_before(right.tokens, middle)


def _count_before(tokens: Sequence[Token], moment: float) -> int:
    return sum(_middle(token) < moment for token in tokens)


def _middle(token: Token) -> float:
    return (token.start + token.end) / 2


def _shared(left: _Part, right: _Part) -> list[Pair]:
    """Pairs of tokens, left and right, that are the same word said once: the heaviest such chain."""
    overlap = left.end - right.start
    exact = bool(left.transcript.words and right.transcript.words)
    near = min(_NEAR, overlap) if exact else _NEAR_GUESSED + overlap
    slack = min(_SLACK, near) if exact else near
    lefts = [i for i, t in enumerate(left.tokens) if t.end >= right.start - slack][-_SEAM_TOKENS:]
    rights = [i for i, t in enumerate(right.tokens) if t.start <= left.end + slack][:_SEAM_TOKENS]
    return _chain(left.tokens, right.tokens, lefts, rights, near)


def _chain(
    left: Sequence[Token],
    right: Sequence[Token],
    lefts: Sequence[int],
    rights: Sequence[int],
    near: float,
) -> list[Pair]:
    """The heaviest common chain; equal words weigh more than like ones, neighbours more than strays."""
    keys_left = ["".join(words_of(left[i].text)) for i in lefts]
    keys_right = ["".join(words_of(right[j].text)) for j in rights]
    rows, columns = len(lefts), len(rights)
    best = [[0.0] * (columns + 1) for _ in range(rows + 1)]
    same = [[0.0] * columns for _ in range(rows)]
    for i in range(rows - 1, -1, -1):
        for j in range(columns - 1, -1, -1):
            value = 0.0
            apart = abs(_middle(left[lefts[i]]) - _middle(right[rights[j]]))
            if apart <= near:
                # "yes yes yes" fits in many ways: the one whose times agree is the right one.
                value = _likeness(keys_left[i], keys_right[j]) * (1 - 0.9 * apart / near)
                if value and i + 1 < rows and j + 1 < columns and same[i + 1][j + 1]:
                    value += 0.25
            same[i][j] = value
            taken = best[i + 1][j + 1] + value if value else 0.0
            best[i][j] = max(best[i + 1][j], best[i][j + 1], taken)
    pairs: list[Pair] = []
    i = j = 0
    while i < rows and j < columns:
        if same[i][j] and best[i][j] == best[i + 1][j + 1] + same[i][j]:
            pairs.append((lefts[i], rights[j], same[i][j]))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i + 1][j]:
            i += 1
        else:
            j += 1
    return pairs


def _likeness(a: str, b: str) -> float:
    """1 for the same word, less for one misheard or cut in half, 0 for another word."""
    if not a or not b:
        return 0.0
    if a == b:
        return 1.0
    if min(len(a), len(b)) < 3:
        return 0.0
    if a.startswith(b) or b.startswith(a) or a.endswith(b) or b.endswith(a):
        return 0.6
    ratio = SequenceMatcher(None, a, b, autojunk=False).ratio()
    return ratio * 0.7 if ratio >= _ALIKE else 0.0


def _whole(parts: Sequence[_Part], duration: float | None) -> Transcript:
    kept = [_kept(part) for part in parts]
    language = _commonest(parts)
    between = joiner(language, "".join(part.text for part in kept)[:2000])
    text = ""
    segments: list[Segment] = []
    words: list[Word] = []
    for part in kept:
        text = join(text, part.text, between)
        segments += part.segments
        words += part.words
    known = [
        (p.confidence, max(len(p.text), 1)) for p in kept if p.confidence is not None and p.text
    ]
    weight = sum(length for _, length in known)
    return tidied(
        Transcript(
            text=text,
            language=language,
            duration=duration
            if duration is not None
            else max((part.end for part in parts), default=None),
            segments=tuple(segments),
            words=tuple(words),
            confidence=sum(c * length for c, length in known) / weight if weight else None,
        )
    )


def _commonest(parts: Sequence[_Part]) -> str | None:
    """The language most of the text is in."""
    letters: dict[str, int] = {}
    for part in parts:
        language = part.transcript.language
        if language:
            letters[language] = letters.get(language, 0) + len(part.transcript.text) + 1
    return max(letters, key=lambda language: letters[language]) if letters else None


def _kept(part: _Part) -> Transcript:
    """What the seams leave of a piece: text, segments and words cut at the same place."""
    transcript = part.transcript
    if part.first == 0 and part.last == len(part.tokens):
        return transcript
    if part.first >= part.last:
        return replace(transcript, text="", segments=(), words=())
    first, last = part.tokens[part.first], part.tokens[part.last - 1]
    begin = first.at if part.first else 0
    end = last.at + len(last.text) if part.last < len(part.tokens) else len(transcript.text)
    return replace(
        transcript,
        text=transcript.text[begin:end].strip(),
        segments=_cut_segments(transcript, begin, end, first.start, last.end),
        words=_cut_words(transcript, begin, end, first.start, last.end),
    )


def _cut_words(
    transcript: Transcript, begin: int, end: int, start: float, stop: float
) -> tuple[Word, ...]:
    places = locate(transcript.text, [word.word for word in transcript.words])
    return tuple(
        word
        for word, place in zip(transcript.words, places, strict=True)
        if (begin <= place.start < end if place else start <= (word.start + word.end) / 2 <= stop)
    )


def _cut_segments(
    transcript: Transcript, begin: int, end: int, start: float, stop: float
) -> tuple[Segment, ...]:
    places = locate(transcript.text, [segment.text for segment in transcript.segments])
    found: list[Segment] = []
    for segment, place in zip(transcript.segments, places, strict=True):
        if place is None:
            if start <= (segment.start + segment.end) / 2 <= stop:
                found.append(segment)
            continue
        if place.end <= begin or place.start >= end:
            continue
        head = place.skip + max(0, begin - place.start)
        tail = place.skip + min(place.end, end) - place.start
        text = segment.text[
            head if place.start < begin else 0 : tail if place.end > end else None
        ].strip()
        if text:
            found.append(
                replace(
                    segment,
                    text=text,
                    start=max(segment.start, start) if place.start < begin else segment.start,
                    end=min(segment.end, stop) if place.end > end else segment.end,
                )
            )
    return tuple(found)

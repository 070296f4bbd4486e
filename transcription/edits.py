"""Changes to a transcript's text, carried into its segments and words without losing a time.

An edit replaces a stretch of text. Words it covers become the words of the replacement: as many as before
keep their times one by one, fewer take the time of all, more share it by their length. A word that an edit
touches only in part keeps the rest of itself.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from transcription.alignment import Place
from transcription.scripts import split_words
from transcription.words import Segment, Word, mean_confidence


@dataclass(frozen=True, slots=True)
class Edit:
    """text[start:end] becomes `text`. `source` says which entry asked for it, -1 for a person."""

    start: int
    end: int
    text: str
    source: int = -1


class _Group(NamedTuple):
    """Neighbouring pieces first..last that belong to the same edits."""

    first: int
    last: int
    edits: list[Edit]


def spliced(text: str, edits: Sequence[Edit]) -> str:
    """The text with the edits made. They must be in order and not overlap."""
    parts: list[str] = []
    at = 0
    for edit in edits:
        parts += (text[at : edit.start], edit.text)
        at = edit.end
    parts.append(text[at:])
    return "".join(parts)


def without_gap(text: str, start: int, end: int) -> tuple[int, int]:
    """What is taken out altogether takes one of the spaces around it along."""
    before = start > 0 and text[start - 1].isspace()
    after = end < len(text) and text[end].isspace()
    if before and (after or end == len(text) or not text[end].isalnum()):
        return start - 1, end
    if start == 0 and after:
        return start, end + 1
    return start, end


def edited_segments(
    segments: Sequence[Segment], places: Sequence[Place | None], edits: Sequence[Edit]
) -> tuple[Segment, ...]:
    """The segments with the edits made. An edit over several is written into the first of them.

    A segment in which nothing is left is dropped; the one that took its text over takes its time, too.
    """
    local: dict[int, list[Edit]] = {}
    holder: dict[int, int] = {}  # the segment that holds what replaced the beginning of this one
    for covered, edit in _covered(places, edits):
        for at in covered:
            place = places[at]
            if place is None:
                continue
            start = place.skip + max(0, edit.start - place.start)
            end = place.skip + min(edit.end, place.end) - place.start
            text = edit.text if at == covered[0] else ""
            local.setdefault(at, []).append(Edit(start, end, text, edit.source))
            if at != covered[0]:
                holder[at] = holder.get(covered[0], covered[0])
    result: dict[int, Segment] = dict(enumerate(segments))
    for at in sorted(local):
        text = spliced(segments[at].text, local[at])
        taker = result.get(holder[at]) if at in holder else None
        if taker is not None:
            closing = _CLOSING.match(text)
            moved = closing[0] if closing else ""
            text = text[len(moved) :].strip()
            until = taker.end if text else max(taker.end, segments[at].end)
            result[holder[at]] = _changed(taker, taker.text + moved, until)
        if text.strip():
            result[at] = _changed(segments[at], text.strip(), segments[at].end)
        else:
            del result[at]
    return tuple(result.values())


# The full stop behind a term that was begun in the segment before.
_CLOSING: Final = re.compile(r"[^\w\s]+(?=\s|$)|[\u3001\u3002\uff01\uff0c\uff1f\u300d\u300f]+")


def _changed(old: Segment, text: str, end: float) -> Segment:
    return Segment(old.start, end, old.speaker, text, old.confidence)


def edited_words(
    words: Sequence[Word], places: Sequence[Place | None], edits: Sequence[Edit]
) -> tuple[Word, ...]:
    """The words with the edits made; their times stay in order if they were."""
    result: list[Word] = []
    done = 0
    for group in _groups(places, edits):
        result += words[done : group.first]
        done = group.last + 1
        following = words[done].start if done < len(words) else None
        text = _group_text(words, places, group)
        result += retimed(split_words(text), words[group.first : done], following)
    result += words[done:]
    return tuple(result)


def retimed(
    texts: Sequence[str], words: Sequence[Word], following: float | None = None
) -> list[Word]:
    """These texts in the place of those words. `following` is when the next word starts."""
    if not texts:
        return []
    if len(texts) == len(words):
        return [
            Word(w.start, w.end, text, w.confidence) for w, text in zip(words, texts, strict=True)
        ]
    start = words[0].start
    end = max(start, *(word.end for word in words))
    confidence = mean_confidence(words)
    if len(texts) == 1:
        return [Word(start, end, texts[0], confidence)]
    # Words may overlap the next one (two people at once): shared time ends where the next begins.
    shared = end if following is None or following < start else min(end, following)
    total = sum(map(len, texts))
    found: list[Word] = []
    letters = 0
    for text in texts:
        begins = start + (shared - start) * letters / total
        letters += len(text)
        found.append(Word(begins, start + (shared - start) * letters / total, text, confidence))
    found[-1] = replace(found[-1], end=end)
    return found


def _group_text(words: Sequence[Word], places: Sequence[Place | None], group: _Group) -> str:
    """What the words of a group say after the edits, with a space wherever the text has one."""
    parts: list[str] = []
    pending = iter(group.edits)
    edit = next(pending, None)
    written = False  # the replacement of the present edit
    before: Place | None = None
    for at in range(group.first, group.last + 1):
        place = places[at]
        if place is None:
            parts += (" ", words[at].word, " ")
            continue
        if (
            before is not None
            and place.start > before.end
            and not (edit and edit.start < before.end)
        ):
            parts.append(" ")
        before = place
        word, done = words[at].word, 0
        while edit is not None and (edit.start < place.end or edit.end == place.end):
            start = place.skip + max(0, edit.start - place.start)
            end = place.skip + min(edit.end, place.end) - place.start
            parts.append(word[done:start])
            if not written:
                parts.append(edit.text)
            done, written = max(done, end), True
            if edit.end > place.end:
                break
            edit, written = next(pending, None), False
        parts.append(word[done:])
    return "".join(parts)


def _covered(
    places: Sequence[Place | None], edits: Sequence[Edit]
) -> Iterator[tuple[Sequence[int], Edit]]:
    """Each edit with the pieces it covers, wholly or in part.

    What is written where no piece lies goes to the end of the one before; but punctuation that words
    never had, they do not get.
    """
    known = [at for at, place in enumerate(places) if place is not None]
    starts = [place.start for place in places if place is not None]
    ends = [place.end for place in places if place is not None]
    for edit in edits:
        first = bisect_right(ends, edit.start)
        last = bisect_left(starts, edit.end)
        if first < last:
            yield known[first:last], edit
        elif known and any(map(str.isalnum, edit.text)):
            at = ends[first - 1] if first else starts[0]
            yield [known[max(0, first - 1)]], Edit(at, at, edit.text, edit.source)


def _groups(places: Sequence[Place | None], edits: Sequence[Edit]) -> Iterator[_Group]:
    """Which pieces must be written anew together, because one edit covers or two edits share them."""
    first = last = -1
    together: list[Edit] = []
    for covered, edit in _covered(places, edits):
        if together and covered[0] > last:
            yield _Group(first, last, together)
            together = []
        first = first if together else covered[0]
        last = covered[-1]
        together.append(edit)
    if together:
        yield _Group(first, last, together)

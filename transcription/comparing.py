"""Two transcripts side by side: word errors by edit distance, and the differences word by word.

The alignment is the true least edit distance, found with bit rows as long as the text (Myers, Hyyrö): two
hours of speech take under a second. Words are compared without case and punctuation; scripts without spaces
letter by letter, so that there the word error rate is the character error rate.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final

from transcription.alignment import locate
from transcription.edits import Edit, edited_segments, edited_words, without_gap
from transcription.scripts import join, joiner, spans_of, words_of
from transcription.words import Segment, Transcript, Word

# Bits kept to walk back through the alignment: 32 MB at most. Larger texts are halved first.
_BITS: Final = 128_000_000


@dataclass(frozen=True, slots=True)
class Errors:
    """How far a text lies from the one that is right. `rate` may pass 1 where much was invented."""

    substitutions: int
    deletions: int
    insertions: int
    words: int  # of the right text

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float | None:
        """Errors by words; None where the right text is empty and something was written."""
        if self.words:
            return self.total / self.words
        return 0.0 if not self.total else None


@dataclass(frozen=True, slots=True)
class Difference:
    """A run of words that are the same, or that became others.

    `kind` is equal, replaced, deleted, inserted, or respelt: the same words but for case and punctuation.
    `at_before` and `at_after` are offsets in the two texts.
    """

    kind: str
    before: str
    after: str
    at_before: int
    at_after: int


def word_errors(right: str, machine: str) -> Errors:
    """The word errors of a machine's text, measured against the right one."""
    reference, hypothesis = words_of(right), words_of(machine)
    substitutions = deletions = insertions = 0
    for a, b in aligned(reference, hypothesis):
        if a is None:
            insertions += 1
        elif b is None:
            deletions += 1
        elif reference[a] != hypothesis[b]:
            substitutions += 1
    return Errors(substitutions, deletions, insertions, len(reference))


def differences(before: str, after: str) -> list[Difference]:
    """What changed from one text to the other, for a page that shows both.

    The runs hold every word of both texts once and in order; white space between runs is left out.
    """
    pair = _Pair(before, after)
    found = []
    at_before = at_after = 0
    for kind, run in groupby(pair.steps, key=pair.kind):
        steps = list(run)
        old, new = pair.span_before(steps), pair.span_after(steps)
        at_before = old[0] if old else at_before
        at_after = new[0] if new else at_after
        if kind == "changed":
            kind = "replaced" if old and new else "deleted" if old else "inserted"
        cut_before = before[old[0] : old[1]] if old else ""
        cut_after = after[new[0] : new[1]] if new else ""
        found.append(Difference(kind, cut_before, cut_after, at_before, at_after))
        at_before += len(cut_before)
        at_after += len(cut_after)
    return found


def term_corrections(before: str, after: str, *, longest: int = 4) -> dict[tuple[str, str], int]:
    """Terms a person put right, (wrong, right) with how often: what may become lexicon entries.

    Of words only respelt those count whose letters changed inside: openai to OpenAI, not The to the.
    """
    pair = _Pair(before, after)
    found: Counter[tuple[str, str]] = Counter()
    for kind, run in groupby(pair.steps, key=pair.kind):
        steps = list(run)
        for part in [steps] if kind == "changed" else [[step] for step in steps]:
            old, new = pair.span_before(part), pair.span_after(part)
            if kind == "equal" or not old or not new or len(part) > longest:
                continue
            wrong, right = _bare(before[old[0] : old[1]]), _bare(after[new[0] : new[1]])
            if wrong and right and wrong != right and (kind == "changed" or wrong[1:] != right[1:]):
                found[wrong, right] += 1
    return dict(found)


def corrected(transcript: Transcript, text: str) -> Transcript:
    """The transcript with its text corrected by a person; segments and words follow and keep their times."""
    places = locate(transcript.text, [segment.text for segment in transcript.segments])
    edits = _edits(transcript.text, text, [place.start for place in places if place])
    return replace(
        transcript,
        text=text,
        segments=edited_segments(transcript.segments, places, edits),
        words=_words_after(transcript, edits),
    )


def with_segments(transcript: Transcript, segments: Sequence[Segment]) -> Transcript:
    """The transcript with its segments corrected by a person; text and words follow."""
    between = joiner(transcript.language, transcript.text)
    text = ""
    for segment in segments:
        text = join(text, segment.text, between)
    words = _words_after(transcript, _edits(transcript.text, text))
    return replace(transcript, text=text, segments=tuple(segments), words=words)


def _words_after(transcript: Transcript, edits: Sequence[Edit]) -> tuple[Word, ...]:
    places = locate(transcript.text, [word.word for word in transcript.words])
    return edited_words(transcript.words, places, edits)


def _edits(before: str, after: str, borders: Sequence[int] = ()) -> list[Edit]:
    """The differences as edits of the first text; none reaches over a border, where a segment begins."""
    pair = _Pair(before, after)
    found: list[Edit] = []
    for lo, hi in _blocks(pair, borders):
        old, new = pair.span_before(pair.steps[lo:hi]), pair.span_after(pair.steps[lo:hi])
        if old and new:
            found.append(Edit(*old, after[new[0] : new[1]]))
        elif old:
            start, end = without_gap(before, *old)
            found.append(Edit(max(start, found[-1].end if found else 0), end, ""))
    return found


def _blocks(pair: _Pair, borders: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of steps to be written anew. Words exchanged one for one stay apart, so each keeps its time.

    What is only inserted goes together with the word before it, or after it at the very beginning.
    """
    steps = pair.steps
    found: list[tuple[int, int]] = []
    for changed, run in groupby(range(len(steps)), key=lambda at: pair.kind(steps[at]) != "equal"):
        if not changed:
            continue
        indices = list(run)
        if all(None not in steps[at] for at in indices):
            found += [(at, at + 1) for at in indices]
            continue
        for lo, hi in _within(pair, indices, borders):
            if all(steps[at][0] is None for at in range(lo, hi)):
                lo, hi = (lo - 1, hi) if lo else (lo, _next_old(steps, hi))
            if found and lo < found[-1][1]:
                lo = found.pop()[0]
            found.append((lo, hi))
    return found


def _next_old(steps: Sequence[Step], at: int) -> int:
    return next((i + 1 for i in range(at, len(steps)) if steps[i][0] is not None), len(steps))


def _within(
    pair: _Pair, indices: Sequence[int], borders: Sequence[int]
) -> Iterator[tuple[int, int]]:
    """A run cut where a segment begins."""
    lo = indices[0]
    begun: int | None = None
    for at in indices:
        old = pair.steps[at][0]
        if old is None:
            continue
        segment = bisect_right(borders, pair.old[old][0])
        if begun is not None and segment != begun:
            yield lo, at
            lo = at
        begun = segment
    yield lo, indices[-1] + 1


def _bare(text: str) -> str:
    """The words without the punctuation around them."""
    return _EDGES.sub("", text)


_EDGES: Final = re.compile(r"^[^\w]+|[^\w]+$")
Step = tuple[int | None, int | None]


class _Pair:
    """Two texts as words, aligned."""

    def __init__(self, before: str, after: str) -> None:
        self.before, self.after = before, after
        self.old, self.new = spans_of(before), spans_of(after)
        self.old_keys = [_key(before[a:b]) for a, b in self.old]
        self.new_keys = [_key(after[a:b]) for a, b in self.new]
        self.steps = aligned(self.old_keys, self.new_keys)

    def kind(self, step: Step) -> str:
        a, b = step
        if a is None or b is None or self.old_keys[a] != self.new_keys[b]:
            return "changed"
        same = self.before[slice(*self.old[a])] == self.after[slice(*self.new[b])]
        return "equal" if same else "respelt"

    def span_before(self, steps: Sequence[Step]) -> tuple[int, int] | None:
        spans = [self.old[a] for a, _ in steps if a is not None]
        return (spans[0][0], spans[-1][1]) if spans else None

    def span_after(self, steps: Sequence[Step]) -> tuple[int, int] | None:
        spans = [self.new[b] for _, b in steps if b is not None]
        return (spans[0][0], spans[-1][1]) if spans else None


def _key(word: str) -> str:
    """What makes a word the same word; punctuation alone is itself."""
    return "".join(words_of(word)) or word


def aligned(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Step]:
    """An alignment of least cost: pairs of indices, None where one side has nothing."""
    head = 0
    while head < min(len(a), len(b)) and a[head] == b[head]:
        head += 1
    tail = 0
    while tail < min(len(a), len(b)) - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    steps: list[Step] = [(i, i) for i in range(head)]
    for i, j in _middle(a[head : len(a) - tail], b[head : len(b) - tail]):
        steps.append((None if i is None else i + head, None if j is None else j + head))
    steps += [(len(a) - tail + i, len(b) - tail + i) for i in range(tail)]
    return steps


def _middle(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Step]:
    if not a or not b:
        return [*((i, None) for i in range(len(a))), *((None, j) for j in range(len(b)))]
    if 2 * len(a) * len(b) <= _BITS or len(b) == 1:
        return _traced(a, b)
    half = len(b) // 2
    above = _column(a, b[:half])
    below = _column(a[::-1], b[: half - 1 : -1])
    cut = min(range(len(a) + 1), key=lambda i: above[i] + below[len(a) - i])
    steps = _middle(a[:cut], b[:half])
    for i, j in _middle(a[cut:], b[half:]):
        steps.append((None if i is None else i + cut, None if j is None else j + half))
    return steps


def _rows(a: Sequence[Hashable], b: Sequence[Hashable]) -> Iterator[tuple[int, int]]:
    """For every item of b its column of the edit table, as two sets of bits: where it rises and falls."""
    where: dict[Hashable, int] = {}
    for i, item in enumerate(a):
        where[item] = where.get(item, 0) | (1 << i)
    full = (1 << len(a)) - 1
    rises, falls = full, 0
    for item in b:
        equal = where.get(item, 0)
        diagonal = (((equal & rises) + rises) ^ rises) | equal | falls
        across_up = falls | (full & ~(diagonal | rises))
        across_down = rises & diagonal
        across_up = ((across_up << 1) | 1) & full
        across_down = (across_down << 1) & full
        rises = across_down | (full & ~(diagonal | across_up))
        falls = across_up & diagonal
        yield rises, falls


def _traced(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Step]:
    """The alignment by walking back through all columns."""
    columns = list(_rows(a, b))
    steps: list[Step] = []
    i, j = len(a), len(b)
    while i and j:
        rises, _ = columns[j - 1]
        if rises >> (i - 1) & 1:
            i -= 1
            steps.append((i, None))
            continue
        j -= 1
        if j and columns[j - 1][1] >> (i - 1) & 1:
            steps.append((None, j))
        else:
            i -= 1
            steps.append((i, j))
    steps += [(at, None) for at in range(i - 1, -1, -1)]
    steps += [(None, at) for at in range(j - 1, -1, -1)]
    steps.reverse()
    return steps


def _column(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[int]:
    """The last column of the edit table: the distance of every beginning of a from all of b."""
    rises = falls = 0
    for column in _rows(a, b):
        rises, falls = column
    ups, downs = bin(rises)[:1:-1], bin(falls)[:1:-1]
    distances = [len(b)]
    for i in range(len(a)):
        step = (ups[i : i + 1] == "1") - (downs[i : i + 1] == "1")
        distances.append(distances[-1] + step)
    return distances

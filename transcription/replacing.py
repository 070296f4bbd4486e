"""The lexicon's matcher: thousands of terms found in one walk over a text, in any script.

At each place the longest term wins, then the one that minds case, then the earlier entry; what is replaced
is not searched again. Case is compared by Unicode's full folding (ß = SS), in Turkish and Azeri with their
two kinds of i. White space, apostrophes and hyphens of all kinds are each one and the same. No match tears a
letter from its marks; a whole word follows `scripts.cuts_word`. Regular expressions take part in the same
contest. All edits are found in the text and then carried into segments and words.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import regex

from media_assets.errors import Invalid
from transcription import patterns
from transcription.alignment import Place, locate, located_share
from transcription.edits import Edit, edited_segments, edited_words, spliced, without_gap
from transcription.entries import Entry
from transcription.languages import TURKIC_I, base_of
from transcription.scripts import cuts_letter, cuts_word, joiner
from transcription.terms import Comparable, Node, Trie, comparable, single_spaced
from transcription.words import Segment, Transcript, Word

REGEX_SECONDS: Final = 1.0  # for one pattern over one text
ALL_REGEX_SECONDS: Final = 5.0
# Beyond this a lexicon is not correcting but flooding: "e" -> 500 characters.
MAX_GROWTH: Final = 4
GROWTH_ALLOWANCE: Final = 100_000
_ENOUGH: Final = 0.5  # of the words must be found in the text, else they are searched by themselves


@dataclass(frozen=True, slots=True)
class Preview:
    """What an entry would change at one place, with some text around it."""

    entry: int
    start: int
    end: int
    before: str
    old: str
    new: str
    after: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The transcript after the lexicon; how often each entry changed it; what could not be done."""

    transcript: Transcript
    counts: Mapping[int, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def replaced(self) -> int:
        return sum(self.counts.values())


class _Candidate(NamedTuple):
    start: int
    longest: int  # minus the end: tuples sort by start, then the longest
    rank: int  # 0 minds case, 1 does not, 2 is a pattern
    entry: int
    text: str


class _Ground(NamedTuple):
    """What is searched: a text, and the offsets in it over which no match may reach."""

    text: str
    barriers: Sequence[int]

    def divides(self, start: int, end: int) -> bool:
        following = bisect_right(self.barriers, start)
        return following < len(self.barriers) and self.barriers[following] < end


def _ends(
    node: Node | None, letters: str, at: int, length: int
) -> list[tuple[int, tuple[int, ...]]]:
    """Where the terms end that begin behind this node, the shortest first."""
    ends: list[tuple[int, tuple[int, ...]]] = []
    while node is not None:
        if node.entries:
            ends.append((at, node.entries))
        if at == length:
            break
        node = node.get(letters[at])
        at += 1
    return ends


class Replacer:
    """A lexicon made ready. Broken entries are left out and named in `problems`, never raised.

    Building takes some 40 ms for 5,000 entries; use one for many transcripts. It is not changed by use.
    """

    def __init__(self, entries: Iterable[Entry], language: str | None = None) -> None:
        self.entries = tuple(entries)
        self.problems: list[str] = []
        self._turkic = base_of(language) in TURKIC_I
        self._tries = {True: Trie(whole=True), False: Trie(whole=False)}
        self._exact: dict[int, str] = {}  # how the entries that mind case must be written
        self._patterns: list[tuple[int, regex.Pattern[str], list[str | int]]] = []
        for at, entry in enumerate(self.entries):
            if entry.regex:
                self._add_pattern(at, entry)
            else:
                self._add_term(at, entry)
        for trie in self._tries.values():
            trie.build()

    def _add_pattern(self, at: int, entry: Entry) -> None:
        try:
            compiled = patterns.compile_pattern(entry.term, match_case=entry.match_case)
            parts = patterns.template(entry.replacement, compiled)
        except Invalid as error:
            self.problems.append(f"Entry “{entry.term[:60]}” was left out: {error.message}")
            return
        self._patterns.append((at, compiled, parts))

    def _add_term(self, at: int, entry: Entry) -> None:
        term = " ".join(unicodedata.normalize("NFC", entry.term).split())
        if not term:
            return
        form = comparable(term, turkic=self._turkic)
        if entry.match_case:
            self._exact[at] = form.level
        self._tries[entry.whole_word].add(form.folded, at)

    def find(self, text: str, barriers: Sequence[int] = ()) -> tuple[list[Edit], list[str]]:
        """The edits for a text in NFC, in order, and what went wrong on the way.

        No match reaches across a barrier (an offset where another speaker begins).
        """
        candidates: list[_Candidate] = []
        ground = _Ground(text, barriers)
        form = comparable(text, turkic=self._turkic)
        for trie in self._tries.values():
            if trie.entrances:
                self._walk(trie, form, ground, candidates)
        problems = self._search(ground, candidates) if self._patterns else []
        return self._chosen(text, candidates), problems

    def _walk(self, trie: Trie, form: Comparable, ground: _Ground, found: list[_Candidate]) -> None:
        """Add the longest term at every place where one of this trie stands."""
        letters, _, origin = form
        text, length = ground.text, len(letters)
        cuts = cuts_word if trie.whole else cuts_letter
        for start, reach in trie.starts(letters):
            ends = _ends(trie.entrances[letters[start:reach]], letters, reach, length)
            if not ends or (origin is not None and start and origin[start] == origin[start - 1]):
                continue  # nothing, or inside what one letter unfolds to: the second s of ß
            begin = start if origin is None else origin[start]
            if cuts(text, begin):
                continue
            for at, entries in reversed(ends):
                end = at if origin is None else origin[at]
                if (origin is not None and end == origin[at - 1]) or cuts(text, end):
                    continue
                entry = self._fitting(entries, form, begin, end)
                if entry is not None and not ground.divides(begin, end):
                    rank = 0 if entry in self._exact else 1
                    new = self.entries[entry].replacement
                    found.append(_Candidate(begin, -end, rank, entry, new))
                    break

    def _fitting(
        self, entries: tuple[int, ...], form: Comparable, start: int, end: int
    ) -> int | None:
        """The entry to use where several are spelt alike: one that minds case and fits, else the first."""
        exact = self._exact
        others = None
        for entry in entries:
            if entry not in exact:
                others = entry if others is None else others
            elif single_spaced(form.level[start:end]) == exact[entry]:
                return entry
        return others

    def _search(self, ground: _Ground, found: list[_Candidate]) -> list[str]:
        """Add the matches of the patterns; name those that ran out of time and take nothing of theirs."""
        text = ground.text
        problems = []
        left = ALL_REGEX_SECONDS
        for entry, compiled, parts in self._patterns:
            term = self.entries[entry].term[:60]
            if left <= 0:
                problems.append(
                    f"Pattern “{term}” was not tried: the patterns before it took all the time."
                )
                continue
            began = patterns.clock()
            try:
                matches = patterns.find_within(compiled, text, min(REGEX_SECONDS, left))
            except TimeoutError:
                problems.append(
                    f"Pattern “{term}” took longer than {REGEX_SECONDS:g} s and was left out."
                )
                matches = []
            left -= patterns.clock() - began
            cuts = cuts_word if self.entries[entry].whole_word else cuts_letter
            found += [
                _Candidate(match.start(), -match.end(), 2, entry, patterns.expanded(parts, match))
                for match in matches
                if not cuts(text, match.start())
                and not cuts(text, match.end())
                and not ground.divides(*match.span())
            ]
        return problems

    def _chosen(self, text: str, candidates: list[_Candidate]) -> list[Edit]:
        """The edits: leftmost first, of those the longest; what they cover is done."""
        candidates.sort()
        limit = len(text) * MAX_GROWTH + GROWTH_ALLOWANCE
        edits: list[Edit] = []
        done = 0
        for candidate in candidates:
            start, end = candidate.start, -candidate.longest
            if start < done:
                continue
            done = end
            if candidate.text == text[start:end]:
                continue  # right already; but it has kept shorter terms away
            if not candidate.text:
                start, end = without_gap(text, start, end)
                start = max(start, edits[-1].end if edits else 0)
            limit -= len(candidate.text)
            if limit < 0:
                raise Invalid("The lexicon would make the text several times as long as it is.")
            edits.append(Edit(start, end, candidate.text, candidate.entry))
        return edits

    def replaced(self, text: str) -> str:
        """One text with the lexicon applied."""
        text = unicodedata.normalize("NFC", text)
        return spliced(text, self.find(text)[0])

    def apply(self, transcript: Transcript) -> Outcome:
        """The transcript with the lexicon applied to text, segments and words alike."""
        transcript = _composed(transcript)
        text = transcript.text
        segment_places = locate(text, [segment.text for segment in transcript.segments])
        edits, problems = self.find(text, _barriers(transcript.segments, segment_places))
        counts = Counter(edit.source for edit in edits)
        segments = self._on_segments(transcript, segment_places, edits)
        words = self._on_words(transcript, edits)
        changed = replace(transcript, text=spliced(text, edits), segments=segments, words=words)
        return Outcome(changed, dict(counts), (*self.problems, *problems))

    def _on_segments(
        self, transcript: Transcript, places: Sequence[Place | None], edits: Sequence[Edit]
    ) -> tuple[Segment, ...]:
        segments = transcript.segments
        if located_share(places) < _ENOUGH:
            stream, places = _stream([segment.text for segment in segments], transcript.language)
            edits, _ = self.find(stream, _barriers(segments, places))
        return edited_segments(segments, places, edits)

    def _on_words(self, transcript: Transcript, edits: Sequence[Edit]) -> tuple[Word, ...]:
        texts = [word.word for word in transcript.words]
        places: Sequence[Place | None] = locate(transcript.text, texts)
        if located_share(places) < _ENOUGH:
            stream, places = _stream(texts, transcript.language)
            edits, _ = self.find(stream)
        return edited_words(transcript.words, places, edits)

    def preview(self, text: str, *, around: int = 40, limit: int = 100) -> list[Preview]:
        """What would change in this text, at most `limit` places, each with some text around it."""
        text = unicodedata.normalize("NFC", text)
        return [
            Preview(
                entry=edit.source,
                start=edit.start,
                end=edit.end,
                before=text[max(0, edit.start - around) : edit.start],
                old=text[edit.start : edit.end],
                new=edit.text,
                after=text[edit.end : edit.end + around],
            )
            for edit in self.find(text)[0][:limit]
        ]


def _composed(transcript: Transcript) -> Transcript:
    """The transcript in NFC: as it is where it is so already, which it is once normalised."""
    texts = [
        transcript.text,
        *(s.text for s in transcript.segments),
        *(w.word for w in transcript.words),
    ]
    if all(unicodedata.is_normalized("NFC", text) for text in texts):
        return transcript
    return replace(
        transcript,
        text=unicodedata.normalize("NFC", transcript.text),
        segments=tuple(
            replace(s, text=unicodedata.normalize("NFC", s.text)) for s in transcript.segments
        ),
        words=tuple(
            replace(w, word=unicodedata.normalize("NFC", w.word)) for w in transcript.words
        ),
    )


def _barriers(segments: Sequence[Segment], places: Sequence[Place | None]) -> list[int]:
    """Where another speaker begins."""
    found = []
    before: Segment | None = None
    for segment, place in zip(segments, places, strict=True):
        if place is not None:
            if before is not None and before.speaker != segment.speaker:
                found.append(place.start)
            before = segment
    return found


def _stream(texts: Sequence[str], language: str | None) -> tuple[str, list[Place | None]]:
    """The texts one after the other, and where each lies: for words that are not in the text."""
    between = joiner(language, "".join(texts[:200]))
    places: list[Place | None] = []
    at = 0
    for text in texts:
        places.append(Place(at, at + len(text)))
        at += len(text) + len(between)
    return between.join(texts), places

"""A lexicon of 5,000 entries over 100,000 words: text, segments and words at once.

The words are drawn as in speech (few are common, most are rare), the terms from among them: one word to
three, some minding case, some found inside words, and one in twenty words said is replaced. Bound: 1 second
of CPU for all three levels. Baseline: one `re.sub` for each entry over the text alone, timed on 50 entries
and multiplied. Then the hard cases: nearly every word replaced, Japanese, and 100 patterns.
"""

from __future__ import annotations

import random
import re

from bench import harness
from bench.harness import Result
from transcription.entries import Entry
from transcription.replacing import Replacer
from transcription.words import Segment, Transcript, Word

WORDS = 100_000
ENTRIES = 5_000
SAMPLE = 50
LIMIT_S = 1.0
SYLLABLES = [
    a + b
    for a in "b c d f g h j k l m n p r s t v w z st tr pl".split()
    for b in "a e i o u en ar ol".split()
]


def vocabulary(dice: random.Random) -> list[str]:
    words = (
        "".join(dice.choices(SYLLABLES, k=dice.choice((1, 2, 2, 3, 3, 4)))) for _ in range(30_000)
    )
    return list(dict.fromkeys(words))


def speech(dice: random.Random, known: list[str]) -> list[str]:
    """The common words often, the rare ones seldom; a sentence is twelve words long."""
    said = dice.choices(known, [1 / rank for rank in range(1, len(known) + 1)], k=WORDS)
    return [
        (word.capitalize() if at % 12 == 0 else word) + ("." if at % 12 == 11 else "")
        for at, word in enumerate(said)
    ]


def transcript(texts: list[str], between: str = " ") -> Transcript:
    words = tuple(Word(at * 0.3, at * 0.3 + 0.25, text, 0.9) for at, text in enumerate(texts))
    segments = tuple(
        Segment(
            at * 0.3, (at + 12) * 0.3, "AB"[at // 12 % 2], between.join(texts[at : at + 12]), 0.9
        )
        for at in range(0, len(texts), 12)
    )
    return Transcript(between.join(texts), "en", len(texts) * 0.3, segments, words, 0.9)


def entries(dice: random.Random, known: list[str], said: list[str]) -> list[Entry]:
    """A fifth of the terms is there for certain: two words that were said one after the other."""
    found: dict[str, Entry] = {}
    rare = [word for word in known[500:] if len(word) > 3]
    while len(found) < ENTRIES:
        if len(found) % 5 == 0:
            at = dice.randrange(WORDS - 1)
            term = " ".join(said[at : at + 2]).strip(".").lower()
        else:
            term = " ".join(dice.choices(rare, k=dice.choice((1, 1, 2, 3))))
        new = " ".join(word.capitalize() for word in dice.choices(known, k=dice.choice((1, 1, 2))))
        found[term] = Entry(
            term, new, match_case=dice.random() < 0.1, whole_word=dice.random() > 0.1
        )
    return list(found.values())


def one_by_one(some: list[Entry], text: str) -> None:
    for entry in some:
        flags = 0 if entry.match_case else re.IGNORECASE
        re.sub(rf"\b{re.escape(entry.term)}\b", entry.replacement, text, flags=flags)


def share(lexicon: Replacer, source: Transcript) -> float:
    return 100 * lexicon.apply(source).replaced / len(source.words)


def run() -> list[Result]:
    dice = random.Random(20)
    known = vocabulary(dice)
    said = speech(dice, known)
    source, lines = transcript(said), entries(dice, known, said)
    lexicon = Replacer(lines, "en")
    dense = Replacer([Entry(word, word.upper() + " X") for word in known[:ENTRIES]], "en")
    patterns = [Entry(rf"\b{word}\w* (\d+)", r"\1 X", regex=True) for word in known[:100]]
    built, applied, naive, densely, mixed = harness.best_of(
        5,
        lambda: Replacer(lines, "en"),
        lambda: lexicon.apply(source),
        lambda: one_by_one(lines[:SAMPLE], source.text),
        lambda: dense.apply(source),
        lambda: Replacer([*lines, *patterns], "en").apply(source),
    )
    letters = [chr(0x4E00 + number) for number in dice.choices(range(2000), k=WORDS)]
    terms = {"".join(dice.choices(letters, k=dice.choice((2, 2, 3)))): None for _ in range(ENTRIES)}
    japanese, bare = transcript(letters, ""), Replacer([Entry(term, "X") for term in terms], "ja")
    (unspaced,) = harness.best_of(3, lambda: bare.apply(japanese))
    baseline = naive * ENTRIES / SAMPLE
    return [
        harness.at_most("5,000 entries over 100,000 words", applied, LIMIT_S, "s", baseline),
        Result("words of them replaced", share(lexicon, source), "%"),
        harness.at_most("building the lexicon", built, 0.25, "s"),
        harness.at_most("100,000 letters without spaces", unspaced, LIMIT_S, "s"),
        harness.at_most("with 100 patterns besides", mixed, 3 * LIMIT_S, "s"),
        Result("nearly every word replaced", densely, "s"),
        Result("words of them replaced, densely", share(dense, source), "%"),
    ]


if __name__ == "__main__":
    harness.write(run(), "lexicon")

"""What a provider should be told to listen for: the lexicon's right spellings, the most useful first.

A recogniser that knows "Kubernetes" writes no "Cuban Eddies" that would have to be replaced. Every provider
takes little: Whisper a prompt of 224 tokens, Deepgram 500 tokens of key terms, AWS 50 KB of phrases.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from transcription.entries import Entry
from transcription.normalise import clean

WHISPER_TOKENS: Final = 224  # Whisper keeps the last 224 and drops what stands before
DEEPGRAM_TOKENS: Final = 500
DEEPGRAM_TERMS: Final = 100
AWS_BYTES: Final = 50_000
AWS_CHARACTERS: Final = 256
_LONGEST: Final = 60  # characters of a term; longer ones are sentences
_MOST_WORDS: Final = 5


def ranked(
    entries: Iterable[Entry], *, wished: Sequence[str] = (), used: Mapping[str, int] | None = None
) -> list[str]:
    """The spellings worth telling, the most useful first, each once.

    What the uploader wished comes first, then what was needed most often (`used`: by replacement), then
    names and terms with capitals or digits inside, then the longer ones: short plain words are known anyway.
    """
    used = used or {}
    terms = {term: 0 for term in map(_fit, wished) if term}
    rest: dict[str, int] = {}
    for entry in entries:
        term = _fit(entry.replacement)
        if term and not (entry.regex and "\\" in entry.replacement):
            rest[term] = max(rest.get(term, 0), used.get(entry.replacement, 0))
    order = [
        *terms,
        *sorted(rest, key=lambda term: (-rest[term], -_rarity(term), -len(term), term)),
    ]
    spellings: dict[str, str] = {}
    for term in order:
        spellings.setdefault(term.casefold(), term)
    return list(spellings.values())


def whisper_prompt(terms: Sequence[str], *, context: str = "", tokens: int = WHISPER_TOKENS) -> str:
    """A prompt for Whisper: the context, then the terms as a list, the most useful last.

    Whisper reads the end of a prompt best and forgets its beginning first. No word of ours stands in
    it, which would pull the answer into our language. Token counts are estimated, rather too high.
    """
    budget = tokens - 2
    chosen: list[str] = []
    for term in terms:
        cost = estimated_tokens(f" {term},")
        if cost > budget:
            continue
        budget -= cost
        chosen.append(term)
    glossary = ", ".join(reversed(chosen))
    glossary = f"{glossary}." if glossary else ""
    return f"{_tail(_line(context), budget)} {glossary}".strip()


def keyterms(
    terms: Sequence[str], *, limit: int = DEEPGRAM_TERMS, tokens: int = DEEPGRAM_TOKENS
) -> list[str]:
    """Key terms for Deepgram, within its limits: past them it refuses the whole request."""
    chosen: list[str] = []
    for term in terms:
        tokens -= estimated_tokens(term)
        if tokens < 0 or len(chosen) == limit:
            break
        chosen.append(term)
    return chosen


def aws_phrases(terms: Sequence[str]) -> list[str]:
    """Phrases for an AWS vocabulary: letters, hyphens for spaces, a full stop after each spelt letter.

    AWS refuses a vocabulary for one digit or odd sign, so terms that hold any are left out.
    """
    chosen: list[str] = []
    size = 0
    for term in terms:
        phrase = "-".join(_spelt(word) for word in term.replace("-", " ").split())
        letters = phrase.replace("-", "").replace("'", "").replace(".", "")
        size += len(phrase.encode()) + 1
        if size > AWS_BYTES:
            break
        if letters and all(_is_letter(char) for char in letters) and len(phrase) < AWS_CHARACTERS:
            chosen.append(phrase)
    return list(dict.fromkeys(chosen))


def estimated_tokens(text: str) -> int:
    """Tokens of a byte-pair coder, estimated from above: names break into pieces of two or three letters."""
    ascii_letters = sum(char.isascii() for char in text)
    others = len(text.encode(errors="replace")) - ascii_letters
    return math.ceil(ascii_letters / 2.5 + others / 1.5)


def _fit(term: str) -> str:
    term = _line(term)
    known = (
        0 < len(term) <= _LONGEST
        and len(term.split()) <= _MOST_WORDS
        and any(map(str.isalnum, term))
    )
    return term if known else ""


def _line(text: str) -> str:
    return " ".join(clean(text).split())


def _rarity(term: str) -> int:
    """How little a recogniser can know the term: capitals and digits inside, then a capital at all."""
    inside = any(char.isupper() or char.isdigit() for char in term[1:])
    return 2 * inside + any(char.isupper() for char in term[:1])


def _tail(text: str, tokens: int) -> str:
    """The end of a text, whole words, within the tokens."""
    words = text.split()
    kept: list[str] = []
    for word in reversed(words):
        tokens -= estimated_tokens(f" {word}")
        if tokens < 0:
            break
        kept.append(word)
    return " ".join(reversed(kept))


def _spelt(word: str) -> str:
    """An abbreviation as AWS wants it: CLI is said letter by letter, C.L.I."""
    return (
        ".".join(word) + "." if 2 <= len(word) <= 5 and word.isupper() and word.isascii() else word
    )


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] in "LM"

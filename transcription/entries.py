"""One line of a lexicon, and what it may hold."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace
from typing import Any, Final

from media_assets.errors import Invalid
from transcription import patterns
from transcription.normalise import clean, has_invisible

MAX_TERM: Final = 200  # characters
MAX_REPLACEMENT: Final = 300
MAX_ENTRIES: Final = 10_000  # of one lexicon
MAX_REGEXES: Final = 200


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a lexicon. With `regex` the term is a pattern and the replacement may name its groups."""

    term: str
    replacement: str
    match_case: bool = False
    whole_word: bool = True
    regex: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "term": self.term,
            "replacement": self.replacement,
            "match_case": self.match_case,
            "whole_word": self.whole_word,
            "regex": self.regex,
        }


def checked(entry: Entry) -> Entry:
    """The entry in its regular form, or `Invalid` with `field`: for everything a person enters."""
    replacement = unicodedata.normalize("NFC", entry.replacement)
    if has_invisible(replacement) or len(replacement) > MAX_REPLACEMENT:
        raise Invalid(
            f"The replacement may have up to {MAX_REPLACEMENT} characters, none of them invisible controls.",
            field="replacement",
        )
    if entry.regex:
        patterns.check_pattern(entry.term, replacement, match_case=entry.match_case)
        return replace(entry, replacement=replacement)
    if has_invisible(entry.term):
        raise Invalid("The term holds invisible control characters.", field="term")
    term = " ".join(clean(entry.term).split())
    if not term or len(term) > MAX_TERM:
        raise Invalid(f"The term must have 1 to {MAX_TERM} characters.", field="term")
    if all(unicodedata.category(char)[0] in "MCZ" for char in term):
        raise Invalid("The term has no letter of its own, only marks.", field="term")
    return replace(entry, term=term, replacement=" ".join(replacement.split()))

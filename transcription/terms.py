"""Terms in the form in which they are compared, and the trie that finds thousands of them in one walk."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

import regex

from transcription.scripts import BARE_LETTERS

# Where a whole word may begin, with all that belongs to it for certain; letters of bare scripts one by one.
_WORDS: Final = regex.compile(rf"[^\W{BARE_LETTERS}]+|\S")
_ASCII_WORDS: Final = re.compile(r"\w+|\S")  # the same, and faster
_ODD_SPACES: Final = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
)
_ODD_SPACES_2: Final = "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
_ODD_APOSTROPHES: Final = "\u2019\u02bc\uff07\u2018\u00b4`"
_ODD_HYPHENS: Final = "\u2010\u2011"
_DOT: Final = "\u0307"  # the combining dot of a folded İ


class Node(dict[str, "Node"]):
    """A place in the trie: the next letters, and the entries that end here."""

    __slots__ = ("entries",)

    def __init__(self) -> None:
        super().__init__()
        self.entries: tuple[int, ...] = ()


class Trie:
    """All terms whose words must be whole, or all others. A walk begins at an entrance: a term's first
    letters, taken in one look.

    For whole words the entrance is the term's first word, for the rest as many letters as the shortest
    term has, four at most: most places of a text are passed over without a step.
    """

    def __init__(self, *, whole: bool) -> None:
        self.whole = whole
        self.root = Node()
        self.entrances: dict[str, Node] = {}
        self.reach = 4  # letters of an entrance where words need not be whole
        self._terms: list[tuple[str, int]] = []

    def add(self, term: str, entry: int) -> None:
        self._terms.append((term, entry))
        self.reach = min(self.reach, len(term))

    def build(self) -> None:
        for term, entry in self._terms:
            first = _words(term).match(term) if self.whole else None
            entrance = first.end() if first else self.reach
            node = self.root
            for at, char in enumerate(term, 1):
                following = node.get(char)
                if following is None:
                    following = node[char] = Node()
                node = following
                if at == entrance:
                    self.entrances[term[:entrance]] = node
            node.entries = (*node.entries, entry)

    def starts(self, letters: str) -> Iterable[tuple[int, int]]:
        """Where a term may stand: its start and how far the entrance reaches."""
        known = self.entrances
        if not self.whole:
            reach = self.reach
            last = len(letters) - reach
            return [(at, at + reach) for at in range(last + 1) if letters[at : at + reach] in known]
        found = _words(letters).finditer(letters)
        return [match.span() for match in found if match[0] in known]


def _words(letters: str) -> re.Pattern[str]:
    words: re.Pattern[str] = _ASCII_WORDS if letters.isascii() else _WORDS
    return words


class Comparable(NamedTuple):
    """A text made comparable: `folded` without case, `level` with it. `origin` maps offsets of the
    first back to the text, None where none moved; those of the second never move."""

    folded: str
    level: str
    origin: list[int] | None


def comparable(text: str, *, turkic: bool) -> Comparable:
    """The text in the form in which terms are compared, with the way back to its offsets."""
    level = _levelled(text)
    bare = level.replace("\u0130", "i")  # İ: its own folding would leave a dot behind
    if turkic:
        bare = bare.replace("I", "\u0131")
    folded = bare.casefold()
    if len(folded) == len(text) and "  " not in folded and f"i{_DOT}" not in folded:
        return Comparable(folded, level, None)
    folded, origin = _unfolded(bare)
    return Comparable(folded, level, origin)


def _levelled(text: str) -> str:
    """All white space, apostrophes and hyphens made one of each; a paragraph's end stays apart."""
    if not text.isascii():
        for odd in _ODD_APOSTROPHES:
            text = text.replace(odd, "'")
        for odd in _ODD_HYPHENS:
            text = text.replace(odd, "-")
        for odd in _ODD_SPACES_2:
            text = text.replace(odd, " ")
    text = text.replace("\n\n", "\x00\x00")  # no term reaches over it
    for odd in _ODD_SPACES:
        text = text.replace(odd, " ")
    return text


def _unfolded(level: str) -> tuple[str, list[int]]:
    """Folded the slow way, letter by letter: some letter becomes two, or spaces are doubled."""
    letters: list[str] = []
    origin: list[int] = []
    for at, char in enumerate(level):
        before = letters[-1] if letters else ""
        if (char == " " and before == " ") or (char == _DOT and before == "i"):
            continue
        for one in char.casefold():
            letters.append(one)
            origin.append(at)
    origin.append(len(level))
    return "".join(letters), origin


def single_spaced(text: str) -> str:
    return " ".join(text.split()) if "  " in text else text

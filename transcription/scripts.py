"""Writing systems: where words and letters begin and end, what needs no spaces, how wide text is.

Word edges follow Unicode's default rules (UAX 29) with three departures, each made for the lexicon:
- in scripts without spaces every whole letter is an edge, but a run of Katakana is one word;
- an apostrophe ends a name in Latin script (Anna's, Ankara'da) but not "don't" or "O'Brien";
- a Latin elision before an apostrophe stands alone (l'Anna, dell'Aquila).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Final

import regex

from transcription.languages import WITHOUT_SPACES, base_of

# Scripts that put no space between words. The marks among them belong to the letter before.
BARE_LETTERS: Final = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}"
    r"\p{Tai_Tham}\p{Tai_Viet}\p{Javanese}\p{Balinese}\u3005-\u3007\u30fc\uff70"
)
BARE: Final = regex.compile(f"[{BARE_LETTERS}]")
_KATAKANA: Final = r"[\p{Katakana}\u30fc\uff70]"
_OPENING: Final = r"\p{Ps}\p{Pi}"
_CLOSING: Final = r"\p{Pe}\p{Pf}、。，．：；！？…‥・々ゝゞーぁぃぅぇぉっゃゅょゎ,.!?:;ๆฯ"
# A leading vowel of Thai and Lao stands before its consonant; these follow theirs.
_LEADING: Final = r"[\u0e40-\u0e44\u0ec0-\u0ec4]"
_FOLLOWING: Final = r"[\u0e30-\u0e33\u0e45\u0eb0-\u0eb3\u0e2f\u0e46]"
# What a line may not be broken inside: a bare letter with its marks, or a run without spaces.
_TOKEN: Final = regex.compile(
    rf"[{_OPENING}]*+(?:{_KATAKANA}+|{_LEADING}?[{BARE_LETTERS}][\p{{M}}\u200c\u200d]*(?:{_FOLLOWING}\p{{M}}*)*)"
    rf"[{_CLOSING}]*"
    rf"|(?:(?![{BARE_LETTERS}])[\S\u00a0\u202f\u2007])+"
)
_WORD: Final = regex.compile(
    rf"[{BARE_LETTERS}]\p{{M}}*|(?:(?![{BARE_LETTERS}])[\p{{L}}\p{{M}}\p{{N}}\u200c\u200d])+"
)
_APOSTROPHES: Final = frozenset("'\u2019\u02bc\uff07")
_INSIDE_WORDS: Final = frozenset(".\u00b7\u2027\u05f4\u2018\u2024") | _APOSTROPHES
_INSIDE_NUMBERS: Final = frozenset(".,\u066b\u066c'\u2019")
_ELISIONS: Final = frozenset(
    "l d j m t s n c qu jusqu lorsqu puisqu quoiqu quelqu presqu un all dall dell nell sull coll gl "
    "quell quest bell sant mezz".split()
)
_JOINERS: Final = frozenset("\u200c\u200d")
SPACES: Final = "[^\\S\u00a0\u202f\u2007]"  # white space that may be broken at
_BREAKS: Final = re.compile(f"{SPACES}+")


def joiner(language: str | None, sample: str = "") -> str:
    """What stands between two words: nothing in scripts without spaces, else a space.

    Where the language is unknown the sample decides by its letters.
    """
    base = base_of(language)
    if base:
        return "" if base in WITHOUT_SPACES else " "
    bare = len(BARE.findall(sample[:2000]))
    return "" if bare * 2 > sum(char.isalnum() for char in sample[:2000]) else " "


def join(left: str, right: str, between: str) -> str:
    """Two texts one after the other; two Latin words get their space in Japanese, too."""
    if not left or not right:
        return left or right
    if not between and left[-1].isalpha() and right[0].isalpha():
        between = "" if is_bare(left[-1]) or is_bare(right[0]) else " "
    return f"{left}{between}{right}"


@lru_cache(maxsize=4096)
def is_bare(char: str) -> bool:
    """Whether this letter belongs to a script without spaces."""
    return BARE.match(char) is not None


@lru_cache(maxsize=4096)
def _is_mark(char: str) -> bool:
    return unicodedata.category(char)[0] == "M"


@lru_cache(maxsize=4096)
def _in_word(char: str) -> bool:
    return char.isalnum() or char == "_" or char in _JOINERS or _is_mark(char)


@lru_cache(maxsize=4096)
def _is_latin(char: str) -> bool:
    return char.isascii() or "LATIN" in unicodedata.name(char, "")


def cuts_letter(text: str, at: int) -> bool:
    """Whether a cut at this offset would tear a letter from its marks, or an emoji apart."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before.isascii() and after.isascii():
        return before == "\r" and after == "\n"
    if (
        _is_mark(after)
        or after == "\u200d"
        or before == "\u200d"
        or "\U0001f3fb" <= after <= "\U0001f3ff"
    ):
        return True
    if "\U0001f1e6" <= before <= "\U0001f1ff" and "\U0001f1e6" <= after <= "\U0001f1ff":
        run = regex.search(r"[\U0001f1e6-\U0001f1ff]*\Z", text[:at])
        return run is not None and len(run[0]) % 2 == 1  # flags are pairs of letters
    if "\u0e40" <= before <= "\u0e44" or "\u0ec0" <= before <= "\u0ec4":
        return is_bare(after)
    return "\u0e30" <= after <= "\u0e33" or "\u0eb0" <= after <= "\u0eb3" or after == "\u0e45"


def cuts_word(text: str, at: int) -> bool:
    """Whether this offset lies inside a word, so that no whole word begins or ends there."""
    if not 0 < at < len(text):
        return False
    before, after = text[at - 1], text[at]
    if before == " " or after == " ":
        return _is_mark(after)
    if cuts_letter(text, at):
        return True
    if _in_word(before) and _in_word(after):
        if is_bare(before) or is_bare(after):
            return _is_katakana(before) and _is_katakana(after)
        return True
    if before in _INSIDE_WORDS or before in _INSIDE_NUMBERS:
        return at >= 2 and _joins(text, at - 1)
    if after in _INSIDE_WORDS or after in _INSIDE_NUMBERS:
        return at + 1 < len(text) and _joins(text, at, ends=True)
    quote = at if after == '"' else at - 1  # gershayim are typed as a quotation mark
    return (
        text[quote] == '"'
        and 0 < quote < len(text) - 1
        and _is_hebrew(text[quote - 1])
        and _is_hebrew(text[quote + 1])
    )


def _is_katakana(char: str) -> bool:
    return (
        "\u30a1" <= char <= "\u30ff" or "\u31f0" <= char <= "\u31ff" or "\uff66" <= char <= "\uff9f"
    )


def _is_hebrew(char: str) -> bool:
    return "\u05d0" <= char <= "\u05ea"


def _joins(text: str, at: int, *, ends: bool = False) -> bool:
    """Whether the mark at this offset holds its two neighbours together as one word.

    `ends` asks for the edge before the mark, where a term would end; else for the one after it.
    """
    before, mark, after = text[at - 1], text[at], text[at + 1]
    if before.isdecimal() and after.isdecimal():
        return mark in _INSIDE_NUMBERS
    letters = (
        _in_word(before) and _in_word(after) and not before.isdecimal() and not after.isdecimal()
    )
    if not letters or mark not in _INSIDE_WORDS or is_bare(before) or is_bare(after):
        return False
    if mark not in _APOSTROPHES or not (_is_latin(before) and _is_latin(after)):
        return True
    start = at
    while start and _in_word(text[start - 1]):
        start -= 1
    if not ends:
        return text[start:at].casefold() not in _ELISIONS
    contraction = before in "nN" and after in "tT" and not _in_word(text[at + 2 : at + 3] or " ")
    return contraction or at - start < 2


def words_of(text: str) -> list[str]:
    """The words to compare: without case, punctuation and apostrophes; bare scripts by the letter.

    >>> words_of("Don't — l'Été, STRASSE/straße 東京")
    ['dont', 'lété', 'strasse', 'strasse', '東', '京']
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text).replace("\u2019", "'").replace("\u02bc", "'")
    found: list[str] = _WORD.findall(text.replace("'", "").casefold())
    return found


def spans_of(text: str) -> list[tuple[int, int]]:
    """Where the pieces lie that a line may be broken between: words, or bare letters with their marks."""
    if text.isascii():
        return [match.span() for match in _ASCII_TOKEN.finditer(text)]
    return [match.span() for match in _TOKEN.finditer(text) if not match[0].isspace()]


_ASCII_TOKEN: Final = re.compile(r"\S+")


def split_words(text: str) -> list[str]:
    """The text cut at white space, but never at a no-break space: "Bonjour !" stays whole in French."""
    if text.isascii():
        return text.split()
    return [part for part in _BREAKS.split(text) if part]


def letters_of(text: str) -> list[str]:
    """The text by what a reader counts as one letter."""
    return list(text) if text.isascii() else regex.findall(r"\X", text)


def width(text: str) -> int:
    """Columns on a screen: 2 for Han, Kana, Hangul and most emoji, 0 for marks and joiners, else 1."""
    return len(text) if text.isascii() else sum(map(_columns, text))


@lru_cache(maxsize=4096)
def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1

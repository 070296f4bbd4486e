"""What can be told of a text by looking at its words: how many there are, and in which language."""

from __future__ import annotations

import re
import string
from collections import Counter

from processing.inspectors.common_words import COMMON_WORDS

_JOINERS = b"'-./_@"  # within words; alone they are none
_SPACED = bytes(ord(" ") if chr(n) in string.punctuation else n for n in range(256))
# UTF-8 begins a character from U+3000 on with one of these bytes.
_NOT_EAST_ASIAN = bytes(sorted(set(range(256)) - set(range(0xE3, 0xF5))))
_SCRIPTS_WITHOUT_SPACES = (
    "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
)
_SIGN = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]")
_WORD = re.compile(r"\w+(?:['\u2019.,-]\w+)*")


def word_count(text: str) -> int:
    """Words between spaces; each sign of Chinese and each kana counts as one, as word processors count."""
    raw = text.encode("utf-8", "ignore").translate(_SPACED, _JOINERS)
    if text.isascii():
        return len(raw.split())
    if not raw.translate(None, _NOT_EAST_ASIAN):
        return len(raw.decode().split())
    spaced, signs = _SIGN.subn(" ", text)
    return signs + len(_WORD.findall(spaced))


SAMPLE = 20_000  # characters looked at for the language
_LETTER = re.compile(r"[^\W\d_]")
_TOKEN = re.compile(r"[^\W\d_]+")

# Scripts that one language, or one by far more than others, is written in; the letters that tell others.
_SCRIPTS = (
    ("ja", re.compile(r"[\u3041-\u3096\u30a1-\u30fa]"), 0.05),  # kana among Chinese signs
    ("ko", re.compile(r"[\uac00-\ud7a3]"), 0.3),
    ("zh", re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]"), 0.3),
    ("el", re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]"), 0.5),
    ("he", re.compile(r"[\u0590-\u05ff]"), 0.5),
    ("hi", re.compile(r"[\u0900-\u097f]"), 0.5),
    ("bn", re.compile(r"[\u0980-\u09ff]"), 0.5),
    ("ta", re.compile(r"[\u0b80-\u0bff]"), 0.5),
    ("th", re.compile(r"[\u0e00-\u0e7f]"), 0.5),
    ("ka", re.compile(r"[\u10a0-\u10ff]"), 0.5),
    ("hy", re.compile(r"[\u0530-\u058f]"), 0.5),
)
_ARABIC = re.compile(r"[\u0600-\u06ff\ufb50-\ufdff\ufe70-\ufeff]")
_PERSIAN, _URDU = (
    re.compile(r"[\u067e\u0686\u0698\u06af\u06cc\u06a9]"),
    re.compile(r"[\u0679\u0688\u0691\u06ba\u06be\u06d2]"),
)
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_CYRILLIC_MARKS = (
    ("uk", re.compile(r"[їєґЇЄҐ]|\bі\b")),
    ("be", re.compile(r"[ўЎ]")),
    ("sr", re.compile(r"[ђћљњјЂЋЉЊЈ]")),
)

_BY_WORD: dict[str, list[str]] = {}
for _code, _words in COMMON_WORDS.items():
    for _word in _words:
        _BY_WORD.setdefault(_word, []).append(_code)


def guess_language(text: str) -> str | None:
    """The ISO 639-1 code of the language most of the text is in; None where the words do not tell."""
    sample = text[:SAMPLE]
    letters = len(_LETTER.findall(sample))
    if letters < 10:
        return None
    for code, pattern, share in _SCRIPTS:
        if len(pattern.findall(sample)) > letters * share:
            return code
    if len(_ARABIC.findall(sample)) > letters / 2:
        return _by_marks(sample, (("ur", _URDU), ("fa", _PERSIAN)), letters) or "ar"
    tokens = Counter(token.lower() for token in _TOKEN.findall(sample))
    if len(_CYRILLIC.findall(sample)) > letters / 2:
        return _by_marks(sample, _CYRILLIC_MARKS, letters) or _by_words(tokens)
    return _by_words(tokens)


def _by_marks(
    sample: str, marks: tuple[tuple[str, re.Pattern[str]], ...], letters: int
) -> str | None:
    for code, pattern in marks:
        if len(pattern.findall(sample)) > letters / 100:
            return code
    return None


def _by_words(tokens: Counter[str]) -> str | None:
    """By the share of each language's commonest words, with a clear lead over the next."""
    hits: Counter[str] = Counter()
    for token, count in tokens.items():
        for code in _BY_WORD.get(token, ()):
            hits[code] += count
    if not hits:
        return None
    ranked = hits.most_common(2)
    first = ranked[0][1]
    second = ranked[1][1] if len(ranked) > 1 else 0
    sure = first >= 3 and first >= sum(tokens.values()) * 0.12 and first >= second * 1.15
    return ranked[0][0] if sure else None

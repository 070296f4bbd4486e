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


SAMPLE = 8_000  # characters looked at for the language
_TOKEN = re.compile(r"[^\W\d_]+")

# Scripts that one language is written in, or one by far more than others: (first, last, language).
_SCRIPTS = (
    (0x0370, 0x03FF, "el"),
    (0x0400, 0x052F, "cyrillic"),
    (0x0530, 0x058F, "hy"),
    (0x0590, 0x05FF, "he"),
    (0x0600, 0x06FF, "arabic"),
    (0x0900, 0x097F, "hi"),
    (0x0980, 0x09FF, "bn"),
    (0x0B80, 0x0BFF, "ta"),
    (0x0E00, 0x0E7F, "th"),
    (0x10A0, 0x10FF, "ka"),
    (0x1F00, 0x1FFF, "el"),
    (0x3041, 0x30FA, "ja"),
    (0x3400, 0x9FFF, "zh"),
    (0xAC00, 0xD7A3, "ko"),
    (0xFB50, 0xFDFF, "arabic"),
)
# Letters that only one of the languages of a script has.
_MARKS = {
    "arabic": (
        ("ur", "\u0679\u0688\u0691\u06ba\u06be\u06d2"),
        ("fa", "\u067e\u0686\u0698\u06af\u06cc\u06a9"),
    ),
    "cyrillic": (
        ("uk", "\u0457\u0454\u0491\u0456"),
        ("be", "\u045e"),
        ("sr", "\u0452\u045b\u0459\u045a\u0458"),
    ),
}
_BY_WORD: dict[str, list[str]] = {}
for _code, _words in COMMON_WORDS.items():
    for _word in _words:
        _BY_WORD.setdefault(_word, []).append(_code)


def guess_language(text: str) -> str | None:
    """The ISO 639-1 code of the language most of the text is in; None where the words do not tell."""
    sample = text[:SAMPLE].lower()
    if sample.isascii():
        return _by_words(sample)
    letters = {char: count for char, count in Counter(sample).items() if char.isalpha()}
    total = sum(letters.values())
    scripts: Counter[str] = Counter()
    for char, count in letters.items():
        scripts[_script(ord(char))] += count
    if scripts["ja"] > total / 20:  # kana among Chinese signs
        return "ja"
    script, count = scripts.most_common(1)[0] if total >= 10 else ("", 0)
    if count < total / 3 or not script:
        return None
    if script in _MARKS:
        marked = _by_marks(letters, script, total)
        return marked or ("ar" if script == "arabic" else _by_words(sample))
    return _by_words(sample) if script == "latin" else script


def _script(code: int) -> str:
    return next((name for first, last, name in _SCRIPTS if first <= code <= last), "latin")


def _by_marks(letters: dict[str, int], script: str, total: int) -> str | None:
    for language, marks in _MARKS[script]:
        if sum(letters.get(mark, 0) for mark in marks) > total / 100:
            return language
    return None


def _by_words(sample: str) -> str | None:
    """By the share of each language's commonest words, with a clear lead over the next."""
    tokens = _TOKEN.findall(sample)
    hits: Counter[str] = Counter()
    for token in tokens:
        hits.update(_BY_WORD.get(token, ()))
    if not hits:
        return None
    ranked = hits.most_common(2)
    first = ranked[0][1]
    second = ranked[1][1] if len(ranked) > 1 else 0
    sure = first >= 3 and first >= len(tokens) * 0.12 and first >= second * 1.15
    return ranked[0][0] if sure else None

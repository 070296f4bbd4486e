"""Text made regular before the lexicon sees it: Unicode NFC, and the spacing its language is written with.

Nothing is ever transliterated, translated or respelt: only white space, invisible characters and the
form in which one and the same letter is encoded change. Doing it twice changes nothing more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import regex

from transcription.languages import CJK, base_of, language_code
from transcription.words import Segment, Transcript, tidied

NARROW: Final = "\u202f"  # narrow no-break space
NO_BREAK: Final = "\u00a0"

# NUL and half surrogates cannot be stored; embeddings and overrides (202A-202E, 2066-2069) can turn the
# page around them; FEFF and soft hyphens are residue. Joiners (ZWJ, ZWNJ) and LRM/RLM are part of words.
_INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_AROUND_LINES: Final = re.compile(r"[^\S\n]*\n[^\S\n]*")
_SPACES: Final = re.compile(r"[^\S\n]+")
_PARAGRAPHS: Final = re.compile(r"\n{3,}")

# A mark with a space before it and nothing after it: "word , word" but not ":)" or ".NET" or "...".
_BEFORE_MARK: Final = re.compile(r"(?<=\S) (?=[,.;:!?\u2026]+(?:\s|$))")
_BEFORE_ELLIPSIS: Final = re.compile(r"\.{2}")
_BEFORE_CLOSING: Final = re.compile(r"(?<=\S) (?=[)\]}\u201d\u2019](?:[\s,.;:!?]|$))")
_AFTER_OPENING: Final = re.compile(r"((?:^|\s)[(\[{\u201c\u2018]) (?=\S)")
_ARABIC_MARK: Final = re.compile("(?<=\\S) (?=[\u060c\u061b\u061f\u06d4])")
_DANDA: Final = re.compile("(?<=\\S) (?=[\u0964\u0965])")
_SPANISH: Final = re.compile("([\u00bf\u00a1]) (?=\\S)")

_CJK_LETTER: Final = r"\p{Han}\p{Hiragana}\p{Katakana}\u3005-\u3007\u30fc"
_CJK_MARK: Final = (
    r"\u3001-\u3003\u3008-\u301f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\u30fb"
)
_CJK_SPACE: Final = regex.compile(
    rf"(?<=[{_CJK_LETTER}{_CJK_MARK}]) (?=[{_CJK_LETTER}{_CJK_MARK}])"
    rf"|(?<=[{_CJK_MARK}]) (?=\S)|(?<=\S) (?=[{_CJK_MARK}])"
)

_GROUPS: Final = re.compile(r"(?<![\d.,])(\d{1,3}(?: \d{3})+)(?![\d])")
_FR_HIGH: Final = re.compile(r"(?<=[^\W_\d])(?=[;!?]+(?:\s|$|»))|(?<=\S) (?=[;!?]+(?:\s|$|»))")
_FR_COLON: Final = re.compile(r"(?<=[^\W_\d])(?=:(?:\s|$))|(?<=\S) (?=:(?:\s|$))")
_FR_OPEN: Final = re.compile("\u00ab ?(?=\\S)")
_FR_CLOSE: Final = re.compile("(?<=\\S) ?\u00bb")
_FR_UNIT: Final = re.compile(r"(?<=\d) (?=[%€$£°])")


def has_invisible(text: str) -> bool:
    """Whether there is anything in the text that `clean` takes out."""
    return _INVISIBLE.search(text) is not None


def clean(text: str) -> str:
    """NFC without what cannot be stored or seen; lines end in a plain newline."""
    text = _LINE_ENDS.sub("\n", text)
    return unicodedata.normalize("NFC", _INVISIBLE.sub("", text))


def spaced(text: str, language: str | None) -> str:
    """White space as the language has it. An unknown language only loses doubled spaces."""
    text = _AROUND_LINES.sub("\n", _SPACES.sub(" ", text)).strip()
    text = _PARAGRAPHS.sub("\n\n", text)
    rules = _RULES.get(language_code(language) or "") or _RULES.get(base_of(language))
    if rules is None:
        rules = _by_default if base_of(language) else None
    return rules(text) if rules else text


def normalised_text(text: str, language: str | None) -> str:
    """One text, cleaned and spaced."""
    return spaced(clean(text), language)


def normalised(transcript: Transcript) -> Transcript:
    """The whole transcript: text, segments and words alike, times in order, language by its code.

    Segments and words in which nothing is left are dropped.
    """
    transcript = tidied(transcript)
    language = language_code(transcript.language)
    segments = []
    for segment in transcript.segments:
        text = normalised_text(segment.text, language)
        if text:
            speaker = _SPACES.sub(" ", clean(segment.speaker or "").replace("\n", " ")).strip()
            segments.append(_changed(segment, text, speaker or None))
    words = []
    for word in transcript.words:
        text = word.word if word.word.isascii() and word.word.isalnum() else ""
        text = text or normalised_text(word.word, language).replace("\n", " ")
        if text:
            words.append(word if text == word.word else replace(word, word=text))
    return replace(
        transcript,
        text=normalised_text(transcript.text, language),
        language=language,
        segments=tuple(segments),
        words=tuple(words),
    )


def _changed(segment: Segment, text: str, speaker: str | None) -> Segment:
    if text == segment.text and speaker == segment.speaker:
        return segment
    return replace(segment, text=text, speaker=speaker)


def _by_default(text: str) -> str:
    text = _BEFORE_MARK.sub(lambda m: " " if _is_ellipsis(text, m.end()) else "", text)
    text = _BEFORE_CLOSING.sub("", text)
    return _AFTER_OPENING.sub(r"\1", text)


def _is_ellipsis(text: str, at: int) -> bool:
    """Three dots may stand apart from the word before them: what they leave out is not known."""
    return text[at] == "\u2026" or _BEFORE_ELLIPSIS.match(text, at) is not None


def _cjk(text: str) -> str:
    return str(_CJK_SPACE.sub("", text))


def _french(text: str) -> str:
    """Narrow space before ; ! ? and a full one before the colon and inside the quotation marks."""
    text = _GROUPS.sub(lambda m: m[1].replace(" ", NARROW), text)
    text = _FR_HIGH.sub(NARROW, text)
    return _french_common(text)


def _canadian_french(text: str) -> str:
    text = re.sub(r"(?<=\S) (?=[;!?]+(?:\s|$))", "", text)
    return _french_common(_GROUPS.sub(lambda m: m[1].replace(" ", NO_BREAK), text))


def _french_common(text: str) -> str:
    text = _FR_COLON.sub(NO_BREAK, text)
    text = _FR_OPEN.sub(f"\u00ab{NO_BREAK}", text)
    text = _FR_CLOSE.sub(f"{NO_BREAK}\u00bb", text)
    text = _FR_UNIT.sub(NO_BREAK, text)
    return re.sub(r"(?<=\S) (?=[,.](?:\s|$))", "", text)


def _spanish(text: str) -> str:
    return _SPANISH.sub(r"\1", _by_default(text))


def _arabic(text: str) -> str:
    return _ARABIC_MARK.sub("", _by_default(text))


def _indic(text: str) -> str:
    return _DANDA.sub("", _by_default(text))


def _as_is(text: str) -> str:
    """Thai, Lao, Khmer and Burmese put a space between phrases: there it is punctuation."""
    return text


_RULES: Final[dict[str, Callable[[str], str]]] = {
    **dict.fromkeys(sorted(CJK), _cjk),
    **dict.fromkeys(("th", "lo", "km", "my", "bo"), _as_is),
    **dict.fromkeys(("es", "gl", "ast"), _spanish),
    **dict.fromkeys(("ar", "fa", "ur", "ps", "sd"), _arabic),
    **dict.fromkeys(("hi", "mr", "ne", "bn", "as", "pa", "sa"), _indic),
    "fr": _french,
    "fr-CA": _canadian_french,
}

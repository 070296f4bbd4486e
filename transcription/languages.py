"""Languages as providers name them, and what the house must know of each: how it is written.

Whisper says "english", Deepgram "en-US", AWS "cmn-Hans-CN". One short code is kept ("en", "zh"), with
the region only where it changes the writing ("fr-CA").
"""

from __future__ import annotations

from typing import Final

_NAMES: Final = """
af afrikaans|am amharic|ar arabic|as assamese|az azerbaijani|ba bashkir|be belarusian
bg bulgarian|bn bengali|bo tibetan|br breton|bs bosnian|ca catalan valencian|cs czech|cy welsh
da danish|de german|el greek|en english|es spanish castilian|et estonian|eu basque
fa persian farsi|fi finnish|fo faroese|fr french|ga irish|gd gaelic|gl galician|gu gujarati
ha hausa|haw hawaiian|he hebrew|hi hindi|hr croatian|ht haitian|hu hungarian|hy armenian
id indonesian|is icelandic|it italian|ja japanese|jw javanese|ka georgian|kk kazakh|km khmer
kn kannada|ko korean|la latin|lb luxembourgish letzeburgesch|ln lingala|lo lao|lt lithuanian
lv latvian|mg malagasy|mi maori|mk macedonian|ml malayalam|mn mongolian|mr marathi|ms malay
mt maltese|my myanmar burmese|ne nepali|nl dutch flemish|nn nynorsk|no norwegian|oc occitan
pa punjabi panjabi|pl polish|ps pashto pushto|pt portuguese|ro romanian moldavian moldovan
ru russian|sa sanskrit|sd sindhi|si sinhala sinhalese|sk slovak|sl slovenian|sn shona|so somali
sq albanian|sr serbian|su sundanese|sv swedish|sw swahili|ta tamil|te telugu|tg tajik|th thai
tk turkmen|tl tagalog filipino|tr turkish|tt tatar|uk ukrainian|ur urdu|uz uzbek|vi vietnamese
yi yiddish|yo yoruba|yue cantonese|zh chinese mandarin|zu zulu
"""
CODES: Final[dict[str, str]] = {
    name: line.split()[0]
    for line in _NAMES.strip().replace("\n", "|").split("|")
    for name in line.split()
}
# Codes that say the same: ISO 639-2/3, old ISO codes, and AWS's name for Mandarin.
_ALIASES: Final = {
    "ara": "ar",
    "ces": "cs",
    "cmn": "zh",
    "deu": "de",
    "eng": "en",
    "fil": "tl",
    "fra": "fr",
    "in": "id",
    "ita": "it",
    "iw": "he",
    "jpn": "ja",
    "jv": "jw",
    "kor": "ko",
    "nb": "no",
    "nld": "nl",
    "pol": "pl",
    "por": "pt",
    "rus": "ru",
    "spa": "es",
    "tur": "tr",
    "ukr": "uk",
    "zho": "zh",
}
# Regions whose spacing differs from the language at large.
_REGIONS: Final = {("fr", "ca"): "fr-CA"}

WITHOUT_SPACES: Final = frozenset({"ja", "zh", "yue", "th", "lo", "km", "my", "bo"})
CJK: Final = frozenset({"ja", "zh", "yue"})
TURKIC_I: Final = frozenset({"tr", "az"})  # I and İ are two letters: their small forms are ı and i

# Scripts by language, as Unicode names them. Unlisted languages are written in Latin letters.
SCRIPTS: Final[dict[str, tuple[str, ...]]] = {
    **dict.fromkeys(("ar", "fa", "ps", "sd", "ur"), ("Arabic",)),
    **dict.fromkeys(("be", "bg", "ba", "kk", "mk", "mn", "ru", "tg", "tt", "uk"), ("Cyrillic",)),
    **dict.fromkeys(("hi", "mr", "ne", "sa"), ("Devanagari",)),
    **dict.fromkeys(("zh", "yue"), ("Han",)),
    **dict.fromkeys(("he", "yi"), ("Hebrew",)),
    **dict.fromkeys(("as", "bn"), ("Bengali",)),
    "am": ("Ethiopic",),
    "bo": ("Tibetan",),
    "el": ("Greek",),
    "gu": ("Gujarati",),
    "hy": ("Armenian",),
    "ja": ("Han", "Hiragana", "Katakana"),
    "ka": ("Georgian",),
    "km": ("Khmer",),
    "kn": ("Kannada",),
    "ko": ("Hangul", "Han"),
    "lo": ("Lao",),
    "ml": ("Malayalam",),
    "my": ("Myanmar",),
    "pa": ("Gurmukhi", "Arabic"),
    "si": ("Sinhala",),
    "sr": ("Cyrillic", "Latin"),
    "ta": ("Tamil",),
    "te": ("Telugu",),
    "th": ("Thai",),
    "uz": ("Latin", "Cyrillic"),
}


def language_code(value: str | None) -> str | None:
    """The house's code for whatever a provider or a person called the language; None if unknown.

    >>> language_code("English"), language_code("pt_BR"), language_code("cmn-Hans-CN")
    ('en', 'pt', 'zh')
    """
    parts = (value or "").strip().lower().replace("_", "-").split("-")
    base = CODES.get(parts[0]) or _ALIASES.get(parts[0])
    if base is None:
        return None
    return _REGIONS.get((base, parts[-1]), base)


def base_of(language: str | None) -> str:
    """The language without its region: "fr" of "fr-CA"; "" where it is not known."""
    return (language_code(language) or "").split("-")[0]


def scripts_of(language: str | None) -> tuple[str, ...]:
    """The scripts this language is written in; none where the language is not known."""
    base = base_of(language)
    return SCRIPTS.get(base, ("Latin",)) if base else ()

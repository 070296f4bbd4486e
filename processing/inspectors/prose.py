"""What can be told of a text by looking at its words: how many there are, and in which language."""

from __future__ import annotations

import re
import string
from collections import Counter

_PUNCTUATION = string.punctuation.encode()
# UTF-8 begins a character from U+3000 on with one of these bytes.
_NOT_EAST_ASIAN = bytes(sorted(set(range(256)) - set(range(0xE3, 0xF5))))
_SCRIPTS_WITHOUT_SPACES = "\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
_SIGN = re.compile(f"[{_SCRIPTS_WITHOUT_SPACES}]")
_WORD = re.compile(r"\w+(?:['\u2019.,-]\w+)*")


def word_count(text: str) -> int:
    """Words between spaces; each sign of Chinese and each kana counts as one, as word processors count."""
    raw = text.encode("utf-8", "ignore").translate(None, _PUNCTUATION)
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
_PERSIAN, _URDU = re.compile(r"[\u067e\u0686\u0698\u06af\u06cc\u06a9]"), re.compile(r"[\u0679\u0688\u0691\u06ba\u06be\u06d2]")
_CYRILLIC = re.compile(r"[\u0400-\u04ff]")
_CYRILLIC_MARKS = (
    ("uk", re.compile(r"[їєґЇЄҐ]|\bі\b")),
    ("be", re.compile(r"[ўЎ]")),
    ("sr", re.compile(r"[ђћљњјЂЋЉЊЈ]")),
)

_COMMON = {
    "en": "the of and to in is that it for was on are as with his they at be this have from or had by not but what"
    " all were we when your can said there which their will would has been",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er"
    " hat dass sie nach wird bei einer um am sind noch wie einem über ich wir aber",
    "fr": "de la le et les des en un du une que est pour qui dans par plus pas au sur ne se ce il sont avec son aux"
    " ou mais nous cette leur été être ont même elle je vous",
    "es": "de la que el en y a los del se las por un para con no una su al lo como más pero sus le ya o este sí porque"
    " esta entre cuando muy sin sobre también hasta hay donde",
    "it": "di e il la che in a per un del con non una le si da i dei al come è della nel più ma anche alla sono gli"
    " questo ha lo nella delle ho perché essere stato",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao ele das seu sua ou quando"
    " muito nos já eu também só pelo pela até isso são você",
    "nl": "de van het een en in is dat op te zijn met voor niet aan er om ook als dan maar bij of uit nog naar door"
    " over ze wordt deze hij heeft werd wel zo kan ik geen",
    "sv": "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan man"
    " när nu år hade där eller också efter skulle än",
    "da": "og i at det er en til på som af for med den de har ikke et om var han fra jeg der sig også kan men vi så"
    " mig hvad efter være meget nogle blev",
    "no": "og i det på som er en til å av for at med har de ikke den om et var han fra jeg seg også kan men vi så meg"
    " hva etter være mye noen ble",
    "fi": "ja on ei se että oli hän en mutta niin kun ovat joka myös kuin tai jos mitä ole vain nyt tämä minä sen sitä"
    " ollut mukaan sekä kanssa jo olen",
    "pl": "w i na z się nie do to że jest o jak od a po za ale przez co czy był są dla tego tak już jego być może ze"
    " ma które który tylko oraz jej",
    "cs": "a v se na je že to s z do o i jako za by ale pro si jsou ve při od jeho který nebo které jak po byl bylo"
    " podle také tak jsem když už její",
    "ro": "de în și a la cu pe nu care din că o se un este mai pentru sunt ce fi au prin sau lui ca după fost dar al ale"
    " această acest între când",
    "hu": "a az és hogy nem is egy van ez de azt volt el meg csak már még ha mint vagy ki minden lehet nagy pedig ezt"
    " kell után szerint között lesz",
    "tr": "ve bir bu da de için ile çok olarak daha gibi en ne kadar ama sonra olan var o mi ya her değil diye ben şey"
    " olduğu ise biz oldu",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga ke saya ada adalah oleh karena atau kita"
    " mereka telah bisa lebih kepada",
    "vi": "và của là có được cho một không các trong người với những này khi đã để tôi đến từ cũng như về nhiều ra",
    "hr": "i je u se da na su za od s kao ne što o bi to ili koji iz po ali bio koje sam nije samo kako jer biti",
    "ca": "de la que el i en a els per un amb no una les del és al com més es són ha seva també però aquest dels"
    " va ser",
    "ru": "и в не на что я с он как это по но они к у из за то мы от был для вы его так же было бы еще все о если"
    " только или когда уже быть",
    "bg": "и на да в се за от не са с по че е ще това като си към те той при но ги или бе го има само след му беше"
    " които",
}
_COMMON_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}
_BY_WORD: dict[str, list[str]] = {}
for _code, _words in _COMMON_WORDS.items():
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

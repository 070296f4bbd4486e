"""When a person should look at a transcript: what was repeated, invented in silence, or heard in no language.

Recognisers write fluent nonsense where there is nothing to hear. Each check is a number against a threshold;
none needs a model or a network. The thresholds were set on the labelled samples in the tests, which state
how many of the bad ones are caught and how many of the good ones are called out wrongly.
"""

from __future__ import annotations

import re
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import regex

from transcription.languages import WITHOUT_SPACES, base_of, scripts_of
from transcription.scripts import is_bare, words_of
from transcription.words import Segment, Transcript, Word

Silence = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Where each score begins to be a reason."""

    repeats_of_one: int = 7  # "no no no no no" is said by people
    repeats_of_two: int = 5
    repeats: int = 4  # of three words and more; a chorus of three comes and goes with its verses
    repeats_of_letters: int = 10  # in scripts without spaces, where laughter is written out
    compression: float = 3.0  # of 600 letters; speech has 1.3 to 2.1, a song with its chorus 2.6
    in_silence: float = 0.2  # of the words, three at least
    no_speech: float = 0.3  # of the segments
    no_speech_probability: float = 0.6
    no_speech_confidence: float = (
        0.37  # exp(-1), the mean log probability below which Whisper gives up
    )
    invented: float = 0.5  # of the words
    letters_per_second: float = 33.0  # auctioneers reach 30; scripts without spaces count double
    foreign: float = 0.5  # of the letters, in scripts the language is not written in
    other_language: float = 0.12  # by which another language's small words outnumber its own
    doubt: float = 0.55  # 1 - confidence


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a person should look: `score` has reached `threshold`. Times name the place where there is one."""

    code: str
    message: str
    score: float
    threshold: float
    start: float | None = None
    end: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "code": self.code,
            "message": self.message,
            "score": round(self.score, 3),
            "threshold": self.threshold,
            "start": self.start,
            "end": self.end,
        }


def reasons(
    transcript: Transcript,
    *,
    silences: Sequence[Silence] = (),
    no_speech: Sequence[float | None] = (),
    language: str | None = None,
    thresholds: Thresholds | None = None,
) -> list[Reason]:
    """All reasons to look at a transcript, none for an empty one.

    `silences` is the silence map of the recording, `no_speech` what Whisper gives for each segment, and
    `language` the one that was asked for.
    """
    if not transcript.text.strip():
        return []
    limits = thresholds or Thresholds()
    silences = sorted(span for span in silences if span[1] > span[0])
    found = (
        _repetition(transcript, limits),
        _compression(transcript.text, limits),
        _in_silence(transcript, silences, limits),
        _no_speech(transcript.segments, no_speech, limits),
        _invented(transcript, silences, limits),
        _too_fast(transcript, silences, limits),
        _language(transcript, language, limits),
        _doubt(transcript, limits),
    )
    return [reason for reason in found if reason is not None]


def _repetition(transcript: Transcript, limits: Thresholds) -> Reason | None:
    """The longest stretch in which the same words come again and again without a break."""
    words = words_of(transcript.text)
    best: tuple[float, int, int, int] | None = None  # share of its limit, words, repeats, where
    for size in range(1, 13):
        for start, repeats in _periods(words, size):
            limit = _repeat_limit(words[start], size, limits)
            if repeats >= limit and (best is None or repeats / limit > best[0]):
                best = (repeats / limit, size, repeats, start)
    if best is None:
        return _same_segments(transcript.segments, limits)
    _, size, repeats, start = best
    said = " ".join(words[start : start + size])
    limit = _repeat_limit(words[start], size, limits)
    return Reason("repetition", f"“{said}” is repeated {repeats} times.", repeats, limit)


def _repeat_limit(word: str, size: int, limits: Thresholds) -> int:
    if is_bare(word[0]) and size <= 3:
        return max(limits.repeats, limits.repeats_of_letters - 2 * (size - 1))
    return {1: limits.repeats_of_one, 2: limits.repeats_of_two}.get(size, limits.repeats)


def _periods(words: Sequence[str], size: int) -> list[tuple[int, int]]:
    """(where, how often) for every stretch in which a run of this many words is said twice or more."""
    found = []
    run = 0
    for at in range(len(words) - size + 1):
        if at + size < len(words) and words[at] == words[at + size]:
            run += 1
            continue
        if run >= size:
            found.append((at - run, run // size + 1))
        run = 0
    return found


def _same_segments(segments: Sequence[Segment], limits: Thresholds) -> Reason | None:
    """Longer sentences that come again: words of more than a dozen are not looked at above."""
    run, begun = 1, 0
    for at in range(1, len(segments) + 1):
        if at < len(segments) and segments[at].text == segments[at - 1].text:
            run += 1
            continue
        if run >= limits.repeats:
            first, last = segments[begun], segments[at - 1]
            message = f"“{first.text[:60]}” is repeated {run} times."
            return Reason("repetition", message, run, limits.repeats, first.start, last.end)
        run, begun = 1, at
    return None


_WINDOW: Final = 600


def _compression(text: str, limits: Thresholds) -> Reason | None:
    """How small the densest 600 letters can be packed: loops of any kind pack well."""
    text = " ".join(text.casefold().split())
    starts = range(0, max(1, len(text) - _WINDOW // 2), _WINDOW // 2)
    score = max(_ratio(text[start : start + _WINDOW]) for start in starts)
    if score < limits.compression:
        return None
    return Reason(
        "compression", "A part of the text is very monotonous.", score, limits.compression
    )


def _ratio(text: str) -> float:
    """Letters by compressed bytes, each letter one byte in every script, so that all compare."""
    letters = {char: at for at, char in enumerate(dict.fromkeys(text))}
    if len(text) < 100 or len(letters) > 256:
        return 0.0
    packed = zlib.compress(bytes(letters[char] for char in text), 9)
    return len(text) / len(packed)


def _silent_share(start: float, end: float, silences: Sequence[Silence]) -> float:
    """How much of this stretch lies in silence."""
    if end <= start:
        end = start + 0.001
    at = max(0, bisect_right(silences, (start,)) - 1)
    silent = 0.0
    while at < len(silences) and silences[at][0] < end:
        silent += max(0.0, min(end, silences[at][1]) - max(start, silences[at][0]))
        at += 1
    return silent / (end - start)


def _in_silence(
    transcript: Transcript, silences: Sequence[Silence], limits: Thresholds
) -> Reason | None:
    """Words where the recording holds no sound."""
    if not silences:
        return None
    items = transcript.words or transcript.segments
    silent = [item for item in items if _silent_share(item.start, item.end, silences) >= 0.8]
    counted, total = _spoken(silent), _spoken(items)
    score = counted / total if total else 0.0
    if score < limits.in_silence or counted < 3:
        return None
    message = f"{counted} of {total} words lie where the recording is silent."
    return Reason(
        "speech_in_silence", message, score, limits.in_silence, silent[0].start, silent[-1].end
    )


def _spoken(items: Sequence[Word | Segment]) -> int:
    """How many words these are."""
    return sum(len(words_of(item.text)) if isinstance(item, Segment) else 1 for item in items)


def _no_speech(
    segments: Sequence[Segment], probabilities: Sequence[float | None], limits: Thresholds
) -> Reason | None:
    """Segments of which the recogniser itself thinks that nobody speaks."""
    doubted = [
        segment
        for segment, probability in zip(segments, probabilities, strict=False)
        if probability is not None
        and probability > limits.no_speech_probability
        and (probability > 0.9 or (segment.confidence or 0.0) < limits.no_speech_confidence)
    ]
    score = len(doubted) / len(segments) if segments else 0.0
    if not doubted or score < limits.no_speech:
        return None
    message = f"In {len(doubted)} of {len(segments)} segments the recogniser heard no speech."
    return Reason("no_speech", message, score, limits.no_speech, doubted[0].start, doubted[-1].end)


# What recognisers trained on subtitles are known to write where nothing is said.
_PHRASES: Final = """
thank you for watching|thanks for watching|thank you so much for watching|thank you very much for watching
please subscribe|please subscribe to my channel|like and subscribe|dont forget to subscribe
subtitles by the amaraorg community|subtitles by|transcription by castingwords|see you in the next video
ill see you in the next video|bye bye|you
untertitel der amaraorg community|untertitel im auftrag des zdf für funk 2017|untertitelung des zdf 2020
vielen dank fürs zuschauen|copyright wdr 2021|untertitelung aufgrund der amaraorg community
soustitres réalisés par la communauté damaraorg|soustitres réalisés para la communauté damaraorg
merci davoir regardé cette vidéo|sous titrage st 501|soustitrage radiocanada
subtítulos realizados por la comunidad de amaraorg|gracias por ver el video|suscríbete al canal
sottotitoli creati dalla comunità amaraorg|sottotitoli e revisione a cura di qtss|grazie per la visione
legendas pela comunidade amaraorg|obrigado por assistir|ondertiteld door de amaraorg gemeenschap
продолжение следует|субтитры сделал dimatorzok|субтитры создавал dimatorzok|спасибо за просмотр
дякую за перегляд|napisy stworzone przez społeczność amaraorg|dziękuję za oglądanie
altyazı mk|izlediğiniz için teşekkür ederim|ترجمة نانسي قنقر|اشتركوا في القناة
ご視聴ありがとうございました|最後までご視聴いただきありがとうございます|チャンネル登録お願いします
请不吝点赞 订阅 转发 打赏支持明镜与点点栏目|字幕由amaraorg社区提供|谢谢观看|感谢观看|優優獨播劇場
시청해주셔서 감사합니다|구독과 좋아요 부탁드립니다|다음 영상에서 만나요
"""
_KNOWN: Final = frozenset(
    "".join(words_of(phrase))
    for line in _PHRASES.strip().splitlines()
    for phrase in line.split("|")
)
_SENTENCES: Final = re.compile(
    r"[.!?\u3002\uff01\uff1f\u061f\u0964]+(?:\s+|$|(?<=[\u3002\uff01\uff1f]))"
)


def _invented(
    transcript: Transcript, silences: Sequence[Silence], limits: Thresholds
) -> Reason | None:
    """Sentences that recognisers are known to invent: most of the text, or any where it is silent."""
    sentences = [
        part for part in _SENTENCES.split(transcript.text.replace("\n", ". ")) if part.strip()
    ]
    known = [part for part in sentences if "".join(words_of(part)) in _KNOWN]
    total = sum(len(words_of(part)) for part in sentences)
    score = sum(len(words_of(part)) for part in known) / total if total else 0.0
    where = next(
        (
            segment
            for segment in transcript.segments
            if "".join(words_of(segment.text)) in _KNOWN
            and _silent_share(segment.start, segment.end, silences) >= 0.5
        ),
        None,
    )
    if where is not None:
        message = f"“{where.text[:60]}” stands where the recording is silent."
        return Reason("invented", message, 1.0, limits.invented, where.start, where.end)
    if score < limits.invented:
        return None
    message = f"“{known[0].strip()[:60]}” is what recognisers write when nothing is said."
    return Reason("invented", message, score, limits.invented)


def _too_fast(
    transcript: Transcript, silences: Sequence[Silence], limits: Thresholds
) -> Reason | None:
    """More letters than anybody can say in the time there was."""
    items = transcript.segments or transcript.words
    lasts = (
        transcript.duration
        if transcript.duration is not None
        else (items[-1].end if items else None)
    )
    letters = sum(2 if is_bare(char) else 1 for char in transcript.text if char.isalnum())
    if lasts is None or letters < 20:
        return None
    loud = lasts - sum(min(end, lasts) - min(start, lasts) for start, end in silences)
    score = letters / max(loud, 0.5)
    if score < limits.letters_per_second:
        return None
    message = f"{score:.0f} letters a second are more than anybody can say."
    return Reason("too_fast", message, score, limits.letters_per_second)


# The commonest small words, for languages that share the Latin or the Cyrillic script.
_SMALL_WORDS: Final[dict[str, frozenset[str]]] = {
    language: frozenset(words.split())
    for language, words in {
        "cs": "a se na je že to v s z do o ale jak tak jsem jsme by byl co jako když už jen",
        "da": "og det at er jeg på ikke en til af den som de med har for vi et men så var dig mig",
        "de": "und die der das ist nicht ich es zu ein in den sie wir mit auf auch dass eine wie aber von",
        "en": "the and to of a in that is it you i we was for this on with are have not but they what be",
        "es": "que de la el y en los se no un por las una con para es lo como más pero muy esto hay yo",
        "fi": "ja on ei se että niin mutta oli kun hän minä ovat myös tämä sitä nyt olen me ne joka",
        "fr": "et de la le les des que un une est pas en je vous il pour ne nous dans ce qui on cest mais",
        "hu": "a az és hogy nem is ez egy van de meg már csak mint ha vagy volt azt én mi",
        "id": "yang dan di itu ini dengan untuk tidak saya ada kita dari ke akan bisa kami juga sudah",
        "it": "che di e la il non è per un una in sono con si ma le come mi più questo ho anche del della",
        "nl": "de het een en van ik je dat is niet in op te we zijn met voor maar er ook wat hebben naar",
        "no": "og det er jeg på ikke en til av den som de med har for vi et men så var meg deg",
        "pl": "i w nie na się że to jest z do jak co ale o tak tego po jestem są był już tylko mnie",
        "pt": "que de o a e não um uma é para com os em se do da por mas como eu você isso muito na no",
        "ro": "și de a la în nu că este cu o un pe mai să am ce din pentru dar care sunt eu",
        "ru": "и в не на что я с он как это а то по но мы они у вы так за все от же был",
        "sv": "och det att är jag på inte en till av den som de med har för vi ett men så var mig dig",
        "tr": "ve bir bu da de için çok ne ben gibi ama var daha o değil olarak kadar sonra mi şey",
        "uk": "і в не на що я з він як це а то по але ми вони у ви так за все від та бо є",
        "vi": "và là của có không được một này tôi các cho với người đã trong những để thì mà",
    }.items()
}
_NEEDS_WORDS: Final = 20


def _language(transcript: Transcript, wished: str | None, limits: Thresholds) -> Reason | None:
    """Signs that this is another language than the one asked for, or the one that was detected."""
    detected = base_of(transcript.language)
    language = base_of(wished) or detected
    if not language:
        return None
    score = _foreign_share(transcript.text, language)
    if score >= limits.foreign:
        message = f"{score:.0%} of the letters are not those that “{language}” is written with."
        return Reason("language", message, score, limits.foreign)
    other, score = _other_language(transcript.text, language)
    if other and score >= limits.other_language:
        message = f"By its small words this is rather “{other}” than “{language}”."
        return Reason("language", message, score, limits.other_language)
    if detected and detected != language:
        return Reason("language", f"“{language}” was asked for, “{detected}” was heard.", 1.0, 1.0)
    return None


def _foreign_share(text: str, language: str) -> float:
    """The share of letters foreign to the language; one of a bare script stands for two of others."""
    letters = regex.findall(r"\p{L}", text)
    if len(letters) < 10:
        return 0.0
    own = regex.compile("[" + "".join(rf"\p{{{script}}}" for script in scripts_of(language)) + "]")
    weights = {char: 2 if is_bare(char) else 1 for char in set(letters)}
    foreign = {char for char in weights if not own.match(char)}
    total = sum(weights[char] for char in letters)
    return sum(weights[char] for char in letters if char in foreign) / total


def _other_language(text: str, language: str) -> tuple[str, float]:
    """The language whose small words are there most, and by how much more than those of this one."""
    words = words_of(text)
    own = _SMALL_WORDS.get(language)
    if own is None or len(words) < _NEEDS_WORDS or language in WITHOUT_SPACES:
        return "", 0.0
    shares = {
        name: sum(word in known for word in words) / len(words)
        for name, known in _SMALL_WORDS.items()
    }
    best = max(shares, key=lambda name: shares[name])
    return (best, shares[best] - shares[language]) if best != language else ("", 0.0)


def _doubt(transcript: Transcript, limits: Thresholds) -> Reason | None:
    if transcript.confidence is None or 1 - transcript.confidence < limits.doubt:
        return None
    message = f"The recogniser's own confidence is {transcript.confidence:.0%}."
    return Reason("low_confidence", message, 1 - transcript.confidence, limits.doubt)

"""Transcripts with a label: what a person should look at, and what is simply so.

Written for these tests after what recognisers do: loops, invented thanks, speech in silence, the wrong
language; and after what people do: count, laugh, sing, say no five times, thank for watching.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transcription.words import Segment, Transcript, Word


@dataclass(frozen=True)
class Sample:
    """A transcript, what is known about its recording, and the reason a person should look, "
    "if any."""

    name: str
    transcript: Transcript
    expected: str | None = None
    known: dict[str, Any] = field(default_factory=dict)


def spoken(
    text: str,
    language: str | None = "en",
    *,
    pace: float = 13,
    confidence: float | None = 0.85,
    start: float = 0,
) -> Transcript:
    """The text said at a pace, in sentences, with a word's time for each word."""
    segments, words = [], []
    at = start
    for sentence in text.replace("\n", " \n").split("\n"):
        begin = at
        for word in sentence.split():
            lasts = (len(word) + 1) / pace
            words.append(Word(at, at + lasts, word, confidence))
            at += lasts
        segments.append(Segment(begin, at, None, " ".join(sentence.split()), confidence))
    return Transcript(
        " ".join(text.split()), language, at, tuple(segments), tuple(words), confidence
    )


ENGLISH = (
    "So the first thing I wanted to mention is that the delivery did not arrive on Thursday "
    "as they had promised us.\n"
    "I called them twice, and the second time somebody told me that the driver had been sent "
    "to the old warehouse.\n"
    "We should really update that address before the next order goes out, otherwise it will "
    "happen again."
)
GERMAN = (
    "Guten Tag, ich rufe an, weil die Lieferung am Donnerstag nicht angekommen ist, obwohl "
    "sie versprochen war.\n"
    "Ich habe zweimal angerufen, und beim zweiten Mal sagte man mir, dass der Fahrer zum "
    "alten Lager gefahren ist."
)
FRENCH = (
    "Bonjour, je vous appelle parce que la livraison n'est pas arrivée jeudi comme vous nous "
    "l'aviez promis.\n"
    "J'ai appelé deux fois et on m'a dit que le chauffeur était allé à l'ancien entrepôt, ce "
    "qui est dommage."
)
SPANISH = (
    "Hola, llamo porque el pedido no llegó el jueves como nos habían prometido, y la verdad "
    "es que lo necesitamos.\n"
    "Me dijeron que el conductor se fue al almacén antiguo, así que hay que cambiar la "
    "dirección para la próxima."
)
RUSSIAN = (
    "Здравствуйте, я звоню, потому что доставка не приехала в четверг, как вы нам обещали на "
    "прошлой неделе.\n"
    "Мне сказали, что водитель уехал на старый склад, и это уже не первый раз, когда так "
    "получается у вас."
)
JAPANESE = (
    "お電話ありがとうございます。木曜日に届くはずだった荷物がまだ届いていません。"
    "住所が古い倉庫のままになっているようです。"
)
CHINESE = (
    "您好，我打电话是因为星期四的货还没有到。司机说他去了旧仓库，我们需要在下一次订单之前更新地址。"
)
THAI = "สวัสดีครับ ผมโทรมาเพราะของที่สั่งไว้วันพฤหัสยังไม่มาส่ง คนขับไปที่โกดังเก่าครับ"
ARABIC = (
    "مرحبا، أتصل بكم لأن الطلب لم يصل يوم الخميس كما وعدتم. قالوا لي إن السائق ذهب إلى "
    "المستودع القديم."
)
HINDI = "नमस्ते, मैं इसलिए फ़ोन कर रहा हूँ क्योंकि सामान गुरुवार को नहीं पहुँचा। ड्राइवर पुराने गोदाम चला गया था।"
ROUND = (
    "Rain, rain, fall on the hill, softly down the lane.\n"
    "Silently, silently, silently, silently, all is green again.\n"
) * 3
CHORUS = (
    "So carry me home, carry me, carry me home, over the water, carry me over the water home.\n"
)
SONG = (
    "My father had a little boat that never learned to swim, and every wave that came along "
    "was bigger than him.\n"
    f"{CHORUS}My mother kept a lantern lit for all the nights in May, and when the summer "
    "came around she gave it away.\n"
    f"{CHORUS}I left them with a borrowed coat and nothing in my hand, and found a house of "
    "driftwood on a different land.\n"
    f"{CHORUS}"
)
LOANS = (
    "Das Meeting zum Rollout ist im Office, bitte das Ticket updaten und ich melde mich mit "
    "dem Feedback zu den "
    "Slides, wenn die Deadline nicht schon vorbei ist."
)
COUNTING = (
    "One two three four five six seven eight nine ten eleven twelve, testing, one two, one "
    "two, one two."
)
SHOPPING = (
    "Two bags of flour, two bags of sugar, two bags of rice, two bags of salt, and two bags of tea."
)
POEM = (
    "Spider, spider, spinning late, in the corner of the gate; who has taught you, small and grey, "
    "how to catch the light of day?"
)
ALMOST_THE_SAME = " ".join(
    f"and the {who} was in the house" for who in ["cat", "dog", "man", "boy"] * 12
)
NOBODY_TOLD = (
    "And so the people of the village went down to the river to see what had happened there."
)
FOUR_TIMES = (
    "Right. Well then.\nI see, right. Well then.\nHm, right. Well then.\nSo, right. Well then."
)
TRANSLITERATED = "Zdravstvuyte, ya zvonyu potomu chto dostavka ne priekhala"
WATCHED = Segment(0, 20, None, "Thanks for watching!")
HALVES = (Segment(0, 10, None, ENGLISH[:110]), Segment(10, 30, None, ENGLISH[110:]))
ISLANDS = [(0.0, 4.1), (4.2, 8.3), (8.5, 12.4), (12.5, 20.4)]

HONEST = [
    Sample("nothing said", Transcript("", "en", 30.0), known={"silences": [(0, 30)]}),
    Sample("a message", spoken(ENGLISH)),
    Sample("said fast", spoken(ENGLISH, pace=24)),
    Sample(
        "with pauses between",
        spoken(ENGLISH),
        known={"silences": [(8.6, 8.7), (17.1, 17.2), (25.3, 40)]},
    ),
    Sample("asked for in English", spoken(ENGLISH), known={"language": "en-US"}),
    Sample("German", spoken(GERMAN, "de"), known={"language": "de"}),
    Sample("French", spoken(FRENCH, "fr"), known={"language": "fr-CA"}),
    Sample("Spanish", spoken(SPANISH, "es")),
    Sample("Russian", spoken(RUSSIAN, "ru")),
    Sample("Japanese", spoken(JAPANESE, "ja", pace=7)),
    Sample("Chinese", spoken(CHINESE, "zh", pace=5)),
    Sample("Thai", spoken(THAI, "th", pace=14)),
    Sample("Arabic", spoken(ARABIC, "ar")),
    Sample("Hindi", spoken(HINDI, "hi")),
    Sample("no language known", spoken(GERMAN, None)),
    Sample(
        "English names in Japanese",
        spoken("Dockerコンテナを使ってKubernetesにデプロイします。", "ja", pace=7),
    ),
    Sample("English loans in German", spoken(LOANS, "de")),
    Sample("no, five times", spoken("No, no, no, no, no, that is not what I meant.")),
    Sample("yes yes", spoken("Yes yes. Yes yes yes. I know, I know, I know.")),
    Sample("laughter", spoken("Hahaha ha ha ha ha, oh my, that was good.")),
    Sample("laughter in Japanese", spoken("ははははは、それは面白いですね。", "ja", pace=7)),
    Sample("a song", spoken(SONG)),
    Sample("counting", spoken(COUNTING)),
    Sample(
        "a number",
        spoken(
            "My number is zero one seven zero, three three three, zero zero four four, thank you."
        ),
    ),
    Sample(
        "spelt out", spoken("That is M as in Mike, A as in Alpha, R as in Romeo, K as in Kilo.")
    ),
    Sample("thanks at the end of a talk", spoken(ENGLISH + "\nThank you for watching.")),
    Sample("a list", spoken(SHOPPING)),
    Sample("a poem", spoken(POEM)),
    Sample("unsure but fair", spoken(ENGLISH, confidence=0.62)),
    Sample("no confidence given", spoken(ENGLISH, confidence=None)),
    Sample("one doubtful segment of many", spoken(ENGLISH), known={"no_speech": [0.1, 0.65, 0.2]}),
    Sample(
        "words that touch silence",
        spoken(ENGLISH),
        known={"silences": [(1.0, 1.3), (5.0, 5.4), (9, 9.2)]},
    ),
    Sample("a word alone", spoken("Hello?")),
    Sample("bye bye bye", spoken("Okay, bye, bye bye, bye, see you on Monday.")),
    Sample("really only thanks", spoken("Thank you very much, that is kind of you.")),
    # The three that are called out wrongly: nothing in them tells them from an invention.
    Sample("a real goodbye of a real video", spoken("Thanks for watching!")),
    Sample("a chant", spoken("Goal! " * 9)),
    Sample("a round, three times", spoken(ROUND)),
]

INVENTED = [
    Sample("thank you, in a loop", spoken("Thank you. " * 15), "repetition"),
    Sample(
        "a word in a loop",
        spoken("I was there and the the the the the the the the the the the"),
        "repetition",
    ),
    Sample(
        "a phrase in a loop",
        spoken(ENGLISH + "\n" + "and then we went to the store " * 6),
        "repetition",
    ),
    Sample(
        "a long sentence in a loop", spoken((ENGLISH.partition("\n")[0] + "\n") * 5), "repetition"
    ),
    Sample(
        "a loop in Japanese", spoken("ありがとうございました。" * 8, "ja", pace=7), "repetition"
    ),
    Sample("a loop in Chinese", spoken("谢谢大家" * 10, "zh", pace=5), "repetition"),
    Sample("a loop in Thai", spoken("ขอบคุณครับ " * 12, "th"), "repetition"),
    Sample("a loop in Arabic", spoken("شكرا لكم " * 12, "ar"), "repetition"),
    Sample("a syllable in a loop", spoken("あ" * 40, "ja", pace=7), "repetition"),
    Sample(
        "numbers that count on for ever",
        spoken(" ".join(f"{n}, {n}" for n in [1, 2] * 60)),
        "compression",
    ),
    Sample("a loop with small changes", spoken(ALMOST_THE_SAME), "compression"),
    Sample(
        "thanks for watching nothing",
        Transcript("Thanks for watching!", "en", 20, (WATCHED,)),
        "invented",
        {"silences": [(0, 20)]},
    ),
    Sample("Amara in German", spoken("Untertitel der Amara.org-Community", "de"), "invented"),
    Sample(
        "Amara in French",
        spoken("Sous-titres réalisés par la communauté d'Amara.org", "fr"),
        "invented",
    ),
    Sample(
        "thanks in Japanese", spoken("ご視聴ありがとうございました。", "ja", pace=7), "invented"
    ),
    Sample("to be continued, in Russian", spoken("Продолжение следует...", "ru"), "invented"),
    Sample("subscribe, in Korean", spoken("구독과 좋아요 부탁드립니다.", "ko"), "invented"),
    Sample("you", spoken("you"), "invented"),
    Sample(
        "thanks behind the end of the talk",
        spoken(ENGLISH + "\nThank you for watching!"),
        "invented",
        {"silences": [(25.3, 60)]},
    ),
    Sample(
        "a story told by silence", spoken(ENGLISH), "speech_in_silence", {"silences": [(0, 30)]}
    ),
    Sample(
        "a third told by silence", spoken(ENGLISH), "speech_in_silence", {"silences": [(16, 30)]}
    ),
    Sample(
        "segments in silence, without words",
        Transcript(ENGLISH, "en", 30, HALVES),
        "speech_in_silence",
        {"silences": [(9.9, 30)]},
    ),
    Sample(
        "no speech, says Whisper",
        spoken("Oh.\nSo much.\nIn the dark.", confidence=0.3),
        "no_speech",
        {"no_speech": [0.8, 0.7, 0.2]},
    ),
    Sample(
        "surely no speech",
        spoken("The sound of water.\nAnd again."),
        "no_speech",
        {"no_speech": [0.95, 0.97]},
    ),
    Sample("an hour's text in ten seconds", spoken(ENGLISH * 2, pace=60), "too_fast"),
    Sample(
        "much text beside much silence", spoken(ENGLISH, pace=13), "too_fast", {"silences": ISLANDS}
    ),
    Sample("asked for Russian, written in Latin", spoken(TRANSLITERATED, "ru"), "language"),
    Sample(
        "asked for German, written in English",
        spoken(ENGLISH, "de"),
        "language",
        {"language": "de"},
    ),
    Sample("asked for English, written in Spanish", spoken(SPANISH, "en"), "language"),
    Sample("asked for Ukrainian, written in Russian", spoken(RUSSIAN, "uk"), "language"),
    Sample(
        "asked for one, heard another", spoken("Guten Tag.", "de"), "language", {"language": "en"}
    ),
    Sample("Japanese letters for English", spoken(JAPANESE, "en", pace=7), "language"),
    Sample("its own doubt", spoken(ENGLISH, confidence=0.35), "low_confidence"),
    # The two that are missed: fluent, in place, at a pace, in the right language.
    Sample("a fluent story that nobody told", spoken(NOBODY_TOLD), "any"),
    Sample("a phrase four times, apart", spoken(FOUR_TIMES), "any"),
]

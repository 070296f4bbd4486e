"""Words, sentences and PDFs for the benchmarks, made here and the same in every run."""

from __future__ import annotations

from collections.abc import Iterable

_SENTENCES = {
    "de": (
        "Die Würde des Menschen ist unantastbar; sie zu achten und zu schützen ist "
        "Verpflichtung aller Staaten."
    ),
    "fr": (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits, doués "
        "de raison et de conscience."
    ),
    "es": (
        "Todos los niños nacen libres e iguales en dignidad y según la razón deberán "
        "comportarse como hermanos mañana."
    ),
    "pl": (
        "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw, "
        "są też obdarzeni sumieniem."
    ),
    "cs": (
        "Všichni lidé se rodí svobodní a sobě rovní co do důstojnosti a práv, jsou nadáni"
        " rozumem a svědomím."
    ),
    "tr": (
        "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar, akıl ve vicdana"
        " sahiptirler, çalışırlar."
    ),
    "ru": (
        "Все люди рождаются свободными и равными в своем достоинстве и правах, они "
        "наделены разумом и совестью."
    ),
    "el": ("Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."),
    "ja": ("すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。"),
    "zh": (
        "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"
    ),
    "ko": ("모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."),
}
_CHARSETS = {
    "de": "utf-8 cp1252 utf-16 utf-16-le",
    "fr": "utf-8 cp1252",
    "es": "cp1252 utf-8",
    "pl": "cp1250 utf-8",
    "cs": "cp1250",
    "tr": "cp1254",
    "ru": "cp1251 koi8-r utf-8 utf-16 iso8859-5",
    "el": "cp1253 utf-8",
    "ja": "shift_jis euc_jp iso2022_jp utf-8",
    "zh": "gb18030 utf-8 utf-16",
    "ko": "euc_kr utf-8",
}
# Eleven languages in the charsets their texts come in: (sentence, charset).
SENTENCES = [
    (sentence, charset)
    for language, sentence in _SENTENCES.items()
    for charset in _CHARSETS[language].split()
]

WORDS = (
    "time person year way day thing man world life hand part child eye woman place work "
    "week case point government company number group problem fact about after again below "
    "could every first found great house large learn never other plant right small sound "
    "spell still study their there these think three water where which would write invoice "
    "total amount order customer address street payment delivery contract between "
    "agreement signature reference document "
).split()


def pdf_file(pages: Iterable[str]) -> bytes:
    """A PDF of one text per page, in Helvetica."""
    objects = [b"", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for text in pages:
        lines = b" ".join(b"(%s) Tj T*" % line.encode("latin-1") for line in text.splitlines())
        content = b"BT /F1 9 Tf 16 TL 40 800 Td %s ET" % lines
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[0] = b"<</Type/Catalog/Pages 2 0 R>>"
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    out, offsets = bytearray(b"%PDF-1.7\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(b"%010d 00000 n \n" % len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, count = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, b"".join(offsets))
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return bytes(out)

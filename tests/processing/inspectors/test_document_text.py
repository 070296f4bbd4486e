"""Plain texts: charsets, columns, titles, words and languages."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from processing.inspectors import document, plain
from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.prose import guess_language, word_count
from processing.inspectors.strings import clean_text, one_line
from tests import samples

Look = Any

SENTENCES = {
    "en": (
        "It was the best of times, it was the worst of times, and all of them had been there "
        "before they came."
    ),
    "de": (
        "Die Würde des Menschen ist unantastbar, und es ist die Aufgabe aller, sie zu achten "
        "und für sie zu sorgen."
    ),
    "fr": (
        "Tous les êtres humains naissent libres et égaux en dignité et en droits, et ils "
        "doivent agir pour la paix."
    ),
    "es": (
        "Todos los seres humanos nacen libres e iguales en dignidad y en derechos, y deben "
        "comportarse como hermanos."
    ),
    "it": (
        "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti, e sono dotati "
        "della ragione per agire."
    ),
    "pt": (
        "Todas as pessoas nascem livres e iguais em dignidade e em direitos, e não devem agir "
        "umas contra as outras."
    ),
    "nl": (
        "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren, en zij zijn "
        "begaafd met het verstand."
    ),
    "sv": (
        "Alla människor är födda fria och lika i värde och rättigheter, och de har fått "
        "förnuft som de inte ska mista."
    ),
    "da": (
        "Alle mennesker er født frie og lige i værdighed, og de har ikke fået meget mere end "
        "hvad de efter alt er af."
    ),
    "no": (
        "Alle mennesker er født frie, og de har ikke fått mye mer enn hva de etter alt er av, "
        "og det blir noen til."
    ),
    "fi": (
        "Kaikki ihmiset syntyvät vapaina ja he ovat tasavertaisia, mutta se ei ole aina niin, "
        "kun jotka eivät sitä ole."
    ),
    "pl": (
        "Wszyscy ludzie rodzą się wolni i równi, ale nie jest to tak, jak się o tym mówi, bo "
        "są też ci, którzy nie są."
    ),
    "cs": (
        "Všichni lidé se rodí svobodní a sobě rovní, ale není to tak, jak se o tom mluví, "
        "protože jsou také ti, kteří."
    ),
    "ro": (
        "Toate ființele umane se nasc libere și egale în demnitate, dar nu este așa cum se "
        "spune, pentru că sunt și ei."
    ),
    "hu": (
        "Minden ember szabadon születik, és ez nem csak egy szó, hanem az is, hogy már volt, "
        "aki meg is tette ezt el."
    ),
    "tr": (
        "Bütün insanlar hür doğar ve bu bir söz değil, daha çok olan ne ise o da var, ama için"
        " gibi ile sonra kadar en."
    ),
    "ru": (
        "Все люди рождаются свободными, и это не только слово, но и то, что было для нас так "
        "же важно, как и его дело."
    ),
    "uk": (
        "Всі люди народжуються вільними і рівними у своїй гідності та правах, і вони наділені "
        "розумом їхніми батьками."
    ),
    "bg": (
        "Всички хора се раждат свободни, но това не е само дума, а и това, което ще бъде за "
        "тях като дело при него."
    ),
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "he": "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق.",
    "fa": "تمام افراد بشر آزاد به دنیا می‌آیند و از لحاظ حیثیت و حقوق با هم برابرند و چگونه.",
    "hi": "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।",
    "th": "มนุษย์ทั้งหลายเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心。",
    "ja": "すべての人間は、生れながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
}


@pytest.fixture
def look(tmp_path: Path) -> Look:
    def inspect(data: bytes, name: str = "source", **options: Any) -> Inspection:
        source = tmp_path / name
        source.write_bytes(data)
        return document.inspect(source, tmp_path, options)

    return inspect


def text_of(found: Inspection) -> dict[str, Any]:
    assert found.text is not None
    return found.text


# --- charsets ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        *((language, "utf-8") for language in ("de", "ru", "ja", "ar")),
        *(
            (language, encoding)
            for language in ("fr", "ru", "zh")
            for encoding in ("utf-8-sig", "utf-16", "utf-32")
        ),
        *(("en", "utf-16-le"), ("en", "utf-16-be"), ("de", "utf-16-le")),
        *(("ru", "cp1251"), ("ru", "koi8-r"), ("el", "cp1253"), ("he", "cp1255"), ("ar", "cp1256")),
        *(
            ("ja", "shift_jis"),
            ("ja", "euc_jp"),
            ("ja", "iso2022_jp"),
            ("zh", "gb18030"),
            ("ko", "euc_kr"),
        ),
        *(
            ("de", "cp1252"),
            ("fr", "latin-1"),
            ("es", "latin-1"),
            ("pl", "cp1250"),
            ("th", "tis-620"),
        ),
    ],
)
def test_text_is_decoded_whatever_its_charset(look: Look, language: str, encoding: str) -> None:
    sentence = SENTENCES[language]
    if encoding == "latin-1":
        sentence = sentence.encode("latin-1", "ignore").decode("latin-1")
    written = "\n".join([sentence] * 6)
    found = look(written.encode(encoding), format="txt")
    assert text_of(found)["text"] == written
    assert text_of(found)["language"] == language


def test_line_ends_become_one_kind(look: Look) -> None:
    assert text_of(look(b"a\r\nb\rc\nd"))["text"] == "a\nb\nc\nd"


@pytest.mark.parametrize(
    "data",
    [
        b"NUL \x00 inside",
        b"overlong \xc0\xaf\xe0\x80\xaf and \xed\xa0\x80 surrogates",
        b"cut \xe2\x82",
        b"\xff\xfe\x00\xd8 \x00",
        b"\xfe\xff\xd8",
        bytes(range(256)) * 50,
        b"",
    ],
)
def test_bad_bytes_are_replaced_and_never_fail(look: Look, data: bytes) -> None:
    text = text_of(look(data, format="txt"))["text"]
    assert "\0" not in text
    text.encode()


def test_a_character_cut_by_the_limit_is_no_other_charset(look: Look) -> None:
    found = look(b"x" + "é".encode() * 5000, format="txt", max_text_bytes=1000)
    assert found.metadata["encoding"] == "utf-8"
    assert text_of(found)["truncated"]
    assert text_of(found)["text"] == "x" + "é" * 499


@pytest.mark.parametrize(
    "data",
    [b"[" * 200_000, b"x" * 25_000_000, b"x " * 12_500_000, b"\n" * 25_000_000, b"\f" * 5_000_000],
)
def test_huge_lines_and_deep_nesting_are_bounded(look: Look, data: bytes) -> None:
    began = time.process_time()
    text = text_of(look(data, format="txt"))
    assert time.process_time() - began < 3
    assert len(text["text"]) <= 5_000_000
    assert len(text["blocks"]) <= 2000


# --- kinds of text -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "delimiter", "columns"),
    [
        (b"name,price\na,1\nb,2\n", ",", ["name", "price"]),
        (b'"Name";"Preis, netto"\n"a";"1,5"\n"b";"2,5"\n', ";", ["Name", "Preis, netto"]),
        (b"a\tb\tc\n1\t2\t3", "\t", ["a", "b", "c"]),
    ],
)
def test_a_csv_tells_its_columns(
    look: Look, data: bytes, delimiter: str, columns: list[str]
) -> None:
    metadata = look(data, "a.csv").metadata
    assert (metadata["format"], metadata["delimiter"], metadata["columns"]) == (
        "csv",
        delimiter,
        columns,
    )
    assert metadata["lines"] == data.count(b"\n") + (not data.endswith(b"\n"))


def test_a_csv_of_one_column_has_no_delimiter(look: Look) -> None:
    assert "delimiter" not in look(b"a\nb\nc\n", "a.csv").metadata


def test_markdown_tells_its_title(look: Look) -> None:
    assert look(b"intro\n\n# The *title* #\n\ntext", "a.md").metadata["title"] == "The *title*"
    assert "title" not in look(b"no heading", "b.md").metadata


def test_form_feeds_divide_pages(look: Look) -> None:
    found = look(b"one\ftwo\fthree\f")
    assert found.facts["pages"] == 3
    assert [(b["page"], b["text"]) for b in text_of(found)["blocks"]] == [
        (1, "one"),
        (2, "two"),
        (3, "three"),
    ]
    assert look(b"one").facts["pages"] is None


def test_the_kind_is_told_from_the_content_where_it_is_not_given(look: Look) -> None:
    assert look(samples.pdf()).metadata["format"] == "pdf"
    assert look(samples.docx_file()).metadata["format"] == "docx"
    assert look(b"words").metadata["format"] == "txt"
    assert look(b"<h1 align=center>A README</h1>\n").metadata["format"] == "txt"
    for data in (b"\0\1\2", samples.image_file("jpg")):
        with pytest.raises(Unreadable) as caught:
            look(data)
        assert caught.value.code == "CORRUPT_FILE"


def test_a_stack_that_runs_over_is_a_limit(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    def overflow(*_: object) -> None:
        raise RecursionError

    monkeypatch.setattr(plain, "inspect", overflow)
    with pytest.raises(Unreadable) as caught:
        look(b"x")
    assert caught.value.code == "LIMIT_EXCEEDED"


# --- words and languages -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two  three\n", 3),
        ("don't well-known 3.14 a@b.org e.g.", 5),
        ("- item\n--- | a | b |\n# Title", 4),
        ("a;b;c\n1,2", 5),
        ("naïve café – déjà vu", 5),
        ("Слово о полку", 3),
        ("日本語", 3),
        ("すべての人間は。", 7),
        ("Python を使う 3 回", 6),
        ("모든 인간은", 2),
        ("مرحبا بالعالم", 2),
        ("x\u00a0y\u2003z", 3),
    ],
)
def test_words_are_counted_in_every_script(text: str, words: int) -> None:
    assert word_count(text) == words


@pytest.mark.parametrize("language", SENTENCES)
def test_the_language_of_a_sentence_is_guessed(language: str) -> None:
    assert guess_language(SENTENCES[language]) == language


@pytest.mark.parametrize(
    "text",
    ["", "12345 67890", "Lorem", "ok", "x = y + z; foo(bar)", "aa bb cc dd ee ff gg hh", "!!! ???"],
)
def test_no_language_is_guessed_where_words_do_not_tell(text: str) -> None:
    assert guess_language(text) is None


def test_guessing_looks_at_a_sample_only() -> None:
    began = time.process_time()
    assert guess_language(SENTENCES["de"] * 50_000) == "de"
    assert time.process_time() - began < 0.5


def test_strings_are_cleaned() -> None:
    assert clean_text("a\0b\x07c\r\nd\re\tf\ud800") == "abc\nd\ne\tf"
    assert one_line(" a\0b\n\tc\u202e d ") == "a b c d"
    assert one_line(b"bytes \xff") == "bytes \ufffd"
    assert one_line(None) == one_line(7) == ""
    assert one_line("x" * 999, 10) == "x" * 10

"""Names from strangers become names that can be stored, shown and saved under, and nothing else."""

from __future__ import annotations

import unicodedata

import pytest
from django.utils.http import content_disposition_header
from hypothesis import example, given
from hypothesis import strategies as st

from media_assets.filenames import MAX_BYTES, clean, display

RLO, LRI, PDI, ZWSP, ZWJ, BOM = "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\ufeff"

HOSTILE = [
    *(f"photo{char}gpj.jpg" for char in (RLO, "\u202a", "\u202b", "\u202d", "\u202c")),
    *(f"a{char}b.jpg" for char in (LRI, PDI, "\u2067", "\u2068", "\u200e", "\u200f", "\u061c")),
    *(
        f"a{char}b.jpg"
        for char in (ZWSP, ZWJ, "\u200c", BOM, "\u00ad", "\u2060", "\u3164", "\u2800")
    ),
    *(f"a{char}b.jpg" for char in ("\r\n", "\n", "\t", "\x1b[31m", "\x07", "\x00", "\x7f", "\x85")),
    *(
        "a\u2028b.jpg",
        "a\u2029b.jpg",
        "a\ud800b.jpg",
        "\udfffa.jpg",
        "cafe\u0301.jpg",
        "caf\u00e9.jpg",
    ),
    *(" a.jpg", "a.jpg ", ".a.jpg", "a.jpg.", "a.jpg...", "a.jpg . .", "\u00a0a.jpg\u3000"),
    *("", ".", "..", "/", "\\", "~", " ", "...", "\x00", RLO),
    *(
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "....//....//x",
        "%2e%2e%2fetc%2fpasswd",
        "..%252f..%252fx",
    ),
    *(
        "..%c0%af..%c0%afx",
        "\u2025/x",
        "/etc/passwd",
        "C:\\Windows\\x.jpg",
        "C:x.jpg",
        "\\\\host\\share\\x",
    ),
    *("file.jpg::$DATA", "file.jpg:stream", "a%00.jpg", "a%0d%0ab.jpg", "a%2500b.jpg"),
    *(
        "CON",
        "con.jpg",
        "NUL.txt",
        "nul",
        "COM1",
        "lpt9.tar.gz",
        "AUX .jpg",
        "COM\u00b9.jpg",
        "CONIN$",
    ),
    *("$(id).jpg", "`id`.jpg", "|id.jpg", "a; rm -rf ~.jpg", "-rf.jpg", "--help.jpg", "%03d.jpg"),
    *(
        "a'b.jpg",
        'a"b.jpg',
        'a"; filename="b.php',
        "<img src=x onerror=alert(1)>.jpg",
        "{{7*7}}.jpg",
    ),
    *(
        "=1+1.csv",
        "+1.csv",
        "@SUM(A1).csv",
        "-1.csv",
        ".htaccess",
        ".env",
        "index.html",
        "__init__.py",
    ),
    *("x.svg", "x.shtml", "x.pHp", "photo.jpg/.", "photo.php.jpg", "photo.jpg.php"),
    *(
        "s3://bucket/key.jpg",
        "http://127.0.0.1/x.jpg",
        "data:text/html,<script>",
        "javascript:alert(1)",
    ),
    *(
        "x" * 255,
        "x" * 300 + ".jpg",
        "x" * 5000 + ".jpg",
        "漢" * 200 + ".jpg",
        "e\u0301" * 300,
        "." + "x" * 999,
    ),
    *(
        "a." + "b" * 400,
        "\U0001f469\u200d\U0001f469" * 90 + ".png",
        "?*|<>.jpg",
        "\ue000.jpg",
        "\u0378.jpg",
    ),
]


def assert_safe(name: str) -> None:
    assert 0 < len(name.encode()) <= MAX_BYTES
    assert name == unicodedata.normalize("NFC", name)
    assert all(unicodedata.category(char)[0] != "C" for char in name)
    assert not set(name) & set('/\\<>:"|?*\n\r\t')
    assert name[0] not in ". "
    assert name[-1] not in ". "
    assert name.split(".", 1)[0].strip().upper() not in {
        "CON",
        "NUL",
        "AUX",
        "COM1",
        "LPT9",
        "CONIN$",
    }
    header = content_disposition_header(as_attachment=True, filename=name)
    assert header is not None
    assert header.count('"') in (0, 2)
    assert header.isascii()
    assert "\n" not in header


def test_there_are_at_least_the_94_known_tricks() -> None:
    assert len(set(HOSTILE)) >= 94


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("extension", [None, "jpg", "docx"])
def test_a_hostile_name_comes_out_safe(name: str, extension: str | None) -> None:
    result = clean(name, extension=extension)
    assert_safe(result)
    assert clean(result, extension=extension) == result, "cleaning again changes nothing"
    if extension == "docx":
        assert result.endswith(".docx")


@example("0\r\U00018cd6\r0", None)  # an unassigned character between two line ends
@example("a%2%00fb", None)  # a separator that appears when what stood in it is taken out
@given(
    st.text(st.characters(exclude_categories=[]), max_size=400),
    st.sampled_from([None, "jpg", "txt"]),
)
def test_any_name_comes_out_safe(name: str, extension: str | None) -> None:
    result = clean(name, extension=extension)
    assert_safe(result)
    assert clean(result, extension=extension) == result


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Ferienfoto Süd.JPG", "Ferienfoto Süd.JPG"),
        ("отчёт 2026 (итог).pdf", "отчёт 2026 (итог).pdf"),
        ("請求書.pdf", "請求書.pdf"),
        ("v1.2 notes.md", "v1.2 notes.md"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.jpg", "a.jpg"),
        ("%2e%2e%2fetc%2fpasswd", "passwd"),
        ("..%252f..%252fx", "x"),
        ("photo\u202egpj.exe", "photogpj.exe"),
        ("a\r\nb\tc.jpg", "a b c.jpg"),
        ("a%0d%0ab.jpg", "ab.jpg"),
        ("a%2%00fb", "b"),
        ("100% sure.jpg", "100% sure.jpg"),
        (".htaccess", "htaccess"),
        ("a.jpg. . .", "a.jpg"),
        ("CON", "_CON"),
        ("nul.txt", "_nul.txt"),
        ("console.txt", "console.txt"),
        ("file.jpg::$DATA", "file.jpg__$DATA"),
        ('a"; filename="b.php', "a_; filename=_b.php"),
        ("javascript:alert(1)", "javascript_alert(1)"),
        (None, "file"),
        ("", "file"),
        ("..", "file"),
        ("photo.jpg/.", "file"),
    ],
)
def test_what_is_kept_and_what_goes(name: str | None, expected: str) -> None:
    assert clean(name) == expected


@pytest.mark.parametrize(
    ("name", "extension", "expected"),
    [
        ("a.jpg", "jpg", "a.jpg"),
        ("A.JPEG", "jpg", "A.JPEG"),
        ("a.png", "jpg", "a.jpg"),
        ("photo.php.jpg", "jpg", "photo.php.jpg"),
        ("photo.jpg.php", "jpg", "photo.jpg"),
        ("shell.php", "jpg", "shell.jpg"),
        ("scan 1.2 final", "pdf", "scan 1.2 final.pdf"),
        ("report.v2", "pdf", "report.v2.pdf"),
        ("data.json", "txt", "data.json"),
        ("readme", "txt", "readme.txt"),
        ("voice.oga", "opus", "voice.oga"),
        ("book.mp4", "m4a", "book.mp4"),
        (None, "png", "file.png"),
        ("", "png", "file.png"),
        ("x" * 300, "docx", "x" * 250 + ".docx"),
    ],
)
def test_the_true_extension_wins(name: str | None, extension: str, expected: str) -> None:
    assert clean(name, extension=extension) == expected


def test_a_long_name_is_cut_between_characters_and_keeps_its_extension() -> None:
    result = clean("漢" * 200 + ".jpg")
    assert result == "漢" * 83 + ".jpg"
    assert len(result.encode()) == 253
    assert clean("x" * 5000 + ".jpeg") == "x" * 250 + ".jpeg"


def test_the_default_may_be_chosen() -> None:
    assert clean("..", default="photo", extension="jpg") == "photo.jpg"


def test_a_huge_name_costs_little() -> None:
    assert_safe(clean("/" * 10_000_000 + "%2f" * 100_000 + "a.jpg"))


def test_display_is_one_short_line() -> None:
    assert display("holiday.jpg") == "holiday.jpg"
    long = display("a very long name " * 10 + "the end.jpg")
    assert len(long) == 60
    assert long.startswith("a very long name")
    assert long.endswith("the end.jpg")
    assert "\u2026" in long
    assert display("a\u202egpj\n.exe") == "agpj .exe"
    assert display(None) == "file"

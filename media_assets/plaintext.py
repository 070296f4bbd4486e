"""Tells text from bytes that only look like it, and from text that a browser, a shell or a player would run.

A text has no signature. It is taken for one where it decodes as one, holds no control characters, and
does not begin as something else: markup, a script, a playlist.
"""

from __future__ import annotations

import re

from media_assets.containers import Reader

BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),  # before UTF-16, whose mark it begins with
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# All but tab, line feed, vertical tab, form feed, carriage return, and escape (ISO-2022, ANSI colours).
_CONTROL = bytes(sorted(set(range(32)) - {9, 10, 11, 12, 13, 27})) + b"\x7f"
_DOS_END = b"\x1a"
_CONTROL_TEXT = re.compile("[\x00-\x08\x0e-\x19\x1c-\x1f\x7f\ufffe\uffff]")
_LONG_RUN = re.compile(rb"[\x80-\xff]{65}")
_EAST_ASIAN = ("shift_jis", "gb18030", "euc_jp", "euc_kr", "big5")

# Markup that is a document or runs by itself; never a text, whatever its name.
_DOCUMENT = re.compile(
    r"<(?:html|head|body|script|iframe|frameset|svg|style|title|meta|link|base|object|embed|applet|form|math"
    r"|mpd|smil|rss|feed|template)[\s/>]|<!doctype|<!entity|<!element|<!\[cdata\[|<\?|<%",
    re.IGNORECASE,
)
# Markup that a browser may sniff as HTML, but that Markdown files do begin with.
_FRAGMENT = re.compile(
    r"<(?:a|abbr|audio|b|big|blink|blockquote|br|button|center|code|dd|details|div|dl|em|font|h[1-6]|hr|i|img|input"
    r"|kbd|li|marquee|ol|p|picture|pre|s|select|small|span|strong|sub|summary|sup|table|tbody|td|textarea|th|tr|u|ul"
    r"|video)[\s/>]",
    re.IGNORECASE,
)
_XML = re.compile(r"<[a-z_][\w.-]*(?::[a-z_][\w.-]*[\s/>]|\s[^>]{0,4096}\bxmlns\b)", re.IGNORECASE)
_OTHERS = (
    ("script", re.compile(r"#!\s{0,8}/|@echo\s+off\b", re.IGNORECASE)),
    (
        "playlist",
        re.compile(
            r"#ext(?:m3u|-x-)|ffconcat\s+version|\[(?:playlist|reference)\]|v=0\r?\n[a-z]=|rtsp(?:text|://)|asf\s",
            re.IGNORECASE,
        ),
    ),
    ("ffmetadata", re.compile(r";ffmetadata", re.IGNORECASE)),
    ("gif", re.compile(r"GIF8[79]a")),
    ("rtf", re.compile(r"\{\\rtf")),
    ("postscript", re.compile(r"%!")),
)


def wide_encoding(data: bytes) -> str | None:
    """UTF-16 without a mark: where one of each two bytes is often NUL and the other nearly never."""
    piece = data[:4096]
    half = len(piece) // 2
    if half < 2 or b"\0" not in piece:
        return None
    even, odd = piece[0::2].count(0) / half, piece[1::2].count(0) / half
    if odd > 0.3 and even < 0.05:
        return "utf-16-le"
    if even > 0.3 and odd < 0.05:
        return "utf-16-be"
    return None


def _encoding(data: bytes) -> tuple[str, int]:
    """The Unicode encoding a file begins with and the length of its mark; "8-bit" for all others."""
    for mark, encoding in BOMS:
        if data.startswith(mark):
            return encoding, len(mark)
    return wide_encoding(data) or "8-bit", 0


def _decode(data: bytes, encoding: str) -> str | None:
    """The text of a piece of a file, or None; up to three bytes of a character cut at its end are dropped."""
    if encoding in ("8-bit", "utf-8"):
        if _has_control(data):
            return None
        text = _strict(data, "utf-8")
        return _other_charset(data) if text is None and encoding == "8-bit" else text
    text = _strict(data, encoding)
    if text is None or sum(not (c.isprintable() or c.isspace()) for c in text) > len(text) // 20:
        return None  # quiet 16-bit sound looks like UTF-16 too
    return text


def _has_control(data: bytes) -> bool:
    data = data.rstrip(_DOS_END)
    return len(data.translate(None, _CONTROL)) != len(data)


def _other_charset(data: bytes) -> str | None:
    """Words of any single-byte charset have spaces between them; East Asian text has pairs that fit."""
    if _LONG_RUN.search(data) and not any(_strict(data, name) for name in _EAST_ASIAN):
        return None
    return data.decode("latin-1")


def _strict(data: bytes, encoding: str) -> str | None:
    for cut in range(4):
        try:
            return data[: len(data) - cut].decode(encoding)
        except UnicodeDecodeError:
            continue
    return None


def read_text(head: bytes) -> str | None:
    """The head of a file as text, or None where it is none. Any 8-bit charset is as good as another."""
    encoding, mark = _encoding(head)
    text = _decode(head[mark:], encoding)
    return None if text is None or not text.strip() or _CONTROL_TEXT.search(text) else text


def stays_text(reader: Reader) -> bool:
    """Whether windows spread over the whole file are text as its head is: at most 1 MiB is read."""
    encoding, mark = _encoding(reader.at(0, 4096))
    window, count = 65536, 16
    step = max(window, reader.size // count & ~3)  # a multiple of 4 keeps UTF-16 and UTF-32 in step
    for start in range(mark, reader.size, step):
        data = reader.at(start, window)
        if encoding in ("8-bit", "utf-8"):
            if _has_control(data):
                return False
            continue
        text = data.decode(encoding, "replace")
        # A pair of surrogates may be cut at both ends of a window.
        if text.count("\ufffd") > 2 + len(text) // 1000 or _CONTROL_TEXT.search(text):
            return False
    return True


def disguise(text: str, *, markdown: bool = False) -> str | None:
    """What a text really is where it is more than text: "svg", "html", "xml", "script", "playlist", ..."""
    text = _past_comments(text)
    if match := _DOCUMENT.match(text):
        return _markup_name(match.group().lower(), text)
    if _XML.match(text):
        return _markup_name("", text)
    if text.startswith("<!--") or (not markdown and _FRAGMENT.match(text)):
        return "html"
    for name, pattern in _OTHERS:
        if pattern.match(text):
            return name
    # Readers take a PDF header anywhere in the first 1,024 bytes: such a file is two things at once.
    return "pdf" if re.search(r"^%PDF-\d", text[:1024], re.MULTILINE) else None


def _past_comments(text: str) -> str:
    start = 0
    for _ in range(16):
        start += len(text[start:]) - len(text[start:].lstrip("\ufeff\0 \t\r\n\f\v"))
        end = text.find("-->", start + 4) if text.startswith("<!--", start) else -1
        if end < 0:
            break
        start = end + 3
    return text[start:]


def _markup_name(opening: str, text: str) -> str:
    head = text[:8192].lower()
    if "<svg" in head or ":svg" in head:
        return "svg"
    if opening.startswith(("<?php", "<?=", "<%", "<script")) or head.startswith(("<?php", "<?=")):
        return "script"
    if "<mpd" in head or "<smil" in head:
        return "playlist"
    return "html" if opening[1:2].isalpha() or "html" in head[:1024] else "xml"

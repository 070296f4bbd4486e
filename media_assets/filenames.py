"""File names made safe to store, to show and to save under. They never become a path or a storage key."""

from __future__ import annotations

import re
import unicodedata

from media_assets.filetypes import NOT_TEXT_EXTENSIONS

MAX_BYTES = 255  # what file systems take, in UTF-8
_LOOKED_AT = 4000  # characters, from the end: the extension and the last part of a path are there

# Separators of paths, and their percent-encoded forms (encoded again, or overlong, too).
_SEPARATOR = re.compile(r"[/\\]|%(?:25)*(?:2f|5c|c0%(?:25)*af)", re.IGNORECASE)
_ENCODED_CONTROL = re.compile(r"%(?:25)*(?:[01][0-9a-f]|7f)", re.IGNORECASE)
# Not allowed on Windows; `:` also names a drive or an alternate stream, `<`, `>` and `"` open markup.
_FORBIDDEN = re.compile(r'[<>:"|?*]')
_SPACES = re.compile(r"\s+")
# Shown as nothing, though not of the category Cf: joiners and fillers.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|clock\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])"
    r"[ .]*(?:\.|$)",
    re.IGNORECASE,
)
_SUFFIX = re.compile(r"(?<=[^.])\.([A-Za-z0-9]{1,10})$")
_SAME = (
    frozenset({"jpg", "jpeg", "jpe"}),
    frozenset({"tif", "tiff"}),
    frozenset({"heic", "heif"}),
    frozenset({"ogg", "oga", "opus"}),
    frozenset({"m4a", "m4b", "mp4"}),
    frozenset({"mp4", "m4v"}),
    frozenset({"mka", "mkv"}),
    frozenset({"md", "markdown"}),
)
_KNOWN = NOT_TEXT_EXTENSIONS | {"txt", "md", "markdown", "csv"}


def clean(name: str | None, *, extension: str | None = None, default: str = "file") -> str:
    """The last part of a path as a name of at most 255 bytes, without anything that hides, breaks or directs.

    `extension` is the true one, without dot: it takes the place of a name's extension that says otherwise.
    """
    part = _SEPARATOR.split(_without_encoded((name or "")[-_LOOKED_AT:]))[-1]
    part = _unreserved(_trim(_visible(part)))
    if extension:
        part = _with_extension(part, extension, default)
    return _shorten(part or default)


def display(name: str | None, *, limit: int = 60) -> str:
    """The name on one line, its middle left out where it is longer than `limit` characters."""
    safe = clean(name)
    if len(safe) <= limit:
        return safe
    tail = limit // 3
    return f"{safe[: limit - tail - 1]}\u2026{safe[-tail:]}"


def _without_encoded(text: str) -> str:
    """Without percent-encoded control characters, those too that appear when others go."""
    while True:
        shorter = _ENCODED_CONTROL.sub("", text)
        if shorter == text:
            return text
        text = shorter


def _visible(text: str) -> str:
    """Composed (NFC), without control, direction, zero-width and private characters, or surrogates."""
    text = _SPACES.sub(" ", text)
    kept = "".join(
        char for char in text if char not in _INVISIBLE and unicodedata.category(char)[0] != "C"
    )
    # What was taken out may have stood between two spaces.
    return _FORBIDDEN.sub("_", unicodedata.normalize("NFC", _SPACES.sub(" ", kept)))


def _trim(text: str) -> str:
    return text.lstrip(". ").rstrip(". ")


def _unreserved(text: str) -> str:
    return f"_{text}" if _RESERVED.match(text) else text


def _with_extension(name: str, extension: str, default: str) -> str:
    match = _SUFFIX.search(name)
    suffix = match.group(1).lower() if match else ""
    if suffix == extension or any({suffix, extension} <= group for group in _SAME):
        return name
    if extension == "txt" and suffix and suffix not in NOT_TEXT_EXTENSIONS:
        return name  # notes.log and data.json are text and may say so
    while match and match.group(1).lower() in _KNOWN:
        name = _trim(name[: match.start()])
        match = _SUFFIX.search(name)
    return f"{name or default}.{extension}"


def _shorten(name: str) -> str:
    """At most 255 bytes of UTF-8, cut before the extension and between characters."""
    if len(name.encode()) <= MAX_BYTES:
        return name
    match = _SUFFIX.search(name)
    suffix = match.group() if match else ""
    stem = (
        name[: len(name) - len(suffix)].encode()[: MAX_BYTES - len(suffix)].decode(errors="ignore")
    )
    return _trim(stem) + suffix

"""What a file is, told by its content: our own small table of what is accepted, and nothing else.

`sniff` says what the first bytes look like, early enough to choose the size limit while a stream comes
in. `confirm` looks at the whole file where the head cannot decide: whether an MP4 or WebM has pictures,
whether a ZIP is a DOCX, whether a text stays one. What they return decides; a name or a Content-Type
header never makes a file something else, and picks only among kinds of text. Both take bounded time and
memory whatever the file says. Whether it can be decoded is for the inspectors to find out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import BinaryIO, TypeAlias

from media_assets import containers, plaintext
from media_assets.containers import Reader

HEAD_BYTES = 65536  # what `sniff` wants to see; with less it says less


@dataclass(frozen=True, slots=True)
class FileType:
    """An accepted type. `format` is its name in `ALLOWED_FORMATS`; `extension` has no dot."""

    kind: str  # image, audio, video, document
    mime_type: str
    extension: str
    format: str


def _type(kind: str, mime_type: str, extension: str, format_: str = "") -> FileType:
    return FileType(kind, mime_type, extension, format_ or extension)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


JPG = _type("image", "image/jpeg", "jpg")
PNG = _type("image", "image/png", "png")
GIF = _type("image", "image/gif", "gif")
WEBP = _type("image", "image/webp", "webp")
HEIC = _type("image", "image/heic", "heic")
TIFF = _type("image", "image/tiff", "tiff")
BMP = _type("image", "image/bmp", "bmp")
AVIF = _type("image", "image/avif", "avif")
OGG = _type("audio", "audio/ogg", "ogg")
MP3 = _type("audio", "audio/mpeg", "mp3")
WAV = _type("audio", "audio/wav", "wav")
M4A = _type("audio", "audio/mp4", "m4a")
FLAC = _type("audio", "audio/flac", "flac")
WEBM_AUDIO = _type("audio", "audio/webm", "webm")
OPUS = _type("audio", "audio/ogg", "opus")  # Opus in Ogg: audio/opus is for network packets
MKV_AUDIO = _type("audio", "audio/x-matroska", "mka", "mkv")
MP4 = _type("video", "video/mp4", "mp4")
MOV = _type("video", "video/quicktime", "mov")
WEBM = _type("video", "video/webm", "webm")
MKV = _type("video", "video/x-matroska", "mkv")
PDF = _type("document", "application/pdf", "pdf")
DOCX = _type(
    "document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"
)
TXT = _type("document", "text/plain", "txt")
MD = _type("document", "text/markdown", "md")
CSV = _type("document", "text/csv", "csv")

ACCEPTED = (
    *(JPG, PNG, GIF, WEBP, HEIC, TIFF, BMP, AVIF),
    *(OGG, MP3, WAV, M4A, FLAC, WEBM_AUDIO, OPUS),
    *(MP4, MOV, WEBM, MKV),
    *(PDF, DOCX, TXT, MD, CSV),
)
_ALIASES = {
    "jpeg": "jpg",
    "tif": "tiff",
    "heif": "heic",
    "markdown": "md",
    "text": "txt",
    "oga": "ogg",
    "mka": "mkv",
}

_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}
_STILL_BRANDS = {b"mif1", b"mif2", b"msf1", b"miaf", *_HEIC_BRANDS, *_AVIF_BRANDS}
_AUDIO_BRANDS = {b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B "}
_MP4_BRANDS = {
    *(
        b"isom",
        b"mp41",
        b"mp42",
        b"mp71",
        b"avc1",
        b"dash",
        b"mmp4",
        b"MSNV",
        b"M4V ",
        b"M4VH",
        b"M4VP",
        b"f4v ",
    ),
    *(b"iso%d" % n for n in range(2, 10)),
    *_AUDIO_BRANDS,
}
_OLD_MOV_BOXES = {b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"}
_BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}
_MAIN_PART = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"

# A text under one of these names claims to be what it is not, or what is run when opened.
NOT_TEXT_EXTENSIONS = _words(
    "jpg jpeg jpe png gif webp heic heif tif tiff bmp avif ico svg svgz psd"
    " ogg oga opus mp3 wav m4a m4b flac aac aif aiff wma amr mka"
    " mp4 m4v mov webm mkv avi wmv mpg mpeg ts m2ts flv 3gp ogv"
    " pdf doc docx docm dot dotx odt rtf xls xlsx ppt pptx epub zip 7z rar gz tgz tar jar apk iso dmg"
    " htm html xhtml shtml mht mhtml xml xsl xslt dtd hta"
    " js mjs jse vbs vbe wsf php phtml phar jsp asp aspx cgi"
    " exe dll bat cmd ps1 psm1 scr msi lnk reg sh bash zsh csh command desktop"
    " m3u m3u8 pls mpd smil sdp asx ffconcat ffmetadata"
)


def supported_formats(allowed: Iterable[str] | None = None) -> dict[str, list[str]]:
    """The accepted formats of each kind, in the order they are documented; `allowed` is `ALLOWED_FORMATS`."""
    formats: dict[str, list[str]] = {}
    for filetype in ACCEPTED:
        if is_allowed(filetype, allowed):
            formats.setdefault(filetype.kind, []).append(filetype.format)
    return formats


def is_allowed(filetype: FileType, allowed: Iterable[str] | None = None) -> bool:
    """Whether this installation takes the type; None or nothing in `allowed` means all that are accepted."""
    names = {name.strip().lower().lstrip(".") for name in allowed or ()} - {""}
    return not names or filetype.format in {_ALIASES.get(name, name) for name in names}


def sniff(head: bytes, *, name: str = "") -> FileType | None:
    """What the first bytes look like; None for what is not accepted. Give up to `HEAD_BYTES` of them.

    A film may turn out to be sound, and a DOCX no DOCX: `confirm` has the last word.
    """
    head = head[:HEAD_BYTES]
    return _identify(Reader(head), head, name)


def confirm(file: BinaryIO, *, name: str = "") -> FileType | None:
    """What the file is, from as much of it as is needed. Leaves the file's position anywhere."""
    reader = Reader(file)
    return _identify(reader, reader.at(0, HEAD_BYTES), name)


def _identify(reader: Reader, head: bytes, name: str) -> FileType | None:
    for matches, found in _SIGNATURES:
        if matches(head):
            return found if isinstance(found, FileType) else found(reader, head, name)
    return _text(reader, head, name)


def _webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP" and head[12:15] == b"VP8"


def _wav(head: bytes) -> bool:
    return head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:12] == b"WAVE"


def _gif(head: bytes) -> bool:
    """The signature, then after the colour table a block that there is."""
    if head[:6] not in (b"GIF87a", b"GIF89a") or len(head) < 14:
        return False
    table = 3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0
    return head[13 + table : 14 + table] in (b"", b"!", b",", b";")


def _tiff(head: bytes) -> bool:
    # Canon's raw files are TIFFs with "CR" where others have the first directory.
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and head[8:10] != b"CR"


def _bmp(head: bytes) -> bool:
    return head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS


def _pdf(head: bytes) -> bool:
    return head[:64].removeprefix(b"\xef\xbb\xbf").lstrip(b"\0\t\n\f\r ").startswith(b"%PDF-")


def _is_iso(head: bytes) -> bool:
    return bool(containers.iso_brands(head))


def _is_old_mov(head: bytes) -> bool:
    return head[4:8] in _OLD_MOV_BOXES and (head[0] == 0 or head[:4] == b"\0\0\0\1")


def _is_mp3(head: bytes) -> bool:
    return head[:3] == b"ID3" or (
        len(head) > 3 and head[0] == 0xFF and containers.mp3_at(Reader(head), 0)
    )


def _iso(reader: Reader, head: bytes, _name: str) -> FileType | None:
    major, *compatible = containers.iso_brands(head)
    brands = {major, *compatible}
    if major in _STILL_BRANDS:
        if major in _AVIF_BRANDS or (major not in _HEIC_BRANDS and brands & _AVIF_BRANDS):
            return AVIF
        return HEIC if brands & _HEIC_BRANDS else None
    if major != b"qt  " and not brands & _MP4_BRANDS:
        return None
    film = MOV if major == b"qt  " else MP4
    if major in _AUDIO_BRANDS:
        return M4A  # chapter pictures of an audio book are a track of film
    return _by_tracks(containers.iso_tracks(reader), film)


def _by_tracks(tracks: set[bytes] | None, film: FileType) -> FileType:
    return M4A if tracks and b"soun" in tracks and b"vide" not in tracks else film


def _old_mov(reader: Reader, _head: bytes, _name: str) -> FileType | None:
    """QuickTime from before `ftyp`: nothing but its boxes speaks for it."""
    tracks = containers.iso_tracks(reader)
    if tracks is None:
        return None if reader.whole else MOV
    return _by_tracks(tracks, MOV) if tracks & {b"vide", b"soun"} else None


def _ebml(reader: Reader, _head: bytes, _name: str) -> FileType | None:
    doctype, tracks = containers.ebml_tracks(reader)
    film, sound = {"webm": (WEBM, WEBM_AUDIO), "matroska": (MKV, MKV_AUDIO)}.get(
        doctype, (None, None)
    )
    return sound if tracks and "audio" in tracks and "video" not in tracks else film


def _ogg(reader: Reader, _head: bytes, _name: str) -> FileType | None:
    codecs = containers.ogg_codecs(reader) - {"skeleton"}
    if not codecs or "other" in codecs:
        return None
    return OPUS if codecs == {"opus"} else OGG


def _mp3(reader: Reader, _head: bytes, _name: str) -> FileType | None:
    """MP3, or FLAC behind tags meant for MP3. Pictures in the tags may be larger than the head."""
    start = containers.id3_end(reader)
    if start >= reader.size:
        return None if reader.whole else MP3
    if reader.at(start, 4) == b"fLaC":
        return FLAC
    return MP3 if containers.mp3_at(reader, start, search=4096 if start else 0) else None


def _zip(reader: Reader, head: bytes, _name: str) -> FileType | None:
    """DOCX by the type of its main part; other packages, macros and plain ZIPs are refused."""
    if not reader.whole:
        first = containers.zip_first_names(head)
        office = ("[Content_Types].xml", "_rels/", "word/", "docProps/", "customXml/")
        return DOCX if first and all(name.startswith(office) for name in first) else None
    members = {member.name: member for member in containers.zip_members(reader)}
    types = members.get("[Content_Types].xml")
    if types is None or any(name.lower().endswith("vbaproject.bin") for name in members):
        return None
    if types.encrypted:
        return DOCX if "word/document.xml" in members else None
    return DOCX if _MAIN_PART in containers.zip_read(reader, types).replace(b"\0", b"") else None


def _ole(reader: Reader, _head: bytes, name: str) -> FileType | None:
    """A DOCX with a password is an OLE file. It is taken so that its owner learns what is wrong with it."""
    if _extension(name) != "docx":
        return None
    return DOCX if not reader.whole or containers.ole_holds(reader, "EncryptedPackage") else None


def _text(reader: Reader, head: bytes, name: str) -> FileType | None:
    extension = _extension(name)
    if extension in NOT_TEXT_EXTENSIONS:
        return None
    text = plaintext.read_text(head)
    markdown = extension in ("md", "markdown")
    if text is None or plaintext.disguise(text, markdown=markdown):
        return None
    if reader.whole and not plaintext.stays_text(reader):
        return None
    return MD if markdown else CSV if extension == "csv" else TXT


def _extension(name: str) -> str:
    return name.rpartition(".")[2].strip().lower() if "." in name else ""


def _starts(*magic: bytes) -> Callable[[bytes], bool]:
    return lambda head: head.startswith(magic)


_Answer: TypeAlias = FileType | Callable[[Reader, bytes, str], FileType | None]
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_SIGNATURES: tuple[tuple[Callable[[bytes], bool], _Answer], ...] = (
    (
        lambda head: (
            head[:3] == b"\xff\xd8\xff" and 0xC0 <= int.from_bytes(head[3:4], "big") < 0xFF
        ),
        JPG,
    ),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR", PNG),
    (_gif, GIF),
    (_webp, WEBP),
    (_wav, WAV),
    (_tiff, TIFF),
    (_bmp, BMP),
    (_is_iso, _iso),
    (_is_old_mov, _old_mov),
    (_starts(b"\x1aE\xdf\xa3"), _ebml),
    (_starts(b"OggS\0"), _ogg),
    (_starts(b"fLaC\0\0\0\x22", b"fLaC\x80\0\0\x22"), FLAC),
    (_pdf, PDF),
    (_starts(b"PK\x03\x04"), _zip),
    (_starts(_OLE_MAGIC), _ole),
    (_is_mp3, _mp3),
)

_REFUSED = (
    (b"MZ", "exe"),
    (b"\x7fELF", "elf"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
    (_OLE_MAGIC, "ole"),
    (b"\x1f\x8b", "gzip"),
    (b"7z\xbc\xaf\x27\x1c", "7z"),
    (b"Rar!", "rar"),
    (b"8BPS", "psd"),
    (b"\0\0\1\0", "ico"),
    (b"OggS", "ogg video"),
    (b"RIFF", "riff"),
    (b"FLV\1", "flv"),
    (b"0&\xb2\x75\x8e\x66\xcf\x11", "asf"),
    (b"\x1aE\xdf\xa3", "ebml"),
)


def received_format(head: bytes, *, name: str = "") -> str:
    """A word for what came, accepted or not: what a refusal tells the sender."""
    found = sniff(head, name=name)
    if found:
        return found.format
    for magic, word in _REFUSED:
        if head.startswith(magic):
            return word
    if containers.iso_brands(head):
        return "mp4"
    text = plaintext.read_text(head[:HEAD_BYTES])
    if text is None:
        return "unknown"
    return plaintext.disguise(text) or "text"

"""Looks inside containers just far enough to tell what they hold: ISO media, Matroska, Ogg, MP3, ZIP, OLE.

Every walk here is over bytes that a stranger wrote. A `Reader` hands them out under a budget, so that
a file of a million empty boxes costs as much as one of ten. Nothing is decoded.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_ZIP_MEMBERS = 2000


class Reader:
    """Random access to a file, or to its first bytes alone, for a bounded number of reads."""

    def __init__(
        self, source: BinaryIO | bytes, *, reads: int = 8192, budget: int = 4 << 20
    ) -> None:
        self._source = source
        self._reads = reads
        self._budget = budget
        if isinstance(source, bytes):
            self.size = len(source)
            self.whole = False  # more of the file may follow
        else:
            self.size = source.seek(0, 2)
            self.whole = True

    def at(self, offset: int, length: int) -> bytes:
        """Up to `length` bytes from `offset`; fewer at the end of the file or of the budget."""
        self._reads -= 1
        length = min(length, self._budget, self.size - offset)
        if self._reads < 0 or length <= 0 or offset < 0:
            return b""
        self._budget -= length
        if isinstance(self._source, bytes):
            return self._source[offset : offset + length]
        self._source.seek(offset)
        return self._source.read(length)


# --- ISO base media: MP4, MOV, M4A, HEIC, AVIF -------------------------------------------------------


def iso_brands(head: bytes) -> list[bytes]:
    """The major brand, then the compatible ones, of a leading `ftyp` box; empty where there is none."""
    size = int.from_bytes(head[:4], "big")
    if head[4:8] != b"ftyp" or not 16 <= size <= 4096:
        return []
    box = head[8:size]
    return [box[:4], *(box[i : i + 4] for i in range(8, len(box) - 3, 4))]


def _boxes(reader: Reader, start: int, end: int, limit: int) -> Iterator[tuple[bytes, int, int]]:
    """(type, start of content, end) of the boxes between two offsets, at most `limit` of them."""
    for _ in range(limit):
        header = reader.at(start, 16)
        if start + 8 > end or len(header) < 8:
            return
        size, name, skip = int.from_bytes(header[:4], "big"), header[4:8], 8
        if size == 1:
            size, skip = int.from_bytes(header[8:16], "big"), 16
        elif size == 0:
            size = end - start
        if size < skip:
            return
        yield name, start + skip, start + size
        start += size


def iso_tracks(reader: Reader) -> set[bytes] | None:
    """The handlers (`vide`, `soun`, ...) of the tracks; None where the movie box is out of reach."""
    for name, start, end in _boxes(reader, 0, reader.size, 1024):
        if name == b"moov":
            if end > reader.size and not reader.whole:
                return None
            return _iso_handlers(reader, start, min(end, reader.size))
    return None


def _iso_handlers(reader: Reader, start: int, end: int) -> set[bytes]:
    found: set[bytes] = set()
    for trak, trak_start, trak_end in _boxes(reader, start, end, 256):
        if trak != b"trak":
            continue
        for mdia, mdia_start, mdia_end in _boxes(reader, trak_start, min(trak_end, end), 32):
            if mdia != b"mdia":
                continue
            for hdlr, hdlr_start, _ in _boxes(reader, mdia_start, min(mdia_end, end), 32):
                if hdlr == b"hdlr":
                    found.add(reader.at(hdlr_start + 8, 4))
                    break
    return found


# --- EBML: Matroska and WebM -------------------------------------------------------------------------

_EBML, _DOCTYPE, _SEGMENT = 0x1A45DFA3, 0x4282, 0x18538067
_TRACKS, _TRACK, _TRACK_TYPE, _CLUSTER = 0x1654AE6B, 0xAE, 0x83, 0x1F43B675
_TRACK_KINDS = {1: "video", 2: "audio"}


def _vint(data: bytes, pos: int, *, marker: bool) -> tuple[int, int]:
    """An EBML number at `pos` and its length in bytes; length 0 where there is none."""
    if pos >= len(data) or not data[pos]:
        return 0, 0
    length = 9 - data[pos].bit_length()
    raw = int.from_bytes(data[pos : pos + length], "big")
    if pos + length > len(data):
        return 0, 0
    return (raw if marker else raw & ((1 << 7 * length) - 1)), length


def _elements(reader: Reader, start: int, end: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """(id, start of content, end) of the elements between two offsets, at most `limit` of them."""
    for _ in range(limit):
        if start >= end:
            return
        header = reader.at(start, 12)
        ident, id_length = _vint(header, 0, marker=True)
        size, size_length = _vint(header, id_length, marker=False)
        if not id_length or not size_length:
            return
        content = start + id_length + size_length
        unknown = size == (1 << 7 * size_length) - 1  # a live stream: it lasts to the end
        start = end if unknown else content + size
        yield ident, content, start


def ebml_tracks(reader: Reader) -> tuple[str, set[str] | None]:
    """The document type, and the kinds of its tracks; None where they are out of reach."""
    doctype = ""
    for ident, start, end in _elements(reader, 0, reader.size, 8):
        if ident == _EBML:
            for child, child_start, child_end in _elements(
                reader, start, min(end, start + 4096), 16
            ):
                if child == _DOCTYPE and child_end - child_start <= 32:
                    raw = reader.at(child_start, child_end - child_start)
                    doctype = raw.rstrip(b"\0").decode("ascii", "replace")
        elif ident == _SEGMENT:
            return doctype, _segment_tracks(reader, start, min(end, reader.size))
    return doctype, None


def _segment_tracks(reader: Reader, start: int, end: int) -> set[str] | None:
    for ident, child, child_end in _elements(reader, start, end, 64):
        if ident == _CLUSTER:
            return None
        if ident == _TRACKS:
            if child_end > reader.size and not reader.whole:
                return None
            return _track_kinds(reader, child, min(child_end, reader.size))
    return None


def _track_kinds(reader: Reader, start: int, end: int) -> set[str]:
    kinds: set[str] = set()
    for ident, entry, entry_end in _elements(reader, start, end, 128):
        if ident != _TRACK:
            continue
        for field, value, value_end in _elements(reader, entry, min(entry_end, end), 64):
            if field == _TRACK_TYPE:
                number = int.from_bytes(reader.at(value, min(8, value_end - value)), "big")
                kinds.add(_TRACK_KINDS.get(number, "other"))
                break
    return kinds


# --- Ogg ---------------------------------------------------------------------------------------------

_OGG_CODECS = {
    b"\x01vorbis": "vorbis",
    b"OpusHead": "opus",
    b"\x7fFLAC": "flac",
    b"Speex   ": "speex",
    b"fishead\0": "skeleton",  # an index of the other streams
}


def ogg_codecs(reader: Reader) -> set[str]:
    """The codecs of the streams an Ogg file begins with; "other" for films and what we do not know."""
    found: set[str] = set()
    offset = 0
    for _ in range(32):
        page = reader.at(offset, 27 + 255 + 16)
        if page[:5] != b"OggS\0" or len(page) < 28 or not page[5] & 2:  # 2: beginning of a stream
            break
        segments = page[26]
        packet = page[27 + segments :]
        found.add(
            next((name for magic, name in _OGG_CODECS.items() if packet.startswith(magic)), "other")
        )
        offset += 27 + segments + sum(page[27 : 27 + segments])
    return found


# --- MP3 ---------------------------------------------------------------------------------------------

_BITRATES_1 = (
    0,
    32,
    40,
    48,
    56,
    64,
    80,
    96,
    112,
    128,
    160,
    192,
    224,
    256,
    320,
)  # kbit/s, MPEG 1 layer III
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG 2 and 2.5
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def _mp3_frame(header: bytes) -> int:
    """The length of the layer III frame that begins with these four bytes, or 0."""
    if len(header) < 4 or header[0] != 0xFF or header[1] & 0xE6 != 0xE2:  # sync, layer III
        return 0
    version, bitrate, rate = header[1] >> 3 & 3, header[2] >> 4, header[2] >> 2 & 3
    if version == 1 or bitrate in (0, 15) or rate == 3 or header[3] & 3 == 2:
        return 0
    table, samples = (_BITRATES_1, 144) if version == 3 else (_BITRATES_2, 72)
    return samples * 1000 * table[bitrate] // _RATES[version][rate] + (header[2] >> 1 & 1)


def id3_end(reader: Reader) -> int:
    """Where the sound begins: after the ID3v2 tags, of which there may be several."""
    offset = 0
    for _ in range(8):
        tag = reader.at(offset, 10)
        if len(tag) < 10 or tag[:3] != b"ID3" or any(byte & 0x80 for byte in tag[6:10]):
            break
        size = tag[6] << 21 | tag[7] << 14 | tag[8] << 7 | tag[9]
        offset += 10 + size + (10 if tag[5] & 0x10 else 0)
    return offset


def mp3_at(reader: Reader, offset: int, *, search: int = 0) -> bool:
    """Whether layer III frames begin at `offset`, or within `search` bytes of it: three, or all there are."""
    window = reader.at(offset, search + 4)
    for start in range(max(1, len(window) - 3)):
        if _mp3_run(reader, offset + start, window[start : start + 4]):
            return True
    return False


def _mp3_run(reader: Reader, position: int, header: bytes) -> bool:
    same = b""
    for _ in range(3):
        length = _mp3_frame(header)
        if not length or (same and same != bytes((header[1] & 0xFE, header[2] & 0x0C))):
            return False
        same = bytes((header[1] & 0xFE, header[2] & 0x0C))  # version, layer and rate never change
        position += length
        if position >= reader.size or reader.at(position, 3) == b"TAG":
            break
        header = reader.at(position, 4)
    return True


# --- ZIP and OLE -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ZipMember:
    """One line of a ZIP's directory."""

    name: str
    encrypted: bool
    method: int
    packed: int
    offset: int


def zip_first_names(head: bytes) -> list[str]:
    """The names of the members whose local headers lie in the first bytes."""
    names: list[str] = []
    offset = 0
    while (
        len(names) < 16 and head[offset : offset + 4] == b"PK\x03\x04" and offset + 30 <= len(head)
    ):
        flags, packed = head[offset + 6], int.from_bytes(head[offset + 18 : offset + 22], "little")
        length = int.from_bytes(head[offset + 26 : offset + 28], "little")
        extra = int.from_bytes(head[offset + 28 : offset + 30], "little")
        names.append(head[offset + 30 : offset + 30 + length].decode("utf-8", "replace"))
        if flags & 8 and not packed:  # sizes follow the data: the next header cannot be found
            break
        offset += 30 + length + extra + packed
    return names


def zip_claims(reader: Reader) -> tuple[int, int]:
    """Members and bytes that the directory claims to have: the larger of what its two ends say."""
    end = _zip_end(reader)
    if not end:
        return 0, 0
    claims = [(int.from_bytes(end[10:12], "little"), int.from_bytes(end[12:16], "little"))]
    tail = reader.at(max(0, reader.size - 65600), 65600)
    locator = tail.rfind(b"PK\x06\x07")  # of the 64-bit end, which readers prefer to the other
    if locator >= 0:
        record = reader.at(int.from_bytes(tail[locator + 8 : locator + 16], "little"), 56)
        if record[:4] == b"PK\x06\x06":
            claims.append(
                (int.from_bytes(record[32:40], "little"), int.from_bytes(record[40:48], "little"))
            )
    return max(count for count, _ in claims), max(size for _, size in claims)


def _zip_end(reader: Reader) -> bytes:
    tail = reader.at(max(0, reader.size - 65557), 65557)
    at = tail.rfind(b"PK\x05\x06")
    return tail[at : at + 22] if at >= 0 and at + 22 <= len(tail) else b""


def zip_members(reader: Reader) -> list[ZipMember]:
    """The first `MAX_ZIP_MEMBERS` lines of a ZIP's directory."""
    end = _zip_end(reader)
    if not end:
        return []
    count, size, start = (
        int.from_bytes(end[a:b], "little") for a, b in ((10, 12), (12, 16), (16, 20))
    )
    directory = reader.at(start, min(size, 1 << 20))
    members: list[ZipMember] = []
    at = 0
    for _ in range(min(count, MAX_ZIP_MEMBERS)):
        line = directory[at : at + 46]
        if len(line) < 46 or line[:4] != b"PK\x01\x02":
            break
        lengths = [int.from_bytes(line[i : i + 2], "little") for i in (28, 30, 32)]
        members.append(
            ZipMember(
                name=directory[at + 46 : at + 46 + lengths[0]].decode("utf-8", "replace"),
                encrypted=bool(line[8] & 1),
                method=int.from_bytes(line[10:12], "little"),
                packed=int.from_bytes(line[20:24], "little"),
                offset=int.from_bytes(line[42:46], "little"),
            )
        )
        at += 46 + sum(lengths)
    return members


def zip_read(reader: Reader, member: ZipMember, limit: int = 1 << 20) -> bytes:
    """At most `limit` bytes of an unencrypted member; empty where it cannot be unpacked."""
    header = reader.at(member.offset, 30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04" or member.encrypted:
        return b""
    start = member.offset + 30 + sum(int.from_bytes(header[i : i + 2], "little") for i in (26, 28))
    packed = reader.at(start, min(member.packed, limit))
    if member.method == 0:
        return packed
    if member.method != 8:
        return b""
    try:
        return zlib.decompressobj(-15).decompress(packed, limit)
    except zlib.error:
        return b""


def ole_holds(reader: Reader, stream: str) -> bool:
    """Whether the first sectors of an OLE file's directory name this stream."""
    header = reader.at(0, 512)
    if len(header) < 512:
        return False
    shift = int.from_bytes(header[30:32], "little")
    sector = int.from_bytes(header[48:52], "little")
    if shift not in (9, 12):
        return False
    return stream.encode("utf-16-le") in reader.at((sector + 1) << shift, 16384)

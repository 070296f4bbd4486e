"""Real files made in memory: by Pillow, PyAV and python-docx, or by hand where nothing writes them."""

from __future__ import annotations

import functools
import io
import struct
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import av
import docx
import numpy as np
from PIL import Image


def picture(
    width: int = 160, height: int = 120, mode: str = "RGB", *, seed: int = 1
) -> Image.Image:
    """A smooth random picture: it has structure at every scale and survives compression."""
    noise = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC)
    return image if mode == "RGB" else image.convert(mode)


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@functools.cache
def image_file(format_: str, width: int = 160, height: int = 120) -> bytes:
    """A small picture in one of the accepted formats, by its name in the settings."""
    if format_ == "heic":
        return heic(width, height)
    names = {"jpg": "JPEG", "tiff": "TIFF"}
    return encoded(picture(width, height), names.get(format_, format_.upper()))


@functools.cache
def media_file(
    container: str, *, sound: str | None = None, film: str | None = None, seconds: float = 0.6
) -> bytes:
    """A short file of the container with a tone, moving colours, or both."""
    buffer = io.BytesIO()
    opened: Any = av.open(buffer, "w", format=container)
    with opened as out:
        # FFmpeg's own Vorbis encoder calls itself experimental, and knows only stereo.
        audio = out.add_stream(sound, rate=48000, options={"strict": "-2"}) if sound else None
        if audio is not None:
            audio.layout = "stereo" if sound == "vorbis" else "mono"
        quiet = {"x265-params": "log-level=none"} if film == "libx265" else {}
        video = out.add_stream(film, rate=10, options=quiet) if film else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
            for number in range(max(1, int(seconds * 10))):
                pixels = np.full((48, 64, 3), (number * 20 % 256, 80, 160), np.uint8)
                for packet in video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")):
                    out.mux(packet)
        if audio is not None:
            _encode_tone(out, audio, seconds)
        for stream in (video, audio):
            if stream is not None:
                for packet in stream.encode(None):
                    out.mux(packet)
    return buffer.getvalue()


def _encode_tone(out: Any, stream: Any, seconds: float) -> None:
    layout = stream.layout.name
    samples = np.sin(np.arange(int(48000 * seconds)) * 0.0576) * 12000  # 440 Hz
    channels = 2 if layout == "stereo" else 1
    data = np.repeat(samples.astype(np.int16), channels).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(data, "s16", layout)
    frame.sample_rate = 48000
    frame.pts = 0
    size = stream.codec_context.frame_size or 1024
    resampler = av.AudioResampler(stream.format.name, layout, 48000, frame_size=size)
    for piece in [*resampler.resample(frame), *resampler.resample(None)]:
        for packet in stream.encode(piece):
            out.mux(packet)


def box(name: bytes, *content: bytes) -> bytes:
    """A box of ISO base media."""
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _hevc_frame(image: Image.Image) -> tuple[bytes, bytes]:
    """The decoder's configuration box and the one key frame, as HEIF wants them."""
    buffer = io.BytesIO()
    opened: Any = av.open(buffer, "w", format="hevc")
    make_frame: Any = av.VideoFrame.from_image
    with opened as out:
        stream = out.add_stream("libx265", rate=1, options={"x265-params": "log-level=none"})
        stream.width, stream.height, stream.pix_fmt = *image.size, "yuv420p"
        for packet in [*stream.encode(make_frame(image)), *stream.encode(None)]:
            out.mux(packet)
    units = [unit.rstrip(b"\0") for unit in buffer.getvalue().split(b"\0\0\1")[1:]]
    by_type = {unit[0] >> 1 & 63: unit for unit in units}  # 32 to 34 are the parameter sets
    profile = by_type[33].replace(b"\0\0\3", b"\0\0")[3:15]
    config = b"\1" + profile + bytes([0xF0, 0, 0xFC, 0xFD, 0xF8, 0xF8, 0, 0, 0x0F, 3])
    for kind in (32, 33, 34):
        config += struct.pack(">BHH", 0x80 | kind, 1, len(by_type[kind])) + by_type[kind]
    pictures = [unit for unit in units if unit[0] >> 1 & 63 < 32]
    return box(b"hvcC", config), b"".join(struct.pack(">I", len(u)) + u for u in pictures)


@functools.cache
def heic(width: int = 160, height: int = 120, rotation: int = 0, exif: bytes = b"") -> bytes:
    """A HEIC still: one HEVC key frame in hand-made boxes. `rotation` counts quarters leftwards."""
    config, frame = _hevc_frame(picture(width, height))
    tags = struct.pack(">I", 0) + exif if exif else b""

    def boxes(start: int) -> bytes:
        spans = [(1, start, len(frame))]
        entries = [box(b"infe", struct.pack(">IHH4sx", 2 << 24, 1, 0, b"hvc1"))]
        if tags:
            spans.append((2, start + len(frame), len(tags)))
            entries.append(box(b"infe", struct.pack(">IHH4sx", 2 << 24, 2, 0, b"Exif")))
        locations = b"".join(
            struct.pack(">HHHII", item, 0, 1, at, size) for item, at, size in spans
        )
        properties = [config, box(b"ispe", struct.pack(">III", 0, width, height))]
        properties += [box(b"irot", bytes([rotation]))] if rotation else []
        used = bytes([0x80 | 1, 2, *([0x80 | 3] if rotation else [])])
        association = struct.pack(">IIHB", 0, 1, 1, len(used)) + used
        reference = struct.pack(">HHH", 2, 1, 1)
        meta = [
            box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")),
            box(b"pitm", struct.pack(">IH", 0, 1)),
            box(b"iinf", struct.pack(">IH", 0, len(entries)), *entries),
            box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(spans)), locations),
            box(b"iprp", box(b"ipco", *properties), box(b"ipma", association)),
        ]
        if tags:
            meta.append(box(b"iref", struct.pack(">I", 0), box(b"cdsc", reference)))
        head = box(b"ftyp", b"heic", bytes(4), b"mif1", b"heic")
        return (
            head
            + box(b"meta", bytes(4), *meta)
            + struct.pack(">I4s", 8 + len(frame + tags), b"mdat")
        )

    return boxes(len(boxes(0))) + frame + tags


def pdf(
    pages: Iterable[str] = ("Hello",),
    *,
    info: Mapping[str, str] | None = None,
    extra: Iterable[bytes] = (),
) -> bytes:
    """A PDF of one text per page; `extra` objects are numbered from 4."""
    objects = [b"", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>", *extra]
    kids = []
    for text in pages:
        lines = b" ".join(b"(%s) Tj T*" % _escaped(line) for line in text.splitlines())
        content = b"BT /F1 11 Tf 13 TL 50 790 Td %s ET" % lines if text else b""
        objects.append(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % len(objects)
        )
        kids.append(len(objects))
    objects[0] = b"<</Type/Catalog/Pages 2 0 R>>"
    listed = b" ".join(b"%d 0 R" % kid for kid in kids)
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), listed)
    return pdf_of(objects, info=info)


def _escaped(text: str) -> bytes:
    return (
        text.encode("latin-1").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
    )


def pdf_of(objects: Iterable[bytes], *, info: Mapping[str, str] | None = None) -> bytes:
    """A PDF of ready objects, the first of which is the catalogue."""
    bodies = list(objects)
    trailer = b"/Root 1 0 R"
    if info:
        entries = b"".join(
            b"/%s<%s>"
            % (key.encode(), ("\ufeff" + value).encode("utf-16-be", "surrogatepass").hex().encode())
            for key, value in info.items()
        )
        bodies.append(b"<<%s>>" % entries)
        trailer += b"/Info %d 0 R" % len(bodies)
    out = bytearray(b"%PDF-1.7\n")
    offsets = []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start, count = len(out), len(bodies) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n%s" % (count, table)
    out += b"trailer<</Size %d%s>>\nstartxref\n%d\n%%%%EOF\n" % (count, trailer, start)
    return bytes(out)


def docx_file(paragraphs: Iterable[str] = ("Hello",)) -> bytes:
    """A DOCX as python-docx writes it."""
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def zip_file(members: Mapping[str, bytes | str], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def ole_file(*streams: str) -> bytes:
    """An OLE file (as .doc, or a DOCX with a password) whose directory names these streams."""
    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504))
    header[24:34] = struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6)
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0") + bytes(64) for name in ("Root Entry", *streams)
    )
    return bytes(header) + entries.ljust(2048, b"\0")

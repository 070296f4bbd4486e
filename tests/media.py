"""Media made in memory for tests: small, the same bytes in every run, real enough for every decoder.

Pictures come from Pillow, sound and films from PyAV, DOCX from python-docx; HEIC and PDF are written
by hand. `seed` makes another file of the same kind, with other bytes.
"""

from __future__ import annotations

import functools
import io
import struct
import subprocess
import wave
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import docx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from tests.processes import find_program

Pixels = NDArray[np.uint8]

# ------------------------------------------------------------------- pictures


def picture(width: int = 64, height: int = 48, *, seed: int = 0) -> Image.Image:
    """A gradient with a bright disc on it: smooth, and not symmetric in any way."""
    x = np.linspace(0, 200, width)[None, :]
    y = np.linspace(0, 200, height)[:, None]
    red, green = x + 0 * y + seed * 37, y + 0 * x + seed * 11
    blue = (x + y) / 2 + seed * 71
    image = Image.fromarray((np.stack([red, green, blue], axis=-1) % 256).astype(np.uint8))
    radius = max(1, min(width, height) // 6)
    left, top = width // 4 - radius, height // 3 - radius
    ImageDraw.Draw(image).ellipse((left, top, left + 2 * radius, top + 2 * radius), fill="white")
    return image


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(
    *,
    taken_at: str = "",
    camera: str = "",
    orientation: int = 1,
    gps: tuple[float, float] | None = None,
) -> bytes:
    """An EXIF block. `taken_at` is `2024:05:06 07:08:09`, `gps` latitude and longitude in degrees."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    if camera:
        tags[0x0110] = camera
    if taken_at:
        tags[0x0132] = taken_at
        tags.get_ifd(0x8769)[0x9003] = taken_at
    if gps:
        place = tags.get_ifd(0x8825)
        for tag, degrees, names in ((1, gps[0], "NS"), (3, gps[1], "EW")):
            place[tag] = names[degrees < 0]
            place[tag + 1] = _sexagesimal(abs(degrees))
    return tags.tobytes()


def _sexagesimal(degrees: float) -> tuple[float, float, float]:
    minutes = degrees % 1 * 60
    return float(int(degrees)), float(int(minutes)), round(minutes % 1 * 60, 3)


def jpeg(
    width: int = 64,
    height: int = 48,
    *,
    exif: bytes = b"",
    seed: int = 0,
    mode: str = "RGB",
    **options: Any,
) -> bytes:
    """A JPEG; `exif` is what `exif()` made, `options` are Pillow's (quality, progressive ...)."""
    return _saved(picture(width, height, seed=seed).convert(mode), "JPEG", exif=exif, **options)


def png(width: int = 64, height: int = 48, *, seed: int = 0, mode: str = "RGB") -> bytes:
    return _saved(picture(width, height, seed=seed).convert(mode), "PNG")


def gif(frames: int = 3, width: int = 48, height: int = 32, *, seed: int = 0) -> bytes:
    """An animation of as many different frames, a tenth of a second each."""
    pictures = [picture(width, height, seed=seed + number) for number in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:], "duration": 100, "loop": 0}
    return _saved(pictures[0], "GIF", **more)


def webp(width: int = 64, height: int = 48, *, seed: int = 0, frames: int = 1) -> bytes:
    pictures = [picture(width, height, seed=seed + number) for number in range(frames)]
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    return _saved(pictures[0], "WEBP", method=0, **more)


def tiff(width: int = 64, height: int = 48, *, seed: int = 0, pages: int = 1) -> bytes:
    pictures = [picture(width, height, seed=seed + number) for number in range(pages)]
    return _saved(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])


def bmp(width: int = 64, height: int = 48, *, seed: int = 0) -> bytes:
    return _saved(picture(width, height, seed=seed), "BMP")


@functools.cache
def avif(width: int = 64, height: int = 48, *, seed: int = 0) -> bytes:
    return _saved(picture(width, height, seed=seed), "AVIF", speed=10, max_threads=1)


def text_picture(*lines: str, size: int = 40, width: int = 900) -> bytes:
    """A PNG of black lines on white, large enough for a text recogniser."""
    image = Image.new("RGB", (width, (len(lines) + 1) * size * 3 // 2), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines):
        draw.text((size, size // 2 + number * size * 3 // 2), line, fill="black", font=font)
    return _saved(image, "PNG")


@functools.cache
def heic(width: int = 64, height: int = 48, *, seed: int = 0, exif: bytes = b"") -> bytes:
    """A HEIC still: one HEVC key frame in HEIF boxes, for libheif's wheel reads but does not write."""
    config, frame = _hevc_still(picture(width, height, seed=seed))
    items = [(b"hvc1", frame)]
    if exif:
        items.append((b"Exif", bytes(4) + exif))
    properties = _box(b"hvcC", config) + _box(b"ispe", struct.pack(">III", 0, width, height))
    # Item 1 has both properties; the first, the decoder's configuration, is essential.
    uses = struct.pack(">IIHBBB", 0, 1, 1, 2, 0x80 | 1, 2)
    names = [
        _box(b"infe", struct.pack(">IHH4sx", 2 << 24, number, 0, name))
        for number, (name, _) in enumerate(items, 1)
    ]

    def head(data_start: int) -> bytes:
        places, at = b"", data_start
        for number, (_, data) in enumerate(items, 1):
            places += struct.pack(">HHHII", number, 0, 1, at, len(data))
            at += len(data)
        meta = [
            _box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")),
            _box(b"pitm", struct.pack(">IH", 0, 1)),
            _box(b"iloc", struct.pack(">IBBH", 0, 0x44, 0, len(items)), places),
            _box(b"iinf", struct.pack(">IH", 0, len(items)), *names),
            _box(b"iprp", _box(b"ipco", properties), _box(b"ipma", uses)),
        ]
        if exif:
            described = _box(b"cdsc", struct.pack(">HHH", 2, 1, 1))
            meta.append(_box(b"iref", bytes(4), described))
        brands = b"heic" + bytes(4) + b"mif1heic"
        return _box(b"ftyp", brands) + _box(b"meta", bytes(4), *meta)

    data = b"".join(content for _, content in items)
    start = len(head(0)) + 8
    return head(start) + _box(b"mdat", data)


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _hevc_still(image: Image.Image) -> tuple[bytes, bytes]:
    """The decoder's configuration and the frame, as Matroska holds them and HEIF wants them."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        options = {"x265-params": "log-level=none:pools=none:frame-threads=1:info=0"}
        stream = out.add_stream("libx265", rate=1, options=options)
        stream.width, stream.height = image.size
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_image(image)
        frame.pts = 0
        frame.time_base = Fraction(1, 1)
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    buffer.seek(0)
    with av.open(buffer, "r") as made:
        video = made.streams.video[0]
        config = video.codec_context.extradata
        assert config is not None
        return config, bytes(next(made.demux(video)))


# ------------------------------------------------------------------- sound


def tone(seconds: float, *, hz: float = 440, rate: int = 16000, volume: float = 0.4) -> Any:
    """A sine as 16-bit samples. Volume 0 is silence."""
    times = np.arange(int(seconds * rate)) / rate
    return (np.sin(times * hz * 2 * np.pi) * volume * 32767).astype(np.int16)


def wav_of(samples: Any, *, rate: int = 16000, channels: int = 1) -> bytes:
    """A WAV of 16-bit samples (interleaved, where there are several channels)."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(samples.tobytes())
    return buffer.getvalue()


def wav(
    seconds: float = 1.0,
    *,
    hz: float = 440,
    rate: int = 16000,
    channels: int = 1,
    volume: float = 0.4,
) -> bytes:
    samples = tone(seconds, hz=hz, rate=rate, volume=volume)
    return wav_of(np.repeat(samples, channels), rate=rate, channels=channels)


def mp3(seconds: float = 1.0, *, hz: float = 440, tags: tuple[tuple[str, str], ...] = ()) -> bytes:
    """An MP3; `tags` are pairs such as `("title", "Morning")`."""
    return _container("mp3", audio="libmp3lame", seconds=seconds, hz=hz, tags=tags)


def ogg(seconds: float = 1.0, *, hz: float = 440) -> bytes:
    """Vorbis in Ogg."""
    return _container("ogg", audio="vorbis", seconds=seconds, hz=hz)


def opus(seconds: float = 1.0, *, hz: float = 440) -> bytes:
    """Opus in Ogg, as voice messages are."""
    return _container("ogg", audio="libopus", seconds=seconds, hz=hz)


def flac(seconds: float = 1.0, *, hz: float = 440) -> bytes:
    return _container("flac", audio="flac", seconds=seconds, hz=hz)


def m4a(seconds: float = 1.0, *, hz: float = 440, tags: tuple[tuple[str, str], ...] = ()) -> bytes:
    return _container("ipod", audio="aac", seconds=seconds, hz=hz, tags=tags)


def webm_audio(seconds: float = 1.0, *, hz: float = 440) -> bytes:
    """Opus in WebM, without a picture, as browsers record it."""
    return _container("webm", audio="libopus", seconds=seconds, hz=hz)


@functools.cache
def speech(text: str, *, language: str = "en") -> bytes:
    """A WAV of the text, spoken by espeak-ng."""
    program = find_program("espeak-ng", "espeak")
    if program is None:
        pytest.skip("espeak-ng is not installed")
    command = [program, "-v", language, "-s", "140", "--stdout", text]
    spoken = subprocess.run(command, capture_output=True, check=True).stdout
    # A stream's header cannot know its length, so it is written anew.
    with wave.open(io.BytesIO(spoken)) as stream:
        rate = stream.getframerate()
    return wav_of(np.frombuffer(spoken[44:], np.int16), rate=rate)


# ------------------------------------------------------------------- films


def mp4(
    seconds: float = 2.0,
    *,
    width: int = 96,
    height: int = 64,
    fps: int = 10,
    sound: bool = True,
    rotation: int = 0,
    seed: int = 0,
) -> bytes:
    """H.264 and AAC. `rotation` in degrees clockwise is a mark in the header, as phones write it."""
    film = _container(
        "mp4",
        video="libx264",
        audio="aac" if sound else "",
        seconds=seconds,
        size=(width, height),
        fps=fps,
        seed=seed,
    )
    return _rotated(film, rotation) if rotation else film


def mov(seconds: float = 2.0, *, sound: bool = True) -> bytes:
    return _container("mov", video="libx264", audio="aac" if sound else "", seconds=seconds)


def webm(seconds: float = 2.0, *, sound: bool = True) -> bytes:
    """VP8 and Opus."""
    return _container("webm", video="libvpx", audio="libopus" if sound else "", seconds=seconds)


def mkv(seconds: float = 2.0, *, sound: bool = True) -> bytes:
    return _container("matroska", video="libx264", audio="aac" if sound else "", seconds=seconds)


_ENCODING: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "crf": "30"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "vorbis": {"strict": "experimental"},
}
_AUDIO_RATE = 48000


@functools.cache
def _container(
    container: str,
    *,
    video: str = "",
    audio: str = "",
    seconds: float,
    hz: float = 440,
    size: tuple[int, int] = (96, 64),
    fps: int = 10,
    seed: int = 0,
    tags: tuple[tuple[str, str], ...] = (),
) -> bytes:
    buffer = io.BytesIO()
    # bitexact: no random ids and no encoder's version in the file
    with av.open(buffer, "w", format=container, options={"fflags": "+bitexact"}) as out:
        out.metadata.update(dict(tags))
        streams: list[tuple[Any, Iterable[Any]]] = []
        if video:
            picture_stream = _stream(out, video, fps)
            picture_stream.width, picture_stream.height = size
            picture_stream.pix_fmt = "yuv420p"
            streams.append((picture_stream, _moving(size, int(seconds * fps), fps, seed)))
        if audio:
            sound_stream = _stream(out, audio, _AUDIO_RATE)
            sound_stream.layout = "stereo"  # the only layout all these encoders share
            streams.append((sound_stream, _sounding(sound_stream, seconds, hz)))
        for stream, frames in streams:
            for frame in (*frames, None):
                for packet in stream.encode(frame):
                    out.mux(packet)
    return buffer.getvalue()


def _stream(out: Any, codec: str, rate: int) -> Any:
    stream = out.add_stream(codec, rate=rate, options=_ENCODING.get(codec, {}))
    stream.codec_context.thread_count = 1  # more threads, other bytes
    stream.codec_context.flags |= av.codec.context.Flags.bitexact
    return stream


def _moving(size: tuple[int, int], count: int, fps: int, seed: int) -> Iterable[Any]:
    """A picture that slides to the right, one step a frame."""
    width = size[0]
    pixels: Pixels = np.asarray(picture(*size, seed=seed))
    for number in range(max(1, count)):
        moved = np.ascontiguousarray(np.roll(pixels, number * max(1, width // 16), axis=1))
        frame = av.VideoFrame.from_ndarray(moved, "rgb24")
        frame.pts = number
        frame.time_base = Fraction(1, fps)
        yield frame


def _sounding(stream: Any, seconds: float, hz: float) -> Iterable[Any]:
    samples = np.repeat(tone(seconds, hz=hz, rate=_AUDIO_RATE), 2).reshape(1, -1)
    whole = av.AudioFrame.from_ndarray(samples, "s16", "stereo")
    whole.sample_rate = _AUDIO_RATE
    whole.pts = 0
    whole.time_base = Fraction(1, _AUDIO_RATE)
    resampler = av.AudioResampler(
        stream.format.name,
        "stereo",
        _AUDIO_RATE,
        frame_size=stream.codec_context.frame_size or 1024,
    )
    yield from resampler.resample(whole)
    yield from resampler.resample(None)


def _rotated(film: bytes, degrees: int) -> bytes:
    """The same MP4 with a rotation in the matrix of its first track's header."""
    one = 1 << 16
    cosine, sine = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    at = film.index(b"tkhd") + 4 + 40  # past the version-0 fields before the matrix
    matrix = struct.pack(">iiiiii", cosine, sine, 0, -sine, cosine, 0)
    return film[:at] + matrix + film[at + len(matrix) :]


# ------------------------------------------------------------------- documents

_A4 = "0 0 595 842"


def pdf(texts: Sequence[str] = ("Hello",), *, info: Mapping[str, str] | None = None) -> bytes:
    """A PDF with one page for each text, set in Helvetica, so Latin letters only."""
    fonts = b"/Resources << /Font << /F1 3 0 R >> >>"
    pages = []
    for text in texts:
        lines = " T* ".join(f"({_escaped(line)}) Tj" for line in text.split("\n"))
        drawn = f"BT /F1 12 Tf 15 TL 50 780 Td {lines} ET".encode("cp1252")
        pages.append((fonts, drawn))
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>"
    return _pdf(pages, shared=[font], info=info)


def scanned_pdf(pictures: Sequence[bytes]) -> bytes:
    """A PDF of RGB JPEGs only: pages without a letter."""
    pages, images = [], []
    for number, data in enumerate(pictures):
        width, height = Image.open(io.BytesIO(data)).size
        images.append(
            b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace /DeviceRGB"
            b" /BitsPerComponent 8 /Filter /DCTDecode /Length %d >>\nstream\n%s\nendstream"
            % (width, height, len(data), data)
        )
        resources = b"/Resources << /XObject << /Im %d 0 R >> >>" % (3 + number)
        pages.append((resources, b"q 495 0 0 %d 50 300 cm /Im Do Q" % (495 * height // width)))
    return _pdf(pages, shared=images)


def encrypted_pdf(texts: Sequence[str] = ("Hello",), *, password: str = "open sesame") -> bytes:
    """A PDF that nobody reads without its password. Its key is random, so its bytes are not fixed."""
    from pypdf import PdfReader, PdfWriter  # few tests need it

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf(texts))))
    writer.encrypt(password, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")


def _pdf(
    pages: Sequence[tuple[bytes, bytes]],
    *,
    shared: Sequence[bytes],
    info: Mapping[str, str] | None = None,
) -> bytes:
    """Catalogue, page tree, shared objects (numbered from 3), then two objects for each page."""
    first = 3 + len(shared)
    kids = b" ".join(b"%d 0 R" % (first + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(pages), kids),
        *shared,
    ]
    for number, (resources, drawn) in enumerate(pages):
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [%s] %s /Contents %d 0 R >>"
            % (_A4.encode(), resources, first + 2 * number + 1),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        ]
    trailer = b"/Root 1 0 R"
    if info:
        fields = " ".join(f"/{name} ({_escaped(value)})" for name, value in info.items())
        objects.append(f"<< {fields} >>".encode("cp1252"))
        trailer += b" /Info %d 0 R" % len(objects)
    return pdf_of(objects, trailer=trailer)


def pdf_of(objects: Sequence[bytes], *, trailer: bytes = b"/Root 1 0 R") -> bytes:
    """A PDF of ready objects, numbered from 1."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d %s >>\n" % (len(objects) + 1, trailer)
    out += b"startxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def word(
    paragraphs: Sequence[str] = ("Hello",),
    *,
    table: Sequence[Sequence[str]] = (),
    title: str = "",
) -> bytes:
    """A DOCX as python-docx writes it, with every date set back so that its bytes never change."""
    document = docx.Document()
    document.core_properties.title = title
    for text in paragraphs:
        document.add_paragraph(text)
    if table:
        cells = document.add_table(rows=len(table), cols=len(table[0]))
        for row, values in zip(cells.rows, table, strict=True):
            for cell, value in zip(row.cells, values, strict=True):
                cell.text = value
    buffer = io.BytesIO()
    document.save(buffer)
    with zipfile.ZipFile(buffer) as made:
        return zipped({name: made.read(name) for name in made.namelist()})


def zipped(members: Mapping[str, bytes]) -> bytes:
    """A ZIP of these files, all of the same old date."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            archive.writestr(info, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def plain(text: str = "Hello, world.\n", *, encoding: str = "utf-8") -> bytes:
    """A TXT in any encoding of Python's; `utf-8-sig` and `utf-16` have a byte order mark."""
    return text.encode(encoding)


def markdown(title: str = "Hello", *, body: str = "Some *plain* text.") -> bytes:
    return f"# {title}\n\n{body}\n\n- one\n- two\n".encode()


def csv(
    rows: Sequence[Sequence[str]] = (("name", "size"), ("cat", "3")),
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
) -> bytes:
    return "".join(delimiter.join(row) + "\r\n" for row in rows).encode(encoding)


# ------------------------------------------------------------------- what is refused


def svg() -> bytes:
    return b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


def html() -> bytes:
    return b"<!doctype html><html><body><script>alert(1)</script></body></html>"


def truncated(data: bytes, *, keep: float = 0.5) -> bytes:
    """The beginning of a file."""
    return data[: int(len(data) * keep)]

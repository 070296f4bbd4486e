"""Films and recordings made for tests whose every frame and sound says when it is.

A frame's left half is as bright as it is late (`brightness_at`), its right half has a white disc in the upper
corner, so that a turned or mirrored picture is told from an upright one.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Samples = NDArray[np.float32]

QUICK: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "crf": "18"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none:pools=none"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "libsvtav1": {"preset": "12", "crf": "30"},
    "vorbis": {"strict": "experimental"},
}


def brightness_at(time: float, seconds: float) -> float:
    return 40 + 160 * time / seconds


def still(size: tuple[int, int], brightness: float) -> Image.Image:
    level = round(brightness)
    image = Image.new("RGB", size, (level, level, level))
    width, height = size
    pen = ImageDraw.Draw(image)
    pen.rectangle((width // 2, 0, width, height), fill=(0, 0, 0))
    radius = min(width, height) // 6
    pen.ellipse((width - 3 * radius, radius, width - radius, 3 * radius), fill=(255, 255, 255))
    return image


def time_of(picture: Image.Image, seconds: float) -> float:
    """When a frame of a film of this length was shown, as its brightness tells."""
    grey = np.asarray(picture.convert("L"), np.float64)
    height, width = grey.shape
    level = float(grey[height // 4 : -height // 4, width // 16 : width // 4].mean())
    return (level - 40) / 160 * seconds


def is_upright(picture: Image.Image) -> bool:
    """Whether the disc is in the upper right corner."""
    grey = np.asarray(picture.convert("L"), np.float64)
    height, width = grey.shape
    right = grey[:, width // 2 :]
    return float(right[: height // 2].mean()) > 2 * float(right[height // 2 :].mean()) + 5


def film(
    container: str = "mp4",
    codec: str = "libx264",
    *,
    seconds: float = 2.0,
    fps: float = 10,
    size: tuple[int, int] = (96, 64),
    pixels: str = "yuv420p",
    times: Sequence[float] | None = None,
    gop: int = 12,
    sound: str = "",
    sound_from: float = 0.0,
    rotation: int = 0,
    ratio: Fraction | None = None,
    muxing: Mapping[str, str] | None = None,
    encoding: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
    shown: Callable[[float], Image.Image] | None = None,
) -> bytes:
    """A film. `times` gives each frame's second, else there are `fps`; `rotation` is in degrees clockwise."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container, options=dict(muxing or {})) as out:
        out.metadata.update(tags or {})
        options = {"g": str(gop), **QUICK.get(codec, {}), **(encoding or {})}
        video: Any = out.add_stream(
            codec, rate=Fraction(fps).limit_denominator(1001), options=options
        )
        video.width, video.height, video.pix_fmt = *size, pixels
        if times is not None:
            video.codec_context.time_base = Fraction(1, 1000)
        if ratio is not None:
            video.codec_context.sample_aspect_ratio = ratio
        if rotation:
            video.set_display_rotation(-rotation)
        audio: Any = None
        if sound:
            audio = out.add_stream(sound, rate=48000, options=QUICK.get(sound, {}))
            audio.layout = "stereo"
        unit = Fraction(1, 1000) if times is not None else 1 / Fraction(fps).limit_denominator(1001)
        moments = (
            list(times) if times is not None else [n / fps for n in range(round(seconds * fps))]
        )
        for number, time in enumerate(moments):
            picture = shown(time) if shown else still(size, brightness_at(time, seconds))
            frame = av.VideoFrame.from_image(picture)
            frame.pts = round(time * 1000) if times is not None else number
            frame.time_base = unit
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        if audio is not None:
            _encode(out, audio, tone(seconds - sound_from), 48000, begin=round(sound_from * 48000))
    return buffer.getvalue()


def tone(seconds: float, *, rate: int = 48000, hz: float = 440, volume: float = 0.3) -> Samples:
    times = np.arange(round(seconds * rate)) / rate
    return (np.sin(times * hz * 2 * np.pi) * volume).astype(np.float32)


def silence(seconds: float, *, rate: int = 48000) -> Samples:
    return np.zeros(round(seconds * rate), np.float32)


def recording(
    container: str,
    codec: str,
    samples: Samples,
    *,
    rate: int = 48000,
    layout: str = "stereo",
    bit_rate: int = 0,
    tags: Mapping[str, str] | None = None,
    cover: bytes = b"",
    holes: Sequence[tuple[float, float]] = (),
    jump: tuple[float, float] | None = None,
) -> bytes:
    """A recording. In `holes` (seconds from, to) nothing is sent, as recorders do while nobody speaks.

    With `jump` its clock leaps at a second, by so many seconds.
    """
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        out.metadata.update(tags or {})
        audio: Any = out.add_stream(codec, rate=rate, options=QUICK.get(codec, {}))
        audio.layout = layout
        if bit_rate:
            audio.bit_rate = bit_rate
        picture: Any = None
        if cover and container == "matroska":
            out.add_attachment("cover.png", "image/png", cover)
        elif cover:
            picture = out.add_mux_stream("png", width=64, height=64)
            picture.disposition = av.stream.Disposition.attached_pic
        _encode(out, audio, samples, rate, holes=holes, jump=jump)
        if picture is not None:
            packet = av.Packet(cover)
            packet.stream = picture
            packet.pts = packet.dts = 0
            packet.is_keyframe = True
            out.mux(packet)
    return buffer.getvalue()


def _encode(
    out: Any,
    stream: Any,
    samples: Samples,
    rate: int,
    *,
    begin: int = 0,
    holes: Sequence[tuple[float, float]] = (),
    jump: tuple[float, float] | None = None,
) -> None:
    channels = stream.codec_context.layout.nb_channels
    for start in range(0, len(samples), rate):
        part = np.repeat(samples[start : start + rate], channels).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(part, "flt", stream.codec_context.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = rate, begin + start, Fraction(1, rate)
        _mux(out, stream.encode(frame), holes, jump)
    _mux(out, stream.encode(None), holes, jump)


def _mux(
    out: Any,
    packets: Iterable[Any],
    holes: Sequence[tuple[float, float]],
    jump: tuple[float, float] | None,
) -> None:
    for packet in packets:
        time = float((packet.pts or 0) * packet.time_base)
        if jump is not None and time >= jump[0]:
            packet.pts = packet.dts = packet.pts + round(jump[1] / packet.time_base)
        if not any(begin <= time < end for begin, end in holes):
            out.mux(packet)


def many_frames(count: int, fps: int, *, claimed: tuple[int, int] = (64, 48)) -> bytes:
    """A film of so many equal frames, made quickly. `claimed` is their size in the header."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 64, 48, "yuvj420p"
    encoder.time_base = Fraction(1, fps)
    picture = still((64, 48), 100)
    (first,) = encoder.encode(av.VideoFrame.from_image(picture).reformat(format="yuvj420p"))
    data = bytes(first)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as out:
        video: Any = out.add_mux_stream("mjpeg", rate=fps, width=claimed[0], height=claimed[1])
        video.time_base = Fraction(1, fps)
        for number in range(count):
            packet = av.Packet(data)
            packet.stream = video
            packet.pts = packet.dts = number
            packet.duration = 1
            packet.time_base = Fraction(1, fps)
            packet.is_keyframe = number % 100 == 0
            out.mux(packet)
    return buffer.getvalue()


# ------------------------------------------------------------------- boxes of MP4


def box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def patched(data: bytes, name: bytes, offset: int, value: bytes, *, which: int = 0) -> bytes:
    """With other bytes in the content of the `which`-th box of a name."""
    at = -1
    for _ in range(which + 1):
        at = data.index(name, at + 1)
    at += 4 + offset
    return data[:at] + value + data[at + len(value) :]


def wav(
    data: bytes = bytes(32000),
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = 16000,
    bits: int = 16,
    claimed: int | None = None,
) -> bytes:
    """A WAV whose header may lie."""
    size = len(data) if claimed is None else claimed
    block = channels * bits // 8
    head = struct.pack(
        "<HHIIHH", tag, channels, rate, rate * block & 0xFFFFFFFF, block & 0xFFFF, bits
    )
    body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", (size + 36) & 0xFFFFFFFF) + body + data

"""The film inspector against its floor, one bare decode of every frame.

The film is a minute of Full HD with grain and a key frame every 8 seconds, as hard to decode as they come.
Bounds: facts, poster, contact sheet and 16 kHz sound within 0.2 bare decodes, with frames at 3 a second
within 1.15, 250 MiB of memory.
"""

from __future__ import annotations

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench import harness
from bench.harness import Result
from processing.inspectors import video
from processing.inspectors.containers import Packets, decode, open_media, picture_stream

SECONDS, FPS, SIZE, GOP = 60, 30, (1920, 1080), 250
PIXELS = 50_000_000
SHEET = {"want_audio": True}
ALL = {"want_audio": True, "want_frames": True, "frame_fps": 3.0}


def make_film(path: Path) -> None:
    width, height = SIZE
    random = np.random.default_rng(1)
    slope = np.linspace(0, 127, width, dtype=np.uint8)[None, :].repeat(height, 0)
    grain = [random.integers(60, 76, (height, width), dtype=np.uint8) for _ in range(4)]
    colour = np.full(width * height // 2, 120, np.uint8)
    with av.open(str(path), "w") as out:
        picture: Any = out.add_stream(
            "libx264", rate=FPS, options={"g": str(GOP), "preset": "veryfast"}
        )
        picture.width, picture.height, picture.pix_fmt = width, height, "yuv420p"
        picture.bit_rate = 4_100_000
        sound: Any = out.add_stream("aac", rate=44100, layout="stereo")
        for number in range(SECONDS * FPS):
            light = np.roll(slope, number * 7, 1) + grain[number % 4]
            light[300:500, number * 13 % 1700 : number * 13 % 1700 + 200] = 230
            planes = np.concatenate([light.reshape(-1), colour]).reshape(height * 3 // 2, width)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            out.mux(picture.encode(frame))
            if number % FPS == 0:
                out.mux(sound.encode(_second_of_sound(number // FPS)))
        out.mux(picture.encode(None))
        out.mux(sound.encode(None))


def _second_of_sound(second: int) -> av.AudioFrame:
    times = second + np.arange(44100) / 44100
    tone = (np.sin(2 * np.pi * 330 * times) * 0.3 * (times % 5 < 3.5)).astype(np.float32)
    frame = av.AudioFrame.from_ndarray(np.repeat(tone, 2).reshape(1, -1), "flt", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 44100, second * 44100, Fraction(1, 44100)
    return frame


def bare_decode(path: Path) -> None:
    with open_media(path, max_pixels=PIXELS) as container:
        stream = picture_stream(container, max_pixels=PIXELS)
        assert stream is not None
        stream.thread_type = "AUTO"
        for packet in Packets(container, stream):
            decode(packet)


def inspect(path: Path, options: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as workdir:
        video.inspect(path, Path(workdir), options)


def memory(path: str) -> dict[str, float]:
    """Run in a fresh process: the peak memory of a worker that makes everything of a film."""
    inspect(Path(path), ALL)
    return {"rss": harness.peak_rss_mib()}


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "film.mp4"
        make_film(path)
        floor, sheet, everything = harness.best_of(
            3,
            lambda: bare_decode(path),
            lambda: inspect(path, SHEET),
            lambda: inspect(path, ALL),
            clock=harness.cpu,
        )
        rss = harness.in_child("bench.inspect_video", "memory", str(path))["rss"]
    return [
        Result("bare decode of a minute of Full HD", floor, "CPU s"),
        Result("facts, poster, sheet, sound", sheet, "CPU s", floor),
        harness.at_most("facts, poster, sheet, sound : decode", sheet / floor, 0.2, "x"),
        Result("the same and 3 frames a second", everything, "CPU s", floor),
        harness.at_most("all and 3 frames a second : decode", everything / floor, 1.15, "x"),
        harness.at_most("peak memory of a worker", rss, 250, "MiB"),
    ]


def main() -> dict[str, Any]:
    return harness.write(run(), "inspect_video")


if __name__ == "__main__":
    main()

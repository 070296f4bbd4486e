"""Preparing speech against its floor, one bare decode: measuring alone, and with coding for a provider.

Times are those of twenty minutes; memory and sizes those of three hours. Bounds: waveform and silences
within 2.3 bare decodes of MP3 and AAC, coded pieces within 6, no piece over 25 MB, memory flat (150 MiB
above an idle process).
"""

from __future__ import annotations

import io
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from bench import harness
from bench.harness import Result
from processing.inspectors import audio
from processing.inspectors.containers import Packets, decode, open_media, sound_stream
from transcription.audio import prepare

TIMED, LONG = 20, 180  # minutes
LIMIT = 25_000_000
RATE = 44100


def speech_like(seconds: int) -> Any:
    """Syllables of harmonics with breaks between sentences, over a little noise."""
    times = np.arange(seconds * RATE) / RATE
    pitch = 120 + 20 * np.sin(2 * np.pi * 0.7 * times)
    voice = sum(np.sin(2 * np.pi * n * pitch * times) / n for n in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 3.1 * times), 0, 1) * (times % 7 < 6.2)
    noise = np.random.default_rng(1).normal(0, 0.002, len(times))
    return (voice * syllables * 0.12 + noise).astype(np.float32)


def make_recordings(folder: Path, container: str, codec: str) -> list[Path]:
    """A minute is coded, and its packets are repeated as often as there are to be minutes."""
    minute = io.BytesIO()
    with av.open(minute, "w", format=container) as out:
        # A reservoir of bits would make each packet depend on those before it.
        options = {"reservoir": "0"} if codec == "libmp3lame" else {}
        track: Any = out.add_stream(codec, rate=RATE, layout="stereo", options=options)
        track.bit_rate = 128_000
        samples = np.repeat(speech_like(60), 2).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, "flt", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    paths = [folder / f"{codec}-{minutes}" for minutes in (TIMED, LONG)]
    _repeat(minute.getvalue(), container, paths[0], TIMED)
    _repeat(minute.getvalue(), container, paths[1], LONG)
    return paths


def _repeat(minute: bytes, container: str, path: Path, minutes: int) -> None:
    with av.open(io.BytesIO(minute)) as made, av.open(str(path), "w", format=container) as out:
        packets = [packet for packet in made.demux(audio=0) if packet.size]
        track = out.add_stream_from_template(made.streams.audio[0])
        length = packets[-1].pts + packets[-1].duration - packets[0].pts
        for number in range(minutes):
            for packet in packets:
                copy = av.Packet(bytes(packet))
                copy.pts = copy.dts = packet.pts - packets[0].pts + number * length
                copy.duration, copy.time_base, copy.stream = (
                    packet.duration,
                    packet.time_base,
                    track,
                )
                copy.is_keyframe = True
                out.mux(copy)


def bare_decode(path: Path) -> None:
    with open_media(path, max_pixels=1) as container:
        stream = sound_stream(container)
        assert stream is not None
        for packet in Packets(container, stream):
            decode(packet)


def measure(path: Path) -> None:
    with tempfile.TemporaryDirectory() as workdir:
        audio.inspect(path, Path(workdir))


def coded(path: Path, codec: str) -> int:
    """The largest piece, bytes."""
    with tempfile.TemporaryDirectory() as workdir:
        found = prepare(path, Path(workdir), codec=codec, max_bytes=LIMIT, max_seconds=7200.0)
        return max(piece.bytes for piece in found.pieces)


def memory(path: str) -> dict[str, float]:
    """Run in a fresh process: what three hours take above what is there once all is loaded."""
    idle = harness.peak_rss_mib()
    largest = coded(Path(path), "m4a")
    measure(Path(path))
    return {"above": harness.peak_rss_mib() - idle, "largest": largest}


def _results(name: str, timed: Path, long: Path) -> list[Result]:
    floor, measured, m4a, mp3 = harness.best_of(
        2,
        lambda: bare_decode(timed),
        lambda: measure(timed),
        lambda: coded(timed, "m4a"),
        lambda: coded(timed, "mp3"),
        clock=harness.cpu,
    )
    found = harness.in_child("bench.audio", "memory", str(long))
    seconds = TIMED * 60
    return [
        Result(f"{name}: measured", seconds / measured, "x realtime", seconds / floor),
        Result(f"{name}: prepared as m4a", seconds / m4a, "x realtime", seconds / floor),
        harness.at_most(f"{name}: waveform and silences : decode", measured / floor, 2.3, "x"),
        harness.at_most(f"{name}: with m4a pieces : decode", m4a / floor, 6, "x"),
        Result(f"{name}: with mp3 pieces : decode", mp3 / floor, "x"),
        harness.at_most(f"{name}: largest piece", found["largest"] / 1e6, LIMIT / 1e6, "MB"),
        harness.at_most(f"{name}: memory above idle", found["above"], 150, "MiB"),
    ]


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        return [
            *_results("mp3", *make_recordings(folder, "mp3", "libmp3lame")),
            *_results("m4a", *make_recordings(folder, "ipod", "aac")),
        ]


def main() -> dict[str, Any]:
    return harness.write(run(), "audio")


if __name__ == "__main__":
    main()

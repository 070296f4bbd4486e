"""Sound as 16 kHz mono numbers: converting and measuring it while it streams, memory flat.

A recording of three hours leaves about 4 MB of measurements and never more than seconds of samples.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from av.audio.fifo import AudioFifo
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from numpy.typing import NDArray

from processing.inspectors.base import RenditionFile
from processing.inspectors.containers import HOLE_S, codec_name
from processing.inspectors.strings import one_line

RATE = 16_000  # samples a second: what recognisers of speech take
FINE = RATE // 200  # samples of a waveform cell: 5 ms
CELL = RATE // 50  # samples of a loudness cell: 20 ms
CELL_S = CELL / RATE
MAX_PEAKS = 2000

SILENCE_DB = -40.0  # a 20 ms cell under this is silent
QUIET_BY_DB = 25.0  # in a quiet recording: this much under its loud parts
SOUND_DB = -60.0  # under this nothing can be heard at all
SILENCE_S = 0.5  # shorter silences are not told
HEARD_S = 0.1  # so much above SOUND_DB in all makes a recording one with sound
FLOOR_DB = -100.0

DRIFT_S = 0.1  # time stamps and samples may differ so much before a hole is filled with silence

Samples = NDArray[np.int16]
Levels = NDArray[np.float32]


class Even:
    """Turns decoded frames into frames of one rate and layout, on the clock of the media.

    Where the time stamps leave a hole (a film whose sound begins late, a recorder that sends nothing while
    nobody speaks) silence is put in, so that sample n is heard at second n / rate. Stamps that lie by more
    than an hour are not believed.
    """

    def __init__(
        self, format_: str, layout: str, rate: int, *, origin: float | None = None
    ) -> None:
        self.samples = 0  # given so far
        self._format, self._layout, self._rate = format_, layout, rate
        self._origin = (
            origin  # second of the media at which sample 0 is heard; None: of the first frame
        )
        self._shape: tuple[str, str, int] | None = None
        self._heard = 0.0  # seconds of media fed, holes included

    def feed(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        shape = (frame.format.name, frame.layout.name, frame.sample_rate)
        hole = self._hole_before(frame)
        if shape != self._shape or hole:  # at the start, and where rate or channels change midway
            yield from self.flush()
            yield from self._silence(hole)
            self._shape = shape
            self._fifo = AudioFifo()
            self._resampler = AudioResampler(self._format, self._layout, self._rate)
        self._heard += frame.samples / frame.sample_rate
        frame.pts = None  # the stamps are dealt with; the queue would refuse uneven ones
        self._fifo.write(frame)
        if (
            self._fifo.samples >= frame.sample_rate
        ):  # a second at once: a call per frame costs twice the time
            yield from self._resampled(self._fifo.read())

    def flush(self) -> Iterator[AudioFrame]:
        """What is still held back."""
        if self._shape is not None:
            self._shape = None
            if self._fifo.samples:
                yield from self._resampled(self._fifo.read())
            yield from self._resampled(None)

    def _resampled(self, frame: AudioFrame | None) -> Iterator[AudioFrame]:
        for part in self._resampler.resample(frame):
            yield self._given(part)

    def _given(self, part: AudioFrame) -> AudioFrame:
        part.sample_rate = self._rate
        part.pts = self.samples
        part.time_base = Fraction(1, self._rate)
        self.samples += part.samples
        return part

    def _hole_before(self, frame: AudioFrame) -> float:
        if frame.time is None:
            return 0.0
        if self._origin is None:
            self._origin = frame.time
        hole = frame.time - self._origin - self._heard
        if not -HOLE_S < hole < HOLE_S:
            self._origin = frame.time - self._heard
            return 0.0
        return hole if hole > DRIFT_S else 0.0

    def _silence(self, seconds: float) -> Iterator[AudioFrame]:
        if not seconds:
            return
        self._heard += seconds
        left = round(self._heard * self._rate) - self.samples
        while left > 0:
            length = min(left, self._rate)
            left -= length
            part = AudioFrame(self._format, self._layout, length)
            for plane in part.planes:
                plane.update(bytes(plane.buffer_size))
            yield self._given(part)


class Mono(Even):
    """The same as blocks of 16 kHz mono samples."""

    def __init__(self, *, origin: float | None = None) -> None:
        super().__init__("s16", "mono", RATE, origin=origin)

    def blocks(self, frame: AudioFrame | None) -> Iterator[Samples]:
        """What a frame gives; None ends the recording."""
        for part in self.flush() if frame is None else self.feed(frame):
            plane: Any = part.planes[0]  # padded at its end
            yield np.frombuffer(plane, np.int16, count=part.samples)


@dataclass(frozen=True, slots=True)
class Loudness:
    """What was measured of a recording."""

    duration: float  # seconds
    peaks: list[int]  # 0..255, evenly spread over the recording; at most 2000
    silences: list[tuple[float, float]]  # seconds from, to
    sounding_seconds: float  # outside the silences
    has_sound: bool  # whether anything can be heard at all
    level_db: float  # mean loudness of what is no silence, dB under full scale
    peak_db: float
    threshold_db: float  # under which it was called silence

    def facts(self) -> dict[str, Any]:
        return {
            "has_sound": self.has_sound,
            "sounding_seconds": round(self.sounding_seconds, 2),
            "level_db": round(self.level_db, 1),
            "peak_db": round(self.peak_db, 1),
        }

    def write(self, workdir: Path, name: str = "waveform.json") -> RenditionFile:
        """The waveform as a page draws it, with the silent stretches."""
        body = {
            "duration": round(self.duration, 3),
            "peaks": self.peaks,
            "peak_max": 255,
            "silences": [[round(a, 2), round(b, 2)] for a, b in self.silences],
        }
        (workdir / name).write_text(json.dumps(body, separators=(",", ":")))
        return RenditionFile("waveform", name, "application/json", data={"peaks": len(self.peaks)})


class Meter:
    """Measures blocks of mono samples as they pass."""

    def __init__(self) -> None:
        self.samples = 0
        self._rest = np.zeros(0, np.int16)
        self._peaks: list[NDArray[np.uint16]] = []
        self._levels: list[Levels] = []

    def add(self, block: Samples) -> None:
        self.samples += len(block)
        if len(self._rest):
            block = np.concatenate((self._rest, block))
        whole = len(block) - len(block) % CELL
        self._measure(block[:whole])
        self._rest = block[whole:].copy()

    def _measure(self, block: Samples) -> None:
        if not len(block):
            return
        fine = block.reshape(-1, FINE)
        # -32768 has no positive twin in 16 bits, hence the wider type.
        top = np.maximum(fine.max(axis=1).astype(np.int32), -fine.min(axis=1).astype(np.int32))
        self._peaks.append(top.astype(np.uint16))
        self._levels.append(levels(block))

    @property
    def seconds(self) -> float:
        """How far it has measured, in whole cells."""
        return (self.samples - len(self._rest)) / RATE

    def recent(self, start: float, end: float) -> Levels:
        """Loudness of the cells from `start` to `end`, seconds of the recording."""
        first, last = round(start / CELL_S), round(end / CELL_S)
        found: list[Levels] = []
        at = (self.samples - len(self._rest)) // CELL
        for part in reversed(self._levels):
            at -= len(part)
            found.append(part[max(0, first - at) : max(0, last - at)])
            if at <= first:
                break
        return np.concatenate(found[::-1]) if found else np.zeros(0, np.float32)

    def finish(self) -> Loudness:
        if len(self._rest):
            self._measure(np.pad(self._rest, (0, CELL - len(self._rest))))
            self._rest = np.zeros(0, np.int16)
        peaks = np.concatenate(self._peaks) if self._peaks else np.zeros(0, np.uint16)
        level = np.concatenate(self._levels) if self._levels else np.zeros(0, np.float32)
        duration = self.samples / RATE
        threshold = silence_threshold(level)
        silences = [
            (start * CELL_S, min(end * CELL_S, duration))
            for start, end in runs(level < threshold)
            if (end - start) * CELL_S >= SILENCE_S
        ]
        loud = level[level >= threshold]
        top = float(peaks.max()) if len(peaks) else 0.0
        return Loudness(
            duration=duration,
            peaks=_thinned(peaks),
            silences=silences,
            sounding_seconds=max(0.0, duration - sum(end - start for start, end in silences)),
            has_sound=bool((level > SOUND_DB).sum() * CELL_S >= HEARD_S),
            level_db=float(10 * np.log10(np.mean(10 ** (loud / 10)))) if len(loud) else FLOOR_DB,
            peak_db=max(FLOOR_DB, float(20 * np.log10(top / 32768))) if top else FLOOR_DB,
            threshold_db=threshold,
        )


def levels(block: Samples) -> Levels:
    """Loudness of each whole 20 ms, dB under full scale."""
    cells = block[: len(block) - len(block) % CELL].reshape(-1, CELL).astype(np.float32)
    power: Levels = np.einsum("ij,ij->i", cells, cells) / np.float32(CELL * 32768.0**2)
    return np.float32(10) * np.log10(np.maximum(power, np.float32(1e-10)))


def silence_threshold(level: Levels) -> float:
    """-40 dB; lower in a recording that is quiet throughout, whose speech would else count as silence."""
    audible = level[level > SOUND_DB]
    if not len(audible):
        return SILENCE_DB
    return min(SILENCE_DB, float(np.percentile(audible, 95)) - QUIET_BY_DB)


def runs(mask: NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """First and past-the-last index of each stretch of true cells."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    return ((int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True))


def _thinned(peaks: NDArray[np.uint16]) -> list[int]:
    step = max(1, -(-len(peaks) // MAX_PEAKS))
    if step > 1:
        peaks = np.maximum.reduceat(peaks, np.arange(0, len(peaks), step))
    return [min(255, int(p) >> 7) for p in peaks]


def sound_facts(stream: AudioStream) -> dict[str, Any]:
    """What a track of sound says of itself."""
    context = stream.codec_context
    return {
        "codec": codec_name(stream),
        "sample_rate": context.sample_rate,
        "channels": context.layout.nb_channels,
        "language": one_line(stream.metadata.get("language", ""), 20) or None,
    }

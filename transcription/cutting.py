"""Cuts passing sound into files that are never larger than allowed, in silence where there is any."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.stream import AudioStream
from av.packet import Packet

from processing.inspectors.containers import codec_name
from processing.inspectors.sound import CELL_S, DRIFT_S, RATE, SILENCE_DB, Meter, Samples, runs
from processing.inspectors.soundfiles import CODECS, Codec, SoundFile

OVERLAP_S = 5.0  # shared by two pieces where nobody pauses: a dozen words to join them by
WINDOW_S = 60.0  # before the limit: so far back a silence is looked for
PAUSE_S = 0.3  # shorter ones are within words
PAUSE_BY_DB = 15.0  # under the loud parts around it: a pause in a noisy recording
LEAST_S = 1.0  # providers refuse shorter files: silence is added
SMALLEST_PIECE_S = 10.0

# What packets can be copied into, by codec.
COPIES = {
    "mp3": Codec("", "mp3", "mp3", "audio/mpeg", 0, 2_048, 0),
    "aac": Codec("", "mp4", "m4a", "audio/mp4", 0, 8_192, 16),
    "opus": Codec("", "ogg", "ogg", "audio/ogg", 0, 8_192, 8),
    "vorbis": Codec("", "ogg", "ogg", "audio/ogg", 0, 32_768, 8),
}
_MUXING = {"mp3": {"write_xing": "0", "id3v2_version": "0"}}


@dataclass(frozen=True, slots=True)
class Piece:
    """One file to be sent. Its second 0 is second `start` of the recording."""

    path: Path
    start: float
    end: float
    bytes: int
    overlap: float = 0.0  # seconds at its beginning that the piece before it holds too

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"path": self.path.name}


@dataclass(frozen=True, slots=True)
class PieceLimits:
    """How large a piece may be, how far before that a silence is looked for, what pieces share without."""

    max_bytes: int
    max_seconds: float
    window: float
    overlap: float

    @classmethod
    def of(cls, codec: str, max_bytes: int, max_seconds: float) -> PieceLimits:
        if codec not in CODECS:
            raise ValueError(f"Sound is coded into {', '.join(CODECS)}; not {codec!r}.")
        seconds = min(max_seconds, (max_bytes - CODECS[codec].header) / CODECS[codec].bytes_s)
        if seconds < SMALLEST_PIECE_S:
            raise ValueError(f"Pieces of {seconds:.0f} seconds are too short to be recognised.")
        window = min(WINDOW_S, seconds / 4)
        return cls(max_bytes, max_seconds, window, min(OVERLAP_S, window / 2))


class NotCopyable(Exception):
    """The packets of this recording would not sound the same in files of their own."""


class Cutter(ABC):
    """Takes sound and gives files. What came in the last minute is held back: a cut may fall into it."""

    def __init__(self, workdir: Path, limits: PieceLimits, meter: Meter, codec: Codec) -> None:
        self.codec = codec
        self._workdir, self._limits, self._meter = workdir, limits, meter
        self._pieces: list[Piece] = []
        self._start = 0.0  # of the piece in work, seconds of the recording
        self._overlap = 0.0

    def settle(self) -> None:
        """After something was added: cut where the piece in work would become too large."""
        while self._held_until() > (limit := self._limit()):
            self._cut(limit)
        self._write(self._held_until() - self._limits.window)

    def finish(self, duration: float) -> list[Piece]:
        """Ends the last piece; all of them."""
        self.settle()
        if self._held_until() > self._start + self._overlap or not self._pieces:
            self._write(self._held_until())
            self._end_piece(duration)
        return self._pieces

    def _cut(self, limit: float) -> None:
        begin = max(limit - self._limits.window, self._written_until())
        at, quiet = find_cut(self._meter, begin, limit)
        kept = 0.0 if quiet else self._limits.overlap
        at = self._write(at, keep=kept)
        self._end_piece(at)
        self._start, self._overlap = at - kept, kept

    def _end_piece(self, end: float) -> None:
        path = self._close()
        size = path.stat().st_size
        self._pieces.append(Piece(path, round(self._start, 3), round(end, 3), size, self._overlap))

    def _next_path(self) -> Path:
        return self._workdir / f"piece-{len(self._pieces) + 1:04}.{self.codec.suffix}"

    @abstractmethod
    def _held_until(self) -> float:
        """The second up to which sound has come in."""

    @abstractmethod
    def _written_until(self) -> float:
        """The second up to which sound is in the piece in work."""

    @abstractmethod
    def _limit(self) -> float:
        """The second up to which the piece in work would keep the limits, as far as is known."""

    @abstractmethod
    def _write(self, until: float, *, keep: float = 0.0) -> float:
        """Puts what is held into the piece up to a second, but goes on holding the last `keep` seconds.

        Gives where it really stopped: packets are not divided.
        """

    @abstractmethod
    def _close(self) -> Path: ...


class Coder(Cutter):
    """Pieces of samples, coded."""

    def __init__(self, workdir: Path, limits: PieceLimits, meter: Meter, codec: str) -> None:
        super().__init__(workdir, limits, meter, CODECS[codec])
        self._name = codec
        self._file: SoundFile | None = None
        self._held: deque[Samples] = deque()
        self._first = 0  # sample with which the held ones begin
        self._end = 0  # and that after the last
        self._done = 0  # up to this one they are in the file already

    def add(self, block: Samples) -> None:
        self._held.append(block)
        self._end += len(block)
        self.settle()

    def _held_until(self) -> float:
        return self._end / RATE

    def _written_until(self) -> float:
        return self._done / RATE

    def _limit(self) -> float:
        by_time = self._start + self._limits.max_seconds
        if self._file is None:
            used = self.codec.header + self.codec.bytes_s
        else:
            used = self._file.bytes
        by_size = self._done / RATE + (self._limits.max_bytes - used) / self.codec.bytes_s
        return min(by_time, by_size)

    def _write(self, until: float, *, keep: float = 0.0) -> float:
        stop = min(round(until * RATE), self._end)
        if stop <= self._done:
            return self._done / RATE
        if self._file is None:
            self._file = SoundFile(self._next_path(), self._name)
        at = self._first
        for block in self._held:
            if at + len(block) > self._done and at < stop:
                self._file.write(block[max(0, self._done - at) : stop - at])
            at += len(block)
        self._done = stop
        self._drop(stop - round(keep * RATE))
        return stop / RATE

    def _drop(self, before: int) -> None:
        while self._held and self._first + len(self._held[0]) <= before:
            self._first += len(self._held.popleft())

    def _close(self) -> Path:
        file = self._file or SoundFile(self._next_path(), self._name)
        missing = round(LEAST_S * RATE) - file.samples
        if missing > 0:
            file.write(np.zeros(missing, np.int16))
        file.close()
        self._file = None
        return file.path

    def _cut(self, limit: float) -> None:
        super()._cut(limit)
        self._done = max(self._first, round(self._start * RATE))


@dataclass(slots=True)
class _Held:
    time: float  # second of the recording
    length: float  # seconds
    packet: Packet[AudioStream]


class Copier(Cutter):
    """Pieces of the recording's own packets. Raises NotCopyable where that would shift or spoil them."""

    def __init__(
        self,
        workdir: Path,
        limits: PieceLimits,
        meter: Meter,
        stream: AudioStream,
        origin: float | None,
    ) -> None:
        super().__init__(workdir, limits, meter, COPIES[codec_name(stream)])
        self._stream, self._origin = stream, origin
        self._held: deque[_Held] = deque()
        self._done = 0  # so many of the held ones are in the file already
        self._used = 0  # bytes of the file
        self._waiting = 0  # bytes of the held ones that are not in it
        self._end: float | None = None
        self._out: Any = None
        self._track: Any = None

    def add(self, packet: Packet[AudioStream]) -> None:
        if packet.pts is None or not packet.duration:
            raise NotCopyable
        time = float(packet.pts * packet.time_base)
        if self._origin is None:
            self._origin = time
        time -= self._origin
        if self._end is None:
            self._start = time = max(0.0, time)
        elif abs(time - self._end) > DRIFT_S:
            raise NotCopyable
        self._end = time + float(packet.duration * packet.time_base)
        self._held.append(_Held(time, self._end - time, packet))
        self._waiting += self._size(packet)
        self.settle()

    def finish(self, duration: float) -> list[Piece]:
        if self._end is None or duration < LEAST_S:
            raise NotCopyable
        pieces = super().finish(duration)
        if pieces[-1].end - pieces[-1].start < LEAST_S:
            raise NotCopyable
        return pieces

    def _size(self, packet: Packet[AudioStream]) -> int:
        return packet.size + self.codec.per_packet

    def _held_until(self) -> float:
        return self._end or 0.0

    def _written_until(self) -> float:
        return self._held[self._done].time if self._done < len(self._held) else self._held_until()

    def _limit(self) -> float:
        limit = self._start + self._limits.max_seconds
        room = self._limits.max_bytes - self.codec.header - self._used
        if self._waiting <= room:
            return limit
        for index in range(self._done, len(self._held)):
            room -= self._size(self._held[index].packet)
            if room < 0:
                return min(limit, self._held[index].time)
        return limit

    def _write(self, until: float, *, keep: float = 0.0) -> float:
        while self._done < len(self._held):
            held = self._held[self._done]
            if held.time + held.length > until + CELL_S / 2:
                break
            self._mux(held)
            self._done += 1
        stop = self._written_until()
        while self._done and self._held[0].time + self._held[0].length <= stop - keep + CELL_S / 4:
            self._held.popleft()
            self._done -= 1
        return stop

    def _mux(self, held: _Held) -> None:
        if self._out is None:
            self._start = held.time
            options = {"fflags": "+bitexact"} | _MUXING.get(self.codec.muxer, {})
            self._out = av.open(
                str(self._next_path()), "w", format=self.codec.muxer, options=options
            )
            self._track = self._out.add_stream_from_template(self._stream)
            self._track.metadata.clear()
        packet = held.packet
        self._waiting -= self._size(packet)
        self._used += self._size(packet)
        packet.stream = self._track
        packet.pts = packet.dts = round((held.time - self._start) / packet.time_base)
        self._out.mux(packet)

    def _cut(self, limit: float) -> None:
        super()._cut(limit)
        self._done = 0  # what is still held belongs to the next piece
        self._waiting = sum(self._size(held.packet) for held in self._held)

    def _close(self) -> Path:
        if self._out is None:  # one packet is longer than a piece may be
            raise NotCopyable
        path = self._next_path()
        self._out.close()
        self._out = None
        self._used = 0
        return path


def find_cut(meter: Meter, begin: float, end: float) -> tuple[float, bool]:
    """The middle of the last silence between two seconds, and that it is one; else `end`.

    Where the background is loud a pause counts too: a stretch far under the loud parts around it.
    """
    level = meter.recent(max(0.0, begin), end)
    if not len(level):
        return end, False
    threshold = max(SILENCE_DB, float(np.percentile(level, 90)) - PAUSE_BY_DB)
    least = round(PAUSE_S / CELL_S)
    pauses = [(a, b) for a, b in runs(level < threshold) if b - a >= least]
    if not pauses:
        return end, False
    first, last = pauses[-1]
    return begin + (first + last) / 2 * CELL_S, True

"""Makes of any recording or film what a recogniser of speech takes: 16 kHz mono, small, in pieces.

One pass decodes, measures (silences, waveform), encodes and cuts. A piece is never larger than the limits
and ends in the silence nearest before them. Where nobody pauses, two pieces share some seconds and say so,
so that what was said at the seam can be joined. A recording that is small already is not coded anew: its
packets are put into new files as they are, without tags.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet

from processing.inspectors.base import Unreadable
from processing.inspectors.containers import (
    Packets,
    Undecodable,
    codec_name,
    decode,
    first_second,
    ignore_other_streams,
    needed_sound,
    open_media,
)
from processing.inspectors.sound import Loudness, Meter, Mono
from processing.sandbox.reporting import report
from transcription.cutting import (
    COPIES,
    Coder,
    Copier,
    Cutter,
    NotCopyable,
    Piece,
    PieceLimits,
)

COVER_PIXELS = 16_000_000  # no picture is decoded, but the probe may look at one
COPIED_BIT_RATE = (
    64_000  # up to here packets are copied however long it lasts; above, if all fit in a piece
)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recording ready to be sent, and what was measured of it."""

    pieces: list[Piece]
    mime_type: str
    copied: bool  # whether the packets are the original's
    duration: float
    silences: list[tuple[float, float]]  # seconds from, to
    speech_seconds: float  # outside the silences; whether it is speech nobody knows yet
    has_sound: bool  # False: there is nothing to recognise
    level_db: float
    peaks: list[int]  # 0..255
    damaged: bool  # parts could not be decoded

    def as_json(self) -> dict[str, Any]:
        """As a sandbox hands it over; pieces by their names in the work directory."""
        return asdict(self) | {"pieces": [piece.as_json() for piece in self.pieces]}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], workdir: Path) -> Prepared:
        pieces = [Piece(**{**piece, "path": workdir / piece["path"]}) for piece in values["pieces"]]
        silences = [(start, end) for start, end in values["silences"]]
        return cls(**{**values, "pieces": pieces, "silences": silences})


def prepare(
    source: Path,
    workdir: Path,
    *,
    codec: str,
    max_bytes: int,
    max_seconds: float,
    accepts: Collection[str] = (),
    max_duration: float = 14_400.0,
) -> Prepared:
    """Writes the pieces of a recording's sound into `workdir`. Raises Unreadable.

    `codec` (m4a, mp3, flac, wav) is what it is coded into; `accepts` names the codecs (mp3, aac, opus,
    vorbis) that may be sent as they are, where the recording has one of them and is small. A piece has at
    most `max_bytes` and `max_seconds`.
    """
    limits = PieceLimits.of(codec, max_bytes, max_seconds)
    work = _Work(source, workdir, limits, max_duration)
    try:
        return work.run(codec, accepts)
    except NotCopyable:
        return work.run(codec, ())


def prepare_in_sandbox(source: Path, workdir: Path, options: Mapping[str, Any]) -> dict[str, Any]:
    """`prepare` as a sandbox calls it; `Prepared.from_json` reads the answer."""
    return prepare(source, workdir, **options).as_json()


class _Work:
    def __init__(
        self, source: Path, workdir: Path, limits: PieceLimits, max_duration: float
    ) -> None:
        self._source, self._workdir, self._limits = source, workdir, limits
        self._max_duration = max_duration

    def run(self, codec: str, accepts: Collection[str]) -> Prepared:
        self._damaged, self._fault = False, "CORRUPT_FILE"
        with open_media(self._source, max_pixels=COVER_PIXELS) as container:
            stream = needed_sound(container)
            origin = first_second(self._source, max_pixels=COVER_PIXELS)
            meter, mono = Meter(), Mono(origin=origin)
            copied = self._is_small(container, stream, accepts)
            cutter: Coder | Copier
            if copied:
                cutter = Copier(self._workdir, self._limits, meter, stream, origin)
            else:
                cutter = Coder(self._workdir, self._limits, meter, codec)
            self._pass(container, stream, mono, meter, cutter)
            if not meter.samples:
                raise Unreadable(self._fault, "Nothing of this recording can be decoded.")
            loudness = meter.finish()
            pieces = cutter.finish(loudness.duration)
        report(1.0)
        return self._prepared(loudness, pieces, cutter, copied=copied)

    def _is_small(
        self, container: InputContainer, stream: AudioStream, accepts: Collection[str]
    ) -> bool:
        """Whether it may go as it is. What the header says decides only what is done, never how much."""
        codec = codec_name(stream)
        if codec not in accepts or codec not in COPIES:
            return False
        declared = (container.duration or 0) / av.time_base
        size = self._source.stat().st_size
        fits = size <= self._limits.max_bytes
        rate = stream.bit_rate or 0
        if not rate and not container.streams.video and declared > 0:
            rate = round(size * 8 / declared)
        return (fits and declared <= self._limits.max_seconds) or 0 < rate <= COPIED_BIT_RATE

    def _pass(
        self,
        container: InputContainer,
        stream: AudioStream,
        mono: Mono,
        meter: Meter,
        cutter: Coder | Copier,
    ) -> None:
        ignore_other_streams(container, stream)
        declared = (container.duration or 0) / av.time_base
        packets = Packets(container, stream)
        for packet in packets:
            self._take(packet, mono, meter, cutter)
            if isinstance(cutter, Copier) and packet.size:
                cutter.add(packet)
            if declared > 0:
                report(min(0.99, meter.seconds / declared))
            if meter.seconds > self._max_duration:
                raise Unreadable(
                    "LIMIT_EXCEEDED",
                    f"The recording is longer than {self._max_duration:g} seconds.",
                )
        self._take(None, mono, meter, cutter)
        self._damaged |= packets.broken

    def _take(
        self, packet: Packet[AudioStream] | None, mono: Mono, meter: Meter, cutter: Coder | Copier
    ) -> None:
        """Decodes a packet, or with None what is still held back."""
        try:
            frames = [None] if packet is None else decode(packet)
        except Undecodable as error:
            self._damaged = True
            self._fault = error.code
            return
        for frame in frames:
            for block in mono.blocks(frame):
                meter.add(block)
                if isinstance(cutter, Coder):
                    cutter.add(block)

    def _prepared(
        self, loudness: Loudness, pieces: list[Piece], cutter: Cutter, *, copied: bool
    ) -> Prepared:
        return Prepared(
            pieces=pieces,
            mime_type=cutter.codec.mime_type,
            copied=copied,
            duration=round(loudness.duration, 3),
            silences=[(round(start, 2), round(end, 2)) for start, end in loudness.silences],
            speech_seconds=round(loudness.sounding_seconds, 2),
            has_sound=loudness.has_sound,
            level_db=round(loudness.level_db, 1),
            peaks=loudness.peaks,
            damaged=self._damaged,
        )

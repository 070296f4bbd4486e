"""Writing 16 kHz mono sound into files, as recognisers of speech take them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame

from processing.inspectors.base import RenditionFile
from processing.inspectors.sound import RATE, Loudness, Meter, Mono, Samples


@dataclass(frozen=True, slots=True)
class Codec:
    """A file format for 16 kHz mono speech."""

    encoder: str
    muxer: str
    suffix: str
    mime_type: str
    bytes_s: int  # coded bytes of one second, at the very most
    header: int  # bytes of the container, at the most
    per_packet: int  # and what it adds for each packet


CODECS = {
    # At equal size nearer to the original than LAME's (mel distance 0.34 against 0.63), in half the time.
    "m4a": Codec("aac", "mp4", "m4a", "audio/mp4", 12_000, 4_096, 16),
    "mp3": Codec("libmp3lame", "mp3", "mp3", "audio/mpeg", 4_000, 2_048, 0),
    # Frames that do not compress are kept as they are, with about 16 bytes of header for 4096 samples.
    "flac": Codec("flac", "flac", "flac", "audio/flac", RATE * 2 + 400, 16_384, 0),
    "wav": Codec("pcm_s16le", "wav", "wav", "audio/wav", RATE * 2, 1_024, 0),
}
BIT_RATE = 32_000  # of m4a and mp3; the others take what they need

_MUXING = {"mp3": {"id3v2_version": "0"}}
_ENCODING = {
    "m4a": {"aac_coder": "fast"},
    # Of LAME's 0 (best) to 9: those under 7 cost up to three times as much.
    "mp3": {"compression_level": "7"},
}


class SoundFile:
    """Writes mono samples into one file, without tags: it tells nothing but the sound."""

    def __init__(self, path: Path, codec: str) -> None:
        self.path = path
        self.codec = CODECS[codec]
        self.samples = 0
        self._bytes = self.codec.header
        self._container = av.open(
            str(path),
            "w",
            format=self.codec.muxer,
            options={"fflags": "+bitexact"} | _MUXING.get(codec, {}),
        )
        self._stream: Any = self._container.add_stream(
            self.codec.encoder, rate=RATE, options=_ENCODING.get(codec), layout="mono"
        )
        if codec in _ENCODING:
            self._stream.codec_context.bit_rate = BIT_RATE

    @property
    def bytes(self) -> int:
        """What the file would have were it closed now, at the most."""
        return self._bytes + self.codec.bytes_s  # the encoder still holds some frames

    def write(self, block: Samples) -> None:
        if not len(block):
            return
        frame = AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self.samples
        frame.time_base = Fraction(1, RATE)
        self.samples += len(block)
        self._mux(self._stream.encode(frame))

    def close(self) -> int:
        """Ends the file; gives its size in bytes."""
        if self.samples:
            self._mux(self._stream.encode(None))
        self._container.close()
        return self.path.stat().st_size if self.samples else 0  # without any there is no file

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            self._bytes += packet.size + self.codec.per_packet
            self._container.mux(packet)


class Track:
    """A film's sound on its way past: measured, and written into one file."""

    def __init__(self, workdir: Path, codec: str, origin: float | None) -> None:
        self._mono = Mono(origin=origin)
        self._meter = Meter()
        self._file = SoundFile(workdir / f"audio.{CODECS[codec].suffix}", codec)
        self.loudness: Loudness | None = None

    def add(self, frame: AudioFrame | None) -> None:
        for block in self._mono.blocks(frame):
            self._meter.add(block)
            self._file.write(block)

    def finish(self) -> None:
        self.add(None)
        self._file.close()
        if self._meter.samples:
            self.loudness = self._meter.finish()
        else:
            self._file.path.unlink(missing_ok=True)

    def files(self, workdir: Path) -> list[RenditionFile]:
        """The sound and its waveform; nothing where not a sample could be decoded."""
        if self.loudness is None:
            return []
        data = {"duration": round(self.loudness.duration, 3), **self.loudness.facts()}
        sound = RenditionFile("audio", self._file.path.name, self._file.codec.mime_type, data=data)
        return [sound, self.loudness.write(workdir)]

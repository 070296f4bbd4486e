"""What is in a recording: its real length, codec, tags, loudness, silences and waveform.

Everything comes from one pass that decodes every sample: headers lie about lengths, and a file that opens
need not play. A cover picture is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer

from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.containers import (
    Packets,
    Undecodable,
    clean_tags,
    codec_name,
    container_name,
    decode,
    ignore_other_streams,
    needed_sound,
    open_media,
    taken_at,
)
from processing.inspectors.options import AudioOptions
from processing.inspectors.playable import is_playable
from processing.inspectors.sound import RATE, Loudness, Meter, Mono, sound_facts


def inspect(
    source: Path, workdir: Path, options: Mapping[str, Any] | AudioOptions | None = None
) -> Inspection:
    """Facts and the waveform of one recording. Raises Unreadable."""
    wanted = AudioOptions.of(options)
    with open_media(source, max_pixels=wanted.max_pixels) as container:
        stream = needed_sound(container)
        passing = Passing(container, stream)
        mono, meter = Mono(), Meter()
        for frame in passing.frames():
            for block in mono.blocks(frame):
                meter.add(block)
            if mono.samples > wanted.max_duration * RATE:
                raise too_long(wanted.max_duration)
        for block in mono.blocks(None):
            meter.add(block)
        if not meter.samples:
            raise Unreadable(passing.fault, "Nothing of this recording can be decoded.")
        loudness = meter.finish()
        return Inspection(
            facts={
                "duration": round(loudness.duration, 3),
                "taken_at": taken_at(_tags(container, stream)),
            },
            metadata=_metadata(container, stream, source, loudness) | {"damaged": passing.damaged},
            renditions=[loudness.write(workdir)],
        )


def too_long(seconds: float) -> Unreadable:
    return Unreadable("LIMIT_EXCEEDED", f"The recording is longer than {seconds:g} seconds.")


class Passing:
    """The frames of one sound track; damaged packets are left out and noted."""

    def __init__(self, container: InputContainer, stream: AudioStream) -> None:
        self._container, self._stream = container, stream
        self.damaged = False
        self.fault = "CORRUPT_FILE"

    def frames(self) -> Iterator[AudioFrame]:
        ignore_other_streams(self._container, self._stream)
        packets = Packets(self._container, self._stream)
        for packet in packets:
            try:
                yield from decode(packet)
            except Undecodable as error:
                self.damaged = True
                self.fault = error.code
        self.damaged |= packets.broken


def _tags(container: InputContainer, stream: AudioStream) -> dict[str, str]:
    return clean_tags(container.metadata, stream.metadata)


def _metadata(
    container: InputContainer, stream: AudioStream, source: Path, loudness: Loudness
) -> dict[str, Any]:
    kind = container_name(container, source)
    facts = sound_facts(stream)
    size = source.stat().st_size
    return {
        "container": kind,
        "audio": facts | loudness.facts(),
        "bit_rate": round(size * 8 / loudness.duration),
        "tags": _tags(container, stream),
        "playable": is_playable(kind, picture=None, sound=codec_name(stream)),
    }

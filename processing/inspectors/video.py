"""What is in a film: facts, poster, contact sheet, frames and sound.

One pass over the packets finds the facts and the sound. Key frames are taken aside on the way, still packed,
and only those that are shown are decoded: that is a twentieth of the work of decoding the film, which is
done (once) only where single frames are wanted, or a short film has too few key frames for its sheet.
Lengths and rates come from the packets that are really there, never from what the header says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from processing.inspectors import fingerprints, renditions, sheets, stills
from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.inspectors.containers import (
    HOLE_S,
    Packets,
    Span,
    Undecodable,
    clean_tags,
    codec_name,
    container_name,
    decode,
    ignore_other_streams,
    open_media,
    picture_stream,
    pixels_of,
    sound_stream,
    taken_at,
)
from processing.inspectors.options import VideoOptions
from processing.inspectors.playable import is_playable
from processing.inspectors.sampling import FrameFiles, KeyPackets, Painter
from processing.inspectors.sheets import Cell
from processing.inspectors.sound import sound_facts
from processing.inspectors.soundfiles import Track

MOST_FPS = 240  # a film has not more frames than its longest length at this rate
DECODER_BYTES = 16  # a pixel: what a decoder needs for the frames it keeps at a time
KEY_PACKETS = 96  # kept to choose from, at least; four for each cell of a larger sheet
# A film with fewer key frames than cells is decoded whole, if it is as small as 40 seconds of Full HD.
WHOLE_PIXELS = 1920 * 1080 * 30 * 40


def inspect(
    source: Path, workdir: Path, options: Mapping[str, Any] | VideoOptions | None = None
) -> Inspection:
    """Facts and renditions of one film. Raises Unreadable."""
    wanted = VideoOptions.of(options)
    with open_media(source, max_pixels=wanted.max_pixels) as container:
        film = _Film(container, source, workdir, wanted)
        film.watch()
        return film.inspection()


class _Film:
    """One film on its way past."""

    def __init__(
        self, container: InputContainer, source: Path, workdir: Path, wanted: VideoOptions
    ) -> None:
        picture = picture_stream(container, max_pixels=wanted.max_pixels)
        if picture is None:
            raise Unreadable("UNSUPPORTED_CODEC", "There is no moving picture in this file.")
        self.container, self.source, self.workdir, self.wanted = container, source, workdir, wanted
        self.picture, self.sound = picture, sound_stream(container)
        self.grid = sheets.grid_of(wanted.contact_sheet_grid)
        self.keys = KeyPackets(max(KEY_PACKETS, 4 * self.grid[0] * self.grid[1]))
        self.shown, self.heard = Span(), Span()
        self.claimed = pixels_of(picture)
        self.painter = Painter(picture)
        self.track: Track | None = None
        self.damaged = False

    # --- the pass ---------------------------------------------------------------------------------

    def watch(self) -> None:
        streams = [stream for stream in (self.picture, self.sound) if stream is not None]
        ignore_other_streams(self.container, *streams)
        self.picture.thread_type = "SLICE"  # threads by frame have to be drained at each key frame
        self.picture.codec_context.thread_count = self.wanted.threads
        packets = Packets(self.container, *streams)
        if self.wanted.want_audio and self.sound is not None:
            self.track = Track(self.workdir, self.wanted.audio_codec, packets.begin())
        for packet in packets:
            if packet.stream_index == self.picture.index:
                self._see(packet)
            else:
                self._hear(packet)
        self.damaged |= packets.broken
        if self.track is not None:
            self.track.finish()
        if not self.shown.count:
            raise Unreadable("CORRUPT_FILE", "There is not one frame in this film.")

    def _see(self, packet: Packet[VideoStream]) -> None:
        if not packet.size or packet.is_discard:
            return
        now = self._pass(packet, self.shown)
        if self.shown.count > self.wanted.max_duration * MOST_FPS:
            raise Unreadable("LIMIT_EXCEEDED", "The film has too many frames.")
        if packet.is_keyframe:
            self.keys.offer(now, packet)

    def _hear(self, packet: Packet[AudioStream]) -> None:
        if packet.size and not packet.is_discard:
            self._pass(packet, self.heard)
        if self.track is not None:
            try:
                frames = decode(packet)
            except Undecodable:
                self.damaged = True
                return
            for frame in frames:
                self.track.add(frame)

    def _pass(self, packet: Packet[Any], span: Span) -> float:
        unit = packet.time_base
        stamp = packet.dts if packet.pts is None else packet.pts
        time = None if stamp is None else float(stamp * unit)
        now = span.add(time, float((packet.duration or 0) * unit))
        if span.seconds > self.wanted.max_duration:
            raise Unreadable(
                "LIMIT_EXCEEDED", f"The film is longer than {self.wanted.max_duration:g} seconds."
            )
        return now

    # --- what is made of it -----------------------------------------------------------------------

    def inspection(self) -> Inspection:
        start, end = self._bounds()
        duration = end - start
        keys = [(time - start, packet) for time, packet in self.keys.kept]
        cells, frames = self._stills(keys, start, duration)
        poster = stills.poster(keys, duration, self.painter, cells)
        if poster is None or self.painter.size is None:
            raise self._undecodable()
        tags = clean_tags(self.container.metadata, self.picture.metadata)
        facts = {
            "width": self.painter.size[0],
            "height": self.painter.size[1],
            "duration": round(duration, 3),
            "taken_at": taken_at(tags),
        }
        made: list[RenditionFile] = []
        if self.wanted.want_poster:
            made += self._poster(poster, facts)
        if self.wanted.want_sheet:
            made.append(self._sheet(cells or [poster]))
        made += frames
        if self.track is not None:
            made += self.track.files(self.workdir)
        return Inspection(facts=facts, metadata=self._metadata(duration, tags), renditions=made)

    def _undecodable(self) -> Unreadable:
        left = pixels_of(self.picture)
        # Where frames are larger than the header says, decoders refuse them and keep or clear their size.
        if left > self.wanted.max_pixels or left == 0 < self.claimed:
            return Unreadable("LIMIT_EXCEEDED", "A frame has more pixels than are allowed.")
        try:
            bytearray(max(left, self.claimed) * DECODER_BYTES)
        except MemoryError:  # which decoders call damage
            return Unreadable("LIMIT_EXCEEDED", "The frames need too much memory.")
        return Unreadable("CORRUPT_FILE", "Not one frame of this film can be decoded.")

    def _bounds(self) -> tuple[float, float]:
        """First and last second of the film, on the picture's clock."""
        start, end = self.shown.first, self.shown.end
        if self.heard.count and abs(self.heard.first - start) < HOLE_S:
            return min(start, self.heard.first), max(end, self.heard.end)
        return start, max(end, start + self.heard.seconds)

    def _stills(
        self, keys: stills.Keys, start: float, duration: float
    ) -> tuple[list[Cell], list[RenditionFile]]:
        """The cells of the sheet, or one that shows whether any frame can be decoded; and single frames."""
        wanted = self.wanted
        count = self.grid[0] * self.grid[1] if wanted.want_sheet else 1
        before = self.shown.first - start
        times = [before + time for time in sheets.targets(self.shown.seconds, count)]
        exact, takers = stills.ExactCells(times), list[stills.Taker]()
        files: FrameFiles | None = None
        if wanted.want_frames:
            files = FrameFiles(
                self.workdir,
                duration=duration,
                fps=wanted.frame_fps,
                most=wanted.max_frames,
                side=wanted.frame_side,
                format_=wanted.frame_format,
            )
            takers = [exact, files]
        cells = [] if takers else stills.key_cells(keys, times, self.painter)
        pixels = pixels_of(self.picture) or self.claimed
        is_small = pixels * self.shown.count <= WHOLE_PIXELS
        if not takers and len(cells) < count and is_small:
            takers = [exact]
        if takers:
            undecodable = stills.watch(
                self.source,
                takers,
                painter=self.painter,
                start=start,
                duration=duration,
                max_pixels=wanted.max_pixels,
                threads=wanted.threads,
            )
            self.damaged |= undecodable > 0
            cells = exact.cells or cells
        return cells, files.renditions() if files is not None else []

    def _poster(self, cell: Cell, facts: dict[str, Any]) -> list[RenditionFile]:
        thumbnail = renditions.thumbnail(cell.picture)
        facts["blurhash"] = fingerprints.blurhash(thumbnail)
        facts["phash"] = fingerprints.phash(thumbnail)
        poster = renditions.write(cell.picture, self.workdir, "poster")
        return [
            replace(poster, position=round(cell.time, 3)),
            renditions.write(thumbnail, self.workdir, "thumbnail"),
        ]

    def _sheet(self, cells: list[Cell]) -> RenditionFile:
        sheet, data = sheets.draw(cells, self.grid)
        return replace(renditions.write(sheet, self.workdir, "contact_sheet"), data=data)

    def _metadata(self, duration: float, tags: dict[str, str]) -> dict[str, Any]:
        context = self.picture.codec_context
        kind = container_name(self.container, self.source)
        sound = self._sound_facts()
        rate = self.shown.rate
        size = self.source.stat().st_size
        found: dict[str, Any] = {
            "container": kind,
            "video": {
                "codec": codec_name(self.picture),
                "profile": self.picture.profile,
                "pixel_format": self.painter.pixels,
                "width": context.width,
                "height": context.height,
                "rotation": self.painter.rotation,
                "fps": round(rate, 3) if rate else None,
                "frames": self.shown.count,
            },
            "audio": sound,
            "bit_rate": round(size * 8 / duration) if duration else None,
            "tags": tags,
            "damaged": self.damaged,
            "playable": is_playable(
                kind,
                picture=codec_name(self.picture),
                pixels=self.painter.pixels,
                sound=sound["codec"] if sound else None,
            ),
        }
        return found

    def _sound_facts(self) -> dict[str, Any] | None:
        if self.sound is None:
            others = [codec_name(stream) for stream in self.container.streams.audio]
            return {"codec": others[0], "readable": False} if others else None
        found = sound_facts(self.sound)
        if self.track is not None and self.track.loudness is not None:
            found |= self.track.loudness.facts()
        return found

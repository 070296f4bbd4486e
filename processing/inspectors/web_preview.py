"""A copy of a film that every browser plays: H.264 and AAC in an MP4, small, playing while it loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.video.frame import PictureType, VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream

from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.inspectors.containers import (
    Packets,
    Span,
    Undecodable,
    decode,
    ignore_other_streams,
    open_media,
    picture_stream,
    sound_stream,
)
from processing.inspectors.options import PreviewOptions
from processing.inspectors.sampling import colours, pixel_ratio, square_pixels
from processing.inspectors.sound import Even
from processing.sandbox.reporting import report

NAME = "web_preview.mp4"
CLOCK = 90_000  # ticks a second of the picture's time stamps
SOUND_RATE = 48_000
SOUND_BIT_RATE = 128_000
KEY_EVERY_S = 4  # so that jumping in it is quick
MOST_EARLY = 2000  # frames of sound, about 40 seconds

Progress = Callable[[float], None]


def make_web_preview(
    source: Path,
    workdir: Path,
    options: Mapping[str, Any] | PreviewOptions | None = None,
    progress: Progress = report,
) -> Inspection:
    """Writes the preview into `workdir`. `progress` is told the share that is done. Raises Unreadable."""
    wanted = PreviewOptions.of(options)
    path = workdir / NAME
    with open_media(source, max_pixels=wanted.max_pixels) as container:
        picture = picture_stream(container, max_pixels=wanted.max_pixels)
        if picture is None:
            raise Unreadable("UNSUPPORTED_CODEC", "There is no moving picture in this file.")
        sound = sound_stream(container)
        with av.open(str(path), "w", format="mp4", options=_MUXING) as out:
            copy = _Copy(out, picture, sound, wanted, progress)
            copy.run(container)
    if copy.size is None:
        path.unlink(missing_ok=True)
        raise Unreadable("CORRUPT_FILE", "Not one frame of this film can be decoded.")
    width, height = copy.size
    data = {"duration": round(copy.end, 3), "truncated": copy.truncated}
    preview = RenditionFile("web_preview", NAME, "video/mp4", width, height, data=data)
    return Inspection(renditions=[preview])


# The index goes to the front, and nothing of the original's tags comes along.
_MUXING = {"movflags": "+faststart", "fflags": "+bitexact"}


class _Copy:
    """The film on its way from one container into the other."""

    def __init__(
        self,
        out: OutputContainer,
        picture: VideoStream,
        sound: AudioStream | None,
        wanted: PreviewOptions,
        progress: Progress,
    ) -> None:
        self.size: tuple[int, int] | None = None  # as it is shown
        self.end = 0.0
        self.truncated = False
        self._out, self._picture, self._sound = out, picture, sound
        self._wanted, self._progress = wanted, progress
        self._reformatter = VideoReformatter()
        self._span = Span()
        self._due = 0.0  # earliest second of the next frame
        self._start: float | None = None
        self._video: Any = None
        self._audio: Any = None
        self._even = Even("fltp", "stereo", SOUND_RATE)
        self._early: list[AudioFrame] = []  # sound that came before the first frame

    def run(self, container: InputContainer) -> None:
        streams = [stream for stream in (self._picture, self._sound) if stream is not None]
        ignore_other_streams(container, *streams)
        self._picture.thread_type = "AUTO"
        self._picture.codec_context.thread_count = self._wanted.threads
        packets = Packets(container, *streams)
        self._start = packets.begin()
        self._even = Even("fltp", "stereo", SOUND_RATE, origin=self._start)
        for packet in packets:
            take = self._show if packet.stream_index == self._picture.index else self._play
            for frame in _decoded(packet):
                take(frame)
            if self.truncated:
                break
        if self._video is not None:
            if self._audio is not None:
                self._encode_sound(self._even.flush())
                self._mux(self._audio.encode(None))
            self._mux(self._video.encode(None))
        self._progress(1.0)

    def _show(self, frame: VideoFrame) -> None:
        now = self._span.add(frame.time, 0)
        self._start = now if self._start is None else self._start
        now = max(0.0, now - self._start)
        if now > self._wanted.max_duration:
            self.truncated = True
        elif now >= self._due:  # others come faster than anybody sees
            self._due = now + 0.9 / self._wanted.max_fps
            if self._video is None:
                self._begin(frame)
            self._mux(self._video.encode(self._scaled(frame, now)))
            self.end = now
            if self._wanted.duration > 0:
                self._progress(min(0.99, now / self._wanted.duration))

    def _play(self, frame: AudioFrame) -> None:
        if self._video is None:
            if len(self._early) < MOST_EARLY:
                self._early.append(frame)
        elif self._even.samples <= self._wanted.max_duration * SOUND_RATE:
            self._encode_sound(self._even.feed(frame))

    def _begin(self, frame: VideoFrame) -> None:
        """Sets up the encoders. Both, before the first packet: a container's header names all streams."""
        wanted = self._wanted
        shown = square_pixels(frame, pixel_ratio(self._picture))
        scale = min(1.0, wanted.short_side / min(shown), wanted.long_side / max(shown))
        width, height = (max(2, round(side * scale / 2) * 2) for side in shown)
        rate = min(Fraction(wanted.max_fps), self._picture.average_rate or Fraction(25))
        self._video = self._out.add_stream("libx264", rate=max(rate, Fraction(1)))
        self._video.width, self._video.height, self._video.pix_fmt = width, height, "yuv420p"
        self._video.options = {
            "preset": wanted.preset,
            "crf": str(wanted.quality),
            "g": str(max(1, round(rate * KEY_EVERY_S))),
            "threads": str(wanted.threads),
        }
        self._video.codec_context.time_base = Fraction(1, CLOCK)
        if frame.rotation:
            self._video.set_display_rotation(frame.rotation)
        self.size = (width, height) if round(frame.rotation / 90) % 2 == 0 else (height, width)
        if self._sound is not None:
            self._audio = self._out.add_stream("aac", rate=SOUND_RATE, layout="stereo")
            self._audio.bit_rate = SOUND_BIT_RATE
        early, self._early = self._early, []
        for heard in early:
            self._play(heard)

    def _scaled(self, frame: VideoFrame, now: float) -> VideoFrame:
        scaled = self._reformatter.reformat(
            frame,
            self._video.width,
            self._video.height,
            "yuv420p",
            src_colorspace=colours(frame),
            dst_colorspace=Colorspace.ITU709,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        scaled.pict_type = PictureType.NONE  # the encoder chooses its own key frames
        scaled.pts = round(now * CLOCK)
        scaled.time_base = Fraction(1, CLOCK)
        return scaled

    def _encode_sound(self, frames: Iterator[AudioFrame]) -> None:
        for frame in frames:
            self._mux(self._audio.encode(frame))

    def _mux(self, packets: list[Packet[Any]]) -> None:
        for packet in packets:
            self._out.mux(packet)


def _decoded(packet: Packet[Any]) -> list[Any]:
    try:
        return decode(packet)
    except Undecodable:
        return []

"""Choosing few out of many: frames spread over a film of which nobody knows how long it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from av.video.stream import VideoStream
from PIL import Image

from processing.inspectors.base import RenditionFile
from processing.inspectors.containers import Undecodable, decode, drain
from processing.inspectors.renditions import QUALITY, fit

T = TypeVar("T")

SLACK_S = 0.002  # a frame this little before its time is the one that is meant: stamps are rounded
_UNSPECIFIED = 2  # colour space of a film that does not tell its own
_HD = 720  # px: from this height on such films are in the colours of HDTV, below in those of TV

_TURNS = {
    90: Image.Transpose.ROTATE_90,
    180: Image.Transpose.ROTATE_180,
    270: Image.Transpose.ROTATE_270,
}


class Spread(Generic[T]):
    """Keeps one thing for each `step` seconds; with more than `most`, every second goes and the step doubles.

    So what is kept lies evenly over whatever has passed, however long it will be. `dropped` is told of each
    thing that goes.
    """

    def __init__(
        self, *, step: float, most: int, dropped: Callable[[T], None] | None = None
    ) -> None:
        self.kept: list[tuple[float, T]] = []
        self._step = step
        self._most = max(2, most)
        self._dropped = dropped
        self._due = 0.0

    def wants(self, time: float) -> bool:
        return not self.kept or time >= self._due - SLACK_S

    def add(self, time: float, thing: T) -> None:
        self.kept.append((time, thing))
        if len(self.kept) > self._most:
            self.thin()
        self._due = self._after(time)

    def thin(self) -> None:
        """Half of them go; what is first stays."""
        first, last = self.kept[0][0], self.kept[-1][0]
        self._step = max(self._step * 2, 2 * (last - first) / len(self.kept))
        kept, due = [], first
        for time, thing in self.kept:
            if time >= due - SLACK_S:
                kept.append((time, thing))
                due = self._after(time)
            elif self._dropped is not None:
                self._dropped(thing)
        self.kept = kept

    def _after(self, time: float) -> float:
        """When the next one is wanted: slots are counted from the first, so that they do not wander."""
        if not self._step:
            return time
        first = self.kept[0][0]
        return first + (int((time - first + SLACK_S) / self._step) + 1) * self._step


class KeyPackets:
    """Key frames as they came out of the container, still packed: cheap to keep."""

    MOST_BYTES = 64 << 20

    def __init__(self, most: int) -> None:
        self._bytes = 0
        self._spread: Spread[Packet[VideoStream]] = Spread(step=0, most=most, dropped=self._forget)

    def offer(self, time: float, packet: Packet[VideoStream]) -> None:
        if not self._spread.wants(time):
            return
        self._bytes += packet.size
        self._spread.add(time, packet)
        while self._bytes > self.MOST_BYTES and len(self._spread.kept) > 1:
            self._spread.thin()

    def _forget(self, packet: Packet[VideoStream]) -> None:
        self._bytes -= packet.size

    @property
    def kept(self) -> list[tuple[float, Packet[VideoStream]]]:
        return self._spread.kept


def decode_key(packet: Packet[VideoStream]) -> VideoFrame | None:
    """The picture of a key frame, decoded for itself; None where it is damaged or needs others."""
    context = packet.stream.codec_context
    context.flush_buffers()  # at the end of a film it waits for nothing more
    try:
        frames = decode(packet)
    except Undecodable:
        frames = []
    frames += drain(
        context
    )  # a decoder with threads gives it only when told that no more will come
    return frames[0] if frames else None


def colours(frame: VideoFrame) -> Colorspace | None:
    """What the frame's colours are to be taken for; None where it says so itself."""
    if frame.colorspace == _UNSPECIFIED and frame.height >= _HD:
        return Colorspace.ITU709
    return None


def pixel_ratio(stream: VideoStream) -> float:
    """How much wider than high a pixel is; 1 where what the stream says is absurd."""
    ratio = stream.sample_aspect_ratio
    return float(ratio) if ratio and 0.2 <= ratio <= 5 else 1.0


def square_pixels(frame: VideoFrame, ratio: float) -> tuple[int, int]:
    """The frame's size when shown with square pixels, before it is turned."""
    return max(1, round(frame.width * ratio)), frame.height


class Painter:
    """Turns decoded frames into upright pictures with square pixels, scaled in the same go."""

    def __init__(self, stream: VideoStream) -> None:
        self._ratio = pixel_ratio(stream)
        self._reformatter = (
            VideoReformatter()
        )  # kept: setting one up costs as much as a small frame
        self.size: tuple[int, int] | None = (
            None  # as the film is shown; known from the first frame on
        )
        self.rotation = 0  # degrees, clockwise, by which its frames are turned to stand upright
        self.pixels = ""  # FFmpeg's name of their format

    def paint(self, frame: VideoFrame, side: int) -> Image.Image:
        turn = round(frame.rotation / 90) % 4 * 90  # anticlockwise
        shown = square_pixels(frame, self._ratio)
        if self.size is None:
            self.rotation = -turn % 360
            self.pixels = frame.format.name
            self.size = shown if turn % 180 == 0 else (shown[1], shown[0])
        width, height = fit(shown, side)
        scaled = self._reformatter.reformat(
            frame,
            width,
            height,
            "rgb24",
            src_colorspace=colours(frame),
            interpolation=Interpolation.AREA,
            threads=1,
        )
        picture: Image.Image = scaled.to_image()
        return picture.transpose(_TURNS[turn]) if turn else picture


FORMATS = {
    "jpg": ("JPEG", "image/jpeg"),
    "png": ("PNG", "image/png"),
    "webp": ("WEBP", "image/webp"),
}


class FrameFiles:
    """Frames at so many a second, but not more than `most`, written as files while the film passes."""

    satisfied = False  # every frame to the last may be wanted

    def __init__(
        self, folder: Path, *, duration: float, fps: float, most: int, side: int, format_: str
    ) -> None:
        self.side = side
        self._folder = folder
        self._kind, self.mime_type = FORMATS[format_]
        self._suffix = format_
        self._count = 0
        # The length was measured, but by time stamps: should more frames come, the spread sees to it.
        step = max(1 / fps, (duration + 2 * SLACK_S) / most)
        self._spread: Spread[Path] = Spread(step=step, most=most, dropped=Path.unlink)

    def wants(self, time: float) -> bool:
        return self._spread.wants(time)

    def add(self, time: float, picture: Image.Image) -> None:
        self._count += 1
        path = self._folder / f"frame-{self._count:06}.{self._suffix}"
        # WebP's default effort would cost as much as the decoding of the film.
        options = {"method": 0} if self._kind == "WEBP" else {}
        picture.save(path, self._kind, quality=QUALITY, **options)
        self._spread.add(time, path)

    def renditions(self) -> list[RenditionFile]:
        made = []
        for time, path in self._spread.kept:
            with Image.open(path) as picture:
                width, height = picture.size
            made.append(
                RenditionFile("frame", path.name, self.mime_type, width, height, round(time, 3))
            )
        return made

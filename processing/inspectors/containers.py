"""The one guarded way to open sound and film, and what FFmpeg's errors mean to us.

FFmpeg knows hundreds of formats. Some of them (playlists, concat scripts) are texts that make it read other
files or fetch URLs, whatever the file is called. So: only listed containers and decoders, a source without a
name, no second file ever, a cap on pixels from the first probe on.
"""

from __future__ import annotations

import io
import math
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import av
import av.error
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from processing.inspectors.base import Unreadable
from processing.inspectors.strings import one_line

# Names of FFmpeg's demuxers. Nothing that can name another file is among them.
CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mp3,wav,ogg,flac,aac,avi,mpegts,aiff,amr"

VIDEO_CODECS = frozenset(
    "h264 hevc av1 vp8 vp9 mpeg4 mpeg1video mpeg2video msmpeg4v2 msmpeg4v3 h263 mjpeg theora prores "
    "dnxhd dvvideo ffv1 huffyuv rawvideo qtrle svq3 wmv1 wmv2 wmv3 vc1 flv1".split()
)
AUDIO_CODECS = frozenset(
    "aac mp3 mp2 mp1 opus vorbis flac alac ac3 eac3 dts amr_nb amr_wb speex wmav1 wmav2 "
    "pcm_s16le pcm_s16be pcm_u8 pcm_s8 pcm_s24le pcm_s24be pcm_s32le pcm_s32be pcm_f32le pcm_f32be "
    "pcm_f64le pcm_f64be pcm_alaw pcm_mulaw adpcm_ms adpcm_ima_wav adpcm_ima_qt gsm gsm_ms".split()
)
# While it opens a file FFmpeg would decode a frame of each track, covers too, before anybody could look at
# their sizes. It may decode sound alone: sizes stand in the headers. These are names of its decoders.
_PROBING = ",".join(sorted(AUDIO_CODECS) + "mp3float mp2float mp1float dca amrnb amrwb".split())

_LOCKED = {"encv", "enca", "drms", "drmi"}  # MP4's marks of tracks for which one needs a key

READ_SIZE = 1 << 17  # bytes a read; FFmpeg's 32 kB makes four times the calls into Python
PROBE_BYTES = 5_000_000  # what FFmpeg may read to guess the format and its streams
PROBE_US = 5_000_000  # and how much of the film, in microseconds
HOLE_S = 3600.0  # a longer jump from one packet to the next is a lie of the container, not a pause
BACK_S = 10.0  # packets come out of order by a few frames; further back, the clock was started anew

MAX_TAGS = 64
MAX_TAG_KEY = 64
MAX_TAG_VALUE = 1000


class _Nameless(io.RawIOBase):
    """The file without its name, from which FFmpeg would otherwise guess a format."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError:  # to where no file has anything, as damaged indexes ask for
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def _refuse(url: str, flags: int, options: Mapping[str, str]) -> NoReturn:
    """FFmpeg asks here before it opens any further file or address: never."""
    raise Unreadable("CORRUPT_FILE", "The media refers to other files.")


@contextmanager
def faults() -> Iterator[None]:
    """Says every fault of the media as `Unreadable`. All use of a container stands inside."""
    try:
        yield
    except Unreadable:
        raise
    except MemoryError as error:  # FFmpeg's own is one too
        raise Unreadable("LIMIT_EXCEEDED", "The media needs too much memory.") from error
    except _UNKNOWN as error:
        raise Unreadable("UNSUPPORTED_CODEC", "No decoder is known for this media.") from error
    except av.error.FFmpegError as error:
        raise Unreadable("CORRUPT_FILE", "The media is damaged.") from error


class Packets:
    """The packets of some streams, the last ones empty. `broken` tells that the file ends in an error."""

    MOST_AHEAD = 500

    def __init__(self, container: InputContainer, *streams: Stream) -> None:
        self._packets = container.demux(*streams)
        self._streams = len(streams)
        self._ahead: deque[Packet[Any]] = deque()
        self.broken = False

    def __iter__(self) -> Iterator[Packet[Any]]:
        return self

    def __next__(self) -> Packet[Any]:
        if self._ahead:
            return self._ahead.popleft()
        try:
            return next(self._packets)
        except MemoryError:
            raise
        except av.error.FFmpegError:
            self.broken = True  # what came before is whole
            raise StopIteration from None

    def begin(self) -> float | None:
        """The second at which the first of the streams begins; None where their clocks disagree.

        It looks at packets: what FFmpeg calls a stream's start was wrong for Matroska with late sound.
        """
        ahead: deque[Packet[Any]] = deque()
        first: dict[int, float] = {}
        for packet in self:
            ahead.append(packet)
            if packet.size and packet.pts is not None and not packet.is_discard:
                first.setdefault(packet.stream_index, float(packet.pts * packet.time_base))
            if len(first) == self._streams or len(ahead) == self.MOST_AHEAD:
                break
        self._ahead = ahead
        times = first.values()
        return min(times) if times and max(times) - min(times) < HOLE_S else None


def decode(packet: Packet[Any]) -> list[Any]:
    """The frames of a packet. Raises `Undecodable` where it is damaged, after which others may be whole."""
    return _tried(packet.decode)


def drain(context: Any) -> list[Any]:
    """The frames a decoder still holds; afterwards it begins anew. Damaged ones are left out."""
    try:
        return _tried(context.decode)
    except (Undecodable, EOFError):
        return []
    finally:
        context.flush_buffers()


def _tried(work: Callable[[], list[Any]]) -> list[Any]:
    try:
        return work()
    except MemoryError:
        raise
    except av.error.FFmpegError as error:
        raise Undecodable(error) from error


class Undecodable(Exception):
    """One packet cannot be decoded."""

    def __init__(self, error: av.error.FFmpegError) -> None:
        super().__init__(str(error))
        self.code = "UNSUPPORTED_CODEC" if isinstance(error, _UNKNOWN) else "CORRUPT_FILE"


_UNKNOWN = (av.error.DecoderNotFoundError, av.error.PatchWelcomeError)


@contextmanager
def open_media(source: Path, *, max_pixels: int) -> Iterator[InputContainer]:
    """Opens a container for reading, guarded. Faults inside the block come out as `Unreadable`."""
    options = {
        "format_whitelist": CONTAINERS,
        "codec_whitelist": _PROBING,
        "max_pixels": str(max_pixels),
        "probesize": str(PROBE_BYTES),
        "analyzeduration": str(PROBE_US),
        "max_streams": "64",
    }
    with _Nameless(source) as file, faults():
        container = _open(file, options)
        try:
            _refuse_locked(container)
            yield container
        finally:
            container.close()


def _open(file: _Nameless, options: dict[str, str]) -> InputContainer:
    try:
        return av.open(
            file,
            "r",
            options=options,
            io_open=_refuse,
            buffer_size=READ_SIZE,
            metadata_errors="replace",
        )
    except av.error.ArgumentError as error:  # what the list of containers answers
        raise Unreadable("UNSUPPORTED_CODEC", "This is no container that is accepted.") from error


def picture_stream(container: InputContainer, *, max_pixels: int) -> VideoStream | None:
    """The moving picture, checked; None where there is none. A cover picture is none."""
    streams = [s for s in container.streams.video if not _is_cover(s)]
    if not streams:
        return None
    readable = [s for s in streams if codec_name(s) in VIDEO_CODECS]
    if not readable:
        raise Unreadable(
            "UNSUPPORTED_CODEC", f"The picture's codec is not accepted: {codec_name(streams[0])}."
        )
    stream = max(readable, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))
    check_pixels(stream.codec_context.width, stream.codec_context.height, max_pixels)
    stream.codec_context.options = {"max_pixels": str(max_pixels)}
    return stream


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The sound people would hear; None where there is none, or none that is accepted."""
    readable = [s for s in container.streams.audio if codec_name(s) in AUDIO_CODECS]
    if not readable:
        return None
    return max(readable, key=lambda s: (bool(s.disposition & Disposition.default), -s.index))


def needed_sound(container: InputContainer) -> AudioStream:
    """The sound, where there is nothing to do without."""
    stream = sound_stream(container)
    if stream is not None:
        return stream
    others = [codec_name(s) for s in container.streams.audio]
    words = (
        f"The sound's codec is not accepted: {others[0]}." if others else "There is no sound in it."
    )
    raise Unreadable("UNSUPPORTED_CODEC", words)


def _refuse_locked(container: InputContainer) -> None:
    for stream in (*container.streams.video, *container.streams.audio):
        try:
            tag = getattr(stream, "codec_tag", "")
        except UnicodeDecodeError:  # four bytes of anything
            continue
        if tag in _LOCKED:
            raise Unreadable("ENCRYPTED_FILE", "The media is protected against copying.")


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise Unreadable(
            "LIMIT_EXCEEDED", f"A frame has {width} x {height} pixels; {max_pixels} are allowed."
        )


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def codec_name(stream: VideoStream | AudioStream) -> str:
    """The codec's own name (`av1`, not `libdav1d`); "unknown" where FFmpeg has no decoder."""
    # A stream without a decoder has no codec context, and every attribute of it fails.
    context = getattr(stream, "codec_context", None)
    return context.codec.canonical_name if context is not None else "unknown"


def pixels_of(stream: VideoStream) -> int:
    """Of one frame, as far as is known; 0 where nothing is."""
    return stream.codec_context.width * stream.codec_context.height


def ignore_other_streams(
    container: InputContainer, *kept: VideoStream | AudioStream | None
) -> None:
    """Lets the demuxer jump over what is not wanted (subtitles, data, further tracks)."""
    indexes = {stream.index for stream in kept if stream is not None}
    for stream in container.streams:
        if stream.index not in indexes:
            stream.discard = Discard.all


def container_name(container: InputContainer, source: Path) -> str:
    """What people call it: mp4, mov, m4a, webm, mkv, …; FFmpeg has one name for a whole family."""
    family = container.format.name
    if family.startswith("mov"):
        brand = container.metadata.get("major_brand", "").strip().lower()
        return {"qt": "mov", "m4a": "m4a", "m4b": "m4a"}.get(
            brand, "3gp" if brand[:2] == "3g" else "mp4"
        )
    if family.startswith("matroska"):
        with source.open("rb") as file:
            return "webm" if b"webm" in file.read(64) else "mkv"
    return family


def clean_tags(*sources: Mapping[str, str]) -> dict[str, str]:
    """Tags of container and stream, bounded in number and length; what comes first wins."""
    tags: dict[str, str] = {}
    for source in sources:
        for key, value in source.items():
            name = one_line(key, MAX_TAG_KEY).lower()
            text = one_line(value, MAX_TAG_VALUE)
            if (
                name
                and text
                and name not in tags
                and name not in _TECHNICAL
                and len(tags) < MAX_TAGS
            ):
                tags[name] = text
    return tags


# The container's own bookkeeping, not what anybody said about the recording.
_TECHNICAL = frozenset(
    "language major_brand minor_version compatible_brands handler_name vendor_id duration encoder "
    "number_of_bytes number_of_frames bps _statistics_tags _statistics_writing_app".split()
)


def taken_at(tags: Mapping[str, str]) -> str | None:
    """When it was recorded, ISO 8601 in UTC; None where the tag is missing or impossible."""
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        try:
            moment = datetime.fromisoformat(tags.get(key, ""))
            moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        if 1990 <= moment.year <= datetime.now(UTC).year + 1:
            return moment.isoformat()
    return None


class Span:
    """How long a stream really is: from its packets' or frames' times, not from what the container claims.

    Times are seconds. Where they jump by more than an hour, or back, the clock goes on as if the usual time
    had passed.
    """

    def __init__(self) -> None:
        self.count = 0
        self.lied = False
        self._first = math.inf
        self._start = -math.inf  # of the latest packet
        self._end = -math.inf
        self._last = 0.0
        self._shift = 0.0
        self._usual = 0.0  # length of a packet, as last told

    def add(self, time: float | None, length: float) -> float:
        """Takes note of one packet or frame; gives its time on the straightened clock."""
        now = self._last + self._usual if time is None else time + self._shift
        if self.count and not -BACK_S <= now - self._last <= HOLE_S:
            self.lied = True
            self._shift += self._last + self._usual - now
            now = self._last + self._usual
        if 0 < length < BACK_S:
            self._usual = length
        self._first = min(self._first, now)
        self._start = max(self._start, now)
        self._end = max(self._end, now + (length if 0 < length < HOLE_S else self._usual))
        self._last = now
        self.count += 1
        return now

    @property
    def first(self) -> float:
        return self._first if self.count else 0.0

    @property
    def end(self) -> float:
        if not self.count:
            return 0.0
        if (
            self._usual == 0 and self.count > 1
        ):  # no packet told its length: the last is like the others
            return self._end + (self._start - self._first) / (self.count - 1)
        return self._end

    @property
    def seconds(self) -> float:
        return max(0.0, self.end - self.first)

    @property
    def rate(self) -> float | None:
        """Packets a second; None where there is but one."""
        length = self._start - self._first
        return (self.count - 1) / length if self.count > 1 and length > 0 else None


def first_second(source: Path, *, max_pixels: int) -> float | None:
    """When a film begins on the clock of its packets; None where that is unknown, or there is no picture."""
    with open_media(source, max_pixels=max_pixels) as container:
        pictures = [stream for stream in container.streams.video if not _is_cover(stream)]
        sound = sound_stream(container)
        if not pictures or sound is None:
            return None
        ignore_other_streams(container, pictures[0], sound)
        return Packets(container, pictures[0], sound).begin()


def probe(source: Path, *, max_pixels: int = 50_000_000) -> dict[str, Any]:
    """What the header says, for choosing limits and confirming a type. `declared_seconds` may be a lie."""
    with open_media(source, max_pixels=max_pixels) as container:
        picture = picture_stream(container, max_pixels=max_pixels)
        sound = sound_stream(container)
        if picture is None and sound is None:
            raise Unreadable("UNSUPPORTED_CODEC", "There is neither picture nor sound in it.")
        declared = (container.duration or 0) / av.time_base
        return {
            "kind": "video" if picture is not None else "audio",
            "container": container_name(container, source),
            "video_codec": codec_name(picture) if picture is not None else None,
            "audio_codec": codec_name(sound) if sound is not None else None,
            "declared_seconds": declared if declared > 0 else None,
            "width": picture.codec_context.width if picture is not None else None,
            "height": picture.codec_context.height if picture is not None else None,
        }

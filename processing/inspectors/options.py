"""What may be asked of the inspectors of sound and film. Light: importing it loads no decoder.

Every limit is given by the caller from the settings; the defaults here are those of the settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class _Options:
    @classmethod
    def of(cls, values: Mapping[str, Any] | _Options | None) -> Self:
        """From JSON, as a sandboxed call carries it; names it does not know are left alone."""
        if isinstance(values, cls):
            return values
        known = {field.name for field in fields(cls)}
        given = values if isinstance(values, Mapping) else {}
        return cls(**{name: value for name, value in given.items() if name in known})


@dataclass(frozen=True, slots=True)
class AudioOptions(_Options):
    """`inspect` of a recording. Its facts need every sample decoded, so there is nothing to leave out."""

    max_duration: float = 14_400.0  # seconds; longer is LIMIT_EXCEEDED
    max_pixels: int = 50_000_000  # of a cover picture, should the probe look at one


@dataclass(frozen=True, slots=True)
class VideoOptions(_Options):
    """`inspect` of a film. Without `want_frames` only key frames are decoded: about a tenth of the work."""

    max_duration: float = 14_400.0  # seconds; longer is LIMIT_EXCEEDED
    max_pixels: int = 50_000_000  # of one frame
    frame_fps: float = 3.0
    frame_side: int = 640  # longest side of a frame, px
    frame_format: str = "jpg"  # jpg, png or webp
    max_frames: int = 64  # kept, spread over the film; a caller who wants all gives a large number
    contact_sheet_grid: str = "2x3"  # columns x rows
    want_poster: bool = True  # and what is made of it: thumbnail, perceptual hash, blurhash
    want_sheet: bool = True
    want_frames: bool = False
    want_audio: bool = False  # 16 kHz mono, and the waveform
    audio_codec: str = "flac"  # flac (nothing is lost), m4a, mp3 or wav
    threads: int = 0  # of the decoder; 0 lets it choose, 1 does most where all cores are busy


@dataclass(frozen=True, slots=True)
class PreviewOptions(_Options):
    """`make_web_preview`: H.264 and AAC in an MP4 that plays while it loads."""

    max_duration: float = 14_400.0  # seconds; the preview stops there and says `truncated`
    max_pixels: int = 50_000_000
    short_side: int = 720
    long_side: int = 1280
    max_fps: float = 60.0
    quality: int = 23  # x264's CRF: 18 looks like the original, 28 is poor
    preset: str = "veryfast"
    threads: int = 0
    duration: float = 0.0  # as measured before, for the progress; 0 is unknown

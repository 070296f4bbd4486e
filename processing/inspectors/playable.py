"""Whether browsers can play a file as it is, or need a copy of it made for them."""

from __future__ import annotations

# What Chrome, Firefox and Safari all play, by container. QuickTime and Matroska are not among them.
_PICTURE = {"mp4": {"h264", "av1"}, "webm": {"vp8", "vp9", "av1"}}
_SOUND = {
    "mp4": {"aac", "mp3"},
    "m4a": {"aac", "mp3"},
    "webm": {"opus", "vorbis"},
    "mp3": {"mp3"},
    "wav": {"pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_f32le"},
    "flac": {"flac"},
    "ogg": {"opus", "vorbis", "flac"},
    "aac": {"aac"},
}
# 8 bits, a quarter of the colour: decoders in hardware and in browsers are made for it.
_PLAIN = {"yuv420p", "yuvj420p"}


def is_playable(
    container: str, *, picture: str | None, pixels: str | None = None, sound: str | None = None
) -> bool:
    """`picture` and `sound` are codecs, `pixels` FFmpeg's name of the pixel format."""
    if picture is not None:
        if picture not in _PICTURE.get(container, set()):
            return False
        if pixels not in _PLAIN and picture == "h264":
            return False
    return sound is None or sound in _SOUND.get(container, set())

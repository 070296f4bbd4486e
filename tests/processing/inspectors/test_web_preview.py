"""Copies of films for browsers: what they play, upright, small, in step with their sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from processing.inspectors import video, web_preview
from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.inspectors.web_preview import make_web_preview
from tests.processing.inspectors import films
from tests.processing.inspectors.films import film, is_upright, recording, still, time_of, tone


@pytest.fixture
def copy(tmp_path: Path) -> Any:
    """Makes the preview of a film; gives its rendition and what an inspector finds in it."""

    def make(data: bytes, progress: Any = None, **options: Any) -> tuple[RenditionFile, Inspection]:
        source = tmp_path / "source"
        source.write_bytes(data)
        options.setdefault("preset", "ultrafast")
        made = make_web_preview(source, tmp_path, options, progress or (lambda _: None))
        (file,) = made.renditions
        assert file.kind == "web_preview"
        return file, video.inspect(tmp_path / file.name, tmp_path, {"want_audio": True})

    return make


def frames(path: Path) -> list[tuple[float, Image.Image]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_image()) for frame in container.decode(video=0)]


@pytest.mark.parametrize(
    ("container", "codec", "sound", "pixels"),
    [
        ("matroska", "libx265", "flac", "yuv420p"),
        ("mov", "libx264", "alac", "yuv422p"),
        ("avi", "mpeg4", "libmp3lame", "yuv420p"),
        ("mp4", "libx264", "aac", "yuv420p10le"),
        ("webm", "libvpx-vp9", "libopus", "yuv444p"),
    ],
)
def test_a_copy_is_what_browsers_play(
    copy: Any, tmp_path: Path, container: str, codec: str, sound: str, pixels: str
) -> None:
    file, found = copy(film(container, codec, sound=sound, pixels=pixels))

    assert found.metadata["playable"] is True
    assert found.metadata["video"]["codec"] == "h264"
    assert found.metadata["video"]["pixel_format"] == "yuv420p"
    assert found.metadata["audio"]["codec"] == "aac"
    assert found.metadata["audio"]["has_sound"] is True
    assert found.facts["duration"] == pytest.approx(2.0, abs=0.15)
    assert (file.width, file.height, file.mime_type) == (96, 64, "video/mp4")
    assert file.data == {"duration": pytest.approx(1.9, abs=0.11), "truncated": False}
    for time, picture in frames(tmp_path / file.name):
        assert is_upright(picture)
        assert time_of(picture, 2) == pytest.approx(time, abs=0.2)


def test_a_copy_plays_while_it_loads_and_tells_nothing_of_the_original(
    copy: Any, tmp_path: Path
) -> None:
    file, found = copy(film(sound="aac", tags={"title": "secret", "comment": "secret"}))

    data = (tmp_path / file.name).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"secret" not in data
    assert found.metadata["tags"] == {}


@pytest.mark.parametrize(
    ("size", "small"),
    [
        ((1920, 1080), (1280, 720)),
        ((1080, 1920), (720, 1280)),
        ((2560, 1080), (1280, 540)),
        ((641, 361), (640, 360)),
        ((101, 51), (100, 52)),
    ],
)
def test_a_copy_is_at_most_720_lines_and_even(
    copy: Any, size: tuple[int, int], small: tuple[int, int]
) -> None:
    file, found = copy(film("webm", "libvpx-vp9", size=size, seconds=0.3))

    assert (file.width, file.height) == small
    assert (found.facts["width"], found.facts["height"]) == small


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_is_turned_in_its_copy(copy: Any, tmp_path: Path, rotation: int) -> None:
    turn = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180}
    coded = turn.get(rotation, Image.Transpose.ROTATE_270)
    upright = (64, 96) if rotation != 180 else (96, 64)

    file, found = copy(
        film(rotation=rotation, shown=lambda time: still(upright, 100).transpose(coded))
    )

    assert (file.width, file.height) == upright
    assert (found.facts["width"], found.facts["height"]) == upright
    (poster,) = [each for each in found.renditions if each.kind == "poster"]
    with Image.open(tmp_path / poster.name) as picture:
        assert is_upright(picture)


def test_pixels_that_are_not_square_become_square(copy: Any) -> None:
    file, _ = copy(film(ratio=Fraction(2, 1)))

    assert (file.width, file.height) == (192, 64)


def test_sound_that_begins_late_stays_in_step(copy: Any, tmp_path: Path) -> None:
    file, _ = copy(film("matroska", seconds=3, sound="flac", sound_from=1.0))

    with av.open(str(tmp_path / file.name)) as container:
        stream = container.streams.audio[0]
        samples = np.concatenate([f.to_ndarray()[0] for f in container.decode(stream)])
        loud = np.flatnonzero(np.abs(samples) > 0.05)[0] / stream.rate
    assert loud == pytest.approx(1.0, abs=0.06)


def test_uneven_frames_keep_their_times(copy: Any, tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 1.0, 1.05, 1.1, 1.9]

    file, _ = copy(film("matroska", times=times, seconds=2))

    assert [time for time, _ in frames(tmp_path / file.name)] == pytest.approx(times, abs=0.002)


def test_more_frames_than_anybody_sees_are_left_out(copy: Any) -> None:
    _, found = copy(films.many_frames(2000, 1000))

    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)
    assert 100 <= found.metadata["video"]["frames"] <= 140


def test_a_copy_ends_where_it_may_not_go_on(copy: Any) -> None:
    file, found = copy(film(seconds=6, sound="aac"), max_duration=2.0)

    assert file.data["truncated"] is True
    assert found.facts["duration"] == pytest.approx(2.0, abs=0.3)


def test_the_copier_tells_how_far_it_is(copy: Any) -> None:
    heard: list[float] = []

    copy(film(seconds=4), progress=heard.append, duration=4.0)

    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert 0.2 < heard[len(heard) // 2] < 0.8


def test_what_cannot_be_decoded_leaves_no_file(tmp_path: Path, copy: Any) -> None:
    data = film()
    begin = data.index(b"mdat") + 4

    for spoilt, code in (
        (data[:begin] + bytes(len(data) - begin - 2000) + data[-2000:], "CORRUPT_FILE"),
        (recording("mp3", "libmp3lame", tone(1)), "UNSUPPORTED_CODEC"),
        (b"nothing", "CORRUPT_FILE"),
    ):
        with pytest.raises(Unreadable) as caught:
            copy(spoilt)
        assert caught.value.code == code
        assert not (tmp_path / web_preview.NAME).exists()

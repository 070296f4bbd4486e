"""Films: facts, poster, sheet, frames and sound of every kind that is accepted."""

from __future__ import annotations

import itertools
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from processing.inspectors import fingerprints, sheets, video
from processing.inspectors.base import Inspection, RenditionFile, Unreadable
from processing.inspectors.containers import probe
from processing.inspectors.options import VideoOptions
from processing.inspectors.sampling import Spread
from tests.processing.inspectors import films
from tests.processing.inspectors.films import film, is_upright, recording, still, time_of, tone


@pytest.fixture
def look(tmp_path: Path) -> Any:
    """Inspect bytes; the renditions lie in `tmp_path`."""

    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return video.inspect(source, tmp_path, options)

    return inspect


def made(found: Inspection, kind: str) -> list[RenditionFile]:
    return [each for each in found.renditions if each.kind == kind]


def opened(found: Inspection, folder: Path, kind: str) -> Image.Image:
    (file,) = made(found, kind)
    with Image.open(folder / file.name) as picture:
        assert picture.size == (file.width, file.height)
        assert picture.get_format_mimetype() == file.mime_type
        return picture.convert("RGB")


def cells_of(sheet: Image.Image, data: dict[str, Any]) -> list[tuple[float, Image.Image]]:
    width, height = sheet.size
    return [
        (
            cell["time"],
            sheet.crop(
                (
                    round(cell["box"][0] * width),
                    round(cell["box"][1] * height),
                    round((cell["box"][0] + cell["box"][2]) * width),
                    round((cell["box"][1] + cell["box"][3]) * height),
                )
            ),
        )
        for cell in data["cells"]
    ]


def fault_of(look: Any, data: bytes, **options: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        look(data, **options)
    assert caught.value.message
    return caught.value.code


# ------------------------------------------------------------------- facts


def test_a_film_tells_its_facts(look: Any, tmp_path: Path) -> None:
    data = film(sound="aac", tags={"title": "Morning", "creation_time": "2024-05-06T07:08:09Z"})

    found = look(data)

    assert found.facts["width"] == 96
    assert found.facts["height"] == 64
    assert found.facts["duration"] == pytest.approx(2.0, abs=0.05)
    assert found.facts["taken_at"] == "2024-05-06T07:08:09+00:00"
    assert found.metadata["container"] == "mp4"
    assert found.metadata["video"]["codec"] == "h264"
    assert found.metadata["video"]["fps"] == 10
    assert found.metadata["video"]["frames"] == 20
    assert found.metadata["audio"]["codec"] == "aac"
    assert found.metadata["audio"]["channels"] == 2
    assert found.metadata["tags"]["title"] == "Morning"
    assert found.metadata["bit_rate"] == pytest.approx(len(data) * 4, rel=0.1)
    assert found.metadata["playable"] is True
    assert found.metadata["damaged"] is False
    json.dumps(found.as_json())


def test_the_poster_is_what_hashes_and_thumbnail_are_made_of(look: Any, tmp_path: Path) -> None:
    found = look(film(size=(1600, 900), fps=5))

    poster, thumbnail = (opened(found, tmp_path, kind) for kind in ("poster", "thumbnail"))
    assert poster.size == (1280, 720)
    assert thumbnail.size == (320, 180)
    assert found.facts["phash"] == pytest.approx(fingerprints.phash(thumbnail), rel=0.5)
    assert len(found.facts["blurhash"]) == 28
    assert made(found, "poster")[0].position == pytest.approx(time_of(poster, 2), abs=0.1)


ACCEPTED = [
    ("mp4", "libx264", "aac", "mp4", "h264", True),
    ("mov", "libx264", "aac", "mov", "h264", False),
    ("webm", "libvpx", "libopus", "webm", "vp8", True),
    ("webm", "libvpx-vp9", "libopus", "webm", "vp9", True),
    ("webm", "libsvtav1", "vorbis", "webm", "av1", True),
    ("matroska", "libx264", "flac", "mkv", "h264", False),
    ("matroska", "libx265", "aac", "mkv", "hevc", False),
    ("mp4", "libx265", "aac", "mp4", "hevc", False),
    ("mp4", "libsvtav1", "aac", "mp4", "av1", True),
    ("avi", "mpeg4", "libmp3lame", "avi", "mpeg4", False),
    ("mpegts", "libx264", "aac", "mpegts", "h264", False),
]


@pytest.mark.parametrize(("container", "codec", "sound", "name", "known", "plays"), ACCEPTED)
def test_every_container_and_codec_gives_facts_and_pictures(
    look: Any,
    tmp_path: Path,
    container: str,
    codec: str,
    sound: str,
    name: str,
    known: str,
    plays: bool,
) -> None:
    found = look(film(container, codec, sound=sound, fps=12.5), want_audio=True, want_frames=True)

    assert found.metadata["container"] == name
    assert found.metadata["video"]["codec"] == known
    assert found.metadata["video"]["fps"] == pytest.approx(12.5, rel=0.05)
    assert found.metadata["playable"] is plays
    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)
    assert is_upright(opened(found, tmp_path, "poster"))
    assert len(made(found, "frame")) in (6, 7)  # an AVI has one empty frame, to keep step
    assert found.metadata["audio"]["has_sound"] is True


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({"pixels": "yuv420p10le"}, (96, 64)),
        ({"codec": "libvpx-vp9", "container": "webm", "size": (97, 65)}, (97, 65)),
        ({"pixels": "yuv444p"}, (96, 64)),
        ({"muxing": {"movflags": "frag_keyframe+empty_moov"}}, (96, 64)),
        ({"fps": 30000 / 1001}, (96, 64)),
        ({"codec": "libx264", "encoding": {"bf": "3", "preset": "fast"}}, (96, 64)),
        ({"size": (64, 144)}, (64, 144)),
    ],
    ids=["10-bit", "odd", "4:4:4", "fragmented", "NTSC", "b-frames", "vertical"],
)
def test_uncommon_films_are_read_all_the_same(
    look: Any, tmp_path: Path, changes: dict[str, Any], size: tuple[int, int]
) -> None:
    found = look(film(**changes))

    assert (found.facts["width"], found.facts["height"]) == size
    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)
    assert is_upright(opened(found, tmp_path, "poster"))
    assert len(made(found, "contact_sheet")[0].data["cells"]) == 6


def test_colours_that_browsers_do_not_decode_are_told(look: Any) -> None:
    assert look(film(pixels="yuv420p")).metadata["playable"] is True
    assert look(film(pixels="yuv420p10le")).metadata["playable"] is False


def test_a_film_of_uneven_frames_has_the_length_of_its_frames(look: Any, tmp_path: Path) -> None:
    times = [0, 0.1, 0.2, 1.0, 1.05, 1.1, 1.9]

    found = look(film(times=times, seconds=2), contact_sheet_grid="3x1")

    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)
    cells = made(found, "contact_sheet")[0].data["cells"]
    assert {round(cell["time"], 2) for cell in cells} <= set(times)


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_film_stands_upright_in_its_pictures(
    look: Any, tmp_path: Path, rotation: int
) -> None:
    # Coded lying down, as a phone does it: the mark in the header turns it back.
    turn = {90: Image.Transpose.ROTATE_90, 180: Image.Transpose.ROTATE_180}
    coded = turn.get(rotation, Image.Transpose.ROTATE_270)
    upright = (64, 96) if rotation != 180 else (96, 64)

    found = look(
        film(rotation=rotation, shown=lambda time: still(upright, 100).transpose(coded)),
        want_frames=True,
    )

    assert (found.facts["width"], found.facts["height"]) == upright
    assert found.metadata["video"]["rotation"] == rotation
    for kind in ("poster", "thumbnail"):
        picture = opened(found, tmp_path, kind)
        assert is_upright(picture)
        assert (picture.width > picture.height) == (upright[0] > upright[1])
    with Image.open(tmp_path / made(found, "frame")[0].name) as frame:
        assert is_upright(frame)


def test_pixels_that_are_not_square_are_stretched(look: Any, tmp_path: Path) -> None:
    found = look(film(ratio=Fraction(2, 1)))

    assert (found.facts["width"], found.facts["height"]) == (192, 64)
    assert opened(found, tmp_path, "poster").size == (192, 64)


def test_black_frames_at_the_beginning_are_no_poster(look: Any, tmp_path: Path) -> None:
    def shown(time: float) -> Image.Image:
        return still((96, 64), 120) if time >= 1.2 else Image.new("RGB", (96, 64))

    for gop in (1, 30):
        found = look(film(shown=shown, gop=gop))
        assert np.asarray(opened(found, tmp_path, "poster")).std() > 20


def test_a_film_of_one_frame_is_a_film(look: Any) -> None:
    found = look(film(seconds=0.1), want_frames=True)

    assert found.facts["duration"] == pytest.approx(0.1, abs=0.05)
    assert found.metadata["video"]["fps"] is None
    assert len(made(found, "frame")) == 1
    assert len(made(found, "contact_sheet")[0].data["cells"]) == 1


def test_tags_are_one_clean_line_each(look: Any) -> None:
    tags = {"title": "a\x1b[31m\u202eb\nc", "comment": "x" * 5000}
    tags |= {f"key{n}": "v" for n in range(200)}

    found = look(film("matroska", tags=tags))

    assert found.metadata["tags"]["title"] == "a [31m b c"
    assert len(found.metadata["tags"]["comment"]) == 1000
    assert len(found.metadata["tags"]) <= 64


@pytest.mark.parametrize("stamp", ["1904-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00", "no", ""])
def test_an_impossible_date_is_no_date(look: Any, stamp: str) -> None:
    assert look(film("matroska", tags={"creation_time": stamp})).facts["taken_at"] is None


def test_only_what_is_wanted_is_made(look: Any, tmp_path: Path) -> None:
    found = look(film(sound="aac"), want_poster=False, want_sheet=False)

    assert found.renditions == []
    assert found.facts["width"] == 96
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


# ------------------------------------------------------------------- contact sheet


@pytest.mark.parametrize("gop", [1, 7, 250], ids=["each frame", "some", "one key frame"])
def test_each_cell_of_the_sheet_shows_what_its_time_says(
    look: Any, tmp_path: Path, gop: int
) -> None:
    found = look(film(seconds=6, gop=gop), contact_sheet_grid="2x3")

    (file,) = made(found, "contact_sheet")
    cells = cells_of(opened(found, tmp_path, "contact_sheet"), file.data)
    assert file.data["grid"] == [2, 3]
    assert [time for time, _ in cells] == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5, 5.5], abs=0.36)
    for time, picture in cells:
        assert is_upright(picture)
        assert time_of(picture, 6) == pytest.approx(time, abs=0.15)


def test_a_long_film_of_few_key_frames_shows_those_it_has(
    look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "WHOLE_PIXELS", 0)

    found = look(film(seconds=6, gop=20))

    assert [cell["time"] for cell in made(found, "contact_sheet")[0].data["cells"]] == [0, 2, 4]


def test_a_sheet_of_key_frames_decodes_nothing_else(
    look: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decoded(*_: Any, **__: Any) -> int:
        raise AssertionError("the whole film was decoded")

    monkeypatch.setattr(video.stills, "watch", decoded)

    assert len(look(film(seconds=6, gop=5)).renditions) == 3


@pytest.mark.parametrize("grid", ["0x3", "2x", "13x1", "x", "2x3x4", "-1x2", "9999x9999"])
def test_a_grid_that_is_none_is_refused(grid: str) -> None:
    with pytest.raises(ValueError, match="columns x rows"):
        sheets.grid_of(grid)


def test_times_are_printed_under_their_frames() -> None:
    assert [sheets.clock(second) for second in (0, 7.9, 754, 3723)] == [
        "0:00",
        "0:07",
        "12:34",
        "1:02:03",
    ]
    cells = [sheets.Cell(float(n), still((160, 90), 80)) for n in range(5)]

    sheet, data = sheets.draw(cells, (2, 3))

    for cell in data["cells"]:
        left, top, width, height = cell["box"]
        below = (left, top + height, left + width, top + height + 0.03)
        corners = [round(part * side) for part, side in zip(below, sheet.size * 2, strict=True)]
        assert np.asarray(sheet.crop(tuple(corners))).max() > 180


def test_a_sheet_stays_within_its_size() -> None:
    sheet, data = sheets.draw([sheets.Cell(0, still((640, 360), 9))] * 144, (12, 12))

    assert max(sheet.size) <= sheets.SHEET_SIDE
    assert len(data["cells"]) == 144


# ------------------------------------------------------------------- frames


def test_frames_come_at_the_rate_that_is_asked_for(look: Any, tmp_path: Path) -> None:
    found = look(film(seconds=4, fps=30), want_frames=True, frame_fps=3)

    frames = made(found, "frame")
    assert [frame.position for frame in frames] == pytest.approx(
        [n / 3 for n in range(12)], abs=0.05
    )
    for frame in frames:
        with Image.open(tmp_path / frame.name) as picture:
            assert time_of(picture, 4) == pytest.approx(frame.position, abs=0.15)


def test_not_more_frames_than_allowed_are_kept_spread_over_the_film(look: Any) -> None:
    found = look(film(seconds=30, fps=10), want_frames=True, max_frames=16)

    positions = [frame.position for frame in made(found, "frame")]
    steps = [b - a for a, b in itertools.pairwise(positions)]
    assert 14 <= len(positions) <= 16
    assert positions[0] == 0
    assert positions[-1] > 27
    assert max(steps) - min(steps) <= 0.1001


def test_all_frames_are_kept_on_request(look: Any) -> None:
    found = look(film(seconds=30, fps=10), want_frames=True, max_frames=100_000)

    assert len(made(found, "frame")) == 90


@pytest.mark.parametrize(("format_", "mime"), [("png", "image/png"), ("webp", "image/webp")])
def test_frames_are_written_as_asked(look: Any, tmp_path: Path, format_: str, mime: str) -> None:
    found = look(film(size=(960, 640)), want_frames=True, frame_format=format_, frame_side=320)

    frame = made(found, "frame")[0]
    assert (frame.mime_type, frame.width, frame.height) == (mime, 320, 213)
    with Image.open(tmp_path / frame.name) as picture:
        assert picture.get_format_mimetype() == mime


def test_sixty_thousand_frames_are_few_pictures(look: Any) -> None:
    found = look(films.many_frames(60_000, 1000), want_frames=True)

    assert found.facts["duration"] == pytest.approx(60, abs=0.1)
    assert found.metadata["video"]["fps"] == pytest.approx(1000)
    assert 60 <= len(made(found, "frame")) <= 64
    assert len(found.renditions) <= 67


def test_what_is_kept_lies_evenly_however_long_it_goes_on() -> None:
    dropped: list[int] = []
    spread: Spread[int] = Spread(step=0.1, most=20, dropped=dropped.append)
    for number in range(5000):
        if spread.wants(number / 10):
            spread.add(number / 10, number)

    times = [time for time, _ in spread.kept]
    steps = {round(b - a, 3) for a, b in itertools.pairwise(times)}
    assert 10 <= len(times) <= 20
    assert len(steps) == 1
    assert times[0] == 0
    assert not set(dropped) & {thing for _, thing in spread.kept}


# ------------------------------------------------------------------- sound


def decoded(path: Path) -> tuple[Any, int, int]:
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray()[0] for frame in container.decode(stream)]
        return np.concatenate(parts), stream.rate, stream.channels


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_the_sound_of_a_film_comes_as_16_khz_mono_on_its_clock(
    look: Any, tmp_path: Path, container: str
) -> None:
    found = look(film(container, seconds=3, sound="aac", sound_from=1.0), want_audio=True)

    (file,) = made(found, "audio")
    samples, rate, channels = decoded(tmp_path / file.name)
    assert (rate, channels, file.mime_type) == (16000, 1, "audio/flac")
    assert len(samples) / rate == pytest.approx(3.0, abs=0.05)
    loud = np.abs(samples.astype(np.int32)) > 1000
    assert np.flatnonzero(loud)[0] / rate == pytest.approx(1.0, abs=0.05)
    (waveform,) = made(found, "waveform")
    drawn = json.loads((tmp_path / waveform.name).read_text())
    assert drawn["duration"] == pytest.approx(3.0, abs=0.05)
    assert drawn["silences"] == [[0.0, pytest.approx(1.0, abs=0.05)]]


@pytest.mark.parametrize("codec", ["m4a", "mp3", "wav"])
def test_the_sound_is_written_as_asked(look: Any, tmp_path: Path, codec: str) -> None:
    found = look(film(sound="aac"), want_audio=True, audio_codec=codec)

    (file,) = made(found, "audio")
    samples, rate, _ = decoded(tmp_path / file.name)
    assert len(samples) / rate == pytest.approx(2.0, abs=0.1)
    assert Path(file.name).suffix == f".{codec}"


def test_a_film_without_sound_has_none_made(look: Any, tmp_path: Path) -> None:
    found = look(film(), want_audio=True)

    assert found.metadata["audio"] is None
    assert {each.kind for each in found.renditions} == {"poster", "thumbnail", "contact_sheet"}


def test_sound_that_is_longer_than_the_picture_counts(look: Any) -> None:
    data = film(seconds=2, times=[0, 0.1, 0.2], sound="aac")

    assert look(data).facts["duration"] == pytest.approx(2.0, abs=0.1)


# ------------------------------------------------------------------- limits and kinds


def test_a_film_longer_than_allowed_is_refused(look: Any) -> None:
    assert fault_of(look, film(seconds=3), max_duration=2.0) == "LIMIT_EXCEEDED"
    assert look(film(seconds=3), max_duration=3.1).facts["duration"] == pytest.approx(3, abs=0.1)


def test_a_film_of_too_many_frames_is_refused(look: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(video, "MOST_FPS", 5)

    assert fault_of(look, film(seconds=3, fps=10), max_duration=4.0) == "LIMIT_EXCEEDED"


def test_frames_larger_than_allowed_are_refused(look: Any) -> None:
    assert fault_of(look, film(size=(320, 240)), max_pixels=320 * 240 - 1) == "LIMIT_EXCEEDED"


def test_a_recording_is_no_film(look: Any) -> None:
    assert fault_of(look, recording("mp3", "libmp3lame", tone(1))) == "UNSUPPORTED_CODEC"


def test_a_cover_picture_makes_no_film(look: Any, tmp_path: Path) -> None:
    from tests import media

    data = recording("mp3", "libmp3lame", tone(1), cover=media.png(64, 64))

    assert fault_of(look, data) == "UNSUPPORTED_CODEC"
    assert probe(tmp_path / "source")["kind"] == "audio"


def test_a_probe_tells_kind_and_codecs(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(film("webm", "libvpx", sound="libopus"))

    assert probe(source) == {
        "kind": "video",
        "container": "webm",
        "video_codec": "vp8",
        "audio_codec": "opus",
        "declared_seconds": pytest.approx(2.0, abs=0.1),
        "width": 96,
        "height": 64,
    }


def test_options_come_as_json_and_unknown_ones_are_left_alone() -> None:
    options = VideoOptions.of({"frame_fps": 1.0, "nobody": "knows"})

    assert options.frame_fps == 1.0
    assert VideoOptions.of(None) == VideoOptions()
    assert VideoOptions.of(options) is options

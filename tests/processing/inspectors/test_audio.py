"""Recordings: their real length, tags, waveform and silences, in every container that is accepted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processing.inspectors import audio
from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.sound import MAX_PEAKS, RATE, Meter, levels, runs
from tests.processing.inspectors.films import film, recording, silence, tone, wav


@pytest.fixture
def listen(tmp_path: Path) -> Any:
    """Inspect bytes; the waveform lies in `tmp_path`."""

    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return audio.inspect(source, tmp_path, options)

    return inspect


def waveform(found: Inspection, folder: Path) -> dict[str, Any]:
    (file,) = found.renditions
    assert (file.kind, file.mime_type) == ("waveform", "application/json")
    drawn: dict[str, Any] = json.loads((folder / file.name).read_text())
    assert len(drawn["peaks"]) == file.data["peaks"]
    return drawn


def fault_of(listen: Any, data: bytes, **options: Any) -> str:
    with pytest.raises(Unreadable) as caught:
        listen(data, **options)
    assert caught.value.message
    return caught.value.code


# ------------------------------------------------------------------- facts


ACCEPTED = [
    ("mp3", "libmp3lame", "mp3", "mp3", True),
    ("wav", "pcm_s16le", "wav", "pcm_s16le", True),
    ("wav", "pcm_f32le", "wav", "pcm_f32le", True),
    ("ipod", "aac", "m4a", "aac", True),
    ("ipod", "alac", "m4a", "alac", False),
    ("flac", "flac", "flac", "flac", True),
    ("ogg", "libopus", "ogg", "opus", True),
    ("ogg", "vorbis", "ogg", "vorbis", True),
    ("webm", "libopus", "webm", "opus", True),
    ("matroska", "aac", "mkv", "aac", False),
    ("adts", "aac", "aac", "aac", True),
    ("aiff", "pcm_s16be", "aiff", "pcm_s16be", False),
]


@pytest.mark.parametrize(("container", "codec", "name", "known", "plays"), ACCEPTED)
def test_every_container_and_codec_tells_its_facts(
    listen: Any, tmp_path: Path, container: str, codec: str, name: str, known: str, plays: bool
) -> None:
    data = recording(container, codec, tone(2))

    found = listen(data)

    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)
    sound = found.metadata["audio"]
    assert (sound["codec"], sound["sample_rate"], sound["channels"]) == (known, 48000, 2)
    assert sound["has_sound"] is True
    assert sound["sounding_seconds"] == pytest.approx(2.0, abs=0.1)
    assert sound["level_db"] == pytest.approx(-13.5, abs=1.0)
    assert found.metadata["container"] == name
    assert found.metadata["playable"] is plays
    assert found.metadata["damaged"] is False
    assert found.metadata["bit_rate"] == pytest.approx(len(data) * 4, rel=0.1)
    assert waveform(found, tmp_path)["silences"] == []
    json.dumps(found.as_json())


def test_tags_are_told_clean(listen: Any) -> None:
    tags = {"title": "Interview\x00\x1b[2J", "artist": "\u202eevil", "date": "2024-05-06"}

    found = listen(recording("mp3", "libmp3lame", tone(1), tags=tags))

    assert found.metadata["tags"]["title"] == "Interview"
    assert found.metadata["tags"]["artist"] == "evil"
    assert found.facts["taken_at"] == "2024-05-06T00:00:00+00:00"


@pytest.mark.parametrize(
    ("layout", "rate", "channels"),
    [("mono", 8000, 1), ("stereo", 44100, 2), ("5.1", 96_000, 6), ("7.1", 192_000, 8)],
)
def test_any_number_of_channels_and_any_rate_will_do(
    listen: Any, layout: str, rate: int, channels: int
) -> None:
    found = listen(recording("wav", "pcm_s24le", tone(1.5, rate=rate), rate=rate, layout=layout))

    assert found.facts["duration"] == pytest.approx(1.5, abs=0.01)
    assert found.metadata["audio"]["channels"] == channels
    assert found.metadata["audio"]["sample_rate"] == rate
    assert found.metadata["audio"]["has_sound"] is True


def test_the_sound_of_a_film_can_be_told_alone(listen: Any) -> None:
    found = listen(film(seconds=2, sound="aac"))

    assert found.facts["duration"] == pytest.approx(2.0, abs=0.1)


def test_a_film_without_sound_is_no_recording(listen: Any) -> None:
    assert fault_of(listen, film()) == "UNSUPPORTED_CODEC"


def test_a_recording_longer_than_allowed_is_refused(listen: Any) -> None:
    data = recording("mp3", "libmp3lame", tone(5))

    assert fault_of(listen, data, max_duration=3.0) == "LIMIT_EXCEEDED"
    assert listen(data, max_duration=6.0).facts["duration"] == pytest.approx(5, abs=0.1)


# ------------------------------------------------------------------- silence and loudness


def test_silences_are_found_where_they_are(listen: Any, tmp_path: Path) -> None:
    parts = [tone(1), silence(0.8), tone(1), silence(0.3), tone(1), silence(2)]

    found = listen(recording("wav", "pcm_s16le", np.concatenate(parts)))

    drawn = waveform(found, tmp_path)
    assert np.allclose(drawn["silences"], [[1.0, 1.8], [4.1, 6.1]], atol=0.03)
    assert found.metadata["audio"]["sounding_seconds"] == pytest.approx(3.3, abs=0.05)
    assert drawn["duration"] == pytest.approx(6.1, abs=0.01)


@pytest.mark.parametrize("volume", [0.0, 0.0004])
def test_nothing_but_silence_has_no_sound(listen: Any, tmp_path: Path, volume: float) -> None:
    found = listen(recording("mp3", "libmp3lame", tone(20, volume=volume)))

    assert found.metadata["audio"]["has_sound"] is False
    assert found.metadata["audio"]["sounding_seconds"] == pytest.approx(0, abs=0.1)
    assert waveform(found, tmp_path)["silences"] == [[0.0, pytest.approx(20, abs=0.1)]]


def test_a_quiet_recording_is_not_called_silent(listen: Any, tmp_path: Path) -> None:
    quiet = np.concatenate([tone(2, volume=0.008), silence(1), tone(2, volume=0.008)])

    found = listen(recording("flac", "flac", quiet))

    assert found.metadata["audio"]["has_sound"] is True
    assert np.allclose(waveform(found, tmp_path)["silences"], [[2, 3]], atol=0.05)


def test_a_click_is_no_sound(listen: Any) -> None:
    samples = np.zeros(96000, np.float32)
    samples[50_000:50_100] = 0.5

    assert listen(recording("wav", "pcm_s16le", samples)).metadata["audio"]["has_sound"] is False


# ------------------------------------------------------------------- waveform


@pytest.mark.parametrize("seconds", [0.03, 1, 5, 11, 60])
def test_a_waveform_has_enough_peaks_and_not_too_many(
    listen: Any, tmp_path: Path, seconds: float
) -> None:
    found = listen(wav((tone(seconds, rate=16000, volume=0.5) * 32767).astype("<i2").tobytes()))

    peaks = waveform(found, tmp_path)["peaks"]
    assert min(seconds * 200, MAX_PEAKS / 2) <= len(peaks) <= MAX_PEAKS
    assert max(peaks) == pytest.approx(127, abs=2)


def test_a_waveform_rises_and_falls_with_the_sound(listen: Any, tmp_path: Path) -> None:
    loud = np.concatenate([tone(1, volume=0.1), tone(1, volume=0.9), tone(1, volume=0.4)])

    peaks = np.array(waveform(listen(recording("wav", "pcm_s16le", loud)), tmp_path)["peaks"])

    thirds = [float(np.median(part)) for part in np.array_split(peaks, 3)]
    assert thirds == pytest.approx([25, 229, 102], abs=4)


def test_the_loudest_sample_there_is_does_not_turn_over() -> None:
    meter = Meter()
    meter.add(np.full(RATE, -32768, np.int16))

    loudness = meter.finish()

    assert set(loudness.peaks) == {255}
    assert loudness.peak_db == pytest.approx(0, abs=0.01)


def test_measuring_does_not_depend_on_how_the_sound_is_cut() -> None:
    samples = (tone(3, rate=RATE) * 32767).astype(np.int16)
    samples[RATE : 2 * RATE] = 0
    whole, cut = Meter(), Meter()
    whole.add(samples)
    for part in np.array_split(samples, [7, 326, 647, 5647, 5648, 30_000]):
        cut.add(part)

    assert whole.finish() == cut.finish()


def test_levels_of_the_last_minute_can_be_looked_at() -> None:
    meter = Meter()
    for number in range(100):
        meter.add(np.full(RATE // 3, number * 100, np.int16))

    recent = meter.recent(10.0, 20.0)

    assert len(recent) == 500
    whole = np.repeat(np.arange(100) * 100, RATE // 3).astype(np.int16)
    assert np.allclose(recent, levels(whole)[500:1000], atol=0.01)


def test_runs_are_first_and_past_the_last() -> None:
    assert list(runs(np.array([True, True, False, True, False, False, True]))) == [
        (0, 2),
        (3, 4),
        (6, 7),
    ]
    assert list(runs(np.zeros(0, bool))) == []


# ------------------------------------------------------------------- clocks


def test_what_a_recorder_does_not_send_is_silence(listen: Any, tmp_path: Path) -> None:
    data = recording("webm", "libopus", tone(6), holes=[(2.0, 5.0)])

    found = listen(data)

    assert found.facts["duration"] == pytest.approx(6.0, abs=0.1)
    assert np.allclose(waveform(found, tmp_path)["silences"], [[2, 5]], atol=0.1)


def test_a_leap_of_hours_is_not_believed(listen: Any) -> None:
    data = recording("matroska", "libopus", tone(4), jump=(2.0, 86_400.0))

    assert listen(data).facts["duration"] == pytest.approx(4.0, abs=0.1)


def test_channels_that_change_midway_are_followed(listen: Any) -> None:
    both = recording("adts", "aac", tone(2), layout="mono") + recording("adts", "aac", tone(3))

    found = listen(both)

    assert found.facts["duration"] == pytest.approx(5.0, abs=0.2)
    assert found.metadata["audio"]["has_sound"] is True


def test_damage_in_the_middle_is_passed_over(listen: Any) -> None:
    data = recording("mp3", "libmp3lame", tone(6))
    middle = len(data) // 2

    found = listen(data[:middle] + bytes(3000) + b"\xff\xfb" * 200 + data[middle + 3400 :])

    assert found.facts["duration"] == pytest.approx(6.0, abs=0.5)

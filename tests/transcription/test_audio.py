"""Preparing sound for recognisers: small files of any recording, cut where nobody speaks."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from processing.inspectors.base import Unreadable
from processing.inspectors.sound import RATE, Meter
from tests.processing.inspectors.films import film, recording, silence, tone, wav
from transcription import cutting
from transcription.audio import Piece, Prepared, prepare, prepare_in_sandbox
from transcription.cutting import OVERLAP_S, PieceLimits, find_cut


@pytest.fixture
def ready(tmp_path: Path) -> Any:
    """Prepare bytes; the pieces lie in `tmp_path`."""

    def make(data: bytes, **wishes: Any) -> Prepared:
        source = tmp_path / "source"
        source.write_bytes(data)
        wishes = {"codec": "wav", "max_bytes": 25_000_000, "max_seconds": 600.0} | wishes
        return prepare(source, tmp_path, **wishes)

    return make


def heard(path: Path) -> Any:
    """The samples of a file, which must be sound at 16 kHz mono without tags."""
    with av.open(str(path)) as container:
        (stream,) = container.streams
        assert not {"title", "comment", "artist", "creation_time"} & {
            name.lower() for name in (*container.metadata, *stream.metadata)
        }
        resampler = av.AudioResampler("s16", "mono", RATE)
        parts = []
        for frame in container.decode(stream):
            frame.pts = None
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
        return np.concatenate(parts)


def loudest_hz(samples: Any) -> float:
    """Of a stretch of sound: its note."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


def counted(seconds: int, *, every: float = 5.0, rate: int = 48000) -> Any:
    """A recording that tells its time: second n has the note 400 + 10 n; half a second's pause each five."""
    parts = [tone(1, hz=400 + 10 * n, rate=rate) for n in range(seconds)]
    for n in range(seconds):
        if (n + 1) % every == 0:
            parts[n][-rate // 2 :] = 0
    return np.concatenate(parts)


def second_of(samples: Any, second: float) -> int:
    """What time a stretch of `counted` says it is, from a quarter of a second of it."""
    begin = round(second * RATE)
    return round((loudest_hz(samples[begin : begin + RATE // 4]) - 400) / 10)


# ------------------------------------------------------------------- one piece


@pytest.mark.parametrize(
    ("codec", "mime"),
    [
        ("m4a", "audio/mp4"),
        ("mp3", "audio/mpeg"),
        ("flac", "audio/flac"),
        ("wav", "audio/wav"),
    ],
)
def test_a_short_recording_becomes_one_small_file(ready: Any, codec: str, mime: str) -> None:
    samples = np.concatenate([counted(6), silence(2)])
    data = recording("ipod", "aac", samples, rate=48000, tags={"title": "secret"})

    found = ready(data, codec=codec)

    (piece,) = found.pieces
    assert (piece.start, piece.overlap) == (0, 0)
    assert piece.end == found.duration == pytest.approx(8, abs=0.05)
    assert piece.bytes == piece.path.stat().st_size
    assert found.mime_type == mime
    assert not found.copied
    assert found.has_sound
    assert found.speech_seconds == pytest.approx(5.5, abs=0.2)
    assert np.allclose(found.silences[-1], (6, 8), atol=0.1)
    sound = heard(piece.path)
    assert len(sound) / RATE == pytest.approx(8, abs=0.15)
    assert [second_of(sound, n + 0.1) for n in range(6)] == list(range(6))


@pytest.mark.parametrize("container", ["mp3", "webm", "ogg", "flac", "wav", "mp4", "matroska"])
def test_any_recording_or_film_will_do(ready: Any, container: str) -> None:
    codecs = {"mp3": "libmp3lame", "flac": "flac", "wav": "pcm_s16le", "ogg": "vorbis"}
    if container in {"mp4", "matroska"}:
        data = film(container, seconds=3, sound="aac")
    else:
        data = recording(container, codecs.get(container, "libopus"), tone(3))

    found = ready(data)

    assert found.duration == pytest.approx(3, abs=0.1)
    assert len(heard(found.pieces[0].path)) == pytest.approx(3 * RATE, rel=0.03)


def test_sound_that_begins_late_in_a_film_keeps_its_time(ready: Any) -> None:
    for container in ("mp4", "matroska"):
        found = ready(film(container, seconds=4, sound="aac", sound_from=1.5))

        sound = heard(found.pieces[0].path).astype(np.int32)
        assert np.flatnonzero(np.abs(sound) > 1000)[0] / RATE == pytest.approx(1.5, abs=0.06)


def test_very_short_sound_is_made_long_enough_to_be_taken(ready: Any) -> None:
    found = ready(wav((tone(0.2, rate=16000) * 32767).astype("<i2").tobytes()))

    assert found.duration == found.pieces[0].end == pytest.approx(0.2)
    assert len(heard(found.pieces[0].path)) == RATE


def test_silence_is_told_so_that_nobody_pays_for_it(ready: Any) -> None:
    found = ready(wav(bytes(1800 * 16_000), rate=8000))

    assert not found.has_sound
    assert found.speech_seconds == pytest.approx(0, abs=0.1)
    assert found.duration == pytest.approx(1800, abs=0.2)
    assert found.pieces[-1].end == found.duration


def test_the_answer_survives_the_way_out_of_a_sandbox(ready: Any, tmp_path: Path) -> None:
    found = ready(recording("mp3", "libmp3lame", counted(40)), max_seconds=15.0)

    answer = json.loads(json.dumps(found.as_json()))
    assert Prepared.from_json(answer, tmp_path) == found
    wishes = {"codec": "wav", "max_bytes": 25_000_000, "max_seconds": 15.0}
    assert prepare_in_sandbox(tmp_path / "source", tmp_path, wishes) == found.as_json()


# ------------------------------------------------------------------- many pieces


def joined(pieces: list[Piece], duration: float) -> None:
    """Pieces cover the whole: each begins where the one before ends, or by its overlap earlier."""
    assert pieces[0].start == 0
    assert pieces[-1].end == pytest.approx(duration, abs=0.03)
    for before, after in itertools.pairwise(pieces):
        assert after.start == pytest.approx(before.end - after.overlap, abs=0.002)


@pytest.mark.parametrize("codec", ["m4a", "mp3", "flac", "wav"])
def test_a_long_recording_is_cut_in_its_pauses(ready: Any, codec: str) -> None:
    found = ready(recording("ipod", "aac", counted(90)), codec=codec, max_seconds=22.0)

    joined(found.pieces, found.duration)
    assert len(found.pieces) == 5
    assert all(piece.overlap == 0 for piece in found.pieces)
    assert all(piece.end - piece.start <= 22.0 for piece in found.pieces)
    for piece in found.pieces[:-1]:
        assert piece.end % 5 == pytest.approx(4.75, abs=0.1)
    for piece in found.pieces:
        sound = heard(piece.path)
        for second in range(int(piece.start) + 1, int(piece.end)):
            assert second_of(sound, second + 0.1 - piece.start) == second


@pytest.mark.parametrize("codec", ["m4a", "mp3", "flac", "wav"])
def test_no_piece_is_larger_than_allowed(ready: Any, codec: str) -> None:
    noise = np.random.default_rng(7).normal(0, 0.2, 16000 * 150).astype(np.float32)
    noise[:: 16000 * 7] = 0
    data = recording("wav", "pcm_s16le", noise, rate=16000, layout="mono")

    for limit in (500_000, 1_200_000):
        found = ready(data, codec=codec, max_bytes=limit)

        joined(found.pieces, 150)
        assert len(found.pieces) >= 2 or codec in {"m4a", "mp3"}
        assert max(piece.bytes for piece in found.pieces) <= limit
        # Not needlessly small either: noise that codes badly is what the reserve is for.
        assert max(piece.bytes for piece in found.pieces) > limit * 0.5


def test_the_cut_is_at_the_silence_nearest_the_limit(ready: Any) -> None:
    sound = np.concatenate(
        [tone(30), silence(0.6), tone(5), silence(0.6), tone(2), silence(0.6), tone(30)]
    )

    found = ready(recording("flac", "flac", sound), max_seconds=40.0)

    assert found.pieces[0].end == pytest.approx(38.5, abs=0.06)


def test_where_nobody_pauses_pieces_share_some_seconds_and_say_so(ready: Any) -> None:
    sound = np.concatenate([tone(1, hz=400 + 10 * n) for n in range(100)])

    found = ready(recording("flac", "flac", sound), max_seconds=45.0)

    joined(found.pieces, 100)
    assert [piece.overlap for piece in found.pieces] == [0, OVERLAP_S, OVERLAP_S]
    assert [round(piece.start) for piece in found.pieces] == [0, 40, 80]
    for piece in found.pieces:
        heard_here = heard(piece.path)
        assert len(heard_here) / RATE == pytest.approx(piece.end - piece.start, abs=0.01)
        for second in range(round(piece.start), round(piece.end)):
            assert second_of(heard_here, second + 0.3 - piece.start) == second


def test_a_pause_in_noise_is_a_pause(ready: Any) -> None:
    noise = np.random.default_rng(3).normal(0, 0.02, 48000 * 60).astype(np.float32)
    for begin in range(0, 60, 4):
        noise[begin * 48000 : round((begin + 3.4) * 48000)] += tone(3.4, volume=0.4)

    found = ready(recording("flac", "flac", noise), max_seconds=25.0)

    assert all(piece.overlap == 0 for piece in found.pieces)
    assert all(piece.end % 4 == pytest.approx(3.7, abs=0.1) for piece in found.pieces[:-1])


def test_a_cut_is_looked_for_only_where_it_is_allowed() -> None:
    meter = Meter()
    meter.add(np.tile(np.array([9000, -9000], np.int16), RATE * 5))
    meter.add(np.zeros(RATE, np.int16))
    meter.add(np.tile(np.array([9000, -9000], np.int16), RATE * 2))

    assert find_cut(meter, 0, 14) == (pytest.approx(10.5, abs=0.02), True)
    assert find_cut(meter, 0, 10.4) == (pytest.approx(10.2, abs=0.02), True)
    assert find_cut(meter, 0, 10.2) == (10.2, False)
    assert find_cut(meter, 11, 14) == (14, False)


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"codec": "opus"}, "Sound is coded into"),
        ({"max_seconds": 5.0}, "too short"),
        ({"codec": "wav", "max_bytes": 100_000}, "too short"),
    ],
)
def test_limits_that_leave_no_speech_are_a_mistake(wishes: dict[str, Any], words: str) -> None:
    wishes = {"codec": "mp3", "max_bytes": 25_000_000, "max_seconds": 600.0} | wishes

    with pytest.raises(ValueError, match=words):
        PieceLimits.of(**wishes)


# ------------------------------------------------------------------- packets as they are


COPIED = [
    ("mp3", "libmp3lame", "mp3", "audio/mpeg", ".mp3"),
    ("ipod", "aac", "aac", "audio/mp4", ".m4a"),
    ("ogg", "libopus", "opus", "audio/ogg", ".ogg"),
    ("webm", "libopus", "opus", "audio/ogg", ".ogg"),
    ("ogg", "vorbis", "vorbis", "audio/ogg", ".ogg"),
    ("adts", "aac", "aac", "audio/mp4", ".m4a"),
]


@pytest.mark.parametrize(("container", "codec", "known", "mime", "suffix"), COPIED)
def test_a_small_recording_is_not_coded_anew(
    ready: Any, tmp_path: Path, container: str, codec: str, known: str, mime: str, suffix: str
) -> None:
    tags = {} if container == "adts" else {"title": "secret"}
    data = recording(container, codec, counted(8), tags=tags)

    found = ready(data, accepts={"mp3", "aac", "opus", "vorbis"})

    (piece,) = found.pieces
    assert found.copied
    assert (found.mime_type, piece.path.suffix) == (mime, suffix)
    assert b"secret" not in piece.path.read_bytes()
    with av.open(str(piece.path)) as container_:
        assert container_.streams.audio[0].codec_context.codec.canonical_name == known
    sound = heard(piece.path)
    assert len(sound) / RATE == pytest.approx(8, abs=0.15)
    assert [second_of(sound, n + 0.15) for n in range(8)] == list(range(8))


def test_the_sound_of_a_film_is_copied_out_of_it(ready: Any) -> None:
    found = ready(film(seconds=4, sound="aac"), accepts={"aac"})

    assert found.copied
    assert found.pieces[0].path.suffix == ".m4a"
    assert len(heard(found.pieces[0].path)) / RATE == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize(
    ("container", "codec", "bit_rate"), [("ogg", "libopus", 24_000), ("mp3", "libmp3lame", 32_000)]
)
def test_packets_are_cut_in_pauses_too(
    ready: Any, container: str, codec: str, bit_rate: int
) -> None:
    rate = 48000 if codec == "libopus" else 16000
    data = recording(
        container, codec, counted(90, rate=rate), rate=rate, layout="mono", bit_rate=bit_rate
    )

    found = ready(data, accepts={"mp3", "opus"}, max_seconds=22.0)

    assert found.copied
    joined(found.pieces, 90)
    assert len(found.pieces) == 5
    for piece in found.pieces:
        assert piece.overlap == 0
        assert piece.end - piece.start <= 22.0
        sound = heard(piece.path)
        assert len(sound) / RATE == pytest.approx(piece.end - piece.start, abs=0.12)
        for second in range(int(piece.start) + 1, int(piece.end)):
            assert second_of(sound, second + 0.15 - piece.start) == second


def test_packets_overlap_where_nobody_pauses(ready: Any) -> None:
    sound = np.concatenate([tone(1, hz=400 + 10 * n) for n in range(60)])
    data = recording("ogg", "libopus", sound, layout="mono", bit_rate=32_000)

    found = ready(data, accepts={"opus"}, max_seconds=40.0)

    assert found.copied
    joined(found.pieces, 60)
    assert [round(piece.start) for piece in found.pieces] == [0, 35]
    assert found.pieces[1].overlap == OVERLAP_S
    assert second_of(heard(found.pieces[1].path), 0.3) == 35


def test_copied_pieces_keep_the_limit_of_bytes(ready: Any) -> None:
    data = recording("ogg", "libopus", counted(150), layout="mono", bit_rate=32_000)

    found = ready(data, accepts={"opus"}, max_bytes=330_000)

    assert found.copied
    assert len(found.pieces) >= 2
    assert max(piece.bytes for piece in found.pieces) <= 330_000


def test_a_large_recording_is_made_small_instead(ready: Any) -> None:
    data = recording("mp3", "libmp3lame", counted(60), bit_rate=320_000)

    found = ready(data, codec="m4a", accepts={"mp3"}, max_bytes=600_000)

    assert not found.copied
    assert sum(piece.bytes for piece in found.pieces) < len(data) / 4


def test_holes_are_filled_and_so_not_copied(ready: Any) -> None:
    data = recording("webm", "libopus", counted(12), holes=[(4.0, 9.0)], bit_rate=32_000)

    found = ready(data, accepts={"opus"})

    assert not found.copied
    assert found.duration == pytest.approx(12, abs=0.1)
    sound = heard(found.pieces[0].path)
    assert second_of(sound, 3.1) == 3
    assert second_of(sound, 10.1) == 10


# ------------------------------------------------------------------- limits and damage


def test_a_recording_longer_than_allowed_is_refused(ready: Any) -> None:
    with pytest.raises(Unreadable) as caught:
        ready(recording("mp3", "libmp3lame", tone(5)), max_duration=3.0)

    assert caught.value.code == "LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "CORRUPT_FILE"),
        (b"hello " * 1000, "CORRUPT_FILE"),
        (wav(tag=0x9999), "UNSUPPORTED_CODEC"),
        (wav(channels=65535), "CORRUPT_FILE"),
        (film(seconds=1), "UNSUPPORTED_CODEC"),
    ],
    ids=["empty", "text", "unknown codec", "65535 channels", "a film without sound"],
)
def test_what_cannot_be_heard_has_a_code(ready: Any, data: bytes, code: str) -> None:
    with pytest.raises(Unreadable) as caught:
        ready(data)

    assert caught.value.code == code


def test_a_damaged_recording_gives_what_is_left(ready: Any) -> None:
    data = recording("mp3", "libmp3lame", counted(20))
    middle = len(data) // 2

    found = ready(data[:middle] + bytes(2000) + data[middle + 2000 :], accepts=())

    assert found.duration == pytest.approx(20, abs=1.0)
    assert second_of(heard(found.pieces[0].path), 3.1) == 3


def test_only_seconds_of_sound_are_held_at_a_time(
    ready: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0.0
    settle = cutting.Cutter.settle

    def watched(self: Any) -> None:
        nonlocal most
        settle(self)
        most = max(most, sum(len(block) for block in self._held) / RATE)

    monkeypatch.setattr(cutting.Cutter, "settle", watched)

    ready(recording("flac", "flac", counted(400, rate=8000), rate=8000), max_seconds=300.0)

    assert 55 < most < 70

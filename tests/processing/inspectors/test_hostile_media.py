"""Sound and film that mean harm: scripts that name other files, headers that lie, bombs, damage."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processing.inspectors import audio, video
from processing.inspectors.base import Inspection, Unreadable
from processing.inspectors.containers import _Nameless, open_media
from processing.inspectors.soundfiles import Track
from tests import media
from tests.processing.inspectors import films
from tests.processing.inspectors.films import box, film, patched, recording, tone, wav
from transcription.audio import prepare


@pytest.fixture
def outcome(tmp_path: Path) -> Any:
    """The code that bytes end as, with every function that opens media; "ok" where one reads them."""

    def end(data: bytes, name: str = "source") -> str:
        source = tmp_path / name
        source.write_bytes(data)
        began = time.monotonic()
        codes = {_end(function, source, tmp_path) for function in (_film, _sound, _speech)}
        assert time.monotonic() - began < 6, "each is to end within two seconds"
        if "ok" in codes:
            return "ok"
        return next(iter(codes)) if len(codes) == 1 else " ".join(sorted(codes))

    return end


def _film(source: Path, workdir: Path) -> None:
    video.inspect(source, workdir, {"want_frames": True, "want_audio": True})


def _sound(source: Path, workdir: Path) -> None:
    audio.inspect(source, workdir, {})


def _speech(source: Path, workdir: Path) -> None:
    prepare(source, workdir, codec="wav", max_bytes=10**7, max_seconds=600)


def _end(function: Any, source: Path, workdir: Path) -> str:
    try:
        function(source, workdir)
    except Unreadable as fault:
        return fault.code
    return "ok"


@pytest.fixture
def look(tmp_path: Path) -> Any:
    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return video.inspect(source, tmp_path, options)

    return inspect


@pytest.fixture
def listen(tmp_path: Path) -> Any:
    def inspect(data: bytes, **options: Any) -> Inspection:
        source = tmp_path / "source"
        source.write_bytes(data)
        return audio.inspect(source, tmp_path, options)

    return inspect


# ------------------------------------------------------------------- scripts that name other files


@pytest.fixture
def canary() -> Iterator[Any]:
    """A server on this machine that nobody should talk to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.05)
        heard: list[Any] = []
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, address = listener.accept()
                    heard.append(address)
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1], heard
        ended.set()
        thread.join()


def scripts(port: int, sibling: Path) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}/x"
    playlist = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n"
    )
    return {
        "concat of a sibling": f"ffconcat version 1.0\nfile {sibling.name}\n",
        "concat of a path": f"ffconcat version 1.0\nfile '{sibling}'\n",
        "concat of a URL": f"ffconcat version 1.0\nfile '{url}.mp4'\n",
        "playlist of a URL": playlist.format(f"{url}.ts"),
        "playlist of a file": playlist.format(f"file://{sibling}"),
        "playlist of a sibling": playlist.format(sibling.name),
        "playlist of metadata": playlist.format("http://169.254.169.254/latest/meta-data/"),
        "DASH": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<Period><AdaptationSet><Representation id='1'><BaseURL>{url}</BaseURL>"
        "</Representation></AdaptationSet></Period></MPD>",
        "SDP": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
        "metadata": ";FFMETADATA1\ntitle=x\n",
        "subtitles": "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n" * 50,
        "styled subtitles": "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,hello\n",
        "QuickTime link": f'<?xml version="1.0"?><?quicktime type="application/x-quicktime-media-link"?>'
        f'<embed src="{url}.mov"/>',
        "reference to a movie": "RTSPtext\n" + url,
    }


@pytest.mark.parametrize(
    "name", ["source.mp4", "source.m3u8", "source.avi", "source.mkv", "source"]
)
def test_a_script_is_no_film_and_nothing_it_names_is_opened(
    tmp_path: Path, outcome: Any, canary: Any, name: str
) -> None:
    port, heard = canary
    sibling = tmp_path / "secret.mp4"
    sibling.write_bytes(film(sound="aac"))
    read_before = sibling.stat().st_atime_ns

    for what, text in scripts(port, sibling).items():
        assert outcome(text.encode(), name) in {"CORRUPT_FILE", "UNSUPPORTED_CODEC"}, what
        assert sibling.stat().st_atime_ns == read_before, what
    assert heard == []


def test_a_film_that_refers_to_another_file_does_not_get_it(tmp_path: Path, canary: Any) -> None:
    port, heard = canary
    sibling = tmp_path / "secret.mp4"
    sibling.write_bytes(film())
    data = film("mov")
    # The one entry of the data reference box becomes an alias to another file.
    alias = box(b"url ", bytes(4) + b"file://" + os.fsencode(sibling) + b"\0")
    reference = box(b"dref", struct.pack(">II", 0, 1), alias)
    source = tmp_path / "source"
    source.write_bytes(data.replace(box(b"dref", struct.pack(">II", 0, 1), _own_data()), reference))

    with contextlib.suppress(Unreadable):
        video.inspect(source, tmp_path, {})

    assert heard == []
    with pytest.raises(Unreadable), open_media(source, max_pixels=10**6) as container:
        container.io_open(str(sibling), 1, {})
    assert port


def _own_data() -> bytes:
    return box(b"url ", struct.pack(">I", 1))


@pytest.mark.parametrize(
    "data",
    [
        media.jpeg(64, 48),
        media.png(64, 48),
        media.gif(),
        media.webp(64, 48),
        b"<html><script>alert(1)</script></html>",
        b"%PDF-1.7\n" + bytes(500),
        b"PK\x03\x04" + bytes(500),
        b"MZ" + bytes(500),
        b"hello " * 500,
    ],
    ids=["jpeg", "png", "gif", "webp", "html", "pdf", "zip", "exe", "text"],
)
def test_what_is_neither_sound_nor_film_is_refused_whatever_it_is_called(
    outcome: Any, data: bytes
) -> None:
    for name in ("source.mp4", "source.mp3"):
        assert outcome(data, name) in {"CORRUPT_FILE", "UNSUPPORTED_CODEC"}


# ------------------------------------------------------------------- damage


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        bytes(100_000),
        bytes(range(256)) * 400,
        box(b"ftyp", b"isom", bytes(4), b"isom"),
        box(b"ftyp", b"isom", bytes(4), b"isom") + box(b"mdat", bytes(50_000)),
        b"\x1aE\xdf\xa3" + bytes(2000),
        b"OggS" + bytes(2000),
        b"fLaC" + bytes(2000),
        b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(2000),
        b"RIFF\xff\xff\xff\xffWAVE" + bytes(2000),
    ],
    ids=[
        *("empty", "one NUL", "NULs", "noise", "ftyp only", "no index"),
        *("matroska", "ogg", "flac", "id3", "wav"),
    ],
)
def test_a_file_without_media_in_it_is_corrupt(outcome: Any, data: bytes) -> None:
    assert outcome(data) in {"CORRUPT_FILE", "UNSUPPORTED_CODEC"}


@pytest.mark.parametrize("container", ["mp4", "webm", "matroska", "mpegts", "avi"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
def test_a_film_that_is_cut_short_ends_clearly(
    tmp_path: Path, container: str, share: float
) -> None:
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(container, "libx264")
    # Its index lies before each part: else nothing could be read of it, which has a test of its own.
    parts = {"movflags": "frag_keyframe+empty_moov"} if container == "mp4" else None
    data = film(container, codec, seconds=4, size=(320, 240), muxing=parts)
    source = tmp_path / "source"
    source.write_bytes(data[: round(len(data) * share)])

    end = _end(_film, source, tmp_path)

    # Of two hundredths there may be no more than the beginning of a header.
    ends = {"ok"} if share > 0.5 else {"ok", "CORRUPT_FILE", "UNSUPPORTED_CODEC"}
    assert end in ends
    if end == "ok":
        found = video.inspect(source, tmp_path, {})
        assert 0 < found.facts["duration"] < 4.2
        assert found.renditions


def test_a_film_without_its_index_is_corrupt(outcome: Any) -> None:
    data = film(sound="aac")

    assert outcome(data[: data.index(b"moov") - 4]) == "CORRUPT_FILE"


def test_damage_in_the_middle_leaves_the_rest_and_is_told(look: Any) -> None:
    data = film(seconds=6, size=(160, 120), gop=5)
    middle = data.index(b"mdat") + len(data) // 3
    spoilt = data[:middle] + os.urandom(600) + data[middle + 600 :]

    found = look(spoilt, want_frames=True)

    assert found.facts["duration"] == pytest.approx(6, abs=0.1)
    assert len(found.renditions) > 10


def test_a_codec_nobody_knows_is_unsupported(outcome: Any) -> None:
    data = film()
    assert data.count(b"avc1") >= 1

    assert "UNSUPPORTED_CODEC" in outcome(data.replace(b"avc1", b"zzz1"))


def test_a_film_whose_sound_nobody_can_read_is_still_a_film(look: Any, listen: Any) -> None:
    data = film("matroska", sound="aac").replace(b"A_AAC", b"A_ZZZ")

    found = look(data, want_audio=True)

    assert found.metadata["audio"] == {"codec": "unknown", "readable": False}
    assert found.metadata["playable"] is False
    assert "audio" not in {each.kind for each in found.renditions}
    with pytest.raises(Unreadable) as caught:
        listen(data)
    assert caught.value.code == "UNSUPPORTED_CODEC"


@pytest.mark.parametrize("mark", [b"enca", b"drms"])
def test_media_under_lock_and_key_is_told_to_be_so(outcome: Any, mark: bytes) -> None:
    data = recording("ipod", "aac", tone(1))

    assert outcome(data.replace(b"mp4a", mark)) == "ENCRYPTED_FILE"


# ------------------------------------------------------------------- lies


YEARS_136 = struct.pack(">I", 0xFFFFFFFF)


def test_a_length_in_the_header_is_not_believed(look: Any) -> None:
    data = film(seconds=1, sound="aac")
    # mvhd, tkhd and mdhd all say 136 years or none at all; every edit list too.
    for value in (YEARS_136, bytes(4)):
        lying = patched(data, b"mvhd", 12, struct.pack(">I", 1) + value)
        lying = patched(lying, b"tkhd", 20, value)
        lying = patched(lying, b"mdhd", 16, value)

        found = look(lying, want_audio=True, want_frames=True)

        assert found.facts["duration"] == pytest.approx(1.0, abs=0.1)
        assert [r.kind for r in found.renditions].count("frame") in (3, 4)


def test_a_frame_that_lasts_136_years_lasts_as_long_as_the_others(look: Any) -> None:
    data = film(seconds=1)
    entries = data.index(b"stts") + 4
    (count,) = struct.unpack(">I", data[entries + 4 : entries + 8])
    last = entries + 8 + (count - 1) * 8
    frames, delta = struct.unpack(">II", data[last : last + 8])

    found = look(data[: last + 4] + struct.pack(">I", 0x7FFFFFFF) + data[last + 8 :])

    assert (frames, count) == (10, 1)
    assert delta < 10_000
    assert found.facts["duration"] < 5


def test_a_jump_of_the_clock_is_not_believed(look: Any) -> None:
    late = [n / 10 for n in range(10)] + [86_400 + n / 10 for n in range(10)]

    found = look(film("matroska", times=late, seconds=86_401, sound=""), want_frames=True)

    assert found.facts["duration"] == pytest.approx(2, abs=0.2)
    assert max(r.position or 0 for r in found.renditions) < 2


BOMBS = {
    "a table of 268 million lengths": lambda: patched(
        film(), b"stts", 4, struct.pack(">III", 0x0FFFFFFF, 0x0FFFFFFF, 1)
    ),
    "one length for 268 million frames": lambda: patched(
        film(), b"stts", 4, struct.pack(">III", 1, 0x0FFFFFFF, 1)
    ),
    "frames of 2 GB": lambda: patched(
        film(), b"stsz", 4, struct.pack(">II", 0x7FFFFFFF, 0x0FFFFFFF)
    ),
    "a billion chunks": lambda: patched(film(), b"stco", 4, struct.pack(">I", 0x3FFFFFFF)),
    "a box of 4 exabytes": lambda: struct.pack(">I4sQ", 1, b"free", 1 << 62) + film(),
    "200,000 empty boxes": lambda: box(b"free") * 200_000 + film(),
    "20,000 boxes in one another": lambda: nested(20_000),
}


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = struct.pack(">I4s", 8 + len(data), b"moov") + data
    return box(b"ftyp", b"isom", bytes(4), b"isom") + data


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_table_that_lies_costs_neither_time_nor_memory(outcome: Any, bomb: str) -> None:
    data = BOMBS[bomb]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    assert outcome(data) in {
        "ok",
        "CORRUPT_FILE",
        "LIMIT_EXCEEDED",
        "CORRUPT_FILE UNSUPPORTED_CODEC",
        "UNSUPPORTED_CODEC",
    }

    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300 << 10


SAMPLE_ENTRY = 1  # the first `avc1` of a file is a brand in its first box


@pytest.mark.parametrize("told", [True, False], ids=["and the header says so", "unannounced"])
def test_frames_of_134_megapixels_are_refused_before_they_are_decoded(
    look: Any, told: bool
) -> None:
    data = films.many_frames(3, 10, claimed=(16384, 8192) if told else (64, 48))
    frame = b"\xff\xc0\x00\x11\x08"  # where a JPEG says its height and width
    small, large = struct.pack(">HH", 48, 64), struct.pack(">HH", 8192, 16384)
    assert data.count(frame + small) == 3
    bomb = data.replace(frame + small, frame + large)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(Unreadable) as caught:
        look(bomb)

    assert caught.value.code == ("LIMIT_EXCEEDED" if told else "CORRUPT_FILE")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


@pytest.mark.parametrize(
    ("codec", "entry", "which"),
    [
        ("libx264", b"avc1", SAMPLE_ENTRY),
        ("libx265", b"hev1", 0),
        ("libsvtav1", b"av01", SAMPLE_ENTRY),
        ("libvpx-vp9", b"vp09", 0),
    ],
)
def test_frames_larger_than_the_header_says_are_not_decoded(
    look: Any, codec: str, entry: bytes, which: int
) -> None:
    data = film(codec=codec, size=(800, 448), seconds=0.4)
    lying = patched(data, entry, 24, struct.pack(">HH", 64, 48), which=which)

    for frames in (True, False):
        with pytest.raises(Unreadable) as caught:
            look(lying, max_pixels=320 * 240, want_frames=frames)
        assert caught.value.code == "LIMIT_EXCEEDED"


# ------------------------------------------------------------------- recordings that lie


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (wav(rate=0), {"CORRUPT_FILE"}),
        (wav(channels=0), {"CORRUPT_FILE"}),
        (wav(channels=65535), {"CORRUPT_FILE"}),
        (wav(bits=0), {"CORRUPT_FILE", "UNSUPPORTED_CODEC"}),
        (wav(tag=0x9999), {"UNSUPPORTED_CODEC"}),
        (wav(b""), {"CORRUPT_FILE"}),
    ],
    ids=["rate 0", "no channel", "65535 channels", "0 bits", "unknown codec", "no sample"],
)
def test_a_wav_of_nonsense_has_a_code(listen: Any, data: bytes, codes: set[str]) -> None:
    with pytest.raises(Unreadable) as caught:
        listen(data)

    assert caught.value.code in codes


def test_a_wav_that_claims_four_gigabytes_is_as_long_as_it_is(listen: Any) -> None:
    found = listen(wav(media.tone(1.5).tobytes(), claimed=0xFFFFFFF0))

    assert found.facts["duration"] == pytest.approx(1.5, abs=0.01)


def test_a_flac_that_claims_a_month_is_as_long_as_it_is(listen: Any) -> None:
    data = recording("flac", "flac", tone(1.5))
    # STREAMINFO's count of samples: 36 bits, the low half of the byte before them is its top.
    at = data.index(b"fLaC") + 8 + 13
    lying = data[:at] + bytes([data[at] | 0x0F]) + b"\xff" * 4 + data[at + 5 :]

    found = listen(lying)

    assert found.facts["duration"] == pytest.approx(1.5, abs=0.01)


def png_bomb(side: int) -> bytes:
    """A PNG of a few kilobytes that would be `side` squared pixels."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    row = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", row) + chunk(b"IEND", b"")


@pytest.mark.parametrize("container", ["mp3", "matroska"])
def test_a_cover_that_is_a_bomb_is_passed_over(listen: Any, container: str) -> None:
    codec = {"mp3": "libmp3lame", "matroska": "libopus"}[container]
    data = recording(container, codec, tone(1), cover=png_bomb(30_000))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    found = listen(data)

    assert found.facts["duration"] == pytest.approx(1, abs=0.1)
    assert found.metadata["audio"]["has_sound"] is True
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10


def test_a_recording_of_many_tiny_pieces_of_noise_ends(outcome: Any) -> None:
    assert outcome(b"\xff\xfb\x90\x00" * 20_000) in {
        "ok",
        "CORRUPT_FILE",
        "CORRUPT_FILE UNSUPPORTED_CODEC",
    }


def test_a_mark_of_a_codec_that_is_no_text_is_passed_over(outcome: Any) -> None:
    data = recording("ipod", "aac", tone(1)).replace(b"mp4a", b"\xc7\x00\xff\xfe")

    assert outcome(data) in {"ok", "CORRUPT_FILE", "UNSUPPORTED_CODEC"}


def test_a_jump_before_the_beginning_of_the_file_is_an_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "source"
    path.write_bytes(b"0123456789")

    with _Nameless(path) as file:
        assert file.seek(-5) == -1
        assert file.seek(4) == 4
        assert file.read(3) == b"456"


def test_sound_of_which_nothing_is_left_makes_no_file(tmp_path: Path) -> None:
    track = Track(tmp_path, "flac", None)
    track.finish()

    assert track.files(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_films_module_is_what_the_tests_mean() -> None:
    assert films.time_of(films.still((96, 64), films.brightness_at(1.5, 3)), 3) == pytest.approx(
        1.5
    )

"""Sound and film behind the walls they are looked at in: all of it works there, and bombs end there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from processing.errors import InputFault
from processing.sandbox import Limits, Sandbox
from tests.processing.inspectors import films
from tests.processing.inspectors.films import film, recording, tone
from transcription.audio import Prepared


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    made = Sandbox()
    yield made
    made.close()


@pytest.fixture
def run(sandbox: Sandbox, tmp_path: Path) -> Any:
    """Calls a function over bytes in a child; what it writes lies in `tmp_path / "work"`."""

    def call(function: str, data: bytes, options: dict[str, Any], **limits: Any) -> dict[str, Any]:
        source, workdir = tmp_path / "source", tmp_path / "work"
        source.write_bytes(data)
        workdir.mkdir(exist_ok=True)
        return sandbox.run(
            function, options, source=source, workdir=workdir, limits=Limits(**limits)
        )

    return call


def test_a_film_is_inspected_with_everything_there_is(run: Any, tmp_path: Path) -> None:
    found = run(
        "processing.inspectors.video:inspect",
        film(size=(640, 360), sound="aac"),
        {"want_frames": True, "want_audio": True},
    )

    assert found["facts"]["duration"] == pytest.approx(2, abs=0.1)
    kinds = {each["kind"] for each in found["renditions"]}
    assert kinds == {"poster", "thumbnail", "contact_sheet", "frame", "audio", "waveform"}
    for each in found["renditions"]:
        assert (tmp_path / "work" / each["name"]).stat().st_size > 0


def test_a_preview_is_made_and_its_index_put_in_front(run: Any, tmp_path: Path) -> None:
    made = run(
        "processing.inspectors.web_preview:make_web_preview",
        film("matroska", "libx265", sound="flac"),
        {"preset": "ultrafast"},
    )

    data = (tmp_path / "work" / made["renditions"][0]["name"]).read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_speech_is_prepared(run: Any, tmp_path: Path) -> None:
    data = recording("mp3", "libmp3lame", tone(40))
    wishes = {"codec": "m4a", "max_bytes": 10**7, "max_seconds": 30.0}

    answer = run("transcription.audio:prepare_in_sandbox", data, wishes)

    prepared = Prepared.from_json(answer, tmp_path / "work")
    assert len(prepared.pieces) == 2
    assert all(piece.path.stat().st_size == piece.bytes for piece in prepared.pieces)


def test_a_recording_is_inspected(run: Any) -> None:
    found = run("processing.inspectors.audio:inspect", recording("flac", "flac", tone(2)), {})

    assert found["facts"]["duration"] == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("options", [{}, {"want_frames": True}])
def test_frames_that_need_more_memory_than_there_is_end_with_a_code(
    run: Any, options: dict[str, Any]
) -> None:
    data = films.film(size=(7680, 4320), seconds=0.2)

    with pytest.raises(InputFault) as caught:
        run("processing.inspectors.video:inspect", data, options, memory_bytes=64 << 20)

    assert caught.value.job_code == "LIMIT_EXCEEDED"

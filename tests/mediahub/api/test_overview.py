"""`GET config/` tells what is switched on, and nothing secret."""

from __future__ import annotations

from typing import Any

import pytest

from mediahub.api import overview
from processing.steps import base
from tests.make import FakeStep
from tests.mediahub.api.ground import People, client_of, error_of

CONFIG = "/api/v1/config/"


def test_it_is_for_signed_in_people(db: None) -> None:
    error_of(client_of(None).get(CONFIG), 401, "NOT_AUTHENTICATED")


def test_it_lists_kinds_formats_limits_and_steps(people: People, settings: Any) -> None:
    settings.MAX_IMAGE_MB, settings.MAX_UPLOAD_MB = 7, None
    told = client_of(people.charlie).get(CONFIG).json()
    assert set(told["kinds"]) == {"image", "audio", "video", "document"}
    assert {"jpg", "png"} <= set(told["formats"]["image"])
    assert told["limits"]["max_bytes"]["image"] == 7_000_000
    assert told["limits"]["max_pixels"] == settings.MAX_PIXELS
    assert "inspect" in [step["name"] for step in told["steps"]]


def test_formats_that_are_not_allowed_are_not_told(people: People, settings: Any) -> None:
    settings.ALLOWED_FORMATS = ["jpg", "mp3"]
    told = client_of(people.alice).get(CONFIG).json()
    assert told["formats"]["image"] == ["jpg"]
    assert sorted(told["kinds"]) == ["audio", "image"]


def test_a_step_of_a_plug_in_is_told(people: People) -> None:
    with base.registered(FakeStep("paint")):
        told = client_of(people.alice).get(CONFIG).json()
    [step] = [each for each in told["steps"] if each["name"] == "paint"]
    assert step["default_for"] == []


def test_a_part_is_told_by_whoever_registered_it(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "_parts", dict(overview._parts))
    overview.register("providers", lambda: [{"name": "local", "configured": True}])
    told = client_of(people.alice).get(CONFIG).json()
    assert told["providers"] == [{"name": "local", "configured": True}]


def test_no_secret_is_told(people: People, settings: Any) -> None:
    settings.OPENAI_API_KEY = "sk-very-secret-key"
    text = client_of(people.alice).get(CONFIG).content.decode()
    assert "very-secret" not in text
    assert settings.SECRET_KEY not in text

"""What is known of an asset, said in words."""

from __future__ import annotations

import pytest

from media_assets.models import Blob
from mediahub.web import words
from tests.make import make_asset


@pytest.mark.parametrize(
    ("make", "model", "said"),
    [
        ("Canon", "EOS R5", "Canon EOS R5"),
        ("Canon", "Canon EOS R5", "Canon EOS R5"),
        ("", "Box 1", "Box 1"),
        ("Box", "", "Box"),
    ],
)
def test_the_camera_is_named_once(make: str, model: str, said: str) -> None:
    blob = Blob(metadata={"camera_make": make, "camera_model": model})
    assert words.camera(blob.metadata) == said


def test_no_camera_is_no_fact() -> None:
    assert words.camera({}) == ""


@pytest.mark.django_db
def test_the_facts_of_a_picture_tell_its_camera() -> None:
    asset = make_asset()
    assert asset.blob is not None
    asset.blob.metadata = {"camera_make": "Canon", "camera_model": "EOS R5"}
    assert ("Camera", "Canon EOS R5") in words.facts(asset)

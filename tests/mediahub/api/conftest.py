"""Fixtures of the API's tests. Django is imported inside: pytest reads this before it is set up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.mediahub.api.ground import People


@pytest.fixture
def people(db: None, settings: Any) -> People:
    from tests.mediahub.api.ground import People

    settings.DEFAULT_ROLE = "none"
    return People.make()

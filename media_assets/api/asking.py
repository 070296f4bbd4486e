"""Who a request speaks for."""

from __future__ import annotations

from typing import Any

from media_assets.access import Asker


def asker_of(request: Any) -> Asker:
    """The asker of an authenticated request. An API key brings its label and its one space."""
    key = getattr(request, "auth", None)
    return Asker(
        user=request.user,
        only_space=getattr(key, "space_id", None),
        key_label=getattr(key, "label", "") or "",
        session=getattr(request, "client_session", None),
    )

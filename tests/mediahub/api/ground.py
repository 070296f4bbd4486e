"""What the tests of the API share: three people, keys, and the one shape of errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from rest_framework.test import APIClient

from media_assets.models import Role, Space
from mediahub.models import ApiKey
from tests.make import make_space, make_user


@dataclass(frozen=True)
class People:
    """Alice manages the team's space, Bob looks into it, Charlie must see nothing of it."""

    space: Space
    alice: User
    bob: User
    charlie: User

    @classmethod
    def make(cls) -> People:
        alice, bob, charlie = make_user("alice"), make_user("bob"), make_user("charlie")
        space = make_space("Team", alice=Role.MANAGER, bob=Role.VIEWER)
        return cls(space, alice, bob, charlie)


def client_of(user: User | None) -> APIClient:
    """Signed in as a browser is, but without the CSRF check."""
    client = APIClient()
    if user is not None:
        client.force_login(user)
    return client


def make_key(owner: User, *scopes: str, **fields: Any) -> tuple[ApiKey, APIClient]:
    """`make_key(owner, "read", "upload", space=…)`: a key, and a client that sends it."""
    fields = {"label": "robot", **fields}
    key, secret = ApiKey.objects.issue(owner=owner, scopes=scopes, **fields)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Token {secret}")
    return key, client


def error_of(response: Any, status: int, code: str) -> dict[str, Any]:
    """The error of a refusal, which must have this status and code and the one shape."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/json")
    body = response.json()
    assert set(body) == {"error"}
    error = body["error"]
    assert set(error) == {"code", "message", "details", "request_id"}
    assert error["code"] == code
    assert error["message"]
    assert error["request_id"] == response["X-Request-ID"]
    return dict(error)

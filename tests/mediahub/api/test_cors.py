"""Scripts of other origins call the API if they are named, with tokens, never with cookies."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

WHERE = "/api/v1/config/"
ORIGIN = "https://app.example.com"


def preflight(client: Client, origin: str, headers: str = "authorization") -> Any:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": headers,
    }
    return client.options(WHERE, headers=asked)


@pytest.fixture(autouse=True)
def _named(settings: Any) -> None:
    settings.CORS_ALLOWED_ORIGINS = [ORIGIN]


def test_a_named_origin_may_send_what_the_api_understands(client: Client) -> None:
    response = preflight(client, ORIGIN)
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    allowed = response["Access-Control-Allow-Headers"]
    assert {"authorization", "idempotency-key", "content-type"} <= set(allowed.split(", "))
    assert "Access-Control-Allow-Credentials" not in response


def test_a_named_origin_reads_errors_and_the_headers_it_needs(client: Client) -> None:
    response = client.get("/api/v1/nothing/", headers={"Origin": ORIGIN})
    assert response.status_code == 404
    assert response["Access-Control-Allow-Origin"] == ORIGIN
    exposed = response["Access-Control-Expose-Headers"]
    assert {"X-Request-ID", "Retry-After", "Idempotency-Replayed"} <= set(exposed.split(", "))


@pytest.mark.parametrize("origin", ["https://evil.test", "null", f"{ORIGIN}.evil.test", ""])
def test_any_other_origin_is_told_nothing(client: Client, origin: str) -> None:
    for response in (preflight(client, origin), client.get(WHERE, headers={"Origin": origin})):
        assert "Access-Control-Allow-Origin" not in response

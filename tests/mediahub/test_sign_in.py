"""The sign-in page: one for everybody, with a limit on attempts and no way out to other hosts."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.make import make_user

pytestmark = pytest.mark.django_db


def test_staff_and_colleagues_sign_in_on_one_page(client: Client) -> None:
    make_user("clerk", is_staff=True)
    sent = client.get("/admin/login/?next=/admin/")
    assert sent.status_code == 302
    assert sent["Location"] == "/login/?next=/admin/"
    data = {"username": "clerk", "password": "correct horse", "next": "/admin/"}
    assert client.post("/login/", data)["Location"] == "/admin/"
    assert client.get("/admin/").status_code == 200


def test_an_inactive_person_is_refused(client: Client) -> None:
    make_user("gone", is_active=False)
    assert (
        client.post("/login/", {"username": "gone", "password": "correct horse"}).status_code == 200
    )
    assert "_auth_user_id" not in client.session


def test_too_many_attempts_have_to_wait(client: Client) -> None:
    make_user("alice")
    for _ in range(10):
        client.post("/login/", {"username": "alice", "password": "wrong"})
    refused = client.post("/login/", {"username": "alice", "password": "correct horse"})
    assert refused.status_code == 429
    assert int(refused["Retry-After"]) > 0
    assert b"Too many attempts" in refused.content
    assert "_auth_user_id" not in client.session


@pytest.mark.parametrize(
    "away", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_way_back_stays_here(client: Client, away: str) -> None:
    make_user("alice")
    sent = client.post("/login/", {"username": "alice", "password": "correct horse", "next": away})
    assert sent["Location"] == "/"

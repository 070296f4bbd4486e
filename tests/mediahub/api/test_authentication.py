"""Who may come in: with a session, a token, a key; and who may not."""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from mediahub.api import tokens
from mediahub.models import ApiKey, SignIn
from tests.make import make_user
from tests.mediahub.api.ground import People, client_of, error_of, make_key

WHO = "/api/v1/spaces/"  # any address for signed-in people
PASSWORD = "correct horse"


def bearer(token: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client


def sign_in(name: str = "alice", password: str = PASSWORD) -> dict[str, str]:
    response = APIClient().post("/api/v1/auth/token/", {"username": name, "password": password})
    assert response.status_code == 200, response.content
    return dict(response.json())


def refresh(token: str) -> Any:
    return APIClient().post("/api/v1/auth/token/refresh/", {"refresh": token})


# ------------------------------------------------------------------- JWT


def test_a_name_and_password_give_a_pair_and_its_access_token_works(people: People) -> None:
    pair = sign_in()
    assert set(pair) == {"access", "refresh"}
    response = bearer(pair["access"]).get(WHO)
    assert [space["name"] for space in response.json()["results"]] == ["Team"]


def test_a_form_signs_in_too(people: People) -> None:
    data = {"username": "alice", "password": PASSWORD}
    assert Client().post("/api/v1/auth/token/", data).status_code == 200


def test_a_pair_is_kept_by_no_cache(people: People) -> None:
    data = {"username": "alice", "password": PASSWORD}
    assert APIClient().post("/api/v1/auth/token/", data)["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("name", "password"), [("alice", "wrong"), ("nobody", PASSWORD), ("ALICE", PASSWORD)]
)
def test_a_wrong_name_and_a_wrong_password_are_told_alike(
    people: People, name: str, password: str
) -> None:
    response = APIClient().post("/api/v1/auth/token/", {"username": name, "password": password})
    error = error_of(response, 401, "NOT_AUTHENTICATED")
    assert error["message"] == "The name or the password is wrong."
    assert response["WWW-Authenticate"]
    assert not SignIn.objects.exists()


def test_an_inactive_user_gets_no_pair(db: None) -> None:
    make_user("gone", is_active=False)
    data = {"username": "gone", "password": PASSWORD}
    error_of(APIClient().post("/api/v1/auth/token/", data), 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(
    "body",
    [{}, {"username": "a"}, {"username": ["a"], "password": {}}, [], "a", {"username": "a\0"}],
)
def test_a_sign_in_without_its_fields_is_400(db: None, body: Any) -> None:
    error_of(APIClient().post("/api/v1/auth/token/", body), 400, "VALIDATION_ERROR")


def test_a_refresh_gives_a_new_pair(people: People) -> None:
    first = sign_in()
    second = refresh(first["refresh"]).json()
    assert second["refresh"] != first["refresh"]
    assert bearer(second["access"]).get(WHO).status_code == 200
    assert SignIn.objects.count() == 1


def test_a_refresh_token_used_twice_ends_the_whole_chain(people: People) -> None:
    first = sign_in()
    second = refresh(first["refresh"]).json()
    error_of(refresh(first["refresh"]), 401, "NOT_AUTHENTICATED")
    error_of(refresh(second["refresh"]), 401, "NOT_AUTHENTICATED")
    error_of(bearer(second["access"]).get(WHO), 401, "NOT_AUTHENTICATED")
    assert not SignIn.objects.exists()


def test_other_sign_ins_stay_when_a_chain_ends(people: People) -> None:
    other, first = sign_in(), sign_in()
    refresh(first["refresh"])
    refresh(first["refresh"])
    assert bearer(other["access"]).get(WHO).status_code == 200


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(people: People) -> None:
    pair = sign_in()
    error_of(bearer(pair["refresh"]).get(WHO), 401, "NOT_AUTHENTICATED")
    error_of(refresh(pair["access"]), 401, "NOT_AUTHENTICATED")


def test_a_token_of_a_deactivated_user_is_refused(people: People) -> None:
    pair = sign_in()
    people.alice.is_active = False
    people.alice.save()
    error_of(bearer(pair["access"]).get(WHO), 401, "NOT_AUTHENTICATED")
    error_of(refresh(pair["refresh"]), 401, "NOT_AUTHENTICATED")


def test_a_token_of_a_deleted_user_is_refused(people: People) -> None:
    pair = sign_in()
    people.alice.delete()
    error_of(bearer(pair["access"]).get(WHO), 401, "NOT_AUTHENTICATED")
    error_of(refresh(pair["refresh"]), 401, "NOT_AUTHENTICATED")


def test_a_new_password_ends_what_the_old_one_began(people: People) -> None:
    pair = sign_in()
    people.alice.set_password("another battery")
    people.alice.save()
    error_of(bearer(pair["access"]).get(WHO), 401, "NOT_AUTHENTICATED")
    error_of(refresh(pair["refresh"]), 401, "NOT_AUTHENTICATED")


def claims(**changes: Any) -> dict[str, Any]:
    """Those of a good access token of Alice's, with changes; None takes one away."""
    good = jwt.decode(sign_in()["access"], options={"verify_signature": False})
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(payload: dict[str, Any], algorithm: str = "HS256", key: str = "", **header: Any) -> str:
    secret = key or django_settings.SIMPLE_JWT["SIGNING_KEY"]
    return jwt.encode(payload, secret, algorithm=algorithm, headers=header)


def unsigned(payload: dict[str, Any], **header: Any) -> str:
    parts = [{"alg": "none", "typ": "JWT", **header}, payload]
    texts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join(text.rstrip("=") for text in texts) + "."


def test_a_token_made_as_ours_are_is_good(people: People) -> None:
    assert bearer(signed(claims())).get(WHO).status_code == 200


def test_an_access_token_lives_for_a_quarter_of_an_hour(people: People) -> None:
    told = claims()
    assert told["exp"] - told["iat"] == 15 * 60
    assert told["sub"] == str(people.alice.pk)


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": 1_700_000_000},
        {"exp": None},
        {"exp": "later"},
        {"nbf": 4_000_000_000},
        {"aud": "another"},
        {"aud": None},
        {"iss": "another"},
        {"iss": None},
        {"token_type": "refresh"},
        {"token_type": None},
        {"jti": None},
        {"sid": None},
        {"sid": "x"},
        {"sid": "0190b0b0-0000-7000-8000-000000000000"},
        {"sid": {"$ne": ""}},
    ],
    ids=str,
)
def test_a_token_with_another_claim_is_refused(people: People, changes: dict[str, Any]) -> None:
    error_of(bearer(signed(claims(**changes))).get(WHO), 401, "NOT_AUTHENTICATED")


def test_a_token_not_signed_as_ours_is_refused(people: People) -> None:
    payload = claims()
    for token in (
        unsigned(payload),
        unsigned(payload, alg="None"),
        unsigned(payload, alg="HS256"),
        signed(payload, "HS512"),
        signed(payload, key="k" * 64),
        signed(payload, key=django_settings.SECRET_KEY),
        signed(payload, key="k" * 64, kid="../../dev/null"),
        signed(payload, key="k" * 64, jku="http://127.0.0.1/keys"),
        signed(payload)[:-4] + "AAAA",
        "a.b.c",
        "x" * 10_000,
        "é",
    ):
        error_of(bearer(token).get(WHO), 401, "NOT_AUTHENTICATED")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Token", "Token ", "Bearer a b", "bearer x"]
)
def test_half_a_header_is_refused(people: People, header: str) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=header)
    error_of(client.get(WHO), 401, "NOT_AUTHENTICATED")


def test_a_scheme_that_is_not_ours_counts_as_none(people: People) -> None:
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION="Basic YWxpY2U6Y29ycmVjdCBob3JzZQ==")
    error_of(client.get(WHO), 401, "NOT_AUTHENTICATED")


def test_a_bad_token_is_refused_even_beside_a_good_session(people: People) -> None:
    client = client_of(people.alice)
    response = client.get(WHO, headers={"Authorization": "Bearer x.y.z"})
    error_of(response, 401, "NOT_AUTHENTICATED")


def test_sign_ins_that_ran_out_are_purged(people: People) -> None:
    pair = sign_in()
    sign_in()
    old = SignIn.objects.earliest("id")
    old.expires_at = timezone.now() - timedelta(seconds=1)
    old.save()
    error_of(bearer(pair["access"]).get(WHO), 401, "NOT_AUTHENTICATED")
    assert tokens.purge() == 1
    assert SignIn.objects.count() == 1


# ------------------------------------------------------------------- keys


def test_a_key_comes_as_token_or_as_bearer(people: People) -> None:
    _, secret = ApiKey.objects.issue(owner=people.alice, label="robot", scopes=["read"])
    for header in (f"Token {secret}", f"Bearer {secret}", f"token {secret}"):
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=header)
        assert client.get(WHO).status_code == 200, header


def test_a_key_is_stored_as_its_hash_alone(people: People) -> None:
    key, secret = ApiKey.objects.issue(owner=people.alice, label="robot", scopes=["read"])
    stored = json.dumps(ApiKey.objects.values().get(pk=key.pk), default=str)
    assert secret not in stored
    assert secret[12:] not in stored
    assert secret.startswith(key.prefix)
    assert len(secret) > 40


@pytest.mark.parametrize("change", ["expired", "revoked", "inactive", "deleted"])
def test_a_key_that_ended_is_refused(people: People, change: str) -> None:
    key, client = make_key(people.alice, "read")
    assert client.get(WHO).status_code == 200
    if change == "expired":
        ApiKey.objects.update(expires_at=timezone.now())
    elif change == "revoked":
        key.revoke()
    elif change == "inactive":
        people.alice.is_active = False
        people.alice.save()
    else:
        people.alice.delete()
    error_of(client.get(WHO), 401, "NOT_AUTHENTICATED")


def test_a_key_dies_with_its_space(people: People) -> None:
    _, client = make_key(people.alice, "read", space=people.space)
    people.space.delete()
    error_of(client.get(WHO), 401, "NOT_AUTHENTICATED")


def test_when_a_key_was_used_is_written_once_a_minute(
    people: People, django_assert_num_queries: Any
) -> None:
    key, client = make_key(people.alice, "read")
    client.get(WHO)
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    with django_assert_num_queries(2):  # the key with its owner, the list
        client.get(WHO)
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    client.get(WHO)
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at >= first


# ------------------------------------------------------------------- sessions


@pytest.fixture
def browser(people: People) -> APIClient:
    client = APIClient(enforce_csrf_checks=True)
    client.force_login(people.alice)
    return client


def csrf_token(client: APIClient) -> str:
    html = str(client.get("/api/docs/").content.decode())
    return html.partition('data-csrf="')[2].partition('"')[0]


def test_a_session_reads_without_a_csrf_token_and_writes_with_one(browser: APIClient) -> None:
    assert browser.get(WHO).status_code == 200
    error = error_of(browser.post(WHO, {"name": "New"}), 403, "PERMISSION_DENIED")
    assert "CSRF" in error["message"]
    token = csrf_token(browser)
    response = browser.post(WHO, {"name": "New"}, headers={"X-CSRFToken": token})
    assert response.status_code == 201
    wrong = token[:-1] + ("a" if token[-1] != "a" else "b")
    response = browser.post(WHO, {"name": "Newer"}, headers={"X-CSRFToken": wrong})
    error_of(response, 403, "PERMISSION_DENIED")


def test_a_csrf_token_in_a_form_field_does_not_count(browser: APIClient) -> None:
    # Looking for it there would read a whole upload before it is known whether it may come.
    data = {"name": "New", "csrfmiddlewaretoken": csrf_token(browser)}
    response = browser.post(WHO, data, format="multipart")
    error_of(response, 403, "PERMISSION_DENIED")


def test_a_foreign_origin_is_refused_with_a_good_csrf_token(browser: APIClient) -> None:
    headers = {"X-CSRFToken": csrf_token(browser), "Origin": "https://evil.test"}
    error_of(browser.post(WHO, {"name": "New"}, headers=headers), 403, "PERMISSION_DENIED")


def test_a_token_needs_no_csrf_token(people: People) -> None:
    client = APIClient(enforce_csrf_checks=True)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {sign_in()['access']}")
    assert client.post(WHO, {"name": "New"}).status_code == 201


def test_a_session_of_a_deactivated_user_is_refused(people: People) -> None:
    client = client_of(people.alice)
    people.alice.is_active = False
    people.alice.save()
    error_of(client.get(WHO), 401, "NOT_AUTHENTICATED")

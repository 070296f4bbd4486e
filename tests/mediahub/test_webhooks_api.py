"""Webhooks over HTTP: the managers of a space make and see them, to all others they are not there."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from media_assets.models import Membership, Role
from processing import webhooks
from processing.models import (
    DeliveryState,
    Event,
    Job,
    JobKind,
    WebhookDelivery,
    WebhookEndpoint,
)
from tests.make import make_space, make_user
from tests.mediahub.api.ground import People, client_of, error_of, make_key

URL = "/api/v1/webhooks/"
RECEIVER = "https://hooks.example.com/in"
NOWHERE = "0190b0b0-0000-7000-8000-000000000000"


@pytest.fixture
def people(db: None, settings: Any) -> People:
    settings.DEFAULT_ROLE = "none"
    return People.make()


@pytest.fixture
def endpoint(people: People) -> WebhookEndpoint:
    return webhooks.create(
        space=people.space, url=RECEIVER, events=Event.values, owner=people.alice
    )[0]


@pytest.fixture
def delivery(endpoint: WebhookEndpoint) -> WebhookDelivery:
    return WebhookDelivery.objects.create(
        endpoint=endpoint,
        event=Event.JOB_COMPLETED,
        payload={"type": "job.completed"},
        state=DeliveryState.FAILED,
    )


def make(user: User, **fields: Any) -> Any:
    return client_of(user).post(URL, {"url": RECEIVER, **fields}, format="json")


def one(endpoint: WebhookEndpoint, *rest: object) -> str:
    return URL + "".join(f"{part}/" for part in (endpoint.pk, *rest))


def test_the_secret_is_shown_once(people: People) -> None:
    response = make(people.alice, space=str(people.space.pk), events=["job.failed"])
    assert response.status_code == 201, response.content
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    secret = body.pop("secret")
    assert secret.startswith("whsec_")
    assert body["space"] == str(people.space.pk)
    assert body["owner"] == people.alice.pk
    assert (body["url"], body["events"]) == (RECEIVER, ["job.failed"])
    assert (body["active"], body["failing_since"], body["disabled_reason"]) == (True, None, "")
    client = client_of(people.alice)
    for answer in (
        client.get(URL),
        client.get(f"{URL}{body['id']}/"),
        client.patch(f"{URL}{body['id']}/", {"active": False}, format="json"),
        client.get(f"{URL}{body['id']}/deliveries/"),
    ):
        assert answer.status_code == 200
        assert secret not in answer.content.decode()
        assert "secret" not in answer.json()
    assert client.get(URL).json()["results"][0]["id"] == body["id"]


def test_without_events_all_are_told(people: People) -> None:
    assert make(people.alice).json()["events"] == Event.values


def test_a_repeat_is_not_told_the_secret(people: People) -> None:
    client = client_of(people.alice)
    sent = {"data": {"url": RECEIVER}, "format": "json", "headers": {"Idempotency-Key": "k1"}}
    first = client.post(URL, **sent)  # type: ignore[arg-type]
    again = client.post(URL, **sent)  # type: ignore[arg-type]
    assert first.json()["secret"]
    assert again.json() == {**first.json(), "secret": None}
    assert WebhookEndpoint.objects.count() == 1


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"url": "http://127.0.0.1:8000/"}, "UNSAFE_URL"),
        ({"url": "http://metadata.internal/"}, "UNSAFE_URL"),
        ({"url": "file:///etc/passwd"}, "UNSAFE_URL"),
        ({"url": "https://example.com/" + "a" * 2000}, "VALIDATION_ERROR"),
        ({"url": ""}, "VALIDATION_ERROR"),
        ({"url": ["x"]}, "VALIDATION_ERROR"),
        ({"events": []}, "VALIDATION_ERROR"),
        ({"events": ["job.started"]}, "VALIDATION_ERROR"),
        ({"events": "job.failed"}, "VALIDATION_ERROR"),
        ({"space": "x"}, "VALIDATION_ERROR"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_made(
    people: People, fields: dict[str, Any], code: str
) -> None:
    error_of(make(people.alice, **fields), 400, code)
    assert not WebhookEndpoint.objects.exists()


def test_a_change_is_checked_like_a_new_one(people: People, endpoint: WebhookEndpoint) -> None:
    client = client_of(people.alice)
    for changes, code in (
        ({"url": "http://10.0.0.1/"}, "UNSAFE_URL"),
        ({"events": []}, "VALIDATION_ERROR"),
        ({"active": "maybe"}, "VALIDATION_ERROR"),
    ):
        error_of(client.patch(one(endpoint), changes, format="json"), 400, code)
    before = endpoint.secret
    changed = {"url": RECEIVER + "/2", "events": ["batch.completed"], "active": False}
    sneaked = {"space": str(make_space("Other").pk), "secret": "whsec_mine", "owner": None}
    body = client.patch(one(endpoint), {**changed, **sneaked}, format="json").json()
    assert {name: body[name] for name in changed} == changed
    endpoint.refresh_from_db()
    assert (endpoint.secret, endpoint.space, endpoint.owner) == (
        before,
        people.space,
        people.alice,
    )


def test_switched_on_again_the_past_is_forgotten(people: People, endpoint: WebhookEndpoint) -> None:
    webhooks.disable(endpoint, "The receiver answered 410 Gone.")
    client = client_of(people.alice)
    assert client.get(one(endpoint)).json()["disabled_reason"] == "The receiver answered 410 Gone."
    assert client.get(URL, {"active": True}).json()["results"] == []
    body = client.patch(one(endpoint), {"active": True}, format="json").json()
    assert (body["active"], body["disabled_reason"]) == (True, "")


def everything(client: Any, endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> list[Any]:
    return [
        client.get(one(endpoint)),
        client.patch(one(endpoint), {"active": False}, format="json"),
        client.get(one(endpoint, "deliveries")),
        client.get(one(endpoint, "deliveries", delivery.pk)),
        client.post(one(endpoint, "deliveries", delivery.pk, "resend")),
        client.delete(one(endpoint)),
    ]


@pytest.mark.parametrize("role", [None, Role.VIEWER, Role.CONTRIBUTOR, Role.REVIEWER])
def test_to_those_who_do_not_manage_it_is_not_there(
    people: People, endpoint: WebhookEndpoint, delivery: WebhookDelivery, role: Role | None
) -> None:
    make_space("Elsewhere", charlie=Role.MANAGER)
    if role is not None:
        Membership.objects.create(space=people.space, user=people.charlie, role=role)
    client = client_of(people.charlie)
    assert client.get(URL).json()["results"] == []
    for answer in everything(client, endpoint, delivery):
        error_of(answer, 404, "NOT_FOUND")
    made = make(people.charlie, space=str(people.space.pk))
    if role is None:
        error_of(made, 404, "NOT_FOUND")
    else:
        error_of(made, 403, "PERMISSION_DENIED")
    endpoint.refresh_from_db()
    assert endpoint.active
    assert WebhookEndpoint.objects.count() == 1
    assert not Job.objects.exists()


def test_nobody_is_asked_to_sign_in(endpoint: WebhookEndpoint, delivery: WebhookDelivery) -> None:
    for answer in [client_of(None).get(URL), *everything(client_of(None), endpoint, delivery)]:
        error_of(answer, 401, "NOT_AUTHENTICATED")


def test_a_key_needs_its_scope_and_its_space(
    people: People, endpoint: WebhookEndpoint, delivery: WebhookDelivery
) -> None:
    _, reading = make_key(people.alice, "read", "upload", "analyze")
    assert reading.get(one(endpoint)).status_code == 200
    error_of(reading.delete(one(endpoint)), 403, "PERMISSION_DENIED")
    error_of(reading.post(URL, {"url": RECEIVER}, format="json"), 403, "PERMISSION_DENIED")
    resend = one(endpoint, "deliveries", delivery.pk, "resend")
    error_of(reading.post(resend), 403, "PERMISSION_DENIED")
    elsewhere = make_space("Elsewhere", alice=Role.MANAGER)
    _, bound = make_key(people.alice, "read", "manage", space=elsewhere)
    error_of(bound.get(one(endpoint)), 404, "NOT_FOUND")
    made = bound.post(URL, {"url": RECEIVER}, format="json").json()
    assert made["space"] == str(elsewhere.pk)


def test_a_delivery_is_found_under_its_own_webhook_alone(
    people: People, endpoint: WebhookEndpoint, delivery: WebhookDelivery
) -> None:
    other, _ = webhooks.create(space=people.space, url=RECEIVER, events=Event.values, owner=None)
    client = client_of(people.alice)
    error_of(client.get(one(other, "deliveries", delivery.pk)), 404, "NOT_FOUND")
    error_of(client.post(one(other, "deliveries", delivery.pk, "resend")), 404, "NOT_FOUND")
    error_of(client.get(f"{URL}{NOWHERE}/deliveries/"), 404, "NOT_FOUND")
    assert client.get(one(other, "deliveries")).json()["results"] == []


def test_deliveries_are_listed_and_sent_again(
    people: People,
    endpoint: WebhookEndpoint,
    delivery: WebhookDelivery,
    django_assert_max_num_queries: Any,
) -> None:
    client = client_of(people.alice)
    for _ in range(3):
        WebhookDelivery.objects.create(endpoint=endpoint, event="job.failed", payload={})
    client.get(URL)
    with django_assert_max_num_queries(6):
        assert len(client.get(one(endpoint, "deliveries")).json()["results"]) == 4
    failed = client.get(one(endpoint, "deliveries"), {"status": "failed"}).json()["results"]
    assert [each["id"] for each in failed] == [str(delivery.pk)]
    again = client.post(one(endpoint, "deliveries", delivery.pk, "resend"))
    assert again.status_code == 202
    assert again.json()["status"] == "pending"
    job = Job.objects.get()
    assert (job.kind, job.space, job.params) == (
        JobKind.DELIVERY,
        people.space,
        {"delivery": str(delivery.pk)},
    )
    repeat = client.post(one(endpoint, "deliveries", delivery.pk, "resend"))
    error_of(repeat, 409, "CONFLICT")
    assert Job.objects.count() == 1
    webhooks.change(endpoint=endpoint, active=False)
    error_of(client.post(one(endpoint, "deliveries", delivery.pk, "resend")), 409, "CONFLICT")


def test_deleting_takes_the_history_along(
    people: People, endpoint: WebhookEndpoint, delivery: WebhookDelivery
) -> None:
    webhooks.resend(delivery=delivery)
    assert client_of(people.alice).delete(one(endpoint)).status_code == 204
    assert not WebhookDelivery.objects.exists()
    assert Job.objects.get().status == "cancelled"


def test_the_admin_never_shows_the_secret(
    client: Client, endpoint: WebhookEndpoint, delivery: WebhookDelivery
) -> None:
    client.force_login(make_user("chief", is_staff=True, is_superuser=True))
    for model, row in (("webhookendpoint", endpoint), ("webhookdelivery", delivery)):
        for url in (
            reverse(f"admin:processing_{model}_changelist"),
            reverse(f"admin:processing_{model}_change", args=[row.pk]),
        ):
            page = client.get(url)
            assert page.status_code == 200
            assert endpoint.secret[6:] not in page.content.decode()
        assert client.get(reverse(f"admin:processing_{model}_add")).status_code == 403
    posted = {"url": "http://127.0.0.1/", "active": ""}
    url = reverse("admin:processing_webhookendpoint_change", args=[endpoint.pk])
    assert client.post(url, posted).status_code == 403
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.active) == (RECEIVER, True)


def test_the_schema_has_the_secret_in_one_answer(client: Client, db: None) -> None:
    schema = client.get("/api/schema/", headers={"Accept": "application/json"}).json()
    parts = schema["components"]["schemas"]
    assert "secret" in parts["WebhookWithSecret"]["properties"]
    assert "secret" not in parts["Webhook"]["properties"]

"""One row for each client, its count right, at the price of hardly any query."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path
from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from media_assets.api.asking import asker_of
from media_assets.models import ClientSession
from mediahub.api import sessions
from mediahub.api.sessions import Client as Visitor
from mediahub.api.sessions import Gatherer
from processing.models import Job
from tests.make import make_asset
from tests.mediahub.api.ground import People, client_of, make_key

WHERE = "/api/v1/config/"


class Asking(APIView):
    """Uses the client session as a door for jobs does."""

    def get(self, request: Request) -> Response:
        session = asker_of(request).session
        return Response({"session": str(session.pk) if session else None})


urlpatterns = [
    path("api/v1/ask/", Asking.as_view()),
    path("api/", include("mediahub.api.urls")),
]


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    sessions.gatherer.forget()
    with override_settings(ROOT_URLCONF=__name__):
        yield


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(sessions, "gatherer", Gatherer(clock))
    return clock


def test_the_first_request_makes_a_row(people: People, clock: Clock) -> None:
    client_of(people.alice).get(WHERE, REMOTE_ADDR="192.0.2.7", headers={"User-Agent": "curl/8"})
    row = ClientSession.objects.get()
    assert row.user == people.alice
    assert row.ip == "192.0.2.7"
    assert row.user_agent == "curl/8"
    assert row.key_label == ""
    assert row.count == 1
    assert row.first_seen == row.last_seen


def test_user_key_address_and_agent_make_a_client(people: People, clock: Clock) -> None:
    alice = client_of(people.alice)
    alice.get(WHERE)
    alice.get(WHERE, headers={"User-Agent": "another"})
    alice.get(WHERE, REMOTE_ADDR="192.0.2.7")
    client_of(people.bob).get(WHERE)
    _, robot = make_key(people.alice, "read", label="robot")
    robot.get(WHERE)
    assert ClientSession.objects.count() == 5
    assert ClientSession.objects.get(key_label="robot").user == people.alice


def test_a_row_is_written_once_a_minute_and_its_count_is_right(
    people: People, clock: Clock, django_assert_num_queries: Any
) -> None:
    client = client_of(people.alice)
    client.get(WHERE)
    first = ClientSession.objects.get()
    with django_assert_num_queries(2 * 9):  # the session and the user: nothing for the count
        for _ in range(9):
            clock.now += 6.5
            client.get(WHERE)
    assert ClientSession.objects.get().count == 1
    clock.now += 6
    client.get(WHERE)
    row = ClientSession.objects.get()
    assert row.count == 11
    assert row.last_seen > first.last_seen
    assert row.first_seen == first.first_seen


def test_counts_of_two_processes_add_up(people: People) -> None:
    visitor = Visitor(people.alice.pk, "", "192.0.2.7", "curl")
    clock = Clock()
    gatherers = [Gatherer(clock), Gatherer(clock)]
    for _ in range(5):
        for each in gatherers:
            each.note(visitor)
    for each in gatherers:
        each.flush()
    assert ClientSession.objects.get().count == 10


def test_who_stays_away_is_written_when_others_come(people: People, clock: Clock) -> None:
    alice, bob = client_of(people.alice), client_of(people.bob)
    for _ in range(3):
        alice.get(WHERE)
    clock.now += 61
    bob.get(WHERE)
    assert ClientSession.objects.get(user=people.alice).count == 3
    assert len(sessions.gatherer._clients) == 1


def test_what_is_gathered_is_written_at_the_end(people: People, clock: Clock) -> None:
    client = client_of(people.alice)
    for _ in range(4):
        client.get(WHERE)
    sessions._flush_at_exit()
    assert ClientSession.objects.get().count == 4


def test_a_process_remembers_no_more_clients_than_it_may(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST_GATHERED", 3)
    gatherer = Gatherer(Clock())
    for number in range(10):
        for _ in range(2):
            gatherer.note(Visitor(people.alice.pk, "", "192.0.2.7", f"agent {number}"))
    assert len(gatherer._clients) <= 4
    gatherer.flush()
    assert sum(ClientSession.objects.values_list("count", flat=True)) == 20


def test_nobody_signed_in_leaves_no_row(db: None, clock: Clock) -> None:
    APIClient().get(WHERE)
    Client().get("/api/docs/")
    bad = APIClient()
    bad.credentials(HTTP_AUTHORIZATION="Token mh_wrong")
    bad.get(WHERE)
    assert not ClientSession.objects.exists()


def test_who_is_signed_in_is_not_looked_up_for_it(
    people: People, clock: Clock, django_assert_num_queries: Any
) -> None:
    client = client_of(people.alice)
    with django_assert_num_queries(0):
        client.get("/api/docs/")


def test_a_long_or_hostile_user_agent_is_cut_and_tamed(people: People, clock: Clock) -> None:
    agent = "evil\r\n\x1b[31m\x00" + "x" * 1000
    client_of(people.alice).get(WHERE, HTTP_USER_AGENT=agent)
    kept = ClientSession.objects.get().user_agent
    assert len(kept) == 300
    assert kept.isprintable()


def test_a_user_who_is_gone_is_not_counted(people: People, clock: Clock) -> None:
    client = client_of(people.charlie)
    client.get(WHERE)
    client.get(WHERE)
    people.charlie.delete()
    sessions.gatherer.flush()
    assert not ClientSession.objects.exists()


def test_a_request_is_answered_even_if_it_cannot_be_counted(
    people: People, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(**_: Any) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(sessions, "write", away)
    assert client_of(people.alice).get(WHERE).status_code == 200


def test_a_door_gets_the_session_of_its_request(people: People, clock: Clock) -> None:
    client = client_of(people.alice)
    told = client.get("/api/v1/ask/").json()["session"]
    row = ClientSession.objects.get()
    assert told == str(row.pk)
    assert row.count == 1
    assert client.get("/api/v1/ask/").json()["session"] == told
    _, robot = make_key(people.alice, "read")
    assert robot.get("/api/v1/ask/").json()["session"] != told


def test_a_job_keeps_the_session_that_asked_for_it(people: People, clock: Clock) -> None:
    asset = make_asset(space=people.space, owner=people.alice)
    response = client_of(people.alice).post(f"/api/v1/assets/{asset.pk}/jobs/", {})
    assert response.status_code == 202, response.content
    job = Job.objects.get(pk=response.json()["id"])
    assert job.session == ClientSession.objects.get(user=people.alice)


def test_a_session_nobody_stands_behind_is_not_there(db: None) -> None:
    request = HttpRequest()
    with pytest.raises(LookupError):
        bool(sessions.session_of(request))


def test_sessions_not_seen_for_long_are_purged(people: People, settings: Any) -> None:
    settings.ACCESS_LOG_DAYS = 30
    for days, user in ((31, people.alice), (29, people.bob)):
        row = sessions.write(client=Visitor(user.pk, "", None, ""), count=1)
        assert row is not None
        ClientSession.objects.filter(pk=row.pk).update(
            last_seen=timezone.now() - timedelta(days=days)
        )
    assert sessions.purge() == 1
    assert ClientSession.objects.get().user == people.bob


def test_a_row_that_was_purged_is_made_again(people: People, clock: Clock) -> None:
    client = client_of(people.alice)
    client.get(WHERE)
    ClientSession.objects.all().delete()
    clock.now += 61
    client.get(WHERE)
    assert ClientSession.objects.get().count == 1


@pytest.mark.django_db
def test_a_user_s_rows_go_with_the_user(people: People, clock: Clock) -> None:
    client_of(people.alice).get(WHERE)
    User.objects.filter(pk=people.alice.pk).delete()
    assert not ClientSession.objects.exists()

"""A job's events over a real connection: state first, changes as they come, and the end."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User

from media_assets.models import Role
from mediahub.models import ApiKey
from processing import engine
from processing.models import Job, JobStatus, JobStep, StepState
from tests.make import make_asset, make_space, make_user
from tests.servers import Server

pytestmark = [pytest.mark.process, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def job(settings: Any) -> Job:
    settings.DEFAULT_ROLE = "none"
    space = make_space(alice=Role.MANAGER)
    make_asset(space=space)
    return Job.objects.get()


def key_of(name: str) -> dict[str, str]:
    owner = User.objects.get(username=name)
    _, secret = ApiKey.objects.issue(owner=owner, label="test", scopes=["read"])
    return {"Authorization": f"Token {secret}"}


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    name = mark = ""
    for line in lines:
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("id: "):
            mark = line[4:]
        elif line.startswith("data: "):
            yield name, json.loads(line[6:]), mark


def test_a_watcher_is_told_of_each_step_and_the_end(server: Server, job: Job) -> None:
    with (
        server.client(headers=key_of("alice")) as client,
        client.stream("GET", f"/api/v1/jobs/{job.pk}/events/") as response,
    ):
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = events_of(response.iter_lines())
        assert next(events)[:2] == ("step", {"name": "inspect", "status": "pending", "error": None})
        assert next(events)[0] == "progress"
        JobStep.objects.update(state=StepState.COMPLETED)
        Job.objects.get().save()
        assert next(events)[1]["status"] == "completed"
        assert next(events)[0] == "progress"
        engine.cancel(job=job)
        rest = list(events)
    assert rest[-1][0] == "done"
    assert rest[-1][1]["status"] == "cancelled"


def test_one_who_comes_back_is_not_told_twice(server: Server, job: Job) -> None:
    url = f"/api/v1/jobs/{job.pk}/events/"
    with server.client(headers=key_of("alice")) as client:
        with client.stream("GET", url) as response:
            events = events_of(response.iter_lines())
            next(events)
            mark = next(events)[2]
        with client.stream("GET", url, headers={"Last-Event-ID": mark}) as response:
            events = events_of(response.iter_lines())
            engine.cancel(job=job)
            assert next(events)[1]["status"] == "cancelled"


def test_a_stranger_finds_no_stream(server: Server, job: Job) -> None:
    make_user("charlie")
    with server.client() as client:
        url = f"/api/v1/jobs/{job.pk}/events/"
        assert client.get(url).status_code == 401
        assert client.get(url, headers=key_of("charlie")).status_code == 404


def test_watchers_are_limited_and_leave_their_place(
    start_server: Callable[..., Server], job: Job
) -> None:
    server = start_server(MAX_EVENT_STREAMS="2", WEB_WORKERS="1")
    url = f"/api/v1/jobs/{job.pk}/events/"
    with server.client(headers=key_of("alice")) as client:
        with ExitStack() as stack:
            lines = [stack.enter_context(client.stream("GET", url)).iter_lines() for _ in range(2)]
            for each in lines:
                next(each)
            refused = client.get(url)
            assert refused.status_code == 503
            assert refused.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
            assert refused.headers["Retry-After"]
            assert client.get("/health").status_code == 200
        engine.cancel(job=job)  # the server notices at its next write that they are gone
        done = threading.Event()
        for _ in range(100):
            again = client.get(url)
            if again.status_code == httpx.codes.OK:
                break
            done.wait(0.1)
        assert again.status_code == httpx.codes.OK
    assert Job.objects.get().status == JobStatus.CANCELLED

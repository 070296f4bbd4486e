"""The download step: what is fetched, kept, remembered, retried and refused. Against a real web server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from media_assets import assets, intake, spool, storage, url_cache
from media_assets.errors import Conflict, UnsafeUrl
from media_assets.models import Blob, Door, MediaAsset, Post, Role, Space, Status, UrlFetch
from processing import engine, leases, runner, slots, sweeper
from processing.models import Job, JobStatus, Priority, StepState
from processing.steps import base
from tests import media
from tests.make import FakeStep, make_asset, make_post, make_space, make_user

# The lease keeper has a connection of its own, which sees committed rows only.
pytestmark = pytest.mark.django_db(transaction=True)

PICTURE = media.jpeg(64, 48)


@pytest.fixture
def web(settings: Any) -> Iterator[HTTPServer]:
    with HTTPServer(host="127.0.0.1") as running:
        settings.DOWNLOAD_ALLOW_HOSTS = [f"127.0.0.1:{running.port}"]
        yield running


@pytest.fixture
def space() -> Space:
    return make_space(alice=Role.CONTRIBUTOR)


@pytest.fixture
def inspected() -> Iterator[FakeStep]:
    """The one step after the download: it looks, and does nothing."""
    with base.registered(FakeStep("inspect")) as step:
        assert isinstance(step, FakeStep)
        yield step


def announce(space: Space, url: str, **details: Any) -> MediaAsset:
    details.setdefault("owner", User.objects.filter(username="alice").first())
    given = intake.Details(space=space, door=Door.URL, **details)
    return intake.announce(url=url, details=given).asset


def run_next() -> Job:
    Job.objects.filter(status="pending").exclude(waiting_for="").update(
        run_after=timezone.now() - timedelta(seconds=1)
    )
    sweeper.release_due()
    claim = leases.claim()
    assert claim is not None
    runner.run(claim)
    return Job.objects.get(pk=claim.job_id)


def states(job: Job) -> dict[str, str]:
    return dict(job.steps.values_list("name", "state"))


def events(asset: MediaAsset) -> list[str]:
    asset.refresh_from_db()
    return [entry["event"] for entry in asset.analysis_log]


def nothing_was_kept() -> bool:
    return not Blob.objects.exists() and not list(storage.incoming_folder().iterdir())


# ------------------------------------------------------------------- what is fetched


def test_an_announced_asset_has_no_bytes_and_a_job_that_fetches_them(space: Space) -> None:
    asset = announce(space, "https://example.com/a/red%20car.jpg", title="A car", tags=("red",))
    assert (asset.blob, asset.kind, asset.size, asset.status) == (None, "", None, "not_started")
    assert asset.filename == "red car.jpg"
    assert asset.source_url == "https://example.com/a/red%20car.jpg"
    assert [tag.name for tag in asset.tags.all()] == ["red"]
    assert states(asset.jobs.get()) == {"download": StepState.PENDING}
    assert events(asset) == ["media_announced"]


def test_the_bytes_come_and_the_other_steps_follow(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE, content_type="text/plain")
    asset = announce(space, web.url_for("/a.jpg"), wishes={"prompt": "What is it?"})
    job = run_next()
    asset.refresh_from_db()
    assert (job.status, job.error_message) == (JobStatus.COMPLETED, "")
    assert states(job)["inspect"] == StepState.COMPLETED
    assert inspected.ran == 1
    assert asset.blob is not None
    assert (asset.kind, asset.mime_type, asset.size) == ("image", "image/jpeg", len(PICTURE))
    assert b"".join(storage.chunks(asset.blob.key)) == PICTURE
    assert asset.status == Status.COMPLETED
    downloaded = next(each for each in asset.analysis_log if each["event"] == "media_downloaded")
    assert downloaded["details"]["file_size"] == len(PICTURE)
    assert downloaded["details"]["mime_type"] == "image/jpeg"
    assert downloaded["details"]["duration_ms"] >= 0
    assert not list(storage.incoming_folder().iterdir())


def test_the_server_s_name_for_the_file_is_cleaned_and_taken(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    headers = {"Content-Disposition": 'attachment; filename="../../etc/Sales.csv"'}
    web.expect_request("/export").respond_with_data(b"a,b\n1,2\n", headers=headers)
    asset = announce(space, web.url_for("/export"))
    assert run_next().status == JobStatus.COMPLETED
    asset.refresh_from_db()
    assert (asset.filename, asset.mime_type) == ("Sales.csv", "text/csv")


def test_the_wished_steps_follow_and_what_does_not_fit_says_why(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    only_sound = FakeStep("listen")
    only_sound.kinds = frozenset({"audio"})  # type: ignore[misc]
    with base.registered(only_sound), base.registered(FakeStep("look")) as look:
        announce(space, web.url_for("/a.jpg"), wishes={"steps": ["listen", "look"]})
        job = run_next()
    assert job.status == JobStatus.COMPLETED
    assert states(job) == {"download": "completed", "look": "completed", "listen": "skipped"}
    assert "does not fit" in job.steps.get(name="listen").reason
    assert isinstance(look, FakeStep)
    assert (look.ran, only_sound.ran, inspected.ran) == (1, 0, 0)


def test_a_second_job_of_the_same_asset_fetches_nothing(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    asset = announce(space, web.url_for("/a.jpg"))
    engine.submit(asset=asset)
    assert run_next().status == run_next().status == JobStatus.COMPLETED
    assert len(web.log) == 1


def test_bytes_in_a_host_s_spool_keep_the_job_there(
    space: Space, web: HTTPServer, inspected: FakeStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    def place(path: Path, key: str, *, mime_type: str) -> str:
        storage.put(path, key, mime_type=mime_type)
        return "some-host"

    monkeypatch.setattr(spool, "place", place)
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    monkeypatch.setattr("media_assets.intake.originals.is_there", lambda blob: True)
    announce(space, web.url_for("/a.jpg"))
    assert run_next().host == "some-host"


# ------------------------------------------------------------------- the same address, the same bytes


def test_a_repeat_while_the_bytes_are_on_their_way_is_the_same_asset(space: Space) -> None:
    first = announce(space, "https://example.com/a.jpg")
    again = announce(space, "https://example.com/a.jpg")
    assert again == first
    assert Job.objects.count() == 1
    assert announce(space, "https://example.com/a.jpg", wishes={"prompt": "Why?"}) != first
    assert announce(space, "https://example.com/a.jpg", owner=make_user("bob")) != first


def test_a_repeat_after_the_job_was_cancelled_fetches_after_all(space: Space) -> None:
    asset = announce(space, "https://example.com/a.jpg")
    engine.cancel(job=asset.jobs.get())
    assert announce(space, "https://example.com/a.jpg") == asset
    assert asset.jobs.filter(status=JobStatus.PENDING).count() == 1


def test_a_repeat_within_the_hours_of_the_cache_asks_nobody(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    url = web.url_for("/a.jpg")
    asset = announce(space, url)
    run_next()
    assert announce(space, url) == asset
    assert Job.objects.count() == 1
    other = announce(space, url, post=make_post(space))  # another place: an asset of its own
    job = run_next()
    other.refresh_from_db()
    asset.refresh_from_db()
    assert other != asset
    assert other.blob == asset.blob
    assert job.steps.get(name="download").cached
    assert len(web.log) == 1


def test_what_others_fetched_is_fetched_again(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    announce(space, web.url_for("/a.jpg"))
    run_next()
    announce(make_space("Elsewhere"), web.url_for("/a.jpg"))
    run_next()
    assert len(web.log) == 2
    assert UrlFetch.objects.count() == 2


def test_after_the_hours_of_the_cache_the_server_is_asked_whether_it_changed(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    asked: list[str | None] = []

    def answer(request: Request) -> Response:
        asked.append(request.headers.get("If-None-Match"))
        if asked[-1] == '"one"':
            return Response(status=304)
        return Response(PICTURE, headers={"ETag": '"one"'})

    web.expect_request("/a.jpg").respond_with_handler(answer)
    url = web.url_for("/a.jpg")
    announce(space, url)
    run_next()
    long_ago = timezone.now() - timedelta(hours=25)
    UrlFetch.objects.update(fetched_at=long_ago)
    later = announce(space, url, post=make_post(space))
    job = run_next()
    later.refresh_from_db()
    assert asked == [None, '"one"']
    assert (job.status, later.size) == (JobStatus.COMPLETED, len(PICTURE))
    assert UrlFetch.objects.get().fetched_at > long_ago


def test_what_changed_at_its_address_is_fetched(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_ordered_request("/a.jpg").respond_with_data(PICTURE, headers={"ETag": '"one"'})
    web.expect_ordered_request("/a.jpg").respond_with_data(media.png(), headers={"ETag": '"two"'})
    announce(space, web.url_for("/a.jpg"))
    run_next()
    UrlFetch.objects.update(fetched_at=timezone.now() - timedelta(hours=25))
    later = announce(space, web.url_for("/a.jpg"))
    run_next()
    later.refresh_from_db()
    assert (later.mime_type, UrlFetch.objects.get().etag) == ("image/png", '"two"')


def test_bytes_that_were_purged_are_fetched_again(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    asset = announce(space, web.url_for("/a.jpg"))
    run_next()
    asset.refresh_from_db()
    assets.purge(asset=asset)
    assert not UrlFetch.objects.exists()
    announce(space, web.url_for("/a.jpg"))
    assert run_next().status == JobStatus.COMPLETED
    assert len(web.log) == 2


def test_old_fetches_are_forgotten(space: Space, web: HTTPServer, inspected: FakeStep) -> None:
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    announce(space, web.url_for("/a.jpg"))
    run_next()
    assert url_cache.purge() == 0
    UrlFetch.objects.update(fetched_at=timezone.now() - timedelta(days=91))
    assert url_cache.purge() == 1


def test_an_announced_asset_gives_way_to_the_one_that_has_its_bytes(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    there = make_asset(PICTURE, space=space)
    Job.objects.all().delete()
    web.expect_request("/a.jpg").respond_with_data(PICTURE)
    announced = announce(space, web.url_for("/a.jpg"))
    job = run_next()
    announced.refresh_from_db()
    there.refresh_from_db()
    assert (job.status, job.asset_id) == (JobStatus.COMPLETED, there.pk)
    assert announced.gave_way_to == there
    assert announced.deleted_at is not None
    assert there.status == Status.COMPLETED
    assert "media_seen_again" in events(there)
    with pytest.raises(Conflict):
        assets.restore(asset=announced, by=None)


# ------------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize(
    ("status", "data", "code"),
    [
        (404, b"", "DOWNLOAD_FAILED"),
        (401, b"", "DOWNLOAD_FAILED"),
        (200, b"", "DOWNLOAD_FAILED"),
        (200, media.html(), "UNSUPPORTED_CODEC"),
        (200, media.svg(), "UNSUPPORTED_CODEC"),
        (200, PICTURE + bytes(1_100_000), "LIMIT_EXCEEDED"),
    ],
)
def test_what_no_retry_mends_fails_at_once(
    space: Space, web: HTTPServer, settings: Any, status: int, data: bytes, code: str
) -> None:
    settings.MAX_UPLOAD_MB = 1
    web.expect_request("/a.jpg").respond_with_data(data, status=status)
    asset = announce(space, web.url_for("/a.jpg"))
    job = run_next()
    asset.refresh_from_db()
    assert (job.status, job.error_code, job.attempts) == (JobStatus.FAILED, code, 0)
    assert job.error_message
    assert asset.status == Status.FAILED
    assert nothing_was_kept()


def test_a_server_in_trouble_is_asked_again(
    space: Space, web: HTTPServer, inspected: FakeStep
) -> None:
    web.expect_ordered_request("/a.jpg").respond_with_data(b"", status=503)
    web.expect_ordered_request("/a.jpg").respond_with_data(PICTURE)
    asset = announce(space, web.url_for("/a.jpg"))
    job = run_next()
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "retry", 1)
    assert run_next().status == JobStatus.COMPLETED
    asset.refresh_from_db()
    assert asset.blob is not None


def test_a_server_s_wish_to_wait_is_granted_within_reason(space: Space, web: HTTPServer) -> None:
    for seconds in ("40", "999999"):
        headers = {"Retry-After": seconds}
        web.expect_ordered_request("/a.jpg").respond_with_data(b"", status=429, headers=headers)
    announce(space, web.url_for("/a.jpg"))
    waits = [run_next().run_after - timezone.now() for _ in range(2)]
    assert timedelta(seconds=30) < waits[0] < timedelta(seconds=41)
    assert timedelta(minutes=59) < waits[1] <= timedelta(hours=1)


def test_the_attempts_end(space: Space, web: HTTPServer) -> None:
    web.expect_request("/a.jpg").respond_with_data(b"", status=500)
    announce(space, web.url_for("/a.jpg"))
    jobs = [run_next() for _ in range(3)]
    assert (jobs[-1].status, jobs[-1].error_code) == (JobStatus.FAILED, "DOWNLOAD_FAILED")
    assert len(web.log) == 3


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.jpg", "http://169.254.169.254/", "file:///etc/passwd", "ftp://a.example/"],
)
def test_a_hostile_address_makes_nothing(space: Space, url: str) -> None:
    with pytest.raises(UnsafeUrl):
        announce(space, url)
    assert not MediaAsset.objects.exists()
    assert not Job.objects.exists()


def test_a_redirect_to_the_inside_is_refused_by_the_job(space: Space, web: HTTPServer) -> None:
    to = {"Location": "http://169.254.169.254/latest/meta-data/"}
    web.expect_request("/a.jpg").respond_with_data(b"", status=302, headers=to)
    announce(space, web.url_for("/a.jpg"))
    job = run_next()
    assert (job.status, job.error_code) == (JobStatus.FAILED, "UNSAFE_URL")
    assert nothing_was_kept()


def test_a_cancelled_download_stops_and_leaves_nothing(space: Space, web: HTTPServer) -> None:
    def endless(request: Request) -> Response:
        def pieces() -> Iterator[bytes]:
            yield PICTURE
            engine.cancel(job=Job.objects.get())
            connection.close()  # this thread's own
            leases.keeper._deadlines.clear()  # as its next beat would find out
            for _ in range(100):
                yield bytes(65536)

        return Response(pieces())

    web.expect_request("/a.jpg").respond_with_handler(endless)
    asset = announce(space, web.url_for("/a.jpg"))
    assert run_next().status == JobStatus.CANCELLED
    asset.refresh_from_db()
    assert (asset.blob, asset.status) == (None, Status.NOT_STARTED)
    assert nothing_was_kept()


def test_no_more_downloads_run_than_are_allowed(
    space: Space, web: HTTPServer, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DOWNLOAD_CONCURRENCY = 1
    monkeypatch.setattr("processing.steps.download.SLOT_WAIT_S", 0.0)
    announce(space, web.url_for("/a.jpg"))
    with slots.download_slot(give_up=lambda: None, wait_s=1):
        job = run_next()
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "provider", 0)
    assert not web.log


def test_the_urgency_of_an_announcement_is_its_job_s(space: Space) -> None:
    announce(space, "https://example.com/a.jpg", priority=int(Priority.BULK))
    assert Job.objects.get().priority == Priority.BULK
    assert not Post.objects.exists()

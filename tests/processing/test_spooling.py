"""Jobs on bytes that wait in a spool: bound to their host, and free when the bytes have moved up."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from media_assets import spool, storage
from media_assets.models import Blob, MediaAsset, Whereabouts
from processing import leases, runner, spooling
from processing.models import Job, JobStatus
from processing.steps import base
from tests import media
from tests.buckets import Bucket
from tests.make import FakeStep, make_asset

pytestmark = pytest.mark.django_db


@pytest.fixture
def asset(bucket: Bucket) -> MediaAsset:
    bucket.go_away()
    return make_asset(media.plain("some text"), filename="a.txt", wishes={"steps": ["inspect"]})


def test_only_the_host_of_the_spool_takes_the_job(asset: MediaAsset, settings: Any) -> None:
    settings.HOST_NAME = "elsewhere"
    assert leases.claim() is None
    settings.HOST_NAME = ""
    assert leases.claim() is not None


def test_the_job_runs_while_the_bucket_is_away(bucket: Bucket, asset: MediaAsset) -> None:
    seen: list[bytes] = []
    step = FakeStep("inspect", lambda context: seen.append(context.source.read_bytes()))
    with base.registered(step):
        claim = leases.claim()
        assert claim is not None
        runner.run(claim)
    assert seen == [media.plain("some text")]
    assert Job.objects.get().status == JobStatus.COMPLETED


def test_when_the_bytes_moved_up_any_host_may_take_the_job(
    bucket: Bucket, asset: MediaAsset, settings: Any
) -> None:
    assert spooling.move_up() == 0
    assert Job.objects.get().host == spool.host_name()
    bucket.come_back()
    assert spooling.move_up() == 1
    assert Job.objects.get().host == ""
    settings.HOST_NAME = "elsewhere"
    assert leases.claim() is not None


def test_a_job_waits_for_a_bucket_without_using_up_its_attempts(bucket: Bucket) -> None:
    make_asset(media.plain("some text"), filename="a.txt", wishes={"steps": ["inspect"]})
    bucket.go_away()
    step = FakeStep("inspect", lambda context: context.source.read_bytes() and None)
    with base.registered(step):
        claim = leases.claim()
        assert claim is not None
        runner.run(claim)
        job = Job.objects.get()
        assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "provider", 0)
        bucket.come_back()
        Job.objects.update(waiting_for="")
        claim = leases.claim()
        assert claim is not None
        runner.run(claim)
    assert Job.objects.get().status == JobStatus.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_a_running_supervisor_moves_the_spool_up(bucket: Bucket, asset: MediaAsset) -> None:
    bucket.come_back()
    mover = spooling.Mover()
    moved = threading.Event()
    original = spooling.move_up

    def tell() -> int:
        try:
            return original()
        finally:
            moved.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spooling, "LOOK_S", 0.01)
        patch.setattr(spooling, "move_up", tell)
        mover.start()
        assert moved.wait(20)
        mover.stop()
        mover._thread.join(20)
    blob = Blob.objects.get()
    assert blob.whereabouts == Whereabouts.PRIMARY
    assert storage.exists(blob.key)

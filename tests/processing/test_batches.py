"""Batches: filled in the background, paused, resumed, cancelled and retried without losing count."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from media_assets.access import Asker
from media_assets.errors import Conflict, Invalid, NotFound, PermissionDenied
from media_assets.models import MediaAsset, Membership, Role, Space, Status
from processing import batches, engine, leases, runner, sweeper
from processing.context import StepContext
from processing.errors import InputFault
from processing.models import Batch, BatchState, Job, JobKind, JobStatus, StepState
from processing.steps import base
from processing.steps.base import Outcome
from tests import media
from tests.make import FakeStep, make_asset, make_space

# The lease keeper has a connection of its own, which sees committed rows only.
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def step() -> Iterator[FakeStep]:
    with base.registered(FakeStep("first")) as first:
        yield first  # type: ignore[misc]


@pytest.fixture
def space(settings: Any) -> Space:
    settings.DEFAULT_ROLE = "none"  # nobody is let into a space that everybody shares
    return make_space(alice=Role.REVIEWER, bob=Role.VIEWER, carol=Role.CONTRIBUTOR)


def asker(name: str = "alice") -> Asker:
    return Asker(User.objects.get(username=name))


@pytest.fixture
def assets(space: Space) -> list[MediaAsset]:
    found = [make_asset(media.jpeg(seed=seed), space=space) for seed in range(5)]
    Job.objects.all().delete()
    return found


def make_batch(*, name: str = "alice", **fields: Any) -> Batch:
    return batches.create(asker=asker(name), **{"params": {"steps": ["first"]}, **fields})


def run_one() -> Job | None:
    claim = leases.claim()
    if claim is None:
        return None
    runner.run(claim)
    return Job.objects.get(pk=claim.job_id)


def run_all() -> int:
    ran = 0
    while run_one() is not None:
        ran += 1
    return ran


def of(batch: Batch) -> Any:
    return Job.objects.filter(batch=batch, kind=JobKind.ANALYSIS)


def counts(batch: Batch) -> dict[str, int]:
    return {k: n for k, n in batches.progress([batch])[batch.pk].counts.items() if n}


def broken(context: StepContext) -> Outcome:
    raise InputFault("CORRUPT_FILE", "Broken.")


def test_a_batch_of_a_list_has_a_job_for_each_asset(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[each.pk for each in assets[:3]])
    assert (batch.state, batch.total) == (BatchState.FILLING, 3)
    assert not of(batch).exists()  # answered before they are made
    run_one()
    batch.refresh_from_db()
    assert (batch.state, batch.total) == (BatchState.RUNNING, 3)
    assert set(of(batch).values_list("asset_id", flat=True)) == {a.pk for a in assets[:3]}
    assert counts(batch) == {"pending": 3}
    run_all()
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED
    assert batch.completed_at is not None
    assert counts(batch) == {"completed": 3}


def test_a_batch_of_a_filter_takes_what_was_there_when_it_was_asked_for(
    assets: list[MediaAsset], space: Space
) -> None:
    MediaAsset.objects.filter(pk=assets[0].pk).update(status=Status.FAILED)
    batch = make_batch(filter_={"status": "not_started"})
    make_asset(media.jpeg(seed=99), space=space)
    Job.objects.filter(batch=None).delete()
    assert batch.total == 4
    run_one()
    assert set(of(batch).values_list("asset_id", flat=True)) == {a.pk for a in assets[1:]}


def test_filling_goes_on_where_a_killed_worker_stopped(
    assets: list[MediaAsset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK", 2)
    batch = make_batch(assets=[each.pk for each in assets])
    claim = leases.claim()
    assert claim is not None
    remaining = batches.load(batch.pk)
    assert batches.fill_next(batch_id=batch.pk, remaining=remaining, claim=claim)
    assert of(batch).count() == 2
    Job.objects.filter(pk=claim.job_id).update(lease_until=timezone.now() - timedelta(seconds=1))
    sweeper.sweep()
    with pytest.raises(leases.LeaseLost):  # the old worker wakes up, and makes nothing twice
        batches.fill_next(batch_id=batch.pk, remaining=remaining, claim=claim)
    run_all()
    batch.refresh_from_db()
    assert of(batch).count() == batch.total == 5
    assert len(set(of(batch).values_list("asset_id", flat=True))) == 5
    assert batch.state == BatchState.COMPLETED


def test_each_chunk_renews_the_lease_of_the_job_that_fills(assets: list[MediaAsset]) -> None:
    """On SQLite its own writes kept the lease keeper from writing, and a long filling lost its lease."""
    batch = make_batch(assets=[each.pk for each in assets])
    claim = leases.claim()
    assert claim is not None
    soon = timezone.now() + timedelta(seconds=1)
    Job.objects.filter(pk=claim.job_id).update(lease_until=soon)
    batches.fill_next(batch_id=batch.pk, remaining=batches.load(batch.pk), claim=claim)
    lease_until = Job.objects.get(pk=claim.job_id).lease_until
    assert lease_until is not None
    assert lease_until > soon + timedelta(seconds=5)


def test_an_empty_filter_result_is_a_completed_batch(assets: list[MediaAsset]) -> None:
    batch = make_batch(filter_={"kind": "video"})
    run_all()
    batch.refresh_from_db()
    assert (batch.state, batch.total) == (BatchState.COMPLETED, 0)


def test_what_no_step_fits_is_left_out(space: Space, assets: list[MediaAsset]) -> None:
    class ForDocuments(FakeStep):
        kinds = frozenset({"document"})

    document = make_asset(b"some words\n" * 9, space=space, filename="a.txt")
    Job.objects.all().delete()
    with base.registered(ForDocuments("second")):
        batch = make_batch(
            assets=[document.pk, assets[0].pk], params={"steps": ["first", "second"]}
        )
        run_one()
        planned = {job.asset_id: [step.name for step in job.steps.all()] for job in of(batch)}
        assert planned == {document.pk: ["first", "second"], assets[0].pk: ["first"]}
        only = make_batch(filter_={}, params={"steps": ["second"]})
        assert only.total == 1
        before = Batch.objects.count()
        with pytest.raises(Invalid):
            make_batch(assets=[assets[0].pk], params={"steps": ["second"]})
        assert Batch.objects.count() == before


def test_a_sample_is_a_first_few(assets: list[MediaAsset]) -> None:
    ids = [each.pk for each in assets]
    listed = make_batch(assets=ids, sample=2)
    filtered = make_batch(filter_={}, sample=2)
    run_all()
    assert set(of(listed).values_list("asset_id", flat=True)) == set(ids[:2])
    assert set(of(filtered).values_list("asset_id", flat=True)) == set(ids[-2:])


def test_a_paused_batch_starts_nothing_and_goes_on_when_resumed(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[each.pk for each in assets])
    run_one()
    running = leases.claim()
    assert running is not None
    batches.pause(batch=batch)
    assert leases.claim() is None
    assert counts(batch) == {"pending": 4, "processing": 1}
    runner.run(running)
    sweeper.sweep()
    assert leases.claim() is None
    assert batches.resume(batch=batch).state == BatchState.RUNNING
    assert run_all() == 4
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED


def test_a_pause_while_filling_holds_the_filling_too(
    assets: list[MediaAsset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CHUNK", 2)
    batch = make_batch(assets=[each.pk for each in assets])
    filling = leases.claim()
    assert filling is not None
    batches.pause(batch=batch)
    runner.run(filling)
    job = Job.objects.get(pk=filling.job_id)
    assert (job.status, job.waiting_for, job.attempts) == (JobStatus.PENDING, "batch", 0)
    sweeper.sweep()
    assert leases.claim() is None
    assert batches.resume(batch=batch).state == BatchState.FILLING
    run_all()
    batch.refresh_from_db()
    assert (batch.state, of(batch).count()) == (BatchState.COMPLETED, 5)


def test_what_waits_for_a_retry_waits_for_a_paused_batch_too(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[assets[0].pk])
    run_one()
    of(batch).update(waiting_for="retry", run_after=timezone.now())
    batches.pause(batch=batch)
    assert sweeper.release_due() == 0
    batches.resume(batch=batch)
    assert sweeper.release_due() == 1


def test_a_dead_worker_s_job_of_a_paused_batch_is_held(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[assets[0].pk])
    run_one()
    assert leases.claim() is not None
    batches.pause(batch=batch)
    Job.objects.filter(lease_until__isnull=False).update(
        lease_until=timezone.now() - timedelta(seconds=1)
    )
    sweeper.sweep()
    assert of(batch).get().waiting_for == "batch"
    assert leases.claim() is None


def test_what_was_left_held_is_let_go_by_the_sweeper(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[assets[0].pk])
    run_one()
    of(batch).update(waiting_for="batch")
    sweeper.sweep()
    assert of(batch).get().waiting_for == ""


def test_a_cancelled_batch_ends_its_jobs_and_gives_the_statuses_back(
    assets: list[MediaAsset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "CANCELLED_AT_ONCE", 1)
    MediaAsset.objects.update(status=Status.COMPLETED)
    batch = make_batch(assets=[each.pk for each in assets])
    run_one()
    running = leases.claim()
    assert running is not None
    batch = batches.cancel(batch=batch)
    assert batch.state == BatchState.CANCELLED
    assert counts(batch) == {"cancelled": 2, "pending": 3}
    assert leases.claim() is None
    for _ in range(3):
        sweeper.sweep()
    assert counts(batch) == {"cancelled": 5}
    assert set(MediaAsset.objects.values_list("status", flat=True)) == {Status.COMPLETED}
    runner.run(running)  # the old worker notices, and writes nothing
    assert counts(batch) == {"cancelled": 5}
    for refused in (batches.cancel, batches.pause, batches.resume, batches.retry):
        with pytest.raises(Conflict):
            refused(batch=batch)


def test_a_cancelled_batch_is_filled_no_further(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[each.pk for each in assets])
    batches.cancel(batch=batch)
    assert run_all() == 0
    assert not of(batch).exists()


def test_the_failed_are_counted_by_code_and_run_again(
    assets: list[MediaAsset], step: FakeStep
) -> None:
    bad = {assets[1].pk, assets[3].pk}
    step.act = lambda context: broken(context) if context.asset.pk in bad else None
    batch = make_batch(assets=[each.pk for each in assets])
    run_all()
    found = batches.progress([batch])[batch.pk]
    assert (found.counts["failed"], found.counts["completed"]) == (2, 3)
    assert found.failures == {"CORRUPT_FILE": 2}
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED
    bad.clear()
    batch = batches.retry(batch=batch)
    assert (batch.state, batch.completed_at) == (BatchState.RUNNING, None)
    assert counts(batch) == {"completed": 3, "pending": 2}
    assert len(set(of(batch).filter(status="pending").values_list("fair_at", flat=True))) == 2
    assert run_all() == 2
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED
    assert counts(batch) == {"completed": 5}
    assert set(of(batch).values_list("steps__state", flat=True)) == {StepState.COMPLETED}
    with pytest.raises(Conflict):
        batches.retry(batch=batch)


def test_a_filling_that_failed_is_told_and_goes_on_with_a_retry(
    assets: list[MediaAsset], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "backoff", lambda attempts: 0.0)
    batch = make_batch(assets=[each.pk for each in assets])
    with monkeypatch.context() as patch:
        patch.setattr(engine, "submit_many", lambda **_: 1 // 0)
        for _ in range(3):
            run_one()
            Job.objects.filter(waiting_for="retry").update(waiting_for="")
    found = batches.progress([batch])[batch.pk]
    assert found.filling_failed is not None
    assert found.filling_failed[0] == "INTERNAL_ERROR"
    assert found.failures == {}
    batches.retry(batch=batch)
    run_all()
    batch.refresh_from_db()
    assert (batch.state, of(batch).count()) == (BatchState.COMPLETED, 5)


def test_two_last_jobs_that_end_at_once_leave_the_end_to_the_sweeper(
    assets: list[MediaAsset],
) -> None:
    batch = make_batch(assets=[assets[0].pk])
    run_one()
    of(batch).update(status=JobStatus.COMPLETED)
    assert sweeper.sweep()["finished"] == 1
    assert sweeper.sweep()["finished"] == 0
    batch.refresh_from_db()
    assert batch.state == BatchState.COMPLETED


def test_others_take_turns_with_a_batch(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[each.pk for each in assets])
    run_one()
    carol = User.objects.get(username="carol")
    job = engine.submit(
        asset=assets[0], steps=["first"], requested_by=carol, priority=batches.priority_of(batch)
    )
    order = [claim.job_id for claim in (leases.claim(), leases.claim()) if claim]
    assert job.pk in order


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"assets": []},
        {"assets": [UUID(int=1)], "filter_": {}},
        {"filter_": {}, "params": {"steps": ["nonsense"]}},
        {"filter_": {}, "params": {"steps": []}},
        {"filter_": {}, "params": {"steps": ["fill_batch"]}},
        {"filter_": {}, "params": {"prompt": "x" * 70_000}},
        {"filter_": {"nonsense": "1"}},
        {"filter_": {"kind": "nonsense"}},
        {"filter_": {"kind": ["image"]}},
        {"filter_": {"created_after": "yesterday"}},
        {"assets": [UUID(int=each) for each in range(100_001)]},
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_written(
    assets: list[MediaAsset], fields: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        make_batch(**fields)
    assert not Batch.objects.exists()
    assert not Job.objects.exists()


def test_only_what_its_maker_may_run_on_is_taken(assets: list[MediaAsset], space: Space) -> None:
    ids = [each.pk for each in assets]
    elsewhere = make_asset(media.jpeg(seed=50), space=make_space("Elsewhere", dave=Role.MANAGER))
    Job.objects.all().delete()
    for name, listed, refusal in (
        ("bob", ids, PermissionDenied),
        ("carol", ids, PermissionDenied),
        ("dave", ids, NotFound),
        ("alice", [*ids, elsewhere.pk], NotFound),
    ):
        with pytest.raises(refusal):
            make_batch(name=name, assets=listed)
    with pytest.raises(PermissionDenied):
        make_batch(name="bob", filter_={}, space_id=space.pk)
    with pytest.raises(NotFound):
        make_batch(name="dave", filter_={}, space_id=space.pk)
    assert not Batch.objects.exists()
    assert not Job.objects.exists()
    own = assets[2]
    MediaAsset.objects.filter(pk=own.pk).update(owner=User.objects.get(username="carol"))
    batch = make_batch(name="carol", filter_={})
    run_one()
    assert list(of(batch).values_list("asset_id", flat=True)) == [own.pk]


def test_who_lost_their_rights_meanwhile_gets_no_more_jobs(assets: list[MediaAsset]) -> None:
    batch = make_batch(assets=[each.pk for each in assets])
    Membership.objects.filter(user__username="alice").update(role=Role.VIEWER)
    run_all()
    batch.refresh_from_db()
    assert (batch.state, batch.total) == (BatchState.COMPLETED, 0)


def test_assets_of_several_spaces_are_for_staff(assets: list[MediaAsset]) -> None:
    other = make_asset(media.jpeg(seed=51), space=make_space("Second", alice=Role.MANAGER))
    ids = [assets[0].pk, other.pk]
    with pytest.raises(Invalid):
        make_batch(assets=ids)
    User.objects.create_superuser("root")
    batch = make_batch(name="root", assets=ids)
    assert batch.space is None
    Job.objects.filter(batch=None).delete()
    run_all()
    assert of(batch).count() == 2


def test_filling_takes_as_many_queries_for_any_number_of_assets(
    assets: list[MediaAsset], django_assert_max_num_queries: Any
) -> None:
    batch = make_batch(assets=[each.pk for each in assets])
    claim = leases.claim()
    assert claim is not None
    remaining = batches.load(batch.pk)
    with django_assert_max_num_queries(22):
        batches.fill_next(batch_id=batch.pk, remaining=remaining, claim=claim)


def test_counting_takes_two_queries_for_any_number_of_batches(
    assets: list[MediaAsset], django_assert_num_queries: Any
) -> None:
    found = [make_batch(assets=[each.pk]) for each in assets]
    run_all()
    with django_assert_num_queries(2):
        progress = batches.progress(found)
    assert {each.counts["completed"] for each in progress.values()} == {1}

"""Batches over HTTP: what is answered, who may do what, and what refusals leave behind."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from media_assets.models import MediaAsset, Membership, Role
from processing import batches, leases, runner
from processing.models import Batch, Job, JobKind, JobStatus, JobStep, StepState
from processing.steps import base
from tests import media
from tests.make import FakeStep, make_asset, make_space
from tests.mediahub.api.ground import People, client_of, error_of, make_key

URL = "/api/v1/batches/"


@pytest.fixture(autouse=True)
def step() -> Iterator[FakeStep]:
    with base.registered(FakeStep("first")) as first:
        yield first  # type: ignore[misc]


@pytest.fixture
def people(db: None, settings: Any) -> People:
    settings.DEFAULT_ROLE = "none"
    return People.make()


@pytest.fixture
def alice(people: People) -> APIClient:
    return client_of(people.alice)


@pytest.fixture
def bob(people: People) -> APIClient:
    return client_of(people.bob)


@pytest.fixture
def charlie(people: People) -> APIClient:
    make_space("Elsewhere", charlie=Role.MANAGER)
    return client_of(people.charlie)


@pytest.fixture
def assets(people: People) -> list[MediaAsset]:
    found = [make_asset(media.jpeg(seed=seed), space=people.space) for seed in range(3)]
    Job.objects.all().delete()
    return found


def ask(client: APIClient, assets: list[MediaAsset] | None = None, /, **fields: Any) -> Any:
    listed = {} if assets is None else {"assets": [str(each.pk) for each in assets]}
    return client.post(URL, {"steps": ["first"], **listed, **fields}, format="json")


def test_a_list_of_assets_is_a_batch_at_once(
    alice: APIClient, people: People, assets: list[MediaAsset]
) -> None:
    response = ask(alice, assets, prompt="What is it?", label="Again")
    body = response.json()
    assert response.status_code == 202, body
    assert response["Location"].endswith(f"{URL}{body['id']}/")
    assert body["status"] == "filling"
    assert body["space"] == str(people.space.pk)
    assert body["label"] == "Again"
    assert body["total"] == 3
    assert body["params"] == {"steps": ["first"], "prompt": "What is it?", "force": False}
    assert body["created_by"] == people.alice.pk
    assert body["failures"] == {}
    assert body["error"] is None
    told = ("pending", "processing", "completed", "failed", "cancelled")
    assert [body[name] for name in told] == [0, 0, 0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_a_batch_is_seen_from_filling_to_its_end(
    alice: APIClient, assets: list[MediaAsset], step: FakeStep
) -> None:
    place = ask(alice, assets)["Location"]
    claim = leases.claim()
    assert claim is not None
    runner.run(claim)
    body = alice.get(place).json()
    assert (body["status"], body["pending"]) == ("running", 3)
    assert alice.post(f"{place}pause/").json()["status"] == "paused"
    assert leases.claim() is None
    assert alice.get(URL, {"status": "paused"}).json()["results"][0]["id"] == body["id"]
    assert alice.get(URL, {"status": "running"}).json()["results"] == []
    assert alice.post(f"{place}resume/").json()["status"] == "running"
    Job.objects.filter(asset=assets[0]).update(
        status=JobStatus.FAILED, error_code="CORRUPT_FILE", completed_at=timezone.now()
    )
    body = alice.get(place).json()
    assert (body["failed"], body["pending"], body["failures"]) == (1, 2, {"CORRUPT_FILE": 1})
    body = alice.post(f"{place}retry/").json()
    assert (body["failed"], body["pending"]) == (0, 3)
    error_of(alice.post(f"{place}retry/"), 409, "CONFLICT")
    body = alice.post(f"{place}cancel/").json()
    assert (body["status"], body["cancelled"], body["pending"]) == ("cancelled", 3, 0)
    error_of(alice.post(f"{place}resume/"), 409, "CONFLICT")
    of_it = alice.get("/api/v1/jobs/", {"batch": body["id"], "kind": "analysis"})
    assert len(of_it.json()["results"]) == 3


@pytest.mark.parametrize(
    ("asked", "count"),
    [({}, 3), ({"kind": "image"}, 3), ({"kind": "video"}, 0), ({"needs_review": False}, 3)],
)
def test_a_filter_is_that_of_the_list(
    alice: APIClient, assets: list[MediaAsset], asked: dict[str, Any], count: int
) -> None:
    shown = alice.get("/api/v1/assets/", asked).json()["results"]
    assert ask(alice, filter=asked).json()["total"] == len(shown) == count


def test_a_filter_looks_into_the_space_it_names(
    alice: APIClient, people: People, assets: list[MediaAsset]
) -> None:
    second = make_space("Second", alice=Role.MANAGER)
    make_asset(media.jpeg(seed=9), space=second)
    assert ask(alice, filter={}).json()["total"] == 3  # one's first space
    for fields in ({"space": str(second.pk), "filter": {}}, {"filter": {"space": str(second.pk)}}):
        body = ask(alice, **fields).json()
        assert (body["space"], body["total"]) == (str(second.pk), 1)


def test_a_sample_is_a_first_few(alice: APIClient, assets: list[MediaAsset]) -> None:
    assert ask(alice, assets, sample=2).json()["total"] == 2
    assert ask(alice, filter={}, sample=1).json()["total"] == 1


def test_an_estimate_makes_nothing(alice: APIClient, assets: list[MediaAsset]) -> None:
    response = ask(alice, assets, estimate=True)
    assert response.status_code == 200
    assert response.json() == {"count": 3, "cached": 0, "minutes": None, "cost_usd": None}
    assert not Batch.objects.exists()
    assert not Job.objects.exists()


def test_an_estimate_goes_by_what_jobs_took_of_late(
    alice: APIClient, assets: list[MediaAsset]
) -> None:
    done = Job.objects.create(
        asset=assets[0], status=JobStatus.COMPLETED, run_after=timezone.now(), max_attempts=3
    )
    JobStep.objects.create(
        job=done, name="first", position=0, state=StepState.COMPLETED, duration_ms=120_000
    )
    assert ask(alice, estimate=True, filter={}).json()["minutes"] == 6.0
    assert ask(alice, assets, estimate=True).json()["minutes"] == 6.0


def test_an_estimate_tells_what_is_there_already(
    alice: APIClient, assets: list[MediaAsset]
) -> None:
    blob = assets[0].blob
    assert blob is not None
    blob.inspected_at, blob.metadata = timezone.now(), {"inspector": 1}
    blob.save()
    asked: dict[str, Any] = {"steps": ["inspect"], "estimate": True}
    assert ask(alice, assets, **asked).json()["cached"] == 1
    assert ask(alice, assets, **asked, force=True).json()["cached"] == 0


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "assets"),
        ({"assets": []}, "assets"),
        ({"assets": "all"}, "assets"),
        ({"assets": ["nonsense"]}, "assets"),
        ({"assets": [1]}, "assets"),
        ({"assets": [None]}, "assets"),
        ({"assets": [str(uuid4())], "filter": {}}, "filter"),
        ({"filter": []}, "filter"),
        ({"filter": {"nonsense": 1}}, "filter"),
        ({"filter": {"owner__password__startswith": "a"}}, "filter"),
        ({"filter": {"kind": "nonsense"}}, "filter.kind"),
        ({"filter": {"kind": {"in": ["image"]}}}, "filter.kind"),
        ({"filter": {"kind": None}}, "filter.kind"),
        ({"filter": {"space": "nonsense"}}, "filter.space"),
        ({"filter": {}, "sample": 0}, "sample"),
        ({"filter": {}, "sample": 10**9}, "sample"),
        ({"filter": {}, "priority": "now"}, "priority"),
        ({"filter": {}, "steps": ["nonsense"]}, "steps"),
        ({"filter": {}, "steps": ["maintenance"]}, "steps"),
        ({"filter": {}, "steps": ["first"] * 21}, "steps"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_queued(
    alice: APIClient, assets: list[MediaAsset], fields: dict[str, Any], field: str
) -> None:
    error = error_of(ask(alice, **fields), 400, "VALIDATION_ERROR")
    assert field in error["details"]
    assert not Batch.objects.exists()
    assert not Job.objects.exists()


def test_a_list_that_is_too_long_is_refused(alice: APIClient, assets: list[MediaAsset]) -> None:
    ids = [str(assets[0].pk)] * 100_001
    error = error_of(ask(alice, assets=ids), 400, "VALIDATION_ERROR")
    assert "assets" in error["details"]
    assert not Batch.objects.exists()


def test_a_repeated_asset_counts_once(alice: APIClient, assets: list[MediaAsset]) -> None:
    assert ask(alice, [*assets, *assets]).json()["total"] == 3


def test_what_is_not_there_for_one_is_404_and_nothing_is_queued(
    alice: APIClient, charlie: APIClient, assets: list[MediaAsset], people: People
) -> None:
    error_of(ask(charlie, assets), 404, "NOT_FOUND")
    error_of(ask(charlie, assets, estimate=True), 404, "NOT_FOUND")
    error_of(ask(charlie, filter={}, space=str(people.space.pk)), 404, "NOT_FOUND")
    missing = [str(assets[0].pk), str(uuid4())]
    error_of(ask(alice, assets=missing), 404, "NOT_FOUND")
    MediaAsset.objects.filter(pk=assets[1].pk).update(deleted_at=timezone.now())
    error_of(ask(alice, assets), 404, "NOT_FOUND")
    assert not Batch.objects.exists()
    assert not Job.objects.exists()


def test_who_may_only_look_is_refused(
    alice: APIClient, bob: APIClient, assets: list[MediaAsset], people: People
) -> None:
    error_of(ask(bob, assets), 403, "PERMISSION_DENIED")
    error_of(ask(bob, filter={}, space=str(people.space.pk)), 403, "PERMISSION_DENIED")
    assert not Batch.objects.exists()
    place = ask(alice, assets)["Location"]
    assert bob.get(place).json()["total"] == 3
    for verb in ("pause", "resume", "cancel", "retry"):
        error_of(bob.post(f"{place}{verb}/"), 403, "PERMISSION_DENIED")
    assert alice.get(place).json()["status"] == "filling"


def test_another_space_s_batches_are_not_there(
    alice: APIClient, charlie: APIClient, assets: list[MediaAsset]
) -> None:
    place = ask(alice, assets)["Location"]
    assert charlie.get(URL).json()["results"] == []
    error_of(charlie.get(place), 404, "NOT_FOUND")
    for verb in ("pause", "resume", "cancel", "retry"):
        error_of(charlie.post(f"{place}{verb}/"), 404, "NOT_FOUND")
    assert alice.get(place).json()["status"] == "filling"
    error_of(APIClient().get(URL), 401, "NOT_AUTHENTICATED")


def test_a_contributor_s_own_batch_is_theirs_to_pause(
    people: People, bob: APIClient, assets: list[MediaAsset]
) -> None:
    Membership.objects.filter(user=people.bob).update(role=Role.CONTRIBUTOR)
    MediaAsset.objects.filter(pk=assets[0].pk).update(owner=people.bob)
    response = ask(bob, filter={})
    assert response.json()["total"] == 1
    assert bob.post(f"{response['Location']}pause/").json()["status"] == "paused"
    foreign = ask(client_of(people.alice), assets)["Location"]
    error_of(bob.post(f"{foreign}pause/"), 403, "PERMISSION_DENIED")


def test_a_key_needs_the_scope_and_stays_in_its_space(
    people: People, assets: list[MediaAsset]
) -> None:
    _, reader = make_key(people.alice, "read")
    error_of(ask(reader, assets), 403, "PERMISSION_DENIED")
    assert not Batch.objects.exists()
    second = make_space("Second", alice=Role.MANAGER)
    _, elsewhere = make_key(people.alice, "read", "analyze", space=second)
    error_of(ask(elsewhere, assets), 404, "NOT_FOUND")
    assert ask(elsewhere, filter={}).json()["space"] == str(second.pk)
    key, robot = make_key(people.alice, "analyze", space=people.space)
    assert ask(robot, assets).status_code == 202
    assert Job.objects.filter(kind=JobKind.BULK).order_by("-id")[0].key_label == key.label


def test_lists_take_as_many_queries_for_any_number(
    alice: APIClient, assets: list[MediaAsset], django_assert_max_num_queries: Any
) -> None:
    for _ in range(12):
        ask(alice, assets)
    with django_assert_max_num_queries(7):
        page = alice.get(URL, {"page_size": 10}).json()
    assert len(page["results"]) == 10
    assert page["next"]
    assert len(alice.get(page["next"]).json()["results"]) == 2


def test_asking_takes_few_queries(
    alice: APIClient, assets: list[MediaAsset], django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(36):  # spaces are read first, so that lists need no sort
        assert ask(alice, assets).status_code == 202


def test_the_selection_is_not_kept_twice(
    people: People, alice: APIClient, assets: list[MediaAsset], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list of 100,000 is 4 MB: once the jobs are there, they are the list."""
    ask(alice, assets)
    claim = leases.claim()
    assert claim is not None
    batch = Batch.objects.get()
    remaining = batches.load(batch.pk)
    assert not batches.fill_next(batch_id=batch.pk, remaining=remaining, claim=claim)
    batch.refresh_from_db()
    assert batch.selection == {"assets": []}
    assert batch.created_at > timezone.now() - timedelta(minutes=5)

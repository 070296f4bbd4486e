"""The text of documents: kept as a result, shown on the asset, never over a person's word."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import transaction

from media_assets.models import Kind, MediaAsset, Status
from processing import engine, leases, results, runner
from processing.models import Analysis, AnalysisKind, Job, JobStatus, StepState
from tests import media
from tests.make import make_asset, make_space

pytestmark = pytest.mark.django_db(transaction=True)


def run_next() -> Job:
    claim = leases.claim()
    assert claim is not None
    runner.run(claim)
    return Job.objects.get(pk=claim.job_id)


def test_a_pdf_is_read_page_by_page() -> None:
    asset = make_asset(media.pdf(["The first page.", "And a second."]), filename="two.pdf")
    job = run_next()
    asset.refresh_from_db()
    analysis = Analysis.objects.get()
    assert job.status == JobStatus.COMPLETED
    assert (analysis.kind, analysis.provider) == (AnalysisKind.DOCUMENT, "local")
    assert (analysis.word_count, analysis.page_count) == (6, 2)
    assert [(block["page"], block["text"]) for block in analysis.text_blocks] == [
        (1, "The first page."),
        (2, "And a second."),
    ]
    assert analysis.current
    assert asset.current["read_document"]["id"] == str(analysis.pk)
    assert "second" in asset.current["read_document"]["text"]


def test_a_document_without_text_says_so() -> None:
    make_asset(media.scanned_pdf([media.jpeg()]), filename="scan.pdf")
    job = run_next()
    step = job.steps.get(name="read_document")
    assert (step.state, job.status) == (StepState.SKIPPED, JobStatus.COMPLETED)
    assert step.reason
    assert not Analysis.objects.exists()


def test_a_broken_document_fails_with_a_code_and_is_not_read() -> None:
    asset = make_asset(media.encrypted_pdf(), filename="locked.pdf")
    job = run_next()
    asset.refresh_from_db()
    assert (job.status, job.error_code) == (JobStatus.FAILED, "ENCRYPTED_FILE")
    assert job.steps.get(name="read_document").state == StepState.SKIPPED
    assert asset.status == Status.FAILED


def test_a_second_asset_of_the_same_bytes_is_read_without_inspecting_again() -> None:
    data = media.plain("Some words to read.")
    for name in ("One", "Two"):
        make_asset(data, filename="a.txt", space=make_space(name))
    first, second = run_next(), run_next()
    assert [each.steps.get(name="inspect").cached for each in (first, second)] == [False, True]
    assert Analysis.objects.count() == 2


def keep(asset: MediaAsset, **fields: Any) -> bool:
    analysis = Analysis(
        asset=asset, step="describe", kind=AnalysisKind.IMAGE, provider="local", **fields
    )
    with transaction.atomic():
        return results.keep(analysis=analysis)


def test_the_newest_result_is_current_and_the_older_stays() -> None:
    asset = make_asset()
    keep(asset, description="old")
    keep(asset, description="new")
    asset.refresh_from_db()
    assert asset.kind == Kind.IMAGE
    assert asset.current["describe"]["description"] == "new"
    assert list(Analysis.objects.order_by("id").values_list("description", "current")) == [
        ("old", False),
        ("new", True),
    ]


def test_a_person_s_word_is_not_replaced() -> None:
    asset = make_asset()
    keep(asset, description="corrected", locked=True)
    assert not keep(asset, description="machine")
    asset.refresh_from_db()
    assert asset.current["describe"]["description"] == "corrected"
    assert asset.analysis_log[-1]["event"] == "result_proposed"
    assert Analysis.objects.filter(current=True).get().description == "corrected"


def test_a_run_again_reads_again() -> None:
    asset = make_asset(media.plain("Some words."), filename="a.txt")
    run_next()
    engine.submit(asset=asset, steps=["read_document"])
    assert run_next().status == JobStatus.COMPLETED
    assert Analysis.objects.filter(asset=asset).count() == 2
    assert Analysis.objects.filter(asset=asset, current=True).count() == 1

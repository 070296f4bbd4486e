"""The append-only log: nothing is lost between two writers, and it stays within its bounds."""

from __future__ import annotations

import threading

import pytest
from django.db import connections

from media_assets import analysis_log
from media_assets.models import MediaAsset
from tests.make import make_asset

pytestmark = pytest.mark.django_db


def events(asset: MediaAsset) -> list[str]:
    asset.refresh_from_db()
    return [entry["event"] for entry in asset.analysis_log]


def test_entries_are_added_at_the_end() -> None:
    asset = make_asset()
    analysis_log.append(asset.pk, analysis_log.entry("one"), analysis_log.entry("two"))
    assert events(asset) == ["media_stored", "one", "two"]


def test_any_text_survives_but_nul() -> None:
    asset = make_asset()
    text = "quote ' double \" back \\ percent %s %% brace {} line\n tab\t emoji ☃ \x00 end"
    analysis_log.append(asset.pk, analysis_log.entry("one", message=text))
    asset.refresh_from_db()
    assert asset.analysis_log[-1]["details"]["message"] == text.replace("\x00", "")


def test_details_that_are_none_are_left_out() -> None:
    entry = analysis_log.entry("one", cost_usd=None, tokens=0)
    assert entry["details"] == {"tokens": 0}


def test_the_newest_entries_are_kept() -> None:
    asset = make_asset()
    MediaAsset.objects.filter(pk=asset.pk).update(
        analysis_log=[analysis_log.entry(str(number)) for number in range(analysis_log.KEPT)]
    )
    analysis_log.append(asset.pk, analysis_log.entry("new"))
    kept = events(asset)
    assert len(kept) == analysis_log.KEPT
    assert (kept[0], kept[-1]) == ("1", "new")


def test_a_change_and_its_entry_are_one_statement(django_assert_num_queries: object) -> None:
    asset = make_asset()
    with django_assert_num_queries(1):  # type: ignore[operator]
        MediaAsset.objects.filter(pk=asset.pk).update(
            title="new", analysis_log=analysis_log.appended(analysis_log.entry("changed"))
        )
    assert events(asset)[-1] == "changed"


@pytest.mark.django_db(transaction=True)
def test_two_writers_at_once_lose_nothing() -> None:
    asset = make_asset()

    def write(name: str) -> None:
        for number in range(20):
            analysis_log.append(asset.pk, analysis_log.entry(f"{name}{number}"))
        connections.close_all()

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(events(asset)) == 81
    assert [each for each in events(asset) if each.startswith("a")] == [f"a{n}" for n in range(20)]

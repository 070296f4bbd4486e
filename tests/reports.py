"""What a test's report says: logs of its processes on a failure, and no skips in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

_LOGS = pytest.StashKey[list[tuple[Path, int]]]()
_REPORTS = pytest.StashKey[dict[str, pytest.TestReport]]()


def show_on_failure(item: pytest.Item, log: Path) -> None:
    """Add what is written to this file from now on to the report of the test, should it fail."""
    start = log.stat().st_size if log.exists() else 0
    item.stash.setdefault(_LOGS, []).append((log, start))


def has_failed(item: pytest.Item) -> bool:
    """For a fixture's end: whether the test, or a fixture before it, failed."""
    return any(report.failed for report in item.stash.get(_REPORTS, {}).values())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _refuse_skips(report)
    item.stash.setdefault(_REPORTS, {})[report.when] = report
    if report.failed:
        for log, start in item.stash.get(_LOGS, []):
            if log.exists():
                text = log.read_bytes()[start:].decode(errors="replace")
                report.sections.append((f"Last of {log.name}", text[-4000:]))
    # What a test logged or compared may be half a character, which does not travel between processes.
    report.sections = [(_sendable(title), _sendable(text)) for title, text in report.sections]
    if report.failed and _sendable(shown := str(report.longrepr)) != shown:
        report.longrepr = _sendable(shown)
    return report


def _sendable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skips(report)
    return report


def _refuse_skips(report: pytest.TestReport | pytest.CollectReport) -> None:
    """In CI everything runs: a test that is skipped, or expected to fail, has failed."""
    if os.environ.get("CI", "").lower() not in {"1", "true"} or not report.skipped:
        return
    if hasattr(report, "wasxfail"):
        reason = f"expected to fail, {report.wasxfail or 'without a reason'}"
        del report.wasxfail
    else:
        reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    report.outcome = "failed"
    report.longrepr = f"Nothing is skipped in CI: {reason}"

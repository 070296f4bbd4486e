"""One shape for every benchmark: results with the baseline of the same run and the bound they must keep.

A module of this folder with `run() -> list[Result]` is a benchmark; `python -m bench` runs them all,
`python -m bench.NAME` one. Rates and times of one machine mean little on another: bounds are ratios
to a baseline measured beside them, wherever there is one.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Result:
    """One measured number. `bound` says in words what it must keep; `ok` whether it did (None: no bound)."""

    name: str
    value: float
    unit: str
    baseline: float | None = None  # what it is compared with, in the same unit
    bound: str = ""
    ok: bool | None = None


def at_most(
    name: str, value: float, limit: float, unit: str = "", baseline: float | None = None
) -> Result:
    return Result(name, value, unit, baseline, f"<= {limit:g}", value <= limit)


def at_least(
    name: str, value: float, limit: float, unit: str = "", baseline: float | None = None
) -> Result:
    return Result(name, value, unit, baseline, f">= {limit:g}", value >= limit)


def cpu() -> float:
    """CPU seconds of this process and of its ended children: steadier than a clock on a busy machine."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def best_of(
    rounds: int, *work: Callable[[], object], clock: Callable[[], float] = time.process_time
) -> list[float]:
    """The least seconds of each function, all of them in turn in each round, so that noise hits all."""
    times: list[list[float]] = [[] for _ in work]
    for _ in range(rounds):
        for n, function in enumerate(work):
            began = clock()
            function()
            times[n].append(clock() - began)
    return [min(each) for each in times]


def in_child(module: str, function: str, *args: str) -> Any:
    """What `module.function(*args)` returns, as JSON, from a fresh Python: for memory, or a clean start."""
    code = f"import json, sys, {module} as m; json.dump(m.{function}(*sys.argv[1:]), sys.stdout)"
    command = [sys.executable, "-c", code, *args]
    done = subprocess.run(command, capture_output=True, check=True, cwd=RESULTS.parent.parent)
    return json.loads(done.stdout)


def peak_rss_mib() -> float:
    """The most memory this process ever had. Linux; getrusage would count the parent's before exec too."""
    status = Path("/proc/self/status").read_text()
    return (
        int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
        / 1024
    )


def table(results: Iterable[Result]) -> str:
    rows = [("what", "measured", "unit", "baseline", "bound", "")]
    for r in results:
        verdict = "" if r.ok is None else "ok" if r.ok else "MISSED"
        base = "" if r.baseline is None else f"{r.baseline:,.4g}"
        rows.append((r.name, f"{r.value:,.4g}", r.unit, base, r.bound, verdict))
    widths = [max(len(row[n]) for row in rows) for n in range(6)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if n in (0, 2) else cell.rjust(width)
            for n, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def write(results: list[Result], name: str) -> dict[str, Any]:
    """Print a table, write bench/results/NAME.json, and return what was written."""
    print(f"\n{name}\n{table(results)}", flush=True)
    report = {
        "benchmark": name,
        "measured_at": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "results": [asdict(result) for result in results],
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=2) + "\n")
    return report


def names() -> list[str]:
    """The benchmarks of this folder: its modules that define `run`."""
    found = sorted(Path(__file__).parent.glob("*.py"))
    return [path.stem for path in found if "\ndef run(" in path.read_text(encoding="utf-8")]


def run_all(only: Iterable[str] = ()) -> bool:
    """Run the benchmarks named, or all; whether every bound was kept."""
    wanted = list(only) or names()
    kept = True
    for name in wanted:
        results: list[Result] = importlib.import_module(f"bench.{name}").run()
        write(results, name)
        kept = kept and all(result.ok is not False for result in results)
    return kept

"""What the sandbox costs: inspectors called in this process, and in a child of the zygote.

Nearly all of a text file's time is the isolation itself: 10 ms at most. CPU counts the caller, the zygote
and the child. A picture costs some more, since a new process touches all its memory for the first time. The
baseline is the bare fork and end of a process with the same libraries: no child can cost less.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from bench import harness
from bench.harness import Result
from processing.inspectors import document, image
from processing.sandbox import Sandbox

ROUNDS, LARGE_ROUNDS = 100, 10
THREADS, FILES = 8, 120


@dataclass(frozen=True)
class Cost:
    """Of one call, in milliseconds."""

    least: float
    median: float
    cpu: float  # of all processes that took part


class Meter:
    """Calls functions and adds up what they take here, in the zygote and in its children."""

    def __init__(self, sandbox: Sandbox) -> None:
        sandbox.warm()
        ours = psutil.Process().children()
        self.zygote = next(each for each in ours if "processing.sandbox.zygote" in each.cmdline())

    def cost(self, rounds: int, work: Callable[[], object]) -> Cost:
        work()
        times = []
        before = self._cpu()
        for _ in range(rounds):
            began = time.perf_counter()
            work()
            times.append((time.perf_counter() - began) * 1000)
        cpu = (self._cpu() - before) * 1000 / rounds
        return Cost(min(times), statistics.median(times), cpu)

    def _cpu(self) -> float:
        zygote = self.zygote.cpu_times()
        there = zygote.user + zygote.system + zygote.children_user + zygote.children_system
        return harness.cpu() + float(there)


def make_picture(path: Path, width: int, height: int) -> Path:
    """With grain, as hard to decode as a phone's."""
    random = np.random.default_rng(1)
    shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    pixels = np.asarray(shapes.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    grain = random.normal(0, 7, (height, width, 1)).astype(np.int16)
    Image.fromarray(np.clip(pixels + grain, 0, 255).astype(np.uint8)).save(path, quality=85)
    return path


def fork_and_wait() -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        sandbox = Sandbox()
        try:
            return _measure(sandbox, Path(name))
        finally:
            sandbox.close()


def _measure(sandbox: Sandbox, folder: Path) -> list[Result]:
    began = time.perf_counter()
    meter = Meter(sandbox)
    start = time.perf_counter() - began
    text = folder / "text.txt"
    text.write_text("Some words.\n" * 20)
    small = make_picture(folder / "small.jpg", 640, 480)
    large = make_picture(folder / "large.jpg", 4032, 3024)
    in_child = partial(sandbox.run, workdir=folder)
    read_text, read_picture = (
        f"processing.inspectors.{each}:inspect" for each in ("document", "image")
    )

    here = meter.cost(ROUNDS, lambda: document.inspect(text, folder))
    child = meter.cost(ROUNDS, lambda: in_child(read_text, source=text))
    fork = meter.cost(ROUNDS, fork_and_wait)
    small_here = meter.cost(ROUNDS, lambda: image.inspect(small, folder))
    small_child = meter.cost(ROUNDS, lambda: in_child(read_picture, source=small))
    large_here = meter.cost(LARGE_ROUNDS, lambda: image.inspect(large, folder))
    large_child = meter.cost(LARGE_ROUNDS, lambda: in_child(read_picture, source=large))
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda _: in_child(read_text, source=text), range(FILES)))
    rate = FILES / (time.perf_counter() - began)
    isolation = Cost(child.least - here.least, child.median - here.median, child.cpu - here.cpu)
    return [
        # Neighbours on a busy machine lengthen the time, and by cold caches the CPU time; never both less.
        harness.at_most("isolation of a text file", min(isolation.least, isolation.cpu), 10, "ms"),
        Result("isolation of a text file, CPU", isolation.cpu, "ms", fork.cpu),
        Result("isolation of a text file, least time", isolation.least, "ms", fork.least),
        Result("isolation of a text file, median time", isolation.median, "ms", fork.median),
        Result("small picture in a child, CPU", small_child.cpu, "ms", small_here.cpu),
        Result("small picture in a child, least time", small_child.least, "ms", small_here.least),
        Result(
            "12 MP photograph in a child, least time", large_child.least, "ms", large_here.least
        ),
        harness.at_most(
            "12 MP photograph, CPU in a child / here", large_child.cpu / large_here.cpu, 1.5
        ),
        Result(f"text files, {THREADS} threads", rate, "files/s"),
        harness.at_most("start of the zygote", start, 10, "s"),
        Result("memory of the zygote", meter.zygote.memory_info().rss / 2**20, "MiB"),
    ]


def main() -> dict[str, Any]:
    return harness.write(run(), "sandbox")


if __name__ == "__main__":
    main()

"""A step that is slow, breaks, kills its worker or explodes in the sandbox, as its job says.

Each run leaves marks in a file of its process: when it began, each time that it was still entitled to act,
and how it ended. From them the benchmark tells whether two runs of one job overlapped.
"""

from __future__ import annotations

import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import ClassVar

from bench.torture_app.models import Effect
from processing.context import StepContext
from processing.errors import TryLater
from processing.sandbox import Limits, Sandbox
from processing.steps import base
from processing.steps.base import Completed, Outcome, Step

MARKS = "TORTURE_MARKS"
SLICE_S = 0.02
_bombs = Sandbox(prefixes=("bench.torture_app.bombs",), preload=())
_BOMB_LIMITS = Limits(memory_bytes=128 << 20, cpu_s=10, wall_s=30)


def mark(context: StepContext, what: str, at: float) -> None:
    """One line, written with one call: threads and killed processes leave whole lines."""
    line = json.dumps([what, str(context.job.pk), context.claim.token, at, os.getpid()]) + "\n"
    path = Path(os.environ[MARKS]) / f"{os.getpid()}.jsonl"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


class Torture(Step):
    name: ClassVar[str] = "torture"

    def run(self, context: StepContext) -> Outcome:
        mark(context, "start", time.monotonic())
        (context.workdir / "temporary").write_bytes(b"x" * 1000)
        self._work(context)
        role = context.params["role"]
        if role == "poison":
            os.kill(os.getpid(), signal.SIGKILL)
        if role == "bomb":
            mark(context, "end", time.monotonic())
            source = context.workdir / "temporary"
            _bombs.run(
                "bench.torture_app.bombs:explode",
                source=source,
                workdir=context.workdir,
                limits=_BOMB_LIMITS,
                cancelled=context.lost,
            )
        if role == "flaky" and context.job.attempts == 0:
            mark(context, "broke", time.monotonic())
            if context.params["number"] % 2:
                raise RuntimeError("flaky")
            raise TryLater("PROVIDER_UNAVAILABLE", "flaky", after=0.3)
        mark(context, "end", time.monotonic())
        return Completed(save=partial(_save, context))

    def _work(self, context: StepContext) -> None:
        until = time.monotonic() + context.params["seconds"]
        while (now := time.monotonic()) < until:
            context.check()
            # The time before the check: at that moment the lease was held, whatever happened since.
            mark(context, "act", now)
            time.sleep(SLICE_S)


class Noop(Step):
    """Nothing, or a sleep of so many seconds: what is left is the engine's own time."""

    name: ClassVar[str] = "noop"

    def run(self, context: StepContext) -> Outcome:
        time.sleep(context.params.get("seconds", 0))
        return Completed()


def _save(context: StepContext) -> None:
    Effect.objects.create(job=context.job.pk, token=context.claim.token)


base.register(Torture())
base.register(Noop())

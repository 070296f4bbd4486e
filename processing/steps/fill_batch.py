"""The `fill_batch` step: makes the jobs of a batch, chunk by chunk."""

from __future__ import annotations

import time
from typing import ClassVar
from uuid import UUID

from processing import batches
from processing.context import StepContext
from processing.steps.base import Completed, Outcome, Step

# On SQLite one writes at a time, and others get their turn only where nobody writes for a moment.
BREATH_S = 0.05


class FillBatch(Step):
    """Each chunk commits with the place it reached, so a run that follows a crash goes on there."""

    name: ClassVar[str] = "fill_batch"
    kinds: ClassVar[frozenset[str]] = frozenset()

    def run(self, context: StepContext) -> Outcome:
        batch_id = UUID(str(context.params["batch"]))
        remaining = batches.load(batch_id)
        while batches.fill_next(batch_id=batch_id, remaining=remaining, claim=context.claim):
            context.check()
            time.sleep(BREATH_S)
        return Completed()

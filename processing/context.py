"""What a step sees of its run: the job, the asset, the bytes as a private local file, and a way to report."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from media_assets import analysis_log, originals
from media_assets.models import MediaAsset
from processing import leases
from processing.leases import Claim, LeaseLost
from processing.models import Job, JobStep, Priority
from processing.sandbox import Limits, Stopped
from processing.sandbox import run as run_in_sandbox
from processing.slots import cpu_slot

logger = logging.getLogger(__name__)


class Workplace:
    """The folders of one run of one job: made when first needed, always removed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._root: Path | None = None
        self._source: Path | None = None

    @property
    def root(self) -> Path:
        if self._root is None:
            parent = workplaces()
            parent.mkdir(parents=True, exist_ok=True)
            # The process comes first: by it, what a killed one left is told.
            prefix = f"{os.getpid()}-{self._job.pk}-"
            self._root = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        return self._root

    def folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(exist_ok=True)
        return folder

    def source(self, asset: MediaAsset) -> Path:
        """The original as a local file under a name of ours, fetched once a run."""
        if self._source is None:
            assert asset.blob is not None
            target = self.folder("source") / f"original.{asset.blob.key.rpartition('.')[2]}"
            originals.fetch(asset.blob, target)
            self._source = target
        return self._source

    def remove(self) -> None:
        if self._root is not None:
            shutil.rmtree(self._root, ignore_errors=True)
            self._root = None
            self._source = None


def workplaces() -> Path:
    """Where the folders of this host's runs lie."""
    return Path(settings.DATA_DIR) / "run" / "jobs"


def remove_abandoned() -> int:
    """Remove the folders that killed processes of this host left; how many there were."""
    removed = 0
    for folder in workplaces().glob("*-*"):
        pid = folder.name.partition("-")[0]
        if pid.isdigit() and not leases.process_lives(int(pid)):
            shutil.rmtree(folder, ignore_errors=True)
            removed += 1
    return removed


class StepContext:
    """Given to `Step.run`. Everything here may be used from the step's own thread only."""

    def __init__(
        self,
        *,
        claim: Claim,
        job: Job,
        step: JobStep,
        workplace: Workplace,
        shared: dict[str, Any],
    ) -> None:
        self.claim = claim
        self.job = job
        self.step = step
        self.workplace = workplace
        # What earlier steps of this run found and later ones can use. Lost in a crash: never rely on it.
        self.shared = shared
        self.params: dict[str, Any] = job.params

    @cached_property
    def asset(self) -> MediaAsset:
        return MediaAsset.objects.select_related("blob", "space", "post").get(jobs=self.job.pk)

    @property
    def force(self) -> bool:
        return bool(self.params.get("force"))

    @property
    def source(self) -> Path:
        return self.workplace.source(self.asset)

    @cached_property
    def workdir(self) -> Path:
        """A folder for this step's files, removed with the run."""
        return self.workplace.folder(self.step.name)

    def check(self) -> None:
        """Raise LeaseLost where the job is not ours any more. Call before every outside effect."""
        if not leases.keeper.held(self.claim):
            raise LeaseLost

    def lost(self) -> bool:
        return not leases.keeper.held(self.claim)

    def decode(
        self, function: str, *args: Any, limits: Limits | None = None, **options: Any
    ) -> dict[str, Any]:
        """Run a function over the original in a child with limits, holding a CPU slot."""
        source, workdir = self.source, self.workdir
        interactive = self.job.priority == Priority.INTERACTIVE
        with suppress(Stopped), cpu_slot(interactive=interactive, give_up=self.check):
            return run_in_sandbox(
                function,
                *args,
                source=source,
                workdir=workdir,
                limits=limits or Limits(),
                cancelled=self.lost,
                **options,
            )
        raise LeaseLost  # the child was stopped because the job is not ours any more

    def log(self, event: str, **details: Any) -> None:
        """A line in the asset's log, at once, whatever becomes of the step."""
        analysis_log.append(
            self.asset.pk,
            analysis_log.entry(event, job=self.job.pk, step=self.step.name, **details),
        )

    def keep(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the step has done so far, for its next run."""
        with leases.fenced(self.claim):
            JobStep.objects.filter(pk=self.step.pk).update(checkpoint=checkpoint)
        self.step.checkpoint = checkpoint

    def report(self, share: float) -> None:
        """How much of this step is done, 0 to 1. Dropped where the job is not ours any more."""
        steps = self.job.steps.count()
        done = self.job.steps.filter(state__in=("completed", "skipped")).count()
        progress = min(max((done + share) / max(steps, 1), 0.0), 1.0)
        Job.objects.filter(pk=self.job.pk, token=self.claim.token, status="processing").update(
            progress=progress, updated_at=timezone.now()
        )

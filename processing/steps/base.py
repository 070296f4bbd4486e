"""The contract of a step, and the registry of all steps.

A step is found by autodiscovery of each app's `steps` module, which registers an instance of it. The
engine promises a step: its needs are done; the original lies in a private folder that is always removed;
`run` is called again after a crash, so it must be repeatable; nothing is written for a job that somebody
else holds by now.

A step promises: it writes nothing to the database outside the `save` of its outcome, and no file outside
the work folder except under keys made from content. `save` runs in one transaction with the mark that the
step is done. It may raise `InputFault` (no retry helps), `TryLater` (wait, then again) and nothing else on
purpose; whatever else escapes counts as a broken run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from django.db.models import QuerySet

from media_assets.models import Kind, MediaAsset

if TYPE_CHECKING:
    from processing.context import StepContext


@dataclass(frozen=True, slots=True)
class Completed:
    """The step did its work. `save` writes its rows, inside the engine's transaction."""

    save: Callable[[], object] = lambda: None
    provider: str = ""
    model: str = ""
    cached: bool = False
    # For the log: file_size, tokens, cost_usd, ... None values are left out.
    details: dict[str, Any] = field(default_factory=dict)
    # Steps that only now are known to be wanted, put after this one.
    then: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skipped:
    """There was nothing to do, for a reason that a person can read."""

    reason: str


Outcome = Completed | Skipped


class Step(ABC):
    """One kind of work on an asset."""

    name: ClassVar[str]
    # The kinds of media it fits.
    kinds: ClassVar[frozenset[str]] = frozenset(Kind.values)
    # Steps that must be done before this one, where the job has them.
    needs: ClassVar[tuple[str, ...]] = ()
    # Whether an asset without bytes can be worked on.
    fetches_bytes: ClassVar[bool] = False

    @abstractmethod
    def run(self, context: StepContext) -> Outcome:
        """Do the work. See the module's promises."""

    def validate(self, params: dict[str, Any]) -> dict[str, str]:
        """What is wrong with a job's params, by field. Called before anything is queued."""
        return {}

    def done_before(
        self, assets: QuerySet[MediaAsset], params: dict[str, Any]
    ) -> QuerySet[MediaAsset]:
        """Those of these assets for which an equal result is there, so that `run` would reuse it.

        For estimates. A step that cannot tell by a query says none.
        """
        return assets.none()


_steps: dict[str, Step] = {}


def register(step: Step) -> Step:
    """Make a step known by its name. Called by each app's `steps` module."""
    if step.name in _steps and type(_steps[step.name]) is not type(step):
        raise ValueError(f"Two steps are named {step.name}.")
    _steps[step.name] = step
    return step


def get(name: str) -> Step:
    return _steps[name]


def known() -> dict[str, Step]:
    return dict(_steps)


@contextmanager
def registered(step: Step) -> Iterator[Step]:
    """A step for the length of a test."""
    before = _steps.get(step.name)
    _steps[step.name] = step
    try:
        yield step
    finally:
        if before is None:
            del _steps[step.name]
        else:
            _steps[step.name] = before

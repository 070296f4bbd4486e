"""Which assets a batch is about: a list of them, or a filter, and never more than its maker may run on.

Filters are those of the list of assets. How one narrows a query is said by the app that has the list,
which lies above this one: it hands its function to `narrow_with` when it is ready.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.contrib.auth.models import AnonymousUser
from django.db.models import Q, QuerySet

from media_assets import access
from media_assets.access import Action, Asker
from media_assets.errors import Invalid, NotFound, PermissionDenied
from media_assets.models import Kind, MediaAsset, Space
from processing import pipelines
from processing.models import Batch
from processing.steps import base

MAX_ASSETS = 100_000  # in one list; a filter has no limit
LOOK_UP = 5000  # ids in one query: SQLite takes 32,766 parameters

Narrow = Callable[[QuerySet[MediaAsset], dict[str, Any]], QuerySet[MediaAsset]]

_narrow: list[Narrow] = []


def narrow_with(function: Narrow) -> None:
    """Say how a filter narrows a query of assets. Raises `Invalid` for a filter that is none."""
    _narrow[:] = [function]


@contextmanager
def narrowed_with(function: Narrow) -> Iterator[None]:
    """Another such function for the length of a test."""
    before = list(_narrow)
    narrow_with(function)
    try:
        yield
    finally:
        _narrow[:] = before


def by_filter(
    *, asker: Asker, space: Space | None, filter_: dict[str, Any]
) -> QuerySet[MediaAsset]:
    """The assets of a space that a filter finds and the asker may run on."""
    allowed = access.assets(asker, Action.RUN)
    if space is not None:
        allowed = allowed.filter(space=space)
    return _narrow[0](allowed, filter_)


def by_ids(*, asker: Asker, ids: Sequence[UUID]) -> QuerySet[MediaAsset]:
    return access.assets(asker, Action.RUN).filter(pk__in=ids)


def fit_for(steps: list[str] | None) -> Q:
    """The condition that at least one step of a job fits an asset."""
    kinds = [
        kind for kind in Kind.values if pipelines.fitting(kind=kind, steps=steps, has_bytes=True)
    ]
    fit = Q(kind__in=kinds, blob__isnull=False)
    if pipelines.fitting(kind="", steps=steps, has_bytes=False):
        fit |= Q(blob__isnull=True)
    return fit


def fits_media(step: str) -> bool:
    """Whether people can ask for this step: those on no asset are the house's own."""
    return bool(base.get(step).kinds)


def space_for(asker: Asker, space_id: UUID | None) -> Space:
    """The space a filter looks into: the one named, the key's, else the first of the asker's own."""
    allowed = access.spaces(asker, Action.RUN, own=True)
    if space_id is not None:
        space = allowed.filter(pk=space_id).first()
        if space is not None:
            return space
        if access.spaces(asker).filter(pk=space_id).exists():
            raise PermissionDenied
        raise NotFound("There is no such space.")
    own = allowed.filter(memberships__user_id=asker.user.pk or 0).order_by("id").first()
    found = own or allowed.order_by("id").first()
    if found is None:
        raise PermissionDenied("You are in no space where you may do this.")
    return found


def space_of(*, asker: Asker, ids: Sequence[UUID]) -> Space | None:
    """The space these assets lie in; None where they lie in several, which is for staff alone.

    Refuses with 404 where one of them is not there for the asker, with 403 where one may be seen only.
    """
    if len(ids) > MAX_ASSETS:
        message = f"At most {MAX_ASSETS} assets can be listed. Use a filter for more."
        raise Invalid(message, assets=[message])
    spaces: set[UUID] = set()
    for part in parts(ids):
        found = dict(by_ids(asker=asker, ids=part).values_list("pk", "space_id"))
        spaces.update(found.values())
        if len(found) < len(part):
            _refuse(asker, [each for each in part if each not in found])
    if len(spaces) > 1:
        if not asker.is_staff_with(Action.RUN.permission):
            message = "These assets lie in several spaces. Make a batch for each."
            raise Invalid(message, assets=[message])
        return None
    return Space.objects.get(pk=spaces.pop())


def parts(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    """As many ids at a time as fit into one query."""
    for start in range(0, len(ids), LOOK_UP):
        yield ids[start : start + LOOK_UP]


def _refuse(asker: Asker, missing: list[UUID]) -> None:
    seen = access.assets(asker).filter(pk__in=missing).count()
    if seen < len(missing):
        raise NotFound("At least one of these assets is not there.")
    raise PermissionDenied("You may not run jobs on at least one of these assets.")


def any_fits(*, asker: Asker, ids: Sequence[UUID], steps: list[str] | None) -> bool:
    """Whether some of the steps fit at least one of these."""
    fit = fit_for(steps)
    return any(by_ids(asker=asker, ids=part).filter(fit).exists() for part in parts(ids))


def asker_of(batch: Batch) -> Asker:
    """The batch's maker, with the rights they have by now, within the batch's space."""
    return Asker(user=batch.created_by or AnonymousUser(), only_space=batch.space_id)


class Remaining:
    """A batch's assets in the order of their ids, a chunk at a time, from any place on."""

    def __init__(self, batch: Batch) -> None:
        self._batch_id = batch.pk
        self._space = batch.space
        self._selection: dict[str, Any] = batch.selection
        self._fit = fit_for(batch.params.get("steps"))
        self._ids = [UUID(each) for each in self._selection.get("assets", ())]

    def after(
        self, place: UUID | None, *, asker: Asker, most: int
    ) -> tuple[list[MediaAsset], UUID | None]:
        """The next assets, and the place after them: None where nothing follows."""
        if "assets" in self._selection:
            return self._listed(place, asker, most)
        found = by_filter(asker=asker, space=self._space, filter_=self._selection["filter"])
        # Ids are made in the order of time: what comes in after the batch is none of its business.
        found = found.filter(self._fit, pk__lt=self._batch_id)
        if place is not None:
            found = found.filter(pk__gt=place)
        rows = list(_light(found).order_by("pk")[:most])
        return rows, rows[-1].pk if len(rows) == most else None

    def _listed(
        self, place: UUID | None, asker: Asker, most: int
    ) -> tuple[list[MediaAsset], UUID | None]:
        start = 0 if place is None else bisect.bisect_right(self._ids, place)
        ids = self._ids[start : start + most]
        rows = list(_light(by_ids(asker=asker, ids=ids).filter(self._fit)).order_by("pk"))
        return rows, ids[-1] if start + most < len(self._ids) else None


def _light(assets: QuerySet[MediaAsset]) -> QuerySet[MediaAsset]:
    """What a job is made of, and not the logs and results of 500 assets."""
    return assets.select_related("blob").only(
        "space_id", "kind", "status", "owner_id", "blob__spool_host"
    )

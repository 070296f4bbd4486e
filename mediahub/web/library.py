"""The library: what one may see, newest first, by cursor."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from media_assets import access, originals, renditions
from media_assets.api.asking import asker_of
from media_assets.models import MediaAsset, Rendition

PAGE = 48


@login_required
@require_safe
def library(request: HttpRequest) -> HttpResponse:
    """A page of tiles. `?before=` and `?after=` take an asset's id: ids are made in the order of time."""
    before, after = _id(request, "before"), _id(request, "after")
    found = (
        access.assets(asker_of(request))
        .select_related("blob")
        .prefetch_related(
            Prefetch(
                "blob__renditions",
                queryset=Rendition.objects.filter(kind__in=("thumbnail", "poster")).order_by(),
            )
        )
        .defer("analysis_log", "wishes", "current", "blob__metadata")
    )
    if after is not None:
        rows = list(found.filter(pk__gt=after).order_by("pk")[: PAGE + 1])
        more_newer, rows = len(rows) > PAGE, rows[:PAGE][::-1]
        more_older = True
    else:
        if before is not None:
            found = found.filter(pk__lt=before)
        rows = list(found.order_by("-pk")[: PAGE + 1])
        more_older, rows = len(rows) > PAGE, rows[:PAGE]
        more_newer = before is not None
    for asset in rows:
        _show(asset)
    context = {
        "assets": rows,
        "newer": f"?after={rows[0].pk}" if rows and more_newer else "",
        "older": f"?before={rows[-1].pk}" if rows and more_older else "",
    }
    return render(request, "web/library.html", context)


def _show(asset: MediaAsset) -> None:
    picture = renditions.thumbnail_of(asset.blob) if asset.blob else None
    asset.thumbnail = (  # type: ignore[attr-defined]
        originals.rendition_url(picture, filename=asset.filename) if picture else None
    )


def _id(request: HttpRequest, name: str) -> UUID | None:
    try:
        return UUID(request.GET[name])
    except (KeyError, ValueError):
        return None

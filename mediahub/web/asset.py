"""One asset's page: preview, facts, text and log. It refreshes itself until the work is done."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from media_assets import access, originals, visits
from media_assets.api.asking import asker_of
from media_assets.models import MediaAsset
from mediahub.web import words
from processing.models import OPEN, Job

TEXT_SHOWN = 20_000  # characters


def _find(request: HttpRequest, pk: UUID) -> MediaAsset:
    found = access.assets(asker_of(request)).select_related("blob").filter(pk=pk).first()
    if found is None:
        raise Http404
    return found


@login_required
@require_safe
def asset(request: HttpRequest, pk: UUID) -> HttpResponse:
    found = _find(request, pk)
    job = Job.objects.filter(asset=found).order_by("-pk").first()
    pictures = (
        {each.kind: each for each in found.blob.renditions.exclude(kind="frame")}
        if found.blob
        else {}
    )
    picture = next(
        (pictures[kind] for kind in ("preview", "poster", "thumbnail") if kind in pictures), None
    )
    context = {
        "asset": found,
        "busy": job is not None and job.status in OPEN,
        "problem": job.error_message if job is not None and job.status == "failed" else "",
        "preview": originals.rendition_url(picture, filename=found.filename) if picture else "",
        "download_url": reverse("asset-download", args=[found.pk]) if found.blob_id else "",
        "facts": words.facts(found),
        "text": str((found.current.get("read_document") or {}).get("text", ""))[:TEXT_SHOWN],
        "log": words.log_lines(found),
    }
    part = "web/asset_live.html" if request.GET.get("part") == "live" else "web/asset.html"
    return render(request, part, context)


@login_required
@require_safe
def download(request: HttpRequest, pk: UUID) -> HttpResponseBase:
    """The original, at an address that expires; the read is written down."""
    found = _find(request, pk)
    url = originals.url(found)
    if url is None:
        raise Http404
    visits.note_read(asset=found, asker=asker_of(request), door="browser", request=request)
    return HttpResponseRedirect(url)

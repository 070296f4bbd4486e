"""The upload page: a form that works with and without JavaScript."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.http import require_http_methods

from media_assets import access, filetypes, intake
from media_assets.access import Action, Asker
from media_assets.api import multipart
from media_assets.api.asking import asker_of
from media_assets.errors import InvalidFileFormat, MediaHubError, NotFound
from media_assets.models import Door
from mediahub.api.errors import STATUS_OF_CODE


# Exempt on the outside only: the check reads the form, so the door for the file must stand first.
@csrf_exempt
@login_required
@require_http_methods(["GET", "POST"])
def upload(request: HttpRequest) -> HttpResponse:
    """Show the form, or take in its file and go to its page."""
    if request.method != "POST":
        return _page(request)
    door = multipart.install(request)
    try:
        return _take(request)
    except MediaHubError as error:
        return _page(request, error)
    finally:
        door.discard()


@csrf_protect
def _take(request: HttpRequest) -> HttpResponse:
    asker = asker_of(request)
    file = request.FILES.get("file")
    if not isinstance(file, multipart.ReceivedUpload):
        raise NotFound("There is no file in the form. Choose one first.")
    kept = intake.keep(received=file.received(), details=_details(request, asker))
    return redirect("asset", kept.asset.pk)


def _details(request: HttpRequest, asker: Asker) -> intake.Details:
    wanted = request.POST.get("space", "")
    try:
        space_id = UUID(wanted) if wanted else None
    except ValueError:
        raise NotFound("There is no such space.") from None
    return intake.Details(
        space=access.space_for(asker, space_id),
        owner=asker.user_or_none,
        door=Door.UPLOAD,
        title=request.POST.get("title", "").strip()[:300],
        tags=tuple(request.POST.get("tags", "").split(",")),
        session=asker.session,
    )


def _page(request: HttpRequest, error: MediaHubError | None = None) -> HttpResponse:
    formats = ""
    if isinstance(error, InvalidFileFormat):
        formats = ", ".join(
            name for names in filetypes.supported_formats().values() for name in names
        )
    context = {
        "error": error,
        "formats": formats,
        "spaces": access.spaces(asker_of(request), Action.UPLOAD).order_by("id")[:100],
    }
    status = STATUS_OF_CODE.get(error.code, 500) if error else 200
    return render(request, "web/upload.html", context, status=status)

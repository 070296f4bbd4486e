"""Reports errors to Sentry where a DSN is set, with secrets and people's data taken out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.conf import settings

from media_assets import log_context
from mediahub.redaction import redact_all

if TYPE_CHECKING:
    from sentry_sdk.types import Breadcrumb, BreadcrumbHint, Event, Hint

logger = logging.getLogger(__name__)

# Parts of a report that may hold what a person sent or who they are.
_PRIVATE = ("cookies", "data", "env", "query_string")


def start() -> None:
    if not settings.SENTRY_DSN:
        return
    # Half a second at every start, which only those who use it should pay.
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.utils import BadDsn  # noqa: PLC0415

    try:
        sentry_sdk.init(
            dsn=settings.SENTRY_DSN,
            environment=settings.SENTRY_ENVIRONMENT,
            send_default_pii=False,
            include_local_variables=False,  # they hold whatever the code was working on
            max_request_body_size="never",
            before_send=scrub,
            before_breadcrumb=scrub_breadcrumb,
        )
    except BadDsn:
        logger.error("SENTRY_DSN is no DSN of Sentry: nothing is reported.")  # noqa: TRY400


def scrub(event: Event, hint: Hint) -> Event:
    """The report without secrets, and with the ids that our log lines carry."""
    request: dict[str, Any] = dict(event.get("request") or {})
    for part in _PRIVATE:
        request.pop(part, None)
    if request:
        event["request"] = request
    event["tags"] = {
        **dict(event.get("tags") or {}),
        **{name: str(value) for name, value in log_context.fields().items()},
    }
    clean: Event = redact_all(event)
    return clean


def scrub_breadcrumb(crumb: Breadcrumb, hint: BreadcrumbHint) -> Breadcrumb:
    clean: Breadcrumb = redact_all(crumb)
    return clean

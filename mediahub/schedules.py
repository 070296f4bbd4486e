"""What is done again and again for the rows of this app and of the ground floor; see processing.schedule."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings

from media_assets import retention, url_cache, visits
from mediahub.api import idempotency, sessions, tokens
from processing import schedule

# The schedule takes no longer periods.
_LONGEST_MINUTES = 29 * 24 * 60


def clean_up() -> dict[str, int | list[str]]:
    """What is due for deletion. Dead uploads of this host alone: another's wait for its turn."""
    return retention.cleanup(orphans=False).as_dict()


def clean_up_orphans() -> dict[str, int | list[str]]:
    """The same, and objects that no row names: this lists the whole storage."""
    return retention.cleanup().as_dict()


schedule.every(
    "cleanup",
    timedelta(minutes=min(max(settings.CLEANUP_INTERVAL_MINUTES, 1), _LONGEST_MINUTES)),
    clean_up,
)
schedule.every("cleanup-orphans", timedelta(days=1), clean_up_orphans)
schedule.every("purge-idempotency-keys", timedelta(hours=1), idempotency.purge)
schedule.every("purge-sign-ins", timedelta(hours=6), tokens.purge)
schedule.every("purge-client-sessions", timedelta(days=1), sessions.purge)
schedule.every("purge-access-log", timedelta(days=1), visits.purge_old)
schedule.every("purge-url-fetches", timedelta(days=1), url_cache.purge)

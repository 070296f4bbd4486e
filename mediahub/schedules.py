"""What is done again and again for the rows of this app and of the ground floor; see processing.schedule."""

from __future__ import annotations

from datetime import timedelta

from media_assets import url_cache, visits
from mediahub.api import idempotency, sessions, tokens
from processing import schedule

schedule.every("purge-idempotency-keys", timedelta(hours=1), idempotency.purge)
schedule.every("purge-sign-ins", timedelta(hours=6), tokens.purge)
schedule.every("purge-client-sessions", timedelta(days=1), sessions.purge)
schedule.every("purge-access-log", timedelta(days=1), visits.purge_old)
schedule.every("purge-url-fetches", timedelta(days=1), url_cache.purge)

"""What can be wrong with the settings, told at start and by `manage.py check`, each with its cure.

An error stops MediaHub from starting; a warning does not. Ids are never used for something else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004

from media_assets import filetypes
from media_assets.models import Role
from media_assets.netguard import AllowList
from mediahub.api.throttles import Rate

Check: TypeAlias = Callable[[], Iterator[CheckMessage]]

VISION: Final = {"anthropic", "openai", "minimax", "gemini", "rekognition", "local"}
TRANSCRIPTION: Final = {"groq", "deepgram", "openai", "gemini", "aws", "local"}
TEXT: Final = {"anthropic", "openai", "minimax", "gemini", "local"}
SHORTEST_LEASE_S: Final = 1
SHORT_LEASE_S: Final = 5  # a machine out of breath may miss its beats
LONGEST_SIGNED_URL_S: Final = 604_800  # what S3 signs at most: seven days


def _check(*tags: str, deploy: bool = False) -> Callable[[Check], Check]:
    """Register a generator of messages as a Django check."""

    def decorate(function: Check) -> Check:
        def run(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
            return list(function())

        register(run, *tags, deploy=deploy)
        return function

    return decorate


def _error(number: int, message: str, hint: str) -> Error:
    return Error(message, hint=hint, id=f"mediahub.E{number:03}")


def _warning(number: int, message: str, hint: str) -> Warning:
    return Warning(message, hint=hint, id=f"mediahub.W{number:03}")


# ------------------------------------------------------------------- this machine


@_check()
def folders() -> Iterator[CheckMessage]:
    if reason := _unwritable(settings.DATA_DIR):
        yield _error(
            1,
            f"DATA_DIR {settings.DATA_DIR} cannot be written to: {reason}.",
            "Give it to the user MediaHub runs as, or name another folder in DATA_DIR.",
        )
    if settings.MEDIA_STORAGE == "local" and (reason := _unwritable(settings.MEDIA_ROOT)):
        yield _error(
            2,
            f"MEDIA_ROOT {settings.MEDIA_ROOT} cannot be written to: {reason}.",
            "Mount it, or give it to the user MediaHub runs as.",
        )
    public = Path(settings.STATIC_ROOT).resolve()
    for name in ("MEDIA_ROOT", "DATA_DIR"):
        if Path(getattr(settings, name)).resolve().is_relative_to(public):
            yield _error(
                3,
                f"{name} lies in STATIC_ROOT, whose files anybody may read.",
                f"Put {name} or STATIC_ROOT elsewhere.",
            )
    if settings.LOG_FILE and (reason := _unwritable(Path(settings.LOG_FILE).parent)):
        yield _warning(
            4,
            f"LOG_FILE {settings.LOG_FILE} cannot be written: {reason}.",
            "Give its folder to the user MediaHub runs as, or set LOG_FILE=none.",
        )


def _unwritable(folder: Path) -> str:
    """Why nothing can be written there; empty where it can, also where it can be made."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    if not existing.is_dir():
        return f"{existing} is not a folder"
    return "" if os.access(existing, os.W_OK | os.X_OK) else "permission denied"


_AT_LEAST: Final = {
    1: (
        "WEB_WORKERS WEB_THREADS WORKERS JOB_THREADS CPU_SLOTS JOB_MAX_ATTEMPTS JOB_TIMEOUT_S"
        " DOWNLOAD_CONCURRENCY DOWNLOAD_TIMEOUT_S DOWNLOAD_TOTAL_S SIGNED_URL_S BREAKER_FAILURES"
        " CLEANUP_INTERVAL_MINUTES MAX_IMAGE_MB MAX_AUDIO_MB MAX_VIDEO_MB MAX_DOCUMENT_MB MAX_UPLOAD_MB"
        " MAX_PIXELS MAX_DURATION_S MAX_PAGES VISION_MAX_SIDE LOG_FILE_MB REKOGNITION_MAX_LABELS"
        " RETENTION_HOURS RETENTION_HOURS_IMAGE RETENTION_HOURS_AUDIO RETENTION_HOURS_VIDEO"
        " RETENTION_HOURS_DOCUMENT"
    ).split(),
    0: (
        "MAX_EVENT_STREAMS DATABASE_POOL STOP_GRACE_S MIN_FREE_MB CACHE_LIMIT_GB ACCESS_LOG_DAYS"
        " TRASH_DAYS URL_CACHE_HOURS BREAKER_COOLDOWN_S BUDGET_DAY_USD BUDGET_MONTH_USD USER_QUOTA_GB"
        " USER_QUOTA_FILES LOG_FILE_COUNT"
    ).split(),
}


@_check()
def numbers() -> Iterator[CheckMessage]:
    for least, names in _AT_LEAST.items():
        for name in names:
            value = getattr(settings, name)
            if value is not None and value < least:
                yield _error(
                    5,
                    f"{name} is {value}.",
                    f"It must be at least {least}; leave it out for its default.",
                )
    if settings.JOB_LEASE_S < SHORT_LEASE_S:
        tell = _error if settings.JOB_LEASE_S < SHORTEST_LEASE_S else _warning
        yield tell(
            6,
            f"JOB_LEASE_S is {settings.JOB_LEASE_S}: a busy worker would lose its jobs.",
            f"Set it to {SHORT_LEASE_S} or more; 15 is a good value.",
        )
    if not 0 <= settings.REKOGNITION_MIN_CONFIDENCE <= 1:
        yield _error(
            7,
            f"REKOGNITION_MIN_CONFIDENCE is {settings.REKOGNITION_MIN_CONFIDENCE}.",
            "It is a fraction from 0 to 1, not a percentage.",
        )
    if settings.FRAME_FPS <= 0:
        yield _error(8, f"FRAME_FPS is {settings.FRAME_FPS}.", "It must be more than 0.")


# ------------------------------------------------------------------- security and addresses


@_check(Tags.security)
def secret_key() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        return
    if settings.SECRET_KEY == settings.DEVELOPMENT_KEY:
        yield _error(
            10,
            "SECRET_KEY is the one for development, which everybody knows.",
            "Set SECRET_KEY to a long random text, or let `make run` make one in DATA_DIR.",
        )
    elif len(settings.SECRET_KEY) < 32:
        yield _warning(
            11,
            "SECRET_KEY is shorter than 32 characters.",
            "Set it to at least 50 random characters; put the old one in SECRET_KEY_FALLBACKS meanwhile.",
        )


@_check()
def public_url() -> Iterator[CheckMessage]:
    if fault := _fault_of_address(settings.PUBLIC_URL, path=False):
        yield _error(
            12,
            f"PUBLIC_URL {settings.PUBLIC_URL!r} {fault}.",
            "Write it like https://media.example.com, with a port where it needs one.",
        )


@_check(Tags.security, deploy=True)
def public_url_is_secure() -> Iterator[CheckMessage]:
    if not settings.DEBUG and not settings.HTTPS:
        yield _warning(
            13,
            f"PUBLIC_URL is {settings.PUBLIC_URL}: passwords and media travel in the clear.",
            "Put a proxy that speaks TLS in front, and set PUBLIC_URL=https://… and TRUSTED_PROXIES.",
        )


@_check()
def servers() -> Iterator[CheckMessage]:
    """Addresses of services; an empty one is not used."""
    names = ["S3_ENDPOINT_URL", "AWS_ANALYSIS_ENDPOINT_URL", "TELEGRAM_API_URL"]
    providers = ("OPENAI", "ANTHROPIC", "GROQ", "DEEPGRAM", "GEMINI", "MINIMAX")
    for name in (*names, *(f"{provider}_BASE_URL" for provider in providers)):
        value = getattr(settings, name)
        if value and (fault := _fault_of_address(value)):
            yield _error(14, f"{name} {fault}.", "Write it like https://host:port/path.")


def _fault_of_address(value: str, *, path: bool = True) -> str:
    """What is wrong with an http address; empty where nothing is."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return "is not an address"
    if parts.scheme not in {"http", "https"}:
        return "does not begin with http:// or https://"
    if not parts.hostname or re.search(r"\s", value):
        return "names no host"
    if parts.username is not None or parts.query or parts.fragment:
        return "holds more than scheme, host and path"
    if parts.path.strip("/") and not path:
        return "has a path, but MediaHub lives at the root of its host"
    return ""


@_check()
def people() -> Iterator[CheckMessage]:
    roles = [*Role.values, "none"]
    if settings.DEFAULT_ROLE not in roles:
        yield _error(
            15, f"DEFAULT_ROLE is {settings.DEFAULT_ROLE!r}.", f"It is one of {', '.join(roles)}."
        )
    try:
        Rate.parse(settings.API_RATE)
    except ValueError:
        yield _error(
            16,
            f"API_RATE is {settings.API_RATE!r}.",
            "Write it like 1200/min, or none for no limit.",
        )


@_check()
def allowed_hosts_of_requests() -> Iterator[CheckMessage]:
    for name in ("DOWNLOAD_ALLOW_HOSTS", "WEBHOOK_ALLOW_HOSTS"):
        try:
            AllowList.parse(getattr(settings, name))
        except ValueError as error:
            yield _error(17, f"{name}: {error}.", "Write host:port or 10.1.0.0/16, with commas.")


# ------------------------------------------------------------------- database, cache, queue


@_check(Tags.database)
def connections() -> Iterator[CheckMessage]:
    for alias, config in settings.DATABASES.items():
        if config.get("OPTIONS", {}).get("pool") and config.get("CONN_MAX_AGE", 0) != 0:
            yield _error(
                20,
                f"The database {alias!r} has a pool and keeps connections as well (CONN_MAX_AGE).",
                "Leave conn_max_age and pool out of DATABASE_URL; DATABASE_POOL=0 turns the pool off.",
            )


@_check(Tags.caches)
def shared_cache() -> Iterator[CheckMessage]:
    backend = settings.CACHES["default"]["BACKEND"].rpartition(".")[2]
    if not settings.DEBUG and backend in {"LocMemCache", "DummyCache"}:
        yield _warning(
            21,
            "CACHE_URL is not shared by processes: each of them would count rates by itself.",
            "Leave it out for a table of the database, or name a Redis: redis://host:6379/1.",
        )


@_check()
def broker() -> Iterator[CheckMessage]:
    if settings.QUEUE_BROKER == "redis" and not settings.REDIS_URL:
        yield _error(
            22,
            "QUEUE_BROKER is redis, but REDIS_URL is empty.",
            "Set REDIS_URL=redis://host:6379/0.",
        )
    if settings.QUEUE_BROKER == "sqs" and not settings.SQS_QUEUE:
        yield _error(
            23, "QUEUE_BROKER is sqs, but SQS_QUEUE is empty.", "Set SQS_QUEUE to the queue's name."
        )


# ------------------------------------------------------------------- storage and limits


@_check()
def buckets() -> Iterator[CheckMessage]:
    if settings.MEDIA_STORAGE == "s3" and not settings.S3_BUCKET:
        yield _error(
            30, "MEDIA_STORAGE is s3, but S3_BUCKET is empty.", "Name the bucket in S3_BUCKET."
        )
    if settings.ARCHIVE_BUCKET and settings.ARCHIVE_BUCKET == settings.S3_BUCKET:
        yield _error(
            31,
            "ARCHIVE_BUCKET is S3_BUCKET: a copy in the same place saves nothing.",
            "Name another bucket, or leave ARCHIVE_BUCKET out.",
        )
    if settings.MEDIA_STORAGE == "s3" and settings.SIGNED_URL_S > LONGEST_SIGNED_URL_S:
        yield _error(
            32,
            f"SIGNED_URL_S is {settings.SIGNED_URL_S}, more than a bucket signs.",
            f"Set it to at most {LONGEST_SIGNED_URL_S}, which is seven days.",
        )
    if settings.S3_SSE and not re.fullmatch(r"AES256|aws:kms(:.+)?", settings.S3_SSE):
        yield _error(
            33, f"S3_SSE is {settings.S3_SSE!r}.", "It is AES256, aws:kms, or aws:kms:<key id>."
        )
    cloudfront = ["CLOUDFRONT_DOMAIN", "CLOUDFRONT_KEY_ID", "CLOUDFRONT_KEY"]
    yield from _all_or_none(34, cloudfront, "Downloads through CloudFront need all three.")


@_check()
def keys_of_aws() -> Iterator[CheckMessage]:
    for prefix in ("AWS_", "AWS_ANALYSIS_"):
        pair = [f"{prefix}ACCESS_KEY_ID", f"{prefix}SECRET_ACCESS_KEY"]
        hint = "Set both, or neither to use AWS' own configuration (a role, a profile)."
        yield from _all_or_none(35, pair, hint)


def _all_or_none(number: int, names: Iterable[str], hint: str) -> Iterator[CheckMessage]:
    missing = [name for name in names if not getattr(settings, name)]
    given = [name for name in names if getattr(settings, name)]
    if missing and given:
        yield _error(number, f"{' and '.join(given)} set, {' and '.join(missing)} empty.", hint)


@_check()
def formats() -> Iterator[CheckMessage]:
    for name in settings.ALLOWED_FORMATS:
        if not any(filetypes.is_allowed(each, [name]) for each in filetypes.ACCEPTED):
            known = ", ".join(
                name for names in filetypes.supported_formats().values() for name in names
            )
            yield _error(
                36, f"ALLOWED_FORMATS holds {name!r}, which is not known.", f"Known are {known}."
            )


@_check()
def scanner() -> Iterator[CheckMessage]:
    address = settings.CLAMD_ADDRESS
    if settings.CLAMD_REQUIRED and not address:
        yield _error(
            37,
            "CLAMD_REQUIRED is set, but CLAMD_ADDRESS is empty: every upload would be refused.",
            "Name the scanner in CLAMD_ADDRESS, or leave CLAMD_REQUIRED out.",
        )
    if address and not re.fullmatch(r"/.+|[^\s/]+:\d{1,5}", address):
        yield _error(
            38, f"CLAMD_ADDRESS is {address!r}.", "Write host:3310, or the path of its socket."
        )


# ------------------------------------------------------------------- providers and doors


@_check()
def chains() -> Iterator[CheckMessage]:
    known = {
        "VISION_PROVIDERS": VISION,
        "TRANSCRIPTION_PROVIDERS": TRANSCRIPTION,
        "TEXT_PROVIDERS": TEXT,
    }
    for name, providers in known.items():
        if unknown := [each for each in getattr(settings, name) if each not in providers]:
            yield _error(
                40,
                f"{name} holds {', '.join(unknown)}, which is not known.",
                f"Known are {', '.join(sorted(providers))}.",
            )


@_check()
def analysis() -> Iterator[CheckMessage]:
    if not re.fullmatch(r"[1-9]\d?x[1-9]\d?", settings.CONTACT_SHEET_GRID):
        yield _error(
            41,
            f"CONTACT_SHEET_GRID is {settings.CONTACT_SHEET_GRID!r}.",
            "Write columns and rows like 2x3.",
        )
    if settings.AWS_ANALYSIS and not settings.AWS_ANALYSIS_BUCKET:
        yield _warning(
            42,
            "AWS_ANALYSIS is on without AWS_ANALYSIS_BUCKET: Transcribe reads from a bucket only.",
            "Name a bucket, or leave `aws` out of TRANSCRIPTION_PROVIDERS.",
        )


@_check()
def telegram() -> Iterator[CheckMessage]:
    if not settings.TELEGRAM_BOT_TOKEN:
        return
    if not settings.TELEGRAM_WEBHOOK_SECRET:
        yield _error(
            43,
            "TELEGRAM_BOT_TOKEN is set without TELEGRAM_WEBHOOK_SECRET: anybody could send updates.",
            "Set a random secret, and give it to Telegram as secret_token of setWebhook.",
        )
    elif not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", settings.TELEGRAM_WEBHOOK_SECRET):
        yield _error(
            44,
            "TELEGRAM_WEBHOOK_SECRET holds what Telegram does not take.",
            "Use A-Z a-z 0-9 _ - alone.",
        )
    if not settings.TELEGRAM_OWNER:
        yield _error(
            45,
            "TELEGRAM_BOT_TOKEN is set without TELEGRAM_OWNER: the files would be nobody's.",
            "Name the user whose assets they become.",
        )
    for chat in settings.TELEGRAM_ALLOWED_CHATS:
        if not re.fullmatch(r"\*|-?\d+", chat):
            yield _error(
                46,
                f"TELEGRAM_ALLOWED_CHATS holds {chat!r}.",
                "Write numeric ids with commas, or *.",
            )

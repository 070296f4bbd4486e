"""Every setting, read from the environment or `.env`; docs/settings.md says what each means.

Nothing else reads settings from the environment. What is wrong here is either told at once in one line
(a value that cannot be read) or by a system check (mediahub/checks.py), which knows a cure.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from corsheaders.defaults import default_headers
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static

from mediahub import metric_files
from mediahub.environment import Environment, env_file

BASE_DIR = Path(__file__).resolve().parent.parent
ENV = Environment(env_file(BASE_DIR))

# ------------------------------------------------------------------- this process

# What kind of process this is, told by how it was started: connections and metrics differ.
ROLE = (
    "web"
    if "gunicorn" in Path(sys.argv[0]).parts[-2:]
    else "worker"
    if sys.argv[1:2] == ["qcluster"]
    else "command"
)
# Commands whose files are for others to read: sources, and static files of an image.
_WRITES_SOURCES = {"makemigrations", "collectstatic", "spectacular"}
if not _WRITES_SOURCES & set(sys.argv[1:2]):
    os.umask(0o077)

DEBUG = ENV.flag("DEBUG", default=False)
HOST = ENV.text("HOST", "127.0.0.1")
PORT = ENV.number("PORT", 8000)
HOST_NAME = ENV.text("HOST_NAME")  # empty: the machine's own
DATA_DIR = ENV.path("DATA_DIR", BASE_DIR / "data", base=BASE_DIR)
WEB_WORKERS = ENV.number("WEB_WORKERS", 2)
WEB_THREADS = ENV.number("WEB_THREADS", 32)
MAX_EVENT_STREAMS = ENV.number("MAX_EVENT_STREAMS", 600)
STOP_GRACE_S = ENV.number("STOP_GRACE_S", 60)
# Used by `manage.py prepare` on the first start; read there, listed here.
DJANGO_SUPERUSER_USERNAME = ENV.text("DJANGO_SUPERUSER_USERNAME", "admin")
ENV.secret("DJANGO_SUPERUSER_PASSWORD")
ENV.text("DJANGO_SUPERUSER_EMAIL")

# ------------------------------------------------------------------- security

DEVELOPMENT_KEY = "for development only: not a secret, not a secret, not a secret"
SECRET_KEY_FILE = DATA_DIR / "secret-key"


def _secret_key() -> str:
    """SECRET_KEY; else the key that `make run` made in DATA_DIR; else, with DEBUG alone, a known one."""
    key = ENV.secret("SECRET_KEY")
    if not key:
        with contextlib.suppress(OSError):
            key = SECRET_KEY_FILE.read_text().strip()
    if DEBUG:
        return key or DEVELOPMENT_KEY
    if not key:
        raise ImproperlyConfigured(
            "There is no SECRET_KEY. Set it to a long random text, or let `make run` make one in "
            f"DATA_DIR ({DATA_DIR}). For development DEBUG=true does without."
        )
    known = (
        DEVELOPMENT_KEY,
        "changeme",
        "change-me",
        "change me",
        "secret",
        "secret-key",
        "insecure",
    )
    if key.lower() in known or key.startswith("django-insecure-"):
        raise ImproperlyConfigured(
            "SECRET_KEY is a known default, and whoever knows it can sign in as anybody. Set it to a "
            "long random text of your own."
        )
    return key


SECRET_KEY = _secret_key()
SECRET_KEY_FALLBACKS = ENV.names_of("SECRET_KEY_FALLBACKS")
ENV.secrets.add("SECRET_KEY_FALLBACKS")


def _own_address() -> str:
    host = "127.0.0.1" if HOST in {"0.0.0.0", "::", ""} else HOST  # noqa: S104 - not a binding
    return f"http://[{host}]:{PORT}" if ":" in host else f"http://{host}:{PORT}"


PUBLIC_URL = ENV.address("PUBLIC_URL", _own_address())
_public = urlsplit(PUBLIC_URL)
HTTPS = _public.scheme == "https"
_public_host = f"[{_public.hostname}]" if ":" in (_public.hostname or "") else _public.hostname
ALLOWED_HOSTS = ENV.names_of("ALLOWED_HOSTS") or sorted(
    {"localhost", "127.0.0.1", "[::1]", *([_public_host] if _public_host else [])}
)
CSRF_TRUSTED_ORIGINS = sorted(
    {*ENV.names_of("CSRF_TRUSTED_ORIGINS"), f"{_public.scheme}://{_public.netloc}"}
)
# Peers whose X-Forwarded-For and X-Forwarded-Proto are believed; see mediahub.middleware.
TRUSTED_PROXIES = ENV.networks("TRUSTED_PROXIES")
CORS_ALLOWED_ORIGINS = ENV.names_of("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/(api|v1)/"
CORS_ALLOW_HEADERS = [*default_headers, "idempotency-key", "x-request-id"]
CORS_EXPOSE_HEADERS = ["X-Request-ID", "Retry-After", "Location", "Idempotency-Replayed"]

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
# Without a named proxy every request looks like plain http here, and a redirect would never end.
SECURE_SSL_REDIRECT = HTTPS and bool(TRUSTED_PROXIES)
SECURE_REDIRECT_EXEMPT = [r"^health(/|$)", r"^metrics$"]  # asked by machines, from inside
# The middleware takes this header away from requests that no trusted proxy sent.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXIES else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SILENCED_SYSTEM_CHECKS = [
    "security.W005",  # subdomains are the operator's: HSTS is set for our own host alone
    "security.W021",  # and whether it is preloaded is theirs to decide
    *([] if SECURE_SSL_REDIRECT else ["security.W008"]),
]

# ------------------------------------------------------------------- people

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
AUTH_PASSWORD_VALIDATORS[1]["OPTIONS"] = {"min_length": 10}  # type: ignore[assignment]
SIGN_UP = ENV.flag("SIGN_UP", default=False)
DEFAULT_ROLE = ENV.text("DEFAULT_ROLE", "contributor")
API_RATE = ENV.text("API_RATE", "1200/min").removeprefix("none")  # empty: no limit
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"

LANGUAGE_CODE = "en"
TIME_ZONE = ENV.time_zone("TIME_ZONE", "UTC")
USE_TZ = True

# ------------------------------------------------------------------- apps and pages

INSTALLED_APPS = [
    "mediahub.apps.MediaHubConfig",
    "transcription.apps.TranscriptionConfig",
    "processing.apps.ProcessingConfig",
    "media_assets.apps.MediaAssetsConfig",
    "unfold",  # its templates stand before the admin's
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "corsheaders",
    "django_q",
    "django_htmx",
]
MIDDLEWARE = [
    "mediahub.middleware.RequestMiddleware",  # first: everything below has its id, and is logged
    "mediahub.api.errors.ErrorEnvelopeMiddleware",
    "mediahub.middleware.SecurityHeadersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "mediahub.api.sessions.ClientSessionMiddleware",
    "mediahub.api.idempotency.IdempotencyMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]
ROOT_URLCONF = "mediahub.urls"
WSGI_APPLICATION = "mediahub.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "MediaHub",
    "SITE_HEADER": "MediaHub",
    "SITE_SYMBOL": "perm_media",
    "SITE_URL": "/",
    "SITE_FAVICONS": [
        {
            "rel": "icon",
            "type": "image/svg+xml",
            "href": lambda request: static("mediahub/img/icon.svg"),
        }
    ],
    "STYLES": [lambda request: static("mediahub/css/staff.css")],
    # The accent of static/mediahub/css/tokens.css, in the theme's steps.
    "COLORS": {
        "primary": {
            "50": "oklch(97.5% .012 205)",
            "100": "oklch(94.5% .025 205)",
            "200": "oklch(89% .045 205)",
            "300": "oklch(81% .07 205)",
            "400": "oklch(72% .085 205)",
            "500": "oklch(62% .095 205)",
            "600": "oklch(47% .08 205)",
            "700": "oklch(38% .065 205)",
            "800": "oklch(32% .055 205)",
            "900": "oklch(27% .045 205)",
            "950": "oklch(20% .035 205)",
        }
    },
}

# ------------------------------------------------------------------- database


def _database() -> dict[str, Any]:
    config = ENV.database("DATABASE_URL", f"sqlite:///{DATA_DIR / 'mediahub.sqlite3'}")
    options = config.setdefault("OPTIONS", {})
    config["CONN_HEALTH_CHECKS"] = True
    if config["ENGINE"] == "django.db.backends.sqlite3":
        _set_up_sqlite(config, options)
    elif config["ENGINE"] == "django.db.backends.postgresql":
        _set_up_postgresql(config, options)
    else:
        raise ImproperlyConfigured("DATABASE_URL: expected sqlite:///… or postgres://….")
    return config


def _set_up_sqlite(config: dict[str, Any], options: dict[str, Any]) -> None:
    if config["NAME"] != ":memory:":
        config["NAME"] = str(BASE_DIR / config["NAME"])
    config.setdefault("CONN_MAX_AGE", 600)
    options |= {
        # A transaction that reads first and writes later would else fail with "database is locked".
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        # FULL, because an accepted upload must survive a power cut.
        "init_command": (
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            " PRAGMA mmap_size=134217728; PRAGMA journal_size_limit=67108864;"
        ),
    }


def _set_up_postgresql(config: dict[str, Any], options: dict[str, Any]) -> None:
    """Web processes share a pool, since they have more threads than connections; a worker's few
    threads keep a connection each, which django-q2 needs to be quick. Django refuses both at once."""
    options.setdefault("connect_timeout", 5)  # seconds
    options.setdefault("application_name", f"mediahub-{ROLE}")
    if ROLE == "web" and DATABASE_POOL:
        config["CONN_MAX_AGE"] = 0
        options["pool"] = {"min_size": 1, "max_size": DATABASE_POOL, "timeout": 4}
    else:
        config.setdefault("CONN_MAX_AGE", 600)


DATABASE_POOL = ENV.number("DATABASE_POOL", WEB_THREADS)
DATABASES = {"default": _database()}

CACHE_TABLE = "mediahub_cache"  # made by a migration
CACHES = {"default": ENV.cache("CACHE_URL", f"dbcache://{CACHE_TABLE}")}
if CACHES["default"]["BACKEND"].endswith("DatabaseCache"):
    # Django keeps 300 entries unless told; rate limits alone need some for each client.
    CACHES["default"].setdefault("OPTIONS", {}).setdefault("MAX_ENTRIES", 20_000)
_quick_cache = CACHES["default"]["BACKEND"].rpartition(".")[2] in {
    "RedisCache",
    "MemcachedCache",
    "PyMemcacheCache",
    "PyLibMCCache",
}
SESSION_ENGINE = f"django.contrib.sessions.backends.{'cached_db' if _quick_cache else 'db'}"

# ------------------------------------------------------------------- storage

MEDIA_STORAGE = ENV.choice("MEDIA_STORAGE", "local", ["local", "s3"])
MEDIA_ROOT = ENV.path("MEDIA_ROOT", DATA_DIR / "media", base=BASE_DIR)
S3_BUCKET = ENV.text("S3_BUCKET")
S3_PREFIX = ENV.text("S3_PREFIX").strip("/")
S3_ENDPOINT_URL = ENV.address("S3_ENDPOINT_URL")
S3_REGION = ENV.text("S3_REGION")
AWS_ACCESS_KEY_ID = ENV.secret("AWS_ACCESS_KEY_ID")
AWS_SECRET_ACCESS_KEY = ENV.secret("AWS_SECRET_ACCESS_KEY")
S3_SSE = ENV.text("S3_SSE")  # AES256, aws:kms or aws:kms:<key id>
CLOUDFRONT_DOMAIN = ENV.text("CLOUDFRONT_DOMAIN")
CLOUDFRONT_KEY_ID = ENV.text("CLOUDFRONT_KEY_ID")
CLOUDFRONT_KEY = ENV.secret("CLOUDFRONT_KEY").replace("\\n", "\n")
SIGNED_URL_S = ENV.number("SIGNED_URL_S", 3600)
ARCHIVE_BUCKET = ENV.text("ARCHIVE_BUCKET")


def _bucket(name: str) -> dict[str, Any]:
    encryption: dict[str, str] = {}
    if S3_SSE:
        scheme, _, key = S3_SSE.partition("aws:kms:")
        encryption = {"ServerSideEncryption": scheme or "aws:kms"}
        encryption |= {"SSEKMSKeyId": key} if key else {}
    return {
        "BACKEND": "media_assets.buckets.BucketStorage",
        "OPTIONS": {
            "bucket_name": name,
            "location": S3_PREFIX,
            "endpoint_url": S3_ENDPOINT_URL or None,
            "region_name": S3_REGION or None,
            "access_key": AWS_ACCESS_KEY_ID or None,
            "secret_key": AWS_SECRET_ACCESS_KEY or None,
            # Compatible servers rarely answer to a name for each bucket.
            "addressing_style": "path" if S3_ENDPOINT_URL else "auto",
            "signature_version": "s3v4",
            "default_acl": None,
            "object_parameters": encryption,
        },
    }


def _media_storage() -> dict[str, Any]:
    if MEDIA_STORAGE == "local":
        return {
            "BACKEND": "media_assets.storage.LocalStorage",
            "OPTIONS": {"location": MEDIA_ROOT},
        }
    storage = _bucket(S3_BUCKET)
    if CLOUDFRONT_DOMAIN and CLOUDFRONT_KEY_ID and CLOUDFRONT_KEY:
        storage["OPTIONS"] |= {
            "custom_domain": CLOUDFRONT_DOMAIN,
            "cloudfront_key_id": CLOUDFRONT_KEY_ID,
            "cloudfront_key": CLOUDFRONT_KEY,
        }
    return storage


def _bucket_origins() -> list[str]:
    """Where browsers meet the bucket: signed downloads, and uploads sent straight to it."""
    if MEDIA_STORAGE != "s3":
        return []
    if S3_ENDPOINT_URL:
        found = ["{0.scheme}://{0.netloc}".format(urlsplit(S3_ENDPOINT_URL))]
    else:
        regional = [f"https://{S3_BUCKET}.s3.{S3_REGION}.amazonaws.com"] if S3_REGION else []
        found = [f"https://{S3_BUCKET}.s3.amazonaws.com", *regional]
    return [*found, *([f"https://{CLOUDFRONT_DOMAIN}"] if CLOUDFRONT_DOMAIN else [])]


BUCKET_ORIGINS = _bucket_origins()
# Off, static files are served from where they lie, under their plain names: for development and tests.
STATIC_MANIFEST = ENV.flag("STATIC_MANIFEST", default=not DEBUG)
STORAGES: dict[str, dict[str, Any]] = {
    "default": _media_storage(),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if STATIC_MANIFEST
        else "django.contrib.staticfiles.storage.StaticFilesStorage",
        # Public, and in an image often read by another user than the one who made them.
        "OPTIONS": {"file_permissions_mode": 0o644, "directory_permissions_mode": 0o755},
    },
}
if ARCHIVE_BUCKET:
    STORAGES["archive"] = _bucket(ARCHIVE_BUCKET)

STATIC_URL = "/static/"
STATIC_ROOT = ENV.path("STATIC_ROOT", BASE_DIR / "staticfiles", base=BASE_DIR)
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = not STATIC_MANIFEST
WHITENOISE_ALLOW_ALL_ORIGINS = False  # our scripts and icons are for our pages

MB = 1 << 20
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
# On the volume of the media: what is kept is linked, not copied.
FILE_UPLOAD_TEMP_DIR = (MEDIA_ROOT if MEDIA_STORAGE == "local" else DATA_DIR) / ".incoming"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * MB  # a data: URL of 10 MB is a third longer in base64
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2000
DATA_UPLOAD_MAX_NUMBER_FILES = 100

# ------------------------------------------------------------------- archive, cache, retention

CACHE_LIMIT_GB = ENV.fraction("CACHE_LIMIT_GB", 10)
RETENTION_HOURS = ENV.optional_number("RETENTION_HOURS")
RETENTION_HOURS_IMAGE = ENV.optional_number("RETENTION_HOURS_IMAGE")
RETENTION_HOURS_AUDIO = ENV.optional_number("RETENTION_HOURS_AUDIO")
RETENTION_HOURS_VIDEO = ENV.optional_number("RETENTION_HOURS_VIDEO")
RETENTION_HOURS_DOCUMENT = ENV.optional_number("RETENTION_HOURS_DOCUMENT")
ACCESS_LOG_DAYS = ENV.number("ACCESS_LOG_DAYS", 90)
CLEANUP_INTERVAL_MINUTES = ENV.number("CLEANUP_INTERVAL_MINUTES", 60)
TRASH_DAYS = ENV.number("TRASH_DAYS", 30)

# ------------------------------------------------------------------- limits

MAX_IMAGE_MB = ENV.number("MAX_IMAGE_MB", 100)
MAX_AUDIO_MB = ENV.number("MAX_AUDIO_MB", 500)
MAX_VIDEO_MB = ENV.number("MAX_VIDEO_MB", 2000)
MAX_DOCUMENT_MB = ENV.number("MAX_DOCUMENT_MB", 100)
MAX_UPLOAD_MB = ENV.optional_number("MAX_UPLOAD_MB")
MAX_PIXELS = ENV.number("MAX_PIXELS", 50_000_000)
MAX_DURATION_S = ENV.number("MAX_DURATION_S", 14_400)
MAX_PAGES = ENV.number("MAX_PAGES", 2000)
ALLOWED_FORMATS = ENV.names_of("ALLOWED_FORMATS")  # empty: all that MediaHub understands
MIN_FREE_MB = ENV.number("MIN_FREE_MB", 512)
USER_QUOTA_GB = ENV.optional_fraction("USER_QUOTA_GB")
USER_QUOTA_FILES = ENV.optional_number("USER_QUOTA_FILES")

# ------------------------------------------------------------------- downloads and webhooks

DOWNLOAD_TIMEOUT_S = ENV.fraction("DOWNLOAD_TIMEOUT_S", 30)
DOWNLOAD_TOTAL_S = ENV.fraction("DOWNLOAD_TOTAL_S", 600)
DOWNLOAD_CONCURRENCY = ENV.number("DOWNLOAD_CONCURRENCY", 5)
DOWNLOAD_ALLOW_HOSTS = ENV.names_of("DOWNLOAD_ALLOW_HOSTS")
WEBHOOK_ALLOW_HOSTS = ENV.names_of("WEBHOOK_ALLOW_HOSTS")
URL_CACHE_HOURS = ENV.number("URL_CACHE_HOURS", 24)

CLAMD_ADDRESS = ENV.text("CLAMD_ADDRESS")
CLAMD_REQUIRED = ENV.flag("CLAMD_REQUIRED", default=False)

# ------------------------------------------------------------------- providers

OPENAI_API_KEY = ENV.secret("OPENAI_API_KEY")
OPENAI_BASE_URL = ENV.text("OPENAI_BASE_URL", "https://api.openai.com/v1")
OPENAI_VISION_MODEL = ENV.text("OPENAI_VISION_MODEL", "gpt-6-luna")
OPENAI_TEXT_MODEL = ENV.text("OPENAI_TEXT_MODEL", "gpt-6-luna")
# The one of OpenAI's models that tells when each word was said.
OPENAI_TRANSCRIPTION_MODEL = ENV.text("OPENAI_TRANSCRIPTION_MODEL", "whisper-1")
ANTHROPIC_API_KEY = ENV.secret("ANTHROPIC_API_KEY")
ANTHROPIC_BASE_URL = ENV.text("ANTHROPIC_BASE_URL", "https://api.anthropic.com")
ANTHROPIC_VISION_MODEL = ENV.text("ANTHROPIC_VISION_MODEL", "claude-haiku-5-5")
ANTHROPIC_TEXT_MODEL = ENV.text("ANTHROPIC_TEXT_MODEL", "claude-haiku-5-5")
GROQ_API_KEY = ENV.secret("GROQ_API_KEY")
GROQ_BASE_URL = ENV.text("GROQ_BASE_URL", "https://api.groq.com/openai/v1")
GROQ_TRANSCRIPTION_MODEL = ENV.text("GROQ_TRANSCRIPTION_MODEL", "whisper-large-v3-turbo")
DEEPGRAM_API_KEY = ENV.secret("DEEPGRAM_API_KEY")
DEEPGRAM_BASE_URL = ENV.text("DEEPGRAM_BASE_URL", "https://api.deepgram.com/v1")
DEEPGRAM_TRANSCRIPTION_MODEL = ENV.text("DEEPGRAM_TRANSCRIPTION_MODEL", "nova-3")
GEMINI_API_KEY = ENV.secret("GEMINI_API_KEY")
GEMINI_BASE_URL = ENV.text(
    "GEMINI_BASE_URL", "https://generativelanguage.googleapis.com/v1beta/openai"
)
GEMINI_VISION_MODEL = ENV.text("GEMINI_VISION_MODEL", "gemini-3.5-flash-lite")
GEMINI_TEXT_MODEL = ENV.text("GEMINI_TEXT_MODEL", "gemini-3.5-flash-lite")
GEMINI_TRANSCRIPTION_MODEL = ENV.text("GEMINI_TRANSCRIPTION_MODEL", "gemini-3.5-flash-lite")
MINIMAX_API_KEY = ENV.secret("MINIMAX_API_KEY")
MINIMAX_BASE_URL = ENV.text("MINIMAX_BASE_URL", "https://api.minimax.io/v1")
MINIMAX_VISION_MODEL = ENV.text("MINIMAX_VISION_MODEL", "MiniMax-M3")
MINIMAX_TEXT_MODEL = ENV.text("MINIMAX_TEXT_MODEL", "MiniMax-M3")
LOCAL_WHISPER_MODEL = ENV.text("LOCAL_WHISPER_MODEL")  # a folder or a name; empty: no local speech

AWS_ANALYSIS = ENV.flag("AWS_ANALYSIS", default=False)
AWS_ANALYSIS_REGION = ENV.text("AWS_ANALYSIS_REGION", "us-east-1")
AWS_ANALYSIS_ENDPOINT_URL = ENV.text("AWS_ANALYSIS_ENDPOINT_URL")
AWS_ANALYSIS_ACCESS_KEY_ID = ENV.secret("AWS_ANALYSIS_ACCESS_KEY_ID")
AWS_ANALYSIS_SECRET_ACCESS_KEY = ENV.secret("AWS_ANALYSIS_SECRET_ACCESS_KEY")
AWS_ANALYSIS_BUCKET = ENV.text("AWS_ANALYSIS_BUCKET")
REKOGNITION_MAX_LABELS = ENV.number("REKOGNITION_MAX_LABELS", 10)
REKOGNITION_MIN_CONFIDENCE = ENV.fraction("REKOGNITION_MIN_CONFIDENCE", 0.7)
TRANSCRIBE_LANGUAGE_CODE = ENV.text("TRANSCRIBE_LANGUAGE_CODE")  # empty: detected

# ------------------------------------------------------------------- chains and analysis

VISION_PROVIDERS = ENV.names_of(
    "VISION_PROVIDERS", "anthropic,openai,minimax,gemini,rekognition,local"
)
TRANSCRIPTION_PROVIDERS = ENV.names_of(
    "TRANSCRIPTION_PROVIDERS", "groq,deepgram,openai,gemini,aws,local"
)
TEXT_PROVIDERS = ENV.names_of("TEXT_PROVIDERS", "anthropic,openai,minimax,gemini,local")
VISION_MAX_SIDE = ENV.number("VISION_MAX_SIDE", 1024)
OCR_LANGUAGES = ENV.text("OCR_LANGUAGES", "eng")
ANSWER_LANGUAGE = ENV.text("ANSWER_LANGUAGE")  # empty: the user's
FRAME_FPS = ENV.fraction("FRAME_FPS", 3)
CONTACT_SHEET_GRID = ENV.text("CONTACT_SHEET_GRID", "2x3")
FRAME_FORMAT = ENV.choice("FRAME_FORMAT", "jpg", ["jpg", "png", "webp"])
BREAKER_FAILURES = ENV.number("BREAKER_FAILURES", 5)
BREAKER_COOLDOWN_S = ENV.fraction("BREAKER_COOLDOWN_S", 60)
BUDGET_DAY_USD = ENV.optional_money("BUDGET_DAY_USD")
BUDGET_MONTH_USD = ENV.optional_money("BUDGET_MONTH_USD")

# ------------------------------------------------------------------- jobs

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
JOB_MAX_ATTEMPTS = ENV.number("JOB_MAX_ATTEMPTS", 3)
JOB_LEASE_S = ENV.fraction("JOB_LEASE_S", 15)
JOB_TIMEOUT_S = ENV.fraction("JOB_TIMEOUT_S", 900)
WORKERS = ENV.number("WORKERS", CORES)
JOB_THREADS = ENV.number("JOB_THREADS", 8)
CPU_SLOTS = ENV.number("CPU_SLOTS", CORES)
QUEUE_BROKER = ENV.choice("QUEUE_BROKER", "orm", ["orm", "redis", "sqs"])
REDIS_URL = ENV.secret("REDIS_URL")
SQS_QUEUE = ENV.text("SQS_QUEUE")


def _broker() -> dict[str, Any]:
    match QUEUE_BROKER:
        case "redis":
            # A Redis that does not answer must not hold up who asks for work.
            sign = "&" if "?" in REDIS_URL else "?"
            return {"redis": f"{REDIS_URL}{sign}socket_connect_timeout=3&socket_timeout=5"}
        case "sqs":
            session = {
                "aws_region": S3_REGION,
                "aws_access_key_id": AWS_ACCESS_KEY_ID,
                "aws_secret_access_key": AWS_SECRET_ACCESS_KEY,
            }
            return {
                "sqs": {key: value for key, value in session.items() if value}
                | {"receive_message_wait_time_seconds": 20},
                "cluster_name": SQS_QUEUE or "mediahub",
            }
        case _:
            return {"orm": "default"}


# django-q2 carries wake-ups alone: time, attempts and results are the engine's own affair.
Q_CLUSTER: dict[str, Any] = {
    "name": "mediahub",  # also the salt of messages: the same everywhere
    **_broker(),
    "workers": WORKERS,
    "timeout": None,
    "retry": 3600,
    "queue_limit": WORKERS,
    "bulk": 1,
    "poll": 0.1,
    "guard_cycle": 0.5,
    "save_limit": -1,
    "ack_failures": True,
    "max_attempts": 1,
    "recycle": 500,
    "max_rss": 1_500_000,  # kB; a process past it ends after its drain and another takes its place
    "catch_up": False,
    "scheduler": False,
    "log_level": "INFO",
}
# django-q2 says this at import where it keeps no time of its own, which is meant here.
warnings.filterwarnings("ignore", message="Retry and timeout are misconfigured", module="django_q")

# ------------------------------------------------------------------- Telegram

TELEGRAM_BOT_TOKEN = ENV.secret("TELEGRAM_BOT_TOKEN")
TELEGRAM_WEBHOOK_SECRET = ENV.secret("TELEGRAM_WEBHOOK_SECRET")
TELEGRAM_API_URL = ENV.address("TELEGRAM_API_URL", "https://api.telegram.org")
TELEGRAM_ALLOWED_CHATS = ENV.names_of("TELEGRAM_ALLOWED_CHATS")
TELEGRAM_OWNER = ENV.text("TELEGRAM_OWNER")
TELEGRAM_REPLY = ENV.flag("TELEGRAM_REPLY", default=True)

# ------------------------------------------------------------------- API

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "mediahub.api.authentication.KeyAuthentication",  # first: a 401 names its scheme
        "mediahub.api.authentication.JwtAuthentication",
        "mediahub.api.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": [
        "rest_framework.permissions.IsAuthenticated",
        "mediahub.api.permissions.RequiresScope",
    ],
    "DEFAULT_THROTTLE_CLASSES": ["mediahub.api.throttles.ApiThrottle"],
    "DEFAULT_PAGINATION_CLASS": "mediahub.api.pagination.CursorPagination",
    "DEFAULT_FILTER_BACKENDS": ["mediahub.api.filters.KnownFilters"],
    "DEFAULT_PARSER_CLASSES": [
        "mediahub.api.parsers.StrictJSONParser",
        "rest_framework.parsers.FormParser",
        "rest_framework.parsers.MultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "mediahub.api.schema.HouseSchema",
    "EXCEPTION_HANDLER": "mediahub.api.errors.exception_handler",
    "URL_FORMAT_OVERRIDE": None,  # `?format=` is an export's own
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT: dict[str, Any] = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=14),
    "ALGORITHM": "HS256",
    # A key of its own: what leaks or is changed here leaves sessions and signed addresses alone.
    "SIGNING_KEY": hashlib.sha256(b"mediahub.jwt:" + SECRET_KEY.encode()).hexdigest(),
    "AUDIENCE": "mediahub-api",
    "ISSUER": "mediahub",
    "USER_ID_CLAIM": "sub",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "MediaHub",
    "DESCRIPTION": "Keeps a team's media, finds out what is in them, and lets people check it.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AssetStatusEnum": "media_assets.models.Status",
        "JobStatusEnum": "processing.models.JobStatus",
        "KindEnum": "media_assets.models.Kind",
        "JobKindEnum": "processing.models.JobKind",
        "BatchStatusEnum": "processing.models.BatchState",
        "RoleEnum": "media_assets.models.Role",
        "ScopeEnum": "mediahub.models.Scope",
    },
}

# ------------------------------------------------------------------- what operations look at

METRICS_TOKEN = ENV.secret("METRICS_TOKEN")
METRICS_ALLOW = ENV.networks("METRICS_ALLOW")
SENTRY_DSN = ENV.secret("SENTRY_DSN")
SENTRY_ENVIRONMENT = ENV.text("SENTRY_ENVIRONMENT", "production")
LOG_FORMAT = ENV.choice("LOG_FORMAT", "text" if DEBUG else "json", ["json", "text"])
LOG_LEVEL = ENV.choice("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])
_log_file = ENV.text("LOG_FILE", str(DATA_DIR / "logs" / "media.log"))
LOG_FILE = None if _log_file == "none" else BASE_DIR / _log_file
LOG_FILE_MB = ENV.number("LOG_FILE_MB", 20)
LOG_FILE_COUNT = ENV.number("LOG_FILE_COUNT", 5)
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "json": {"()": "mediahub.logging.JsonFormatter"},
        "text": {"()": "mediahub.logging.TextFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT},
        **(
            {
                "file": {
                    "()": "mediahub.logging.LogFile",
                    "formatter": LOG_FORMAT,
                    "filename": LOG_FILE,
                    "most_bytes": LOG_FILE_MB * MB,
                    "count": LOG_FILE_COUNT,
                }
            }
            if LOG_FILE
            else {}
        ),
    },
    "root": {"level": LOG_LEVEL, "handlers": ["console", *(["file"] if LOG_FILE else [])]},
    "loggers": {
        # Django's own handlers go: everything reaches the root's.
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True, "level": "ERROR"},
        "django.request": {"level": "ERROR"},  # a 4xx is in the access line
        "gunicorn.error": {"handlers": [], "propagate": True, "level": "INFO"},
        "django-q": {"level": "WARNING"},  # else two lines for each wake-up
        **{
            name: {"level": "WARNING"}
            for name in ("botocore", "boto3", "s3transfer", "urllib3", "httpx", "httpcore", "PIL")
        },
    },
}

# ------------------------------------------------------------------- the folders of this machine

for _folder in (DATA_DIR, DATA_DIR / "run", FILE_UPLOAD_TEMP_DIR):
    with contextlib.suppress(OSError):  # a check says what is wrong, and its cure
        _folder.mkdir(mode=0o700, parents=True, exist_ok=True)

# A command's numbers would be seen by nobody. Here, because the first metric may be defined by any app.
if ROLE != "command":
    metric_files.share(DATA_DIR / "run" / "metrics")

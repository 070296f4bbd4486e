"""System checks: each thing that can be wrong is told with its id and a cure, and a sound house is silent."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import CheckMessage

from mediahub import checks

ROOT = Path(__file__).parent.parent.parent
ALL = [
    checks.folders,
    checks.numbers,
    checks.secret_key,
    checks.public_url,
    checks.public_url_is_secure,
    checks.servers,
    checks.people,
    checks.allowed_hosts_of_requests,
    checks.connections,
    checks.shared_cache,
    checks.broker,
    checks.buckets,
    checks.keys_of_aws,
    checks.formats,
    checks.scanner,
    checks.chains,
    checks.analysis,
    checks.telegram,
]


def _found() -> Iterator[CheckMessage]:
    for check in ALL:
        yield from check()


@pytest.fixture(autouse=True)
def _sound(settings: Any) -> None:
    settings.PUBLIC_URL = "https://media.example.com"
    settings.HTTPS = True


def test_a_sound_house_is_silent() -> None:
    assert list(_found()) == []


BOT = {"TELEGRAM_BOT_TOKEN": "1:x", "TELEGRAM_WEBHOOK_SECRET": "s", "TELEGRAM_OWNER": "alice"}


@pytest.mark.parametrize(
    ("wrong", "id_"),
    [
        ({"JOB_LEASE_S": 0.5}, "E006"),
        ({"JOB_LEASE_S": 3}, "W006"),
        ({"REKOGNITION_MIN_CONFIDENCE": 70}, "E007"),
        ({"FRAME_FPS": 0}, "E008"),
        ({"SECRET_KEY": "short"}, "W011"),
        ({"PUBLIC_URL": "media.example.com"}, "E012"),
        ({"PUBLIC_URL": "https://"}, "E012"),
        ({"PUBLIC_URL": "https://media.example.com/hub"}, "E012"),
        ({"PUBLIC_URL": "https://user:pw@media.example.com"}, "E012"),
        ({"PUBLIC_URL": "https://media.example.com:port"}, "E012"),
        ({"PUBLIC_URL": "https://media.example.com?a=b"}, "E012"),
        ({"PUBLIC_URL": "http://media.example.com", "HTTPS": False}, "W013"),
        ({"S3_ENDPOINT_URL": "minio:9000"}, "E014"),
        ({"AWS_ANALYSIS_ENDPOINT_URL": "ftp://x"}, "E014"),
        ({"TELEGRAM_API_URL": "api.telegram.org"}, "E014"),
        ({"OPENAI_BASE_URL": "localhost:11434/v1"}, "E014"),
        ({"MINIMAX_BASE_URL": "https://"}, "E014"),
        ({"DEFAULT_ROLE": "boss"}, "E015"),
        ({"API_RATE": "many"}, "E016"),
        ({"DOWNLOAD_ALLOW_HOSTS": ["intranet"]}, "E017"),
        ({"WEBHOOK_ALLOW_HOSTS": ["10.0.0.1/8"]}, "E017"),
        ({"DATABASES": {"default": {"CONN_MAX_AGE": 60, "OPTIONS": {"pool": True}}}}, "E020"),
        (
            {"CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}},
            "W021",
        ),
        ({"QUEUE_BROKER": "redis", "REDIS_URL": ""}, "E022"),
        ({"QUEUE_BROKER": "sqs", "SQS_QUEUE": ""}, "E023"),
        ({"MEDIA_STORAGE": "s3", "S3_BUCKET": ""}, "E030"),
        ({"MEDIA_STORAGE": "s3", "S3_BUCKET": "same", "ARCHIVE_BUCKET": "same"}, "E031"),
        ({"MEDIA_STORAGE": "s3", "S3_BUCKET": "media", "SIGNED_URL_S": 700_000}, "E032"),
        ({"S3_SSE": "rot13"}, "E033"),
        ({"CLOUDFRONT_DOMAIN": "d1.cloudfront.net"}, "E034"),
        ({"AWS_ACCESS_KEY_ID": "id"}, "E035"),
        ({"AWS_SECRET_ACCESS_KEY": "secret"}, "E035"),
        ({"AWS_ANALYSIS_ACCESS_KEY_ID": "id"}, "E035"),
        ({"ALLOWED_FORMATS": ["jpg", "svg"]}, "E036"),
        ({"CLAMD_REQUIRED": True}, "E037"),
        ({"CLAMD_ADDRESS": "scanner"}, "E038"),
        ({"VISION_PROVIDERS": ["openai", "groq"]}, "E040"),
        ({"TRANSCRIPTION_PROVIDERS": ["anthropic"]}, "E040"),
        ({"TEXT_PROVIDERS": ["eliza"]}, "E040"),
        ({"CONTACT_SHEET_GRID": "2 by 3"}, "E041"),
        ({"CONTACT_SHEET_GRID": "0x3"}, "E041"),
        ({"AWS_ANALYSIS": True}, "W042"),
        ({**BOT, "TELEGRAM_WEBHOOK_SECRET": ""}, "E043"),
        ({**BOT, "TELEGRAM_WEBHOOK_SECRET": "not this!"}, "E044"),
        ({**BOT, "TELEGRAM_OWNER": ""}, "E045"),
        ({**BOT, "TELEGRAM_ALLOWED_CHATS": ["-100", "@channel"]}, "E046"),
    ],
)
# Django warns of settings a test must not change while the database is used; here nothing uses it.
@pytest.mark.filterwarnings("ignore:Overriding setting DATABASES")
def test_what_is_wrong_is_told_with_a_cure(settings: Any, wrong: dict[str, Any], id_: str) -> None:
    for name, value in wrong.items():
        setattr(settings, name, value)
    (message,) = _found()
    assert message.id == f"mediahub.{id_}"
    assert message.hint
    assert str(message.msg).endswith(".")


@pytest.mark.parametrize("name", [name for names in checks._AT_LEAST.values() for name in names])
def test_a_number_below_what_makes_sense_is_told(settings: Any, name: str) -> None:
    least = next(least for least, names in checks._AT_LEAST.items() if name in names)
    setattr(settings, name, least)
    assert list(_found()) == []
    setattr(settings, name, Decimal(least - 1))
    (message,) = _found()
    assert message.id == "mediahub.E005"
    assert name in str(message.msg)
    assert str(least) in str(message.hint)


def test_numbers_that_need_not_be_set_may_be_absent(settings: Any) -> None:
    for name in ("MAX_UPLOAD_MB", "RETENTION_HOURS", "BUDGET_DAY_USD", "USER_QUOTA_FILES"):
        setattr(settings, name, None)
    assert list(_found()) == []


def test_a_folder_that_is_a_file_is_told(settings: Any, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings.DATA_DIR = tmp_path / "file" / "data"
    settings.MEDIA_ROOT = tmp_path / "file"
    settings.LOG_FILE = tmp_path / "file" / "media.log"
    assert [message.id for message in _found()] == [
        "mediahub.E001",
        "mediahub.E002",
        "mediahub.W004",
    ]


def test_a_folder_without_permission_is_told(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.LOG_FILE = None
    # Who runs the tests may be root, whom permissions do not stop.
    monkeypatch.setattr("os.access", lambda path, mode: Path(path) != tmp_path)
    (message,) = _found()
    assert message.id == "mediahub.E001"
    assert "permission denied" in str(message.msg)


def test_a_folder_that_can_be_made_is_fine(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "not" / "yet"
    assert list(_found()) == []


def test_media_in_the_public_folder_are_told(settings: Any, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    settings.MEDIA_ROOT = tmp_path / "media"
    (message,) = _found()
    assert message.id == "mediahub.E003"


def test_the_key_for_development_is_told(settings: Any) -> None:
    settings.SECRET_KEY = settings.DEVELOPMENT_KEY
    (message,) = _found()
    assert message.id == "mediahub.E010"
    settings.DEBUG = True
    assert list(_found()) == []


def test_a_bucket_with_everything_is_fine(settings: Any) -> None:
    settings.MEDIA_STORAGE = "s3"
    settings.S3_BUCKET = "media"
    settings.ARCHIVE_BUCKET = "archive"
    settings.S3_SSE = "aws:kms:key"
    settings.AWS_ACCESS_KEY_ID = settings.AWS_SECRET_ACCESS_KEY = "x"
    settings.CLOUDFRONT_DOMAIN = settings.CLOUDFRONT_KEY_ID = settings.CLOUDFRONT_KEY = "x"
    assert list(_found()) == []


@pytest.mark.parametrize("address", ["127.0.0.1:3310", "[::1]:3310", "/run/clamav/clamd.ctl"])
def test_a_scanner_has_an_address_or_a_socket(settings: Any, address: str) -> None:
    settings.CLAMD_ADDRESS = address
    settings.CLAMD_REQUIRED = True
    assert list(_found()) == []


def test_every_check_is_registered_and_has_an_id_of_its_own() -> None:
    source = Path(checks.__file__).read_text()
    assert source.count("@_check(") == len(ALL)


def _manage_check(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "check", *arguments],
        env={**os.environ, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_deployment_on_https_passes_every_check(tmp_path: Path) -> None:
    result = _manage_check(
        "--deploy",
        "--fail-level=WARNING",
        PUBLIC_URL="https://media.example.com",
        DATA_DIR=str(tmp_path),
    )
    assert result.returncode == 0, result.stderr
    assert "no issues" in result.stdout


def test_an_error_stops_manage_and_tells_the_cure(tmp_path: Path) -> None:
    result = _manage_check(MEDIA_STORAGE="s3", DATA_DIR=str(tmp_path))
    assert result.returncode == 1
    assert "(mediahub.E030) MEDIA_STORAGE is s3, but S3_BUCKET is empty." in result.stderr
    assert "HINT: Name the bucket in S3_BUCKET." in result.stderr

"""Settings: what is read, what it means, what stops the start, and that all of it is documented."""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from mediahub.environment import Environment, env_file

ROOT = Path(__file__).parent.parent.parent
KEY = "k" * 25 + "0123456789" * 3
Read = Callable[..., dict[str, Any]]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Read]:
    """`read(NAME="value")`: the settings in this environment and no other."""
    umask = os.umask(0o022)

    def read_settings(**environment: str) -> dict[str, Any]:
        for name in django_settings.ENV.names:
            monkeypatch.delenv(name, raising=False)
        given = {
            "ENV_FILE": "",
            "DATA_DIR": str(tmp_path / "data"),
            "SECRET_KEY": KEY,
            **environment,
        }
        for name, value in given.items():
            monkeypatch.setenv(name, value)
        with warnings.catch_warnings():  # the module adds a filter of its own
            return runpy.run_path(str(ROOT / "mediahub" / "settings.py"))

    yield read_settings
    os.umask(umask)


# ------------------------------------------------------------------- documented


def _documented(text: str) -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE))


def test_the_example_lists_every_variable_that_is_read_and_no_other() -> None:
    names = _documented((ROOT / ".env.example").read_text()).keys()
    assert names == django_settings.ENV.names - {"ENV_FILE"}  # names the file itself


def test_the_page_of_settings_lists_every_variable_that_is_read_and_no_other() -> None:
    text = (ROOT / "docs" / "settings.md").read_text().partition("## How settings hang together")[0]
    assert (
        set(re.findall(r"^\| `([A-Z0-9_]+)` \|", text, re.MULTILINE)) == django_settings.ENV.names
    )


def test_the_examples_values_are_the_defaults(read: Read) -> None:
    example = _documented((ROOT / ".env.example").read_text())
    # Where things lie is another place in the example than in this test.
    for name in ("DATA_DIR", "SECRET_KEY", "MEDIA_ROOT", "DATABASE_URL", "LOG_FILE"):
        del example[name]
    with_example, plain = read(**example), read()
    with_example["ALLOWED_HOSTS"].sort()
    names = {name for name in plain if name.isupper()} - {"ENV", "UNFOLD"}
    assert {name: with_example[name] for name in names} == {name: plain[name] for name in names}


def test_the_names_of_earlier_systems_are_listed() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for name in (
        "MINIO_",
        "AWS_S3_BUCKET",
        "S3_BUCKET_NAME",
        "AUDIO_RETENTION_HOURS",
        "AUDIO_STORAGE_PATH",
        "MEDIA_ANALYSIS_",
    ):
        assert name in text


# ------------------------------------------------------------------- how values are read


@pytest.mark.parametrize("value", ["true", "True", "1", "yes", "on"])
def test_a_flag_may_be_said_in_several_ways(read: Read, value: str) -> None:
    assert read(SIGN_UP=value)["SIGN_UP"] is True


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DEBUG", "flase"),
        ("WORKERS", "two"),
        ("MAX_UPLOAD_MB", "1.5"),
        ("CACHE_LIMIT_GB", "much"),
        ("CACHE_LIMIT_GB", "nan"),
        ("BUDGET_DAY_USD", "inf"),
        ("QUEUE_BROKER", "rabbit"),
        ("MEDIA_STORAGE", "ftp"),
        ("LOG_FORMAT", "xml"),
        ("LOG_LEVEL", "loud"),
        ("FRAME_FORMAT", "tga"),
        ("TRUSTED_PROXIES", "proxy"),
        ("METRICS_ALLOW", "10.0.0.0/99"),
        ("PUBLIC_URL", "http://[::1"),
        ("S3_ENDPOINT_URL", "http://[minio"),
        ("TIME_ZONE", "Mars/Olympus"),
        ("TIME_ZONE", "../../etc/passwd"),
    ],
)
def test_a_value_that_cannot_be_read_stops_the_start_and_is_named(
    read: Read, name: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=re.escape(f"{name} is {value!r}: expected ")):
        read(**{name: value})


@pytest.mark.parametrize(
    "url",
    ["mysql://user:hunter2hunter2@host/db", "nonsense", "postgres://user:hunter2hunter2@host:x/db"],
)
def test_a_wrong_database_address_stops_the_start_without_telling_its_password(
    read: Read, url: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as caught:
        read(DATABASE_URL=url)
    assert "hunter2" not in str(caught.value)


def test_a_wrong_cache_address_stops_the_start(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="CACHE_URL"):
        read(CACHE_URL="carrier-pigeon://x")


def test_an_empty_value_counts_as_unset(read: Read) -> None:
    found = read(WORKERS="", VISION_PROVIDERS="", MAX_UPLOAD_MB="", DEBUG=" ")
    assert found["WORKERS"] >= 1
    assert "local" in found["VISION_PROVIDERS"]
    assert found["MAX_UPLOAD_MB"] is None
    assert found["DEBUG"] is False


def test_none_turns_a_default_off(read: Read) -> None:
    found = read(VISION_PROVIDERS="none", LOG_FILE="none", API_RATE="none", RETENTION_HOURS="none")
    assert found["VISION_PROVIDERS"] == []
    assert found["LOG_FILE"] is None
    assert "file" not in found["LOGGING"]["handlers"]
    assert found["API_RATE"] == ""
    assert found["RETENTION_HOURS"] is None


def test_a_dollar_sign_in_a_password_means_itself(read: Read) -> None:
    assert read(METRICS_TOKEN="$HOME and $more")["METRICS_TOKEN"] == "$HOME and $more"


def test_lists_are_written_with_commas(read: Read) -> None:
    found = read(TELEGRAM_ALLOWED_CHATS=" -100123, 42 ,,", TRUSTED_PROXIES="10.0.0.0/8,::1")
    assert found["TELEGRAM_ALLOWED_CHATS"] == ["-100123", "42"]
    assert found["TRUSTED_PROXIES"] == [ip_network("10.0.0.0/8"), ip_network("::1")]


def test_budgets_are_exact(read: Read) -> None:
    assert read(BUDGET_DAY_USD="0.1")["BUDGET_DAY_USD"] == Decimal("0.1")


def test_relative_paths_count_from_the_repository(read: Read) -> None:
    found = read(
        MEDIA_ROOT="some/media", LOG_FILE="some.log", DATABASE_URL="sqlite:///some.sqlite3"
    )
    assert found["MEDIA_ROOT"] == ROOT / "some/media"
    assert found["LOG_FILE"] == ROOT / "some.log"
    assert found["DATABASES"]["default"]["NAME"] == str(ROOT / "some.sqlite3")
    (ROOT / "some/media/.incoming").rmdir()
    (ROOT / "some/media").rmdir()
    (ROOT / "some").rmdir()


# ------------------------------------------------------------------- .env


def test_a_file_is_read_and_the_environment_wins_over_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("HERE_ONE='from the file'\n# a comment\nHERE_TWO=2\n")
    monkeypatch.setenv("HERE_TWO", "3")
    monkeypatch.setenv("HERE_ONE", "gone afterwards")
    monkeypatch.delenv("HERE_ONE")
    env = Environment(tmp_path / ".env")
    assert env.text("HERE_ONE") == "from the file"
    assert env.number("HERE_TWO", 0) == 3
    assert {"HERE_ONE", "HERE_TWO"} < env.names


def test_the_file_of_the_folder_one_is_in_comes_before_that_of_the_repository(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here, repository = tmp_path / "here", tmp_path / "repository"
    here.mkdir()
    repository.mkdir()
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(here)
    assert env_file(repository) is None
    (repository / ".env").touch()
    assert env_file(repository) == repository / ".env"
    (here / ".env").touch()
    assert env_file(repository) == here / ".env"
    monkeypatch.setenv("ENV_FILE", "other.env")
    assert env_file(repository) == repository / "other.env"
    monkeypatch.setenv("ENV_FILE", "")
    assert env_file(repository) is None


# ------------------------------------------------------------------- the secret key


def test_without_a_key_mediahub_does_not_start(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="There is no SECRET_KEY"):
        read(SECRET_KEY="")


@pytest.mark.parametrize("key", ["changeme", "Change-Me", "django-insecure-abc", "secret"])
def test_with_a_known_key_mediahub_does_not_start(read: Read, key: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="known default"):
        read(SECRET_KEY=key)


def test_the_key_for_development_is_refused_outside_debug(read: Read) -> None:
    key = read(SECRET_KEY="", DEBUG="true")["SECRET_KEY"]
    with pytest.raises(ImproperlyConfigured, match="known default"):
        read(SECRET_KEY=key)


def test_the_key_in_the_data_folder_is_used_where_none_is_set(read: Read, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "secret-key").write_text("a key made by make run\n")
    assert read(SECRET_KEY="")["SECRET_KEY"] == "a key made by make run"
    assert read()["SECRET_KEY"] == KEY


def test_manage_tells_a_wrong_setting_in_one_line(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        env={**os.environ, "WORKERS": "two", "DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert result.stderr == "WORKERS is 'two': expected a whole number.\n"


# ------------------------------------------------------------------- addresses and cookies


def test_an_https_address_makes_cookies_secure_and_turns_hsts_on(read: Read) -> None:
    found = read(PUBLIC_URL="https://media.example.com/")
    assert found["PUBLIC_URL"] == "https://media.example.com"
    assert found["SESSION_COOKIE_SECURE"]
    assert found["CSRF_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] == 31_536_000
    assert "media.example.com" in found["ALLOWED_HOSTS"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://media.example.com"]


def test_an_http_address_does_neither(read: Read) -> None:
    found = read()
    assert found["PUBLIC_URL"] == "http://127.0.0.1:8000"
    assert not found["SESSION_COOKIE_SECURE"]
    assert found["SECURE_HSTS_SECONDS"] == 0


def test_the_redirect_to_https_waits_for_a_proxy_that_is_named(read: Read) -> None:
    alone = read(PUBLIC_URL="https://media.example.com")
    assert not alone["SECURE_SSL_REDIRECT"]
    assert alone["SECURE_PROXY_SSL_HEADER"] is None
    behind = read(PUBLIC_URL="https://media.example.com", TRUSTED_PROXIES="10.0.0.1")
    assert behind["SECURE_SSL_REDIRECT"]
    assert behind["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")


def test_our_own_address_follows_host_and_port(read: Read) -> None:
    assert read(HOST="0.0.0.0", PORT="81")["PUBLIC_URL"] == "http://127.0.0.1:81"
    found = read(HOST="fd00::5")
    assert found["PUBLIC_URL"] == "http://[fd00::5]:8000"
    assert "[fd00::5]" in found["ALLOWED_HOSTS"]
    assert "a.example.com" in read(PUBLIC_URL="https://a.example.com:8443")["ALLOWED_HOSTS"]
    assert read(PUBLIC_URL="nonsense")["ALLOWED_HOSTS"] == ["127.0.0.1", "[::1]", "localhost"]


# ------------------------------------------------------------------- database


def test_sqlite_is_set_up_to_survive_a_power_cut_and_not_to_lock(read: Read) -> None:
    config = read()["DATABASES"]["default"]
    assert config["NAME"].endswith("/data/mediahub.sqlite3")
    assert config["OPTIONS"]["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in config["OPTIONS"]["init_command"]
    assert "synchronous=FULL" in config["OPTIONS"]["init_command"]


@pytest.mark.django_db
def test_the_test_database_runs_with_the_same_pragmas() -> None:
    from django.db import connection

    if connection.vendor != "sqlite":
        return
    with connection.cursor() as cursor:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            cursor.execute(f"PRAGMA {pragma}")
            assert cursor.fetchone() == (value,)


POSTGRES = "postgres://user:p%40ss@db.example.com:5433/media?sslmode=require"


@pytest.mark.parametrize("program", ["/venv/bin/gunicorn", "/venv/lib/gunicorn/__main__.py"])
def test_web_processes_share_a_pool(program: str, tmp_path: Path) -> None:
    config = _database_of([program, "mediahub.wsgi"], tmp_path)
    assert config["OPTIONS"]["pool"] == {"min_size": 1, "max_size": 32, "timeout": 4}
    assert config["CONN_MAX_AGE"] == 0
    assert config["PASSWORD"] == "p@ss"
    assert config["PORT"] == 5433
    assert config["OPTIONS"]["sslmode"] == "require"
    assert config["CONN_HEALTH_CHECKS"] is True


def test_workers_keep_their_connections(tmp_path: Path) -> None:
    config = _database_of(["/venv/lib/django/__main__.py", "qcluster"], tmp_path)
    assert "pool" not in config["OPTIONS"]
    assert config["CONN_MAX_AGE"] == 600
    assert config["CONN_HEALTH_CHECKS"] is True


def test_without_a_pool_web_processes_keep_their_connections(tmp_path: Path) -> None:
    config = _database_of(["/venv/bin/gunicorn"], tmp_path, DATABASE_POOL="0")
    assert "pool" not in config["OPTIONS"]
    assert config["CONN_MAX_AGE"] == 600


def _database_of(arguments: list[str], tmp_path: Path, **environment: str) -> dict[str, Any]:
    """The database of a process that was started so. In a process, because its numbers are set up too."""
    script = (
        f"import json, sys; sys.argv = {arguments!r};"
        "from mediahub import settings; print(json.dumps(settings.DATABASES['default']))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "DATABASE_URL": POSTGRES, "DATA_DIR": str(tmp_path), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(result.stdout)
    return found


# ------------------------------------------------------------------- storage and queue


def test_a_bucket_of_another_server_is_addressed_by_path(read: Read) -> None:
    found = read(
        MEDIA_STORAGE="s3",
        S3_BUCKET="media",
        S3_PREFIX="/team/",
        S3_ENDPOINT_URL="http://minio:9000/",
        S3_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="id",
        AWS_SECRET_ACCESS_KEY="secret",
        S3_SSE="AES256",
        SIGNED_URL_S="60",
        ARCHIVE_BUCKET="archive",
    )
    options = found["STORAGES"]["default"]["OPTIONS"]
    assert options["bucket_name"] == "media"
    assert options["location"] == "team"
    assert options["endpoint_url"] == "http://minio:9000"
    assert options["addressing_style"] == "path"
    assert options["signature_version"] == "s3v4"
    assert options["default_acl"] is None
    assert options["object_parameters"] == {"ServerSideEncryption": "AES256"}
    assert found["STORAGES"]["archive"]["OPTIONS"]["bucket_name"] == "archive"
    assert found["BUCKET_ORIGINS"] == ["http://minio:9000"]


@pytest.mark.parametrize(
    ("value", "parameters"),
    [
        ("aws:kms", {"ServerSideEncryption": "aws:kms"}),
        ("aws:kms:key-1", {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "key-1"}),
    ],
)
def test_a_bucket_may_be_encrypted_with_a_key_of_ones_own(
    read: Read, value: str, parameters: dict[str, str]
) -> None:
    found = read(MEDIA_STORAGE="s3", S3_BUCKET="media", S3_SSE=value)
    assert found["STORAGES"]["default"]["OPTIONS"]["object_parameters"] == parameters


def test_cloudfront_signs_where_it_is_complete(read: Read) -> None:
    aws = {"MEDIA_STORAGE": "s3", "S3_BUCKET": "media", "S3_REGION": "eu-west-1"}
    cloudfront = {"CLOUDFRONT_DOMAIN": "d1.cloudfront.net", "CLOUDFRONT_KEY_ID": "K1"}
    half = read(**aws, **cloudfront)["STORAGES"]["default"]["OPTIONS"]
    assert "custom_domain" not in half  # it would serve addresses that nobody signed
    found = read(**aws, **cloudfront, CLOUDFRONT_KEY="-----BEGIN\\nabc")
    options = found["STORAGES"]["default"]["OPTIONS"]
    assert options["custom_domain"] == "d1.cloudfront.net"
    assert options["cloudfront_key"] == "-----BEGIN\nabc"
    assert found["BUCKET_ORIGINS"] == [
        "https://media.s3.amazonaws.com",
        "https://media.s3.eu-west-1.amazonaws.com",
        "https://d1.cloudfront.net",
    ]


def test_local_files_are_ours_and_lie_in_the_media_folder(read: Read, tmp_path: Path) -> None:
    found = read()
    assert found["STORAGES"]["default"]["BACKEND"] == "media_assets.storage.LocalStorage"
    assert found["STORAGES"]["default"]["OPTIONS"] == {"location": tmp_path / "data" / "media"}
    assert "archive" not in found["STORAGES"]
    assert found["BUCKET_ORIGINS"] == []


def test_uploads_land_on_the_volume_of_the_media(read: Read, tmp_path: Path) -> None:
    assert read()["FILE_UPLOAD_TEMP_DIR"] == tmp_path / "data" / "media" / ".incoming"
    folder = tmp_path / "data" / "media" / ".incoming"
    assert folder.is_dir()
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_what_is_written_belongs_to_its_owner_alone(read: Read, tmp_path: Path) -> None:
    read()
    (tmp_path / "file").touch()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600


def test_the_queue_carries_wake_ups_alone(read: Read) -> None:
    found = read(WORKERS="3")["Q_CLUSTER"]
    assert found["orm"] == "default"
    assert found["workers"] == found["queue_limit"] == 3
    assert found["timeout"] is None
    assert found["save_limit"] == -1
    assert found["scheduler"] is False


def test_other_brokers_are_set_up(read: Read) -> None:
    redis = read(QUEUE_BROKER="redis", REDIS_URL="redis://r:6379/0")["Q_CLUSTER"]
    assert redis["redis"].startswith("redis://r:6379/0?")
    assert "socket_timeout=" in redis["redis"]
    more = read(QUEUE_BROKER="redis", REDIS_URL="redis://r:6379/0?db=3")["Q_CLUSTER"]
    assert more["redis"].startswith("redis://r:6379/0?db=3&")
    assert "orm" not in redis
    sqs = read(QUEUE_BROKER="sqs", SQS_QUEUE="jobs", S3_REGION="eu-west-1")["Q_CLUSTER"]
    assert sqs["sqs"] == {"aws_region": "eu-west-1", "receive_message_wait_time_seconds": 20}
    assert (sqs["name"], sqs["cluster_name"]) == ("mediahub", "jobs")


def test_sessions_use_a_quick_cache_where_there_is_one(read: Read) -> None:
    assert read()["SESSION_ENGINE"] == "django.contrib.sessions.backends.db"
    found = read(CACHE_URL="redis://r:6379/1")
    assert found["CACHES"]["default"]["BACKEND"].endswith("RedisCache")
    assert found["SESSION_ENGINE"] == "django.contrib.sessions.backends.cached_db"


@pytest.mark.django_db
def test_the_table_of_the_cache_is_made_by_a_migration() -> None:
    from django.core.cache import cache
    from django.db import connection

    assert "mediahub_cache" in connection.introspection.table_names()
    cache.set("a", {"b": 1}, 60)
    assert cache.get("a") == {"b": 1}


def test_the_settings_name_no_class_that_is_not_there() -> None:
    from django.utils.module_loading import import_string

    for path in django_settings.MIDDLEWARE:
        import_string(path)
    for name, value in django_settings.REST_FRAMEWORK.items():
        if name.endswith(("_CLASSES", "_CLASS", "_HANDLER")):
            for path in [value] if isinstance(value, str) else value or []:
                import_string(path)


def test_no_warning_of_the_queue_spoils_a_start(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "manage.py", "check"],
        env={**os.environ, "DATA_DIR": str(tmp_path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr

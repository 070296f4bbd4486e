"""`storage_init`: what a bucket needs, once, and beside what others set."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from media_assets import storage, storage_setup
from media_assets.errors import StorageAway
from tests.buckets import Bucket, use_bucket


def run(*arguments: str) -> dict[str, str]:
    output = StringIO()
    call_command("storage_init", "--json", *arguments, stdout=output)
    return {each["what"]: each["state"] for each in json.loads(output.getvalue())["items"]}


@pytest.fixture
def new_bucket(bucket: Bucket, settings: Any) -> Bucket:
    """Named by the settings, and not there yet."""
    bucket.client.delete_bucket(Bucket=bucket.name)
    settings.PUBLIC_URL = "https://media.example.com"
    settings.CORS_ALLOWED_ORIGINS = ["https://app.example.com"]
    return bucket


def test_a_bucket_is_made_with_all_it_needs(new_bucket: Bucket) -> None:
    name, client = new_bucket.name, new_bucket.client
    assert set(run().values()) == {"done"}
    storage.check()
    blocked = client.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert all(blocked.values())
    (cors,) = client.get_bucket_cors(Bucket=name)["CORSRules"]
    assert cors["AllowedOrigins"] == ["https://app.example.com", "https://media.example.com"]
    assert "ETag" in cors["ExposeHeaders"]
    (rule,) = client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_the_second_time_nothing_is_changed(new_bucket: Bucket) -> None:
    run()
    new_bucket.counted()
    assert run()[f"bucket {new_bucket.name}"] == "there"
    assert run()[f"public access block of {new_bucket.name}"] == "there"
    assert run()[f"abort of old uploads of {new_bucket.name}"] == "there"


def test_a_dry_run_says_what_is_wanted_and_makes_nothing(new_bucket: Bucket) -> None:
    assert set(run("--dry-run").values()) == {"wanted"}
    assert new_bucket.name not in str(new_bucket.client.list_buckets()["Buckets"])
    new_bucket.client.create_bucket(Bucket=new_bucket.name)
    assert sorted(set(run("--dry-run").values())) == ["there", "wanted"]
    assert "mediahub" not in str(_cors(new_bucket))


def _cors(bucket: Bucket) -> Any:
    try:
        return bucket.client.get_bucket_cors(Bucket=bucket.name)["CORSRules"]
    except bucket.client.exceptions.ClientError:
        return []


def test_rules_of_others_stay(new_bucket: Bucket) -> None:
    name, client = new_bucket.name, new_bucket.client
    client.create_bucket(Bucket=name)
    theirs = {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}}
    client.put_bucket_lifecycle_configuration(
        Bucket=name, LifecycleConfiguration={"Rules": [theirs | {"Expiration": {"Days": 3}}]}
    )
    run()
    rules = client.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert sorted(each["ID"] for each in rules) == [storage_setup.ABORT_RULE, "theirs"]


@pytest.mark.parametrize(
    ("status", "code", "state"),
    [(501, "NotImplemented", "not supported"), (403, "AccessDenied", "not allowed")],
)
def test_what_the_server_does_not_know_or_allow_is_told_and_left(
    bucket: Bucket, status: int, code: str, state: str
) -> None:
    def only_the_bucket(method: str, path: str) -> tuple[int, str] | None:
        return None if method == "HEAD" else (status, code)

    bucket.fail(status, code, when=only_the_bucket)
    found = run()
    assert found.pop(f"bucket {bucket.name}") == "there"
    assert set(found.values()) == {state}
    bucket.come_back()
    assert not storage.exists("images/ab/none.jpg")  # and it is not taken for away


def test_a_bucket_that_refuses_or_is_away_fails_with_the_reason(bucket: Bucket) -> None:
    bucket.fail(403, "InvalidAccessKeyId")
    with pytest.raises(CommandError, match="AWS_ACCESS_KEY_ID"):
        run()
    bucket.go_away()
    with pytest.raises(StorageAway):
        storage_setup.prepare()
    with pytest.raises(CommandError, match="does not answer"):
        run()


def test_the_folder_of_local_files_is_made(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"
    assert run("--dry-run") == {f"folder {tmp_path / 'media'}": "wanted"}
    assert not settings.MEDIA_ROOT.exists()
    assert run() == {f"folder {tmp_path / 'media'}": "done"}
    assert settings.MEDIA_ROOT.stat().st_mode & 0o077 == 0
    assert run() == {f"folder {tmp_path / 'media'}": "there"}


def test_the_archive_bucket_is_made_too(bucket: Bucket, settings: Any) -> None:
    use_bucket(settings, bucket)
    name = f"{bucket.name}-archive"
    wiring = settings.STORAGES["default"]
    options = {**wiring["OPTIONS"], "bucket_name": name}
    settings.STORAGES = {**settings.STORAGES, "archive": {**wiring, "OPTIONS": options}}
    found = run()
    assert found[f"bucket {name}"] == "done"
    assert f"CORS of {name}" not in found
    bucket.client.delete_bucket(Bucket=name)

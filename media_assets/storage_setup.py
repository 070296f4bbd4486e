"""Make the storage ready: the folder, or the bucket with what it needs. Safe to repeat, and to race.

What the bucket's server does not know, or our keys may not set, is told and left: files are kept without it.
What others set stays: our rules have names of their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.conf import settings

from media_assets import storage
from media_assets.errors import StorageRefuses

if TYPE_CHECKING:
    from media_assets.buckets import (
        BucketStorage,
    )  # brings boto3 along, which local files do without

DONE, THERE, WANTED = "done", "there", "wanted"
UNSUPPORTED, REFUSED = "not supported", "not allowed"

CORS_RULE = "mediahub"
ABORT_RULE = "mediahub-abort-uploads"
# An upload in parts that nobody ended is thrown away by the bucket after this.
ABORT_AFTER_DAYS = 7

_UNKNOWN = {
    "NotImplemented",
    "501",
    "MethodNotAllowed",
    "405",
    "MalformedXML",
    "InvalidArgument",
    "InvalidRequest",
}
_DENIED = {"AccessDenied", "403", "AllAccessDisabled"}


@dataclass(frozen=True, slots=True)
class Item:
    what: str
    state: str


def prepare(*, dry_run: bool = False) -> list[Item]:
    """Everything that the storage of the settings needs. Raises StorageAway or StorageRefuses."""
    if storage.is_local():
        items = [_folder(Path(settings.MEDIA_ROOT), dry_run=dry_run)]
    else:
        items = _bucket(storage.bucket(), dry_run=dry_run, browsers=True)
    archive = storage.archive()
    if archive is not None:
        items += _bucket(archive, dry_run=dry_run, browsers=False)
    return items


def _folder(folder: Path, *, dry_run: bool) -> Item:
    what = f"folder {folder}"
    if folder.is_dir():
        return Item(what, THERE)
    if not dry_run:
        storage.make_folder(folder)
    return Item(what, WANTED if dry_run else DONE)


def _bucket(bucket: BucketStorage, *, dry_run: bool, browsers: bool) -> list[Item]:
    name = bucket.bucket_name
    made = _create(bucket, dry_run=dry_run)
    parts: dict[str, Callable[..., str]] = {"public access block": _block_public_access}
    if browsers:
        parts["CORS"] = _allow_browsers
    parts["abort of old uploads"] = _abort_old_uploads
    items = [Item(f"bucket {name}", made)]
    for what, act in parts.items():
        if made == WANTED:
            items.append(Item(f"{what} of {name}", WANTED))
            continue
        try:
            state = act(bucket, dry_run=dry_run)
        except StorageRefuses as error:
            if error.answer not in _UNKNOWN | _DENIED:
                raise
            state = UNSUPPORTED if error.answer in _UNKNOWN else REFUSED
        items.append(Item(f"{what} of {name}", state))
    return items


def _create(bucket: BucketStorage, *, dry_run: bool) -> str:
    name = bucket.bucket_name
    try:
        with bucket.asked(anyway=True) as client:
            client.head_bucket(Bucket=name)
    except FileNotFoundError:
        if dry_run:
            return WANTED
    else:
        return THERE
    region = bucket.region_name
    place: dict[str, Any] = {}
    if region and region != "us-east-1":  # which has no name here
        place = {"CreateBucketConfiguration": {"LocationConstraint": region}}
    try:
        with bucket.asked(anyway=True, quiet=True) as client:
            client.create_bucket(Bucket=name, **place)
    except StorageRefuses as error:
        if error.answer != "BucketAlreadyOwnedByYou":  # another process was quicker
            raise
        return THERE
    return DONE


def _block_public_access(bucket: BucketStorage, *, dry_run: bool) -> str:
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    wanted = dict.fromkeys(names, True)
    found = _configured(bucket, "get_public_access_block", "NoSuchPublicAccessBlockConfiguration")
    if found.get("PublicAccessBlockConfiguration") == wanted:
        return THERE
    return _set(
        bucket,
        "put_public_access_block",
        dry_run=dry_run,
        PublicAccessBlockConfiguration=wanted,
    )


def _allow_browsers(bucket: BucketStorage, *, dry_run: bool) -> str:
    """Our pages may read files, and send uploads straight to the bucket."""
    rule = {
        "ID": CORS_RULE,
        "AllowedOrigins": _origins(),
        "AllowedMethods": ["GET", "HEAD", "PUT"],
        "AllowedHeaders": ["*"],
        "ExposeHeaders": ["ETag", "Content-Range", "Accept-Ranges"],
        "MaxAgeSeconds": 3600,
    }
    found = _configured(bucket, "get_bucket_cors", "NoSuchCORSConfiguration")
    rules = _with(rule, found.get("CORSRules", []))
    if rules is None:
        return THERE
    configuration = {"CORSRules": rules}
    return _set(bucket, "put_bucket_cors", dry_run=dry_run, CORSConfiguration=configuration)


def _origins() -> list[str]:
    public = urlsplit(settings.PUBLIC_URL)
    return sorted({f"{public.scheme}://{public.netloc}", *settings.CORS_ALLOWED_ORIGINS})


def _abort_old_uploads(bucket: BucketStorage, *, dry_run: bool) -> str:
    prefix = bucket.location.strip("/")
    rule = {
        "ID": ABORT_RULE,
        "Status": "Enabled",
        "Filter": {"Prefix": f"{prefix}/" if prefix else ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_AFTER_DAYS},
    }
    found = _configured(
        bucket, "get_bucket_lifecycle_configuration", "NoSuchLifecycleConfiguration"
    )
    rules = _with(rule, found.get("Rules", []))
    if rules is None:
        return THERE
    return _set(
        bucket,
        "put_bucket_lifecycle_configuration",
        dry_run=dry_run,
        LifecycleConfiguration={"Rules": rules},
    )


def _configured(bucket: BucketStorage, call: str, none: str) -> dict[str, Any]:
    """What is set now; nothing where the bucket answers that there is none."""
    try:
        with bucket.asked(anyway=True, quiet=True) as client:
            found: dict[str, Any] = getattr(client, call)(Bucket=bucket.bucket_name)
    except StorageRefuses as error:
        if error.answer != none:
            raise
        return {}
    return found


def _with(rule: dict[str, Any], others: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """The rules with ours among them; None where it is there as it should be."""
    ours = next((each for each in others if each.get("ID") == rule["ID"]), None)
    if ours is not None and all(ours.get(name) == value for name, value in rule.items()):
        return None
    return [*(each for each in others if each.get("ID") != rule["ID"]), rule]


def _set(bucket: BucketStorage, call: str, *, dry_run: bool, **configuration: Any) -> str:
    if dry_run:
        return WANTED
    with bucket.asked(anyway=True, quiet=True) as client:
        getattr(client, call)(Bucket=bucket.bucket_name, **configuration)
    return DONE

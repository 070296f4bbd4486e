"""A bucket as MediaHub uses it: few requests, short waits, errors that say what to do, stable addresses.

Loaded by Django where a storage is a bucket, and by nobody else: `media_assets.storage` is what the rest
of MediaHub speaks to. One client serves all threads of a process.
"""

from __future__ import annotations

import functools
import hashlib
import hmac
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    SSLError,
)
from botocore.exceptions import (
    ConnectionError as CannotConnect,
)
from storages.backends.s3 import S3Storage

from media_assets.errors import StorageAway, StorageRefuses
from media_assets.storage import StoredObject

logger = logging.getLogger(__name__)

CHUNK = 1 << 20
CONNECT_S = 3
READ_S = 20
# After a bucket did not answer, nobody asks for this long: a thousand uploads need not wait one by one.
PAUSE_S = 5.0
PART_BYTES = 16 << 20
# Answers that say "not now" though their status does not.
_BUSY = {"SlowDown", "RequestTimeout", "ServiceUnavailable", "InternalError", "TooManyRequests"}
_UNANSWERED = (HTTPClientError, CannotConnect, IncompleteReadError)
_GONE = {"NoSuchKey", "NotFound", "404"}


class BucketStorage(S3Storage):
    """django-storages' bucket, with our own way to talk to it."""

    def __init__(self, **options: Any) -> None:
        options["transfer_config"] = TransferConfig(
            multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES, max_concurrency=4
        )
        # Servers that only speak S3 do not all know the newer checksums; AWS checks each upload by one.
        checksums: Literal["when_required", "when_supported"]
        checksums = "when_required" if options.get("endpoint_url") else "when_supported"
        options["client_config"] = Config(
            s3={"addressing_style": options.get("addressing_style") or "auto"},
            signature_version="s3v4",
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=32,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        )
        super().__init__(**options)
        self._lock = threading.Lock()
        self._clients: dict[int, Any] = {}
        self._away_until = 0.0

    @property
    def client(self) -> Any:
        """The client of this process; a fork makes its own, for sockets cannot be shared."""
        pid = os.getpid()
        found = self._clients.get(pid)
        if found is None:
            with self._lock:
                found = self._clients.get(pid)
                if found is None:
                    session = self._create_session()
                    found = session.client(
                        "s3",
                        region_name=self.region_name,
                        use_ssl=self.use_ssl,
                        endpoint_url=self.endpoint_url,
                        config=self.client_config,
                        verify=self.verify,
                    )
                    self._clients = {pid: found}
        return found

    def name_of(self, key: str) -> str:
        """The key as the bucket knows it, with S3_PREFIX before it."""
        return str(self._normalize_name(key))

    @contextmanager
    def asked(self, *, anyway: bool = False, quiet: bool = False) -> Iterator[Any]:
        """The client, with its errors told as ours; at once where the bucket was away a moment ago.

        `anyway` asks also then. `quiet` leaves it to the caller to tell of a refusal.
        """
        if not anyway and time.monotonic() < self._away_until:
            raise StorageAway
        try:
            yield self.client
        except (ClientError, BotoCoreError, Boto3Error) as error:
            told = _told(error, self.bucket_name)
            if isinstance(told, StorageAway):
                self._away_until = time.monotonic() + PAUSE_S
                logger.warning("The bucket %s does not answer: %s", self.bucket_name, error)
            elif isinstance(told, StorageRefuses) and not quiet:
                logger.error("%s", told.reason)  # noqa: TRY400 - the reason is what an operator needs
            raise told from error
        self._away_until = 0.0

    def forget_pause(self) -> None:
        """Ask the bucket again at once."""
        self._away_until = 0.0

    def check(self) -> None:
        """Raise StorageAway or StorageRefuses where files could not be kept and read."""
        try:
            with self.asked(anyway=True) as client:
                client.head_bucket(Bucket=self.bucket_name)
        except FileNotFoundError as error:
            raise StorageRefuses(reason=f"The bucket {self.bucket_name} is not there.") from error

    # --------------------------------------------------------------- objects

    def upload(self, source: Path, key: str, *, mime_type: str) -> None:
        """Put a file under its key, in parts where it is large, read from the disk as they go."""
        parameters = dict(self.get_object_parameters(key))
        parameters["ContentType"] = mime_type or self.default_content_type
        with self.asked() as client:
            client.upload_file(
                str(source),
                self.bucket_name,
                self.name_of(key),
                ExtraArgs=parameters,
                Config=self.transfer_config,
            )

    def stored(self, key: str) -> StoredObject | None:
        """What is known of a key; None where it is not there. One request."""
        try:
            with self.asked() as client:
                found = client.head_object(Bucket=self.bucket_name, Key=self.name_of(key))
        except FileNotFoundError:
            return None
        return StoredObject(key, int(found["ContentLength"]), found["LastModified"])

    def exists(self, name: str) -> bool:
        return self.stored(name) is not None

    def size(self, name: str) -> int:
        found = self.stored(name)
        if found is None:
            raise FileNotFoundError(name)
        return found.size

    def read(self, key: str, *, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes of a key from `start`, as they arrive."""
        if length == 0:
            return
        end = "" if length is None else str(start + length - 1)
        wanted = {"Range": f"bytes={start}-{end}"} if start or end else {}
        with self.asked() as client:
            name = self.name_of(key)
            answer = client.get_object(Bucket=self.bucket_name, Key=name, **wanted)
        body = answer["Body"]
        try:
            # Not around the yield: what our caller raises is not the bucket's doing.
            pieces = body.iter_chunks(CHUNK)
            while True:
                with self.asked(anyway=True):
                    piece = next(pieces, b"")
                if not piece:
                    return
                yield piece
        finally:
            body.close()

    def delete(self, name: str) -> None:
        try:
            with self.asked() as client:
                client.delete_object(Bucket=self.bucket_name, Key=self.name_of(name))
        except FileNotFoundError:
            return

    def objects(self) -> Iterator[StoredObject]:
        """Every object under our prefix."""
        before = f"{self.location.strip('/')}/" if self.location.strip("/") else ""
        pages: Iterator[Any] | None = None
        while True:
            with self.asked() as client:
                if pages is None:
                    paginator = client.get_paginator("list_objects_v2")
                    pages = iter(paginator.paginate(Bucket=self.bucket_name, Prefix=before))
                page = next(pages, None)
            if page is None:
                return
            for each in page.get("Contents", ()):
                key = each["Key"].removeprefix(before)
                yield StoredObject(key, each["Size"], each["LastModified"])

    # --------------------------------------------------------------- addresses

    def address(self, key: str, *, mime_type: str, disposition: str, begins: int, life: int) -> str:
        """A signed address that works for `life` seconds from `begins`; always the same for the same.

        botocore signs for this very second, so that each answer would name another address and no
        browser could keep a picture. This is the same signature with a chosen time.
        """
        answer_as = {
            "response-content-disposition": disposition,
            "response-content-type": mime_type,
        }
        path = quote(self.name_of(key), safe="/-_.~")
        if self.custom_domain:  # CloudFront, which has to pass the query on to the bucket
            url = f"https://{self.custom_domain}/{path}?{urlencode(answer_as, quote_via=quote)}"
            if self.cloudfront_signer is None:
                return url
            ends = datetime.fromtimestamp(begins + life, UTC)
            return str(self.cloudfront_signer.generate_presigned_url(url, date_less_than=ends))
        base, region = self._place()
        return _signed(
            f"{base}{path}", answer_as, self._keys(), region=region, begins=begins, life=life
        )

    _places: ClassVar[dict[tuple[str, str], tuple[str, str]]] = {}

    def _place(self) -> tuple[str, str]:
        """The address before a key, and the region: as botocore would say."""
        client = self.client
        known = (client.meta.endpoint_url, self.bucket_name)
        if known not in self._places:
            with self.asked(anyway=True):
                sample = client.generate_presigned_url(
                    "get_object", Params={"Bucket": self.bucket_name, "Key": "k"}
                )
            full, _, asked = sample.partition("?")
            region = parse_qs(asked)["X-Amz-Credential"][0].split("/")[2]
            self._places[known] = (full.removesuffix("k"), region)
        return self._places[known]

    def _keys(self) -> Any:
        found = self.client._request_signer._credentials  # noqa: SLF001 - shown nowhere else
        if found is None:
            raise StorageRefuses(reason="There are no keys for the bucket.")
        return found.get_frozen_credentials()


def _signed(
    url: str, query: dict[str, str], keys: Any, *, region: str, begins: int, life: int
) -> str:
    """An address with AWS' signature, version 4, in its query."""
    moment = datetime.fromtimestamp(begins, UTC)
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    scope = f"{moment:%Y%m%d}/{region}/s3/aws4_request"
    query = query | {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{keys.access_key}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(life),
        "X-Amz-SignedHeaders": "host",
    }
    if keys.token:
        query["X-Amz-Security-Token"] = keys.token
    parts = urlsplit(url)
    asked = urlencode(sorted(query.items()), quote_via=quote, safe="-_.~")
    canonical = f"GET\n{parts.path}\n{asked}\nhost:{parts.netloc}\n\nhost\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    key = _signing_key(keys.secret_key, f"{moment:%Y%m%d}", region)
    signature = hmac.new(
        key, f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{digest}".encode(), hashlib.sha256
    ).hexdigest()
    return f"{url}?{asked}&X-Amz-Signature={signature}"


@functools.lru_cache(maxsize=16)
def _signing_key(secret: str, day: str, region: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _told(error: Exception, bucket: str) -> Exception:
    """What an error of boto3 means for us: away, refused, or not there."""
    if isinstance(error, Boto3Error) and isinstance(error.__context__, Exception):
        error = error.__context__  # uploads wrap what the bucket said
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _BUSY or (status >= 500 and status != 501) or status == 429:
            return StorageAway()
        if code in _GONE:
            return FileNotFoundError("There is no such object.")
        return StorageRefuses(
            answer=code or str(status),
            reason=f"The bucket {bucket} refused {error.operation_name}: {code or status}."
            f"{_CURES.get(code, '')}",
        )
    if isinstance(error, _UNANSWERED) and not isinstance(error, SSLError):
        return StorageAway()
    reason = " ".join(str(error).split())
    return StorageRefuses(reason=f"The bucket {bucket} cannot be asked: {reason}")


_CURES = {
    "NoSuchBucket": " Make it with `manage.py storage_init`, or correct S3_BUCKET.",
    "AccessDenied": " The keys in AWS_ACCESS_KEY_ID need to read, write, list and delete there.",
    "403": " The keys in AWS_ACCESS_KEY_ID need to read, write, list and delete there.",
    "InvalidAccessKeyId": " Correct AWS_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": " Correct AWS_SECRET_ACCESS_KEY.",
    "PermanentRedirect": " Correct S3_REGION.",
    "301": " Correct S3_REGION.",
    "AuthorizationHeaderMalformed": " Correct S3_REGION.",
    "RequestTimeTooSkewed": " The clock of this machine is wrong.",
}

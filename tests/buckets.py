"""A real bucket for tests: moto's server over HTTP, or any S3 endpoint that the environment names.

`TEST_S3_ENDPOINT_URL`, with `TEST_S3_ACCESS_KEY` and `TEST_S3_SECRET_KEY`, runs the same tests against
MinIO or another server; those that need one that can break are left out there.
"""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import pytest
from django.conf import settings as django_settings

ENDPOINT = os.environ.get("TEST_S3_ENDPOINT_URL", "")
ACCESS_KEY = os.environ.get("TEST_S3_ACCESS_KEY", "testing")
SECRET_KEY = os.environ.get("TEST_S3_SECRET_KEY", "testing-secret")

# The method and path of a request; what it answers with instead: a status and an S3 error code.
Fault: TypeAlias = Callable[[str, str], tuple[int, str] | None]


class MotoServer:
    """moto over HTTP, in threads of this process; it counts requests and can be made to fail."""

    def __init__(self) -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        self._app = DomainDispatcherApplication(create_backend_app)
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault | None = None
        # The request is carried out, and then answered with the fault.
        self.fails_afterwards = False
        self._server: Any = None

    def start(self) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Quiet(WSGIRequestHandler):
            def log(self, *_: Any) -> None:
                """Requests are told by `requests`."""

        self._server = make_server(
            "127.0.0.1", self.port, self._answer, threaded=True, request_handler=Quiet
        )
        threading.Thread(target=self._server.serve_forever, name="moto", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        self.requests.append((method, path))
        found = self.fault(method, path) if self.fault else None
        if found is None:
            return self._app(environ, start_response)  # type: ignore[no-any-return]
        status, code = found
        if self.fails_afterwards:
            b"".join(self._app(environ, lambda *_: lambda __: None))
        else:
            # Taken in whole: a server that closes on unread bytes breaks the connection instead.
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        body = f"<Error><Code>{code}</Code><Message>As the test says.</Message></Error>".encode()
        headers = [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        start_response(f"{status} Failed", headers)
        return [b"" if method == "HEAD" else body]


class Bucket:
    """The bucket of one test: `storage` uses it, and processes that get its `environment`."""

    def __init__(self, url: str, server: MotoServer | None) -> None:
        self.url = url
        self.name = f"test-{secrets.token_hex(6)}"
        self._server = server
        self.environment = {
            "MEDIA_STORAGE": "s3",
            "S3_BUCKET": self.name,
            "S3_ENDPOINT_URL": url,
            "S3_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    @property
    def server(self) -> MotoServer:
        """The server behind it, where it is ours to break."""
        if self._server is None:
            pytest.skip("Only a server of our own can be made to fail.")
        return self._server

    @property
    def client(self) -> Any:
        from media_assets import storage

        return storage.bucket().client

    def listed(self) -> list[str]:
        """All that lies in it."""
        found = self.client.list_objects_v2(Bucket=self.name).get("Contents", [])
        return sorted(each["Key"] for each in found)

    def fail(self, status: int, code: str, *, when: Fault | None = None) -> None:
        self.server.fault = when or (lambda *_: (status, code))

    def go_away(self) -> None:
        """Nobody listens at its address."""
        self.server.stop()

    def come_back(self) -> None:
        from media_assets import storage

        if self.server._server is None:
            self.server.start()
        self.server.fault = None
        self.server.fails_afterwards = False
        storage.bucket().forget_pause()

    def counted(self) -> list[tuple[str, str]]:
        """What was asked since the last call: method and key."""
        asked = [
            (method, path.removeprefix(f"/{self.name}").lstrip("/"))
            for method, path in self.server.requests
        ]
        self.server.requests.clear()
        return asked


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[MotoServer | None]:
    if ENDPOINT:
        yield None
        return
    server = MotoServer()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def bucket(_s3_server: MotoServer | None, settings: Any) -> Iterator[Bucket]:
    """MEDIA_STORAGE is an empty bucket, by the wiring of the settings."""
    made = Bucket(ENDPOINT or (_s3_server.url if _s3_server else ""), _s3_server)
    use_bucket(settings, made)
    made.client.create_bucket(Bucket=made.name)
    if _s3_server:
        _s3_server.requests.clear()
    yield made
    if _s3_server:
        made.come_back()
    for key in made.listed():
        made.client.delete_object(Bucket=made.name, Key=key)
    made.client.delete_bucket(Bucket=made.name)


def use_bucket(settings: Any, bucket: Bucket, **changes: Any) -> None:
    """Set the storage up as settings.py does with the bucket's environment."""
    from mediahub import settings as module

    values = {**bucket.environment, **changes}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setattr(module, name, value)
        made = module._media_storage()
    for name, value in values.items():
        setattr(settings, name, value)
    settings.STORAGES = {**django_settings.STORAGES, "default": made}

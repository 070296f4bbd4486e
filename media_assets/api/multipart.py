"""Files of a multipart request go straight into intake while they stream; Django never holds them."""

from __future__ import annotations

from typing import IO, Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest

from media_assets.errors import EmptyFile, Invalid
from media_assets.receiver import Received, Receiver, check_announced

CHUNK = 1 << 20
# What the other fields and the part headers of a form may take besides the file.
ENVELOPE = 64 * 1024


class ReceivedUpload(UploadedFile):  # type: ignore[type-arg]  # not generic when it runs
    """What stands in `request.FILES`: a file that intake has already taken in."""

    def __init__(self, field: str, receiver: Receiver, received: Received | None) -> None:
        super().__init__(name=received.filename if received else "empty", size=receiver.size)
        self.field_name = field
        self._receiver = receiver
        self._received = received

    def received(self) -> Received:
        if self._received is None:
            raise EmptyFile
        return self._received

    def close(self) -> None:
        self._receiver.close()


class IntakeUploadHandler(FileUploadHandler):
    """Feeds a request's one file to a Receiver. Install it before anything reads the body."""

    chunk_size = CHUNK

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self._receiver: Receiver | None = None
        self._length = 0

    def handle_raw_input(
        self,
        input_data: IO[bytes],
        META: dict[str, Any],  # noqa: N803 - Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Before a byte is read: refuse what is announced as too large, or would fill the disk."""
        self._length = content_length
        check_announced(self._declared())

    def _declared(self) -> int | None:
        return max(self._length - ENVELOPE, 0) if self._length else None

    def new_file(
        self,
        field_name: str,
        file_name: str,
        content_type: str,
        content_length: int | None,
        charset: str | None = None,
        content_type_extra: dict[str, bytes] | None = None,
    ) -> None:
        super().new_file(
            field_name, file_name, content_type, content_length, charset, content_type_extra
        )
        if self._receiver is not None:
            raise Invalid("Send one file in each request.", file=["Only one file is accepted."])
        self._receiver = Receiver(filename=file_name, declared_size=self._declared())

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        assert self._receiver is not None  # new_file came first
        self._receiver.feed(raw_data)

    def file_complete(self, file_size: int) -> ReceivedUpload:
        assert self._receiver is not None
        received = self._receiver.finish() if file_size else None
        return ReceivedUpload(self.field_name or "", self._receiver, received)

    def upload_interrupted(self) -> None:
        self.discard()

    def discard(self) -> None:
        """Remove what was taken in. Harmless once it was kept: storage has its own link by then."""
        if self._receiver is not None:
            self._receiver.close()


def install(request: HttpRequest) -> IntakeUploadHandler:
    """Make `request` stream its file into intake. The caller must call `discard` when it is done."""
    handler = IntakeUploadHandler(request)
    request.upload_handlers = [handler]
    return handler

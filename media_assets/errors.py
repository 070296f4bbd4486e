"""What a person is told when MediaHub refuses: one class for each code of the API.

Each class carries the code; its docstring is the message unless a better one is given. `details`
are plain JSON for machines. Nothing here knows of HTTP: `mediahub.api.errors` maps codes to statuses.
"""

from __future__ import annotations

from typing import Any, ClassVar


class MediaHubError(Exception):
    """Something went wrong on our side."""

    code: ClassVar[str] = "INTERNAL_ERROR"

    def __init__(self, message: str = "", **details: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip().splitlines()[0]
        self.details = details
        super().__init__(self.message)


class Invalid(MediaHubError):
    """The request is not valid."""

    code = "VALIDATION_ERROR"


class EmptyFile(MediaHubError):
    """The file is empty."""

    code = "EMPTY_FILE"


class UnsafeUrl(MediaHubError):
    """This address may not be fetched."""

    code = "UNSAFE_URL"


class PermissionDenied(MediaHubError):
    """You may not do this."""

    code = "PERMISSION_DENIED"


class QuotaExceeded(MediaHubError):
    """Your quota is used up."""

    code = "QUOTA_EXCEEDED"


class NotFound(MediaHubError):
    """There is no such thing here."""

    code = "NOT_FOUND"


class Conflict(MediaHubError):
    """The present state does not allow this."""

    code = "CONFLICT"


class FileTooLarge(MediaHubError):
    """The file is larger than the limit of its kind."""

    code = "FILE_TOO_LARGE"


class InvalidFileFormat(MediaHubError):
    """This type of file is not accepted."""

    code = "INVALID_FILE_FORMAT"


class MalwareDetected(MediaHubError):
    """The scanner found malware in this file. Nothing was kept."""

    code = "MALWARE_DETECTED"


class ServiceUnavailable(MediaHubError):
    """MediaHub cannot take this just now. Try again shortly."""

    code = "SERVICE_UNAVAILABLE"

    def __init__(self, message: str = "", *, retry_after: int = 30, **details: Any) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after


class StorageAway(ServiceUnavailable):
    """The file storage does not answer just now. Try again shortly."""


class StorageRefuses(ServiceUnavailable):
    """The file storage refuses MediaHub. Whoever runs it finds the reason in the log."""

    def __init__(
        self, message: str = "", *, reason: str = "", answer: str = "", **details: Any
    ) -> None:
        super().__init__(message, retry_after=300, **details)
        self.answer = answer  # S3's own word for it
        # For operators, never for the person who asks: it names the bucket.
        self.reason = reason


class StorageFull(MediaHubError):
    """There is not enough free space to take this file."""

    code = "STORAGE_FULL"

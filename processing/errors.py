"""Why a step did not succeed: three classes, each saying what the engine does next.

`InputFault`: the media or the request is at fault, so no retry helps. `TryLater`: wait, then run again;
waiting is no attempt. Anything else that escapes a step is a broken run: it counts as an attempt.
"""

from __future__ import annotations

from typing import Any

from media_assets.errors import MediaHubError


class StepError(MediaHubError):
    """The step failed."""

    def __init__(self, code: str, message: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.job_code = code


class InputFault(StepError):
    """The media or the request is at fault; running again cannot help.

    Codes: CORRUPT_FILE, ENCRYPTED_FILE, UNSUPPORTED_CODEC, LIMIT_EXCEEDED, UNSAFE_URL, PROVIDER_REJECTED, ...
    """


class TryLater(StepError):
    """Not now. `after` is the wished wait in seconds, None for the engine's own backoff.

    `waiting_for` names what the job waits for: "retry" counts an attempt (something failed and may
    work next time); "provider", "budget" and "batch" do not.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        after: float | None = None,
        waiting_for: str = "retry",
        **details: Any,
    ) -> None:
        super().__init__(code, message, **details)
        self.after = after
        self.waiting_for = waiting_for

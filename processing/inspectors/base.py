"""What an inspector takes and gives back. No ORM and no network: it runs in the sandbox's child.

An inspector is a function `inspect(source, workdir, options) -> Inspection`. It reads `source` once,
writes renditions as files into `workdir` and returns facts. It raises `Unreadable` when the media is at
fault; the sandbox turns a killed child into LIMIT_EXCEEDED. All results are plain JSON.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


class Unreadable(Exception):
    """The media is at fault.

    `code` is one of CORRUPT_FILE, ENCRYPTED_FILE, UNSUPPORTED_CODEC, LIMIT_EXCEEDED.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class RenditionFile:
    """A file the inspector wrote into its work directory."""

    kind: str  # thumbnail, preview, poster, frame, contact_sheet, waveform, audio, web_preview
    name: str  # the file's name inside the work directory
    mime_type: str
    width: int | None = None
    height: int | None = None
    position: float | None = None  # second of a frame, or page number
    data: dict[str, Any] = field(default_factory=dict)  # e.g. the times of a contact sheet's cells


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found. `facts` holds the columns of Blob that were learned; `metadata` the rest."""

    facts: dict[str, Any] = field(
        default_factory=dict
    )  # width height duration pages taken_at blurhash phash
    metadata: dict[str, Any] = field(default_factory=dict)
    renditions: list[RenditionFile] = field(default_factory=list)
    text: dict[str, Any] | None = (
        None  # documents: {text, word_count, page_count, language, blocks: [...]}
    )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

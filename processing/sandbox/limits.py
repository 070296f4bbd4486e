"""What one child may use up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Limits:
    """Generous for a picture or a document; a film asks `for_length` of more time."""

    memory_bytes: int = 1 << 30  # on top of what the loaded libraries take
    cpu_s: int = 60  # of all threads together
    wall_s: float = 120.0
    file_bytes: int = 2 << 30  # of each file written
    open_files: int = 64
    result_bytes: int = 32 << 20

    def for_length(self, seconds: float | None, *, factor: float = 1.0) -> Self:
        """More time for long media: `factor` seconds for each of theirs, beside the fixed share.

        Decoding a film in full takes about a fifth of its length in CPU time, making another one of it
        up to twice its length.
        """
        longer = max(seconds or 0.0, 0.0) * factor
        return replace(self, cpu_s=self.cpu_s + int(longer), wall_s=self.wall_s + longer)

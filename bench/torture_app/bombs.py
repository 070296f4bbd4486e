"""What the bomb does, in the sandbox."""

from __future__ import annotations

from pathlib import Path


def explode(source: Path, workdir: Path) -> dict[str, object]:
    """Take memory until there is none."""
    held = []
    while True:
        held.append(bytearray(16 << 20))

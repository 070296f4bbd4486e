"""How many pictures a GIF or TIFF holds, counted along its structure without decoding any, up to a limit."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Literal

MAX_FRAMES = 10_000  # more are told as this many
_MAX_STEPS = 2_000_000  # blocks or directories walked over


def count_gif(path: Path) -> int:
    """Frames of a GIF; a damaged one has those before the damage."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        position = 13 + _table(data[10])
        frames = steps = 0
        end = len(data)
        while position < end - 1 and frames < MAX_FRAMES:
            block = data[position]
            if block == 0x2C and position + 9 < end:  # a picture, its colours, its code size
                frames += 1
                position += 11 + _table(data[position + 9])
            elif block == 0x21:  # an extension
                position += 2
            else:
                break
            while position < end and data[position]:  # its pieces, up to an empty one
                position += data[position] + 1
                steps += 1
                if steps > _MAX_STEPS:
                    return frames
            position += 1
        return frames


def _table(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def count_tiff(path: Path) -> int:
    """Pages of a TIFF: its directories are a chain, which a hostile file may tie into a ring."""
    with path.open("rb") as file:
        head = file.read(16)
        order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
        big = int.from_bytes(head[2:4], order) == 43
        pointer, count, entry = (8, 8, 20) if big else (4, 2, 12)
        position = int.from_bytes(head[8:16] if big else head[4:8], order)
        seen: set[int] = set()
        while position and position not in seen and len(seen) < MAX_FRAMES:
            file.seek(position)
            entries = int.from_bytes(file.read(count), order)
            if not 0 < entries < 65536:
                break
            seen.add(position)
            file.seek(entries * entry, 1)
            position = int.from_bytes(file.read(pointer), order)
        return len(seen)

"""The pictures that stand for a film: its poster and the cells of its contact sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from av.packet import Packet
from av.video.stream import VideoStream
from PIL import Image

from processing.inspectors.containers import (
    Packets,
    Span,
    Undecodable,
    decode,
    ignore_other_streams,
    open_media,
    picture_stream,
)
from processing.inspectors.renditions import PREVIEW_SIDE
from processing.inspectors.sampling import Painter, decode_key
from processing.inspectors.sheets import CELL_SIDE, Cell
from processing.sandbox.reporting import report

POSTER_AT = 0.1  # of the film: past titles and fades from black
POSTER_TRIES = 5
FLAT = 10.0  # standard deviation of grey levels; a picture under it shows nothing

Keys = Sequence[tuple[float, "Packet[VideoStream]"]]


def key_cells(keys: Keys, times: Sequence[float], painter: Painter) -> list[Cell]:
    """A different key frame for each time, the nearest there is. As many as there are key frames."""
    cells = []
    for time, packet in _nearest(keys, times):
        frame = decode_key(packet)
        if frame is not None:
            cells.append(Cell(time, painter.paint(frame, CELL_SIDE)))
    return cells


def _nearest(keys: Keys, times: Sequence[float]) -> Keys:
    if len(keys) <= len(times):
        return keys
    chosen = []
    begin = 0
    for n, time in enumerate(times):
        end = len(keys) - (len(times) - n - 1)  # leaves one for each that follows
        index = min(range(begin, end), key=lambda i: abs(keys[i][0] - time))
        chosen.append(keys[index])
        begin = index + 1
    return chosen


class Taker(Protocol):
    """Somebody who wants some of a film's frames."""

    side: int  # px, longest side

    @property
    def satisfied(self) -> bool:
        """Whether no later frame will be wanted."""
        ...

    def wants(self, time: float) -> bool: ...

    def add(self, time: float, picture: Image.Image) -> None: ...


class ExactCells:
    """The frames shown at given times (ascending); of a film that ends before them, its first frame."""

    side = CELL_SIDE

    def __init__(self, times: Sequence[float]) -> None:
        self._times = list(times)
        self._cells: list[Cell] = []
        self._first: Cell | None = None

    @property
    def cells(self) -> list[Cell]:
        return self._cells or [cell for cell in (self._first,) if cell]

    @property
    def satisfied(self) -> bool:
        return not self._times

    def wants(self, time: float) -> bool:
        return bool(self._times) and (time >= self._times[0] or self._first is None)

    def add(self, time: float, picture: Image.Image) -> None:
        cell = Cell(time, picture)
        self._first = self._first or cell
        if time >= self._times[0]:
            self._cells.append(cell)
        while self._times and self._times[0] <= time:
            self._times.pop(0)


def watch(
    source: Path,
    takers: Sequence[Taker],
    *,
    painter: Painter,
    start: float,
    duration: float,
    max_pixels: int,
    threads: int,
) -> int:
    """Decodes a film from its beginning and hands out frames, until nobody wants more.

    `start` is the film's first second on the container's clock; with `duration` it tells how far it is.
    Gives the number of packets that could not be decoded.
    """
    damaged = 0
    span = Span()
    with open_media(source, max_pixels=max_pixels) as container:
        stream = picture_stream(container, max_pixels=max_pixels)
        assert stream is not None
        ignore_other_streams(container, stream)
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = threads
        for packet in Packets(container, stream):
            try:
                frames = decode(packet)
            except Undecodable:
                damaged += 1
                continue
            for frame in frames:
                time = max(0.0, span.add(frame.time, 0) - start)
                for taker in takers:
                    if taker.wants(time):
                        taker.add(time, painter.paint(frame, taker.side))
                if duration > 0:
                    report(time / duration)
            if all(taker.satisfied for taker in takers):
                break
    return damaged


def poster(keys: Keys, duration: float, painter: Painter, others: Iterable[Cell]) -> Cell | None:
    """A picture from early in the film that shows something; the others are looked at where none does."""
    best: Cell | None = None
    most = -1.0
    wanted = duration * POSTER_AT
    for time, packet in sorted(keys, key=lambda key: abs(key[0] - wanted))[:POSTER_TRIES]:
        frame = decode_key(packet)
        if frame is None:
            continue
        cell = Cell(time, painter.paint(frame, PREVIEW_SIDE))
        contrast = _contrast(cell.picture)
        if contrast >= FLAT:
            return cell
        if contrast > most:
            best, most = cell, contrast
    for cell in others:
        contrast = _contrast(cell.picture)
        if contrast > max(most, FLAT) or best is None:
            best, most = cell, contrast
    return best


def _contrast(picture: Image.Image) -> float:
    return float(np.asarray(picture.convert("L").resize((64, 64), Image.Resampling.BOX)).std())

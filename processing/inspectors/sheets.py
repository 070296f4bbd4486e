"""The contact sheet: a film at a glance, as a grid of frames with their times printed under them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from processing.inspectors.renditions import fit

CELL_SIDE = 512  # px, longest side of a frame in the sheet
SHEET_SIDE = 4096  # px, longest side of a sheet
MOST = 12  # columns, and rows
_GAP = 8  # px around each cell
_CAPTION = 0.075  # of the cell's longest side: height of the line with the time
_PAPER, _INK = (18, 18, 20), (235, 235, 235)


@dataclass(frozen=True, slots=True)
class Cell:
    """One frame of the sheet."""

    time: float  # second of the film
    picture: Image.Image


def grid_of(text: str) -> tuple[int, int]:
    """Columns and rows from `2x3`. Raises ValueError for anything that is none."""
    match = re.fullmatch(r"(\d{1,2})\s*[xX×]\s*(\d{1,2})", text.strip())
    columns, rows = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (1 <= columns <= MOST and 1 <= rows <= MOST):
        raise ValueError(
            f"A grid is columns x rows, each from 1 to {MOST}, such as 2x3; not {text!r}."
        )
    return columns, rows


def targets(duration: float, count: int) -> list[float]:
    """Seconds at which a film of this length is looked at: the middles of equal parts."""
    return [duration * (n + 0.5) / count for n in range(count)]


def draw(cells: Sequence[Cell], grid: tuple[int, int]) -> tuple[Image.Image, dict[str, Any]]:
    """The sheet, and where each time lies on it: boxes are [left, top, width, height] as fractions."""
    columns, rows = grid
    rows = min(rows, -(-len(cells) // columns))  # a film of few frames gets no empty rows
    columns = min(columns, len(cells))
    side = min(CELL_SIDE, (SHEET_SIDE - _GAP) // max(columns, rows) - 2 * _GAP)
    pictures = [cell.picture.resize(fit(cell.picture.size, side)) for cell in cells]
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    caption = max(12, round(side * _CAPTION))
    step_x, step_y = width + _GAP, height + caption + _GAP
    sheet = Image.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    places = []
    for n, (cell, picture) in enumerate(zip(cells, pictures, strict=True)):
        left, top = _GAP + n % columns * step_x, _GAP + n // columns * step_y
        sheet.paste(
            picture, (left + (width - picture.width) // 2, top + (height - picture.height) // 2)
        )
        middle = (left + width / 2, top + height + caption / 2)
        pen.text(middle, clock(cell.time), fill=_INK, font=_font(round(caption * 0.8)), anchor="mm")
        box = (left / sheet.width, top / sheet.height, width / sheet.width, height / sheet.height)
        places.append({"time": round(cell.time, 3), "box": [round(part, 5) for part in box]})
    return sheet, {"grid": [columns, rows], "cells": places}


def clock(seconds: float) -> str:
    """`0:07`, `12:34` or `1:02:03`."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)

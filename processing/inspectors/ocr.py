"""Text in pictures, read on this machine: by tesseract where it is installed, else by RapidOCR.

Tesseract is quick and exact on scans; RapidOCR takes four times the CPU and ten times the memory, and is far
better on photographs of pages. `read` takes either; `read_pictures` and `read_pages` are its forms for the
sandbox, where a child that runs tesseract must be allowed to start programs.
"""

from __future__ import annotations

import csv
import functools
import importlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from processing.inspectors import pdf, renditions
from processing.inspectors.base import Unreadable
from processing.inspectors.strings import one_line

TESSERACT, RAPIDOCR = "tesseract", "rapidocr"
MAX_LANGUAGES = 4  # each makes tesseract slower
TIMEOUT_S = 120.0
SCAN_DPI = 200
MAX_SCAN_SIDE = 4000  # px of a page drawn for reading
_LANGUAGE = re.compile(r"[a-z]{3}(?:_[A-Za-z]{3,8})?")
_LINE_COLUMNS = ("block_num", "par_num", "line_num")


@dataclass(frozen=True, slots=True)
class TextBlock:
    """One line of text. The box is [left, top, width, height] in fractions of the picture."""

    text: str
    confidence: float | None  # 0 to 1
    box: list[float]


def available(*, photo: bool = False) -> str | None:
    """The engine that `read` would use: "tesseract", "rapidocr", or None where neither is installed."""
    engines = (RAPIDOCR, TESSERACT) if photo else (TESSERACT, RAPIDOCR)
    here = {TESSERACT: shutil.which("tesseract") is not None, RAPIDOCR: _has_rapidocr()}
    return next((engine for engine in engines if here[engine]), None)


def read(
    image_path: Path,
    languages: str | Iterable[str] = "eng",
    *,
    photo: bool = False,
    engine: str | None = None,
) -> list[TextBlock]:
    """The lines of text in a picture, top to bottom. Empty where there is no engine, or nothing to read.

    `languages` are tesseract's names ("eng+deu" or a list); those not installed are left out.
    """
    chosen = engine or available(photo=photo)
    if chosen == TESSERACT:
        return _tesseract(image_path, _languages(languages))
    return _rapidocr(image_path) if chosen == RAPIDOCR else []


def read_pictures(
    source: Path,
    workdir: Path,
    languages: str | Sequence[str] = "eng",
    photo: bool = False,  # noqa: FBT001, FBT002 - the sandbox passes arguments by place
) -> dict[str, Any]:
    """`read` as JSON: {engine, blocks}."""
    blocks = read(source, languages, photo=photo)
    return {"engine": available(photo=photo), "blocks": [asdict(block) for block in blocks]}


def read_pages(
    source: Path, workdir: Path, pages: Sequence[int], languages: str | Sequence[str] = "eng"
) -> dict[str, Any]:
    """Pages of a PDF (counted from 1) drawn and read: {engine, pages: [{page, text, blocks}]}."""
    engine = available()
    found: list[dict[str, Any]] = []
    path = workdir / "page.png"
    try:
        for number, picture in pdf.draw(source, pages, SCAN_DPI, MAX_SCAN_SIDE):
            picture.save(path, compress_level=1)
            blocks = read(path, languages, engine=engine)
            text = "\n".join(block.text for block in blocks)
            found.append(
                {"page": number, "text": text, "blocks": [asdict(each) for each in blocks]}
            )
    finally:
        path.unlink(missing_ok=True)
    return {"engine": engine, "pages": found}


# --- tesseract ---------------------------------------------------------------------------------------


@functools.cache
def installed_languages() -> frozenset[str]:
    """What tesseract can read on this machine."""
    if shutil.which("tesseract") is None:
        return frozenset()
    done = subprocess.run(
        ["tesseract", "--list-langs"],  # noqa: S607 - wherever the operator installed it
        capture_output=True,
        timeout=20,
        check=False,
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    return frozenset(line for line in lines if _LANGUAGE.fullmatch(line)) - {"osd"}


def _languages(wanted: str | Iterable[str]) -> str:
    names = re.split(r"[+,\s]+", wanted) if isinstance(wanted, str) else list(wanted)
    here = installed_languages()
    chosen = [name for name in dict.fromkeys(names) if name in here][:MAX_LANGUAGES]
    return "+".join(chosen or (["eng"] if "eng" in here else sorted(here)[:1]))


def _tesseract(image_path: Path, languages: str) -> list[TextBlock]:
    # Its threads wait for each other more than they work: one is five times cheaper and no slower.
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    command = ["tesseract", os.fspath(image_path.resolve()), "stdout", "--psm", "3", "tsv"]
    if languages:
        command[3:3] = ["-l", languages]
    try:
        done = subprocess.run(  # noqa: S603 - an absolute path and checked language names
            command,
            capture_output=True,
            env=environment,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=True,
        )
    except subprocess.TimeoutExpired as error:
        raise Unreadable("LIMIT_EXCEEDED", "Reading the text took too long.") from error
    except subprocess.CalledProcessError as error:
        raise Unreadable("CORRUPT_FILE", "The text reader cannot open the picture.") from error
    return parse_tsv(done.stdout.decode("utf-8", "replace"))


def parse_tsv(table: str) -> list[TextBlock]:
    """Tesseract's words put together to lines, each as sure as its words on average."""
    rows = csv.DictReader(io.StringIO(table), delimiter="\t", quoting=csv.QUOTE_NONE)
    page = (1, 1)
    lines: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in rows:
        if row["level"] == "1":
            page = (max(1, int(row["width"])), max(1, int(row["height"])))
        elif row["level"] == "5" and (row["text"] or "").strip():
            lines.setdefault(tuple(row[name] for name in _LINE_COLUMNS), []).append(row)
    return [_line(words, page) for words in lines.values()]


def _line(words: list[dict[str, str]], page: tuple[int, int]) -> TextBlock:
    text = one_line(" ".join(word["text"] for word in words), 5000)
    sure = [float(word["conf"]) for word in words]
    edges = [[int(word[name]) for name in ("left", "top", "width", "height")] for word in words]
    left, top = min(edge[0] for edge in edges), min(edge[1] for edge in edges)
    right = max(edge[0] + edge[2] for edge in edges)
    bottom = max(edge[1] + edge[3] for edge in edges)
    confidence = min(1.0, max(0.0, sum(sure) / len(sure) / 100))
    return TextBlock(text, round(confidence, 4), _box(left, top, right, bottom, page))


def _box(
    left: float, top: float, right: float, bottom: float, page: tuple[int, int]
) -> list[float]:
    width, height = page
    left, right = (min(max(x / width, 0.0), 1.0) for x in (left, right))
    top, bottom = (min(max(y / height, 0.0), 1.0) for y in (top, bottom))
    return [round(value, 5) for value in (left, top, right - left, bottom - top)]


# --- RapidOCR ----------------------------------------------------------------------------------------


@functools.cache
def _has_rapidocr() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in (RAPIDOCR, "onnxruntime"))


@functools.cache
def _rapid_engine() -> Any:
    """Loaded once in a process: half a second, and 800 MB when it works."""
    # An extra of many megabytes with models inside; imported by name as it may not be there.
    module = importlib.import_module(RAPIDOCR)
    return module.RapidOCR(
        params={
            "Global.log_level": "critical",
            # Its classifier of directions turns upright lines over: a fifth of the signs come out wrong.
            "Global.use_cls": False,
            "Det.limit_side_len": 960,  # half the CPU of the default, at the same accuracy
            "Det.limit_type": "max",
            "EngineConfig.onnxruntime.intra_op_num_threads": 2,
        }
    )


def _rapidocr(image_path: Path) -> list[TextBlock]:
    with Image.open(image_path) as opened:
        picture = renditions.flat(opened).convert("RGB")
    found = _rapid_engine()(np.asarray(picture)[:, :, ::-1])  # it takes blue first, as OpenCV does
    if found.boxes is None or found.txts is None:
        return []
    blocks: list[TextBlock] = []
    for corners, text, score in zip(found.boxes, found.txts, found.scores, strict=True):
        xs, ys = [float(x) for x, _ in corners], [float(y) for _, y in corners]
        line = one_line(text, 5000)
        if line:
            box = _box(min(xs), min(ys), max(xs), max(ys), picture.size)
            blocks.append(TextBlock(line, round(float(score), 4), box))
    return blocks

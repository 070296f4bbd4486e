"""The picture inspector against its floor, one bare half-size decode, and against the naive way.

The pictures are 12-megapixel JPEGs with grain, as hard to decode as a phone's. Bounds: all facts and both
renditions within 1.6 bare decodes, 12 times faster than decoding once for each artefact, 25 pictures a
second on two cores, 120 MiB in a worker.
"""

from __future__ import annotations

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from bench import harness
from bench.harness import Result
from processing.inspectors import fingerprints, image, renditions

PICTURES = 4
SIZE = (4032, 3024)


def make_pictures(folder: Path) -> list[Path]:
    paths = []
    for n in range(PICTURES):
        random = np.random.default_rng(n)
        shapes = Image.fromarray(random.integers(0, 256, (12, 16, 3), dtype=np.uint8))
        pixels = np.asarray(shapes.resize(SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
        grain = random.normal(0, 7, (SIZE[1], SIZE[0], 1)).astype(np.int16)
        path = folder / f"{n}.jpg"
        exif = Image.Exif()
        exif[271], exif[306] = "Bench", "2026:01:02 03:04:05"
        grained = np.clip(pixels + grain, 0, 255).astype(np.uint8)
        Image.fromarray(grained).save(path, quality=85, exif=exif)
        paths.append(path)
    return paths


def fresh(folder: Path) -> Path:
    """An empty work directory, as each job has one: writing over old files costs extra."""
    return Path(tempfile.mkdtemp(dir=folder))


def bare_decode(path: Path) -> None:
    with Image.open(path) as picture:
        picture.draft("RGB", (1280, 1280))
        picture.load()


def naive(path: Path, workdir: Path) -> None:
    """One open and full decode for each artefact, as most services do it."""
    with Image.open(path) as picture:
        dict(picture.getexif())
    for side in (1280, 320):
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            upright.resize(renditions.fit(upright.size, side), Image.Resampling.LANCZOS).save(
                workdir / f"{side}.jpg", quality=80
            )
    for fact in (fingerprints.phash, fingerprints.blurhash, fingerprints.colours):
        with Image.open(path) as picture:
            fact(picture.convert("RGB"))


def inspect_all(folder: str) -> dict[str, float]:
    """Run in a fresh process: the peak memory of a worker that inspects pictures one after another."""
    with tempfile.TemporaryDirectory() as workdir:
        for path in sorted(Path(folder).glob("*.jpg")):
            image.inspect(path, Path(workdir))
    return {"rss": harness.peak_rss_mib()}


def _worker(path: Path) -> None:
    with tempfile.TemporaryDirectory() as workdir:
        image.inspect(path, Path(workdir))


def _rate_on_two(paths: list[Path]) -> float:
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(_worker, paths[:2]))  # start both
        began = time.perf_counter()
        list(pool.map(_worker, paths * 6))
        return len(paths) * 6 / (time.perf_counter() - began)


def _times(path: Path) -> list[float]:
    """Seconds for one picture: the bare decode, ours, the naive way."""
    return harness.best_of(
        6,
        lambda: bare_decode(path),
        lambda: image.inspect(path, fresh(path.parent)),
        lambda: naive(path, fresh(path.parent)),
        clock=time.perf_counter,
    )


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        paths = make_pictures(folder)
        floor, ours, slow = (
            sum(times) for times in zip(*(_times(path) for path in paths), strict=True)
        )
        rate = _rate_on_two(paths)
        rss = harness.in_child("bench.inspect_images", "inspect_all", made)["rss"]
    each = 1000 / len(paths)
    return [
        Result("bare half-size decode", floor * each, "ms"),
        Result("inspect, all facts and renditions", ours * each, "ms", floor * each),
        harness.at_most("inspect : bare decode", ours / floor, 1.6, "x"),
        harness.at_least("naive : inspect", slow / ours, 12, "x", slow * each),
        harness.at_least("pictures a second, two processes", rate, 25, "1/s"),
        harness.at_most("peak memory of a worker", rss, 120, "MiB"),
    ]


def main() -> dict[str, Any]:
    return harness.write(run(), "inspect_images")


if __name__ == "__main__":
    main()

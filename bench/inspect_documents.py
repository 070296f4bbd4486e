"""The document inspector against the bare libraries beneath it, all in one run.

Bounds: PDF text within 1.1 of a bare pypdfium2 loop, 95 of 100 assorted PDFs within 15 ms; DOCX within 10
times its unzipping; 26 of 28 samples in other charsets right; reading text in pictures within 1.05 of bare
tesseract, with at most 0.1 % wrong characters on clean and scanned pages and 1 % on photographed ones.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import docx
import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from bench import harness
from bench.harness import Result
from bench.samples import SENTENCES, WORDS, pdf_file
from processing.inspectors import document, ocr, plain

PAGES = 100
NO_PICTURES = {"want_renditions": False}


def prose(generator: random.Random, words: int) -> str:
    return " ".join(generator.choice(WORDS) for _ in range(words))


def page(generator: random.Random) -> str:
    return "\n".join(prose(generator, 12) for _ in range(45))


# --- PDF ---------------------------------------------------------------------------------------------


def bare_pdf(path: Path) -> int:
    """The plainest loop: every page's text, and nothing done with it."""
    read = 0
    pdf = pdfium.PdfDocument(path)
    for number in range(len(pdf)):
        sheet = pdf[number]
        text = sheet.get_textpage()
        read += len(text.get_text_bounded())
        text.close()
        sheet.close()
    pdf.close()
    return read


def assorted_pdfs(folder: Path) -> list[Path]:
    """Sixty documents of one to twelve pages, some of them scans, as an inbox has them."""
    generator = random.Random(4)
    paths = []
    for number in range(60):
        path = folder / f"assorted-{number}.pdf"
        if number % 6 == 5:
            text_picture([prose(generator, 8) for _ in range(25)]).save(path, "PDF", resolution=150)
        else:
            path.write_bytes(pdf_file([page(generator) for _ in range(generator.randint(1, 12))]))
        paths.append(path)
    return paths


def pdf_results(folder: Path) -> list[Result]:
    generator = random.Random(1)
    path = folder / "long.pdf"
    path.write_bytes(pdf_file([page(generator) for _ in range(PAGES)]))
    bare, ours = harness.best_of(
        9,
        lambda: bare_pdf(path),
        lambda: document.inspect(path, folder, {"format": "pdf", **NO_PICTURES}),
    )
    times, whole = [], []
    for each in assorted_pdfs(folder):
        times += harness.best_of(3, partial(document.inspect, each, folder, NO_PICTURES))
        whole += harness.best_of(3, partial(document.inspect, each, folder))
    return [
        Result("PDF of 100 pages: bare loop", bare * 1000, "ms"),
        Result("PDF of 100 pages: inspect", ours * 1000, "ms", bare * 1000),
        harness.at_most("PDF text: bare pypdfium2 loop", ours / bare, 1.1, "x"),
        harness.at_most("assorted PDFs, text, p95", _p95(times) * 1000, 15, "ms"),
        Result("assorted PDFs, with both renditions, p95", _p95(whole) * 1000, "ms"),
    ]


def _p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


# --- DOCX --------------------------------------------------------------------------------------------


def make_docx(path: Path) -> None:
    """About 200,000 characters and 20 tables of 150 cells."""
    generator = random.Random(2)
    made = docx.Document()
    made.sections[0].header.paragraphs[0].text = "A header"
    for _ in range(20):
        for _ in range(15):
            made.add_paragraph(prose(generator, 80))
        table = made.add_table(30, 5)
        for cell in table._cells:  # noqa: SLF001 - the public way is quadratic
            cell.text = prose(generator, 2)
    made.save(os.fspath(path))


def unzip(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(len(archive.read(name)) for name in archive.namelist())


def docx_results(folder: Path) -> list[Result]:
    path = folder / "long.docx"
    make_docx(path)
    bare, ours = harness.best_of(
        9, lambda: unzip(path), lambda: document.inspect(path, folder, {"format": "docx"})
    )
    return [
        Result("DOCX: unzip", bare * 1000, "ms"),
        Result("DOCX: inspect", ours * 1000, "ms", bare * 1000),
        harness.at_most("DOCX : unzip", ours / bare, 10, "x"),
    ]


# --- charsets ----------------------------------------------------------------------------------------


def charset_results() -> list[Result]:
    results = []
    for repeats in (1, 4, 200):
        right = 0
        for sentence, encoding in SENTENCES:
            data = "\n".join([sentence] * repeats).encode(encoding)
            right += plain.decode(data, plain.charset(data)) == data.decode(encoding).lstrip(
                "\ufeff"
            )
        name = f"charsets right of {len(SENTENCES)}, {repeats} sentence(s)"
        results.append(harness.at_least(name, right, 26, ""))
    samples = [("\n".join([sentence] * 200)).encode(encoding) for sentence, encoding in SENTENCES]
    (spent,) = harness.best_of(3, lambda: [plain.charset(data) for data in samples])
    results.append(harness.at_most("charset of a file", spent * 1000 / len(samples), 3, "ms"))
    return results


# --- reading pictures --------------------------------------------------------------------------------


def text_picture(lines: Iterable[str], *, dpi: int = 200) -> Image.Image:
    """A page of type on white paper."""
    scale = dpi / 200
    image = Image.new("L", (round(1654 * scale), round(2339 * scale)), 255)
    draw = ImageDraw.Draw(image)
    font = ImageFont.truetype(_font(), round(30 * scale))
    for number, line in enumerate(lines):
        draw.text((120 * scale, (110 + number * 66) * scale), line, fill=0, font=font)
    return image


def _font() -> str:
    found = sorted(Path("/usr/share/fonts").rglob("DejaVuSans.ttf"))
    if found:
        return os.fspath(found[0])
    import matplotlib  # noqa: PLC0415 - only for the font it ships

    return os.fspath(Path(matplotlib.get_data_path()) / "fonts/ttf/DejaVuSans.ttf")


def scanned(image: Image.Image, seed: int) -> Image.Image:
    """As a scanner gives it: a little askew, soft and noisy."""
    turned = image.rotate(0.5, resample=Image.Resampling.BICUBIC, fillcolor=255)
    soft = np.asarray(turned.filter(ImageFilter.GaussianBlur(0.7)), dtype=np.float32)
    noise = np.random.default_rng(seed).normal(0, 12, soft.shape)
    return Image.fromarray(np.clip(soft * 0.9 + 12 + noise, 0, 255).astype(np.uint8))


def photographed(image: Image.Image, seed: int) -> Image.Image:
    """As a hand-held camera gives it: in perspective, on a textured desk, lit from one side."""
    width, height = image.size
    source = [(0, 0), (width, 0), (width, height), (0, height)]
    target = [(100, 50), (width - 80, 150), (width - 110, height - 55), (30, height - 100)]
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[u, v, 1, 0, 0, 0, -x * u, -x * v], [0, 0, 0, u, v, 1, -y * u, -y * v]]
    bends = np.linalg.solve(np.array(rows, dtype=float), np.array(source, dtype=float).ravel())
    page_ = image.transform(
        image.size,
        Image.Transform.PERSPECTIVE,
        bends.tolist(),
        Image.Resampling.BICUBIC,
        fillcolor=90,
    )
    random_ = np.random.default_rng(seed)
    texture = random_.normal(0, 15, (height // 3 + 1, width // 3 + 1)).repeat(3, 0).repeat(3, 1)
    light = np.linspace(0.95, 0.45, width)[None, :]
    pixels = np.asarray(page_, dtype=np.float32) * light + texture[:height, :width]
    soft = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return soft.filter(ImageFilter.GaussianBlur(0.9)).convert("RGB")


def errors(truth: str, read: str) -> float:
    """The share of characters to insert, delete or change (Levenshtein)."""
    a, b = " ".join(truth.split()), " ".join(read.split())
    codes = np.array([ord(char) for char in b])
    row = np.arange(len(b) + 1)
    for number, char in enumerate(a, 1):
        best = np.minimum(row[1:] + 1, row[:-1] + (codes != ord(char)))
        # Insertions run along the row: a running minimum of cost less position.
        whole = np.concatenate([[number], best]) - np.arange(len(b) + 1)
        row = np.minimum.accumulate(whole) + np.arange(len(b) + 1)
    return float(row[-1]) / max(1, len(a))


def bare_tesseract(path: Path) -> None:
    command = ["tesseract", os.fspath(path), "stdout", "-l", "eng", "--psm", "3", "tsv"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    subprocess.run(command, env=environment, capture_output=True, check=True)


def ocr_results(folder: Path) -> list[Result]:
    generator = random.Random(3)
    kinds: dict[str, Callable[[Image.Image, int], Image.Image]] = {
        "clean": lambda image, _: image,
        "scanned": scanned,
        "photographed": photographed,
    }
    results: list[Result] = []
    wrong: dict[tuple[str, str], list[float]] = {}
    timed: list[tuple[float, float]] = []
    for number in range(2):
        lines = [prose(generator, 11) for _ in range(31)]
        for kind, spoil in kinds.items():
            path = folder / f"{kind}.png"
            spoil(text_picture(lines), number).save(path)
            for engine in _engines():
                blocks = ocr.read(path, "eng", engine=engine)
                text = "\n".join(block.text for block in blocks)
                wrong.setdefault((engine, kind), []).append(errors("\n".join(lines), text))
            if kind == "scanned" and ocr.TESSERACT in _engines():
                pair = harness.best_of(
                    3,
                    partial(bare_tesseract, path),
                    partial(ocr.read, path),
                    clock=harness.cpu,
                )
                timed.append((pair[0], pair[1]))
    if timed:
        bare, ours = (sum(times) for times in zip(*timed, strict=True))
        results.append(Result("tesseract, a page", bare / len(timed), "CPU s"))
        results.append(harness.at_most("reading : bare tesseract", ours / bare, 1.05, "x"))
    for (engine, kind), shares in sorted(wrong.items()):
        share = 100 * sum(shares) / len(shares)
        name = f"{engine}, {kind}: wrong characters"
        # Tesseract is not for photographs: where RapidOCR is installed, it reads them.
        bound = 1.0 if kind == "photographed" else 0.1
        judged = engine == ocr.available(photo=kind == "photographed")
        results.append(
            harness.at_most(name, share, bound, "%") if judged else Result(name, share, "%")
        )
    return results


def _engines() -> list[str]:
    return list(dict.fromkeys(filter(None, (ocr.available(), ocr.available(photo=True)))))


def run() -> list[Result]:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        return [
            *pdf_results(folder),
            *docx_results(folder),
            *charset_results(),
            *ocr_results(folder),
        ]


def main() -> dict[str, Any]:
    return harness.write(run(), "inspect_documents")


if __name__ == "__main__":
    main()

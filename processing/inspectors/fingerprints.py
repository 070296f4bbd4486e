"""What a picture looks like in a few bytes: perceptual hash, blurhash, colours. Fed with a thumbnail."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float64]

_HASH_SIDE = 32  # the hash is taken from this many pixels squared
_FLAT = (
    4.0  # a picture whose strongest wave is weaker than this (of 255) has nothing to be known by
)
_APART = 64.0  # colours of the palette differ by this much in RGB
_PALETTE = 5
_BASE83 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~"


def _cosines(side: int) -> Floats:
    """The orthonormal DCT-II of this length, as a matrix."""
    k = np.arange(side)
    matrix: Floats = np.sqrt(2 / side) * np.cos(np.pi * k[:, None] * (2 * k + 1) / (2 * side))
    matrix[0] /= np.sqrt(2)
    return matrix


_DCT = _cosines(_HASH_SIDE)
# The 64 longest waves after the constant, longest first: (1, 0), (0, 1), (2, 0), ...
_WAVES = tuple(
    np.array(
        sorted(((u, v) for u in range(12) for v in range(12)), key=lambda w: (sum(w), w))[1:65]
    ).T
)


def phash(image: Image.Image) -> int | None:
    """64 bits, signed, that change little when the picture is scaled, compressed or brightened.

    None for a picture of one colour: all of them would be alike.
    """
    grey = image.convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX)
    waves = (_DCT @ np.asarray(grey, dtype=np.float64) @ _DCT.T)[_WAVES]
    if np.abs(waves).max() < _FLAT:
        return None
    bits = np.packbits(waves > np.median(waves))
    return int.from_bytes(bits.tobytes(), "big", signed=True)


def bands(value: int) -> tuple[int, int, int, int]:
    """The hash in four quarters of 16 bits, highest first: what near hashes are looked up by."""
    a, b, c, d = (value >> shift & 0xFFFF for shift in (48, 32, 16, 0))
    return a, b, c, d


def distance(a: int, b: int) -> int:
    """In how many of 64 bits two hashes differ."""
    return ((a ^ b) & 0xFFFF_FFFF_FFFF_FFFF).bit_count()


def blurhash(image: Image.Image, columns: int = 4, rows: int = 3) -> str:
    """The picture as about thirty characters, from which a page can paint a blurred placeholder."""
    side = 32
    small = image.convert("RGB").resize((side, side), Image.Resampling.BOX)
    light = _LINEAR[np.asarray(small)]
    steps = (
        (np.arange(side) + 0.5) * np.pi / side
    )  # middles of pixels, so that one colour has no waves
    across = np.cos(steps[:, None] * np.arange(columns))
    down = np.cos(steps[:, None] * np.arange(rows))
    parts: Floats = np.einsum("yr,yxc,xk->rkc", down, light, across).reshape(-1, 3) * 2 / side**2
    parts[0] /= 2
    strongest = float(np.abs(parts[1:]).max())
    scale = max(0, min(82, int(strongest * 166 - 0.5)))
    first = _gamma(parts[0])
    waves = parts[1:] / ((scale + 1) / 166)
    levels = np.clip(np.floor(np.sign(waves) * np.sqrt(np.abs(waves)) * 9 + 9.5), 0, 18).astype(int)
    codes = [_base83(int(r * 361 + g * 19 + b), 2) for r, g, b in levels]
    head = _base83(columns - 1 + (rows - 1) * 9, 1) + _base83(scale, 1)
    return head + _base83(first[0] << 16 | first[1] << 8 | first[2], 4) + "".join(codes)


def _linear(levels: Floats) -> Floats:
    share = levels / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


_LINEAR = _linear(np.arange(256, dtype=np.float64))


def _gamma(light: Floats) -> list[int]:
    share = np.clip(light, 0, 1)
    curved = np.where(share <= 0.0031308, share * 12.92, 1.055 * share ** (1 / 2.4) - 0.055)
    return [int(value) for value in curved * 255 + 0.5]


def _base83(value: int, length: int) -> str:
    return "".join(_BASE83[value // 83 ** (length - n) % 83] for n in range(1, length + 1))


def colours(image: Image.Image, alpha: Image.Image | None = None) -> dict[str, Any]:
    """The dominant colour and a small palette, each with its share of what is not transparent."""
    side = (32, 32)
    pixels = np.asarray(image.convert("RGB").resize(side, Image.Resampling.BOX)).reshape(-1, 3)
    if alpha is not None:
        seen = np.asarray(alpha.resize(side, Image.Resampling.BOX)).reshape(-1) >= 128
        pixels = pixels[seen]
    if not len(pixels):
        return {"dominant": None, "palette": []}
    found = [
        {"hex": "#{:02x}{:02x}{:02x}".format(*(round(c) for c in colour)), "share": round(share, 3)}
        for colour, share in _palette(pixels)
    ]
    return {"dominant": found[0]["hex"], "palette": found}


def _palette(pixels: NDArray[np.uint8]) -> list[tuple[Floats, float]]:
    """Mean colours around the fullest cells of an 8 x 8 x 8 cube that lie apart, each with its share."""
    cells = (pixels >> 5).astype(np.int64) @ np.array([64, 8, 1])
    counts = np.bincount(cells, minlength=512)
    seeds: list[Floats] = []
    for cell in np.argsort(-counts, kind="stable")[:64]:
        if not counts[cell] or len(seeds) == _PALETTE:
            break
        middle = np.array([cell >> 6, cell >> 3 & 7, cell & 7]) * 32.0 + 16
        if all(np.linalg.norm(seed - middle) >= _APART for seed in seeds):
            seeds.append(middle)
    colours_ = pixels.astype(np.float64)
    away = ((colours_[:, None] - np.array(seeds)) ** 2).sum(axis=2)
    nearest = away.argmin(axis=1)
    sizes = np.bincount(nearest, minlength=len(seeds))
    found = [
        (colours_[nearest == n].mean(axis=0), float(size) / len(pixels))
        for n, size in enumerate(sizes)
        if size
    ]
    return sorted(found, key=lambda colour: -colour[1])

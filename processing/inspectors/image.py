"""What is in a picture: size, what the camera wrote, colours, hashes, a preview and a thumbnail.

The file is decoded once. A JPEG is decoded at half, a quarter or an eighth of its size where that is
enough for the preview; hashes and colours come from the thumbnail. Of an animation or a TIFF of many
pages only the first picture is decoded. Whatever a colour space or mode, renditions are 8-bit sRGB JPEGs.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np

# Plugins imported by name: Pillow would otherwise import all of its forty to find one.
from PIL import (
    AvifImagePlugin,
    Image,
    ImageCms,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from media_assets import filetypes
from processing.inspectors import exif, fingerprints, frames, renditions
from processing.inspectors.base import Inspection, Unreadable

MAX_SIDE = 65_535  # px: what the preview's own format could hold
MAX_PROFILE_BYTES = 1 << 20  # a colour profile larger than this is not a colour profile

_PLUGINS = {
    "jpg": "JPEG",
    "png": "PNG",
    "gif": "GIF",
    "webp": WebPImagePlugin.WebPImageFile.format,
    "heic": "HEIF",
    "tiff": TiffImagePlugin.TiffImageFile.format,
    "bmp": "BMP",
    "avif": AvifImagePlugin.AvifImageFile.format,
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Limits on a picture; the defaults are those of the settings."""

    max_pixels: int = 50_000_000  # more is LIMIT_EXCEEDED, before anything is decoded

    @classmethod
    def of(cls, values: Mapping[str, Any] | ImageOptions | None) -> Self:
        """From JSON, as a sandboxed call carries it; names it does not know are left alone."""
        known = {field.name for field in fields(cls)}
        given = values if isinstance(values, Mapping) else {}
        return (
            values
            if isinstance(values, cls)
            else cls(**{k: v for k, v in given.items() if k in known})
        )


def inspect(
    source: Path, workdir: Path, options: Mapping[str, Any] | ImageOptions | None = None
) -> Inspection:
    """Facts and renditions of one picture. Raises Unreadable."""
    wanted = ImageOptions.of(options)
    with _faults(wanted.max_pixels):
        format_ = _format(source)
        with Image.open(source, formats=[_PLUGINS[format_]]) as image:
            return _inspect(image, format_, source, workdir, wanted)


def _inspect(
    image: Image.Image, format_: str, source: Path, workdir: Path, wanted: ImageOptions
) -> Inspection:
    size, mode = image.size, image.mode
    if size[0] * size[1] > wanted.max_pixels or max(size) > MAX_SIDE:
        raise _too_large(wanted.max_pixels)
    if format_ == "jpg":
        side = renditions.PREVIEW_SIDE
        camera = exif.read(image)
        image.draft("RGB", (side, side))
        image.load()
    else:
        image.load()  # first: in a PNG the camera's words may follow the pixels
        camera = exif.read(image)
    orientation, taken_at, written = camera
    has_alpha = image.has_transparency_data
    preview = _small(image, format_)
    alpha = preview.getchannel("A") if preview.mode == "RGBA" else None
    preview = _standard_colours(renditions.flat(preview), mode, image.info.get("icc_profile"))
    count = _count(image, format_, source)
    thumbnail = renditions.thumbnail(preview)
    if orientation in _TURNS:
        preview, thumbnail = (part.transpose(_TURNS[orientation]) for part in (preview, thumbnail))
        alpha = alpha.transpose(_TURNS[orientation]) if alpha else None
    turned = orientation >= 5
    return Inspection(
        facts={
            "width": size[turned],
            "height": size[not turned],
            "taken_at": taken_at,
            "blurhash": fingerprints.blurhash(thumbnail),
            "phash": fingerprints.phash(thumbnail),
        },
        metadata={
            "format": format_,
            "mode": mode,
            "orientation": orientation,
            "has_alpha": has_alpha,
            "frames": count,
            "animated": count > 1 and format_ != "tiff",
            "colours": fingerprints.colours(thumbnail, alpha),
            **written,
        },
        renditions=[
            renditions.write(thumbnail, workdir, "thumbnail"),
            renditions.write(preview, workdir, "preview"),
        ],
    )


@contextmanager
def _faults(max_pixels: int) -> Iterator[None]:
    """Everything a decoder raises becomes one of our few codes; its limits are ours while it runs."""
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF and the like, which we tell ourselves
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except Unreadable:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(max_pixels) from error
    except MemoryError as error:
        raise Unreadable("LIMIT_EXCEEDED", "The picture needs too much memory.") from error
    except UnidentifiedImageError as error:
        raise Unreadable("CORRUPT_FILE", "The picture cannot be read.") from error
    except Exception as error:
        raise _fault(error) from error  # decoders of hostile bytes raise nearly anything
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _too_large(max_pixels: int) -> Unreadable:
    message = f"The picture has more than {max_pixels:,} pixels or a side over {MAX_SIDE:,}."
    return Unreadable("LIMIT_EXCEEDED", message)


def _fault(error: Exception) -> Unreadable:
    said = str(error).lower()
    if "too large" in said or "too many" in said or "security limit" in said:
        return Unreadable(
            "LIMIT_EXCEEDED", "A part of the picture is far larger than it should be."
        )
    if "not available" in said or "unsupported" in said or "not supported" in said:
        return Unreadable("UNSUPPORTED_CODEC", "The picture is packed in a way we cannot read.")
    return Unreadable("CORRUPT_FILE", "The picture is damaged or cut short.")


def _format(source: Path) -> str:
    with source.open("rb") as file:
        found = filetypes.sniff(file.read(4096))
    if found is None or found.format not in _PLUGINS:
        raise Unreadable("CORRUPT_FILE", "This is not a picture we know.")
    if found is filetypes.HEIC:
        # Native code that is wanted by few files: it is loaded in the child that decodes one.
        import pi_heif  # noqa: PLC0415

        pi_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return found.format


def _small(image: Image.Image, format_: str) -> Image.Image:
    """The picture at the preview's size in L, RGB, RGBA or CMYK, 8 bits."""
    size = renditions.fit(image.size, renditions.PREVIEW_SIDE)
    image = _eight_bits(image, format_) if image.mode.startswith(("I", "F")) else image
    if image.mode in ("P", "PA", "La", "LA", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    elif image.mode not in ("L", "RGB", "RGBA", "CMYK"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return renditions.scaled(image, size)


def _eight_bits(image: Image.Image, format_: str) -> Image.Image:
    """Grey of 16 or 32 bits, or of fractions, brought to 0 to 255: a PNG's range is known, others' is not."""
    if image.mode in ("F", "I"):
        image = image.resize(
            renditions.fit(image.size, renditions.PREVIEW_SIDE), Image.Resampling.BOX
        )
    values = np.nan_to_num(np.asarray(image), posinf=0, neginf=0)
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())
        return Image.fromarray(((values - low) * (255 / ((high - low) or 1))).astype(np.uint8))
    bits = 16 if format_ == "png" else max(8, int(values.max()).bit_length())
    return Image.fromarray((values.clip(0) >> bits - 8).astype(np.uint8))


def _standard_colours(image: Image.Image, mode: str, profile: bytes | None) -> Image.Image:
    """sRGB: a preview without its profile would look pale where the camera used a wider space."""
    if mode in ("L", "1") or image.mode != "RGB" or not profile or len(profile) > MAX_PROFILE_BYTES:
        return image
    if mode == "CMYK" or b"sRGB" in profile[:4096] or profile[16:20] != b"RGB ":
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, source, target, outputMode="RGB") or image
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return image  # a damaged profile spoils no picture


def _count(image: Image.Image, format_: str, source: Path) -> int:
    if format_ == "gif":
        return max(1, frames.count_gif(source))
    if format_ == "tiff":
        return max(1, frames.count_tiff(source))
    if format_ in ("png", "webp", "avif"):  # told by the header
        return max(1, min(frames.MAX_FRAMES, int(getattr(image, "n_frames", 1))))
    return 1

"""What a camera wrote beside the picture: when, where, with what. Every value is a stranger's word.

Strings lose control characters and are cut; numbers are checked; what makes no sense is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, TypeVar

from PIL import ExifTags, Image

from processing.inspectors.strings import one_line

T = TypeVar("T")

_EXIF, _GPS = ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo
_FIRST_PHOTOGRAPH = 1826
_ZONE = re.compile(r"([+-])(0\d|1[0-4]):([0-5]\d)")

_STRINGS = {
    "camera_make": ExifTags.Base.Make,
    "camera_model": ExifTags.Base.Model,
    "software": ExifTags.Base.Software,
    "artist": ExifTags.Base.Artist,
    "copyright": ExifTags.Base.Copyright,
    "description": ExifTags.Base.ImageDescription,
}
_DETAIL_STRINGS = {"lens_make": ExifTags.Base.LensMake, "lens_model": ExifTags.Base.LensModel}
_NUMBERS = {
    "iso": ExifTags.Base.ISOSpeedRatings,
    "f_number": ExifTags.Base.FNumber,
    "exposure_s": ExifTags.Base.ExposureTime,
    "focal_length_mm": ExifTags.Base.FocalLength,
}


def read(image: Image.Image) -> tuple[int, str | None, dict[str, Any]]:
    """Orientation (1 to 8), the time taken (ISO; with a zone only where the camera knew it), the rest."""
    exif: Mapping[int, Any] = _try(image.getexif) or {}
    detail = _directory(exif, _EXIF)
    found: dict[str, Any] = {}
    for tags, source in ((_STRINGS, exif), (_DETAIL_STRINGS, detail)):
        for name, tag in tags.items():
            text = one_line(source.get(tag))
            if text:
                found[name] = text
    for name, tag in _NUMBERS.items():
        number = _number(detail.get(tag))
        if number is not None and 0 < number < 1e7:
            found[name] = round(number, 6)
    gps = _position(_directory(exif, _GPS))
    if gps:
        found["gps"] = gps
    return _orientation(exif), _taken_at(exif, detail), found


def _try(read: Callable[[], T]) -> T | None:
    """Damaged EXIF makes Pillow raise nearly anything; the picture may be sound all the same."""
    try:
        return read()
    except Exception:  # noqa: BLE001 - struct.error, KeyError, TypeError, ZeroDivisionError, SyntaxError ...
        return None


def _directory(exif: Any, tag: int) -> Mapping[int, Any]:
    return (_try(lambda: dict(exif.get_ifd(tag))) if hasattr(exif, "get_ifd") else None) or {}


def _orientation(exif: Mapping[int, Any]) -> int:
    value = exif.get(ExifTags.Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _number(value: Any) -> float | None:
    if isinstance(value, tuple | list):
        value = value[0] if value else None
    if value is None or isinstance(value, str | bytes):
        return None
    number: float | None = _try(lambda: float(value))
    return number if number is not None and math.isfinite(number) else None


def _taken_at(exif: Mapping[int, Any], detail: Mapping[int, Any]) -> str | None:
    for source, tag, zone in (
        (detail, ExifTags.Base.DateTimeOriginal, ExifTags.Base.OffsetTimeOriginal),
        (detail, ExifTags.Base.DateTimeDigitized, ExifTags.Base.OffsetTimeDigitized),
        (exif, ExifTags.Base.DateTime, ExifTags.Base.OffsetTime),
    ):
        moment = _moment(one_line(source.get(tag)), one_line(detail.get(zone)))
        if moment:
            return moment
    return None


def _moment(text: str, zone: str) -> str | None:
    """`2026:05:01 10:20:30` and `+02:00` as ISO 8601; a day that never was is None."""
    try:
        moment = datetime.strptime(text[:19], "%Y:%m:%d %H:%M:%S")  # noqa: DTZ007 - local, zone unknown
    except ValueError:
        return None
    if not _FIRST_PHOTOGRAPH <= moment.year <= datetime.now(tz=UTC).year + 1:
        return None
    parts = _ZONE.fullmatch(zone)
    if parts:
        offset = timedelta(hours=int(parts[2]), minutes=int(parts[3]))
        moment = moment.replace(tzinfo=timezone(-offset if parts[1] == "-" else offset))
    return moment.isoformat()


def _position(gps: Mapping[int, Any]) -> dict[str, float] | None:
    latitude = _degrees(gps, ExifTags.GPS.GPSLatitude, ExifTags.GPS.GPSLatitudeRef, "S", 90)
    longitude = _degrees(gps, ExifTags.GPS.GPSLongitude, ExifTags.GPS.GPSLongitudeRef, "W", 180)
    if latitude is None or longitude is None or (latitude, longitude) == (0, 0):
        return None  # receivers without a fix write zeros
    place = {"lat": latitude, "lon": longitude}
    height = _number(gps.get(ExifTags.GPS.GPSAltitude))
    if height is not None and height < 100_000:
        below = gps.get(ExifTags.GPS.GPSAltitudeRef) in (1, b"\1")
        place["altitude_m"] = round(-height if below else height, 1)
    return place


def _degrees(gps: Mapping[int, Any], tag: int, ref: int, negative: str, most: int) -> float | None:
    parts = gps.get(tag)
    if not isinstance(parts, tuple | list) or not 1 <= len(parts) <= 3:
        return None
    numbers = [_number(part) for part in parts]
    if any(number is None or number < 0 for number in numbers):
        return None
    value: float = sum((number or 0) / 60**n for n, number in enumerate(numbers))
    if value > most:
        return None
    return round(-value if one_line(gps.get(ref)).upper().startswith(negative) else value, 6)

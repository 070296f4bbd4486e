"""The index of perceptual hashes: four 16-bit bands a hash, so that near ones share a band or nearly."""

from __future__ import annotations

from media_assets.models import Blob, PhashBand

BANDS = 4


def bands(phash: int) -> list[int]:
    """The four sixteen-bit quarters of a signed 64-bit hash."""
    unsigned = phash & 0xFFFF_FFFF_FFFF_FFFF
    return [(unsigned >> (16 * band)) & 0xFFFF for band in range(BANDS)]


def index(blob: Blob, phash: int | None) -> None:
    """Put a blob's hash into the index, in place of an earlier one."""
    PhashBand.objects.filter(blob=blob).delete()
    if phash is None:
        return
    PhashBand.objects.bulk_create(
        PhashBand(band=band, value=value, phash=phash, blob=blob)
        for band, value in enumerate(bands(phash))
    )

"""Bytes, kept once: a blob is named by what is in it. Renditions are files made from it."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from media_assets.models.base import Row


class Kind(models.TextChoices):
    IMAGE = "image", "Image"
    AUDIO = "audio", "Audio"
    VIDEO = "video", "Video"
    DOCUMENT = "document", "Document"


class Whereabouts(models.TextChoices):
    """Where a blob's bytes are.

    spool → primary          the bucket is back and the bytes were verified there
    primary → archived       evicted: only the verified archive copy is left
    archived → primary       read again, or warmed
    primary, spool, archived → expired   retention or purge took the bytes; downloads answer 410
    expired → primary, spool             the same bytes came in anew
    """

    PRIMARY = "primary", "Primary storage"
    SPOOL = "spool", "Spool of one host"
    ARCHIVED = "archived", "Archive only"
    EXPIRED = "expired", "Expired"


class Blob(Row):
    sha256 = models.CharField(max_length=64, unique=True, editable=False)
    md5 = models.CharField(max_length=32, editable=False)
    size = models.PositiveBigIntegerField(editable=False)
    mime_type = models.CharField(max_length=100)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    key = models.CharField(max_length=200, unique=True, editable=False)

    # Facts the inspectors found; null until they looked, or where there is nothing to find.
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    duration = models.FloatField(null=True, blank=True, help_text="Seconds")
    pages = models.PositiveIntegerField(null=True, blank=True)
    taken_at = models.DateTimeField(null=True, blank=True)
    blurhash = models.CharField(max_length=64, blank=True)
    phash = models.BigIntegerField(
        null=True, blank=True, help_text="64-bit perceptual hash, signed"
    )
    metadata = models.JSONField(default=dict, blank=True)
    inspected_at = models.DateTimeField(null=True, blank=True)

    whereabouts = models.CharField(
        max_length=8, choices=Whereabouts.choices, default=Whereabouts.PRIMARY
    )
    spool_host = models.CharField(max_length=100, blank=True)
    archive_key = models.CharField(max_length=300, blank=True)
    archive_url = models.CharField(max_length=500, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    verify_error = models.CharField(max_length=200, blank=True)
    accessed_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(
                condition=models.Q(kind__in=Kind.values), name="blob_kind_valid"
            ),
            models.CheckConstraint(
                condition=models.Q(whereabouts__in=Whereabouts.values),
                name="blob_whereabouts_valid",
            ),
            models.CheckConstraint(condition=models.Q(size__gt=0), name="blob_not_empty"),
            models.CheckConstraint(
                condition=models.Q(sha256__regex=r"^[0-9a-f]{64}$"), name="blob_sha256_is_hex"
            ),
            models.CheckConstraint(
                condition=models.Q(whereabouts=Whereabouts.SPOOL) ^ models.Q(spool_host=""),
                name="blob_spool_names_its_host",
            ),
        ]
        indexes: ClassVar = [
            # verify_media: the blobs whose check is longest ago
            models.Index(fields=["verified_at", "id"], name="blob_by_verified"),
            # eviction: the least recently used archived originals
            models.Index(
                fields=["whereabouts", "accessed_at"],
                name="blob_evictable",
                condition=models.Q(archived_at__isnull=False),
            ),
            # the sweep that moves this host's spool up
            models.Index(fields=["whereabouts", "spool_host", "id"], name="blob_spooled"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.sha256[:12]}"


class PhashBand(models.Model):
    """A quarter of a perceptual hash, so that near hashes are found through an index."""

    band = models.PositiveSmallIntegerField()
    value = models.PositiveIntegerField()
    phash = models.BigIntegerField()
    blob = models.ForeignKey(
        Blob, on_delete=models.CASCADE, related_name="phash_bands", db_index=False
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["blob", "band"], name="phash_band_once"),
        ]
        indexes: ClassVar = [
            # similar: all hashes with this sixteenth of a hash; answered from the index alone
            models.Index(fields=["band", "value", "phash", "blob"], name="phash_by_band"),
        ]

    def __str__(self) -> str:
        return f"{self.band}:{self.value:04x}"


class RenditionKind(models.TextChoices):
    THUMBNAIL = "thumbnail", "Thumbnail"
    PREVIEW = "preview", "Preview"
    POSTER = "poster", "Poster"
    FRAME = "frame", "Frame"
    CONTACT_SHEET = "contact_sheet", "Contact sheet"
    WAVEFORM = "waveform", "Waveform"
    AUDIO = "audio", "Sound"
    WEB_PREVIEW = "web_preview", "Web preview"


class Rendition(Row):
    blob = models.ForeignKey(Blob, on_delete=models.CASCADE, related_name="renditions")
    kind = models.CharField(max_length=14, choices=RenditionKind.choices)
    # Tells several of a kind apart: the frame's time, the sheet's grid. Empty where there is one.
    variant = models.CharField(max_length=40, blank=True)
    key = models.CharField(max_length=200, unique=True)
    mime_type = models.CharField(max_length=100)
    size = models.PositiveBigIntegerField()
    width = models.PositiveIntegerField(null=True, blank=True)
    height = models.PositiveIntegerField(null=True, blank=True)
    position = models.FloatField(null=True, blank=True, help_text="Second, or page")
    data = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering: ClassVar = ["kind", "position", "variant"]
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["blob", "kind", "variant"], name="rendition_once"),
            models.CheckConstraint(
                condition=models.Q(kind__in=RenditionKind.values), name="rendition_kind_valid"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.variant}".strip()

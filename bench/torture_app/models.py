"""What the step leaves in the database: one row for each time that it was completed."""

from __future__ import annotations

from django.db import models


class Effect(models.Model):
    """Nothing keeps a job from having two, so that two would be seen."""

    job = models.UUIDField(db_index=True)
    token = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.job} by {self.token}"

"""Whose turn it is: start-time fair queueing with one virtual clock for each priority.

`Job.fair_at` is a turn number. The clock stands at the lowest turn among jobs that wait for nothing. A new
job gets the clock's turn, or one after the last turn its owner holds, whichever is later. So an owner with
ten thousand pending jobs holds turns far ahead, and another's first job goes before all but the next.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection

from processing.models import Batch, Job

# Literals, not parameters, in the conditions: see the comment on the index job_claim.
_TURN = """
    SELECT
      (SELECT MIN(fair_at) FROM processing_job
        WHERE status = 'pending' AND waiting_for = '' AND priority = %s),
      (SELECT MAX(fair_at) FROM processing_job
        WHERE status = 'pending' AND owner_id = %s AND priority = %s)
"""


def next_turn(*, owner_id: int, priority: int) -> int:
    """The turn a job submitted now by this owner gets. Racing submitters may share one; order stays fair."""
    with connection.cursor() as cursor:
        cursor.execute(_TURN, [priority, owner_id, priority])
        clock, last = cursor.fetchone()
    return max(clock or 0, 0 if last is None else last + 1)


# The window gives each job a turn of its own, in their old order.
_LINE_UP = """
    UPDATE processing_job SET fair_at = %s + line.place
      FROM (SELECT id, ROW_NUMBER() OVER (ORDER BY fair_at, id) - 1 AS place
              FROM processing_job
             WHERE batch_id = %s AND status = 'pending' AND updated_at = %s) AS line
     WHERE processing_job.id = line.id
"""


def line_up(*, batch: Batch, moved_at: datetime, first: int) -> None:
    """One turn after the other, from `first`, for a batch's jobs that became pending at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(
            _LINE_UP,
            [
                first,
                Job._meta.pk.get_db_prep_value(batch.pk, connection),
                connection.ops.adapt_datetimefield_value(moved_at),
            ],
        )

"""The only module that knows django-q2: it carries wake-ups, nothing else.

A message says "there is work", not which. Where the broker is the database, a wake-up commits with the
rows that need it; with Redis or SQS it is sent after the commit. A lost one costs seconds, because the
sweeper sends another; a doubled one finds nothing due.
"""

from __future__ import annotations

import logging
from datetime import datetime
from functools import partial

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.tasks import async_task

logger = logging.getLogger(__name__)

WORK = "processing.tasks.work"


def wake(*, at: datetime | None = None) -> None:
    """Tell the workers that there is work now, or that there will be `at` a time."""
    broker = get_broker()
    if not isinstance(broker, ORM):
        if at is None or at <= timezone.now():
            transaction.on_commit(partial(_send, broker), robust=True)
        return  # no delayed messages there: the sweeper wakes what has become due
    if at is None or at <= timezone.now():
        if _enough_underway(broker):
            return
        _send(broker)
    else:
        _send_later(broker, at)


def _send(broker: object) -> None:
    async_task(WORK, broker=broker, task_name="work", save=False)


def _enough_underway(broker: ORM) -> bool:
    """Whether so many unread wake-ups lie there that one more would wake nobody else."""
    most = 2 * settings.WORKERS
    unread = OrmQ.objects.filter(key=broker.list_key, lock__lte=timezone.now())
    return bool(unread[:most].count() >= most)


def _send_later(broker: ORM, at: datetime) -> None:
    """A message django-q2 leaves alone until `at`: its lock lies in the future."""
    delayed = _DelayedBroker(broker.list_key)
    delayed.at = at
    _send(delayed)


class _DelayedBroker(ORM):
    at: datetime

    def enqueue(self, task: str) -> int:
        message = OrmQ.objects.create(key=self.list_key, payload=task, lock=self.at)
        return int(message.pk)


def depth() -> int | None:
    """Unread wake-ups, where the broker can tell."""
    size = get_broker().queue_size()
    return None if size is None else int(size)

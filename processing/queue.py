"""The only module that knows django-q2: it carries wake-ups, nothing else.

A message says "there is work", not which. Where the broker is the database, a wake-up commits with the
rows that need it; with Redis or SQS it is sent after the commit, and whoever asked for the work never
waits long for that broker, nor hears of its troubles. A lost wake-up costs seconds, because the sweeper
sends another; a doubled one finds nothing due.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction
from django.dispatch import receiver
from django.utils import timezone
from django_q.brokers import Broker, get_broker
from django_q.brokers.orm import ORM
from django_q.models import OrmQ
from django_q.signals import post_spawn
from django_q.tasks import async_task

logger = logging.getLogger(__name__)

WORK = "processing.tasks.work"
# A broker that did not answer is left alone for so long by this process; the workers' sweepers wake.
LEAVE_ALONE_S = 5.0


def on_spawn(act: Callable[[], None]) -> None:
    """Do this in each worker process when it starts."""
    _on_spawn.append(act)


_on_spawn: list[Callable[[], None]] = []


@receiver(post_spawn, dispatch_uid="processing.queue.on_spawn")
def _spawned(**_: Any) -> None:
    for act in _on_spawn:
        act()


def wake(*, at: datetime | None = None) -> None:
    """Tell the workers that there is work now, or that there will be `at` a time."""
    now = at is None or at <= timezone.now()
    if settings.QUEUE_BROKER != "orm":
        if now:
            transaction.on_commit(_outside.send, robust=True)
        return  # no delayed messages there: the sweeper wakes what has become due
    broker = get_broker()
    if not now:
        assert at is not None
        _send_later(broker, at)
    elif not _enough_underway(broker):
        _send(broker)


def _send(broker: Broker) -> None:
    async_task(WORK, broker=broker, task_name="work", save=False)


def _most_underway() -> int:
    return int(2 * settings.WORKERS)


def _enough_underway(broker: Broker) -> bool:
    """Whether so many unread wake-ups lie there that one more would wake nobody else."""
    most = _most_underway()
    unread = OrmQ.objects.filter(key=broker.list_key, lock__lte=timezone.now())
    return bool(unread[:most].count() >= most)


def _send_later(broker: Broker, at: datetime) -> None:
    """A message django-q2 leaves alone until `at`: its lock lies in the future."""
    delayed = _DelayedBroker(broker.list_key)
    delayed.at = at
    _send(delayed)


class _DelayedBroker(ORM):
    at: datetime

    def enqueue(self, task: str) -> int:
        message = OrmQ.objects.create(key=self.list_key, payload=task, lock=self.at)
        return int(message.pk)


class _Outside(threading.local):
    """A broker outside the database, connected when first needed: one for each thread, since boto3's
    resources are not for several, and none that was made before a fork."""

    def __init__(self) -> None:
        self._broker: Broker | None = None
        self._pid = 0

    def send(self) -> None:
        """Send a wake-up unless enough are unread. Never raises: the jobs are written down already."""
        if time.monotonic() < _rest.until:
            return
        try:
            broker = self._connected()
            if (broker.queue_size() or 0) < _most_underway():
                _send(broker)
        except Exception:
            # The boundary to two foreign clients with errors of their own kinds. The sweeper repairs.
            logger.warning("The queue's broker could not be told of work.", exc_info=True)
            self._broker = None
            _rest.until = time.monotonic() + LEAVE_ALONE_S

    def forget(self) -> None:
        """Connect anew the next time."""
        self._broker = None
        _rest.until = 0.0

    def _connected(self) -> Broker:
        if self._broker is None or self._pid != os.getpid():
            self._broker, self._pid = get_broker(), os.getpid()
        return self._broker


class _Rest:
    """Until when the broker is left alone, for all threads of this process."""

    until = 0.0


_rest = _Rest()
_outside = _Outside()


def depth() -> int | None:
    """Unread wake-ups, where the broker can tell."""
    size = get_broker().queue_size()
    return None if size is None else int(size)

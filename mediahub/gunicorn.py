"""How gunicorn serves MediaHub: `gunicorn --config python:mediahub.gunicorn mediahub.wsgi`.

Threads, since most requests wait: for the database, for a slow client, for news on an event stream.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging.config
import os
import signal
import socket
import struct
import sys
from types import FrameType
from typing import Any

from django.conf import settings

from mediahub import stopping

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mediahub.settings")
# Whatever is written belongs to its owner alone.
os.umask(0o077)

worker_class = "gthread"
workers = settings.WEB_WORKERS
# One process may get all event streams: they must leave the ordinary threads alone. Threads are made
# when they are needed.
threads = settings.WEB_THREADS + settings.MAX_EVENT_STREAMS
worker_connections = threads + 1000
backlog = 2048
keepalive = 15
# A process whose main loop stands still for so long is replaced; a slow request does not count.
timeout = 60
graceful_timeout = settings.STOP_GRACE_S
max_requests = 0

bind = [
    f"[{settings.HOST}]:{settings.PORT}"
    if ":" in settings.HOST
    else f"{settings.HOST}:{settings.PORT}"
]
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 16_380
# A proxy's word on the scheme is taken from these addresses alone, in one header; other headers of
# the kind, which a proxy may pass on from anybody, mean nothing.
forwarded_allow_ips = ",".join(str(network) for network in settings.TRUSTED_PROXIES)
secure_scheme_headers = {"X-FORWARDED-PROTO": "https"}
forwarder_headers = ""

# The control socket would lie in the home folder, and nothing here uses it.
control_socket_disable = True
# Requests are logged by our own middleware, with their ids.
accesslog = None
# Until `on_starting` hands gunicorn's own lines to our logging.
loglevel = "warning"
# The beat file of a process is touched each second: in memory where there is such a folder.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - made by mkstemp
proc_name = "mediahub"

# A client that sends or takes nothing for so long, in seconds, loses its connection.
CLIENT_SILENCE_S = 60
# Names the descriptor on which the parent hears that a process can answer.
READY_FD = "MEDIAHUB_READY_FD"
_PR_SET_PDEATHSIG = 1


def on_starting(_server: Any) -> None:
    """The master's lines look as all others do."""
    logging.config.dictConfig(settings.LOGGING)


def when_ready(server: Any) -> None:
    """Limit silence: a thread that reads from a sleeping client would never come back.

    On Linux an accepted connection inherits the limit from the socket that it came in by.
    """
    if sys.platform == "linux":
        limit = struct.pack("ll", CLIENT_SILENCE_S, 0)
        for listener in server.LISTENERS:
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
            listener.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def post_fork(_server: Any, worker: Any) -> None:
    """A process dies with its master, even when that is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != worker.ppid:  # it ended before the call
            os._exit(1)


def post_worker_init(_worker: Any) -> None:
    """The application is loaded: be ready to let go of event streams, and tell the parent, if any."""
    end_gracefully = signal.getsignal(signal.SIGTERM)

    def end(number: int, frame: FrameType | None) -> None:
        stopping.stop()
        if callable(end_gracefully):
            end_gracefully(number, frame)

    signal.signal(signal.SIGTERM, end)
    if descriptor := os.environ.get(READY_FD):
        with contextlib.suppress(OSError):
            os.write(int(descriptor), b"1")

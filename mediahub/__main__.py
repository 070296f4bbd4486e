"""`python -m mediahub`: MediaHub on this machine, what `make run` starts.

Prepares DATA_DIR, takes the port, runs `manage.py prepare`, then keeps a web server and a worker running.
"""

from __future__ import annotations

import argparse
import errno
import os
import socket
import sys
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from mediahub import datadir
from mediahub.datadir import CannotStart
from mediahub.environment import Environment, env_file
from mediahub.parent import Child, Parent, say

# For somebody who waits at a terminal; a service keeps the longer default of the settings.
STOP_GRACE_S = 10


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m mediahub", description="Start MediaHub.")
    parser.add_argument(
        "--until-parent-ends",
        action="store_true",
        help="stop when the process that started this one ends, as under make",
    )
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        env = Environment(env_file(datadir.BASE_DIR))
        folder = env.path("DATA_DIR", datadir.BASE_DIR / "data", base=datadir.BASE_DIR)
        grace = env.number("STOP_GRACE_S", STOP_GRACE_S)
        datadir.prepare(folder)
        listener = listen(env.text("HOST", "127.0.0.1"), env.number("PORT", 8000))
    except (CannotStart, ImproperlyConfigured) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if env.given("LOG_FORMAT") is None and sys.stdout.isatty():
        os.environ["LOG_FORMAT"] = "text"
    # Settled here once, for all children and whatever folder they work in.
    os.environ.update(
        DATA_DIR=str(folder), PORT=str(listener.getsockname()[1]), STOP_GRACE_S=str(grace)
    )
    ready, ready_writer = os.pipe()
    os.set_blocking(ready_writer, False)
    parent = Parent(
        first=[Child("prepare", [sys.executable, "manage.py", "prepare"])],
        children=[web(listener, ready_writer), worker()],
        folder=datadir.BASE_DIR,
        ready=ready,
        on_ready=lambda: greet(listener, folder),
        until_parent_ends=options.until_parent_ends,
        # The children keep the limit themselves; this is for one that does not.
        grace=grace + 3,
    )
    return parent.run()


def web(listener: socket.socket, ready: int) -> Child:
    return Child(
        "web",
        [
            *(sys.executable, "-m", "gunicorn"),
            *("--config", "python:mediahub.gunicorn"),
            *("--bind", f"fd://{listener.fileno()}"),
            "mediahub.wsgi",
        ],
        descriptors=[listener.fileno(), ready],
        environment={"MEDIAHUB_READY_FD": str(ready)},
        essential=True,
    )


def worker() -> Child:
    return Child("worker", [sys.executable, "manage.py", "worker"])


def listen(host: str, port: int) -> socket.socket:
    """Take the port now, before the work of starting: whoever connects early is answered later.

    The socket is this process's own, so that a web server that is started again refuses nobody.
    Raises `CannotStart`.
    """
    if not 0 <= port <= 65535:
        raise CannotStart(f"PORT must be a number from 1 to 65535, not {port}.")
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise CannotStart(
                f"Port {port} on {host} is in use. Stop what uses it, or set PORT to a free one."
            ) from error
        raise CannotStart(
            f"Cannot listen at HOST={host} PORT={port}: {error.strerror or error}."
        ) from error
    return listener


def greet(listener: socket.socket, folder: Path) -> None:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104 - not a binding
    if ":" in host and not host.startswith("["):
        host = f"[{host}]"
    address = os.environ.get("PUBLIC_URL") or f"http://{host}:{port}"
    name = os.environ.get("DJANGO_SUPERUSER_USERNAME") or "admin"
    kept = folder / datadir.ADMIN_PASSWORD_FILE
    secret = f"the password first set stands in {kept}" if kept.exists() else "with your password"
    say(f"\nMediaHub runs at {address.rstrip('/')}/")
    say(f"Sign in at {address.rstrip('/')}/admin/ as {name}; {secret}. Ctrl-C stops it.\n")


if __name__ == "__main__":
    sys.exit(main())

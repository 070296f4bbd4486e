"""`manage.py prepare`: everything that must be there before the web server and the worker start.

Safe to run at every start, and by several processes at once: what is done is left alone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.migrations.executor import MigrationExecutor

from media_assets import storage_setup
from media_assets.errors import MediaHubError
from mediahub import datadir, metric_files

STATIC_STAMP = ".collected"


class Command(BaseCommand):
    help = "Migrate the database, prepare storage and static files, and make the first admin user."

    def handle(self, *args: Any, **options: Any) -> None:
        folder = Path(settings.DATA_DIR)
        try:
            datadir.prepare(folder)
        except datadir.CannotStart as error:
            raise CommandError(str(error)) from error
        with alone(folder / "run" / "prepare.lock"):
            try:
                self.migrate()
            except OperationalError as error:
                reason = " ".join(str(error).split())
                raise CommandError(f"The database does not answer: {reason}") from error
            self.collect_static()
            self.prepare_storage()
            self.make_admin(folder)
            # Numbers of processes that are gone; older code may have counted in other ways.
            metric_files.forget_dead(folder / "run" / "metrics", counts=True)

    def migrate(self) -> None:
        executor = MigrationExecutor(connections[DEFAULT_DB_ALIAS])
        pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if pending:
            self.stdout.write(f"Migrating the database: {len(pending)} migrations.")
        # Also with nothing pending: it completes permissions that an interrupted run left out.
        call_command("migrate", interactive=False, verbosity=0)

    def collect_static(self) -> None:
        """Copy the static files together when they have changed since the last time."""
        if not settings.STATIC_MANIFEST:  # they are served from where they lie
            return
        stamp = Path(settings.STATIC_ROOT) / STATIC_STAMP
        state = state_of_static_files()
        if stamp.exists() and stamp.read_text() == state:
            return
        self.stdout.write("Collecting static files.")
        call_command("collectstatic", interactive=False, verbosity=0)
        stamp.write_text(state)

    def prepare_storage(self) -> None:
        try:
            storage_setup.prepare()
        except MediaHubError as error:
            # Without its bucket MediaHub keeps what comes in on this machine until the bucket is back.
            reason = getattr(error, "reason", "") or error.message
            self.stderr.write(f"Storage is not ready; going on without it. {reason}")

    def make_admin(self, folder: Path) -> None:
        """The first staff user, with a password made here unless one is given.

        A library that has an administrator gets another only where the environment names both name
        and password: somebody may have removed `admin` on purpose.
        """
        users = get_user_model().objects
        named = os.environ.get("DJANGO_SUPERUSER_USERNAME")
        given = os.environ.get("DJANGO_SUPERUSER_PASSWORD")
        name = named or "admin"
        if users.filter(**{users.model.USERNAME_FIELD: name}).exists():
            return
        if users.filter(is_superuser=True).exists() and not (named and given):
            return
        kept = folder / datadir.ADMIN_PASSWORD_FILE
        if not given:
            # On the disk first: a password that nobody knows would lock everybody out.
            datadir.write_once(kept, secrets.token_urlsafe(12))
        password = given or kept.read_text().strip()
        email = os.environ.get("DJANGO_SUPERUSER_EMAIL", "")
        users.create_superuser(username=name, email=email, password=password)
        if given:
            self.stdout.write(f"Made the admin user {name}.")
        else:
            self.stdout.write(f"Made the admin user {name} with the password {password}")
            self.stdout.write(f"It is shown this once, and kept in {kept}.")


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One preparation at a time on this DATA_DIR."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def state_of_static_files() -> str:
    """A digest that changes when any static file, or the way they are stored, does."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    found = []
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            found.append(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\n")
    digest.update("".join(sorted(found)).encode())
    return digest.hexdigest()

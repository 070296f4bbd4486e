"""DATA_DIR before Django is there: made private, tried, and given its secret key.

Plain Python, because `python -m mediahub` needs it before the settings, which refuse to be without a key.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# Names of files in it.
SECRET_KEY_FILE = "secret-key"  # noqa: S105
ADMIN_PASSWORD_FILE = "admin-password"  # noqa: S105


class CannotStart(Exception):
    """One line for a person: what is wrong and what would cure it."""


def prepare(folder: Path) -> None:
    """Make the folder, closed to other users, with a secret key in it. Raises `CannotStart`."""
    try:
        _make_private(folder)
        (folder / "run").mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"a full disk says so here")
        write_once(folder / SECRET_KEY_FILE, secrets.token_urlsafe(64))
    except OSError as error:
        raise CannotStart(
            f"DATA_DIR {folder} cannot be written to: {error.strerror or error}. "
            "Mend that, or name another folder with DATA_DIR=/path/to/folder."
        ) from error


def _make_private(folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    ours = (folder / SECRET_KEY_FILE).exists() or not any(folder.iterdir())
    # A folder with other things in it, such as /tmp by mistake, is not ours to close.
    if ours and folder.stat().st_mode & 0o077 and folder.stat().st_uid == os.geteuid():
        folder.chmod(0o700)


def write_once(path: Path, text: str) -> bool:
    """Write a file that its owner alone can read, whole or not at all. False where there is one."""
    if path.exists():
        return False
    descriptor, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link does not replace what another process has written meanwhile.
        os.link(name, path)
    except FileExistsError:
        return False
    finally:
        os.unlink(name)
    return True

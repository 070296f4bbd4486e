"""Landlock: Linux's own way for a process to give up files, by system calls that no library wraps yet."""

from __future__ import annotations

import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# The numbers are the same on all architectures.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION = 1
_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_DIR, REMOVE_FILE = (1 << n for n in range(6))
MAKE_DIR, MAKE_REG = 1 << 7, 1 << 8
TRUNCATE, IOCTL_DEV = 1 << 14, 1 << 15

READ = READ_FILE | READ_DIR
RUN = READ | EXECUTE
WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | TRUNCATE
_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # rights a plain file can have

# All file rights a kernel knows, by the version (ABI) of its Landlock.
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP = 0b11  # bind and connect, from version 4
_SCOPES = 0b11  # abstract Unix sockets and signals, from version 6

_libc = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """The kernel's Landlock version; 0 without it."""
    try:
        return max(int(_libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION)), 0)
    except (OSError, ValueError, AttributeError):
        return 0


def restrict(rules: Iterable[tuple[Path, int]]) -> int:
    """Give up every file but those at or beneath these paths. Returns the version in force, 0 for none.

    Paths that do not exist are left out. The process must have given up new privileges before.
    """
    abi = version()
    if abi == 0:
        return 0
    known = _KNOWN[min(abi, 5)]
    attributes = struct.pack("<QQQ", known, _TCP if abi >= 4 else 0, _SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = int(_libc.syscall(_CREATE_RULESET, attributes, size, 0))
    if ruleset < 0:
        return 0
    try:
        for path, rights in rules:
            _allow(ruleset, path, rights & known)
        if _libc.syscall(_RESTRICT_SELF, ruleset, 0) != 0:
            return 0
    finally:
        os.close(ruleset)
    return abi


def _allow(ruleset: int, path: Path, rights: int) -> None:
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
                rights &= _OF_FILES
            rule = struct.pack("<Qi", rights, descriptor)
            if _libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0) != 0:
                raise OSError(ctypes.get_errno(), "Landlock refused a rule", os.fspath(path))
        finally:
            os.close(descriptor)

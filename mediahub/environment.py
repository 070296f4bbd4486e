"""Reads settings from the environment: typed, strict, and with a list of every name that was asked for.

Three things differ from plain django-environ. An empty value counts as unset, because compose files and
`.env` templates pass empty ones. A value that cannot be read is told in one line instead of becoming
something else ("WORKERS=two", "DEBUG=flase"). And `$` at the start of a value means itself: django-environ
would look up another variable, which breaks passwords.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import warnings
from collections.abc import Collection
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import environ
from django.core.exceptions import ImproperlyConfigured

_TRUE: Final = {"1", "true", "yes", "on", "y", "t"}
_FALSE: Final = {"0", "false", "no", "off", "n", "f"}
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
NONE: Final = "none"  # said for a setting with a default that is to be off


def env_file(base: Path) -> Path | None:
    """The `.env` to read: ENV_FILE where that is set (empty: none at all), else of the folder one is
    in, else of the repository."""
    named = os.environ.get("ENV_FILE")
    if named is not None:
        return base / named if named else None
    return next((path for path in (Path.cwd() / ".env", base / ".env") if path.is_file()), None)


class Environment:
    """What the settings are read from. `names` and `secrets` fill as they are read."""

    def __init__(self, file: Path | None = None) -> None:
        self._env = environ.Env()
        self.names: set[str] = {"ENV_FILE"}
        self.secrets: set[str] = set()  # names whose values must never be shown
        if file is not None:
            environ.Env.read_env(file)  # what is in the environment already wins

    def given(self, name: str) -> str | None:
        """The value as it stands, or None where it is unset or empty."""
        self.names.add(name)
        return os.environ.get(name, "").strip() or None

    def text(self, name: str, default: str = "") -> str:
        return self.given(name) or default

    def secret(self, name: str, default: str = "") -> str:
        """A text that logs, error reports and pages must not show."""
        self.secrets.add(name)
        return self.text(name, default)

    def choice(self, name: str, default: str, choices: Collection[str]) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise _wrong(name, value, f"one of {', '.join(sorted(choices))}")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self.given(name)
        if value is None:
            return default
        if value.lower() not in _TRUE | _FALSE:
            raise _wrong(name, value, "true or false")
        return value.lower() in _TRUE

    def number(self, name: str, default: int) -> int:
        value = self.optional_number(name)
        return default if value is None else value

    def optional_number(self, name: str) -> int | None:
        """A whole number; None where it is unset or `none`."""
        value = self._unless_none(name)
        try:
            return None if value is None else int(value.replace("_", ""))
        except ValueError:
            raise _wrong(name, value, "a whole number") from None

    def fraction(self, name: str, default: float) -> float:
        value = self.optional_fraction(name)
        return default if value is None else value

    def optional_fraction(self, name: str) -> float | None:
        value = self.optional_money(name)
        return None if value is None else float(value)

    def optional_money(self, name: str) -> Decimal | None:
        """An exact number; None where it is unset or `none`."""
        value = self._unless_none(name)
        if value is None:
            return None
        try:
            number = Decimal(value)
        except InvalidOperation:
            number = Decimal("NaN")
        if not number.is_finite():
            raise _wrong(name, value, "a number")
        return number

    def names_of(self, name: str, default: str = "") -> list[str]:
        """A list, written with commas; `none` for an empty one where the default is not."""
        value = self.text(name, default)
        return [] if value == NONE else [part for raw in value.split(",") if (part := raw.strip())]

    def networks(self, name: str) -> list[Network]:
        """Addresses and CIDR blocks; an address alone is a block of one."""
        found: list[Network] = []
        for text in self.names_of(name):
            try:
                found.append(ipaddress.ip_network(text, strict=False))
            except ValueError:
                raise _wrong(name, text, "an IP address or a block such as 10.0.0.0/8") from None
        return found

    def path(self, name: str, default: Path, *, base: Path) -> Path:
        """An absolute path; a relative one counts from `base`, the same for every process."""
        value = self.given(name)
        return (base / Path(value).expanduser()).resolve() if value else default

    def address(self, name: str, default: str = "") -> str:
        """A URL without a slash at its end. Whether it is a good one, a check tells."""
        value = self.text(name, default).rstrip("/")
        try:
            urlsplit(value)
        except ValueError:
            raise _wrong(name, value, "an address such as https://media.example.com") from None
        return value

    def time_zone(self, name: str, default: str) -> str:
        value = self.text(name, default)
        try:
            return ZoneInfo(value).key
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise _wrong(name, value, "a name such as Europe/Vienna") from None

    def database(self, name: str, default: str) -> dict[str, Any]:
        self.secrets.add(name)
        return self._parsed(name, default, self._env.db_url_config, "a database address")

    def cache(self, name: str, default: str) -> dict[str, Any]:
        self.secrets.add(name)
        return self._parsed(name, default, self._env.cache_url_config, "a cache address")

    def _parsed(self, name: str, default: str, parse: Any, expected: str) -> dict[str, Any]:
        config: dict[str, Any] = {}
        with contextlib.suppress(ImproperlyConfigured, ValueError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            config = parse(self.text(name, default))
        if not config:
            # The value is not told, here or in a warning: it may hold a password.
            raise ImproperlyConfigured(f"{name}: expected {expected}.")
        return config

    def _unless_none(self, name: str) -> str | None:
        value = self.given(name)
        return None if value == NONE else value


def _wrong(name: str, value: str | None, expected: str) -> ImproperlyConfigured:
    return ImproperlyConfigured(f"{name} is {value!r}: expected {expected}.")

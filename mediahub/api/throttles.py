"""How often one may ask: a rate for each person or key, for each address without one, and for sign-ins.

A window of time has a number of requests. They are taken from the shared cache in up to twenty blocks;
a process uses its block up before it takes the next, so that most requests cost no cache at all. `add`
is the one atomic operation every cache backend has: of two processes that take the same block, one gets
it. With one process the count is exact; with several, blocks that stay unused make it a little stricter.
"""

from __future__ import annotations

import hashlib
import ipaddress
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from mediahub.api.authentication import key_of

logger = logging.getLogger(__name__)

_RATE: Final = re.compile(r"(\d+)\s*/\s*(\d*)\s*([smhd])[a-z]*")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_BLOCKS: Final = 20
_MOST_REMEMBERED: Final = 10_000
_COMPLAIN_EVERY_S: Final = 60.0
LOGIN_RATE: Final = "10/min"
# Network prefixes: whoever has one IPv6 address has its whole /64.
_IPV6_PREFIX: Final = 64


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds."""

    requests: int
    seconds: int

    @classmethod
    def parse(cls, text: str | None) -> Rate | None:
        """`600/min`, `5/10s`, `10000/day`; None for no limit (`none`, or empty)."""
        if not text or text.strip().lower() == "none":
            return None
        found = _RATE.fullmatch(text.strip().lower())
        if not found:
            raise ValueError(f"A rate is written like 600/min, not {text!r}.")
        number, count, unit = found.groups()
        return cls(int(number), int(count or 1) * _SECONDS[unit])

    def block(self, index: int) -> int:
        """How many requests the block of this index is worth; together all of them."""
        blocks = min(_BLOCKS, self.requests)
        return (index + 1) * self.requests // blocks - index * self.requests // blocks

    @property
    def blocks(self) -> int:
        return min(_BLOCKS, self.requests)


@dataclass(slots=True)
class _Window:
    """What this process may still use of one window, and which blocks are not tried yet."""

    number: int
    left: int = 0
    next_block: int = 0


class CacheAway(Exception):
    """The shared cache does not answer."""


def _take_block(block: str, seconds: int) -> bool:
    """Take a block in the shared cache, if nobody has it."""
    name = "rate:" + hashlib.sha256(block.encode()).hexdigest()[:32]
    try:
        if cache.add(name, 1, timeout=seconds + 1):
            return True
        # The database's cache says no to its own errors too: a no is looked at again.
        if cache.get(name) is not None:
            return False
    except Exception as error:  # each backend has errors of its own
        raise CacheAway from error
    raise CacheAway


@dataclass(slots=True)
class Counter:
    """What this process has taken and not used up yet."""

    take_block: Callable[[str, int], bool] = _take_block
    _windows: dict[str, _Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, account: str, rate: Rate, now: float) -> bool:
        """Use one request up; `now` in seconds since the epoch. False if the window has none left."""
        number = int(now // rate.seconds)
        with self._lock:
            window = self._windows.get(account)
            if window is None or window.number != number:
                self._make_room()
                window = self._windows[account] = _Window(number)
            if window.left > 0:
                window.left -= 1
                return True
            first = window.next_block
        # Outside of the lock: a slow cache must not hold up other people's requests.
        for index in range(first, rate.blocks):
            if self.take_block(f"{account}:{number}:{index}", rate.seconds):
                with self._lock:
                    window.left += rate.block(index) - 1
                    window.next_block = max(window.next_block, index + 1)
                return True
        with self._lock:
            window.next_block = rate.blocks
            if window.left > 0:  # another thread took a block meanwhile
                window.left -= 1
                return True
        return False

    def forget(self) -> None:
        with self._lock:
            self._windows.clear()

    def _make_room(self) -> None:
        while len(self._windows) >= _MOST_REMEMBERED:
            del self._windows[next(iter(self._windows))]


counter = Counter()
local_counter = Counter(lambda block, seconds: True)  # blocks that nobody else can have


class _Complaint:
    """Says that the cache is away once a minute, not once a request."""

    last: ClassVar[float] = -math.inf

    @classmethod
    def make(cls, error: BaseException) -> None:
        now = time.monotonic()
        if now - cls.last >= _COMPLAIN_EVERY_S:
            cls.last = now
            logger.warning("requests are not counted: the cache does not answer", exc_info=error)


def wait_for(scope: str, idents: list[str], rate: Rate | None, *, strict: bool) -> float:
    """Use one request up on each account. 0 if it may go, else the seconds until it may.

    Where the cache is away, `strict` counts in this process alone; otherwise all may pass.
    """
    if rate is None:
        return 0.0
    now = time.time()
    for ident in idents:
        account = f"{scope}:{ident}"
        try:
            allowed = counter.take(account, rate, now)
        except CacheAway as error:
            _Complaint.make(error)
            allowed = not strict or local_counter.take(account, rate, now)
        if not allowed:
            return (now // rate.seconds + 1) * rate.seconds - now
    return 0.0


class ApiThrottle(BaseThrottle):
    """API_RATE for each API key, each person, and each address that is neither."""

    def allow_request(self, request: Request, view: Any) -> bool:
        self._wait = wait_for(
            "api", [self._ident(request)], Rate.parse(settings.API_RATE), strict=False
        )
        return not self._wait

    def _ident(self, request: Request) -> str:
        key = key_of(request)
        if key is not None:
            return f"key:{key.pk}"
        if request.user.is_authenticated:
            return f"user:{request.user.pk}"
        return f"ip:{network_of(request)}"

    def wait(self) -> float | None:
        return self._wait


class LoginThrottle(BaseThrottle):
    """For views whose body has a `username` beside its secret."""

    def allow_request(self, request: Request, view: Any) -> bool:
        name = request.data.get("username") if hasattr(request.data, "get") else None
        self._wait = wait_to_sign_in(request, name if isinstance(name, str) else "")
        return not self._wait

    def wait(self) -> float | None:
        return self._wait


def wait_to_sign_in(request: HttpRequest | Request, username: str) -> float:
    """Note an attempt to sign in. 0 if it may go on, else the seconds until one may.

    Counted for the address and for the name: neither many names nor many addresses help.
    """
    idents = [f"ip:{network_of(request)}"]
    if username:
        idents.append(f"name:{username.casefold()[:200]}")
    return wait_for("login", idents, Rate.parse(LOGIN_RATE), strict=True)


def network_of(request: HttpRequest | Request) -> str:
    """The client's address; of IPv6 the /64, within which one may move freely."""
    text = getattr(request, "client_ip", "") or ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _IPV6_PREFIX), strict=False))
    return str(address)

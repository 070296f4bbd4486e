"""Which addresses may be talked to: judges a URL somebody gave and what its name resolves to.

`read_url` is the only parser: what it understood is what is sent. `admit` judges what a name resolved to.
`GuardedBackend` opens the connection: it resolves once, and connects to an address it judged.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import httpcore
import idna

from media_assets.errors import UnsafeUrl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], list[str]]

MAX_URL = 2000  # characters; as long as the column that keeps it
WEB_PORTS = frozenset({80, 443})
DEFAULT_PORTS = {"http": 80, "https": 443}

# Pinned here because `is_global` changes with the Python version and never covered translation
# prefixes (NAT64, 6to4, Teredo) or a cloud's public-looking metadata service (168.63.129.16).
_REFUSED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 168.63.129.16/32 169.254.0.0/16 "
        "172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 "
        "192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 "
        "240.0.0.0/4 "
        "::/96 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 "
        "2620:4f:8000::/48 3fff::/20 5f00::/16 fc00::/7 fe80::/10 fec0::/10 ff00::/8 "
    ).split()
)
# All that is handed out to the public so far; the rest of IPv6 is nobody's.
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")

# Names that mean "inside" wherever they are asked; the address check would stop most of them too.
_INSIDE = frozenset(
    "arpa corp home internal intranet invalid lan local localdomain localhost onion private svc".split()
)
_AUTHORITY = re.compile(r"(https?)://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


def check_address(address: str | Address) -> None:
    """Raise UnsafeUrl unless this is an address of the public internet."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError as error:  # a scope id ("fe80::1%eth0"), or no address at all
        raise UnsafeUrl from error
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.scope_id is not None:
            raise UnsafeUrl
        ip = ip.ipv4_mapped or ip
    if any(ip.version == network.version and ip in network for network in _REFUSED):
        raise UnsafeUrl
    if isinstance(ip, ipaddress.IPv6Address) and ip not in _GLOBAL_V6:
        raise UnsafeUrl
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        raise UnsafeUrl


@dataclass(frozen=True, slots=True)
class AllowList:
    """What an operator excepted from the guard: `host:port` pairs and CIDR networks."""

    pairs: frozenset[tuple[str, int]] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> AllowList:
        """ValueError names the entry that is neither `host:port` nor a CIDR network."""
        return _parse_allow_list(tuple(entries))

    def names(self, host: str, port: int) -> bool:
        return (host, port) in self.pairs

    def holds(self, address: Address) -> bool:
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        ip = mapped or address
        return any(ip.version == network.version and ip in network for network in self.networks)


@lru_cache(maxsize=64)
def _parse_allow_list(entries: tuple[str, ...]) -> AllowList:
    pairs: set[tuple[str, int]] = set()
    networks: list[Network] = []
    for entry in filter(None, map(str.strip, entries)):
        try:
            networks.append(ipaddress.ip_network(entry))
            continue
        except ValueError:
            pair = _read_pair(entry)
        if pair is None:
            raise ValueError(f"{entry!r} is neither host:port nor a network such as 10.1.0.0/16")
        pairs.add(pair)
    return AllowList(frozenset(pairs), tuple(networks))


def _read_pair(entry: str) -> tuple[str, int] | None:
    try:
        host, port = _read_authority(entry, 0)
    except UnsafeUrl:
        return None
    return (host, port) if port else None


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, all ASCII: exactly what will be sent."""

    scheme: str
    host: str  # a name or an address, without brackets
    port: int
    path: str  # with its query, without a fragment

    @property
    def host_header(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host_header}{self.path}"

    def for_httpcore(self) -> httpcore.URL:
        return httpcore.URL(
            scheme=self.scheme.encode(),
            host=self.host.encode(),
            port=self.port,
            target=self.path.encode(),
        )


def read_url(url: str, allow: AllowList | None = None) -> Target:
    """Take a stranger's URL apart and judge what can be judged before a name server is asked."""
    target = take_apart(url)
    _judge_host(target.host, target.port, allow or AllowList())
    return target


def take_apart(url: str) -> Target:
    """Read a URL, or raise UnsafeUrl for anything two programs might understand differently."""
    if len(url) > MAX_URL:
        raise UnsafeUrl(f"An address may have {MAX_URL} characters at most.")
    if "\\" in url or any(_is_hidden(char) for char in url):
        raise UnsafeUrl("An address may hold no spaces, control characters or backslashes.")
    match = _AUTHORITY.fullmatch(url)
    if match is None:
        raise UnsafeUrl("Only http and https addresses may be fetched.")
    scheme, authority, rest = match[1].lower(), match[2], match[3]
    if "@" in authority or (rest[:1] in {"?", "#"} and "@" in rest):
        raise UnsafeUrl("An address with a user name or password in it may not be fetched.")
    host, port = _read_authority(authority, DEFAULT_PORTS[scheme])
    path = rest.partition("#")[0]
    if not path.startswith("/"):
        path = "/" + path
    try:
        path = quote(path, safe=_PRINTABLE)
    except UnicodeEncodeError as error:  # a lone surrogate
        raise UnsafeUrl from error
    return Target(scheme, host, port, path)


def _is_hidden(char: str) -> bool:
    """Spaces, controls, and format characters (bidi, zero width): what a reader cannot see."""
    return (
        char <= " "
        or char == "\x7f"
        or unicodedata.category(char) in {"Cc", "Cf", "Zs", "Zl", "Zp"}
    )


def _read_authority(authority: str, default_port: int) -> tuple[str, int]:
    if authority.startswith("["):
        host, bracket, tail = authority[1:].partition("]")
        try:
            host = str(ipaddress.IPv6Address(host if "%" not in host else ""))
        except ValueError as error:
            raise UnsafeUrl from error
        if not bracket or (tail and not tail.startswith(":")):
            raise UnsafeUrl
        colon, port = tail[:1], tail[1:]
    else:
        name, colon, port = authority.partition(":")
        host = _read_name(name)
    if not colon:
        return host, default_port
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise UnsafeUrl
    return host, int(port)


def _read_name(name: str) -> str:
    """A host name or IPv4 address in its one canonical spelling, else UnsafeUrl."""
    name = name.lower()
    if not name.isascii():
        # Characters that normalise to ASCII (circled digits, full-width letters, other full stops)
        # are one name to us and another to a resolver.
        if unicodedata.normalize("NFKC", name).isascii():
            raise UnsafeUrl
        try:
            name = idna.encode(name, strict=True, std3_rules=True).decode()
        except (idna.IDNAError, UnicodeError) as error:
            raise UnsafeUrl from error
    labels = name.split(".")
    if len(name) > 253 or not all(map(_LABEL.fullmatch, labels)):
        raise UnsafeUrl
    if _NUMBER.fullmatch(labels[-1]):  # 127.1, 0x7f000001, 2130706433, 0177.0.0.1
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError as error:
            raise UnsafeUrl from error
    for label in labels:
        if label.startswith("xn--"):
            try:
                idna.decode(label, strict=True)
            except (idna.IDNAError, UnicodeError) as error:
                raise UnsafeUrl from error
    return name


def _judge_host(host: str, port: int, allow: AllowList) -> None:
    """What can be refused before anything is asked of a name server."""
    if allow.names(host, port):
        return
    address = as_address(host)
    if address is not None:
        admit(host, port, [host], allow)
    elif allow.networks:
        return  # an intranet's name on any port: judged by the addresses it resolves to
    elif port not in WEB_PORTS or "." not in host or host.rpartition(".")[2] in _INSIDE:
        raise UnsafeUrl


def as_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def admit(host: str, port: int, addresses: list[str], allow: AllowList) -> None:
    """Judge every address a name resolved to: one bad answer refuses them all."""
    if allow.names(host, port):
        return
    for text in addresses:
        address = as_address(text)
        if address is not None and allow.holds(address):
            continue
        if port not in WEB_PORTS:
            raise UnsafeUrl
        check_address(text)


def system_resolver(host: str, port: int) -> list[str]:
    """Every address of a name, in the order the system prefers. Raises socket.gaierror."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class NameNotFound(httpcore.ConnectError):
    """There is no such name: asking again will not help."""


# getaddrinfo takes no timeout, so it runs in a thread of its own; this many may hang at once.
_RESOLVING = threading.BoundedSemaphore(16)


def resolve(host: str, port: int, resolver: Resolver, timeout: float) -> list[str]:
    """The addresses of a name within `timeout` seconds; an address stands for itself."""
    if as_address(host) is not None:
        return [host]
    if not _RESOLVING.acquire(timeout=timeout):
        raise httpcore.ConnectTimeout("too many names are being resolved")
    answer: list[str] = []
    failure: list[OSError | UnicodeError] = []
    done = threading.Event()

    def ask() -> None:
        try:
            answer.extend(resolver(host, port))
        except (OSError, UnicodeError) as error:
            failure.append(error)
        finally:
            _RESOLVING.release()
            done.set()

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    if not done.wait(timeout):
        raise httpcore.ConnectTimeout("the name was not resolved in time")
    if failure:
        unknown = isinstance(failure[0], UnicodeError) or failure[0].errno == socket.EAI_NONAME
        raise (NameNotFound if unknown else httpcore.ConnectError)("no address") from failure[0]
    if not answer:
        raise NameNotFound("no address")
    return answer


class Deadline:
    """How long an exchange may take: all of it, and the phase it is in (connecting, waiting for headers)."""

    def __init__(self, total_s: float) -> None:
        self._total = time.monotonic() + total_s
        self._phase: float | None = None

    def start_phase(self, seconds: float) -> None:
        self._phase = time.monotonic() + seconds

    def end_phase(self) -> None:
        self._phase = None

    def left(self, timeout: float | None = None) -> float:
        """Seconds the next wait may take, at most `timeout`; ReadTimeout when none are left."""
        ends = self._total if self._phase is None else min(self._total, self._phase)
        left = ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("out of time")
        return left if timeout is None else min(left, timeout)


class GuardedBackend(httpcore.NetworkBackend):
    """Opens connections for httpcore to admitted addresses only, and keeps its waits within a deadline.

    The name stays the name everywhere above, so that Host, SNI and the certificate check are the name's.
    """

    def __init__(
        self,
        allow: AllowList,
        resolver: Resolver,
        deadline: Deadline,
        inner: httpcore.NetworkBackend | None = None,
    ) -> None:
        self._allow = allow
        self._resolver = resolver
        self._deadline = deadline
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = resolve(host, port, self._resolver, self._deadline.left(timeout))
        admit(host, port, addresses, self._allow)
        for index, address in enumerate(addresses):
            # A dead first address must not use up the time of the others.
            share = self._deadline.left(timeout) / (len(addresses) - index)
            try:
                stream = self._inner.connect_tcp(
                    address, port, share, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if index == len(addresses) - 1:
                    raise
                continue
            self._check_peer(stream, host, port, address)
            return _PacedStream(stream, self._deadline)
        raise httpcore.ConnectError("no address")  # an empty list: resolve() does not give one

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        raise UnsafeUrl

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)

    def _check_peer(
        self, stream: httpcore.NetworkStream, host: str, port: int, address: str
    ) -> None:
        try:
            peer = str(stream.get_extra_info("socket").getpeername()[0])
            if as_address(peer) != as_address(address):
                raise UnsafeUrl
            admit(host, port, [peer], self._allow)
        except OSError as error:
            stream.close()
            raise httpcore.ConnectError("the connection is gone") from error
        except UnsafeUrl:
            stream.close()
            raise


class _PacedStream(httpcore.NetworkStream):
    """A connection whose every wait ends with the exchange's deadline, however little trickles in."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Piece by piece: the inner stream allows `timeout` for each send, however little it takes.
        view = memoryview(buffer)
        for start in range(0, len(view), 65536):
            self._stream.write(bytes(view[start : start + 65536]), self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _PacedStream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""The guard: what it lets through, and that a canary inside is never touched."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

import httpcore
import pytest

from media_assets import netguard
from media_assets.downloads import DownloadFailed, Route, fetch
from media_assets.errors import UnsafeUrl
from media_assets.netguard import (
    AllowList,
    Deadline,
    GuardedBackend,
    admit,
    check_address,
    read_url,
    resolve,
)
from tests.hostile_server import HostileServer

INSIDE_ADDRESSES = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255
168.63.129.16 169.254.0.1 169.254.169.254 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.8
192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1 192.88.99.1 192.168.0.1 192.175.48.1 198.18.0.1 198.19.255.255
198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
:: ::1 ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::8.8.8.8 64:ff9b:1::a00:1 100::1 100:0:0:1::1 2001::1 2001:0:4136:e378::1 2001:2::1
2001:db8::1 2001:10::1 2001:20::1 2002:7f00:1:: 2002:a00:1::1 2620:4f:8000::1 3fff::1 4000::1 5f00::1 8000::1
fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1
""".split()

PUBLIC_ADDRESSES = """
8.8.8.8 1.1.1.1 93.184.216.34 100.63.255.255 100.128.0.1 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1
2606:4700:4700::1111 2a00:1450:4001:80b::200e 2001:4860:4860::8888 ::ffff:8.8.8.8
""".split()

# {p} is the canary's port, which these tests call a web port: what a hole lets through, the canary sees.
HOSTILE_URLS = [
    # Loopback, in every spelling a resolver or a C library understands.
    *"""
    http://127.0.0.1:{p}/ http://127.0.0.1:{p} http://127.1:{p}/ http://127.0.1:{p}/ http://0:{p}/
    http://0.0.0.0:{p}/ http://2130706433:{p}/ http://0x7f000001:{p}/ http://0x7f.0.0.1:{p}/
    http://0x7f.1:{p}/ http://017700000001:{p}/ http://0177.0.0.1:{p}/ http://0177.1:{p}/
    http://127.0.0.01:{p}/ http://127.0.0.0x1:{p}/ http://00127.0.0.1:{p}/ http://127.0.0.1.:{p}/
    http://4294967297:{p}/ http://127.0.0.257:{p}/ http://1.127.0.0.1:{p}/ http://127.127.127.127:{p}/
    http://[::1]:{p}/ http://[0:0:0:0:0:0:0:1]:{p}/ http://[::]:{p}/ http://[::ffff:127.0.0.1]:{p}/
    http://[::ffff:7f00:1]:{p}/ http://[::127.0.0.1]:{p}/ http://[::ffff:0:7f00:1]:{p}/
    http://[64:ff9b::7f00:1]:{p}/ http://[64:ff9b:1::7f00:1]:{p}/ http://[2002:7f00:1::]:{p}/
    http://[2001:0:7f00:1::]:{p}/ http://[::1%25lo]:{p}/ http://[::1%lo]:{p}/ http://[fe80::1%25eth0]/
    http://localhost:{p}/ http://LOCALHOST:{p}/ http://localhost.:{p}/ http://foo.localhost:{p}/
    http://localhost.localdomain:{p}/ http://127.0.0.1.nip.io:{p}/ http://wildcard.test:{p}/
    https://127.0.0.1:{p}/ https://[::1]:{p}/ https://localhost:{p}/
    """.split(),
    # Every block that is not the public internet's.
    *(
        f"http://[{address}]/" if ":" in address else f"http://{address}/"
        for address in """
        10.0.0.1 100.64.0.1 169.254.1.1 172.16.0.1 192.0.0.8 192.0.2.1 192.88.99.1 192.168.1.1
        198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 240.0.0.1 255.255.255.255 100::1 2001:db8::1
        3fff::1 5f00::1 fc00::1 fe80::1 fec0::1 ff02::1
        """.split()
    ),
    # Metadata services and names of the inside.
    *"""
    http://169.254.169.254/latest/meta-data/ http://2852039166/ http://0xa9fea9fe/
    http://0251.0376.0251.0376/ http://[::ffff:a9fe:a9fe]/ http://169.254.170.2/v2/credentials
    http://100.100.100.200/ http://168.63.129.16/ http://192.0.0.192/ http://[fd00:ec2::254]/
    http://[fd20:ce::254]/ http://metadata.google.internal/ http://metadata/
    http://kubernetes.default.svc/ http://kubernetes.default.svc.cluster.local/
    http://host.docker.internal/ http://gateway.docker.internal/ http://intranet/ http://printer.local/
    http://router.lan/ http://nas.home.arpa/ http://1.0.0.127.in-addr.arpa/ http://db.corp/
    """.split(),
    # Other schemes, and none.
    *"""
    file:///etc/passwd file://127.0.0.1/etc/passwd ftp://127.0.0.1:{p}/ gopher://127.0.0.1:{p}/_x
    dict://127.0.0.1:{p}/ ldap://127.0.0.1:{p}/ tftp://127.0.0.1/x jar:http://127.0.0.1:{p}/!/
    data:text/plain,hi javascript:alert(1) s3://bucket/key unix:///var/run/docker.sock
    ws://127.0.0.1:{p}/ about:blank ssh://127.0.0.1/ view-source:http://127.0.0.1:{p}/
    http+unix://%2Fvar%2Frun%2Fdocker.sock/ 127.0.0.1:{p}/ //127.0.0.1:{p}/ /etc/passwd http http:
    http:// http:/// http:/127.0.0.1:{p}/ http:127.0.0.1:{p}/ https:///127.0.0.1:{p}/ ://127.0.0.1:{p}/
    http//127.0.0.1:{p}/ hhttp://127.0.0.1:{p}/
    """.split(),
    "",
    # Two programs, two hosts.
    *"""
    http://user:password@wildcard.test:{p}/ http://wildcard.test@127.0.0.1:{p}/
    http://127.0.0.1:{p}#@example.com/ http://127.0.0.1:{p}?@example.com/
    http://example.com#@127.0.0.1:{p}/ http://example.com?@127.0.0.1:{p}/
    http://example.com\\@127.0.0.1:{p}/ http://127.0.0.1:{p}\\@example.com/
    http://example.com%2f@127.0.0.1:{p}/ http://127.0.0.1%2f.example.com:{p}/
    http://127.0.0.1%09.example.com:{p}/ http://127.0.0.1%00.example.com:{p}/
    http://127.0.0.1%2523@example.com/ http://%31%32%37.0.0.1:{p}/ http://loc%61lhost:{p}/
    http:\\\\127.0.0.1:{p}\\ http:/\\127.0.0.1:{p}/ http://example.com,127.0.0.1:{p}/
    http://example.com;127.0.0.1:{p}/ http://a&b.test:{p}/ http://[127.0.0.1]:{p}/ http://[::1
    http://::1]:{p}/ http://[::1]x:{p}/ http://[]:{p}/ http://[::1]]:{p}/ http://::1:{p}/
    http://[v1.fe80::a]:{p}/ http://[::ffff:127.0.0.1%25]:{p}/ http://127.0.0.1:{p}:80/
    http://127.0.0.1:80:{p}/
    """.split(),
    "http://127.0.0.1\t:{p}/",
    "http://127.0.0.1\r\nHost: example.com/",
    "http://wildcard.test:{p}/\r\nX-Injected: 1",
    "http://wildcard.test:{p}/\nGET /",
    "http://wildcard.test:{p}/a b",
    "http://wildcard.test\x00.example.com/",
    " http://wildcard.test:{p}/",
    "http://wildcard.test:{p}/ ",
    "http:// 127.0.0.1:{p}/",
    "http://wildcard\u200b.test:{p}/",
    "http://wildcard.test/\u202egnp.exe",
    "http://wild\u00adcard.test:{p}/",
    "http://wildcard.test:{p}/\ud800",
    "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460:{p}/",
    "http://127\u30020\u30020\u30021:{p}/",
    "http://127\uff0e0\uff0e0\uff0e1:{p}/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54:{p}/",
    "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3:{p}/",
    "http://loc\u2100lhost:{p}/",
    "http://\u0660:{p}/",
    "http://\uff11\uff12\uff17.0.0.1:{p}/",
    # Ports and names that are none.
    *"""
    http://example.com:22/ http://example.com:25/ http://example.com:5432/ http://example.com:6379/
    http://example.com:0/ http://example.com:-1/ http://example.com:99999/ http://example.com:65536/
    http://example.com:080/ http://example.com:80a/ http://example.com:/ http://example.com:+80/
    http://example.com:8_0/ http://example.com::80/ http://xn--/ http://xn--a/
    http://xn--80ak6aa92e\x7f.com/ http://-host.test/ http://host-.test/ http://a..b.test/ http://.test/
    http://*.test/ http://wildcard.test.:{p}/ http://!$.test/
    """.split(),
    "http://example.com:\u096e\u0966/",
    "http://" + "a" * 300 + ".test/",
    "http://" + "a." * 127 + "test/",
    "http://" + "a" * 64 + ".test/",
    "http://wildcard.test/" + "a" * 100_000,
]


@pytest.fixture
def canary(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostileServer]:
    """A server of the inside, on a port the guard believes to be a web port."""
    with HostileServer() as server:
        monkeypatch.setattr(netguard, "WEB_PORTS", frozenset({80, 443, server.port}))
        yield server


def route(*allowed: str, addresses: list[str] | None = None) -> Route:
    return Route(
        AllowList.parse(allowed), 2.0, 5.0, resolver=lambda host, port: addresses or ["127.0.0.1"]
    )


def refuses(url: str, way: Route) -> None:
    with pytest.raises(UnsafeUrl):
        fetch(url, lambda piece: None, max_bytes=1000, route=way)


@pytest.mark.parametrize("address", INSIDE_ADDRESSES)
def test_an_address_of_the_inside_is_refused(address: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_address(address)


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_a_public_address_is_admitted(address: str) -> None:
    check_address(address)
    check_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["", "example.com", "127.1", "0x7f000001", "8.8.8.8:80", "8.8.8.8 "]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UnsafeUrl):
        check_address(address)


def test_no_hostile_url_reaches_the_canary(canary: HostileServer) -> None:
    urls = [url.replace("{p}", str(canary.port)) for url in HOSTILE_URLS]
    assert len(set(urls)) >= 134
    for url in urls:
        refuses(url, route())
    assert canary.connections == 0


def test_the_canary_is_reached_when_it_is_allowed(canary: HostileServer) -> None:
    got: list[bytes] = []
    url = f"http://127.0.0.1:{canary.port}/file"
    fetch(url, got.append, max_bytes=10_000, route=route("127.0.0.0/8"))
    assert canary.connections == 1
    assert got


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["93.184.216.34", "127.0.0.1"],
        ["127.0.0.1", "93.184.216.34"],
        ["93.184.216.34", "::1"],
        ["2606:4700:4700::1111", "fd00::1"],
        ["::ffff:127.0.0.1"],
        ["fe80::1%eth0"],
        ["not an address"],
    ],
)
def test_one_bad_answer_of_a_name_server_refuses_them_all(
    canary: HostileServer, addresses: list[str]
) -> None:
    refuses(f"http://mixed.test:{canary.port}/", route(addresses=addresses))
    assert canary.connections == 0


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTP://EXAMPLE.com:80/a", "http://example.com/a"),
        ("https://example.com:443/a#part", "https://example.com/a"),
        ("http://example.com?q=1", "http://example.com/?q=1"),
        (
            "https://example.com/@user/photo.jpg?to=a@b.c",
            "https://example.com/@user/photo.jpg?to=a@b.c",
        ),
        ("https://müller.de/grün", "https://xn--mller-kva.de/gr%C3%BCn"),
        ("https://MÜLLER.de/", "https://xn--mller-kva.de/"),
        ("https://xn--mller-kva.de/", "https://xn--mller-kva.de/"),
        ("https://例え.テスト.jp/", "https://xn--r8jz45g.xn--zckzah.jp/"),
        ("https://my_bucket.s3.example.com/a%20b", "https://my_bucket.s3.example.com/a%20b"),
        ("http://8.8.8.8/", "http://8.8.8.8/"),
        ("http://[2606:4700:4700:0::1111]/", "http://[2606:4700:4700::1111]/"),
        ("https://1.example.com/", "https://1.example.com/"),
        ("https://example.com/a'b\"c<d>{e}|^`", "https://example.com/a'b\"c<d>{e}|^`"),
    ],
)
def test_an_ordinary_url_is_read(url: str, sent: str) -> None:
    assert read_url(url).url == sent


def test_refusals_of_inside_addresses_all_read_the_same(canary: HostileServer) -> None:
    closed = socket.create_server(("127.0.0.1", 0))
    port = closed.getsockname()[1]
    closed.close()
    words = set()
    for url in (
        f"http://127.0.0.1:{canary.port}/",
        f"http://127.0.0.1:{port}/",
        f"http://wildcard.test:{canary.port}/",
        "http://10.0.0.1/",
        "http://metadata.google.internal/",
    ):
        with pytest.raises(UnsafeUrl) as refusal:
            fetch(url, lambda piece: None, max_bytes=10, route=route())
        words.add((refusal.value.message, str(refusal.value.details)))
    assert words == {("This address may not be fetched.", "{}")}


# ------------------------------------------------------------------- what an operator allows


def test_an_allowed_pair_is_good_for_that_port_alone() -> None:
    allow = AllowList.parse(["Intranet:8080", "[::1]:9000", " 127.0.0.1:7000 ", ""])
    assert read_url("http://intranet:8080/a", allow).port == 8080
    assert read_url("http://[::1]:9000/", allow).host == "::1"
    assert read_url("http://127.0.0.1:7000/", allow).host_header == "127.0.0.1:7000"
    for url in (
        "http://intranet/",
        "http://intranet:8081/",
        "http://[::1]/",
        "http://127.0.0.1:7001/",
    ):
        with pytest.raises(UnsafeUrl):
            read_url(url, allow)


def test_an_allowed_network_is_judged_by_the_address_a_name_resolves_to() -> None:
    allow = AllowList.parse(["10.1.0.0/16"])
    target = read_url("http://files.corp:8080/", allow)
    admit(target.host, target.port, ["10.1.2.3"], allow)
    admit(target.host, target.port, ["::ffff:10.1.2.3"], allow)
    for addresses in (["10.2.0.1"], ["10.1.2.3", "10.2.0.1"], ["8.8.8.8"]):  # the last for its port
        with pytest.raises(UnsafeUrl):
            admit(target.host, target.port, addresses, allow)
    assert read_url("http://10.1.2.3:9999/", allow).port == 9999
    with pytest.raises(UnsafeUrl):
        read_url("http://10.2.2.3/", allow)


@pytest.mark.parametrize(
    "entry", ["intranet", "http://intranet:80", "host:0", "host:99999", "10.1.0.1/16"]
)
def test_an_entry_that_is_neither_pair_nor_network_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="neither host:port nor a network"):
        AllowList.parse([entry])


# ------------------------------------------------------------------- opening the connection


class Elsewhere(httpcore.SyncBackend):
    """Connects to the canary whatever address it is given, as a hijacked route would."""

    def __init__(self, port: int) -> None:
        self.port = port

    def connect_tcp(
        self, host: str, port: int, *args: Any, **kwargs: Any
    ) -> httpcore.NetworkStream:
        return super().connect_tcp("127.0.0.1", self.port, *args, **kwargs)


def test_a_connection_that_ended_elsewhere_is_closed_unused(canary: HostileServer) -> None:
    backend = GuardedBackend(
        AllowList(), lambda host, port: ["93.184.216.34"], Deadline(5), Elsewhere(canary.port)
    )
    with pytest.raises(UnsafeUrl):
        backend.connect_tcp("example.com", 80)
    assert canary.requests == []


def test_a_name_is_resolved_once_and_the_judged_address_is_used(canary: HostileServer) -> None:
    """A rebinding name server gives a good address first and a bad one to whoever asks again."""
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.2"] if len(asked) == 1 else ["127.0.0.1"]

    backend = GuardedBackend(AllowList.parse(["127.0.0.2/32"]), rebinding, Deadline(5))
    with pytest.raises(
        httpcore.ConnectError
    ):  # nothing listens at 127.0.0.2: the canary is not asked
        backend.connect_tcp("rebinding.test", canary.port)
    assert asked == ["rebinding.test"]
    assert canary.connections == 0


def test_the_next_address_is_tried_when_the_first_is_dead() -> None:
    with HostileServer("127.0.0.1") as server:
        allow = AllowList.parse(["127.0.0.0/8"])
        backend = GuardedBackend(allow, lambda host, port: ["127.0.0.2", "127.0.0.1"], Deadline(5))
        stream = backend.connect_tcp("two.test", server.port)
        assert stream.get_extra_info("server_addr") == ("127.0.0.1", server.port)
        stream.close()


def test_unix_sockets_are_refused() -> None:
    backend = GuardedBackend(AllowList(), lambda host, port: [], Deadline(5))
    with pytest.raises(UnsafeUrl):
        backend.connect_unix_socket("/var/run/docker.sock")


def test_a_name_server_that_hangs_does_not_hold_the_caller() -> None:
    answered = threading.Event()

    def hanging(host: str, port: int) -> list[str]:
        answered.wait(30)
        return ["127.0.0.1"]

    with pytest.raises(httpcore.ConnectTimeout):
        resolve("hanging.test", 80, hanging, 0.05)
    answered.set()


def test_names_that_hang_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    monkeypatch.setattr(netguard, "_RESOLVING", threading.BoundedSemaphore(2))
    started = []

    def hanging(host: str, port: int) -> list[str]:
        started.append(host)
        answered.wait(30)
        return ["8.8.8.8"]

    for name in "abcd":
        with pytest.raises(httpcore.ConnectTimeout):
            resolve(f"{name}.test", 80, hanging, 0.05)
    assert started == ["a.test", "b.test"]
    answered.set()
    assert resolve("e.test", 80, hanging, 5) == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("error", "permanent"),
    [
        (socket.gaierror(socket.EAI_NONAME, "unknown"), True),
        (socket.gaierror(socket.EAI_AGAIN, "try again"), False),
        (UnicodeError("label too long"), True),
        (None, True),
    ],
)
def test_a_name_without_an_address_fails(error: Exception | None, permanent: bool) -> None:
    def failing(host: str, port: int) -> list[str]:
        if error is None:
            return []
        raise error

    way = Route(AllowList(), 1.0, 1.0, resolver=failing)
    with pytest.raises(DownloadFailed) as failure:
        fetch("http://nowhere.test/", lambda piece: None, max_bytes=10, route=way)
    assert failure.value.permanent is permanent


def test_the_system_resolver_answers_each_address_once() -> None:
    assert netguard.system_resolver("127.0.0.1", 80) == ["127.0.0.1"]

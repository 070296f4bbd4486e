"""A web server that misbehaves on purpose, on real sockets: each path names what it does wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import ipaddress
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

BODY = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4  # what the well-behaved paths serve


class HostileServer:
    """Serves until the `with` block ends; counts every connection and keeps every request head.

    `values` fills the places in a behaviour that a test chooses: where a redirect leads, for instance.
    """

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.address = address
        self.values: dict[str, str] = {}
        self.connections = 0
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._tls = tls
        self._listener = socket.create_server((address, 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def url(self, behaviour: str, host: str = "hostile.test") -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{host}:{self.port}/{behaviour}"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):  # it may have ended by itself
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        try:
            if self._tls is not None:
                plain, connection = connection, self._tls.wrap_socket(connection, server_side=True)
                self._open.discard(plain)
                self._open.add(connection)
            head = self._read_head(connection)
            if head.endswith(
                "\r\n\r\n"
            ):  # else the client only connected, or spoke another protocol
                self.requests.append(head)
                path = head.split(" ")[1].lstrip("/").partition("?")[0]
                BEHAVIOURS[path.partition("/")[0]](connection, self)
        except (OSError, ssl.SSLError):
            pass  # the client went away, as it should from most of these
        finally:
            self._open.discard(connection)
            connection.close()

    def _read_head(self, connection: socket.socket) -> str:
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
            head += piece
        return "".join(head.decode("latin-1").partition("\r\n\r\n")[:2])

    def drip(self, pieces: Iterator[bytes], connection: socket.socket, every_s: float) -> None:
        """Send one piece after another, slowly, until the client or the test ends."""
        for piece in pieces:
            connection.sendall(piece)
            if self.closing.wait(every_s):
                return


Behaviour = Callable[[socket.socket, HostileServer], None]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(function: Behaviour) -> Behaviour:
    BEHAVIOURS[function.__name__] = function
    return function


def answer(status: str = "200 OK", *fields: str, body: bytes = BODY, length: str = "") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {length or len(body)}", *fields, "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + body


def fixed(name: str, reply: bytes) -> None:
    """A behaviour that always sends the same bytes and closes."""
    BEHAVIOURS[name] = lambda connection, server: connection.sendall(reply)


def forever(piece: bytes) -> Iterator[bytes]:
    while True:
        yield piece


fixed("file", answer("200 OK", "Content-Type: image/png", 'ETag: "abc"'))
fixed("photo.png", answer("200 OK", "Content-Type: image/png"))
fixed("empty", answer(body=b""))
fixed("no_location", answer("302 Found", body=b""))
fixed("relative", answer("302 Found", "Location: file?from=relative", body=b""))
fixed("itself", answer("301 Moved Permanently", "Location: /itself", body=b""))
fixed("meta_refresh", answer(body=b'<meta http-equiv="refresh" content="0;url=/file">'))
fixed("html_as_jpeg", answer("200 OK", "Content-Type: image/jpeg", body=b"<script>1</script>"))
fixed("error_page", answer("200 OK", "Content-Type: text/html", body=b"<h1>Not found</h1>"))
fixed("length_too_large", answer(length="5000"))
fixed("length_too_small", answer(length="10"))
fixed("length_10_tb", answer(length="10995116277760"))
fixed("length_negative", answer(length="-1"))
fixed("length_twice", answer("200 OK", "Content-Length: 3"))
fixed("trailing_garbage", answer() + b"HTTP/1.1 200 OK\r\n\r\ngarbage")
fixed(
    "partial_unasked", answer("206 Partial Content", "Content-Range: bytes 0-9/99", body=b"0" * 10)
)
fixed("not_modified_unasked", b"HTTP/1.1 304 Not Modified\r\n\r\n")
fixed("no_content", b"HTTP/1.1 204 No Content\r\n\r\n")
fixed("gzip_bomb", answer("200 OK", "Content-Encoding: gzip", body=gzip.compress(bytes(10 << 20))))
fixed(
    "double_gzip",
    answer(
        "200 OK", "Content-Encoding: gzip, gzip", body=gzip.compress(gzip.compress(bytes(1 << 20)))
    ),
)
fixed("brotli", answer("200 OK", "Content-Encoding: br", body=b"\x0b\x02\x80abcde\x03"))
fixed(
    "transfer_gzip",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
)
fixed("bad_chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")
fixed("huge_chunk", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc")
fixed("cut_chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n")
fixed("not_http", b"SSH-2.0-OpenSSH_9.2\r\n")
fixed("nothing", b"")
fixed("big_header", answer("200 OK", "X-Big: " + "a" * (1 << 20)))
fixed("many_headers", answer("200 OK", *(f"X-{n}: {n}" for n in range(10_000))))
fixed("some_headers", answer("200 OK", *(f"X-{n}: {n}" for n in range(300))))
fixed("unauthorized", answer("401 Unauthorized", 'WWW-Authenticate: Basic realm="secret-inside"'))
fixed("not_found", answer("404 Not Found", body=b"password=hunter2"))
fixed("gone", answer("410 Gone"))
fixed("too_early", answer("425 Too Early"))
fixed("slow_down", answer("429 Too Many Requests", "Retry-After: 999999"))
fixed("slow_down_date", answer("503 Busy", "Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"))
fixed("slow_down_words", answer("503 Busy", "Retry-After: soon"))
fixed("broken", answer("500 Internal Server Error"))
fixed(
    "traversal_name",
    answer("200 OK", 'Content-Disposition: attachment; filename="../../etc/passwd"'),
)
fixed(
    "bidi_name",
    answer("200 OK", "Content-Disposition: attachment; filename*=UTF-8''a%E2%80%AEgnp%0d%0aX.png"),
)
fixed(
    "both_names",
    answer(
        "200 OK", "Content-Disposition: inline; filename=\"a.png\"; filename*=UTF-8''%C3%A9.png"
    ),
)
fixed(
    "two_names", answer("200 OK", 'Content-Disposition: inline; filename="a.png"; filename="b.php"')
)
fixed("odd_charset", answer("200 OK", "Content-Disposition: inline; filename*=no-such''a.png"))
fixed("long_name", answer("200 OK", f'Content-Disposition: inline; filename="{"a" * 5000}.png"'))
fixed("raw_utf8_name", answer("200 OK", 'Content-Disposition: inline; filename="фото.png"'))
fixed("json", answer("200 OK", "Content-Type: application/json", body=b'{"ok": true}'))
fixed(
    "json_refusal",
    answer("400 Bad Request", body=b'{"ok": false, "description": "file is too big"}'),
)
fixed("json_nested", answer(body=b"[" * 200_000))
fixed("json_long", answer(body=b'"' + b"a" * (2 << 20) + b'"'))


@behaviour
def redirect(connection: socket.socket, server: HostileServer) -> None:
    """To wherever the test says."""
    connection.sendall(
        answer(
            "302 Found", f"Location: {server.values['location']}", "Set-Cookie: s=secret", body=b""
        )
    )


@behaviour
def hops(connection: socket.socket, server: HostileServer) -> None:
    """/hops/20 leads to /hops/19 and so on; /hops/0 is the file."""
    left = int(server.requests[-1].split(" ")[1].rpartition("/")[2])
    if left:
        connection.sendall(
            answer("307 Temporary Redirect", f"Location: /hops/{left - 1}", body=b"")
        )
    else:
        connection.sendall(answer())


@behaviour
def broken_once(connection: socket.socket, server: HostileServer) -> None:
    first = sum("/broken_once" in head for head in server.requests) == 1
    connection.sendall(answer("500 Internal Server Error" if first else "200 OK"))


@behaviour
def conditional(connection: socket.socket, server: HostileServer) -> None:
    if 'If-None-Match: "abc"' in server.requests[-1]:
        connection.sendall(b'HTTP/1.1 304 Not Modified\r\nETag: "abc"\r\n\r\n')
    else:
        connection.sendall(
            answer("200 OK", 'ETag: "abc"', "Last-Modified: Mon, 02 Nov 2026 08:00:00 GMT")
        )


@behaviour
def silent(connection: socket.socket, server: HostileServer) -> None:
    server.closing.wait(60)


@behaviour
def slow_headers(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    server.drip(forever(b"a"), connection, 0.02)


@behaviour
def endless_headers(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while not server.closing.is_set():
        connection.sendall(b"X-More: " + b"a" * 1000 + b"\r\n")


@behaviour
def endless_continue(connection: socket.socket, server: HostileServer) -> None:
    server.drip(forever(b"HTTP/1.1 100 Continue\r\n\r\n"), connection, 0.01)


@behaviour
def slow_body(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    server.drip(forever(b"a"), connection, 0.02)


@behaviour
def stalling_body(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbeginning")
    server.closing.wait(60)


@behaviour
def infinite_body(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    while not server.closing.is_set():
        connection.sendall(bytes(65536))


@behaviour
def reset(connection: socket.socket, server: HostileServer) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nbeginning")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Authority:
    """A certificate authority for one test, and server contexts with certificates of its making."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        self._certificate = self._sign(self._name, self._key, None)

    def client(self) -> ssl.SSLContext:
        """A context that trusts this authority alone."""
        pem = self._certificate.public_bytes(serialization.Encoding.PEM).decode()
        return ssl.create_default_context(cadata=pem)

    def server(self, folder: Path, *names: str, alpn: list[str] | None = None) -> ssl.SSLContext:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        certificate = self._sign(subject, key, names)
        pem = folder / f"{names[0].replace(':', '_')}.pem"
        pem.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...] | None
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=names is None, path_length=None), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
        )
        if names:
            alternatives = [_general_name(name) for name in names]
            builder = builder.add_extension(
                x509.SubjectAlternativeName(alternatives), critical=False
            )
        return builder.sign(self._key, hashes.SHA256())


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)

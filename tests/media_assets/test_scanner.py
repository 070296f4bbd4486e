"""The scanner: with a real clamd that has signatures of ours, and with servers that fail in its place."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from media_assets import scanner
from media_assets.errors import FileTooLarge, MalwareDetected, MediaHubError, ServiceUnavailable

MARK = b"mediahub-test-signature"  # what our clamd takes for malware
STREAM_LIMIT = 1 << 20


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The two addresses of a clamd of our own: host and port, and a socket."""
    program = shutil.which("clamd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip("clamd is not installed")
    folder = tmp_path_factory.mktemp("clamd")
    (folder / "signatures").mkdir()
    (folder / "signatures" / "ours.ndb").write_text(f"MediaHub.Test:0:*:{MARK.hex()}\n")
    port = free_port()
    lines = [
        f"DatabaseDirectory {folder}/signatures",
        f"LocalSocket {folder}/socket",
        "TCPAddr 127.0.0.1",
        f"TCPSocket {port}",
        "Foreground yes",
        f"StreamMaxLength {STREAM_LIMIT}",
        *(["User root"] if os.geteuid() == 0 else []),
    ]
    (folder / "clamd.conf").write_text("\n".join(lines) + "\n")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, f"--config-file={folder}/clamd.conf"], stdout=log, stderr=log
        )
    try:
        end = time.monotonic() + 60
        while not (folder / "socket").exists():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.02)
        yield f"127.0.0.1:{port}", f"{folder}/socket"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(params=["tcp", "unix"])
def real(request: pytest.FixtureRequest, clamd: tuple[str, str], settings: Any) -> None:
    settings.CLAMD_ADDRESS = clamd[0 if request.param == "tcp" else 1]
    settings.CLAMD_REQUIRED = True


Conversation = Callable[[socket.socket], None]


@pytest.fixture
def fake(settings: Any) -> Iterator[Callable[[Conversation], None]]:
    """Starts a server in clamd's place that talks as it is told to."""
    listener = socket.create_server(("127.0.0.1", 0))
    settings.CLAMD_ADDRESS = f"127.0.0.1:{listener.getsockname()[1]}"
    threads: list[threading.Thread] = []

    def start(conversation: Conversation) -> None:
        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection, contextlib.suppress(OSError):
                    conversation(connection)

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()

    yield start
    listener.close()
    for thread in threads:
        thread.join(5)


def read_stream(connection: socket.socket) -> bytes:
    """What a scanner reads of one file."""
    file = connection.makefile("rb")
    assert file.read(10) == b"zINSTREAM\0"
    content = b""
    while length := struct.unpack("!I", file.read(4))[0]:
        content += file.read(length)
    return content


def answering(reply: bytes) -> Conversation:
    def talk(connection: socket.socket) -> None:
        read_stream(connection)
        connection.sendall(reply)

    return talk


# ------------------------------------------------------------------- a real clamd


@pytest.mark.usefixtures("real")
def test_a_clean_file_passes(tmp_path: Path) -> None:
    scanner.scan([b"nothing", b"", b" bad"])
    (tmp_path / "file").write_bytes(b"a" * 700_000)
    scanner.scan(tmp_path / "file")
    scanner.scan([])
    assert scanner.ping()


@pytest.mark.usefixtures("real")
def test_malware_is_found_wherever_the_chunks_are_cut() -> None:
    content = b"a" * 1000 + MARK + b"b" * 1000
    for size in (7, 1000, 5000):
        chunks = [content[at : at + size] for at in range(0, len(content), size)]
        with pytest.raises(MalwareDetected) as found:
            scanner.scan(chunks)
        assert found.value.details == {"signature": "MediaHub.Test.UNOFFICIAL"}


@pytest.mark.usefixtures("real")
def test_malware_is_found_inside_an_archive() -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("word/document.xml", b"x" * 5000 + MARK)
    with pytest.raises(MalwareDetected):
        scanner.scan([archive.getvalue()])


@pytest.mark.usefixtures("real")
def test_a_file_past_the_scanners_limit_is_refused_where_scanning_is_required(
    settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    chunks = [bytes(1 << 16)] * 64
    with pytest.raises(FileTooLarge):
        scanner.scan(chunks)
    settings.CLAMD_REQUIRED = False
    scanner.scan(chunks)
    assert "larger than the scanner's limit" in caplog.text


@pytest.mark.usefixtures("real")
def test_a_scan_that_is_left_halfway_leaves_the_scanner_well() -> None:
    scanning = scanner.begin()
    assert scanning is not None
    with scanning:
        scanning.feed(b"half a file")
    scanning.close()
    scanner.scan([b"another"])


# ------------------------------------------------------------------- failures


def test_without_an_address_nothing_is_scanned(settings: Any) -> None:
    settings.CLAMD_ADDRESS, settings.CLAMD_REQUIRED = "", False
    assert scanner.begin() is None
    scanner.scan([MARK])
    assert not scanner.ping()
    settings.CLAMD_REQUIRED = True
    with pytest.raises(ServiceUnavailable):
        scanner.begin()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:{closed}", "/no/such/socket", "nonsense", "host:port"]
)
def test_an_unreachable_scanner_lets_files_pass_unless_it_is_required(
    settings: Any, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    settings.CLAMD_ADDRESS = address.replace("{closed}", str(free_port()))
    settings.CLAMD_REQUIRED = False
    with caplog.at_level(logging.WARNING):
        scanner.scan([MARK])
    assert "not scanned" in caplog.text
    assert not scanner.ping()
    settings.CLAMD_REQUIRED = True
    with pytest.raises(ServiceUnavailable) as refused:
        scanner.begin()
    assert settings.CLAMD_ADDRESS not in refused.value.message


def hang_up(connection: socket.socket) -> None:
    connection.recv(10)


def reset(connection: socket.socket) -> None:
    connection.recv(10)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@pytest.mark.parametrize(
    "conversation",
    [
        hang_up,
        reset,
        answering(b""),
        answering(b"stream: OK"),  # without the closing byte it may be the beginning of anything
        answering(b"stream: Can't allocate memory ERROR\0"),
        answering(b"UNKNOWN COMMAND\0"),
        answering(b"a" * 10_000),
        answering(b"\xff\xfe\0"),
    ],
)
@pytest.mark.parametrize("required", [False, True])
def test_a_scanner_that_fails_is_one_that_cannot_be_reached(
    fake: Any, settings: Any, conversation: Conversation, required: bool
) -> None:
    settings.CLAMD_REQUIRED = required
    fake(conversation)
    if required:
        with pytest.raises(ServiceUnavailable):
            scanner.scan([bytes(1 << 16)] * 50)
    else:
        scanner.scan([bytes(1 << 16)] * 50)


def test_a_silent_scanner_is_left_after_a_while(
    fake: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CLAMD_REQUIRED = True
    monkeypatch.setattr(scanner, "REPLY_S", 0.1)
    done = threading.Event()
    fake(lambda connection: bool(done.wait(30)))
    with pytest.raises(ServiceUnavailable):
        scanner.scan([b"file"])
    done.set()


def test_a_scanner_that_reads_nothing_is_left_after_a_while(
    fake: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.CLAMD_REQUIRED = True
    monkeypatch.setattr(scanner, "SEND_S", 0.1)
    monkeypatch.setattr(scanner, "REPLY_S", 0.1)
    done = threading.Event()
    fake(lambda connection: bool(done.wait(30)))
    with pytest.raises(ServiceUnavailable):
        scanner.scan([bytes(1 << 20)] * 64)
    done.set()


def test_every_byte_reaches_the_scanner_in_order(fake: Any) -> None:
    received: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        received.append(read_stream(connection))
        connection.sendall(b"stream: OK\0")

    fake(keep)
    content = bytes(range(256)) * 4000
    scanner.scan([content[:5], content[5:600_000], content[600_000:]])
    assert received == [content]


def test_a_signatures_name_is_plain_text(fake: Any) -> None:
    fake(answering(b"stream: Bad\x1b[31m\nName\xff FOUND\0"))
    with pytest.raises(MediaHubError) as found:
        scanner.scan([b"x"])
    assert found.value.code == "MALWARE_DETECTED"
    assert found.value.details["signature"].isprintable()

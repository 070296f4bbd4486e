"""The caller's side of the sandbox: keeps a zygote, asks it for children, and judges how they end."""

from __future__ import annotations

import atexit
import json
import logging
import os
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processing.sandbox import outcomes, wire
from processing.sandbox.child import allowed
from processing.sandbox.limits import Limits

logger = logging.getLogger(__name__)

PREFIXES = ("processing.inspectors.", "transcription.audio")
# What the inspectors import, and what Pillow, numpy and PyAV import only when they are first used: left
# to each child, that costs some 90 ms a picture.
PRELOAD = tuple(
    """
    PIL.Image PIL.ImageOps PIL.ImageChops PIL.ImageFile PIL.JpegImagePlugin PIL.MpoImagePlugin
    PIL.PngImagePlugin PIL.GifImagePlugin PIL.BmpImagePlugin PIL.PpmImagePlugin PIL.WebPImagePlugin
    PIL.TiffImagePlugin PIL.AvifImagePlugin PIL.JpegPresets pi_heif numpy numpy.ma av av.subtitles.stream
    pypdfium2 lxml.etree calendar _strptime encodings.cp437
    processing.inspectors.image processing.inspectors.audio processing.inspectors.video
    processing.inspectors.document processing.inspectors.web_preview processing.inspectors.ocr
    transcription.audio
    """.split()
)
_ROOT = Path(__file__).parents[2]
_START_S = 120.0  # to load the decoders; a second on an idle machine
_GRACE_S = 10.0  # for the zygote to do what it should have done by itself
_LOOK_S = 0.2  # how often `cancelled` is asked
_ERRORS_KEPT = 4096  # bytes of a child's stderr
# All that a zygote inherits. TESSDATA_PREFIX: where OCR finds its languages.
_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "TZ", "TESSDATA_PREFIX")


class Sandbox:
    """A zygote of one kind and the calls to it, for any number of threads. Starts when first used."""

    def __init__(
        self,
        *,
        prefixes: Sequence[str] = PREFIXES,
        preload: Sequence[str] = PRELOAD,
        python_path: Sequence[str] = (),
    ) -> None:
        self._config = {"prefixes": list(prefixes), "preload": list(preload)}
        self._prefixes = tuple(prefixes)
        self._python_path = [os.fspath(_ROOT), *python_path]
        self._lock = threading.Lock()
        self._zygote: _Zygote | None = None
        self._calls: set[_Call] = set()
        _sandboxes.add(self)

    def run(
        self,
        function: str,
        *args: Any,
        source: Path,
        workdir: Path,
        limits: Limits | None = None,
        cancelled: Callable[[], bool] | None = None,
        progress: Callable[[float], None] | None = None,
        programs: bool = False,
    ) -> dict[str, Any]:
        """Call `package.module:function(source, workdir, *args)` in a child of its own.

        Raises InputFault where the file is at fault or a limit was met, TryLater where the zygote was
        lost, RuntimeError where the function has a fault, Stopped once `cancelled` says so (it may also
        raise). By the time this returns or raises, the child is dead. `programs` lets the function
        start programs (OCR): a lower wall.
        """
        if not allowed(function.partition(":")[0], self._prefixes):
            raise ValueError(f"{function} may not run in the sandbox")
        limits = limits or Limits()
        request = {
            "function": function,
            "args": args,
            "source": os.path.abspath(source),  # noqa: PTH100 - links stay as they are
            "workdir": os.path.abspath(workdir),  # noqa: PTH100
            "limits": asdict(limits),
            "programs": programs,
        }
        frame = wire.frame(wire.REQUEST, request)
        call = self._begin(function, frame, limits)
        try:
            return call.result(cancelled, progress)
        finally:
            call.end()
            self._calls.discard(call)
            if call.lost:
                self._drop(call.zygote)

    def protections(self) -> dict[str, Any]:
        """Which walls stand on this machine: tried out by a child when the zygote started."""
        return dict(self._running().protections)

    def warm(self) -> None:
        """Start the zygote now, so that the first file need not wait for it."""
        self._running()

    def close(self) -> None:
        """End the zygote and with it all children."""
        with self._lock:
            zygote, self._zygote = self._zygote, None
        if zygote is not None:
            zygote.close()

    def _begin(self, function: str, frame: bytes, limits: Limits) -> _Call:
        for attempt in range(2):
            zygote = self._running()
            call = _Call(zygote, frame, limits)
            try:
                call.order(function)
            except OSError:
                # It died while nobody was looking; nothing has begun, so another one may be asked.
                call.let_go()
                self._drop(zygote)
                if attempt:
                    raise outcomes.zygote_lost() from None
                continue
            self._calls.add(call)
            return call
        raise outcomes.zygote_lost()

    def _running(self) -> _Zygote:
        with self._lock:
            if self._zygote is None:
                self._zygote = _Zygote(self._config, self._python_path)
            return self._zygote

    def _drop(self, zygote: _Zygote) -> None:
        with self._lock:
            if self._zygote is zygote:
                self._zygote = None
        zygote.close()

    def forget(self) -> None:
        """In a forked process: let go of the parent's zygote without ending it."""
        self._lock = threading.Lock()
        for call in list(self._calls):
            call.let_go()
        self._calls = set()
        if self._zygote is not None:
            self._zygote.let_go()
            self._zygote = None


class _Zygote:
    """One running zygote process."""

    def __init__(self, config: dict[str, Any], python_path: list[str]) -> None:
        self._sending = threading.Lock()
        self._control, theirs = socket.socketpair()
        environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        environment |= {
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(python_path),
            "PYTHONUNBUFFERED": "1",
            # No threads of libraries in the zygote, no address space reserved for each of a decoder's.
            "OMP_NUM_THREADS": "1",
            "OMP_THREAD_LIMIT": "1",
            "OPENBLAS_NUM_THREADS": "1",
            "MALLOC_ARENA_MAX": "2",
            # Large pages for large buffers: a child touches all its memory for the first time, and a
            # 12-megapixel picture's takes 7 of 53 ms less this way.
            "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        }
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [
                    sys.executable,
                    *("-P", "-m", "processing.sandbox.zygote"),
                    str(theirs.fileno()),
                    json.dumps(config),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=None,
                cwd="/",
                env=environment,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,  # a Ctrl-C in the terminal is for the worker to handle
            )
        self._control.settimeout(_START_S)
        try:
            hello = wire.receive_frame(self._control)
        except OSError:
            hello = None
        if hello is None:
            self.close()
            raise RuntimeError("The sandbox's zygote did not start.")
        self.protections: dict[str, Any] = hello[1]["protections"]
        self.loaded: list[str] = hello[1]["loaded"]  # of the modules it was to load

    def order(self, function: str, wall_s: float, descriptors: Sequence[int]) -> None:
        """Ask for a child. OSError where the zygote is gone."""
        payload = json.dumps({"function": function, "wall_s": wall_s}).encode()
        with self._sending:
            socket.send_fds(
                self._control, [struct.pack("<I", len(payload)), payload], list(descriptors)
            )

    def close(self) -> None:
        """Hang up, which ends it; kill it where that does not."""
        self._control.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_GRACE_S / 2)
            return
        self._process.kill()
        self._process.wait()

    def kill(self) -> None:
        self._process.kill()

    def let_go(self) -> None:
        self._control.close()
        self._process.returncode = 0  # not this process's child: nothing to wait for


class _Call:
    """One call: the socket to its child, the zygote's word on its end, and what it wrote to stderr."""

    def __init__(self, zygote: _Zygote, request: bytes, limits: Limits) -> None:
        self.zygote = zygote
        self.lost = False  # the zygote
        self._request = memoryview(request)
        self._limits = limits
        self._child, self._childs_end = socket.socketpair()
        self._status, self._zygotes_end = socket.socketpair()
        self._errors, self._errors_end = os.pipe()
        self._child.setblocking(False)
        os.set_blocking(self._errors, False)
        self._frames = wire.Frames(limits.result_bytes)
        self._answer: tuple[bytes, Any] | None = None
        self._end: dict[str, Any] | None = None
        self._said = b""
        self._open = True

    def order(self, function: str) -> None:
        ends = (self._childs_end.fileno(), self._errors_end, self._zygotes_end.fileno())
        self.zygote.order(function, self._limits.wall_s, ends)
        self._close_their_ends()

    def result(
        self, cancelled: Callable[[], bool] | None, progress: Callable[[float], None] | None
    ) -> dict[str, Any]:
        self._follow(cancelled, progress)
        if self._end is None:
            self.lost = True
            raise outcomes.zygote_lost()
        if self._answer is None or self._end.get("killed"):
            death = outcomes.death(self._end, self._limits)
            logger.warning("A child of the sandbox died: %s %s", death, self._last_words())
            raise death
        return outcomes.answer(*self._answer)

    def _follow(
        self, cancelled: Callable[[], bool] | None, progress: Callable[[float], None] | None
    ) -> None:
        """Talk to the child until the zygote says that it has ended, or is lost itself."""
        backstop = time.monotonic() + self._limits.wall_s + _GRACE_S
        with selectors.PollSelector() as selector:
            selector.register(
                self._child, selectors.EVENT_READ | selectors.EVENT_WRITE, self._speak
            )
            selector.register(self._status, selectors.EVENT_READ, self._hear_end)
            selector.register(self._errors, selectors.EVENT_READ, self._hear_errors)
            looking = time.monotonic()
            while self._end is None and not self.lost:
                now = time.monotonic()
                if now > backstop:
                    self.zygote.kill()  # it should have ended the child: it hangs itself
                    self.lost = True
                    return
                if cancelled is not None and now >= looking:
                    looking = now + _LOOK_S
                    if cancelled():
                        raise outcomes.Stopped
                wait = backstop - now if cancelled is None else _LOOK_S
                for key, events in selector.select(wait):
                    key.data(selector, events, progress)
            self._drain(progress)

    def _drain(self, progress: Callable[[float], None] | None) -> None:
        """The child is dead, what it said last may still lie in the socket."""
        with suppress(BlockingIOError, ConnectionError):
            while data := self._child.recv(1 << 16):
                self._take(data, progress)
        with suppress(BlockingIOError):
            while data := os.read(self._errors, _ERRORS_KEPT):
                self._said = (self._said + data)[-_ERRORS_KEPT:]

    def _speak(
        self,
        selector: selectors.BaseSelector,
        events: int,
        progress: Callable[[float], None] | None,
    ) -> None:
        if events & selectors.EVENT_READ:
            try:
                data = self._child.recv(1 << 16)
            except BlockingIOError:
                return
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(self._child)
                return
            self._take(data, progress)
        if events & selectors.EVENT_WRITE:
            with suppress(BlockingIOError, ConnectionError):
                self._request = self._request[self._child.send(self._request) :]
            if not self._request:
                selector.modify(self._child, selectors.EVENT_READ, self._speak)

    def _hear_end(self, _selector: selectors.BaseSelector, _events: int, _progress: Any) -> None:
        found = wire.receive_frame(self._status)
        if found is None:
            self.lost = True
        else:
            self._end = found[1]

    def _hear_errors(self, selector: selectors.BaseSelector, _events: int, _progress: Any) -> None:
        with suppress(BlockingIOError):
            data = os.read(self._errors, 1 << 16)
            if not data:
                selector.unregister(self._errors)
            self._said = (self._said + data)[-_ERRORS_KEPT:]

    def _take(self, data: bytes, progress: Callable[[float], None] | None) -> None:
        self._frames.feed(data)
        try:
            while (found := self._frames.next()) is not None:
                kind, value = found
                if kind != wire.PROGRESS:
                    self._answer = found
                elif progress is not None and isinstance(value, int | float) and 0 <= value <= 1:
                    progress(float(value))
        except wire.TooLarge:
            raise outcomes.limit_exceeded("result") from None
        except wire.Nonsense:
            raise RuntimeError("the sandbox's child answered nonsense") from None

    def _last_words(self) -> str:
        words, _, _ = self._said.decode("utf-8", "replace").partition("\n\nExtension modules")
        return ascii(words.strip())

    def end(self) -> None:
        """Make sure that the child is dead, and close everything. Harmless to repeat."""
        if not self._open:
            return
        if self._end is None and not self.lost:
            self._hang_up()
        self.let_go()

    def _hang_up(self) -> None:
        """Tell the zygote to kill the child, and wait until it has."""
        self._status.settimeout(_GRACE_S)
        with suppress(OSError):  # it may have closed its end by now
            self._status.shutdown(socket.SHUT_WR)
        try:
            self.lost = wire.receive_frame(self._status) is None
        except ConnectionError:
            self.lost = True
        except TimeoutError:
            self.zygote.kill()
            self.lost = True

    def let_go(self) -> None:
        self._open = False
        self._close_their_ends()
        self._child.close()
        self._status.close()
        with suppress(OSError):
            os.close(self._errors)

    def _close_their_ends(self) -> None:
        if self._errors_end >= 0:
            self._childs_end.close()
            self._zygotes_end.close()
            os.close(self._errors_end)
            self._errors_end = -1


_sandboxes: weakref.WeakSet[Sandbox] = weakref.WeakSet()
_default = Sandbox()


def _in_forked_process() -> None:
    for sandbox in list(_sandboxes):
        sandbox.forget()


def _at_exit() -> None:
    for sandbox in list(_sandboxes):
        sandbox.close()


os.register_at_fork(after_in_child=_in_forked_process)
atexit.register(_at_exit)

run = _default.run
protections = _default.protections
warm = _default.warm

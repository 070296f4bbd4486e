"""Chromium for tests: pages of the real server that fail the test on anything a browser complains of.

Asking for `page`, `new_page` or `watch` is enough: the test is then marked `browser`, runs after the
others, commits what it writes, and has gunicorn running.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Playwright,
    Request,
    sync_playwright,
)

from tests.processes import find_program
from tests.reports import has_failed
from tests.servers import Server

ROOT = Path(__file__).parent.parent
_FIXTURES = {"page", "new_page", "watch", "chromium"}
_PROCESS_FIXTURES = {"server", "start_server", "start_worker", "start_command", "worker"}
_ARGUMENTS = [
    "--no-sandbox",  # Chromium refuses its sandbox as root; the pages are ours
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    # Nothing leaves this machine, whatever a page asks for.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]
_NO_CHROMIUM = (
    "There is no Chromium for the browser tests. Install it: apt-get install chromium, "
    "or .venv/bin/playwright install --with-deps chromium."
)


# ------------------------------------------------------------------- one Chromium for a process


class _Chromium:
    """Started for the first browser test, stopped before the next test that is none.

    While Playwright runs, its event loop counts as running in this thread: Django would refuse its ORM
    and asyncio.run would fail.
    """

    def __init__(self) -> None:
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None

    def browser(self) -> Browser:
        if self._browser is None:
            os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
            self._playwright = sync_playwright().start()
            program = find_program("chromium", "chromium-browser", "google-chrome")
            if not program and not Path(self._playwright.chromium.executable_path).exists():
                self.stop()
                pytest.fail(_NO_CHROMIUM, pytrace=False)
            self._browser = self._playwright.chromium.launch(
                executable_path=program, args=_ARGUMENTS
            )
        return self._browser

    def stop(self) -> None:
        if self._browser is not None:
            self._browser.close()
        if self._playwright is not None:
            self._playwright.stop()
        self._browser = self._playwright = None
        os.environ.pop("DJANGO_ALLOW_ASYNC_UNSAFE", None)


_chromium = _Chromium()


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark tests by what they ask for."""
    asked = set(getattr(item, "fixturenames", ()))
    if asked & _FIXTURES:
        item.add_marker(pytest.mark.browser)
    elif asked & _PROCESS_FIXTURES:
        item.add_marker(pytest.mark.process)


def _has_browser(item: pytest.Item) -> bool:
    return item.get_closest_marker("browser") is not None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_has_browser)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if not _has_browser(item):
        _chromium.stop()


def pytest_sessionfinish() -> None:
    _chromium.stop()


# ------------------------------------------------------------------- what a page may not do


class Watch:
    """Everything a browser complained of in a test. What a test expects, it allows beforehand."""

    def __init__(self, url: str) -> None:
        self.findings: list[str] = []
        self.dialogs: list[str] = []
        self._hosts = {urlsplit(url).netloc}
        # Asked for by the browser, at a moment of its own, where a page names no icon.
        self._console = [re.compile(r"/favicon\.ico\)$")]
        self._page_errors = False
        self._dialogs = False

    def allow_console(self, pattern: str) -> None:
        """Console errors that match: a refused upload, say, logs `status of 415`."""
        self._console.append(re.compile(pattern))

    def allow_host(self, host: str) -> None:
        """Requests to another host of this machine, `127.0.0.1:9000`."""
        self._hosts.add(host)

    def allow_page_errors(self) -> None:
        self._page_errors = True

    def allow_dialogs(self) -> None:
        """`alert`, `confirm`, `prompt`: they are accepted, and their texts kept in `dialogs`."""
        self._dialogs = True

    def check(self) -> None:
        assert not self.findings, "The browser complained:\n" + "\n".join(self.findings)

    def _attach(self, context: BrowserContext) -> None:
        context.expose_binding("__violation", lambda _source, text: self._note("CSP", text))
        context.add_init_script(
            "addEventListener('securitypolicyviolation', event => __violation("
            "`${event.effectiveDirective} forbids ${event.blockedURI} on ${event.documentURI}`))"
        )
        context.on("request", self._on_request)
        context.on("console", self._on_console)
        context.on("weberror", lambda error: self._on_page_error(error.error))
        context.on("dialog", self._on_dialog)

    def _note(self, kind: str, text: str) -> None:
        self.findings.append(f"{kind}: {text}")

    def _on_request(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in {"http", "https", "ws", "wss"} and parts.netloc not in self._hosts:
            self._note("outside request", request.url)

    def _on_console(self, message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not any(each.search(text) for each in self._console):
            self._note("console", text)

    def _on_page_error(self, error: Error) -> None:
        if not self._page_errors:
            self._note("page error", error.stack or error.message)

    def _on_dialog(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        if not self._dialogs:
            self._note("dialog", dialog.message)
        dialog.accept()


@pytest.fixture
def chromium() -> Browser:
    """The browser itself, for what `new_page` cannot do."""
    return _chromium.browser()


@pytest.fixture
def watch(server: Server) -> Iterator[Watch]:
    """What the test's pages did wrong; checked at its end."""
    watch = Watch(server.url)
    yield watch
    watch.check()


@pytest.fixture
def new_page(
    request: pytest.FixtureRequest, server: Server, chromium: Browser, watch: Watch
) -> Iterator[Callable[..., Page]]:
    """`new_page(user=None, **options)`: a page with cookies of its own, for another person or device.

    `options` are Playwright's for a context: `viewport`, `locale`, `color_scheme`, `base_url` ...
    """
    contexts: list[BrowserContext] = []

    def make(user: Any = None, **options: Any) -> Page:
        defaults = {
            "base_url": server.url,
            "viewport": {"width": 1280, "height": 800},
            "locale": "en-GB",
            "timezone_id": "UTC",
            "reduced_motion": "reduce",
        }
        context = chromium.new_context(**{**defaults, **options})
        contexts.append(context)
        context.set_default_timeout(10_000)
        watch._attach(context)
        page = context.new_page()
        if user is not None:
            sign_in(page, user, url=str(options.get("base_url", server.url)))
        return page

    yield make
    if has_failed(request.node) or watch.findings:
        _keep(contexts, request.node.name)
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page of somebody not signed in; paths are relative: `page.goto("/library/")`."""
    return new_page()


def sign_in(page: Page, user: Any, *, url: str) -> None:
    """Give the page the session of this user, without the sign-in form."""
    from django.conf import settings
    from django.test import Client

    client = Client()
    client.force_login(user)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    page.context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": value, "url": url}])


def assert_accessible(page: Page, *, ignore: tuple[str, ...] = (), within: str = "") -> None:
    """No serious or critical finding of axe. `ignore` names its rules, `within` a CSS selector."""
    found = Axe().run(page, context=within or None).response["violations"]
    grave = [
        f"{each['id']} ({each['impact']}): {each['help']}\n    "
        + "\n    ".join(node["html"][:200] for node in each["nodes"][:5])
        for each in found
        if each["impact"] in {"serious", "critical"} and each["id"] not in ignore
    ]
    assert not grave, f"axe on {page.url}:\n" + "\n".join(grave)


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[..., Path]:
    """`screenshot(page, "library")`: in docs/screenshots with WRITE_SCREENSHOTS=1, else thrown away."""

    def take(page: Page, name: str, *, full_page: bool = False) -> Path:
        wanted = os.environ.get("WRITE_SCREENSHOTS") == "1"
        folder = ROOT / "docs" / "screenshots" if wanted else tmp_path
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        page.screenshot(path=path, full_page=full_page, animations="disabled", caret="hide")
        return path

    return take


def _keep(contexts: list[BrowserContext], name: str) -> None:
    """What the pages of a failed test looked like, in test-results/."""
    folder = ROOT / "test-results"
    folder.mkdir(exist_ok=True)
    for number, page in enumerate(page for context in contexts for page in context.pages):
        stem = re.sub(r"[^\w.-]+", "_", f"{name}-{number}")
        try:
            page.screenshot(path=folder / f"{stem}.png")
            (folder / f"{stem}.html").write_text(page.content())
        except Error as error:  # a crashed page has no picture
            (folder / f"{stem}.txt").write_text(str(error))

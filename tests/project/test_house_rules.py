"""The rules of the house that no linter knows: names, sizes, templates, and who may use what."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("mediahub", "transcription", "processing", "media_assets")

# A grab bag says nothing of what is in it; a module is named after its thing.
BANNED_NAMES = {"utils", "helpers", "services", "managers", "common", "misc", "handlers"}

MOST_LINES_OF_A_FILE = 450
LISTS = {"mediahub/settings.py"}  # long for what they list, not for what they do
MOST_LINES_OF_A_FUNCTION = 60

# Modules, or names in them, and the only files that may import them.
RESERVED = {
    "django_q": {"processing/queue.py"},
    "django.core.files.storage": {"media_assets/storage.py"},
    "storages": {"media_assets/buckets.py"},
    "requests": set[str](),
    "urllib.request": set[str](),
    "http.client": {"mediahub/alive.py"},  # asks our own server whether it lives
    "httpcore": {"media_assets/netguard.py", "media_assets/egress.py"},
    "httpx": {"media_assets/netguard.py", "media_assets/egress.py", "media_assets/downloads.py"},
    "django.utils.safestring.mark_safe": set[str](),
}
PROVIDERS = re.compile(r"(processing|transcription)/providers/\w+\.py")
OPEN_TO_PROVIDERS = {"httpx"}


# ------------------------------------------------------------------- what is looked at


@cache
def read(path: Path) -> str | None:
    """The text of a file, None for a picture and the like."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return None


@cache
def kept_files() -> tuple[Path, ...]:
    """Every file that git keeps, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return tuple(ROOT / name for name in listed.stdout.split("\0") if (ROOT / name).is_file())


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def sources(*, tests: bool = False) -> Iterator[tuple[str, str]]:
    """Name and text of our Python files."""
    folders = (*PACKAGES, "tests", "bench") if tests else PACKAGES
    for path in kept_files():
        name = name_of(path)
        if name.startswith(tuple(f"{each}/" for each in folders)) and path.suffix == ".py":
            yield name, read(path) or ""


def texts() -> Iterator[tuple[str, str]]:
    for path in kept_files():
        if (text := read(path)) is not None:
            yield name_of(path), text


@cache
def nodes(text: str) -> tuple[ast.AST, ...]:
    """All of a module's syntax, the module first."""
    return tuple(ast.walk(ast.parse(text)))


def imports(text: str) -> Iterator[str]:
    for node in nodes(text):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_migration(name: str) -> bool:
    return "/migrations/" in name


# ------------------------------------------------------------------- names and sizes


def test_no_module_is_a_grab_bag() -> None:
    names = [name for name, _ in sources(tests=True)]
    bad = [name for name in names if BANNED_NAMES & set(Path(name).with_suffix("").parts)]
    assert not bad, f"Name these after what they hold: {bad}"


def test_files_stay_small_enough_to_read() -> None:
    sizes = {
        name: text.count("\n")
        for name, text in sources()
        if not is_migration(name) and name not in LISTS
    }
    long = {name: size for name, size in sizes.items() if size > MOST_LINES_OF_A_FILE}
    assert not long, f"More than {MOST_LINES_OF_A_FILE} lines; find the second thing: {long}"


def test_functions_stay_small_enough_to_read() -> None:
    long = [
        f"{name}:{node.lineno} {node.name} ({size})"
        for name, text in sources()
        if not is_migration(name)
        for node in nodes(text)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (size := (node.end_lineno or node.lineno) - node.lineno + 1) > MOST_LINES_OF_A_FUNCTION
    ]
    assert not long, f"More than {MOST_LINES_OF_A_FUNCTION} lines: {long}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        name
        for name, text in sources(tests=True)
        if text.strip()
        and not is_migration(name)
        and not (ast.get_docstring(ast.parse(text)) or "").strip()
    ]
    assert not silent, f"These do not begin with a line that says what they are for: {silent}"


def test_nothing_is_left_for_later() -> None:
    mark = re.compile(r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b")
    found = [
        f"{name}:{number}"
        for name, text in texts()
        if not name.startswith("locks/")
        for number, line in enumerate(text.splitlines(), 1)
        if mark.search(line)
    ]
    assert not found, found


# ------------------------------------------------------------------- who may use what


@pytest.mark.parametrize("reserved", RESERVED)
def test_a_reserved_import_stays_where_it_belongs(reserved: str) -> None:
    def is_allowed(name: str) -> bool:
        if name in RESERVED[reserved]:
            return True
        return reserved in OPEN_TO_PROVIDERS and PROVIDERS.fullmatch(name) is not None

    trespassers = [
        name
        for name, text in sources()
        if not is_allowed(name)
        and any(each == reserved or each.startswith(f"{reserved}.") for each in imports(text))
    ]
    assert not trespassers, f"{reserved} is imported by {trespassers}"


def test_no_data_is_declared_safe_html() -> None:
    marked = [
        name
        for name, text in sources()
        for node in nodes(text)
        if isinstance(node, ast.Name | ast.Attribute)
        and "mark_safe" in {getattr(node, "id", ""), getattr(node, "attr", "")}
    ]
    assert not marked, f"Use format_html or a template: {marked}"


def test_nothing_prints() -> None:
    printing = [
        f"{name}:{node.lineno}"
        for name, text in sources()
        for node in nodes(text)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "print"
    ]
    assert not printing, f"Log it, or write to a command's stdout: {printing}"


# ------------------------------------------------------------------- templates and addresses

INLINE = {
    "an inline script": re.compile(
        r"<script(?![^>]*\ssrc=)(?![^>]*type=\"application/json\")", re.IGNORECASE
    ),
    "an inline style": re.compile(r"<style|\sstyle\s*=", re.IGNORECASE),
    "an inline event handler": re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE),
    "a javascript: address": re.compile(r"javascript:", re.IGNORECASE),
    "text marked as safe": re.compile(r"\|\s*safe\b|\{%\s*autoescape\s+off"),
    "something from another host": re.compile(
        r"<(?!a\b)[^>]*\s(src|href)\s*=\s*[\"']?(https?:)?//", re.IGNORECASE
    ),
}


BAD_TAGS = {
    "an inline script": ["<script>let a</script>", '<script type="module">'],
    "an inline style": ['<p style="color: red">', "<style>", "<p\nstyle = 'x'>"],
    "an inline event handler": ['<a href="/" onclick="go()">', "<body\nonload=go()>"],
    "a javascript: address": ['<a href="javascript:go()">'],
    "text marked as safe": ["{{ title|safe }}", "{% autoescape off %}"],
    "something from another host": [
        '<script src="https://a.example/b.js">',
        '<link rel="stylesheet" href="//a.example/b.css">',
    ],
}
GOOD_TAGS = (
    '<script src="{% static \'js/a.js\' %}" type="module"></script>'
    '<script type="application/json" id="facts">{}</script><a href="https://a.example/">'
    '<p class="style" data-only="on"><link href="/a.css">{{ title|safe_title }}'
)


@pytest.mark.parametrize("what", INLINE)
def test_the_rules_for_templates_tell_bad_from_good(what: str) -> None:
    assert all(INLINE[what].search(tag) for tag in BAD_TAGS[what])
    assert not INLINE[what].search(GOOD_TAGS)


def templates() -> Iterator[tuple[str, str]]:
    for path in kept_files():
        if path.suffix in {".html", ".txt", ".svg"} and "templates" in path.parts:
            yield name_of(path), read(path) or ""


@pytest.mark.parametrize("what", INLINE)
def test_no_template_holds(what: str) -> None:
    comments = re.compile(r"\{#.*?#\}|\{% comment %\}.*?\{% endcomment %\}", re.DOTALL)
    found = [name for name, text in templates() if INLINE[what].search(comments.sub("", text))]
    assert not found, f"{what} in {found}"


def test_no_file_names_a_package_registry() -> None:
    hosts = re.compile(
        r"pypi\.(org|python)|pythonhosted\.org|npmjs\.(org|com)|--(extra-)?index-url\s+\S"
    )
    found = [
        name
        for name, text in texts()
        if name != "tests/project/test_house_rules.py" and hosts.search(text)
    ]
    assert not found, f"Installing is the installer's configuration, not ours: {found}"


def test_the_lock_has_hashes_and_no_index() -> None:
    for lock in (ROOT / "locks").glob("*.txt"):
        text = lock.read_text()
        pins = re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?)==", text, re.MULTILINE)
        assert pins, lock
        assert text.count("--hash=sha256:") >= len(pins), lock
        assert not re.search(r"^(-i |--(extra-)?index-url|--find-links|-f )", text, re.MULTILINE), (
            lock
        )

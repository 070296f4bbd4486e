"""Regular expressions that people write into a lexicon: which are refused, and how long one may run.

A pattern is read by a small scanner before it is compiled (compiling alone can eat the memory), then tried
on strings made to be hard for it and on ordinary text. What passes still runs under a time limit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import regex

from media_assets.errors import Invalid

MAX_PATTERN: Final = 300  # characters
MAX_DEPTH: Final = 20  # groups inside groups; far past it the compiler runs out of stack
MAX_SIZE: Final = 20_000  # what the pattern unfolds to when its counted repeats are written out
MAX_GROUPS: Final = 30
# Sound patterns need microseconds for a probe of 30 to 300 characters, milliseconds for the ordinary text.
PROBE_SECONDS: Final = 0.1
ALL_PROBES_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 0.5

clock = time.thread_time  # what this thread spent, whatever else the machine does

_FLAGS: Final = frozenset("imsuf-")
_COUNT: Final = regex.compile(r"\{(\d{1,6})?(,)?(\d{1,6})?\}")
_REFERENCE: Final = regex.compile(r"\\(?:(\d{1,2})|g<(\w+)>|([\\nt]))")
_ORDINARY: Final = (
    "The quick brown fox, who wasn't 12.5 years old, met Anna-Maria at 10:30 in Zürich; "
    "«Bonjour», said the fox. E-mail: a.b@example.com. 東京で会いましょう。 Привет, мир! "
) * 250
_ATOMS: Final = ("a", "A", "1", " ", "é", ".", "-", "_", "東", "\n")


@dataclass(slots=True)
class _Level:
    """One open group while the pattern is scanned."""

    size: int = 0
    last: int = 0  # the size of the item that a quantifier would repeat
    items: int = 0
    endless: bool = False  # the last item may repeat without end
    inside: bool = False  # the last item is a group that holds one endless item and nothing else
    atomic: bool = False  # lookarounds and (?>...) give nothing back


@dataclass(slots=True)
class _Scan:
    pattern: str
    at: int = 0
    literals: list[str] = field(default_factory=list)
    levels: list[_Level] = field(default_factory=lambda: [_Level()])


def compile_pattern(term: str, *, match_case: bool) -> regex.Pattern[str]:
    """The compiled pattern, or `Invalid` with the place of the mistake. It is not tried for speed."""
    if not term or len(term) > MAX_PATTERN:
        raise _wrong(f"The pattern must have 1 to {MAX_PATTERN} characters.")
    _scan(term)
    # Not FULLCASE (ß = SS): with it the library needs exponential time for [\w ]+foo on "ffff…".
    flags = regex.VERSION0 if match_case else regex.VERSION0 | regex.IGNORECASE
    try:
        compiled = regex.compile(term, flags)
    except regex.error as error:
        raise _wrong(f"The pattern is not valid: {error.msg}.", position=error.pos) from error
    except (RecursionError, MemoryError, OverflowError, ValueError, IndexError, KeyError) as error:
        # The compiler's own limits and slips on odd input. All of them mean: not this pattern.
        raise _wrong("The pattern is not valid.") from error
    if compiled.groups > MAX_GROUPS:
        raise _wrong(f"The pattern may have at most {MAX_GROUPS} groups.")
    return compiled


def check_pattern(term: str, replacement: str, *, match_case: bool) -> None:
    """Raise `Invalid` for a pattern that is broken, matches nothing at all, or can run away."""
    compiled = compile_pattern(term, match_case=match_case)
    template(replacement, compiled)
    scan = _scan(term)
    # The library gives up at once where a letter the pattern needs is missing: so all of them follow.
    tail = "\x01" + "".join(scan.literals)
    if compiled.fullmatch("") or any(
        match.end() == match.start() for match in _ordinary(compiled, tail)
    ):
        raise _wrong("The pattern matches empty text: its replacement would be put in everywhere.")
    began = clock()
    for probe in _probes(scan):
        for text in (probe * 30 + tail, probe * (300 // len(probe)) + tail):
            if _runs_away(compiled, text) or clock() - began > ALL_PROBES_SECONDS:
                raise _slow(len(text), PROBE_SECONDS)


def _runs_away(compiled: regex.Pattern[str], text: str) -> bool:
    """Whether this thread really spent the limit: the library counts the CPU time of all threads."""
    for _ in range(5):
        began = clock()
        try:
            compiled.search(text, timeout=PROBE_SECONDS)
        except TimeoutError:
            if clock() - began > PROBE_SECONDS / 2:
                return True
        else:
            return False
    return True


def template(replacement: str, compiled: regex.Pattern[str]) -> list[str | int]:
    r"""The replacement as texts and group numbers: \1 and \g<name> are groups, \\ \n \t themselves."""
    parts: list[str | int] = []
    at = 0
    while (found := replacement.find("\\", at)) >= 0:
        parts.append(replacement[at:found])
        match = _REFERENCE.match(replacement, found)
        if match is None:
            raise _wrong(
                "A backslash in the replacement must be \\1, \\g<name>, \\n, \\t or \\\\.",
                field="replacement",
            )
        number, name, char = match.groups()
        if char:
            parts.append({"n": "\n", "t": "\t"}.get(char, char))
        else:
            parts.append(_group(compiled, number or name))
        at = match.end()
    parts.append(replacement[at:])
    return [part for part in parts if part != ""]


def expanded(parts: list[str | int], match: regex.Match[str]) -> str:
    """The replacement for one match; a group that took no part is empty."""
    return "".join(part if isinstance(part, str) else match[part] or "" for part in parts)


def find_within(compiled: regex.Pattern[str], text: str, seconds: float) -> list[regex.Match[str]]:
    """All matches that are not empty, or TimeoutError. Other threads run meanwhile.

    The library's clock is the CPU time of the whole process, so busy neighbours would use the limit up:
    it is given again until this thread has spent it, at most five times.
    """
    for attempt in range(5):
        began = clock()
        try:
            return [
                m
                for m in compiled.finditer(text, timeout=seconds, concurrent=True)
                if m.end() > m.start()
            ]
        except TimeoutError:
            if attempt == 4 or clock() - began > seconds / 2:
                raise
    return []


def _ordinary(compiled: regex.Pattern[str], tail: str) -> Iterator[regex.Match[str]]:
    """The matches in ordinary text of the length of an hour's speech in one line."""
    text = _ORDINARY + tail
    try:
        yield from compiled.finditer(text, timeout=SAMPLE_SECONDS)
    except TimeoutError as error:
        raise _slow(len(text), SAMPLE_SECONDS) from error


def _probes(scan: _Scan) -> list[str]:
    """Strings that pull a backtracking pattern into its worst case: its own letters, over and over."""
    letters = list(dict.fromkeys([*scan.literals, *_ATOMS]))[:14]
    pairs = [a + b for a in letters[:8] for b in letters[:8] if a != b]
    own = "".join(scan.literals)[:40]
    return [*letters, *pairs, *([own, own + " "] if own else [])]


def _scan(pattern: str) -> _Scan:
    """Walk the pattern once: collect its literals, refuse what it may not hold, measure its size."""
    scan = _Scan(pattern)
    while scan.at < len(pattern):
        char = pattern[scan.at]
        if char == "\\":
            _escape(scan)
        elif char == "[":
            _set(scan)
        elif char == "(":
            _open(scan)
        elif char == ")":
            _close(scan)
        elif char in "*+?{":
            _quantifier(scan)
        else:
            if char not in "|^$.":
                scan.literals.append(char)
            _item(scan, 0 if char == "|" else 1)
            scan.at += 1
    if len(scan.levels) > 1:
        raise _wrong("A group is opened and not closed.", position=len(pattern))
    return scan


def _item(scan: _Scan, size: int, *, inside: bool = False) -> None:
    level = scan.levels[-1]
    level.size += max(size, 1)
    level.last = size
    level.items += 1
    level.endless, level.inside = False, inside


def _escape(scan: _Scan) -> None:
    char = scan.pattern[scan.at + 1 : scan.at + 2]
    if char in {"L", "K", "G", "g"} or not char:
        raise _wrong(f"\\{char} is not supported here.", position=scan.at)
    if char not in "wWdDsSbBAZXRhvpPNmMnrtfaeuUx0123456789":
        scan.literals.append(char)
    scan.at += 2
    if char in "pPN" and scan.pattern[scan.at : scan.at + 1] == "{":
        closing = scan.pattern.find("}", scan.at)
        scan.at = closing + 1 if closing >= 0 else len(scan.pattern)
    _item(scan, 1)


def _set(scan: _Scan) -> None:
    at = scan.at + 1
    if scan.pattern[at : at + 1] == "^":
        at += 1
    first = at
    while at < len(scan.pattern) and (scan.pattern[at] != "]" or at == first):
        if scan.pattern.startswith("[:", at) and (closing := scan.pattern.find(":]", at)) > 0:
            at = closing + 2
            continue
        if scan.pattern[at].isalnum():
            scan.literals.append(scan.pattern[at])
        at += 2 if scan.pattern[at] == "\\" else 1
    if at >= len(scan.pattern):
        raise _wrong("A set [...] is opened and not closed.", position=scan.at)
    scan.at = at + 1
    _item(scan, 1)


_GROUP_KINDS: Final = regex.compile(
    r"\(\?(?:[:=!>|]|<[=!]|P?<(?!\d)\w+>|P=\w+(?=\))|#[^)]*(?=\))|(?P<flags>[A-Za-z-]+)(?:V\d)?(?=[:)])(?::)?)"
)


def _open(scan: _Scan) -> None:
    if scan.pattern.startswith("(?", scan.at):
        kind = _GROUP_KINDS.match(scan.pattern, scan.at)
        if kind is None or not _FLAGS.issuperset(kind["flags"] or ""):
            raise _wrong("This kind of group is not supported.", position=scan.at)
        scan.at = kind.end()
        atomic = kind[0][2:3] in {"=", "!", ">"} or kind[0] in {"(?<=", "(?<!"}
    else:
        scan.at += 1
        atomic = False
    scan.levels.append(_Level(atomic=atomic))
    if len(scan.levels) > MAX_DEPTH:
        raise _wrong(f"Groups may lie at most {MAX_DEPTH - 1} deep.", position=scan.at)


def _close(scan: _Scan) -> None:
    if len(scan.levels) == 1:
        raise _wrong("A group is closed that was never opened.", position=scan.at)
    inner = scan.levels.pop()
    alone = inner.items == 1 and (inner.endless or inner.inside) and not inner.atomic
    _item(scan, inner.size + 1, inside=alone)
    scan.at += 1


def _quantifier(scan: _Scan) -> None:
    level = scan.levels[-1]
    if scan.pattern[scan.at] == "{":
        count = _COUNT.match(scan.pattern, scan.at)
        if count is None or count[0] in {"{}", "{,}"}:
            raise _wrong(
                "Write \\{ for a brace. Fuzzy matching is not supported.", position=scan.at
            )
        times = max(int(count[1] or 0), int(count[3] or 0), 1)
        level.size += level.last * (times - 1)
        endless = count[2] is not None and count[3] is None
        scan.at = count.end()
    else:
        endless = scan.pattern[scan.at] != "?"
        scan.at += 1
    if level.size > MAX_SIZE:
        raise _wrong("The pattern repeats too much.", position=scan.at)
    if endless and level.inside:
        raise _wrong(
            "What repeats without end is repeated without end again, as in (a+)+.",
            position=scan.at - 1,
        )
    possessive = scan.pattern[scan.at : scan.at + 1] == "+"
    if scan.pattern[scan.at : scan.at + 1] in {"+", "?"}:
        scan.at += 1
    level.endless, level.last = endless and not possessive, 0


def _group(compiled: regex.Pattern[str], reference: str) -> int:
    number = int(reference) if reference.isdecimal() else compiled.groupindex.get(reference, -1)
    if not 0 <= number <= compiled.groups:
        raise _wrong(
            f"The replacement names group {reference}, which the pattern lacks.",
            field="replacement",
        )
    return number


def _wrong(message: str, *, position: int | None = None, field: str = "term") -> Invalid:
    details: dict[str, object] = {"field": field}
    if position is not None:
        details["position"] = position
        message = f"{message.rstrip('.')} (at character {position + 1})."
    return Invalid(message, **details)


def _slow(length: int, seconds: float) -> Invalid:
    return _wrong(
        f"The pattern is too slow: on {length} characters it took more than {seconds} seconds. Do not repeat "
        "what is itself repeated, as in (a+)+, and say how far .* may reach, as in .{0,80}."
    )

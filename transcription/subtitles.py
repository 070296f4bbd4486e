"""Transcripts as files for people and players: txt, srt, vtt, json.

Subtitles keep the usual rules: two lines of 42 columns at most (Chinese and Japanese shorter), 5/6 to 7
seconds on the screen, not faster than 17 letters a second where the pauses leave room for it, a small gap
between two, breaks where sentences and clauses end. No word is ever left out to keep a rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from transcription.languages import base_of
from transcription.scripts import join, joiner, letters_of, width
from transcription.timing import Token, tokens_of
from transcription.words import Transcript

COLUMNS: Final = 42
MAX_LINES: Final = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What a subtitle may be. Seconds, and columns in which Han and Kana count two."""

    columns: int = COLUMNS
    shortest: float = 5 / 6
    longest: float = 7.0
    letters_per_second: float = 17.0
    gap: float = 0.083  # two frames of film between one and the next
    pause: float = 1.5  # silence that always ends a subtitle
    breath: float = 0.3  # silence that may


# Full-width letters fill the line sooner: 13 in Japanese, 16 in Chinese and Korean.
_COLUMNS: Final = {"ja": 26, "zh": 32, "yue": 32, "ko": 32}


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: when, by whom, and its lines. `turn` says that another speaker has begun."""

    start: float
    end: float
    speaker: str | None
    lines: tuple[str, ...]
    turn: bool = False

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def rules_for(language: str | None) -> Rules:
    """The usual rules in this language."""
    return Rules(columns=_COLUMNS.get(base_of(language), COLUMNS))


def cues(transcript: Transcript, rules: Rules | None = None, *, labels: bool = False) -> list[Cue]:
    """The transcript as subtitles, in order and without overlap.

    `labels` leaves room on the first line for the name of a speaker who begins.
    """
    rules = rules or rules_for(transcript.language)
    blocks: list[_Block] = []
    for turn in _turns(tokens_of(transcript, limit=rules.columns), rules):
        begins = not blocks or blocks[-1].speaker != turn[0].speaker
        label = _label(turn[0].speaker, rules) if labels and begins else ""
        blocks += _blocks(turn, rules, label)
    return _timed(_merged(blocks, rules), rules, transcript.duration)


def _label(speaker: str | None, rules: Rules) -> str:
    """A speaker's name before the words, on half a line at most."""
    name = " ".join((speaker or "").split())
    if width(name) > rules.columns // 2 - 2:
        letters = letters_of(name)
        while width("".join(letters)) > rules.columns // 2 - 3:
            letters.pop()
        name = f"{''.join(letters).rstrip()}\u2026"
    return f"{name}: " if name else ""


def as_txt(transcript: Transcript) -> str:
    """Plain text; with a paragraph for every turn where the speakers are known."""
    if not transcript.speakers:
        return f"{transcript.text}\n" if transcript.text else ""
    between = joiner(transcript.language, transcript.text)
    paragraphs: list[str] = []
    speaker: str | None = ""
    for segment in transcript.segments:
        if segment.speaker == speaker and paragraphs:
            paragraphs[-1] = join(paragraphs[-1], segment.text, between)
        else:
            paragraphs.append(
                f"{segment.speaker}: {segment.text}" if segment.speaker else segment.text
            )
        speaker = segment.speaker
    return "\n\n".join(paragraphs) + "\n" if paragraphs else ""


def as_srt(transcript: Transcript) -> str:
    """SubRip. A speaker's name stands before the words where it changes."""
    parts = []
    for number, cue in enumerate(cues(transcript, labels=True), 1):
        text = "\n".join(_srt_text(line) for line in cue.lines)
        parts.append(f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{text}\n")
    return "\n".join(parts)


def as_vtt(transcript: Transcript) -> str:
    """WebVTT with voice tags, and all that could be taken for markup escaped."""
    parts = ["WEBVTT\n"]
    for cue in cues(transcript):
        text = "\n".join(_vtt_text(line) for line in cue.lines)
        if cue.speaker:
            text = f"<v {_vtt_text(' '.join(cue.speaker.split()))}>{text}</v>"
        parts.append(f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n{text}\n")
    return "\n".join(parts)


def as_json(transcript: Transcript) -> str:
    """All that is known, as the API gives it."""
    return json.dumps(transcript.as_json(), ensure_ascii=False, indent=2) + "\n"


FORMATS: Final[dict[str, tuple[Callable[[Transcript], str], str]]] = {
    "txt": (as_txt, "text/plain; charset=utf-8"),
    "srt": (as_srt, "application/x-subrip; charset=utf-8"),
    "vtt": (as_vtt, "text/vtt; charset=utf-8"),
    "json": (as_json, "application/json"),
}


def download_name(stem: str, language: str | None, form: str) -> str:
    """The file's name: players find the language of subtitles by it. `stem` must be safe already."""
    code = f".{language}" if language and form in {"srt", "vtt"} else ""
    return f"{stem or 'transcript'}{code}.{form}"


@dataclass(frozen=True, slots=True)
class _Block:
    """A cue before its times are made to fit: the tokens that are shown together."""

    start: float
    end: float
    speaker: str | None
    tokens: tuple[Token, ...]
    lines: tuple[str, ...]
    label: str = ""


_SENTENCE: Final = re.compile(
    "[.!?\u2026\u3002\uff01\uff1f\u061f\u06d4\u0964\u0965][\"'\\)\\]\u00bb\u201d\u2019\u300d\u300f\u00a0\u202f]*$"
)
_CLAUSE: Final = re.compile(
    "[,;:\u2014\u2013\u3001\uff0c\uff1b\uff1a\u060c\u061b][\"'\\)\\]\u00bb\u201d\u2019\u300d\u300f]*$"
)


def _turns(tokens: Iterable[Token], rules: Rules) -> Iterable[list[Token]]:
    """Tokens up to a change of speaker or a pause: over these no subtitle reaches."""
    turn: list[Token] = []
    for token in tokens:
        if turn and (
            token.speaker != turn[-1].speaker or token.start - turn[-1].end >= rules.pause
        ):
            yield turn
            turn = []
        turn.append(token)
    if turn:
        yield turn


def _blocks(turn: Sequence[Token], rules: Rules, label: str) -> list[_Block]:
    """A turn cut into cues: each as full as it may be, ended at the best place in its second half."""
    blocks: list[_Block] = []
    at = 0
    while at < len(turn):
        lead = label if not blocks else ""
        end = _furthest(turn, at, rules, lead)
        if end < len(turn):
            end = _best_break(turn, at, end, rules)
        else:
            end = _sentence_inside(turn, at, end, rules)
        chosen = tuple(turn[at:end])
        lines = _lines(chosen, rules.columns, lead) or (lead + _joined(chosen),)
        blocks.append(
            _Block(chosen[0].start, chosen[-1].end, chosen[0].speaker, chosen, lines, lead)
        )
        at = end
    return blocks


def _furthest(turn: Sequence[Token], at: int, rules: Rules, label: str) -> int:
    """How many tokens fit on the screen and in the time, one at least."""
    end = at + 1
    total = width(label) + width(turn[at].text)
    while end < len(turn):
        total += width(turn[end].text) + (1 if turn[end].spaced else 0)
        if total > rules.columns * MAX_LINES + 1 or turn[end].end - turn[at].start > rules.longest:
            break
        if total > rules.columns and not _lines(turn[at : end + 1], rules.columns, label):
            break
        end += 1
    return end


def _best_break(turn: Sequence[Token], at: int, end: int, rules: Rules) -> int:
    """Where to end a cue that is full: at a sentence, a clause or a breath, not in its first third."""
    least = at + max(1, (end - at) // 3)
    best, score = end, 0.0
    for cut in range(end, least - 1, -1):
        value = _strength(turn, cut, rules) - (end - cut) / (end - at)
        if value > score:
            best, score = cut, value
    return best


def _strength(turn: Sequence[Token], cut: int, rules: Rules) -> float:
    """How good it is to end a cue before this token."""
    text = turn[cut - 1].text
    breath = cut < len(turn) and turn[cut].start - turn[cut - 1].end >= rules.breath
    if _SENTENCE.search(text):
        return 3.0
    return (1.6 if _CLAUSE.search(text) else 0.0) + (1.0 if breath else 0.0)


def _sentence_inside(turn: Sequence[Token], at: int, end: int, rules: Rules) -> int:
    """What is left fits whole; yet two sentences that do not share a line are better apart."""
    if width(_joined(turn[at:end])) <= rules.columns:
        return end
    for cut in range(end - 1, at, -1):
        long_enough = (
            min(turn[cut - 1].end - turn[at].start, turn[end - 1].end - turn[cut].start)
            >= 2 * rules.shortest
        )
        if long_enough and _SENTENCE.search(turn[cut - 1].text):
            return cut
    return end


def _joined(tokens: Sequence[Token]) -> str:
    return "".join(f" {t.text}" if t.spaced and at else t.text for at, t in enumerate(tokens))


def _lines(tokens: Sequence[Token], columns: int, label: str = "") -> tuple[str, ...]:
    """The tokens on one line or two, the second rather the longer; () where they do not fit."""
    whole = label + _joined(tokens)
    if width(whole) <= columns:
        return (whole,)
    best: tuple[str, ...] = ()
    least = float("inf")
    for cut in range(1, len(tokens)):
        upper, lower = label + _joined(tokens[:cut]), _joined(tokens[cut:])
        above, below = width(upper), width(lower)
        if above > columns:
            break
        if below > columns:
            continue
        uneven = abs(above - below) + (3 if above > below else 0)
        uneven -= 12 if _SENTENCE.search(upper) else 8 if _CLAUSE.search(upper) else 0
        if uneven < least:
            best, least = (upper, lower), uneven
    return best


def _merged(blocks: Sequence[_Block], rules: Rules) -> list[_Block]:
    """Cues too short to be read joined to the one before, where speaker, room and time allow it."""
    result: list[_Block] = []
    for block in blocks:
        before = result[-1] if result else None
        if (
            before is not None
            and before.speaker == block.speaker
            and min(before.end - before.start, block.end - block.start) < rules.shortest
            and block.start - before.end < rules.breath
            and block.end - before.start <= rules.longest
        ):
            tokens = (*before.tokens, *block.tokens)
            lines = _lines(tokens, rules.columns, before.label)
            if lines:
                result[-1] = replace(
                    before, end=max(before.end, block.end), tokens=tokens, lines=lines
                )
                continue
        result.append(block)
    return result


def _timed(blocks: Sequence[_Block], rules: Rules, duration: float | None) -> list[Cue]:
    """Times made readable: longer where there is room, never over the next one, never empty."""
    found: list[Cue] = []
    least = 0.0
    for at, block in enumerate(blocks):
        start = round(max(block.start, least), 3)
        limit = max(duration or 0.0, block.end) if at + 1 == len(blocks) else blocks[at + 1].start
        wanted = start + max(rules.shortest, width("".join(block.lines)) / rules.letters_per_second)
        end = max(block.end, min(wanted, limit - (rules.gap if at + 1 < len(blocks) else 0)))
        end = min(end, start + rules.longest)
        if at + 1 < len(blocks):
            end = min(end, limit)
        end = max(round(end, 3), round(start + 0.001, 3))  # a player drops what lasts no time
        turn = at == 0 or blocks[at - 1].speaker != block.speaker
        found.append(Cue(start, end, block.speaker, block.lines, turn))
        least = end
    return found


def _clock(seconds: float, point: str) -> str:
    total = round(seconds * 1000)
    minutes, milliseconds = divmod(total, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{milliseconds // 1000:02d}{point}{milliseconds % 1000:03d}"


def _srt_text(line: str) -> str:
    """SubRip has no escapes: what a player would take for markup or a time line is kept apart by a space."""
    line = line.replace("-->", "-- >").replace("{\\", "{ \\")
    return re.sub(r"<(?=[/!?A-Za-z])", "< ", line)


def _vtt_text(line: str) -> str:
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

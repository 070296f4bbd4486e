"""SubRip and WebVTT read back as players read them, strictly: for tests of what we write."""

from __future__ import annotations

import html
import re
from typing import NamedTuple

CLOCK = r"(\d{2,}):(\d{2}):(\d{2})[,.](\d{3})"


class Shown(NamedTuple):
    start: float
    end: float
    speaker: str | None
    lines: list[str]


def read_srt(text: str) -> list[Shown]:
    found = []
    for number, block in enumerate(_blocks(text), 1):
        assert block[0] == str(number)
        assert re.fullmatch(
            rf"{CLOCK.replace('[,.]', ',')} --> {CLOCK.replace('[,.]', ',')}", block[1]
        )
        start, end = block[1].split(" --> ")
        assert block[2:], "a cue without text"
        assert not any("-->" in line for line in block[2:])
        found.append(Shown(_seconds(start), _seconds(end), None, block[2:]))
    return found


def read_vtt(text: str) -> list[Shown]:
    head, *blocks = _blocks(text)
    assert head == ["WEBVTT"]
    found = []
    for block in blocks:
        match = re.fullmatch(
            rf"({CLOCK.replace('[,.]', '[.]')}) --> ({CLOCK.replace('[,.]', '[.]')})", block[0]
        )
        assert match is not None
        payload = "\n".join(block[1:])
        assert payload
        assert "-->" not in payload
        voice = re.fullmatch(r"<v ([^<>\n]+)>(.*)</v>", payload, re.DOTALL)
        speaker = html.unescape(voice[1]) if voice else None
        body = voice[2] if voice else payload
        assert "<" not in body
        assert not re.search(r"&(?!amp;|lt;|gt;)", body)
        found.append(
            Shown(_seconds(match[1]), _seconds(match[6]), speaker, html.unescape(body).split("\n"))
        )
    return found


def _blocks(text: str) -> list[list[str]]:
    assert "\r" not in text
    assert "\x00" not in text
    assert not text or text.endswith("\n")
    return [block.split("\n") for block in text.rstrip("\n").split("\n\n")] if text else []


def _seconds(clock: str) -> float:
    match = re.fullmatch(CLOCK, clock)
    assert match is not None, clock
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    assert minutes < 60
    assert seconds < 60
    return round(hours * 3600 + minutes * 60 + seconds + milliseconds / 1000, 3)

"""Where the pieces of a transcript, its words or segments, lie in its text.

Providers do not agree with themselves: the text says "Hello, Jon." and the words say "hello", "Jon". Pieces
are found in order, without regard to case and to punctuation around them; one that cannot be found gets None.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

_SKIP: Final = re.compile(r"[\W_]{0,200}")
_MARKS_BEFORE: Final = re.compile(r"\A[\W_]+")
_MARKS_AFTER: Final = re.compile(r"[\W_]+\Z")
_WINDOW: Final = 200  # characters searched for a piece that does not come next
_WIDEST: Final = 6_000
_TRIES: Final = 6
_AHEAD: Final = 3  # pieces that must follow before a jump is believed


class Place(NamedTuple):
    """Where a piece lies: text[start:end] is the piece from its character `skip` on."""

    start: int
    end: int
    skip: int = 0


def same_length_fold(text: str) -> str:
    """The text without case, letter by letter, so that every offset stays what it was."""
    folded = text.casefold()
    if len(folded) == len(text):
        return folded
    return "".join(_fold_letter(char) for char in text)


def _fold_letter(char: str) -> str:
    folded = char.casefold()
    return folded if len(folded) == 1 else char


def locate(text: str, pieces: Sequence[str]) -> list[Place | None]:
    """The place of each piece in the text, in order and without overlap; None where it is not found."""
    return _Finder(text, pieces).places()


def located_share(places: Sequence[Place | None]) -> float:
    """How many of the pieces were found, as a fraction."""
    return sum(place is not None for place in places) / len(places) if places else 1.0


class _Finder:
    def __init__(self, text: str, pieces: Sequence[str]) -> None:
        self.text = same_length_fold(text)
        # One fold for all: pieces are many and short. NUL cannot occur in what is stored.
        self.pieces = same_length_fold("\x00".join(p.replace("\x00", " ") for p in pieces)).split(
            "\x00"
        )
        self.count = len(pieces)

    def places(self) -> list[Place | None]:
        text, length = self.text, len(self.text)
        found: list[Place | None] = []
        cursor, missed = 0, 0
        for at in range(self.count):
            piece = self.pieces[at]
            place: Place | None
            if piece and text.startswith(piece, cursor) and self._whole(cursor, piece):
                place = Place(cursor, cursor + len(piece))
            elif (
                piece
                and cursor < length
                and text[cursor] == " "
                and text.startswith(piece, cursor + 1)
            ):
                place = Place(cursor + 1, cursor + 1 + len(piece))
            else:
                place = self._next(piece, cursor) or self._jump(at, cursor, missed)
            found.append(place)
            if place is None:
                missed += 1
            else:
                cursor, missed = place.end, 0
        return found

    def _whole(self, start: int, piece: str) -> bool:
        """Directly behind the piece before: right in scripts without spaces, or after punctuation."""
        return start == 0 or not (self.text[start - 1].isspace() and piece[0].isspace())

    def _next(self, piece: str, cursor: int) -> Place | None:
        """The piece as the very next thing, punctuation left aside on both sides."""
        core, skip = _core(piece)
        if not core:
            start = (
                self.text.find(piece.strip(), cursor, cursor + len(piece) + 4)
                if piece.strip()
                else -1
            )
            if start < 0 or _SKIP.match(self.text, cursor).end() < start:  # type: ignore[union-attr]
                return None
            return Place(start, start + len(piece.strip()), len(piece) - len(piece.lstrip()))
        skipped = _SKIP.match(self.text, cursor)
        start = skipped.end() if skipped else cursor
        if not self.text.startswith(core, start):
            return None
        return self._widened(piece, core, skip, start, cursor)

    def _widened(self, piece: str, core: str, skip: int, start: int, cursor: int) -> Place:
        """The place of the core, with the piece's own punctuation where the text has the same."""
        end = start + len(core)
        tail = piece[skip + len(core) :].rstrip()
        if tail and self.text.startswith(tail, end):
            end += len(tail)
        head = piece[:skip].lstrip()
        if head and start - len(head) >= cursor and self.text.startswith(head, start - len(head)):
            start -= len(head)
            skip -= len(head)
        return Place(start, end, skip)

    def _jump(self, at: int, cursor: int, missed: int) -> Place | None:
        """The piece further on, if the pieces after it follow there: the text says more than the words."""
        core, skip = _core(self.pieces[at])
        if not core:
            return None
        limit = cursor + min(_WIDEST, _WINDOW << min(missed, 5)) + len(core)
        start = cursor
        for _ in range(_TRIES):
            start = self.text.find(core, start, limit)
            if start < 0:
                return None
            if (start == 0 or not self.text[start - 1].isalnum()) and self._followed(
                at, start + len(core)
            ):
                return self._widened(self.pieces[at], core, skip, start, cursor)
            start += 1
        return None

    def _followed(self, at: int, end: int) -> bool:
        after = self.pieces[at + 1 : at + 1 + _AHEAD]
        for piece in after:
            place = self._next(piece, end)
            if place is None:
                return False
            end = place.end
        return bool(after) or len(_core(self.pieces[at])[0]) > _AHEAD


def _core(piece: str) -> tuple[str, int]:
    """The piece without the punctuation around it, and how many characters stood before."""
    if piece.isalnum():
        return piece, 0
    head = _MARKS_BEFORE.match(piece)
    skip = head.end() if head else 0
    core = _MARKS_AFTER.sub("", piece[skip:])
    rest = piece[skip + len(core) :]
    for char in rest:  # a mark belongs to the letter before it, though Python's \w leaves it out
        if unicodedata.category(char)[0] != "M":
            break
        core += char
    return core, skip

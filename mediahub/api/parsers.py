"""Request bodies in JSON, read strictly: what two readers could understand differently is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class StrictJSONParser(JSONParser):
    """No key twice in an object, no NaN, no NUL or half a character in a text, no depth without end."""

    def parse(
        self,
        stream: Any,
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        try:
            body = stream.read(settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
            if len(body) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
                raise RequestDataTooBig
            text = body.decode("utf-8-sig")
            data = json.loads(
                text, object_pairs_hook=_without_twins, parse_constant=_refuse_constant
            )
        except RecursionError as error:
            raise ParseError("The JSON is nested too deeply.") from error
        except ValueError as error:
            raise ParseError(f"This is not valid JSON: {error}") from error
        if "\\u" in text:  # the only way such a character comes through UTF-8 and JSON
            _refuse_unstorable(data)
        return data


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the key {name[:100]!r} comes twice")
        found[name] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def _refuse_unstorable(data: Any) -> None:
    """Refuse NUL and lone surrogates: no database of ours keeps both."""
    waiting = [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in value):
                raise ParseError("A text holds a character that cannot be kept.")
        elif isinstance(value, dict):
            waiting.extend(value.keys())
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)

"""Lists by cursor: {"next", "previous", "results"}, of equal cost on the first page and the last.

A cursor holds the place of the row it starts after, by value: (ordering, value, id). Rows that come or
go meanwhile shift nothing. What may be ordered by is named by the view:

    ordering_fields = ["created_at", "size"]    # the first, newest or largest first, if nothing is said
    ordering = "-created_at"                    # to begin with another

Ids are made in the order of time, so `created_at` means the id. Empty values count as the largest.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import F, Model, Q, QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

from media_assets.errors import Invalid

M = TypeVar("M", bound=Model)

PAGE_SIZE = 50
MAX_PAGE_SIZE = 200
_LONGEST_CURSOR = 2000
_DEFAULT_FIELDS = ("created_at",)
_COLUMNS = {"created_at": "id"}


@dataclass(frozen=True, slots=True)
class Ordering:
    """By which column, and which way. `said` is the caller's word for it."""

    said: str
    column: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Start after (or, going back, before) the row with this value and id."""

    ordering: str
    value: Any  # as JSON has it; None where the row has none
    id: str
    back: bool

    def encode(self) -> str:
        told = json.dumps([self.ordering, self.value, self.id, int(self.back)], default=str)
        return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Cursor:
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            ordering, value, row_id, back = json.loads(
                base64.b64decode(padded, b"-_", validate=True)
            )
        except (ValueError, TypeError, binascii.Error, RecursionError) as error:
            raise _bad_cursor() from error
        if not isinstance(ordering, str) or isinstance(value, list | dict):
            raise _bad_cursor()
        return cls(ordering, value, str(row_id), bool(back))


def _bad_cursor() -> Invalid:
    return Invalid("cursor: This cursor is not valid.", cursor=["This cursor is not valid."])


class CursorPagination(BasePagination):
    """`?cursor=`, `?page_size=`, `?ordering=` of every list."""

    query_parameters: ClassVar = ("cursor", "page_size", "ordering")

    def paginate_queryset(  # type: ignore[override]  # rows that are no query have no cursor
        self, queryset: QuerySet[M], request: Request, view: Any = None
    ) -> list[M]:
        self.address = request.build_absolute_uri()
        self.ordering = ordering_of(request.query_params.get("ordering"), view)
        self.size = page_size_of(request.query_params.get("page_size"))
        text = request.query_params.get("cursor")
        self.cursor = self._cursor(text) if text else None
        back = self.cursor is not None and self.cursor.back
        rows = list(self._slice(queryset, back=back)[: self.size + 1])
        more = len(rows) > self.size
        rows = rows[: self.size]
        if back:
            rows.reverse()
        self.rows: list[Any] = rows
        self.has_next = back or more
        self.has_previous = more if back else self.cursor is not None
        return rows

    def _cursor(self, text: str) -> Cursor:
        if len(text) > _LONGEST_CURSOR:
            raise _bad_cursor()
        cursor = Cursor.decode(text)
        if cursor.ordering != self.ordering.said:
            raise Invalid(
                "cursor: This cursor belongs to another ordering.",
                cursor=["This cursor belongs to another ordering."],
            )
        return cursor

    def _slice(self, queryset: QuerySet[M], *, back: bool) -> QuerySet[M]:
        descending = self.ordering.descending is not back
        if self.cursor is not None:
            queryset = queryset.filter(
                self._beyond(queryset.model, self.cursor, descending=descending)
            )
        # Empty values as the largest: last on the way up, first on the way down, as PostgreSQL has it.
        if self.ordering.column == "id":
            return queryset.order_by("-id" if descending else "id")
        by = F(self.ordering.column)
        if descending:
            return queryset.order_by(by.desc(nulls_first=True), "-id")
        return queryset.order_by(by.asc(nulls_last=True), "id")

    def _beyond(self, model: type[Model], cursor: Cursor, *, descending: bool) -> Q:
        """The rows after the cursor's, in the direction that is read."""
        column = self.ordering.column
        towards = "lt" if descending else "gt"
        row_id = _typed(model, "id", cursor.id)
        further = Q(**{f"id__{towards}": row_id})
        if column == "id":
            return further
        empty = Q(**{f"{column}__isnull": True})
        if cursor.value is None:
            return (empty & further) | (~empty if descending else Q(pk__in=[]))
        value = _typed(model, column, cursor.value)
        beyond = Q(**{f"{column}__{towards}": value}) | (Q(**{column: value}) & further)
        return beyond if descending else beyond | empty

    def get_paginated_response(self, data: Any) -> Response:
        return Response(
            {
                "next": self._link(self.rows[-1:], back=False) if self.has_next else None,
                "previous": self._link(self.rows[:1], back=True) if self.has_previous else None,
                "results": data,
            }
        )

    def _link(self, edge: list[Any], *, back: bool) -> str:
        if edge:
            column = self.ordering.column
            value = None if column == "id" else _value_of(edge[0], column)
            cursor = Cursor(self.ordering.said, value, str(edge[0].pk), back)
        elif back and self.cursor is not None:
            cursor = replace(self.cursor, back=True)  # what followed is gone: turn around
        else:
            return str(remove_query_param(self.address, "cursor"))
        return str(replace_query_param(self.address, "cursor", cursor.encode()))

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        fields = fields_of(view)
        orderings = [sign + field for field in fields for sign in ("", "-")]
        return [
            _parameter(
                "cursor", "Where the page starts; from `next` or `previous`", {"type": "string"}
            ),
            _parameter(
                "page_size",
                f"Rows on a page, up to {MAX_PAGE_SIZE}",
                {"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE},
            ),
            _parameter(
                "ordering",
                "By what the list is ordered; with a minus, the largest or newest first",
                {"type": "string", "enum": orderings, "default": default_ordering(view)},
            ),
        ]


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": schema,
    }


def fields_of(view: Any) -> list[str]:
    """What a view's list may be ordered by."""
    return list(getattr(view, "ordering_fields", None) or _DEFAULT_FIELDS)


def default_ordering(view: Any) -> str:
    return getattr(view, "ordering", None) or f"-{fields_of(view)[0]}"


def ordering_of(said: str | None, view: Any) -> Ordering:
    said = said or default_ordering(view)
    name = said.removeprefix("-")
    known = sorted(fields_of(view))
    if name not in known:
        message = f"This can be ordered by {', '.join(known)}."
        raise Invalid(f"ordering: {message}", ordering=[message])
    return Ordering(said, _COLUMNS.get(name, name), said.startswith("-"))


def page_size_of(text: str | None) -> int:
    """The page size asked for: refused if it is none, cut to the largest if it is more."""
    if text is None or text == "":
        return PAGE_SIZE
    if not text.isascii() or not text.isdigit() or not text.strip("0"):
        raise Invalid(
            "page_size: A whole number from 1 is needed.",
            page_size=["A whole number from 1 is needed."],
        )
    digits = text.lstrip("0")
    return (
        MAX_PAGE_SIZE if len(digits) > len(str(MAX_PAGE_SIZE)) else min(int(digits), MAX_PAGE_SIZE)
    )


def _typed(model: type[Model], column: str, value: Any) -> Any:
    """A cursor's value as the column has it; what does not fit means that the cursor was made up."""
    try:
        field = model._meta.pk if column == "id" else model._meta.get_field(column)
        typed = field.to_python(value)  # type: ignore[union-attr]
    except FieldDoesNotExist:
        return value  # an annotation: the database compares it
    except (ValidationError, ValueError, TypeError, OverflowError) as error:
        raise _bad_cursor() from error
    if isinstance(typed, datetime) and typed.tzinfo is None:
        raise _bad_cursor()
    return typed


def _value_of(row: Any, column: str) -> Any:
    value = getattr(row, column)
    return value.isoformat() if hasattr(value, "isoformat") else value

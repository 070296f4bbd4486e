"""The database's clock: the one all hosts share. Leases are never judged by a host's own."""

from __future__ import annotations

from django.db import connection
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Expression
from django.db.models.sql.compiler import SQLCompiler


def sql_now(plus: float = 0) -> str:
    """SQL for the database's time, `plus` seconds from now. For hand-written statements with parameters."""
    return _sql(connection.vendor, plus)


def _sql(vendor: str, plus: float) -> str:
    seconds = float(plus)
    if vendor == "postgresql":
        return f"(clock_timestamp() + interval '{seconds:.3f} seconds')"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '{seconds:+.3f} seconds')"


class DbNow(Expression):
    """The same as an expression, for querysets."""

    output_field = DateTimeField()

    def __init__(self, plus: float = 0) -> None:
        super().__init__()
        self.plus = plus

    def as_sql(
        self, compiler: SQLCompiler, connection: BaseDatabaseWrapper
    ) -> tuple[str, tuple[str | int, ...]]:
        return _sql(connection.vendor, self.plus), ()

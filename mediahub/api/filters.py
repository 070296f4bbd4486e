"""Filters of lists. A query parameter nobody declared is refused, so that nothing can be probed by one.

Without this a misspelt filter would silently list everything, and a clever one might reach across
relations (`owner__password__startswith=`). What is known: the fields of the view's `filterset_class`,
the page's own, and what the view names in `query_parameters`.
"""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.request import Request

from media_assets.errors import Invalid


class KnownFilters(DjangoFilterBackend):
    """DRF's DEFAULT_FILTER_BACKENDS: django-filter, for declared parameters alone, and for lists alone."""

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Model], view: Any
    ) -> QuerySet[Model]:
        if getattr(view, "detail", False):
            return queryset  # one row, by its id
        refuse_unknown_parameters(request, self.known(view, queryset))
        found: QuerySet[Model] = super().filter_queryset(request, queryset, view)
        return found

    def known(self, view: Any, queryset: QuerySet[Model]) -> set[str]:
        known = set(getattr(view, "query_parameters", ()))
        known |= set(getattr(getattr(view, "paginator", None), "query_parameters", ()))
        filterset_class = self.get_filterset_class(view, queryset)
        filters = filterset_class.base_filters if filterset_class is not None else {}
        for name, filter_ in filters.items():
            suffixes = getattr(filter_.field_class.widget, "suffixes", None)
            known |= {f"{name}_{suffix}" for suffix in suffixes} if suffixes else {name}
        return known

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        return (
            [] if getattr(view, "detail", False) else super().get_schema_operation_parameters(view)
        )


def refuse_unknown_parameters(request: Request, known: set[str]) -> None:
    """For views that read the query themselves too: refuse what they do not know."""
    unknown = sorted(set(request.query_params) - known)
    if not unknown:
        return
    listed = ", ".join(sorted(known)) or "none"
    raise Invalid(
        f"{unknown[0]}: This parameter is not known here. Known: {listed}.",
        **{name: [f"This parameter is not known here. Known: {listed}."] for name in unknown},
    )

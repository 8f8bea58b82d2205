"""How rows are shown to the platform's staff; every app's admin builds on this."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from django.contrib.admin import ShowFacets
from django.core.exceptions import FieldDoesNotExist
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.admin import ModelAdmin

COUNT_MAX = 10_000  # exact up to here; above, counting costs more than it tells
UNKNOWN = "—"


class CappedPaginator(Paginator):  # type: ignore[type-arg]
    """Pages of a list whose length is not counted beyond :data:`COUNT_MAX`."""

    @cached_property
    def count(self) -> int:
        """Number of rows, at most the cap."""
        rows = self.object_list
        if isinstance(rows, models.QuerySet):
            return rows.order_by()[:COUNT_MAX].count()
        return len(rows)


def admin_link(row: models.Model | None, text: str = "") -> SafeString | str:
    """Link to the admin page of `row`."""
    if row is None:
        return UNKNOWN
    meta = row._meta  # noqa: SLF001 - Django's documented way to a model's names
    try:
        url = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    except NoReverseMatch:
        return text or str(row)
    return format_html('<a href="{}">{}</a>', url, text or str(row))


def admin_list_link(label: str, query: str, text: str) -> SafeString | str:
    """Link to the admin list of ``app.model`` narrowed by `query`."""
    app_label, model_name = label.lower().split(".")
    try:
        url = reverse(f"admin:{app_label}_{model_name}_changelist")
    except NoReverseMatch:
        return UNKNOWN
    return format_html('<a href="{}?{}">{}</a>', url, query, text)


class GuardedAdmin(ModelAdmin):
    """Lists narrowed by what is on offer, and by nothing that is not shown.

    Django lets an address compare any column of a list's own table. A column that is shown nowhere
    (the key of a session, an address, an offer) could so be found letter by letter, by whether a
    row remains.
    """

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow the list's own filters, and rows that refer to a given one."""
        if not (self._is_filter(lookup, request) or self._is_reference(lookup)):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def _is_filter(self, lookup: str, request: HttpRequest | None) -> bool:
        offered = self.get_list_filter(request) if request is not None else self.list_filter
        for item in offered:
            first = item[0] if isinstance(item, tuple | list) else item
            name = first if isinstance(first, str) else getattr(first, "parameter_name", None)
            if name and (lookup == name or lookup.startswith((f"{name}__", f"{name}_"))):
                return True
        return bool(self.date_hierarchy) and lookup.startswith(f"{self.date_hierarchy}__")

    def _is_reference(self, lookup: str) -> bool:
        name, _, rest = lookup.partition("__")
        try:
            field = self.model._meta.get_field(name)  # noqa: SLF001 - Django's documented way
        except FieldDoesNotExist:
            return False
        return bool(field.is_relation) and rest in ("", "exact", "id", "id__exact")


class FactAdmin(GuardedAdmin):
    """Facts to look at: services add them, nobody changes them here.

    Any member of staff may look. No list counts a whole table, and no list fetches a row's
    relations one by one.
    """

    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_per_page = 50
    list_filter_submit = True
    actions = None
    compressed_fields = True

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del obj
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        del request, obj
        return False

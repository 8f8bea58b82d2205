"""Long lists: filtered, sorted and paged on the server; what is shown is what the CSV holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Final

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext, ngettext

from accounts.core.csvtext import BOM, Cell, csv_text
from aggregator.portal import words

PAGE_ROWS: Final = 50
COUNT_MAX: Final = 10_000
CSV_ROWS_MAX: Final = 100_000
PAGE_DIGITS_MAX: Final = 6

Rows = QuerySet[Any]


@dataclass(frozen=True, kw_only=True)
class Filter:
    """One way to narrow a list.

    Parameters
    ----------
    name, label
        Name in the address, and word on the page.
    apply
        Narrows the rows by a value of the address. None of them may raise: what cannot be is
        found nowhere.
    choices
        Value and word of each choice; None: free text.
    kind
        Of the input where there are no choices: ``text`` or ``date``.
    """

    name: str
    label: str
    apply: Callable[[Rows, str], Rows]
    choices: Sequence[tuple[str, str]] | None = None
    kind: str = "text"

    def word(self, value: str) -> str:
        """Say a chosen value."""
        return dict(self.choices or ()).get(value, value)


@dataclass(frozen=True, kw_only=True)
class FilterShown:
    """A filter with what is chosen."""

    filter: Filter
    value: str


@dataclass(frozen=True, kw_only=True)
class Chip:
    """A chosen filter, and the address without it."""

    label: str
    word: str
    without_url: str


@dataclass(frozen=True, kw_only=True)
class Sorted:
    """A column one may sort by."""

    url: str
    state: str  # of aria-sort


@dataclass(kw_only=True)
class Listing:
    """A list as asked for."""

    request: HttpRequest
    rows: Rows
    filters: Sequence[FilterShown]
    sorts: Mapping[str, Sequence[str]]
    sort: str
    ids_first: bool = False
    is_short: bool = False

    @cached_property
    def keys(self) -> list[Any]:
        """Keys of all rows in order, up to a limit."""
        return list(self.rows.values_list("pk", flat=True)[: COUNT_MAX + 1])

    @cached_property
    def count(self) -> int:
        """Number of rows, counted up to a limit."""
        if self.is_short:
            return len(self.keys)
        return self.rows.order_by()[: COUNT_MAX + 1].count()

    @property
    def count_word(self) -> str:
        """The count as said; beyond the limit it is not told exactly."""
        if self.count > COUNT_MAX:
            return gettext("%(n)s件以上") % {"n": words.number(COUNT_MAX)}
        text = ngettext("%(n)s件", "%(n)s件", self.count)
        return text % {"n": words.number(self.count)}

    @cached_property
    def page(self) -> int:
        """The page shown, from 1.

        Raises
        ------
        Http404
            If there is no such page.
        """
        text = self.request.GET.get("page", "1")
        known = text.isascii() and text.isdigit() and len(text) <= PAGE_DIGITS_MAX
        if not known or not 1 <= int(text) <= self.page_count:
            raise Http404(gettext("このページは見つかりません。"))
        return int(text)

    @property
    def page_count(self) -> int:
        """How many pages there are; at least one."""
        return max(1, -(-min(self.count, COUNT_MAX) // PAGE_ROWS))

    @cached_property
    def shown(self) -> list[Any]:
        """Rows of the page."""
        first = (self.page - 1) * PAGE_ROWS
        if not self.ids_first:
            return list(self.rows[first : first + PAGE_ROWS])
        # what is skipped and sorted is narrow; only the page's rows are joined
        ids = (
            self.keys[first : first + PAGE_ROWS]
            if self.is_short
            else list(self.rows.values_list("pk", flat=True)[first : first + PAGE_ROWS])
        )
        found = {row.pk: row for row in self.rows.order_by().filter(pk__in=ids)}
        return [found[pk] for pk in ids if pk in found]

    @property
    def first_shown(self) -> int:
        """Number of the first row shown, from 1."""
        return (self.page - 1) * PAGE_ROWS + 1

    @property
    def last_shown(self) -> int:
        """Number of the last row shown."""
        return self.first_shown + len(self.shown) - 1

    @property
    def chips(self) -> list[Chip]:
        """Filters in force."""
        return [
            Chip(
                label=one.filter.label,
                word=one.filter.word(one.value),
                without_url=self.url(page=None, **{one.filter.name: None}),
            )
            for one in self.filters
            if one.value
        ]

    @property
    def clear_url(self) -> str:
        """The address of the whole list."""
        return self.url(page=None, **{one.filter.name: None for one in self.filters})

    @property
    def before_url(self) -> str:
        """Address of the page before."""
        return self.url(page=str(self.page - 1)) if self.page > 1 else ""

    @property
    def after_url(self) -> str:
        """Address of the page after."""
        return self.url(page=str(self.page + 1)) if self.page < self.page_count else ""

    @property
    def csv_url(self) -> str:
        """Address of the filtered list as CSV."""
        return self.url(page=None, format="csv")

    @property
    def columns(self) -> dict[str, Sorted]:
        """Columns one may sort by."""
        found = {}
        for name in self.sorts:
            is_up, is_down = self.sort == name, self.sort == f"-{name}"
            state = "ascending" if is_up else "descending" if is_down else "none"
            found[name] = Sorted(
                url=self.url(page=None, sort=f"-{name}" if is_up else name), state=state
            )
        return found

    @property
    def wants_csv(self) -> bool:
        """Whether the list is asked for as CSV."""
        return self.request.GET.get("format") == "csv"

    def url(self, **changed: str | None) -> str:
        """Return this list's address with parts changed or, if None, left out."""
        fields = self.request.GET.copy()
        fields.pop("format", None)
        for name, value in changed.items():
            if value is None:
                fields.pop(name, None)
            else:
                fields[name] = value
        return f"{self.request.path}?{fields.urlencode()}" if fields else self.request.path

    def csv(
        self, name: str, header: Sequence[str], cells: Callable[[Any], Sequence[Cell]]
    ) -> HttpResponse:
        """Return the filtered list, all pages of it."""
        rows = self.rows[:CSV_ROWS_MAX]
        return csv_answer(name, header, (cells(row) for row in rows.iterator(chunk_size=2_000)))


def listed(
    request: HttpRequest,
    rows: Rows,
    *,
    filters: Sequence[Filter] = (),
    sorts: Mapping[str, Sequence[str]] | None = None,
    sort: str = "",
    ids_first: bool = False,
    is_short: bool = False,
) -> Listing:
    """Narrow and order rows as the address says.

    Parameters
    ----------
    sorts
        Name in the address → fields of the order; every order must end in a unique field.
    sort
        The order if the address says none, e.g. ``-received``.
    ids_first
        Find the page's keys before what is joined to its rows; for long tables.
    is_short
        With `ids_first`: read all keys at once, which also counts them; where there are some
        thousand rows that are sorted anyway.
    """
    shown = []
    for one in filters:
        value = request.GET.get(one.name, "").strip()
        shown.append(FilterShown(filter=one, value=value))
        if value and one.choices is not None and value not in dict(one.choices):
            rows = rows.none()
        elif value:
            rows = one.apply(rows, value)
    asked = request.GET.get("sort", sort)
    known = sorts or {}
    if asked.removeprefix("-") not in known:
        asked = sort
    if asked:
        order = known[asked.removeprefix("-")]
        rows = rows.order_by(*(_turned(order) if asked.startswith("-") else order))
    return Listing(
        request=request, rows=rows, filters=shown, sorts=known, sort=asked, ids_first=ids_first,
        is_short=is_short,
    )  # fmt: skip


def _turned(order: Iterable[str]) -> list[str]:
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order]


def day_of(text: str) -> date | None:
    """Read a day of an address; None if there is no such day."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def csv_answer(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> HttpResponse:
    """Return a table as a file; spreadsheets take no cell of it for a formula."""
    answer = HttpResponse(
        BOM + csv_text(rows, header=header), content_type="text/csv; charset=utf-8"
    )
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer

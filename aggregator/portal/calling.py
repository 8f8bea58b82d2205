"""Calls of reserved capacity: what is held ready, and how much of it is called when.

The desk and the grid operators that bought it have the same two pages. A call is typed for all half
hours that are not over, because it takes the place of the one before; it is shown with its energy
before it is sent, and taken back by calling 0 kW.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db import transaction
from django.db.models import Max, OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods, require_safe

from accounts.core.errors import NotFound, NotPermitted, Refused
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.calls import CALL, awards_callable, called_kw, capacity_activate
from aggregator.portal import words
from aggregator.portal.answering import UNPROCESSABLE, Done, FormPage
from aggregator.portal.entering import person_required
from aggregator.portal.forms import NumberField, Place, PortalForm
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import Filter, day_of, listed
from aggregator.portal.selectors import HALF_HOUR_H, ZERO, spans_of_indices
from market.clearing.models import Award, CapacityInterval
from market.core.timegrid import INTERVAL

COUNT: Final = "count"
EDIT: Final = "edit"
TEXT_MAX: Final = 80
HEADER = (
    "award", "site", "resource", "product", "direction", "delivery_on", "reserved_max_kw",
    "called_max_kw",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Half:
    """One half hour of held capacity [kW]."""

    t: int
    reserved_kw: Decimal
    called_kw: Decimal
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class Told:
    """One half hour of a call that is not sent yet [kW]."""

    t: int
    before_kw: Decimal
    after_kw: Decimal


class CallForm(PortalForm):
    """How much is called in each half hour that is not over; nothing typed is 0 kW."""

    def __init__(self, *args: Any, halves: list[Half], **more: Any) -> None:
        super().__init__(*args, **more)
        self.halves = [one for one in halves if not one.is_over]
        for one in self.halves:
            self.fields[f"kw_{one.t}"] = NumberField(
                label=words.koma_full(one.t),
                help_text=gettext("最大 %(kw)s kW") % {"kw": words.number(one.reserved_kw)},
                required=False,
                unit="kW",
                digits=1,
                low=0,
                high=one.reserved_kw,
                is_trimmed=True,
                initial=one.called_kw or None,
            )

    def quantities_kw(self, clean: Mapping[str, Any]) -> dict[int, Decimal]:
        """Return what is called at each t where something was or shall be."""
        asked = {one.t: clean.get(f"kw_{one.t}") or ZERO for one in self.halves}
        return {one.t: asked[one.t] for one in self.halves if one.called_kw or asked[one.t]}

    def told(self) -> list[Told]:
        """Return what changes."""
        asked = self.quantities_kw(self.cleaned_data)
        return [
            Told(t=one.t, before_kw=one.called_kw, after_kw=asked[one.t])
            for one in self.halves
            if one.t in asked
        ]

    def refuse(self, refused: Refused, place: Place | None = None) -> None:
        """Put what was refused at its half hour."""
        super().refuse(refused, place or _place)


def _place(path: str) -> str | None:
    name, _, t = path.partition(".")
    return f"kw_{t}" if name == "quantities_kw" and t else None


@dataclass(frozen=True, kw_only=True)
class Side:
    """Whose pages they are: names in the rail and the addresses.

    A grid operator sees where it calls and how much; the desk sees parties and orders, too.
    """

    name: str

    @property
    def is_desk(self) -> bool:
        """Whether they are the desk's."""
        return self.name == "desk"

    @property
    def page(self) -> str:
        """The way in the rail, which is the list's name, too."""
        return f"{self.name}_calls"

    def url(self, award: Award) -> str:
        """Return where an award is called."""
        return reverse(f"portal:{self.name}_call", args=[award.id])


def _rows(request: HttpRequest, side: Side) -> QuerySet[Award]:
    sight = sight_in(request)
    may = sight.may_everywhere(CALL) if side.is_desk else sight.may_somewhere(CALL)
    if not may:
        raise Http404(gettext("このページは見つかりません。"))
    held = CapacityInterval.objects.filter(award=OuterRef("pk")).order_by().values("award")
    return (
        awards_callable(seen_by=sight)
        .select_related("resource__site", "organisation", "auction", "product")
        .annotate(kw_max=Subquery(held.annotate(most=Max("quantity_kw")).values("most")))
    )


def _list(request: HttpRequest, side: Side) -> HttpResponse:
    rows = _rows(request, side)
    if not request.GET.get("day"):
        rows = rows.filter(auction__delivery_on__gte=_today(market_time().now))
    listing = listed(
        request,
        rows,
        filters=(
            Filter(name="day", label=gettext("受渡日"), apply=_on, kind="date"),
            Filter(
                name="text",
                label=gettext("リソース"),
                apply=lambda found, value: found.filter(resource__code__icontains=value[:TEXT_MAX]),
            ),
        ),
        sorts={
            "day": ("auction__delivery_on", "resource__code", "id"),
            "kw": ("kw_max", "resource__code", "id"),
        },
        sort="day",
    )
    if listing.wants_csv:
        in_all = called_kw(listing.rows.values("pk"))
        return listing.csv("capacity.csv", HEADER, lambda row: _cells(row, in_all))
    called = called_kw([row.id for row in listing.shown])
    held = _held([row.id for row in listing.shown])
    context = {
        **frame(request, page=side.page),
        "listing": listing,
        "is_desk": side.is_desk,
        "awards": [
            {
                "row": row,
                "url": side.url(row),
                "spans": spans_of_indices(held.get(row.id, {})),
                "called_kw": max(called.get(row.id, {}).values(), default=ZERO),
            }
            for row in listing.shown
        ],
    }
    return render(request, "portal/calls.html", context)


def _today(now: datetime) -> Any:
    return now.astimezone(words.JST).date()


def _on(found: Any, value: str) -> Any:
    day = day_of(value)
    return found.none() if day is None else found.filter(auction__delivery_on=day)


def _cells(row: Any, in_all: Mapping[UUID, Mapping[int, Decimal]]) -> tuple[Any, ...]:
    called = in_all.get(row.id, {})
    return (
        row.id, row.resource.site.code, row.resource.code, row.product.code,
        row.direction, row.auction.delivery_on, row.kw_max, max(called.values(), default=ZERO),
    )  # fmt: skip


def _held(award_ids: list[UUID]) -> dict[UUID, dict[int, Decimal]]:
    found: dict[UUID, dict[int, Decimal]] = {}
    for award_id, t, kw in (
        CapacityInterval.objects.filter(award__in=award_ids, quantity_kw__gt=0)
        .order_by("award", "t")
        .values_list("award_id", "t", "quantity_kw")
    ):
        found.setdefault(award_id, {})[t] = kw
    return found


def _halves(award: Award, now: datetime) -> list[Half]:
    called = called_kw([award.id]).get(award.id, {})
    midnight = award.auction.delivery_start
    return [
        Half(
            t=t,
            reserved_kw=kw,
            called_kw=called.get(t, ZERO),
            is_over=midnight + (t + 1) * INTERVAL <= now,
        )
        for t, kw in _held([award.id]).get(award.id, {}).items()
    ]


def _page(request: HttpRequest, side: Side, award_id: UUID) -> HttpResponse:
    row = _rows(request, side).filter(id=award_id).first()
    if row is None:
        raise Http404(gettext("この確保は見つかりません。"))
    sight, clock = sight_in(request), market_time()
    award: Award = row
    halves = _halves(award, clock.now)
    made: list[CallForm] = []

    def form(fields: QueryDict | None, _files: Any) -> CallForm:
        made.append(CallForm(fields, halves=halves))
        return made[-1]

    def work(clean: dict[str, Any]) -> Done:
        quantities_kw = made[-1].quantities_kw(clean)
        called = capacity_activate(award_id=award.id, quantities_kw=quantities_kw, by=sight)
        said = gettext("呼び出しを取り消しました。拠点に伝えます。")
        if called is not None:
            said = gettext("呼び出しました。拠点にただちに伝えます。")
        return Done(url=side.url(award), said=said)

    def context(_form: PortalForm) -> dict[str, Any]:
        orders = DispatchInstruction.objects.filter(award=award).order_by("-version")
        return {
            **frame(request, page=side.page, now=clock),
            "row": award,
            "halves": halves,
            "back_url": reverse(f"portal:{side.page}"),
            "response_min": words.number(Decimal(award.product.response_s) / 60),  # type: ignore[union-attr]
            "orders": orders[:20],
            "is_desk": side.is_desk,
        }

    page = FormPage(form=form, work=work, template="portal/call.html", context=context)
    sent = request.POST
    if request.method != "POST" or not {COUNT, EDIT} & set(sent):
        return page.answer(request)
    return _looked_at(request, page, form(sent, None), award)


def _looked_at(request: HttpRequest, page: FormPage, typed: CallForm, award: Award) -> HttpResponse:
    """Show what would be told, or the form again where it cannot be or shall be altered."""
    if EDIT in request.POST:
        return page.show(request, typed)
    if not typed.is_valid():
        return page.show(request, typed, status=UNPROCESSABLE)
    told = typed.told()
    if not told:
        typed.add_error(None, gettext("呼び出す量を、少なくとも1つの30分に入力してください。"))
        return page.show(request, typed, status=UNPROCESSABLE)
    try:
        # tried and taken back: what is refused is refused before anybody is asked
        with transaction.atomic():
            capacity_activate(
                award_id=award.id,
                quantities_kw=typed.quantities_kw(typed.cleaned_data),
                by=sight_in(request),
            )
            transaction.set_rollback(True)
    except (NotFound, NotPermitted) as refused:
        raise Http404(gettext("見つかりません。")) from refused
    except Refused as refused:
        typed.refuse(refused)
        return page.show(request, typed, status=UNPROCESSABLE)
    total_kwh = HALF_HOUR_H * sum((one.after_kw for one in told), ZERO)
    return page.show(request, typed, told=told, total_kwh=total_kwh)


DESK: Final = Side(name="desk")
GRID: Final = Side(name="tso")


@person_required(CALL)
@require_safe
def desk_list(request: HttpRequest) -> HttpResponse:
    """All capacity held ready from today on."""
    return _list(request, DESK)


@person_required(CALL)
@require_http_methods(["GET", "HEAD", "POST"])
def desk_page(request: HttpRequest, award_id: UUID) -> HttpResponse:
    """Call capacity for the grid operator who bought it."""
    return _page(request, DESK, award_id)


@person_required(CALL)
@require_safe
def grid_list(request: HttpRequest) -> HttpResponse:
    """Capacity held ready for one's own needs, from today on."""
    return _list(request, GRID)


@person_required(CALL)
@require_http_methods(["GET", "HEAD", "POST"])
def grid_page(request: HttpRequest, award_id: UUID) -> HttpResponse:
    """Call capacity that was reserved for one's own needs."""
    return _page(request, GRID, award_id)

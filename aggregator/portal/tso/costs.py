"""Who bore what for which congestion: a grid operator's part of a settlement period."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from aggregator.portal import words
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.money.words import item_word
from aggregator.portal.tso import selectors as own
from aggregator.settlement.costs import UNPOSTED, CostRow, cost_allocation, cost_allocation_csv
from aggregator.settlement.models import PeriodState, SettlementPeriod
from aggregator.settlement.seen import READ, line_view_of
from market.registry.models import Area, CongestionPoint, Site

PAGE: Final = "tso_costs"
ZERO: Final = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Sum:
    """What was paid and received in all [JPY]."""

    paid_jpy: Decimal
    received_jpy: Decimal

    @property
    def borne_jpy(self) -> Decimal:
        """What is left to bear."""
        return self.paid_jpy - self.received_jpy


def sum_of(rows: Iterable[CostRow]) -> Sum:
    """Add rows up, exactly."""
    paid = received = ZERO
    for row in rows:
        paid += row.paid_exact_jpy
        received += row.received_exact_jpy
    return Sum(paid_jpy=paid, received_jpy=received)


@dataclass(frozen=True, kw_only=True)
class PlaceCosts:
    """The rows of one place."""

    kind: str
    name: str
    rows: Sequence[tuple[str, CostRow, Decimal]]
    total: Sum


def places_of(rows: Sequence[CostRow]) -> list[PlaceCosts]:
    """Group rows by place, what was borne most first."""
    names = _names(rows)
    found = []
    for (kind, code), its in groupby(rows, key=lambda row: (row.place_kind, row.place)):
        members = list(its)
        found.append(
            PlaceCosts(
                kind=_kind_word(kind),
                name=names.get((kind, code), code),
                rows=[(_item_word(row.item), row, -row.net_exact_jpy) for row in members],
                total=sum_of(members),
            )
        )
    return sorted(found, key=lambda place: -place.total.borne_jpy)


def _kind_word(kind: str) -> str:
    return {
        "ELEMENT": gettext("設備"),
        "AREA": gettext("エリア"),
        "SITE": gettext("拠点"),
        "MARKET": gettext("市場全体"),
    }[kind]


def _item_word(code: str) -> str:
    return gettext("未締の訂正") if code == UNPOSTED else item_word(code)


def _names(rows: Sequence[CostRow]) -> dict[tuple[str, str], str]:
    codes: dict[str, set[str]] = {}
    for row in rows:
        codes.setdefault(row.place_kind, set()).add(row.place)
    names: dict[tuple[str, str], str] = {("MARKET", ""): gettext("端数・市場全体")}
    sources: tuple[tuple[str, Any], ...] = (
        ("ELEMENT", CongestionPoint), ("AREA", Area), ("SITE", Site),
    )  # fmt: skip
    for kind, model in sources:
        if kind in codes:
            found = model.objects.filter(code__in=codes[kind])
            names |= {(kind, each.code): words.local_name(each) for each in found}
    return names


def _permitted(request: HttpRequest) -> None:
    if not sight_in(request).may_somewhere(own.NETWORK):
        raise Http404(gettext("このページは見つかりません。"))


def _found(request: HttpRequest, day: date) -> tuple[SettlementPeriod, list[CostRow]]:
    """Return a period and the visitor's own rows of it."""
    _permitted(request)
    period = SettlementPeriod.objects.filter(start_on=day).first()
    if period is None:
        raise Http404(gettext("この精算期間は見つかりません。"))
    view = line_view_of(sight_in(request))
    accounts = None if view.sees_all else view.account_ids
    return period, cost_allocation(period=period, account_ids=accounts)


@person_required(READ)
@require_safe
def costs_latest(request: HttpRequest) -> HttpResponse:
    """Go to the latest period that is closed, or to the one that runs."""
    _permitted(request)
    periods = SettlementPeriod.objects.order_by("-start_on")
    latest = periods.filter(state=PeriodState.CLOSED).first() or periods.first()
    if latest is None:
        return render(request, "portal/tso/costs_none.html", frame(request, page=PAGE))
    return redirect("portal:tso_costs_period", day=latest.start_on)


@person_required(READ)
@require_safe
def costs(request: HttpRequest, day: date) -> HttpResponse:
    """Show what each congestion cost in a period, by place and item, with sums."""
    period, rows = _found(request, day)
    others = SettlementPeriod.objects.order_by("start_on")
    context = {
        **frame(request, page=PAGE, now=market_time()),
        "period": period,
        "before": others.filter(start_on__lt=day).last(),
        "after": others.filter(start_on__gt=day).first(),
        "is_closed": period.state == PeriodState.CLOSED,
        "places": places_of(rows),
        "total": sum_of(rows),
        "has_organisations": len({row.organisation for row in rows}) > 1,
        "has_unposted": any(row.item == UNPOSTED for row in rows),
    }
    return render(request, "portal/tso/costs.html", context)


@person_required(READ)
@require_safe
def costs_csv(request: HttpRequest, day: date) -> HttpResponse:
    """Hand out the same rows to the exact yen as a file."""
    period, rows = _found(request, day)
    answer = HttpResponse(cost_allocation_csv(rows), content_type="text/csv; charset=utf-8")
    name = f"cost-allocation-{period.start_on}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer

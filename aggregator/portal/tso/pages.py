"""A grid operator's home, the network with its forecast loading, and what a result did to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_safe

from aggregator.portal import days, facts, selectors, words
from aggregator.portal.approving import asked_of
from aggregator.portal.entering import person_required
from aggregator.portal.frame import frame, market_time, sight_in
from aggregator.portal.lists import csv_answer
from aggregator.portal.public.certificates import certificate_answer
from aggregator.portal.tso import selectors as own
from market.clearing.models import ClearingRun
from market.trading.models import Auction, AuctionState, BaseFlow, NeedState

EFFECTS_HEADER = (
    "auction", "element", "koma", "rating_kw", "before_percent", "after_percent",
)  # fmt: skip


def need_rows_of(
    auction: Auction, request: HttpRequest, known: Sequence[selectors.NeedResult] | None = None
) -> list[dict[str, Any]]:
    """Return own needs with what the market made of them, which may be `known` already."""
    sight = sight_in(request)
    if known is None:
        run = selectors.run_published(auction)
        known = selectors.need_results(auction, run, at=market_time().now)
    results = {row.need.id: row for row in known}
    found = []
    for need in own.own_needs(auction, seen_by=sight):
        result = results.get(need.id)
        caps = list(need.cap_jpy_per_kwh or need.cap_jpy_per_kw_30min or ())
        found.append(
            {
                "need": need,
                "spans": selectors.spans_of([kw > 0 for kw in need.quantity_kw]),
                "max_kw": max(need.quantity_kw, default=Decimal(0)),
                "cap": max(caps, default=None),
                "served_kwh": result.served_kwh if result else None,
                "unserved_kwh": result.unserved_kwh if result else None,
                "cost_jpy": result.cost_jpy if result else None,
                "waits": need.state == NeedState.PROPOSED,
            }
        )
    return found


@person_required(own.NETWORK)
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Answer which line, which half hour, how much; and who must act by when."""
    sight = sight_in(request)
    clock = market_time()
    coming = own.auctions_for_needs(clock.now)
    work = []
    for auction in coming[:3]:
        found = own.overloads(auction, seen_by=sight)
        work.append(
            {
                "auction": auction,
                "state": facts.state_of(auction),
                "overloads": found,
                "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
                "needs": list(own.own_needs(auction, seen_by=sight)),
            }
        )
    last = own.result_latest(clock.now)
    rows = need_rows_of(last, request) if last is not None else []
    context = {
        **frame(request, page="tso_home", now=clock),
        "work": work,
        "asked": asked_of(own.approvals_waiting(seen_by=sight), sight),
        "last": last,
        "rows": rows,
        "cost_jpy": sum((row["cost_jpy"] or Decimal(0) for row in rows), Decimal(0)),
        "unserved_kwh": sum((row["unserved_kwh"] or Decimal(0) for row in rows), Decimal(0)),
        "may_publish": sight.may_somewhere(own.PUBLISH),
    }
    return render(request, "portal/tso/home.html", context)


@person_required(own.NETWORK)
@require_safe
def network_latest(request: HttpRequest) -> HttpResponse:
    """Go to the day a planner works on."""
    day = own.day_of_work(market_time().now)
    if day is None:
        return render(request, "portal/tso/none.html", frame(request, page="tso_network"))
    return redirect("portal:tso_network", day=day)


@person_required(own.NETWORK)
@require_safe
def network(request: HttpRequest, day: date) -> HttpResponse:
    """Map, loading of each element and half hour, overloads, and the needs made of them."""
    sight = sight_in(request)
    chosen = days.chosen_of(request, day)
    auction = chosen.auction
    is_open = (
        auction.state in (AuctionState.SCHEDULED, AuctionState.OPEN)
        and chosen.now.now < auction.gate_closure_at
    )
    flows = own.forecast(auction, seen_by=sight)
    seen = days.network_of_day(request, chosen, page="tso_network")
    context = {
        **seen,
        "overloads": own.overloads(auction, seen_by=sight, flows=flows),
        "rows": need_rows_of(auction, request, seen["results"]),
        "flow": _forecast_stamp(flows),
        "is_open": is_open,
        "may_publish": is_open and sight.may_somewhere(own.PUBLISH),
        "gate_ms": int(auction.gate_closure_at.timestamp() * 1000),
        "asked": asked_of(own.approvals_waiting(seen_by=sight), sight),
    }
    return render(request, "portal/tso/network.html", context)


def _forecast_stamp(flows: Sequence[BaseFlow]) -> dict[str, Any] | None:
    latest = max(flows, key=lambda flow: flow.available_at, default=None)
    if latest is None:
        return None
    return {"at": words.jst_day(latest.available_at), "revision": latest.revision}


def _published(request: HttpRequest, day: date) -> tuple[days.Chosen, ClearingRun]:
    chosen = days.chosen_of(request, day)
    if chosen.run is None:
        raise Http404(gettext("この日の結果はまだ公表されていません。"))
    return chosen, chosen.run


@person_required(own.NETWORK)
@require_safe
def results_latest(request: HttpRequest) -> HttpResponse:
    """Go to the latest result."""
    auction = own.result_latest(market_time().now)
    if auction is None:
        return render(request, "portal/tso/none.html", frame(request, page="tso_results"))
    return redirect("portal:tso_results_day", day=auction.delivery_on)


@person_required(own.NETWORK)
@require_safe
def results(request: HttpRequest, day: date) -> HttpResponse:
    """Show what the cleared flexibility did to each line, what it costs, what was left."""
    chosen, run = _published(request, day)
    before, after = selectors.days_beside(day)
    rows = need_rows_of(chosen.auction, request)
    seen = selectors.loadings(chosen.auction, run, seen_by=chosen.sight)
    context = {
        **frame(request, page="tso_results", now=chosen.now),
        "chosen": chosen,
        "day_before": before,
        "day_after": after,
        "state": facts.state_of(chosen.auction),
        "rows": rows,
        "cost_jpy": sum((row["cost_jpy"] or Decimal(0) for row in rows), Decimal(0)),
        "served_kwh": sum((row["served_kwh"] or Decimal(0) for row in rows), Decimal(0)),
        "unserved_kwh": sum((row["unserved_kwh"] or Decimal(0) for row in rows), Decimal(0)),
        "lines": [_effect(row) for row in seen],
        "relieved_count": sum(
            row.worst_ratio > own.FULL_RATIO >= (row.worst_after_ratio or 0.0) for row in seen
        ),
        "checks": [
            {**check, "value": _figure(check.get("value")), "limit": _figure(check.get("limit"))}
            for check in run.certificate.get("checks", [])
        ],
        "passed": run.certificate.get("passed"),
        "run": run,
        "settles": chosen.sight.may_somewhere("statement.read"),
    }
    return render(request, "portal/tso/results.html", context)


def _figure(value: Any) -> str:
    """Write a residual: digits that say nothing stay out."""
    try:
        return f"{float(value):.1e}" if float(value) else "0"
    except (TypeError, ValueError):
        return str(value)


def _effect(row: selectors.Loading) -> dict[str, Any]:
    after = row.after_ratio or row.before_ratio
    return {
        "point": row.point,
        "before": row.worst_ratio,
        "after": max(after, default=0.0),
        "at_worst": after[row.worst_t] if after else 0.0,
        "koma": words.koma(row.worst_t),
        "over_before": sum(ratio > own.FULL_RATIO for ratio in row.before_ratio),
        "over_after": sum(ratio > own.FULL_RATIO for ratio in after),
    }


@person_required(own.NETWORK)
@require_safe
def effects_csv(request: HttpRequest, day: date) -> HttpResponse:
    """Every element and half hour, before and after, as a file."""
    chosen, run = _published(request, day)
    rows = [
        (
            chosen.auction.code,
            row.point.code,
            t + 1,
            row.point.rating_kw,
            round(row.before_ratio[t] * 100, 2),
            round((row.after_ratio or row.before_ratio)[t] * 100, 2),
        )
        for row in selectors.loadings(chosen.auction, run, seen_by=chosen.sight)
        for t in range(selectors.HALF_HOURS)
    ]
    return csv_answer(f"lines-{chosen.auction.code}.csv", EFFECTS_HEADER, rows)


@person_required(own.NETWORK)
@require_safe
def certificate(request: HttpRequest, day: date) -> HttpResponse:
    """Hand out the certificate of a result with the hashes it speaks of."""
    chosen, _ = _published(request, day)
    return certificate_answer(chosen.auction)

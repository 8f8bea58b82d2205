"""One bid of every form beyond steps, stores and shifts, on the cast's triangle.

The cleared day (:func:`cleared_day`) has all of them in its book, asked for by the needs of the
cast, 3,000 kW of capacity in the evening, and 600 kW of computing at midday; Shiroi is scheduled
500 kW above its envelope at t = 0.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from accounts.clock.services import clock_set
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim, job_create
from accounts.parties.models import Organisation, OrganisationKind
from market.clearing import services
from market.clearing.models import ClearingRun, RunState
from market.registry.models import MarketProduct, OpticalPath, Portfolio, ResourceKind, Ruleset
from market.trading.bids import bids_submit
from market.trading.condition_services import envelope_publish
from market.trading.models import Auction, AuctionState
from market.trading.needs import NeedDetails, need_publish
from tests import cast
from tests.cast_places import resource

PRODUCTS = [{"id": "dkw-up-3h", "direction": "UP", "sustained_h": 3.0}]
HALF_HOURS = 48
CLEAR_KIND = "market.clearing.run_execute"


def products_day() -> cast.MarketDay:
    """Return an open auction under rules with a ΔkW product; sun, paths and a portfolio besides."""
    MarketProduct.objects.create(
        code="dkw-up-3h",
        name="調整力 上げ 3時間",
        name_en="Capacity up, 3 h",
        response_s=2_700,
        quantity_min_kw=1,
        quantity_tick_kw=Decimal("0.1"),
    )
    Ruleset.objects.create(
        version="2026-09-01",
        valid_from_on=date(2026, 9, 1),
        rules={**cast.RULES, "products": PRODUCTS},
    )
    where = cast.places()
    inzai, shiroi = where.sites["inzai"], where.sites["shiroi"]
    where.resources["inzai-sun"] = resource(inzai, "sun", ResourceKind.PV, 2_000, 6_000)
    where.resources["inzai-unit"] = resource(inzai, "unit", ResourceKind.DC_LOAD, 1, 1)
    portfolio = Portfolio.objects.create(
        organisation=where.people.inzai_dc, code="inzai-all", name="印西一括"
    )
    portfolio.resources.set([where.resources["inzai-load"], where.resources["inzai-unit"]])
    OpticalPath.objects.create(
        owner=where.people.platform,
        code="shiroi-inzai",
        name="白井 – 印西",
        from_site=shiroi,
        to_site=inzai,
        capacity_gb=18_000,
        price_jpy_per_gb=Decimal("0.02"),
        latency_ms=1,
    )
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def customer() -> Organisation:
    """Return a compute customer."""
    return cast.organisation(
        "compute-c", OrganisationKind.COMPUTE_CUSTOMER, "計算需要家C", "Compute customer C"
    )


def block(**changes: Any) -> dict[str, Any]:
    """Return 2,000 kW from 17:00 to 18:30, all or none."""
    return {
        "client_bid_id": "block",
        "resource": "inzai-dc-1-load",
        "form": "BLOCK",
        "mechanism": "STOP",
        "direction": "UP",
        "first_t": 34,
        "quantity_kw": ["2000", "2000", "1500.5"],
        "ask_jpy_per_kwh": "20",
    } | changes


def deferral(**changes: Any) -> dict[str, Any]:
    """Return work of 3,000 kW in the evening that may wait two hours."""
    return {
        "client_bid_id": "deferral",
        "resource": "inzai-dc-1-load",
        "form": "DEFERRAL",
        "mechanism": "DEFERRAL",
        "first_t": 34,
        "last_t": 43,
        "arriving_kw": ["3000"] * 6 + ["500"] * 4,
        "slack_count": 4,
        "service_limit_kw": ["4000"] * 10,
        "rebound_limit_kw": "3500",
        "extra_work_ratio": "0.02",
        "ask_jpy_per_kwh": "11",
    } | changes


def renewable(**changes: Any) -> dict[str, Any]:
    """Return sun that could give more than it is scheduled to."""
    return {
        "client_bid_id": "sun",
        "resource": "inzai-dc-1-sun",
        "form": "RENEWABLE",
        "mechanism": "RENEWABLE",
        "first_t": 20,
        "last_t": 22,
        "available_kw": ["6000", "6000", "5000"],
        "scheduled_kw": ["4000", "5000", "5000"],
        "curtail_jpy_per_kwh": "0.5",
    } | changes


def portfolio(**changes: Any) -> dict[str, Any]:
    """Return one curve over a hall and a unit of 1 kW."""
    return {
        "client_bid_id": "portfolio",
        "portfolio": "inzai-all",
        "form": "PORTFOLIO",
        "mechanism": "POWER_CAP",
        "direction": "UP",
        "members": [
            {"resource": "inzai-dc-1-unit", "limit_kw": "1"},
            {"resource": "inzai-dc-1-load", "limit_kw": ["800"] * HALF_HOURS},
        ],
        "curves": [
            {
                "first_t": 34,
                "last_t": 39,
                "steps": [{"quantity_kw": "801", "ask_jpy_per_kwh": "17"}],
            }
        ],
    } | changes


def capacity(**changes: Any) -> dict[str, Any]:
    """Return 4,000 kW of the battery held ready over the evening."""
    return {
        "client_bid_id": "capacity",
        "resource": "inzai-dc-1-battery",
        "form": "CAPACITY",
        "mechanism": "BATTERY",
        "product": "dkw-up-3h",
        "offers": [{"first_t": 34, "last_t": 39, "quantity_kw": "4000", "ask_jpy_per_kw": "1.2"}],
        "v1_jpy_per_kwh": "30",
        "v2_jpy_per_kwh": "5",
    } | changes


def compute_offer(**changes: Any) -> dict[str, Any]:
    """Return 1,000 kW of GPUs at Inzai."""
    return {
        "client_bid_id": "gpus",
        "resource": "inzai-dc-1-load",
        "form": "COMPUTE_OFFER",
        "mechanism": "COMPUTE",
        "hardware": "GPU",
        "capacity_kw": "1000",
        "ask_jpy_per_kwh": "30",
        "pue_ratio": "1.3",
    } | changes


def compute_request(**changes: Any) -> dict[str, Any]:
    """Return 600 kW of computing asked for at Shiroi at midday."""
    return {
        "client_bid_id": "request",
        "place": "shiroi-dc-1",
        "form": "COMPUTE_REQUEST",
        "mechanism": "COMPUTE",
        "first_t": 20,
        "last_t": 25,
        "quantity_kw": "600",
        "value_jpy_per_kwh": "120",
        "labels_required": ["country:JP"],
        "hardware": "GPU",
        "latency_max_ms": "5",
        "gb_per_kwh": "0.5",
    } | changes


SELLERS = (block, deferral, renewable, portfolio, capacity, compute_offer)


def cleared_day(before_gate: Callable[[], object] = bool) -> cast.MarketDay:
    """Return the day after its clearing, with every form in the book."""
    day = products_day()
    people = day.places.people
    common: dict[str, Any] = {"auction_id": day.auction.id, "organisation": people.grid_t}
    cast.needs(day.places, day.auction)
    need_publish(
        **common,
        details=NeedDetails(
            code="ready",
            kind="CAPACITY",
            direction="UP",
            area_code="03",
            product="dkw-up-3h",
            quantity_kw=cast.during(cast.EVENING, 3_000),
            cap_jpy_per_kw_30min=["2"] * 48,
        ),
    )
    envelope_publish(
        **common,
        site_code="shiroi-dc-1",
        kind="ONLINE",
        max_import_kw=["20000"] * 48,
        scheduled_import_kw=["20500"] + ["19000"] * 47,
    )
    bids_submit(
        auction_id=day.auction.id,
        organisation=people.inzai_dc,
        bids=[form() for form in SELLERS],
    )
    bids_submit(auction_id=day.auction.id, organisation=customer(), bids=[compute_request()])
    before_gate()
    clock_set(market_at=day.auction.gate_closure_at)
    Auction.objects.filter(id=day.auction.id).update(state=AuctionState.CLOSED)
    job_create(kind=CLEAR_KIND, key=str(day.auction.id))
    claim = job_claim(job_id=Job.objects.get(kind=CLEAR_KIND).id)
    assert claim is not None
    services.clearing_run_execute(claim=claim)
    run = ClearingRun.objects.get()
    assert (run.error, run.state) == ("", RunState.PUBLISHED)
    return day

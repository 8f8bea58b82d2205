"""The cast's published day with its money, its meters and what they read.

Numbers (t = 34 to 39 is the evening, t = 36 the scarce half hour, t = 20 to 25 midday):

========================  =======================================================================
Inzai battery UP          3,000 kWh at 60 (150 at t = 36): 5 · 180,000 + 450,000 = 1,350,000
Inzai deferral UP         4,500 kWh at 60 (150): 5 · 270,000 + 675,000 = 2,025,000
Shiroi power cap UP       3,000 kWh at 45 (90): 5 · 135,000 + 270,000 = 945,000
Inzai battery DOWN        2,500 kWh at 6, six times: pays 90,000
local need                6,000 kWh at 45 (180): 5 · 270,000 + 1,080,000 = 2,430,000
area shortage             10,500 kWh at 30, six times: 1,890,000
area surplus              2,500 kWh at −6, six times: receives 90,000
========================  =======================================================================

Buyers 2,430,000 + 1,890,000 − 90,000 = 4,230,000; sellers 1,350,000 + 2,025,000 + 945,000 − 90,000,
the same.

All deliver, but for Inzai's deferral at t = 36: 3,500 of 4,500 kWh. Refund 1,000 · 150 = 150,000;
beyond 10 % tolerance 550 · 0.5 · 150 = 41,250; of the 191,250 the local need gets 120 : 30, that is
153,000, and the shortage 38,250.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from accounts.clock.services import clock_set
from aggregator.metering.models import Meter, Stage
from aggregator.metering.services import ReadingRow, meter_register, readings_ingest
from market.clearing.models import ClearingPrice, ClearingRun, ElementFlow, RunState, SnapshotRecord
from market.registry.models import RevenueSplit, Ruleset
from market.trading.models import AuctionState
from tests import cast

SETTLEMENT = {
    "tolerance_ratio": "0.1",
    "penalty_factor_ratio": "1.5",
    "fee_ratio": "0.02",
    "period": "DAY",
    "close_lag_h": 2,
}
USUAL_KWH = Decimal(10_000)
AFTER = timedelta(days=1, hours=3)
SCARCE_KWH = Decimal(6_500)


def settled_places(settlement: dict[str, Any] | None = None) -> cast.Places:
    """Make the triangle under rules with a settlement section, and an owner of Inzai's hall."""
    Ruleset.objects.create(
        version="2026-09-01",
        valid_from_on=cast.date(2026, 9, 1),
        rules={**cast.RULES, "settlement": settlement or SETTLEMENT},
    )
    where = cast.places()
    owner = cast.organisation(
        "inzai-hall", cast.OrganisationKind.FACILITY_OWNER, "印西ホール", "Inzai Hall"
    )
    RevenueSplit.objects.create(
        site=where.sites["inzai"],
        organisation=owner,
        share_ratio=Decimal("0.15"),
        valid_from_on=cast.date(2026, 4, 1),
    )
    return where


def _price(name: str, t: int) -> float:
    return float(cast.site_price(name, t))


def result_document(day: cast.MarketDay) -> dict[str, Any]:
    """Return the result of the day in the layout of the engine."""
    slots = range(cast.HALF_HOURS)
    signs = {"local": 1, "shortage": 1, "surplus": -1}
    needs = [
        {
            "id": str(need.id),
            "kind": need.kind,
            "served_kw": [
                float(need.quantity_kw[t])
                - (2_000.0 if name == "local" and t == cast.SCARCE else 0)
                for t in slots
            ],
            "price_jpy_per_kwh": [
                float(
                    (cast.line_price(t) if name == "local" else signs[name] * cast.area_price(t))
                    if need.quantity_kw[t]
                    else 0
                )
                for t in slots
            ],
        }
        for name, need in day.needs.items()
    ]
    awards = [
        {
            "bid": str(day.bids[name].id),
            "resource": day.places.resources[unit].code,
            "leg": "STEPS",
            "direction": direction,
            "path_jpy": 0.0,
        }
        for name, (unit, _, direction, _, _, _) in cast.OFFERS.items()
    ]
    third = 1 / 3
    return {
        "schema": "wattbit-result/2",
        "awards": awards,
        "needs": needs,
        "areas": [
            {
                "id": "03",
                "price_jpy_per_kwh": [float(cast.area_price(t)) for t in slots],
                "deviation_kw": [0.0] * 48,
            }
        ],
        "elements": [],
        "places": [
            {"id": "inzai-dc-1", "sensitivity_kw_per_kw": {"inzai-line": -2 * third}},
            {"id": "shiroi-dc-1", "sensitivity_kw_per_kw": {"inzai-line": -third}},
        ],
        "envelopes": [],
        "paths": [],
        "trunks": [],
        "compute": [],
        "requests": [],
        "links": [],
        "transfers": [],
        "money": {"residual_jpy": 0.0},
        "payments": {"sellers": [], "buyers": [], "make_whole": [], "rents": [], "fee_jpy": 0.0},
    }


def published(
    where: cast.Places,
    *,
    changes: dict[str, Any] | None = None,
    edit: Callable[[dict[str, Any]], None] | None = None,
    is_awarded: bool = True,
    by_order: Collection[str] = (),
    book: bytes = b"{}",
) -> cast.MarketDay:
    """Publish the day with a result that says who pays what.

    `changes` replace parts of it, `edit` changes it where it stands; a day that is not awarded
    has no awards beside it. Needs named in `by_order` are bought by an order that follows.
    `book` is the snapshot that it was cleared from.
    """
    of = cast.auction(where, state=AuctionState.PUBLISHED)
    cast.base_flows(where, of)
    bare = cast.MarketDay(
        places=where,
        auction=of,
        needs=cast.needs(where, of, by_order=by_order),
        bids=cast.bids(where, of),
    )
    document = {**result_document(bare), **(changes or {})}
    if edit is not None:
        edit(document)
    result = json.dumps(document, sort_keys=True).encode()
    snapshot = SnapshotRecord.objects.create(auction=of, sha256="0" * 64, content=book)
    run = ClearingRun.objects.create(
        auction=of,
        snapshot=snapshot,
        state=RunState.PUBLISHED,
        result=result,
        result_sha256=hashlib.sha256(result).hexdigest(),
        published_at=of.gate_closure_at + timedelta(minutes=5),
    )
    day = replace(bare, run=run)
    ClearingPrice.objects.bulk_create(cast._prices(day))
    ElementFlow.objects.bulk_create(cast._flows(day))
    return replace(day, awards=cast._awards(day)) if is_awarded else day


def metered(
    day: cast.MarketDay,
    *,
    stage: int = Stage.FINAL,
    scarce_kwh: Decimal = SCARCE_KWH,
    without: tuple[str, int] | None = None,
) -> dict[str, Meter]:
    """Register meters and read them: thirty usual days, then the day as the table says.

    `without` names a meter and half hour of the day that nobody read.
    """
    start = day.auction.delivery_start
    clock_set(market_at=start + AFTER)
    meters = {
        name: meter_register(point_number=f"03{n:020d}", resource=resource)
        for n, (name, resource) in enumerate(day.places.resources.items(), start=101)
    }
    rows = []
    for name in ("inzai-load", "shiroi-load"):
        rows += [
            ReadingRow(
                point_number=meters[name].point_number,
                start_at=start - timedelta(minutes=30 * n),
                energy_kwh=USUAL_KWH,
                stage=Stage.FINAL,
            )
            for n in range(1, 31 * 48)
        ]
    readings_ingest(rows=rows, source="history")
    rows = day_rows(day, meters, stage=stage, scarce_kwh=scarce_kwh)
    if without is not None:
        name, t = without
        unread = (meters[name].point_number, half_hour(day, t))
        rows = [row for row in rows if (row.point_number, row.start_at) != unread]
    readings_ingest(rows=rows, source="day")
    return meters


def day_rows(
    day: cast.MarketDay,
    meters: dict[str, Meter],
    *,
    stage: int = Stage.FINAL,
    scarce_kwh: Decimal = SCARCE_KWH,
) -> list[ReadingRow]:
    """Return what the three meters read on the day."""
    rows = []
    for t in range(cast.HALF_HOURS):
        evening, midday = t in cast.EVENING, t in cast.MIDDAY
        values = {
            "inzai-load": USUAL_KWH - (4_500 if evening else 0),
            "inzai-battery": Decimal(-3_000 if evening else 2_500 if midday else 0),
            "shiroi-load": USUAL_KWH - (3_000 if evening else 0),
        }
        if t == cast.SCARCE:
            values["inzai-load"] = scarce_kwh
        rows += [
            ReadingRow(
                point_number=meters[name].point_number,
                start_at=half_hour(day, t),
                energy_kwh=value,
                stage=stage,
            )
            for name, value in values.items()
        ]
    return rows


def half_hour(day: cast.MarketDay, t: int) -> datetime:
    """Return the start of half hour t."""
    return day.auction.delivery_start + timedelta(minutes=30 * t)

r"""The cast of the tests: Inzai DC sells, Shiroi DC is its rival, Grid-T buys, a stranger looks on.

Every function makes rows and returns them; call only those a test needs. The grid is a triangle
of equal lines, so that every sensitivity is a third or two::

            upstream (slack)
            /              \
    inzai-line           shiroi-line      1 kW less load at Inzai: -2/3 kW on inzai-line,
          /                  \            -1/3 kW on shiroi-line, -1/3 kW on tie-line
        inzai --tie-line-- shiroi         (flows counted downwards, and from Shiroi to Inzai)

The published day (:func:`published_day`), in kW at the receiving end, without losses: in the
evening (t = 34 to 39) Inzai gives 6,000 of battery and 9,000 of deferral, Shiroi 6,000 of power
cap. That relieves inzai-line by 2/3·15,000 + 1/3·6,000 = 12,000, which is the need; only at
t = 36 the need is 14,000, so 2,000 stay unserved. At midday (t = 20 to 25) Inzai's battery
charges 5,000 against the area's surplus.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from django.db import connection

from accounts.clock.services import clock_set
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    Leg,
    PriceKind,
    RunState,
    SnapshotRecord,
)
from market.trading.models import (
    Auction,
    AuctionState,
    BaseFlow,
    Bid,
    BidContent,
    BidForm,
    Direction,
    Mechanism,
    Need,
    NeedKind,
)
from tests.cast_places import (
    PASSWORD,
    RULES,
    OrganisationKind,
    People,
    Places,
    Resource,
    Site,
    User,
    area,
    member,
    organisation,
    people,
    places,
    ruleset,
)
from tests.cast_places import resource as _resource

# one name, `cast`, for the tests: what stands on the stage is offered here too
__all__ = (
    "PASSWORD", "RULES", "OrganisationKind", "People", "Places", "Resource", "Site", "User",
    "_resource", "area", "member", "organisation", "people", "places", "ruleset",
)  # fmt: skip

JST = ZoneInfo("Asia/Tokyo")
DAY = date(2026, 11, 25)
HALF_HOURS = 48
EVENING = range(34, 40)
MIDDAY = range(20, 26)
SCARCE = 36
THIRD = Decimal(1) / 3


@dataclass(frozen=True, kw_only=True)
class MarketDay:
    """An auction with what belongs to it."""

    places: Places
    auction: Auction
    needs: dict[str, Need] = field(default_factory=dict)
    bids: dict[str, Bid] = field(default_factory=dict)
    run: ClearingRun | None = None
    awards: dict[str, Award] = field(default_factory=dict)


def market_time(at: datetime, *, speed_ratio: Decimal = Decimal(0)) -> None:
    """Make it `at` in the market; standing still unless told to run."""
    clock_set(market_at=at, speed_ratio=speed_ratio)


def day_start(day: date) -> datetime:
    """Return the start of a JST day."""
    return datetime.combine(day, time.min, JST).astimezone(UTC)


def half_hours(value: float = 0, **at: float) -> list[Decimal]:
    """Return 48 values: `value`, but ``t36=14_000`` at t = 36."""
    values = [Decimal(value)] * HALF_HOURS
    for name, number in at.items():
        values[int(name.removeprefix("t"))] = Decimal(number)
    return values


def during(spans: Sequence[int], value: float, otherwise: float = 0) -> list[Decimal]:
    """Return 48 values: `value` at each t of `spans`, else `otherwise`."""
    return [Decimal(value) if t in spans else Decimal(otherwise) for t in range(HALF_HOURS)]


def auction(
    where: Places, *, delivery_on: date = DAY, state: str = AuctionState.OPEN, code: str = ""
) -> Auction:
    """Make a day-ahead auction whose gate closes at 14:00 JST of the day before."""
    start = day_start(delivery_on)
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('trading_gate_number')")
        gate_number = cursor.fetchone()[0]
    return Auction.objects.create(
        gate_number=gate_number,
        code=code or f"DA-{delivery_on:%Y-%m-%d}",
        name=f"前日 {delivery_on:%Y-%m-%d}",
        delivery_on=delivery_on,
        delivery_start=start,
        opens_at=start - timedelta(hours=12, minutes=30),
        gate_closure_at=start - timedelta(hours=10),
        closed_at=None if state in ("SCHEDULED", "OPEN") else start - timedelta(hours=10),
        state=state,
        ruleset=where.ruleset,
        grid_model=where.grid_model,
    )


def needs(where: Places, of: Auction, *, by_order: Collection[str] = ()) -> dict[str, Need]:
    """Make Grid-T's needs: relief of the Inzai line, area shortage and area surplus.

    Those named in `by_order` are bought by an order that follows the result.
    """
    common = {
        "auction": of,
        "organisation": where.people.grid_t,
        "available_at": of.opens_at - timedelta(hours=1),
    }
    local = during(EVENING, 12_000)
    local[SCARCE] = Decimal(14_000)
    return {
        "local": Need.objects.create(
            **common,
            is_by_order="local" in by_order,
            kind=NeedKind.LOCAL,
            code="inzai-line-up",
            congestion_point=where.points["inzai-line"],
            flow_sign=1,
            direction=Direction.UP,
            quantity_kw=local,
            cap_jpy_per_kwh=half_hours(180),
        ),
        "shortage": Need.objects.create(
            **common,
            is_by_order="shortage" in by_order,
            kind=NeedKind.BALANCE,
            code="tokyo-up",
            area=where.area,
            direction=Direction.UP,
            quantity_kw=during(EVENING, 21_000),
            cap_jpy_per_kwh=half_hours(60),
        ),
        "surplus": Need.objects.create(
            **common,
            is_by_order="surplus" in by_order,
            kind=NeedKind.BALANCE,
            code="tokyo-down",
            area=where.area,
            direction=Direction.DOWN,
            quantity_kw=during(MIDDAY, 5_000),
            cap_jpy_per_kwh=half_hours(12),
        ),
    }


def base_flows(where: Places, of: Auction) -> None:
    """Make the TSO's forecast: the Inzai line is over its rating in the evening by the need."""
    over = during(EVENING, 192_000, 140_000)
    over[SCARCE] = Decimal(194_000)
    forecast = {
        "inzai-line": over,
        "shiroi-line": during(EVENING, 120_000, 90_000),
        "tie-line": half_hours(20_000),
    }
    for code, flow_kw in forecast.items():
        BaseFlow.objects.create(
            auction=of,
            congestion_point=where.points[code],
            base_flow_kw=flow_kw,
            available_at=of.opens_at - timedelta(hours=1),
        )


# name: resource, mechanism, direction, half hours, kW, ask [JPY/kWh]
OFFERS = {
    "inzai-battery-up": ("inzai-battery", Mechanism.BATTERY, Direction.UP, EVENING, 6_000, 9),
    "inzai-battery-down": ("inzai-battery", Mechanism.BATTERY, Direction.DOWN, MIDDAY, 5_000, 4),
    "inzai-defer": ("inzai-load", Mechanism.DEFERRAL, Direction.UP, EVENING, 9_000, 21),
    "shiroi-cap": ("shiroi-load", Mechanism.POWER_CAP, Direction.UP, EVENING, 6_000, 28),
}


def bids(where: Places, of: Auction) -> dict[str, Bid]:
    """Make one step-curve bid for each of :data:`OFFERS`, content included."""
    made = {}
    for name, (unit, mechanism, direction, span, quantity_kw, ask) in OFFERS.items():
        resource = where.resources[unit]
        content = {
            "direction": direction,
            "curves": [
                {
                    "first_t": span[0],
                    "last_t": span[-1],
                    "steps": [
                        {"quantity_kw": f"{quantity_kw}.0", "ask_jpy_per_kwh": f"{ask}.00"},
                    ],
                }
            ],
        }
        text = json.dumps(content, sort_keys=True)
        made[name] = Bid.objects.create(
            client_bid_id=f"{name}-{of.delivery_on:%m%d}",
            auction=of,
            organisation=resource.site.organisation,
            resource=resource,
            form=BidForm.STEPS,
            mechanism=mechanism,
            received_at=of.gate_closure_at - timedelta(minutes=30),
            leaf_sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
        if of.state not in (AuctionState.SCHEDULED, AuctionState.OPEN):
            BidContent.objects.create(bid=made[name], content=content)
    return made


def book_opened(of: Auction) -> Auction:
    """Move the clock to the gate, close it and open the book, as the workers' jobs would."""
    from accounts.clock.services import clock_set
    from market.trading.gates import gate_shut
    from market.trading.opening import book_open

    clock_set(market_at=of.gate_closure_at)
    gate_shut(of.id)
    book_open(auction_id=of.id)
    of.refresh_from_db()
    return of


def _sensitivities() -> list[dict[str, Any]]:
    """Return flow per kW injected at each site: the triangle's thirds."""
    third = 1 / 3
    return [
        {
            "id": "inzai-dc-1",
            "sensitivity_kw_per_kw": {
                "inzai-line": -2 * third,
                "shiroi-line": -third,
                "tie-line": -third,
            },
        },
        {
            "id": "shiroi-dc-1",
            "sensitivity_kw_per_kw": {
                "inzai-line": -third,
                "shiroi-line": -2 * third,
                "tie-line": third,
            },
        },
    ]


def run(of: Auction, *, state: str = RunState.PUBLISHED) -> ClearingRun:
    """Make a clearing run with its snapshot and result."""
    frozen = json.dumps({"auction": of.code}, sort_keys=True).encode()
    result = json.dumps(
        {"schema": "wattbit-result/2", "places": _sensitivities()}, sort_keys=True
    ).encode()
    snapshot = SnapshotRecord.objects.create(
        auction=of, sha256=hashlib.sha256(frozen).hexdigest(), content=frozen
    )
    return ClearingRun.objects.create(
        auction=of,
        snapshot=snapshot,
        number=of.runs.count() + 1,
        state=state,
        engine_version="cast",
        result=result,
        result_sha256=hashlib.sha256(result).hexdigest(),
        objective_jpy=Decimal("1234567.00"),
        certificate={"passed": True, "checks": []},
        published_at=of.gate_closure_at + timedelta(minutes=5),
    )


def site_price(site: str, t: int) -> Decimal:
    """Price at a site: that of the area, and a third or two of the line's 45 (or 180) yen."""
    relief = {"inzai": 2 * THIRD, "shiroi": THIRD}[site]
    return round(area_price(t) + relief * line_price(t), 2)


def area_price(t: int) -> Decimal:
    """Price of the area: 30 in the evening, 6 at midday, else 10 yen."""
    return Decimal(30 if t in EVENING else 6 if t in MIDDAY else 10)


def line_price(t: int) -> Decimal:
    """Price of relief of the Inzai line: 45 in the evening, its cap of 180 where it is unserved."""
    return Decimal(0 if t not in EVENING else 180 if t == SCARCE else 45)


def _prices(of: MarketDay) -> list[ClearingPrice]:
    rows = []
    assert of.run is not None
    for t in range(HALF_HOURS):
        common = {
            "run": of.run,
            "t": t,
            "start_at": of.auction.delivery_start + timedelta(minutes=30 * t),
        }
        rows.append(
            ClearingPrice(
                **common,
                kind=PriceKind.AREA,
                area=of.places.area,
                price_jpy_per_kwh=area_price(t),
            )
        )
        rows += [
            ClearingPrice(
                **common, kind=PriceKind.PLACE, site=site, price_jpy_per_kwh=site_price(name, t)
            )
            for name, site in of.places.sites.items()
        ]
        for name, need in of.needs.items():
            unserved = Decimal(2_000 if name == "local" and t == SCARCE else 0)
            price = line_price(t) if name == "local" else area_price(t)
            rows.append(
                ClearingPrice(
                    **common,
                    kind=PriceKind.NEED,
                    need=need,
                    price_jpy_per_kwh=price if need.quantity_kw[t] else 0,
                    served_kw=need.quantity_kw[t] - unserved,
                    unserved_kw=unserved,
                )
            )
    return rows


def _flows(of: MarketDay) -> list[ElementFlow]:
    """Return flows: Inzai 15,000 and Shiroi 6,000 UP in the evening, Inzai 5,000 DOWN at midday."""
    effects = {
        "inzai-line": (-12_000, 3_333),
        "shiroi-line": (-9_000, 1_667),
        "tie-line": (-3_000, 1_667),
    }
    forecast = {row.congestion_point.code: row.base_flow_kw for row in of.auction.base_flows.all()}
    return [
        ElementFlow(
            run=of.run,
            congestion_point=point,
            t=t,
            before_kw=forecast[code][t],
            after_kw=forecast[code][t]
            + (effects[code][0] if t in EVENING else effects[code][1] if t in MIDDAY else 0),
        )
        for code, point in of.places.points.items()
        for t in range(HALF_HOURS)
    ]


def _awards(of: MarketDay) -> dict[str, Award]:
    made = {}
    for name, (unit, _, direction, span, quantity_kw, _) in OFFERS.items():
        bid = of.bids[name]
        award = Award.objects.create(
            run=of.run,
            auction=of.auction,
            bid=bid,
            organisation=bid.organisation,
            resource=of.places.resources[unit],
            leg=Leg.STEPS,
            direction=direction,
        )
        AwardInterval.objects.bulk_create(
            AwardInterval(
                award=award,
                t=t,
                start_at=of.auction.delivery_start + timedelta(minutes=30 * t),
                quantity_kw=quantity_kw,
                price_jpy_per_kwh=site_price(unit.split("-")[0], t),
            )
            for t in span
        )
        made[name] = award
    return made


def open_day(where: Places | None = None, *, delivery_on: date = DAY) -> MarketDay:
    """Make an auction that is open, with needs, forecast and bids."""
    where = where or places()
    of = auction(where, delivery_on=delivery_on)
    base_flows(where, of)
    return MarketDay(places=where, auction=of, needs=needs(where, of), bids=bids(where, of))


def published_day(
    where: Places | None = None, *, delivery_on: date = DAY, by_order: Collection[str] = ()
) -> MarketDay:
    """Make a whole published day: needs (some by order), bids, run, awards, prices and flows."""
    where = where or places()
    of = auction(where, delivery_on=delivery_on, state=AuctionState.PUBLISHED)
    base_flows(where, of)
    bare = MarketDay(
        places=where,
        auction=of,
        needs=needs(where, of, by_order=by_order),
        bids=bids(where, of),
        run=run(of),
    )
    ClearingPrice.objects.bulk_create(_prices(bare))
    ElementFlow.objects.bulk_create(_flows(bare))
    return MarketDay(
        places=where,
        auction=of,
        needs=bare.needs,
        bids=bare.bids,
        run=bare.run,
        awards=_awards(bare),
    )

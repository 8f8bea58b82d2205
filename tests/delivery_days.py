"""The settled day with everything that verification knows: a shift, a stand-in, capacity held.

========================  =======================================================================
shift at night            2,000 kW of work from Inzai to Shiroi, t = 4 to 9 (1,000 kWh each)
stand-in                  Shiroi's power cap is declined; Inzai's load stands in with 3,000 kW of
                          its 6,000 in the evening (1,500 kWh)
capacity held             4,000 kW UP of the battery, t = 10 to 12, of a product of 15 minutes
========================  =======================================================================
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.clock.selectors import market_now
from accounts.clock.services import clock_set
from aggregator.dispatch.models import (
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.metering.models import Meter, Stage
from aggregator.metering.services import ReadingRow, readings_ingest
from market.clearing.models import Award, AwardInterval, CapacityInterval, Leg
from market.registry.models import MarketProduct
from market.trading.models import Bid, BidContent, BidForm, Direction, Mechanism
from tests import cast, settled_day

NIGHT = range(4, 10)
HELD = range(10, 13)
STAND_IN_KW = Decimal(3_000)
SHIFT_KW = Decimal(2_000)
HELD_KW = Decimal(4_000)


@dataclass(frozen=True, kw_only=True)
class RichDay:
    """The day, its meters, and the awards beside the usual ones."""

    day: cast.MarketDay
    meters: dict[str, Meter]
    shift_out: Award
    shift_in: Award
    held: Award
    stand_in: DispatchInstruction


def rich_day(
    *, labels: Iterable[str] = (), rules: dict[str, Any] | None = None, book: bytes = b"{}"
) -> RichDay:
    """Publish and meter the day; everybody does what was asked, but for the scarce half hour."""
    where = settled_day.settled_places(rules)
    shiroi = where.sites["shiroi"]
    type(shiroi).objects.filter(id=shiroi.id).update(labels=list(labels))
    day = settled_day.published(where, book=book)
    bid = _bid(
        day,
        "inzai-load",
        BidForm.SHIFT,
        {
            "destinations": [{"resource": "shiroi-dc-1-load", "path": "light", "ratio": "1"}],
            "offers": [],
        },
    )
    shift_out = _award(day, bid, "inzai-load", Leg.SHIFT_OUT, Direction.UP)
    shift_in = _award(day, bid, "shiroi-load", Leg.SHIFT_IN, Direction.DOWN)
    reserved = held(day)
    stand_in = _stand_in(day)
    meters = settled_day.metered(day)
    made = RichDay(
        day=day,
        meters=meters,
        shift_out=shift_out,
        shift_in=shift_in,
        held=reserved,
        stand_in=stand_in,
    )
    read(made, "inzai-load", dict.fromkeys(NIGHT, 9000))
    read(made, "shiroi-load", dict.fromkeys(NIGHT, 11000))
    read(
        made,
        "inzai-load",
        # deferral 4,500 and stand-in 1,500
        {t: 4_000 for t in cast.EVENING if t != cast.SCARCE},
    )
    # so that a correction does not take what was read before the first look for new
    later()
    return made


def read(of: RichDay, name: str, values: dict[int, Any], *, stage: int = Stage.FINAL) -> None:
    """Read a meter once more."""
    readings_ingest(
        rows=[
            ReadingRow(
                point_number=of.meters[name].point_number,
                start_at=settled_day.half_hour(of.day, t),
                energy_kwh=None if kwh is None else Decimal(kwh),
                quality=2 if kwh is None else 0,
                stage=stage,
            )
            for t, kwh in values.items()
        ],
        source="correction",
    )


def later(*, hours: int = 1) -> None:
    """Let time pass."""
    clock_set(market_at=market_now() + timedelta(hours=hours))


def _bid(day: cast.MarketDay, unit: str, form: str, content: dict[str, Any]) -> Bid:
    resource = day.places.resources[unit]
    bid = Bid.objects.create(
        client_bid_id=f"{form}-{unit}".lower(),
        auction=day.auction,
        organisation=resource.site.organisation,
        resource=resource,
        form=form,
        mechanism=Mechanism.DEFERRAL,
        received_at=day.auction.gate_closure_at - timedelta(minutes=30),
        leaf_sha256="0" * 64,
    )
    BidContent.objects.create(bid=bid, content=content)
    return bid


def _award(day: cast.MarketDay, bid: Bid, unit: str, leg: str, direction: str) -> Award:
    award = Award.objects.create(
        run=day.run,
        auction=day.auction,
        bid=bid,
        organisation=bid.organisation,
        resource=day.places.resources[unit],
        leg=leg,
        direction=direction,
    )
    AwardInterval.objects.bulk_create(
        AwardInterval(
            award=award,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=SHIFT_KW,
            price_jpy_per_kwh=Decimal(10),
        )
        for t in NIGHT
    )
    return award


def held(day: cast.MarketDay) -> Award:
    product = MarketProduct.objects.create(
        code="dkw-fast",
        name="二次②",
        name_en="Secondary 2",
        response_s=900,
        quantity_min_kw=1,
        quantity_tick_kw=1,
    )
    bid = _bid(
        day,
        "inzai-battery",
        BidForm.CAPACITY,
        {"product": product.code, "v1_jpy_per_kwh": "30.00", "v2_jpy_per_kwh": "5.00"},
    )
    award = Award.objects.create(
        run=day.run,
        auction=day.auction,
        bid=bid,
        organisation=bid.organisation,
        resource=day.places.resources["inzai-battery"],
        leg=Leg.RESERVED,
        direction=Direction.UP,
        product=product,
    )
    CapacityInterval.objects.bulk_create(
        CapacityInterval(
            award=award,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=HELD_KW,
            price_jpy_per_kw_30min=Decimal("1.2"),
        )
        for t in HELD
    )
    return award


def _stand_in(day: cast.MarketDay) -> DispatchInstruction:
    lost = day.awards["shiroi-cap"]
    starts_at = settled_day.half_hour(day, cast.EVENING[0])
    times = {
        "starts_at": starts_at,
        "ends_at": settled_day.half_hour(day, cast.EVENING[-1] + 1),
        "send_at": starts_at - timedelta(hours=6),
        "respond_by_at": starts_at - timedelta(hours=1),
    }
    declined = DispatchInstruction.objects.create(
        award=lost,
        bid=lost.bid,
        organisation=lost.organisation,
        resource=lost.resource,
        direction=lost.direction,
        state=InstructionState.REPLACED,
        finished_at=starts_at - timedelta(hours=2),
        **times,
    )
    offer = _bid(day, "inzai-load", BidForm.STEPS, {"direction": "UP", "curves": []})
    stand_in = DispatchInstruction.objects.create(
        award=lost,
        version=2,
        bid=offer,
        organisation=offer.organisation,
        resource=day.places.resources["inzai-load"],
        direction=lost.direction,
        state=InstructionState.FINISHED,
        acknowledged_at=starts_at - timedelta(hours=1),
        replaces=declined,
        **times,
    )
    InstructionInterval.objects.bulk_create(
        InstructionInterval(
            instruction=stand_in,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=STAND_IN_KW,
            replacement_price_jpy_per_kwh=Decimal(50),
        )
        for t in cast.EVENING
    )
    return stand_in

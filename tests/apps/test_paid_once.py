"""What several auctions, calls and looks have in common is counted and paid once."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from aggregator.metering.activations import activation_note
from aggregator.metering.models import CapacityAssessment, DeliveryVerification
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.selectors import assessments_effective
from aggregator.metering.verifications import verification_execute
from aggregator.settlement.closes import period_of_auction_ensure, period_open
from aggregator.settlement.models import RunKind
from aggregator.settlement.runs import settlement_run_execute
from market.clearing.models import Award, CapacityInterval, ClearingRun, Leg, RunState
from market.registry.models import MarketProduct
from market.trading.models import AuctionState, Bid, BidForm
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import verified
from tests.delivery_days import RichDay, later, read, rich_day
from tests.delivery_looks import corrected_look, final_look

pytestmark = pytest.mark.django_db
D = Decimal
T = 10


def _reserved_too(of: RichDay, run: ClearingRun, product: Any = None) -> Award:
    """Reserve 4,000 kW of the same store once more."""
    held = of.held
    bid = Bid.objects.create(
        client_bid_id="held-too",
        auction=run.auction,
        organisation=held.organisation,
        resource=held.resource,
        form=BidForm.CAPACITY,
        mechanism=held.bid.mechanism,
        received_at=held.bid.received_at,
        leaf_sha256="0" * 64,
    )
    award = Award.objects.create(
        run=run,
        auction=run.auction,
        bid=bid,
        organisation=held.organisation,
        resource=held.resource,
        leg=Leg.RESERVED,
        direction=held.direction,
        product=product or held.product,
    )
    CapacityInterval.objects.create(
        award=award,
        t=T,
        start_at=settled_day.half_hour(of.day, T),
        quantity_kw=D(4_000),
        price_jpy_per_kw_30min=D(1),
    )
    return award


def _other_auction(of: RichDay) -> ClearingRun:
    auction = cast.auction(of.day.places, code="ID-2026-11-25", state=AuctionState.PUBLISHED)
    return ClearingRun.objects.create(auction=auction, state=RunState.PUBLISHED)


def _assessed(verification: DeliveryVerification) -> list[CapacityAssessment]:
    return list(assessments_effective(verification_id=verification.pk).filter(t=T))


def test_calls_of_two_auctions_share_what_their_meter_changed() -> None:
    of = rich_day()
    other = _reserved_too(of, _other_auction(of))
    for award in (of.held, other):
        activation_note(award_id=award.id, t=T, instructed_kw=D(2_000), actor="user:1")
    read(of, "inzai-battery", {T: -1_000})
    later()
    looks = [final_look(of), verification_execute(auction_id=other.auction_id, stage="FINAL")]
    found = [row for look in looks for row in _assessed(look)]
    # 1,000 kWh on two calls of 1,000 kWh each are 500 on each, whichever auction is looked at
    assert [(row.award_id, row.responded_kwh) for row in found] == [
        (of.held.id, D(500)),
        (other.id, D(500)),
    ]


def test_a_call_of_another_auction_that_is_noted_later_corrects_this_one() -> None:
    of = rich_day()
    other = _reserved_too(of, _other_auction(of))
    activation_note(award_id=of.held.id, t=T, instructed_kw=D(2_000), actor="user:1")
    read(of, "inzai-battery", {T: -1_000})
    later()
    (before,) = _assessed(final_look(of))
    assert before.responded_kwh == D(1_000)
    later()
    activation_note(award_id=other.id, t=T, instructed_kw=D(2_000), actor="user:1")
    later()
    (after,) = _assessed(corrected_look(of, "ACTIVATION"))
    assert after.responded_kwh == D(500)


def test_capacity_that_two_auctions_reserved_is_there_once() -> None:
    of = rich_day()
    type(of.held.resource).objects.filter(id=of.held.resource_id).update(limit_up_kw=D(6_000))
    other = _reserved_too(of, _other_auction(of))
    looks = [final_look(of), verification_execute(auction_id=other.auction_id, stage="FINAL")]
    found = [row for look in looks for row in _assessed(look)]
    # 6,000 kW for 4,000 and 4,000
    assert [(row.available_kw, row.shortfall_kw) for row in found] == [(D(3_000), D(1_000))] * 2


def test_one_call_of_a_composite_is_one_energy() -> None:
    of = rich_day(rules={"composites": [["dkw-fast", "dkw-slow"]]})
    slow = MarketProduct.objects.create(
        code="dkw-slow",
        name="三次①",
        name_en="Tertiary 1",
        response_s=900,
        quantity_min_kw=1,
        quantity_tick_kw=1,
    )
    other = _reserved_too(of, of.held.run, slow)
    for award in (of.held, other):
        activation_note(award_id=award.id, t=T, instructed_kw=D(2_000), actor="user:1")
    read(of, "inzai-battery", {T: -1_000})
    later()
    rows = _assessed(final_look(of))
    # both components did respond, and the 1,000 kWh are 500 of each
    assert [(row.responded_kwh, row.is_responsive) for row in rows] == [(D(500), True)] * 2


def test_a_month_begins_after_the_days_that_were_closed_by_the_day() -> None:
    day = settled_day.published(settled_day.settled_places({"period": "MONTH"}))
    first = period_open(start_on=date(2026, 11, 1), end_on=date(2026, 11, 2))
    last = period_open(start_on=date(2026, 11, 24), end_on=date(2026, 11, 25))
    period = period_of_auction_ensure(auction=day.auction)
    assert first.end_on < period.start_on
    assert (period.start_on, period.end_on) == (last.end_on, date(2026, 12, 1))


def test_a_month_ends_before_the_days_that_were_opened_by_the_day() -> None:
    day = settled_day.published(settled_day.settled_places({"period": "MONTH"}))
    period_open(start_on=date(2026, 11, 28), end_on=date(2026, 11, 29))
    period = period_of_auction_ensure(auction=day.auction)
    assert (period.start_on, period.end_on) == (date(2026, 11, 1), date(2026, 11, 28))


def test_a_preliminary_look_after_the_final_one_stands_in_no_correction_s_way() -> None:
    day = settled_day.published(settled_day.settled_places())
    first = verified(day, {})
    final = settlement_run_execute(auction_id=day.auction.id)
    verified(day, {("defer", 34): D(100)}, corrects=first)
    DeliveryVerification.objects.create(
        auction=day.auction,
        revision=3,
        stage="PRELIMINARY",
        as_of=day.auction.delivery_start,
        ruleset=day.auction.ruleset,
        input_sha256="later",
    )
    run = settlement_run_execute(auction_id=day.auction.id)
    assert (run.kind, run.corrects_id) == (RunKind.CORRECTION, final.pk)


@pytest.mark.parametrize(
    "table",
    [
        "metering_intervalreading",
        "metering_intervalreading_2026_11",
        "metering_finereading",
        "metering_declaredschedule",
        "metering_delivery",
        "metering_baseline",
        "metering_deliveryverification",
        "metering_meter",
        "metering_forcemajeure",
        "settlement_dispute",
        "settlement_settlementperiod",
        "settlement_bankaccount",
        "settlement_paymentbatch",
        "settlement_paymentrow",
        "settlement_documentseries",
    ],
)
def test_no_table_that_money_stands_on_can_be_emptied(table: str) -> None:
    reading_partitions_ensure(months=[(2026, 11)])
    with (
        pytest.raises(IntegrityError, match="TRUNCATE on"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"TRUNCATE {table} CASCADE")

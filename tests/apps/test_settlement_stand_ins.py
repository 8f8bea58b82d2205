"""A stand-in that is read anew changes what it is paid and what the buyers are credited."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from accounts.core.errors import BrokenInvariant
from aggregator.core.settlement import Share
from aggregator.core.terms import PenaltyRules, SettlementRules
from aggregator.dispatch.models import DispatchInstruction
from aggregator.metering.models import (
    CapacityAssessment,
    DeliveryVerification,
    StandInDelivery,
)
from aggregator.settlement import lines, staging
from aggregator.settlement.adjustments import LineDelta, adjustment_run
from aggregator.settlement.chains import repeated_failures
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.parties import house_of_market
from aggregator.settlement.replays import settlement_replay
from aggregator.settlement.runs import settlement_run_execute
from market.clearing.models import Award, CapacityInterval
from market.registry.models import MarketProduct
from market.trading.models import BidForm
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import _accepted, _line_of, _owed, verified
from tests.delivery_days import _bid, _stand_in

pytestmark = pytest.mark.django_db

T = 35
LOST = {("shiroi-cap", T): Decimal(3_000)}


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


@pytest.fixture
def stand_in(day: cast.MarketDay) -> DispatchInstruction:
    return _stand_in(day)


def _stood_in(
    verification: DeliveryVerification, instruction: DispatchInstruction, kwh: int
) -> None:
    StandInDelivery.objects.create(
        verification=verification,
        instruction=instruction,
        award=instruction.award,
        t=T,
        start_at=instruction.starts_at,
        ordered_kwh=1_500,
        delivered_kwh=kwh,
        shortfall_kwh=1_500 - kwh,
        over_kwh=0,
        covered_kwh=kwh,
    )


def _settled_then_read_anew(
    day: cast.MarketDay, stand_in: DispatchInstruction
) -> DeliveryVerification:
    first = verified(day, LOST)
    _stood_in(first, stand_in, 1_500)
    settlement_run_execute(auction_id=day.auction.id)
    late = verified(day, {}, corrects=first)
    _stood_in(late, stand_in, 1_000)
    return late


def _sum(run: SettlementRun, item: str) -> Decimal:
    rows = SettlementLine.objects.filter(run=run, item=item)
    return sum((row.amount_exact_jpy for row in rows), Decimal(0))


def test_what_a_stand_in_no_longer_costs_is_credited_to_the_buyers(
    day: cast.MarketDay, stand_in: DispatchInstruction
) -> None:
    _settled_then_read_anew(day, stand_in)
    run = settlement_run_execute(auction_id=day.auction.id)
    # 500 kWh less, at the market's 60 (its ask was 50): 30,000 from the stand-in to the buyers.
    assert run.kind == "CORRECTION"
    assert _sum(run, "REPLACEMENT") == 30_000
    assert _sum(run, "SHORTFALL_CREDIT") == 30_000
    assert not run.lines.filter(item="RESIDUAL").exists()
    assert settlement_replay(run_id=run.pk).is_identical
    assert run.corrects is not None
    assert ("rounding", "RESIDUAL") not in _owed([run.corrects, run])


def test_a_stand_in_whose_cost_reaches_nobody_stops_the_correction(
    day: cast.MarketDay, stand_in: DispatchInstruction, monkeypatch: pytest.MonkeyPatch
) -> None:
    _settled_then_read_anew(day, stand_in)
    monkeypatch.setattr(staging, "_stand_in_changes_stage", lambda _: 0)
    with (
        pytest.raises(BrokenInvariant, match=r"30000\.0+ yen of shortfall to nobody"),
        transaction.atomic(),
    ):
        settlement_run_execute(auction_id=day.auction.id)


def test_a_stand_in_that_a_dispute_decided_stays_whatever_is_read_later(
    day: cast.MarketDay, stand_in: DispatchInstruction
) -> None:
    first = verified(day, LOST)
    _stood_in(first, stand_in, 1_500)
    settlement_run_execute(auction_id=day.auction.id)
    dispute = _accepted(day, "REPLACEMENT", t=T)
    # 1,200 kWh at 60, not 1,500
    delta = LineDelta(line_id=_line_of(dispute), amount_exact_jpy=Decimal(72_000))
    adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    _stood_in(verified(day, {}, corrects=first), stand_in, 1_000)
    run = settlement_run_execute(auction_id=day.auction.id)
    assert run.cause_kind == "READING"
    assert not run.lines.exists()
    assert settlement_replay(run_id=run.pk).is_identical


def _reserved(day: cast.MarketDay) -> Award:
    product = MarketProduct.objects.create(
        code="dkw", name="二次②", name_en="Secondary 2", response_s=900, quantity_min_kw=1,
        quantity_tick_kw=1,
    )  # fmt: skip
    prices = {"v1_jpy_per_kwh": "20", "v2_jpy_per_kwh": "5"}
    bid = _bid(day, "inzai-battery", BidForm.CAPACITY, {"product": product.code, **prices})
    award = Award.objects.create(
        run=day.run,
        auction=day.auction,
        bid=bid,
        organisation=bid.organisation,
        resource=bid.resource,
        leg="RESERVED",
        direction="UP",
        product=product,
    )
    CapacityInterval.objects.bulk_create(
        CapacityInterval(
            award=award,
            t=t,
            start_at=settled_day.half_hour(day, t),
            quantity_kw=4_000,
            price_jpy_per_kw_30min=Decimal("1.2"),
        )
        for t in (10, 11, 12)
    )
    return award


def _assessed(
    verification: DeliveryVerification, award: Award, short_kw: int, **called: Any
) -> None:
    for held in award.capacity_intervals.all():
        CapacityAssessment.objects.create(
            verification=verification,
            award=award,
            t=held.t,
            start_at=held.start_at,
            reserved_kw=held.quantity_kw,
            available_kw=held.quantity_kw - short_kw,
            shortfall_kw=short_kw,
            is_declared=False,
            is_excused=False,
            **called,
        )


def test_a_capacity_penalty_that_a_dispute_decided_stays_whatever_is_read_later(
    day: cast.MarketDay,
) -> None:
    award = _reserved(day)
    first = verified(day, {})
    _assessed(first, award, 1_000)
    settlement_run_execute(auction_id=day.auction.id)
    t = min(award.capacity_intervals.values_list("t", flat=True))
    dispute = _accepted(day, "CAPACITY_PENALTY_I", t=t)
    delta = LineDelta(line_id=_line_of(dispute), amount_exact_jpy=Decimal(0))
    adjustment_run(dispute_id=dispute.id, deltas=[delta], actor="user:2")
    _assessed(verified(day, {}, corrects=first), award, 500)
    run = settlement_run_execute(auction_id=day.auction.id)
    # the other half hours alone
    found = set(run.lines.filter(item="CAPACITY_PENALTY_I").values_list("t", flat=True))
    assert found == {t + 1, t + 2}
    assert settlement_replay(run_id=run.pk).is_identical


def test_a_shortfall_whose_credit_is_lost_stops_a_whole_run(
    day: cast.MarketDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = lines.delivery_bodies

    def uncredited(*arguments: Any, **named: Any) -> list[str]:
        return [body for body in real(*arguments, **named) if "SHORTFALL_CREDIT" not in body]

    monkeypatch.setattr(lines, "delivery_bodies", uncredited)
    verified(day, {("inzai-defer", 36): Decimal(1_000)})
    with (
        pytest.raises(BrokenInvariant, match=r"191250\.0+ yen of shortfall to nobody"),
        transaction.atomic(),
    ):
        settlement_run_execute(auction_id=day.auction.id)


def test_a_penalty_of_capacity_that_reaches_no_buyer_it_has_stops_a_run(
    day: cast.MarketDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    award = _reserved(day)
    _assessed(verified(day, {}), award, 1_000)
    buyer = Share(account=str(_house_fee()), weight=Decimal(1), need=str(day.needs["local"].id))
    key = (str(award.product_id), award.resource.site.area_id, 11)
    monkeypatch.setattr(staging, "capacity_buyers", lambda _: {key: (buyer,)})
    real = lines.capacity_bodies
    monkeypatch.setattr(
        lines,
        "capacity_bodies",
        lambda: [body for body in real() if "CAPACITY_CREDIT" not in body],
    )
    # 1,000 kW x 1.20 x 1.5
    with (
        pytest.raises(BrokenInvariant, match=r"1800\.0+ yen of capacity to nobody"),
        transaction.atomic(),
    ):
        settlement_run_execute(auction_id=day.auction.id)


def _house_fee() -> str:
    return house_of_market().fee


def test_failures_of_a_month_are_counted_as_they_are_verified_now(day: cast.MarketDay) -> None:
    award = _reserved(day)
    first = verified(day, {})
    _assessed(first, award, 1_000)
    run = settlement_run_execute(auction_id=day.auction.id)
    rules = SettlementRules(penalties=PenaltyRules(repeat_failures=1))
    assert repeated_failures(run=run, rules=rules) == {"inzai-dc": 3}
    # the capacity was there after all
    _assessed(verified(day, {}, corrects=first), award, 0)
    assert repeated_failures(run=run, rules=rules) == {}

"""The same kW is never paid twice, and what a retailer is owed is found by its contract."""

from __future__ import annotations

import uuid
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from accounts.parties.models import OrganisationKind
from aggregator.core.terms import SettlementRules
from aggregator.settlement.agreed import contract_of
from aggregator.settlement.doubles import CapacitySoldTwice, double_sale_worst, doubles_refuse
from aggregator.settlement.models import NegawattContract, SettlementLine
from aggregator.settlement.runs import settlement_run_execute
from market.clearing.models import Award, CapacityInterval, ClearingRun, RunState
from market.registry.models import MarketProduct, Resource, Site
from market.trading.models import AuctionState
from tests import cast, settled_day
from tests.apps.test_settlement_corrections import verified

pytestmark = pytest.mark.django_db

RULES = SettlementRules()
# an award is one of a bid, a leg and a direction: a bid for each product
BIDS = {"3-1": "inzai-defer", "2-2": "inzai-battery-up", "3-2": "inzai-battery-down"}


@pytest.fixture
def day() -> cast.MarketDay:
    return settled_day.published(settled_day.settled_places())


def _limited(day: cast.MarketDay, name: str, **limits: Any) -> Resource:
    unit = day.places.resources[name]
    Resource.objects.filter(id=unit.id).update(**limits)
    return unit


def _reserved(day: cast.MarketDay, product: str, quantity_kw: int, run: ClearingRun) -> None:
    MarketProduct.objects.get_or_create(
        code=product,
        defaults={
            "name": product,
            "name_en": product,
            "response_s": 900,
            "quantity_min_kw": 1,
            "quantity_tick_kw": Decimal("0.1"),
        },
    )
    award = Award.objects.create(
        id=uuid.uuid4(),
        run=run,
        auction=run.auction,
        bid=day.bids[BIDS[product]],
        organisation=day.places.people.inzai_dc,
        resource=day.places.resources["inzai-load"],
        leg="RESERVED",
        direction="UP" if product != "3-2" else "DOWN",
        product_id=product,
    )
    CapacityInterval.objects.create(
        award=award,
        t=34,
        start_at=settled_day.half_hour(day, 34),
        quantity_kw=quantity_kw,
        price_jpy_per_kw_30min=2,
    )


def test_a_day_that_sold_no_more_than_there_is_passes(day: cast.MarketDay) -> None:
    assert double_sale_worst(auction=day.auction, rules=RULES) is None
    # 9,000 kW of deferral UP, and a tick for its rounding
    _limited(day, "inzai-load", limit_up_kw=Decimal("8999.9"))
    assert double_sale_worst(auction=day.auction, rules=RULES) is None


def test_more_than_there_is_stops_the_run_and_is_named(day: cast.MarketDay) -> None:
    unit = _limited(day, "inzai-load", limit_up_kw=Decimal("8999.8"))
    verified(day, {})
    said = f"8999.8 kW UP that {unit.code} has at t = 34, not 9000"
    with pytest.raises(CapacitySoldTwice, match=said), transaction.atomic():
        settlement_run_execute(auction_id=day.auction.id)
    assert not SettlementLine.objects.exists()


def test_capacity_of_another_auction_of_the_day_counts(day: cast.MarketDay) -> None:
    _limited(day, "inzai-load", limit_up_kw=10_000)
    later = cast.auction(day.places, code="ID-2026-11-25", state=AuctionState.PUBLISHED)
    run = ClearingRun.objects.create(auction=later, state=RunState.PUBLISHED)
    _reserved(day, "3-1", 1_000, run)
    doubles_refuse(auction=day.auction, rules=RULES)
    _reserved(day, "2-2", 600, run)
    found = double_sale_worst(auction=later, rules=RULES)
    assert found is not None
    assert (found.t, found.direction, found.sold_kw) == (34, "UP", Decimal(10_600))
    # As one composite the 600 kW are among the 1,000.
    composite = SettlementRules(composites=(("2-2", "3-1"),))
    assert double_sale_worst(auction=later, rules=composite) is None
    # the other direction is another kW
    _reserved(day, "3-2", 1, run)
    assert double_sale_worst(auction=later, rules=composite) is None


@pytest.fixture
def retailer(day: cast.MarketDay) -> Any:
    made = cast.organisation("retail-a", OrganisationKind.RETAILER, "小売A", "Retail A")
    Site.objects.filter(id=day.places.sites["inzai"].id).update(retailer=made)
    return made


def _contract(retailer: Any, **facts: Any) -> NegawattContract:
    return NegawattContract.objects.create(
        retailer=retailer,
        **{
            "method": "UNIT_PRICE",
            "price_jpy_per_kwh": Decimal("7.10"),
            "valid_from_on": date(2026, 4, 1),
            "noted_at": cast.datetime(2026, 4, 1, tzinfo=cast.UTC),
            **facts,
        },
    )


def _owed(run: Any) -> set[tuple[str, str, Decimal]]:
    lines = SettlementLine.objects.filter(run=run, item="NEGAWATT_COMPENSATION").select_related(
        "payer__organisation", "payee__organisation"
    )
    return {
        (line.payer.organisation.code, line.payee.organisation.code, line.amount_exact_jpy)
        for line in lines
    }


def test_a_retailer_is_paid_for_load_that_was_cut_and_the_seller_bears_it(
    day: cast.MarketDay, retailer: Any
) -> None:
    _contract(retailer)
    first = verified(day, {("inzai-defer", 36): Decimal(1_000)})
    run = settlement_run_execute(auction_id=day.auction.id)
    # Inzai's deferral, 6 x 4,500 - 1,000 = 26,000 kWh at 7.10; its battery cuts no load, and
    # Shiroi's retailer has no contract.
    assert _owed(run) == {
        ("wattbit", "retail-a", Decimal(184_600)),
        ("inzai-dc", "wattbit", Decimal(184_600)),
    }
    verified(day, {("inzai-defer", 36): Decimal(0)}, corrects=first)
    correction = settlement_run_execute(auction_id=day.auction.id)
    assert _owed(correction) == {
        ("wattbit", "retail-a", Decimal(7_100)),
        ("inzai-dc", "wattbit", Decimal(7_100)),
    }


def test_a_price_less_wheeling_is_paid_and_one_that_ended_is_not(
    day: cast.MarketDay, retailer: Any
) -> None:
    _contract(retailer, valid_to_on=cast.DAY)
    _contract(
        retailer,
        method="RETAIL_MINUS_WHEELING",
        price_jpy_per_kwh=Decimal(20),
        wheeling_jpy_per_kwh=Decimal("1.84"),
        valid_from_on=cast.DAY,
    )
    verified(day, {})
    # 27,000 kWh at 18.16
    run = settlement_run_execute(auction_id=day.auction.id)
    assert ("wattbit", "retail-a", Decimal(490_320)) in _owed(run)


def test_the_narrowest_contract_counts_then_the_newest(day: cast.MarketDay, retailer: Any) -> None:
    unit = Resource.objects.select_related("site").get(id=day.places.resources["inzai-load"].id)
    general = _contract(retailer)
    newer = _contract(retailer, valid_from_on=date(2026, 5, 1))
    site = _contract(retailer, site=unit.site)
    own = _contract(retailer, resource=unit)
    other = _contract(day.places.people.grid_t)
    assert contract_of(unit, [own, newer, general, site, other]) == own
    assert contract_of(unit, [newer, general, site]) == site
    assert contract_of(unit, [newer, general]) == newer
    assert contract_of(unit, [other]) is None


def test_a_retailer_is_paid_though_the_resource_sold_capacity_on_another_day(
    day: cast.MarketDay, retailer: Any
) -> None:
    _limited(day, "inzai-load", limit_up_kw=10_000)
    _contract(retailer)
    later = cast.auction(day.places, code="ID-2026-11-25", state=AuctionState.PUBLISHED)
    _reserved(day, "2-2", 100, ClearingRun.objects.create(auction=later, state=RunState.PUBLISHED))
    verified(day, {})
    run = settlement_run_execute(auction_id=day.auction.id)
    # 6 x 4,500 kWh of the deferral at 7.10
    assert ("wattbit", "retail-a", Decimal(191_700)) in _owed(run)

"""Capacity, computing, envelopes and payment rules become charges that add up as published."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from aggregator.core.charges import charge_lines
from aggregator.core.settlement import Item
from aggregator.core.terms import SettlementRules, rules_from_mapping
from aggregator.settlement.charging import (
    charges_of,
    computing_left_jpy,
    follow_on_charges,
    split_lines,
)
from aggregator.settlement.composites import composite_charges
from aggregator.settlement.parties import MarketParties
from aggregator.settlement.results import PublishedResult, result_of
from market.clearing import services
from market.clearing.engine import SolverEngine
from market.clearing.models import Award, CapacityInterval, ClearingRun, RunState
from market.registry.models import MarketProduct, RevenueSplit
from market.trading.models import AuctionState, Bid, Need
from tests import cast, forms

pytestmark = pytest.mark.django_db

SEN = Decimal("0.01")


@pytest.fixture(scope="module")
def solver() -> Iterator[SolverEngine]:
    """Return one warm solver for the tests of this file."""
    with SolverEngine() as engine:
        yield engine


@pytest.fixture
def result(monkeypatch: pytest.MonkeyPatch, solver: SolverEngine) -> PublishedResult:
    """Return the published result of the day with a bid of every form."""
    monkeypatch.setattr(services, "engine", lambda: solver)
    forms.cleared_day()
    run = ClearingRun.objects.select_related("auction__grid_model", "snapshot").get()
    return result_of(run, MarketParties(run))


def _totals(result: PublishedResult) -> dict[tuple[Item, str], Decimal]:
    """Sum charges by item and account: what each owes the house."""
    totals: dict[tuple[Item, str], Decimal] = defaultdict(Decimal)
    for charge in charges_of(result):
        totals[charge.item, charge.account] += charge.amount_exact_jpy
    return dict(totals)


def _account(result: PublishedResult, code: str) -> str:
    organisations = {
        "grid-t": cast.people().grid_t,
        "inzai": cast.people().inzai_dc,
        "shiroi": cast.people().shiroi_dc,
        "customer": forms.customer(),
    }
    return result.parties.member(organisations[code])


def test_capacity_is_paid_by_its_buyer_to_its_seller(result: PublishedResult) -> None:
    totals = _totals(result)
    # 3,000 kW in 6 half hours at 1.20 per kW and half hour: 21,600
    assert totals[Item.CAPACITY_CHARGE, _account(result, "grid-t")] == Decimal(21_600)
    assert totals[Item.CAPACITY, _account(result, "inzai")] == Decimal(-21_600)


def test_computing_is_paid_by_who_asked_to_who_ran_it_and_to_the_path(
    result: PublishedResult,
) -> None:
    totals = _totals(result)
    (request,), (offer,) = result.document["requests"], result.document["compute"]
    paid_jpy = totals[Item.COMPUTE_CHARGE, _account(result, "customer")]
    path_jpy = totals[Item.PATH_FEE, _account(result, "customer")]
    # 1,800 kWh of IT, half a GB each at 0.02: 18 yen
    assert path_jpy == Decimal(18)
    assert paid_jpy + path_jpy == Decimal(str(request["paid_jpy"]))
    assert totals[Item.COMPUTE, _account(result, "inzai")] == -Decimal(str(offer["receipt_jpy"]))
    assert paid_jpy - Decimal(str(offer["receipt_jpy"])) == computing_left_jpy(result)
    # a tick of 0.01 on 1,800 kWh
    assert abs(computing_left_jpy(result)) <= 18


def test_what_is_still_above_an_envelope_is_owed_to_its_operator(result: PublishedResult) -> None:
    totals = _totals(result)
    # 500 kW for half an hour at the rules' 200: 50,000; nobody relieved it, so nothing else is
    assert totals[Item.ENVELOPE_PENALTY, _account(result, "shiroi")] == Decimal(50_000)
    assert totals[Item.ENVELOPE_PENALTY, _account(result, "grid-t")] == Decimal(-50_000)
    assert totals.get((Item.ENVELOPE, _account(result, "shiroi")), Decimal(0)) == 0


def test_payment_rules_move_money_and_make_none(result: PublishedResult) -> None:
    payments: dict[str, Any] = dict(result.document["payments"])
    whole = sum((Decimal(str(item["amount_jpy"])) for item in payments["make_whole"]), Decimal(0))
    moved = [c.amount_exact_jpy for c in charges_of(result) if c.item is Item.PAYMENT_RULE]
    assert abs(sum(moved, Decimal(0))) <= SEN
    assert sum((-amount for amount in moved if amount < 0), Decimal(0)) >= whole


def test_every_charge_is_a_line_of_the_house(result: PublishedResult) -> None:
    house = result.parties.house
    lines = charge_lines(charges_of(result), house=house)
    assert lines
    assert all(house.clearing in (line.payer, line.payee) for line in lines)
    assert all(line.amount_exact_jpy > 0 for line in lines)


def _follow_on(result: PublishedResult, rules: SettlementRules) -> dict[tuple[Item, str], Decimal]:
    totals: dict[tuple[Item, str], Decimal] = defaultdict(Decimal)
    for charge in follow_on_charges(result, charges_of(result), rules):
        totals[charge.item, charge.account] += charge.amount_exact_jpy
    return dict(totals)


def test_a_product_that_is_sold_on_costs_the_exchange_s_fee(result: PublishedResult) -> None:
    product = str(Award.objects.get(leg="RESERVED").product_id)
    row = {"product": product, "valid_from_on": "2025-04-01", "price_jpy_per_kw_30min": "0.03"}
    # 3,000 kW in 6 half hours at 0.03: 540, from the seller to the account of the fees
    assert _follow_on(result, rules_from_mapping({"exchange_fees": [row]})) == {
        (Item.EXCHANGE_FEE, _account(result, "inzai")): Decimal(540),
        (Item.EXCHANGE_FEE, result.parties.exchange): Decimal(-540),
    }
    later = rules_from_mapping({"exchange_fees": [{**row, "valid_from_on": "2027-04-01"}]})
    assert _follow_on(result, later) == {}


def test_a_composite_s_kw_are_paid_once_and_the_buyers_get_the_rest_back(
    result: PublishedResult,
) -> None:
    award = Award.objects.get(leg="RESERVED")
    product = str(award.product_id)
    twin_product = MarketProduct.objects.create(
        code="twin", name="双子", name_en="Twin", response_s=900, quantity_min_kw=1,
        quantity_tick_kw=1,
    )  # fmt: skip
    Need.objects.filter(kind="CAPACITY").update(product=award.product)
    twin = Award.objects.create(
        id=uuid.uuid4(),
        run=award.run,
        auction=award.auction,
        bid=Bid.objects.exclude(id=award.bid_id).filter(auction=award.auction).order_by("id")[0],
        organisation=award.organisation,
        resource=award.resource,
        leg="RESERVED",
        direction=award.direction,
        product=twin_product,
    )
    rules = SettlementRules(composites=((product, "twin"),))
    published = [row for row in charges_of(result) if row.item is Item.CAPACITY]
    first = next(row for row in published if row.amount_exact_jpy)
    # the same 3,000 kW at 1.20 once more, under the other product's name: 3,600 in the half hour
    both = [first, replace(first, award=str(twin.id))]
    kw = {(str(row.award), first.t or 0): Decimal(3_000) for row in both}
    held = {award.id: award, twin.id: twin}
    found = list(composite_charges(result, rules, both, kw, held))
    taken = [row for row in found if row.item is Item.CAPACITY]
    # half of the second claim each; the buyers of the twin are unknown, so its half is left
    assert [(row.award, row.amount_exact_jpy) for row in taken] == [(str(award.id), Decimal(1_800))]
    back = [row for row in found if row.item is Item.CAPACITY_CHARGE]
    assert [(row.account, row.amount_exact_jpy) for row in back] == [
        (_account(result, "grid-t"), Decimal(-1_800))
    ]


def _other_auction(award: Award, product: str, *, minutes: int) -> Award:
    """Publish another auction of the day that reserved 2,000 kW of the same resource at 2.00."""
    MarketProduct.objects.create(
        code=product, name="双子", name_en="Twin", response_s=900, quantity_min_kw=1,
        quantity_tick_kw=1,
    )  # fmt: skip
    day = award.auction
    where: Any = SimpleNamespace(ruleset=day.ruleset, grid_model=day.grid_model)
    auction = cast.auction(
        where, delivery_on=day.delivery_on, code="ID-2026-11-25", state=AuctionState.PUBLISHED
    )
    assert award.run.published_at is not None
    run = ClearingRun.objects.create(
        auction=auction,
        state=RunState.PUBLISHED,
        published_at=award.run.published_at + timedelta(minutes=minutes),
    )
    twin = Award.objects.create(
        id=uuid.uuid4(),
        run=run,
        auction=auction,
        bid=award.bid,
        organisation=award.organisation,
        resource=award.resource,
        leg="RESERVED",
        direction=award.direction,
        product_id=product,
    )
    CapacityInterval.objects.bulk_create(
        CapacityInterval(
            award=twin,
            t=row.t,
            start_at=row.start_at,
            quantity_kw=2_000,
            price_jpy_per_kw_30min=2,
        )
        for row in award.capacity_intervals.all()
    )
    return twin


def _composite_of(result: PublishedResult, minutes: int) -> list[tuple[Item, str, Decimal]]:
    award = Award.objects.get(leg="RESERVED")
    product = str(award.product_id)
    Need.objects.filter(kind="CAPACITY").update(product=award.product)
    _other_auction(award, "twin", minutes=minutes)
    rules = SettlementRules(composites=((product, "twin"),))
    totals = _follow_on(result, rules)
    return sorted((item, account, amount) for (item, account), amount in totals.items())


def test_a_composite_is_paid_once_over_the_auctions_of_a_day(result: PublishedResult) -> None:
    # Published before: 2,000 kW at 2.00 are paid. Here 3,000 kW at 1.20 add the 1,000 kW above
    # them alone: of 3,600 in each of 6 half hours 2,400 go back, to who bought them.
    assert _composite_of(result, -1) == [
        (Item.CAPACITY, _account(result, "inzai"), Decimal(14_400)),
        (Item.CAPACITY_CHARGE, _account(result, "grid-t"), Decimal(-14_400)),
    ]


def test_what_is_published_later_takes_nothing_from_an_earlier_auction(
    result: PublishedResult,
) -> None:
    assert _composite_of(result, 1) == []


def test_what_a_composite_takes_back_is_taken_back_of_agreed_parts_too(
    result: PublishedResult,
) -> None:
    award = Award.objects.select_related("resource__site").get(leg="RESERVED")
    RevenueSplit.objects.create(
        site=award.resource.site,
        organisation=cast.people().grid_t,
        share_ratio=Decimal("0.15"),
        valid_from_on=cast.date(2026, 4, 1),
    )
    published = [row for row in charges_of(result) if row.award == str(award.id)]
    # 15 % of 21,600, and of 21,600 - 14,400
    (before,) = split_lines(result, published)
    back = replace(published[0], item=Item.CAPACITY, amount_exact_jpy=Decimal(14_400))
    (after,) = split_lines(result, [*published, back])
    assert (before.amount_exact_jpy, after.amount_exact_jpy) == (Decimal(3_240), Decimal(1_080))

"""Where rules ask prequalification, only what is fit at the gate is bid, and only for so much."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from market.clearing.book import book_freeze
from market.core.errors import InvalidRules
from market.registry.models import (
    MarketProduct,
    Prequalification,
    PrequalificationState,
    Resource,
    Ruleset,
)
from market.registry.prequalification_services import (
    Caller,
    prequalification_decide,
    prequalification_request,
    prequalification_withdraw,
)
from market.registry.selectors import prequalified, prequalified_then
from market.registry.services import ruleset_enact
from market.trading.bids import bid_submit
from market.trading.models import Auction, AuctionState, Bid
from market.trading.opening import book_open
from market.trading.prequalified import NotPrequalified, bids_unqualified
from market.trading.selectors import book_of
from tests import cast, forms

pytestmark = pytest.mark.django_db

ENERGY, CAPACITY = "energy-day-ahead", "dkw-up-3h"
RULES: dict[str, Any] = {
    **cast.RULES,
    "products": forms.PRODUCTS,
    "prequalification": {"capacity_products": [CAPACITY], "energy_product": ENERGY},
}
STEPS: dict[str, Any] = {
    "client_bid_id": "evening",
    "resource": "inzai-dc-1-battery",
    "form": "STEPS",
    "mechanism": "BATTERY",
    "direction": "UP",
    "curves": [
        {
            "first_t": 34,
            "last_t": 39,
            "steps": [{"quantity_kw": "6000", "ask_jpy_per_kwh": "12.50"}],
        }
    ],
}


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction an hour before its gate, whose rules ask prequalification."""
    for code, response_s in ((ENERGY, 1_800), (CAPACITY, 2_700)):
        MarketProduct.objects.create(
            code=code,
            name=code,
            name_en=code,
            response_s=response_s,
            quantity_min_kw=1,
            quantity_tick_kw=Decimal("0.1"),
        )
    Ruleset.objects.create(version="2026-09-01", valid_from_on="2026-09-01", rules=RULES)
    where = cast.places()
    Resource.objects.update(response_s=60)
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _caller(day: cast.MarketDay, *, is_grid: bool = False) -> Caller:
    people = day.places.people
    return Caller(organisation=people.grid_t if is_grid else people.inzai_dc, actor="test")


def _fit(
    day: cast.MarketDay,
    product: str = ENERGY,
    *,
    resource: str = "inzai-battery",
    quantity_kw: int = 8_000,
    state: str = PrequalificationState.QUALIFIED,
    **how: Any,
) -> Prequalification:
    asked = prequalification_request(
        resource=day.places.resources[resource],
        product=MarketProduct.objects.get(code=product),
        area=day.places.area,
        by=_caller(day),
        quantity_kw=Decimal(quantity_kw),
        security_confirmed_to_on=cast.DAY + timedelta(days=90),
        is_metered=True,
    )
    assert asked.state == PrequalificationState.CHECKED, asked.findings
    return prequalification_decide(
        row=asked,
        version=asked.version,
        to_state=state,
        by=_caller(day, is_grid=True),
        is_metered=True,
        **how,
    )


def _submit(day: cast.MarketDay, bid: dict[str, Any]) -> Any:
    return bid_submit(auction_id=day.auction.id, organisation=day.places.people.inzai_dc, bid=bid)


def _refusal(day: cast.MarketDay, bid: dict[str, Any]) -> Refused:
    with pytest.raises(NotPrequalified) as refused:
        _submit(day, bid)
    assert not Bid.objects.exists()
    return refused.value


def test_a_resource_that_nobody_qualified_is_refused_by_name(day: cast.MarketDay) -> None:
    refused = _refusal(day, STEPS)
    assert (refused.code, refused.field) == ("not-prequalified", "bids[0].resource")
    assert str(refused) == (
        "bids[0].resource: 'inzai-dc-1-battery' — prequalified for energy-day-ahead at the gate"
    )
    _fit(day)
    assert _submit(day, STEPS).is_new


def test_energy_does_not_qualify_for_capacity_nor_the_other_way_round(day: cast.MarketDay) -> None:
    _fit(day)
    assert "dkw-up-3h" in str(_refusal(day, forms.capacity()))
    _fit(day, CAPACITY, quantity_kw=3_999)
    # the bid holds 4,000 kW ready
    over = _refusal(day, forms.capacity())
    assert (over.value, over.rule) == (
        "4000",
        "at most the 3999.0 kW of dkw-up-3h it is prequalified for",
    )
    less = forms.capacity()
    less["offers"][0]["quantity_kw"] = "3999"
    assert _submit(day, less).is_new


def test_more_than_it_is_fit_for_is_refused(day: cast.MarketDay) -> None:
    _fit(day, quantity_kw=5_999)
    assert "at most the 5999.0 kW" in str(_refusal(day, STEPS))


def test_a_temporary_one_must_outlast_the_gate(day: cast.MarketDay) -> None:
    gate, temporary = day.auction.gate_closure_at, PrequalificationState.TEMPORARY
    row = _fit(day, state=temporary, valid_until_at=gate)
    _refusal(day, STEPS)
    prequalification_decide(
        row=row,
        version=row.version,
        to_state=temporary,
        by=_caller(day, is_grid=True),
        is_metered=True,
        valid_until_at=gate + timedelta(seconds=1),
    )
    assert _submit(day, STEPS).is_new


def _suspend(day: cast.MarketDay, row: Prequalification) -> None:
    prequalification_decide(
        row=row,
        version=row.version,
        to_state=PrequalificationState.SUSPENDED,
        by=_caller(day, is_grid=True),
        is_metered=True,
        reason="試験不合格",
    )


def _withdraw(day: cast.MarketDay, row: Prequalification) -> None:
    prequalification_withdraw(row=row, version=row.version, by=_caller(day))


@pytest.mark.parametrize("end", [_suspend, _withdraw])
def test_one_that_ended_counts_no_more(
    day: cast.MarketDay, end: Callable[[cast.MarketDay, Prequalification], None]
) -> None:
    end(day, _fit(day))
    _refusal(day, STEPS)


def test_every_member_of_a_portfolio_is_fit_for_its_part(day: cast.MarketDay) -> None:
    unit = cast._resource(day.places.sites["inzai"], "unit", "DC_LOAD", 1, 1)
    Resource.objects.filter(id=unit.id).update(response_s=60)
    portfolio = forms.Portfolio.objects.create(
        organisation=day.places.people.inzai_dc, code="inzai-all", name="印西一括"
    )
    portfolio.resources.set([day.places.resources["inzai-load"], unit])
    _fit(day, resource="inzai-load", quantity_kw=12_000)
    refused = _refusal(day, forms.portfolio())
    assert (refused.field, refused.value) == ("bids[0].members[1].resource", "inzai-dc-1-unit")
    day.places.resources["inzai-unit"] = unit
    _fit(day, resource="inzai-unit", quantity_kw=1)
    assert _submit(day, forms.portfolio()).is_new


def test_computing_needs_none(day: cast.MarketDay) -> None:
    assert _submit(day, forms.compute_offer()).is_new


def test_a_retired_resource_is_bid_no_more(day: cast.MarketDay) -> None:
    _fit(day)
    Resource.objects.filter(code="inzai-dc-1-battery").update(
        retired_at=day.auction.gate_closure_at - timedelta(days=1)
    )
    with pytest.raises(NotFound, match="a known resource"):
        _submit(day, STEPS)


def test_a_bid_that_lost_it_before_the_gate_is_left_out_and_after_it_is_not(
    day: cast.MarketDay,
) -> None:
    kept = _fit(day)
    load = _fit(day, resource="inzai-load", quantity_kw=12_000)
    stays = _submit(day, STEPS)
    shift = {**STEPS, "client_bid_id": "load", "resource": "inzai-dc-1-load"}
    goes = _submit(day, {**shift, "mechanism": "DEFERRAL"})
    _suspend(day, load)
    clock_set(market_at=day.auction.gate_closure_at + timedelta(seconds=1))
    _suspend(day, kept)  # too late to count
    Auction.objects.filter(id=day.auction.id).update(
        state=AuctionState.CLOSED, closed_at=day.auction.gate_closure_at
    )
    auction = Auction.objects.get(id=day.auction.id)
    book_open(auction_id=auction.id)
    book = book_freeze(auction)
    assert book.left_out == {
        goes.bid_id: "resource: inzai-dc-1-load was not prequalified for energy-day-ahead "
        "at the gate"
    }
    assert [bid["id"] for bid in json.loads(book.content)["bids"]] == [str(stays.bid_id)]
    assert list(bids_unqualified(auction, book_of(auction))) == [goes.bid_id]
    battery = day.places.resources["inzai-battery"]
    asked: dict[str, Any] = {
        "resource_ids": [battery.id],
        "product": ENERGY,
        "at": auction.gate_closure_at,
    }
    assert (prequalified(**asked), prequalified_then(**asked)) == ({}, {battery.id})


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"capacity_products": ["other"]}, "rules.prequalification.capacity_products[0]"),
        ({"capacity_products": "dkw-up-3h"}, "rules.prequalification.capacity_products"),
        ({"energy_product": "other"}, "rules.prequalification.energy_product"),
        ({"energy_product": None}, "rules.prequalification.energy_product"),
        ({"everything": True}, "rules.prequalification.everything"),
    ],
)
def test_rules_ask_it_for_what_is_traded_only(
    day: cast.MarketDay, asked: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRules) as refused:
        ruleset_enact(
            version="2027", valid_from_on=cast.DAY, rules={**RULES, "prequalification": asked}
        )
    assert refused.value.field == field
    ruleset_enact(version="2027", valid_from_on=cast.DAY, rules=RULES)

"""Needs, flows and limits: published before the gate by those they belong to, revised, exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from market.trading.gates import GateClosed
from market.trading.models import Auction, AuctionState, BaseFlow, Need, NeedState, TransferLimit
from market.trading.selectors import needs_of
from market.trading.services import (
    InvalidNeed,
    NeedDetails,
    auction_cancel,
    auction_schedule,
    base_flows_publish,
    need_publish,
    need_withdraw,
    transfer_limit_publish,
)
from tests import cast

pytestmark = pytest.mark.django_db

LOCAL = NeedDetails(
    code="inzai-line-up",
    kind="LOCAL",
    direction="UP",
    congestion_point="inzai-line",
    flow_sign=1,
    quantity_kw=["0"] * 34 + ["12000"] * 6 + ["0"] * 8,
    cap_jpy_per_kwh=["180"] * 48,
)
BALANCE = NeedDetails(
    code="tokyo-up",
    kind="BALANCE",
    direction="UP",
    area_code="03",
    quantity_kw=["21000"] * 48,
    cap_jpy_per_kwh=["60"] * 48,
)


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction on the triangle, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _publish(day: cast.MarketDay, details: NeedDetails, **changes: Any) -> Need:
    return need_publish(
        auction_id=day.auction.id,
        organisation=day.places.people.grid_t,
        details=replace(details, **changes),
    )


def test_a_revision_supersedes_the_need_before(day: cast.MarketDay) -> None:
    first = _publish(day, LOCAL)
    second = _publish(day, LOCAL, quantity_kw=["100"] * 48)
    first.refresh_from_db()
    assert (first.state, second.revision, second.supersedes_id) == (
        NeedState.SUPERSEDED,
        2,
        first.id,
    )
    assert [need.id for need in needs_of(day.auction)] == [second.id]


def test_a_withdrawn_need_leaves_the_auction(day: cast.MarketDay) -> None:
    _publish(day, BALANCE)
    grid_t = day.places.people.grid_t
    need_withdraw(auction_id=day.auction.id, organisation=grid_t, code="tokyo-up")
    assert not needs_of(day.auction).exists()
    with pytest.raises(NotFound):
        need_withdraw(auction_id=day.auction.id, organisation=grid_t, code="tokyo-up")


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("quantity_kw", {"quantity_kw": ["1"] * 47}),
        ("quantity_kw[3]", {"quantity_kw": ["1"] * 3 + ["-1"] + ["1"] * 44}),
        ("quantity_kw[0]", {"quantity_kw": ["NaN"] * 48}),
        ("quantity_kw[0]", {"quantity_kw": [float("inf")] * 48}),
        ("quantity_kw", {"quantity_kw": "1" * 48}),
        ("cap_jpy_per_kwh[0]", {"cap_jpy_per_kwh": ["100000"] * 48}),
        ("cap_jpy_per_kwh[47]", {"cap_jpy_per_kwh": ["1"] * 47 + ["0.005"]}),
        ("direction", {"direction": "SIDEWAYS"}),
        ("congestion_point", {"congestion_point": "nowhere"}),
        ("flow_sign", {"flow_sign": 0}),
        ("kind", {"kind": "WISH"}),
        ("flow_sign", {"area_code": "03"}),
    ],
)
def test_a_need_that_breaks_a_rule_is_refused_whole(
    day: cast.MarketDay, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _publish(day, LOCAL, **changes)
    assert refused.value.field == field
    assert not Need.objects.exists()


def test_only_the_grid_operator_of_a_place_asks_for_relief_there(day: cast.MarketDay) -> None:
    people = day.places.people
    other = cast.organisation("grid-k", "TSO", "グリッドK", "Grid-K")
    for organisation, details, rule in (
        (people.inzai_dc, LOCAL, "a grid operator"),
        (other, LOCAL, "an element of this grid operator"),
        (other, BALANCE, "the operator's own area"),
    ):
        with pytest.raises(InvalidNeed, match=rule):
            need_publish(auction_id=day.auction.id, organisation=organisation, details=details)
    assert not Need.objects.exists()


def test_an_unknown_area_is_refused(day: cast.MarketDay) -> None:
    with pytest.raises(NotFound, match="a known area code"):
        _publish(day, BALANCE, area_code="11")


def test_after_the_gate_nothing_is_published(day: cast.MarketDay) -> None:
    clock_set(market_at=day.auction.gate_closure_at)
    grid_t = day.places.people.grid_t
    with pytest.raises(GateClosed):
        _publish(day, LOCAL)
    with pytest.raises(GateClosed):
        base_flows_publish(
            auction_id=day.auction.id,
            organisation=grid_t,
            base_flow_kw_of={"inzai-line": ["1"] * 48},
        )
    assert not Need.objects.exists()
    assert not BaseFlow.objects.exists()


def test_forecast_flows_may_be_negative_and_are_versioned(day: cast.MarketDay) -> None:
    grid_t = day.places.people.grid_t
    for value in ("-1500.5", "900"):
        base_flows_publish(
            auction_id=day.auction.id,
            organisation=grid_t,
            base_flow_kw_of={"inzai-line": [value] * 48},
        )
    assert [
        (row.revision, row.base_flow_kw[0]) for row in BaseFlow.objects.order_by("revision")
    ] == [(1, Decimal("-1500.5")), (2, Decimal(900))]
    with pytest.raises(NotFound, match="a monitored element"):
        base_flows_publish(
            auction_id=day.auction.id, organisation=grid_t, base_flow_kw_of={"x": ["1"] * 48}
        )


def test_a_transfer_limit_names_two_known_areas(day: cast.MarketDay) -> None:
    with pytest.raises(NotFound, match="a known area code"):
        transfer_limit_publish(
            auction_id=day.auction.id, from_area="03", to_area="11", limit_kw=["1"] * 48
        )
    assert not TransferLimit.objects.exists()


def test_an_auction_needs_zoned_and_ordered_times(day: cast.MarketDay) -> None:
    opens_at, gate_at = day.auction.opens_at, day.auction.gate_closure_at
    common = {
        "name": "x",
        "delivery_on": day.auction.delivery_on,
        "grid_model": day.places.grid_model,
    }
    naive = datetime(2026, 11, 24, 9, 0)  # noqa: DTZ001 - that is the point
    for code, times, field in (
        ("a", (naive, gate_at), "opens_at"),
        ("b", (gate_at, opens_at), "gate_closure_at"),
        (day.auction.code, (opens_at, gate_at), "code"),
    ):
        with pytest.raises(Refused) as refused:
            auction_schedule(code=code, opens_at=times[0], gate_closure_at=times[1], **common)
        assert refused.value.field == field
    assert Auction.objects.count() == 1


def test_a_cancelled_auction_says_why_and_stays_so(day: cast.MarketDay) -> None:
    assert auction_cancel(auction_id=day.auction.id, reason="no forecast")
    assert not auction_cancel(auction_id=day.auction.id, reason="again")
    auction = Auction.objects.get()
    assert (auction.state, auction.state_reason) == (AuctionState.CANCELLED, "no forecast")
    with pytest.raises(GateClosed, match="CANCELLED"):
        _publish(day, LOCAL)

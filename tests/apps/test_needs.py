"""Needs, flows and limits: published before the gate by those they belong to, revised, exact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from market.registry.models import Bus, ControllableLink
from market.trading.condition_services import base_flows_publish, transfer_limit_publish
from market.trading.gates import GateClosed
from market.trading.models import Auction, AuctionState, BaseFlow, Need, NeedState, TransferLimit
from market.trading.needs import InvalidNeed, NeedDetails, need_publish, need_withdraw
from market.trading.selectors import needs_of
from market.trading.services import auction_cancel, auction_schedule
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
    cast.base_flows(where, auction)
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
        ("flow_sign", {"flow_sign": True}),
        ("code", {"code": ""}),
        ("code", {"code": "a\n"}),
        ("code", {"code": None, "kind": "BALANCE"}),
        ("code", {"code": "x" * 61}),
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
    assert set(BaseFlow.objects.values_list("revision", flat=True)) == {1}


def test_forecast_flows_may_be_negative_and_are_versioned(day: cast.MarketDay) -> None:
    grid_t = day.places.people.grid_t
    base_flows_publish(
        auction_id=day.auction.id,
        organisation=grid_t,
        base_flow_kw_of={"inzai-line": ["-1500.5"] * 48},
    )
    rows = BaseFlow.objects.filter(congestion_point__code="inzai-line").order_by("revision")
    assert [(row.revision, row.base_flow_kw[0]) for row in rows] == [
        (1, Decimal(140_000)),
        (2, Decimal("-1500.5")),
    ]
    with pytest.raises(NotFound, match="a monitored element"):
        base_flows_publish(
            auction_id=day.auction.id, organisation=grid_t, base_flow_kw_of={"x": ["1"] * 48}
        )


def test_a_local_need_wants_the_forecast_it_is_about(day: cast.MarketDay) -> None:
    other = cast.auction(day.places, code="DA-2")
    with pytest.raises(InvalidNeed, match="whose forecast flow is published"):
        need_publish(auction_id=other.id, organisation=day.places.people.grid_t, details=LOCAL)


def test_a_transfer_limit_joins_two_areas_that_the_network_joins(day: cast.MarketDay) -> None:
    grid_t = day.places.people.grid_t
    cast.area("02", "東北", "Tohoku", tso=grid_t)

    def publish(from_area: str, to_area: str, **more: Any) -> TransferLimit:
        return transfer_limit_publish(
            auction_id=day.auction.id,
            organisation=more.pop("organisation", grid_t),
            from_area=from_area,
            to_area=to_area,
            limit_kw=["1"] * 48,
            **more,
        )

    for areas, rule in (
        (("03", "11"), "a known area code"),
        (("03", "03"), "another area"),
        (("03", "02"), "with buses in the auction's grid model"),
    ):
        with pytest.raises(Refused, match=rule):
            publish(*areas)
    bus = Bus.objects.get(code="shiroi")
    Bus.objects.create(
        grid_model=bus.grid_model, code="sendai", area_id="02", island="50Hz", voltage_kv=275
    )
    stranger = day.places.people.inzai_dc
    with pytest.raises(InvalidNeed, match="the operator of one of the areas"):
        publish("03", "02", organisation=stranger)
    with pytest.raises(NotFound, match="a link of the grid model"):
        publish("03", "02", link_code="no-such")
    assert publish("03", "02").limit_kw[0] == 1
    with pytest.raises(InvalidNeed, match="one limit between two areas"):
        publish("02", "03")
    assert TransferLimit.objects.count() == 1


def test_areas_of_two_islands_are_joined_by_a_link_only(day: cast.MarketDay) -> None:
    grid_t = day.places.people.grid_t
    cast.area("09", "九州", "Kyushu", tso=grid_t)
    shiroi = Bus.objects.get(code="shiroi")
    far = Bus.objects.create(
        grid_model=shiroi.grid_model, code="kyushu", area_id="09", island="60Hz", voltage_kv=275
    )
    common = {
        "auction_id": day.auction.id,
        "organisation": grid_t,
        "from_area": "03",
        "to_area": "09",
        "limit_kw": ["1"] * 48,
    }
    with pytest.raises(InvalidNeed, match="in the same island, or over a link"):
        transfer_limit_publish(**common)
    ControllableLink.objects.create(
        grid_model=shiroi.grid_model, code="fc", from_bus=shiroi, to_bus=far, rating_kw=1
    )
    assert transfer_limit_publish(**common, link_code="fc").link is not None


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

"""What the latest published prices would have paid, said of every form of bid."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from aggregator.portal.dc.telling import Told
from aggregator.portal.drafts import DraftText, draft_save
from market.clearing.models import ClearingPrice, PriceKind
from tests import cast
from tests.portal.conftest import client_of

LOAD = {"resource": "inzai-dc-1-load", "mechanism": "DEFERRAL"}
BLOCK = {
    "direction": "UP", "t_first": "34", "t_end": "36", "profile_kw": "1000", "ask": "40",
    "acceptance_min": "100", "start_cost": "5000", "exclusive_group": "", "parent": "",
}  # fmt: skip
WAIT = {
    "t_first": "34", "t_end": "44", "arriving_kw": "1000", "service_kw": "2000",
    "slack_count": "4", "rebound_kw": "1000", "extra_work": "0", "ask": "5",
}  # fmt: skip
STORE = {
    "t_first": "0", "t_end": "48", "discharge_kw": "1000", "charge_kw": "1000", "wear": "2",
    "cycles_max": "1", "energy_kwh": "12000", "reserve_kwh": "2000", "start_kwh": "2000",
    "end_min_kwh": "2000", "charge_efficiency": "95", "discharge_efficiency": "95",
    "standing_loss": "0",
}  # fmt: skip


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return an open auction; prices of the day before are published."""
    where = cast.places()
    auction = cast.auction(where)
    cast.needs(where, auction)
    before = cast.auction(
        where, delivery_on=auction.delivery_on - timedelta(days=1), code="DA-BEFORE"
    )
    run = cast.run(before)
    ClearingPrice.objects.bulk_create(
        ClearingPrice(
            run=run, kind=PriceKind.PLACE, site=where.sites["inzai"], t=t,
            start_at=before.delivery_start + timedelta(minutes=30 * t),
            price_jpy_per_kwh=cast.site_price("inzai", t),
        )
        for t in range(48)
    )  # fmt: skip
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _drafted(day: cast.MarketDay, head: dict[str, str], fields: dict[str, str]) -> str:
    people = day.places.people
    draft_save(
        organisation=people.inzai_dc, author_id=people.owner.pk, kind="BID",
        subject=day.auction.code, name="mine", version=None,
        text=DraftText(head=head, fields=fields),
    )  # fmt: skip
    return f"/dc/bids/{day.auction.code}/mine/"


def _told(day: cast.MarketDay, client: Client, address: str, seen: list[Told]) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    seen.append(answer.context["told"])
    return answer.content.decode()


def test_a_block_is_told_what_yesterday_would_have_paid(
    day: cast.MarketDay,
) -> None:
    owner, seen = client_of(day.places.people.owner), list[Told]()
    price = [cast.site_price("inzai", t) for t in range(48)]
    here = _drafted(day, {"form": "BLOCK", **LOAD}, BLOCK)
    page = _told(day, owner, here, seen)
    # two half hours of 1,000 kW: 500 kWh each; asked 40 JPY/kWh and 5,000 JPY to start
    received = 500 * (price[34] + price[35])
    assert [(row.received_jpy, row.cost_jpy, row.sold_kwh) for row in seen[0].past] == [
        (received, Decimal(1000 * 40 + 5000), Decimal(1000))
    ]
    assert "段階入札だけに計算します" not in page
    risk: Any = seen[0].risk
    assert risk.price_jpy_per_kwh == received / 1000
    assert [row.missing_kw for row in risk.rows] == [100, 300, 1000]
    assert owner.get(f"{here}past.json").status_code == 200


def test_what_deferred_work_buys_back_comes_off_what_it_receives(day: cast.MarketDay) -> None:
    owner, seen = client_of(day.places.people.owner), list[Told]()
    _told(day, owner, _drafted(day, {"form": "DEFERRAL", **LOAD}, WAIT), seen)
    (row,) = seen[0].past
    assert row.sold_kwh > 0
    assert row.cost_jpy == 5 * row.sold_kwh
    assert row.gain_jpy > 0
    assert seen[0].risk is not None


def test_a_store_is_told_what_it_would_have_bought_and_sold(day: cast.MarketDay) -> None:
    owner, seen = client_of(day.places.people.owner), list[Told]()
    head = {"form": "STORAGE", "resource": "inzai-dc-1-battery", "mechanism": "BATTERY"}
    _told(day, owner, _drafted(day, head, STORE), seen)
    # six dear half hours at 60, one of them at 150, less 3,000 / 0.95² kWh: six cheap ones at 6
    # give 3,000 kWh, the rest costs 10
    dear, rest = 500 * (5 * 60 + 150), Decimal(3000) / Decimal("0.9025") - 3000
    assert [(row.received_jpy, row.cost_jpy, row.sold_kwh) for row in seen[0].past] == [
        (dear - 3000 * 6 - round(10 * rest), Decimal(3000 * 2), Decimal(3000))
    ]
    effect: Any = seen[0].effect
    assert [t for t, kw in enumerate(effect.kw) if kw < 0] == list(range(34, 40))
    assert seen[0].risk is not None


def test_nothing_is_said_of_a_bid_that_cannot_be_read(day: cast.MarketDay) -> None:
    owner, seen = client_of(day.places.people.owner), list[Told]()
    here = _drafted(day, {"form": "BLOCK", **LOAD}, {**BLOCK, "profile_kw": "1 2 3"})
    _told(day, owner, here, seen)
    assert (seen[0].past, seen[0].risk) == ([], None)
    assert owner.get(f"{here}past.json").status_code == 404

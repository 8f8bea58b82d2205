"""When a resource was called: energy, stand-ins, capacity, as it was known at a moment."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from accounts.clock.selectors import market_now
from aggregator.dispatch.models import InstructionInterval
from aggregator.metering.activations import activation_note
from aggregator.metering.selectors import called_beside, called_days
from market.registry.models import Resource
from market.trading.models import Auction, AuctionState
from tests import settled_day
from tests.delivery_days import RichDay, held, later, rich_day

D = Decimal

pytestmark = pytest.mark.django_db


@pytest.fixture
def of(db: None) -> RichDay:
    return rich_day()


def _days(resource: Resource, on: date, as_of: datetime | None = None) -> dict[UUID, set[date]]:
    return called_days(
        resource_ids=[resource.id],
        before_on=on + timedelta(days=1),
        lookback_days=5,
        as_of=as_of or market_now(),
    )


def _beside(resource: Resource, on: date, as_of: datetime | None = None) -> set[int]:
    found = called_beside(resource_ids=[resource.id], delivery_on=on, as_of=as_of or market_now())
    return found.get(resource.id, set())


def test_called_capacity_counts_as_called_as_it_was_known_then(of: RichDay) -> None:
    on, battery = of.day.auction.delivery_on, of.held.resource
    before = _beside(battery, on)
    assert before.isdisjoint({10, 11, 12})  # held ready is not called
    looked_at = market_now()
    later()
    activation_note(award_id=of.held.id, t=11, instructed_kw=D(200), actor="tso")
    assert _beside(battery, on) == before | {11}
    assert _beside(battery, on + timedelta(days=1)) == {t - 48 for t in before | {11}}
    assert _beside(battery, on, looked_at) == before
    called_at = market_now()
    later()
    activation_note(award_id=of.held.id, t=11, instructed_kw=D(0), actor="tso")
    assert _beside(battery, on) == before
    assert _beside(battery, on, called_at) == before | {11}


def test_a_day_on_which_only_capacity_was_called_is_a_called_day(db: None) -> None:
    day = settled_day.published(settled_day.settled_places(), is_awarded=False)
    award = held(day)
    on, battery = day.auction.delivery_on, award.resource
    assert _days(battery, on) == {}
    looked_at = market_now()
    later()
    activation_note(award_id=award.id, t=11, instructed_kw=D(200), actor="tso")
    assert _days(battery, on) == {battery.id: {on}}
    assert _days(battery, on - timedelta(days=1)) == {}
    assert _days(battery, on, looked_at) == {}
    later()
    activation_note(award_id=award.id, t=11, instructed_kw=D(0), actor="tso")
    assert _days(battery, on) == {}


def test_a_stand_in_counts_from_its_acceptance(of: RichDay) -> None:
    on, load = of.day.auction.delivery_on, of.stand_in.resource
    accepted_at = of.stand_in.acknowledged_at
    assert accepted_at is not None
    InstructionInterval.objects.create(
        instruction=of.stand_in,
        t=20,
        start_at=settled_day.half_hour(of.day, 20),
        quantity_kw=D(100),
        replacement_price_jpy_per_kwh=D(50),
    )
    assert 20 in _beside(load, on, accepted_at)
    assert 20 not in _beside(load, on, accepted_at - timedelta(seconds=1))


def test_what_a_cancelled_result_asked_for_was_never_called(db: None) -> None:
    day = settled_day.published(settled_day.settled_places())
    award = held(day)
    on, as_of = day.auction.delivery_on, day.auction.delivery_start + timedelta(days=3)
    activation_note(award_id=award.id, t=11, instructed_kw=D(200), actor="tso")
    resources = [award.resource, day.awards["inzai-defer"].resource]
    assert all(_days(resource, on, as_of) == {resource.id: {on}} for resource in resources)
    assert all(_beside(resource, on, as_of) for resource in resources)
    Auction.objects.filter(id=day.auction.id).update(state=AuctionState.CANCELLED)
    assert all(_days(resource, on, as_of) == {} for resource in resources)
    assert all(_beside(resource, on, as_of) == set() for resource in resources)

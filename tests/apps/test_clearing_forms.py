"""An auction with a bid of every form: cleared, verified, and written into rows digit by digit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.audit.models import AuditEntry
from market.clearing import services
from market.clearing.engine import SolverEngine
from market.clearing.models import (
    Award,
    AwardInterval,
    BidOutcome,
    CapacityInterval,
    CapacityPrice,
    ClearingPrice,
    ClearingRun,
    ComputePlacement,
    ComputeUse,
    EnvelopeUse,
    Leg,
    RentShare,
)
from market.clearing.selectors import outcomes_of
from market.registry.models import Resource
from market.trading.models import Bid
from tests import cast, forms

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def solver() -> Iterator[SolverEngine]:
    """Return one warm solver for the tests of this file."""
    with SolverEngine() as engine:
        yield engine


@pytest.fixture
def day(monkeypatch: pytest.MonkeyPatch, solver: SolverEngine) -> cast.MarketDay:
    """Return the day after its clearing, with every form in the book."""
    monkeypatch.setattr(services, "engine", lambda: solver)
    return forms.cleared_day()


def _result() -> dict[str, Any]:
    return dict(json.loads(bytes(ClearingRun.objects.get().result or b"")))


def test_a_bid_that_the_registry_has_left_behind_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, solver: SolverEngine
) -> None:
    monkeypatch.setattr(services, "engine", lambda: solver)
    # after the bids came in, the hall is registered without its GPUs
    forms.cleared_day(
        before_gate=lambda: Resource.objects.filter(code="inzai-dc-1-load").update(hardware=[])
    )
    run = ClearingRun.objects.get()
    gpus = Bid.objects.get(client_bid_id="gpus")
    assert run.bids_left_out == [gpus.id]
    entry = AuditEntry.objects.get(action="market.bid.left_out")
    assert entry.organisation_id == gpus.organisation_id
    assert entry.detail["reason"].endswith("must be among the hardware of its resource")
    assert not ComputePlacement.objects.exists()
    assert Award.objects.exists()


def test_every_award_of_the_result_is_a_row(day: cast.MarketDay) -> None:
    accepted = [award for award in _result()["awards"] if any(award["quantity_kw"])]
    assert Award.objects.count() == len(accepted) > 0
    assert {award["leg"] for award in accepted} <= set(Leg.values)
    halves = AwardInterval.objects.count() + CapacityInterval.objects.count()
    assert halves == sum(sum(1 for kw in award["quantity_kw"] if kw) for award in accepted)


def test_reserved_capacity_is_priced_per_kw_and_moves_no_energy(day: cast.MarketDay) -> None:
    award = Award.objects.get(leg=Leg.RESERVED)
    assert (award.product_id, award.direction) == ("dkw-up-3h", "UP")
    assert not award.intervals.exists()
    # 3,000 kW asked of one seller that asks 1.2 for 4,000: its ask is the price
    rows = list(award.capacity_intervals.order_by("t"))
    assert [row.t for row in rows] == list(cast.EVENING)
    assert {row.quantity_kw for row in rows} == {Decimal(3_000)}
    assert {row.price_jpy_per_kw_30min for row in rows} == {Decimal("1.20")}
    price = CapacityPrice.objects.get(t=34)
    assert (price.served_kw, price.price_jpy_per_kw_30min) == (3_000, Decimal("1.20"))
    assert not ClearingPrice.objects.filter(need=price.need).exists()


def test_where_computing_runs_is_on_record(day: cast.MarketDay) -> None:
    placed = list(ComputePlacement.objects.select_related("path", "offer", "bid").order_by("t"))
    assert [row.t for row in placed] == list(range(20, 26))
    assert {row.quantity_kw for row in placed} == {Decimal(600)}
    assert {(row.path.code if row.path else "", row.offer.client_bid_id) for row in placed} == {
        ("shiroi-inzai", "gpus")
    }
    used = ComputeUse.objects.filter(used_kw__gt=0)
    assert [row.used_kw for row in used] == [Decimal(600)] * 6
    # 600 kW of IT at a PUE of 1.3 draw 780 kW
    award = Award.objects.get(leg=Leg.COMPUTE)
    assert set(award.intervals.values_list("quantity_kw", flat=True)) == {Decimal(780)}


def test_a_site_scheduled_above_its_envelope_is_over_it(day: cast.MarketDay) -> None:
    row = EnvelopeUse.objects.get(t=0)
    assert (row.site.code, row.over_kw) == ("shiroi-dc-1", Decimal(500))
    published = _result()["envelopes"][0]["price_jpy_per_kwh"][0]
    assert row.price_jpy_per_kwh == Decimal(str(published)) > 0
    assert not EnvelopeUse.objects.exclude(t=0).exists()


def test_every_bid_has_an_outcome_its_owner_can_read(day: cast.MarketDay) -> None:
    people = day.places.people
    run = ClearingRun.objects.get()
    assert BidOutcome.objects.count() == Bid.objects.count() == 7
    own = outcomes_of(run, seen_by=people.inzai_dc)
    assert own.count() == 6
    assert not outcomes_of(run, seen_by=people.shiroi_dc).exists()
    assert outcomes_of(run, seen_by=people.platform).count() == 7
    outcome = own.get(bid__client_bid_id="capacity")
    assert outcome.outcome == "PARTLY"  # 3,000 of 4,000 kW
    assert outcome.explanation["bid"] == str(outcome.bid_id)


def test_rents_have_owners(day: cast.MarketDay) -> None:
    published = _result()["payments"]["rents"]
    assert {rent["owner"] for rent in published} <= {str(day.places.people.grid_t.id)}
    total = sum((row.amount_jpy for row in RentShare.objects.filter(kind="ELEMENT")), Decimal(0))
    assert total == sum((Decimal(str(round(rent["jpy"], 2))) for rent in published), Decimal(0))


def test_what_a_result_says_is_never_changed(day: cast.MarketDay) -> None:
    for model, change in (
        (BidOutcome, {"outcome": "ACCEPTED"}),
        (CapacityInterval, {"quantity_kw": 1}),
        (ComputePlacement, {"quantity_kw": 1}),
        (EnvelopeUse, {"over_kw": 0}),
    ):
        with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
            model.objects.update(**change)  # type: ignore[attr-defined]

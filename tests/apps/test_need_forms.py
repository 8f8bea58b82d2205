"""Demand curves, posted prices, ΔkW and envelopes: published by those they belong to, exact."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from market.clearing.book import snapshot_of_book
from market.trading.condition_services import envelope_publish
from market.trading.gates import GateClosed
from market.trading.models import Auction, AuctionState, Envelope, Need, NeedStep
from market.trading.needs import InvalidNeed, NeedDetails, need_publish
from tests import cast, forms

pytestmark = pytest.mark.django_db

CURVE = NeedDetails(
    code="tokyo-up",
    kind="BALANCE",
    direction="UP",
    area_code="03",
    steps=[
        {"quantity_kw": ["5000"] * 48, "cap_jpy_per_kwh": ["90"] * 48},
        {"quantity_kw": ["3000.5"] * 48, "cap_jpy_per_kwh": ["40"] * 48},
    ],
)
READY = NeedDetails(
    code="tokyo-ready",
    kind="CAPACITY",
    direction="UP",
    area_code="03",
    product="dkw-up-3h",
    quantity_kw=["6000"] * 48,
    cap_jpy_per_kw_30min=["2.5"] * 48,
)


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction with a ΔkW product."""
    return forms.products_day()


def _publish(day: cast.MarketDay, details: NeedDetails, **changes: Any) -> Need:
    return need_publish(
        auction_id=day.auction.id,
        organisation=day.places.people.grid_t,
        details=replace(details, **changes),
    )


def _envelope(day: cast.MarketDay, **changes: Any) -> Envelope:
    return envelope_publish(
        **{
            "auction_id": day.auction.id,
            "organisation": day.places.people.grid_t,
            "site_code": "inzai-dc-1",
            "kind": "ONLINE",
            "max_import_kw": ["30000"] * 48,
            "scheduled_import_kw": ["28000"] * 48,
            **changes,
        }
    )


def _snapshot(day: cast.MarketDay) -> dict[str, Any]:
    clock_set(market_at=day.auction.gate_closure_at)
    Auction.objects.filter(id=day.auction.id).update(state=AuctionState.CLOSED)
    auction = Auction.objects.select_related("ruleset", "grid_model").get(id=day.auction.id)
    return dict(json.loads(snapshot_of_book(auction)))


def test_a_demand_curve_is_kept_step_by_step(day: cast.MarketDay) -> None:
    need = _publish(day, CURVE)
    # 5,000 + 3,000.5 kW; the first step's cap stands for the need
    assert set(need.quantity_kw) == {Decimal("8000.5")}
    assert set(need.cap_jpy_per_kwh) == {Decimal(90)}
    (row,) = _snapshot(day)["balance_needs"]
    assert [(step["need_kw"][0], step["cap_jpy_per_kwh"][0]) for step in row["steps"]] == [
        (5000.0, 90.0),
        (3000.5, 40.0),
    ]


def test_a_need_of_one_step_has_no_rows_of_steps(day: cast.MarketDay) -> None:
    _publish(day, CURVE, steps=CURVE.steps[:1], pricing="POSTED")
    assert not NeedStep.objects.exists()
    (row,) = _snapshot(day)["balance_needs"]
    assert row["pricing"] == "posted"
    assert len(row["steps"]) == 1


def test_capacity_is_asked_per_kw_and_half_hour(day: cast.MarketDay) -> None:
    need = _publish(day, READY)
    assert need.cap_jpy_per_kwh is None
    assert set(need.cap_jpy_per_kw_30min) == {Decimal("2.5")}
    (row,) = _snapshot(day)["capacity_needs"]
    assert (row["area"], row["product"], row["steps"][0]["cap_jpy_per_kwh"][0]) == (
        "03",
        "dkw-up-3h",
        2.5,
    )


@pytest.mark.parametrize(
    ("details", "field", "changes"),
    [
        (CURVE, "steps", {"quantity_kw": ["1"] * 48}),
        (CURVE, "steps", {"steps": []}),
        (CURVE, "steps", {"steps": list(CURVE.steps) * 11}),
        (CURVE, "steps", {"pricing": "POSTED"}),
        (CURVE, "pricing", {"pricing": "GIFT"}),
        (CURVE, "steps[1].cap_jpy_per_kwh[0]", {"steps": list(CURVE.steps[::-1])}),
        (CURVE, "steps[0]", {"steps": [{"quantity_kw": ["1"] * 48}]}),
        (CURVE, "steps[0].quantity_kw[0]",
         {"steps": [{"quantity_kw": ["NaN"] * 48, "cap_jpy_per_kwh": ["1"] * 48}]}),
        (CURVE, "product", {"product": "dkw-up-3h"}),
        (CURVE, "cap_jpy_per_kw_30min", {"cap_jpy_per_kw_30min": ["1"] * 48}),
        (READY, "cap_jpy_per_kwh", {"cap_jpy_per_kwh": ["1"] * 48}),
        (READY, "direction", {"direction": "DOWN"}),
        (READY, "product", {"product": "primary"}),
        (READY, "product", {"product": None}),
        (READY, "area_code", {"congestion_point": "inzai-line"}),
        (READY, "cap_jpy_per_kw_30min", {"cap_jpy_per_kw_30min": None}),
    ],
)  # fmt: skip
def test_a_need_that_breaks_a_rule_is_refused_whole(
    day: cast.MarketDay, details: NeedDetails, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _publish(day, details, **changes)
    assert refused.value.field == field
    assert not Need.objects.exists()
    assert not NeedStep.objects.exists()


def test_a_step_is_never_changed(day: cast.MarketDay) -> None:
    _publish(day, CURVE)
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        NeedStep.objects.update(number=7)


def test_the_database_keeps_units_apart(day: cast.MarketDay) -> None:
    need = _publish(day, READY)
    need.pk, need.code, need.cap_jpy_per_kwh = None, "other", [Decimal(1)] * 48
    with pytest.raises(IntegrityError, match="need_cap"), transaction.atomic():
        need.save(force_insert=True)


def test_the_latest_envelope_before_the_gate_binds(day: cast.MarketDay) -> None:
    _envelope(day)
    second = _envelope(day, max_import_kw=["29000"] * 48)
    assert second.revision == 2
    (row,) = _snapshot(day)["envelopes"]
    assert (row["id"], row["place"], row["kind"]) == ("inzai-dc-1", "inzai-dc-1", "ONLINE")
    assert (row["max_import_kw"][0], row["scheduled_import_kw"][0]) == (29000.0, 28000.0)
    assert row["owner"] == str(day.places.people.inzai_dc.id)


def test_a_fixed_pattern_is_given_once_and_holds(day: cast.MarketDay) -> None:
    _envelope(day, kind="FIXED")
    with pytest.raises(InvalidNeed) as refused:
        _envelope(day, kind="FIXED", max_import_kw=["31000"] * 48)
    assert refused.value.field == "max_import_kw"
    # the next auction's operator gives the schedule only
    again = _envelope(day, kind="FIXED", max_import_kw=None, scheduled_import_kw=["20000"] * 48)
    assert again.max_import_kw == [Decimal(30_000)] * 48


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("kind", {"kind": "FLEXIBLE"}),
        ("site", {"site_code": "nowhere"}),
        ("max_import_kw", {"max_import_kw": None}),
        ("max_import_kw[0]", {"max_import_kw": ["-1"] * 48}),
        ("max_import_kw", {"max_import_kw": ["1"] * 47}),
        ("scheduled_import_kw[0]", {"scheduled_import_kw": [float("nan")] * 48}),
    ],
)
def test_an_envelope_that_breaks_a_rule_is_refused(
    day: cast.MarketDay, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _envelope(day, **changes)
    assert refused.value.field == field
    assert not Envelope.objects.exists()


def test_only_the_areas_operator_publishes_its_envelopes(day: cast.MarketDay) -> None:
    with pytest.raises(InvalidNeed) as refused:
        _envelope(day, organisation=day.places.people.inzai_dc)
    assert refused.value.field == "site"


def test_nothing_is_published_after_the_gate(day: cast.MarketDay) -> None:
    clock_set(market_at=day.auction.gate_closure_at + timedelta(seconds=1))
    with pytest.raises(GateClosed):
        _envelope(day)
    with pytest.raises(GateClosed):
        _publish(day, READY)


def test_another_operators_area_does_not_count(day: cast.MarketDay) -> None:
    with pytest.raises(NotFound):
        _publish(day, READY, area_code="99")

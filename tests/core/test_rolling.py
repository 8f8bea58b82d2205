"""A run that starts warm finds what a cold one finds, settled and verified."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
import pytest

from market.core.clearing import clear
from market.core.pricing import prices
from market.core.results import result_bytes
from market.core.rolling import Rolling
from market.core.snapshot import snapshot_from_json
from tests.core.test_rerun import ring
from tests.mixed_books import market

KEPT_FORMS = {"STEPS", "STORAGE", "RENEWABLE", "SHIFT", "PORTFOLIO"}


def day(seed: int) -> dict[str, Any]:
    """Return a market without integers."""
    document = market(seed)
    document["bids"] = [bid for bid in document["bids"] if bid["form"] in KEPT_FORMS]
    for bid in document["bids"]:
        if bid["form"] == "STORAGE":
            bid["wear_jpy_per_kwh"] = 60.0
    document["rules"] |= {"reference_cap_jpy_per_kwh": None}
    return document


def changed(document: dict[str, Any]) -> dict[str, Any]:
    """Return the market with other asks, quantities and needs."""
    later = copy.deepcopy(document)
    for bid in later["bids"]:
        if bid["form"] == "STEPS":
            for step in bid["curves"][0]["steps"]:
                step["ask_jpy_per_kwh"] += 1.5
                step["quantity_kw"] *= 0.8
    for need in later["balance_needs"]:
        need["steps"][0]["need_kw"] = [kw * 1.1 for kw in need["steps"][0]["need_kw"]]
    return later


def assert_same(rolling: Rolling, document: dict[str, Any]) -> None:
    snapshot = snapshot_from_json(document)
    warm, cold = rolling.clear(snapshot), clear(snapshot)
    assert warm.objective_jpy == pytest.approx(cold.objective_jpy, rel=1e-9, abs=1e-6)
    assert json.loads(result_bytes(warm))["certificate"]["passed"]
    np.testing.assert_allclose(
        prices(warm).place_jpy_per_kwh, prices(cold).place_jpy_per_kwh, atol=1e-5
    )


@pytest.mark.parametrize("seed", range(8))
def test_a_later_run_is_settled_like_a_cold_one(seed: int) -> None:
    rolling = Rolling()
    first = day(seed)
    assert_same(rolling, first)
    assert_same(rolling, changed(first))
    assert_same(rolling, first)


def test_a_later_run_takes_fewer_steps_than_a_cold_one() -> None:
    rolling = Rolling()
    rolling.clear(snapshot_from_json(ring()))
    rolling.ready()
    later = snapshot_from_json(ring(demand_kw=610.0))
    rolling.clear(later)
    assert rolling.iteration_count < 5


def test_another_market_is_cleared_cold() -> None:
    rolling = Rolling()
    assert_same(rolling, day(0))
    assert_same(rolling, ring())

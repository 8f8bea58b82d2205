"""What holds for whole markets: every bid form and every kind of need at once, by seed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest

from market.core.clearing import clear
from market.core.results import clear_bytes
from market.core.snapshot import snapshot_from_json
from tests.books import Result, steps
from tests.mixed_books import RESOURCES, T, market

GATE = range(24)
LONG = range(1000, 2000)
LISTS = ("bids", "elements", "places", "resources", "paths", "balance_needs", "local_needs")


def binaries(document: dict[str, Any]) -> int:
    """Return how many decisions a market's integers may have to take."""
    return len(clear(snapshot_from_json(document)).programme.binary)


@pytest.mark.parametrize("seed", GATE)
def test_a_market_of_every_form_has_a_verified_result(seed: int) -> None:
    Result(market(seed))


@pytest.mark.slow
@pytest.mark.parametrize("first", LONG[::50])
def test_a_thousand_markets_of_every_form_have_verified_results(first: int) -> None:
    for seed in range(first, first + 50):
        Result(market(seed))


@pytest.mark.parametrize("seed", GATE[:8])
def test_what_is_paid_is_received(seed: int) -> None:
    found = Result(market(seed)).json
    payments, money = found["payments"], found["money"]
    paid_jpy = sum(row["paid_jpy"] for row in payments["buyers"])
    paid_jpy += money["computing_jpy"] + money["envelope_jpy"] + money["deviation_jpy"]
    received_jpy = sum(row["paid_jpy"] for row in payments["sellers"])
    received_jpy += sum(rent["settled_jpy"] for rent in payments["rents"] if rent["kind"] != "PATH")
    received_jpy += payments["fee_jpy"] + money["path_jpy"] + money["residual_jpy"]
    rounding_jpy = 1e-5 * (len(payments["sellers"]) + len(payments["buyers"]) + 10)
    assert paid_jpy == pytest.approx(received_jpy, abs=rounding_jpy)


@pytest.mark.parametrize("seed", GATE[:6])
def test_the_order_of_a_market_changes_no_byte(seed: int) -> None:
    document, dice = market(seed), random.Random(seed)  # noqa: S311 - order, not secrets
    turned = copy.deepcopy(document)
    for name in LISTS:
        dice.shuffle(turned[name])
    assert Result(turned).content == Result(document).content


@pytest.mark.parametrize("seed", GATE[:6])
def test_a_bid_nobody_would_buy_changes_no_award(seed: int) -> None:
    document = market(seed)
    useless = steps("useless", "d", "UP", (100, 100_000.0), window=(0, T - 1))
    without, beside = (
        Result(document).json,
        Result(document | {"bids": [*document["bids"], useless | {"owner": "four"}]}).json,
    )
    assert beside["awards"] == without["awards"]
    assert beside["needs"] == without["needs"]


@pytest.mark.parametrize("seed", GATE[:10])
def test_no_resource_is_sold_beyond_its_limits(seed: int) -> None:
    document = market(seed)
    limits = {item["id"]: item["limit_up_kw"] for item in document["resources"]}
    sold_kw: dict[tuple[str, str], list[float]] = {}
    for award in Result(document).json["awards"]:
        key = (award["resource"], award["direction"])
        before = sold_kw.get(key, [0.0] * T)
        sold_kw[key] = [a + b for a, b in zip(before, award["quantity_kw"], strict=True)]
    for (name, _), total_kw in sold_kw.items():
        # Each of at most seventeen bids is rounded by half a tick.
        assert max(total_kw) <= limits[name] + 17 * 0.05
    assert set(limits) == set(RESOURCES)


@pytest.mark.parametrize("seed", GATE[:4])
def test_written_out_and_read_back_a_market_clears_the_same(seed: int) -> None:
    content = json.dumps(market(seed)).encode()
    assert clear_bytes(content) == clear_bytes(content)

"""Weak duality of blocks, on numbers small enough for a comment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.core.audit.block import Market
from market.core.audit.book import Book, book_of, check_feasible, respond
from market.core.audit.ledger import Ledger, of_length
from market.core.snapshot import snapshot_from_json
from tests.books import book, path, shift, steps, store


def read(bids: list[dict[str, Any]], count: int = 1, **raw: Any) -> Book:
    """Return the audit's book of some bids with the given raw columns and duals."""
    snapshot = snapshot_from_json(book(count, bids=bids, elements=[], paths=[path()]))
    return book_of(Market(snapshot.document()), {"bids": raw, "joint": {}})


def forgone_jpy(found: Book, gain: list[float]) -> list[float]:
    """Return what each bid forgoes where its columns bring in `gain` yen per unit."""
    return respond(found, np.array(gain)).forgone_jpy.tolist()


def test_a_step_forgoes_what_it_could_earn_and_does_not() -> None:
    found = read([steps("s", "b", "UP", (100, 10))], s={"x": {"step": [40.0]}})
    # Half an hour of 1 kW brings in 8 JPY and costs 5; 60 kW more were on offer.
    assert forgone_jpy(found, [8.0]) == [60 * 3.0]
    # At 4 JPY each of the 40 kW loses 1.
    assert forgone_jpy(found, [4.0]) == [40 * 1.0]
    assert forgone_jpy(found, [5.0]) == [0.0]


def test_a_store_is_valued_by_the_duals_of_its_own_rows() -> None:
    battery = store("s", "b", 1, energy_limit_kwh=50.0)
    charged = {
        "x": {"charge": [100.0, 0.0], "discharge": [0.0, 100.0], "energy": [50.0, 0.0]},
        # A kWh that came from nowhere in t would save 20 JPY.
        "y": {"energy": [20.0, 20.0]},
    }
    found = read([battery], 2, s=charged)
    ledger = Ledger()
    check_feasible(found, ledger)
    assert max(ledger.worst.values()) == 0.0
    # Per kW and half hour: charging in t = 0 costs 5 JPY and stores 10 JPY worth, discharging in
    # t = 1 brings 15 for it: 5 gained on each of the 1,000 − 100 kW more that either could be.
    # Charging in t = 1 for 12.5 or discharging in t = 0 for 5 would lose.
    assert forgone_jpy(found, [-5.0, -12.5, 5.0, 15.0, 0.0, 0.0]) == [2 * 900 * 5.0]
    # Where charging costs, and discharging brings, just what the energy is worth: nothing.
    assert forgone_jpy(found, [-10.0, -12.5, 5.0, 10.0, 0.0, 0.0]) == [0.0]


def test_a_held_column_counts_with_the_value_it_has() -> None:
    battery = store("s", "b", 0, start_kwh=50.0)
    values = {"x": {"energy": [50.0]}, "held": {"charge": [0]}}
    found = read([battery], 1, s=values)
    # Each kW charged would be paid 3 JPY, each discharged 2, but charging was ruled out: what is
    # free to move is 1,000 kW of discharge; anew it would choose the better of the two.
    response = respond(found, np.array([3.0, 2.0, 0.0]))
    assert response.forgone_jpy.tolist() == [2000.0]
    assert response.free_jpy.tolist() == [3000.0]


def test_columns_that_no_increase_costs_are_not_there() -> None:
    found = read([shift("s")])
    assert list(found.blocks["s"].families) == ["offered", "placed"]
    found = read([shift("s", change_cost_jpy_per_kw=1.0)])
    assert list(found.blocks["s"].families) == ["offered", "placed", "increase"]


def test_a_residual_is_named_after_its_rows() -> None:
    found = read([shift("s")], s={"x": {"offered": [60.0], "placed": [50.0]}})
    ledger = Ledger()
    check_feasible(found, ledger)
    assert ledger.worst["own rows: work"] == pytest.approx(0.1)  # 10 kW of the 100 on offer
    found = read([shift("s")], s={"x": {"offered": [160.0], "placed": [160.0]}})
    check_feasible(found, ledger)
    assert ledger.worst["award within bid"] == pytest.approx(0.6)


@pytest.mark.parametrize("values", [["1", "2"], [True, False], [1.0], [[1.0, 2.0]], "12"])
def test_what_is_no_series_of_numbers_is_refused(values: Any) -> None:
    with pytest.raises(ValueError, match="2 numbers"):
        of_length(values, 2)

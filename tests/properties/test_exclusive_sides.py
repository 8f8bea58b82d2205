"""Stores at prices that pay for burning energy: the search against a binary for every side."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from market.core.clearing import clear
from market.core.model import Model
from market.core.network import KW_PER_MW
from market.core.programme import programme
from market.core.snapshot import snapshot_from_json
from market.core.solver import solve_linear
from tests.books import balance_need, book, steps, store


def burning_book(seed: int) -> dict[str, Any]:
    """Return a book whose need of DOWN is larger than what stores can take in."""
    rng = random.Random(seed)  # noqa: S311 - books, not secrets
    count = rng.randint(2, 4)
    stores = []
    for number in range(rng.randint(1, 3)):
        limit_kwh = float(rng.randrange(40, 200, 10))
        start_kwh = float(rng.choice([0.0, 0.5, 1.0]) * limit_kwh)
        stores.append(
            store(
                f"store{number}",
                rng.choice("ab"),
                count - 1,
                charge_limit_kw=float(rng.randrange(20, 200, 10)),
                discharge_limit_kw=float(rng.randrange(20, 200, 10)),
                energy_limit_kwh=limit_kwh,
                start_kwh=start_kwh,
                end_min_kwh=rng.choice([0.0, 0.9]) * start_kwh,
                charge_efficiency_ratio=rng.choice([0.8, 0.9]),
                discharge_efficiency_ratio=rng.choice([0.8, 0.9]),
                wear_jpy_per_kwh=rng.choice([0.0, 2.0]),
            )
        )
    return book(
        count,
        bids=[*stores, steps("s", "b", "DOWN", (50.0, 5.0), window=(0, count - 1))],
        elements=[],
        balance_needs=[
            balance_need([float(rng.randrange(0, 500, 10)) for _ in range(count)], "DOWN", cap=60),
            balance_need([float(rng.randrange(0, 100, 10)) for _ in range(count)], "UP", cap=80),
        ],
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_search_decides_sides_as_well_as_one_binary_each(seed: int) -> None:
    snapshot = snapshot_from_json(burning_book(seed))
    found = clear(snapshot)
    base = programme(snapshot)
    pairs = np.arange(base.exclusive.count)
    both_kw = np.minimum(base.exclusive.first @ found.x_kw, base.exclusive.second @ found.x_kw)
    assert both_kw.max() <= 1e-6
    whole = Model(base, (base.lower_kw, base.upper_kw), pairs, is_mixed=True)
    cost_kjpy = solve_linear(whole.problem, snapshot.rules).objective
    assert -found.objective_jpy == pytest.approx(cost_kjpy * KW_PER_MW, abs=1e-4)

"""Random books of up to twelve blocks: the clearing against every decision there is.

The oracle writes the two-bus problem down by hand and solves it once for every combination of
acceptances and runs that groups, parents and minimum runs allow.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from typing import Any

import highspy
import numpy as np
import pytest

from market.core.clearing import clear
from market.core.model import Model
from market.core.network import KW_PER_MW
from market.core.programme import LAZY_ROWS, with_lazy_rows
from market.core.snapshot import snapshot_from_json
from market.core.solver import solve_linear
from tests.books import Result, balance_need, book, local_need, steps

GATE_COUNT = 50
LONG_COUNT = 1_000
COMBINATION_COUNT_MAX = 4_096
RATING_KW = 1000.0
LIMIT_KW = 1000.0
H = 0.5


def _kw(rng: random.Random, low: int, high: int) -> float:
    return float(rng.randrange(low, high, 10))


def _block(rng: random.Random, name: str, count: int) -> dict[str, Any]:
    length = rng.randint(1, count)
    is_up = rng.random() < 0.75
    block: dict[str, Any] = {
        "id": name,
        "form": "BLOCK",
        "resource": rng.choice("ab"),
        "direction": "UP" if is_up else "DOWN",
        "first_t": rng.randint(0, count - length),
        "quantity_kw": [_kw(rng, 20, 200) for _ in range(length)],
        "ask_jpy_per_kwh": float(rng.randint(5, 60) if is_up else rng.randint(-20, 10)),
    }
    if rng.random() < 0.4:
        block["acceptance_min_ratio"] = rng.choice([0.0, 0.3, 0.5, 0.8])
    if rng.random() < 0.4:
        block["start_cost_jpy"] = float(rng.randrange(0, 2000, 100))
    if rng.random() < 0.25:
        block["run_min_count"] = rng.randint(1, length)
    return block


def random_book(seed: int) -> dict[str, Any]:
    """Return a book of at most twelve blocks and a few steps, linked and grouped at random."""
    rng = random.Random(seed)  # noqa: S311 - books, not secrets
    count = rng.randint(1, 4)
    blocks = [_block(rng, f"x{number:02}", count) for number in range(rng.randint(1, 12))]
    for block in blocks:
        if rng.random() < 0.3:
            block["exclusive_group"] = rng.choice("gh")
    for child, parent in itertools.pairwise(blocks):
        is_apart = child.get("exclusive_group") is None
        if is_apart and rng.random() < 0.25:
            child["parent"] = parent["id"]
    offers = [
        steps(
            f"s{number}",
            rng.choice("ab"),
            direction,
            (_kw(rng, 10, 150), low := float(rng.randint(-10, 40))),
            (_kw(rng, 10, 150), low + rng.randint(0, 30)),
            window=(0, count - 1),
        )
        for number, direction in enumerate(rng.choices(("UP", "UP", "DOWN"), k=3))
    ]
    while _count(blocks) > COMBINATION_COUNT_MAX:
        dropped = blocks.pop(0)
        for block in blocks:
            if block.get("parent") == dropped["id"]:
                del block["parent"]
    return book(
        count,
        bids=[*blocks, *offers],
        elements=[
            {
                "id": "line",
                "branch": "line",
                "rating_kw": RATING_KW,
                "base_flow_kw": [_kw(rng, 800, 1200) for _ in range(count)],
            }
        ],
        balance_needs=[
            balance_need([_kw(rng, 0, 600) for _ in range(count)], "UP", cap=80),
            balance_need([_kw(rng, 0, 200) for _ in range(count)], "DOWN", cap=15),
        ],
        local_needs=[local_need([_kw(rng, 0, 300) for _ in range(count)], cap=90)],
    )


def _runs(block: dict[str, Any]) -> list[tuple[int, ...]]:
    """Return what a block may be decided to do: (0,) or (1,), or when it runs."""
    least = block.get("run_min_count")
    if least is None:
        return [(0,), (1,)]
    found = []
    for pattern in itertools.product((0, 1), repeat=len(block["quantity_kw"])):
        runs = [len(list(same)) for value, same in itertools.groupby(pattern) if value]
        if all(run >= least for run in runs):
            found.append(pattern)
    return found


def _count(blocks: list[dict[str, Any]]) -> int:
    return int(np.prod([len(_runs(block)) for block in blocks]))


def _decisions(blocks: list[dict[str, Any]]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Yield every decision that groups and parents allow."""
    names = [block["id"] for block in blocks]
    for choice in itertools.product(*(_runs(block) for block in blocks)):
        taken = {name for name, pattern in zip(names, choice, strict=True) if any(pattern)}
        groups = [
            block["exclusive_group"]
            for block in blocks
            if block["id"] in taken and block.get("exclusive_group") is not None
        ]
        parents = {
            block["parent"] for block in blocks if block["id"] in taken and "parent" in block
        }
        if len(groups) == len(set(groups)) and parents <= taken:
            yield dict(zip(names, choice, strict=True))


class Oracle:
    """The problem of a book, by hand; blocks are columns whose bounds a decision sets."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.count = document["interval_count"]
        self.blocks = [bid for bid in document["bids"] if bid["form"] == "BLOCK"]
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.rows: dict[tuple[str, int], dict[int, float]] = {}
        self.at: dict[str, list[int]] = {}
        for bid in document["bids"]:
            (self._block if bid["form"] == "BLOCK" else self._steps)(bid)
        for need in document["balance_needs"]:
            sign = 1.0 if need["direction"] == "UP" else -1.0
            for t in range(self.count):
                column = self._column(-H * need["cap_jpy_per_kwh"], need["need_kw"][t])
                self._term("balance", t, column, -sign)
        local, line = document["local_needs"][0], document["elements"][0]
        for t in range(self.count):
            served = self._column(-H * local["cap_jpy_per_kwh"], local["need_kw"][t])
            self._term("relief", t, served, -1.0)
        room = [max(0.0, RATING_KW - kw) for kw in line["base_flow_kw"]]
        low = {"balance": 0.0, "relief": 0.0, "pocket": 0.0, "UP": 0.0, "DOWN": 0.0}
        limit = {
            "balance": 0.0,
            "relief": np.inf,
            "pocket": np.inf,
            "UP": LIMIT_KW,
            "DOWN": LIMIT_KW,
        }
        self.solver = highspy.Highs()
        self.solver.setOptionValue("output_flag", False)  # noqa: FBT003 - the solver's signature
        for cost, upper in zip(self.cost, self.upper, strict=True):
            self.solver.addCol(cost, 0.0, upper, 0, [], [])
        for (name, t), terms in self.rows.items():
            kind = name.split()[0]
            least = -room[t] if kind == "pocket" else low[kind]
            if kind == "relief" and local["need_kw"][t] == 0:
                least = -np.inf
            if kind in ("UP", "DOWN"):
                least = -np.inf
            self.solver.addRow(least, limit[kind], len(terms), list(terms), list(terms.values()))

    def _column(self, cost: float, upper: float) -> int:
        self.cost.append(cost)
        self.upper.append(upper)
        return len(self.cost) - 1

    def _term(self, name: str, t: int, column: int, value: float) -> None:
        terms = self.rows.setdefault((name, t), {})
        terms[column] = terms.get(column, 0.0) + value

    def _sell(self, bid: dict[str, Any], t: int, column: int, kw: float) -> None:
        sign = 1.0 if bid["direction"] == "UP" else -1.0
        self._term("balance", t, column, sign * kw)
        self._term(f"{bid['direction']} {bid['resource']}", t, column, kw)
        if bid["resource"] == "a":
            # UP in the pocket takes as much off the line, which may not take more than it has room.
            self._term("relief", t, column, sign * kw)
            self._term("pocket", t, column, sign * kw)

    def _steps(self, bid: dict[str, Any]) -> None:
        for curve in bid["curves"]:
            for t in range(curve["first_t"], curve["last_t"] + 1):
                for step in curve["steps"]:
                    column = self._column(H * step["ask_jpy_per_kwh"], step["quantity_kw"])
                    self._sell(bid, t, column, 1.0)

    def _block(self, bid: dict[str, Any]) -> None:
        profile = list(enumerate(bid["quantity_kw"], start=bid["first_t"]))
        ask = H * bid["ask_jpy_per_kwh"]
        if bid.get("run_min_count") is None:
            column = self._column(ask * sum(bid["quantity_kw"]), 1.0)
            self.at[bid["id"]] = [column]
            for t, kw in profile:
                self._sell(bid, t, column, kw)
            return
        self.at[bid["id"]] = []
        for t, kw in profile:
            column = self._column(ask * kw, 1.0)
            self.at[bid["id"]].append(column)
            self._sell(bid, t, column, kw)

    def best_jpy(self) -> float:
        """Return the least cost of all decisions, by solving each."""
        return min(self._cost_jpy(choice) for choice in _decisions(self.blocks))

    def _cost_jpy(self, choice: dict[str, tuple[int, ...]]) -> float:
        starts_jpy = 0.0
        for block in self.blocks:
            pattern = choice[block["id"]]
            starts = sum(1 for value, _ in itertools.groupby(pattern) if value)
            starts_jpy += starts * block.get("start_cost_jpy", 0.0)
            least = block.get("acceptance_min_ratio", 1.0)
            for column, is_on in zip(self.at[block["id"]], pattern, strict=True):
                self.solver.changeColBounds(column, least * is_on, float(is_on))
        self.solver.run()
        if self.solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return np.inf
        return float(self.solver.getObjectiveValue()) + starts_jpy


def _agrees(seed: int) -> None:
    document = random_book(seed)
    best_jpy = Oracle(document).best_jpy()
    found = clear(snapshot_from_json(document))
    assert -found.objective_jpy == pytest.approx(best_jpy, abs=1e-5), seed
    assert found.bound_jpy - found.objective_jpy <= 1e-4, seed


@pytest.mark.parametrize("first", range(0, GATE_COUNT, 10))
def test_no_decision_at_all_is_better(first: int) -> None:
    for seed in range(first, first + 10):
        _agrees(seed)


@pytest.mark.slow
def test_no_decision_at_all_is_better_in_many_books() -> None:
    for seed in range(GATE_COUNT, LONG_COUNT):
        _agrees(seed)


@pytest.mark.parametrize("seed", range(0, GATE_COUNT, 5))
def test_results_of_blocks_are_verified_and_do_not_depend_on_order(seed: int) -> None:
    document = random_book(seed)
    turned = {**document, "bids": document["bids"][::-1]}
    assert Result(document).content == Result(turned).content


@pytest.mark.parametrize("seed", range(5))
def test_the_search_agrees_with_the_model_solved_whole(seed: int) -> None:
    found = clear(snapshot_from_json(random_book(100 + seed)))
    rows = {name: found.programme.rows[name].keys for name in LAZY_ROWS}
    current = with_lazy_rows(found.programme, rows)
    bounds_kw = (current.lower_kw, current.upper_kw)
    whole = Model(current, bounds_kw, np.zeros(0, dtype=np.int64), is_mixed=True)
    cost_kjpy = solve_linear(whole.problem, found.snapshot.rules).objective
    assert -found.objective_jpy == pytest.approx(cost_kjpy * KW_PER_MW, abs=1e-4)

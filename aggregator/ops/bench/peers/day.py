"""A day on the 118-bus grid: loads, stepped generators, stores and tight lines, as plain arrays.

The same arrays become the data frames of the peers and the snapshot of the engine. Everything is
drawn with a seed; ratings come from the flows of a cheapest day without lines, so that some bind.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.random import default_rng  # noqa: TID251 - seeded

from market.core.offers.terms import FloatArray, IntArray

INTERVAL_COUNT: Final = 48
INTERVAL_H: Final = 0.5
STEP_COUNT: Final = 5
STORE_COUNT: Final = 20
KW_PER_MW: Final = 1000.0
VALUE_JPY_PER_KWH: Final = 1000.0
LOAD, PMAX, REACTANCE = 2, 8, 3
REVISED_RATIO: Final = 0.02
PEAK_RATIO: Final = 1.3
"""Load of the evening over that of the case."""


@dataclass(frozen=True, kw_only=True)
class Day:
    """One day; axes N buses, L branches, G generators, S stores, K steps, T half hours."""

    bus: IntArray
    branch_from: IntArray
    branch_to: IntArray
    reactance_pu: FloatArray
    rating_mw: FloatArray
    load_mw: FloatArray
    """(N, T)"""
    generator_bus: IntArray
    step_mw: FloatArray
    """Width of a generator's steps, (G,)."""
    cost_per_mwh: FloatArray
    """(G, K), rising."""
    store_bus: IntArray
    store_mw: FloatArray
    store_mwh: FloatArray
    wear_per_mwh: FloatArray
    """Per MWh discharged, (S,)."""
    efficiency_ratio: float = 0.95

    def as_json(self) -> dict[str, Any]:
        """Return the arrays as lists, for the peers."""
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in self.__dict__.items()
        } | {"interval_h": INTERVAL_H}


def day_from_json(found: dict[str, Any]) -> Day:
    """Return the day that :meth:`Day.as_json` wrote."""
    arrays: dict[str, Any] = {
        name: np.array(value) if isinstance(value, list) else value for name, value in found.items()
    }
    del arrays["interval_h"]
    return Day(**arrays)


def day(grid: dict[str, list[list[float]]], seed: int, *, revision: int = 0) -> Day:
    """Return the day of a seed; seeds and revisions differ in loads and costs, never in the grid.

    Parameters
    ----------
    grid
        Matrices ``bus``, ``gen`` and ``branch`` in MATPOWER's columns.
    seed
        Of loads and costs.
    revision
        0 is the forecast; each other number moves every load and every cost by up to 2 %.
    """
    bus, gen, branch = (np.array(grid[name]) for name in ("bus", "gen", "branch"))
    position = {number: at for at, number in enumerate(bus[:, 0].astype(int).tolist())}

    def at(numbers: FloatArray) -> IntArray:
        return np.array([position[int(number)] for number in numbers], dtype=np.int64)

    fixed, drawn = default_rng(118), default_rng(seed)
    t = np.arange(INTERVAL_COUNT)
    shape = 1.0 + (PEAK_RATIO - 1.0) * np.sin(np.pi * (t - 14.0) / 24.0)
    load_mw = bus[:, LOAD][:, None] * shape * drawn.uniform(0.9, 1.1, (len(bus), INTERVAL_COUNT))
    base = drawn.uniform(10.0, 40.0, len(gen))
    rise = np.cumsum(drawn.uniform(0.5, 4.0, (len(gen), STEP_COUNT)), axis=1)
    if revision:
        news = default_rng([seed, revision])
        load_mw *= news.uniform(1.0 - REVISED_RATIO, 1.0 + REVISED_RATIO, load_mw.shape)
        base *= news.uniform(1.0 - REVISED_RATIO, 1.0 + REVISED_RATIO, base.shape)
    store_bus = fixed.choice(len(bus), STORE_COUNT, replace=False)
    store_mw = fixed.uniform(20.0, 60.0, STORE_COUNT).round(1)
    ends = at(branch[:, 0]), at(branch[:, 1])
    return Day(
        bus=bus[:, 0].astype(np.int64),
        branch_from=ends[0],
        branch_to=ends[1],
        reactance_pu=branch[:, REACTANCE],
        rating_mw=_ratings_mw(bus, gen, ends, branch[:, REACTANCE]),
        load_mw=load_mw.round(3),
        generator_bus=at(gen[:, 0]),
        step_mw=(gen[:, PMAX] / STEP_COUNT).round(3),
        cost_per_mwh=(base[:, None] + rise).round(3),
        store_bus=store_bus.astype(np.int64),
        store_mw=store_mw,
        store_mwh=4.0 * store_mw,
        wear_per_mwh=fixed.uniform(1.0, 3.0, STORE_COUNT).round(2),
    )


def _ratings_mw(
    bus: FloatArray, gen: FloatArray, ends: tuple[IntArray, IntArray], reactance_pu: FloatArray
) -> FloatArray:
    """Return ratings a fifth above the flows when all generators share the evening's load."""
    count = len(bus)
    injected = -bus[:, LOAD] * PEAK_RATIO
    share = gen[:, PMAX] / gen[:, PMAX].sum()
    position = {number: at for at, number in enumerate(bus[:, 0].astype(int).tolist())}
    np.add.at(injected, [position[int(n)] for n in gen[:, 0]], -injected.sum() * share)
    incidence = np.zeros((len(reactance_pu), count))
    row = np.arange(len(reactance_pu))
    np.add.at(incidence, (row, ends[0]), 1.0)
    np.add.at(incidence, (row, ends[1]), -1.0)
    weighted = incidence / reactance_pu[:, None]
    angle = np.zeros(count)
    angle[1:] = np.linalg.solve((incidence.T @ weighted)[1:, 1:], injected[1:])
    return np.asarray(np.maximum(np.abs(weighted @ angle) * 2.0, 200.0).round(1))


def snapshot_of(found: Day) -> dict[str, Any]:
    """Return the day as a snapshot in absolute mode, 1 per MWh being 0.001 JPY/kWh."""
    names = [f"bus{number:03d}" for number in found.bus]
    kw = KW_PER_MW
    return {
        "schema": "wattbit-snapshot/2",
        "auction": "case118",
        "interval_h": INTERVAL_H,
        "interval_count": INTERVAL_COUNT,
        "rules": {
            "version": "absolute",
            "deviation_limit_kw": 0.0,
            "deviation_price_jpy_per_kwh": 0.0,
            "payment": "pay_as_clear",
            "price_tick_jpy_per_kwh": 1e-6,
            "quantity_tick_kw": 1e-3,
            "gap_max_ratio": 1e-9,
            "iteration_limit": 10_000_000,
        },
        "network": _network(found, names),
        "elements": [
            {
                "id": f"line{row:03d}",
                "branch": f"line{row:03d}",
                "rating_kw": float(rating) * kw,
                "base_flow_kw": 0.0,
            }
            for row, rating in enumerate(found.rating_mw)
        ],
        "places": [{"id": name, "bus": name} for name in names],
        "resources": [
            *(
                _resource(f"gen{row:02d}", names[at], STEP_COUNT * float(mw) * kw, 0.0)
                for row, (at, mw) in enumerate(zip(found.generator_bus, found.step_mw, strict=True))
            ),
            *(
                _resource(f"store{row:02d}", names[at], float(mw) * kw, float(mw) * kw)
                for row, (at, mw) in enumerate(zip(found.store_bus, found.store_mw, strict=True))
            ),
        ],
        "place_needs": [
            {
                "id": name,
                "place": name,
                "need_kw": (load * kw).tolist(),
                "cap_jpy_per_kwh": VALUE_JPY_PER_KWH,
            }
            for name, load in zip(names, found.load_mw, strict=True)
            if load.any()
        ],
        "bids": [*_steps(found), *_stores(found)],
    }


def _network(found: Day, names: list[str]) -> dict[str, Any]:
    return {
        "convention": "reactance",
        "base_mva": 100.0,
        "buses": [
            {"id": name, "area": "03", "island": "50", "slack_share_ratio": float(row == 0)}
            for row, name in enumerate(names)
        ],
        "branches": [
            {
                "id": f"line{row:03d}",
                "from": names[start],
                "to": names[end],
                "resistance_pu": 0.0,
                "reactance_pu": float(x),
                "rating_kw": float(rating) * KW_PER_MW,
            }
            for row, (start, end, x, rating) in enumerate(
                zip(
                    found.branch_from,
                    found.branch_to,
                    found.reactance_pu,
                    found.rating_mw,
                    strict=True,
                )
            )
        ],
    }


def _resource(name: str, place: str, up_kw: float, down_kw: float) -> dict[str, Any]:
    return {"id": name, "place": place, "limit_up_kw": up_kw, "limit_down_kw": down_kw}


def _steps(found: Day) -> list[dict[str, Any]]:
    return [
        {
            "id": f"gen{row:02d}",
            "form": "STEPS",
            "resource": f"gen{row:02d}",
            "direction": "UP",
            "curves": [
                {
                    "first_t": 0,
                    "last_t": INTERVAL_COUNT - 1,
                    "steps": [
                        {
                            "quantity_kw": float(found.step_mw[row]) * KW_PER_MW,
                            "ask_jpy_per_kwh": float(cost) / KW_PER_MW,
                        }
                        for cost in found.cost_per_mwh[row]
                    ],
                }
            ],
        }
        for row in range(len(found.generator_bus))
    ]


def _stores(found: Day) -> list[dict[str, Any]]:
    return [
        {
            "id": f"store{row:02d}",
            "form": "STORAGE",
            "resource": f"store{row:02d}",
            "first_t": 0,
            "last_t": INTERVAL_COUNT - 1,
            "charge_limit_kw": float(found.store_mw[row]) * KW_PER_MW,
            "discharge_limit_kw": float(found.store_mw[row]) * KW_PER_MW,
            "energy_limit_kwh": float(found.store_mwh[row]) * KW_PER_MW,
            "reserve_kwh": 0.0,
            "start_kwh": float(found.store_mwh[row]) * KW_PER_MW / 2,
            "end_min_kwh": float(found.store_mwh[row]) * KW_PER_MW / 2,
            "charge_efficiency_ratio": found.efficiency_ratio,
            "discharge_efficiency_ratio": found.efficiency_ratio,
            "standing_loss_ratio": 0.0,
            "wear_jpy_per_kwh": float(found.wear_per_mwh[row]) / KW_PER_MW,
            "cycles_max": None,
        }
        for row in range(len(found.store_bus))
    ]

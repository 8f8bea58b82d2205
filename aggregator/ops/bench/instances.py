"""Seeded snapshots of three sizes, for measuring the engine: a meshed grid, tight lines, a book.

The grid is a thinned Delaunay triangulation with reactances in proportion to length. Loads,
generation and prices follow a day's shape. Some monitored lines are derated so that their evening
(or noon) flow exceeds the rating; each overload is a local need of the size that nearby flexibility
can meet, so that unserved needs stay a minor part of the objective.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import scipy.sparse as sp
from numpy.random import Generator, default_rng  # noqa: TID251 - seeded, for benches only
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.sparse.linalg import splu
from scipy.spatial import Delaunay

from aggregator.ops.bench.shapes import (
    INTERVAL_COUNT,
    INTERVAL_H,
    FloatArray,
    IntArray,
    changed,
    day_ratio,
    price_jpy_per_kwh,
    sun_ratio,
)

__all__ = ["INTERVAL_COUNT", "INTERVAL_H", "SIZES", "changed", "document"]

BASE_MVA: Final = 100.0
AREA_COUNT: Final = 3
BRANCH_RATIO: Final = 1.5
SITE_LOAD_KW: Final = (2_000.0, 30_000.0)
BATTERY_RATIO: Final = 0.2
DEFERRAL_RATIO: Final = 0.2
SHIFT_COUNT_MAX: Final = 1_000
RELIEF_RATIO: Final = 0.2
"""Peak overload of a derated line over the relief that all offers together could give it."""
LOCAL_CAP_JPY_PER_KWH: Final = 60.0
BALANCE_CAP_JPY_PER_KWH: Final = {"UP": 60.0, "DOWN": 20.0}
"""More for DOWN would pay stores for burning energy, which is a question of integers."""


@dataclass(frozen=True)
class Size:
    """How large an instance is; `offers` counts step columns."""

    sites: int
    offers: int
    buses: int
    monitored: int
    derated: int


SIZES: Final = {
    "a": Size(100, 2_000, 118, 40, 12),
    "m": Size(300, 6_000, 2_000, 300, 60),
    "b": Size(1_000, 20_000, 2_000, 300, 60),
    "l": Size(3_000, 60_000, 2_000, 300, 60),
    "c": Size(5_000, 100_000, 2_000, 300, 60),
}
"""Sizes a, b and c of the bench; m and l are the ends of the growth measurement."""


@dataclass(frozen=True)
class _Grid:
    area: IntArray
    branch_from: IntArray
    branch_to: IntArray
    reactance_pu: FloatArray
    load_share: FloatArray
    base_flow_kw: FloatArray
    sensitivity: FloatArray
    """Flow on each branch per kW injected at each bus, slack spread over the load, (L, N)."""


@dataclass(frozen=True)
class _Book:
    bids: list[dict[str, Any]]
    resources: list[dict[str, Any]]
    paths: list[dict[str, Any]]
    flexible_kw: FloatArray
    """What all offers of a bus can move in a half hour, (N, T)."""


def document(size: str, seed: int = 0) -> dict[str, Any]:
    """Return a snapshot of the given size as a JSON document.

    Parameters
    ----------
    size
        A key of :data:`SIZES`.
    seed
        Equal seeds give equal documents.
    """
    chosen = SIZES[size]
    rng = default_rng(seed)
    grid = _grid(chosen, rng)
    site_bus = np.sort(rng.permutation(np.resize(rng.permutation(chosen.buses), chosen.sites)))
    book = _book(chosen, site_bus, rng)
    elements, local_needs = _elements(chosen, grid, book.flexible_kw, rng)
    return {
        "schema": "wattbit-snapshot/2",
        "auction": f"bench-{size}-{seed}",
        "interval_h": INTERVAL_H,
        "interval_count": INTERVAL_COUNT,
        "rules": {
            "version": "bench",
            "deviation_limit_kw": 0.0,
            "deviation_price_jpy_per_kwh": 200.0,
            "payment": "pay_as_clear",
            "price_tick_jpy_per_kwh": 0.01,
            "quantity_tick_kw": 0.1,
            "gap_max_ratio": 1e-9,
            "iteration_limit": 20_000_000,
        },
        "network": _network(grid),
        "transfers": _transfers(grid, book.flexible_kw),
        "elements": elements,
        "places": [{"id": _bus(bus), "bus": _bus(bus)} for bus in np.unique(site_bus)],
        "resources": book.resources,
        "paths": book.paths,
        "local_needs": local_needs,
        "balance_needs": _balance_needs(grid, book.flexible_kw, rng),
        "bids": book.bids,
    }


def _bus(number: int) -> str:
    return f"n{number:04d}"


def _site(number: int) -> str:
    return f"s{number:04d}"


def _grid(size: Size, rng: Generator) -> _Grid:
    count = size.buses
    point = rng.uniform(size=(count, 2))
    point = point[np.argsort(point[:, 0])]
    triangles = Delaunay(point).simplices
    ends = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    ends = np.unique(np.sort(ends, axis=1), axis=0)
    length = np.linalg.norm(point[ends[:, 0]] - point[ends[:, 1]], axis=1)
    tree = minimum_spanning_tree(sp.csr_array((length, (ends[:, 0], ends[:, 1])), (count, count)))
    is_tree = np.isin(ends[:, 0] * count + ends[:, 1], _edge_keys(sp.coo_array(tree), count))
    spare = np.flatnonzero(~is_tree)
    extra = spare[np.argsort(length[spare])][: int(BRANCH_RATIO * count) - int(is_tree.sum())]
    kept = np.sort(np.concatenate([np.flatnonzero(is_tree), extra]))
    start, end = ends[kept].T
    typical = 1.0 / np.sqrt(count)
    reactance = 0.02 * (0.2 + length[kept] / typical) * rng.uniform(0.7, 1.3, len(kept))
    share = rng.lognormal(0.0, 0.8, count)
    share /= share.sum()
    sensitivity = _sensitivity(start, end, reactance, share)
    injection_kw = _schedule_kw(share, rng)
    return _Grid(
        area=(AREA_COUNT * np.arange(count)) // count,
        branch_from=start,
        branch_to=end,
        reactance_pu=reactance,
        load_share=share,
        base_flow_kw=sensitivity @ injection_kw,
        sensitivity=sensitivity,
    )


def _edge_keys(tree: sp.coo_array, count: int) -> IntArray:
    row, column = tree.coords
    return np.asarray(np.minimum(row, column).astype(np.int64) * count + np.maximum(row, column))


def _sensitivity(
    start: IntArray, end: IntArray, reactance: FloatArray, share: FloatArray
) -> FloatArray:
    lines, count = len(start), len(share)
    row = np.arange(lines)
    ends = sp.csr_array(
        (np.tile([1.0, -1.0], (lines, 1)).T.ravel(), (np.tile(row, 2), np.r_[start, end])),
        shape=(lines, count),
    )
    weighted = sp.csr_array(sp.diags_array(1.0 / reactance) @ ends)
    bus = sp.csc_matrix((ends.T @ weighted).tocsr()[1:, 1:])
    found = np.zeros((lines, count))
    found[:, 1:] = splu(bus).solve(weighted[:, 1:].T.toarray()).T
    return np.asarray(found - (found @ share)[:, None])


def _schedule_kw(share: FloatArray, rng: Generator) -> FloatArray:
    """Return net injections before the auction, (N, T): load, spread generation, sun."""
    count = len(share)
    load_kw = 9e3 * count * np.outer(share, day_ratio())
    load_kw *= 1.0 + 0.05 * rng.standard_normal((count, 1)) + 0.02 * rng.standard_normal((1, 48))
    sunny = rng.choice(count, count // 8, replace=False)
    supply = np.zeros((count, INTERVAL_COUNT))
    supply[sunny] = np.outer(rng.lognormal(0.0, 0.5, len(sunny)), sun_ratio())
    supply *= 0.3 * load_kw.sum(axis=0).max() / max(supply.sum(axis=0).max(), 1e-9)
    plants = rng.choice(count, count // 8, replace=False)
    size = rng.lognormal(0.0, 0.5, len(plants))
    left = load_kw.sum(axis=0) - supply.sum(axis=0)
    supply[plants] += np.outer(size / size.sum(), left)
    return np.asarray(supply - load_kw)


def _network(grid: _Grid) -> dict[str, Any]:
    peak_kw = np.abs(grid.base_flow_kw).max(axis=1)
    return {
        "convention": "reactance",
        "base_mva": BASE_MVA,
        "buses": [
            {
                "id": _bus(bus),
                "area": f"{area + 1:02d}",
                "island": "main",
                "slack_share_ratio": float(share),
            }
            for bus, (area, share) in enumerate(zip(grid.area, grid.load_share, strict=True))
        ],
        "branches": [
            {
                "id": _branch(line),
                "from": _bus(start),
                "to": _bus(end),
                "resistance_pu": float(reactance) / 8.0,
                "reactance_pu": float(reactance),
                "rating_kw": float(np.ceil(1.5 * peak_kw[line] + 1e3)),
            }
            for line, (start, end, reactance) in enumerate(
                zip(grid.branch_from, grid.branch_to, grid.reactance_pu, strict=True)
            )
        ],
        "links": [],
    }


def _branch(number: int) -> str:
    return f"l{number:04d}"


def _book(size: Size, site_bus: IntArray, rng: Generator) -> _Book:
    sites = size.sites
    load_kw = np.round(rng.uniform(*SITE_LOAD_KW, sites))
    price = price_jpy_per_kwh()
    bids: list[dict[str, Any]] = []
    resources: list[dict[str, Any]] = []
    flexible = np.zeros((size.buses, INTERVAL_COUNT))
    oversold = rng.uniform(0.75, 1.25, sites)
    sold_up, sold_down = np.zeros(sites), np.zeros(sites)
    per_site = size.offers // sites
    for site in range(sites):
        taken = _step_bids(site, load_kw[site], per_site, price, rng)
        bids += taken
        for bid in taken:
            most = 0.0
            for curve in bid["curves"]:
                kw = sum(step["quantity_kw"] for step in curve["steps"])
                flexible[site_bus[site], curve["first_t"]] += kw
                most = max(most, kw)
            sold = sold_up if bid["direction"] == "UP" else sold_down
            sold[site] += most
    order = rng.permutation(sites)
    stores = order[: round(BATTERY_RATIO * sites)]
    for site in np.sort(stores):
        bid, resource = _battery(int(site), _bus(site_bus[site]), rng)
        bids.append(bid)
        resources.append(resource)
        flexible[site_bus[site]] += bid["charge_limit_kw"]
    for site in np.sort(order[len(stores) : len(stores) + round(DEFERRAL_RATIO * sites)]):
        bid = _deferral(int(site), load_kw[site], rng)
        bids.append(bid)
        arriving = max(bid["arriving_kw"])
        sold_up[site] += arriving
        sold_down[site] += bid["rebound_limit_kw"]
        flexible[site_bus[site]] += 0.5 * arriving
    shifts, paths = _shifts(size, site_bus, load_kw, rng)
    for (source, target), bid in shifts:
        bids.append(bid)
        kw = bid["offers"][0]["quantity_kw"]
        sold_up[source] += kw
        sold_down[target] += kw * bid["destinations"][0]["ratio"]
        flexible[site_bus[source]] += 0.5 * kw
        flexible[site_bus[target]] += 0.5 * kw
    resources += [
        {
            "id": _site(site),
            "place": _bus(site_bus[site]),
            "limit_up_kw": float(np.round(oversold[site] * sold_up[site])),
            "limit_down_kw": float(np.round(oversold[site] * sold_down[site])),
        }
        for site in range(sites)
    ]
    return _Book(bids=bids, resources=resources, paths=paths, flexible_kw=flexible)


def _step_bids(
    site: int, load_kw: float, columns: int, price: FloatArray, rng: Generator
) -> list[dict[str, Any]]:
    """Return an UP bid of three steps and a DOWN bid of two, together `columns` step columns."""
    up_count = round(0.6 * columns / 3)
    down_count = round((columns - 3 * up_count) / 2)
    found = []
    for direction, count, steps in (("UP", up_count, 3), ("DOWN", down_count, 2)):
        level = price if direction == "UP" else -price
        curves = []
        for t in np.sort(rng.choice(INTERVAL_COUNT, count, replace=False)):
            quantity = np.round(load_kw * rng.uniform(0.03, 0.12, steps), 1)
            ask = np.sort(np.round(level[t] + rng.uniform(0.5, 24.0, steps), 2))
            curves.append(
                {
                    "first_t": int(t),
                    "last_t": int(t),
                    "steps": [
                        {"quantity_kw": float(kw), "ask_jpy_per_kwh": float(jpy)}
                        for kw, jpy in zip(quantity, ask, strict=True)
                    ],
                }
            )
        found.append(
            {
                "id": f"{_site(site)}-{direction.lower()}",
                "form": "STEPS",
                "resource": _site(site),
                "direction": direction,
                "curves": curves,
            }
        )
    return found


def _battery(site: int, bus: str, rng: Generator) -> tuple[dict[str, Any], dict[str, Any]]:
    power = float(np.round(rng.uniform(1_000.0, 8_000.0)))
    energy = float(np.round(power * rng.uniform(2.0, 5.0)))
    start = round(energy * rng.uniform(0.3, 0.7), 1)
    resource = f"{_site(site)}-battery"
    bid = {
        "id": resource,
        "form": "STORAGE",
        "resource": resource,
        "first_t": 0,
        "last_t": INTERVAL_COUNT - 1,
        "charge_limit_kw": power,
        "discharge_limit_kw": power,
        "energy_limit_kwh": energy,
        "reserve_kwh": round(0.1 * energy, 1),
        "start_kwh": start,
        "end_min_kwh": start,
        "charge_efficiency_ratio": round(rng.uniform(0.96, 0.985), 3),
        "discharge_efficiency_ratio": round(rng.uniform(0.96, 0.985), 3),
        "standing_loss_ratio": 0.0,
        "wear_jpy_per_kwh": round(rng.uniform(4.0, 7.0), 2),
        "cycles_max": None,
    }
    return bid, {"id": resource, "place": bus, "limit_up_kw": power, "limit_down_kw": power}


def _deferral(site: int, load_kw: float, rng: Generator) -> dict[str, Any]:
    hour = (np.arange(INTERVAL_COUNT) + 0.5) * INTERVAL_H
    wave = 1.0 + 0.4 * np.sin(2.0 * np.pi * (hour - rng.uniform(0.0, 24.0)) / 24.0)
    arriving = np.round(0.2 * load_kw * wave * rng.uniform(0.8, 1.2, INTERVAL_COUNT), 1)
    limit = float(np.round(1.5 * arriving.max(), 1))
    return {
        "id": f"{_site(site)}-defer",
        "form": "DEFERRAL",
        "resource": _site(site),
        "first_t": 0,
        "last_t": INTERVAL_COUNT - 1,
        "arriving_kw": arriving.tolist(),
        "slack_count": int(rng.integers(4, 13)),
        "service_limit_kw": [limit] * INTERVAL_COUNT,
        "rebound_limit_kw": float(np.round(0.6 * arriving.max(), 1)),
        "extra_work_ratio": round(rng.uniform(0.0, 0.06), 3),
        "ask_jpy_per_kwh": round(rng.uniform(3.0, 7.0), 2),
    }


def _shifts(
    size: Size, site_bus: IntArray, load_kw: FloatArray, rng: Generator
) -> tuple[list[tuple[tuple[int, int], dict[str, Any]]], list[dict[str, Any]]]:
    """Return as many shift pairs as sites, up to a maximum, and one path for each."""
    count = min(size.sites, SHIFT_COUNT_MAX)
    sources = rng.choice(size.sites, count, replace=False)
    targets = (sources + rng.integers(1, size.sites, count)) % size.sites
    bids, paths = [], []
    for number, (source, target) in enumerate(zip(sources, targets, strict=True)):
        quantity = float(np.round(load_kw[source] * rng.uniform(0.05, 0.2), 1))
        path = f"p{number:04d}"
        moved_gb = round(rng.uniform(0.005, 0.02), 4)
        # Every fifth path is too thin for the whole quantity at once.
        width = rng.uniform(0.3, 0.9) if number % 5 == 0 else 1.5
        paths.append(
            {
                "id": path,
                "from_place": _bus(site_bus[source]),
                "to_place": _bus(site_bus[target]),
                "capacity_gb": float(np.round(width * moved_gb * quantity, 1)),
                "price_jpy_per_gb": round(rng.uniform(1.0, 5.0), 2),
                "latency_ms": 5.0,
            }
        )
        bid = {
            "id": f"{_site(source)}-shift",
            "form": "SHIFT",
            "resource": _site(source),
            "destinations": [
                {
                    "resource": _site(target),
                    "path": path,
                    "ratio": round(rng.uniform(0.9, 1.15), 3),
                }
            ],
            "offers": [
                {
                    "first_t": 0,
                    "last_t": INTERVAL_COUNT - 1,
                    "quantity_kw": quantity,
                    "ask_jpy_per_kwh": round(rng.uniform(1.0, 9.0), 2),
                }
            ],
            "change_cost_jpy_per_kw": round(rng.uniform(0.2, 2.0), 2),
            "gb_per_kw": moved_gb,
        }
        bids.append(((int(source), int(target)), bid))
    return bids, paths


def _elements(
    size: Size, grid: _Grid, flexible_kw: FloatArray, rng: Generator
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the monitored elements, the tight ones derated, and their needs."""
    peak = np.abs(grid.base_flow_kw).max(axis=1)
    monitored = np.sort(np.argsort(-peak)[: size.monitored])
    derated = set(rng.choice(monitored, size.derated, replace=False).tolist())
    elements, needs = [], []
    for line in monitored:
        flow = np.round(grid.base_flow_kw[line], 1)
        rating = float(np.ceil(peak[line] * rng.uniform(1.02, 1.4)))
        worst = int(np.argmax(np.abs(flow)))
        if line in derated:
            reach_kw = np.abs(grid.sensitivity[line]) @ flexible_kw[:, worst]
            overload = min(RELIEF_RATIO * rng.uniform(0.5, 1.5) * reach_kw, 0.25 * peak[line])
            rating = float(np.floor(peak[line] - overload))
        name = _branch(line)
        elements.append(
            {"id": name, "branch": name, "rating_kw": rating, "base_flow_kw": flow.tolist()}
        )
        for sign in (1, -1):
            over = np.round(np.maximum(sign * flow - rating, 0.0), 1)
            if over.any():
                needs.append(
                    {
                        "id": f"need-{name}{'+' if sign > 0 else '-'}",
                        "element": name,
                        "sign": sign,
                        "need_kw": over.tolist(),
                        "cap_jpy_per_kwh": LOCAL_CAP_JPY_PER_KWH,
                    }
                )
    return elements, needs


def _area_flexible_kw(grid: _Grid, flexible_kw: FloatArray) -> FloatArray:
    found = np.zeros((AREA_COUNT, INTERVAL_COUNT))
    np.add.at(found, grid.area, flexible_kw)
    return found


def _transfers(grid: _Grid, flexible_kw: FloatArray) -> list[dict[str, Any]]:
    width = 0.02 * _area_flexible_kw(grid, flexible_kw).mean()
    return [
        {
            "id": f"t{area + 1}",
            "from_area": f"{area + 1:02d}",
            "to_area": f"{area + 2:02d}",
            "limit_kw": float(np.round(width)),
        }
        for area in range(AREA_COUNT - 1)
    ]


def _balance_needs(grid: _Grid, flexible_kw: FloatArray, rng: Generator) -> list[dict[str, Any]]:
    level_kw = _area_flexible_kw(grid, flexible_kw)
    shape = {"UP": np.maximum(0.0, day_ratio() - 1.0) / 0.2, "DOWN": sun_ratio()}
    return [
        {
            "id": f"balance-{area + 1:02d}-{direction.lower()}",
            "area": f"{area + 1:02d}",
            "direction": direction,
            "need_kw": np.round(
                0.15 * level_kw[area] * shape[direction] * rng.uniform(0.7, 1.3), 1
            ).tolist(),
            "cap_jpy_per_kwh": BALANCE_CAP_JPY_PER_KWH[direction],
        }
        for area in range(AREA_COUNT)
        for direction in ("UP", "DOWN")
    ]

"""Reserved capacity is backed by what stores hold: joint rows over a resource's bids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.audit.block import EXACT, UNSEEN_KWH, Block, JointRows, JointTerm, Market

STORED_PER_DELIVERED_MAX: Final = 1e6
"""A store that must hold more than this per kWh it will deliver holds nothing for later."""


def energy_up(market: Market, blocks: Mapping[str, Block]) -> JointRows:
    """Return the rows by which energy above the reserve backs what may be called up."""
    return _backing(market, blocks, "UP")


def energy_down(market: Market, blocks: Mapping[str, Block]) -> JointRows:
    """Return the rows by which room under the limit backs what may be called down."""
    return _backing(market, blocks, "DOWN")


@dataclass
class _Row:
    """A row in the making: right-hand side, scale and coefficients by (bid, family, column)."""

    rhs: float
    scale: float
    terms: list[tuple[str, str, int, float]]


def _backing(market: Market, blocks: Mapping[str, Block], direction: str) -> JointRows:
    stores: dict[str, list[Mapping[str, Any]]] = {}
    for name in sorted(blocks):
        if market.bids[name]["form"] == "STORAGE":
            stores.setdefault(market.bids[name]["resource"], []).append(market.bids[name])
    rows: dict[str, _Row] = {}
    for name in sorted(blocks):
        bid = market.bids[name]
        if bid["form"] != "CAPACITY" or bid["resource"] not in stores:
            continue
        if market.products[bid["product"]]["direction"] != direction:
            continue
        (leg,) = blocks[name].legs
        for column, t in zip(leg.column.tolist(), leg.t.tolist(), strict=True):
            for store, start, kwh in _demands(market, bid, stores[bid["resource"]], t):
                key = f"{store['id']}@{start}"
                if key not in rows:
                    rows[key] = _empty(store, start, direction, market.h)
                rows[key].terms.append((name, leg.family, column, kwh))
    return _joined(rows)


def _demands(
    market: Market, bid: Mapping[str, Any], stores: list[Mapping[str, Any]], t: int
) -> Iterator[tuple[Mapping[str, Any], int, float]]:
    """Yield store, starting half hour and kWh per kW of each call that includes half hour t."""
    h, product = market.h, market.products[bid["product"]]
    if not any(store["first_t"] <= t <= store["last_t"] for store in stores):
        yield stores[0], t, 1.0
    for store in stores:
        start = t
        while (hours := product["sustained_h"] - (t - start) * h) > EXACT * h:
            if store["first_t"] <= start <= store["last_t"]:
                yield (
                    store,
                    start,
                    min(h, hours) * _kwh_per_kwh(store, product, h * (t - start + 1)),
                )
            start -= 1


def _kwh_per_kwh(store: Mapping[str, Any], product: Mapping[str, Any], waited_h: float) -> float:
    """Return the kWh a store must hold, or have room for, per kWh called at the end of a wait."""
    if product["direction"] == "DOWN":
        return float(store["charge_efficiency_ratio"])
    left = (1.0 - store["standing_loss_ratio"]) ** waited_h
    held = STORED_PER_DELIVERED_MAX if left * STORED_PER_DELIVERED_MAX < 1.0 else 1.0 / left
    return float(held / store["discharge_efficiency_ratio"])


def _empty(store: Mapping[str, Any], start: int, direction: str, h: float) -> _Row:
    """Return the row of a store and half hour before any capacity stands in it."""
    limit_kwh = store["energy_limit_kwh"]
    scale = max(limit_kwh, UNSEEN_KWH / EXACT)
    if not store["first_t"] <= start <= store["last_t"]:
        return _Row(0.0, scale, [])
    idle_h = h * (start - store["first_t"])
    idle_kwh = store["start_kwh"] * (1.0 - store["standing_loss_ratio"]) ** idle_h
    floor_kwh = min(store["reserve_kwh"], idle_kwh)
    sign, rhs = (1.0, -floor_kwh) if direction == "UP" else (-1.0, limit_kwh)
    if start == store["first_t"]:
        return _Row(rhs + sign * store["start_kwh"], scale, [])
    return _Row(rhs, scale, [(store["id"], "energy", start - store["first_t"] - 1, -sign)])


def _joined(rows: Mapping[str, _Row]) -> JointRows:
    terms: dict[tuple[str, str], list[tuple[int, int, float]]] = {}
    for number, row in enumerate(rows.values()):
        for bid, label, column, coefficient in row.terms:
            terms.setdefault((bid, label), []).append((number, column, coefficient))
    return JointRows(
        keys=tuple(rows),
        is_equal=False,
        rhs=np.array([row.rhs for row in rows.values()], dtype=np.float64),
        terms=tuple(
            JointTerm(
                bid=bid,
                family=label,
                row=np.array([item[0] for item in found], dtype=np.int64),
                column=np.array([item[1] for item in found], dtype=np.int64),
                coefficient=np.array([item[2] for item in found], dtype=np.float64),
            )
            for (bid, label), found in terms.items()
        ),
        scale=np.array([row.scale for row in rows.values()], dtype=np.float64),
    )

"""Reserved capacity: backed by what stores hold, deliverable over the grid, never sold twice.

A *call* is the full activation of everything held in one area and direction, in every half hour.
Axes: W = products, A = areas, 2 = directions UP and DOWN or sides + and − of a flow, Q = elements,
P = places, T = half hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.audit.block import EXACT, UNSEEN_KWH, Block, JointRows, JointTerm, Market
from market.core.audit.ledger import Array, Ledger, of_length

PRICED_H: Final = 0.5
"""Prices of capacity are per kW and 30 minutes."""
DIRECTIONS: Final = ("UP", "DOWN")
SIGNS: Final = np.array([1.0, -1.0])
SIDES: Final = ("1", "-1")
STORED_PER_DELIVERED_MAX: Final = 1e6
"""A store that must hold more than this per kWh it will deliver holds nothing for later."""
BOTH_SCALE_KW: Final = 1000.0


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


def call_prices(
    found: Mapping[str, Any], area_ids: list[str], element_ids: list[str], count: int
) -> Array:
    """Return what deliverability costs, (A, 2 directions, Q, 2 sides, T), in JPY/kWh.

    Parameters
    ----------
    found
        ``raw.duals.deliver_flow_jpy_per_kwh``: area → direction → element → side → series; what
        is zero is left out.

    Raises
    ------
    ValueError
        If it names what does not exist.
    """
    prices = np.zeros((len(area_ids), 2, len(element_ids), 2, count))
    for area, by_direction in found.items():
        for direction, by_element in by_direction.items():
            for element, by_side in by_element.items():
                for side, values in by_side.items():
                    where = (
                        area_ids.index(area),
                        DIRECTIONS.index(direction),
                        element_ids.index(element),
                        SIDES.index(side),
                    )
                    prices[where] = of_length(values, count)
    return prices


def call_worth(prices: Array) -> Array:
    """Return what a kWh of flow costs on each element by itself, all calls together, (Q, T)."""
    return np.asarray((prices[:, :, :, 0] - prices[:, :, :, 1]).sum(axis=(0, 1)))


def capacity_price_jpy_per_kw(
    market: Market,
    reserve_jpy_per_kw: Array,
    prices: Array,
    *,
    place_area: Any,
    sent_ratio: Array,
    kw_per_kw: Array,
) -> Array:
    """Return what each product is paid per kW received and 30 minutes at each place, (W, P, T).

    Parameters
    ----------
    reserve_jpy_per_kw
        Price of each product in each area at the sending end, (W, A, T).
    prices
        Of :func:`call_prices`.
    place_area, sent_ratio
        Area of each place and kW sent per kW received there, (P,).
    kw_per_kw
        Flow on each element per kW sent from each place, (Q, P).
    """
    worth = prices[:, :, :, 0] - prices[:, :, :, 1]
    paid = []
    for row, product in enumerate(market.products.values()):
        call = DIRECTIONS.index(product["direction"])
        loading = np.einsum("qp,pqt->pt", kw_per_kw, worth[place_area, call])
        paid.append(reserve_jpy_per_kw[row][place_area] - PRICED_H * SIGNS[call] * loading)
    shape = (len(paid), len(sent_ratio), market.count)
    return np.asarray(sent_ratio[None, :, None] * np.reshape(paid, shape))


def called_kw(
    held_kw: Array, is_up: Any, *, place_area: Any, sent_ratio: Array, area_count: int
) -> Array:
    """Return the change of injection of a full call of each area and direction, (A, 2, P, T).

    Parameters
    ----------
    held_kw
        Capacity held per product and place at the receiving end, (W, P, T).
    is_up
        Whether each product is called up, (W,).
    """
    up = np.asarray(is_up, dtype=bool)
    called = np.zeros((area_count, 2, *held_kw.shape[1:]))
    for call, chosen in enumerate((up, ~up)):
        sent_kw = SIGNS[call] * sent_ratio[:, None] * held_kw[chosen].sum(axis=0)
        called[place_area, call, np.arange(len(sent_ratio))] = sent_kw
    return called


@dataclass(frozen=True)
class Delivery:
    """What deliverability adds to gap and rents."""

    forgone_jpy: float
    rent_jpy: Array
    """Rent of each element, (Q,)."""


def check_calls(
    called_flow_kw: Array,
    prices: Array,
    *,
    flow_change_kw: Array,
    headroom_kw: Array,
    interval_h: float,
    scale_kw: Array,
    ledger: Ledger,
) -> Delivery:
    """Check that a full call of any area and direction keeps every flow within its headroom.

    A call of nothing needs no room of its own; the cleared flow is checked elsewhere.

    Parameters
    ----------
    called_flow_kw
        What each call changes, (A, 2, Q, T).
    prices
        Of :func:`call_prices`.
    flow_change_kw
        Cleared change of flow, (Q, T).
    headroom_kw
        Room for each flow on the sides + and −, (Q, 2, T).
    scale_kw
        What a residual is measured against, (T,).
    """
    reached_kw = flow_change_kw + called_flow_kw
    left_kw = headroom_kw - SIGNS[:, None] * reached_kw[:, :, :, None, :]
    is_called = called_flow_kw.any(axis=2)[:, :, None, None, :]
    scale = np.maximum(headroom_kw, scale_kw)
    ledger.excess("deliverable flow", np.where(is_called, -left_kw, 0.0), scale)
    ledger.excess("dual signs", -prices)
    priced = interval_h * prices
    return Delivery(
        forgone_jpy=float((priced * left_kw).sum()),
        rent_jpy=np.asarray((priced * headroom_kw).sum(axis=(0, 1, 3, 4))),
    )


def check_rivals(market: Market, energy_kw: Array, held_kw: Array, ledger: Ledger) -> None:
    """Check that no resource sells energy and holds capacity in one half hour, where it may not.

    Parameters
    ----------
    energy_kw, held_kw
        Energy sold in both directions together, and capacity held, per resource, (R, T).
    """
    if market.snapshot["rules"]["kwh_xor_dkw"]:
        ledger.excess(
            "energy or capacity",
            np.minimum(energy_kw, held_kw),
            np.maximum(np.maximum(energy_kw, held_kw), BOTH_SCALE_KW),
        )

r"""Storage: a battery, UPS, thermal or hydrogen store offered within its limits.

Over its window, with charge :math:`c`, discharge :math:`d` at the receiving end and stored
energy :math:`e` at the end of each half hour,

.. math:: e_t = (1-\sigma)^h e_{t-1} + h\,\eta_c c_t - h\,d_t/\eta_d, \qquad
          \underline e \le e_t \le \bar e, \quad e_{\text{last}} \ge e_{\text{end}}, \quad
          \sum_t h\,d_t/\eta_d \le n\,\bar e .

The reserve :math:`\underline e` (UPS autonomy) is never sold. Wear is paid per kWh discharged.
Charging and discharging at once would burn energy, which pays only where prices are negative; the
clearing first relaxes that rule and adds one binary per half hour in which the relaxation breaks
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Own,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DOWN, UP

IDLE_TOLERANCE_RATIO = 1e-9
KINDS = ("BATTERY", "UPS", "THERMAL", "HYDROGEN")
LIMITS = ("charge_limit_kw", "discharge_limit_kw", "energy_limit_kwh")
ENERGIES = ("reserve_kwh", "start_kwh", "end_min_kwh")
RATIOS = ("charge_efficiency_ratio", "discharge_efficiency_ratio")


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a storage bid; refuse what breaks its rules.

    A store that is left idle must satisfy its own reserve and end energy: doing nothing is then
    always a solution, and no auction can become infeasible through a bid.
    """
    entry = reader.fields(
        required=(
            "id",
            "form",
            "resource",
            "first_t",
            "last_t",
            *LIMITS,
            *ENERGIES,
            *RATIOS,
            "standing_loss_ratio",
            "wear_jpy_per_kwh",
            "cycles_max",
        ),
        optional=("kind", *COMMON_OPTIONAL),
    )
    bid: dict[str, Any] = {
        **terms.head(entry, "STORAGE"),
        "kind": entry["kind"].choice(KINDS) if "kind" in entry else KINDS[0],
        **terms.window(entry),
        **{name: entry[name].number(low=0) for name in LIMITS},
        **{name: entry[name].number(low=1e-3, high=1.0) for name in RATIOS},
        "standing_loss_ratio": entry["standing_loss_ratio"].number(low=0, high=0.999),
        "wear_jpy_per_kwh": entry["wear_jpy_per_kwh"].number(low=0, high=1e6),
        "cycles_max": (
            None
            if entry["cycles_max"].value is None
            else entry["cycles_max"].number(low=0, high=1e6)
        ),
    }
    for name in ENERGIES:
        bid[name] = entry[name].number(low=0)
        if bid[name] > bid["energy_limit_kwh"]:
            entry[name].refuse("must not exceed energy_limit_kwh")
    _check_idle(entry, bid, terms.interval_h)
    return bid


def _check_idle(entry: dict[str, Reader], bid: dict[str, Any], interval_h: float) -> None:
    kept = (1.0 - bid["standing_loss_ratio"]) ** (interval_h * (bid["last_t"] - bid["first_t"] + 1))
    left_kwh = bid["start_kwh"] * kept + IDLE_TOLERANCE_RATIO * max(1.0, bid["energy_limit_kwh"])
    if left_kwh < bid["reserve_kwh"]:
        entry["start_kwh"].refuse("must leave the reserve untouched when the storage stays idle")
    if left_kwh < bid["end_min_kwh"]:
        entry["end_min_kwh"].refuse("must be reached when the storage stays idle")


@dataclass(frozen=True, kw_only=True)
class StorageTable:
    """All storage bids; axis B = bids, axis n = (bid, half hour) pairs of their windows."""

    ids: tuple[str, ...]
    resource: IntArray
    first_t: IntArray
    last_t: IntArray
    charge_limit_kw: FloatArray
    discharge_limit_kw: FloatArray
    energy_limit_kwh: FloatArray
    reserve_kwh: FloatArray
    start_kwh: FloatArray
    end_min_kwh: FloatArray
    charge_efficiency_ratio: FloatArray
    discharge_efficiency_ratio: FloatArray
    standing_loss_ratio: FloatArray
    wear_jpy_per_kwh: FloatArray
    cycles_max: FloatArray
    """Infinite where the bid sets no limit."""
    pair_bid: IntArray
    pair_t: IntArray


def table(bids: list[dict[str, Any]], numbers: Numbers) -> StorageTable:
    """Return the arrays of canonical storage bids."""
    first_t = frozen_ints(bid["first_t"] for bid in bids)
    last_t = frozen_ints(bid["last_t"] for bid in bids)
    pair_bid, pair_t = ramp(first_t, last_t)

    def floats(name: str) -> FloatArray:
        return frozen_floats(bid[name] for bid in bids)

    return StorageTable(
        ids=tuple(bid["id"] for bid in bids),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in bids),
        first_t=first_t,
        last_t=last_t,
        charge_limit_kw=floats("charge_limit_kw"),
        discharge_limit_kw=floats("discharge_limit_kw"),
        energy_limit_kwh=floats("energy_limit_kwh"),
        reserve_kwh=floats("reserve_kwh"),
        start_kwh=floats("start_kwh"),
        end_min_kwh=floats("end_min_kwh"),
        charge_efficiency_ratio=floats("charge_efficiency_ratio"),
        discharge_efficiency_ratio=floats("discharge_efficiency_ratio"),
        standing_loss_ratio=floats("standing_loss_ratio"),
        wear_jpy_per_kwh=floats("wear_jpy_per_kwh"),
        cycles_max=frozen_floats(
            np.inf if bid["cycles_max"] is None else bid["cycles_max"] for bid in bids
        ),
        pair_bid=pair_bid,
        pair_t=pair_t,
    )


def _energy_floor_kwh(store: StorageTable, interval_h: float) -> FloatArray:
    """Return the least stored energy at the end of each pair, (n,).

    Where the idle trajectory touches the reserve to the last digit, the floor follows it, so that
    rounding can not make staying idle infeasible.
    """
    bid, t = store.pair_bid, store.pair_t
    floor_kwh = store.reserve_kwh[bid].copy()
    is_last = t == store.last_t[bid]
    floor_kwh[is_last] = np.maximum(floor_kwh, store.end_min_kwh[bid])[is_last]
    kept = (1.0 - store.standing_loss_ratio[bid]) ** (interval_h * (t - store.first_t[bid] + 1))
    return np.asarray(np.minimum(floor_kwh, store.start_kwh[bid] * kept))


def settled(store: StorageTable, x_kw: FloatArray, interval_h: float) -> FloatArray:
    """Return the columns with the energy that charge and discharge leave in each store, (3n,).

    A solver meets the equation of stored energy to its own tolerance, which for a small store is
    not small. What is bought and sold decides; the energy follows from it to the last digit.

    Parameters
    ----------
    store
        The bids.
    x_kw
        Charges, discharges and (unread) energies of all pairs, (3n,). [kW; kWh]
    interval_h
        Length of an interval. [h]
    """
    pairs = len(store.pair_t)
    bid = store.pair_bid
    gained_kwh = interval_h * (
        store.charge_efficiency_ratio[bid] * x_kw[:pairs]
        - x_kw[pairs : 2 * pairs] / store.discharge_efficiency_ratio[bid]
    )
    keep = (1.0 - store.standing_loss_ratio) ** interval_h
    first = np.searchsorted(bid, np.arange(len(store.ids)))
    energy_kwh = np.zeros(pairs)
    stored_kwh = store.start_kwh
    length = store.last_t - store.first_t + 1
    for step in range(int(length.max(initial=0))):
        alive = step < length
        pair = first[alive] + step
        stored_kwh = np.where(alive, keep * stored_kwh, stored_kwh)
        stored_kwh[alive] += gained_kwh[pair]
        energy_kwh[pair] = stored_kwh[alive]
    return np.concatenate([x_kw[: 2 * pairs], energy_kwh])


def columns(store: StorageTable, *, interval_h: float) -> Columns:
    """Return the columns of all storage bids: charges, discharges, stored energies, in turn.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    bid, t = store.pair_bid, store.pair_t
    pairs = len(t)
    pair = np.arange(pairs)
    one = np.ones(pairs)
    resource = store.resource[bid]
    return Columns(
        ids=store.ids,
        families=family_slices(charge=pairs, discharge=pairs, energy=pairs),
        bid=np.tile(bid, 3),
        lower_kw=np.concatenate([np.zeros(2 * pairs), _energy_floor_kwh(store, interval_h)]),
        upper_kw=np.concatenate(
            [
                store.charge_limit_kw[bid],
                store.discharge_limit_kw[bid],
                store.energy_limit_kwh[bid],
            ]
        ),
        cost_jpy=np.concatenate(
            [np.zeros(pairs), interval_h * store.wear_jpy_per_kwh[bid], np.zeros(pairs)]
        ),
        is_shared=np.repeat([True, True, False], pairs),
        legs=(
            Leg(
                name="CHARGE", direction=DOWN, column=pair, resource=resource, t=t, kw_per_unit=one
            ),
            Leg(
                name="DISCHARGE",
                direction=UP,
                column=pairs + pair,
                resource=resource,
                t=t,
                kw_per_unit=one,
            ),
        ),
        own=_own(store, interval_h),
        exclusive=np.stack([pair, pairs + pair], axis=1),
    )


def _own(store: StorageTable, interval_h: float) -> dict[str, Own]:
    """Return the equations of stored energy and the limits on cycles."""
    bid, t = store.pair_bid, store.pair_t
    pairs = len(t)
    pair = np.arange(pairs)
    drawn = interval_h / store.discharge_efficiency_ratio[bid]
    keep = (1.0 - store.standing_loss_ratio[bid]) ** interval_h
    is_first = t == store.first_t[bid]
    later = pair[~is_first]
    limited = np.flatnonzero(np.isfinite(store.cycles_max))
    cycle_row = np.full(len(store.ids), -1)
    cycle_row[limited] = np.arange(len(limited))
    counted = pair[cycle_row[bid] >= 0]
    return {
        "energy": Own(
            matrix=incidence(
                (pairs, 3 * pairs),
                (pair, 2 * pairs + pair, np.ones(pairs)),
                (pair, pair, -interval_h * store.charge_efficiency_ratio[bid]),
                (pair, pairs + pair, drawn),
                (later, 2 * pairs + later - 1, -keep[later]),
            ),
            rhs=np.where(is_first, keep * store.start_kwh[bid], 0.0),
            is_equal=True,
            bid=bid,
        ),
        "cycles": Own(
            matrix=incidence(
                (len(limited), 3 * pairs),
                (cycle_row[bid[counted]], pairs + counted, drawn[counted]),
            ),
            rhs=(store.cycles_max * store.energy_limit_kwh)[limited],
            is_equal=False,
            bid=limited,
        ),
    }

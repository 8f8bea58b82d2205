r"""What makes reserved capacity (ΔkW) worth its price: it covers a need and could be called.

With :math:`r_{jt}` the capacity of column j, :math:`g` the kW at the sending end per kW received,

- ``reserve``: per product, area and half hour with a need, served :math:`\le \sum_j g_j r_{jt}`;
- ``deliver_energy_up``: at the start of every half hour t the energy stored above the reserve
  covers a full call of all half hours from t on, for as long as each product must last,

  .. math:: e_{t-1} - \underline e \ge
            \sum_j \sum_{s \ge t} \frac{\tau_{j,s-t}}{\eta_d\,(1-\sigma)^{h(s-t+1)}}\, r_{js},
            \qquad \tau_{jk} = \min(h, \text{sustained}_j - k h)^+ ,

  where the denominator is what leaks away meanwhile; ``deliver_energy_down``: likewise the room
  :math:`\bar e - e_{t-1} \ge \sum \tau\,\eta_c\, r`. A half hour in between that is not sold does
  not interrupt the sum: the rule errs on the safe side. A resource with a store on offer is that
  store: outside the windows of all its storage bids it has nothing to call on and sells nothing;
- ``deliver_flow``: a full call of all products of an area and direction, on top of the cleared
  flows, keeps each element within its headroom. What is called is made up for by the slack of the
  island, as every deviation is. Rows are generated when a solution breaks them;
- energy or capacity, never both in one half hour, where the rules say so: one resource can not be
  assessed for both (:func:`energy_against_capacity`).

Nothing sold satisfies all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.sparse as sp

from market.core.offers.capacity import CapacityTable
from market.core.offers.terms import (
    BoolArray,
    Columns,
    FloatArray,
    IntArray,
    Own,
    incidence,
    ramp,
)
from market.core.units import CAPACITY_PRICED_H

if TYPE_CHECKING:
    from collections.abc import Mapping

    from market.core.clearing import Clearing
    from market.core.offers.storage import StorageTable
    from market.core.snapshot import Snapshot

FORM: Final = "CAPACITY"
ENERGY_UP: Final = "deliver_energy_up"
ENERGY_DOWN: Final = "deliver_energy_down"
INFLATION_MAX: Final = 1e6
"""Beyond this ratio of stored to delivered energy a store holds nothing for later."""
CALL_TOLERANCE_KW: Final = 1e-8
SIDES: Final = (1.0, -1.0)
CALLS: Final = (1.0, -1.0)
"""Directions of a call, UP and DOWN."""


def capacity_of(snapshot: Snapshot) -> CapacityTable:
    """Return the capacity bids of a snapshot."""
    table: CapacityTable = snapshot.books[FORM]
    return table


def sent_kw_per_kw(snapshot: Snapshot) -> FloatArray:
    """Return the kW at the sending end per kW of each capacity column, (n,)."""
    return snapshot.sent_per_received_ratio[_place(snapshot)]


def _place(snapshot: Snapshot) -> IntArray:
    """Return the place of each capacity column, (n,)."""
    capacity = capacity_of(snapshot)
    return snapshot.resource_place[capacity.resource[capacity.pair_bid]]


def reserve_keys(snapshot: Snapshot) -> IntArray:
    """Return the row of each capacity column: (product·areas + area)·T + t, (n,)."""
    capacity = capacity_of(snapshot)
    areas = len(snapshot.network.area_ids)
    where = capacity.product[capacity.pair_bid] * areas + snapshot.place_area[_place(snapshot)]
    return np.asarray(where * snapshot.interval_count + capacity.pair_t)


def reserve_rows(
    snapshot: Snapshot, *, capacity: slice, served: slice, size: int
) -> tuple[sp.csr_array, FloatArray, IntArray]:
    """Return the rows served − Σ reserved ≤ 0 of every product, area and half hour with a need.

    Parameters
    ----------
    snapshot
        The auction.
    capacity, served
        Columns of the capacity bids, and of the capacity needs' steps (step·T + t).
    size
        Number of all columns n.

    Returns
    -------
    tuple
        Matrix (m, n), right-hand sides (m,) and the key (product·areas + area)·T + t of each row.
        A unit of a row is a kW over the interval: its dual is h/0.5 times a price per 30 minutes.
    """
    needs, count = snapshot.capacity_needs, snapshot.interval_count
    kinds = len(snapshot.products.ids) * len(snapshot.network.area_ids)
    asked_kw = np.zeros((kinds, count))
    np.add.at(asked_kw, needs.where, needs.asked_kw)
    step_keys = (needs.where[needs.step_need][:, None] * count + np.arange(count)).ravel()
    matrix = incidence(
        (kinds * count, size),
        (step_keys, np.arange(served.start, served.stop), np.ones(len(step_keys))),
        (
            reserve_keys(snapshot),
            np.arange(capacity.start, capacity.stop),
            -sent_kw_per_kw(snapshot),
        ),
    )
    keys = np.flatnonzero(asked_kw.ravel() > 0)
    return matrix[keys], np.zeros(len(keys)), keys


def energy_rows(snapshot: Snapshot, *, capacity: slice, energy: slice, size: int) -> dict[str, Own]:
    """Return the joint rows by which stores back the capacity sold from them.

    Parameters
    ----------
    snapshot
        The auction.
    capacity, energy
        Columns of the capacity bids, and of the stores' energy (one per store and half hour).
    size
        Number of all columns n.

    Returns
    -------
    dict
        ``deliver_energy_up`` and ``deliver_energy_down``; rows in kWh, keys ``bid@t`` of the store.
    """
    store: StorageTable = snapshot.books["STORAGE"]
    return {
        name: _backing(snapshot, store, sign, (capacity.start, energy.start, size))
        for name, sign in ((ENERGY_UP, 1.0), (ENERGY_DOWN, -1.0))
    }


def _backing(snapshot: Snapshot, store: StorageTable, sign: float, at: tuple[int, int, int]) -> Own:
    """Return the rows of one direction: stored energy, or room, against what may be called."""
    capacity, energy, size = at
    bid, t, column, called_kwh = _calls(snapshot, store, sign)
    keys, row = np.unique(bid * snapshot.interval_count + t, return_inverse=True)
    of_bid, of_t = np.divmod(keys, snapshot.interval_count)
    is_open = (of_t >= store.first_t[of_bid]) & (of_t <= store.last_t[of_bid])
    before = np.flatnonzero(is_open & (of_t > store.first_t[of_bid]))
    # pairs of a store are consecutive: the one before half hour t holds the energy it starts with
    first_pair = np.searchsorted(store.pair_bid, np.arange(len(store.ids)))
    pair = first_pair[of_bid[before]] + of_t[before] - store.first_t[of_bid[before]] - 1
    floor_kwh = np.minimum(store.reserve_kwh[of_bid], _idle_kwh(snapshot, store, of_bid, of_t))
    start_kwh = np.where(of_t == store.first_t[of_bid], store.start_kwh[of_bid], 0.0)
    limit_kwh = store.energy_limit_kwh[of_bid]
    room_kwh = start_kwh - floor_kwh if sign > 0 else limit_kwh - start_kwh
    return Own(
        matrix=incidence(
            (len(keys), size),
            (row, capacity + column, called_kwh),
            (before, energy + pair, np.full(len(before), -sign)),
        ),
        rhs=np.where(is_open, room_kwh, 0.0),
        is_equal=False,
        keys=tuple(f"{store.ids[b]}@{s}" for b, s in zip(of_bid, of_t, strict=True)),
    )


def _idle_kwh(snapshot: Snapshot, store: StorageTable, bid: IntArray, t: IntArray) -> FloatArray:
    """Return what a store left idle holds at the start of half hour t, where t is in its window."""
    idle = np.maximum(t - store.first_t[bid], 0) * snapshot.interval_h
    return np.asarray(store.start_kwh[bid] * (1.0 - store.standing_loss_ratio[bid]) ** idle)


def _calls(
    snapshot: Snapshot, store: StorageTable, sign: float
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Return store, starting half hour, capacity column and energy per kW of every call.

    Columns in half hours that no store of their resource is on offer appear once, against the
    first store, at one kWh per kW: there is nothing to deliver from.
    """
    capacity, h = capacity_of(snapshot), snapshot.interval_h
    chosen = np.flatnonzero(capacity.sign[capacity.pair_bid] == sign)
    sustained_h = capacity.sustained_h[capacity.pair_bid[chosen]]
    reach = np.ceil(sustained_h / h - 1e-9).astype(np.int64)
    which, t = ramp(capacity.pair_t[chosen] - reach + 1, capacity.pair_t[chosen])
    column = chosen[which]
    stores, bid = _stores_of(snapshot, store, column)
    column, t, which = column[stores], t[stores], which[stores]
    later = capacity.pair_t[column] - t
    is_open = (t >= store.first_t[bid]) & (t <= store.last_t[bid])
    hours = np.minimum(h, sustained_h[which] - later * h)
    ratio = 1.0 / store.discharge_efficiency_ratio[bid]
    if sign > 0:
        kept = (1.0 - store.standing_loss_ratio[bid]) ** (h * (later + 1))
        ratio = ratio * np.minimum(1.0 / kept, INFLATION_MAX)
    else:
        ratio = store.charge_efficiency_ratio[bid]
    closed = _closed(snapshot, store, capacity.pair_t[column], bid) & (later == 0)
    kept_terms = np.flatnonzero(is_open | closed)
    called_kwh = np.where(closed, 1.0, hours * ratio)
    return bid[kept_terms], t[kept_terms], column[kept_terms], called_kwh[kept_terms]


def _stores_of(
    snapshot: Snapshot, store: StorageTable, column: IntArray
) -> tuple[IntArray, IntArray]:
    """Return the pairs (position in `column`, store) that share a resource."""
    capacity = capacity_of(snapshot)
    order = np.argsort(store.resource, kind="stable")
    resource = capacity.resource[capacity.pair_bid[column]]
    first = np.searchsorted(store.resource[order], resource, side="left")
    last = np.searchsorted(store.resource[order], resource, side="right") - 1
    position, place = ramp(first, last)
    return position, order[place]


def _closed(snapshot: Snapshot, store: StorageTable, t: IntArray, bid: IntArray) -> BoolArray:
    """Return where no store of the resource is on offer and the store is the resource's first."""
    is_on_offer = np.zeros((len(snapshot.resource_ids), snapshot.interval_count), dtype=bool)
    is_on_offer[store.resource[store.pair_bid], store.pair_t] = True
    first = np.full(len(snapshot.resource_ids), len(store.ids))
    np.minimum.at(first, store.resource, np.arange(len(store.ids)))
    resource = store.resource[bid]
    return np.asarray(~is_on_offer[resource, t] & (first[resource] == bid))


def energy_against_capacity(
    snapshot: Snapshot, forms: Mapping[str, Columns], slices: Mapping[str, slice], size: int
) -> tuple[sp.csr_array, sp.csr_array]:
    """Return the energy and the capacity sold where only one of the two may be above zero.

    Parameters
    ----------
    snapshot
        The auction; where its rules allow both, there are no such pairs.
    forms, slices
        Columns of each bid form, and where they stand among all.
    size
        Number of all columns n.

    Returns
    -------
    tuple
        Two matrices (k, n) with the same rows: a resource in a half hour in which both are
        offered; kW sold as energy in either direction, and kW held as capacity.
    """
    keys = len(snapshot.resource_ids) * snapshot.interval_count
    energy, held = (
        incidence(
            (keys, size),
            *(
                (
                    leg.resource * snapshot.interval_count + leg.t,
                    leg.column + slices[name].start,
                    leg.kw_per_unit,
                )
                for name, form in forms.items()
                for leg in form.legs
                if leg.is_energy == is_energy
            ),
        )
        for is_energy in (True, False)
    )
    is_contested = (energy.sum(axis=1) > 0) & (held.sum(axis=1) > 0) & snapshot.rules.kwh_xor_dkw
    contested = np.flatnonzero(is_contested)
    return energy[contested], held[contested]


def _joined(parts: list[IntArray]) -> IntArray:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def backed_bids(clearing: Clearing) -> dict[str, str]:
    """Return the least id of its group for each bid that a priced row of stored energy binds.

    A store may buy at a loss what capacity of the same resource needs in it: such bids have one
    surplus together, and are paid what they ask together.
    """
    current = clearing.programme
    forms = [name for name, block in current.forms.items() if block.count]
    ends = np.array([current.slices[name].stop for name in forms])
    root: dict[str, str] = {}

    def find(bid: str) -> str:
        while root.setdefault(bid, bid) != bid:
            root[bid] = root[root[bid]]
            bid = root[bid]
        return bid

    for family in (ENERGY_UP, ENERGY_DOWN):
        rows = current.rows[family]
        for row in np.flatnonzero(clearing.dual_jpy_per_kw[family]):
            bids = []
            for column in rows.matrix[[row]].indices:
                name = forms[int(np.searchsorted(ends, column, side="right"))]
                block = current.forms[name]
                bids.append(block.ids[block.bid[column - current.slices[name].start]])
            roots = sorted(find(bid) for bid in bids)
            for other in roots[1:]:
                root[other] = roots[0]
    return {bid: find(bid) for bid in root}


@dataclass(frozen=True, kw_only=True)
class FlowKeys:
    """What a ``deliver_flow`` row is about; all (m,)."""

    area: IntArray
    call: IntArray
    """0 for a call of UP, 1 for DOWN."""
    element: IntArray
    side: IntArray
    """0 for the flow's positive limit, 1 for its negative one."""
    t: IntArray

    @property
    def call_sign(self) -> FloatArray:
        """Return the sign of the change of injection, (m,)."""
        return np.asarray(CALLS)[self.call]

    @property
    def side_sign(self) -> FloatArray:
        """Return the sign of the flow that is limited, (m,)."""
        return np.asarray(SIDES)[self.side]


def flow_keys(snapshot: Snapshot, keys: IntArray) -> FlowKeys:
    """Return what keys (((area·2 + call)·Q + element)·2 + side)·T + t stand for."""
    rest, t = np.divmod(keys, snapshot.interval_count)
    rest, side = np.divmod(rest, 2)
    rest, element = np.divmod(rest, max(1, len(snapshot.elements.ids)))
    area, call = np.divmod(rest, 2)
    return FlowKeys(area=area, call=call, element=element, side=side, t=t)


def called_rows(
    snapshot: Snapshot, keys: IntArray, *, place_kw_per_kw: FloatArray, capacity: slice, size: int
) -> sp.csr_array:
    """Return the part of ``deliver_flow`` rows that a call adds to the cleared flow, (m, n).

    The other part, side·(change of flow), and the headroom at the right are those of headroom
    rows with the same element, side and half hour.

    Parameters
    ----------
    snapshot, keys
        The auction and the keys of the rows; see :func:`flow_keys`.
    place_kw_per_kw
        Sensitivities, (Q, P).
    capacity, size
        Columns of the capacity bids, and the number of all columns n.
    """
    found, table, count = flow_keys(snapshot, keys), capacity_of(snapshot), snapshot.interval_count
    place = _place(snapshot)
    is_down = table.sign[table.pair_bid] < 0
    called = (snapshot.place_area[place] * 2 + is_down) * count + table.pair_t
    order = np.argsort(called, kind="stable")
    wanted = (found.area * 2 + found.call) * count + found.t
    first = np.searchsorted(called[order], wanted, side="left")
    last = np.searchsorted(called[order], wanted, side="right") - 1
    row, position = ramp(first, last)
    column = order[position]
    per_kw = place_kw_per_kw[found.element[row], place[column]] * sent_kw_per_kw(snapshot)[column]
    sign = found.side_sign[row] * found.call_sign[row]
    return incidence((len(keys), size), (row, capacity.start + column, sign * per_kw))


def broken_calls(
    snapshot: Snapshot,
    reserved_kw: FloatArray,
    *,
    flow_kw: FloatArray,
    place_kw_per_kw: FloatArray,
    headroom_kw: tuple[FloatArray, FloatArray],
) -> IntArray:
    """Return the keys of the ``deliver_flow`` rows that a solution breaks.

    Parameters
    ----------
    snapshot
        The auction.
    reserved_kw
        Capacity columns of the solution, (n,).
    flow_kw
        Cleared change of flow, (Q, T).
    place_kw_per_kw
        Sensitivities, (Q, P).
    headroom_kw
        How far each flow may change up and down, (Q, T) each.
    """
    table, count = capacity_of(snapshot), snapshot.interval_count
    place, elements = _place(snapshot), len(snapshot.elements.ids)
    area, sign = snapshot.place_area[place], table.sign[table.pair_bid]
    sent_kw = sent_kw_per_kw(snapshot) * reserved_kw
    broken = []
    for number in np.unique(area):
        for call, direction in enumerate(CALLS):
            mine = (area == number) & (sign == direction) & (reserved_kw > 0)
            if not mine.any():
                continue
            called_kw = np.zeros((len(snapshot.place_ids), count))
            np.add.at(called_kw, (place[mine], table.pair_t[mine]), sent_kw[mine])
            reached_kw = flow_kw + direction * (place_kw_per_kw @ called_kw)
            is_called = called_kw.any(axis=0)
            over_kw = np.stack([reached_kw - headroom_kw[0], -reached_kw - headroom_kw[1]], axis=1)
            slack_kw = CALL_TOLERANCE_KW + 1e-12 * np.abs(reached_kw)
            found = np.flatnonzero((over_kw > slack_kw[:, None]) & is_called)
            broken.append((number * 2 + call) * elements * 2 * count + found)
    return np.sort(_joined(broken))


def capacity_price_jpy_per_kw(
    snapshot: Snapshot,
    *,
    reserve_jpy_per_kw: FloatArray,
    call_worth_jpy_per_kwh: FloatArray,
    place_kw_per_kw: FloatArray,
) -> FloatArray:
    """Return what a kW of each product is paid at each place, at the receiving end, (W, P, T).

    The price of the product in its area, less what a call costs on the elements it would load.

    Parameters
    ----------
    snapshot
        The auction.
    reserve_jpy_per_kw
        Price per product and area, (W, A, T). [JPY per kW and 30 minutes]
    call_worth_jpy_per_kwh
        Worth of flow on each element while an area is called, (A, 2, Q, T); see
        :func:`call_worth_jpy_per_kwh`.
    place_kw_per_kw
        Sensitivities, (Q, P).
    """
    area = snapshot.place_area
    found = reserve_jpy_per_kw[:, area].copy()
    for product, sign in enumerate(snapshot.products.sign):
        worth = call_worth_jpy_per_kwh[:, 0 if sign > 0 else 1]
        for number in np.flatnonzero(worth.any(axis=(1, 2))):
            mine = area == number
            found[product, mine] -= (
                sign * CAPACITY_PRICED_H * (place_kw_per_kw[:, mine].T @ worth[number])
            )
    return np.asarray(snapshot.sent_per_received_ratio[:, None] * found)


def call_worth_jpy_per_kwh(
    snapshot: Snapshot, keys: IntArray, dual_jpy_per_kwh: FloatArray
) -> FloatArray:
    """Return side-signed prices of ``deliver_flow`` rows, (A, 2, Q, T).

    Parameters
    ----------
    snapshot, keys
        The auction and the keys of the rows.
    dual_jpy_per_kwh
        Price of each row, at least zero, (m,).
    """
    found = flow_keys(snapshot, keys)
    elements = len(snapshot.elements.ids)
    worth = np.zeros((len(snapshot.network.area_ids), 2, elements, snapshot.interval_count))
    where = (found.area, found.call, found.element, found.t)
    np.add.at(worth, where, found.side_sign * dual_jpy_per_kwh)
    return worth

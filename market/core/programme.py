r"""The clearing problem as sparse blocks: columns of the bid forms and of the grid, named rows.

In kW and yen, minimising cost − value over :math:`\underline x \le x \le \bar x`:

- ``balance``: per area and half hour, sent injections + links + transfers − served UP + served
  DOWN − excess + shortage = 0;
- ``relief``: per element, sign and half hour with a need, :math:`s f + \text{served} \le 0`;
- ``headroom``: :math:`\pm f \le` headroom, only for the pairs asked for;
- ``envelope``: scheduled import − what is awarded at the place − over :math:`\le` envelope;
- ``flow``: :math:`f = f^+ - f^-` where carrying costs something;
- ``sold_up``, ``sold_down``, ``carried``, ``trunk``: what resources can do and paths can carry;
- ``compute``: what runs at a compute offer = what it provides;
- ``reserve``, ``deliver_…``: capacity sold, and that it could be called (:mod:`.reserves`);
- ``FORM.name``: each bid form's own rows.

Rows that bounds alone already guarantee are left out: their dual is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core import reserves
from market.core.grid_columns import costed_elements, grid_columns, grid_keys, grid_term
from market.core.network import Sensitivity, sensitivity
from market.core.offers.forms import FORMS
from market.core.offers.terms import Columns, FloatArray, IntArray, Leg, incidence
from market.core.rows import Exclusive, Headroom, Rows, placed
from market.core.snapshot import Snapshot
from market.core.units import DIRECTION_SIGN, DOWN, UP

GRID: Final = "grid"
GUARANTEE_MARGIN_RATIO: Final = 1e-9
LAZY_ROWS: Final = ("headroom_up", "headroom_down", "deliver_flow")


@dataclass(frozen=True, kw_only=True)
class Programme:
    """All columns and rows of one clearing; build it with :func:`programme`."""

    snapshot: Snapshot
    sensitivity: Sensitivity
    headroom: Headroom
    relief_element: IntArray
    """Element of each relief group, (G,)."""
    relief_sign: FloatArray
    forms: Mapping[str, Columns]
    slices: Mapping[str, slice]
    """Columns of each bid form and of the grid."""
    grid: Mapping[str, slice]
    """Columns of each part of the grid."""
    lower_kw: FloatArray
    upper_kw: FloatArray
    cost_jpy: FloatArray
    """With the tariffs of paths."""
    received: sp.csr_array
    """Injection at the receiving end, (P·T, n)."""
    sent: sp.csr_array
    """Injection at the sending end, (P·T, n)."""
    carried_gb: sp.csr_array
    """Traffic on each path, (paths·T, n). [GB per unit]"""
    rows: Mapping[str, Rows]
    joint: Mapping[str, tuple[str, ...]]
    """Names of the rows of each family that binds several bids together."""
    binary: IntArray
    """Columns that are 0 or 1."""
    exclusive: Exclusive
    is_shared: np.ndarray[tuple[int], np.dtype[np.bool_]]
    """Columns over which ties are shared, (n,)."""

    @property
    def size(self) -> int:
        """Return the number of columns."""
        return len(self.cost_jpy)

    def flow_kw(self, x_kw: FloatArray) -> FloatArray:
        """Return the change of flow on each element, (Q, T)."""
        count = self.snapshot.interval_count
        injected_kw = (self.sent @ x_kw).reshape(-1, count)
        carried_kw = x_kw[self.grid["link"]].reshape(-1, count)
        return np.asarray(self.sensitivity.place @ injected_kw + self.sensitivity.link @ carried_kw)


def programme(snapshot: Snapshot, *, flows: Sensitivity | None = None) -> Programme:
    """Compose the problem of a snapshot, without the rows of :data:`LAZY_ROWS`.

    Parameters
    ----------
    snapshot
        The auction.
    flows
        Its sensitivities, if they are known already.
    """
    count = snapshot.interval_count
    forms = {
        name: form.columns(snapshot.books[name], snapshot.interval_h, count)
        for name, form in FORMS.items()
    }
    slices, start = {}, 0
    for name, block in forms.items():
        slices[name] = slice(start, start + block.count)
        start += block.count
    lower, upper, cost, grid = grid_columns(snapshot, start)
    size = start + len(cost)
    slices[GRID] = slice(start, size)
    received = _injection(snapshot, forms, slices, grid, size)
    carried_gb = _used(forms, slices, "traffic_gb", (len(snapshot.path_ids) * count, size))
    cost_jpy = np.concatenate([*(block.cost_jpy for block in forms.values()), cost])
    relief_element, relief_sign = _relief_groups(snapshot)
    base = Programme(
        snapshot=snapshot,
        sensitivity=sensitivity(snapshot) if flows is None else flows,
        headroom=_headroom(snapshot),
        relief_element=relief_element,
        relief_sign=relief_sign,
        forms=forms,
        slices=slices,
        grid=grid,
        lower_kw=np.concatenate([*(block.lower_kw for block in forms.values()), lower]),
        upper_kw=np.concatenate([*(block.upper_kw for block in forms.values()), upper]),
        cost_jpy=cost_jpy + carried_gb.T @ np.repeat(snapshot.tariff_jpy_per_gb, count),
        received=received,
        sent=sp.csr_array(
            sp.diags_array(np.repeat(snapshot.sent_per_received_ratio, count)) @ received
        ),
        carried_gb=carried_gb,
        rows={},
        joint={},
        binary=np.concatenate(
            [slices[name].start + block.binary for name, block in forms.items()]
        ).astype(np.int64),
        exclusive=_exclusive(snapshot, forms, slices, size),
        is_shared=np.concatenate(
            [*(block.is_shared for block in forms.values()), np.ones(len(cost), dtype=bool)]
        ),
    )
    backing = reserves.energy_rows(
        snapshot, capacity=slices["CAPACITY"], energy=_energy_columns(base), size=size
    )
    joint = {
        f"{name}.{family}": own.keys
        for name, block in forms.items()
        for family, own in block.own.items()
        if own.is_joint
    } | {name: own.keys for name, own in backing.items()}
    rows = _rows(base) | {
        name: Rows(
            matrix=own.matrix, rhs=own.rhs, is_equal=own.is_equal, keys=np.arange(len(own.rhs))
        )
        for name, own in backing.items()
    }
    return replace(base, rows=rows, joint=joint)


def _energy_columns(base: Programme) -> slice:
    """Return the columns of energy stored."""
    start = base.slices["STORAGE"].start
    energy = base.forms["STORAGE"].families["energy"]
    return slice(start + energy.start, start + energy.stop)


def _rows(base: Programme) -> dict[str, Rows]:
    """Return all rows that do not wait for a solution to break them."""
    snapshot = base.snapshot
    rows = {
        "balance": _balance_rows(base),
        "relief": _relief_rows(base),
        "envelope": _envelope_rows(base),
        "flow": _flow_cost_rows(base),
        "compute": _compute_rows(base),
        "reserve": _reserve_rows(base),
    }
    for name, matrix, limit in (
        ("sold_up", sold(base, UP), snapshot.limit_up_kw),
        ("sold_down", sold(base, DOWN), snapshot.limit_down_kw),
        ("carried", base.carried_gb, snapshot.capacity_gb),
        ("trunk", _trunk_traffic(base), snapshot.trunks.capacity_gb),
    ):
        rows[name] = needed_rows(base, matrix, limit.ravel())
    for form, block in base.forms.items():
        for name, own in block.own.items():
            rows[f"{form}.{name}"] = Rows(
                matrix=placed(own.matrix, base.slices[form], base.size),
                rhs=own.rhs,
                is_equal=own.is_equal,
                keys=np.arange(len(own.rhs)),
            )
    return rows


def with_lazy_rows(base: Programme, keys: Mapping[str, IntArray]) -> Programme:
    """Return the problem with the rows chosen of the families that wait to be broken.

    Parameters
    ----------
    base
        The problem without any of them.
    keys
        Per family of :data:`LAZY_ROWS` the rows chosen: element·T + t for headroom, and those of
        :func:`market.core.reserves.flow_keys` for ``deliver_flow``.
    """
    rows, called = dict(base.rows), keys["deliver_flow"]
    count = base.snapshot.interval_count
    for name, sign in (("headroom_up", 1.0), ("headroom_down", -1.0)):
        rows[name] = _headroom_rows(base, keys[name], np.full(len(keys[name]), sign))
    found = reserves.flow_keys(base.snapshot, called)
    cleared = _headroom_rows(base, found.element * count + found.t, found.side_sign)
    call = reserves.called_rows(
        base.snapshot,
        called,
        place_kw_per_kw=base.sensitivity.place,
        capacity=base.slices["CAPACITY"],
        size=base.size,
    )
    rows["deliver_flow"] = replace(cleared, matrix=sp.csr_array(cleared.matrix + call), keys=called)
    return replace(base, rows=rows)


def _headroom_rows(base: Programme, keys: IntArray, sign: FloatArray) -> Rows:
    """Return sign·flow ≤ headroom for (element·T + t) keys."""
    room_kw = np.where(
        sign > 0, base.headroom.up_kw.ravel()[keys], base.headroom.down_kw.ravel()[keys]
    )
    return Rows(
        matrix=flow_rows(base, base.sent, keys, sign), rhs=room_kw, is_equal=False, keys=keys
    )


def leg_rows(
    base: Programme, leg: Leg, form: str, number: IntArray, count_of_rows: int
) -> sp.csr_array:
    """Return a leg's kW per column as rows number·T + t, (count_of_rows·T, n).

    Parameters
    ----------
    number
        Row number of each entry's resource (or of its place), (k,).
    """
    count = base.snapshot.interval_count
    return incidence(
        (count_of_rows * count, base.size),
        (number * count + leg.t, leg.column + base.slices[form].start, leg.kw_per_unit),
    )


def sold(base: Programme, direction: str, *, energy_only: bool = False) -> sp.csr_array:
    """Return what columns sell of resources in a direction, (R·T, n), in kW per unit."""
    resources = len(base.snapshot.resource_ids)
    total = sp.csr_array((resources * base.snapshot.interval_count, base.size))
    for form, block in base.forms.items():
        for leg in block.legs:
            if leg.direction == direction and (leg.is_energy or not energy_only):
                total = total + leg_rows(base, leg, form, leg.resource, resources)
    return sp.csr_array(total)


def _injection(
    snapshot: Snapshot,
    forms: Mapping[str, Columns],
    slices: Mapping[str, slice],
    grid: Mapping[str, slice],
    size: int,
) -> sp.csr_array:
    """Return injections at the receiving end: energy legs of bids and loads served at places."""
    count = snapshot.interval_count
    terms = [
        (
            snapshot.resource_place[leg.resource] * count + leg.t,
            leg.column + slices[form].start,
            DIRECTION_SIGN[leg.direction] * leg.kw_per_unit,
        )
        for form, block in forms.items()
        for leg in block.legs
        if leg.is_energy
    ]
    needs = snapshot.place_needs
    terms.append(grid_term(grid["place"], needs.where[needs.step_need], -1.0, count))
    return incidence((len(snapshot.place_ids) * count, size), *terms)


def _used(
    forms: Mapping[str, Columns], slices: Mapping[str, slice], port: str, shape: tuple[int, int]
) -> sp.csr_array:
    uses = [(slices[form].start, getattr(block, port)) for form, block in forms.items()]
    return incidence(shape, *((use.row, use.column + start, use.amount) for start, use in uses))


def _exclusive(
    snapshot: Snapshot, forms: Mapping[str, Columns], slices: Mapping[str, slice], size: int
) -> Exclusive:
    """Return the pairs that bids name, then energy against capacity of a resource."""
    pairs = np.concatenate(
        [block.exclusive + slices[name].start for name, block in forms.items()]
    ).reshape(-1, 2)
    row, one = np.arange(len(pairs)), np.ones(len(pairs))
    shape = (len(pairs), size)
    energy, capacity = reserves.energy_against_capacity(snapshot, forms, slices, size)
    return Exclusive(
        first=sp.csr_array(sp.vstack([incidence(shape, (row, pairs[:, 0], one)), energy])),
        second=sp.csr_array(sp.vstack([incidence(shape, (row, pairs[:, 1], one)), capacity])),
    )


def _relief_groups(snapshot: Snapshot) -> tuple[IntArray, FloatArray]:
    """Return the distinct (element, sign) pairs that any local need names."""
    needs = snapshot.local_needs
    groups = np.unique(np.stack([needs.where, needs.sign.astype(np.int64)], axis=1), axis=0)
    return groups[:, 0], groups[:, 1].astype(np.float64)


def relief_group_of(base: Programme) -> IntArray:
    """Return the relief group of each local need, (D,)."""
    needs = base.snapshot.local_needs
    same = (needs.where[:, None] == base.relief_element) & (needs.sign[:, None] == base.relief_sign)
    return np.asarray(np.argmax(same, axis=1)) if len(needs.ids) else np.zeros(0, dtype=np.int64)


def _headroom(snapshot: Snapshot) -> Headroom:
    """Return how far each flow may move: to the rating, never further if already beyond it.

    In the direction in which a need asks for relief, at least what it asks for.
    """
    elements, needs = snapshot.elements, snapshot.local_needs
    asked = {sign: np.zeros_like(elements.base_flow_kw) for sign in (1.0, -1.0)}
    asked_of_need_kw = needs.asked_kw
    for sign, asked_kw in asked.items():
        chosen = needs.sign == sign
        np.add.at(asked_kw, needs.where[chosen], asked_of_need_kw[chosen])
    rating_kw = elements.rating_kw[:, None]
    return Headroom(
        up_kw=np.maximum(np.maximum(0.0, rating_kw - elements.base_flow_kw), asked[-1.0]),
        down_kw=np.maximum(np.maximum(0.0, rating_kw + elements.base_flow_kw), asked[1.0]),
    )


def _balance_rows(base: Programme) -> Rows:
    snapshot, grid = base.snapshot, base.grid
    network, count = snapshot.network, snapshot.interval_count
    areas, balance = len(network.area_ids), snapshot.balance_needs
    of_area = incidence(
        (areas * count, len(snapshot.place_ids) * count),
        (
            grid_keys(snapshot.place_area, count),
            np.arange(len(snapshot.place_ids) * count),
            np.ones(len(snapshot.place_ids) * count),
        ),
    )
    step = balance.step_need
    terms = [
        grid_term(grid["link"], network.bus_area[network.link_from], -1.0, count),
        grid_term(grid["link"], network.bus_area[network.link_to], 1.0, count),
        grid_term(grid["transfer"], snapshot.transfer_from, -1.0, count),
        grid_term(grid["transfer"], snapshot.transfer_to, 1.0, count),
        grid_term(grid["balance"], balance.where[step], -balance.sign[step], count),
        grid_term(grid["excess"], np.arange(areas), -1.0, count),
        grid_term(grid["shortage"], np.arange(areas), 1.0, count),
    ]
    return Rows(
        matrix=sp.csr_array(of_area @ base.sent + incidence((areas * count, base.size), *terms)),
        rhs=np.zeros(areas * count),
        is_equal=True,
        keys=np.arange(areas * count),
    )


def flow_rows(
    base: Programme, injected: sp.csr_array, keys: IntArray, sign: FloatArray
) -> sp.csr_array:
    """Return sign·(change of flow) for (element·T + t) keys as rows over all columns.

    `injected` is the injection at places that causes it, (P·T, n), usually ``base.sent``.
    """
    count = base.snapshot.interval_count
    element, t = np.divmod(keys, count)
    rows = np.arange(len(keys))

    def spread(part: FloatArray, width: int) -> sp.csr_array:
        along = np.arange(part.shape[1])
        return incidence(
            (len(keys), width),
            (
                np.repeat(rows, part.shape[1]),
                (along[None, :] * count + t[:, None]).ravel(),
                (sign[:, None] * part[element]).ravel(),
            ),
        )

    places, links = base.sensitivity.place, base.sensitivity.link
    by_place = spread(places, places.shape[1] * count) @ injected
    link = base.grid["link"]
    by_link = placed(spread(links, link.stop - link.start), link, base.size)
    return sp.csr_array(by_place + by_link)


def _relief_rows(base: Programme) -> Rows:
    snapshot, count = base.snapshot, base.snapshot.interval_count
    needs, group = snapshot.local_needs, relief_group_of(base)
    asked_kw = np.zeros((len(base.relief_element), count))
    np.add.at(asked_kw, group, needs.asked_kw)
    keys = np.flatnonzero(asked_kw.ravel() > 0)
    served = incidence(
        (asked_kw.size, base.size),
        grid_term(base.grid["local"], group[needs.step_need], 1.0, count),
    )
    flow_keys = base.relief_element[keys // count] * count + keys % count
    matrix = flow_rows(base, base.sent, flow_keys, base.relief_sign[keys // count]) + served[keys]
    return Rows(matrix=sp.csr_array(matrix), rhs=np.zeros(len(keys)), is_equal=False, keys=keys)


def _envelope_rows(base: Programme) -> Rows:
    envelopes, count = base.snapshot.envelopes, base.snapshot.interval_count
    size = len(envelopes.ids) * count
    over = incidence(
        (size, base.size), grid_term(base.grid["over"], np.arange(len(envelopes.ids)), -1.0, count)
    )
    matrix = over - base.received[grid_keys(envelopes.place, count)]
    limit_kw = envelopes.max_import_kw - envelopes.scheduled_import_kw
    return needed_rows(base, sp.csr_array(matrix), limit_kw.ravel())


def _flow_cost_rows(base: Programme) -> Rows:
    count, costed = base.snapshot.interval_count, costed_elements(base.snapshot)
    keys = grid_keys(costed, count)
    row = np.arange(len(keys))
    forward, backward = base.grid["forward"], base.grid["backward"]
    split = incidence(
        (len(keys), base.size),
        (row, np.arange(forward.start, forward.stop), -np.ones(len(keys))),
        (row, np.arange(backward.start, backward.stop), np.ones(len(keys))),
    )
    matrix = flow_rows(base, base.sent, keys, np.ones(len(keys))) + split
    return Rows(matrix=sp.csr_array(matrix), rhs=np.zeros(len(keys)), is_equal=True, keys=keys)


def _compute_rows(base: Programme) -> Rows:
    """Return what runs at each compute offer less what it provides, where it is used."""
    offers = len(base.forms["COMPUTE_OFFER"].ids)
    count = base.snapshot.interval_count
    matrix = _used(base.forms, base.slices, "compute_kw", (offers * count, base.size))
    keys = np.flatnonzero(np.diff(matrix.indptr))
    return Rows(matrix=matrix[keys], rhs=np.zeros(len(keys)), is_equal=True, keys=keys)


def _reserve_rows(base: Programme) -> Rows:
    matrix, rhs, keys = reserves.reserve_rows(
        base.snapshot,
        capacity=base.slices["CAPACITY"],
        served=base.grid["capacity"],
        size=base.size,
    )
    return Rows(matrix=matrix, rhs=rhs, is_equal=False, keys=keys)


def _trunk_traffic(base: Programme) -> sp.csr_array:
    """Return the traffic on each trunk, (trunks·T, n), in GB per unit."""
    trunks, count = base.snapshot.trunks, base.snapshot.interval_count
    members = incidence(
        (len(trunks.ids) * count, len(base.snapshot.path_ids) * count),
        (
            grid_keys(trunks.path_trunk, count),
            grid_keys(trunks.path, count),
            np.ones(len(trunks.path) * count),
        ),
    )
    return sp.csr_array(members @ base.carried_gb)


def needed_rows(base: Programme, matrix: sp.csr_array, limit: FloatArray) -> Rows:
    """Return the rows of a limit that the columns' bounds alone could exceed."""
    reach = matrix.maximum(0.0) @ base.upper_kw + matrix.minimum(0.0) @ base.lower_kw
    keys = np.flatnonzero(reach > limit + GUARANTEE_MARGIN_RATIO * np.abs(limit))
    return Rows(matrix=matrix[keys], rhs=limit[keys], is_equal=False, keys=keys)

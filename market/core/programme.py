r"""The clearing problem as sparse blocks: columns of the bid forms and of the grid, named rows.

In kW and yen, minimising cost − value over :math:`\underline x \le x \le \bar x`:

- ``balance``: per area and half hour, sent injections + links + transfers − served UP + served
  DOWN − excess + shortage = 0;
- ``relief``: per element, sign and half hour with a need, :math:`s f + \text{served} \le 0`;
- ``headroom``: :math:`\pm f \le` headroom, only for the pairs asked for;
- ``sold_up``, ``sold_down``, ``carried``: what a resource can do and a path can carry;
- ``own …``: each bid form's own rows.

Rows that bounds alone already guarantee are left out: their dual is zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp

from market.core.network import Sensitivity, sensitivity
from market.core.offers import shifts, steps, storage
from market.core.offers.terms import Columns, FloatArray, IntArray, incidence
from market.core.snapshot import Snapshot

GRID: Final = "grid"
GRID_PARTS: Final = ("link", "transfer", "local", "balance", "excess", "shortage")
GUARANTEE_MARGIN_RATIO: Final = 1e-9


@dataclass(frozen=True, kw_only=True)
class Rows:
    """A family of rows.

    Parameters
    ----------
    matrix, rhs
        Coefficients (m, n) and right-hand sides (m,).
    is_equal
        Whether they are equalities; otherwise ``matrix @ x <= rhs``.
    keys
        Position of each row in the family's full grid (for instance area·T + t), (m,).
    """

    matrix: sp.csr_array
    rhs: FloatArray
    is_equal: bool
    keys: IntArray


@dataclass(frozen=True, kw_only=True)
class Headroom:
    """How far each element's flow may change against the base case, (Q, T), in kW."""

    up_kw: FloatArray
    down_kw: FloatArray


@dataclass(frozen=True, kw_only=True)
class Programme:
    """All columns and rows of one clearing; build it with :func:`programme`."""

    snapshot: Snapshot
    sensitivity: Sensitivity
    headroom: Headroom
    relief_element: IntArray
    """Element of each relief group, (G,)."""
    relief_sign: FloatArray
    slices: Mapping[str, slice]
    """Columns of each bid form and of the grid."""
    grid: Mapping[str, slice]
    """Columns of each part of the grid."""
    lower_kw: FloatArray
    upper_kw: FloatArray
    cost_jpy: FloatArray
    sent: sp.csr_array
    """Injection at the sending end, (P·T, n)."""
    carried_gb: sp.csr_array
    """Traffic on each path, (paths·T, n). [GB per unit]"""
    rows: Mapping[str, Rows]

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


def programme(snapshot: Snapshot) -> Programme:
    """Compose the problem of a snapshot, without headroom rows."""
    count = snapshot.interval_count
    sizes = (len(snapshot.place_ids), len(snapshot.path_ids), count)
    place_of, interval_h = snapshot.resource_place, snapshot.interval_h
    forms = {
        "steps": steps.columns(
            snapshot.steps, place_of=place_of, sizes=sizes, interval_h=interval_h
        ),
        "storage": storage.columns(
            snapshot.storage, place_of=place_of, sizes=sizes, interval_h=interval_h
        ),
        "shifts": shifts.columns(
            snapshot.shifts, place_of=place_of, sizes=sizes, interval_h=interval_h
        ),
    }
    slices, start = {}, 0
    for name, form in forms.items():
        slices[name] = slice(start, start + form.count)
        start += form.count
    grid_lower, grid_upper, grid_cost, grid = _grid_columns(snapshot, start)
    slices[GRID] = slice(start, start + len(grid_cost))
    blocks = list(forms.values())
    upper_kw = np.concatenate([*(form.upper_kw for form in blocks), grid_upper])
    size = len(upper_kw)
    sent_ratio = np.repeat(snapshot.sent_per_received_ratio, count)
    sent = sp.diags_array(sent_ratio) @ _joined(blocks, "injection", size)
    relief_element, relief_sign = _relief_groups(snapshot)
    base = Programme(
        snapshot=snapshot,
        sensitivity=sensitivity(snapshot),
        headroom=_headroom(snapshot),
        relief_element=relief_element,
        relief_sign=relief_sign,
        slices=slices,
        grid=grid,
        lower_kw=np.concatenate([*(form.lower_kw for form in blocks), grid_lower]),
        upper_kw=upper_kw,
        cost_jpy=np.concatenate([*(form.cost_jpy for form in blocks), grid_cost]),
        sent=sent.tocsr(),
        carried_gb=_joined(blocks, "carried_gb", size),
        rows={},
    )
    rows = {"balance": _balance_rows(base), "relief": _relief_rows(base)}
    for name, port, limit in (
        ("sold_up", "sold_up", snapshot.limit_up_kw),
        ("sold_down", "sold_down", snapshot.limit_down_kw),
        ("carried", "carried_gb", snapshot.capacity_gb),
    ):
        rows[name] = _needed_rows(_joined(blocks, port, size), limit.ravel(), upper_kw)
    rows |= _own_rows(forms, slices, size)
    return _with_rows(base, rows)


def with_headroom(base: Programme, pairs: Mapping[str, IntArray]) -> Programme:
    """Return the problem with headroom rows for chosen (element·T + t) keys per direction."""
    rows = dict(base.rows)
    for name, sign, limit_kw in (
        ("headroom_up", 1.0, base.headroom.up_kw),
        ("headroom_down", -1.0, base.headroom.down_kw),
    ):
        keys = pairs[name]
        rows[name] = Rows(
            matrix=_flow_rows(base, keys, np.full(len(keys), sign)),
            rhs=limit_kw.ravel()[keys],
            is_equal=False,
            keys=keys,
        )
    return _with_rows(base, rows)


def _with_rows(base: Programme, rows: Mapping[str, Rows]) -> Programme:
    return Programme(**{**base.__dict__, "rows": rows})


def _joined(blocks: list[Columns], port: str, size: int) -> sp.csr_array:
    """Set the blocks side by side, with empty columns for the grid."""
    parts = [getattr(block, port) for block in blocks]
    width = size - sum(block.count for block in blocks)
    parts.append(sp.csr_array((parts[0].shape[0], width)))
    return sp.csr_array(sp.hstack(parts, format="csr"))


def _grid_columns(
    snapshot: Snapshot, start: int
) -> tuple[FloatArray, FloatArray, FloatArray, dict[str, slice]]:
    """Return bounds, cost and places of the grid's own columns."""
    rules, h, count = snapshot.rules, snapshot.interval_h, snapshot.interval_count
    areas = len(snapshot.network.area_ids)
    limit_kw = np.full(areas * count, rules.deviation_limit_kw)
    deviation_jpy = np.full(areas * count, h * rules.deviation_price_jpy_per_kwh)
    parts = {
        "link": (snapshot.network.link_limit_kw.ravel(), None),
        "transfer": (snapshot.transfer_limit_kw.ravel(), None),
        "local": (
            snapshot.local_needs.need_kw.ravel(),
            -h * snapshot.local_needs.cap_jpy_per_kwh.ravel(),
        ),
        "balance": (
            snapshot.balance_needs.need_kw.ravel(),
            -h * snapshot.balance_needs.cap_jpy_per_kwh.ravel(),
        ),
        "excess": (limit_kw, deviation_jpy),
        "shortage": (limit_kw, deviation_jpy),
    }
    lower, upper, cost, grid = [], [], [], {}
    for name in GRID_PARTS:
        limit, cost_jpy = parts[name]
        grid[name] = slice(start, start + len(limit))
        start += len(limit)
        lower.append(-limit if cost_jpy is None else np.zeros(len(limit)))
        upper.append(limit)
        cost.append(np.zeros(len(limit)) if cost_jpy is None else cost_jpy)
    return np.concatenate(lower), np.concatenate(upper), np.concatenate(cost), grid


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
    for sign, asked_kw in asked.items():
        chosen = needs.sign == sign
        np.add.at(asked_kw, needs.where[chosen], needs.need_kw[chosen])
    rating_kw = elements.rating_kw[:, None]
    return Headroom(
        up_kw=np.maximum(np.maximum(0.0, rating_kw - elements.base_flow_kw), asked[-1.0]),
        down_kw=np.maximum(np.maximum(0.0, rating_kw + elements.base_flow_kw), asked[1.0]),
    )


def _balance_rows(base: Programme) -> Rows:
    snapshot, grid = base.snapshot, base.grid
    network, count = snapshot.network, snapshot.interval_count
    areas = len(network.area_ids)
    of_area = incidence(
        (areas * count, len(snapshot.place_ids) * count),
        (
            _grid_keys(snapshot.place_area, count),
            np.arange(len(snapshot.place_ids) * count),
            np.ones(len(snapshot.place_ids) * count),
        ),
    )
    terms = [
        _grid_term(grid["link"], network.bus_area[network.link_from], -1.0, count),
        _grid_term(grid["link"], network.bus_area[network.link_to], 1.0, count),
        _grid_term(grid["transfer"], snapshot.transfer_from, -1.0, count),
        _grid_term(grid["transfer"], snapshot.transfer_to, 1.0, count),
        _grid_term(
            grid["balance"], snapshot.balance_needs.where, -snapshot.balance_needs.sign, count
        ),
        _grid_term(grid["excess"], np.arange(areas), -1.0, count),
        _grid_term(grid["shortage"], np.arange(areas), 1.0, count),
    ]
    return Rows(
        matrix=sp.csr_array(of_area @ base.sent + incidence((areas * count, base.size), *terms)),
        rhs=np.zeros(areas * count),
        is_equal=True,
        keys=np.arange(areas * count),
    )


def _grid_keys(where: IntArray, count: int) -> IntArray:
    """Return where·T + t for every (entity, t), in order."""
    return np.asarray((where[:, None] * count + np.arange(count)).ravel())


def _grid_term(
    columns: slice, where: IntArray, coefficient: FloatArray | float, count: int
) -> tuple[IntArray, IntArray, FloatArray]:
    """Return the triples by which grid columns (entity, t) enter rows (where, t)."""
    value = np.broadcast_to(np.asarray(coefficient, dtype=np.float64), where.shape)
    return (
        _grid_keys(where, count),
        np.arange(columns.start, columns.stop),
        np.repeat(value, count),
    )


def _flow_rows(base: Programme, keys: IntArray, sign: FloatArray) -> sp.csr_array:
    """Return sign·(change of flow) for (element·T + t) keys as rows over all columns."""
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
    by_place = spread(places, places.shape[1] * count) @ base.sent
    link = base.grid["link"]
    padded = sp.hstack(
        [
            sp.csr_array((len(keys), link.start)),
            spread(links, link.stop - link.start),
            sp.csr_array((len(keys), base.size - link.stop)),
        ],
        format="csr",
    )
    return sp.csr_array(by_place + padded)


def _relief_rows(base: Programme) -> Rows:
    snapshot, count = base.snapshot, base.snapshot.interval_count
    group = relief_group_of(base)
    asked_kw = np.zeros((len(base.relief_element), count))
    np.add.at(asked_kw, group, snapshot.local_needs.need_kw)
    keys = np.flatnonzero(asked_kw.ravel() > 0)
    served = incidence(
        (asked_kw.size, base.size), _grid_term(base.grid["local"], group, 1.0, count)
    )
    flow_keys = base.relief_element[keys // count] * count + keys % count
    matrix = _flow_rows(base, flow_keys, base.relief_sign[keys // count]) + served[keys]
    return Rows(matrix=sp.csr_array(matrix), rhs=np.zeros(len(keys)), is_equal=False, keys=keys)


def _needed_rows(matrix: sp.csr_array, limit: FloatArray, upper_kw: FloatArray) -> Rows:
    """Return the rows of a limit that the columns' bounds alone could exceed."""
    reach = matrix @ upper_kw
    keys = np.flatnonzero(reach > limit * (1.0 + GUARANTEE_MARGIN_RATIO))
    return Rows(matrix=matrix[keys], rhs=limit[keys], is_equal=False, keys=keys)


def _own_rows(
    forms: Mapping[str, Columns], slices: Mapping[str, slice], size: int
) -> dict[str, Rows]:
    rows = {}
    for name, form in forms.items():
        for kind, matrix, rhs in (
            ("equal", form.equal, form.equal_rhs),
            ("at_most", form.at_most, form.at_most_rhs),
        ):
            before = sp.csr_array((len(rhs), slices[name].start))
            after = sp.csr_array((len(rhs), size - slices[name].stop))
            rows[f"own {name} {kind}"] = Rows(
                matrix=sp.csr_array(sp.hstack([before, matrix, after], format="csr")),
                rhs=rhs,
                is_equal=kind == "equal",
                keys=np.arange(len(rhs)),
            )
    return rows

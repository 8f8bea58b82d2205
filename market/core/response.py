r"""What one bid would have done, had prices been these: its own best action, prices given.

The columns, costs and own rows are those that the clearing itself composes of the bid
(:mod:`market.core.offers.forms`); instead of a network there are prices, so that

.. math:: \max_x \; \sum_k \pm h\,\pi_{r(k)t(k)}\, a_k x_k - c^\top x

over the bid's own limits. A bid alone moves no price here: a large one would have earned less.
Links to other bids are left out, as if the other were accepted. Rules of either-or (a store
charges or discharges) are relaxed first and decided by binaries only where a solution breaks them,
as in the clearing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from accounts.core.errors import ensure
from market.core.errors import InvalidSnapshot
from market.core.offers.forms import FORMS
from market.core.offers.terms import Columns, FloatArray, Numbers, Terms, incidence
from market.core.reading import Reader
from market.core.units import DIRECTION_SIGN

TOLERANCE_KW: Final = 1e-6


@dataclass(frozen=True, kw_only=True)
class Response:
    """Best action of a bid at given prices; arrays (T,).

    Parameters
    ----------
    sold_kw, bought_kw
        UP and DOWN of the bid's own resource, and DOWN of all its destinations.
    received_jpy
        Paid for what is sold less what is paid for what is bought, per half hour.
    cost_jpy
        What the bid asks for it: asks, wear, starts, tariffs of paths.
    """

    sold_kw: FloatArray
    bought_kw: FloatArray
    received_jpy: FloatArray
    cost_jpy: float


def responses(
    bid: Mapping[str, Any], terms: Terms, days: Sequence[Mapping[str, FloatArray]]
) -> list[Response]:
    """Return the bid's best action on each of several days.

    Parameters
    ----------
    bid
        As a snapshot has it; of a form that moves energy.
    terms
        With the resources and paths the bid names. Tariffs of paths are `price_jpy_per_gb`.
    days
        Prices by resource, each (T,). [JPY/kWh]

    Raises
    ------
    InvalidSnapshot
        If the bid breaks a rule of its form.
    """
    form = FORMS[bid["form"]]
    read = form.parse(Reader(dict(bid), "bid", InvalidSnapshot), terms)
    if "parent" in read:
        read |= {"parent": None, "exclusive_group": None}
    names, paths = sorted(terms.resources), sorted(terms.paths)
    numbers = Numbers(
        terms=terms,
        resources={name: i for i, name in enumerate(names)},
        paths={name: i for i, name in enumerate(paths)},
        places={},
        products={},
    )
    columns = form.columns(form.table([read], numbers), terms.interval_h, terms.interval_count)
    cost = _cost_jpy(columns, terms, paths)
    problem = _Problem(columns)
    found = []
    for prices in days:
        price = np.array([prices[name] for name in names]).reshape(len(names), -1)
        paid = _paid_jpy(columns, price, terms.interval_h)
        found.append(_told(columns, problem.solved(cost - paid), cost, price, terms))
    return found


def _cost_jpy(columns: Columns, terms: Terms, paths: Sequence[str]) -> FloatArray:
    """Return what a unit of each column costs, tariffs of paths included, (n,)."""
    tariff = np.array([float(terms.paths[name].get("price_jpy_per_gb", 0.0)) for name in paths])
    use = columns.traffic_gb
    carried = np.zeros(columns.count)
    if len(use.column):
        np.add.at(carried, use.column, use.amount * tariff[use.row // terms.interval_count])
    return np.asarray(columns.cost_jpy + carried)


def _paid_jpy(columns: Columns, price: FloatArray, interval_h: float) -> FloatArray:
    """Return what a unit of each column is paid, (n,)."""
    paid = np.zeros(columns.count)
    for leg in columns.legs:
        if leg.is_energy:
            each = interval_h * price[leg.resource, leg.t] * leg.kw_per_unit
            np.add.at(paid, leg.column, DIRECTION_SIGN[leg.direction] * each)
    return paid


def _told(
    columns: Columns, x: FloatArray, cost: FloatArray, price: FloatArray, terms: Terms
) -> Response:
    sold, bought, received = (np.zeros(terms.interval_count) for _ in range(3))
    for leg in columns.legs:
        kw = x[leg.column] * leg.kw_per_unit
        sign = DIRECTION_SIGN[leg.direction]
        np.add.at(sold if sign > 0 else bought, leg.t, kw)
        np.add.at(received, leg.t, sign * terms.interval_h * price[leg.resource, leg.t] * kw)
    return Response(sold_kw=sold, bought_kw=bought, received_jpy=received, cost_jpy=float(cost @ x))


class _Problem:
    """The bid's own limits, with one row more per either-or; solved again for each day."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        pairs = columns.exclusive
        upper = columns.upper_kw
        # a pair of which one can only be zero needs no decision
        self._pairs = pairs[(upper[pairs] > 0).all(axis=1)] if len(pairs) else pairs

    def solved(self, cost: FloatArray) -> FloatArray:
        """Return the columns of least cost, (n,)."""
        x = self._run(cost, decides=False)
        if len(self._pairs) and (x[self._pairs] > TOLERANCE_KW).all(axis=1).any():
            x = self._run(cost, decides=True)
        return x

    def _run(self, cost: FloatArray, *, decides: bool) -> FloatArray:
        import highspy
        import scipy.sparse as sp

        columns, pairs = self._columns, self._pairs if decides else self._pairs[:0]
        n, k = columns.count, len(pairs)
        own = list(columns.own.values())
        row, y = np.arange(k), n + np.arange(k)
        upper = columns.upper_kw
        blocks = [sp.csr_array((part.matrix.data, part.matrix.indices, part.matrix.indptr),
                               shape=(part.matrix.shape[0], n + k)) for part in own]  # fmt: skip
        blocks += [
            incidence((k, n + k), (row, pairs[:, 0], np.ones(k)), (row, y, -upper[pairs[:, 0]])),
            incidence((k, n + k), (row, pairs[:, 1], np.ones(k)), (row, y, upper[pairs[:, 1]])),
        ]
        matrix = sp.csc_array(sp.vstack(blocks)) if blocks else sp.csc_array((0, n + k))
        rhs = np.concatenate([*(part.rhs for part in own), np.zeros(k), upper[pairs[:, 1]]])
        equal = np.concatenate(
            [*(np.full(len(part.rhs), part.is_equal) for part in own), np.zeros(2 * k, dtype=bool)]
        )
        model = highspy.HighsLp()
        model.num_col_, model.num_row_ = n + k, matrix.shape[0]
        model.col_cost_ = np.concatenate([cost, np.zeros(k)])
        model.col_lower_ = np.concatenate([columns.lower_kw, np.zeros(k)])
        model.col_upper_ = np.concatenate([upper, np.ones(k)])
        model.row_upper_ = rhs
        model.row_lower_ = np.where(equal, rhs, -highspy.kHighsInf)
        model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        model.a_matrix_.start_, model.a_matrix_.index_ = matrix.indptr, matrix.indices
        model.a_matrix_.value_ = matrix.data
        whole = np.concatenate([columns.binary, y]).astype(np.int64)
        if len(whole):
            kinds = np.full(n + k, highspy.HighsVarType.kContinuous)
            kinds[whole] = highspy.HighsVarType.kInteger
            model.integrality_ = list(kinds)
        solver = highspy.Highs()
        for name, value in (("output_flag", False), ("threads", 1), ("parallel", "off")):
            solver.setOptionValue(name, value)
        solver.passModel(model)
        solver.run()
        status = solver.getModelStatus()
        ensure(status == highspy.HighsModelStatus.kOptimal, f"a bid alone stopped with {status}")
        return np.array(solver.getSolution().col_value)[:n]

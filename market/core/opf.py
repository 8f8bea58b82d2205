r"""A plain DC optimal power flow: generators as offers, one snapshot in time, no market around it.

.. math::

   \min \sum_j c_j(p_j) \quad \text{s.t.} \quad
   C p - d = A^\top f, \quad f = b \, (A \theta - \varphi), \quad
   |f| \le F, \quad \underline\delta \le A \theta \le \bar\delta, \quad
   \underline p \le p \le \bar p

with convex :math:`c_j`: quadratic, or piecewise linear as the largest of its segments. It exists
so that published cases can be cleared and compared [1]_; the market's own problem is
:mod:`market.core.clearing`.

The answer is checked here without the solver: line limits from a fresh factorisation, and a lower
bound from the multipliers of the line and angle limits alone. They fix the prices of all buses up
to one constant per island, each supply answers the prices in closed form, and what comes out
bounds every dispatch from below (weak duality).

References
----------
.. [1] R. D. Zimmerman, C. E. Murillo-Sánchez and R. J. Thomas, "MATPOWER: Steady-State Operations,
   Planning, and Analysis Tools for Power Systems Research and Education", IEEE Transactions on
   Power Systems 26(1), 2011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from market.core.errors import SolverInfeasible, SolverLimit, SolverNumerical
from market.core.matpower import Case, Costs
from market.core.offers.terms import FloatArray
from market.core.solver import convex_roads, solve_on

GAP_MAX_RATIO: Final = 1e-9
FEASIBILITY_MAX_PU: Final = 1e-7
ZERO_SLOPE_RATIO: Final = 1e-9
TANGENT_WIDTH_RATIOS: Final = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
TANGENT_STEPS: Final = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
"""Tangents stand this many widths to either side: dense where the answer is, sparse far off."""


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """The optimum of one case; axes N buses, L branches, J supplies as in the case.

    Parameters
    ----------
    supply_mw
        (J,) output of each generator, then flow of each DC line at its ``from`` end. [MW]
    flow_mw
        (L,) positive from the ``from`` end to the ``to`` end. [MW]
    price_per_mwh
        (N,) what one more MWh of load at each bus would cost.
    objective_per_h
        Cost of the dispatch, in the currency of the case. [1/h]
    bound_per_h
        Proven lower bound of that cost. [1/h]
    excess_mw
        By how much the worst limit or balance is missed. [MW]
    base_mva
        Base of the case.
    """

    supply_mw: FloatArray
    flow_mw: FloatArray
    price_per_mwh: FloatArray
    objective_per_h: float
    bound_per_h: float
    excess_mw: float
    base_mva: float

    @property
    def gap_ratio(self) -> float:
        """Return the proven gap over the cost."""
        return (self.objective_per_h - self.bound_per_h) / max(1.0, abs(self.objective_per_h))

    @property
    def is_proven(self) -> bool:
        """Return whether the gap is closed and every limit kept, to a solver's last digits."""
        is_kept = self.excess_mw <= FEASIBILITY_MAX_PU * self.base_mva
        return abs(self.gap_ratio) <= GAP_MAX_RATIO and is_kept


def dispatch(case: Case) -> Dispatch:
    """Return the cheapest dispatch of a case, and the proof that none is cheaper.

    Parameters
    ----------
    case
        See :class:`market.core.matpower.Case`.

    Returns
    -------
    Dispatch
        With prices, flows and a proven bound.

    Raises
    ------
    SolverFailed
        A subclass says how. Unlike an auction, a case may well be infeasible: nothing in it can
        be shed.
    """
    model, said = _Model(case), []
    is_curved = bool(case.costs.quadratic.any())
    for road in convex_roads(model.problem):
        try:
            solve_on(model.problem, road)
        except SolverInfeasible as failure:
            raise SolverInfeasible("no dispatch keeps every limit of this case") from failure
        except (SolverNumerical, SolverLimit) as failure:
            said.append(str(failure))
            continue
        found = _checked(case, model.supply_mw, model)
        if is_curved and not found.is_proven:
            found = _refined(case, found.supply_mw)
        if found.is_proven:
            return found
        said.append(
            f"{road.name}: gap {found.gap_ratio:g}, a limit missed by {found.excess_mw:g} MW"
        )
    if is_curved:
        found = _refined(case, np.clip(0.0, case.low_mw, case.high_mw))
        if found.is_proven:
            return found
        said.append(f"tangents: gap {found.gap_ratio:g}")
    raise SolverNumerical("; ".join(said))


def _refined(case: Case, supply_mw: FloatArray) -> Dispatch:
    """Return a dispatch found between tangents, closer and closer."""
    model = _on_tangents(case, supply_mw, TANGENT_WIDTH_RATIOS[0])
    found = _checked(case, model.supply_mw, model)
    for width_ratio in TANGENT_WIDTH_RATIOS[1:]:
        if found.is_proven:
            break
        model = _on_tangents(case, found.supply_mw, width_ratio)
        found = _checked(case, model.supply_mw, model)
    return found


def _checked(case: Case, supply_mw: FloatArray, priced: _Model) -> Dispatch:
    """Return a dispatch with the prices of a solved model, and what they prove about it."""
    price, bound_per_h = _bound(case, priced.reference_prices(), *priced.limit_multipliers())
    flow_mw, excess_mw = _flows(case, supply_mw)
    return Dispatch(
        supply_mw=supply_mw,
        flow_mw=flow_mw,
        price_per_mwh=price,
        objective_per_h=cost_per_h(case, supply_mw),
        bound_per_h=bound_per_h,
        excess_mw=excess_mw,
        base_mva=case.base_mva,
    )


def _on_tangents(case: Case, supply_mw: FloatArray, width_ratio: float) -> _Model:
    """Return the linear model in which tangents close to an output stand for each curve, solved.

    A convex cost lies above its tangents, so what this model proves holds for the curve too; and
    between tangents a width w apart it lies above by :math:`c_2 w^2 / 4` at most. So an output
    and prices that an interior point left merely close become exact.
    """
    costs = case.costs
    curved = np.flatnonzero(costs.quadratic)
    width_mw = width_ratio * np.maximum(1.0, np.abs(supply_mw[curved]))
    step = np.array([*(-np.array(TANGENT_STEPS)), 0, *TANGENT_STEPS])[:, None]
    at = supply_mw[curved] + step * width_mw
    slope = costs.linear[curved] + 2.0 * costs.quadratic[curved] * at
    intercept = costs.constant[curved] - costs.quadratic[curved] * at**2
    flat = np.where(costs.quadratic > 0, 0.0, 1.0)
    model = _Model(
        replace(
            case,
            costs=Costs(
                quadratic=np.zeros_like(flat),
                linear=flat * costs.linear,
                constant=flat * costs.constant,
                segment_supply=np.concatenate(
                    [costs.segment_supply, np.broadcast_to(curved, at.shape).ravel()]
                ),
                segment_slope=np.concatenate([costs.segment_slope, slope.ravel()]),
                segment_intercept=np.concatenate([costs.segment_intercept, intercept.ravel()]),
            ),
        )
    )
    solve_on(model.problem, convex_roads(model.problem)[0])
    return model


def cost_per_h(case: Case, supply_mw: FloatArray) -> float:
    """Return what an output costs, in the currency of the case per hour."""
    costs = case.costs
    total = (costs.quadratic * supply_mw + costs.linear) * supply_mw + costs.constant
    largest = np.full(len(supply_mw), -np.inf)
    np.maximum.at(largest, costs.segment_supply, _segment_costs(case, supply_mw))
    return float(total.sum() + largest[np.isfinite(largest)].sum())


def _segment_costs(case: Case, supply_mw: FloatArray) -> FloatArray:
    costs = case.costs
    return np.asarray(
        costs.segment_slope * supply_mw[costs.segment_supply] + costs.segment_intercept
    )


class _Model:
    """The CVXPY model, in p.u. of power and radians; the cost is divided by the base too."""

    def __init__(self, case: Case) -> None:
        base, costs = case.base_mva, case.costs
        self.case = case
        self.supply = cp.Variable(
            len(case.low_mw), bounds=[case.low_mw / base, case.high_mw / base]
        )
        self.angle = cp.Variable(len(case.bus_ids))
        across = case.branch_ends @ self.angle
        flow = cp.multiply(case.susceptance_pu, across - case.shift_rad)
        self.references = np.unique(case.bus_island, return_index=True)[1]
        self.balance = (
            case.supply_ends @ self.supply - case.load_mw / base == case.branch_ends.T @ flow
        )
        rows: list[cp.Constraint] = [self.balance, self.angle[self.references] == 0]
        self.limits = []
        for expression, limit, sign in (
            (flow, case.rating_mw / base, 1.0),
            (flow, case.rating_mw / base, -1.0),
            (across, case.angle_high_rad, 1.0),
            (across, -case.angle_low_rad, -1.0),
        ):
            chosen = np.flatnonzero(np.isfinite(limit))
            row = sign * expression[chosen] <= limit[chosen] if len(chosen) else None
            self.limits.append((chosen, row))
        rows += [row for _, row in self.limits if row is not None]
        cost = costs.linear @ self.supply
        if costs.quadratic.any():
            chosen = np.flatnonzero(costs.quadratic)
            root = np.sqrt(costs.quadratic[chosen] * base)
            cost += cp.sum_squares(cp.multiply(root, self.supply[chosen]))
        if len(costs.segment_supply):
            cost += self._segments(rows)
        self.problem = cp.Problem(cp.Minimize(cost), rows)

    def _segments(self, rows: list[cp.Constraint]) -> cp.Expression:
        """Add one column per supply with segments, above each of its lines; return their sum."""
        costs, base = self.case.costs, self.case.base_mva
        supplies, column = np.unique(costs.segment_supply, return_inverse=True)
        height = cp.Variable(len(supplies))
        line = cp.multiply(costs.segment_slope, self.supply[costs.segment_supply])
        rows.append(height[column] >= line + costs.segment_intercept / base)
        return cp.sum(height)

    @property
    def supply_mw(self) -> FloatArray:
        """Return the output found, within its limits, (J,)."""
        found_mw = self.supply.value * self.case.base_mva
        return np.asarray(np.clip(found_mw, self.case.low_mw, self.case.high_mw))

    def reference_prices(self) -> FloatArray:
        """Return the solver's price at the first bus of each island, (islands,)."""
        return np.asarray(-self.balance.dual_value[self.references])

    def limit_multipliers(self) -> tuple[FloatArray, FloatArray]:
        """Return the multipliers of line and of angle limits, upper and lower, each (2, L)."""
        count = len(self.case.susceptance_pu)
        found = np.zeros((4, count))
        for values, (chosen, row) in zip(found, self.limits, strict=True):
            if row is not None:
                values[chosen] = np.maximum(row.dual_value, 0.0)
        return found[:2], found[2:]


def _bound(
    case: Case, reference_price: FloatArray, rise: FloatArray, fall: FloatArray
) -> tuple[FloatArray, float]:
    r"""Return the prices that line and angle multipliers imply, and the bound they prove.

    With :math:`\mu` the net multipliers of the line limits and :math:`\nu` those of the angle
    limits, no angle may gain anything:
    :math:`A^\top (b (A \lambda + \mu) + \nu) = 0`. `reference_price` (islands,) fixes what is free.
    """
    base, b = case.base_mva, case.susceptance_pu
    mu, nu = rise[0] - rise[1], fall[0] - fall[1]
    references = np.unique(case.bus_island, return_index=True)[1]
    price = _solved(case, -(case.branch_ends.T @ (b * mu + nu)) * base)
    price += (reference_price - price[references])[case.bus_island]
    across = case.branch_ends @ price + mu
    fixed = price @ case.load_mw - base * float(across @ (b * case.shift_rad))
    limits = _total(rise.sum(axis=0), case.rating_mw) + base * (
        _total(fall[0], case.angle_high_rad) - _total(fall[1], case.angle_low_rad)
    )
    best = _best_responses(case, np.asarray(case.supply_ends.T @ price))
    return price, float(fixed - limits + best.sum())


def _total(multiplier: FloatArray, limit: FloatArray) -> float:
    used = np.isfinite(limit)
    return float(multiplier[used] @ limit[used])


def _best_responses(case: Case, paid: FloatArray) -> FloatArray:
    """Return, (J,), the least cost less receipts of each supply at the prices it is paid."""
    costs, low, high = case.costs, case.low_mw, case.high_mw
    slope = costs.linear - paid
    at = np.where(slope > 0, low, high)
    curved = costs.quadratic > 0
    at[curved] = np.clip(
        -slope[curved] / (2.0 * costs.quadratic[curved]), low[curved], high[curved]
    )
    # an output without a limit is only ever marginal: its receipts are its cost
    is_marginal = np.abs(slope) <= ZERO_SLOPE_RATIO * np.maximum(1.0, np.abs(paid))
    at = np.where(np.isinf(at) & is_marginal, 0.0, at)
    best = np.asarray((costs.quadratic * at + slope) * at + costs.constant)
    for supply in np.unique(costs.segment_supply):
        mine = costs.segment_supply == supply
        best[supply] = _best_on_segments(
            costs.segment_slope[mine] - paid[supply],
            costs.segment_intercept[mine],
            (low[supply], high[supply]),
        )
    return best


def _best_on_segments(
    slope: FloatArray, intercept: FloatArray, limits: tuple[float, float]
) -> float:
    """Return the least of the largest of some lines, in ascending order of slope."""
    low, high = limits
    steeper = np.diff(slope)
    bends = -np.diff(intercept)[steeper > 0] / steeper[steeper > 0]
    if (np.isinf(high) and slope[-1] < 0) or (np.isinf(low) and slope[0] > 0):
        return -np.inf
    ends = np.array([end for end in limits if np.isfinite(end)])
    points = np.clip(np.concatenate([bends, ends, np.zeros(1)]), low, high)
    return float(np.max(np.outer(points, slope) + intercept, axis=1).min())


def _flows(case: Case, supply_mw: FloatArray) -> tuple[FloatArray, float]:
    """Return the flows of a dispatch, (L,), and by how much the worst limit is missed in MW."""
    injected_mw = case.supply_ends @ supply_mw - case.load_mw
    imbalance_mw = np.bincount(case.bus_island, weights=injected_mw)
    shifted_mw = case.per_radian_mw * case.shift_rad
    angle = _solved(case, injected_mw + case.branch_ends.T @ shifted_mw)
    across = case.branch_ends @ angle
    flow_mw = case.per_radian_mw * across - shifted_mw
    size_mw = np.abs(case.per_radian_mw)
    missed = np.concatenate(
        [
            np.abs(imbalance_mw),
            np.abs(flow_mw) - case.rating_mw,
            (across - case.angle_high_rad) * size_mw,
            (case.angle_low_rad - across) * size_mw,
        ]
    )
    return flow_mw, float(missed.max(initial=0.0))


def _solved(case: Case, injected_mw: FloatArray) -> FloatArray:
    """Return bus angles under injections, (N,); the first bus of each island stands at zero."""
    free = np.setdiff1d(
        np.arange(len(case.bus_ids)), np.unique(case.bus_island, return_index=True)[1]
    )
    angle = np.zeros(len(case.bus_ids))
    if len(free):
        weighted = sp.diags_array(case.per_radian_mw) @ case.branch_ends
        matrix = sp.csr_array(case.branch_ends.T @ weighted)[free][:, free]
        lu = splu(sp.csc_matrix(matrix))
        found = lu.solve(injected_mw[free])
        angle[free] = found + lu.solve(injected_mw[free] - matrix @ found)
    return angle

"""The matrices of a MATPOWER case as the arrays of a DC optimal power flow.

Column order and meaning follow the published case format, version 2 [1]_. What is out of service,
and buses that stand alone (type 4) with all that hangs on them, are left out. Zeros mean what they
mean there: a tap of 0 is 1, a rating of 0 is no limit, angle limits 0 and 0 are none.

References
----------
.. [1] R. D. Zimmerman and C. E. Murillo-Sánchez, "MATPOWER User's Manual", appendix B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from accounts.core.errors import Refused
from market.core.offers.terms import FloatArray, IntArray, incidence

REACTANCE: Final = "reactance"
SERIES: Final = "series"
CONVENTIONS: Final = (REACTANCE, SERIES)
ISOLATED_BUS: Final = 4
UNLIMITED_MW: Final = 1e10
UNLIMITED_DEG: Final = 360.0
PIECEWISE, POLYNOMIAL = 1, 2
QUADRATIC_TERMS: Final = 3
SLOPE_TOLERANCE_RATIO: Final = 1e-4
"""Slopes of rounded breakpoints may fall by this much; the segments' largest is convex anyway."""

# Of each matrix the columns that count here, by their published names, from 0.
BUS: Final = {"BUS_I": 0, "BUS_TYPE": 1, "PD": 2, "GS": 4}
GEN: Final = {"GEN_BUS": 0, "GEN_STATUS": 7, "PMAX": 8, "PMIN": 9}
LINE_VALUES: Final = {"BR_R": 2, "BR_X": 3, "RATE_A": 5, "TAP": 8, "SHIFT": 9}
BRANCH: Final = {"F_BUS": 0, "T_BUS": 1, "BR_STATUS": 10, "ANGMIN": 11, "ANGMAX": 12} | LINE_VALUES
LINK_LIMITS: Final = {"PMIN": 9, "PMAX": 10}
DCLINE: Final = LINK_LIMITS | {"F_BUS": 0, "T_BUS": 1, "BR_STATUS": 2, "LOSS0": 15, "LOSS1": 16}
COLUMNS: Final[Mapping[str, Mapping[str, int]]] = {
    "bus": BUS,
    "gen": GEN,
    "branch": BRANCH,
    "dcline": DCLINE,
}


class InvalidCase(Refused):
    """A case that has no DC optimal power flow; the message says where."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """Convex costs of J supplies; per hour, of MW.

    Parameters
    ----------
    quadratic, linear, constant
        (J,) coefficients; zero where a supply has segments.
    segment_supply, segment_slope, segment_intercept
        (K,) the lines whose largest is the cost of a supply with segments.
    """

    quadratic: FloatArray
    linear: FloatArray
    constant: FloatArray
    segment_supply: IntArray
    segment_slope: FloatArray
    segment_intercept: FloatArray


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network with loads, and supplies with costs; axes N buses, L branches, J supplies.

    Parameters
    ----------
    base_mva
        Base of the susceptances.
    bus_ids, bus_island
        (N,) MATPOWER's bus numbers, and what the branches connect.
    load_mw
        (N,) load, shunt conductance at nominal voltage and fixed losses of DC lines. [MW]
    branch_rows
        (L,) row of each branch in its matrix, counted from 1.
    branch_ends
        Incidence (L, N): +1 at the ``from`` end, −1 at the ``to`` end.
    susceptance_pu, shift_rad
        (L,) by the convention chosen.
    rating_mw, angle_low_rad, angle_high_rad
        (L,) limits; infinite where there are none.
    supply_ends
        Injection (N, J) per MW of each supply: generators in service, then DC lines.
    supply_rows
        (J,) row of each supply in its matrix, counted from 1.
    generator_count
        How many of the supplies are generators.
    low_mw, high_mw
        (J,) limits of the supplies. [MW]
    costs
        What each supply costs.
    """

    base_mva: float
    bus_ids: IntArray
    bus_island: IntArray
    load_mw: FloatArray
    branch_rows: IntArray
    branch_ends: sp.csr_array
    susceptance_pu: FloatArray
    shift_rad: FloatArray
    rating_mw: FloatArray
    angle_low_rad: FloatArray
    angle_high_rad: FloatArray
    supply_ends: sp.csr_array
    supply_rows: IntArray
    generator_count: int
    low_mw: FloatArray
    high_mw: FloatArray
    costs: Costs

    @property
    def per_radian_mw(self) -> FloatArray:
        """Return the flow of each branch per radian across it, (L,)."""
        return self.susceptance_pu * self.base_mva


def case_from_matrices(
    base_mva: float, matrices: Mapping[str, FloatArray], *, susceptance: str = REACTANCE
) -> Case:
    r"""Return the case written in MATPOWER's matrices.

    Parameters
    ----------
    base_mva
        ``mpc.baseMVA``.
    matrices
        ``bus``, ``gen``, ``branch``, ``gencost`` and perhaps ``dcline``, ``dclinecost``, each with
        MATPOWER's columns in MATPOWER's order.
    susceptance
        ``reactance``: :math:`b = 1/(x \tau)` with tap :math:`\tau` and phase shift, as MATPOWER
        has it. ``series``: :math:`b = x/(r^2+x^2)`, taps and phase shifts left out, as the
        baseline of the PGLib-OPF archive has it.

    Raises
    ------
    InvalidCase
        Unknown or repeated bus, zero reactance, limits that exclude each other, a cost that is
        not convex or of higher degree, a matrix without rows or columns.
    """
    if susceptance not in CONVENTIONS:
        raise InvalidCase(field="susceptance", value=susceptance, rule="reactance or series")
    _check_shapes(matrices)
    bus = matrices["bus"]
    bus = bus[bus[:, BUS["BUS_TYPE"]] != ISOLATED_BUS]
    numbers = _bus_numbers(matrices["bus"])
    position = {number: at for at, number in enumerate(bus[:, BUS["BUS_I"]].astype(int).tolist())}
    if not position:
        raise InvalidCase(field="mpc.bus", value=0, rule="at least one bus that is not isolated")

    def rows_in_service(table: str, ends: tuple[str, ...], status: str) -> IntArray:
        return _rows_in_service(table, matrices[table], (numbers, position), (ends, status))

    lines = rows_in_service("branch", ("F_BUS", "T_BUS"), "BR_STATUS")
    gens = rows_in_service("gen", ("GEN_BUS",), "GEN_STATUS")
    dc = np.zeros(0, dtype=np.int64)
    if "dcline" in matrices:
        dc = rows_in_service("dcline", ("F_BUS", "T_BUS"), "BR_STATUS")
    ends = _branch_ends(matrices["branch"][lines], position)
    supply_ends, loss_mw = _supply_ends(matrices, gens, dc, position)
    low_mw, high_mw = _supply_limits(matrices, gens, dc)
    return Case(
        base_mva=base_mva,
        bus_ids=bus[:, BUS["BUS_I"]].astype(np.int64),
        bus_island=connected_components(abs(ends).T @ abs(ends), directed=False)[1],
        load_mw=bus[:, BUS["PD"]] + bus[:, BUS["GS"]] + loss_mw,
        branch_rows=lines + 1,
        branch_ends=ends,
        **_branch_values(matrices["branch"], lines, susceptance),
        supply_ends=supply_ends,
        supply_rows=np.concatenate([gens, dc]) + 1,
        generator_count=len(gens),
        low_mw=low_mw,
        high_mw=high_mw,
        costs=_costs(matrices, gens, dc),
    )


def _check_shapes(matrices: Mapping[str, FloatArray]) -> None:
    for table in ("bus", "gen", "branch", "gencost"):
        if table not in matrices or (table != "branch" and not len(matrices[table])):
            raise InvalidCase(field=f"mpc.{table}", value=None, rule="a matrix with rows")
    for table, columns in COLUMNS.items():
        width = max(columns.values()) + 1
        if table in matrices and matrices[table].shape[1] < width:
            found = matrices[table].shape[1]
            # angle limits came late to the format; older files end with the status
            if table == "branch" and found > BRANCH["BR_STATUS"]:
                continue
            raise InvalidCase(
                field=f"mpc.{table}", value=found, rule=f"at least {width} columns are needed"
            )


def _bus_numbers(bus: FloatArray) -> set[int]:
    found: set[int] = set()
    for row, number in enumerate(bus[:, BUS["BUS_I"]].tolist()):
        field = f"mpc.bus row {row + 1} BUS_I"
        if number < 1 or not float(number).is_integer():
            raise InvalidCase(field=field, value=number, rule="a positive whole number")
        if int(number) in found:
            raise InvalidCase(field=field, value=int(number), rule="each bus stands once")
        found.add(int(number))
    return found


def _rows_in_service(
    table: str,
    matrix: FloatArray,
    buses: tuple[set[int], Mapping[int, int]],
    columns: tuple[tuple[str, ...], str],
) -> IntArray:
    """Return the rows whose status is on and whose buses are not isolated."""
    (known, position), (ends, status) = buses, columns
    names = COLUMNS[table]
    chosen = matrix[:, names[status]] > 0
    for end in ends:
        for row, number in enumerate(matrix[:, names[end]].tolist()):
            if number not in known:
                raise InvalidCase(
                    field=f"mpc.{table} row {row + 1} {end}",
                    value=number,
                    rule="a bus of this case",
                )
            chosen[row] &= number in position
    if len(ends) > 1:
        same = np.flatnonzero(chosen & (matrix[:, names[ends[0]]] == matrix[:, names[ends[1]]]))
        if len(same):
            raise InvalidCase(
                field=f"mpc.{table} row {same[0] + 1}",
                value=matrix[same[0], names[ends[0]]],
                rule="two different ends",
            )
    return np.flatnonzero(chosen)


def _positions(numbers: FloatArray, position: Mapping[int, int]) -> IntArray:
    return np.array([position[int(number)] for number in numbers], dtype=np.int64)


def _branch_ends(branch: FloatArray, position: Mapping[int, int]) -> sp.csr_array:
    row = np.arange(len(branch))
    return incidence(
        (len(branch), len(position)),
        (row, _positions(branch[:, BRANCH["F_BUS"]], position), np.ones(len(row))),
        (row, _positions(branch[:, BRANCH["T_BUS"]], position), -np.ones(len(row))),
    )


def _branch_values(branch: FloatArray, lines: IntArray, susceptance: str) -> dict[str, FloatArray]:
    chosen = branch[lines]
    r, x = chosen[:, BRANCH["BR_R"]], chosen[:, BRANCH["BR_X"]]
    rate, tap = chosen[:, BRANCH["RATE_A"]], chosen[:, BRANCH["TAP"]]
    for column, is_wrong, rule in (
        ("BR_X", x == 0, "not zero; merge the buses of a coupler"),
        ("RATE_A", rate < 0, "not negative"),
        ("TAP", tap < 0, "not negative"),
    ):
        if is_wrong.any():
            at = int(lines[np.argmax(is_wrong)])
            raise InvalidCase(
                field=f"mpc.branch row {at + 1} {column}",
                value=float(branch[at, BRANCH[column]]),
                rule=rule,
            )
    is_series = susceptance == SERIES
    b = x / (r**2 + x**2) if is_series else 1.0 / (x * np.where(tap == 0, 1.0, tap))
    shift_rad = np.deg2rad(chosen[:, BRANCH["SHIFT"]])
    low_rad, high_rad = _angle_limits(branch, lines)
    return {
        "susceptance_pu": b,
        "shift_rad": np.zeros(len(b)) if is_series else shift_rad,
        "rating_mw": np.where((rate == 0) | (rate >= UNLIMITED_MW), np.inf, rate),
        "angle_low_rad": low_rad,
        "angle_high_rad": high_rad,
    }


def _angle_limits(branch: FloatArray, lines: IntArray) -> tuple[FloatArray, FloatArray]:
    if branch.shape[1] <= BRANCH["ANGMAX"]:
        return np.full(len(lines), -np.inf), np.full(len(lines), np.inf)
    low, high = branch[lines, BRANCH["ANGMIN"]], branch[lines, BRANCH["ANGMAX"]]
    is_crossed = low > high
    if is_crossed.any():
        at = int(np.argmax(is_crossed))
        raise InvalidCase(
            field=f"mpc.branch row {lines[at] + 1} ANGMIN, ANGMAX",
            value=(float(low[at]), float(high[at])),
            rule="the lower limit first",
        )
    is_free = (low == 0) & (high == 0)
    return (
        np.where(is_free | (low <= -UNLIMITED_DEG), -np.inf, np.deg2rad(low)),
        np.where(is_free | (high >= UNLIMITED_DEG), np.inf, np.deg2rad(high)),
    )


def _supply_ends(
    matrices: Mapping[str, FloatArray], gens: IntArray, dc: IntArray, position: Mapping[int, int]
) -> tuple[sp.csr_array, FloatArray]:
    """Return injections per MW of each supply, and the fixed losses of DC lines at each bus."""
    at = _positions(matrices["gen"][gens, GEN["GEN_BUS"]], position)
    terms = [(at, np.arange(len(gens)), np.ones(len(gens)))]
    loss_mw = np.zeros(len(position))
    if len(dc):
        line = matrices["dcline"][dc]
        start = _positions(line[:, DCLINE["F_BUS"]], position)
        end = _positions(line[:, DCLINE["T_BUS"]], position)
        column = len(gens) + np.arange(len(dc))
        terms += [
            (start, column, -np.ones(len(dc))),
            (end, column, 1.0 - line[:, DCLINE["LOSS1"]]),
        ]
        np.add.at(loss_mw, end, line[:, DCLINE["LOSS0"]])
    return incidence((len(position), len(gens) + len(dc)), *terms), loss_mw


def _supply_limits(
    matrices: Mapping[str, FloatArray], gens: IntArray, dc: IntArray
) -> tuple[FloatArray, FloatArray]:
    gen = matrices["gen"][gens]
    low, high = gen[:, GEN["PMIN"]], gen[:, GEN["PMAX"]]
    names = [f"mpc.gen row {row + 1} PMIN, PMAX" for row in gens]
    if len(dc):
        line = matrices["dcline"][dc]
        low = np.concatenate([low, _at_from_end(line, "PMIN")])
        high = np.concatenate([high, _at_from_end(line, "PMAX")])
        names += [f"mpc.dcline row {row + 1} PMIN, PMAX" for row in dc]
    is_wrong = ~(low <= high) | (low == np.inf) | (high == -np.inf)
    if is_wrong.any():
        at = int(np.argmax(is_wrong))
        raise InvalidCase(
            field=names[at], value=(float(low[at]), float(high[at])), rule="the lower limit first"
        )
    return low, high


def _at_from_end(line: FloatArray, column: str) -> FloatArray:
    """Return a DC line's limit at its ``from`` end; limits below zero bind the sending ``to`` end.

    What arrives is :math:`p_t = p_f - l_0 - l_1 p_f`.
    """
    limit = line[:, DCLINE[column]]
    loss0, loss1 = line[:, DCLINE["LOSS0"]], line[:, DCLINE["LOSS1"]]
    return np.where(limit < 0, (limit + loss0) / (1.0 - loss1), limit)


def _costs(matrices: Mapping[str, FloatArray], gens: IntArray, dc: IntArray) -> Costs:
    count = len(gens) + len(dc)
    terms = np.zeros((count, QUADRATIC_TERMS))
    segments: list[tuple[int, float, float]] = []
    wanted = [("gencost", int(row), column) for column, row in enumerate(gens)]
    if "dclinecost" in matrices:
        wanted += [("dclinecost", int(row), len(gens) + at) for at, row in enumerate(dc)]
    for table, row, supply in wanted:
        field = f"mpc.{table} row {row + 1}"
        if row >= len(matrices[table]):
            raise InvalidCase(field=field, value=None, rule="each supply has its row")
        model, _, _, size, *values = matrices[table][row].tolist()
        length = int(size) * (2 if model == PIECEWISE else 1)
        if size < 1 or int(size) != size or length > len(values):
            raise InvalidCase(field=f"{field} NCOST", value=size, rule="as many as are written")
        if model == POLYNOMIAL:
            terms[supply] = _polynomial(values[:length], field)
        elif model == PIECEWISE:
            points = np.array(values[:length]).reshape(-1, 2)
            segments += [(supply, *line) for line in _segments(points, field)]
        else:
            raise InvalidCase(field=f"{field} MODEL", value=model, rule="1 or 2")
    found = np.array(segments, dtype=np.float64).reshape(-1, 3)
    return Costs(
        quadratic=terms[:, 2],
        linear=terms[:, 1],
        constant=terms[:, 0],
        segment_supply=found[:, 0].astype(np.int64),
        segment_slope=found[:, 1],
        segment_intercept=found[:, 2],
    )


def _polynomial(highest_first: list[float], field: str) -> FloatArray:
    """Return constant, linear and quadratic coefficient."""
    found: FloatArray = np.array(highest_first[::-1], dtype=np.float64)
    if found[QUADRATIC_TERMS:].any():
        raise InvalidCase(
            field=field, value=len(found) - 1, rule="a cost of degree two at most: no DC OPF else"
        )
    terms = np.zeros(QUADRATIC_TERMS)
    terms[: len(found)] = found[:QUADRATIC_TERMS]
    if terms[2] < 0:
        raise InvalidCase(field=field, value=float(terms[2]), rule="a convex cost")
    return terms


def _segments(points: FloatArray, field: str) -> list[tuple[float, float]]:
    """Return slope and intercept of the lines through neighbouring breakpoints."""
    width, rise = np.diff(points[:, 0]), np.diff(points[:, 1])
    if len(width) == 0 or (width <= 0).any():
        raise InvalidCase(field=field, value=points[:, 0].tolist(), rule="ascending breakpoints")
    slope = rise / width
    if (np.diff(slope) < -SLOPE_TOLERANCE_RATIO * np.maximum(1.0, np.abs(slope[1:]))).any():
        raise InvalidCase(field=field, value=slope.tolist(), rule="a convex cost: rising slopes")
    intercept = points[:-1, 1] - slope * points[:-1, 0]
    return [(float(a), float(b)) for a, b in zip(slope, intercept, strict=True)]

"""A day on the demo grid: from area totals to bus injections, and from flows to needs.

Pure: JSON and arrays in, arrays out. Rows of the database are turned into :class:`AreaDay` by
the caller; the power flow itself is :mod:`market.core.network`'s.

Signs: an injection is positive into the grid; ``interconnector_kw`` is positive when the area
imports, as the grid operators print it. Powers are half-hour means at the sending end [kW].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from accounts.core.errors import Refused, ensure

FloatArray = npt.NDArray[np.float64]
Grid = Mapping[str, Any]

GRID_PATH = Path(__file__).with_name("grid.json")
INTERVAL_COUNT = 48
BALANCE_TOLERANCE_KW = 1e-3  # one watt over an island of tens of gigawatts
# Shares are printed with nine decimals: up to some hundred watts of tens of gigawatts.
SHARE_ROUNDING_KW = 1e3


class InvalidDay(Refused):
    """The area vectors or site schedules do not make a day on this grid."""


@dataclass(frozen=True, kw_only=True)
class AreaDay:
    """One area over one day, each array (T,) = (48,).

    Powers [kW] as reported; ``solar_kw`` and ``wind_kw`` are after curtailment.
    """

    demand_kw: FloatArray
    solar_kw: FloatArray
    solar_curtailed_kw: FloatArray
    wind_kw: FloatArray
    wind_curtailed_kw: FloatArray
    interconnector_kw: FloatArray
    price_jpy_per_kwh: FloatArray

    @classmethod
    def from_mapping(cls, row: Mapping[str, Any]) -> AreaDay:
        """Build from named sequences of 48 numbers.

        Raises
        ------
        InvalidDay
            A vector is missing, has not 48 finite values, or is negative where it cannot be.
        """
        arrays: dict[str, FloatArray] = {}
        for name in AREA_DAY_FIELDS:
            if name not in row:
                raise InvalidDay(field=name, value=None, rule="every vector of an area is needed")
            array = np.array(row[name], dtype=np.float64)
            if array.shape != (INTERVAL_COUNT,) or not np.isfinite(array).all():
                raise InvalidDay(field=name, value=row[name], rule="48 finite numbers")
            may_be_negative = name in {"interconnector_kw", "price_jpy_per_kwh"}
            if not may_be_negative and float(array.min()) < 0.0:
                raise InvalidDay(field=name, value=float(array.min()), rule="not negative")
            array.setflags(write=False)
            arrays[name] = array
        return cls(**arrays)


AREA_DAY_FIELDS = tuple(field.name for field in fields(AreaDay))


@dataclass(frozen=True, kw_only=True)
class DayShape:
    """Base case of one day; N buses, T half hours.

    Attributes
    ----------
    bus_ids
        N identifiers, the order of the rows of `injection_kw` and of the grid's buses.
    injection_kw
        (N, T), links included; sums to zero over each island.
    link_kw
        Scheduled flow per link, positive from its ``from`` bus to its ``to`` bus, (T,).
    site_load_kw
        Schedule per site at the receiving end, (T,).
    price_jpy_per_kwh, solar_curtailed_kw, net_load_kw, export_kw
        Per area, (T,). Net load is demand and data centres less sun and wind.
    """

    bus_ids: tuple[str, ...]
    injection_kw: FloatArray
    link_kw: dict[str, FloatArray]
    site_load_kw: dict[str, FloatArray]
    price_jpy_per_kwh: dict[str, FloatArray]
    solar_curtailed_kw: dict[str, FloatArray]
    net_load_kw: dict[str, FloatArray]
    export_kw: dict[str, FloatArray]


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Rows in the snapshot's layout of ``local_needs`` and ``balance_needs``."""

    local: list[dict[str, Any]]
    balance: list[dict[str, Any]]


def grid_load(path: Path = GRID_PATH) -> dict[str, Any]:
    """Read the demo grid as plain JSON; ``grid["network"]`` is the snapshot's network."""
    grid: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return grid


def grid_model_rows(grid: Grid) -> dict[str, list[dict[str, Any]]]:
    """Return ``buses``, ``branches`` and ``links`` as the registry takes them.

    The snapshot's network layout with names, places and kinds added; a link's ``rating_kw`` is
    its full capacity, of which ``limit_kw`` is what the market may use.
    """
    network = grid["network"]
    rows = {
        "buses": [row | grid["bus_facts"][row["id"]] for row in network["buses"]],
        "branches": [row | grid["branch_facts"][row["id"]] for row in network["branches"]],
        "links": [
            row | facts | {"rating_kw": facts["capacity_kw"]}
            for row in network["links"]
            for facts in [grid["link_facts"][row["id"]]]
        ],
    }
    for row in (row for kind in rows.values() for row in kind):
        row["name"] = row["name_ja"]
    return rows


def default_day(grid: Grid) -> dict[str, AreaDay]:
    """Return the synthetic summer weekday that comes with the grid, per area code."""
    return {area: AreaDay.from_mapping(row) for area, row in grid["default_day"].items()}


def built_areas(grid: Grid) -> list[str]:
    """Codes of the areas that have buses, sorted."""
    return sorted({bus["area"] for bus in grid["network"]["buses"]})


def day_shape(
    *,
    grid: Grid,
    areas: Mapping[str, AreaDay] | None = None,
    site_load_kw: Mapping[str, npt.ArrayLike] | None = None,
) -> DayShape:
    r"""Spread area totals over the buses so that every island balances.

    For bus i of area a, with shares :math:`\lambda, \sigma, \omega, \gamma` that sum to one
    over an area,

    .. math:: P_i = \gamma_i G_a + \sigma_i S_a + \omega_i W_a - \lambda_i D_a
              - \sum_{s \in i} \frac{L_s}{1 - \ell_s} + \text{links},
       \qquad G_a = N_a + X_a,

    where :math:`N_a` is the net load (demand and sites less sun and wind) and :math:`X_a` the
    export: as reported within the area's exchange limit, nothing but the links, or the rest of
    the island, by the area's ``exchange``. Where :math:`G_a` would fall below the area's floor,
    exports rise to their limit first and then the sun is curtailed, the order of Japan's
    priority rule.

    Parameters
    ----------
    grid
        As :func:`grid_load` returns it.
    areas
        Per area code; :func:`default_day` when omitted.
    site_load_kw
        Schedules that replace the grid's own, per site, (T,), receiving end.

    Raises
    ------
    InvalidDay
        An area is missing, a site unknown, a schedule not 48 numbers >= 0.
    """
    days = default_day(grid) if areas is None else areas
    for area in built_areas(grid):
        if area not in days:
            raise InvalidDay(field="areas", value=area, rule="every area with buses needs a day")
    sites = _site_loads(grid, site_load_kw or {})
    links = _link_schedules(grid, days)
    bus_ids = tuple(bus["id"] for bus in grid["network"]["buses"])
    injection_kw = np.zeros((len(bus_ids), INTERVAL_COUNT))
    row_of = {bus: row for row, bus in enumerate(bus_ids)}
    site_kw_of_area = _site_withdrawals(grid, sites, injection_kw, row_of)
    for link in grid["network"]["links"]:
        injection_kw[row_of[link["from"]]] -= links[link["id"]]
        injection_kw[row_of[link["to"]]] += links[link["id"]]

    balances = _area_balances(grid, days, links, site_kw_of_area)
    for bus in grid["network"]["buses"]:
        facts, balance = grid["bus_facts"][bus["id"]], balances[bus["area"]]
        injection_kw[row_of[bus["id"]]] += (
            facts["dispatch_share_ratio"] * balance.dispatch_kw
            + facts["solar_share_ratio"] * balance.solar_kw
            + facts["wind_share_ratio"] * balance.wind_kw
            - facts["load_share_ratio"] * balance.demand_kw
        )
    _close_islands(grid, injection_kw)
    injection_kw.setflags(write=False)
    return DayShape(
        bus_ids=bus_ids,
        injection_kw=injection_kw,
        link_kw=links,
        site_load_kw=sites,
        price_jpy_per_kwh={area: day.price_jpy_per_kwh for area, day in days.items()},
        solar_curtailed_kw={area: b.solar_curtailed_kw for area, b in balances.items()},
        net_load_kw={area: b.net_load_kw for area, b in balances.items()},
        export_kw={area: b.export_kw for area, b in balances.items()},
    )


def needs_from_shape(*, grid: Grid, shape: DayShape, flow_kw: Mapping[str, npt.ArrayLike]) -> Needs:
    r"""Derive what the grid operators would ask for on this day.

    Local, per monitored element and half hour with :math:`|f| > F`: the overload and a margin
    of the rating, :math:`|f| - F + m F`. Balance: a share of the sun that would be curtailed
    (DOWN), and a share of the net load above a threshold of its daily peak (UP). Quantities
    are rounded up to the tick, caps follow the area's price with a floor; all of it in
    ``grid["needs"]``.

    Parameters
    ----------
    flow_kw
        Base flow per element id, (T,), signed from the branch's ``from`` to its ``to`` end.

    Returns
    -------
    Needs
        ``need_kw`` and ``cap_jpy_per_kwh`` are lists of 48; an element overloaded in both
        directions on one day gives two rows.

    Raises
    ------
    InvalidDay
        The flow of a monitored element is missing or not 48 finite numbers.
    """
    rules = grid["needs"]
    local: list[dict[str, Any]] = []
    for element in grid["elements"]:
        flow = np.asarray(flow_kw.get(element["id"], ()), dtype=np.float64)
        if flow.shape != (INTERVAL_COUNT,) or not np.isfinite(flow).all():
            raise InvalidDay(
                field=f"flow_kw.{element['id']}", value=flow.shape, rule="48 finite numbers"
            )
        if element["buys_relief"]:
            price = shape.price_jpy_per_kwh[element["area"]]
            local += _local_needs(element, flow, price, rules)
    balance = [_surplus_need(area, shape, rules) for area in rules["surplus"]["areas"]]
    balance += [_net_peak_need(area, shape, rules) for area in rules["net_peak"]["areas"]]
    return Needs(local=local, balance=[row for row in balance if max(row["need_kw"]) > 0.0])


@dataclass(frozen=True, kw_only=True)
class _AreaBalance:
    demand_kw: FloatArray
    solar_kw: FloatArray
    solar_curtailed_kw: FloatArray
    wind_kw: FloatArray
    net_load_kw: FloatArray
    export_kw: FloatArray
    dispatch_kw: FloatArray


def _site_loads(grid: Grid, replaced: Mapping[str, npt.ArrayLike]) -> dict[str, FloatArray]:
    known = {site["id"]: site["schedule_kw"] for site in grid["sites"]}
    for site in replaced:
        if site not in known:
            raise InvalidDay(field="site_load_kw", value=site, rule="a site of this grid")
    loads = {}
    for site, own in known.items():
        load = np.array(replaced.get(site, own), dtype=np.float64)
        right_shape = load.shape == (INTERVAL_COUNT,)
        if not right_shape or not np.isfinite(load).all() or float(load.min()) < 0.0:
            raise InvalidDay(
                field=f"site_load_kw.{site}", value=load.tolist(), rule="48 numbers >= 0"
            )
        loads[site] = load
    return loads


def _site_withdrawals(
    grid: Grid,
    sites: Mapping[str, FloatArray],
    injection_kw: FloatArray,
    row_of: Mapping[str, int],
) -> dict[str, FloatArray]:
    """Take each site's sending-end load from its bus; return the sums per area."""
    area_of = {bus["id"]: bus["area"] for bus in grid["network"]["buses"]}
    sums = {area: np.zeros(INTERVAL_COUNT) for area in built_areas(grid)}
    for site in grid["sites"]:
        sending_kw = sites[site["id"]] / (1.0 - site["loss_ratio"])
        injection_kw[row_of[site["bus"]]] -= sending_kw
        sums[area_of[site["bus"]]] += sending_kw
    return sums


def _link_schedules(grid: Grid, days: Mapping[str, AreaDay]) -> dict[str, FloatArray]:
    """Give the receiving island's reported import to the links, as far as capacity goes.

    What is published to the market as further transfer stays free in both directions.
    """
    island_of = {bus["id"]: bus["island"] for bus in grid["network"]["buses"]}
    areas_of: dict[str, set[str]] = {}
    for bus in grid["network"]["buses"]:
        areas_of.setdefault(bus["island"], set()).add(bus["area"])
    links = grid["network"]["links"]
    schedules = {}
    for link in links:
        island = island_of[link["to"]]
        peers = [peer for peer in links if island_of[peer["to"]] == island]
        imported = sum(days[area].interconnector_kw for area in sorted(areas_of[island]))
        room = grid["link_facts"][link["id"]]["capacity_kw"] - link["limit_kw"]
        schedules[link["id"]] = np.clip(imported / len(peers), -room, room)
    return schedules


def _area_balances(
    grid: Grid,
    days: Mapping[str, AreaDay],
    links: Mapping[str, FloatArray],
    site_kw_of_area: Mapping[str, FloatArray],
) -> dict[str, _AreaBalance]:
    area_of = {bus["id"]: bus["area"] for bus in grid["network"]["buses"]}
    over_links = {area: np.zeros(INTERVAL_COUNT) for area in built_areas(grid)}
    for link in grid["network"]["links"]:
        over_links[area_of[link["from"]]] += links[link["id"]]
        over_links[area_of[link["to"]]] -= links[link["id"]]

    balances: dict[str, _AreaBalance] = {}
    rest: dict[str, str] = {}
    ac_export: dict[str, FloatArray] = {}
    for area in built_areas(grid):
        rules = grid["areas"][area]
        ac_export.setdefault(rules["island"], np.zeros(INTERVAL_COUNT))
        if rules["exchange"] == "rest":
            ensure(rules["island"] not in rest, "an island has two areas that take the rest")
            rest[rules["island"]] = area
            continue
        reported = rules["exchange"] == "as_reported"
        limit_kw = rules["exchange_limit_kw"]
        export = (
            np.clip(-days[area].interconnector_kw, -limit_kw, limit_kw)
            if reported
            else over_links[area]
        )
        balances[area] = _area_balance(days[area], rules, export, site_kw_of_area[area])
        ac_export[rules["island"]] += balances[area].export_kw - over_links[area]
    for island, area in rest.items():
        export = over_links[area] - ac_export[island]
        balances[area] = _area_balance(
            days[area], grid["areas"][area], export, site_kw_of_area[area]
        )
    return balances


def _area_balance(
    day: AreaDay, rules: Mapping[str, Any], export_kw: FloatArray, site_kw: FloatArray
) -> _AreaBalance:
    growth = rules["solar_growth_ratio"]
    reported_curtailed_kw = growth * day.solar_curtailed_kw
    available_kw = growth * day.solar_kw + reported_curtailed_kw
    load_kw = day.demand_kw + site_kw - day.wind_kw
    lacking_kw = rules["dispatch_floor_kw"] - (load_kw - available_kw + export_kw)
    room_kw = np.maximum(rules["export_limit_kw"] - export_kw, 0.0)
    more_export_kw = np.clip(lacking_kw, 0.0, room_kw) if rules["exchange"] != "rest" else 0.0
    curtailed_kw = np.clip(lacking_kw - more_export_kw, reported_curtailed_kw, available_kw)
    solar_kw = available_kw - curtailed_kw
    net_load_kw = load_kw - solar_kw
    export_kw = export_kw + more_export_kw
    return _AreaBalance(
        demand_kw=day.demand_kw,
        solar_kw=solar_kw,
        solar_curtailed_kw=curtailed_kw,
        wind_kw=day.wind_kw,
        net_load_kw=net_load_kw,
        export_kw=export_kw,
        dispatch_kw=net_load_kw + export_kw,
    )


def _close_islands(grid: Grid, injection_kw: FloatArray) -> None:
    """Spread the rounding of the share tables over the slack, so each island sums to zero."""
    islands = np.array([bus["island"] for bus in grid["network"]["buses"]])
    slack = np.array([bus["slack_share_ratio"] for bus in grid["network"]["buses"]])
    for island in np.unique(islands):
        rows = islands == island
        gap_kw = injection_kw[rows].sum(axis=0)
        ensure(
            bool((np.abs(gap_kw) < SHARE_ROUNDING_KW).all()), f"island {island} does not balance"
        )
        injection_kw[rows] -= np.outer(slack[rows] / slack[rows].sum(), gap_kw)
        left_kw = np.abs(injection_kw[rows].sum(axis=0))
        ensure(bool((left_kw < BALANCE_TOLERANCE_KW).all()), f"island {island} does not close")


def _ticked(need_kw: FloatArray, tick_kw: float) -> list[float]:
    return [float(value) for value in np.ceil(np.round(need_kw / tick_kw, 9)) * tick_kw]


def _capped(price: FloatArray, ratio: float, floor_jpy_per_kwh: float) -> list[float]:
    cap = np.maximum(price * ratio, floor_jpy_per_kwh)
    return [round(float(value), 2) for value in cap]


def _local_needs(
    element: Mapping[str, Any], flow_kw: FloatArray, price: FloatArray, rules: Mapping[str, Any]
) -> list[dict[str, Any]]:
    rows = []
    rating_kw = element["rating_kw"]
    for sign, name in ((1, "forward"), (-1, "backward")):
        overload_kw = sign * flow_kw - rating_kw
        if float(overload_kw.max()) <= 0.0:
            continue
        margin_kw = rules["local_margin_ratio"] * rating_kw
        need_kw = np.where(overload_kw > 0.0, overload_kw + margin_kw, 0.0)
        rows.append(
            {
                "id": f"local-{element['id']}-{name}",
                "element": element["id"],
                "sign": sign,
                "need_kw": _ticked(need_kw, rules["need_tick_kw"]),
                "cap_jpy_per_kwh": _capped(
                    price, rules["local_cap_price_ratio"], rules["local_cap_floor_jpy_per_kwh"]
                ),
            }
        )
    return rows


def _surplus_need(area: str, shape: DayShape, rules: Mapping[str, Any]) -> dict[str, Any]:
    rule = rules["surplus"]
    need_kw = rule["procured_ratio"] * shape.solar_curtailed_kw[area]
    return _balance_row(area, "DOWN", need_kw, shape, rules, rule)


def _net_peak_need(area: str, shape: DayShape, rules: Mapping[str, Any]) -> dict[str, Any]:
    rule = rules["net_peak"]
    net_kw = shape.net_load_kw[area]
    above_kw = np.maximum(net_kw - rule["threshold_ratio"] * float(net_kw.max()), 0.0)
    return _balance_row(area, "UP", rule["procured_ratio"] * above_kw, shape, rules, rule)


def _balance_row(
    area: str,
    direction: str,
    need_kw: FloatArray,
    shape: DayShape,
    rules: Mapping[str, Any],
    rule: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "id": f"balance-{area}-{direction.lower()}",
        "area": area,
        "direction": direction,
        "need_kw": _ticked(need_kw, rules["need_tick_kw"]),
        "cap_jpy_per_kwh": _capped(
            shape.price_jpy_per_kwh[area], rule["cap_price_ratio"], rule["cap_floor_jpy_per_kwh"]
        ),
    }

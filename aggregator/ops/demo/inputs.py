"""What the demo day is made of: vectors per area, schedules per site, profiles per meter.

Everything is a function of the delivery date and of rows in the database, so that each
step, in whichever process it runs, sees the same day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.ops.demo import cast
from aggregator.ops.demo.shapes import (
    AreaDay,
    DayShape,
    Grid,
    Needs,
    built_areas,
    day_shape,
    default_day,
    grid_load,
    needs_from_shape,
)
from market.core.network import dc_flow_kw
from market.core.snapshot import Network, network_from_json
from market.core.timegrid import INTERVAL_H, INTERVALS_PER_DAY

FloatArray = npt.NDArray[np.float64]

SEED = 20_260_805
NOISE_RATIO = 0.012  # half-hour noise of a computing load around its schedule
WEEKEND_RATIO = 0.97
SATURDAY = 5
WIND_DAY_RATIO = 0.34
WEEKEND_DEMAND_RATIO = 0.93
DEMAND_LEVEL_RATIO = 0.02
DEMAND_AREA_RATIO = 0.01
SOLAR_RATIOS = (0.55, 1.0)
WIND_RATIOS = (0.4, 1.0)


@dataclass(frozen=True, kw_only=True)
class DayInputs:
    """The day before anybody acts; arrays are (48,)."""

    grid: Grid
    areas: Mapping[str, AreaDay]
    shape: DayShape
    base_flow_kw: Mapping[str, FloatArray]
    needs: Needs
    is_real: bool


def day_inputs(areas: Mapping[str, AreaDay] | None = None) -> DayInputs:
    """Compute the base case: injections, flows on monitored elements, needs.

    Parameters
    ----------
    areas
        Real vectors per area code; the grid's own summer weekday without them.
    """
    grid = grid_load()
    days = default_day(grid) if areas is None else areas
    shape = day_shape(grid=grid, areas=days)
    network = network_of(grid)
    row_of = {bus: row for row, bus in enumerate(shape.bus_ids)}
    injection_kw = shape.injection_kw[[row_of[bus] for bus in network.bus_ids]]
    flow_kw = dc_flow_kw(network, injection_kw)
    branch_of = {branch: row for row, branch in enumerate(network.branch_ids)}
    base_flow_kw = {
        element["id"]: np.round(flow_kw[branch_of[element["branch"]]], 1)
        for element in grid["elements"]
    }
    needs = needs_from_shape(grid=grid, shape=shape, flow_kw=base_flow_kw)
    return DayInputs(
        grid=grid,
        areas=days,
        shape=shape,
        base_flow_kw=base_flow_kw,
        needs=needs,
        is_real=areas is not None,
    )


def varied_areas(on: date) -> dict[str, AreaDay]:
    """Vary the standard day: weekends are lower, weather and level are drawn from the date.

    The demand of all areas moves together more than apart, as weather makes it.
    """
    # Seeded by the day, so that each step in whichever process sees the same weather.
    dice = np.random.default_rng([SEED, on.toordinal(), 1])  # noqa: TID251 - seeded, demo only
    level = WEEKEND_DEMAND_RATIO if on.weekday() >= SATURDAY else 1.0
    level *= 1.0 + DEMAND_LEVEL_RATIO * dice.standard_normal()
    areas = {}
    for code, day in sorted(default_day(grid_load()).items()):
        own = 1.0 + DEMAND_AREA_RATIO * dice.standard_normal()
        areas[code] = replace(
            day,
            demand_kw=day.demand_kw * level * own,
            solar_kw=day.solar_kw * dice.uniform(*SOLAR_RATIOS),
            wind_kw=day.wind_kw * dice.uniform(*WIND_RATIOS),
        )
    return areas


def network_of(grid: Grid) -> Network:
    """Read the grid's network as the engine does, without any book on it."""
    return network_from_json(grid["network"], interval_count=INTERVALS_PER_DAY)


def areas_needed() -> list[str]:
    """Codes of the areas whose vectors a real day must bring."""
    return built_areas(grid_load())


def peak_kw_of(inputs: DayInputs) -> dict[str, Decimal]:
    """Highest scheduled load of each site, in whole kW."""
    return {
        site: Decimal(int(load_kw.max())) for site, load_kw in inputs.shape.site_load_kw.items()
    }


def available_ratio(inputs: DayInputs) -> dict[str, FloatArray]:
    """Output of sun and wind as a share of their peak, (48,) per kind."""
    solar_kw = inputs.areas["09"].solar_kw
    wind_kw = inputs.areas["02"].wind_kw
    return {
        "PV": solar_kw / max(float(solar_kw.max()), 1.0),
        "WIND": WIND_DAY_RATIO * wind_kw / max(float(wind_kw.mean()), 1.0),
    }


def profiles_kw(inputs: DayInputs) -> dict[str, FloatArray]:
    """Metered power of each resource if nobody acts; positive is flow to the customer."""
    micro_kw = float(sum(cast.MICRO_UNITS_KW))
    profiles: dict[str, FloatArray] = {}
    for site, load_kw in inputs.shape.site_load_kw.items():
        profiles[f"{site}-load"] = np.asarray(
            load_kw - (micro_kw if site == cast.MICRO_SITE else 0)
        )
    for number, power_kw in enumerate(cast.MICRO_UNITS_KW, start=1):
        profiles[f"{cast.MICRO_SITE}-unit-{number}"] = np.full(INTERVALS_PER_DAY, float(power_kw))
    for row in cast.STORAGE:
        profiles[row[0]] = np.zeros(INTERVALS_PER_DAY)
    ratio = available_ratio(inputs)
    for code, _, kind, _, _, peak_kw in cast.RENEWABLES:
        output_kw = np.floor(np.minimum(ratio[kind], 1.0) * peak_kw)
        profiles[code] = -np.floor(output_kw * cast.scheduled_ratio(code))
    return profiles


def readings_before(
    inputs: DayInputs, *, delivery_on: date, days_before: range
) -> list[dict[str, Any]]:
    """Seeded history of the computing loads, one row per resource and day.

    Returns
    -------
    list of dict
        ``resource``, ``on`` (JST date) and ``energy_kwh`` (48 values to the Wh).
    """
    rows = []
    loads = {
        code: profile
        for code, profile in sorted(profiles_kw(inputs).items())
        if code.endswith("-load") or "-unit-" in code
    }
    for before in days_before:
        on = delivery_on - timedelta(days=before)
        # Seeded by the day, so that history is the same whenever it is asked for.
        dice = np.random.default_rng([SEED, on.toordinal()])  # noqa: TID251 - seeded, demo only
        for code, profile_kw in loads.items():
            factor = WEEKEND_RATIO if on.weekday() >= SATURDAY else 1.0
            noise = 1.0 + NOISE_RATIO * dice.standard_normal(INTERVALS_PER_DAY)
            level = 1.0 + NOISE_RATIO * dice.standard_normal()
            energy_kwh = np.round(profile_kw * factor * level * noise * INTERVAL_H, 3)
            rows.append({"resource": code, "on": on, "energy_kwh": energy_kwh})
    return rows

"""Plain linopy on a day: ``run_linopy.py DAYS.json ANSWER.json``, in its own environment.

Bus angles, as one writes it by hand; direct hand-over to the solver. Times each run from data
frames to prices, in processor seconds of this process.
"""

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import linopy  # type: ignore[import-not-found]
import numpy as np
import pandas as pd
import xarray as xr  # type: ignore[import-not-found]

warnings.simplefilter("ignore")


def frames(day: dict[str, Any]) -> tuple[Any, ...]:
    """Return the data frames a user of linopy would hold."""
    t = pd.RangeIndex(len(day["load_mw"][0]), name="t")
    n = pd.RangeIndex(len(day["bus"]), name="n")
    lines = pd.DataFrame(
        {
            "start": day["branch_from"],
            "end": day["branch_to"],
            "b": 100.0 / np.array(day["reactance_pu"]),
            "rating": day["rating_mw"],
        },
        index=pd.RangeIndex(len(day["rating_mw"]), name="l"),
    )
    steps = len(day["cost_per_mwh"][0])
    generators = pd.DataFrame(
        {
            "n": np.repeat(day["generator_bus"], steps),
            "most": np.repeat(day["step_mw"], steps),
            "cost": np.ravel(day["cost_per_mwh"]),
        }
    ).rename_axis("g")
    stores = pd.DataFrame(
        {
            "n": day["store_bus"],
            "mw": day["store_mw"],
            "mwh": day["store_mwh"],
            "wear": day["wear_per_mwh"],
        }
    ).rename_axis("s")
    load = pd.DataFrame(day["load_mw"], index=n, columns=t)
    return t, n, lines, generators, stores, load


def solved(held: tuple[Any, ...], interval_h: float, efficiency_ratio: float) -> tuple[float, Any]:
    """Return cost per day and prices (N, T) of a day, from its frames."""
    t, n, lines, generators, stores, load = held
    m = linopy.Model()
    most = xr.DataArray(generators["most"]).expand_dims(t=t).transpose("g", "t")
    limit = xr.DataArray(stores["mw"]).expand_dims(t=t).transpose("s", "t")
    level_max = xr.DataArray(stores["mwh"]).expand_dims(t=t).transpose("s", "t")
    rating = xr.DataArray(lines["rating"]).expand_dims(t=t).transpose("l", "t")
    p = m.add_variables(lower=0, upper=most, name="p")
    charge = m.add_variables(lower=0, upper=limit, name="charge")
    discharge = m.add_variables(lower=0, upper=limit, name="discharge")
    level = m.add_variables(lower=0, upper=level_max, name="level")
    angle = m.add_variables(coords=[n, t], name="angle")
    flow = m.add_variables(lower=-rating, upper=rating, name="flow")
    start, end = (xr.DataArray(lines[name]) for name in ("start", "end"))
    b = xr.DataArray(lines["b"])
    m.add_constraints(flow - b * (angle.sel(n=start) - angle.sel(n=end)) == 0, name="ohm")
    m.add_constraints(angle.sel(n=0) == 0, name="reference")
    half = xr.DataArray(stores["mwh"]) / 2
    change = interval_h * (efficiency_ratio * charge - discharge / efficiency_ratio)
    m.add_constraints(
        level.isel(t=slice(1, None))
        - level.shift(t=1).isel(t=slice(1, None))
        - change.isel(t=slice(1, None))
        == 0,
        name="levels",
    )
    m.add_constraints(level.isel(t=0) - change.isel(t=0) == half, name="first level")
    m.add_constraints(level.isel(t=-1) >= half, name="last level")

    def at_bus(expression: Any, where: Any) -> Any:
        return expression.groupby(xr.DataArray(where.rename("n"))).sum()

    balance = (
        at_bus(1 * p, generators["n"]).reindex(n=n)
        + at_bus(discharge - charge, stores["n"]).reindex(n=n)
        + at_bus(1 * flow, lines["end"]).reindex(n=n)
        - at_bus(1 * flow, lines["start"]).reindex(n=n)
    )
    m.add_constraints(balance == xr.DataArray(load), name="balance")
    cost = xr.DataArray(generators["cost"])
    wear = xr.DataArray(stores["wear"])
    m.add_objective(interval_h * ((cost * p).sum() + (wear * discharge).sum()))
    m.solve("highs", io_api="direct", threads=1, parallel="off", output_flag=False, progress=False)
    return float(m.objective.value), (m.dual["balance"] / interval_h).transpose("n", "t").to_numpy()


def main() -> None:
    """Solve each day in turn, and write costs, prices and times."""
    days = json.loads(Path(sys.argv[1]).read_text())
    answers = []
    for day in days:
        held = frames(day)
        began_s, wall_s = time.process_time(), time.perf_counter()
        cost, price = solved(held, day["interval_h"], day["efficiency_ratio"])
        answers.append(
            {
                "cost": cost,
                "price": price.tolist(),
                "cpu_s": time.process_time() - began_s,
                "wall_s": time.perf_counter() - wall_s,
            }
        )
    Path(sys.argv[2]).write_text(json.dumps(answers))


main()

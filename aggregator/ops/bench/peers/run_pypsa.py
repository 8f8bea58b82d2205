"""PyPSA on a day: ``run_pypsa.py DAYS.json ANSWER.json``, in its own environment.

Times each run from data frames to prices, in processor seconds of this process. The last store
level is held at half by a lower bound, as everywhere.
"""

import json
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pypsa  # type: ignore[import-not-found]

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)


def frames(day: dict[str, Any]) -> tuple[Any, ...]:
    """Return the data frames a user of PyPSA would hold."""
    buses = [str(number) for number in day["bus"]]
    steps = len(day["cost_per_mwh"][0])
    generators = pd.DataFrame(
        {
            "bus": np.repeat([buses[at] for at in day["generator_bus"]], steps),
            "p_nom": np.repeat(day["step_mw"], steps),
            "marginal_cost": np.ravel(day["cost_per_mwh"]),
        }
    )
    generators.index = [f"g{row}" for row in range(len(generators))]
    lines = pd.DataFrame(
        {
            "bus0": [buses[at] for at in day["branch_from"]],
            "bus1": [buses[at] for at in day["branch_to"]],
            "x": day["reactance_pu"],
            "r": 1e-9,
            "s_nom": day["rating_mw"],
        }
    )
    lines.index = [f"l{row}" for row in range(len(lines))]
    stores = pd.DataFrame(
        {
            "bus": [buses[at] for at in day["store_bus"]],
            "p_nom": day["store_mw"],
            "marginal_cost": day["wear_per_mwh"],
            "max_hours": np.divide(day["store_mwh"], day["store_mw"]),
            "state_of_charge_initial": np.divide(day["store_mwh"], 2.0),
            "efficiency_store": day["efficiency_ratio"],
            "efficiency_dispatch": day["efficiency_ratio"],
        }
    )
    stores.index = [f"s{row}" for row in range(len(stores))]
    load = pd.DataFrame(np.transpose(day["load_mw"]), columns=[f"d{bus}" for bus in buses])
    return buses, generators, lines, stores, load


def solved(held: tuple[Any, ...], interval_h: float) -> tuple[float, Any]:
    """Return cost per day and prices (T, N) of a day, from its frames."""
    buses, generators, lines, stores, load = held
    network = pypsa.Network()
    network.set_snapshots(load.index)
    network.snapshot_weightings = network.snapshot_weightings.astype(float) * interval_h
    network.add("Bus", buses, v_nom=1.0)
    network.add("Generator", generators.index, **generators)
    network.add("Line", lines.index, **lines)
    network.add("StorageUnit", stores.index, **stores)
    network.add("Load", load.columns, bus=buses, p_set=load)

    def end(network: Any, snapshots: Any) -> None:
        level = network.model["StorageUnit-state_of_charge"].sel(snapshot=snapshots[-1])
        network.model.add_constraints(
            level >= stores["state_of_charge_initial"].rename_axis("name"), name="end"
        )

    network.optimize(
        solver_name="highs",
        extra_functionality=end,
        solver_options={"threads": 1, "parallel": "off", "output_flag": False},
    )
    return network.objective, network.buses_t.marginal_price[buses].to_numpy()


def main() -> None:
    """Solve each day in turn, and write costs, prices and times."""
    days = json.loads(Path(sys.argv[1]).read_text())
    answers = []
    for day in days:
        held = frames(day)
        began_s, wall_s = time.process_time(), time.perf_counter()
        cost, price = solved(held, day["interval_h"])
        answers.append(
            {
                "cost": float(cost),
                "price": price.T.tolist(),
                "cpu_s": time.process_time() - began_s,
                "wall_s": time.perf_counter() - wall_s,
            }
        )
    Path(sys.argv[2]).write_text(json.dumps(answers))


main()

"""Read MATPOWER case files (version 2) into the layout of the snapshot's network.

The file itself is read by :mod:`market.registry.casefile`; here its rows become buses, branches
and links.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounts.fields import KW_MAX
from accounts.parties.models import Organisation
from market.registry.casefile import InvalidGridFile, case_frames, finite
from market.registry.models import GridModel, SusceptanceConvention
from market.registry.services import grid_model_create

KW_PER_MW = 1000.0
REACTANCE_DECIMALS = 9
SLACK_DECIMALS = 6
REFERENCE_BUS, ISOLATED_BUS = 3, 4
BUS_NUMBER_MAX = 1_000_000_000
AREA_NUMBER_MAX = 10

# Columns that must be there; MATPOWER numbers them in this order.
NEEDED = {
    "bus": ("BUS_I", "BUS_TYPE", "BUS_AREA", "BASE_KV"),
    "gen": ("GEN_BUS", "GEN_STATUS", "PMAX"),
    "branch": ("F_BUS", "T_BUS", "BR_R", "BR_X", "RATE_A", "TAP", "SHIFT", "BR_STATUS"),
    "dcline": ("F_BUS", "T_BUS", "BR_STATUS", "PMIN", "PMAX"),
}

Row = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class GridCase:
    """A network in the snapshot's layout, with ``voltage_kv`` of a bus and ``kind`` of a branch.

    Out-of-service branches and isolated buses are left out.
    """

    base_mva: float
    convention: str
    buses: list[dict[str, Any]]
    branches: list[dict[str, Any]]
    links: list[dict[str, Any]]

    def network(self) -> dict[str, Any]:
        """Return exactly the ``network`` of a snapshot, links free up to their rating."""
        bus_keys = ("id", "area", "island", "slack_share_ratio")
        branch_keys = (
            "id",
            "from",
            "to",
            "resistance_pu",
            "reactance_pu",
            "tap_ratio",
            "shift_deg",
            "rating_kw",
        )
        return {
            "convention": self.convention,
            "base_mva": self.base_mva,
            "buses": [{key: row[key] for key in bus_keys} for row in self.buses],
            "branches": [{key: row[key] for key in branch_keys} for row in self.branches],
            "links": [
                {
                    "id": row["id"],
                    "from": row["from"],
                    "to": row["to"],
                    "limit_kw": row["rating_kw"],
                }
                for row in self.links
            ],
        }


def grid_model_import(
    *,
    path: Path,
    name: str = "",
    convention: str = SusceptanceConvention.REACTANCE.value,
    area_code: str | None = None,
    owner: Organisation | None = None,
    valid_from_on: date | None = None,
) -> GridModel:
    """Store a MATPOWER case as the next version of a grid model.

    Parameters
    ----------
    path, convention, area_code
        See :func:`grid_case_read`.
    name
        Name of the model; the file's name without ending when empty.
    owner, valid_from_on
        See :func:`market.registry.services.grid_model_create`.

    Raises
    ------
    InvalidGridFile
        The file can't be used.
    Refused
        One of its areas is not registered.
    """
    case = grid_case_read(path, convention=convention, area_code=area_code)
    return grid_model_create(
        name=name or path.stem,
        convention=case.convention,
        base_mva=Decimal(str(case.base_mva)),
        source=f"MATPOWER {path.name}",
        buses=case.buses,
        branches=case.branches,
        links=case.links,
        owner=owner,
        valid_from_on=valid_from_on,
    )


def grid_case_read(
    path: Path,
    *,
    convention: str = SusceptanceConvention.REACTANCE.value,
    area_code: str | None = None,
) -> GridCase:
    r"""Read a case file.

    Parameters
    ----------
    path
        A ``.m`` file of format version 2.
    convention
        ``reactance``: :math:`b = 1/x`; ``series``: :math:`b = x/(r^2+x^2)`. Published results
        differ by it; the file does not say which its author used.
    area_code
        Area of all buses; when omitted, MATPOWER's area number n is area code ``0n``.

    Notes
    -----
    A tap of 0 means 1. A rating of 0 means no limit and becomes the largest power the
    database holds. A DC line becomes a controllable link rated at its larger limit. Synchronous
    islands are what the branches in service connect, numbered by their smallest bus. The slack
    of an island is shared equally by its reference buses, or, if it has none, by its generators
    in service in proportion to their maximum.

    Raises
    ------
    InvalidGridFile
        Not a version 2 case; a matrix, column or number is missing or no finite number; an
        unknown or repeated bus; zero reactance; an island that nothing can balance.
    """
    if convention not in SusceptanceConvention.values:
        raise InvalidGridFile(field="convention", value=convention, rule="reactance or series")
    base_mva, tables = _tables(path)
    bus_rows = [row for row in tables["bus"] if row["BUS_TYPE"] != ISOLATED_BUS]
    ids = _bus_ids(tables["bus"], path.name)
    isolated = set(ids.values()) - {ids[row["BUS_I"]] for row in bus_rows}
    branches = _branches(tables["branch"], ids, isolated, path.name)
    links = _links(tables.get("dcline", ()), ids, isolated, path.name)
    in_use = [ids[row["BUS_I"]] for row in bus_rows]
    islands = _islands(in_use, branches)
    slack = _slack_shares(bus_rows, tables["gen"], ids, islands, path.name)
    return GridCase(
        base_mva=base_mva,
        convention=convention,
        buses=[
            {
                "id": ids[row["BUS_I"]],
                "area": area_code or _area(row, i, path.name),
                "island": islands[ids[row["BUS_I"]]],
                "slack_share_ratio": slack[ids[row["BUS_I"]]],
                "voltage_kv": row["BASE_KV"],
            }
            for i, row in enumerate(bus_rows)
        ],
        branches=branches,
        links=links,
    )


def _tables(path: Path) -> tuple[float, dict[str, list[Row]]]:
    base_mva, frames = case_frames(path)
    tables = {}
    for table, needed in NEEDED.items():
        frame = getattr(frames, table, None)
        if frame is None and table == "dcline":
            continue
        if frame is None or not len(frame):
            raise InvalidGridFile(
                field=f"{path.name} mpc.{table}", value=None, rule="a matrix with rows"
            )
        tables[table] = _rows(frame, table, needed, path.name)
    return base_mva, tables


def _rows(frame: Any, table: str, needed: Sequence[str], name: str) -> list[Row]:
    absent = [column for column in needed if column not in frame.columns]
    if absent:
        raise InvalidGridFile(
            field=f"{name} mpc.{table}", value=", ".join(absent), rule="these columns are needed"
        )
    return [
        {
            column: finite(value, f"{name} mpc.{table} row {i + 1} {column}")
            for column, value in zip(needed, values, strict=True)
        }
        for i, values in enumerate(frame[list(needed)].itertuples(index=False, name=None))
    ]


def _bus_ids(rows: Iterable[Row], name: str) -> dict[float, str]:
    ids: dict[float, str] = {}
    for i, row in enumerate(rows):
        number = row["BUS_I"]
        field = f"{name} mpc.bus row {i + 1} BUS_I"
        if not number.is_integer() or not 1 <= number <= BUS_NUMBER_MAX:
            raise InvalidGridFile(field=field, value=number, rule="a positive whole number")
        if number in ids:
            raise InvalidGridFile(field=field, value=int(number), rule="each bus stands once")
        ids[number] = str(int(number))
    return ids


def _area(row: Row, index: int, name: str) -> str:
    number = row["BUS_AREA"]
    if not number.is_integer() or not 1 <= number <= AREA_NUMBER_MAX:
        raise InvalidGridFile(
            field=f"{name} mpc.bus row {index + 1} BUS_AREA",
            value=number,
            rule="an area 1 to 10, or give one area for all buses",
        )
    return f"{int(number):02d}"


def _ends(row: Row, ids: Mapping[float, str], field: str) -> tuple[str, str]:
    for column in ("F_BUS", "T_BUS"):
        if row[column] not in ids:
            raise InvalidGridFile(
                field=f"{field} {column}", value=row[column], rule="a bus of this case"
            )
    if row["F_BUS"] == row["T_BUS"]:
        raise InvalidGridFile(field=field, value=row["F_BUS"], rule="two different ends")
    return ids[row["F_BUS"]], ids[row["T_BUS"]]


def _branches(
    rows: Sequence[Row], ids: Mapping[float, str], isolated: set[str], name: str
) -> list[dict[str, Any]]:
    circuits: Counter[tuple[str, str]] = Counter()
    branches = []
    for i, row in enumerate(rows):
        field = f"{name} mpc.branch row {i + 1}"
        start, end = _ends(row, ids, field)
        circuits[start, end] += 1
        if row["BR_STATUS"] <= 0.0 or {start, end} & isolated:
            continue
        if round(row["BR_X"], REACTANCE_DECIMALS) == 0.0:
            raise InvalidGridFile(
                field=f"{field} BR_X",
                value=row["BR_X"],
                rule="not zero; merge the buses of a coupler",
            )
        if row["RATE_A"] < 0.0 or row["TAP"] < 0.0:
            raise InvalidGridFile(
                field=f"{field} RATE_A, TAP",
                value=(row["RATE_A"], row["TAP"]),
                rule="not negative",
            )
        is_transformer = row["TAP"] != 0.0 or row["SHIFT"] != 0.0
        branches.append(
            {
                "id": f"{start}-{end}-{circuits[start, end]}",
                "from": start,
                "to": end,
                "kind": "TRANSFORMER" if is_transformer else "LINE",
                "resistance_pu": row["BR_R"],
                "reactance_pu": row["BR_X"],
                "tap_ratio": row["TAP"] or 1.0,
                "shift_deg": row["SHIFT"],
                "rating_kw": _rating_kw(row["RATE_A"]),
            }
        )
    return branches


def _rating_kw(rating_mva: float) -> float:
    return min(rating_mva * KW_PER_MW, float(KW_MAX)) if rating_mva else float(KW_MAX)


def _links(
    rows: Iterable[Row], ids: Mapping[float, str], isolated: set[str], name: str
) -> list[dict[str, Any]]:
    circuits: Counter[tuple[str, str]] = Counter()
    links = []
    for i, row in enumerate(rows):
        start, end = _ends(row, ids, f"{name} mpc.dcline row {i + 1}")
        circuits[start, end] += 1
        if row["BR_STATUS"] > 0.0 and not {start, end} & isolated:
            limit_kw = max(abs(row["PMIN"]), abs(row["PMAX"])) * KW_PER_MW
            links.append(
                {
                    "id": f"dc-{start}-{end}-{circuits[start, end]}",
                    "from": start,
                    "to": end,
                    "rating_kw": min(limit_kw, float(KW_MAX)),
                }
            )
    return links


def _islands(buses: Sequence[str], branches: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    neighbours: dict[str, list[str]] = defaultdict(list)
    for branch in branches:
        neighbours[branch["from"]].append(branch["to"])
        neighbours[branch["to"]].append(branch["from"])
    island_of: dict[str, str] = {}
    count = 0
    for first in sorted(buses, key=int):
        if first in island_of:
            continue
        count += 1
        frontier = [first]
        while frontier:
            bus = frontier.pop()
            if bus not in island_of:
                island_of[bus] = str(count)
                frontier.extend(neighbours[bus])
    return island_of


def _slack_shares(
    buses: Sequence[Row],
    gens: Sequence[Row],
    ids: Mapping[float, str],
    islands: Mapping[str, str],
    name: str,
) -> dict[str, float]:
    references: dict[str, dict[str, float]] = defaultdict(dict)
    capacities: dict[str, dict[str, float]] = defaultdict(dict)
    for row in buses:
        if row["BUS_TYPE"] == REFERENCE_BUS:
            bus = ids[row["BUS_I"]]
            references[islands[bus]][bus] = 1.0
    for i, row in enumerate(gens):
        if row["GEN_BUS"] not in ids:
            raise InvalidGridFile(
                field=f"{name} mpc.gen row {i + 1} GEN_BUS",
                value=row["GEN_BUS"],
                rule="a bus of this case",
            )
        bus = ids[row["GEN_BUS"]]
        if bus in islands and row["GEN_STATUS"] > 0.0 and row["PMAX"] > 0.0:
            at_bus = capacities[islands[bus]]
            at_bus[bus] = at_bus.get(bus, 0.0) + row["PMAX"]
    shares = dict.fromkeys(islands, 0.0)
    for island in sorted(set(islands.values()), key=int):
        weights = references[island] or capacities[island]
        if not weights:
            members = sorted((bus for bus, its in islands.items() if its == island), key=int)
            raise InvalidGridFile(
                field=f"{name} mpc.bus",
                value=f"island of bus {members[0]}, {len(members)} buses",
                rule="an island needs a reference bus or a generator in service",
            )
        shares |= _shares_of_one(weights)
    return shares


def _shares_of_one(weights: Mapping[str, float]) -> dict[str, float]:
    """Divide 1 by weights in whole millionths; the largest takes what rounding leaves."""
    unit = 10**SLACK_DECIMALS
    total = sum(weights.values())
    parts = {bus: math.floor(weight / total * unit) for bus, weight in weights.items()}
    largest = max(sorted(weights, key=int), key=lambda bus: weights[bus])
    parts[largest] += unit - sum(parts.values())
    return {bus: part / unit for bus, part in parts.items()}

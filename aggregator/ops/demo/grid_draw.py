"""Draw the demo grid: hand-made tables in, ``grid.json`` out.

``python -m aggregator.ops.demo.grid_draw`` writes the file again, byte for byte. Every name,
share and rating is our own invention around public geography; see ``grid.md``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from aggregator.ops.demo import grid_tables as tables

FloatArray = npt.NDArray[np.float64]

GRID_PATH = Path(__file__).with_name("grid.json")
EARTH_RADIUS_KM = 6371.0
DETOUR_RATIO = 1.15  # a line is longer than the straight way between its ends
BASE_MVA = 100.0
INTERVAL_COUNT = 48
MW_KW = 1_000
GW_KW = 1_000_000


def _length_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Length of a line between two (longitude, latitude) points, with detour [km]."""
    (lon_a, lat_a), (lon_b, lat_b) = np.radians([a, b])
    chord = (
        np.sin((lat_b - lat_a) / 2) ** 2
        + np.cos(lat_a) * np.cos(lat_b) * np.sin((lon_b - lon_a) / 2) ** 2
    )
    return float(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(chord)) * DETOUR_RATIO)


def _hours() -> FloatArray:
    """Middle of each half hour, hours of the day."""
    return (np.arange(INTERVAL_COUNT) + 0.5) / 2


def _curve(knots: tuple[tuple[float, float], ...]) -> FloatArray:
    """Straight lines through (hour, value) knots, read at the middle of each half hour."""
    hours, values = zip(*knots, strict=True)
    curve: FloatArray = np.interp(_hours(), hours, values)
    return curve


def _sunshine() -> FloatArray:
    """Clear-sky shape of a summer day, 0 to 1."""
    rise_h, set_h = tables.SUN_H
    angle = np.pi * (_hours() - rise_h) / (set_h - rise_h)
    above_horizon = (_hours() > rise_h) & (_hours() < set_h)
    shape: FloatArray = np.where(above_horizon, np.sin(angle), 0.0) ** tables.SUN_EXPONENT
    return shape


def _whole(values: FloatArray) -> list[int]:
    return [round(float(value)) for value in values]


def _places() -> dict[str, tuple[float, float]]:
    return {row[0]: (row[4], row[5]) for row in tables.BUSES}


def _buses() -> list[dict[str, Any]]:
    islands = {area: island for area, island, *_ in tables.AREAS}
    dispatch_total = {
        island: sum(row[9] for row in tables.BUSES if islands[row[1]] == island)
        for island in set(islands.values())
    }
    rows = []
    for bus, area, *_, dispatch_share in tables.BUSES:
        island = islands[area]
        share = round(dispatch_share / dispatch_total[island], 6)
        rows.append({"id": bus, "area": area, "island": island, "slack_share_ratio": share})
    for island in dispatch_total:
        of_island = [row for row in rows if row["island"] == island]
        rest = 1.0 - sum(row["slack_share_ratio"] for row in of_island[1:])
        of_island[0]["slack_share_ratio"] = round(rest, 6)
    return rows


def _voltage_kv(bus: str) -> int:
    """Highest voltage that enters the substation."""
    return int(max(row[3] for row in tables.LINES if bus in row[1:3]))


def _bus_facts() -> dict[str, dict[str, Any]]:
    """Collect what the map and the base case need beyond the electrical model."""
    totals = {
        (area, column): sum(row[column] for row in tables.BUSES if row[1] == area)
        for area, *_ in tables.AREAS
        for column in (6, 7, 8, 9)
    }
    facts = {}
    for row in tables.BUSES:
        bus, area, name_ja, name_en, longitude_deg, latitude_deg = row[:6]

        def share(column: int, row: tuple[Any, ...] = row, area: str = area) -> float:
            total = totals[area, column]
            return float(round(row[column] / total, 9)) if total else 0.0

        facts[bus] = {
            "name_ja": name_ja,
            "name_en": name_en,
            "longitude_deg": longitude_deg,
            "latitude_deg": latitude_deg,
            "voltage_kv": _voltage_kv(bus),
            "load_share_ratio": share(6),
            "solar_share_ratio": share(7),
            "wind_share_ratio": share(8),
            "dispatch_share_ratio": share(9),
        }
    return facts


def _branches() -> list[dict[str, Any]]:
    places = _places()
    rows = []
    for branch, start, end, voltage_kv, circuits, rating_mw, *_ in tables.LINES:
        per_km_pu = tables.REACTANCE_PU_PER_KM[voltage_kv]
        reactance_pu = max(_length_km(places[start], places[end]), 1.0) * per_km_pu / circuits
        rows.append((branch, start, end, reactance_pu, rating_mw))
    for (
        branch,
        start,
        end,
        short_circuit_ratio,
        unit_mva,
        units,
        rating_mw,
        *_,
    ) in tables.TRANSFORMERS:
        reactance_pu = short_circuit_ratio * BASE_MVA / unit_mva / units
        rows.append((branch, start, end, reactance_pu, rating_mw))
    return [
        {
            "id": branch,
            "from": start,
            "to": end,
            "resistance_pu": round(reactance_pu * tables.RESISTANCE_RATIO, 8),
            "reactance_pu": round(reactance_pu, 7),
            "tap_ratio": 1.0,
            "shift_deg": 0.0,
            "rating_kw": float(rating_mw * MW_KW),
        }
        for branch, start, end, reactance_pu, rating_mw in rows
    ]


def _branch_facts() -> dict[str, dict[str, Any]]:
    lines = {
        row[0]: {
            "name_ja": row[6],
            "name_en": row[7],
            "kind": "LINE",
            "voltage_kv": row[3],
            "circuits": row[4],
        }
        for row in tables.LINES
    }
    transformers = {
        row[0]: {
            "name_ja": row[7],
            "name_en": row[8],
            "kind": "TRANSFORMER",
            "unit_mva": row[4],
            "units": row[5],
        }
        for row in tables.TRANSFORMERS
    }
    return lines | transformers


def _elements(branches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    ratings = {branch["id"]: branch["rating_kw"] for branch in branches}
    facts = _branch_facts()
    return [
        {
            "id": element,
            "branch": branch,
            "rating_kw": ratings[branch],
            "area": area,
            "buys_relief": buys_relief,
            "name_ja": facts[branch]["name_ja"],
            "name_en": facts[branch]["name_en"],
        }
        for element, branch, area, buys_relief in tables.ELEMENTS
    ]


def _sites() -> list[dict[str, Any]]:
    rows = []
    for site, bus, scale, contract_mw, level, profile, offset in tables.SITES:
        name_ja, name_en = tables.SITE_NAMES[site]
        longitude_deg, latitude_deg = _places()[bus]
        shape = _curve(tables.SITE_PROFILES[profile])
        rows.append(
            {
                "id": site,
                "bus": bus,
                "name_ja": name_ja,
                "name_en": name_en,
                "scale": scale,
                "longitude_deg": round(longitude_deg + offset[0], 4),
                "latitude_deg": round(latitude_deg + offset[1], 4),
                "contract_kw": contract_mw * MW_KW,
                "loss_ratio": tables.SITE_LOSS_RATIO,
                "schedule_kw": _whole(contract_mw * MW_KW * level * shape),
            }
        )
    return rows


def _default_day() -> dict[str, dict[str, list[Any]]]:
    zero = [0] * INTERVAL_COUNT

    def series(values: tuple[float, ...]) -> FloatArray:
        return _curve(tuple(zip(tables.DAY_HOURS, values, strict=True)))

    return {
        area: {
            "demand_kw": _whole(series(demand_gw) * GW_KW),
            "solar_kw": _whole(_sunshine() * tables.DAY_SOLAR_PEAK_GW[area] * GW_KW),
            "solar_curtailed_kw": zero,
            "wind_kw": _whole(series(tables.DAY_WIND_GW[area]) * GW_KW),
            "wind_curtailed_kw": zero,
            "interconnector_kw": _whole(series(tables.DAY_IMPORT_GW[area]) * GW_KW),
            "price_jpy_per_kwh": [
                round(float(price), 2) for price in series(tables.DAY_PRICE_JPY_PER_KWH[area])
            ],
        }
        for area, demand_gw in tables.DAY_DEMAND_GW.items()
    }


def draw() -> dict[str, Any]:
    """Compose the whole file; ``network`` is exactly the snapshot's network layout."""
    branches = _branches()
    return {
        "schema": "wattbit-grid/1",
        "name": "demo",
        "name_ja": "ワットビット実証系統（架空）",
        "name_en": "WattBit demonstration grid (fictitious)",
        "network": {
            "convention": "reactance",
            "base_mva": BASE_MVA,
            "buses": _buses(),
            "branches": branches,
            "links": [
                {"id": link, "from": start, "to": end, "limit_kw": float(limit_mw * MW_KW)}
                for link, start, end, limit_mw, *_ in tables.LINKS
            ],
        },
        "areas": {
            area: {
                "island": island,
                "exchange": exchange,
                "name_ja": name_ja,
                "name_en": name_en,
                **tables.AREA_SCENARIOS.get(area, tables.SCENARIO_DEFAULT),
            }
            for area, island, exchange, name_ja, name_en in (*tables.AREAS, *tables.AREAS_UNBUILT)
        },
        "bus_facts": _bus_facts(),
        "branch_facts": _branch_facts(),
        "link_facts": {
            link: {"name_ja": name_ja, "name_en": name_en, "capacity_kw": float(cap_mw * MW_KW)}
            for link, _, _, _, cap_mw, name_ja, name_en in tables.LINKS
        },
        "elements": _elements(branches),
        "transfers": [
            {
                "id": transfer,
                "from_area": from_area,
                "to_area": to_area,
                "limit_kw": float(limit_mw * MW_KW),
                "element": element,
            }
            for transfer, from_area, to_area, limit_mw, element in tables.TRANSFERS
        ],
        "sites": _sites(),
        "needs": tables.NEED_RULES,
        "default_day": _default_day(),
    }


def grid_text() -> str:
    """Text of ``grid.json``: one line per innermost object, so that a diff stays readable."""
    return _block(draw(), 0) + "\n"


def _block(value: Any, depth: int) -> str:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list) or not value:
        return json.dumps(value, ensure_ascii=False)
    if depth > 1 and not any(isinstance(child, dict) for child in children):
        return json.dumps(value, ensure_ascii=False)
    inner = "\n" + "  " * (depth + 1)
    if isinstance(value, dict):
        items = [f"{json.dumps(key)}: {_block(child, depth + 1)}" for key, child in value.items()]
        opening, closing = "{}"
    else:
        items = [_block(child, depth + 1) for child in value]
        opening, closing = "[]"
    return opening + inner + f",{inner}".join(items) + "\n" + "  " * depth + closing


if __name__ == "__main__":
    GRID_PATH.write_text(grid_text(), encoding="utf-8")

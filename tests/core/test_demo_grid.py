"""The demo grid: electrically sound, congested where the story says so and nowhere else."""

from __future__ import annotations

import gzip
from collections import defaultdict
from datetime import date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aggregator.forecasting.formats.area import parse_area
from aggregator.forecasting.formats.jepx import parse_spot
from aggregator.forecasting.formats.text import JST
from aggregator.ops.demo import grid_draw, shapes
from aggregator.ops.demo.inputs import day_inputs
from tests.shared_files import shared_path

GRID = shapes.grid_load()
NETWORK = GRID["network"]
EVENING = range(34, 41)  # 17:00 to 20:30


def branch_flows_kw(injection_kw: np.ndarray) -> dict[str, np.ndarray]:
    """Dense DC power flow, written again here so that it checks the product's own."""
    row = {bus["id"]: k for k, bus in enumerate(NETWORK["buses"])}
    incidence = np.zeros((len(NETWORK["branches"]), len(row)))
    susceptance_pu = np.zeros(len(NETWORK["branches"]))
    for k, branch in enumerate(NETWORK["branches"]):
        incidence[k, row[branch["from"]]] = 1.0
        incidence[k, row[branch["to"]]] = -1.0
        susceptance_pu[k] = 1.0 / branch["reactance_pu"]
    nodal = incidence.T @ (susceptance_pu[:, None] * incidence)
    base_kw = NETWORK["base_mva"] * 1000.0
    angle = np.linalg.pinv(nodal) @ (injection_kw / base_kw)
    assert np.allclose(nodal @ angle * base_kw, injection_kw, atol=1.0)  # islands balance
    flow = susceptance_pu[:, None] * (incidence @ angle) * base_kw
    return {branch["id"]: flow[k] for k, branch in enumerate(NETWORK["branches"])}


def element_flows_kw(shape: shapes.DayShape) -> dict[str, np.ndarray]:
    flows = branch_flows_kw(shape.injection_kw)
    return {element["id"]: flows[element["branch"]] for element in GRID["elements"]}


@cache
def reported_day(on: date) -> dict[str, shapes.AreaDay]:
    """Read a real day through the importers' parsers, as the demo does through the database."""
    supply_path = shared_path("jp_area_supply_demand_30min_fy2024.csv.gz")
    price_path = shared_path("jepx_spot_30min_2024.csv.gz")
    if supply_path is None or price_path is None:
        pytest.skip("real files are not beside this checkout")
    start = datetime.combine(on, time(), JST)
    supply = _text_of_days(supply_path, on)
    prices = parse_spot(price_path.read_bytes(), price_path.name)
    areas = {}
    for area in shapes.built_areas(GRID):
        rows = parse_area(supply, supply_path.name, area)
        fields = [f for f in shapes.AREA_DAY_FIELDS if f != "price_jpy_per_kwh"]
        columns: dict[str, list[float]] = {
            f: [float(r.values_kw[f] or 0) for r in rows] for f in fields
        }
        columns["price_jpy_per_kwh"] = [
            float(price.price_jpy_per_kwh)
            for price in prices
            if price.area == area and start <= price.start_at < start + timedelta(days=1)
        ]
        areas[area] = shapes.AreaDay.from_mapping(columns)
    return areas


def _text_of_days(path: Path, on: date) -> bytes:
    """Cut one day out of the yearly table: parsing all of it takes seconds."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        header = next(stream)
        return "".join([header, *(line for line in stream if line.startswith(str(on)))]).encode()


@pytest.fixture(params=["default day", "2024-08-02"])
def shape(request: pytest.FixtureRequest) -> shapes.DayShape:
    areas = None if request.param == "default day" else reported_day(date(2024, 8, 2))
    return shapes.day_shape(grid=GRID, areas=areas)


def test_the_file_is_what_the_tables_draw() -> None:
    assert grid_draw.GRID_PATH.read_text(encoding="utf-8") == grid_draw.grid_text()


def test_there_are_30_to_60_buses_inside_japan() -> None:
    assert 30 <= len(NETWORK["buses"]) <= 60
    for facts in GRID["bus_facts"].values():
        assert 129.0 < facts["longitude_deg"] < 146.0
        assert 31.0 < facts["latitude_deg"] < 46.0


def test_okinawa_is_an_area_without_buses() -> None:
    assert "10" in GRID["areas"]
    assert shapes.built_areas(GRID) == ["02", "03", "04", "06", "07", "09"]


def test_every_island_is_connected_by_its_branches() -> None:
    island_of = {bus["id"]: bus["island"] for bus in NETWORK["buses"]}
    neighbours: dict[str, set[str]] = defaultdict(set)
    for branch in NETWORK["branches"]:
        assert island_of[branch["from"]] == island_of[branch["to"]]
        neighbours[branch["from"]].add(branch["to"])
        neighbours[branch["to"]].add(branch["from"])
    for island in set(island_of.values()):
        members = {bus for bus, its in island_of.items() if its == island}
        reached, frontier = set(), [min(members)]
        while frontier:
            bus = frontier.pop()
            if bus not in reached:
                reached.add(bus)
                frontier.extend(neighbours[bus])
        assert reached == members


def test_links_join_two_islands() -> None:
    island_of = {bus["id"]: bus["island"] for bus in NETWORK["buses"]}
    for link in NETWORK["links"]:
        assert island_of[link["from"]] != island_of[link["to"]]


def test_reactances_are_plausible_and_slack_shares_sum_to_one() -> None:
    for branch in NETWORK["branches"]:
        assert 0.0001 < branch["reactance_pu"] < 0.1
        assert branch["rating_kw"] > 0.0
        assert branch["tap_ratio"] == 1.0
    slack: dict[str, float] = defaultdict(float)
    for bus in NETWORK["buses"]:
        slack[bus["island"]] += bus["slack_share_ratio"]
    assert slack == pytest.approx({"50Hz": 1.0, "60Hz": 1.0}, abs=1e-9)


def test_shares_of_an_area_sum_to_one() -> None:
    for share in ("load", "solar", "wind", "dispatch"):
        sums: dict[str, float] = defaultdict(float)
        for bus in NETWORK["buses"]:
            sums[bus["area"]] += GRID["bus_facts"][bus["id"]][f"{share}_share_ratio"]
        assert all(total == pytest.approx(1.0, abs=1e-7) for total in sums.values())


def test_ids_are_unique_and_references_exist() -> None:
    buses = {bus["id"] for bus in NETWORK["buses"]}
    branches = [branch["id"] for branch in NETWORK["branches"]]
    elements = {element["id"] for element in GRID["elements"]}
    assert len(buses) == len(NETWORK["buses"])
    assert len(set(branches)) == len(branches)
    assert all(site["bus"] in buses for site in GRID["sites"])
    assert all(element["branch"] in branches for element in GRID["elements"])
    assert all(transfer["element"] in elements for transfer in GRID["transfers"])


def test_rows_for_the_registry_carry_names_places_and_kinds() -> None:
    rows = shapes.grid_model_rows(GRID)
    (imbano,) = [row for row in rows["buses"] if row["id"] == "TK-INZAI66"]
    assert (imbano["name"], imbano["voltage_kv"], imbano["area"]) == ("印旛野配電", 66, "03")
    kinds = {row["id"]: row["kind"] for row in rows["branches"]}
    assert (kinds["L-INZAI"], kinds["T-INZAI"]) == ("LINE", "TRANSFORMER")
    (converter,) = rows["links"]
    assert (converter["rating_kw"], converter["limit_kw"]) == (2_100_000.0, 300_000.0)
    assert "name" not in NETWORK["buses"][0]  # the snapshot's layout stays strict


def test_a_site_never_schedules_more_than_its_contract() -> None:
    for site in GRID["sites"]:
        assert len(site["schedule_kw"]) == 48
        assert max(site["schedule_kw"]) <= site["contract_kw"]


def test_each_island_balances_to_a_watt(shape: shapes.DayShape) -> None:
    islands = np.array([bus["island"] for bus in NETWORK["buses"]])
    for island in ("50Hz", "60Hz"):
        total_kw = shape.injection_kw[islands == island].sum(axis=0)
        assert np.abs(total_kw).max() < 1e-3


def test_the_pocket_line_is_overloaded_in_the_evening_only(shape: shapes.DayShape) -> None:
    rating_kw = next(e["rating_kw"] for e in GRID["elements"] if e["id"] == "E-INZAI")
    loading = element_flows_kw(shape)["E-INZAI"] / rating_kw
    for t in range(48):
        if t in EVENING:
            assert 1.05 <= loading[t] <= 1.16
        else:
            assert 0.5 <= loading[t] < 1.0


def test_nothing_else_is_overloaded(shape: shapes.DayShape) -> None:
    flows = branch_flows_kw(shape.injection_kw)
    for branch in NETWORK["branches"]:
        if branch["id"] != "L-INZAI":
            assert np.abs(flows[branch["id"]]).max() < branch["rating_kw"], branch["id"]


def test_the_tohoku_tokyo_tie_is_near_its_limit_but_under(shape: shapes.DayShape) -> None:
    flows = element_flows_kw(shape)
    ratings = {element["id"]: element["rating_kw"] for element in GRID["elements"]}
    loadings = [float((flows[e] / ratings[e]).max()) for e in ("E-TH-TK-1", "E-TH-TK-2")]
    assert 0.9 < max(loadings) < 1.0
    assert min(loadings) > 0.75


def test_needs_are_one_pocket_a_midday_surplus_and_an_evening_peak(
    shape: shapes.DayShape,
) -> None:
    needs = shapes.needs_from_shape(grid=GRID, shape=shape, flow_kw=element_flows_kw(shape))
    (local,) = needs.local
    assert (local["element"], local["sign"]) == ("E-INZAI", 1)
    assert [t for t, kw in enumerate(local["need_kw"]) if kw] == list(EVENING)
    surplus, peak = needs.balance
    assert (surplus["area"], surplus["direction"]) == ("09", "DOWN")
    assert all(18 <= t <= 29 for t, kw in enumerate(surplus["need_kw"]) if kw)
    assert max(surplus["need_kw"]) > 100_000.0
    assert (peak["area"], peak["direction"]) == ("03", "UP")
    assert all(31 <= t <= 39 for t, kw in enumerate(peak["need_kw"]) if kw)
    assert max(peak["need_kw"]) > 100_000.0
    for row in (local, surplus, peak):
        assert min(row["cap_jpy_per_kwh"]) > 0.0


def two_bus_grid() -> dict[str, Any]:
    """One island A-B; B takes the rest. Hand-checkable."""
    fact = {
        "load_share_ratio": 1.0,
        "solar_share_ratio": 1.0,
        "wind_share_ratio": 1.0,
        "dispatch_share_ratio": 1.0,
    }
    rule = {
        "island": "X",
        "exchange_limit_kw": 25.0,
        "dispatch_floor_kw": 0.0,
        "export_limit_kw": 0.0,
    }
    return {
        "network": {
            "buses": [
                {"id": "A", "area": "01", "island": "X", "slack_share_ratio": 0.5},
                {"id": "B", "area": "02", "island": "X", "slack_share_ratio": 0.5},
            ],
            "links": [],
        },
        "areas": {
            "01": rule
            | {
                "exchange": "as_reported",
                "solar_growth_ratio": 2.0,
                "dispatch_floor_kw": 40.0,
                "export_limit_kw": 30.0,
            },
            "02": rule | {"exchange": "rest", "solar_growth_ratio": 1.0},
        },
        "bus_facts": {"A": fact, "B": fact},
        "sites": [{"id": "dc", "bus": "A", "loss_ratio": 0.2, "schedule_kw": [8.0] * 48}],
        "elements": [{"id": "E", "area": "01", "rating_kw": 20.0, "buys_relief": True}],
        "needs": {
            "local_margin_ratio": 0.1,
            "local_cap_price_ratio": 3.0,
            "local_cap_floor_jpy_per_kwh": 10.0,
            "need_tick_kw": 0.5,
            "surplus": {
                "areas": ["01"],
                "procured_ratio": 0.5,
                "cap_price_ratio": 1.0,
                "cap_floor_jpy_per_kwh": 2.0,
            },
            "net_peak": {
                "areas": [],
                "threshold_ratio": 1.0,
                "procured_ratio": 1.0,
                "cap_price_ratio": 1.0,
                "cap_floor_jpy_per_kwh": 0.0,
            },
        },
    }


def flat_day(**changed: float) -> shapes.AreaDay:
    values = {
        "demand_kw": 100.0,
        "solar_kw": 0.0,
        "solar_curtailed_kw": 0.0,
        "wind_kw": 0.0,
        "wind_curtailed_kw": 0.0,
        "interconnector_kw": 0.0,
        "price_jpy_per_kwh": 5.0,
    } | changed
    return shapes.AreaDay.from_mapping({name: [value] * 48 for name, value in values.items()})


def test_surplus_goes_to_export_first_and_is_curtailed_after() -> None:
    areas = {"01": flat_day(solar_kw=60.0, interconnector_kw=-10.0), "02": flat_day()}
    shape = shapes.day_shape(grid=two_bus_grid(), areas=areas)
    # Sun 2 x 60 = 120; load 100 + 8 / (1 - 0.2) = 110; export 10: dispatch 110 - 120 + 10 = 0.
    # The floor of 40 lacks 40: exports rise by 20 to 30, the other 20 of the sun are curtailed.
    assert shape.export_kw["01"][0] == pytest.approx(30.0)
    assert shape.solar_curtailed_kw["01"][0] == pytest.approx(20.0)
    # A injects dispatch 40 + sun 100 - load 110 = 30, B takes them.
    assert shape.injection_kw[:, 0] == pytest.approx([30.0, -30.0])


def test_needs_are_overload_with_margin_and_half_the_surplus() -> None:
    areas = {"01": flat_day(solar_kw=60.0, interconnector_kw=-10.0), "02": flat_day()}
    shape = shapes.day_shape(grid=two_bus_grid(), areas=areas)
    flow = np.where(np.arange(48) == 3, -30.3, 19.9)
    needs = shapes.needs_from_shape(grid=two_bus_grid(), shape=shape, flow_kw={"E": flow})
    (local,) = needs.local
    # 30.3 - 20 + 0.1 x 20 = 12.3, rounded up to the half kilowatt; cap 3 x 5 JPY/kWh.
    assert (local["sign"], local["need_kw"][3], sum(local["need_kw"])) == (-1, 12.5, 12.5)
    assert local["cap_jpy_per_kwh"][3] == 15.0
    (balance,) = needs.balance
    assert (balance["direction"], balance["need_kw"][0]) == ("DOWN", 10.0)  # 0.5 x 20
    assert balance["cap_jpy_per_kwh"][0] == 5.0


def test_a_reported_exchange_is_cut_to_what_the_corridor_takes() -> None:
    areas = {"01": flat_day(interconnector_kw=-80.0), "02": flat_day()}
    shape = shapes.day_shape(grid=two_bus_grid(), areas=areas)
    assert shape.export_kw["01"][0] == pytest.approx(25.0)  # 80 reported, 25 allowed


def test_what_operators_curtailed_stays_curtailed() -> None:
    areas = {"01": flat_day(solar_kw=10.0, solar_curtailed_kw=3.0), "02": flat_day()}
    shape = shapes.day_shape(grid=two_bus_grid(), areas=areas)
    assert shape.solar_curtailed_kw["01"][0] == pytest.approx(6.0)  # 3, grown by 2


@pytest.mark.parametrize(
    ("areas", "site_load_kw", "field"),
    [
        ({"01": flat_day()}, None, "areas"),
        (None, {"nobody": [0.0] * 48}, "site_load_kw"),
        (None, {"dc": [0.0] * 47}, "site_load_kw.dc"),
        (None, {"dc": [float("nan")] * 48}, "site_load_kw.dc"),
        (None, {"dc": [-1.0] * 48}, "site_load_kw.dc"),
    ],
)
def test_a_day_with_holes_is_refused(areas: Any, site_load_kw: Any, field: str) -> None:
    both = {"01": flat_day(), "02": flat_day()}
    with pytest.raises(shapes.InvalidDay) as refused:
        shapes.day_shape(grid=two_bus_grid(), areas=areas or both, site_load_kw=site_load_kw)
    assert refused.value.field == field


def test_an_area_vector_with_nan_or_47_values_is_refused() -> None:
    row = dict(GRID["default_day"]["03"])
    for bad in ([1.0] * 47, [float("nan")] * 48, [float("inf")] * 48, [-1.0] * 48):
        with pytest.raises(shapes.InvalidDay, match="solar_kw"):
            shapes.AreaDay.from_mapping(row | {"solar_kw": bad})


def test_an_element_without_flow_is_refused() -> None:
    shape = shapes.day_shape(grid=GRID)
    flows = element_flows_kw(shape)
    del flows["E-INZAI"]
    with pytest.raises(shapes.InvalidDay, match=r"flow_kw\.E-INZAI"):
        shapes.needs_from_shape(grid=GRID, shape=shape, flow_kw=flows)


def test_the_engine_finds_the_same_flows() -> None:
    inputs = day_inputs()
    ours = element_flows_kw(shapes.day_shape(grid=GRID))
    assert set(inputs.base_flow_kw) == set(ours)
    for element, flow_kw in inputs.base_flow_kw.items():
        # The engine's are rounded to 100 W.
        assert np.abs(flow_kw - ours[element]).max() < 0.06, element

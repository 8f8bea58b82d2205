"""The check of what came after steps, stores and shifts: demand curves, envelopes, trunks, ..."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from market.core.certificate import certificate_lines, verify_document
from market.core.errors import ResultUnverified
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import Result
from tests.rich_books import called_book, carried_book, relieved_book, rich_book, traded_book

Json = dict[str, Any]
Cleared = tuple[Json, Json, str]

DOCUMENTS: dict[str, Callable[[], Json]] = {
    "rich": rich_book,
    "carried": carried_book,
    "called": called_book,
    "relieved": relieved_book,
    "traded": traded_book,
}


@pytest.fixture(scope="module")
def cleared() -> dict[str, Cleared]:
    found = {}
    for name, document in DOCUMENTS.items():
        snapshot = snapshot_from_json(document())
        result = Result(document()).json
        found[name] = json.loads(snapshot_bytes(snapshot)), result, snapshot_sha256(snapshot)
    return found


def test_every_kind_of_shared_row_has_a_price(cleared: dict[str, Cleared]) -> None:
    raw = cleared["rich"][1]["raw"]
    for family in ("envelope_jpy_per_kwh", "trunk_jpy_per_gb", "compute_jpy_per_kwh"):
        assert raw["duals"][family]
    assert raw["duals"]["reserve_jpy_per_kw"]["up"]["03"][1] > 0
    assert raw["joint"]["deliver_energy_up"]["battery@1"] > 0
    assert raw["over_kw"]["gate"][0] > 0
    assert cleared["carried"][1]["raw"]["duals"]["flow_jpy_per_kwh"]["line"] == [2.0]
    assert cleared["called"][1]["raw"]["joint"]["deliver_flow"]
    assert cleared["rich"][1]["raw"]["bids"]["whole"]["held"]


def _bump(series: list[float], t: int, amount: float) -> None:
    series[t] += amount


def _of(result: Json, kind: str, name: str) -> Json:
    return next(entry for entry in result[kind] if entry["id"] == name)


def _bump_dual(result: Json, family: str, name: str, t: int, amount: float) -> None:
    _bump(result["raw"]["duals"][family][name], t, amount)


def _add_rents(result: Json, element: str, amount: float) -> None:
    for side in ("up", "down"):
        rents = result["raw"]["duals"][f"rent_{side}_jpy_per_kwh"]
        rents[element] = [rent + amount for rent in rents.get(element, [0.0])]


def _bump_joint(result: Json, family: str, factor: float) -> None:
    found = result["raw"]["joint"][family]
    found[next(iter(found))] *= factor


def _x(result: Json, bid: str, family: str) -> list[float]:
    found: list[float] = result["raw"]["bids"][bid]["x"][family]
    return found


TOUCHES: dict[str, tuple[str, Callable[[Json], Any], str]] = {
    "price of an envelope": (
        "rich",
        lambda r: _bump_dual(r, "envelope_jpy_per_kwh", "gate", 1, 1.0),
        "raw: gap",
    ),
    "negative price of an envelope": (
        "rich",
        lambda r: _bump_dual(r, "envelope_jpy_per_kwh", "gate", 1, -50.0),
        "raw: dual signs",
    ),
    "import over an envelope": (
        "rich",
        lambda r: _bump(r["raw"]["over_kw"]["gate"], 0, -10.0),
        "raw: envelopes",
    ),
    "rent of a trunk": (
        "rich",
        lambda r: _bump_dual(r, "trunk_jpy_per_gb", "cable", 0, 0.5),
        "raw: gap",
    ),
    "traffic beyond a trunk": (
        "rich",
        lambda r: _bump(_x(r, "work", "placed"), 2, 500.0),
        "raw: resources and paths",
    ),
    "price of computing": (
        "rich",
        lambda r: _bump_dual(r, "compute_jpy_per_kwh", "hall", 0, 1.0),
        "raw: gap",
    ),
    "computing that no one runs": (
        "rich",
        lambda r: _bump(_x(r, "hall", "run"), 0, -1.0),
        "raw: computing",
    ),
    "price of capacity": (
        "rich",
        lambda r: _bump(r["raw"]["duals"]["reserve_jpy_per_kw"]["up"]["03"], 1, 1.0),
        "raw: gap",
    ),
    "price of capacity that nobody asked": (
        "rich",
        lambda r: _bump(r["raw"]["duals"]["reserve_jpy_per_kw"]["up"]["03"], 0, 1.0),
        "raw: dual signs",
    ),
    "capacity served that no one holds": (
        "rich",
        lambda r: _bump(_x(r, "spare", "reserved"), 0, -1.0),
        "raw: capacity needs",
    ),
    "capacity without stored energy": (
        "rich",
        lambda r: _bump(_x(r, "battery", "energy"), 0, -5.0),
        "raw: joint rows: deliver_energy_up",
    ),
    "price of stored energy for capacity": (
        "rich",
        lambda r: _bump_joint(r, "deliver_energy_up", 1.5),
        "raw: gap",
    ),
    "negative price of a joint row": (
        "rich",
        lambda r: _bump_joint(r, "deliver_energy_up", -1.0),
        "raw: dual signs",
    ),
    "energy and capacity at once": (
        "rich",
        lambda r: (
            _bump(_x(r, "battery", "discharge"), 1, 5.0)
            if "discharge" in r["raw"]["bids"]["battery"]["x"]
            else r["raw"]["bids"]["battery"]["x"].update({"discharge": [0.0, 5.0]})
        ),
        "raw: either energy or capacity",
    ),
    "half a block": (
        "rich",
        lambda r: _bump(_x(r, "whole", "accepted"), 0, -0.5),
        "raw: integers",
    ),
    "a step held by no decision": (
        "rich",
        lambda r: r["raw"]["bids"]["pocket"].update({"held": {"step": [1]}}),
        "raw: held only by decisions",
    ),
    "a side held that acts": (
        "rich",
        lambda r: r["raw"]["bids"]["battery"].update({"held": {"charge": [0]}}),
        "raw: held only by decisions",
    ),
    "a bound below the objective": (
        "rich",
        lambda r: r.update({"bound_jpy": r["objective_jpy"] - 1.0}),
        "raw: bound",
    ),
    "a later step of a need before the first": (
        "rich",
        lambda r: _bump(r["raw"]["served_kw"]["BALANCE"]["curve"][0], 0, -10.0),
        "raw: balance",
    ),
    "a need served less than nothing": (
        "rich",
        lambda r: _bump(r["raw"]["served_kw"]["BALANCE"]["later"][0], 0, -5.0),
        "raw: needs",
    ),
    "a need left short of what is cheaper than its cap": (
        "relieved",
        lambda r: (
            _bump(_x(r, "pocket", "step"), 0, -5.0),
            _bump(r["raw"]["served_kw"]["BALANCE"]["balance-UP"][0], 0, -5.0),
        ),
        "raw: gap",
    ),
    "rents on both sides of a line": (
        "carried",
        lambda r: _add_rents(r, "line", 5.0),
        "raw: gap",
    ),
    "price of carrying above its cost": (
        "carried",
        lambda r: _bump_dual(r, "flow_jpy_per_kwh", "line", 0, 1.0),
        "raw: dual signs",
    ),
    "prices of a call on both sides of a line": (
        "called",
        lambda r: r["raw"]["joint"]["deliver_flow"].update(
            {f"03|DOWN|line|{side}|0": 5.0 for side in ("UP", "DOWN")}
        ),
        "raw: gap",
    ),
    "price of a resource that nobody uses": (
        "relieved",
        lambda r: r["raw"]["duals"]["sold_up_jpy_per_kwh"].update({"b": [5.0]}),
        "raw: gap",
    ),
    "trade held back": (
        "traded",
        lambda r: (
            _bump(r["raw"]["link_kw"]["L"], 0, -1.0),
            _bump(r["raw"]["served_kw"]["BALANCE"]["far"][0], 0, -1.0),
            _bump(_x(r, "supply", "step"), 0, -1.0),
        ),
        "raw: gap",
    ),
    "trade beyond what a link can carry": (
        "traded",
        lambda r: _bump(r["raw"]["link_kw"]["L"], 0, 1.0),
        "raw: links and transfers",
    ),
    "a deviation below nothing": (
        "traded",
        lambda r: r["raw"]["excess_kw"].update({"03": [-1.0]}),
        "raw: deviations",
    ),
    "shortage held back": (
        "traded",
        lambda r: (
            _bump(r["raw"]["shortage_kw"]["05"], 0, -1.0),
            _bump(r["raw"]["served_kw"]["BALANCE"]["far"][0], 0, -1.0),
        ),
        "raw: gap",
    ),
    "import over an envelope held back": (
        "rich",
        lambda r: _bump_dual(r, "envelope_jpy_per_kwh", "gate", 0, 5.0),
        "raw: gap",
    ),
    "carrying paid as rent": (
        "carried",
        lambda r: (
            _bump_dual(r, "flow_jpy_per_kwh", "line", 0, -1.0),
            _bump_dual(r, "rent_up_jpy_per_kwh", "line", 0, 1.0),
        ),
        "raw: gap",
    ),
    "price of a call that no one holds capacity for": (
        "called",
        lambda r: r["raw"]["joint"]["deliver_flow"].update({"03|UP|line|UP|0": 5.0}),
        "raw: dual signs",
    ),
    "import over an envelope that nobody comes near": (
        "rich",
        lambda r: r["raw"]["over_kw"].update({"wide": [1.0, 0.0]}),
        "raw: envelopes",
    ),
    "import over an envelope below nothing": (
        "rich",
        lambda r: r["raw"]["over_kw"].update({"wide": [-1.0, 0.0]}),
        "raw: envelopes",
    ),
    "price of an envelope that binds nobody": (
        "rich",
        lambda r: r["raw"]["duals"]["envelope_jpy_per_kwh"].update({"wide": [5.0, 0.0]}),
        "raw: gap",
    ),
    "price of a joint row that binds nobody": (
        "relieved",
        lambda r: r["raw"]["joint"].update({"group": {"one": 5.0}}),
        "raw: gap",
    ),
    "price of relief that is there anyway": (
        "relieved",
        lambda r: r["raw"]["duals"]["relief_jpy_per_kwh"]["1"].update({"line": [5.0]}),
        "raw: gap",
    ),
    "price of carrying": (
        "carried",
        lambda r: _bump_dual(r, "flow_jpy_per_kwh", "line", 0, 1.0),
        "raw: gap",
    ),
    "price of a call": ("called", lambda r: _bump_joint(r, "deliver_flow", 1.5), "raw: gap"),
    "negative price of a call": (
        "called",
        lambda r: _bump_joint(r, "deliver_flow", -1.0),
        "raw: dual signs",
    ),
    "capacity that no line could carry": (
        "called",
        lambda r: _bump(_x(r, "pocket", "reserved"), 0, 20.0),
        "raw: flows under a call of capacity",
    ),
    "rent of a call as published": (
        "called",
        lambda r: _bump(r["elements"][0]["call_rent_up_jpy_per_kwh"], 1, 1.0),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "rent that leaves out the calls": (
        "called",
        lambda r: r["elements"][0].update({"rent_jpy": 0.0}),
        "published: rents as listed [JPY]",
    ),
    "price of carrying as published": (
        "carried",
        lambda r: _bump(r["elements"][0]["flow_jpy_per_kwh"], 0, 1.0),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "price of an envelope as published": (
        "rich",
        lambda r: _bump(r["envelopes"][0]["price_jpy_per_kwh"], 0, 0.01),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "import over an envelope as published": (
        "rich",
        lambda r: _bump(r["envelopes"][0]["over_kw"], 0, -1.0),
        "published: quantities within a tick [kW]",
    ),
    "charge of an envelope": (
        "rich",
        lambda r: r["envelopes"][0].update({"charge_jpy": 0.0}),
        "published: rents as listed [JPY]",
    ),
    "penalty of an envelope": (
        "rich",
        lambda r: r["envelopes"][0].update({"penalty_jpy": 0.0}),
        "published: rents as listed [JPY]",
    ),
    "rent of a trunk as published": (
        "rich",
        lambda r: _bump(r["trunks"][0]["rent_jpy_per_gb"], 0, 0.1),
        "published: path prices [JPY/GB]",
    ),
    "traffic of a trunk": (
        "rich",
        lambda r: _bump(r["trunks"][0]["used_gb"], 0, 0.1),
        "published: traffic as computed [GB]",
    ),
    "price of reserved capacity": (
        "rich",
        lambda r: _bump(_award(r, "RESERVED")["price_jpy_per_kw"], 1, -0.02),
        "published: prices not against the seller [JPY]",
    ),
    "price of a capacity need": (
        "rich",
        lambda r: _bump(_of(r, "needs", "reserve")["price_jpy_per_kw"], 1, 0.02),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "product of an award": (
        "rich",
        lambda r: _award(r, "RESERVED").update({"product": "down"}),
        "published: every award once, of a bid",
    ),
    "cost of a store's capacity": (
        "rich",
        lambda r: _award(r, "RESERVED").update({"cost_jpy": 0.0}),
        "published: costs as bid [JPY]",
    ),
}


def _award(result: Json, leg: str) -> Json:
    return next(award for award in result["awards"] if award["leg"] == leg)


@pytest.mark.parametrize("name", TOUCHES)
def test_a_touched_result_fails_the_check_that_guards_it(
    cleared: dict[str, Cleared], name: str
) -> None:
    which, touch, guard = TOUCHES[name]
    snapshot, result, digest = cleared[which]
    touched = copy.deepcopy(result)
    touch(touched)
    assert touched != result
    certificate = verify_document(snapshot, touched, digest)
    assert guard in {check.name for check in certificate.checks if not check.is_passed}


STRANGERS: dict[str, Callable[[Json], None]] = {
    "bid": lambda r: r["raw"]["bids"].update({"stranger": {"x": {"step": [1.0]}}}),
    "family of columns": lambda r: r["raw"]["bids"]["spare"]["x"].update({"stranger": [1.0]}),
    "row": lambda r: r["raw"]["bids"]["spare"].update({"y": {"stranger": [1.0]}}),
    "joint row": lambda r: r["raw"]["joint"]["deliver_energy_up"].update({"stranger": 1.0}),
    "family of joint rows": lambda r: r["raw"]["joint"].update({"stranger": {}}),
    "call": lambda r: r["raw"]["joint"].update({"deliver_flow": {"03|UP|stranger|UP|0": 1.0}}),
    "need": lambda r: r["raw"]["served_kw"]["PLACE"].update({"stranger": [[0.0, 0.0]]}),
    "product": lambda r: r["raw"]["duals"]["reserve_jpy_per_kw"].update({"stranger": {}}),
    "envelope": lambda r: r["raw"]["over_kw"].update({"stranger": [0.0, 0.0]}),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_the_snapshot_does_not_know_is_refused(cleared: dict[str, Cleared], name: str) -> None:
    snapshot, result, digest = cleared["rich"]
    touched = copy.deepcopy(result)
    STRANGERS[name](touched)
    with pytest.raises(ResultUnverified, match="stranger"):
        verify_document(snapshot, touched, digest)


def test_a_need_has_one_series_per_step(cleared: dict[str, Cleared]) -> None:
    snapshot, result, digest = cleared["rich"]
    touched = copy.deepcopy(result)
    touched["raw"]["served_kw"]["BALANCE"]["curve"].pop()
    with pytest.raises(ResultUnverified, match="one series per step"):
        verify_document(snapshot, touched, digest)


def test_each_check_has_a_line_that_says_whether_it_passed(cleared: dict[str, Cleared]) -> None:
    snapshot, result, digest = cleared["carried"]
    certificate = verify_document(snapshot, result, digest)
    lines = certificate_lines(certificate)
    assert len(lines) == len(certificate.checks)
    assert all(line.startswith("ok ") for line in lines)
    touched = result | {"objective_jpy": result["objective_jpy"] + 1.0}
    lines = certificate_lines(verify_document(snapshot, touched, digest))
    (line,) = [line for line in lines if line.startswith("FAILED  raw: objective")]
    assert line.endswith("(at most 1e-09)")

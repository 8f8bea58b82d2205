"""The independent check: passes on what was computed, fails on what was touched."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from market.core.certificate import verify_document, verify_result
from market.core.errors import InvalidSnapshot, ResultUnverified
from market.core.snapshot import snapshot_bytes, snapshot_from_json, snapshot_sha256
from tests.books import (
    Result,
    balance_need,
    book,
    branch,
    bus,
    local_need,
    path,
    place,
    resource,
    shift,
    steps,
    store,
)

Json = dict[str, Any]


def _network() -> Json:
    """Return the pocket and the rest, an area beside them, and a link to another island."""
    return {
        "convention": "reactance",
        "base_mva": 100.0,
        "buses": [
            *(bus("A"), bus("B", slack=1.0), bus("C", area="04")),
            bus("D", area="05", island="60", slack=1.0),
        ],
        "branches": [branch("line", "B", "A"), branch("tie", "B", "C")],
        "links": [{"id": "L", "from": "B", "to": "D", "limit_kw": 10.0}],
    }


def _document() -> Json:
    """Return a book in which every kind of row is at work."""
    return book(
        2,
        bids=[
            steps("pocket", "a", "UP", (40, 20), (200, 60), window=(0, 1)),
            steps("supply", "b", "UP", (300, 10), window=(0, 1)),
            steps("soak", "b", "DOWN", (50, -4), window=(0, 0)),
            store("battery", "a", 1, wear_jpy_per_kwh=1.0, cycles_max=1.0),
            shift("move", 1, change_cost_jpy_per_kw=1.0, gb_per_kw=1.0, gb_per_kwh=1.0),
        ],
        network=_network(),
        transfers=[{"id": "T", "from_area": "04", "to_area": "03", "limit_kw": 5.0}],
        places=[place("A"), place("B"), place("C")],
        paths=[path(price_jpy_per_gb=0.5, capacity_gb=90.0)],
        resources=[resource("a", "A", 150.0), resource("b", "B")],
        elements=[
            {"id": "line", "branch": "line", "rating_kw": 1000.0, "base_flow_kw": 1200.0},
            {"id": "other", "sensitivity": {"B": 1.0}, "rating_kw": 100.0, "base_flow_kw": -20.0},
        ],
        local_needs=[local_need([0, 180], cap=90.0)],
        balance_needs=[
            balance_need([60, 80], cap=70.0),
            balance_need(30, cap=40.0, id="other", area="04"),
            balance_need(30, cap=40.0, id="far", area="05"),
        ],
    )


@pytest.fixture(scope="module")
def cleared() -> tuple[Json, Json, str]:
    snapshot = snapshot_from_json(_document())
    result = Result(_document()).json
    return json.loads(snapshot_bytes(snapshot)), result, snapshot_sha256(snapshot)


def test_an_untouched_result_passes(cleared: tuple[Json, Json, str]) -> None:
    certificate = verify_document(*cleared)
    assert certificate.passed
    assert certificate.failures == ()


def test_every_kind_of_row_is_at_work(cleared: tuple[Json, Json, str]) -> None:
    _, result, _ = cleared
    duals = result["raw"]["duals"]
    assert all(duals[name] for name in ("area_jpy_per_kwh", "sold_up_jpy_per_kwh"))
    assert duals["relief_jpy_per_kwh"]["1"]["line"][1] > 0
    assert duals["path_jpy_per_gb"]["ab"]
    legs = {award["leg"] for award in result["awards"]}
    assert legs == {"STEPS", "CHARGE", "DISCHARGE", "SHIFT_OUT", "SHIFT_IN"}


def _award(result: Json, leg: str) -> Json:
    return next(award for award in result["awards"] if award["leg"] == leg)


def _of(result: Json, kind: str, name: str) -> Json:
    return next(entry for entry in result[kind] if entry["id"] == name)


def _bump(series: list[float], t: int, amount: float) -> None:
    series[t] += amount


def _x(result: Json, bid: str, family: str, kind: str = "x") -> list[float]:
    found: list[float] = result["raw"]["bids"][bid][kind][family]
    return found


def _act_both_ways(result: Json) -> None:
    _bump(_x(result, "battery", "charge"), 1, 10.0)
    _bump(_x(result, "battery", "discharge"), 1, 10.0)


def _pay_out_of_the_residual(result: Json, leg: str, amount_jpy_per_kwh: float) -> None:
    award = _award(result, leg)
    t = max(range(2), key=lambda each: award["quantity_kw"][each])
    award["price_jpy_per_kwh"][t] += amount_jpy_per_kwh
    taken_jpy = 0.5 * award["quantity_kw"][t] * abs(amount_jpy_per_kwh)
    result["money"]["sellers_jpy"] += taken_jpy
    result["money"]["residual_jpy"] -= taken_jpy


TOUCHES: dict[str, tuple[Callable[[Json], None], str]] = {
    "area price": (
        lambda r: _bump(r["raw"]["duals"]["area_jpy_per_kwh"]["03"], 0, 0.5),
        "raw: gap",
    ),
    "relief price": (
        lambda r: _bump(r["raw"]["duals"]["relief_jpy_per_kwh"]["1"]["line"], 1, -0.5),
        "raw: gap",
    ),
    "price of relief that nobody asked": (
        lambda r: _bump(r["raw"]["duals"]["relief_jpy_per_kwh"]["1"]["line"], 0, 1.0),
        "raw: dual signs",
    ),
    "negative rent": (
        lambda r: r["raw"]["duals"]["rent_up_jpy_per_kwh"].update({"line": [-1.0, 0.0]}),
        "raw: dual signs",
    ),
    "idle rent": (
        lambda r: r["raw"]["duals"]["rent_down_jpy_per_kwh"].update({"line": [1.0, 0.0]}),
        "raw: gap",
    ),
    "path rent": (
        lambda r: _bump(r["raw"]["duals"]["path_jpy_per_gb"]["ab"], 1, 0.1),
        "raw: gap",
    ),
    "stored value": (
        lambda r: _bump(_x(r, "battery", "energy", "y"), 0, 0.5),
        "raw: gap",
    ),
    "raw award": (
        lambda r: _bump(_x(r, "supply", "step"), 0, 1.0),
        "raw: balance",
    ),
    "raw award beyond the bid": (
        lambda r: _bump(_x(r, "supply", "step"), 1, 500.0),
        "raw: award within bid",
    ),
    "flow beyond the headroom": (
        lambda r: _bump(_x(r, "supply", "step"), 1, 200.0),
        "raw: headroom",
    ),
    "resource sold twice": (
        lambda r: _bump(_x(r, "battery", "discharge"), 1, 200.0),
        "raw: resources and paths",
    ),
    "money that does not add up": (
        lambda r: _bump(r["raw"]["served_kw"]["BALANCE"]["balance-UP"][0], 1, -5.0),
        "raw: money identity",
    ),
    "bid below its ask": (
        lambda r: _bump(r["raw"]["duals"]["area_jpy_per_kwh"]["03"], 0, -9.0),
        "raw: individual rationality",
    ),
    "negative raw award": (
        lambda r: _bump(_x(r, "supply", "step"), 0, -500.0),
        "raw: award within bid",
    ),
    "stored energy": (
        lambda r: _bump(_x(r, "battery", "energy"), 0, 1.0),
        "raw: own rows: energy",
    ),
    "both sides of a store": (
        _act_both_ways,
        "raw: one side at a time",
    ),
    "work that arrives nowhere": (
        lambda r: _bump(_x(r, "move", "placed"), 1, -1.0),
        "raw: own rows: work",
    ),
    "free change of placement": (
        lambda r: _bump(_x(r, "move", "increase"), 1, -1.0),
        "raw: own rows: change",
    ),
    "served more than needed": (
        lambda r: _bump(r["raw"]["served_kw"]["BALANCE"]["balance-UP"][0], 0, 1000.0),
        "raw: needs",
    ),
    "served without relief": (
        lambda r: _bump(r["raw"]["served_kw"]["LOCAL"]["local"][0], 1, 1.0),
        "raw: local needs",
    ),
    "deviation": (
        lambda r: r["raw"]["shortage_kw"].update({"03": [1.0, 0.0]}),
        "raw: deviations",
    ),
    "objective": (
        lambda r: r.update({"objective_jpy": r["objective_jpy"] + 1.0}),
        "raw: objective",
    ),
    "bound": (lambda r: r.update({"bound_jpy": r["bound_jpy"] + 1.0}), "raw: bound"),
    "gap": (lambda r: r.update({"gap_ratio": 0.5}), "gap over bid cost"),
    "snapshot": (lambda r: r.update({"snapshot_sha256": "0" * 64}), "snapshot"),
    "auction": (lambda r: r.update({"auction": "another"}), "snapshot"),
    "published award": (
        lambda r: _bump(_award(r, "STEPS")["quantity_kw"], 0, 0.3),
        "published: awards within a tick of the optimum [kW]",
    ),
    "award left out": (
        lambda r: r["awards"].remove(_award(r, "SHIFT_IN")),
        "published: awards within a tick of the optimum [kW]",
    ),
    "award twice": (
        lambda r: r["awards"].append(copy.deepcopy(_award(r, "STEPS"))),
        "published: every award once, of a bid",
    ),
    "award of nobody": (
        lambda r: _award(r, "STEPS").update({"bid": "ghost"}),
        "published: every award once, of a bid",
    ),
    "award elsewhere": (
        lambda r: _award(r, "STEPS").update({"resource": "a-neighbour"}),
        "published: every award once, of a bid",
    ),
    "price of a place": (
        lambda r: _bump(r["places"][0]["price_jpy_per_kwh"], 0, 0.01),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "price of a need": (
        lambda r: _bump(r["needs"][0]["price_jpy_per_kwh"], 1, -0.01),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "price of an award": (
        lambda r: _bump(_award(r, "DISCHARGE")["price_jpy_per_kwh"], 1, -0.02),
        "published: prices not against the seller [JPY]",
    ),
    "price of an award far above its place": (
        lambda r: _bump(_award(r, "DISCHARGE")["price_jpy_per_kwh"], 1, 50.0),
        "published: money identity [JPY]",
    ),
    "price of an award above its place, out of the residual": (
        lambda r: _pay_out_of_the_residual(r, "DISCHARGE", 0.02),
        "published: favour to short bids only [JPY]",
    ),
    "price of a purchase below its place, out of the residual": (
        lambda r: _pay_out_of_the_residual(r, "CHARGE", -0.02),
        "published: favour to short bids only [JPY]",
    ),
    "price of an award by two ticks where less energy is sold": (
        lambda r: _bump(_award(r, "SHIFT_IN")["price_jpy_per_kwh"], 0, -0.02),
        "published: prices not beyond the tick rule [JPY]",
    ),
    "price between ticks": (
        lambda r: _bump(_award(r, "DISCHARGE")["price_jpy_per_kwh"], 1, 0.004),
        "published: prices not beyond the tick rule [JPY]",
    ),
    "price of a path": (
        lambda r: _bump(r["paths"][0]["price_jpy_per_gb"], 1, 0.01),
        "published: path prices [JPY/GB]",
    ),
    "use of a path": (
        lambda r: _bump(r["paths"][0]["used_gb"], 1, 5.0),
        "published: paths are paid what bids owe [JPY]",
    ),
    "cost of a step award": (
        lambda r: _award(r, "STEPS").update({"cost_jpy": 0.0}),
        "published: costs as bid [JPY]",
    ),
    "cost of a store": (
        lambda r: _award(r, "DISCHARGE").update({"cost_jpy": 0.0}),
        "published: costs as bid [JPY]",
    ),
    "cost above receipts": (
        lambda r: _award(r, "SHIFT_OUT").update({"cost_jpy": 1e6}),
        "published: nobody is paid below ask [JPY]",
    ),
    "sensitivity": (
        lambda r: r["places"][0]["sensitivity_kw_per_kw"].update({"line": 1.0}),
        "published: sensitivities as computed [kW/kW]",
    ),
    "rating": (
        lambda r: r["elements"][0].update({"rating_kw": 999.0}),
        "published: elements as in the snapshot [kW]",
    ),
    "flow before": (
        lambda r: _bump(r["elements"][0]["before_kw"], 0, 1.0),
        "published: elements as in the snapshot [kW]",
    ),
    "rent of an element": (
        lambda r: r["elements"][0].update({"rent_jpy": 10.0}),
        "published: rents as listed [JPY]",
    ),
    "flow on a link": (
        lambda r: _bump(r["links"][0]["flow_kw"], 0, 0.1),
        "published: flows and deviations within half a tick [kW]",
    ),
    "flow of a transfer": (
        lambda r: _bump(r["transfers"][0]["flow_kw"], 0, 0.1),
        "published: flows and deviations within half a tick [kW]",
    ),
    "rent of a link": (
        lambda r: r["links"][0].update({"rent_jpy": r["links"][0]["rent_jpy"] + 1.0}),
        "published: rents as listed [JPY]",
    ),
    "rent of a transfer": (
        lambda r: r["transfers"][0].update({"rent_jpy": r["transfers"][0]["rent_jpy"] + 1.0}),
        "published: rents as listed [JPY]",
    ),
    "deviation as published": (
        lambda r: _bump(r["areas"][0]["deviation_kw"], 0, 0.1),
        "published: flows and deviations within half a tick [kW]",
    ),
    "unserved": (
        lambda r: _bump(r["needs"][0]["unserved_kw"], 0, 0.05),
        "published: served and unserved add up to the need [kW]",
    ),
    "rent of a path": (
        lambda r: _bump(r["paths"][0]["rent_jpy_per_gb"], 1, 0.01),
        "published: path rents above the tariff [JPY/GB]",
    ),
    "traffic where it is free": (
        lambda r: _bump(r["paths"][0]["used_gb"], 1, 0.001),
        "published: traffic as computed [GB]",
    ),
    "what a bid owes to paths": (
        lambda r: _award(r, "SHIFT_OUT").update({"path_jpy": 0.0}),
        "published: paths owed by each bid [JPY]",
    ),
    "cost on the wrong leg": (
        lambda r: _award(r, "CHARGE").update({"cost_jpy": 1.0}),
        "published: costs on a bid's first award [JPY]",
    ),
    "price of a place without resources": (
        lambda r: _bump(_of(r, "places", "C")["price_jpy_per_kwh"], 0, 1.0),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "schema": (lambda r: r.update({"schema": "wattbit-result/3"}), "schema and engine"),
    "solver": (lambda r: r["engine"].update({"solver": "another"}), "schema and engine"),
    "solver version": (
        lambda r: r["engine"].update({"solver_version": "newest"}),
        "schema and engine",
    ),
    "served": (
        lambda r: _bump(r["needs"][0]["served_kw"], 0, 0.5),
        "published: quantities within a tick [kW]",
    ),
    "need left out": (
        lambda r: r["needs"].pop(),
        "published: prices within half a tick [JPY/kWh]",
    ),
    "flow": (
        lambda r: _bump(r["elements"][0]["after_kw"], 0, 0.5),
        "published: quantities within a tick [kW]",
    ),
    "headroom": (
        lambda r: _bump(r["elements"][0]["headroom_down_kw"], 0, 1.0),
        "published: elements as in the snapshot [kW]",
    ),
    "money": (
        lambda r: r["money"].update({"sellers_jpy": r["money"]["sellers_jpy"] - 1.0}),
        "published: money as listed [JPY]",
    ),
}


@pytest.mark.parametrize("name", TOUCHES)
def test_a_touched_result_fails_the_check_that_guards_it(
    cleared: tuple[Json, Json, str], name: str
) -> None:
    snapshot, result, digest = cleared
    touch, guard = TOUCHES[name]
    touched = copy.deepcopy(result)
    touch(touched)
    assert touched != result
    certificate = verify_document(snapshot, touched, digest)
    failed = {check.name for check in certificate.checks if not check.is_passed}
    assert guard in failed
    assert not certificate.passed
    assert any(sentence.startswith(guard) for sentence in certificate.failures)


def test_a_number_that_is_none_fails(cleared: tuple[Json, Json, str]) -> None:
    snapshot, result, digest = cleared
    touched = copy.deepcopy(result)
    touched["raw"]["duals"]["area_jpy_per_kwh"]["03"][0] = float("nan")
    assert not verify_document(snapshot, touched, digest).passed


@pytest.mark.parametrize("missing", ["raw", "awards", "needs", "money", "objective_jpy"])
def test_half_a_result_is_refused(cleared: tuple[Json, Json, str], missing: str) -> None:
    snapshot, result, digest = cleared
    touched = {name: value for name, value in result.items() if name != missing}
    with pytest.raises(ResultUnverified, match=missing):
        verify_document(snapshot, touched, digest)


def test_a_series_of_another_length_is_refused(cleared: tuple[Json, Json, str]) -> None:
    snapshot, result, digest = cleared
    touched = copy.deepcopy(result)
    touched["places"][0]["price_jpy_per_kwh"].append(0.0)
    with pytest.raises(ResultUnverified, match="2 numbers"):
        verify_document(snapshot, touched, digest)


def test_bytes_are_checked_as_published() -> None:
    snapshot = snapshot_bytes(snapshot_from_json(_document()))
    content = Result(_document()).content
    assert verify_result(snapshot, content).passed
    with pytest.raises(InvalidSnapshot):
        verify_result(snapshot, content[:-10])
    other = snapshot_bytes(snapshot_from_json(_document() | {"auction": "other"}))
    failed = [c.name for c in verify_result(other, content).checks if not c.is_passed]
    assert failed == ["snapshot"]


EXTRAS: dict[str, Callable[[Json], Json]] = {
    "result": lambda r: r,
    "engine": lambda r: r["engine"],
    "certificate": lambda r: r["certificate"],
    "money": lambda r: r["money"],
    "raw": lambda r: r["raw"],
    "raw duals": lambda r: r["raw"]["duals"],
    "raw relief": lambda r: r["raw"]["duals"]["relief_jpy_per_kwh"],
    "raw relief of an element": lambda r: r["raw"]["duals"]["relief_jpy_per_kwh"]["1"],
    "raw area prices": lambda r: r["raw"]["duals"]["area_jpy_per_kwh"],
    "raw flows": lambda r: r["raw"]["link_kw"],
    "raw bids": lambda r: r["raw"]["bids"],
    "raw bid": lambda r: r["raw"]["bids"]["battery"],
    "raw columns": lambda r: r["raw"]["bids"]["move"]["x"],
    "raw rows": lambda r: r["raw"]["bids"]["move"]["y"],
    "raw joint rows": lambda r: r["raw"]["joint"],
    "sensitivities": lambda r: r["places"][0]["sensitivity_kw_per_kw"],
} | {
    name: (lambda r, name=name: r[name][0])
    for name in (
        *("awards", "needs", "areas", "elements"),
        *("places", "paths", "links", "transfers"),
    )
}


@pytest.mark.parametrize("name", EXTRAS)
def test_a_key_too_many_is_refused_at_every_level(
    cleared: tuple[Json, Json, str], name: str
) -> None:
    snapshot, result, digest = cleared
    touched = copy.deepcopy(result)
    EXTRAS[name](touched)["extra"] = [0.0, 0.0]
    with pytest.raises(ResultUnverified, match="extra"):
        verify_document(snapshot, touched, digest)


MAY_LACK = (
    *("raw bids", "raw bid", "raw columns", "raw rows", "raw joint rows"),
    *("raw area prices", "raw flows", "raw relief of an element"),
)


@pytest.mark.parametrize("name", EXTRAS)
def test_no_key_can_be_left_out(cleared: tuple[Json, Json, str], name: str) -> None:
    snapshot, result, digest = cleared
    for key in EXTRAS[name](result):
        if (name == "result" and key == "certificate") or name in MAY_LACK:
            continue  # a certificate may be left out, and so may series of zeros
        touched = copy.deepcopy(result)
        del EXTRAS[name](touched)[key]
        with pytest.raises(ResultUnverified, match=key):
            verify_document(snapshot, touched, digest)


@pytest.mark.parametrize("held", [[7], [1, 0], [0, 0], [0.0], [True], [-1]])
def test_columns_are_held_by_their_positions(
    cleared: tuple[Json, Json, str], held: list[Any]
) -> None:
    snapshot, result, digest = cleared
    touched = copy.deepcopy(result)
    touched["raw"]["bids"]["battery"]["held"] = {"charge": held}
    with pytest.raises(ResultUnverified, match=r"held\.charge"):
        verify_document(snapshot, touched, digest)

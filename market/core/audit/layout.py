"""The layout of a result: which keys stand where, and which ids may be named."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

SCHEMA: Final = "wattbit-result/1"
ENGINE: Final = {"version": "1", "solver": "HiGHS"}
VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
TOP: Final = (
    *("schema", "auction", "snapshot_sha256", "engine", "objective_jpy", "bound_jpy", "gap_ratio"),
    *("awards", "needs", "areas", "elements", "places", "paths", "links", "transfers"),
    *("money", "raw"),
)
ENTRIES: Final[Mapping[str, tuple[str, ...]]] = {
    "awards": (
        *("bid", "resource", "leg", "direction"),
        *("quantity_kw", "price_jpy_per_kwh", "cost_jpy", "path_jpy"),
    ),
    "needs": ("id", "kind", "served_kw", "unserved_kw", "price_jpy_per_kwh"),
    "areas": ("id", "price_jpy_per_kwh", "deviation_kw"),
    "elements": (
        *("id", "rating_kw", "before_kw", "after_kw", "headroom_up_kw", "headroom_down_kw"),
        *("rent_up_jpy_per_kwh", "rent_down_jpy_per_kwh", "rent_jpy"),
    ),
    "places": ("id", "price_jpy_per_kwh", "sensitivity_kw_per_kw"),
    "paths": ("id", "used_gb", "price_jpy_per_gb", "rent_jpy_per_gb"),
    "links": ("id", "flow_kw", "rent_jpy_per_kwh", "rent_jpy"),
    "transfers": ("id", "flow_kw", "rent_jpy_per_kwh", "rent_jpy"),
}
MONEY: Final = (
    *("buyers_jpy", "sellers_jpy", "congestion_rent_jpy", "link_rent_jpy"),
    *("path_jpy", "deviation_jpy", "residual_jpy"),
)
RAW: Final = (
    *("steps", "storage", "shifts", "served_kw", "excess_kw", "shortage_kw"),
    *("link_kw", "transfer_kw", "duals"),
)
RAW_STORE: Final = (
    *("charge_kw", "discharge_kw", "energy_kwh", "energy_jpy_per_kwh", "cycles_jpy_per_kwh"),
    *("no_charge_t", "no_discharge_t"),
)
RAW_SHIFT: Final = ("offers_kw", "work_jpy_per_kw", "places")
RAW_PLACE: Final = ("destination", "placed_kw", "increase_kw", "change_jpy_per_kw")
DUALS: Final = (
    *("area_jpy_per_kwh", "relief_jpy_per_kwh", "rent_up_jpy_per_kwh", "rent_down_jpy_per_kwh"),
    *("sold_up_jpy_per_kwh", "sold_down_jpy_per_kwh", "path_jpy_per_gb"),
)


def check_layout(snapshot: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Refuse a result with a key missing, a key too many, or an id the snapshot does not have.

    Raises
    ------
    ValueError
        With the place and the names that are wrong.
    """
    _keys("result", result, TOP, optional=("certificate",))
    _keys("engine", result["engine"], (*ENGINE, "solver_version"))
    if "certificate" in result:
        _keys("certificate", result["certificate"], ("passed", "checks"))
        for check in result["certificate"]["checks"]:
            _keys("certificate.checks", check, ("name", "value", "limit", "passed"))
    for name, keys in ENTRIES.items():
        for entry in result[name]:
            _keys(name, entry, keys)
    _keys("money", result["money"], MONEY)
    elements = _ids(snapshot["elements"])
    for place in result["places"]:
        _keys(f"places {place['id']}", place["sensitivity_kw_per_kw"], elements)
    _check_raw(snapshot, result["raw"])


def is_of_this_engine(result: Mapping[str, Any]) -> bool:
    """Return whether schema and engine are those whose rules this check knows."""
    engine = result["engine"]
    return bool(
        result["schema"] == SCHEMA
        and all(engine[name] == value for name, value in ENGINE.items())
        and VERSION.fullmatch(engine["solver_version"])
    )


def _check_raw(snapshot: Mapping[str, Any], raw: Mapping[str, Any]) -> None:
    _keys("raw", raw, RAW)
    by_form: dict[str, dict[str, Any]] = {"STEPS": {}, "STORAGE": {}, "SHIFT": {}}
    for bid in snapshot["bids"]:
        by_form[bid["form"]][bid["id"]] = bid
    _within("raw.steps", raw["steps"], by_form["STEPS"])
    _keys("raw.storage", raw["storage"], by_form["STORAGE"])
    for name, mine in raw["storage"].items():
        _keys(f"raw.storage.{name}", mine, RAW_STORE)
        for side in ("no_charge_t", "no_discharge_t"):
            bid = by_form["STORAGE"][name]
            _check_held(f"raw.storage.{name}.{side}", mine[side], bid)
    _keys("raw.shifts", raw["shifts"], by_form["SHIFT"])
    for name, mine in raw["shifts"].items():
        _keys(f"raw.shifts.{name}", mine, RAW_SHIFT)
        for place in mine["places"]:
            _keys(f"raw.shifts.{name}.places", place, RAW_PLACE)
        numbers = [place["destination"] for place in mine["places"]]
        known = range(len(by_form["SHIFT"][name]["destinations"]))
        if len(set(numbers)) != len(numbers) or not set(numbers) <= set(known):
            raise ValueError(f"raw.shifts.{name}.places: destinations {numbers}")
    for place, names in _named_series(snapshot, raw):
        _within(place[0], place[1], names)


def _named_series(
    snapshot: Mapping[str, Any], raw: Mapping[str, Any]
) -> Iterator[tuple[tuple[str, Mapping[str, Any]], Collection[str]]]:
    """Yield every object of the raw numbers whose keys are ids, with the ids it may name."""
    network, duals, served = snapshot["network"], raw["duals"], raw["served_kw"]
    areas = {bus["area"] for bus in network["buses"]}
    elements, resources = _ids(snapshot["elements"]), _ids(snapshot["resources"])
    _keys("raw.duals", duals, DUALS)
    _keys("raw.duals.relief_jpy_per_kwh", duals["relief_jpy_per_kwh"], ("1", "-1"))
    _keys("raw.served_kw", served, ("LOCAL", "BALANCE"))
    yield ("raw.served_kw.LOCAL", served["LOCAL"]), _ids(snapshot["local_needs"])
    yield ("raw.served_kw.BALANCE", served["BALANCE"]), _ids(snapshot["balance_needs"])
    yield ("raw.excess_kw", raw["excess_kw"]), areas
    yield ("raw.shortage_kw", raw["shortage_kw"]), areas
    yield ("raw.link_kw", raw["link_kw"]), _ids(network["links"])
    yield ("raw.transfer_kw", raw["transfer_kw"]), _ids(snapshot["transfers"])
    yield ("raw.duals.area", duals["area_jpy_per_kwh"]), areas
    for sign in ("1", "-1"):
        yield ("raw.duals.relief", duals["relief_jpy_per_kwh"][sign]), elements
    for side in ("up", "down"):
        yield ("raw.duals.rent", duals[f"rent_{side}_jpy_per_kwh"]), elements
        yield ("raw.duals.sold", duals[f"sold_{side}_jpy_per_kwh"]), resources
    yield ("raw.duals.path", duals["path_jpy_per_gb"]), _ids(snapshot["paths"])


def _ids(entities: list[dict[str, Any]]) -> set[str]:
    return {entity["id"] for entity in entities}


def _check_held(where: str, held: list[int], bid: Mapping[str, Any]) -> None:
    """Refuse half hours outside the bid's window, out of order or listed twice."""
    window = range(bid["first_t"], bid["last_t"] + 1)
    if held != [t for t in window if t in set(held)]:
        raise ValueError(f"{where}: half hours of the bid's window, ascending, not {held}")


def _within(where: str, found: Mapping[str, Any], known: Collection[str]) -> None:
    strangers = sorted(set(found) - set(known))
    if strangers:
        raise ValueError(f"{where}: unknown {', '.join(strangers)}")


def _keys(
    where: str,
    found: Mapping[str, Any],
    required: Collection[str],
    optional: Collection[str] = (),
) -> None:
    missing = sorted(set(required) - set(found))
    if missing:
        raise ValueError(f"{where}: missing {', '.join(missing)}")
    _within(where, found, {*required, *optional})

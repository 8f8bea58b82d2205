"""The layout of a result: which keys stand where."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

SCHEMA: Final = "wattbit-result/2"
ENGINE: Final = {"version": "2", "solver": "HiGHS"}
VERSION: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
TOP: Final = (
    *("schema", "auction", "snapshot_sha256", "engine", "objective_jpy", "bound_jpy", "gap_ratio"),
    *("awards", "needs", "areas", "elements", "places", "envelopes", "paths", "trunks"),
    *("links", "transfers", "compute", "requests", "pivotal", "label_costs", "money"),
    *("rejected_in_money", "payments", "explanations", "raw"),
)
ENTRIES: Final[Mapping[str, tuple[str, ...]]] = {
    "areas": ("id", "price_jpy_per_kwh", "deviation_kw"),
    "elements": (
        *("id", "rating_kw", "before_kw", "after_kw", "headroom_up_kw", "headroom_down_kw"),
        *("rent_up_jpy_per_kwh", "rent_down_jpy_per_kwh", "call_rent_up_jpy_per_kwh"),
        *("call_rent_down_jpy_per_kwh", "flow_jpy_per_kwh", "rent_jpy"),
    ),
    "places": ("id", "price_jpy_per_kwh", "sensitivity_kw_per_kw"),
    "envelopes": ("id", "over_kw", "price_jpy_per_kwh", "charge_jpy", "penalty_jpy"),
    "paths": ("id", "used_gb", "price_jpy_per_gb", "rent_jpy_per_gb"),
    "trunks": ("id", "used_gb", "rent_jpy_per_gb", "rent_jpy"),
    "links": ("id", "flow_kw", "rent_jpy_per_kwh", "rent_jpy"),
    "transfers": ("id", "flow_kw", "rent_jpy_per_kwh", "rent_jpy"),
    "compute": ("id", "used_kw", "price_jpy_per_kwh", "rent_jpy_per_kwh", "receipt_jpy"),
    "requests": ("id", "served_kw", "price_jpy_per_kwh", "paid_jpy", "path_jpy", "placed"),
    "pivotal": ("kind", "need", "owner", "bids", "t"),
    "rejected_in_money": ("bid", "surplus_jpy"),
    "label_costs": ("label", "welfare_jpy", "welfare_without_jpy", "cost_jpy", "bound_jpy"),
}
AWARD: Final = ("bid", "resource", "leg", "direction", "quantity_kw", "cost_jpy", "path_jpy")
NEED: Final = ("id", "kind", "served_kw", "unserved_kw")
PRICED_PER_KWH: Final = ("price_jpy_per_kwh",)
PRICED_PER_KW: Final = ("price_jpy_per_kw",)
PLACED: Final = ("offer", "path", "kw")
MONEY: Final = (
    *("buyers_jpy", "computing_jpy", "envelope_jpy", "deviation_jpy"),
    *("sellers_jpy", "congestion_rent_jpy", "link_rent_jpy", "path_jpy", "residual_jpy"),
)
RAW: Final = (
    *("bids", "joint", "served_kw", "excess_kw", "shortage_kw", "over_kw"),
    *("link_kw", "transfer_kw", "duals"),
)
DUALS: Final = (
    *("area_jpy_per_kwh", "relief_jpy_per_kwh", "rent_up_jpy_per_kwh", "rent_down_jpy_per_kwh"),
    *("flow_jpy_per_kwh", "sold_up_jpy_per_kwh", "sold_down_jpy_per_kwh", "path_jpy_per_gb"),
    *("trunk_jpy_per_gb", "envelope_jpy_per_kwh", "compute_jpy_per_kwh", "reserve_jpy_per_kw"),
)
KINDS: Final = ("LOCAL", "BALANCE", "PLACE", "CAPACITY")


def check_layout(result: Mapping[str, Any]) -> None:
    """Refuse a result with a key missing or a key too many, at any level that has fixed keys.

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
    for award in result["awards"]:
        is_held = award.get("product") is not None
        extra = (*PRICED_PER_KW, "product") if is_held else PRICED_PER_KWH
        _keys("awards", award, (*AWARD, *extra))
    for need in result["needs"]:
        is_capacity = need.get("kind") == "CAPACITY"
        _keys("needs", need, (*NEED, *(PRICED_PER_KW if is_capacity else PRICED_PER_KWH)))
    for request in result["requests"]:
        for placed in request["placed"]:
            _keys("requests.placed", placed, PLACED)
    _keys("money", result["money"], MONEY)
    _keys("raw", result["raw"], RAW)
    _keys("raw.served_kw", result["raw"]["served_kw"], KINDS)
    _keys("raw.duals", result["raw"]["duals"], DUALS)


def is_of_this_engine(result: Mapping[str, Any]) -> bool:
    """Return whether schema and engine are those whose rules this check knows."""
    engine = result["engine"]
    return bool(
        result["schema"] == SCHEMA
        and all(engine[name] == value for name, value in ENGINE.items())
        and VERSION.fullmatch(engine["solver_version"])
    )


def _keys(
    where: str,
    found: Mapping[str, Any],
    required: Collection[str],
    optional: Collection[str] = (),
) -> None:
    missing = sorted(set(required) - set(found))
    if missing:
        raise ValueError(f"{where}: missing {', '.join(missing)}")
    strangers = sorted(set(found) - {*required, *optional})
    if strangers:
        raise ValueError(f"{where}: unknown {', '.join(strangers)}")

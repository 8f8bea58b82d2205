"""Each bid against its own rules, and against the best it could do at the given prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from market.core.audit.ledger import Array, Ledger, by_id, of_length, series

EXACT: Final = 1e-9
"""What the certificate allows a relative residual to be."""
UNSEEN_KWH: Final = 1e-3
"""One watt hour: a fiftieth of one tick of 0.1 kW over half an hour."""


@dataclass(frozen=True)
class Market:
    """What a bid sees: resources, paths, and the prices at each."""

    snapshot: Mapping[str, Any]
    resources: Mapping[str, dict[str, Any]]
    paths: Mapping[str, dict[str, Any]]
    up_jpy_per_kwh: Mapping[str, Array]
    """What a kWh of UP earns at each resource: its price less the rent of its limit."""
    down_jpy_per_kwh: Mapping[str, Array]
    """What a kWh of DOWN costs at each resource: its price plus the rent of its limit."""
    price_jpy_per_kwh: Mapping[str, Array]
    path_jpy_per_gb: Mapping[str, Array]
    """Tariff plus rent."""

    @property
    def h(self) -> float:
        """Return the length of an interval in hours."""
        return float(self.snapshot["interval_h"])

    @property
    def count(self) -> int:
        """Return the number of half hours."""
        return int(self.snapshot["interval_count"])


@dataclass
class BidAudit:
    """What one bid does, costs and forgoes."""

    bid: Mapping[str, Any]
    up_kw: dict[str, Array] = field(default_factory=dict)
    down_kw: dict[str, Array] = field(default_factory=dict)
    carried_gb: dict[str, Array] = field(default_factory=dict)
    cost_jpy: float = 0.0
    """As bid; paths not included."""
    best_jpy: float = 0.0
    """Most it could earn at these prices, resource rents deducted."""
    best_one_sided_jpy: float = 0.0
    """The same for a store that may charge or discharge, never both."""
    has_fixed_sides: bool = False

    def tariff_jpy(self, market: Market) -> float:
        """Return what its traffic costs at the paths' tariffs."""
        return sum(
            float(market.paths[path]["price_jpy_per_gb"]) * float(used_gb.sum())
            for path, used_gb in self.carried_gb.items()
        )

    def path_jpy(self, market: Market) -> float:
        """Return what its traffic costs at tariff plus rent."""
        return sum(
            float(market.path_jpy_per_gb[path] @ used_gb)
            for path, used_gb in self.carried_gb.items()
        )

    def receipt_jpy(self, market: Market) -> float:
        """Return price × energy over all its legs."""
        up = sum(float(market.price_jpy_per_kwh[r] @ kw) for r, kw in self.up_kw.items())
        down = sum(float(market.price_jpy_per_kwh[r] @ kw) for r, kw in self.down_kw.items())
        return market.h * (up - down)

    def earned_jpy(self, market: Market) -> float:
        """Return its surplus with the rents of its resources deducted."""
        up = sum(float(market.up_jpy_per_kwh[r] @ kw) for r, kw in self.up_kw.items())
        down = sum(float(market.down_jpy_per_kwh[r] @ kw) for r, kw in self.down_kw.items())
        return market.h * (up - down) - self.cost_jpy - self.path_jpy(market)


def market_of(
    snapshot: Mapping[str, Any], duals: Mapping[str, Any], prices: Mapping[str, Array]
) -> Market:
    """Return what bids see at the given place prices."""
    count = snapshot["interval_count"]
    resources, paths = by_id(snapshot["resources"]), by_id(snapshot["paths"])
    at = {name: prices[resource["place"]] for name, resource in resources.items()}
    return Market(
        snapshot=snapshot,
        resources=resources,
        paths=paths,
        up_jpy_per_kwh={
            name: at[name] - series(duals["sold_up_jpy_per_kwh"], name, count) for name in resources
        },
        down_jpy_per_kwh={
            name: at[name] + series(duals["sold_down_jpy_per_kwh"], name, count)
            for name in resources
        },
        price_jpy_per_kwh=at,
        path_jpy_per_gb={
            name: path["price_jpy_per_gb"] + series(duals["path_jpy_per_gb"], name, count)
            for name, path in paths.items()
        },
    )


def audit_bid(
    bid: Mapping[str, Any], raw: Mapping[str, Any], market: Market, ledger: Ledger
) -> BidAudit:
    """Check one bid's award against the bid, and return what it does and forgoes."""
    found = {"STEPS": _steps, "STORAGE": _storage, "SHIFT": _shift}[bid["form"]](
        bid, raw, market, ledger
    )
    ledger.forgone_jpy.append(found.best_jpy - found.earned_jpy(market))
    return found


def _within(ledger: Ledger, quantity_kw: Array, most_kw: Array | float) -> None:
    ledger.excess("award within bid", -quantity_kw, most_kw)
    ledger.excess("award within bid", quantity_kw - most_kw, most_kw)


def _steps(
    bid: Mapping[str, Any], raw: Mapping[str, Any], market: Market, ledger: Ledger
) -> BidAudit:
    audit = BidAudit(bid)
    is_up = bid["direction"] == "UP"
    price = (market.up_jpy_per_kwh if is_up else market.down_jpy_per_kwh)[bid["resource"]]
    total_kw = np.zeros(market.count)
    rows = raw["steps"].get(bid["id"])
    position = 0
    for curve in bid["curves"]:
        window = slice(curve["first_t"], curve["last_t"] + 1)
        length = curve["last_t"] - curve["first_t"] + 1
        for step in curve["steps"]:
            taken_kw = np.zeros(length) if rows is None else of_length(rows[position], length)
            position += 1
            _within(ledger, taken_kw, step["quantity_kw"])
            total_kw[window] += taken_kw
            audit.cost_jpy += market.h * step["ask_jpy_per_kwh"] * float(taken_kw.sum())
            margin = (price[window] if is_up else -price[window]) - step["ask_jpy_per_kwh"]
            audit.best_jpy += market.h * step["quantity_kw"] * float(np.maximum(margin, 0.0).sum())
    if rows is not None and len(rows) != position:
        raise ValueError(f"bid {bid['id']}: {len(rows)} steps where the bid has {position}")
    (audit.up_kw if is_up else audit.down_kw)[bid["resource"]] = total_kw
    audit.best_one_sided_jpy = audit.best_jpy
    return audit


def _storage(
    bid: Mapping[str, Any], raw: Mapping[str, Any], market: Market, ledger: Ledger
) -> BidAudit:
    mine, h = raw["storage"][bid["id"]], market.h
    window = np.arange(bid["first_t"], bid["last_t"] + 1)
    charge, discharge, energy, value = (
        of_length(mine[name], len(window))
        for name in ("charge_kw", "discharge_kw", "energy_kwh", "energy_jpy_per_kwh")
    )
    keep = (1.0 - bid["standing_loss_ratio"]) ** h
    into, out = h * bid["charge_efficiency_ratio"], h / bid["discharge_efficiency_ratio"]
    before = np.concatenate([[bid["start_kwh"]], energy[:-1]])
    limit_kwh = bid["energy_limit_kwh"]
    floor_kwh = np.full(len(window), bid["reserve_kwh"])
    floor_kwh[-1] = max(bid["reserve_kwh"], bid["end_min_kwh"])
    ledger.residual(
        "stored energy", energy - keep * before - into * charge + out * discharge, limit_kwh
    )
    # The limits are met to a billionth of themselves, or to what no meter and no tick can tell.
    room_kwh = max(limit_kwh, UNSEEN_KWH / EXACT)
    ledger.excess("stored energy", floor_kwh - energy, room_kwh)
    ledger.excess("stored energy", energy - limit_kwh, room_kwh)
    _within(ledger, charge, bid["charge_limit_kw"])
    _within(ledger, discharge, bid["discharge_limit_kw"])
    both = np.minimum(charge, discharge)
    ledger.excess("one side at a time", both, max(bid["charge_limit_kw"], 1000.0))
    cycles = mine["cycles_jpy_per_kwh"]
    cycle_limit_kwh = np.inf if bid["cycles_max"] is None else bid["cycles_max"] * limit_kwh
    ledger.excess("stored energy", out * float(discharge.sum()) - cycle_limit_kwh, room_kwh)
    ledger.excess("dual signs", -cycles)
    audit = BidAudit(bid, cost_jpy=h * bid["wear_jpy_per_kwh"] * float(discharge.sum()))
    for name, part in (("down_kw", charge), ("up_kw", discharge)):
        total_kw = np.zeros(market.count)
        total_kw[window] = part
        getattr(audit, name)[bid["resource"]] = total_kw
    # Best response: every kWh stored is worth `value` where it is stored.
    charging = into * value - h * market.down_jpy_per_kwh[bid["resource"]][window]
    discharging = h * (market.up_jpy_per_kwh[bid["resource"]][window] - bid["wear_jpy_per_kwh"])
    discharging = discharging - out * (value + cycles)
    gain = np.maximum(charging, 0.0) * bid["charge_limit_kw"]
    loss = np.maximum(discharging, 0.0) * bid["discharge_limit_kw"]
    holding = keep * np.append(value[1:], 0.0) - value
    kept = np.maximum(holding * floor_kwh, holding * limit_kwh).sum() + keep * value[0] * before[0]
    kept += cycles * cycle_limit_kwh if cycles else 0.0
    audit.best_one_sided_jpy = float(np.maximum(gain, loss).sum() + kept)
    held = np.isin(window, mine["no_charge_t"]), np.isin(window, mine["no_discharge_t"])
    audit.has_fixed_sides = bool(held[0].any() or held[1].any())
    audit.best_jpy = float(gain[~held[0]].sum() + loss[~held[1]].sum() + kept)
    return audit


def _is_allowed(bid: Mapping[str, Any], target: Mapping[str, Any], path: Mapping[str, Any]) -> bool:
    missing = [label for label in bid["labels_required"] if label not in target["labels"]]
    hardware = bid.get("hardware")
    return (
        not missing
        and (hardware is None or hardware in target["hardware"])
        and path["latency_ms"] <= bid.get("latency_max_ms", np.inf)
    )


def _shift(
    bid: Mapping[str, Any], raw: Mapping[str, Any], market: Market, ledger: Ledger
) -> BidAudit:
    mine, h, audit = raw["shifts"][bid["id"]], market.h, BidAudit(bid)
    if not bid["offers"]:
        return audit
    first = min(offer["first_t"] for offer in bid["offers"])
    last = max(offer["last_t"] for offer in bid["offers"])
    window, length = slice(first, last + 1), last - first + 1
    work = of_length(mine["work_jpy_per_kw"], length)
    offered_kw, taken_kw = np.zeros(length), np.zeros(length)
    for offer, found in zip(bid["offers"], mine["offers_kw"], strict=True):
        own = slice(offer["first_t"] - first, offer["last_t"] - first + 1)
        moved_kw = of_length(found, offer["last_t"] - offer["first_t"] + 1)
        _within(ledger, moved_kw, offer["quantity_kw"])
        offered_kw[own] += offer["quantity_kw"]
        taken_kw[own] += moved_kw
        audit.cost_jpy += h * offer["ask_jpy_per_kwh"] * float(moved_kw.sum())
        margin = np.maximum(work[own] - h * offer["ask_jpy_per_kwh"], 0.0)
        audit.best_jpy += offer["quantity_kw"] * float(margin.sum())
    placed_kw = np.zeros(length)
    for place in mine["places"]:
        placed_kw += _placement(bid, place, (window, offered_kw, work), audit, market, ledger)
    ledger.residual("moved out = moved in", taken_kw - placed_kw, offered_kw)
    out_kw = np.zeros(market.count)
    out_kw[window] = placed_kw
    audit.up_kw[bid["resource"]] = out_kw
    audit.best_one_sided_jpy = audit.best_jpy
    return audit


def _placement(
    bid: Mapping[str, Any],
    place: Mapping[str, Any],
    span: tuple[slice, Array, Array],
    audit: BidAudit,
    market: Market,
    ledger: Ledger,
) -> Array:
    """Check one destination of a shift, add what it does, and return what is placed there."""
    window, offered_kw, work = span
    destination = bid["destinations"][place["destination"]]
    resource, path = destination["resource"], destination["path"]
    if not _is_allowed(bid, market.resources[resource], market.paths[path]):
        ledger.residual("eligibility", 1.0)
    length, h, ratio = len(work), market.h, destination["ratio"]
    placed_kw = of_length(place["placed_kw"], length)
    increase_kw = of_length(place["increase_kw"], length)
    change = of_length(place["change_jpy_per_kw"], length)
    _within(ledger, placed_kw, offered_kw)
    _within(ledger, increase_kw, offered_kw)
    rise_kw = np.diff(placed_kw, prepend=0.0)
    ledger.excess("change of placement", rise_kw - increase_kw, offered_kw)
    ledger.excess("dual signs", -change)
    into_kw = audit.down_kw.setdefault(resource, np.zeros(market.count))
    into_kw[window] += ratio * placed_kw
    used_gb = audit.carried_gb.setdefault(path, np.zeros(market.count))
    running = h * bid["gb_per_kwh"]
    used_gb[window] += running * placed_kw + bid["gb_per_kw"] * increase_kw
    audit.cost_jpy += bid["change_cost_jpy_per_kw"] * float(increase_kw.sum())
    traffic = market.path_jpy_per_gb[path][window]
    up = market.up_jpy_per_kwh[bid["resource"]][window]
    down = market.down_jpy_per_kwh[resource][window]
    margin = h * (up - ratio * down) - running * traffic - work
    margin = margin - change + np.append(change[1:], 0.0)
    raising = change - bid["change_cost_jpy_per_kw"] - bid["gb_per_kw"] * traffic
    audit.best_jpy += float(np.maximum(margin, 0.0) @ offered_kw)
    audit.best_jpy += float(np.maximum(raising, 0.0) @ offered_kw)
    return placed_kw

"""Published numbers that repeat the snapshot or follow from other published numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from market.core.audit.bids import BidAudit, Market
from market.core.audit.grid import Grid
from market.core.audit.ledger import Array, by_id, of_length, series
from market.core.audit.whole import Whole

NOISE: Final = 1e-6
EXACT: Final = 1e-9
MONEY_NOISE_JPY: Final = 1e-3
HALF_MICRO: Final = 0.5e-6

Figure = tuple[str, float, float]
Entries = Sequence[Mapping[str, Any]]


def field_figures(
    result: Mapping[str, Any], grid: Grid, market: Market, audits: list[BidAudit], whole: Whole
) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on fields that could be computed anew."""
    tick_kw = market.snapshot["rules"]["quantity_tick_kw"]
    count, raw = market.count, result["raw"]
    yield "elements as in the snapshot [kW]", _elements_off(result["elements"], market, whole), 0.0
    yield "sensitivities as computed [kW/kW]", _sensitivity_off(result["places"], grid), EXACT
    deviation_kw = {
        area["id"]: series(raw["excess_kw"], area["id"], count)
        - series(raw["shortage_kw"], area["id"], count)
        for area in result["areas"]
    }
    off_kw = _worst(
        *(
            _off(trade["flow_kw"], series(raw[f"{kind}_kw"], trade["id"], count))
            for kind in ("link", "transfer")
            for trade in result[f"{kind}s"]
        ),
        *(_off(area["deviation_kw"], deviation_kw[area["id"]]) for area in result["areas"]),
    )
    yield "flows and deviations within half a tick [kW]", off_kw, tick_kw * (0.5 + NOISE)
    unserved = _unserved_off(result["needs"], market)
    yield "served and unserved add up to the need [kW]", unserved, EXACT * _scale(result["needs"])
    scale = max(1.0, whole.turnover_jpy) * 1e-9 + MONEY_NOISE_JPY
    yield "rents as listed [JPY]", _rents_off(result, market), scale
    yield from _traffic(result, market, audits)
    yield "costs on the leg that causes them [JPY]", _misplaced_jpy(result["awards"]), 0.0


def _worst(*amounts: float) -> float:
    """Return the largest; one that is no number wins."""
    return float(np.max(np.array([0.0, *amounts])))


def _off(published: Any, expected: Array) -> float:
    return float(np.max(np.abs(of_length(published, len(expected)) - expected), initial=0.0))


def _scale(needs: Entries) -> float:
    return _worst(1.0, *(float(np.max(np.abs(need["served_kw"]), initial=0.0)) for need in needs))


def _elements_off(elements: Entries, market: Market, whole: Whole) -> float:
    known = by_id(market.snapshot["elements"])
    return _worst(
        *(
            _worst(
                abs(element["rating_kw"] - known[element["id"]]["rating_kw"]),
                _off(element["before_kw"], np.asarray(known[element["id"]]["base_flow_kw"])),
                *(
                    _off(element[f"headroom_{side}_kw"], room_kw)
                    for side, room_kw in zip(
                        ("up", "down"), whole.headroom_kw[element["id"]], strict=True
                    )
                ),
            )
            for element in elements
        )
    )


def _sensitivity_off(places: Entries, grid: Grid) -> float:
    """Return the worst distance from the flow that one kW at each place causes, over its size."""
    worst = [0.0]
    for place in places:
        bus = grid.bus[grid.place[place["id"]]["bus"]]
        for element in grid.snapshot["elements"]:
            if "branch" in element:
                start, end, susceptance = grid.element_ends[element["id"]]
                expected = susceptance * (grid.transfer[start, bus] - grid.transfer[end, bus])
            else:
                expected = element["sensitivity"].get(place["id"], 0.0)
            found = place["sensitivity_kw_per_kw"][element["id"]]
            worst.append(abs(found - expected) / max(1.0, abs(expected)))
    return _worst(*worst)


def _unserved_off(needs: Entries, market: Market) -> float:
    asked = {
        (kind, need["id"]): np.asarray(need["need_kw"])
        for kind, name in (("LOCAL", "local_needs"), ("BALANCE", "balance_needs"))
        for need in market.snapshot[name]
    }
    return _worst(
        *(
            _off(
                need["unserved_kw"],
                asked[need["kind"], need["id"]] - of_length(need["served_kw"], market.count),
            )
            for need in needs
        )
    )


def _rents_off(result: Mapping[str, Any], market: Market) -> float:
    """Return the worst distance of a sum of rents from its published half hours."""
    off = []
    for trade in (*result["links"], *result["transfers"]):
        rent_jpy = market.h * float(np.dot(trade["flow_kw"], trade["rent_jpy_per_kwh"]))
        off.append(abs(trade["rent_jpy"] - rent_jpy))
    for element in result["elements"]:
        rent_jpy = market.h * sum(
            float(np.dot(element[f"headroom_{side}_kw"], element[f"rent_{side}_jpy_per_kwh"]))
            for side in ("up", "down")
        )
        off.append(abs(element["rent_jpy"] - rent_jpy))
    return _worst(*off)


def _traffic(result: Mapping[str, Any], market: Market, audits: list[BidAudit]) -> Iterator[Figure]:
    """Check what paths carry, their rents, and what each bid owes for its traffic."""
    used: dict[str, Array] = {name: np.zeros(market.count) for name in market.paths}
    for audit in audits:
        for path, amount_gb in audit.carried_gb.items():
            used[path] = used[path] + amount_gb
    off_gb, off_rent = [0.0], [0.0]
    for path in result["paths"]:
        used_gb = used[path["id"]]
        size_gb = np.maximum(1.0, np.abs(used_gb))
        off_gb.append(_off(of_length(path["used_gb"], market.count) / size_gb, used_gb / size_gb))
        tariff = market.paths[path["id"]]["price_jpy_per_gb"]
        rent = of_length(path["price_jpy_per_gb"], market.count) - tariff
        off_rent.append(_off(path["rent_jpy_per_gb"], rent))
    yield "traffic as computed [GB]", _worst(*off_gb), NOISE
    yield "path rents above the tariff [JPY/GB]", _worst(*off_rent), EXACT
    owed_jpy: dict[str, float] = {}
    for award in result["awards"]:
        owed_jpy[award["bid"]] = owed_jpy.get(award["bid"], 0.0) + award["path_jpy"]
    off_jpy, rounding_jpy = [0.0], [0.0]
    for audit in audits:
        if audit.bid["id"] in owed_jpy:
            off_jpy.append(abs(owed_jpy[audit.bid["id"]] - audit.path_jpy(market)))
            carried_gb = sum(float(np.sum(gb)) for gb in audit.carried_gb.values())
            rounding_jpy.append(HALF_MICRO * abs(carried_gb) * (1.0 + NOISE))
    yield "paths owed by each bid [JPY]", _worst(*off_jpy), MONEY_NOISE_JPY + _worst(*rounding_jpy)


def _misplaced_jpy(awards: Entries) -> float:
    """Return the most that is charged on a leg that never bears it."""
    return _worst(
        *(abs(award["path_jpy"]) for award in awards if award["leg"] != "SHIFT_OUT"),
        *(abs(award["cost_jpy"]) for award in awards if award["leg"] in ("CHARGE", "SHIFT_IN")),
    )

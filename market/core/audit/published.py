"""The published numbers against the unrounded ones, and against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from market.core.audit.bids import BidAudit, Market
from market.core.audit.fairness import PriceAudit, PricedLeg, audit_prices, priced_leg
from market.core.audit.ledger import Array, of_length
from market.core.audit.whole import Whole

NOISE: Final = 1e-6
MONEY_NOISE_JPY: Final = 1e-3

Figure = tuple[str, float, float]


def published_figures(
    result: Mapping[str, Any],
    at: tuple[Mapping[str, Array], Market],
    audits: list[BidAudit],
    whole: Whole,
) -> Iterator[Figure]:
    """Yield name, value and limit of every check on the published numbers.

    Parameters
    ----------
    result
        The result as published.
    at
        Prices at places, (T,) each, and what bids see of them.
    audits, whole
        What the raw numbers add up to, bid by bid and in all.
    """
    at_place, market = at
    rules = market.snapshot["rules"]
    tick_kw, tick_jpy = rules["quantity_tick_kw"], rules["price_tick_jpy_per_kwh"]
    yield from _awards(result, market, audits, (tick_kw, tick_jpy))
    yield from _prices(result, (at_place, market), whole, tick_jpy)
    yield from _quantities(result, market, whole, tick_kw)
    yield from _money(result, market, whole, (tick_kw, tick_jpy))


def _worst(*amounts: Any) -> float:
    """Return the largest entry; one that is no number wins."""
    found = [float(np.max(amount, initial=0.0)) for amount in amounts]
    return float(np.max(found, initial=0.0))


def _raw_legs(audit: BidAudit) -> dict[tuple[str, str, str], Array]:
    """Return the unrounded legs of a bid by (leg, resource, direction)."""
    names = {"STEPS": ("STEPS", "STEPS"), "STORAGE": ("DISCHARGE", "CHARGE")}
    up, down = names.get(audit.bid["form"], ("SHIFT_OUT", "SHIFT_IN"))
    legs = {(up, resource, "UP"): kw for resource, kw in audit.up_kw.items()}
    legs |= {(down, resource, "DOWN"): kw for resource, kw in audit.down_kw.items()}
    return legs


def _awards(
    result: Mapping[str, Any], market: Market, audits: list[BidAudit], ticks: tuple[float, float]
) -> Iterator[Figure]:
    tick_kw, tick_jpy = ticks
    awards: dict[str, dict[tuple[str, str, str], dict[str, Any]]] = {}
    twice = 0
    for award in result["awards"]:
        key = (award["leg"], award["resource"], award["direction"])
        mine = awards.setdefault(award["bid"], {})
        twice += key in mine
        mine[key] = award
    known = {audit.bid["id"]: _raw_legs(audit) for audit in audits}
    stray = sum(
        key not in known.get(bid, {}) or not np.any(award["quantity_kw"])
        for bid, mine in awards.items()
        for key, award in mine.items()
    )
    yield "every award once, of a bid", float(twice + stray), 0.0
    off_kw, short_jpy, over_kw = [0.0], [0.0], [0.0]
    priced: list[PriceAudit] = []
    for audit in audits:
        mine = awards.get(audit.bid["id"], {})
        charged_jpy = 0.0
        sold: list[PricedLeg] = []
        for key, raw_kw in known[audit.bid["id"]].items():
            award = mine.get(key)
            if award is None:
                off_kw.append(_worst(np.abs(raw_kw)))
                continue
            published_kw = of_length(award["quantity_kw"], market.count)
            off_kw.append(_worst(np.abs(published_kw - raw_kw)))
            over_kw.append(_worst(-published_kw))
            sold.append(priced_leg(award, key[2], market.price_jpy_per_kwh[key[1]], market.h))
            charged_jpy += award["cost_jpy"] + award["path_jpy"]
        short_jpy.append(charged_jpy - sum(leg.receipt_jpy for leg in sold))
        priced.append(audit_prices(sold, charged_jpy, tick_jpy))
        if audit.bid["form"] == "STEPS":
            over_kw.append(_over_offer_kw(audit, mine, market))
    yield "awards within a tick of the optimum [kW]", _worst(off_kw), tick_kw * (1 + NOISE)
    yield "awards within bids [kW]", _worst(over_kw), tick_kw * NOISE
    against = _worst(*(found.against_jpy_per_kwh for found in priced))
    yield "prices not against the seller [JPY/kWh]", against, tick_jpy * (0.5 + NOISE)
    beyond = _worst(*(found.beyond_jpy_per_kwh for found in priced))
    yield "prices not beyond the tick rule [JPY/kWh]", beyond, tick_jpy * NOISE
    unearned_jpy = _worst(*(found.unearned_jpy for found in priced))
    yield "favour to short bids only [JPY]", unearned_jpy, MONEY_NOISE_JPY
    yield "nobody is paid below ask [JPY]", _worst(short_jpy), MONEY_NOISE_JPY
    costs = [
        abs(_published_cost_jpy(audit, awards.get(audit.bid["id"], {}), market)) for audit in audits
    ]
    yield "costs as bid [JPY]", _worst(costs), MONEY_NOISE_JPY


def _over_offer_kw(
    audit: BidAudit, mine: Mapping[tuple[str, str, str], Mapping[str, Any]], market: Market
) -> float:
    offered_kw = np.zeros(market.count)
    for curve in audit.bid["curves"]:
        window = slice(curve["first_t"], curve["last_t"] + 1)
        offered_kw[window] += sum(step["quantity_kw"] for step in curve["steps"])
    return _worst(
        *(of_length(award["quantity_kw"], market.count) - offered_kw for award in mine.values())
    )


def _published_cost_jpy(
    audit: BidAudit, mine: Mapping[tuple[str, str, str], Mapping[str, Any]], market: Market
) -> float:
    """Return how far the published cost of a bid is from what it asks for its award."""
    if not mine:
        return 0.0
    claimed_jpy = sum(award["cost_jpy"] for award in mine.values())
    if audit.bid["form"] == "SHIFT":
        return float(claimed_jpy - audit.cost_jpy)
    if audit.bid["form"] == "STORAGE":
        sold_kw = sum(
            (np.sum(award["quantity_kw"]) for key, award in mine.items() if key[2] == "UP"), 0.0
        )
        return float(claimed_jpy - market.h * audit.bid["wear_jpy_per_kwh"] * sold_kw)
    left_kw = sum(of_length(award["quantity_kw"], market.count) for award in mine.values())
    left_kw = np.array(left_kw, dtype=np.float64)
    for curve in audit.bid["curves"]:
        window = slice(curve["first_t"], curve["last_t"] + 1)
        for step in curve["steps"]:
            taken_kw = np.minimum(left_kw[window], step["quantity_kw"])
            left_kw[window] -= taken_kw
            claimed_jpy -= market.h * step["ask_jpy_per_kwh"] * float(taken_kw.sum())
    return float(claimed_jpy)


def _off(
    items: Sequence[Mapping[str, Any]], name: str, raw: Mapping[str, Array], count: int
) -> float:
    """Return the worst distance of published series from the raw ones; each id exactly once."""
    if sorted(item["id"] for item in items) != sorted(raw):
        return float("inf")
    return _worst(*(np.abs(of_length(item[name], count) - raw[item["id"]]) for item in items))


def _by_kind(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{**need, "id": f"{need['kind']} {need['id']}"} for need in result["needs"]]


def _prices(
    result: Mapping[str, Any],
    at: tuple[Mapping[str, Array], Market],
    whole: Whole,
    tick_jpy: float,
) -> Iterator[Figure]:
    at_place, market = at
    count, raw = market.count, whole.prices_jpy_per_kwh
    rents = result["raw"]["duals"]
    worst = _worst(
        _off(result["places"], "price_jpy_per_kwh", at_place, count),
        _off(result["areas"], "price_jpy_per_kwh", raw["area"], count),
        _off(_by_kind(result), "price_jpy_per_kwh", raw["need"], count),
        _off(result["links"], "rent_jpy_per_kwh", raw["link"], count),
        _off(result["transfers"], "rent_jpy_per_kwh", raw["transfer"], count),
        *(
            np.abs(
                of_length(element[f"rent_{side}_jpy_per_kwh"], count)
                - np.asarray(rents[f"rent_{side}_jpy_per_kwh"].get(element["id"], np.zeros(count)))
            )
            for element in result["elements"]
            for side in ("up", "down")
        ),
    )
    yield "prices within half a tick [JPY/kWh]", worst, tick_jpy * (0.5 + NOISE)
    path_off = _off(result["paths"], "price_jpy_per_gb", dict(market.path_jpy_per_gb), count)
    yield "path prices [JPY/GB]", path_off, NOISE


def _quantities(
    result: Mapping[str, Any], market: Market, whole: Whole, tick_kw: float
) -> Iterator[Figure]:
    count, raw = market.count, result["raw"]
    snapshot = market.snapshot
    served = {
        f"{kind} {need['id']}": np.asarray(raw["served_kw"][kind].get(need["id"], np.zeros(count)))
        for kind, name in (("LOCAL", "local_needs"), ("BALANCE", "balance_needs"))
        for need in snapshot[name]
    }
    asked = {
        f"{kind} {need['id']}": np.asarray(need["need_kw"])
        for kind, name in (("LOCAL", "local_needs"), ("BALANCE", "balance_needs"))
        for need in snapshot[name]
    }
    needs = _by_kind(result)
    unserved = {name: asked[name] - served[name] for name in asked}
    after = {
        element["id"]: np.asarray(element["base_flow_kw"]) + whole.flow_change_kw[element["id"]]
        for element in snapshot["elements"]
    }
    yield (
        "quantities within a tick [kW]",
        _worst(
            _off(needs, "served_kw", served, count),
            _off(needs, "unserved_kw", unserved, count),
            _off(result["elements"], "after_kw", after, count),
        ),
        tick_kw * (1 + NOISE),
    )


def _money(
    result: Mapping[str, Any], market: Market, whole: Whole, ticks: tuple[float, float]
) -> Iterator[Figure]:
    h, money = market.h, result["money"]

    def product(items: Sequence[Mapping[str, Any]], quantity: str, price: str) -> float:
        return h * sum(float(np.dot(item[quantity], item[price])) for item in items)

    legs_jpy = sum(
        (1.0 if award["direction"] == "UP" else -1.0)
        * h
        * float(np.dot(award["quantity_kw"], award["price_jpy_per_kwh"]))
        for award in result["awards"]
    )
    path_jpy = sum(award["path_jpy"] for award in result["awards"])
    paths_jpy = sum(
        float(np.dot(path["used_gb"], path["price_jpy_per_gb"])) for path in result["paths"]
    )
    congestion_jpy = product(result["elements"], "headroom_up_kw", "rent_up_jpy_per_kwh")
    congestion_jpy += product(result["elements"], "headroom_down_kw", "rent_down_jpy_per_kwh")
    trade_jpy = product([*result["links"], *result["transfers"]], "flow_kw", "rent_jpy_per_kwh")
    flows = {
        "buyers_jpy": product(result["needs"], "served_kw", "price_jpy_per_kwh"),
        "sellers_jpy": legs_jpy - path_jpy,
        "congestion_rent_jpy": congestion_jpy,
        "link_rent_jpy": trade_jpy,
        "path_jpy": path_jpy,
        "deviation_jpy": product(result["areas"], "deviation_kw", "price_jpy_per_kwh"),
    }
    left_jpy = flows["buyers_jpy"] + flows["deviation_jpy"] - flows["sellers_jpy"]
    left_jpy -= congestion_jpy + trade_jpy + path_jpy
    scale = max(1.0, whole.turnover_jpy) * 1e-9 + MONEY_NOISE_JPY
    off = [abs(money[name] - amount) for name, amount in flows.items()]
    off.append(abs(money["residual_jpy"] - left_jpy))
    yield "money as listed [JPY]", _worst(off), scale
    yield "paths are paid what bids owe [JPY]", abs(path_jpy - paths_jpy), scale
    yield "money identity [JPY]", abs(left_jpy), _rounding_jpy(result, market, ticks) + scale


def _rounding_jpy(result: Mapping[str, Any], market: Market, ticks: tuple[float, float]) -> float:
    """Return the most that rounding by ticks can leave over, entry by entry."""
    tick_kw, tick_jpy = ticks

    def reach(quantity: Any, price: Any) -> float:
        q, p = np.abs(np.asarray(quantity)), np.abs(np.asarray(price))
        return float(
            np.sum(np.where((q > 0) | (p > 0), tick_jpy * q + tick_kw * (p + tick_jpy), 0))
        )

    total = sum(reach(a["quantity_kw"], a["price_jpy_per_kwh"]) for a in result["awards"])
    total += sum(reach(n["served_kw"], n["price_jpy_per_kwh"]) for n in result["needs"])
    total += sum(reach(a["deviation_kw"], a["price_jpy_per_kwh"]) for a in result["areas"])
    total += sum(
        reach(trade["flow_kw"], trade["rent_jpy_per_kwh"])
        for trade in (*result["links"], *result["transfers"])
    )
    for element in result["elements"]:
        for side in ("up", "down"):
            rent = np.asarray(element[f"rent_{side}_jpy_per_kwh"])
            room = np.where(rent > 0, element[f"headroom_{side}_kw"], 0.0)
            total += reach(room, rent)
    return market.h * total

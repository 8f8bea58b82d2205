"""What each bid is told, held against published awards and prices: its outcome and its margin.

A rejected bid's margin is what the best thing it could have done would have gained; here every
possibility is tried for every bid, one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from market.core.audit.block import Market, window_of
from market.core.audit.forms.compute import placements
from market.core.audit.forms.shift import is_allowed
from market.core.audit.ledger import Array
from market.core.audit.prices import CAPACITY_PRICED_H, Prices

ENTRIES: Final = ("bid", "outcome", "deciding", "is_counterfactual", "note")
KINDS: Final = (
    *("price", "need", "element", "path", "compute", "resource", "integer", "group", "parent"),
    *("quantity", "limit", "reserve", "eligibility"),
)
MAIN_LEGS: Final = (
    *("STEPS", "BLOCK", "PORTFOLIO", "DISCHARGE", "DEFERRED", "SHIFT_OUT"),
    *("CURTAILED", "RELEASED", "RESERVED", "COMPUTE"),
)
EITHER_WAY: Final = ("STORAGE", "DEFERRAL", "RENEWABLE")
NOISE: Final = 2e-6
NOISE_JPY: Final = 5e-6

Bid = Mapping[str, Any]
Figure = tuple[str, float, float]


class _View:
    """Published prices and awards, as one bid after the other looks at them."""

    def __init__(self, result: Mapping[str, Any], market: Market, prices: Prices) -> None:
        def series(kind: str, name: str) -> dict[str, Array]:
            return {item["id"]: np.array(item[name], dtype=float) for item in result[kind]}

        self.market, rules = market, market.snapshot["rules"]
        self.h, self.count = market.h, market.count
        self.unseen_kw = rules["quantity_tick_kw"] / 2.0
        self.place = series("places", "price_jpy_per_kwh")
        self.path_jpy_per_gb = series("paths", "price_jpy_per_gb")
        self.compute = series("compute", "price_jpy_per_kwh")
        self.request = series("requests", "price_jpy_per_kwh")
        self.served_kw = series("requests", "served_kw")
        self.receipt_jpy = {item["id"]: item["receipt_jpy"] for item in result["compute"]}
        self.reserve = prices.reserve_jpy_per_kw
        self.products = {name: number for number, name in enumerate(market.products)}
        self.resources = {name: number for number, name in enumerate(market.resources)}
        self.awards: dict[str, list[Mapping[str, Any]]] = {}
        for award in result["awards"]:
            self.awards.setdefault(award["bid"], []).append(award)

    def price(self, resource: str) -> Array:
        """Return the price of UP at a resource's place, (T,)."""
        return self.place[self.market.resources[resource]["place"]]


def explanation_figures(
    result: Mapping[str, Any], market: Market, prices: Prices
) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on what bids are told.

    Parameters
    ----------
    result
        The result as published.
    market
        The snapshot, asks lowered as the clearing saw them.
    prices
        What everything is worth at the result's duals.
    """
    told = result["explanations"]
    wrong = float([item["bid"] for item in told] != sorted(market.bids))
    yield "every bid is told once", wrong, 0.0
    view = _View(result, market, prices)
    misread, off = 0, 0.0
    for item in told:
        bid = market.bids[item["bid"]]
        unit = "jpy_per_kw" if bid["form"] == "CAPACITY" else "jpy_per_kwh"
        if set(item) != {*ENTRIES, f"margin_{unit}", f"change_at_{unit}"}:
            raise ValueError(f"explanations: entries of {item['bid']}")
        is_known = (
            set(item["deciding"]) == {"kind", "id", "t"} and item["deciding"]["kind"] in KINDS
        )
        outcome, margin, noise = _recomputed(bid, view)
        misread += item["outcome"] != outcome or not is_known
        off = max(off, _off(item[f"margin_{unit}"], margin) / (1.0 + noise / NOISE))
    yield "outcomes as awarded", float(misread), 0.0
    yield "margins as awarded", off, NOISE


def _off(told: float | None, found: float | None) -> float:
    if told is None or found is None:
        return 0.0 if told is found else np.inf
    return abs(told - found) / max(1.0, abs(found))


def _recomputed(bid: Bid, view: _View) -> tuple[str, float | None, float]:
    """Return outcome, margin and what rounded money leaves of doubt in the margin."""
    if bid["form"] == "COMPUTE_REQUEST":
        sold_kw = view.served_kw[bid["id"]]
        surplus_jpy = view.h * sum(
            (bid["value_jpy_per_kwh"] - price) * kw
            for price, kw in zip(view.request[bid["id"]], sold_kw, strict=True)
            if kw > 0
        )
        amount = view.h * float(sold_kw.sum())
        parts = 0
    else:
        sold_kw, amount, surplus_jpy, parts = _awarded(bid, view)
    if parts == 0 and not sold_kw.any():
        return "REJECTED", BEST[bid["form"]](bid, view), 0.0
    margin, noise = surplus_jpy / amount, (parts + 1) * NOISE_JPY / amount
    if bid["form"] in EITHER_WAY:
        return "ACCEPTED", margin, noise
    is_whole = (_offered_kw(bid, view) - sold_kw < 2 * view.unseen_kw).all()
    return "ACCEPTED" if is_whole else "PARTLY", margin, noise


def _awarded(bid: Bid, view: _View) -> tuple[Array, float, float, int]:
    """Return kW of the main legs, what the margin is spread over, surplus and number of legs."""
    awards = view.awards.get(bid["id"], [])
    sold_kw, main, other = np.zeros(view.count), 0.0, 0.0
    surplus_jpy = view.receipt_jpy.get(bid["id"], 0.0)
    for award in awards:
        quantity_kw = np.array(award["quantity_kw"])
        is_capacity = "product" in award
        hours = view.h / CAPACITY_PRICED_H if is_capacity else view.h
        price = award["price_jpy_per_kw" if is_capacity else "price_jpy_per_kwh"]
        sign = 1.0 if is_capacity or award["direction"] == "UP" else -1.0
        surplus_jpy += sign * hours * float(quantity_kw @ price)
        surplus_jpy -= award["cost_jpy"] + award["path_jpy"]
        if award["leg"] in MAIN_LEGS:
            sold_kw = sold_kw + quantity_kw
            main += hours * float(quantity_kw.sum())
        else:
            other += hours * float(quantity_kw.sum())
    power = bid.get("pue_ratio", 1.0)
    return sold_kw / power, (main or other) / power, surplus_jpy, len(awards)


def _offered_kw(bid: Bid, view: _View) -> Array:
    """Return what a bid offers in each half hour, (T,)."""
    offered_kw, form = np.zeros(view.count), bid["form"]
    if form in ("COMPUTE_OFFER", "COMPUTE_REQUEST"):
        return np.array(bid["capacity_kw" if form == "COMPUTE_OFFER" else "quantity_kw"])
    if form == "BLOCK":
        offered_kw[bid["first_t"] : bid["first_t"] + len(bid["quantity_kw"])] = bid["quantity_kw"]
        return offered_kw
    parts = bid["curves"] if "curves" in bid else bid["offers"]
    for part in parts:
        steps = part.get("steps", [part])
        offered_kw[window_of(part)] += sum(step["quantity_kw"] for step in steps)
    if form == "PORTFOLIO":
        limits_kw = np.sum([member["limit_kw"] for member in bid["members"]], axis=0)
        offered_kw = np.minimum(offered_kw, limits_kw)
    return offered_kw


def _most(gains: Sequence[float]) -> float | None:
    found = max(gains, default=-np.inf)
    return None if found == -np.inf else float(found)


def _steps(bid: Bid, view: _View) -> float | None:
    sign = 1.0 if bid["direction"] == "UP" else -1.0
    price = sign * view.price(bid["resource"])
    return _most(
        [
            price[window_of(curve)].max() - step["ask_jpy_per_kwh"]
            for curve in bid["curves"]
            for step in curve["steps"]
            if step["quantity_kw"] > view.unseen_kw
        ]
    )


def _portfolio(bid: Bid, view: _View) -> float | None:
    sign = 1.0 if bid["direction"] == "UP" else -1.0
    able = [
        np.where(
            np.array(member["limit_kw"]) > view.unseen_kw,
            sign * view.price(member["resource"]),
            -np.inf,
        )
        for member in bid["members"]
    ]
    value = np.max(able, axis=0)
    return _most(
        [
            value[window_of(curve)].max() - step["ask_jpy_per_kwh"]
            for curve in bid["curves"]
            for step in curve["steps"]
            if step["quantity_kw"] > view.unseen_kw
        ]
    )


def _renewable(bid: Bid, view: _View) -> float | None:
    price = view.price(bid["resource"])[window_of(bid)]
    scheduled_kw, available_kw = np.array(bid["scheduled_kw"]), np.array(bid["available_kw"])
    down, up = scheduled_kw > view.unseen_kw, available_kw - scheduled_kw > view.unseen_kw
    return _most(
        [*(-price[down] - bid["curtail_jpy_per_kwh"]), *(price[up] - bid["release_jpy_per_kwh"])]
    )


def _capacity(bid: Bid, view: _View) -> float | None:
    price = view.reserve[view.products[bid["product"]], view.resources[bid["resource"]]]
    return _most(
        [
            price[window_of(offer)].max() - offer["ask_jpy_per_kw"]
            for offer in bid["offers"]
            if offer["quantity_kw"] > view.unseen_kw
        ]
    )


def _compute_offer(bid: Bid, view: _View) -> float | None:
    gain = view.compute[bid["id"]] - bid["pue_ratio"] * view.price(bid["resource"])
    return _most(list(gain[np.array(bid["capacity_kw"]) > view.unseen_kw] - bid["ask_jpy_per_kwh"]))


def _compute_request(bid: Bid, view: _View) -> float | None:
    if not placements(bid, view.market):
        return None
    is_asked = np.array(bid["quantity_kw"]) > view.unseen_kw
    return _most(list(bid["value_jpy_per_kwh"] - view.request[bid["id"]][is_asked]))


def _storage(bid: Bid, view: _View) -> float | None:
    """Try every half hour to sell in with every other to buy in, and with none."""
    t, h = window_of(bid), view.h
    price, length = view.price(bid["resource"])[t], len(t)
    if bid["discharge_limit_kw"] <= view.unseen_kw or bid["cycles_max"] == 0:
        return None
    keep = (1.0 - bid["standing_loss_ratio"]) ** h
    idle_kwh = bid["start_kwh"] * keep ** np.arange(1, length + 1)
    floor_kwh = np.full(length, bid["reserve_kwh"])
    floor_kwh[-1] = max(bid["reserve_kwh"], bid["end_min_kwh"])
    spare, room = (idle_kwh - floor_kwh, bid["energy_limit_kwh"] - idle_kwh)
    unseen_kwh = h * view.unseen_kw
    lack = np.concatenate([[0], np.cumsum(spare <= unseen_kwh)])
    sell, buy = np.arange(length)[:, None], np.arange(length)[None, :]
    first = (buy < sell) & (room > unseen_kwh)[None, :]
    later = (buy > sell) & (lack[buy] == lack[sell])
    charged = keep ** (buy - sell).astype(float) / bid["charge_efficiency_ratio"]
    can = (first | later) & (bid["charge_limit_kw"] > view.unseen_kw)
    cost = np.where(can, charged * price[None, :], np.inf).min(axis=1)
    cost = np.where(lack[-1] == lack[:-1], np.minimum(cost, 0.0), cost)
    gain = price - bid["wear_jpy_per_kwh"] - cost / bid["discharge_efficiency_ratio"]
    return _most(list(gain))


def _deferral(bid: Bid, view: _View) -> float | None:
    """Try every half hour to defer in with every later one that a full backlog leads to."""
    t = window_of(bid)
    price, length, slack = view.price(bid["resource"])[t], len(t), bid["slack_count"]
    arriving_kw = np.array(bid["arriving_kw"])
    spare_kw = np.minimum(bid["rebound_limit_kw"], np.array(bid["service_limit_kw"]) - arriving_kw)
    grown = 1.0 + bid["extra_work_ratio"]
    recent_kw = np.array([arriving_kw[max(0, s + 1 - slack) : s + 1].sum() for s in range(length)])
    full = np.concatenate([[0], np.cumsum(grown * recent_kw <= view.unseen_kw)])
    out, back = np.arange(length)[:, None], np.arange(length)[None, :]
    can = (back > out) & (full[back] == full[out]) & (spare_kw > view.unseen_kw)[None, :]
    cost = np.where(can, grown * price[None, :], np.inf).min(axis=1)
    gain = price - cost - bid["ask_jpy_per_kwh"]
    return _most(list(gain[arriving_kw > view.unseen_kw]))


def _runs(gain_jpy: Array, energy_kwh: Array, fixed_jpy: Array, least: int) -> list[float]:
    """Return the mean gain of every run of at least so many half hours in a row."""
    found = []
    length = len(gain_jpy)
    for start in range(length - least + 1):
        kwh = np.cumsum(energy_kwh[start:])[least - 1 :]
        jpy = np.cumsum((gain_jpy * energy_kwh)[start:])[least - 1 :] - fixed_jpy[start]
        found += list(jpy[kwh > 0] / kwh[kwh > 0])
    return found


def _block(bid: Bid, view: _View) -> float | None:
    length = len(bid["quantity_kw"])
    sign = 1.0 if bid["direction"] == "UP" else -1.0
    price = view.price(bid["resource"])[bid["first_t"] : bid["first_t"] + length]
    return _most(
        _runs(
            sign * price - bid["ask_jpy_per_kwh"],
            view.h * np.array(bid["quantity_kw"]),
            np.full(length, bid["start_cost_jpy"]),
            bid["run_min_count"] or length,
        )
    )


def _shift(bid: Bid, view: _View) -> float | None:
    """Try every run of half hours with an offer, at every destination allowed."""
    ask = np.full(view.count, np.inf)
    for offer in bid["offers"]:
        if offer["quantity_kw"] > view.unseen_kw:
            t = window_of(offer)
            ask[t] = np.minimum(ask[t], offer["ask_jpy_per_kwh"])
    gains: list[float] = []
    for target in bid["destinations"]:
        resource, path = (
            view.market.resources[target["resource"]],
            view.market.paths[target["path"]],
        )
        if not is_allowed(bid, resource, path):
            continue
        data = view.path_jpy_per_gb[path["id"]]
        value = view.price(bid["resource"]) - target["ratio"] * view.price(resource["id"])
        value = value - bid["gb_per_kwh"] * data
        change_jpy = bid["change_cost_jpy_per_kw"] + bid["gb_per_kw"] * data
        offered = np.flatnonzero(np.isfinite(ask))
        for run in np.split(offered, np.flatnonzero(np.diff(offered) > 1) + 1):
            hours = np.full(len(run), view.h)
            gains += _runs(value[run] - ask[run], hours, change_jpy[run], 1)
    return _most(gains)


BEST: Final[Mapping[str, Callable[[Bid, _View], float | None]]] = {
    "STEPS": _steps,
    "STORAGE": _storage,
    "SHIFT": _shift,
    "BLOCK": _block,
    "DEFERRAL": _deferral,
    "RENEWABLE": _renewable,
    "PORTFOLIO": _portfolio,
    "CAPACITY": _capacity,
    "COMPUTE_OFFER": _compute_offer,
    "COMPUTE_REQUEST": _compute_request,
}
"""Per form, what the best thing a bid could have done would have gained; None if nothing."""

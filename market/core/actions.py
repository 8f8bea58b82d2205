r"""What every bid could have done, and what one unit of it would have earned at published prices.

An *action* is the least thing a bid can do for money, per kWh of what it sells (per kW and half
hour for capacity, per kWh computed for compute):

- a step, a renewable, capacity, a compute offer or request: one half hour of it;
- a portfolio: one step in one half hour, by the member whose place pays best;
- a store: selling in one half hour what it buys, less losses, in the best other one;
- a deferral: deferring in one half hour what it runs, with its extra work, in the best later one
  that the deadline allows;
- a shift or a block with a minimum run: its best run of consecutive half hours, change or start
  cost included; any other block: its whole profile.

Its gain is the value at published prices less the ask. Only a store's or deferral's *best*
partner half hour counts, so there is one action per half hour sold, and all of them come from a
few passes over half hours for all bids of a form together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.compute import OWN_PLACE
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.searches import (
    NONE,
    Partners,
    best_runs,
    bought_after,
    bought_before,
    run_intervals,
)
from market.core.seen import Actions, Seen, ends_of


def steps(seen: Seen) -> Actions:
    """Return the actions of step curves: one per column."""
    book, x, upper = (
        seen.book("STEPS"),
        seen.x_kw("STEPS", "step"),
        seen.upper_kw("STEPS", "step"),
    )
    bid, t = book.pair_bid, book.pair_t
    return _single(
        seen,
        (bid, t),
        (book.resource[bid], book.sign[bid]),
        book.ask_jpy_per_kwh[book.pair_step],
        (x, upper),
    )


def renewables(seen: Seen) -> Actions:
    """Return the actions of renewables: curtailing, then releasing, per half hour."""
    book = seen.book("RENEWABLE")
    x, upper = (
        np.concatenate([get("RENEWABLE", name) for name in ("curtailed", "released")])
        for get in (seen.x_kw, seen.upper_kw)
    )
    bid = np.tile(book.pair_bid, 2)
    ask = np.concatenate(
        [book.curtail_jpy_per_kwh[book.pair_bid], book.release_jpy_per_kwh[book.pair_bid]]
    )
    sign = np.repeat([-1.0, 1.0], len(book.pair_bid))
    return _single(
        seen, (bid, np.tile(book.pair_t, 2)), (book.resource[bid], sign), ask, (x, upper)
    )


def _single(
    seen: Seen,
    at: tuple[IntArray, IntArray],
    by: tuple[IntArray, FloatArray],
    ask: FloatArray,
    kw: tuple[FloatArray, FloatArray],
) -> Actions:
    """Return one action per column that sells kWh of one resource in one half hour."""
    (bid, t), (resource, sign), (x, upper) = at, by, kw
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=sign * seen.price_at(resource, t) - ask,
        ask_jpy=ask,
        is_open=upper - x > seen.unseen_kw,
        is_sold=x > seen.unseen_kw,
        ends=ends_of((np.arange(len(t)), resource, t, sign)),
    )


def capacity(seen: Seen) -> Actions:
    """Return the actions of capacity bids: one per column, per kW and half hour."""
    book = seen.book("CAPACITY")
    x, upper = seen.x_kw("CAPACITY", "reserved"), seen.upper_kw("CAPACITY", "reserved")
    bid, t = book.pair_bid, book.pair_t
    place = seen.clearing.snapshot.resource_place[book.resource[bid]]
    ask = book.ask_jpy_per_kw[book.pair_offer]
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=seen.reserved_jpy_per_kw[book.product[bid], place, t] - ask,
        ask_jpy=ask,
        is_open=upper - x > seen.unseen_kw,
        is_sold=x > seen.unseen_kw,
        ends=ends_of((np.arange(len(t)), book.resource[bid], t, np.zeros(len(t)))),
    )


def compute_offers(seen: Seen) -> Actions:
    """Return the actions of compute offers: one per column, per kWh computed."""
    book = seen.book("COMPUTE_OFFER")
    x, upper = seen.x_kw("COMPUTE_OFFER", "run"), seen.upper_kw("COMPUTE_OFFER", "run")
    bid = np.repeat(np.arange(len(book.ids)), seen.count)
    t = np.tile(np.arange(seen.count), len(book.ids))
    power = book.pue_ratio[bid]
    resource, ask = book.resource[bid], book.ask_jpy_per_kwh[bid]
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=seen.compute_jpy_per_kwh.ravel() - power * seen.price_at(resource, t) - ask,
        ask_jpy=ask,
        is_open=upper - x > seen.unseen_kw,
        is_sold=x > seen.unseen_kw,
        ends=ends_of((np.arange(len(t)), resource, t, -power)),
    )


def compute_requests(seen: Seen) -> Actions:
    """Return the actions of compute requests that may run somewhere: one per half hour asked."""
    book = seen.book("COMPUTE_REQUEST")
    price, served_kw = seen.request_jpy_per_kwh, seen.request_served_kw
    bid, t = np.nonzero((book.quantity_kw > seen.unseen_kw) & ~np.isnan(price))
    cheapest = cheapest_placements(seen)
    nowhere = np.zeros(0, dtype=np.int64)
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=book.value_jpy_per_kwh[bid] - price[bid, t],
        ask_jpy=book.value_jpy_per_kwh[bid],
        is_open=(book.quantity_kw - served_kw)[bid, t] > seen.unseen_kw,
        is_sold=served_kw[bid, t] > seen.unseen_kw,
        ends=ends_of((nowhere, nowhere, nowhere, np.zeros(0))),
        path=cheapest.path[bid, t],
        path_rent_jpy=cheapest.rent_jpy[bid, t],
    )


@dataclass(frozen=True)
class Placements:
    """Where each compute request would run cheapest: path, rent on it, offer; (K, T) each.

    The path is −1 at the request's own place, the offer −1 where it may run nowhere.
    """

    path: IntArray
    rent_jpy: FloatArray
    offer: IntArray


def cheapest_placements(seen: Seen) -> Placements:
    """Return where each compute request would run cheapest in each half hour."""
    book = seen.book("COMPUTE_REQUEST")
    shape = book.quantity_kw.shape
    found = Placements(np.full(shape, NONE), np.zeros(shape), np.full(shape, NONE))
    least = np.full(shape, np.inf)
    for request, offer, number in zip(
        book.link_request, book.link_offer, book.link_path, strict=True
    ):
        is_here = number == OWN_PLACE
        cost, rent = seen.compute_jpy_per_kwh[offer], np.zeros(seen.count)
        if not is_here:
            cost = cost + book.gb_per_kwh[request] * seen.path_jpy_per_gb[number]
            rent = book.gb_per_kwh[request] * seen.path_rent_jpy_per_gb[number]
        is_less = cost < least[request]
        least[request][is_less] = cost[is_less]
        found.rent_jpy[request][is_less] = rent[is_less]
        found.path[request][is_less] = NONE if is_here else number
        found.offer[request][is_less] = offer
    return found


def portfolios(seen: Seen) -> Actions:
    """Return the actions of portfolios: each step by the member whose place pays best."""
    book, form = seen.book("PORTFOLIO"), "PORTFOLIO"
    step, t = book.pair_step, book.pair_t
    bid = book.bid[step]
    sign = np.where(book.is_up > 0, 1.0, -1.0)
    member, placed_t = book.placed_member, book.placed_t
    value = sign[book.member_bid[member]] * seen.price_at(book.member_resource[member], placed_t)
    spare_kw = seen.upper_kw(form, "placed") - seen.x_kw(form, "placed")
    value = np.where(spare_kw > seen.unseen_kw, value, -np.inf)
    key = book.member_bid[member] * seen.count + placed_t
    order = np.lexsort((np.arange(len(key)), -value, key))
    best = order[np.searchsorted(key[order], bid * seen.count + t)]
    x, upper = seen.x_kw(form, "step"), seen.upper_kw(form, "step")
    ask = book.ask_jpy_per_kwh[step]
    has_member = np.isfinite(value[best])
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=np.where(has_member, value[best], 0.0) - ask,
        ask_jpy=ask,
        is_open=(upper - x > seen.unseen_kw) & has_member,
        is_sold=x > seen.unseen_kw,
        ends=ends_of((np.arange(len(t)), book.member_resource[member[best]], t, sign[bid])),
    )


def storage(seen: Seen) -> Actions:
    """Return the actions of stores: sell in one half hour, buy in the cheapest before or after.

    Buying first needs room, selling first needs energy that is not reserved until it is bought
    back; what is not needed at the end need not be bought back.
    """
    book, t = seen.book("STORAGE"), np.arange(seen.count)
    in_window = _windows(seen, book)
    is_last = t == book.last_t[:, None]
    keep = (1.0 - book.standing_loss_ratio) ** seen.h
    held = np.maximum(t + 1 - book.first_t[:, None], 0)
    idle_kwh = book.start_kwh[:, None] * keep[:, None] ** held
    end_kwh = np.maximum(book.reserve_kwh, book.end_min_kwh)
    floor_kwh = np.where(is_last, end_kwh[:, None], book.reserve_kwh[:, None])
    unseen_kwh = seen.h * seen.unseen_kw
    has_room = book.energy_limit_kwh[:, None] - idle_kwh > unseen_kwh
    has_spare = in_window & (idle_kwh - floor_kwh > unseen_kwh)
    into = book.charge_efficiency_ratio[:, None]
    can_charge = in_window & (book.charge_limit_kw > seen.unseen_kw)[:, None]
    price = np.where(can_charge, seen.price(book.resource) / into, np.inf)
    bought = bought_before(np.where(has_room, price, np.inf), keep).or_else(
        bought_after(price, keep, has_spare, is_last)
    )
    out = 1.0 / book.discharge_efficiency_ratio[:, None]
    can_sell = (
        in_window & ((book.discharge_limit_kw > seen.unseen_kw) & (book.cycles_max > 0))[:, None]
    )
    return _coupled(
        seen,
        (book.resource, book.wear_jpy_per_kwh),
        can_sell,
        Partners(out * bought.cost, bought.t, out / into * bought.ratio),
    )


def deferrals(seen: Seen) -> Actions:
    """Return the actions of deferrals: defer in one half hour, run in the cheapest after it."""
    book, columns = seen.book("DEFERRAL"), ("deferred", "rebound", "backlog")
    shape = (len(book.ids), seen.count)
    limit = {}
    for name in columns:
        limit[name] = np.zeros(shape)
        limit[name][book.pair_bid, book.pair_t] = seen.upper_kw("DEFERRAL", name)
    grown = 1.0 + book.extra_work_ratio[:, None]
    can_run = limit["rebound"] > seen.unseen_kw
    price = np.where(can_run, grown * seen.price(book.resource), np.inf)
    bought = bought_after(
        price,
        np.ones(shape[0]),
        limit["backlog"] > seen.h * seen.unseen_kw,
        np.zeros(shape, dtype=bool),
    )
    return _coupled(
        seen,
        (book.resource, book.ask_jpy_per_kwh),
        limit["deferred"] > seen.unseen_kw,
        Partners(bought.cost, bought.t, grown * bought.ratio),
    )


def _windows(seen: Seen, book: Any) -> BoolArray:
    """Return whether each half hour is in each bid's window, (B, T)."""
    t = np.arange(seen.count)
    return np.asarray((t >= book.first_t[:, None]) & (t <= book.last_t[:, None]))


def _coupled(
    seen: Seen, by: tuple[IntArray, FloatArray], can_sell: BoolArray, bought: Partners
) -> Actions:
    """Return the actions that sell in one half hour and buy, if need be, in another."""
    resource, ask = by
    bid, t = np.nonzero(can_sell & np.isfinite(bought.cost))
    cost, partner, ratio = bought.cost[bid, t], bought.t[bid, t], bought.ratio[bid, t]
    number = np.arange(len(bid))
    buys = np.flatnonzero(partner != NONE)
    return Actions(
        bid=bid,
        t=t,
        gain_jpy=seen.price_at(resource[bid], t) - cost - ask[bid],
        ask_jpy=ask[bid],
        is_open=np.ones(len(bid), dtype=bool),
        is_sold=np.zeros(len(bid), dtype=bool),
        ends=ends_of(
            (number, resource[bid], t, np.ones(len(bid))),
            (buys, resource[bid[buys]], partner[buys], -ratio[buys]),
        ),
    )


def blocks(seen: Seen) -> Actions:
    """Return the action of each block: its profile, or its best run if it has a minimum run."""
    book = seen.book("BLOCK")
    shape = (len(book.ids), seen.count)
    energy_kwh, is_there = np.zeros(shape), np.zeros(shape, dtype=bool)
    energy_kwh[book.pair_bid, book.pair_t] = seen.h * book.quantity_kw
    is_there[book.pair_bid, book.pair_t] = True
    whole = is_there.sum(axis=1)
    runs = best_runs(
        energy_kwh,
        book.sign[:, None] * seen.price(book.resource) - book.ask_jpy_per_kwh[:, None],
        is_there,
        np.broadcast_to(book.start_cost_jpy[:, None], shape),
        np.where(book.run_min_count > 0, book.run_min_count, whole),
    )
    bid = np.flatnonzero(runs.start != NONE)
    number, t = run_intervals(runs, bid)
    share = energy_kwh[bid[number], t]
    share = share / np.bincount(number, weights=share, minlength=len(bid))[number]
    resource, sign = book.resource[bid], book.sign[bid]
    return Actions(
        bid=bid,
        t=runs.start[bid],
        gain_jpy=runs.gain_jpy[bid],
        ask_jpy=book.ask_jpy_per_kwh[bid],
        is_open=np.ones(len(bid), dtype=bool),
        is_sold=np.zeros(len(bid), dtype=bool),
        ends=ends_of((number, resource[number], t, sign[number] * share)),
    )


def shifts(seen: Seen) -> Actions:
    """Return the action of each eligible destination of a shift: its best run of half hours."""
    book, count = seen.book("SHIFT"), seen.count
    open_kw = seen.upper_kw("SHIFT", "offered") - seen.x_kw("SHIFT", "offered")
    ask = np.full((len(book.ids), count), np.inf)
    is_open = open_kw > seen.unseen_kw
    at = (book.offer_bid[book.offer_pair][is_open], book.offer_pair_t[is_open])
    np.minimum.at(ask, at, book.ask_jpy_per_kwh[book.offer_pair][is_open])
    bid, target, path = book.destination_bid, book.destination_resource, book.destination_path
    ratio = book.ratio[:, None]
    value = seen.price(book.resource[bid]) - ratio * seen.price(target)
    value = value - book.gb_per_kwh[bid][:, None] * seen.path_jpy_per_gb[path]
    is_there = np.isfinite(ask[bid])
    gain = np.where(is_there, value - np.where(is_there, ask[bid], 0.0), 0.0)
    change_jpy = book.change_cost_jpy_per_kw[bid][:, None]
    change_jpy = change_jpy + book.gb_per_kw[bid][:, None] * seen.path_jpy_per_gb[path]
    runs = best_runs(
        np.full(gain.shape, seen.h),
        gain,
        is_there,
        change_jpy,
        np.ones(len(bid), dtype=np.int64),
    )
    chosen = np.flatnonzero(runs.start != NONE)
    number, t = run_intervals(runs, chosen)
    share = 1.0 / runs.length[chosen][number]
    of, mean = chosen[number], np.zeros(len(chosen))
    np.add.at(mean, number, share * ask[bid[of], t])
    rent = book.gb_per_kwh[bid[of]] * share * seen.path_rent_jpy_per_gb[path[of], t]
    rent_jpy = np.zeros(len(chosen))
    np.add.at(rent_jpy, number, rent)
    start = seen.path_rent_jpy_per_gb[path[chosen], runs.start[chosen]]
    rent_jpy += book.gb_per_kw[bid[chosen]] * start / (seen.h * runs.length[chosen])
    return Actions(
        bid=bid[chosen],
        t=runs.start[chosen],
        gain_jpy=runs.gain_jpy[chosen],
        ask_jpy=mean,
        is_open=np.ones(len(chosen), dtype=bool),
        is_sold=np.zeros(len(chosen), dtype=bool),
        ends=ends_of(
            (number, book.resource[bid[of]], t, share),
            (number, target[of], t, -book.ratio[of] * share),
        ),
        path=path[chosen],
        path_rent_jpy=rent_jpy,
    )


ACTIONS: Final[Mapping[str, Callable[[Seen], Actions]]] = {
    "STEPS": steps,
    "STORAGE": storage,
    "SHIFT": shifts,
    "BLOCK": blocks,
    "DEFERRAL": deferrals,
    "RENEWABLE": renewables,
    "PORTFOLIO": portfolios,
    "CAPACITY": capacity,
    "COMPUTE_OFFER": compute_offers,
    "COMPUTE_REQUEST": compute_requests,
}
"""Per bid form; the keys are those of the forms."""

"""Which price, need, element, path, limit or rule kept a bid from selling (more).

The kinds are those of :mod:`market.core.explanations`. A rule decides if an action would have
gained at published prices and still was not taken. Otherwise its price was too low, and what made
it so decides: the rent of a path, congestion, the cap of a need, or simply that nobody pays more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.actions import cheapest_placements
from market.core.clearing import Clearing
from market.core.needs import Needs
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.pricing import Prices
from market.core.programme import relief_group_of
from market.core.searches import NONE
from market.core.seen import Actions, Seen
from market.core.units import UP

WORTH_MIN_JPY: Final = 1e-6
AT_BOUND_KW: Final = 1e-6

Entry = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Scarcity:
    """What is scarce in a clearing, as duals and as caps of needs left unserved.

    Tables of needs have the number of the need that is unserved at a cap as high as the price, −1
    where there is none.
    """

    element: IntArray
    """Elements on which flow has a price in some half hour, (Q,)."""
    worth_jpy_per_kwh: FloatArray
    """That price, (Q, T)."""
    flow_kw_per_kw: FloatArray
    """Flow per kW received at each place, (Q, P)."""
    sold_up_jpy: FloatArray
    sold_down_jpy: FloatArray
    """What one kW more of each resource's limit is worth, (R, T)."""
    reduced_jpy: FloatArray
    """Reduced cost of every column, (n,)."""
    local_need: IntArray
    """(Q, T)"""
    balance_need: IntArray
    """By direction (DOWN, UP) and area, (2, A, T)."""
    place_need: IntArray
    """(P, T)"""
    capacity_need: IntArray
    """By product·areas + area, (W·A, T)."""

    @classmethod
    def of(cls, clearing: Clearing, found: Prices) -> Scarcity:
        """Read it off a clearing and its prices."""
        current, snapshot = clearing.programme, clearing.snapshot
        count = snapshot.interval_count
        worth = found.rent_up_jpy_per_kwh - found.rent_down_jpy_per_kwh + found.flow_jpy_per_kwh
        worth = worth + found.call_jpy_per_kwh.sum(axis=(0, 1))
        relief = current.relief_sign[:, None] * found.relief_jpy_per_kwh
        np.add.at(worth, current.relief_element, relief)
        element = np.flatnonzero(worth.any(axis=1))
        sold = {}
        for name in ("sold_up", "sold_down"):
            sold[name] = np.zeros(len(snapshot.resource_ids) * count)
            sold[name][current.rows[name].keys] = -clearing.dual_jpy_per_kw[name]
        reduced = current.cost_jpy.copy()
        for name, rows in current.rows.items():
            reduced -= rows.matrix.T @ clearing.dual_jpy_per_kw[name]
        local, balance = snapshot.local_needs, snapshot.balance_needs
        areas = len(snapshot.network.area_ids)
        by_element = _short(
            clearing,
            (local, "local"),
            (local.where, len(snapshot.elements.ids)),
            found.relief_jpy_per_kwh[relief_group_of(current)],
        )
        return cls(
            element=element,
            worth_jpy_per_kwh=worth[element],
            flow_kw_per_kw=current.sensitivity.place[element] * snapshot.sent_per_received_ratio,
            sold_up_jpy=sold["sold_up"].reshape(-1, count),
            sold_down_jpy=sold["sold_down"].reshape(-1, count),
            reduced_jpy=reduced,
            local_need=by_element[element],
            balance_need=_short(
                clearing,
                (balance, "balance"),
                (areas * (balance.sign > 0) + balance.where, 2 * areas),
                balance.sign[:, None] * found.area_jpy_per_kwh[balance.where],
            ).reshape(2, areas, count),
            place_need=_short(
                clearing,
                (snapshot.place_needs, "place"),
                (snapshot.place_needs.where, len(snapshot.place_ids)),
                found.place_jpy_per_kwh[snapshot.place_needs.where],
            ),
            capacity_need=_short(
                clearing,
                (snapshot.capacity_needs, "capacity"),
                (snapshot.capacity_needs.where, len(snapshot.products.ids) * areas),
                found.reserve_jpy_per_kw.reshape(-1, count)[snapshot.capacity_needs.where],
            ),
        )


def _short(
    clearing: Clearing,
    of: tuple[Needs, str],
    at: tuple[IntArray, int],
    price: FloatArray,
) -> IntArray:
    """Return, per place of a kind of needs and half hour, the first need unserved at the price."""
    (needs, part), (where, width), rules = of, at, clearing.snapshot.rules
    left_kw = needs.need_kw - clearing.part_kw(part)
    cap = np.where(left_kw > rules.quantity_tick_kw / 2, needs.cap_jpy_per_kwh, -np.inf)
    is_short = cap >= price[needs.step_need] - rules.price_tick_jpy_per_kwh
    found = np.full((width, clearing.snapshot.interval_count), NONE)
    for step in range(len(needs.step_need) - 1, -1, -1):
        need = needs.step_need[step]
        found[where[need]][is_short[step]] = need
    return found


@dataclass(frozen=True, kw_only=True)
class _Chosen:
    """One action of each of n bids, and its ends, (e,) each, numbered 0 … n − 1 by `row`."""

    action: IntArray
    row: IntArray
    resource: IntArray
    t: IntArray
    weight: FloatArray
    main: IntArray
    """First end of each action, −1 if it has none, (n,)."""

    @classmethod
    def of(cls, actions: Actions, action: IntArray) -> _Chosen:
        """Pick actions by number."""
        number = np.full(len(actions.bid), NONE)
        number[action] = np.arange(len(action))
        ends = actions.ends
        mine = np.flatnonzero(number[ends.action] != NONE)
        row = number[ends.action[mine]]
        main = np.full(len(action), NONE)
        main[row[::-1]] = np.arange(len(row))[::-1]
        return cls(
            action=action,
            row=row,
            resource=ends.resource[mine],
            t=ends.t[mine],
            weight=ends.weight[mine],
            main=main,
        )

    def best_end(self, value: FloatArray) -> IntArray:
        """Return the end of greatest value of each action, −1 if it has none, (n,)."""
        order = np.lexsort((np.arange(len(value)), value))
        best = np.full(len(self.action), NONE)
        best[self.row[order]] = order
        return best


class Deciding:
    """What decided over the bids of one form.

    Parameters
    ----------
    seen, form, actions
        What its bids saw and could have done.
    scarcity
        What was scarce.
    """

    def __init__(self, seen: Seen, form: str, actions: Actions, scarcity: Scarcity) -> None:
        self.seen, self.form, self.actions, self.scarcity = seen, form, actions, scarcity
        self.ids: tuple[str, ...] = seen.book(form).ids
        self.snapshot = seen.clearing.snapshot
        current = seen.clearing.programme
        is_held = seen.clearing.is_held[current.slices[form]]
        held = np.bincount(current.forms[form].bid, weights=is_held, minlength=len(self.ids))
        self.is_held: BoolArray = held > 0

    def of_unsold(self, action: IntArray) -> list[Entry | None]:
        """Return what kept each bid from its best action not taken; None where there is none.

        Parameters
        ----------
        action
            Number of that action, −1 for none, (B,).
        """
        bid = np.flatnonzero(action != NONE)
        chosen = _Chosen.of(self.actions, action[bid])
        weight = np.zeros(len(bid))
        np.add.at(weight, chosen.row, np.abs(chosen.weight))
        unseen = self.snapshot.rules.price_tick_jpy_per_kwh * np.maximum(1.0, weight)
        gain = self.actions.gain_jpy[chosen.action]
        found: list[Entry | None] = [None] * len(self.ids)
        for rows, entries in (
            (np.arange(len(bid)), self._by_price(chosen)),
            (*self._by_congestion(chosen, gain - unseen),),
            (*self._by_path(chosen, gain - unseen),),
            (np.flatnonzero(gain > unseen), self._by_rule(chosen, bid, gain > unseen)),
        ):
            for row, entry in zip(rows.tolist(), entries, strict=True):
                found[bid[row]] = entry
        return found

    def _entry(self, kind: str, name: str, t: int | None) -> Entry:
        return {"kind": kind, "id": name, "t": t}

    def _by_price(self, chosen: _Chosen) -> Iterator[Entry]:
        """Yield, for every action, the capped need or else the price that it did not meet."""
        snapshot, scarcity = self.snapshot, self.scarcity
        t = self.actions.t[chosen.action].tolist()
        if self.form == "COMPUTE_REQUEST":
            offer = cheapest_placements(self.seen).offer
            bid = self.actions.bid[chosen.action].tolist()
            ids = self.seen.book("COMPUTE_OFFER").ids
            for row, at in zip(bid, t, strict=True):
                yield self._entry("compute", ids[offer[row, at]], at)
            return
        place = snapshot.resource_place[chosen.resource[chosen.main]]
        area = snapshot.place_area[place]
        if self.form == "CAPACITY":
            bids = self.actions.bid[chosen.action]
            where = self.seen.book("CAPACITY").product[bids] * len(snapshot.network.area_ids) + area
            need, kinds = scarcity.capacity_need[where, t], snapshot.capacity_needs
            yield from self._needs_or_prices(kinds, need, area, t)
            return
        is_up = (chosen.weight[chosen.main] > 0).astype(np.int64)
        local = self._local_need(chosen)
        at_place = np.where(is_up > 0, scarcity.place_need[place, t], NONE)
        balance = scarcity.balance_need[is_up, area, t]
        for row, (own, load, other) in enumerate(zip(local, at_place, balance, strict=True)):
            if own != NONE:
                yield self._entry("need", snapshot.local_needs.ids[own], t[row])
            elif load != NONE:
                yield self._entry("need", snapshot.place_needs.ids[load], t[row])
            elif other != NONE:
                yield self._entry("need", snapshot.balance_needs.ids[other], t[row])
            else:
                yield self._entry("price", snapshot.network.area_ids[area[row]], t[row])

    def _needs_or_prices(
        self, needs: Needs, need: IntArray, area: IntArray, t: list[int]
    ) -> Iterator[Entry]:
        for row, number in enumerate(need.tolist()):
            if number != NONE:
                yield self._entry("need", needs.ids[number], t[row])
            else:
                yield self._entry("price", self.snapshot.network.area_ids[area[row]], t[row])

    def _effects(self, chosen: _Chosen) -> Iterator[tuple[int, FloatArray]]:
        """Yield each priced element and what it adds to the price of each end, (e,)."""
        place = self.snapshot.resource_place[chosen.resource]
        scarcity = self.scarcity
        for number in range(len(scarcity.element)):
            worth = scarcity.worth_jpy_per_kwh[number, chosen.t]
            yield number, -chosen.weight * scarcity.flow_kw_per_kw[number, place] * worth

    def _local_need(self, chosen: _Chosen) -> IntArray:
        """Return the capped local need that pays most of each action's price, −1 for none, (n,)."""
        count = len(chosen.action)
        most, need = (
            np.full(count, self.snapshot.rules.price_tick_jpy_per_kwh),
            np.full(count, NONE),
        )
        t = self.actions.t[chosen.action]
        for number, effect in self._effects(chosen):
            paid = np.bincount(chosen.row, weights=effect, minlength=count)
            capped = self.scarcity.local_need[number, t]
            is_more = (paid > most) & (capped != NONE)
            most, need = np.where(is_more, paid, most), np.where(is_more, capped, need)
        return need

    def _by_congestion(self, chosen: _Chosen, gain: FloatArray) -> tuple[IntArray, list[Entry]]:
        """Return the actions that congestion alone made too dear, and the element most to blame."""
        count = len(chosen.action)
        taken, worst = np.zeros(count), np.zeros(count)
        blamed = np.full(count, NONE)
        for number, effect in self._effects(chosen):
            total = np.bincount(chosen.row, weights=effect, minlength=count)
            taken += np.minimum(total, 0.0)
            is_worse = total < worst
            worst, blamed = np.where(is_worse, total, worst), np.where(is_worse, number, blamed)
        rows = np.flatnonzero((gain <= 0) & (gain - taken > 0) & (blamed != NONE))
        if len(rows) == 0:
            return rows, []
        place = self.snapshot.resource_place[chosen.resource]
        of_end = np.maximum(blamed, 0)[chosen.row]
        worth = self.scarcity.worth_jpy_per_kwh[of_end, chosen.t]
        cost = chosen.weight * self.scarcity.flow_kw_per_kw[of_end, place] * worth
        end = chosen.best_end(cost)
        names = self.snapshot.elements.ids
        return rows, [
            self._entry(
                "element", names[self.scarcity.element[blamed[row]]], int(chosen.t[end[row]])
            )
            for row in rows
        ]

    def _by_path(self, chosen: _Chosen, gain: FloatArray) -> tuple[IntArray, list[Entry]]:
        """Return the actions that the rent of a path alone made too dear."""
        if len(self.actions.path) == 0:
            return chosen.action[:0], []
        path = self.actions.path[chosen.action]
        rent = self.actions.path_rent_jpy[chosen.action]
        rows = np.flatnonzero((gain <= 0) & (gain + rent > 0) & (path != NONE))
        t = self.actions.t[chosen.action]
        return rows, [
            self._entry("path", self.snapshot.path_ids[path[row]], int(t[row])) for row in rows
        ]

    def _by_rule(self, chosen: _Chosen, bid: IntArray, is_gain: BoolArray) -> Iterator[Entry]:
        """Yield, for every action that would have gained, the rule or limit against it."""
        scarcity = self.scarcity
        up, down = (
            part[chosen.resource, chosen.t]
            for part in (scarcity.sold_up_jpy, scarcity.sold_down_jpy)
        )
        rent = np.where(chosen.weight > 0, up, np.where(chosen.weight < 0, down, up + down))
        end = chosen.best_end(rent)
        for row in np.flatnonzero(is_gain):
            name, t = self.ids[bid[row]], int(self.actions.t[chosen.action[row]])
            if self.form == "BLOCK":
                yield self._by_integer(int(bid[row]), t)
            elif end[row] != NONE and rent[end[row]] > 0:
                resource = self.snapshot.resource_ids[chosen.resource[end[row]]]
                yield self._entry("resource", resource, int(chosen.t[end[row]]))
            elif self.is_held[bid[row]]:
                yield self._entry("integer", name, t)
            elif self.form == "CAPACITY":
                yield self._entry("reserve", name, t)
            else:
                yield self._entry("limit", name, t)

    def _by_integer(self, row: int, t: int) -> Entry:
        """Return which all-or-none rule kept out a block that would have gained."""
        book = self.seen.book("BLOCK")
        is_in = self.seen.x_kw("BLOCK", "accepted") > 0.5  # noqa: PLR2004 - a binary
        if book.group[row] != NONE:
            others = np.flatnonzero(is_in & (book.group == book.group[row]))
            others = others[others != row]
            if len(others):
                return self._entry("group", book.ids[others[0]], t)
        if book.parent[row] != NONE and not is_in[book.parent[row]]:
            return self._entry("parent", book.ids[book.parent[row]], t)
        return self._entry("integer", book.ids[row], t)

    def of_limits(self, is_asked: BoolArray) -> list[Entry | None]:
        """Return the own limit, or its resource's, that is worth most to each bid asked for.

        A bid that none of its limits holds back sold until the price left nothing to gain.
        """
        snapshot = self.snapshot
        area = snapshot.place_area[snapshot.resource_place[self.seen.book(self.form).resource]]
        found: list[Entry | None] = [
            self._entry("price", snapshot.network.area_ids[number], None) if asked else None
            for number, asked in zip(area.tolist(), is_asked.tolist(), strict=True)
        ]
        most = np.full(len(self.ids), WORTH_MIN_JPY)
        for kind, name, (bid, t, worth) in self._limits():
            order = np.lexsort((-t, worth, bid))
            last = np.flatnonzero(np.append(np.diff(bid[order]) > 0, True))
            for at in order[last] if len(order) else ():
                if worth[at] > most[bid[at]] and is_asked[bid[at]]:
                    most[bid[at]] = worth[at]
                    shown = name if isinstance(name, str) else self.snapshot.resource_ids[name[at]]
                    found[bid[at]] = self._entry(kind, shown, int(t[at]) if t[at] >= 0 else None)
        return found

    def _limits(
        self,
    ) -> Iterator[tuple[str, Any, tuple[IntArray, IntArray, FloatArray]]]:
        """Yield kind, name and (bid, t, worth in JPY) of the limits of a two-sided form."""
        clearing, form, book = self.seen.clearing, self.form, self.seen.book(self.form)
        current = clearing.programme
        block, part = current.forms[form], current.slices[form]
        x, reduced = clearing.x_kw[part], self.scarcity.reduced_jpy[part]
        lower, upper = clearing.lower_kw[part], clearing.upper_kw[part]
        full = np.where((reduced < 0) & (x > upper - AT_BOUND_KW), -reduced * upper, 0.0)
        worth = full + np.where((reduced > 0) & (x < lower + AT_BOUND_KW), reduced * lower, 0.0)
        for name, family in block.families.items():
            yield "limit", name, (block.bid[family], book.pair_t, worth[family])
        for name, own in block.own.items():
            if not own.is_equal and not own.is_joint:
                price = -clearing.dual_jpy_per_kw[f"{form}.{name}"]
                yield "limit", name, (own.bid, np.full(len(own.bid), NONE), price * own.rhs)
        for leg in block.legs:
            rent = (
                self.scarcity.sold_up_jpy if leg.direction == UP else self.scarcity.sold_down_jpy
            )[leg.resource, leg.t]
            use = (block.bid[leg.column], leg.t, rent * leg.kw_per_unit * x[leg.column])
            yield "resource", leg.resource, use

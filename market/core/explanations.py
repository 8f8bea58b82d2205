"""Why each bid was accepted or not: its margin, what decided, and where it would change sides.

For every bid of every form, from published prices and awards:

``outcome``
    ACCEPTED (all it offers, or for two-sided forms anything), PARTLY, REJECTED.
``margin_jpy_per_kwh``
    Of what was awarded, the surplus per kWh sold; of a rejected bid, the gain of its best action
    (:mod:`market.core.actions`). Null where a bid had nothing to offer.
``deciding``
    What kept it from selling (more): ``kind``, ``id`` and half hour ``t``. *price*: nobody in the
    area pays more; *need*: the cap of a need that stays unserved; *element*: congestion takes more
    than is missing; *path*: so does the rent of a path; *compute*: the price of the cheapest
    computing; *resource*: the resource's limit; *integer*, *group*, *parent*: in the money, but
    all-or-none rules decided; *quantity*: it sold all it offers; *limit*: its own limit that was
    worth most to it; *reserve*: capacity that could not be delivered if called; *eligibility*:
    nowhere is allowed.
``change_at_jpy_per_kwh``
    The ask at which it would change sides: for what is not sold the value at published prices,
    for what is sold the value of the half hour it would lose first. ``is_counterfactual`` says
    whether a bid alone with that ask would in fact change sides, prices following: so for asks on
    single half hours and for bids that sold nothing. Otherwise it is where the bid's surplus
    changes sign at published prices (blocks always, and whatever an integer decision held).

Capacity is per kW and 30 minutes: ``margin_jpy_per_kw`` and ``change_at_jpy_per_kw``, at unrounded
prices, since capacity has none published per place. ``note`` says in words what ``deciding`` means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.actions import ACTIONS
from market.core.clearing import Clearing
from market.core.deciding import Deciding, Scarcity
from market.core.legs import Leg
from market.core.offers.terms import BoolArray, FloatArray, IntArray
from market.core.pricing import Prices
from market.core.searches import NONE
from market.core.seen import Actions, Seen

DIGITS: Final = 6
TWO_SIDED: Final = ("STORAGE", "DEFERRAL", "RENEWABLE")
SOLD_LEGS: Final = (
    "STEPS",
    "BLOCK",
    "PORTFOLIO",
    "DISCHARGE",
    "DEFERRED",
    "SHIFT_OUT",
    "CURTAILED",
    "RELEASED",
    "RESERVED",
    "COMPUTE",
)
"""Legs whose energy a margin is spread over; a bid without any of them: over all its legs."""
ONE_BY_ONE: Final = ("STEPS", "RENEWABLE", "CAPACITY", "COMPUTE_OFFER", "COMPUTE_REQUEST")
"""Forms of which every half hour stands alone."""
EMPTY_NOTE: Final = "it offers nothing that could be awarded"
NOTES: Final[Mapping[str, str]] = {
    "price": "nobody in this area pays more than what it asks for more",
    "need": "the buyer's cap is what its half hour is worth, and that is less than it asks",
    "element": "congestion on this element takes more of its price than it could spare",
    "path": "the scarcity rent of this path takes more than it could spare",
    "compute": "even the cheapest computing costs more than it is worth to it",
    "resource": "its resource has no more to give",
    "integer": "it is worth its price, but all of it or none had to be chosen",
    "group": "it is worth its price, but another of its group was chosen",
    "parent": "it is worth its price, but its parent was not chosen",
    "quantity": "it sold all it offers",
    "limit": "its own limit is what it would have to raise to sell more",
    "reserve": "more of it could not be delivered if called",
    "eligibility": "nowhere is it allowed to run",
}


def explanations(
    clearing: Clearing,
    found: Prices,
    *,
    published: Mapping[str, Any],
    sold: Sequence[Leg],
) -> list[dict[str, Any]]:
    """Return the explanation of every bid, in ascending order of id.

    Parameters
    ----------
    clearing, found
        The optimum and its prices.
    published
        The result so far: ``places``, ``paths``, ``compute`` and ``requests``.
    sold
        The legs awarded.
    """
    seen = seen_of(clearing, found, published)
    scarcity = Scarcity.of(clearing, found)
    awards = _Awards.of(seen, sold)
    explained: list[dict[str, Any]] = []
    for form in clearing.programme.forms:
        if clearing.programme.forms[form].ids:
            explained += _of_form(seen, form, awards, scarcity)
    return sorted(explained, key=lambda item: str(item["bid"]))


def seen_of(clearing: Clearing, found: Prices, published: Mapping[str, Any]) -> Seen:
    """Return what bids see: prices as published."""
    snapshot = clearing.snapshot
    count = snapshot.interval_count

    def series(kind: str, name: str) -> FloatArray:
        rows = [item[name] for item in published[kind]]
        return np.array(rows, dtype=np.float64).reshape(-1, count)

    path_jpy = series("paths", "price_jpy_per_gb")
    return Seen(
        clearing=clearing,
        place_jpy_per_kwh=series("places", "price_jpy_per_kwh"),
        reserved_jpy_per_kw=found.reserved_jpy_per_kw,
        compute_jpy_per_kwh=series("compute", "price_jpy_per_kwh"),
        request_jpy_per_kwh=series("requests", "price_jpy_per_kwh"),
        request_served_kw=series("requests", "served_kw"),
        path_jpy_per_gb=path_jpy,
        path_rent_jpy_per_gb=path_jpy - snapshot.tariff_jpy_per_gb[:, None],
    )


@dataclass(frozen=True, kw_only=True)
class _Awards:
    """What each bid was awarded, by id."""

    kw: Mapping[str, FloatArray]
    """kW of its sold legs, (T,)."""
    amount: Mapping[str, float]
    """kWh (kW·30 min of capacity) its margin is spread over."""
    surplus_jpy: Mapping[str, float]
    cost_jpy: Mapping[str, float]
    """What was asked for it."""

    @classmethod
    def of(cls, seen: Seen, sold: Sequence[Leg]) -> _Awards:
        """Add up legs per bid; requests are awarded without legs."""
        kw: dict[str, FloatArray] = {}
        amount: dict[str, list[float]] = {}
        surplus: dict[str, float] = {}
        cost: dict[str, float] = {}
        for leg in sold:
            energy = float(leg.priced_quantity.sum())
            both = amount.setdefault(leg.bid, [0.0, 0.0])
            both[1] += energy
            if leg.name in SOLD_LEGS:
                both[0] += energy
                kw[leg.bid] = kw.get(leg.bid, 0.0) + leg.quantity_kw
            gain_jpy = leg.receipt_jpy + leg.computing_jpy - leg.cost_jpy - leg.path_jpy
            surplus[leg.bid] = surplus.get(leg.bid, 0.0) + gain_jpy
            cost[leg.bid] = cost.get(leg.bid, 0.0) + leg.cost_jpy
        spread = {bid: main or other for bid, (main, other) in amount.items()}
        offers = seen.book("COMPUTE_OFFER")
        for bid, pue in zip(offers.ids, offers.pue_ratio.tolist(), strict=True):
            if bid in spread:
                spread[bid] /= pue
                kw[bid] = kw[bid] / pue
        requests = seen.book("COMPUTE_REQUEST")
        margin = requests.value_jpy_per_kwh[:, None] - np.nan_to_num(seen.request_jpy_per_kwh)
        for row, bid in enumerate(requests.ids):
            if seen.request_served_kw[row].any():
                kw[bid] = seen.request_served_kw[row]
                spread[bid] = seen.h * float(kw[bid].sum())
                surplus[bid] = seen.h * float(margin[row] @ kw[bid])
        return cls(kw=kw, amount=spread, surplus_jpy=surplus, cost_jpy=cost)


def offered_kw(seen: Seen, form: str) -> FloatArray:
    """Return what each bid of a one-sided form offers in each half hour, (B, T)."""
    book, count = seen.book(form), seen.count
    offered = np.zeros((len(book.ids), count))
    if form in ("STEPS", "CAPACITY"):
        quantity = book.quantity_kw[book.pair_step if form == "STEPS" else book.pair_offer]
        np.add.at(offered, (book.pair_bid, book.pair_t), quantity)
    elif form == "BLOCK":
        offered[book.pair_bid, book.pair_t] = book.quantity_kw
    elif form == "SHIFT":
        pair = book.offer_pair
        np.add.at(offered, (book.offer_bid[pair], book.offer_pair_t), book.quantity_kw[pair])
    elif form == "PORTFOLIO":
        step, limit_kw = book.pair_step, np.zeros(offered.shape)
        np.add.at(offered, (book.bid[step], book.pair_t), book.quantity_kw[step])
        np.add.at(limit_kw, book.member_bid, book.limit_kw)
        offered = np.minimum(offered, limit_kw)
    elif form == "COMPUTE_OFFER":
        offered = offered + book.capacity_kw
    elif form == "COMPUTE_REQUEST":
        offered = offered + book.quantity_kw
    return offered


def _outcomes(seen: Seen, form: str, awards: _Awards) -> list[str]:
    """Return the outcome of each bid of a form."""
    ids = seen.book(form).ids
    if form in TWO_SIDED:
        return ["ACCEPTED" if name in awards.amount else "REJECTED" for name in ids]
    missed_kw = offered_kw(seen, form)
    for row, name in enumerate(ids):
        if name in awards.kw:
            missed_kw[row] = missed_kw[row] - awards.kw[name]
    tick_kw = seen.clearing.snapshot.rules.quantity_tick_kw
    is_whole = np.asarray((missed_kw < tick_kw).all(axis=1))
    return [
        "REJECTED" if name not in awards.amount else "ACCEPTED" if whole else "PARTLY"
        for name, whole in zip(ids, is_whole.tolist(), strict=True)
    ]


def _of_form(seen: Seen, form: str, awards: _Awards, scarcity: Scarcity) -> list[dict[str, Any]]:
    """Return the explanations of a form's bids."""
    ids, actions = seen.book(form).ids, ACTIONS[form](seen)
    outcomes = _outcomes(seen, form, awards)
    best = _greatest(actions, actions.gain_jpy, actions.is_open, len(ids))
    first_lost = _greatest(actions, -actions.gain_jpy, actions.is_sold, len(ids))
    is_whole = np.array([outcome == "ACCEPTED" for outcome in outcomes])
    why = Deciding(seen, form, actions, scarcity)
    unsold = why.of_unsold(np.where(is_whole, NONE, best))
    is_limited = is_whole if form in TWO_SIDED else np.zeros(len(ids), dtype=bool)
    limits = why.of_limits(is_limited) if is_limited.any() else [None] * len(ids)
    sale = _Sale(form=form, actions=actions, awards=awards)
    explained = []
    for row, (name, outcome) in enumerate(zip(ids, outcomes, strict=True)):
        at = int(best[row]), int(first_lost[row])
        deciding = unsold[row] or limits[row] or sale.otherwise(name, outcome, at[1])
        margin, change_at = sale.figures(name, outcome, at)
        unit = "jpy_per_kw" if form == "CAPACITY" else "jpy_per_kwh"
        is_empty = outcome == "REJECTED" and deciding["kind"] == "quantity"
        note = EMPTY_NOTE if is_empty else NOTES[deciding["kind"]]
        explained.append(
            {
                "bid": name,
                "outcome": outcome,
                f"margin_{unit}": margin,
                "deciding": deciding,
                f"change_at_{unit}": change_at,
                "is_counterfactual": change_at is not None
                and _is_exact(form, outcome)
                and not bool(why.is_held[row]),
                "note": note,
            }
        )
    return explained


def _greatest(actions: Actions, value: FloatArray, is_allowed: BoolArray, bids: int) -> IntArray:
    """Return the allowed action of greatest value of each bid, the earliest of equals; −1 if none.

    Equal means to the last digit shown.
    """
    allowed = np.flatnonzero(is_allowed)
    shown = np.round(value[allowed], DIGITS)
    order = allowed[np.lexsort((-allowed, -actions.t[allowed], shown))]
    found = np.full(bids, NONE)
    found[actions.bid[order]] = order
    return found


def _is_exact(form: str, outcome: str) -> bool:
    """Return whether the change-over is that of the auction and not of published prices alone."""
    return form in ONE_BY_ONE or (outcome == "REJECTED" and form != "BLOCK")


@dataclass(frozen=True, kw_only=True)
class _Sale:
    """What the bids of a form were awarded and could have done."""

    form: str
    actions: Actions
    awards: _Awards

    def figures(
        self, name: str, outcome: str, at: tuple[int, int]
    ) -> tuple[float | None, float | None]:
        """Return margin and change-over of a bid, given its best action and the first it loses."""
        best, first_lost = at
        awards = self.awards
        amount = awards.amount.get(name, 0.0)
        margin = awards.surplus_jpy[name] / amount if amount else None
        if outcome == "REJECTED":
            margin = None if best == NONE else float(self.actions.gain_jpy[best])
        change_at = None
        if outcome != "ACCEPTED" and best != NONE:
            change_at = self._value(best)
        elif self.form in ONE_BY_ONE and first_lost != NONE:
            change_at = self._value(first_lost)
        elif margin is not None and name in awards.kw:
            change_at = margin + awards.cost_jpy[name] / amount
        return _shown(margin), _shown(change_at)

    def _value(self, action: int) -> float:
        """Return the ask at which an action would gain nothing; a request's value likewise."""
        gain = float(self.actions.gain_jpy[action])
        return float(self.actions.ask_jpy[action]) + (
            -gain if self.form == "COMPUTE_REQUEST" else gain
        )

    def otherwise(self, name: str, outcome: str, first_lost: int) -> dict[str, Any]:
        """Return what decided where no action was left to take."""
        if outcome == "REJECTED" and self.form in ("SHIFT", "COMPUTE_REQUEST"):
            return {"kind": "eligibility", "id": name, "t": None}
        t = None if first_lost == NONE else int(self.actions.t[first_lost])
        return {"kind": "quantity", "id": name, "t": t}


def _shown(figure: float | None) -> float | None:
    return None if figure is None else round(figure, DIGITS) + 0.0

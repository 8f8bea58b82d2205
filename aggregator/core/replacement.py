"""Who stands in when a site does not act: the merit order after the auction.

The offers that were not accepted are asked again, cheapest first. An offer may stand in
for a lost action if

1. it acts in the same direction and in the same area, so that the area's balance is kept;
2. on every element whose need the lost action served, one kilowatt of it relieves at least
   as much;
3. no element is brought beyond its rating by it, nor an overloaded one further beyond;
4. it asks no more than the needs that were served would have paid at most.

Each half hour is filled on its own, which is why only step curves stand in: blocks, storage
and shifts tie half hours or places together and were cleared as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from accounts.core.errors import ensure

FloatArray = NDArray[np.float64]

TICK_KW: Final = Decimal("0.1")
TICK_JPY_PER_KWH: Final = Decimal("0.01")
TOLERANCE_KW_PER_KW: Final = 1e-9
ZERO: Final = Decimal(0)


@dataclass(frozen=True, kw_only=True)
class Step:
    """What is left of one step of an offer in one half hour."""

    quantity_kw: Decimal
    ask_jpy_per_kwh: Decimal


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The action that is not going to happen.

    Parameters
    ----------
    area
        Code of its balancing area.
    sign
        +1 for UP, −1 for DOWN.
    sent_per_received_ratio
        Kilowatts at the sending end per kilowatt at the receiving end.
    sensitivity_kw_per_kw
        Change of flow per kilowatt injected, by element; absent is 0.
    quantity_kw
        Lost power at the receiving end, shape (T,). [kW]
    price_max_jpy_per_kwh
        What the needs it served would pay at most, shape (T,). [JPY/kWh]
    """

    area: str
    sign: int
    sent_per_received_ratio: float
    sensitivity_kw_per_kw: Mapping[str, float]
    quantity_kw: Sequence[Decimal]
    price_max_jpy_per_kwh: Sequence[Decimal]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """An offer with what it and its resource have left.

    Parameters
    ----------
    key
        Name that comes back in :class:`StandIn`; equal asks are taken in its order.
    steps
        By half hour, cheapest first; shape (T, ≤ 20).
    left_kw
        What the resource can still do in this direction, shape (T,). [kW]
    """

    key: str
    resource: str
    area: str
    sign: int
    sent_per_received_ratio: float
    sensitivity_kw_per_kw: Mapping[str, float]
    steps: Sequence[Sequence[Step]]
    left_kw: Sequence[Decimal]


@dataclass(frozen=True, kw_only=True)
class Element:
    """A monitored element as it stands without the lost action.

    Parameters
    ----------
    flow_kw
        Expected flow, shape (T,). [kW]
    relieved_sign
        +1 or −1 where a need to reduce flow of that sign was served, else 0; shape (T,).
    """

    code: str
    rating_kw: float
    flow_kw: FloatArray
    relieved_sign: Sequence[int]


@dataclass(kw_only=True)
class StandIn:
    """Part of an offer that stands in; half hours without it are absent."""

    key: str
    quantity_kw: dict[int, Decimal] = field(default_factory=dict)
    cost_jpy_per_h: dict[int, Decimal] = field(default_factory=dict)

    def price_jpy_per_kwh(self, t: int) -> Decimal:
        """Pay-as-bid price of half hour `t`: the mean ask, never below it after rounding."""
        mean = self.cost_jpy_per_h[t] / self.quantity_kw[t]
        return mean.quantize(TICK_JPY_PER_KWH, rounding=ROUND_CEILING)


def stand_ins(
    loss: Loss, offers: Sequence[Offer], elements: Sequence[Element]
) -> tuple[StandIn, ...]:
    """Fill the lost quantity from the merit order, half hour by half hour.

    Parameters
    ----------
    loss
        What is lost, over T half hours.
    offers
        What is left of the book; any order.
    elements
        All monitored elements.

    Returns
    -------
    tuple
        Stand-ins in the order of their keys; empty if no offer is suitable. They may cover
        less than was lost.

    Notes
    -----
    A kilowatt lost at the receiving end is ``r`` kilowatts at the sending end, so an offer
    with the ratio ``r'`` gives ``r / r'`` kilowatts for it, rounded up to 0.1 kW.
    """
    resources: dict[str, list[Decimal]] = {}
    for offer in offers:
        left = [Decimal(value) for value in offer.left_kw]
        known = resources.setdefault(offer.resource, left)
        ensure(known == left, f"two figures of what resource {offer.resource} has left")
    found: dict[str, StandIn] = {}
    for t, lost_kw in enumerate(loss.quantity_kw):
        if lost_kw > 0:
            _fill(t, loss, offers, elements, resources, found)
    return tuple(found[key] for key in sorted(found))


def _fill(
    t: int,
    loss: Loss,
    offers: Sequence[Offer],
    elements: Sequence[Element],
    resources: dict[str, list[Decimal]],
    found: dict[str, StandIn],
) -> None:
    flow_kw = {element.code: float(element.flow_kw[t]) for element in elements}
    missing_kw = float(loss.quantity_kw[t]) * loss.sent_per_received_ratio
    suitable = [offer for offer in offers if _is_suitable(offer, loss, elements, t)]
    merit = sorted(
        (step.ask_jpy_per_kwh, offer.key, number)
        for offer in suitable
        for number, step in enumerate(offer.steps[t])
        if step.ask_jpy_per_kwh <= loss.price_max_jpy_per_kwh[t]
    )
    by_key = {offer.key: offer for offer in suitable}
    for ask_jpy_per_kwh, key, number in merit:
        offer = by_key[key]
        ratio = offer.sent_per_received_ratio
        wanted = _to_tick(missing_kw / ratio, ROUND_CEILING)
        room = _to_tick(_room_kw(offer, elements, flow_kw), ROUND_FLOOR)
        left = resources[offer.resource]
        taken = min(offer.steps[t][number].quantity_kw, left[t], wanted, room)
        if taken < TICK_KW:
            continue
        left[t] -= taken
        missing_kw -= float(taken) * ratio
        for code, change_kw in _changes(offer, elements).items():
            flow_kw[code] += change_kw * float(taken)
        stand_in = found.setdefault(key, StandIn(key=key))
        stand_in.quantity_kw[t] = stand_in.quantity_kw.get(t, ZERO) + taken
        cost = stand_in.cost_jpy_per_h.get(t, ZERO) + taken * ask_jpy_per_kwh
        stand_in.cost_jpy_per_h[t] = cost
        if missing_kw <= 0:
            break


def _is_suitable(offer: Offer, loss: Loss, elements: Sequence[Element], t: int) -> bool:
    if (offer.area, offer.sign) != (loss.area, loss.sign):
        return False
    for element in elements:
        need_sign = element.relieved_sign[t]
        if not need_sign:
            continue
        # relief per kilowatt sent: the flow moves against the sign of the need
        lost = -need_sign * loss.sign * loss.sensitivity_kw_per_kw.get(element.code, 0.0)
        offered = -need_sign * offer.sign * offer.sensitivity_kw_per_kw.get(element.code, 0.0)
        if lost > TOLERANCE_KW_PER_KW and offered < lost - TOLERANCE_KW_PER_KW:
            return False
    return True


def _changes(offer: Offer, elements: Sequence[Element]) -> dict[str, float]:
    """Return the change of each element's flow per kilowatt received of the offer."""
    return _change_per_kw(
        offer.sign * offer.sent_per_received_ratio, offer.sensitivity_kw_per_kw, elements
    )


def _change_per_kw(
    scale: float, sensitivity: Mapping[str, float], elements: Sequence[Element]
) -> dict[str, float]:
    return {e.code: scale * sensitivity.get(e.code, 0.0) for e in elements}


def _room_kw(offer: Offer, elements: Sequence[Element], flow_kw: Mapping[str, float]) -> float:
    return _room(_changes(offer, elements), elements, flow_kw)


def _room(
    changes: Mapping[str, float], elements: Sequence[Element], flow_kw: Mapping[str, float]
) -> float:
    """Return how much fits before an element passes its rating, or moves further beyond it.

    An element beyond its rating lets nothing through that worsens it.
    """
    room = float("inf")
    for element in elements:
        change, flow = changes[element.code], flow_kw[element.code]
        if abs(change) <= TOLERANCE_KW_PER_KW:
            continue
        toward = flow if change > 0 else -flow
        room = min(room, max(0.0, element.rating_kw - toward) / abs(change))
    return room


def room_kw(
    *,
    sign: int,
    sent_per_received_ratio: float,
    sensitivity_kw_per_kw: Mapping[str, float],
    elements: Sequence[Element],
    t: int,
) -> Decimal:
    """Return how much more a place can act in half hour `t` without overloading an element [kW].

    Parameters
    ----------
    sign
        +1 for UP, −1 for DOWN.
    sent_per_received_ratio, sensitivity_kw_per_kw
        Of the place, as in :class:`Offer`.
    elements
        All monitored elements as they stand.
    """
    changes = _change_per_kw(sign * sent_per_received_ratio, sensitivity_kw_per_kw, elements)
    flow_kw = {element.code: float(element.flow_kw[t]) for element in elements}
    return _to_tick(_room(changes, elements, flow_kw), ROUND_FLOOR)


def _to_tick(value_kw: float, rounding: str) -> Decimal:
    if value_kw == float("inf"):
        return Decimal("Infinity")
    # a billionth of a kilowatt is float noise: it must neither add nor cost a tick
    ticks = (Decimal(repr(round(value_kw, 9))) / TICK_KW).quantize(Decimal(1), rounding=rounding)
    return max(ZERO, ticks * TICK_KW)


def covered_ratio(loss: Loss, offers: Sequence[Offer], found: Sequence[StandIn]) -> float:
    """Return the share of the lost energy, at the sending end, that the stand-ins give."""
    ratio: dict[str, Any] = {offer.key: offer.sent_per_received_ratio for offer in offers}
    lost_kw = sum(float(kw) for kw in loss.quantity_kw) * loss.sent_per_received_ratio
    given_kw = sum(
        float(kw) * ratio[stand_in.key]
        for stand_in in found
        for kw in stand_in.quantity_kw.values()
    )
    return min(1.0, given_kw / lost_kw) if lost_kw > 0 else 0.0

"""What an offer means: kW over the day, what it costs to be wrong, what past prices would pay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from statistics import quantiles
from typing import Any, Final

from aggregator.core.terms import SettlementRules
from aggregator.core.value_of_compute import (
    CostStep,
    battery_jpy_per_kwh,
    deferral_jpy_per_kwh,
    floor_at,
    power_cap_steps,
    stop_jpy_per_kwh,
)
from market.registry.models import Resource, WorkloadClass
from market.trading.models import BidForm, Direction, Mechanism

HALF_HOURS: Final = 48
H: Final = Decimal("0.5")
ZERO: Final = Decimal(0)
SHORTFALL_RATIOS: Final = (Decimal("0.1"), Decimal("0.3"), Decimal(1))
RATIO_STEPS: Final = 1_000
# wear of cells as a share of their replacement; an existing UPS has less
WEAR_DEFAULT_JPY_PER_KWH: Final = Decimal(3)
ENDS: Final = 2  # prices a band needs at least

Content = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """Change of load in kW at t = 0…47 if all of an offer is taken; less load is negative."""

    kw: Sequence[Decimal]

    @property
    def less_kwh(self) -> Decimal:
        """Energy that is not used."""
        return -H * sum((kw for kw in self.kw if kw < 0), ZERO)

    @property
    def more_kwh(self) -> Decimal:
        """Energy that is used besides: charged, caught up, taken."""
        return H * sum((kw for kw in self.kw if kw > 0), ZERO)

    @property
    def peak_kw(self) -> Decimal:
        """Largest change."""
        return max((abs(kw) for kw in self.kw), default=ZERO)


def effect_of(form: str, content: Content, prices: Sequence[Decimal] | None) -> Effect:
    """Return what an offer does over the day if all of it is taken.

    Parameters
    ----------
    prices
        A day's prices, by which a store is charged cheap and discharged dear; None: in the order
        of the half hours.
    """
    kw = [ZERO] * HALF_HOURS
    if form == BidForm.STEPS:
        _stepped(content, kw)
    elif form == BidForm.BLOCK:
        for i, text in enumerate(content["quantity_kw"]):
            kw[content["first_t"] + i] = _signed(content, Decimal(text))
    elif form == BidForm.SHIFT:
        for offer in content["offers"]:
            for t in range(offer["first_t"], offer["last_t"] + 1):
                kw[t] -= Decimal(offer["quantity_kw"])
    elif form == BidForm.DEFERRAL:
        _deferred(content, kw)
    elif form == BidForm.STORAGE:
        _stored(content, kw, prices)
    return Effect(kw=kw)


def _stepped(content: Content, kw: list[Decimal]) -> None:
    for curve in content["curves"]:
        total = sum((Decimal(step["quantity_kw"]) for step in curve["steps"]), ZERO)
        for t in range(curve["first_t"], curve["last_t"] + 1):
            kw[t] += _signed(content, total)


def _signed(content: Content, kw: Decimal) -> Decimal:
    return -kw if content["direction"] == Direction.UP else kw


def _deferred(content: Content, kw: list[Decimal]) -> None:
    """Let everything wait as long as it may, then catch up within the limits."""
    first, backlog = content["first_t"], ZERO
    slack = content["slack_count"]
    arriving = [Decimal(text) for text in content["arriving_kw"]]
    limits = [Decimal(text) for text in content["service_limit_kw"]]
    rebound = Decimal(content["rebound_limit_kw"])
    extra = 1 + Decimal(content["extra_work_ratio"])
    waits = min(slack, max(1, len(arriving) // 2))
    for i, (arrives, limit) in enumerate(zip(arriving, limits, strict=True)):
        if i < waits:
            backlog += arrives * extra
            kw[first + i] = -arrives
        else:
            more = min(backlog, limit - arrives, rebound)
            backlog -= more
            kw[first + i] = more


def _stored(content: Content, kw: list[Decimal], prices: Sequence[Decimal] | None) -> None:
    """Charge in the cheap half hours, discharge in the dear ones, once a day within the store."""
    first, last = content["first_t"], content["last_t"]
    window = list(range(first, last + 1))
    by_price = sorted(window, key=lambda t: (prices[t], t)) if prices else window
    out_kw, in_kw = Decimal(content["discharge_limit_kw"]), Decimal(content["charge_limit_kw"])
    room = Decimal(content["energy_limit_kwh"]) - Decimal(content["reserve_kwh"])
    usable = room * min(Decimal(1), Decimal(content["cycles_max"]))
    out_each = out_kw * H / Decimal(content["discharge_efficiency_ratio"])
    in_each = in_kw * H * Decimal(content["charge_efficiency_ratio"])
    count_out = int(usable / out_each) if out_each else 0
    count_in = int(usable / in_each) if in_each else 0
    half = len(window) // 2
    for t in by_price[len(by_price) - min(count_out, half) :]:
        kw[t] = -out_kw
    for t in by_price[: min(count_in, half)]:
        kw[t] = in_kw


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A step curve for the picture and the totals; steps by rising price."""

    steps: Sequence[tuple[Decimal, Decimal]]
    first_t: int
    last_t: int
    is_up: bool

    @property
    def total_kw(self) -> Decimal:
        """All steps."""
        return sum((kw for kw, _ in self.steps), ZERO)

    @property
    def mean_jpy_per_kwh(self) -> Decimal | None:
        """Mean price by quantity."""
        total = self.total_kw
        return sum((kw * ask for kw, ask in self.steps), ZERO) / total if total else None

    @property
    def count(self) -> int:
        """Half hours."""
        return self.last_t - self.first_t + 1

    def sold_kw(self, price: Decimal) -> Decimal:
        """Return how much of it a price takes."""
        if self.is_up:
            return sum((kw for kw, ask in self.steps if ask <= price), ZERO)
        return sum((kw for kw, ask in self.steps if ask >= price), ZERO)


def curve_of(content: Content) -> Curve:
    """Return the curve of an offer in steps."""
    row = content["curves"][0]
    steps = [(Decimal(s["quantity_kw"]), Decimal(s["ask_jpy_per_kwh"])) for s in row["steps"]]
    is_up = content["direction"] == Direction.UP
    return Curve(
        steps=sorted(steps, key=lambda step: step[1] if is_up else -step[1]),
        first_t=row["first_t"],
        last_t=row["last_t"],
        is_up=is_up,
    )


@dataclass(frozen=True, kw_only=True)
class PastDay:
    """What an offer would have earned on one day [JPY]."""

    day: date
    received_jpy: Decimal
    cost_jpy: Decimal
    sold_kwh: Decimal

    @property
    def gain_jpy(self) -> Decimal:
        """What is left."""
        return self.received_jpy - self.cost_jpy


def past_days(
    curve: Curve, floors: Sequence[CostStep], prices: Mapping[date, Sequence[Decimal]]
) -> list[PastDay]:
    """Return what the curve would have earned at the published prices of each day.

    An offer alone does not move a price here: a large one would have earned less. Without a cost
    floor, an asked price counts as the cost.
    """
    found = []
    for day, series in prices.items():
        received = cost = sold = ZERO
        for t in range(curve.first_t, curve.last_t + 1):
            kw = curve.sold_kw(series[t])
            sold += kw * H
            received += kw * H * (series[t] if curve.is_up else -series[t])
            cost += H * _cost_jpy_per_h(curve, floors, kw)
        found.append(PastDay(day=day, received_jpy=received, cost_jpy=cost, sold_kwh=sold))
    return found


def _cost_jpy_per_h(curve: Curve, floors: Sequence[CostStep], kw: Decimal) -> Decimal:
    if not curve.is_up:
        return ZERO
    asked = [CostStep(quantity_kw=q, cost_jpy_per_kwh=a) for q, a in curve.steps]
    return cost_jpy_per_h(floors or asked, kw)


def cost_jpy_per_h(floors: Sequence[CostStep], kw: Decimal) -> Decimal:
    """Return what an hour of a power costs along a curve; beyond its end, at its last cost."""
    left, total = kw, ZERO
    for step in floors:
        used = min(left, step.quantity_kw)
        total += used * step.cost_jpy_per_kwh
        left -= used
    return total + left * floors[-1].cost_jpy_per_kwh if left > 0 and floors else total


def band(
    prices: Mapping[date, Sequence[Decimal]], first_t: int, last_t: int
) -> tuple[Decimal, Decimal] | None:
    """Return P10 and P90 of past prices in a window."""
    values = [series[t] for series in prices.values() for t in range(first_t, last_t + 1)]
    if len(values) < ENDS:
        return None
    cuts = quantiles(values, n=10, method="inclusive")
    return cuts[0], cuts[-1]


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """What it costs to deliver less than was sold [JPY a day]."""

    ratio: Decimal
    missing_kw: Decimal
    cost_jpy: Decimal


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Cost of being wrong, at a price."""

    price_jpy_per_kwh: Decimal
    rows: Sequence[Wrong]
    break_even_ratio: Decimal | None
    """Share missing at which nothing is left; None if there is no gain to lose."""


def risk_of(
    kwh: Decimal, kw: Decimal, *, price: Decimal, gain_jpy: Decimal, rules: SettlementRules
) -> Risk:
    """Return what shares of a sale that are not delivered cost, by the settlement's rules.

    Missing energy is not paid; beyond the tolerance it costs (k − 1) times its price besides.
    Nothing missing is taken as saving its cost: work that was not cut was not planned for.
    """

    def cost(ratio: Decimal) -> Decimal:
        excess = max(ZERO, ratio - rules.tolerance_ratio)
        lost = max(ZERO, price) * ratio
        return kwh * (lost + (rules.penalty_factor_ratio - 1) * abs(price) * excess)

    break_even = None
    if gain_jpy > 0:
        tries = (Decimal(i) / RATIO_STEPS for i in range(1, RATIO_STEPS + 1))
        break_even = next((ratio for ratio in tries if cost(ratio) >= gain_jpy), None)
    rows = [
        Wrong(ratio=ratio, missing_kw=kw * ratio, cost_jpy=cost(ratio))
        for ratio in SHORTFALL_RATIOS
    ]
    return Risk(price_jpy_per_kwh=price, rows=rows, break_even_ratio=break_even)


def cost_floors(
    resource: Resource,
    mechanism: str,
    work: WorkloadClass | None,
    *,
    charge_jpy_per_kwh: Decimal | None = None,
    displaced_ratio: Decimal | None = None,
) -> list[CostStep]:
    """Return the cost curve of a mechanism at a resource, from what is registered of it.

    Parameters
    ----------
    work
        Class of work that is cut; a load without one has no value to compute from.
    charge_jpy_per_kwh
        What charging costs; None: it is not counted.
    displaced_ratio
        Share of deferred work that displaces paid work; None: the default.
    """
    limit = resource.limit_up_kw
    if mechanism == Mechanism.BATTERY:
        store = getattr(resource, "storage", None)
        efficiency = (
            store.charge_efficiency_ratio * store.discharge_efficiency_ratio
            if store is not None
            else Decimal(1)
        )
        cost = battery_jpy_per_kwh(
            wear_jpy_per_kwh=WEAR_DEFAULT_JPY_PER_KWH,
            charge_jpy_per_kwh=charge_jpy_per_kwh or ZERO,
            efficiency_ratio=efficiency,
        )
        return [CostStep(quantity_kw=limit, cost_jpy_per_kwh=cost)]
    if work is None:
        return []
    value, power = work.value_jpy_per_kwh, min(work.power_kw, limit)
    if mechanism == Mechanism.POWER_CAP:
        return power_cap_steps(value, power_kw=power, kind=work.kind)
    if mechanism == Mechanism.DEFERRAL:
        more = {} if displaced_ratio is None else {"displaced_ratio": displaced_ratio}
        return [CostStep(quantity_kw=power, cost_jpy_per_kwh=deferral_jpy_per_kwh(value, **more))]
    if mechanism == Mechanism.STOP:
        return [CostStep(quantity_kw=power, cost_jpy_per_kwh=stop_jpy_per_kwh(value))]
    return []


def margins(curve: Curve, floors: Sequence[CostStep]) -> list[Decimal | None]:
    """Return how far each step asks above the floor of its last kW."""
    found: list[Decimal | None] = []
    total = ZERO
    for kw, ask in curve.steps:
        total += kw
        floor = floor_at(floors, total)
        found.append(None if floor is None else ask - floor)
    return found

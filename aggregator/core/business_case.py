"""Whether selling flexibility pays: a year at past prices, and the years of an investment.

An hour's energy is sold where it is dear enough, as an offer in steps would be; what it costs is
the cost curve of :mod:`.value_of_compute`. Prices are taken as they were: an offer of this size
does not move them here. All amounts are JPY; years are equal, and money comes at their ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from aggregator.core.value_of_compute import CostStep

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
HALF_HOUR_H: Final = Decimal("0.5")
RATE_LOW: Final = Decimal("-0.99")
RATE_HIGH: Final = Decimal(10)
HALVINGS: Final = 60
TURN: Final = Decimal("0.2")


@dataclass(frozen=True, kw_only=True)
class DayEarned:
    """What one past day would have brought."""

    received_jpy: Decimal
    cost_jpy: Decimal
    sold_kwh: Decimal

    @property
    def gain_jpy(self) -> Decimal:
        """What is left."""
        return self.received_jpy - self.cost_jpy


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What a business case rests on.

    Parameters
    ----------
    day_count
        Days a year on which the flexibility is offered.
    missing_ratio
        Share of what is sold that is not delivered: it is not paid, beyond the tolerance it costs
        (k − 1) times its price besides, and its cost is not saved.
    tolerance_ratio, penalty_factor_ratio, fee_ratio
        Of the settlement rules.
    capital_jpy, fixed_jpy
        Paid once at the beginning; paid each year.
    year_count, discount_ratio
        How long it is used, and what a year's waiting costs.
    """

    day_count: Decimal
    missing_ratio: Decimal
    tolerance_ratio: Decimal
    penalty_factor_ratio: Decimal
    fee_ratio: Decimal
    capital_jpy: Decimal
    fixed_jpy: Decimal
    year_count: int
    discount_ratio: Decimal


@dataclass(frozen=True, kw_only=True)
class BusinessCase:
    """A year of it by item, and what the years come to."""

    terms: Terms
    sold_kwh: Decimal
    received_jpy: Decimal
    cost_jpy: Decimal

    @property
    def unpaid_jpy(self) -> Decimal:
        """What is sold, not delivered and so not paid."""
        return self.received_jpy * self.terms.missing_ratio

    @property
    def penalty_jpy(self) -> Decimal:
        """What missing more than the tolerance costs besides."""
        beyond = max(ZERO, self.terms.missing_ratio - self.terms.tolerance_ratio)
        return self.received_jpy * beyond * (self.terms.penalty_factor_ratio - ONE)

    @property
    def fee_jpy(self) -> Decimal:
        """The aggregator's fee on what is paid."""
        return max(ZERO, self.received_jpy - self.unpaid_jpy) * self.terms.fee_ratio

    @property
    def net_jpy(self) -> Decimal:
        """What a year leaves."""
        paid = self.received_jpy - self.unpaid_jpy - self.penalty_jpy - self.fee_jpy
        return paid - self.cost_jpy - self.terms.fixed_jpy

    @property
    def value_jpy(self) -> Decimal:
        """What all years are worth today, less the capital."""
        return value_of_years(self.net_jpy, self.terms, self.terms.discount_ratio)

    @property
    def payback_years(self) -> Decimal | None:
        """Years until the capital is back, without interest; None without one or if never."""
        if self.terms.capital_jpy <= 0 or self.net_jpy <= 0:
            return None
        return self.terms.capital_jpy / self.net_jpy

    @property
    def return_ratio(self) -> Decimal | None:
        """Internal rate of return; None without a capital, or where years never bring it back."""
        if self.terms.capital_jpy <= 0 or self.net_jpy <= 0:
            return None
        low, high = RATE_LOW, RATE_HIGH
        if value_of_years(self.net_jpy, self.terms, high) > 0:
            return None
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if value_of_years(self.net_jpy, self.terms, middle) > 0:
                low = middle
            else:
                high = middle
        return high

    @property
    def cost_jpy_per_kwh(self) -> Decimal | None:
        """What a delivered kWh costs with its share of capital and fixed costs; None if none is."""
        delivered = self.sold_kwh * (ONE - self.terms.missing_ratio)
        if delivered <= 0:
            return None
        yearly = self.terms.capital_jpy / annuity(self.terms.discount_ratio, self.terms.year_count)
        return (yearly + self.terms.fixed_jpy + self.cost_jpy) / delivered


def annuity(rate: Decimal, year_count: int) -> Decimal:
    """Return what one yen at the end of each year is worth today."""
    if rate == 0:
        return Decimal(year_count)
    return (ONE - (ONE + rate) ** -year_count) / rate


def value_of_years(yearly_jpy: Decimal, terms: Terms, rate: Decimal) -> Decimal:
    """Return what equal years are worth today at a rate, less the capital."""
    return yearly_jpy * annuity(rate, terms.year_count) - terms.capital_jpy


def day_earned(
    prices_jpy_per_kwh: Sequence[Decimal], steps: Sequence[CostStep], *, longest_h: Decimal
) -> DayEarned:
    """Sell in a day's dearest half hours what costs less than its price.

    Parameters
    ----------
    prices_jpy_per_kwh
        At the place, one per half hour.
    steps
        Cost curve in rising order.
    longest_h
        For how long a day it can be delivered.
    """
    count = int(longest_h / HALF_HOUR_H)
    received = cost = sold = ZERO
    for price in sorted(prices_jpy_per_kwh, reverse=True)[:count]:
        for step in steps:
            if step.cost_jpy_per_kwh < price:
                kwh = step.quantity_kw * HALF_HOUR_H
                sold += kwh
                received += kwh * price
                cost += kwh * step.cost_jpy_per_kwh
    return DayEarned(received_jpy=received, cost_jpy=cost, sold_kwh=sold)


def stored_day_earned(
    prices_jpy_per_kwh: Sequence[Decimal],
    *,
    discharge_kw: Decimal,
    charge_kw: Decimal,
    usable_kwh: Decimal,
    charge_efficiency_ratio: Decimal,
    discharge_efficiency_ratio: Decimal,
    wear_jpy_per_kwh: Decimal,
) -> DayEarned:
    """Discharge once a day at the dearest, charged at the cheapest, as far as that pays.

    Whole half hours are taken, the dearest against what it takes to charge for it in the cheapest
    that are left; the order within the day is left aside.
    """
    ordered = sorted(prices_jpy_per_kwh)
    out_kwh = discharge_kw * HALF_HOUR_H
    stored = out_kwh / discharge_efficiency_ratio
    need_kwh = stored / charge_efficiency_ratio
    each_kwh = charge_kw * HALF_HOUR_H
    if out_kwh <= 0 or each_kwh <= 0:
        return DayEarned(received_jpy=ZERO, cost_jpy=ZERO, sold_kwh=ZERO)
    received = cost = sold = used = ZERO
    cheap_at, left = 0, each_kwh
    dear_at = len(ordered) - 1
    while used + stored <= usable_kwh:
        want, paid, at, room = need_kwh, ZERO, cheap_at, left
        while want > 0 and at < dear_at:
            taken = min(want, room)
            paid += taken * ordered[at]
            want, room = want - taken, room - taken
            if room == 0:
                at, room = at + 1, each_kwh
        gain = out_kwh * (ordered[dear_at] - wear_jpy_per_kwh) - paid
        if want > 0 or at >= dear_at or gain <= 0:
            break
        received += out_kwh * ordered[dear_at]
        cost += paid + out_kwh * wear_jpy_per_kwh
        sold, used = sold + out_kwh, used + stored
        cheap_at, left, dear_at = at, room, dear_at - 1
    return DayEarned(received_jpy=received, cost_jpy=cost, sold_kwh=sold)


def case_of(days: Sequence[DayEarned], terms: Terms) -> BusinessCase:
    """Return the case of a year in which every offered day is the mean of the past days."""
    count = Decimal(max(1, len(days)))
    share = terms.day_count / count
    return BusinessCase(
        terms=terms,
        sold_kwh=share * sum((day.sold_kwh for day in days), ZERO),
        received_jpy=share * sum((day.received_jpy for day in days), ZERO),
        cost_jpy=share * sum((day.cost_jpy for day in days), ZERO),
    )


def turned(case: BusinessCase, name: str, ratio: Decimal) -> BusinessCase:
    """Return a case with one thing multiplied: ``receipts``, ``cost``, ``days`` or ``capital``.

    What is sold is left as it was, so dearer or cheaper does not change how much is offered.
    """
    if name == "receipts":
        return replace(case, received_jpy=case.received_jpy * ratio)
    if name == "cost":
        return replace(case, cost_jpy=case.cost_jpy * ratio)
    if name == "days":
        return replace(
            case,
            sold_kwh=case.sold_kwh * ratio,
            received_jpy=case.received_jpy * ratio,
            cost_jpy=case.cost_jpy * ratio,
        )
    terms = replace(case.terms, capital_jpy=case.terms.capital_jpy * ratio)
    return replace(case, terms=terms)

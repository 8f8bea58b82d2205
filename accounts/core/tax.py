"""Consumption tax: once per invoice and rate, the rate by the date of supply."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from accounts.core.errors import Refused
from accounts.core.money import Rounding, exact, exact_jpy, round_jpy, sum_exact_jpy


class TaxRateUnknown(Refused):
    """No row, or more than one, of the rate table covers the date of supply."""


@dataclass(frozen=True, kw_only=True)
class TaxRate:
    """A rate in force on the half-open span of dates [start_on, end_on)."""

    start_on: date
    end_on: date | None
    rate_ratio: Decimal


@dataclass(frozen=True, kw_only=True)
class TaxableLine:
    """One line of an invoice; damages and the like are outside the tax (不課税)."""

    supply_on: date
    amount_exact_jpy: Decimal
    is_taxable: bool = True


@dataclass(frozen=True, kw_only=True)
class TaxTotal:
    """Total and tax of one rate on one invoice; `rate_ratio` None: outside the tax."""

    rate_ratio: Decimal | None
    net_jpy: int
    tax_jpy: int


def rate_on(table: Sequence[TaxRate], supply_on: date) -> Decimal:
    """Return the rate in force on a date.

    Raises
    ------
    TaxRateUnknown
        If the table has no row for the date, or several.
    """
    found = [
        row
        for row in table
        if row.start_on <= supply_on and (row.end_on is None or supply_on < row.end_on)
    ]
    if len(found) != 1:
        raise TaxRateUnknown(
            field="supply_on", value=supply_on, rule=f"one rate must be in force, not {len(found)}"
        )
    return exact(found[0].rate_ratio, field="rate_ratio", low=0, high=1)


def invoice_tax(
    lines: Sequence[TaxableLine],
    table: Sequence[TaxRate],
    *,
    method: Rounding = Rounding.DOWN,
) -> tuple[TaxTotal, ...]:
    """Total an invoice per rate and round its tax once per rate.

    Lines are added exactly; the net of a rate is rounded once, and its tax is the rounded
    product of rate and net. Tax per line is never formed (適格請求書).

    Parameters
    ----------
    lines
        Amounts before tax [JPY], any order.
    table
        Rates by date of supply.
    method
        The issuer's choice of rounding.

    Returns
    -------
    tuple of TaxTotal
        Highest rate first, amounts outside the tax last; empty for an empty invoice.

    Raises
    ------
    TaxRateUnknown
        If a taxable line's date has no single rate.
    """
    amounts: dict[Decimal | None, list[Decimal]] = defaultdict(list)
    for line in lines:
        rate_ratio = rate_on(table, line.supply_on) if line.is_taxable else None
        amounts[rate_ratio].append(exact_jpy(line.amount_exact_jpy))
    ordered = sorted(amounts, key=lambda ratio: Decimal(-1) if ratio is None else ratio)
    totals = []
    for rate_ratio in reversed(ordered):
        net_jpy = round_jpy(sum_exact_jpy(amounts[rate_ratio]), method)
        tax_jpy = 0 if rate_ratio is None else round_jpy(rate_ratio * net_jpy, method)
        totals.append(TaxTotal(rate_ratio=rate_ratio, net_jpy=net_jpy, tax_jpy=tax_jpy))
    return tuple(totals)

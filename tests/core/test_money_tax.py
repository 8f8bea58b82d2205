"""Consumption tax: once per invoice and rate."""

from datetime import date
from decimal import Decimal

import pytest

from accounts.core.money import Rounding
from accounts.core.tax import TaxableLine, TaxRate, TaxRateUnknown, TaxTotal, invoice_tax, rate_on

TABLE = (
    TaxRate(start_on=date(2014, 4, 1), end_on=date(2019, 10, 1), rate_ratio=Decimal("0.08")),
    TaxRate(start_on=date(2019, 10, 1), end_on=None, rate_ratio=Decimal("0.10")),
)


def _line(amount: str, on: date = date(2026, 11, 25), *, taxable: bool = True) -> TaxableLine:
    return TaxableLine(supply_on=on, amount_exact_jpy=Decimal(amount), is_taxable=taxable)


def test_three_lines_are_taxed_once() -> None:
    # 333.3 + 333.3 + 333.4 = 1,000.0, tax 100; line by line it would be 33 + 33 + 33 = 99.
    lines = [_line("333.3"), _line("333.3"), _line("333.4")]
    assert invoice_tax(lines, TABLE) == (
        TaxTotal(rate_ratio=Decimal("0.10"), net_jpy=1000, tax_jpy=100),
    )


def test_the_rate_is_that_of_the_date_of_supply() -> None:
    lines = [_line("100", date(2019, 9, 30)), _line("100", date(2019, 10, 1))]
    assert invoice_tax(lines, TABLE) == (
        TaxTotal(rate_ratio=Decimal("0.10"), net_jpy=100, tax_jpy=10),
        TaxTotal(rate_ratio=Decimal("0.08"), net_jpy=100, tax_jpy=8),
    )


def test_damages_are_outside_the_tax() -> None:
    lines = [_line("1000"), _line("-50", taxable=False)]
    assert invoice_tax(lines, TABLE) == (
        TaxTotal(rate_ratio=Decimal("0.10"), net_jpy=1000, tax_jpy=100),
        TaxTotal(rate_ratio=None, net_jpy=-50, tax_jpy=0),
    )


def test_the_issuer_chooses_the_rounding() -> None:
    # 10 % of 1,005 is 100.5.
    assert invoice_tax([_line("1005")], TABLE)[0].tax_jpy == 100
    assert invoice_tax([_line("1005")], TABLE, method=Rounding.HALF_UP)[0].tax_jpy == 101


def test_a_date_without_one_rate_is_refused() -> None:
    with pytest.raises(TaxRateUnknown, match="not 0"):
        rate_on(TABLE, date(2000, 1, 1))
    with pytest.raises(TaxRateUnknown, match="not 2"):
        rate_on((*TABLE, TABLE[1]), date(2026, 1, 1))


def test_an_empty_invoice_has_no_totals() -> None:
    assert invoice_tax([], TABLE) == ()

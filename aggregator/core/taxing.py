"""On which document an item stands, and whether consumption tax is due on it.

A party's period has two documents that tax law knows: the statement (支払通知書, 仕入明細書) of
what the party sold, and the invoice (適格請求書) of what the house sold. What is given back belongs
to the document of what it is given back for, as a deduction (対価の返還等); damages are outside the
tax (不課税). Nothing here has been verified by a tax adviser.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from accounts.core.errors import Refused
from accounts.core.money import Rounding, exact
from accounts.core.money_words import MONEY_WORDS
from accounts.core.tax import TaxRate

OBJECTION_MAX_DAYS: Final = 366


class Side(StrEnum):
    """Whose sale a document is about."""

    STATEMENT = "STATEMENT"
    INVOICE = "INVOICE"


class ItemUnclassified(Refused):
    """An item that no row of the table places on a document."""


class TaxRulesInvalid(Refused):
    """A section of documents in a ruleset that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class TaxTreatment:
    """Where an item stands.

    Attributes
    ----------
    received_on, paid_on
        The document when the member receives it, and when it pays it. The same for both: one
        way is a deduction.
    is_taxable
        False: outside the tax.
    unit
        What its quantity is counted in; empty where a sum of quantities says nothing.
    name_en
        English name on documents.
    """

    received_on: Side
    paid_on: Side
    is_taxable: bool
    unit: str
    name_en: str = ""


def _sold(unit: str = "") -> TaxTreatment:
    """Sold by who receives: two sales, one on each document."""
    return TaxTreatment(
        received_on=Side.STATEMENT,
        paid_on=Side.INVOICE,
        is_taxable=True,
        unit=unit,
    )


def _outside(unit: str = "") -> TaxTreatment:
    return TaxTreatment(
        received_on=Side.STATEMENT,
        paid_on=Side.INVOICE,
        is_taxable=False,
        unit=unit,
    )


def _given_back(unit: str = "") -> TaxTreatment:
    """Paid back by a seller: off its statement; paid back to a buyer: off its invoice."""
    return TaxTreatment(
        received_on=Side.INVOICE,
        paid_on=Side.STATEMENT,
        is_taxable=True,
        unit=unit,
    )


def _house_sells(unit: str = "") -> TaxTreatment:
    """Sold by the house alone; received, it is a fee given back."""
    return TaxTreatment(
        received_on=Side.INVOICE,
        paid_on=Side.INVOICE,
        is_taxable=True,
        unit=unit,
    )


# By the item's value: items that later parts of settlement bring have their row here first.
_ROWS: Final[Mapping[str, TaxTreatment]] = {
    "NEED_CHARGE": _sold("kWh"),
    "SELLER_ENERGY": _sold("kWh"),
    "SHORTFALL_REFUND": _given_back("kWh"),
    "SHORTFALL_PENALTY": _outside(),
    # refund and penalty in one amount, passed on to buyers
    "SHORTFALL_CREDIT": _outside(),
    "CONGESTION_RENT": _outside(),
    "LINK_RENT": _outside(),
    "PATH_FEE": _sold("GB"),
    "PLATFORM_FEE": _house_sells(),
    "REVENUE_SPLIT": _sold(),
    "DEVIATION": _sold("kWh"),
    "CAPACITY_CHARGE": _sold(),
    "CAPACITY": _sold(),
    "CAPACITY_PENALTY_I": _outside(),
    "CAPACITY_PENALTY_II": _outside(),
    "ACTIVATION_UP": _sold("kWh"),
    "ACTIVATION_DOWN": _sold("kWh"),
    "CAPACITY_CREDIT": _outside(),
    "EXCHANGE_FEE": _house_sells(),
    "IMBALANCE_CAUSED": _outside(),
    "REPLACEMENT": _sold("kWh"),
    "ADJUSTMENT": _outside(),
    "COMPUTE_CHARGE": _sold(),
    "COMPUTE": _sold(),
    "ENVELOPE": _sold(),
    "ENVELOPE_PENALTY": _outside(),
    "TRUNK_RENT": _sold("GB"),
    "PAYMENT_RULE": _sold(),
    "MARKET_FEE": _house_sells(),
    "NEGAWATT_COMPENSATION": _sold("kWh"),
    "RESIDUAL": _outside(),
    "ROUNDING": _outside(),
}
TREATMENTS: Final[Mapping[str, TaxTreatment]] = {
    item: replace(row, name_en=MONEY_WORDS[item].en) for item, row in _ROWS.items()
}


def treatment_of(item: str) -> TaxTreatment:
    """Return the row of an item.

    Raises
    ------
    ItemUnclassified
        If it has none: nothing is put on a document by guess.
    """
    found = TREATMENTS.get(item)
    if found is None:
        raise ItemUnclassified(field="item", value=item, rule="a row of the tax table")
    return found


@dataclass(frozen=True, kw_only=True)
class Deduction:
    """Share of the tax on a purchase from an unregistered supplier that may be deducted."""

    start_on: date
    ratio: Decimal


@dataclass(frozen=True, kw_only=True)
class DocumentRules:
    """The section ``documents`` of a ruleset; the defaults are Japanese law as far as known.

    Attributes
    ----------
    tax_rates
        Standard rate by date of supply.
    tax_rounding
        The issuer's choice.
    deductions
        Transitional deduction by date of supply, ascending (経過措置); unverified from 2026-10-01.
    objection_days
        Days after issue within which a supplier objects; after them a statement counts as
        confirmed.
    """

    tax_rates: tuple[TaxRate, ...] = (
        TaxRate(start_on=date(2014, 4, 1), end_on=date(2019, 10, 1), rate_ratio=Decimal("0.08")),
        TaxRate(start_on=date(2019, 10, 1), end_on=None, rate_ratio=Decimal("0.1")),
    )
    tax_rounding: Rounding = Rounding.DOWN
    deductions: tuple[Deduction, ...] = (
        Deduction(start_on=date(2023, 10, 1), ratio=Decimal("0.8")),
        Deduction(start_on=date(2026, 10, 1), ratio=Decimal("0.7")),
        Deduction(start_on=date(2028, 10, 1), ratio=Decimal("0.5")),
        Deduction(start_on=date(2030, 10, 1), ratio=Decimal("0.3")),
        Deduction(start_on=date(2031, 10, 1), ratio=Decimal(0)),
    )
    objection_days: int = 14

    def deduction_on(self, supply_on: date) -> Decimal:
        """Return the deductible share on a date; all of it before there were any rules."""
        found = [row.ratio for row in self.deductions if row.start_on <= supply_on]
        return found[-1] if found else Decimal(1)


def document_rules_from_mapping(mapping: Mapping[str, object]) -> DocumentRules:
    """Parse the section ``documents`` of a ruleset.

    ``tax_rates``: ``[{"start_on", "end_on", "rate_ratio"}]``; ``deductions``: ``[{"start_on",
    "ratio"}]``; ``tax_rounding``: a name of :class:`Rounding`; ``objection_days``: an integer.

    Raises
    ------
    TaxRulesInvalid
        On an unknown key or a value out of bounds.
    """
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        field = f"documents.{key}"
        if key == "tax_rates":
            values[key] = tuple(
                TaxRate(
                    start_on=_date(row.get("start_on"), field),
                    end_on=None if row.get("end_on") is None else _date(row["end_on"], field),
                    rate_ratio=_ratio(row.get("rate_ratio"), field),
                )
                for row in _rows(value, field)
            )
        elif key == "deductions":
            rows = [
                Deduction(
                    start_on=_date(row.get("start_on"), field),
                    ratio=_ratio(row.get("ratio"), field),
                )
                for row in _rows(value, field)
            ]
            values[key] = tuple(sorted(rows, key=lambda row: row.start_on))
        elif key == "tax_rounding" and value in list(Rounding):
            values[key] = Rounding(str(value))
        elif key == "objection_days" and type(value) is int and 1 <= value <= OBJECTION_MAX_DAYS:
            values[key] = value
        else:
            raise TaxRulesInvalid(field=field, value=value, rule="a rule of documents")
    return DocumentRules(**values)


def _rows(value: object, field: str) -> Sequence[Mapping[str, Any]]:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return value
    raise TaxRulesInvalid(field=field, value=value, rule="a list of rows")


def _date(value: object, field: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise TaxRulesInvalid(field=field, value=value, rule="a date") from None


def _ratio(value: object, field: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TaxRulesInvalid(field=field, value=value, rule="a decimal as a string")
    try:
        return exact(Decimal(value), field=field, low=0, high=1)
    except ArithmeticError:
        raise TaxRulesInvalid(field=field, value=value, rule="a decimal") from None

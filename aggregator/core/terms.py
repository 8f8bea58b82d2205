"""The settlement section of a ruleset: tolerance, penalty, fee, when and on what is paid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from accounts.core.errors import Refused
from accounts.core.money import exact

PAY_STAGES = ("PRELIMINARY", "CONFIRMED", "FINAL")
PERIODS = ("DAY", "MONTH")
CLOSE_LAG_MAX_H = 366 * 24
FACTOR_MAX = 10
BLOCKS_PER_MONTH_MAX = 31 * 48
COMPOSITE_MIN = 2
# Who bears the compensation of a retailer; the cost of imbalance; what a stand-in is paid.
NEGAWATT_BEARERS = ("SELLER", "BUYER", "HOUSE")
IMBALANCE_BEARERS = ("NOBODY", "SELLER", "HOUSE")
REPLACEMENT_PAYS = ("ASK", "HIGHER")


@dataclass(frozen=True, kw_only=True)
class PenaltyRules:
    """What failing an assessment of reserved capacity costs; unverified defaults.

    Attributes
    ----------
    penalty_i_factor_ratio
        Of kW that were not there, times their price (一倍 is given back, the rest is sanction).
    declared_factor_ratio
        The same where the seller said so before the gate of the block closed, or is excused.
    penalty_ii_factor_ratio
        Of all kW of a block that did not respond as called.
    repeat_failures
        Failed blocks of one seller in a month from which a recommendation is due (是正勧告).
    """

    penalty_i_factor_ratio: Decimal = Decimal("1.5")
    declared_factor_ratio: Decimal = Decimal(1)
    penalty_ii_factor_ratio: Decimal = Decimal("1.5")
    repeat_failures: int = 3

    def __post_init__(self) -> None:
        """Refuse terms out of bounds."""
        for name in ("penalty_i_factor_ratio", "declared_factor_ratio", "penalty_ii_factor_ratio"):
            exact(getattr(self, name), field=f"assessment.{name}", low=0, high=FACTOR_MAX)
        if type(self.repeat_failures) is not int or not (
            1 <= self.repeat_failures <= BLOCKS_PER_MONTH_MAX
        ):
            raise Refused(
                field="assessment.repeat_failures",
                value=self.repeat_failures,
                rule=f"1 to {BLOCKS_PER_MONTH_MAX} blocks",
            )


@dataclass(frozen=True, kw_only=True)
class ExchangeFee:
    """Fee of the exchange on which a product is sold on, by delivery date; a data row."""

    product: str
    valid_from_on: date
    price_jpy_per_kw_30min: Decimal


@dataclass(frozen=True, kw_only=True)
class SettlementRules:
    """Assessment terms of a ruleset; the defaults are unverified market practice.

    Attributes
    ----------
    tolerance_ratio
        Share of the ordered energy that may be missing without penalty.
    penalty_factor_ratio
        k: a missing kWh beyond tolerance costs the seller k times its price in all, of which
        one time is the refund.
    fee_ratio
        The aggregator's published fee on receipts for delivered energy.
    pay_stage
        The stage from which a reading may be paid on: FINAL (確定), unless the rules say that
        CONFIRMED (確報) or PRELIMINARY (速報) values do.
    period
        MONTH or DAY of delivery: what is closed and stated together.
    close_lag_h
        Hours from a period's end to its close; 確定 values come on the 20th to 25th.
    negawatt_borne_by
        Who bears what a retailer is compensated: SELLER, BUYER (the needs served) or HOUSE.
    imbalance_borne_by
        Who bears the imbalance that a shortfall caused: NOBODY (it is not charged), SELLER or
        HOUSE.
    replacement_pay
        What a stand-in is paid: its ASK, or the HIGHER of it and the market's price.
    composites
        Groups of products that are one composite product: the kW that one resource holds for
        several of a group are the same kW, and are paid once, at the highest price claimed.
    exchange_fees
        Fees of products that are sold on at an exchange; the latest row by delivery date counts.
    penalties
        What failing an assessment costs.
    """

    tolerance_ratio: Decimal = Decimal("0.1")
    penalty_factor_ratio: Decimal = Decimal("1.5")
    fee_ratio: Decimal = Decimal(0)
    pay_stage: str = "FINAL"
    period: str = "MONTH"
    close_lag_h: int = 25 * 24
    negawatt_borne_by: str = "SELLER"
    imbalance_borne_by: str = "NOBODY"
    replacement_pay: str = "HIGHER"
    composites: tuple[tuple[str, ...], ...] = ()
    exchange_fees: tuple[ExchangeFee, ...] = ()
    penalties: PenaltyRules = PenaltyRules()

    def __post_init__(self) -> None:
        """Refuse terms out of bounds."""
        exact(self.tolerance_ratio, field="tolerance_ratio", low=0, high=1)
        exact(self.penalty_factor_ratio, field="penalty_factor_ratio", low=1, high=FACTOR_MAX)
        exact(self.fee_ratio, field="fee_ratio", low=0, high=1)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise Refused(field=name, value=getattr(self, name), rule=" | ".join(choices))
        if type(self.close_lag_h) is not int or not 0 <= self.close_lag_h <= CLOSE_LAG_MAX_H:
            raise Refused(
                field="close_lag_h", value=self.close_lag_h, rule=f"0 to {CLOSE_LAG_MAX_H} hours"
            )

    def exchange_fee_jpy_per_kw_30min(self, product: str, delivery_on: date) -> Decimal:
        """Return the fee of a product on a delivery date; 0 where it is not sold on."""
        rows = [
            row
            for row in self.exchange_fees
            if row.product == product and row.valid_from_on <= delivery_on
        ]
        if not rows:
            return Decimal(0)
        return max(rows, key=lambda row: row.valid_from_on).price_jpy_per_kw_30min


CHOICES = {
    "pay_stage": PAY_STAGES,
    "period": PERIODS,
    "negawatt_borne_by": NEGAWATT_BEARERS,
    "imbalance_borne_by": IMBALANCE_BEARERS,
    "replacement_pay": REPLACEMENT_PAYS,
}
RATIOS = ("tolerance_ratio", "penalty_factor_ratio", "fee_ratio")
FACTORS = ("penalty_i_factor_ratio", "declared_factor_ratio", "penalty_ii_factor_ratio")
# Of the same section, read where capacity is assessed.
ASSESSED_ELSEWHERE = frozenset({"tolerance_ratio", "declared_min", "declared_lead_min"})


def rules_from_mapping(mapping: Mapping[str, object]) -> SettlementRules:
    """Parse the settlement section of a ruleset; ratios come as strings or integers.

    Raises
    ------
    Refused
        On an unknown key, a float, or a value out of bounds.
    """
    values: dict[str, Any] = {}
    for key, value in mapping.items():
        field = f"settlement.{key}"
        if key in CHOICES or key == "close_lag_h":
            values[key] = value
        elif key in RATIOS:
            values[key] = _decimal(value, field)
        elif key in READERS:
            name, read = READERS[key]
            values[name] = read(value, field)
        else:
            raise Refused(field=field, value=value, rule="not a settlement rule")
    return SettlementRules(**values)


def _penalties(value: object, field: str) -> PenaltyRules:
    if not isinstance(value, Mapping):
        raise Refused(field=field, value=value, rule="an object")
    found: dict[str, Any] = {}
    for key, entry in value.items():
        if key in FACTORS:
            found[key] = _decimal(entry, f"{field}.{key}")
        elif key == "repeat_failures":
            found[key] = entry
        elif key not in ASSESSED_ELSEWHERE:
            raise Refused(field=f"{field}.{key}", value=entry, rule="not a rule of assessment")
    return PenaltyRules(**found)


def _composites(value: object, field: str) -> tuple[tuple[str, ...], ...]:
    if not isinstance(value, list | tuple):
        raise Refused(field=field, value=value, rule="a list of groups of product codes")
    groups = []
    for n, group in enumerate(value):
        codes = tuple(group) if isinstance(group, list | tuple) else ()
        are_codes = all(isinstance(code, str) and code for code in codes)
        if len(set(codes)) < COMPOSITE_MIN or not are_codes:
            raise Refused(field=f"{field}[{n}]", value=group, rule="two or more product codes")
        groups.append(codes)
    every = [code for group in groups for code in group]
    if len(set(every)) != len(every):
        raise Refused(field=field, value=value, rule="each product in one group, once")
    return tuple(groups)


def _exchange_fees(value: object, field: str) -> tuple[ExchangeFee, ...]:
    if not isinstance(value, list | tuple):
        raise Refused(field=field, value=value, rule="a list of rows")
    rows = []
    for n, row in enumerate(value):
        where = f"{field}[{n}]"
        if not isinstance(row, Mapping) or set(row) != {
            "product",
            "valid_from_on",
            "price_jpy_per_kw_30min",
        }:
            rule = "product, valid_from_on and price_jpy_per_kw_30min"
            raise Refused(field=where, value=row, rule=rule)
        price = exact(
            _decimal(row["price_jpy_per_kw_30min"], f"{where}.price_jpy_per_kw_30min"),
            field=f"{where}.price_jpy_per_kw_30min",
            low=0,
            high=99_999,
        )
        rows.append(
            ExchangeFee(
                product=_code(row["product"], f"{where}.product"),
                valid_from_on=_date(row["valid_from_on"], f"{where}.valid_from_on"),
                price_jpy_per_kw_30min=price,
            )
        )
    if len({(row.product, row.valid_from_on) for row in rows}) != len(rows):
        raise Refused(field=field, value=value, rule="one row per product and date")
    return tuple(rows)


READERS: Mapping[str, tuple[str, Callable[[object, str], object]]] = {
    "assessment": ("penalties", _penalties),
    "composites": ("composites", _composites),
    "exchange_fees": ("exchange_fees", _exchange_fees),
}


def _code(value: object, field: str) -> str:
    if not isinstance(value, str) or not value:
        raise Refused(field=field, value=value, rule="a product's code")
    return value


def _date(value: object, field: str) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise Refused(field=field, value=value, rule="a date") from None


def _decimal(value: object, field: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Refused(field=field, value=value, rule="a decimal as a string")
    try:
        return Decimal(value)
    except ArithmeticError:
        raise Refused(field=field, value=value, rule="a decimal") from None

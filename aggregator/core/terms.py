"""The settlement section of a ruleset: tolerance, penalty, fee, when and on what is paid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from accounts.core.errors import Refused
from accounts.core.money import exact

PAY_STAGES = ("PRELIMINARY", "CONFIRMED", "FINAL")
PERIODS = ("DAY", "MONTH")
CLOSE_LAG_MAX_H = 366 * 24


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
    """

    tolerance_ratio: Decimal = Decimal("0.1")
    penalty_factor_ratio: Decimal = Decimal("1.5")
    fee_ratio: Decimal = Decimal(0)
    pay_stage: str = "FINAL"
    period: str = "MONTH"
    close_lag_h: int = 25 * 24

    def __post_init__(self) -> None:
        """Refuse terms out of bounds."""
        exact(self.tolerance_ratio, field="tolerance_ratio", low=0, high=1)
        exact(self.penalty_factor_ratio, field="penalty_factor_ratio", low=1, high=10)
        exact(self.fee_ratio, field="fee_ratio", low=0, high=1)
        if self.pay_stage not in PAY_STAGES:
            raise Refused(field="pay_stage", value=self.pay_stage, rule=" | ".join(PAY_STAGES))
        if self.period not in PERIODS:
            raise Refused(field="period", value=self.period, rule=" | ".join(PERIODS))
        if type(self.close_lag_h) is not int or not 0 <= self.close_lag_h <= CLOSE_LAG_MAX_H:
            raise Refused(
                field="close_lag_h", value=self.close_lag_h, rule=f"0 to {CLOSE_LAG_MAX_H} hours"
            )


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
        if key in {"pay_stage", "period", "close_lag_h"}:
            values[key] = value
        elif key in {"tolerance_ratio", "penalty_factor_ratio", "fee_ratio"}:
            values[key] = _ratio(value, field)
        else:
            raise Refused(field=field, value=value, rule="not a settlement rule")
    return SettlementRules(**values)


def _ratio(value: object, field: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Refused(field=field, value=value, rule="a decimal as a string")
    try:
        return Decimal(value)
    except ArithmeticError:
        raise Refused(field=field, value=value, rule="a decimal") from None

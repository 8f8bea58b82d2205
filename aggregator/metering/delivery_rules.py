"""The delivery section of a ruleset, and what of the settlement section assesses capacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from accounts.core.errors import Refused
from accounts.core.money import exact
from aggregator.core.assessment import AssessmentRules
from aggregator.core.shifts import ShiftRules
from aggregator.core.terms import rules_from_mapping
from aggregator.metering.models import Stage

LATE_MARGIN_MAX_MIN = 1440


@dataclass(frozen=True, kw_only=True)
class DeliveryRules:
    """Terms of verification.

    Attributes
    ----------
    shifts
        How closely both ends of a shift must agree, and whether a placement log is demanded.
    assessment
        How reserved capacity is assessed.
    pay_stage
        The stage from which a reading may be paid on.
    late_margin
        How far before a verification's moment a correction looks for what it did not see: as
        long as a transaction that was open then may have taken.
    """

    shifts: ShiftRules = field(default_factory=ShiftRules)
    assessment: AssessmentRules = field(default_factory=AssessmentRules)
    pay_stage: Stage = Stage.FINAL
    late_margin: timedelta = timedelta(minutes=10)


def delivery_rules(rules: Mapping[str, Any]) -> DeliveryRules:
    """Read a ruleset's terms of verification.

    Parameters
    ----------
    rules
        All of it. Of ``delivery``: ``shift_tolerance_ratio`` (a decimal as a string),
        ``shift_log_required`` (true or false), ``fine_response_max_s`` and
        ``late_margin_min`` (integers). Of ``settlement``: ``pay_stage``, ``composites``, and of
        its ``assessment`` ``tolerance_ratio`` and ``declared_lead_min``.

    Raises
    ------
    Refused
        On an unknown name, or a value of the wrong type or out of bounds.
    """
    given = _mapping(rules.get("delivery", {}), "delivery")
    known = {
        "shift_tolerance_ratio", "shift_log_required", "fine_response_max_s", "late_margin_min",
    }  # fmt: skip
    for name, value in given.items():
        if name not in known:
            raise Refused(field=f"delivery.{name}", value=value, rule="not a rule of delivery")
    money = _mapping(rules.get("settlement", {}), "settlement")
    settled = rules_from_mapping(money)
    assessed = _mapping(money.get("assessment", {}), "settlement.assessment")
    is_required = given.get("shift_log_required", False)
    if not isinstance(is_required, bool):
        raise Refused(field="delivery.shift_log_required", value=is_required, rule="true or false")
    margin_min = _integer(given, "late_margin_min", 10, "delivery", LATE_MARGIN_MAX_MIN)
    return DeliveryRules(
        shifts=ShiftRules(
            tolerance_ratio=_ratio(given, "shift_tolerance_ratio", "0.02", "delivery"),
            is_log_required=is_required,
        ),
        assessment=AssessmentRules(
            tolerance_ratio=_ratio(assessed, "tolerance_ratio", "0.1", "settlement.assessment"),
            declare_before_min=_integer(
                assessed, "declared_lead_min", 60, "settlement.assessment", 10_080
            ),
            fine_response_max_s=_integer(given, "fine_response_max_s", 900, "delivery", 86_400),
            composites=tuple(frozenset(group) for group in settled.composites),
        ),
        pay_stage=Stage[settled.pay_stage],
        late_margin=timedelta(minutes=margin_min),
    )


def _mapping(value: object, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Refused(field=name, value=value, rule="an object")
    return value


def _ratio(given: Mapping[str, Any], name: str, default: str, section: str) -> Decimal:
    value = given.get(name, default)
    where = f"{section}.{name}"
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Refused(field=where, value=value, rule="a decimal as a string")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise Refused(field=where, value=value, rule="a decimal") from None
    return exact(number, field=where, low=0, high=1)


def _integer(given: Mapping[str, Any], name: str, default: int, section: str, high: int) -> int:
    value = given.get(name, default)
    if type(value) is not int or not 0 <= value <= high:
        raise Refused(field=f"{section}.{name}", value=value, rule=f"an integer from 0 to {high}")
    return value

"""The baseline section of a ruleset, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from accounts.core.errors import Refused
from aggregator.core.baselines import High4Of5
from aggregator.metering.models import BaselineMethod
from market.registry.models import STORAGE_KINDS, ResourceKind

INTEGER_KEYS = ("weekday_days", "weekday_keep", "holiday_days", "holiday_keep", "lookback_days")
DECIMAL_KEYS = ("low_day_ratio", "floor_kwh")


def usual_methods() -> dict[str, str]:
    """Return the method of each resource kind where a rule names none."""
    methods: dict[str, str] = dict.fromkeys(STORAGE_KINDS, BaselineMethod.METER_ONLY)
    methods[ResourceKind.DC_LOAD] = BaselineMethod.HIGH_4_OF_5
    methods[ResourceKind.PV] = BaselineMethod.DECLARED
    methods[ResourceKind.WIND] = BaselineMethod.DECLARED
    return methods


@dataclass(frozen=True, kw_only=True)
class BaselineRules:
    """Parameters of High 4 of 5 and the method of each resource kind."""

    high_4_of_5: High4Of5 = field(default_factory=High4Of5)
    methods: Mapping[str, str] = field(default_factory=usual_methods)


def baseline_rules_from_mapping(mapping: Mapping[str, Any]) -> BaselineRules:
    """Parse the section.

    Parameters
    ----------
    mapping
        Parameters of :class:`High4Of5` (decimals as strings, the window as two integers or
        null) and ``methods``, from resource kind to method.

    Raises
    ------
    Refused
        On an unknown key, kind or method, or a value of the wrong type or out of bounds.
    """
    parameters: dict[str, Any] = {}
    methods = usual_methods()
    for key, value in mapping.items():
        name = f"baseline.{key}"
        if key in INTEGER_KEYS:
            if type(value) is not int:
                raise Refused(field=name, value=value, rule="an integer")
            parameters[key] = value
        elif key in DECIMAL_KEYS:
            parameters[key] = _decimal(value, name)
        elif key == "window":
            parameters[key] = _window(value, name)
        elif key == "methods":
            methods |= _methods(value, name)
        else:
            raise Refused(field=name, value=value, rule="not a baseline rule")
    return BaselineRules(high_4_of_5=High4Of5(**parameters), methods=methods)


def _decimal(value: object, name: str) -> Decimal:
    if not isinstance(value, str):
        raise Refused(field=name, value=value, rule="a decimal as a string")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise Refused(field=name, value=value, rule="a decimal") from None
    if not number.is_finite() or not 0 <= number <= 10**9:
        raise Refused(field=name, value=value, rule="finite and not negative")
    return number


def _window(value: object, name: str) -> tuple[int, int] | None:
    if value is None:
        return None
    if not (
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004 - a span has two ends
        and all(type(edge) is int for edge in value)
    ):
        raise Refused(field=name, value=value, rule="two integers, or null")
    return value[0], value[1]


def _methods(value: object, name: str) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise Refused(field=name, value=value, rule="a mapping from kind to method")
    for kind, method in value.items():
        if kind not in ResourceKind.values:
            raise Refused(field=f"{name}.{kind}", value=method, rule="a resource kind")
        if method not in BaselineMethod.values:
            raise Refused(field=f"{name}.{kind}", value=method, rule="a baseline method")
    return dict(value)

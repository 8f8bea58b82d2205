"""Named baseline methods with their parameters, and one door to compute any of them.

A variant is a method and its parameters under a name. The catalogue below is what a ruleset
begins with; the ruleset adds variants and changes parameters as data.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from accounts.core.errors import Refused
from aggregator.core.baselines import (
    Baseline,
    Day,
    Rank,
    XOfY,
    baseline_declared,
    baseline_meter_only,
    baseline_x_of_y,
)
from aggregator.core.baselines_sameday import (
    BeforeAndAfter,
    FineValue,
    JustBefore,
    baseline_before_and_after,
    baseline_just_before,
)
from aggregator.core.baselines_similar import SimilarDays, baseline_similar_days

NAME_LENGTH_MAX = 24
DECIMAL_MAX = 10**9


class Method(StrEnum):
    """How a baseline is found; a variant adds the parameters."""

    HIGH_4_OF_5 = "HIGH_4_OF_5"
    X_OF_Y = "X_OF_Y"
    SIMILAR_DAYS = "SIMILAR_DAYS"
    BEFORE = "BEFORE"
    BEFORE_AFTER = "BEFORE_AFTER"
    JUST_BEFORE = "JUST_BEFORE"
    DECLARED = "DECLARED"
    GENERATION_PLAN = "GENERATION_PLAN"
    METER_ONLY = "METER_ONLY"


Rules = XOfY | SimilarDays | BeforeAndAfter | JustBefore | None

RULES_OF: Final[Mapping[str, type[XOfY | SimilarDays | BeforeAndAfter | JustBefore] | None]] = {
    Method.HIGH_4_OF_5: XOfY,
    Method.X_OF_Y: XOfY,
    Method.SIMILAR_DAYS: SimilarDays,
    Method.BEFORE: BeforeAndAfter,
    Method.BEFORE_AFTER: BeforeAndAfter,
    Method.JUST_BEFORE: JustBefore,
    Method.DECLARED: None,
    Method.GENERATION_PLAN: None,
    Method.METER_ONLY: None,
}
# What a plan or a meter of one's own gives needs no history to be tested on.
BACKTESTED: Final = frozenset(
    {Method.HIGH_4_OF_5, Method.X_OF_Y, Method.SIMILAR_DAYS, Method.BEFORE, Method.BEFORE_AFTER}
)


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A method with parameters, under the name it is assigned and published by."""

    name: str
    method: Method
    rules: Rules = None

    @property
    def reach_days(self) -> int:
        """Calendar days of history the method may look at."""
        if isinstance(self.rules, XOfY):
            return self.rules.reach_days
        return self.rules.lookback_days if isinstance(self.rules, SimilarDays) else 0


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a baseline of one resource and day may stand on.

    Attributes
    ----------
    load_kwh
        Day to 48 half-hourly values [kWh], positive = flow to the customer.
    day, event
        The day and its half hours t for which something was ordered.
    called_on, holidays
        Earlier days on which the resource was called; national holidays.
    plan_kwh
        The 48 values declared before the gate; empty if there are none.
    busy
        Half hours in which the resource was called for anything, counted from the day's midnight:
        negative ones lie on the day before, 48 and more on the day after.
    fine, instructed_at
        Readings of short intervals of the day, and when each half hour's instruction was sent.
    """

    load_kwh: Mapping[date, Day]
    day: date
    event: Collection[int]
    called_on: Collection[date] = ()
    holidays: Collection[date] = ()
    plan_kwh: Sequence[Decimal] = ()
    busy: Collection[int] = ()
    fine: Sequence[FineValue] = ()
    instructed_at: Mapping[int, datetime] = field(default_factory=dict)


def baseline_of(variant: Variant, facts: Facts) -> Baseline:
    """Compute the baseline of one resource and day by a variant.

    Raises
    ------
    BaselineNotComputable
        If the facts do not suffice for the method.
    Refused
        If the event is empty or lies outside the day.
    """
    rules = variant.rules
    if isinstance(rules, XOfY | SimilarDays):
        by_days: Any = baseline_x_of_y if isinstance(rules, XOfY) else baseline_similar_days
        found: Baseline = by_days(
            facts.load_kwh,
            day=facts.day,
            event=facts.event,
            called_on=facts.called_on,
            holidays=facts.holidays,
            rules=rules,
        )
        return found
    if isinstance(rules, BeforeAndAfter):
        return baseline_before_and_after(
            facts.load_kwh, day=facts.day, event=facts.event, called=facts.busy, rules=rules
        )
    if isinstance(rules, JustBefore):
        return baseline_just_before(
            facts.fine, event=facts.event, instructed_at=facts.instructed_at, rules=rules
        )
    if variant.method == Method.METER_ONLY:
        return baseline_meter_only()
    return baseline_declared(facts.plan_kwh)


def variant_from_mapping(name: str, mapping: Mapping[str, Any]) -> Variant:
    """Read a variant: ``method`` and, beside it, the parameters that differ from the defaults.

    Decimals are strings, spans two integers or null, ranks names.

    Raises
    ------
    Refused
        On an unknown method or parameter, a value of the wrong type, or one out of bounds.
    """
    label = f"baseline.variants.{name}"
    if not 1 <= len(name) <= NAME_LENGTH_MAX or not (name.isascii() and name.isprintable()):
        raise Refused(field=label, value=name, rule=f"1 to {NAME_LENGTH_MAX} plain characters")
    if not isinstance(mapping, Mapping):
        raise Refused(field=label, value=mapping, rule="a mapping")
    given = dict(mapping)
    method = given.pop("method", None)
    if method not in set(Method):
        raise Refused(field=f"{label}.method", value=method, rule=", ".join(Method))
    kind = RULES_OF[method]
    if kind is None:
        if given:
            raise Refused(field=label, value=sorted(given), rule=f"{method} takes no parameters")
        return Variant(name=name, method=Method(method))
    return Variant(
        name=name, method=Method(method), rules=kind(**parameters_read(kind, given, label=label))
    )


def parameters_read(kind: type[Any], given: Mapping[str, Any], *, label: str) -> dict[str, Any]:
    """Read parameters by the types of the dataclass that takes them.

    Raises
    ------
    Refused
        On an unknown parameter or a value of the wrong type.
    """
    types = {entry.name: str(entry.type) for entry in fields(kind)}
    read: dict[str, Any] = {}
    for key, value in given.items():
        where = f"{label}.{key}"
        if key not in types:
            raise Refused(field=where, value=value, rule=f"one of {', '.join(sorted(types))}")
        if value is None and types[key].endswith("| None"):
            read[key] = None
        elif types[key].startswith("tuple"):
            read[key] = _span(value, where)
        elif types[key].startswith("Decimal"):
            read[key] = _decimal(value, where)
        elif types[key] == "Rank":
            if value not in set(Rank):
                raise Refused(field=where, value=value, rule=", ".join(Rank))
            read[key] = Rank(value)
        else:
            wanted = bool if types[key] == "bool" else int
            if type(value) is not wanted:
                rule = "true or false" if wanted is bool else "an integer"
                raise Refused(field=where, value=value, rule=rule)
            read[key] = value
    return read


def parameters_written(variant: Variant) -> dict[str, Any]:
    """Write a variant as the mapping that :func:`variant_from_mapping` reads: every parameter."""
    written: dict[str, Any] = {"method": str(variant.method)}
    if variant.rules is not None:
        for entry in fields(variant.rules):
            value = getattr(variant.rules, entry.name)
            if isinstance(value, Decimal):
                value = f"{value.normalize():f}"
            elif isinstance(value, tuple):
                value = list(value)
            written[entry.name] = str(value) if isinstance(value, Rank) else value
    return written


def _decimal(value: object, label: str) -> Decimal:
    if not isinstance(value, str):
        raise Refused(field=label, value=value, rule="a decimal as a string")
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise Refused(field=label, value=value, rule="a decimal") from None
    if not number.is_finite() or not 0 <= number <= DECIMAL_MAX:
        raise Refused(field=label, value=value, rule="finite and not negative")
    return number


def _span(value: object, label: str) -> tuple[int, int]:
    if not (
        isinstance(value, list | tuple)
        and len(value) == 2  # noqa: PLR2004 - a span has two ends
        and all(type(edge) is int for edge in value)
    ):
        raise Refused(field=label, value=value, rule="two integers, or null where allowed")
    return value[0], value[1]


_TEN: Final = {
    "weekday_days": 10,
    "weekday_keep": 10,
    "holiday_days": 4,
    "holiday_keep": 4,
    "low_day_ratio": "0",
}
CATALOGUE: Final[Mapping[str, Mapping[str, Any]]] = {
    "HIGH_4_OF_5": {"method": "HIGH_4_OF_5"},
    "HIGH_4_OF_5_RAW": {"method": "HIGH_4_OF_5", "window": None},
    "HIGH_4_OF_5_CAP20": {"method": "HIGH_4_OF_5", "cap_ratio": "0.2"},
    "HIGH_5_OF_10": {"method": "X_OF_Y", "weekday_days": 10, "weekday_keep": 5},
    "MID_4_OF_6": {
        "method": "X_OF_Y", "rank": "MIDDLE", "weekday_days": 6, "weekday_keep": 4,
    },
    "LOW_4_OF_5": {"method": "X_OF_Y", "rank": "LOW"},
    "TEN_OF_TEN": {"method": "X_OF_Y", **_TEN, "window": None},
    "TEN_OF_TEN_ADJUSTED": {"method": "X_OF_Y", **_TEN, "window": [-8, -2]},
    "MATCH_DAY": {"method": "SIMILAR_DAYS"},
    "SIMILAR_DAYS": {
        "method": "SIMILAR_DAYS", "lookback_days": 30, "compare": [-12, -2],
    },
    "SAME_DAY_3_2": {"method": "BEFORE_AFTER", "before": [-8, -2], "after": [2, 6]},
    "BEFORE": {"method": "BEFORE"},
    "BEFORE_AFTER": {"method": "BEFORE_AFTER", "after": [0, 2]},
    "JUST_BEFORE": {"method": "JUST_BEFORE"},
    "DECLARED": {"method": "DECLARED"},
    "GENERATION_PLAN": {"method": "GENERATION_PLAN"},
    "METER_ONLY": {"method": "METER_ONLY"},
}  # fmt: skip

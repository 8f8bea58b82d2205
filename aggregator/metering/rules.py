"""The baseline section of a ruleset, read and checked."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from accounts.core.errors import Refused
from aggregator.core.backtest import Trial
from aggregator.core.baseline_variants import (
    BACKTESTED,
    CATALOGUE,
    Variant,
    parameters_read,
    variant_from_mapping,
)
from aggregator.core.baselines import XOfY
from aggregator.core.gaming import Thresholds
from aggregator.metering.models import BaselineMethod
from market.registry.models import STORAGE_KINDS, ResourceKind

# Parameters of High 4 of 5 stand in the section itself, as they always did.
OWN_KEYS: Final = (
    "weekday_days", "weekday_keep", "holiday_days", "holiday_keep", "lookback_days",
    "low_day_ratio", "floor_kwh", "window", "cap_ratio", "frozen_days", "frozen_lookback_days",
)  # fmt: skip
CANDIDATES: Final = (
    "HIGH_4_OF_5", "HIGH_4_OF_5_RAW", "HIGH_4_OF_5_CAP20", "HIGH_5_OF_10", "MID_4_OF_6",
    "TEN_OF_TEN", "TEN_OF_TEN_ADJUSTED", "MATCH_DAY", "SIMILAR_DAYS", "SAME_DAY_3_2",
    "BEFORE", "BEFORE_AFTER",
)  # fmt: skip
HISTORY_DAYS = 60
HISTORY_MAX_DAYS = 366


def usual_methods() -> dict[str, str]:
    """Return the variant of each resource kind where a rule names none."""
    methods: dict[str, str] = dict.fromkeys(STORAGE_KINDS, BaselineMethod.METER_ONLY)
    methods[ResourceKind.DC_LOAD] = BaselineMethod.HIGH_4_OF_5
    methods[ResourceKind.PV] = BaselineMethod.DECLARED
    methods[ResourceKind.WIND] = BaselineMethod.DECLARED
    return methods


def usual_variants() -> dict[str, Variant]:
    """Return the catalogue, read."""
    return {name: variant_from_mapping(name, entry) for name, entry in CATALOGUE.items()}


@dataclass(frozen=True, kw_only=True)
class TrialRules:
    """How the baseline test of a resource is run: candidates, how much history, the trial."""

    candidates: tuple[str, ...] = CANDIDATES
    history_days: int = HISTORY_DAYS
    trial: Trial = field(default_factory=Trial)


@dataclass(frozen=True, kw_only=True)
class BaselineRules:
    """Variants by name, the variant of each resource kind, and how sites are tested and watched."""

    variants: Mapping[str, Variant] = field(default_factory=usual_variants)
    methods: Mapping[str, str] = field(default_factory=usual_methods)
    test: TrialRules = field(default_factory=TrialRules)
    gaming: Thresholds = field(default_factory=Thresholds)

    def variant_of_kind(self, kind: str) -> Variant:
        """Return the variant of a resource kind to which nothing of its own is assigned."""
        return self.variants[self.methods[kind]]


def baseline_rules_from_mapping(mapping: Mapping[str, Any]) -> BaselineRules:
    """Parse the section.

    Parameters
    ----------
    mapping
        Parameters of High 4 of 5 (:class:`~aggregator.core.baselines.XOfY`; decimals as strings,
        the window as two integers or null); ``variants``, from name to method and parameters
        (:func:`~aggregator.core.baseline_variants.variant_from_mapping`), added to the catalogue
        or in place of an entry of it; ``methods``, from resource kind to the name of a variant;
        ``test``, with ``candidates``, ``history_days`` and the fields of
        :class:`~aggregator.core.backtest.Trial`; ``gaming``, the fields of
        :class:`~aggregator.core.gaming.Thresholds`.

    Raises
    ------
    Refused
        On an unknown key, kind, variant or method, or a value of the wrong type or out of bounds.
    """
    own: dict[str, Any] = {}
    variants = usual_variants()
    given: dict[str, Mapping[str, Any]] = {}
    for key, value in mapping.items():
        name = f"baseline.{key}"
        if key in OWN_KEYS:
            own[key] = value
        elif key in {"variants", "methods", "test", "gaming"}:
            if not isinstance(value, Mapping):
                raise Refused(field=name, value=value, rule="a mapping")
            given[key] = value
        else:
            raise Refused(field=name, value=value, rule="not a baseline rule")
    usual = variants[BaselineMethod.HIGH_4_OF_5]
    variants[BaselineMethod.HIGH_4_OF_5] = replace(
        usual, rules=XOfY(**parameters_read(XOfY, own, label="baseline"))
    )
    for name, entry in given.get("variants", {}).items():
        variants[name] = variant_from_mapping(name, entry)
    return BaselineRules(
        variants=variants,
        methods=usual_methods() | _methods(given.get("methods", {}), variants),
        test=_test_rules(given.get("test", {}), variants),
        gaming=_thresholds(given.get("gaming", {})),
    )


def _methods(value: Mapping[str, Any], variants: Mapping[str, Variant]) -> dict[str, str]:
    for kind, name in value.items():
        if kind not in ResourceKind.values:
            raise Refused(field=f"baseline.methods.{kind}", value=name, rule="a resource kind")
        if name not in variants:
            rule = f"a baseline method: one of {', '.join(sorted(variants))}"
            raise Refused(field=f"baseline.methods.{kind}", value=name, rule=rule)
    return dict(value)


def _test_rules(value: Mapping[str, Any], variants: Mapping[str, Variant]) -> TrialRules:
    given = dict(value)
    candidates = given.pop("candidates", None)
    candidates = (
        tuple(name for name in CANDIDATES if name in variants) if candidates is None else candidates
    )
    for name in candidates:
        if name not in variants or variants[name].method not in BACKTESTED:
            rule = "variants that stand on past readings"
            raise Refused(field="baseline.test.candidates", value=name, rule=rule)
    history_days = given.pop("history_days", HISTORY_DAYS)
    if type(history_days) is not int or not 1 <= history_days <= HISTORY_MAX_DAYS:
        raise Refused(field="baseline.test.history_days", value=history_days, rule="1 to 366 days")
    starts = given.pop("starts", None)
    trial = Trial(**parameters_read(Trial, given, label="baseline.test"))
    if starts is not None:
        if not (isinstance(starts, list | tuple) and all(type(t) is int for t in starts)):
            raise Refused(field="baseline.test.starts", value=starts, rule="a list of half hours")
        trial = replace(trial, starts=tuple(starts))
    return TrialRules(candidates=tuple(candidates), history_days=history_days, trial=trial)


def _thresholds(value: Mapping[str, Any]) -> Thresholds:
    return Thresholds(**parameters_read(Thresholds, value, label="baseline.gaming"))

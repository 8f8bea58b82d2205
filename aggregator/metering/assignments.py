"""Test the baseline methods on a resource's own past, and assign the best for a term to come."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict, Refused
from aggregator.core.backtest import Figures, Trial, backtest, choose
from aggregator.core.baseline_variants import Variant, parameters_written, variant_from_mapping
from aggregator.core.baselines import LOOKBACK_MAX_DAYS, Day
from aggregator.metering import selectors
from aggregator.metering.calendar import day_start, days_of, holidays_between, japanese_day
from aggregator.metering.models import BaselineAssignment, BaselineTest
from aggregator.metering.rules import BaselineRules, baseline_rules_from_mapping
from market.registry.models import Resource, Ruleset
from market.registry.selectors import ruleset_on

TERM_MAX_DAYS = 400


class MethodAssigned(Conflict):
    """A method is assigned for a day of the term already."""


class TermBegun(Refused):
    """The term begins too soon: participants must know the method before the day."""


def assigned_methods(*, resource_ids: Collection[UUID], on: date) -> dict[UUID, Variant]:
    """Return what is assigned to resources for a delivery day; the others are not in the answer."""
    rows = BaselineAssignment.objects.filter(
        resource_id__in=resource_ids, valid_from_on__lte=on, valid_to_on__gt=on
    )
    return {row.resource_id: variant_from_mapping(row.variant, row.parameters) for row in rows}


def assignments_on(
    *, on: date, resource_ids: Collection[UUID] | None = None
) -> QuerySet[BaselineAssignment]:
    """Return what is assigned on a day, with the smallest award that can be told from noise.

    For prequalification and bids to show; nothing is refused by it.
    """
    rows = BaselineAssignment.objects.filter(valid_from_on__lte=on, valid_to_on__gt=on)
    if resource_ids is not None:
        rows = rows.filter(resource_id__in=resource_ids)
    return rows.select_related("resource", "test").order_by("resource__code")


def baseline_test(
    *, resource: Resource, as_of: datetime, term: tuple[date, date]
) -> BaselineAssignment | None:
    """Back-test every candidate on the resource's past, and assign the best for the term.

    The history is the days before `as_of` that the ruleset of the term names, without those on
    which the resource was called. The method with the least CV-RMSE wins; its smallest award is
    twice that times the mean load. The same readings give the same test: run again, it changes
    nothing.

    Parameters
    ----------
    resource
        With a meter of its own.
    as_of
        Readings that became available later do not exist; not in the future.
    term
        First delivery day, and the day after the last; the first begins after `as_of`.

    Returns
    -------
    BaselineAssignment or None
        None if no candidate could be tried often enough; the test and the reason are stored.

    Raises
    ------
    TermBegun
        If the term begins on the day of `as_of` or before it, or of now.
    MethodAssigned
        If another test assigned a method for a day of the term.
    Refused
        If the term is empty or long, `as_of` is in the future, or there is no meter.
    """
    from_on, to_on = term
    now = market_now()
    _refuse_term(from_on, to_on, as_of, now)
    ruleset = ruleset_on(from_on)
    rules = baseline_rules_from_mapping(ruleset.rules.get("baseline", {}))
    until_on = japanese_day(as_of)
    since_on = until_on - timedelta(days=rules.test.history_days)
    load_kwh, called_on = _history(resource, since_on, until_on, as_of, rules)
    days = [since_on + timedelta(days=n) for n in range(rules.test.history_days)]
    free = holidays_between(since_on - timedelta(days=LOOKBACK_MAX_DAYS), until_on)
    found = [
        backtest(
            load_kwh,
            variant=rules.variants[name],
            days=days,
            called_on=called_on,
            holidays=free,
            trial=rules.test.trial,
        )
        for name in rules.test.candidates
    ]
    best = choose(found, rules.test.trial)
    figures = [_written(entry, rules.test.trial) for entry in found]
    test = BaselineTest(
        resource=resource,
        as_of=as_of,
        history_from_on=since_on,
        history_to_on=until_on,
        term_from_on=from_on,
        term_to_on=to_on,
        ruleset=ruleset,
        figures=figures,
        mean_kw=Decimal(0) if best is None else round(best.mean_kw, 1),
        variant="" if best is None else best.variant,
        reason=""
        if best is not None
        else f"no candidate on {rules.test.trial.events_min} events or more",
        input_sha256=_sha256(ruleset, since_on, until_on, to_on, figures),
    )
    return _kept(test, best, rules, now)


def baseline_test_latest(*, resource_id: UUID, on: date) -> BaselineTest | None:
    """Return the latest test for a term that holds a day, assigned from or not."""
    return (
        BaselineTest.objects.filter(
            Q(resource_id=resource_id) & Q(term_from_on__lte=on) & Q(term_to_on__gt=on)
        )
        .order_by("-id")
        .first()
    )


def _refuse_term(from_on: date, to_on: date, as_of: datetime, now: datetime) -> None:
    if as_of.utcoffset() is None or as_of > now:
        raise Refused(field="as_of", value=as_of, rule="a moment with its offset, not to come")
    if not timedelta() < to_on - from_on <= timedelta(days=TERM_MAX_DAYS):
        raise Refused(field="term", value=to_on, rule=f"1 to {TERM_MAX_DAYS} days")
    if from_on <= japanese_day(now):
        raise TermBegun(field="term", value=from_on, rule="a day that has not begun")


def _history(
    resource: Resource, since_on: date, until_on: date, as_of: datetime, rules: BaselineRules
) -> tuple[Mapping[date, Day], set[date]]:
    """Fetch load, as far back as any candidate looks from the first day, and calls."""
    meter = getattr(resource, "meter", None)
    if meter is None:
        raise Refused(field="resource", value=resource.code, rule="a resource with a meter")
    reach = max((rules.variants[name].reach_days for name in rules.test.candidates), default=0)
    first_on = since_on - timedelta(days=reach + 1)
    load = days_of(
        selectors.readings_latest(
            meter_ids=[meter.pk],
            start_at=day_start(first_on),
            end_at=day_start(until_on),
            as_of=as_of,
        )
    )
    called = selectors.called_days(
        resource_ids=[resource.pk],
        before_on=until_on,
        lookback_days=(until_on - first_on).days,
        as_of=as_of,
    )
    return load.get(meter.pk, {}), called.get(resource.pk, set())


def _kept(
    test: BaselineTest, best: Figures | None, rules: BaselineRules, now: datetime
) -> BaselineAssignment | None:
    with transaction.atomic():
        # Two tests of one resource take turns, so that one assigns and the other is told.
        Resource.objects.select_for_update(no_key=True).get(pk=test.resource_id)
        known = BaselineTest.objects.filter(
            resource_id=test.resource_id,
            term_from_on=test.term_from_on,
            input_sha256=test.input_sha256,
        ).first()
        if known is not None:
            return BaselineAssignment.objects.filter(test=known).first()
        other = BaselineAssignment.objects.filter(
            resource_id=test.resource_id,
            valid_from_on__lt=test.term_to_on,
            valid_to_on__gt=test.term_from_on,
        ).first()
        if other is not None:
            raise MethodAssigned(
                field="term", value=other.valid_from_on, rule=f"{other.variant} stands for it"
            )
        test.save(force_insert=True)
        assignment = None if best is None else _assigned(test, best, rules, now)
        entry_append(
            action="metering.baseline.tested",
            subject=test,
            detail={
                "resource": test.resource.code,
                "variant": test.variant,
                "term_from_on": test.term_from_on.isoformat(),
                "smallest_kw": None if assignment is None else str(assignment.smallest_kw),
            },
        )
    return assignment


def _assigned(
    test: BaselineTest, best: Figures, rules: BaselineRules, now: datetime
) -> BaselineAssignment:
    variant = rules.variants[best.variant]
    return BaselineAssignment.objects.create(
        resource=test.resource,
        test=test,
        variant=variant.name,
        method=str(variant.method),
        parameters=parameters_written(variant),
        valid_from_on=test.term_from_on,
        valid_to_on=test.term_to_on,
        smallest_kw=best.smallest_kw(rules.test.trial.noise_factor),
        bias_ratio=best.bias_ratio,
        cv_rmse_ratio=best.cv_rmse_ratio,
        low_ratio=best.low_ratio,
        high_ratio=best.high_ratio,
        assigned_at=now,
    )


def _written(figures: Figures, trial: Trial) -> dict[str, Any]:
    row = {
        key: str(value) if isinstance(value, Decimal) else value
        for key, value in asdict(figures).items()
    }
    return row | {"smallest_kw": str(figures.smallest_kw(trial.noise_factor))}


def _sha256(
    ruleset: Ruleset, since_on: date, until_on: date, to_on: date, figures: list[dict[str, Any]]
) -> str:
    content = [ruleset.pk, since_on, until_on, to_on, figures]
    return hashlib.sha256(json.dumps(content, default=str, sort_keys=True).encode()).hexdigest()

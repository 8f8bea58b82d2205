"""Baselines of a day: readings in, a baseline of each resource or the reason for none out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from aggregator.core import baselines as core
from aggregator.core.baseline_variants import Facts, Variant, baseline_of
from aggregator.core.baselines_sameday import BeforeAndAfter, FineValue, JustBefore
from aggregator.metering import selectors
from aggregator.metering.assignments import assigned_methods
from aggregator.metering.calendar import day_start, days_of, holidays_between
from aggregator.metering.fine_selectors import fine_values, instructions_sent
from aggregator.metering.models import (
    Baseline,
    DeliveryVerification,
    Meter,
)
from aggregator.metering.rules import BaselineRules
from aggregator.metering.schedules import schedules_on
from aggregator.metering.selectors import LatestReading, OrderedInterval

# Methods that look at the day itself only, and at the evening or the morning beside it.
SAME_DAY = BeforeAndAfter
LONGEST_FINE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class DayLoad:
    """The readings of one resource's meter: history by day, and the prevailing rows of the day."""

    load_kwh: Mapping[date, core.Day]
    today: Mapping[int, LatestReading]
    fine: Sequence[FineValue] = ()
    instructed_at: Mapping[int, datetime] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class FoundBaseline:
    """A baseline of one resource, or the reason why there is none."""

    method: str
    baseline: core.Baseline | None
    variant: str = ""
    reason: str = ""
    stored: Baseline | None = None

    @property
    def values_kwh(self) -> Sequence[Decimal | None]:
        """Return 48 values, or 48 times None."""
        if self.baseline is None:
            return (None,) * core.INTERVAL_COUNT
        return self.baseline.baseline_kwh


def variants_of(
    orders: Mapping[UUID, Sequence[OrderedInterval]], terms: BaselineRules, day: date
) -> dict[UUID, Variant]:
    """Return the method of every resource with orders: what it is assigned, or its kind's."""
    assigned = assigned_methods(resource_ids=orders.keys(), on=day)
    return {
        resource_id: assigned.get(resource_id) or terms.variant_of_kind(ordered[0].resource_kind)
        for resource_id, ordered in orders.items()
    }


def loads_read(
    orders: Mapping[UUID, Sequence[OrderedInterval]],
    terms: BaselineRules,
    day: date,
    as_of: datetime,
) -> dict[UUID, DayLoad]:
    """Fetch the readings that baselines and deliveries need, in two set-based queries."""
    resource_of = dict(
        Meter.objects.filter(resource_id__in=orders.keys()).values_list("id", "resource_id")
    )
    variants = variants_of(orders, terms, day)
    with_history = {
        meter_id
        for meter_id, resource_id in resource_of.items()
        if variants[resource_id].reach_days or isinstance(variants[resource_id].rules, SAME_DAY)
    }
    start_at = day_start(day)
    end_at = start_at + timedelta(days=1)
    # One day more than the look-back: an early event's window lies on the evening before.
    history_at = start_at - timedelta(days=_reach_days(variants.values()) + 1)
    history = selectors.readings_latest(
        meter_ids=with_history, start_at=history_at, end_at=start_at, as_of=as_of
    )
    today = selectors.readings_latest(
        # a late event's window after it lies on the next morning
        meter_ids=resource_of.keys(),
        start_at=start_at,
        end_at=end_at + _overhang(variants.values()),
        as_of=as_of,
    )
    values = days_of([*history, *today])
    rows: dict[UUID, dict[int, LatestReading]] = {id_: {} for id_ in orders}
    for reading in today:
        if reading.day == day:
            rows[resource_of[reading.meter_id]][reading.t] = reading
    meter_of = {resource_id: meter_id for meter_id, resource_id in resource_of.items()}
    calls = _calls(variants, meter_of, day, as_of)
    return {
        id_: DayLoad(
            load_kwh=values.get(meter_of.get(id_, 0), {}),
            today=rows[id_],
            fine=calls[id_].fine if id_ in calls else (),
            instructed_at=calls[id_].instructed_at if id_ in calls else {},
        )
        for id_ in orders
    }


def _reach_days(variants: Iterable[Variant]) -> int:
    return max((variant.reach_days for variant in variants), default=0)


def _overhang(variants: Iterable[Variant]) -> timedelta:
    """Return how far beyond the day a method may look."""
    slots = [v.rules.after[1] for v in variants if isinstance(v.rules, SAME_DAY) and v.rules.after]
    return timedelta(minutes=30) * max(slots, default=0)


def baselines_find(
    orders: Mapping[UUID, Sequence[OrderedInterval]],
    loads: Mapping[UUID, DayLoad],
    terms: BaselineRules,
    day: date,
    *,
    as_of: datetime,
    use_locked: bool = True,
) -> dict[UUID, FoundBaseline]:
    """Find the baseline of every resource with orders; a locked one stands as it was stored.

    Without `use_locked` all are found anew, as a recomputation from raw readings asks. What was
    called is known at `as_of`.
    """
    found: dict[UUID, FoundBaseline] = {}
    if use_locked:
        stored = selectors.baselines_latest(resource_ids=orders.keys(), delivery_on=day)
        found = {id_: from_stored(row) for id_, row in stored.items() if row.is_locked}
    variants = {
        id_: variant for id_, variant in variants_of(orders, terms, day).items() if id_ not in found
    }
    reach_days = _reach_days(variants.values())
    called = selectors.called_days(
        resource_ids=variants.keys(), before_on=day, lookback_days=reach_days, as_of=as_of
    )
    beside = [id_ for id_, variant in variants.items() if isinstance(variant.rules, SAME_DAY)]
    busy = (
        selectors.called_beside(resource_ids=beside, delivery_on=day, as_of=as_of) if beside else {}
    )
    plans = schedules_on(resource_ids=variants.keys(), delivery_on=day)
    free = holidays_between(day - timedelta(days=reach_days), day)
    for resource_id, variant in variants.items():
        facts = Facts(
            load_kwh=loads[resource_id].load_kwh,
            day=day,
            event={order.t for order in orders[resource_id]},
            called_on=called.get(resource_id, ()),
            holidays=free,
            plan_kwh=plans.get(resource_id, ()),
            busy=busy.get(resource_id, ()),
            fine=loads[resource_id].fine,
            instructed_at=loads[resource_id].instructed_at,
        )
        try:
            baseline = baseline_of(variant, facts)
            reason = ""
        except core.BaselineNotComputable as refused:
            baseline, reason = None, str(refused)[:200]
        found[resource_id] = FoundBaseline(
            method=str(variant.method), variant=variant.name, baseline=baseline, reason=reason
        )
    return found


@dataclass(frozen=True, kw_only=True)
class _Called:
    """When instructions of a day were sent, and the short intervals before them."""

    instructed_at: Mapping[int, datetime]
    fine: Sequence[FineValue]


def _calls(
    variants: Mapping[UUID, Variant], meter_of: Mapping[UUID, int], day: date, as_of: datetime
) -> dict[UUID, _Called]:
    """Fetch what 直前計測 stands on, for the resources that are measured by it."""
    minutes = {
        id_: variant.rules.minutes
        for id_, variant in variants.items()
        if isinstance(variant.rules, JustBefore) and id_ in meter_of
    }
    if not minutes:
        return {}
    sent = instructions_sent(resource_ids=minutes.keys(), delivery_on=day, as_of=as_of)
    return {
        id_: _Called(
            instructed_at=moments,
            fine=fine_values(
                meter_id=meter_of[id_],
                # the latest interval may have ended as much before the call as it is long
                start_at=min(moments.values()) - timedelta(minutes=minutes[id_]) - LONGEST_FINE,
                end_at=max(moments.values()),
                as_of=as_of,
            ),
        )
        for id_, moments in sent.items()
    }


def from_stored(row: Baseline) -> FoundBaseline:
    """Read a stored baseline back."""
    baseline = None
    if row.baseline_kwh is not None:
        baseline = core.Baseline(
            baseline_kwh=tuple(row.baseline_kwh),
            adjustment_kwh=row.adjustment_kwh,
            days_used=tuple(row.days_used),
        )
    return FoundBaseline(
        method=row.method, variant=row.variant, baseline=baseline, reason=row.reason, stored=row
    )


def baselines_write(
    *,
    verification: DeliveryVerification,
    found: Mapping[UUID, FoundBaseline],
    delivery_on: date,
    computed_at: datetime,
    is_final: bool,
) -> None:
    """Store what a verification found; a final one locks it, and what is locked stays.

    Inside the transaction that writes the verification.
    """
    known = selectors.baselines_latest(resource_ids=found.keys(), delivery_on=delivery_on)
    rows = []
    for resource_id, of_resource in sorted(found.items()):
        earlier = known.get(resource_id)
        if earlier is not None and (
            earlier.is_locked or (not is_final and _equal(earlier, of_resource))
        ):
            continue
        baseline = of_resource.baseline
        rows.append(
            Baseline(
                verification=verification,
                resource_id=resource_id,
                delivery_on=delivery_on,
                revision=1 if earlier is None else earlier.revision + 1,
                method=of_resource.method,
                variant=of_resource.variant,
                baseline_kwh=None if baseline is None else list(baseline.baseline_kwh),
                adjustment_kwh=Decimal(0) if baseline is None else baseline.adjustment_kwh,
                days_used=[] if baseline is None else list(baseline.days_used),
                reason=of_resource.reason,
                computed_at=computed_at,
                is_locked=is_final,
            )
        )
    Baseline.objects.bulk_create(rows)


def _equal(row: Baseline, found: FoundBaseline) -> bool:
    stored = from_stored(row)
    return stored.baseline == found.baseline and row.reason == found.reason

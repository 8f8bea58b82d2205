"""Baselines of a day: readings in, a baseline of each resource or the reason for none out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import holidays

from aggregator.core import baselines as core
from aggregator.metering import selectors
from aggregator.metering.models import (
    Baseline,
    BaselineMethod,
    DeliveryVerification,
    Meter,
)
from aggregator.metering.rules import BaselineRules
from aggregator.metering.selectors import LatestReading, OrderedInterval

JST_OFFSET = timedelta(hours=9)
COUNTRY = "JP"


@dataclass(frozen=True, kw_only=True)
class DayLoad:
    """The readings of one resource's meter: history by day, and the prevailing rows of the day."""

    load_kwh: Mapping[date, core.Day]
    today: Mapping[int, LatestReading]


@dataclass(frozen=True, kw_only=True)
class FoundBaseline:
    """A baseline of one resource, or the reason why there is none."""

    method: str
    baseline: core.Baseline | None
    reason: str = ""
    stored: Baseline | None = None

    @property
    def values_kwh(self) -> Sequence[Decimal | None]:
        """Return 48 values, or 48 times None."""
        if self.baseline is None:
            return (None,) * core.INTERVAL_COUNT
        return self.baseline.baseline_kwh


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
    needs_history = {
        meter_id
        for meter_id, resource_id in resource_of.items()
        if terms.methods[orders[resource_id][0].resource_kind] == BaselineMethod.HIGH_4_OF_5
    }
    start_at = datetime(day.year, day.month, day.day, tzinfo=UTC) - JST_OFFSET
    end_at = start_at + timedelta(days=1)
    # One day more than the look-back: an early event's window lies on the evening before.
    history_at = start_at - timedelta(days=terms.high_4_of_5.lookback_days + 1)
    history = selectors.readings_latest(
        meter_ids=needs_history, start_at=history_at, end_at=start_at, as_of=as_of
    )
    today = selectors.readings_latest(
        meter_ids=resource_of.keys(), start_at=start_at, end_at=end_at, as_of=as_of
    )
    values: dict[UUID, dict[date, list[Decimal | None]]] = {id_: {} for id_ in orders}
    rows: dict[UUID, dict[int, LatestReading]] = {id_: {} for id_ in orders}
    for reading in [*history, *today]:
        resource_id = resource_of[reading.meter_id]
        days = values[resource_id]
        if reading.day not in days:
            days[reading.day] = [None] * core.INTERVAL_COUNT
        days[reading.day][reading.t] = reading.usable_kwh
        if reading.day == day:
            rows[resource_id][reading.t] = reading
    return {id_: DayLoad(load_kwh=values[id_], today=rows[id_]) for id_ in orders}


def baselines_find(
    orders: Mapping[UUID, Sequence[OrderedInterval]],
    loads: Mapping[UUID, DayLoad],
    terms: BaselineRules,
    day: date,
) -> dict[UUID, FoundBaseline]:
    """Find the baseline of every resource with orders; a locked one stands as it was stored."""
    locked = {
        id_: row
        for id_, row in selectors.baselines_latest(
            resource_ids=orders.keys(), delivery_on=day
        ).items()
        if row.is_locked
    }
    called = selectors.called_days(
        resource_ids=orders.keys(),
        before_on=day,
        lookback_days=terms.high_4_of_5.lookback_days,
    )
    plans = selectors.schedules_on(resource_ids=orders.keys(), delivery_on=day)
    free = holidays_around(day, terms.high_4_of_5.lookback_days)
    found = {}
    for resource_id, ordered in orders.items():
        method = terms.methods[ordered[0].resource_kind]
        if resource_id in locked:
            found[resource_id] = from_stored(locked[resource_id])
            continue
        try:
            if method == BaselineMethod.METER_ONLY:
                baseline = core.baseline_meter_only()
            elif method == BaselineMethod.DECLARED:
                baseline = core.baseline_declared(plans.get(resource_id, ()))
            else:
                baseline = core.baseline_x_of_y(
                    loads[resource_id].load_kwh,
                    day=day,
                    event={order.t for order in ordered},
                    called_on=called.get(resource_id, ()),
                    holidays=free,
                    rules=terms.high_4_of_5,
                )
            found[resource_id] = FoundBaseline(method=method, baseline=baseline)
        except core.BaselineNotComputable as reason:
            found[resource_id] = FoundBaseline(
                method=method, baseline=None, reason=str(reason)[:200]
            )
    return found


def holidays_around(day: date, lookback_days: int) -> Collection[date]:
    """Return the national holidays of the years that the look-back touches."""
    years = {day.year, (day - timedelta(days=lookback_days)).year}
    return set(holidays.country_holidays(COUNTRY, years=years))


def from_stored(row: Baseline) -> FoundBaseline:
    """Read a stored baseline back."""
    baseline = None
    if row.baseline_kwh is not None:
        baseline = core.Baseline(
            baseline_kwh=tuple(row.baseline_kwh),
            adjustment_kwh=row.adjustment_kwh,
            days_used=tuple(row.days_used),
        )
    return FoundBaseline(method=row.method, baseline=baseline, reason=row.reason, stored=row)


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

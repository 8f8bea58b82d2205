"""What a verification finds: everything, or the half hours of resources it is asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from django.db import connection

from accounts.core.errors import Refused
from aggregator.metering.baselines import FoundBaseline, baselines_find, loads_read
from aggregator.metering.calendar import day_start
from aggregator.metering.capacity import AssessmentRow, capacity_assessed
from aggregator.metering.columns import Columns
from aggregator.metering.counting import Facts, Row, rows_counted
from aggregator.metering.delivery_rules import DeliveryRules, delivery_rules
from aggregator.metering.excuses import excuses_within
from aggregator.metering.found import FoundColumns
from aggregator.metering.held import Held, capacity_held
from aggregator.metering.models import Meter, Stage, VerificationStage
from aggregator.metering.orders import Place, orders_on
from aggregator.metering.rules import baseline_rules_from_mapping
from aggregator.metering.selectors import LatestReading, OrderedInterval
from aggregator.metering.shift_rows import CheckRow, shifts_checked
from market.core.timegrid import INTERVALS_PER_DAY
from market.registry.models import STORAGE_KINDS
from market.trading.models import Auction

ZERO = Decimal(0)


class NothingPublished(Refused):
    """The auction has no published award to verify."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a verification found, ready to be written.

    `found` are baselines that are not stored yet as they are. What was counted in bulk stands in
    `columns` and not in `rows`, and its baselines in `found_columns`.
    """

    auction: Auction
    stage: str
    as_of: datetime
    found: Mapping[UUID, FoundBaseline] = field(default_factory=dict)
    rows: tuple[Row, ...] = ()
    stand_ins: tuple[Row, ...] = ()
    checks: tuple[CheckRow, ...] = ()
    assessments: tuple[AssessmentRow, ...] = ()
    columns: Columns | None = None
    found_columns: FoundColumns | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it to be counted."""
        return not (self.rows_count or self.stand_ins or self.checks or self.assessments)

    @property
    def rows_count(self) -> int:
        """How many half hours of awards it counts."""
        return len(self.rows) + (0 if self.columns is None else len(self.columns))

    @property
    def shortfall_kwh(self) -> Decimal:
        """What awards are short of in all."""
        short_kwh = sum((row.shortfall_kwh for row in self.rows), ZERO)
        return short_kwh if self.columns is None else short_kwh + self.columns.shortfall_kwh


def outcome_of(
    auction: Auction,
    *,
    stage: str,
    as_of: datetime,
    places: Collection[Place] | None = None,
    use_locked: bool = True,
    is_patient: bool = False,
    resource_ids: Collection[UUID] | None = None,
) -> Outcome:
    """Count what an auction ordered and assess what it reserved, writing nothing.

    Parameters
    ----------
    auction
        With its ruleset.
    stage
        A :class:`~aggregator.metering.models.VerificationStage`.
    as_of
        Readings and everything else as they were known then.
    places
        Half hours of resources to look at, with all that hangs together with them; None for
        the whole auction.
    use_locked
        Of the whole auction: take locked baselines as they stand, or find all anew.
    is_patient
        Of a correction: a reading that is not to be paid on yet is none yet. It changes nothing
        of what was verified, and keeps nothing else from being corrected.

    resource_ids
        Of the whole auction: those to look at, with both ends of each shift among them.

    Raises
    ------
    NothingPublished
        If the whole auction is asked for and it awarded nothing.
    ReadingsNotFinal
        If the stage is FINAL and a reading is not to be paid on yet, unless it is patient.
    """
    rules = delivery_rules(auction.ruleset.rules)
    orders, held = _asked(auction, places, resource_ids)
    if places is None and not orders and not held:
        raise NothingPublished(field="auction", value=auction.code, rule="has published awards")
    by_resource: dict[UUID, list[OrderedInterval]] = defaultdict(list)
    for order in orders:
        by_resource[order.resource_id].append(order)
    ordered = set(by_resource)
    for row in held:
        # what is held ready is no call: it does not move the window of a baseline of energy
        if row.resource_id not in ordered:
            by_resource[row.resource_id].append(_as_order(row, auction.id))
    if places is None:
        found, facts = _whole(auction, by_resource, stage, as_of, rules, use_locked=use_locked)
    else:
        found, facts = _parts(auction, by_resource, held, stage, as_of, rules)
    if is_patient:
        facts = _patient(facts)
    counted = rows_counted(orders, facts)
    counted, checks = shifts_checked(counted, auction=auction, rules=rules.shifts, as_of=as_of)
    mine = [row for row in counted if row.order.auction_id == auction.id]
    return Outcome(
        auction=auction,
        stage=stage,
        as_of=as_of,
        found=found,
        rows=tuple(row for row in mine if row.order.instruction_id is None),
        stand_ins=tuple(row for row in mine if row.order.instruction_id is not None),
        checks=tuple(checks),
        assessments=tuple(
            capacity_assessed(
                held,
                auction=auction,
                facts=facts,
                orders=orders,
                meter_ids=_meters({row.resource_id for row in held}),
                rules=rules.assessment,
            )
        ),
    )


def _patient(facts: Facts) -> Facts:
    """Leave out what may not be counted yet; the highest stage prevails, so nothing was hidden."""
    readings = {
        place: reading for place, reading in facts.readings.items() if reading.stage >= facts.needed
    }
    return replace(facts, readings=readings, is_patient=True)


def _asked(
    auction: Auction,
    places: Collection[Place] | None,
    resource_ids: Collection[UUID] | None = None,
) -> tuple[list[OrderedInterval], list[Held]]:
    """Return what the auction asked of meters, and what other auctions asked of the same."""
    held = capacity_held(auction_id=auction.id, places=places)
    if places is None and resource_ids is not None:
        places = {(id_, t) for id_ in resource_ids for t in range(INTERVALS_PER_DAY)}
        held = [row for row in held if row.resource_id in resource_ids]
    everything = orders_on(auction.delivery_on, places=places)
    concerned = {order.resource_id for order in everything if order.auction_id == auction.id}
    concerned |= {row.resource_id for row in held}
    return [order for order in everything if order.resource_id in concerned], held


def _whole(
    auction: Auction,
    by_resource: Mapping[UUID, Sequence[OrderedInterval]],
    stage: str,
    as_of: datetime,
    rules: DeliveryRules,
    *,
    use_locked: bool = True,
) -> tuple[Mapping[UUID, FoundBaseline], Facts]:
    """Find the baselines of a day and read it."""
    terms = baseline_rules_from_mapping(auction.ruleset.rules.get("baseline", {}))
    loads = loads_read(by_resource, terms, auction.delivery_on, as_of)
    found = baselines_find(
        by_resource, loads, terms, auction.delivery_on, as_of=as_of, use_locked=use_locked
    )
    baselines = {(id_, t): kwh for id_, of in found.items() for t, kwh in enumerate(of.values_kwh)}
    readings = {
        (id_, t): reading for id_, load in loads.items() for t, reading in load.today.items()
    }
    return found, _facts(auction, baselines, readings, stage, as_of, rules)


def _parts(
    auction: Auction,
    by_resource: Mapping[UUID, Sequence[OrderedInterval]],
    held: Sequence[Held],
    stage: str,
    as_of: datetime,
    rules: DeliveryRules,
) -> tuple[Mapping[UUID, FoundBaseline], Facts]:
    """Take the locked baselines and read the half hours asked for.

    A resource without a locked one was not looked at before: its baseline is found now.
    """
    places = {(order.resource_id, order.t) for of in by_resource.values() for order in of}
    places |= {(row.resource_id, row.t) for row in held}
    stores = {row.resource_id for row in held if row.resource_kind in STORAGE_KINDS}
    # what a store holds follows from its whole day
    read = places | {(id_, t) for id_ in stores for t in range(INTERVALS_PER_DAY)}
    baselines, locked = _locked(auction, places)
    found: Mapping[UUID, FoundBaseline] = {}
    if unknown := {id_: of for id_, of in by_resource.items() if id_ not in locked}:
        everything = orders_on(auction.delivery_on)
        whole = {
            id_: [order for order in everything if order.resource_id == id_] or list(of)
            for id_, of in unknown.items()
        }
        found, facts = _whole(auction, whole, stage, as_of, rules)
        baselines |= facts.baselines_kwh
    return found, _facts(auction, baselines, _readings(auction, read, as_of), stage, as_of, rules)


def _facts(
    auction: Auction,
    baselines: Mapping[Place, Decimal | None],
    readings: Mapping[Place, LatestReading],
    stage: str,
    as_of: datetime,
    rules: DeliveryRules,
) -> Facts:
    return Facts(
        baselines_kwh=baselines,
        readings=readings,
        excuses=excuses_within(
            starts_at=day_start(auction.delivery_on),
            ends_at=day_start(auction.delivery_on, days=1),
            as_of=as_of,
        ),
        needed=rules.pay_stage if stage == VerificationStage.FINAL else Stage.PRELIMINARY,
        as_of=as_of,
    )


LOCKED_SQL = """
SELECT wanted.resource_id, wanted.t, b.baseline_kwh[wanted.t + 1]
FROM unnest(%s::uuid[], %s::smallint[]) AS wanted (resource_id, t)
JOIN metering_baseline b
  ON b.resource_id = wanted.resource_id AND b.delivery_on = %s AND b.is_locked
"""
READINGS_SQL = """
SELECT DISTINCT ON (n.start_at, n.meter_id)
       wanted.resource_id, wanted.t, n.meter_id, n.start_at, n.energy_kwh, n.quality, n.stage,
       n.revision
FROM unnest(%(resources)s::uuid[], %(slots)s::smallint[], %(starts)s::timestamptz[])
    AS wanted (resource_id, t, start_at)
JOIN metering_meter m ON m.resource_id = wanted.resource_id
JOIN metering_intervalreading n ON n.meter_id = m.id AND n.start_at = wanted.start_at
WHERE n.start_at >= %(day_at)s AND n.start_at < %(end_at)s AND n.available_at <= %(as_of)s
ORDER BY n.start_at, n.meter_id, n.stage DESC, n.revision DESC
"""


def _locked(
    auction: Auction, places: Collection[Place]
) -> tuple[dict[Place, Decimal | None], set[UUID]]:
    """Return the locked baselines of some half hours, and whose day is locked at all."""
    with connection.cursor() as cursor:
        cursor.execute(
            LOCKED_SQL,
            [[id_ for id_, _ in places], [t for _, t in places], auction.delivery_on],
        )
        rows = cursor.fetchall()
    return {(id_, t): kwh for id_, t, kwh in rows}, {id_ for id_, _, _ in rows}


def _readings(
    auction: Auction, places: Collection[Place], as_of: datetime
) -> dict[Place, LatestReading]:
    day = auction.delivery_on
    midnight = day_start(day)
    with connection.cursor() as cursor:
        cursor.execute(
            READINGS_SQL,
            {
                "resources": [id_ for id_, _ in places],
                "slots": [t for _, t in places],
                "starts": [midnight + timedelta(minutes=30) * t for _, t in places],
                "day_at": midnight,
                "end_at": day_start(day, days=1),
                "as_of": as_of,
            },
        )
        return {
            (row[0], row[1]): LatestReading(
                meter_id=row[2],
                day=day,
                t=row[1],
                start_at=row[3],
                energy_kwh=row[4],
                quality=row[5],
                stage=row[6],
                revision=row[7],
            )
            for row in cursor
        }


def _meters(resource_ids: Collection[UUID]) -> dict[UUID, int]:
    rows = Meter.objects.filter(resource_id__in=resource_ids).values_list("resource_id", "id")
    return dict(rows)


def _as_order(row: Held, auction_id: UUID) -> OrderedInterval:
    """Let a baseline be found for what is only held ready, in the half hours it is held."""
    return OrderedInterval(
        auction_id=auction_id,
        award_id=row.award_id,
        resource_id=row.resource_id,
        resource_kind=row.resource_kind,
        direction=row.direction.value,
        t=row.t,
        start_at=row.start_at,
        quantity_kw=row.reserved_kw,
        site_id=row.site_id,
    )

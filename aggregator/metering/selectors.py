"""Read meters, readings as they were known at a moment, orders, baselines and deliveries."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Exists, F, OuterRef, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest

from accounts.parties.models import Organisation, OrganisationKind
from aggregator.metering.models import (
    Baseline,
    CapacityAssessment,
    Delivery,
    DeliveryVerification,
    Meter,
    Quality,
    ShiftCheck,
    StandInDelivery,
    VerificationStage,
)
from market.registry.models import Resource, Site

HALF_HOUR_S = 1800
HALF_HOURS_COUNT = 48
# JST is nine hours, eighteen half hours, ahead of UTC all year.
JST_SLOTS = 18
HALF_HOUR_H = Decimal("0.5")
# Readings above the contract happen; half as much again of everything at once does not.
PLAUSIBLE_RATIO = Decimal("1.5")
# What a meter is known by, with the least and the most it can read in a half hour.
MeterKnown = tuple[int, Decimal, Decimal]
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, kw_only=True, slots=True)
class LatestReading:
    """The prevailing value of one meter and half hour; `day` and `t` are JST."""

    meter_id: int
    day: date
    t: int
    start_at: datetime
    energy_kwh: Decimal | None
    quality: int
    stage: int
    revision: int

    @property
    def usable_kwh(self) -> Decimal | None:
        """Return the value, or None where it is missing or bad."""
        return self.energy_kwh if self.quality in {Quality.OK, Quality.ESTIMATED} else None


def meters_known(*, point_numbers: Collection[str]) -> dict[str, MeterKnown]:
    """Fetch meters by number, each with the energy that its site can carry either way.

    Everything at the site can run at once, and half as much again is allowed for: a half hour
    is at most 0.5 h × 1.5 × (contract power + the sum over the site's resources of the largest
    power each is registered with: limits up and down, charging, discharging). The bound is one
    per site, so that what a resource's limits do not say (a load's own power, the output of
    sun and wind) is covered by the contract and the limits of the rest.

    Returns
    -------
    dict of str to (id, low, high)
        Known meters only; bounds in kWh per half hour.
    """
    with connection.cursor() as cursor:
        # every batch of readings passes here, also of a single site: as text, this costs a
        # fraction of the ORM's way
        cursor.execute(_METERS_KNOWN, [list(point_numbers)])
        rows = cursor.fetchall()
    ratio = HALF_HOUR_H * PLAUSIBLE_RATIO
    return {number: (meter_id, -ratio * kw, ratio * kw) for number, meter_id, kw in rows}


_METERS_KNOWN = """
    WITH known AS MATERIALIZED (
        SELECT m.point_number, m.id, COALESCE(r.site_id, m.site_id) AS site_id
        FROM metering_meter m LEFT JOIN registry_resource r ON r.id = m.resource_id
        WHERE m.point_number = ANY(%s)),
    able AS (
        SELECT s.id, s.contract_kw + COALESCE(SUM(GREATEST(
            r.limit_up_kw, r.limit_down_kw, u.charge_kw, u.discharge_kw)), 0) AS all_kw
        FROM registry_site s LEFT JOIN registry_resource r ON r.site_id = s.id
        LEFT JOIN registry_storageunit u ON u.resource_id = r.id
        WHERE s.id IN (SELECT site_id FROM known) GROUP BY s.id)
    SELECT known.point_number, known.id, able.all_kw FROM known JOIN able ON able.id = known.site_id
"""


def energy_max_kwh_of(resource: Resource) -> Decimal:
    """Return the most that a meter at the resource's site can read in a half hour."""
    return _energy_max_kwh({resource.site_id})[resource.site_id]


def _energy_max_kwh(site_ids: Collection[UUID]) -> dict[UUID, Decimal]:
    sites = Site.objects.filter(id__in=site_ids).annotate(
        all_kw=F("contract_kw")
        + Coalesce(
            Sum(
                Greatest(
                    "resources__limit_up_kw",
                    "resources__limit_down_kw",
                    "resources__storage__charge_kw",
                    "resources__storage__discharge_kw",
                )
            ),
            Decimal(0),
        )
    )
    return {
        site_id: HALF_HOUR_H * PLAUSIBLE_RATIO * all_kw
        for site_id, all_kw in sites.values_list("id", "all_kw")
    }


@dataclass(frozen=True, kw_only=True, slots=True)
class OrderedInterval:
    """What an award, or an instruction that stands in for one, orders in one half hour.

    `void` is why it is no order any more (a :class:`Cause`), else empty; `is_excused` says that
    the desk took it back. A stand-in has its `instruction_id`, names the award it stands in for,
    and makes up for `cover_ratio` kWh at that one's place with each kWh at its own, up to what
    that one ordered, `lost_quantity_kw`.
    """

    auction_id: UUID
    award_id: UUID
    resource_id: UUID
    resource_kind: str
    direction: str
    t: int
    start_at: datetime
    quantity_kw: Decimal
    leg: str = ""
    bid_id: UUID | None = None
    site_id: UUID | None = None
    void: str = ""
    is_excused: bool = False
    instruction_id: UUID | None = None
    cover_ratio: Decimal = Decimal(1)
    lost_quantity_kw: Decimal = Decimal(0)


def readings_latest(
    *,
    meter_ids: Collection[int],
    start_at: datetime,
    end_at: datetime,
    as_of: datetime,
) -> list[LatestReading]:
    """Return the prevailing readings of meters in [start_at, end_at) as known at `as_of`.

    Of several values of one half hour the highest stage prevails, and of that the latest
    revision; values that became available later do not exist yet.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT DISTINCT ON (start_at, meter_id)
                   meter_id, extract(epoch FROM start_at)::bigint / 1800, start_at,
                   energy_kwh, quality, stage, revision
            FROM metering_intervalreading
            WHERE start_at >= %s AND start_at < %s AND meter_id = ANY(%s) AND available_at <= %s
            ORDER BY start_at, meter_id, stage DESC, revision DESC
            """,
            [start_at, end_at, list(meter_ids), as_of],
        )
        rows = cursor.fetchall()
    readings = []
    for meter_id, slot, started_at, energy_kwh, quality, stage, revision in rows:
        day, t = divmod(int(slot) + JST_SLOTS, HALF_HOURS_COUNT)
        readings.append(
            LatestReading(
                meter_id=meter_id,
                day=date.fromordinal(EPOCH_ORDINAL + day),
                t=t,
                start_at=started_at,
                energy_kwh=energy_kwh,
                quality=quality,
                stage=stage,
                revision=revision,
            )
        )
    return readings


# Results that stand, not those that were taken back before delivery.
STANDING_SQL = """
u.delivery_on BETWEEN %(first_on)s AND %(last_on)s
  AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
"""
# Reserved capacity that was called, by the word on each half hour that stood at the moment.
CAPACITY_CALLED_SQL = f"""
SELECT resource_id, delivery_on, t
FROM (
    SELECT DISTINCT ON (n.award_id, n.t) a.resource_id, u.delivery_on, n.t, n.instructed_kw
    FROM trading_auction u
    JOIN clearing_award a ON a.auction_id = u.id AND a.resource_id = ANY(%(resources)s)
    JOIN metering_capacityactivation n ON n.award_id = a.id AND n.noted_at <= %(as_of)s
    WHERE {STANDING_SQL}
    ORDER BY n.award_id, n.t, n.revision DESC
) AS noted
WHERE instructed_kw > 0
"""  # noqa: S608 - words of ours, no input
# A stand-in counts once it was accepted; a call's own instruction is counted by what was noted.
CALLED_DAYS_SQL = f"""
SELECT a.resource_id, u.delivery_on
FROM trading_auction u
JOIN clearing_award a ON a.auction_id = u.id AND a.resource_id = ANY(%(resources)s)
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
WHERE {STANDING_SQL}
  AND EXISTS (SELECT 1 FROM clearing_awardinterval i
              WHERE i.award_id = a.id AND i.quantity_kw > 0)
UNION
SELECT d.resource_id, u.delivery_on
FROM dispatch_dispatchinstruction d
JOIN clearing_award a ON a.id = d.award_id
JOIN trading_auction u ON u.id = a.auction_id
WHERE d.resource_id = ANY(%(resources)s) AND d.version > 1 AND d.call IS NULL
  AND d.acknowledged_at <= %(as_of)s AND {STANDING_SQL}
UNION
SELECT resource_id, delivery_on FROM ({CAPACITY_CALLED_SQL}) AS called
"""  # noqa: S608 - words of ours, no input
CALLED_BESIDE_SQL = f"""
SELECT a.resource_id, u.delivery_on, i.t
FROM trading_auction u
JOIN clearing_award a ON a.auction_id = u.id AND a.resource_id = ANY(%(resources)s)
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
JOIN clearing_awardinterval i ON i.award_id = a.id AND i.quantity_kw > 0
WHERE {STANDING_SQL}
UNION
SELECT d.resource_id, u.delivery_on, i.t
FROM trading_auction u
JOIN clearing_award a ON a.auction_id = u.id
JOIN dispatch_dispatchinstruction d
  ON d.award_id = a.id AND d.version > 1 AND d.call IS NULL AND d.acknowledged_at <= %(as_of)s
 AND d.resource_id = ANY(%(resources)s)
JOIN dispatch_instructioninterval i ON i.instruction_id = d.id AND i.quantity_kw > 0
WHERE {STANDING_SQL}
UNION
{CAPACITY_CALLED_SQL}
"""  # noqa: S608 - words of ours, no input


def called_days(
    *, resource_ids: Collection[UUID], before_on: date, lookback_days: int, as_of: datetime
) -> dict[UUID, set[date]]:
    """Return the days in the look-back on which something was ordered of each resource.

    A call of reserved capacity counts as it was known at `as_of`, and so does the acceptance
    of a stand-in, so that what is counted once more comes out the same.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            CALLED_DAYS_SQL,
            {
                "resources": list(resource_ids),
                "first_on": before_on - timedelta(days=lookback_days),
                "last_on": before_on - timedelta(days=1),
                "as_of": as_of,
            },
        )
        days: dict[UUID, set[date]] = {}
        for resource_id, delivery_on in cursor:
            days.setdefault(resource_id, set()).add(delivery_on)
    return days


def called_beside(
    *, resource_ids: Collection[UUID], delivery_on: date, as_of: datetime
) -> dict[UUID, set[int]]:
    """Return the half hours in which resources were called on a day and the days beside it.

    Counted from the day's midnight: −48 to −1 lie on the day before, 48 to 95 on the day after.
    What counts as called is known at `as_of`, as for :func:`called_days`.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            CALLED_BESIDE_SQL,
            {
                "resources": list(resource_ids),
                "first_on": delivery_on - timedelta(days=1),
                "last_on": delivery_on + timedelta(days=1),
                "as_of": as_of,
            },
        )
        called: dict[UUID, set[int]] = {}
        for resource_id, day, t in cursor:
            shift = (day - delivery_on).days * HALF_HOURS_COUNT
            called.setdefault(resource_id, set()).add(shift + t)
    return called


def baselines_latest(*, resource_ids: Collection[UUID], delivery_on: date) -> dict[UUID, Baseline]:
    """Return each resource's latest baseline of a day."""
    rows = Baseline.objects.filter(resource_id__in=resource_ids, delivery_on=delivery_on).order_by(
        "revision"
    )
    return {row.resource_id: row for row in rows}


def verification_latest(
    *, auction_id: UUID, stage: str | None = None
) -> DeliveryVerification | None:
    """Return the latest verification of an auction, of one stage if named."""
    rows = DeliveryVerification.objects.filter(auction_id=auction_id)
    if stage is not None:
        rows = rows.filter(stage=VerificationStage(stage))
    return rows.order_by("-revision").first()


def verification_of(*, auction: str, stage: str | None = None) -> DeliveryVerification | None:
    """Return the latest verification of the auction with a code, of one stage if named."""
    rows = DeliveryVerification.objects.filter(auction__code=auction)
    if stage is not None:
        rows = rows.filter(stage=VerificationStage(stage))
    return rows.order_by("-revision").first()


def verification_chain(*, verification_id: int) -> list[int]:
    """Return a verification and all it corrects, newest first."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT id FROM verification_chain(%s) ORDER BY depth", [verification_id])
        return [row[0] for row in cursor]


def deliveries_effective(*, verification_id: int) -> QuerySet[Delivery]:
    """Return what counts after a verification: of each award and half hour the newest row.

    In SQL the same is ``deliveries_effective(verification_id)``, a set of rows of
    ``metering_delivery``; ``deliveries_replaced(verification_id)`` gives, for each row of a
    correction, the row that counted before it.
    """
    chain = verification_chain(verification_id=verification_id)
    rows = Delivery.objects.filter(verification_id__in=chain)
    if len(chain) > 1:
        # ids grow along the chain: each verification is written after the one it corrects
        newer = Delivery.objects.filter(
            verification_id__in=chain,
            verification_id__gt=OuterRef("verification_id"),
            award_id=OuterRef("award_id"),
            t=OuterRef("t"),
        )
        rows = rows.filter(~Exists(newer))
    return rows


def stand_ins_effective(*, verification_id: int) -> QuerySet[StandInDelivery]:
    """Return what counts of stand-ins: of each instruction and half hour the newest row."""
    chain = verification_chain(verification_id=verification_id)
    newer = StandInDelivery.objects.filter(
        verification_id__in=chain,
        verification_id__gt=OuterRef("verification_id"),
        instruction_id=OuterRef("instruction_id"),
        t=OuterRef("t"),
    )
    return StandInDelivery.objects.filter(~Exists(newer), verification_id__in=chain)


def assessments_effective(*, verification_id: int) -> QuerySet[CapacityAssessment]:
    """Return the assessments that count: of each award and half hour the newest."""
    chain = verification_chain(verification_id=verification_id)
    return CapacityAssessment.objects.filter(
        ~Exists(_newer_check(CapacityAssessment, chain)), verification_id__in=chain
    )


def shift_checks_effective(*, verification_id: int) -> QuerySet[ShiftCheck]:
    """Return the checks of shifts that count: of each award and half hour the newest."""
    chain = verification_chain(verification_id=verification_id)
    return ShiftCheck.objects.filter(
        ~Exists(_newer_check(ShiftCheck, chain)), verification_id__in=chain
    )


def _newer_check(model: type[CapacityAssessment | ShiftCheck], chain: list[int]) -> QuerySet[Any]:
    return model.objects.filter(
        verification_id__in=chain,
        verification_id__gt=OuterRef("verification_id"),
        award_id=OuterRef("award_id"),
        t=OuterRef("t"),
    )


def deliveries_of(
    *, auction_id: UUID, seen_by: Organisation, verification: DeliveryVerification | None = None
) -> QuerySet[Delivery]:
    """Return the deliveries of an auction's latest (or the given) verification.

    A seller sees its own, the aggregator all, anyone else none.
    """
    verification = verification or verification_latest(auction_id=auction_id)
    if verification is None:
        return Delivery.objects.none()
    rows = deliveries_effective(verification_id=verification.pk).select_related(
        "award__bid", "award__resource__site", "award__organisation"
    )
    if seen_by.kind != OrganisationKind.AGGREGATOR:
        rows = rows.filter(award__organisation=seen_by)
    return rows.order_by("award_id", "t")


def has_meter(resource: Resource) -> bool:
    """Whether a resource has a meter of its own."""
    return Meter.objects.filter(resource=resource).exists()

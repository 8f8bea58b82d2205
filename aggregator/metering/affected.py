"""Which half hours of resources something became known of since they were verified.

Several auctions are looked at together. The cost is that of what became known: readings are found
by a block range index on when they became available, everything else is few rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection
from django.db.models import Max

from aggregator.metering.calendar import JST_OFFSET, day_start
from aggregator.metering.models import DeliveryVerification, VerificationStage
from aggregator.metering.orders import SHIFT_LEGS, Place
from market.core.timegrid import INTERVALS_PER_DAY
from market.registry.models import STORAGE_KINDS
from market.trading.models import Auction

# Half hours of a resource in one look: bit t stands for half hour t.
Masks = dict[tuple[int, UUID], int]

LOOKED_SQL: Final = """
looked (n, auction_id, verification_id, delivery_on, day_at, since) AS MATERIALIZED (
    SELECT * FROM unnest(
        %(numbers)s::integer[], %(auctions)s::uuid[], %(verifications)s::bigint[],
        %(days)s::date[], %(midnights)s::timestamptz[], %(sinces)s::timestamptz[]))
"""
WANTED_SQL: Final = """
wanted (n, resource_id, mask) AS MATERIALIZED (
    SELECT * FROM unnest(%(wanted_of)s::integer[], %(resources)s::uuid[], %(masks)s::bigint[]))
"""
NEW_READINGS_SQL: Final = f"""
WITH {LOOKED_SQL}
SELECT l.n, m.resource_id,
       bit_or(1::bigint << (extract(epoch FROM n.start_at - l.day_at) / 1800)::integer)
FROM metering_intervalreading n
JOIN metering_meter m ON m.id = n.meter_id AND m.resource_id IS NOT NULL
JOIN looked l
  ON l.delivery_on = (n.start_at AT TIME ZONE %(offset)s::interval)::date
 AND n.available_at > l.since
WHERE n.start_at >= %(first_at)s AND n.start_at < %(last_at)s AND n.available_at > %(since)s
GROUP BY 1, 2
"""  # noqa: S608 - constants of our own, here and below
# Finer readings count in the assessment of fast capacity only.
FINE_SQL: Final = f"""
WITH {LOOKED_SQL}
SELECT l.n, m.resource_id,
       bit_or(1::bigint << floor(extract(epoch FROM n.start_at - l.day_at) / 1800)::integer)
FROM looked l
JOIN clearing_award a ON a.auction_id = l.auction_id AND a.leg = 'RESERVED'
JOIN metering_meter m ON m.resource_id = a.resource_id
JOIN metering_finereading n ON n.meter_id = m.id
 AND n.start_at >= l.day_at AND n.start_at < l.day_at + interval '1 day'
 AND n.available_at > l.since
WHERE n.start_at >= %(first_at)s AND n.start_at < %(last_at)s AND n.available_at > %(since)s
GROUP BY 1, 2
"""  # noqa: S608
# An excuse, a log or a call concerns awards of its auction by place and time; so does a call by
# another auction of the day, with which what a meter changed is shared.
EXCUSES_SQL: Final = f"""
WITH {LOOKED_SQL},
excuse AS MATERIALIZED (
    SELECT l.n, l.auction_id, f.starts_at, f.ends_at, f.resource_id, f.site_id
    FROM looked l
    JOIN metering_forcemajeure f
      ON f.state = 'ACCEPTED' AND f.decided_at > l.since
     AND f.starts_at < l.day_at + interval '1 day' AND f.ends_at > l.day_at
)
SELECT i.n, i.resource_id, bit_or(1::bigint << i.t) FROM (
    SELECT f.n, a.resource_id, i.t, i.start_at, f.starts_at, f.ends_at, f.site_id,
           f.resource_id AS excused_id
    FROM excuse f
    JOIN clearing_award a ON a.auction_id = f.auction_id
    JOIN clearing_awardinterval i ON i.award_id = a.id
    UNION ALL
    SELECT f.n, a.resource_id, i.t, i.start_at, f.starts_at, f.ends_at, f.site_id, f.resource_id
    FROM excuse f
    JOIN clearing_award a ON a.auction_id = f.auction_id
    JOIN clearing_capacityinterval i ON i.award_id = a.id
    UNION ALL
    SELECT f.n, d.resource_id, i.t, i.start_at, f.starts_at, f.ends_at, f.site_id, f.resource_id
    FROM excuse f
    JOIN clearing_award a ON a.auction_id = f.auction_id
    JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version > 1
    JOIN dispatch_instructioninterval i ON i.instruction_id = d.id
) AS i
JOIN registry_resource r ON r.id = i.resource_id
WHERE i.start_at < i.ends_at AND i.start_at + interval '30 minutes' > i.starts_at
  AND (i.excused_id IS NULL OR i.excused_id = r.id)
  AND (i.site_id IS NULL OR i.site_id = r.site_id)
GROUP BY 1, 2
"""  # noqa: S608
LOGS_SQL: Final = f"""
WITH {LOOKED_SQL}
SELECT e.n, a.resource_id, bit_or(1::bigint << l.t)
FROM looked e
JOIN clearing_award a ON a.auction_id = e.auction_id
JOIN metering_placementlog l ON l.award_id = a.id AND l.available_at > e.since
GROUP BY 1, 2
UNION ALL
SELECT e.n, a.resource_id, bit_or(1::bigint << c.t)
FROM looked e
JOIN metering_capacityactivation c
  ON c.noted_at > e.since AND c.start_at >= e.day_at
 AND c.start_at < e.day_at + interval '1 day'
JOIN clearing_award called ON called.id = c.award_id
JOIN clearing_award a ON a.resource_id = called.resource_id AND a.auction_id = e.auction_id
GROUP BY 1, 2
"""  # noqa: S608
# What a store holds follows from its whole day until then.
STORES_SQL: Final = f"""
WITH {LOOKED_SQL}, {WANTED_SQL}
SELECT w.n, a.resource_id, bit_or(1::bigint << i.t)
FROM wanted w
JOIN looked l ON l.n = w.n
JOIN registry_resource r ON r.id = w.resource_id AND r.kind = ANY(%(stores)s)
JOIN clearing_award a ON a.resource_id = w.resource_id AND a.auction_id = l.auction_id
JOIN clearing_capacityinterval i ON i.award_id = a.id AND (w.mask << 63 - i.t) <> 0
GROUP BY 1, 2
"""  # noqa: S608
# Both ends of a shift count as far as they agree, and the stand-ins of one award share what it
# ordered: a reading at one of them concerns the others in the same half hour.
TOGETHER_SQL: Final = f"""
WITH {LOOKED_SQL}, {WANTED_SQL}
SELECT w.n, b.resource_id, bit_or(1::bigint << i.t)
FROM wanted w
JOIN looked l ON l.n = w.n
JOIN clearing_award a ON a.resource_id = w.resource_id
 AND a.auction_id = l.auction_id AND a.leg = ANY(%(legs)s)
JOIN clearing_award b ON b.auction_id = a.auction_id AND b.bid_id = a.bid_id
 AND b.run_id = a.run_id AND b.leg = ANY(%(legs)s)
JOIN clearing_awardinterval i ON i.award_id = b.id AND w.mask >> i.t & 1 = 1
GROUP BY 1, 2
UNION ALL
SELECT w.n, e.resource_id, bit_or(1::bigint << i.t)
FROM wanted w
JOIN looked l ON l.n = w.n
JOIN dispatch_dispatchinstruction d ON d.resource_id = w.resource_id AND d.version > 1
JOIN clearing_award a ON a.id = d.award_id AND a.auction_id = l.auction_id
JOIN dispatch_dispatchinstruction e ON e.award_id = d.award_id AND e.version > 1
JOIN dispatch_instructioninterval i ON i.instruction_id = e.id AND w.mask >> i.t & 1 = 1
GROUP BY 1, 2
"""  # noqa: S608


@dataclass(frozen=True, kw_only=True)
class Look:
    """An auction that is looked at once more, and the look at it that stands.

    Attributes
    ----------
    number
        Its place among the looks taken together.
    since
        What became known from then on may be unknown to the look that stands.
    """

    number: int
    auction: Auction
    before: DeliveryVerification
    since: datetime

    @property
    def day_at(self) -> datetime:
        """When the delivery day begins."""
        return day_start(self.auction.delivery_on)


def verifications_final(*, auction_ids: Collection[UUID]) -> dict[UUID, DeliveryVerification]:
    """Return the latest look at final readings of each auction that has one."""
    rows = (
        DeliveryVerification.objects.filter(
            auction_id__in=auction_ids, stage=VerificationStage.FINAL
        )
        .order_by("auction_id", "-revision")
        .distinct("auction_id")
    )
    return {row.auction_id: row for row in rows}


def revisions_latest(*, auction_ids: Collection[UUID]) -> dict[UUID, int]:
    """Return how many looks there were at each auction that was looked at."""
    rows = DeliveryVerification.objects.filter(auction_id__in=auction_ids)
    return dict(rows.values_list("auction_id").annotate(Max("revision")))


def looks_parameters(looks: Sequence[Look], masks: Mapping[tuple[int, UUID], int]) -> Any:
    """Return what the statements here are told of looks, and of half hours in them."""
    return {
        "numbers": [look.number for look in looks],
        "auctions": [look.auction.id for look in looks],
        "verifications": [look.before.pk for look in looks],
        "days": [look.auction.delivery_on for look in looks],
        "midnights": [look.day_at for look in looks],
        "sinces": [look.since for look in looks],
        "since": min(look.since for look in looks),
        "first_at": min(look.day_at for look in looks),
        "last_at": max(look.day_at for look in looks) + timedelta(days=1),
        "offset": JST_OFFSET,
        "stores": sorted(STORAGE_KINDS),
        "legs": list(SHIFT_LEGS),
        "wanted_of": [number for number, _ in masks],
        "resources": [resource_id for _, resource_id in masks],
        "masks": list(masks.values()),
    }


def places_affected(looks: Sequence[Look]) -> Masks:
    """Return what has to be counted again, with what hangs together with it.

    Looking at too much changes nothing: what counts as before is not written again.
    """
    found: Masks = {}
    for statement in (NEW_READINGS_SQL, FINE_SQL, EXCUSES_SQL, LOGS_SQL):
        _noted(found, statement, looks, {})
    if found:
        _noted(found, STORES_SQL, looks, dict(found))
    new = dict(found)
    while new:
        known = dict(found)
        _noted(found, TOGETHER_SQL, looks, new)
        new = {
            key: mask & ~known.get(key, 0)
            for key, mask in found.items()
            if mask & ~known.get(key, 0)
        }
    return found


def places_of(number: int, masks: Mapping[tuple[int, UUID], int]) -> set[Place]:
    """Return the half hours of resources in one look."""
    return {
        (resource_id, t)
        for (of, resource_id), mask in masks.items()
        if of == number
        for t in range(INTERVALS_PER_DAY)
        if mask >> t & 1
    }


def _noted(
    found: Masks, statement: str, looks: Sequence[Look], masks: Mapping[tuple[int, UUID], int]
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, looks_parameters(looks, masks))
        for number, resource_id, mask in cursor:
            key = (number, resource_id)
            found[key] = found.get(key, 0) | mask

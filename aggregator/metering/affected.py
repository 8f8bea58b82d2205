"""Which half hours of resources something became known of since they were verified.

The cost is that of what became known: readings are found by a block range index on when they
became available, everything else is few rows.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from django.db import connection

from aggregator.metering.calendar import day_start
from aggregator.metering.models import DeliveryVerification
from aggregator.metering.orders import Place, places_bound
from market.registry.models import STORAGE_KINDS

READINGS_SQL = """
SELECT DISTINCT m.resource_id,
       ((extract(epoch FROM n.start_at - %(day_at)s) / 1800)::integer)::smallint
FROM metering_intervalreading n
JOIN metering_meter m ON m.id = n.meter_id AND m.resource_id IS NOT NULL
WHERE n.start_at >= %(day_at)s AND n.start_at < %(end_at)s AND n.available_at > %(since)s
"""
# Finer readings count in the assessment of fast capacity only.
FINE_SQL = """
SELECT DISTINCT m.resource_id,
       (floor(extract(epoch FROM n.start_at - %(day_at)s) / 1800)::integer)::smallint
FROM clearing_award a
JOIN metering_meter m ON m.resource_id = a.resource_id
JOIN metering_finereading n ON n.meter_id = m.id
WHERE a.auction_id = %(auction)s AND a.leg = 'RESERVED'
  AND n.start_at >= %(day_at)s AND n.start_at < %(end_at)s AND n.available_at > %(since)s
"""
# An excuse, a log or a call concerns awards of this auction by place and time; so does a call by
# another auction of the day, with which what a meter changed is shared.
EXCUSES_SQL = """
SELECT i.resource_id, i.t FROM (
    SELECT a.resource_id, i.t, i.start_at
    FROM clearing_award a JOIN clearing_awardinterval i ON i.award_id = a.id
    WHERE a.auction_id = %(auction)s
    UNION
    SELECT a.resource_id, i.t, i.start_at
    FROM clearing_award a JOIN clearing_capacityinterval i ON i.award_id = a.id
    WHERE a.auction_id = %(auction)s
    UNION
    SELECT d.resource_id, i.t, i.start_at
    FROM clearing_award a
    JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version > 1
    JOIN dispatch_instructioninterval i ON i.instruction_id = d.id
    WHERE a.auction_id = %(auction)s
) AS i
JOIN registry_resource r ON r.id = i.resource_id
JOIN metering_forcemajeure f
  ON f.state = 'ACCEPTED' AND f.decided_at > %(since)s
 AND i.start_at < f.ends_at AND i.start_at + interval '30 minutes' > f.starts_at
 AND (f.resource_id IS NULL OR f.resource_id = r.id)
 AND (f.site_id IS NULL OR f.site_id = r.site_id)
"""
LOGS_SQL = """
SELECT a.resource_id, l.t FROM metering_placementlog l
JOIN clearing_award a ON a.id = l.award_id AND a.auction_id = %(auction)s
WHERE l.available_at > %(since)s
UNION
SELECT a.resource_id, c.t FROM metering_capacityactivation c
JOIN clearing_award called ON called.id = c.award_id
JOIN clearing_award a ON a.resource_id = called.resource_id AND a.auction_id = %(auction)s
WHERE c.noted_at > %(since)s AND c.start_at >= %(day_at)s AND c.start_at < %(end_at)s
"""
# What a store holds follows from its whole day until then.
STORES_SQL = """
SELECT a.resource_id, i.t
FROM unnest(%(resources)s::uuid[], %(slots)s::smallint[]) AS wanted (resource_id, t)
JOIN registry_resource r ON r.id = wanted.resource_id AND r.kind = ANY(%(stores)s)
JOIN clearing_award a ON a.resource_id = wanted.resource_id AND a.auction_id = %(auction)s
JOIN clearing_capacityinterval i ON i.award_id = a.id AND i.t >= wanted.t
"""


def places_affected(verification: DeliveryVerification, *, margin: timedelta) -> set[Place]:
    """Return what has to be counted again, with what hangs together with it.

    Parameters
    ----------
    verification
        The latest look at final readings; its auction is loaded.
    margin
        How far before it one looks for what it did not see. Looking at too much changes
        nothing: what counts as before is not written again.
    """
    day = verification.auction.delivery_on
    parameters: dict[str, Any] = {
        "auction": verification.auction_id,
        "since": verification.as_of - margin,
        "day_at": day_start(day),
        "end_at": day_start(day, days=1),
        "stores": sorted(STORAGE_KINDS),
    }
    found: set[Place] = set()
    with connection.cursor() as cursor:
        for statement in (READINGS_SQL, FINE_SQL, EXCUSES_SQL, LOGS_SQL):
            cursor.execute(statement, parameters)
            found.update(cursor.fetchall())
    found |= _stores(found, parameters)
    return places_bound(auction_id=verification.auction_id, places=found)


def _stores(found: Collection[Place], parameters: dict[str, Any]) -> set[Place]:
    with connection.cursor() as cursor:
        cursor.execute(
            STORES_SQL,
            parameters | {"resources": [r for r, _ in found], "slots": [t for _, t in found]},
        )
        return set(cursor.fetchall())

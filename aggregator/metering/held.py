"""What was reserved of resources in the half hours in which an auction reserved."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from aggregator.core.delivery import Direction
from aggregator.metering.orders import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What one award reserved in one half hour."""

    auction_id: UUID
    award_id: UUID
    resource_id: UUID
    resource_kind: str
    site_id: UUID
    product: str
    response_s: int
    direction: Direction
    t: int
    start_at: datetime
    reserved_kw: Decimal


HELD_SQL = """
WITH own AS (
    SELECT DISTINCT a.resource_id, i.t
    FROM clearing_award a
    JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
    JOIN clearing_capacityinterval i ON i.award_id = a.id AND i.quantity_kw > 0
    {wanted}
    WHERE a.auction_id = %(auction)s
)
SELECT a.auction_id, a.id, a.resource_id, r.kind, r.site_id, a.product_id, p.response_s,
       a.direction, i.t, i.start_at, i.quantity_kw
FROM own
JOIN trading_auction mine ON mine.id = %(auction)s
JOIN trading_auction u ON u.delivery_on = mine.delivery_on AND (
    u.id = mine.id OR u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED'))
JOIN clearing_award a ON a.auction_id = u.id AND a.resource_id = own.resource_id
JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
JOIN clearing_capacityinterval i ON i.award_id = a.id AND i.t = own.t AND i.quantity_kw > 0
JOIN registry_resource r ON r.id = a.resource_id
JOIN registry_marketproduct p ON p.code = a.product_id
ORDER BY a.resource_id, i.t, a.id
"""
WANTED_SQL = """
    JOIN unnest(%(resources)s::uuid[], %(slots)s::smallint[]) AS wanted (resource_id, t)
      ON wanted.resource_id = a.resource_id AND wanted.t = i.t
"""


def capacity_held(*, auction_id: UUID, places: Collection[Place] | None = None) -> list[Held]:
    """Return what is reserved where an auction reserved, by resource, half hour and award.

    Other auctions of the day that reserved the same resource then are among it: its kW are there
    once, and what its meter changed is shared by all calls.
    """
    ordered = sorted(places or ())
    parameters: dict[str, Any] = {
        "auction": auction_id,
        "resources": [resource_id for resource_id, _ in ordered],
        "slots": [t for _, t in ordered],
    }
    with connection.cursor() as cursor:
        cursor.execute(HELD_SQL.format(wanted="" if places is None else WANTED_SQL), parameters)
        return [
            Held(
                auction_id=row[0],
                award_id=row[1],
                resource_id=row[2],
                resource_kind=row[3],
                site_id=row[4],
                product=row[5],
                response_s=row[6],
                direction=Direction(row[7]),
                t=row[8],
                start_at=row[9],
                reserved_kw=row[10],
            )
            for row in cursor
        ]

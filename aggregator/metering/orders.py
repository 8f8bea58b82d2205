"""What was ordered of meters on a day: awards, less what was declined, and stand-ins for it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import connection

from aggregator.core.delivery import Cause
from aggregator.dispatch.services import OTHER_END
from aggregator.metering.selectors import OrderedInterval
from market.clearing.models import Award, ClearingRun, Leg, RunState, SnapshotRecord
from market.registry.models import Site

SHIFT_LEGS = (Leg.SHIFT_OUT.value, Leg.SHIFT_IN.value)
# One half hour of one resource.
Place = tuple[UUID, int]

# Versions of an order to one resource share award, bid and resource. The desk's changes are later
# versions of it, in force from `takes_over_at` on. A half hour that the version in force orders as
# it was sold has no price of its own and stays the award's; one that it orders otherwise is counted
# under its instruction, and of the award nothing is asked there. What one says the other must not:
# `later` of an award is the change in force, `later` of a change is one that took over from it.
AWARDS_SQL = """
SELECT o.auction_id, a.id, o.resource_id, r.kind, a.direction, o.t, o.start_at, o.quantity_kw,
       a.leg, a.bid_id, r.site_id,
       CASE WHEN later.is_otherwise THEN %(excused)s
            WHEN coalesce(later.state, d.state) = 'OPTED_OUT' THEN %(opted_out)s
            WHEN coalesce(later.state, d.state) = 'REPLACED' THEN %(replaced)s
            WHEN later.id IS NULL AND d.state = 'CANCELLED' AND d.reason LIKE %(other_end)s
            THEN %(opted_out)s
            WHEN coalesce(later.state, d.state) = 'CANCELLED'
                 AND o.start_at >= coalesce(later.finished_at, d.finished_at) THEN %(excused)s
            ELSE '' END,
       coalesce(later.is_otherwise, false)
           OR coalesce(later.state, d.state) = 'CANCELLED'
              AND (later.id IS NOT NULL OR d.reason NOT LIKE %(other_end)s)
              AND o.start_at + interval '30 minutes' > coalesce(later.finished_at, d.finished_at),
       NULL::uuid, 1::numeric, 0::numeric
FROM (
    SELECT w.auction_id, w.id, w.resource_id, i.t, i.start_at, i.quantity_kw
    FROM trading_auction u
    JOIN clearing_award w ON w.auction_id = u.id
    JOIN clearing_clearingrun c ON c.id = w.run_id AND c.state = 'PUBLISHED'
    JOIN clearing_awardinterval i ON i.award_id = w.id
    {wanted}
    WHERE u.delivery_on = %(day)s AND u.state IN (
              'PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
      AND i.quantity_kw > 0
) AS o
JOIN clearing_award a ON a.id = o.id
JOIN registry_resource r ON r.id = o.resource_id
LEFT JOIN dispatch_dispatchinstruction d ON d.award_id = a.id AND d.version = 1
LEFT JOIN LATERAL (
    SELECT n.id, n.state, n.finished_at,
           p.id IS NULL OR p.replacement_price_jpy_per_kwh IS NOT NULL AS is_otherwise
    FROM dispatch_dispatchinstruction n
    LEFT JOIN dispatch_instructioninterval p ON p.instruction_id = n.id AND p.t = o.t
    WHERE d.state IN ('PARTIAL', 'EXTENDED', 'CANCELLED')
      AND n.award_id = a.id AND n.bid_id = a.bid_id AND n.resource_id = a.resource_id
      AND n.takes_over_at <= o.start_at
    ORDER BY n.version DESC LIMIT 1
) AS later ON true
"""
STAND_INS_SQL = """
SELECT w.auction_id, w.id, d.resource_id, r.kind, d.direction, i.t, i.start_at, i.quantity_kw,
       '', d.bid_id, r.site_id,
       CASE WHEN d.state IN ('OPTED_OUT', 'REPLACED')
              OR (d.takes_over_at IS NULL OR i.is_added)
                 AND (d.acknowledged_at IS NULL OR d.state = 'UNREACHED')
            THEN %(opted_out)s
            WHEN d.state = 'CANCELLED' AND i.start_at >= d.finished_at THEN %(excused)s
            ELSE '' END,
       d.state = 'CANCELLED' AND i.start_at + interval '30 minutes' > d.finished_at,
       d.id, 1::numeric,
       coalesce(lost_interval.quantity_kw, i.quantity_kw)
FROM trading_auction u
JOIN clearing_award w ON w.auction_id = u.id
JOIN clearing_clearingrun c ON c.id = w.run_id AND c.state = 'PUBLISHED'
JOIN dispatch_dispatchinstruction d
  ON d.award_id = w.id AND d.version > 1 AND d.call IS NULL
JOIN dispatch_instructioninterval i
  ON i.instruction_id = d.id
 AND (d.takes_over_at IS NULL OR i.replacement_price_jpy_per_kwh IS NOT NULL)
LEFT JOIN clearing_awardinterval lost_interval
  ON lost_interval.award_id = w.id AND lost_interval.t = i.t
JOIN registry_resource r ON r.id = d.resource_id
{wanted}
WHERE u.delivery_on = %(day)s AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
  AND i.quantity_kw > 0 AND (lost_interval.id IS NOT NULL OR i.is_added)
  AND NOT EXISTS (
      SELECT 1 FROM dispatch_dispatchinstruction later
      WHERE later.award_id = d.award_id AND later.bid_id = d.bid_id
        AND later.resource_id = d.resource_id AND later.version > d.version
        AND later.takes_over_at <= i.start_at)
"""
WANTED_AWARDS = """
    JOIN unnest(%(resources)s::uuid[], %(slots)s::smallint[]) AS wanted (resource_id, t)
      ON wanted.resource_id = w.resource_id AND wanted.t = i.t
"""
WANTED_STAND_INS = """
JOIN unnest(%(resources)s::uuid[], %(slots)s::smallint[]) AS wanted (resource_id, t)
  ON wanted.resource_id = d.resource_id AND wanted.t = i.t
"""


def orders_on(
    delivery_on: date, *, places: Collection[Place] | None = None
) -> list[OrderedInterval]:
    """Return every half hour ordered on a delivery date by published auctions.

    Parameters
    ----------
    delivery_on
        The day.
    places
        Half hours of resources to look at; None for all.

    Returns
    -------
    list
        By resource, half hour, award and instruction. What a site declined, or the desk took
        back, is there with its reason, and so are the instructions that stand in for it.
    """
    parameters: dict[str, Any] = {
        "day": delivery_on,
        "opted_out": Cause.OPTED_OUT.value,
        "replaced": Cause.REPLACED.value,
        "excused": Cause.EXCUSED.value,
        "other_end": f"%{OTHER_END}%",
    }
    if places is not None:
        ordered = sorted(places)
        parameters["resources"] = [resource_id for resource_id, _ in ordered]
        parameters["slots"] = [t for _, t in ordered]
    awards = AWARDS_SQL.format(wanted=WANTED_AWARDS if places is not None else "")
    stand_ins = STAND_INS_SQL.format(wanted=WANTED_STAND_INS if places is not None else "")
    with connection.cursor() as cursor:
        cursor.execute(f"{awards} UNION ALL {stand_ins} ORDER BY 3, 6, 2, 14", parameters)
        return _covering([_order(row) for row in cursor])


def _order(row: Sequence[Any]) -> OrderedInterval:
    return OrderedInterval(
        auction_id=row[0],
        award_id=row[1],
        resource_id=row[2],
        resource_kind=row[3],
        direction=row[4],
        t=row[5],
        start_at=row[6],
        quantity_kw=row[7],
        leg=row[8],
        bid_id=row[9],
        site_id=row[10],
        void=row[11],
        is_excused=bool(row[12]),
        instruction_id=row[13],
        cover_ratio=row[14],
        lost_quantity_kw=row[15],
    )


def _covering(orders: list[OrderedInterval]) -> list[OrderedInterval]:
    """Say of stand-ins what a kWh of theirs makes up for where the award was lost."""
    stand_ins = [order for order in orders if order.instruction_id is not None]
    if not stand_ins:
        return orders
    lost_at = dict(
        Award.objects.filter(id__in={order.award_id for order in stand_ins}).values_list(
            "id", "resource__site_id"
        )
    )
    own = {order.site_id for order in stand_ins if order.site_id is not None}
    sites = own | set(lost_at.values())
    known = list(Site.objects.filter(id__in=sites).values_list("id", "code", "loss_ratio"))
    cleared = {
        auction_id: losses_cleared(snapshot_id)
        for auction_id, snapshot_id in ClearingRun.objects.filter(
            auction__in={order.auction_id for order in stand_ins},
            state=RunState.PUBLISHED,
            snapshot__isnull=False,
        ).values_list("auction_id", "snapshot_id")
    }
    kept = {
        (auction_id, site_id): 1 - cleared.get(auction_id, {}).get(code, today)
        for auction_id in {order.auction_id for order in stand_ins}
        for site_id, code, today in known
    }
    return [
        order
        if order.instruction_id is None or order.site_id is None
        else replace(
            order,
            cover_ratio=kept[order.auction_id, lost_at[order.award_id]]
            / kept[order.auction_id, order.site_id],
        )
        for order in orders
    ]


@lru_cache(maxsize=64)
def losses_cleared(snapshot_id: UUID) -> Mapping[str, Decimal]:
    """Return the share lost on the way to each site, as the frozen book of a clearing had it.

    What was sold was sold by these: what the registry says of a site later moves no day that was
    cleared. A snapshot never changes, so what was read of it is kept. A site that nothing was
    offered of is in none.
    """
    content = SnapshotRecord.objects.values_list("content", flat=True).get(id=snapshot_id)
    return {
        place["id"]: Decimal(str(place["loss_ratio"]))
        for place in json.loads(bytes(content)).get("places", ())
        if "loss_ratio" in place
    }

"""Products of one composite (複合) hold the same kW: a resource is paid their largest once.

The auctions of a day are taken in the order in which they were published. Each pays what its
awards add to what the earlier ones pay for the same resource and half hour, so the day pays the
composite's worth whichever auction is settled first, and none waits for a later one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from aggregator.core.capacities import composite_jpy
from aggregator.core.charges import Charge
from aggregator.core.settlement import Item, Share, split_exact
from aggregator.core.terms import SettlementRules
from aggregator.settlement.results import PublishedResult
from aggregator.settlement.staging import capacity_buyers
from market.clearing.models import Award

ZERO = Decimal(0)
# Resource, direction, number of the composite, half hour.
Place = tuple[UUID, str, int, int]
Claim = tuple[Decimal, Decimal]

EARLIER_SQL = """
SELECT a.resource_id, a.direction, a.product_id, i.t, i.quantity_kw, i.price_jpy_per_kw_30min
FROM trading_auction u
JOIN clearing_clearingrun c ON c.auction_id = u.id AND c.state = 'PUBLISHED'
JOIN clearing_award a ON a.run_id = c.id AND a.leg = 'RESERVED'
JOIN clearing_capacityinterval i ON i.award_id = a.id AND i.quantity_kw > 0
WHERE u.delivery_on = %(day)s AND u.id <> %(auction)s
  AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
  AND (c.published_at, c.id) < (%(published_at)s::timestamptz, %(run)s::uuid)
  AND a.resource_id = ANY(%(resources)s) AND a.product_id = ANY(%(products)s)
ORDER BY c.published_at, c.id, a.id, i.t
"""


def composite_charges(
    result: PublishedResult,
    rules: SettlementRules,
    charges: Sequence[Charge],
    kw: Mapping[tuple[str, int], Decimal],
    held: Mapping[Any, Award],
) -> Iterable[Charge]:
    """Take back what one resource's kW would earn twice as components of one composite.

    What was published above the worth of a composite is taken from the auction's awards in the
    ratio of their receipts, and given back to the buyers of each.

    Parameters
    ----------
    charges
        What each award receives for capacity, as published.
    kw
        What it holds, by award and half hour.
    held
        Awards of capacity by id, with their sites.
    """
    group_of = {code: n for n, group in enumerate(rules.composites) for code in group}
    by_id = {str(award.id): award for award in held.values()}
    own: dict[Place, list[Charge]] = defaultdict(list)
    for charge in charges:
        award = by_id.get(charge.award or "")
        if award is not None and award.product_id in group_of:
            group = group_of[str(award.product_id)]
            own[award.resource_id, award.direction, group, charge.t or 0].append(charge)
    if not own:
        return
    earlier = _earlier_claims(result, group_of, {place[0] for place in own})
    buyers = capacity_buyers(result)
    for place, rows in own.items():
        worth = [-row.amount_exact_jpy for row in rows]
        claims = [
            (kw[str(row.award), place[3]], jpy / kw[str(row.award), place[3]])
            for row, jpy in zip(rows, worth, strict=True)
        ]
        before = earlier.get(place, [])
        due_jpy = composite_jpy([*before, *claims]) - composite_jpy(before)
        over_jpy = sum(worth, ZERO) - due_jpy
        if over_jpy > 0:
            yield from _taken_back(rows, over_jpy, by_id, buyers)


def _earlier_claims(
    result: PublishedResult, group_of: Mapping[str, int], resource_ids: set[UUID]
) -> dict[Place, list[Claim]]:
    """Return what auctions published before pay the same resources for, as (kW, price)."""
    run = result.run
    found: dict[Place, list[Claim]] = defaultdict(list)
    if run.published_at is None:
        return found
    with connection.cursor() as cursor:
        cursor.execute(
            EARLIER_SQL,
            {
                "day": run.auction.delivery_on,
                "auction": run.auction_id,
                "published_at": run.published_at,
                "run": run.id,
                "resources": list(resource_ids),
                "products": list(group_of),
            },
        )
        for resource_id, direction, product, t, quantity_kw, price in cursor:
            found[resource_id, direction, group_of[product], t].append((quantity_kw, price))
    return found


def _taken_back(
    rows: Sequence[Charge],
    over_jpy: Decimal,
    by_id: Mapping[str, Award],
    buyers: Mapping[tuple[str, str, int], tuple[Share, ...]],
) -> Iterable[Charge]:
    shares = [Share(account=row.account, weight=-row.amount_exact_jpy) for row in rows]
    for row, part_jpy in zip(rows, split_exact(over_jpy, shares), strict=True):
        award, t = by_id[str(row.award)], row.t or 0
        product = str(award.product_id)
        bought = buyers.get((product, award.resource.site.area_id, t)) or buyers.get(
            (product, "", t), ()
        )
        if not bought:
            continue
        yield Charge(
            item=Item.CAPACITY,
            account=row.account,
            amount_exact_jpy=part_jpy,
            t=t,
            award=row.award,
        )
        for share, back_jpy in zip(bought, split_exact(part_jpy, bought), strict=True):
            yield Charge(
                item=Item.CAPACITY_CHARGE,
                account=share.account,
                amount_exact_jpy=-back_jpy,
                t=t,
                need=share.need,
            )

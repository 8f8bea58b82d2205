"""The same kW is never paid twice: what all published auctions of a day sold from one resource."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from accounts.core.errors import Refused
from aggregator.core.terms import SettlementRules
from market.trading.models import Auction

# Awards are published to 0.1 kW, each rounded by itself.
TICK_KW = Decimal("0.1")

# Reserved kW of one composite product are the same kW: the most of a group counts, not the sum.
SOLD_SQL = """
WITH day AS (
    SELECT a.id, a.resource_id, a.direction, a.product_id
    FROM trading_auction u
    JOIN clearing_award a ON a.auction_id = u.id
    JOIN clearing_clearingrun c ON c.id = a.run_id AND c.state = 'PUBLISHED'
    WHERE u.delivery_on = %(day)s
      AND u.state IN ('PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'SETTLED')
), energy AS (
    SELECT d.resource_id, i.t,
           sum(CASE d.direction WHEN 'UP' THEN i.quantity_kw ELSE -i.quantity_kw END) AS net_kw,
           count(*) AS n
    FROM day d JOIN clearing_awardinterval i ON i.award_id = d.id
    GROUP BY 1, 2
), product AS (
    SELECT d.resource_id, i.t, d.direction, d.product_id, sum(i.quantity_kw) AS kw, count(*) AS n
    FROM day d JOIN clearing_capacityinterval i ON i.award_id = d.id
    GROUP BY 1, 2, 3, 4
), held AS (
    SELECT resource_id, t, direction, sum(kw) AS kw, sum(n) AS n FROM (
        SELECT p.resource_id, p.t, p.direction, max(p.kw) AS kw, sum(p.n) AS n
        FROM product p
        LEFT JOIN unnest(%(products)s::text[], %(groups)s::text[]) AS composite (code, name)
               ON composite.code = p.product_id
        GROUP BY p.resource_id, p.t, p.direction, coalesce(composite.name, p.product_id)
    ) AS grouped
    GROUP BY 1, 2, 3
), sold AS (
    SELECT coalesce(e.resource_id, h.resource_id) AS resource_id, coalesce(e.t, h.t) AS t,
           side.direction,
           greatest(0, CASE side.direction WHEN 'UP' THEN coalesce(e.net_kw, 0)
                                           ELSE -coalesce(e.net_kw, 0) END)
           + coalesce(h.kw, 0) AS kw,
           coalesce(e.n, 0) + coalesce(h.n, 0) AS n
    FROM (VALUES ('UP'), ('DOWN')) AS side (direction)
    CROSS JOIN (SELECT DISTINCT resource_id, t FROM energy UNION
                SELECT DISTINCT resource_id, t FROM held) AS slot
    LEFT JOIN energy e ON e.resource_id = slot.resource_id AND e.t = slot.t
    LEFT JOIN held h ON h.resource_id = slot.resource_id AND h.t = slot.t
                    AND h.direction = side.direction
)
SELECT r.code, s.t, s.direction, s.kw, offered.kw
FROM sold s
JOIN registry_resource r ON r.id = s.resource_id
LEFT JOIN registry_storageunit store ON store.resource_id = r.id
CROSS JOIN LATERAL (
    SELECT CASE s.direction
           WHEN 'UP' THEN greatest(r.limit_up_kw, store.discharge_kw + store.charge_kw)
           ELSE greatest(r.limit_down_kw, store.discharge_kw + store.charge_kw) END AS kw
) AS offered
WHERE s.kw > offered.kw + %(tick)s * s.n
ORDER BY s.kw - offered.kw DESC, r.code, s.t
LIMIT 1
"""


class CapacitySoldTwice(Refused):
    """More kW of a resource are to be paid in one half hour than it has."""


@dataclass(frozen=True, kw_only=True)
class DoubleSale:
    """A resource's half hour of which more was sold than there is."""

    resource: str
    t: int
    direction: str
    sold_kw: Decimal
    offered_kw: Decimal


def double_sale_worst(*, auction: Auction, rules: SettlementRules) -> DoubleSale | None:
    """Return where the published auctions of the auction's day sold most more than there is.

    Energy of a resource is netted over the day's auctions (a later one may buy back), capacity
    is added to it, and of one composite product the most counts.
    """
    products = [
        (code, f"composite-{n}") for n, group in enumerate(rules.composites) for code in group
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            SOLD_SQL,
            {
                "day": auction.delivery_on,
                "products": [code for code, _ in products],
                "groups": [name for _, name in products],
                "tick": TICK_KW,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return None
    return DoubleSale(
        resource=row[0], t=row[1], direction=row[2], sold_kw=row[3], offered_kw=row[4]
    )


def doubles_refuse(*, auction: Auction, rules: SettlementRules) -> None:
    """Refuse to settle an auction of a day on which kW were sold twice.

    Raises
    ------
    CapacitySoldTwice
        Naming resource, half hour, direction, what was sold and what there is.
    """
    found = double_sale_worst(auction=auction, rules=rules)
    if found is not None:
        raise CapacitySoldTwice(
            field="auction",
            value=auction.code,
            rule=(
                f"sells at most the {found.offered_kw} kW {found.direction} that {found.resource}"
                f" has at t = {found.t}, not {found.sold_kw} kW"
            ),
        )

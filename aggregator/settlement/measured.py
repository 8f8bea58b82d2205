"""What is measured passes through the clearing account and leaves nothing, cause by cause.

What a published result leaves over is known from the result itself. What follows from deliveries
and assessments is nobody's to keep: of each award and half hour, what is taken from one side must
reach the other. It may stay only where no buyer was served, because nobody was let down.
"""

from __future__ import annotations

from decimal import Decimal

from django.db import connection

from aggregator.core.terms import SettlementRules
from aggregator.settlement.models import SettlementRun

# Of a shortfall: refund and penalty, less stand-ins, are credited. A retailer is owed by the day,
# which buyers bear half hour by half hour. A correction that noted no change may move nothing.
UNEXPLAINED_SQL = """
WITH of_award AS (
    SELECT award_id, cause, CASE cause WHEN 'RETAILER' THEN NULL ELSE t END AS t,
           sum(amount) AS left_jpy
    FROM (
        SELECT l.award_id, l.t,
               CASE WHEN l.item IN ('SHORTFALL_REFUND', 'SHORTFALL_PENALTY', 'SHORTFALL_CREDIT',
                                    'REPLACEMENT') THEN 'SHORTFALL'
                    WHEN l.item IN ('CAPACITY_PENALTY_I', 'CAPACITY_PENALTY_II',
                                    'CAPACITY_CREDIT') THEN 'CAPACITY'
                    WHEN l.item IN ('ACTIVATION_UP', 'ACTIVATION_DOWN') THEN 'CALL'
                    WHEN l.item = 'IMBALANCE_CAUSED' THEN 'IMBALANCE'
                    WHEN l.item = 'NEGAWATT_COMPENSATION' THEN 'RETAILER' END AS cause,
               CASE WHEN l.payee_id = %(clearing)s THEN l.amount_exact_jpy
                    ELSE -l.amount_exact_jpy END AS amount
        FROM settlement_settlementline l
        WHERE l.run_id = %(run)s AND %(clearing)s IN (l.payer_id, l.payee_id)
          AND l.award_id IS NOT NULL
    ) AS line
    WHERE cause IS NOT NULL
    GROUP BY 1, 2, 3 HAVING sum(amount) <> 0
)
SELECT o.cause, max(abs(o.left_jpy)) FROM of_award o
JOIN clearing_award a ON a.id = o.award_id
JOIN registry_resource r ON r.id = a.resource_id
JOIN registry_site site ON site.id = r.site_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN o.cause IN ('CAPACITY', 'CALL') THEN a.product_id || ':' || site.area_id
                ELSE r.site_id || ':' || a.direction END AS place
) AS at
WHERE CASE o.cause
      WHEN 'IMBALANCE' THEN true
      WHEN 'RETAILER' THEN NOT %(by_buyers)s OR NOT EXISTS (
          SELECT 1 FROM clearing_awardinterval i
          WHERE i.award_id = o.award_id AND i.quantity_kw > 0
            AND (NOT %(corrects)s OR EXISTS (
                SELECT 1 FROM settlement_change c
                WHERE c.run_id = %(run)s AND c.award_id = i.award_id AND c.t = i.t))
            AND NOT EXISTS (
                SELECT 1 FROM settlement_weight w
                WHERE w.run_id = %(run)s AND w.place = at.place AND w.t = i.t))
      ELSE EXISTS (
               SELECT 1 FROM settlement_weight w
               WHERE w.run_id = %(run)s AND w.place = at.place AND w.t = o.t)
           OR (o.cause = 'SHORTFALL' AND %(corrects)s AND NOT EXISTS (
               SELECT 1 FROM settlement_change c
               WHERE c.run_id = %(run)s AND c.award_id = o.award_id AND c.t = o.t))
      END
GROUP BY o.cause ORDER BY 2 DESC LIMIT 1
"""


def unexplained_jpy(
    *, run: SettlementRun, rules: SettlementRules, clearing: str
) -> tuple[str, Decimal]:
    """Return the most that one cause leaves to nobody in one award's half hour [JPY].

    The scratch tables of the run (:mod:`aggregator.settlement.positions`) are staged still.

    Returns
    -------
    str, Decimal
        SHORTFALL, CAPACITY, CALL, IMBALANCE or RETAILER, and the amount; 0 if all is passed on.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            UNEXPLAINED_SQL,
            {
                "run": run.pk,
                "clearing": int(clearing),
                "corrects": run.corrects_id is not None,
                "by_buyers": rules.negawatt_borne_by == "BUYER",
            },
        )
        row = cursor.fetchone()
    return ("", Decimal(0)) if row is None else (row[0], row[1])

"""Write settlement lines in bulk.

The pure functions of :mod:`aggregator.core.settlement` say what a line is. For awards, of which a
month of a large market has millions, the same is said here once more in SQL; a property test
holds the two equal line by line.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.fields.copying import rows_copy
from aggregator.core.settlement import OF_THE_DAY, House, Line, Share
from aggregator.core.terms import SettlementRules
from aggregator.settlement.models import SettlementLine

# Sen per kWh times Wh has five places: the column holds it as it is.
ENERGY_SQL = """
INSERT INTO settlement_settlementline (
    run_id, item, payer_id, payee_id, award_id, t, start_at,
    quantity_kwh, price_jpy_per_kwh, amount_exact_jpy)
SELECT s.id, 'SELLER_ENERGY',
       CASE WHEN (i.price_jpy_per_kwh > 0) = (a.direction = 'UP') THEN %(clearing)s
            ELSE seller.account_id END,
       CASE WHEN (i.price_jpy_per_kwh > 0) = (a.direction = 'UP') THEN seller.account_id
            ELSE %(clearing)s END,
       d.award_id, d.t, d.start_at, d.ordered_kwh, i.price_jpy_per_kwh,
       abs(i.price_jpy_per_kwh) * d.ordered_kwh
FROM settlement_settlementrun s
JOIN metering_delivery d ON d.verification_id = s.verification_id
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
WHERE s.id = ANY(%(runs)s)
  AND seller.account_id <> %(clearing)s
  AND i.price_jpy_per_kwh <> 0 AND d.ordered_kwh > 0
"""

SHORTFALL_SQL = """
INSERT INTO settlement_settlementline (
    run_id, item, payer_id, payee_id, award_id, t, start_at,
    quantity_kwh, price_jpy_per_kwh, amount_exact_jpy)
SELECT s.id, taken.item, seller.account_id, %(clearing)s,
       d.award_id, d.t, d.start_at, taken.quantity_kwh, i.price_jpy_per_kwh,
       round(taken.amount_jpy, 6)
FROM settlement_settlementrun s
JOIN metering_delivery d ON d.verification_id = s.verification_id AND d.shortfall_kwh > 0
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
CROSS JOIN LATERAL (
    SELECT greatest(0, CASE a.direction WHEN 'UP' THEN i.price_jpy_per_kwh
                                        ELSE -i.price_jpy_per_kwh END) AS gain,
           greatest(0, d.shortfall_kwh - %(tolerance)s::numeric * d.ordered_kwh) AS excess_kwh
) AS terms
CROSS JOIN LATERAL (VALUES
    ('SHORTFALL_REFUND', d.shortfall_kwh, terms.gain * d.shortfall_kwh),
    ('SHORTFALL_PENALTY', terms.excess_kwh,
     (%(factor)s::numeric - 1) * abs(i.price_jpy_per_kwh) * terms.excess_kwh)
) AS taken (item, quantity_kwh, amount_jpy)
WHERE s.id = ANY(%(runs)s)
  AND seller.account_id <> %(clearing)s
  AND round(taken.amount_jpy, 6) <> 0
"""

# What an award received for delivered energy is what it was paid less what it gave back; both
# are exact, so a share of the difference is a share of the receipts.
SHARES_SQL = """
INSERT INTO settlement_settlementline (
    run_id, item, payer_id, payee_id, award_id, quantity_kwh, amount_exact_jpy)
SELECT r.run_id, share.item, r.seller_id, share.account_id, r.award_id, r.received_kwh,
       round(r.received_jpy * share.weight, 6)
FROM (
    SELECT l.run_id, l.award_id,
           CASE l.item WHEN 'SELLER_ENERGY' THEN l.payee_id ELSE l.payer_id END AS seller_id,
           sum(CASE l.item WHEN 'SELLER_ENERGY' THEN l.quantity_kwh ELSE -l.quantity_kwh END)
               AS received_kwh,
           sum(CASE l.item WHEN 'SELLER_ENERGY' THEN l.amount_exact_jpy
                           ELSE -l.amount_exact_jpy END) AS received_jpy
    FROM settlement_settlementline l
    WHERE l.run_id = ANY(%(runs)s)
      AND ((l.item = 'SELLER_ENERGY' AND l.payer_id = %(clearing)s)
           OR l.item = 'SHORTFALL_REFUND')
    GROUP BY 1, 2, 3
) AS r
JOIN clearing_award a ON a.id = r.award_id
JOIN registry_resource resource ON resource.id = a.resource_id
JOIN LATERAL (
    SELECT 'PLATFORM_FEE' AS item, %(fee_account)s::bigint AS account_id,
           %(fee)s::numeric AS weight
    UNION ALL
    SELECT 'REVENUE_SPLIT', split.account_id, split.weight
    FROM unnest(%(sites)s::uuid[], %(split_accounts)s::bigint[], %(split_weights)s::numeric[])
        AS split (site_id, account_id, weight)
    WHERE split.site_id = resource.site_id
) AS share ON share.account_id <> r.seller_id
WHERE round(r.received_jpy * share.weight, 6) <> 0
"""

LINE_COLUMNS = (
    "run_id",
    "item",
    "payer_id",
    "payee_id",
    "award_id",
    "need_id",
    "element",
    "t",
    "start_at",
    "quantity_kwh",
    "price_jpy_per_kwh",
    "quantity_gb",
    "price_jpy_per_gb",
    "amount_exact_jpy",
)


def award_lines_insert(
    *,
    run_ids: Sequence[int],
    rules: SettlementRules,
    house: House,
    sellers: Mapping[UUID, str],
    splits: Mapping[UUID, Sequence[Share]],
) -> int:
    """Write every award's lines for some runs, by three set-based statements.

    Parameters
    ----------
    run_ids
        Runs whose verified deliveries are to be settled, under the same rules.
    rules, house
        Terms and the aggregator's accounts.
    sellers
        Organisation to its account.
    splits
        Site to the parts of its receipts that are passed on.

    Returns
    -------
    int
        How many lines were written.
    """
    parts = [(site, share) for site, shares in splits.items() for share in shares]
    parameters: dict[str, Any] = {
        "runs": list(run_ids),
        "clearing": int(house.clearing),
        "organisations": list(sellers.keys()),
        "accounts": [int(account) for account in sellers.values()],
        "tolerance": rules.tolerance_ratio,
        "factor": rules.penalty_factor_ratio,
        "fee": rules.fee_ratio,
        "fee_account": int(house.fee),
        "sites": [site for site, _ in parts],
        "split_accounts": [int(share.account) for _, share in parts],
        "split_weights": [share.weight for _, share in parts],
    }
    statements = [ENERGY_SQL, SHORTFALL_SQL]
    if rules.fee_ratio or parts:
        statements.append(SHARES_SQL)
    written = 0
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, parameters)
            written += cursor.rowcount
    return written


def lines_copy(*, run_id: int, lines: Iterable[Line], starts_at: Sequence[datetime]) -> int:
    """Write lines of the pure core; returns how many."""
    rows = [_row(run_id, line, starts_at) for line in lines]
    if rows:
        rows_copy(SettlementLine, LINE_COLUMNS, rows)
    return len(rows)


def _row(run_id: int, line: Line, starts_at: Sequence[datetime]) -> tuple[Any, ...]:
    return (
        run_id,
        line.item.value,
        line.payer,
        line.payee,
        line.award,
        line.need,
        line.element,
        line.t,
        None if line.t is None else starts_at[line.t],
        line.quantity_kwh,
        line.price_jpy_per_kwh,
        line.quantity_gb,
        line.price_jpy_per_gb,
        line.amount_exact_jpy,
    )


def clearing_left(*, run_id: int, clearing: str) -> dict[int | None, Decimal]:
    """Sum what a run's lines leave in the clearing account, per half hour [JPY].

    Optical paths are charged by the day and paid by the half hour; they count for the day.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT CASE WHEN item = ANY(%(of_the_day)s) THEN NULL ELSE t END,
                   sum(CASE WHEN payee_id = %(clearing)s THEN amount_exact_jpy
                            ELSE -amount_exact_jpy END)
            FROM settlement_settlementline
            WHERE run_id = %(run)s AND %(clearing)s IN (payer_id, payee_id)
            GROUP BY 1
            """,
            {
                "run": run_id,
                "clearing": int(clearing),
                "of_the_day": sorted(item.value for item in OF_THE_DAY),
            },
        )
        return dict(cursor.fetchall())

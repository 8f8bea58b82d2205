"""What runs come to per account and item: counted from their lines, and kept."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connection

from accounts.core.postings import ExactItem
from aggregator.settlement.models import RunTotal

# Lines are added by pair of accounts first: few pairs are left to be counted on both sides.
COUNTED_SQL = """
WITH pair AS (
    SELECT run_id, payer_id, payee_id, item, sum(amount_exact_jpy) AS amount
    FROM settlement_settlementline WHERE run_id = ANY(%(runs)s)
    GROUP BY run_id, payer_id, payee_id, item
), counted AS (
    SELECT run_id, account_id, item, sum(amount) AS total FROM (
        SELECT run_id, payee_id AS account_id, item, amount FROM pair
        UNION ALL
        SELECT run_id, payer_id, item, -amount FROM pair
    ) AS moved
    GROUP BY run_id, account_id, item
)
"""
KEEP_SQL = (
    COUNTED_SQL
    + """
INSERT INTO settlement_runtotal (run_id, account_id, item, total_exact_jpy)
SELECT run_id, account_id, item, total FROM counted
"""
)
FROM_LINES_SQL = (
    COUNTED_SQL
    + """
SELECT account_id, item, sum(total) FROM counted
GROUP BY account_id, item ORDER BY account_id, item
"""
)
KEPT_SQL = """
SELECT account_id, item, sum(total_exact_jpy) FROM settlement_runtotal
WHERE run_id = ANY(%(runs)s)
GROUP BY account_id, item
ORDER BY account_id, item
"""
DIFFERENCE_SQL = """
SELECT run_id, account_id, item, coalesce(counted.total, 0), coalesce(kept.total_exact_jpy, 0)
FROM counted
FULL JOIN (
    SELECT run_id, account_id, item, total_exact_jpy FROM settlement_runtotal
    WHERE run_id = ANY(%(runs)s)
) AS kept USING (run_id, account_id, item)
WHERE coalesce(counted.total, 0) <> coalesce(kept.total_exact_jpy, 0)
ORDER BY run_id, account_id, item
"""


def totals_of(*, run_ids: Sequence[int]) -> list[ExactItem]:
    """Return what some runs come to per account and item.

    A run's lines never change, so its totals are kept when first asked for: a close after a
    correction reads the correction's lines alone.
    """
    known = runs_kept(run_ids)
    new = [run_id for run_id in run_ids if run_id not in known]
    with connection.cursor() as cursor:
        if new:
            cursor.execute(KEEP_SQL, {"runs": new})
    return _items(KEPT_SQL, run_ids)


def totals_from_lines(*, run_ids: Sequence[int]) -> list[ExactItem]:
    """Return the same from the lines themselves, keeping nothing."""
    return _items(FROM_LINES_SQL, run_ids)


def runs_kept(run_ids: Sequence[int]) -> set[int]:
    """Return those of some runs whose totals are kept: a close has counted them."""
    rows = RunTotal.objects.filter(run_id__in=run_ids).order_by("run_id")
    return set(rows.values_list("run_id", flat=True).distinct())


def totals_differing(*, run_ids: Sequence[int]) -> list[tuple[int, int, str, str, str]]:
    """Return where lines and kept totals differ: run, account, item, from lines, kept [JPY]."""
    with connection.cursor() as cursor:
        cursor.execute(COUNTED_SQL + DIFFERENCE_SQL, {"runs": list(run_ids)})
        return [(run, account, item, str(a), str(b)) for run, account, item, a, b in cursor]


def _items(statement: str, run_ids: Sequence[int]) -> list[ExactItem]:
    with connection.cursor() as cursor:
        cursor.execute(statement, {"runs": list(run_ids)})
        return [
            ExactItem(account=str(account_id), item=item, total_exact_jpy=total)
            for account_id, item, total in cursor
        ]

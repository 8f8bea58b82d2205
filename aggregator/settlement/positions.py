"""What lines are computed from, as relations: of whole runs, or of what a correction changes.

The same statements write a final run and its corrections. A position has a sign: of a whole run
each is +1; of a correction what now holds is +1 and what held before is −1, and equal lines are
netted. So a correction is by construction what a whole run would now write less what was settled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.core.errors import ensure

TABLES_SQL = """
CREATE TEMP TABLE IF NOT EXISTS settlement_weight (
    run_id bigint, place text, t smallint, need_id uuid, account_id bigint, weight numeric, n int,
    total numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_standin (
    run_id bigint, sign smallint, award_id uuid, t smallint, start_at timestamptz,
    pay_jpy numeric, covered_kwh numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_loss (
    run_id bigint, site_id uuid, loss_ratio numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_negawatt (
    run_id bigint, resource_id uuid, account_id bigint, t smallint, price numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_imbalance (
    run_id bigint, area_id text, account_id bigint, t smallint, price numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_call (
    run_id bigint, award_id uuid, v1 numeric, v2 numeric
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_chain (
    run_id bigint, verification_id bigint, depth int, is_settled boolean
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_change (
    run_id bigint, award_id uuid, t smallint, start_at timestamptz, ordered_kwh numeric,
    old_short_kwh numeric, new_short_kwh numeric, old_excused boolean, new_excused boolean
) ON COMMIT DROP;
CREATE TEMP TABLE IF NOT EXISTS settlement_assessed (
    run_id bigint, sign smallint, award_id uuid, t smallint, start_at timestamptz,
    reserved_kw numeric, shortfall_kw numeric, is_declared boolean, is_excused boolean,
    instructed_kwh numeric, responded_kwh numeric, is_responsive boolean
) ON COMMIT DROP;
TRUNCATE settlement_weight, settlement_standin, settlement_loss, settlement_negawatt,
    settlement_imbalance, settlement_call, settlement_chain, settlement_change, settlement_assessed;
"""

# A verification that corrects none holds every row that counts: the plain join is enough.
WHOLE_PLAIN = "JOIN metering_delivery d ON d.verification_id = s.verification_id"
WHOLE_CHAINED = "CROSS JOIN LATERAL deliveries_effective(s.verification_id) d"

WHOLE_SQL = """
SELECT s.id AS run_id, 1 AS sign, d.award_id, d.t, d.start_at, a.direction,
       seller.account_id AS seller_id, a.resource_id, i.price_jpy_per_kwh AS price,
       d.ordered_kwh, d.shortfall_kwh, d.is_excused
FROM settlement_settlementrun s
{deliveries}
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
WHERE s.id = ANY(%(runs)s) AND seller.account_id <> %(clearing)s
"""

CHANGED_SQL = """
SELECT c.run_id, side.sign, c.award_id, c.t, c.start_at, a.direction,
       seller.account_id AS seller_id, a.resource_id, i.price_jpy_per_kwh AS price,
       c.ordered_kwh, side.shortfall_kwh, side.is_excused
FROM settlement_change c
JOIN clearing_awardinterval i ON i.award_id = c.award_id AND i.t = c.t
JOIN clearing_award a ON a.id = c.award_id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
CROSS JOIN LATERAL (VALUES (1, c.new_short_kwh, c.new_excused),
                           (-1, c.old_short_kwh, c.old_excused))
    AS side (sign, shortfall_kwh, is_excused)
WHERE seller.account_id <> %(clearing)s
"""

# Every half hour of the awards concerned, before and after: a share is of a day's receipts.
DAY_SQL = """
SELECT d.run_id, side.sign, d.award_id, a.direction, seller.account_id AS seller_id,
       a.resource_id, i.price_jpy_per_kwh AS price, d.ordered_kwh,
       CASE WHEN side.sign = 1 THEN coalesce(c.new_short_kwh, d.shortfall_kwh)
            ELSE d.shortfall_kwh END AS shortfall_kwh
FROM (
    SELECT DISTINCT ON (h.run_id, d.award_id, d.t)
           h.run_id, d.award_id, d.t, d.ordered_kwh, d.shortfall_kwh
    FROM (SELECT DISTINCT run_id, award_id FROM settlement_change) AS concerned
    JOIN settlement_chain h ON h.run_id = concerned.run_id AND h.is_settled
    JOIN metering_delivery d
      ON d.verification_id = h.verification_id AND d.award_id = concerned.award_id
    ORDER BY h.run_id, d.award_id, d.t, h.depth
) AS d
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
LEFT JOIN settlement_change c
       ON c.run_id = d.run_id AND c.award_id = d.award_id AND c.t = d.t
CROSS JOIN (VALUES (1), (-1)) AS side (sign)
WHERE seller.account_id <> %(clearing)s
"""

CHAIN_SQL = """
INSERT INTO settlement_chain (run_id, verification_id, depth, is_settled)
SELECT s.id, c.id, c.depth, c.depth >= settled.depth
FROM settlement_settlementrun s
JOIN settlement_settlementrun before ON before.id = s.corrects_id
CROSS JOIN LATERAL verification_chain(s.verification_id) c
JOIN LATERAL verification_chain(s.verification_id) settled ON settled.id = before.verification_id
WHERE s.id = ANY(%(runs)s)
"""

# What a decided dispute has settled stays as decided, whatever is read later. A correction holds
# few of all deliveries there ever were: each is sought by its key (OFFSET keeps the search inside),
# and of a chain the newest, whose ids grow along it.
CHANGE_SQL = """
WITH settled AS MATERIALIZED (
    SELECT run_id, array_agg(verification_id) AS ids
    FROM settlement_chain WHERE is_settled GROUP BY run_id
)
INSERT INTO settlement_change (
    run_id, award_id, t, start_at, ordered_kwh, old_short_kwh, new_short_kwh, old_excused,
    new_excused)
SELECT new.run_id, new.award_id, new.t, new.start_at, new.ordered_kwh,
       old.shortfall_kwh, new.shortfall_kwh, old.is_excused, new.is_excused
FROM (
    SELECT DISTINCT ON (h.run_id, d.award_id, d.t)
           h.run_id, d.award_id, d.t, d.start_at, d.ordered_kwh, d.shortfall_kwh, d.is_excused
    FROM settlement_chain h
    CROSS JOIN LATERAL (
        SELECT * FROM metering_delivery WHERE verification_id = h.verification_id OFFSET 0
    ) AS d
    WHERE NOT h.is_settled
    ORDER BY h.run_id, d.award_id, d.t, h.depth
) AS new
LEFT JOIN settled ON settled.run_id = new.run_id
LEFT JOIN LATERAL (
    SELECT d.shortfall_kwh, d.is_excused
    FROM metering_delivery d
    WHERE d.verification_id = ANY(settled.ids) AND d.award_id = new.award_id AND d.t = new.t
    ORDER BY d.verification_id DESC LIMIT 1
) AS old ON true
LEFT JOIN unnest(%(decided_awards)s::uuid[], %(decided_ts)s::smallint[])
    AS decided (award_id, t) ON decided.award_id = new.award_id AND decided.t = new.t
WHERE decided.award_id IS NULL
  AND (old.shortfall_kwh, old.is_excused) IS DISTINCT FROM (new.shortfall_kwh, new.is_excused)
"""

ASSESSED_WHOLE_SQL = """
INSERT INTO settlement_assessed
SELECT s.id, 1, d.award_id, d.t, d.start_at, d.reserved_kw, d.shortfall_kw, d.is_declared,
       d.is_excused, d.instructed_kwh, d.responded_kwh, d.is_responsive
FROM settlement_settlementrun s
CROSS JOIN LATERAL assessments_effective(s.verification_id) d
WHERE s.id = ANY(%(runs)s)
"""

ASSESSED_CHANGED_SQL = """
INSERT INTO settlement_assessed
SELECT DISTINCT ON (h.run_id, h.is_settled, d.award_id, d.t)
       h.run_id, CASE WHEN h.is_settled THEN -1 ELSE 1 END, d.award_id, d.t, d.start_at,
       d.reserved_kw, d.shortfall_kw, d.is_declared, d.is_excused, d.instructed_kwh,
       d.responded_kwh, d.is_responsive
FROM settlement_chain h
JOIN metering_capacityassessment d ON d.verification_id = h.verification_id
LEFT JOIN unnest(%(decided_awards)s::uuid[], %(decided_ts)s::smallint[])
    AS decided (award_id, t) ON decided.award_id = d.award_id AND decided.t = d.t
WHERE decided.award_id IS NULL AND (NOT h.is_settled OR EXISTS (
    SELECT 1 FROM settlement_chain later
    JOIN metering_capacityassessment e
      ON e.verification_id = later.verification_id AND e.award_id = d.award_id AND e.t = d.t
    WHERE later.run_id = h.run_id AND NOT later.is_settled))
ORDER BY h.run_id, h.is_settled, d.award_id, d.t, h.depth
"""


def tables_ensure() -> None:
    """Make the scratch tables of this transaction, empty."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL client_min_messages = warning")
        cursor.execute(TABLES_SQL)
        cursor.execute("RESET client_min_messages")


def whole_stage(*, run_ids: Sequence[int]) -> None:
    """Note what was assessed of reserved capacity for whole runs."""
    with connection.cursor() as cursor:
        cursor.execute(ASSESSED_WHOLE_SQL, {"runs": list(run_ids)})


def changes_stage(*, run_ids: Sequence[int], decided: Sequence[tuple[UUID, int]] = ()) -> int:
    """Note what differs between the deliveries that corrections stand on and those settled.

    Parameters
    ----------
    run_ids
        CORRECTION runs that are written, still without lines.
    decided
        Award half hours that a decided dispute has settled; they are left out.

    Returns
    -------
    int
        How many award half hours differ.

    Raises
    ------
    BrokenInvariant
        If a correction speaks of an award half hour that was never settled.
    """
    parameters: dict[str, Any] = {
        "runs": list(run_ids),
        "decided_awards": [award for award, _ in decided],
        "decided_ts": [t for _, t in decided],
    }
    with connection.cursor() as cursor:
        cursor.execute(CHAIN_SQL, parameters)
        cursor.execute(CHANGE_SQL, parameters)
        found = int(cursor.rowcount)
        cursor.execute(ASSESSED_CHANGED_SQL, parameters)
        cursor.execute("SELECT count(*) FROM settlement_change WHERE old_short_kwh IS NULL")
        ensure(cursor.fetchone()[0] == 0, "a correction of what was never settled")
        cursor.execute("ANALYZE settlement_chain, settlement_change, settlement_assessed")
    return found

"""Lines in SQL, each a SELECT over positions; `{position}` is one of the relations beside this.

A body says run, sign, item, who pays whom, and a signed amount: `writer_sql` turns the line the
right way round for whole runs, `netting_sql` subtracts what held before. What the pure functions of
:mod:`aggregator.core` say is said here once more; property tests hold the two equal.
"""

from __future__ import annotations

from collections.abc import Collection

COLUMNS = (
    "run_id, item, payer_id, payee_id, award_id, need_id, element, t, start_at, quantity_kwh,"
    " price_jpy_per_kwh, amount_exact_jpy"
)

WRITER_SQL = """
INSERT INTO settlement_settlementline ({columns})
SELECT run_id, item, CASE WHEN amount > 0 THEN from_id ELSE to_id END,
       CASE WHEN amount > 0 THEN to_id ELSE from_id END,
       award_id, need_id, element, t, start_at, quantity_kwh, price, abs(amount)
FROM ({body}) AS line
WHERE amount <> 0 AND from_id <> to_id
"""

NETTING_SQL = """
INSERT INTO settlement_settlementline ({columns})
SELECT run_id, item, CASE WHEN net > 0 THEN from_id ELSE to_id END,
       CASE WHEN net > 0 THEN to_id ELSE from_id END,
       award_id, need_id, element, t, start_at, abs(quantity_kwh), price, abs(net)
FROM (
    SELECT run_id, item, from_id, to_id, award_id, need_id, element, t, start_at,
           sum(sign * quantity_kwh) AS quantity_kwh, max(price) AS price,
           sum(sign * amount) AS net
    FROM ({body}) AS line
    WHERE from_id <> to_id
    GROUP BY run_id, item, from_id, to_id, award_id, need_id, element, t, start_at
) AS netted
WHERE net <> 0
"""

# What the buyer did not order, or the desk or the buyer ordered otherwise, is undone both ways: who
# was to pay gets it back, too. What is still ordered is paid for under its own instruction.
TERMS_SQL = """
CROSS JOIN LATERAL (
    SELECT CASE WHEN sold.unit < 0 AND NOT (p.is_excused AND EXISTS (
                    SELECT 1 FROM dispatch_dispatchinstruction released
                    WHERE released.award_id = p.award_id
                      AND (released.version = 1 AND released.state = 'CANCELLED'
                           OR released.takes_over_at <= p.start_at)))
                THEN 0 ELSE sold.unit END AS gain,
           CASE WHEN p.is_excused THEN 0 ELSE
           greatest(0, p.shortfall_kwh - %(tolerance)s::numeric * p.ordered_kwh) END AS excess_kwh
    FROM (SELECT CASE p.direction WHEN 'UP' THEN p.price ELSE -p.price END AS unit) AS sold
) AS terms
"""

SHORTFALL_SQL = (
    """
SELECT p.run_id, p.sign, taken.item, p.seller_id AS from_id, %(clearing)s::bigint AS to_id,
       p.award_id, NULL::uuid AS need_id, NULL::text AS element, p.t, p.start_at,
       taken.quantity_kwh, p.price, round(taken.amount_jpy, 6) AS amount
FROM ({position}) AS p
"""
    + TERMS_SQL
    + """
CROSS JOIN LATERAL (VALUES
    ('SHORTFALL_REFUND', p.shortfall_kwh, terms.gain * p.shortfall_kwh),
    ('SHORTFALL_PENALTY', terms.excess_kwh,
     (%(factor)s::numeric - 1) * abs(p.price) * terms.excess_kwh)
) AS taken (item, quantity_kwh, amount_jpy)
WHERE p.shortfall_kwh > 0
"""
)

# What goes to the buyers, in millionths of a yen: refund and penalty, less what stand-ins cost.
# Below zero, the stand-ins cost more than the award gave back, and the buyers pay the rest.
LET_DOWN_SQL = (
    """
SELECT p.run_id, p.sign, p.award_id, p.t, p.start_at, p.shortfall_kwh AS quantity_kwh, p.price,
       resource.site_id || ':' || p.direction AS place,
       (round(terms.gain * p.shortfall_kwh, 6)
        + round((%(factor)s::numeric - 1) * abs(p.price) * terms.excess_kwh, 6)
        - coalesce(standin.pay_jpy, 0)) * 1000000 AS units
FROM ({position}) AS p
"""
    + TERMS_SQL
    + """
JOIN registry_resource resource ON resource.id = p.resource_id
LEFT JOIN settlement_standin standin
       ON standin.run_id = p.run_id AND standin.sign = p.sign
      AND standin.award_id = p.award_id AND standin.t = p.t
WHERE p.shortfall_kwh > 0
"""
)

# Largest remainder: whole quotients, and one more unit each for the largest rests, in turn.
SPLIT_SQL = """
SELECT run_id, sign, award_id, t, start_at, quantity_kwh, price, need_id, account_id,
       way * (part + CASE WHEN place_n <= units - whole THEN 1 ELSE 0 END) / 1000000 AS amount
FROM (
    SELECT *, sum(part) OVER w AS whole, row_number() OVER (w ORDER BY rest DESC, n) AS place_n
    FROM (
        SELECT f.run_id, f.sign, f.award_id, f.t, f.start_at, f.quantity_kwh, f.price,
               sign(f.units) AS way, abs(f.units) AS units,
               weight.need_id, weight.account_id, weight.n,
               div(abs(f.units) * weight.weight, weight.total) AS part,
               mod(abs(f.units) * weight.weight, weight.total) AS rest
        FROM ({amounts}) AS f
        JOIN settlement_weight weight
          ON weight.run_id = f.run_id AND weight.place = f.place AND weight.t = f.t
        WHERE f.units <> 0
    ) AS quota
    WINDOW w AS (PARTITION BY run_id, sign, award_id, t)
) AS shared
"""

# To buyers where it is positive; from them where it is negative.
CREDIT_SQL = """
SELECT run_id, sign,
       CASE WHEN amount > 0 THEN 'SHORTFALL_CREDIT' ELSE 'REPLACEMENT' END AS item,
       %(clearing)s::bigint AS from_id, account_id AS to_id, award_id, need_id,
       NULL::text AS element, t, start_at, quantity_kwh, price, amount
FROM ({split}) AS part
"""

# What stand-ins made up for at the lost place was no imbalance.
IMBALANCE_SQL = """
SELECT p.run_id, p.sign, 'IMBALANCE_CAUSED' AS item, leg.from_id, leg.to_id, p.award_id,
       NULL::uuid AS need_id, site.area_id::text AS element, p.t, p.start_at,
       caused.kwh AS quantity_kwh, imbalance.price,
       greatest(0, CASE p.direction WHEN 'UP' THEN imbalance.price ELSE -imbalance.price END)
       * caused.kwh AS amount
FROM ({position}) AS p
LEFT JOIN settlement_standin standin
       ON standin.run_id = p.run_id AND standin.sign = p.sign
      AND standin.award_id = p.award_id AND standin.t = p.t
CROSS JOIN LATERAL (
    SELECT greatest(0, p.shortfall_kwh - coalesce(standin.covered_kwh, 0)) AS kwh
) AS caused
JOIN registry_resource resource ON resource.id = p.resource_id
JOIN registry_site site ON site.id = resource.site_id
JOIN settlement_imbalance imbalance
  ON imbalance.run_id = p.run_id AND imbalance.area_id = site.area_id AND imbalance.t = p.t
CROSS JOIN LATERAL (VALUES
    (CASE WHEN %(imbalance_by)s = 'SELLER' THEN p.seller_id ELSE %(fee_account)s END,
     %(clearing)s::bigint),
    (%(clearing)s::bigint, imbalance.account_id)
) AS leg (from_id, to_id)
WHERE p.shortfall_kwh > 0 AND NOT p.is_excused
"""

# One line per award, day and side: the products are exact, so a sum of them is as well.
NEGAWATT_SQL = """
SELECT cut.run_id, cut.sign, 'NEGAWATT_COMPENSATION' AS item, leg.from_id, leg.to_id,
       cut.award_id, NULL::uuid AS need_id, NULL::text AS element, NULL::smallint AS t,
       NULL::timestamptz AS start_at, cut.quantity_kwh, NULL::numeric AS price,
       cut.amount
FROM (
    SELECT p.run_id, p.sign, p.award_id, p.seller_id, contract.account_id,
           sum(p.ordered_kwh - p.shortfall_kwh) AS quantity_kwh,
           sum((p.ordered_kwh - p.shortfall_kwh) * contract.price) AS amount
    FROM ({position}) AS p
    JOIN settlement_negawatt contract
      ON contract.run_id = p.run_id AND contract.resource_id = p.resource_id
     AND (contract.t IS NULL OR contract.t = p.t)
    WHERE p.direction = 'UP'
    GROUP BY 1, 2, 3, 4, 5
) AS cut
CROSS JOIN LATERAL (VALUES
    (%(clearing)s::bigint, cut.account_id),
    (CASE %(negawatt_by)s WHEN 'SELLER' THEN cut.seller_id WHEN 'HOUSE' THEN %(fee_account)s END,
     %(clearing)s::bigint)
) AS leg (from_id, to_id)
WHERE leg.from_id IS NOT NULL
"""

NEGAWATT_BOUGHT_SQL = """
SELECT p.run_id, p.sign, p.award_id, p.t, p.start_at,
       p.ordered_kwh - p.shortfall_kwh AS quantity_kwh, contract.price,
       resource.site_id || ':' || p.direction AS place,
       (p.ordered_kwh - p.shortfall_kwh) * contract.price * 1000000 AS units
FROM ({position}) AS p
JOIN registry_resource resource ON resource.id = p.resource_id
JOIN settlement_negawatt contract
  ON contract.run_id = p.run_id AND contract.resource_id = p.resource_id
 AND (contract.t IS NULL OR contract.t = p.t)
WHERE p.direction = 'UP'
"""

NEGAWATT_BUYER_SQL = """
SELECT run_id, sign, 'NEGAWATT_COMPENSATION' AS item, account_id AS from_id,
       %(clearing)s::bigint AS to_id, award_id, need_id, NULL::text AS element, t, start_at,
       quantity_kwh, price, amount
FROM ({split}) AS part
"""

# Shares of whole days, of corrections: before and after, each rounded as a whole run rounds it.
SHARES_SQL = """
SELECT r.run_id, r.sign, share.item, r.seller_id AS from_id, share.account_id AS to_id,
       r.award_id, NULL::uuid AS need_id, NULL::text AS element, NULL::smallint AS t,
       NULL::timestamptz AS start_at, r.received_kwh AS quantity_kwh, NULL::numeric AS price,
       round(r.received_jpy * share.weight, 6) AS amount
FROM (
    SELECT p.run_id, p.sign, p.award_id, p.seller_id, p.resource_id,
           sum(p.ordered_kwh - p.shortfall_kwh) AS received_kwh,
           sum((p.ordered_kwh - p.shortfall_kwh) * abs(p.price)) AS received_jpy
    FROM ({day}) AS p
    WHERE (p.price > 0) = (p.direction = 'UP') AND p.price <> 0
    GROUP BY 1, 2, 3, 4, 5
) AS r
JOIN registry_resource resource ON resource.id = r.resource_id
"""
SHARE_SQL = """
JOIN LATERAL (
    SELECT 'PLATFORM_FEE' AS item, %(fee_account)s::bigint AS account_id,
           %(fee)s::numeric AS weight
    UNION ALL
    SELECT 'REVENUE_SPLIT', split.account_id, split.weight
    FROM unnest(%(sites)s::uuid[], %(split_accounts)s::bigint[], %(split_weights)s::numeric[])
        AS split (site_id, account_id, weight)
    WHERE split.site_id = resource.site_id
) AS share ON true
"""
SHARES_SQL += SHARE_SQL

# Of kW that were not there and did not respond either, only the higher sanction is taken.
ASSESSED_SQL = """
SELECT q.run_id, q.sign, q.award_id, q.t, q.start_at, q.reserved_kw, q.shortfall_kw,
       i.price_jpy_per_kw_30min AS price_kw, a.direction, seller.account_id AS seller_id,
       a.resource_id, resource.site_id, a.product_id || ':' || site.area_id AS place,
       round(least(q.responded_kwh, q.instructed_kwh) / (1 - loss.loss_ratio), 6) AS sent_kwh,
       CASE a.direction WHEN 'UP' THEN call.v1 ELSE call.v2 END AS v_price,
       CASE WHEN q.is_declared OR q.is_excused THEN %(declared)s::numeric
            ELSE %(penalty_i)s::numeric END AS factor_i,
       CASE WHEN q.is_responsive IS FALSE AND NOT q.is_excused
            THEN %(penalty_ii)s::numeric ELSE 0 END AS factor_ii
FROM settlement_assessed q
JOIN clearing_capacityinterval i ON i.award_id = q.award_id AND i.t = q.t
JOIN clearing_award a ON a.id = q.award_id
JOIN registry_resource resource ON resource.id = a.resource_id
JOIN registry_site site ON site.id = resource.site_id
JOIN settlement_loss loss ON loss.run_id = q.run_id AND loss.site_id = site.id
JOIN unnest(%(organisations)s::uuid[], %(accounts)s::bigint[])
    AS seller (organisation_id, account_id) ON seller.organisation_id = a.organisation_id
LEFT JOIN settlement_call call ON call.run_id = q.run_id AND call.award_id = q.award_id
WHERE seller.account_id <> %(clearing)s
"""

PENALTIES_SQL = """
SELECT q.*, round(q.price_kw * q.factor_i * CASE WHEN q.factor_i >= q.factor_ii
                                                 THEN q.shortfall_kw ELSE 0 END, 6) AS jpy_i,
       round(q.price_kw * q.factor_ii * CASE WHEN q.factor_i >= q.factor_ii
             THEN q.reserved_kw - q.shortfall_kw ELSE q.reserved_kw END, 6) AS jpy_ii
FROM ({assessed}) AS q
"""

PENALTY_SQL = """
SELECT q.run_id, q.sign, taken.item, q.seller_id AS from_id, %(clearing)s::bigint AS to_id,
       q.award_id, NULL::uuid AS need_id, NULL::text AS element, q.t, q.start_at,
       NULL::numeric AS quantity_kwh, NULL::numeric AS price, taken.amount
FROM ({penalties}) AS q
CROSS JOIN LATERAL (VALUES ('CAPACITY_PENALTY_I', q.jpy_i), ('CAPACITY_PENALTY_II', q.jpy_ii))
    AS taken (item, amount)
"""

PENALISED_SQL = """
SELECT q.run_id, q.sign, q.award_id, q.t, q.start_at, NULL::numeric AS quantity_kwh,
       NULL::numeric AS price, q.place, (q.jpy_i + q.jpy_ii) * 1000000 AS units
FROM ({penalties}) AS q
"""

CAPACITY_CREDIT_SQL = """
SELECT run_id, sign, 'CAPACITY_CREDIT' AS item, %(clearing)s::bigint AS from_id,
       account_id AS to_id, award_id, need_id, NULL::text AS element, t, start_at, quantity_kwh,
       price, amount
FROM ({split}) AS part
"""

# V1 is paid to who was called up, V2 by who was called down; shares of it half hour by half hour.
ACTIVATION_SQL = (
    """
SELECT q.run_id, q.sign, 'ACTIVATION_' || q.direction AS item,
       CASE q.direction WHEN 'UP' THEN %(clearing)s::bigint ELSE q.seller_id END AS from_id,
       CASE q.direction WHEN 'UP' THEN q.seller_id ELSE %(clearing)s::bigint END AS to_id,
       q.award_id, NULL::uuid AS need_id, NULL::text AS element, q.t, q.start_at,
       q.sent_kwh AS quantity_kwh, q.v_price AS price, round(q.sent_kwh * q.v_price, 6) AS amount
FROM ({assessed}) AS q
WHERE q.sent_kwh > 0
UNION ALL
SELECT q.run_id, q.sign, share.item, q.seller_id, share.account_id, q.award_id, NULL, NULL, q.t,
       q.start_at, NULL, NULL,
       round(share.weight * (
           greatest(0, CASE q.direction WHEN 'UP' THEN 1 ELSE -1 END
                       * coalesce(round(q.sent_kwh * q.v_price, 6), 0))
           - CASE share.item WHEN 'REVENUE_SPLIT' THEN q.shortfall_kw * q.price_kw ELSE 0 END), 6)
FROM ({assessed}) AS q
JOIN registry_resource resource ON resource.id = q.resource_id
"""
    + SHARE_SQL
)

CALLED_SQL = """
SELECT q.run_id, q.sign, q.award_id, q.t, q.start_at, q.sent_kwh AS quantity_kwh,
       q.v_price AS price, q.place, CASE q.direction WHEN 'UP' THEN -1 ELSE 1 END
       * round(q.sent_kwh * q.v_price, 6) * 1000000 AS units
FROM ({assessed}) AS q
WHERE q.sent_kwh > 0
"""

CALLED_BUYER_SQL = """
SELECT part.run_id, part.sign, 'ACTIVATION_' || a.direction AS item,
       %(clearing)s::bigint AS from_id, part.account_id AS to_id, part.award_id, part.need_id,
       NULL::text AS element, part.t, part.start_at, part.quantity_kwh, part.price, part.amount
FROM ({split}) AS part
JOIN clearing_award a ON a.id = part.award_id
"""


def split(amounts: str) -> str:
    """Return parts for the needs behind amounts in millionths of a yen."""
    return SPLIT_SQL.format(amounts=amounts)


def writer(body: str) -> str:
    """Return the statement that writes a whole run's lines of one body."""
    return WRITER_SQL.format(columns=COLUMNS, body=body)


def netting(body: str) -> str:
    """Return the statement that writes what one body's lines differ by."""
    return NETTING_SQL.format(columns=COLUMNS, body=body)


def delivery_bodies(
    position: str, *, staged: Collection[str], negawatt_by: str, imbalance_by: str
) -> list[str]:
    """Return what shortfalls and cut purchases make of positions; of what is `staged` alone."""
    bodies = [SHORTFALL_SQL.format(position=position)]
    if "settlement_weight" in staged:
        bodies.append(CREDIT_SQL.format(split=split(LET_DOWN_SQL.format(position=position))))
    if "settlement_negawatt" in staged:
        bodies.append(NEGAWATT_SQL.format(position=position))
        if negawatt_by == "BUYER":
            bought = split(NEGAWATT_BOUGHT_SQL.format(position=position))
            bodies.append(NEGAWATT_BUYER_SQL.format(split=bought))
    if "settlement_imbalance" in staged and imbalance_by != "NOBODY":
        bodies.append(IMBALANCE_SQL.format(position=position))
    return bodies


def capacity_bodies() -> list[str]:
    """Return what assessments and calls of reserved capacity make of lines."""
    penalties = PENALTIES_SQL.format(assessed=ASSESSED_SQL)
    return [
        PENALTY_SQL.format(penalties=penalties),
        CAPACITY_CREDIT_SQL.format(split=split(PENALISED_SQL.format(penalties=penalties))),
        ACTIVATION_SQL.format(assessed=ASSESSED_SQL),
        CALLED_BUYER_SQL.format(split=split(CALLED_SQL.format(assessed=ASSESSED_SQL))),
    ]


def day_shares(day: str) -> str:
    """Return fee and splits of whole award days."""
    return SHARES_SQL.format(day=day)

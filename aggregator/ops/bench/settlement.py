"""A month of a large market: our settlement against the bare SQL of the same join and write.

1,000 sites, 48 half hours, 31 days. Ours writes energy, refunds, penalties and fees into the lines
table with its key, index and checks. The floor is one INSERT … SELECT of the same join that writes
the energy rows alone into a table with the same columns and a key; ``ratio_without_key`` is against
the same into a table without any.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from aggregator.core.settlement import House
from aggregator.core.terms import SettlementRules
from aggregator.ops.bench import summary
from aggregator.ops.bench.scratch import cpu_s, emptied_alternately, scratch_schema
from aggregator.settlement.lines import award_lines_insert
from market.core.timegrid import INTERVALS_PER_DAY

ROUNDS_COUNT = 3
SCHEMA = "bench_settlement"
LINES, KEYED, BARE = "settlement_settlementline", "keyed_line", "bare_line"
DAYS_COUNT = 31
SELLERS_COUNT = 50
# One half hour in twenty falls short, by a fifth.
SHORT_EVERY = 20
TABLES = (
    "registry_resource",
    "clearing_award",
    "clearing_awardinterval",
    "metering_delivery",
    "settlement_settlementrun",
    LINES,
)
RULES = SettlementRules(fee_ratio=Decimal("0.02"))
HOUSE = House(clearing="1", fee="2", rounding="3")

COLUMNS = (
    "run_id, item, payer_id, payee_id, award_id, t, start_at, quantity_kwh, price_jpy_per_kwh,"
    " amount_exact_jpy"
)
BARE_SQL = """
CREATE TABLE bare_line (
    id bigint GENERATED ALWAYS AS IDENTITY, run_id bigint, item text, payer_id bigint,
    payee_id bigint, award_id uuid, t smallint, start_at timestamptz, quantity_kwh numeric,
    price_jpy_per_kwh numeric, amount_exact_jpy numeric)
"""
FLOOR_SQL = """
INSERT INTO bare_line (%s)
SELECT s.id, 'SELLER_ENERGY', 1, seller.account_id, d.award_id, d.t, d.start_at, d.ordered_kwh,
       i.price_jpy_per_kwh,
       CASE a.direction WHEN 'UP' THEN 1 ELSE -1 END * i.price_jpy_per_kwh * d.ordered_kwh
FROM settlement_settlementrun s
JOIN metering_delivery d ON d.verification_id = s.verification_id
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN bare_seller seller ON seller.organisation_id = a.organisation_id
"""

FILL_SQL = (
    """
    INSERT INTO settlement_settlementrun (
        id, auction_id, verification_id, kind, revision, input_sha256, ruleset_version,
        executed_at)
    SELECT day, md5('auction' || day)::uuid, day, 'FINAL', 1, '', 'bench', now()
    FROM generate_series(1, %(days)s) AS day
    """,
    """
    INSERT INTO registry_resource (
        id, site_id, code, name, name_en, kind, limit_up_kw, limit_down_kw, is_behind_meter,
        hardware)
    SELECT md5('resource' || site)::uuid, md5('site' || site)::uuid, 'r' || site, '', '',
           'DC_LOAD', 1000, 1000, true, '{}'
    FROM generate_series(1, %(sites)s) AS site
    """,
    """
    INSERT INTO clearing_award (
        id, run_id, auction_id, bid_id, organisation_id, resource_id, leg, direction, version)
    SELECT md5(day || '-' || site)::uuid, md5('run' || day)::uuid, md5('auction' || day)::uuid,
           md5('bid' || day || '-' || site)::uuid,
           (%(sellers)s::uuid[])[1 + site %% cardinality(%(sellers)s::uuid[])],
           md5('resource' || site)::uuid, 'STEPS',
           CASE WHEN site %% 5 = 0 THEN 'DOWN' ELSE 'UP' END, 1
    FROM generate_series(1, %(days)s) AS day, generate_series(1, %(sites)s) AS site
    """,
    """
    INSERT INTO clearing_awardinterval (award_id, t, start_at, quantity_kw, price_jpy_per_kwh)
    SELECT md5(day || '-' || site)::uuid, t,
           %(start_at)s::timestamptz + day * interval '1 day' + t * interval '30 minutes',
           100 + (site * 7 + t) %% 900, ((site + t * 13 + day) %% 6000) / 100.0 + 1
    FROM generate_series(1, %(days)s) AS day, generate_series(1, %(sites)s) AS site,
         generate_series(0, %(half_hours)s - 1) AS t
    """,
    """
    INSERT INTO metering_delivery (
        verification_id, award_id, t, start_at, ordered_kwh, baseline_kwh, metered_kwh,
        delivered_kwh, shortfall_kwh, over_kwh, reading_revision, reading_stage)
    SELECT day, md5(day || '-' || site)::uuid, t,
           %(start_at)s::timestamptz + day * interval '1 day' + t * interval '30 minutes',
           ordered_kwh, 2 * ordered_kwh, ordered_kwh + short_kwh, ordered_kwh - short_kwh,
           short_kwh, 0, 1, 3
    FROM generate_series(1, %(days)s) AS day, generate_series(1, %(sites)s) AS site,
         generate_series(0, %(half_hours)s - 1) AS t,
         LATERAL (SELECT (100 + (site * 7 + t) %% 900) / 2.0 AS ordered_kwh) AS o,
         LATERAL (SELECT CASE WHEN (site + t + day) %% %(short_every)s = 0
                              THEN ordered_kwh / 5 ELSE 0 END AS short_kwh) AS missing
    """,
)


def run(*, size: int = 1_488_000) -> dict[str, Any]:
    """Measure `size` award half hours (sites × 48 × 31); medians of three rounds."""
    sites_count = max(1, size // (DAYS_COUNT * INTERVALS_PER_DAY))
    rows_count = sites_count * DAYS_COUNT * INTERVALS_PER_DAY
    sellers = {uuid.uuid4(): str(100 + n) for n in range(SELLERS_COUNT)}
    runs = list(range(1, DAYS_COUNT + 1))
    written: list[int] = []
    began_s = cpu_s()
    with scratch_schema(SCHEMA, TABLES):
        _fill(sites_count, sellers)

        def ours() -> None:
            with transaction.atomic():
                written.append(
                    award_lines_insert(
                        run_ids=runs, rules=RULES, house=HOUSE, sellers=sellers, splits={}
                    )
                )

        def floor(table: str) -> None:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute((FLOOR_SQL % COLUMNS).replace(BARE, table))
                if cursor.rowcount != rows_count:
                    raise RuntimeError(f"the floor wrote {cursor.rowcount} of {rows_count} rows")

        ours_s, floor_s, keyless_s = emptied_alternately(
            ROUNDS_COUNT,
            (LINES, ours),
            (KEYED, lambda: floor(KEYED)),
            (BARE, lambda: floor(BARE)),
        )
    found = summary(ours_s, floor_s)
    return {
        "size": rows_count,
        "sites": sites_count,
        "lines": written[-1],
        **found,
        "ratio_without_key": summary(ours_s, keyless_s)["ratio"],
        "rows_per_s": round(rows_count / found["ours_s"]),
        "floor_rows_per_s": round(rows_count / found["floor_s"]),
        "client_cpu_s": round(cpu_s() - began_s, 3),
    }


def _fill(sites_count: int, sellers: dict[uuid.UUID, str]) -> None:
    """Make a market's month in SQL, outside every clock."""
    parameters: dict[str, Any] = {
        "days": DAYS_COUNT,
        "sites": sites_count,
        "half_hours": INTERVALS_PER_DAY,
        "sellers": list(sellers),
        "accounts": [int(account) for account in sellers.values()],
        "short_every": SHORT_EVERY,
        "start_at": datetime(2026, 9, 30, 15, tzinfo=UTC) - timedelta(days=1),
    }
    with connection.cursor() as cursor:
        cursor.execute(BARE_SQL)
        cursor.execute(f"CREATE TABLE {KEYED} (LIKE {BARE} INCLUDING ALL, PRIMARY KEY (id))")
        cursor.execute(
            "CREATE TABLE bare_seller AS SELECT * FROM"
            " unnest(%(sellers)s::uuid[], %(accounts)s::bigint[])"
            " AS seller (organisation_id, account_id)",
            parameters,
        )
        for statement in FILL_SQL:
            cursor.execute(statement, parameters)
        cursor.execute("ANALYZE " + ", ".join(TABLES[:-1]))

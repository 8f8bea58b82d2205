"""A month of a large market from stored deliveries to transfers, ours and in bare SQL.

Ours writes energy, refunds, penalties, credits, fees and residuals into the lines table with its
key, index and checks, sums them and posts the month's transfers. The bare SQL is the same as six
INSERT … SELECT into tables with the same columns and a key: no checks, no guards, no largest
remainder. A correction then changes one meter day in a hundred, which is one reading in a
hundred, and posts what it changes.
"""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import connection, transaction

from accounts.clock.selectors import market_now
from accounts.core.postings import close_items
from aggregator.core.settlement import House, residual_lines
from aggregator.core.terms import SettlementRules
from aggregator.settlement.closes import items_post
from aggregator.settlement.lines import (
    Terms,
    award_lines_insert,
    clearing_left_by_run,
    correction_lines_insert,
    lines_copy,
)
from aggregator.settlement.models import SettlementPeriod, SettlementRun
from aggregator.settlement.positions import changes_stage, tables_ensure, whole_stage
from aggregator.settlement.totals import totals_of
from market.core.timegrid import INTERVALS_PER_DAY, interval_starts_at

LINES, BARE = "settlement_settlementline", "bare_line"
DAYS_COUNT = 31
SELLERS_COUNT = 50
# One half hour in twenty falls short, by a fifth.
SHORT_EVERY = 20
# One meter day in a hundred is read anew.
CORRECTED_EVERY = 100
BUYERS = (201, 202)
TABLES = (
    "registry_resource",
    "clearing_award",
    "clearing_awardinterval",
    "clearing_capacityinterval",
    "metering_deliveryverification",
    "metering_delivery",
    "metering_capacityassessment",
    "settlement_settlementrun",
    "settlement_settlementperiod",
    "settlement_settlementitem",
    "settlement_runtotal",
    "ledger_transfer",
    "audit_auditentry",
    LINES,
)
RULES = SettlementRules(fee_ratio=Decimal("0.02"))
FIRST_ON = date(2026, 10, 1)
HOUSE = House(clearing="1", fee="2", rounding="3")

BARE_SQL = """
CREATE TABLE bare_line (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id bigint, item text, payer_id bigint,
    payee_id bigint, award_id uuid, need_id uuid, element text, t smallint, start_at timestamptz,
    quantity_kwh numeric, price_jpy_per_kwh numeric, amount_exact_jpy numeric);
CREATE TABLE bare_transfer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint, item text,
    amount_jpy bigint)
"""
BARE_COLUMNS = (
    "run_id, item, payer_id, payee_id, award_id, need_id, t, start_at, quantity_kwh,"
    " price_jpy_per_kwh, amount_exact_jpy"
)
JOINED_SQL = """
FROM settlement_settlementrun s
JOIN metering_delivery d ON d.verification_id = s.verification_id
JOIN clearing_awardinterval i ON i.award_id = d.award_id AND i.t = d.t
JOIN clearing_award a ON a.id = d.award_id
JOIN bare_seller seller ON seller.organisation_id = a.organisation_id
"""
FLOOR_SQL = (
    f"""
    INSERT INTO bare_line ({BARE_COLUMNS})
    SELECT s.id, 'SELLER_ENERGY', 1, seller.account_id, d.award_id, NULL, d.t, d.start_at,
           d.ordered_kwh, i.price_jpy_per_kwh,
           CASE a.direction WHEN 'UP' THEN 1 ELSE -1 END * i.price_jpy_per_kwh * d.ordered_kwh
    {JOINED_SQL}
    """,
    f"""
    INSERT INTO bare_line ({BARE_COLUMNS})
    SELECT s.id, x.item, seller.account_id, 1, d.award_id, NULL, d.t, d.start_at, x.kwh,
           i.price_jpy_per_kwh, round(x.jpy, 6)
    {JOINED_SQL}
    CROSS JOIN LATERAL (VALUES
        ('SHORTFALL_REFUND', d.shortfall_kwh, i.price_jpy_per_kwh * d.shortfall_kwh),
        ('SHORTFALL_PENALTY', d.shortfall_kwh - 0.1 * d.ordered_kwh,
         0.5 * i.price_jpy_per_kwh * (d.shortfall_kwh - 0.1 * d.ordered_kwh))
    ) AS x (item, kwh, jpy)
    WHERE d.shortfall_kwh > 0 AND (a.direction = 'UP' OR x.item = 'SHORTFALL_PENALTY')
    """,
    f"""
    INSERT INTO bare_line ({BARE_COLUMNS})
    SELECT s.id, 'SHORTFALL_CREDIT', 1, w.account_id, d.award_id, w.need_id, d.t, d.start_at,
           d.shortfall_kwh, i.price_jpy_per_kwh,
           round((CASE a.direction WHEN 'UP' THEN i.price_jpy_per_kwh ELSE 0 END * d.shortfall_kwh
            + 0.5 * i.price_jpy_per_kwh * (d.shortfall_kwh - 0.1 * d.ordered_kwh))
            * w.weight / 15, 6)
    {JOINED_SQL}
    JOIN registry_resource r ON r.id = a.resource_id
    JOIN bench_weight w ON w.run_id = s.id AND w.t = d.t
                       AND w.place = r.site_id || ':' || a.direction
    WHERE d.shortfall_kwh > 0
    """,
    """
    INSERT INTO bare_line (run_id, item, payer_id, payee_id, award_id, amount_exact_jpy)
    SELECT r.run_id, 'PLATFORM_FEE', r.payee_id, 2, r.award_id, round(0.02 * r.jpy, 6)
    FROM (SELECT run_id, award_id, max(CASE WHEN payee_id <> 1 THEN payee_id END) AS payee_id,
                 sum(CASE item WHEN 'SELLER_ENERGY' THEN amount_exact_jpy
                               ELSE -amount_exact_jpy END) AS jpy
          FROM bare_line WHERE item IN ('SELLER_ENERGY', 'SHORTFALL_REFUND')
          GROUP BY run_id, award_id) AS r
    WHERE r.jpy > 0
    """,
    """
    INSERT INTO bare_line (run_id, item, payer_id, payee_id, t, amount_exact_jpy)
    SELECT run_id, 'RESIDUAL', 1, 3, t,
           sum(CASE payee_id WHEN 1 THEN amount_exact_jpy ELSE -amount_exact_jpy END)
    FROM bare_line WHERE 1 IN (payer_id, payee_id) GROUP BY run_id, t
    """,
    """
    INSERT INTO bare_transfer (account_id, item, amount_jpy)
    SELECT account_id, item, trunc(sum(amount)) FROM (
        SELECT payee_id AS account_id, item, amount_exact_jpy AS amount FROM bare_line
        UNION ALL SELECT payer_id, item, -amount_exact_jpy FROM bare_line) AS moved
    GROUP BY account_id, item
    """,
)
# Weights of two needs, 2 : 1 of the local one and of the area's, where anything falls short.
WEIGHT_SQL = """
CREATE TABLE bench_weight AS
SELECT day AS run_id, md5('site' || site)::uuid || ':' || direction AS place, t::smallint AS t,
       need_id, account_id, weight, n, (site + t + day) %% %(short_every)s = 0 AS is_short
FROM generate_series(1, %(days)s) AS day, generate_series(1, %(sites)s) AS site,
     generate_series(0, %(half_hours)s - 1) AS t,
     LATERAL (SELECT CASE WHEN site %% 5 = 0 THEN 'DOWN' ELSE 'UP' END AS direction) AS side,
     (VALUES (md5('local')::uuid, %(local)s::bigint, 10::numeric, 0),
             (md5('area')::uuid, %(area)s::bigint, 5::numeric, 1))
         AS needs (need_id, account_id, weight, n)
WHERE (site + t + day) %% %(short_every)s = 0
   OR (site + 3 * day) %% %(corrected_every)s = 0
"""
WEIGHTS_SQL = """
INSERT INTO settlement_weight
SELECT run_id, place, t, need_id, account_id, weight, n, 15 FROM bench_weight
WHERE is_short
"""
CHANGED_WEIGHTS_SQL = """
INSERT INTO settlement_weight
SELECT w.run_id + %(offset)s, w.place, w.t, w.need_id, w.account_id, w.weight, w.n, 15
FROM (
    SELECT DISTINCT c.run_id, r.site_id || ':' || a.direction AS place, c.t
    FROM settlement_change c
    JOIN clearing_award a ON a.id = c.award_id
    JOIN registry_resource r ON r.id = a.resource_id
) AS concerned
JOIN bench_weight w
  ON w.run_id = concerned.run_id - %(offset)s AND w.place = concerned.place
 AND w.t = concerned.t
"""
# Each reading of a meter day that is read anew falls short as often as any other, at other times.
CORRECTION_SQL = (
    """
    INSERT INTO metering_deliveryverification (
        id, auction_id, revision, stage, as_of, ruleset_id, input_sha256, corrects_id, cause_kind,
        cause_id)
    SELECT 100 + id, auction_id, 2, stage, as_of, ruleset_id, '', id, 'READING', 'bench'
    FROM metering_deliveryverification
    """,
    """
    INSERT INTO metering_delivery (
        verification_id, award_id, t, start_at, ordered_kwh, baseline_kwh, metered_kwh,
        delivered_kwh, shortfall_kwh, over_kwh, reading_revision, reading_stage)
    SELECT 100 + d.verification_id, d.award_id, d.t, d.start_at, d.ordered_kwh, d.baseline_kwh,
           d.metered_kwh, d.ordered_kwh - new.kwh, new.kwh, 0, 2, 3
    FROM generate_series(1, %(sites)s) AS site, generate_series(1, %(days)s) AS day
    JOIN metering_delivery d ON true
    CROSS JOIN LATERAL (SELECT CASE WHEN (site + d.t + day + 7) %% %(short_every)s = 0
                                    THEN d.ordered_kwh / 5 ELSE 0 END AS kwh) AS new
    WHERE (site + 3 * day) %% %(corrected_every)s = 0
      AND d.award_id = md5(day || '-' || site)::uuid AND d.verification_id = day
    """,
)

FILL_SQL = (
    """
    INSERT INTO settlement_settlementrun (
        id, auction_id, verification_id, kind, revision, input_sha256, ruleset_version,
        executed_at, cause_kind, cause_id)
    SELECT day, md5('auction' || day)::uuid, day, 'FINAL', 1, '', 'bench', now(), '', ''
    FROM generate_series(1, %(days)s) AS day
    """,
    """
    INSERT INTO metering_deliveryverification (
        id, auction_id, revision, stage, as_of, ruleset_id, input_sha256)
    SELECT day, md5('auction' || day)::uuid, 1, 'FINAL', now(), 'bench', ''
    FROM generate_series(1, %(days)s) AS day
    """,
    """
    INSERT INTO registry_resource (
        id, site_id, code, name, name_en, kind, limit_up_kw, limit_down_kw, is_behind_meter,
        hardware, version)
    SELECT md5('resource' || site)::uuid, md5('site' || site)::uuid, 'r' || site, '', '',
           'DC_LOAD', 1000, 1000, true, '{}', 1
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


class Month:
    """A market's month of verified deliveries, made in SQL outside every clock."""

    # What is there before the clock runs, and which verification a correction stands on.
    filled: tuple[str, ...] = (*FILL_SQL, *CORRECTION_SQL)
    bare_steps: tuple[str, ...] = FLOOR_SQL

    def __init__(self, sites_count: int, sellers: dict[uuid.UUID, str]) -> None:
        self.parameters: dict[str, Any] = {
            "days": DAYS_COUNT,
            "sites": sites_count,
            "half_hours": INTERVALS_PER_DAY,
            "sellers": list(sellers),
            "accounts": [int(account) for account in sellers.values()],
            "short_every": SHORT_EVERY,
            "corrected_every": CORRECTED_EVERY,
            "local": BUYERS[0],
            "area": BUYERS[1],
            "start_at": datetime(2026, 9, 30, 15, tzinfo=UTC) - timedelta(days=1),
        }
        # processor time of single steps, as far as they are told apart
        self.steps: dict[str, float] = {}
        self.terms = Terms(rules=RULES, house=HOUSE, sellers=sellers, splits={})
        with connection.cursor() as cursor:
            cursor.execute(BARE_SQL)
            cursor.execute(
                "CREATE TABLE bare_seller AS SELECT * FROM"
                " unnest(%(sellers)s::uuid[], %(accounts)s::bigint[])"
                " AS seller (organisation_id, account_id)",
                self.parameters,
            )
            for statement in (WEIGHT_SQL, *self.filled):
                cursor.execute(statement, self.parameters)
            cursor.execute("CREATE INDEX ON bench_weight (run_id, place, t)")
            cursor.execute(
                "SELECT indexrelid::regclass::text FROM pg_index"
                " WHERE indrelid = %s::regclass AND indexrelid IN"
                " (SELECT c.oid FROM pg_class c JOIN pg_am m ON m.oid = c.relam"
                " WHERE m.amname = 'brin')",
                [LINES],
            )
            self.summary = cursor.fetchone()[0]
            cursor.execute("ANALYZE " + ", ".join(TABLES[:-1]) + ", bench_weight")
        self.period = SettlementPeriod.objects.create(
            start_on=FIRST_ON, end_on=FIRST_ON + timedelta(days=DAYS_COUNT)
        )

    def floor(self) -> int:
        """Do the same steps in bare SQL; return the lines written."""
        written = 0
        with transaction.atomic(), connection.cursor() as cursor:
            for statement in self.bare_steps:
                cursor.execute(statement)
                written += cursor.rowcount
        return written

    def ours(self) -> int:
        """Settle and post the month as the close does; return the lines written."""
        run_ids = list(range(1, DAYS_COUNT + 1))
        with transaction.atomic():
            tables_ensure()
            whole_stage(run_ids=run_ids)
            self._weights(0)
            self.posted_jpy: dict[tuple[str, str], int] = {}
            written = award_lines_insert(run_ids=run_ids, terms=self.terms)
            return written + self._posted(run_ids, run_ids, 1)

    def correction(self) -> int:
        """Correct one meter day in a hundred and post the differences; return the lines."""
        first = list(range(1, DAYS_COUNT + 1))
        with transaction.atomic():
            later = SettlementRun.objects.bulk_create(
                SettlementRun(
                    id=100 + run.pk,
                    auction_id=run.auction_id,
                    verification_id=later,
                    kind="CORRECTION",
                    revision=1,
                    input_sha256="",
                    ruleset_version="bench",
                    executed_at=market_now(),
                    corrects_id=run.pk,
                    cause_kind="READING",
                    cause_id="bench",
                )
                for run in SettlementRun.objects.filter(id__in=first)
                if (later := self.corrects(run.verification_id)) is not None
            )
            run_ids = [run.pk for run in later]
            tables_ensure()
            changes_stage(run_ids=run_ids)
            self._weights(100)
            written = correction_lines_insert(run_ids=run_ids, terms=self.terms)
            return written + self._posted(run_ids, [*first, *run_ids], 2)

    def emptied(self, cursor: Any) -> None:
        """Take back what a round wrote, beside lines, items and transfers."""

    def ready(self, name: str) -> None:
        """Prepare a piece of work outside its clock."""

    def corrects(self, verification_id: int) -> int | None:
        """Return the verification that corrects one, if any does."""
        return 100 + verification_id

    def _weights(self, offset: int) -> None:
        with connection.cursor() as cursor:
            cursor.execute(WEIGHTS_SQL if offset == 0 else CHANGED_WEIGHTS_SQL, {"offset": offset})
            cursor.execute("ANALYZE settlement_weight")

    def _posted(self, new: list[int], every: list[int], number: int) -> int:
        """Empty the clearing account of new runs; post the totals of all of them."""
        written = 0
        starts_at = interval_starts_at(FIRST_ON)
        kept = clearing_left_by_run(run_ids=new, clearing=HOUSE.clearing)
        for run_id, left in kept.items():
            written += lines_copy(
                run_id=run_id, lines=residual_lines(left, house=HOUSE), starts_at=starts_at
            )
        close = close_items(
            totals_of(run_ids=every),
            clearing=HOUSE.clearing,
            rounding=HOUSE.rounding,
            posted_jpy=self.posted_jpy,
        )
        self.posted_jpy = {(item.account, item.item): item.amount_jpy for item in close.items}
        items_post(self.period, number, close)
        return written

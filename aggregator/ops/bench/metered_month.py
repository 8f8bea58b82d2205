"""A month of a large market from readings to transfers, ours and in bare SQL.

Each site's load has High 4 of 5 with same-day adjustment, capped at 20 %, looking back 45 days: as
all 48 half hours of every day of the month are sold, the days a baseline stands on lie before it.
One half hour in twenty falls short by a fifth.

The bare SQL takes each meter day as an array, finds for each day the latest five free days of its
type, keeps four by their sum, and averages and adjusts them half hour by half hour beside what was
ordered and read. It knows that each half hour was read once, that orders fill the day and that no
half hour is missing; ours finds that out.
"""

from __future__ import annotations

import hashlib
import uuid
from datetime import date, timedelta
from typing import Any, Final

from django.db import connection, transaction

from aggregator.metering.calendar import day_start
from aggregator.metering.models import Meter
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.verifications import verifications_correct, verifications_execute
from aggregator.ops.bench.scratch import cpu_s, server_cpu_s
from aggregator.ops.bench.settled_month import (
    DAYS_COUNT,
    FILL_SQL,
    FIRST_ON,
    FLOOR_SQL,
    Month,
)
from market.clearing.models import ClearingRun, RunState
from market.registry.models import Ruleset
from market.trading.models import Auction, AuctionState

LOOK_BACK_DAYS: Final = 45
METERED_TABLES: Final = (
    "registry_ruleset",
    "trading_auction",
    "clearing_clearingrun",
    "dispatch_dispatchinstruction",
    "dispatch_instructioninterval",
    "metering_meter",
    "metering_intervalreading",
    "metering_finereading",
    "metering_baseline",
    "metering_baselineassignment",
    "metering_declaredschedule",
    "metering_forcemajeure",
    "metering_standindelivery",
    "metering_shiftcheck",
    "metering_placementlog",
    "metering_capacityactivation",
    "jobs_job",
)
RULES: Final = {"baseline": {"cap_ratio": "0.2", "lookback_days": LOOK_BACK_DAYS}}
# A site uses this all day [kWh]; what it reads on a sold day, so that the adjustment is at its cap
# from the second day on, delivers all that was ordered, or four fifths of it.
READ_SQL = """
SELECT meter_id, day, at, usual, CASE
    WHEN is_short THEN baseline - way * ordered * 4 / 5
    WHEN way > 0 THEN usual / 2 ELSE usual * 3 / 2 END AS energy_kwh
FROM (
    SELECT site AS meter_id, day, t,
           %(start_at)s::timestamptz + day * interval '1 day' + t * interval '30 minutes' AS at,
           usual, way, (100 + (site * 7 + t) %% 900) / 2.0 AS ordered,
           CASE WHEN day = 1 THEN usual ELSE usual * (1 - way * 0.2) END AS baseline,
           (site + t + day + {shift}) %% %(short_every)s = 0 AS is_short
    FROM generate_series({days}) AS day, generate_series(0, %(half_hours)s - 1) AS t,
         generate_series(1, %(sites)s) AS site,
         LATERAL (SELECT 2500 + site AS usual,
                         CASE WHEN site %% 5 = 0 THEN -1 ELSE 1 END AS way) AS of_site
) AS of_day
"""
READINGS_SQL = """
INSERT INTO metering_intervalreading (
    meter_id, start_at, energy_kwh, quality, revision, stage, available_at, source)
SELECT meter_id, at, {value}, 0, {revision}, 3, {available_at}, 'bench'
FROM ({read}) AS read {where}
"""
RUNS_SQL = """
INSERT INTO settlement_settlementrun (
    id, auction_id, verification_id, kind, revision, input_sha256, ruleset_version,
    executed_at, cause_kind, cause_id)
SELECT day, v.auction_id, v.id, 'FINAL', 1, '', 'bench', now(), '', ''
FROM generate_series(1, %(days)s) AS day
JOIN metering_deliveryverification v
  ON v.auction_id = md5('auction' || day)::uuid AND v.corrects_id IS NULL
"""
BARE_TABLES_SQL = """
CREATE TABLE bare_day (
    meter_id bigint, day_on date, is_free boolean, is_sold boolean, e numeric[],
    total numeric, evening numeric, PRIMARY KEY (meter_id, day_on));
CREATE TABLE bare_baseline (
    id uuid PRIMARY KEY, resource_id uuid, delivery_on date, baseline_kwh numeric[],
    adjustment_kwh numeric, days_used date[]);
CREATE TABLE bare_delivery (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, verification_id bigint, award_id uuid,
    t smallint, start_at timestamptz, ordered_kwh numeric, baseline_kwh numeric,
    metered_kwh numeric, delivered_kwh numeric, shortfall_kwh numeric, over_kwh numeric,
    reading_revision smallint, reading_stage smallint, cause text, is_excused boolean);
CREATE TABLE bare_holiday (day_on date PRIMARY KEY);
"""
BARE_STEPS_SQL = (
    """
    INSERT INTO bare_day
    SELECT meter_id, day_on, extract(isodow FROM day_on) > 5 OR EXISTS (
               SELECT 1 FROM bare_holiday h WHERE h.day_on = d.day_on),
           day_on >= '2026-10-01', e, total, evening
    FROM (
        SELECT meter_id, (start_at + interval '9 hours')::date AS day_on,
               array_agg(energy_kwh ORDER BY start_at) AS e, sum(energy_kwh) AS total,
               sum(energy_kwh) FILTER (WHERE extract(hour FROM start_at) BETWEEN 10 AND 12)
                   AS evening
        FROM metering_intervalreading WHERE quality <= 1 GROUP BY 1, 2
    ) AS d
    """,
    "ANALYZE bare_day",
    """
    CREATE TEMP TABLE bare_kept ON COMMIT DROP AS
    SELECT d.meter_id, d.day_on, array_agg(k.day_on ORDER BY k.day_on DESC) AS kept
    FROM bare_day d
    CROSS JOIN LATERAL (
        SELECT c.day_on FROM (
            SELECT f.day_on, f.total FROM bare_day f
            WHERE f.meter_id = d.meter_id AND f.day_on < d.day_on
              AND f.day_on >= d.day_on - 45 AND f.is_free = d.is_free AND NOT f.is_sold
            ORDER BY f.day_on DESC LIMIT CASE WHEN d.is_free THEN 3 ELSE 5 END
        ) AS c ORDER BY c.total DESC, c.day_on DESC LIMIT CASE WHEN d.is_free THEN 2 ELSE 4 END
    ) AS k
    WHERE d.is_sold GROUP BY 1, 2
    """,
    """
    CREATE TEMP TABLE bare_found ON COMMIT DROP AS
    SELECT k.meter_id, k.day_on, k.kept, adj.kwh AS adjustment_kwh, (
        SELECT array_agg(greatest(0, round((a + b + coalesce(c, 0) + coalesce(d, 0))
                                            / cardinality(k.kept) + adj.kwh, 3)) ORDER BY t)
        FROM unnest(d1.e, d2.e, d3.e, d4.e) WITH ORDINALITY AS u (a, b, c, d, t)) AS b
    FROM bare_kept k
    JOIN bare_day d1 ON d1.meter_id = k.meter_id AND d1.day_on = k.kept[1]
    JOIN bare_day d2 ON d2.meter_id = k.meter_id AND d2.day_on = k.kept[2]
    LEFT JOIN bare_day d3 ON d3.meter_id = k.meter_id AND d3.day_on = k.kept[3]
    LEFT JOIN bare_day d4 ON d4.meter_id = k.meter_id AND d4.day_on = k.kept[4]
    JOIN bare_day eve ON eve.meter_id = k.meter_id AND eve.day_on = k.day_on - 1
    CROSS JOIN LATERAL (
        SELECT sum(x.evening) / (6 * cardinality(k.kept)) AS kwh FROM bare_day x
        WHERE x.meter_id = k.meter_id AND x.day_on = ANY(
            SELECT kept_on - 1 FROM unnest(k.kept) AS kept_on)) AS usual
    CROSS JOIN LATERAL (
        SELECT greatest(-0.2 * usual.kwh, least(0.2 * usual.kwh, eve.evening / 6 - usual.kwh))
               AS kwh) AS adj
    """,
    """
    INSERT INTO bare_baseline
    SELECT gen_random_uuid(), m.resource_id, f.day_on, f.b, round(f.adjustment_kwh, 3), f.kept
    FROM bare_found f JOIN metering_meter m ON m.id = f.meter_id
    """,
    """
    INSERT INTO bare_delivery (
        verification_id, award_id, t, start_at, ordered_kwh, baseline_kwh, metered_kwh,
        delivered_kwh, shortfall_kwh, over_kwh, reading_revision, reading_stage, cause, is_excused)
    SELECT run.verification_id, a.id, i.t, i.start_at, o.kwh, u.b, u.m, d.kwh, o.kwh - d.kwh,
           c.kwh - d.kwh, 1, 3, '', false
    FROM settlement_settlementrun run
    JOIN trading_auction s ON s.id = run.auction_id
    JOIN clearing_award a ON a.auction_id = s.id
    JOIN metering_meter m ON m.resource_id = a.resource_id
    JOIN bare_found f ON f.meter_id = m.id AND f.day_on = s.delivery_on
    JOIN bare_day r ON r.meter_id = m.id AND r.day_on = s.delivery_on
    JOIN clearing_awardinterval i ON i.award_id = a.id
    CROSS JOIN LATERAL (SELECT f.b[i.t + 1] AS b, r.e[i.t + 1] AS m) AS u
    CROSS JOIN LATERAL (SELECT i.quantity_kw * 0.5 AS kwh) AS o
    CROSS JOIN LATERAL (
        SELECT greatest(0, CASE a.direction WHEN 'UP' THEN u.b - u.m ELSE u.m - u.b END) AS kwh
    ) AS c
    CROSS JOIN LATERAL (SELECT least(o.kwh, c.kwh) AS kwh) AS d
    """,
    "ANALYZE bare_delivery",
)
CHECKED_SQL = """
SELECT count(*) FROM metering_delivery d
JOIN settlement_settlementrun s ON s.verification_id = d.verification_id
JOIN trading_auction u ON u.id = s.auction_id
JOIN bare_delivery b ON b.verification_id = u.gate_number AND b.award_id = d.award_id AND b.t = d.t
 AND b.baseline_kwh = d.baseline_kwh AND b.delivered_kwh = d.delivered_kwh
"""


class MeteredMonth(Month):
    """The same month with readings and without deliveries, made in SQL outside every clock."""

    filled = (FILL_SQL[0], *FILL_SQL[2:5])
    bare_steps = (
        *BARE_STEPS_SQL,
        *(step.replace("metering_delivery d", "bare_delivery d") for step in FLOOR_SQL),
    )

    def __init__(self, sites_count: int, sellers: dict[uuid.UUID, str]) -> None:
        super().__init__(sites_count, sellers)
        with transaction.atomic():
            reading_partitions_ensure(months=[(2026, month) for month in range(8, 12)])
        self._market()
        with connection.cursor() as cursor:
            cursor.execute(BARE_TABLES_SQL)
            cursor.execute("INSERT INTO bare_holiday VALUES ('2026-09-21'), ('2026-09-22'),"
                           " ('2026-09-23'), ('2026-10-12')")  # fmt: skip
            before = READ_SQL.format(shift=0, days=f"-{LOOK_BACK_DAYS + 1}, 0")
            month = READ_SQL.format(shift=0, days="1, %(days)s")
            for read, value in ((before, "usual"), (month, "energy_kwh")):
                cursor.execute(
                    READINGS_SQL.format(
                        read=read, value=value, revision=1, where="",
                        available_at="at + interval '1 day'",
                    ),
                    self.parameters,
                )  # fmt: skip
            cursor.execute("ANALYZE")

    def _market(self) -> None:
        """Make a ruleset, an auction and its result a day, and meters: of nobody."""
        ruleset = Ruleset.objects.create(
            version="bench", valid_from_on=date(2020, 1, 1), rules=RULES
        )
        opens_at = self.parameters["start_at"] - timedelta(days=2)
        auctions, runs = [], []
        for day in range(1, DAYS_COUNT + 1):
            delivery_on = FIRST_ON + timedelta(days=day - 1)
            auction = Auction(
                id=_key(f"auction{day}"), gate_number=day, code=f"bench-{day}",
                delivery_on=delivery_on, delivery_start=day_start(delivery_on), opens_at=opens_at,
                gate_closure_at=opens_at + timedelta(days=1), state=AuctionState.PUBLISHED,
                ruleset=ruleset, grid_model_id=_key("grid"),
            )  # fmt: skip
            auctions.append(auction)
            runs.append(
                ClearingRun(
                    id=_key(f"run{day}"), auction_id=auction.id, snapshot_id=_key("snapshot"),
                    state=RunState.PUBLISHED,
                )
            )  # fmt: skip
        Auction.objects.bulk_create(auctions)
        ClearingRun.objects.bulk_create(runs)
        Meter.objects.bulk_create(
            Meter(id=site, point_number=f"03{site:020d}", resource_id=_key(f"resource{site}"))
            for site in range(1, self.parameters["sites"] + 1)
        )

    def emptied(self, cursor: Any) -> None:
        """Take back verifications, baselines, runs and what was read anew."""
        cursor.execute(
            "TRUNCATE bare_day, bare_baseline, bare_delivery, metering_delivery, metering_baseline,"
            " metering_deliveryverification, settlement_settlementrun, audit_auditentry, jobs_job"
        )
        cursor.execute("DELETE FROM metering_intervalreading WHERE revision = 2")
        # the bare steps name their verifications by the day
        cursor.execute(FILL_SQL[0], self.parameters)

    def ready(self, name: str) -> None:
        """Before ours, forget the floor's runs; before the correction, read meters anew."""
        with connection.cursor() as cursor:
            if name == "ours":
                cursor.execute("DELETE FROM settlement_settlementrun")
            if name == "correction":
                cursor.execute(CHECKED_SQL)
                if cursor.fetchone()[0] != self.rows_count:
                    raise RuntimeError("the bare steps deliver otherwise than ours")
                cursor.execute(
                    READINGS_SQL.format(
                        read=READ_SQL.format(shift=7, days="1, %(days)s"), value="energy_kwh",
                        revision=2, available_at="clock_timestamp()",
                        where="WHERE (meter_id + 3 * day) %% %(corrected_every)s = 0",
                    ),
                    self.parameters,
                )  # fmt: skip
                cursor.execute(
                    "SELECT brin_summarize_new_values(c.oid) FROM pg_class c"
                    " JOIN pg_am a ON a.oid = c.relam AND a.amname = 'brin'"
                    " WHERE c.relnamespace = 'bench_settlement'::regnamespace"
                    " AND c.relkind = 'i' AND c.relname LIKE 'metering_intervalreading%'"
                )

    @property
    def rows_count(self) -> int:
        """How many half hours of awards there are."""
        return int(
            self.parameters["days"] * self.parameters["sites"] * self.parameters["half_hours"]
        )

    def ours(self) -> int:
        """Verify the month from its readings, then settle and post it; return the lines."""
        began_s = cpu_s() + server_cpu_s()
        auctions = list(Auction.objects.select_related("ruleset").order_by("delivery_on"))
        found = list(verifications_execute(auctions=auctions, stage="FINAL"))
        self.steps["verified_cpu_s"] = round(cpu_s() + server_cpu_s() - began_s, 2)
        if len(found) != len(auctions):
            raise RuntimeError(f"{len(found)} of {len(auctions)} auctions were verified")
        with connection.cursor() as cursor:
            cursor.execute(RUNS_SQL, self.parameters)
        return super().ours()

    def correction(self) -> int:
        """Verify what was read anew, and post the differences; return the lines."""
        began_s = cpu_s() + server_cpu_s()
        auctions = list(Auction.objects.select_related("ruleset").order_by("delivery_on"))
        self.later = {
            found.corrects_id: found.pk
            for found in verifications_correct(auctions=auctions, cause_kind="READING")
            if found.corrects_id is not None
        }
        self.steps["corrected_cpu_s"] = round(cpu_s() + server_cpu_s() - began_s, 2)
        return super().correction()

    def corrects(self, verification_id: int) -> int | None:
        """Return the verification that corrects one, if any does."""
        return self.later.get(verification_id)


def _key(text: str) -> uuid.UUID:
    """Return the key that ``md5(text)::uuid`` is in SQL."""
    return uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())

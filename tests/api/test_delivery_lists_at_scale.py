"""Lists of delivery and money stay quick when tables are long: an index finds the page.

``WATTBIT_LIST_ROWS=1000000`` makes the tables as long as the promise (50 ms at a million rows);
the usual run is shorter and looks at the same plans.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.ledger.services import ledger_account_open
from accounts.parties.roles import Role
from aggregator.metering.models import DeliveryVerification
from aggregator.metering.partitions import reading_partitions_ensure
from aggregator.metering.services import meter_register
from aggregator.settlement.models import SettlementPeriod, SettlementRun
from market.registry.models import Site
from market.trading.models import AuctionState
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
ROWS = int(os.environ.get("WATTBIT_LIST_ROWS", "48000"))
SELLERS = 100
DAYS = 20
AWARDS = ROWS // 48
# the promise where its number of rows is asked for; else only what no plan of ours can take
EXECUTION_MAX_MS = 50 if ROWS >= 1_000_000 else 500
START = "2026-11-24 15:00+00"
# n-th of something: a seller, an account, a day; the first seller is Inzai
PLACES = """
CREATE TEMP TABLE place ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY o.code = 'inzai-dc' DESC, o.code) - 1 AS n,
       o.id AS organisation_id, a.id AS account_id, r.id AS resource_id, m.id AS meter_id
FROM parties_organisation o
JOIN ledger_ledgeraccount a ON a.organisation_id = o.id
JOIN registry_site s ON s.organisation_id = o.id
JOIN registry_resource r ON r.site_id = s.id
JOIN metering_meter m ON m.resource_id = r.id;
CREATE TEMP TABLE day ON COMMIT DROP AS
SELECT row_number() OVER (ORDER BY u.delivery_on) - 1 AS n, u.id AS auction_id, c.id AS run_id,
       v.id AS verification_id, s.id AS settlement_id
FROM trading_auction u
JOIN clearing_clearingrun c ON c.auction_id = u.id
JOIN metering_deliveryverification v ON v.auction_id = u.id
JOIN settlement_settlementrun s ON s.auction_id = u.id;
ALTER TABLE clearing_award DROP CONSTRAINT award_once;
"""
# every seller has a hundredth of all awards, in turn; a day has a twentieth, one after another
AWARD = """
INSERT INTO clearing_award (id, run_id, auction_id, bid_id, organisation_id, resource_id, leg,
                            direction, version)
SELECT ('10000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, day.run_id, day.auction_id,
       %(bid)s, place.organisation_id, place.resource_id, 'STEPS', 'UP', 1
FROM generate_series(0, %(awards)s - 1) AS i
JOIN place ON place.n = i %% %(sellers)s
JOIN day ON day.n = i * %(days)s / %(awards)s
"""
SERVED = """
INSERT INTO dispatch_servedneed (award_id, need_id, organisation_id)
SELECT id, %(need)s, %(grid)s FROM clearing_award WHERE right(id::text, 1) IN ('0', '5')
"""
INSTRUCTION = """
INSERT INTO dispatch_dispatchinstruction (id, award_id, version, bid_id, organisation_id,
    resource_id, direction, starts_at, ends_at, send_at, respond_by_at, state, reason, token,
    replaces_id)
SELECT ('2' || lpad(v::text, 7, '0') || substr(a.id::text, 9))::uuid, a.id, v, a.bid_id,
       a.organisation_id, a.resource_id, 'UP', at, at + interval '1 hour', at, at, 'SENT', '', 0,
       CASE WHEN v > 1 THEN ('2' || lpad((v - 1)::text, 7, '0') || substr(a.id::text, 9))::uuid END
FROM clearing_award a, generate_series(1, 48) AS v,
     LATERAL (SELECT timestamptz %(start)s + v * interval '30 minutes' AS at) AS begun
"""
DELIVERY = """
INSERT INTO metering_delivery (verification_id, award_id, t, start_at, ordered_kwh, delivered_kwh,
                               shortfall_kwh, over_kwh)
SELECT day.verification_id, a.id, t, timestamptz %(start)s + t * interval '30 minutes', 1, 1, 0, 0
FROM clearing_award a JOIN day ON day.auction_id = a.auction_id, generate_series(0, 47) AS t
"""
LINE = """
INSERT INTO settlement_settlementline (run_id, item, payer_id, payee_id, award_id, t,
                                       amount_exact_jpy)
SELECT day.settlement_id, 'SELLER_ENERGY', %(house)s, place.account_id, a.id, t, 1
FROM day JOIN clearing_award a ON a.auction_id = day.auction_id
JOIN place ON place.organisation_id = a.organisation_id, generate_series(0, 47) AS t
ORDER BY day.n
"""
ITEM = """
INSERT INTO settlement_settlementitem (period_id, close_number, account_id, item, total_exact_jpy,
                                       amount_jpy, posted_before_jpy)
SELECT %(period)s, i / %(sellers)s + 1, place.account_id, 'SELLER_ENERGY', 1, 1, 1
FROM generate_series(0, %(rows)s - 1) AS i JOIN place ON place.n = i %% %(sellers)s
"""
TRANSFER = """
INSERT INTO ledger_transfer (id, debit_id, credit_id, amount_jpy, state, code, period, posted_at,
                             cause_kind, cause_id, detail)
SELECT gen_random_uuid(), %(house)s, place.account_id, 1, 'POSTED', 'SELLER_ENERGY',
       CASE WHEN i %% 50 = 0 THEN '2026-11-25/2026-11-26' ELSE 'x' || i %% 50 END,
       timestamptz %(start)s, 'x', 'x', '{}'
FROM generate_series(0, %(rows)s - 1) AS i JOIN place ON place.n = i / 50 %% %(sellers)s
"""
READING = """
INSERT INTO metering_intervalreading (meter_id, start_at, energy_kwh, quality, revision, stage,
                                      available_at, source)
SELECT place.meter_id, at, 1, 0, 1, 1, at + interval '1 hour', 'x'
FROM generate_series(1, %(rows)s / %(sellers)s) AS i, place,
     LATERAL (SELECT timestamptz %(start)s - i * interval '30 minutes' AS at) AS begun
"""
BASELINE = """
INSERT INTO metering_baseline (id, verification_id, resource_id, delivery_on, revision, method,
                               variant, adjustment_kwh, days_used, reason, computed_at, is_locked)
SELECT gen_random_uuid(), day.verification_id, place.resource_id,
       date '2020-01-01' + (i / 10)::int, i %% 10 + 1, 'HIGH_4_OF_5', '', 0, '{}', 'x',
       timestamptz %(start)s, false
FROM generate_series(0, %(rows)s / %(sellers)s - 1) AS i, place, day WHERE day.n = 0
"""
DISPUTE = """
INSERT INTO settlement_dispute (id, organisation_id, counterparty_id, reason_code, reason,
                                disputed_exact_jpy, state, is_held, decision, opened_at)
SELECT gen_random_uuid(), place.organisation_id, %(market)s, 'OTHER', 'x', 1, 'OPEN', true, '',
       timestamptz %(start)s + i * interval '1 second'
FROM generate_series(0, %(rows)s - 1) AS i JOIN place ON place.n = i %% %(sellers)s
"""
NOTICE = """
INSERT INTO dispatch_availabilitynotice (id, number, resource_id, organisation_id, starts_at,
                                         ends_at, is_available, reason, noted_at)
SELECT gen_random_uuid(), i / %(sellers)s + 1, place.resource_id, place.organisation_id,
       timestamptz %(start)s + i * interval '1 second',
       timestamptz %(start)s + i * interval '1 second' + interval '1 hour', true, '',
       timestamptz %(start)s
FROM generate_series(0, %(rows)s - 1) AS i JOIN place ON place.n = i %% %(sellers)s
"""


def _sellers(where: cast.Places) -> None:
    """Make a hundred sellers, each with an account, a resource and its meter."""
    model = where.sites["inzai"]
    for n in range(SELLERS):
        seller, resource = where.people.inzai_dc, where.resources["inzai-load"]
        if n:
            seller = cast.organisation(f"seller-{n}", "DC_OPERATOR", f"売り手{n}", f"Seller {n}")
            site = Site.objects.create(
                organisation=seller,
                facility_owner=seller,
                code=f"seller-{n}-1",
                name=f"拠点{n}",
                name_en=f"Site {n}",
                bus_code=model.bus_code,
                area=model.area,
                point_number=f"03{n + 500:020d}",
                contract_kw=model.contract_kw,
                loss_ratio=0,
                longitude_deg=model.longitude_deg,
                latitude_deg=model.latitude_deg,
            )
            resource = cast._resource(site, "load", "DC_LOAD", 100, 100)
        ledger_account_open(organisation=seller, code="member", name="x", kind="MEMBER")
        meter_register(point_number=f"03{n + 101:020d}", resource=resource)


def _days(where: cast.Places) -> list[cast.MarketDay]:
    days = []
    for n in range(DAYS):
        of = cast.auction(
            where, delivery_on=cast.DAY + timedelta(days=n), state=AuctionState.PUBLISHED
        )
        run = cast.run(of)
        verification = DeliveryVerification.objects.create(
            auction=of,
            revision=1,
            stage="FINAL",
            as_of=of.delivery_start,
            ruleset=of.ruleset,
            input_sha256="0" * 64,
        )
        SettlementRun.objects.create(
            auction=of,
            verification=verification,
            kind="FINAL",
            revision=1,
            input_sha256="0" * 64,
            ruleset_version="2026-09-01",
            executed_at=of.delivery_start,
        )
        days.append(cast.MarketDay(places=where, auction=of, run=run))
    return days


@pytest.fixture
def long_tables(db: None) -> None:
    """Fill the tables; the constraint dropped for it comes back with the rollback."""
    where = cast.places()
    _sellers(where)
    days = _days(where)
    need = cast.needs(where, days[0].auction)["local"]
    bid = cast.bids(where, days[0].auction)["inzai-defer"]
    house = ledger_account_open(
        organisation=where.people.platform, code="clearing", name="x", kind="CLEARING"
    )
    period = SettlementPeriod.objects.create(start_on=cast.DAY, end_on=cast.DAY + timedelta(days=1))
    months = ROWS // SELLERS // 48 // 28 + 2
    # counted from November 2026 back
    counted = [divmod(2026 * 12 + 10 - n, 12) for n in range(months)]
    reading_partitions_ensure(months=[(year, month + 1) for year, month in counted])
    given = {
        "rows": ROWS,
        "awards": AWARDS,
        "sellers": SELLERS,
        "days": DAYS,
        "start": START,
        "bid": bid.id,
        "need": need.id,
        "grid": where.people.grid_t.id,
        "market": where.people.platform.id,
        "house": house.pk,
        "period": period.pk,
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '10min', true)")
        cursor.execute(PLACES)
        for statement in (
            AWARD, SERVED, INSTRUCTION, DELIVERY, LINE, ITEM, TRANSFER, READING, BASELINE, DISPUTE,
            NOTICE,
        ):  # fmt: skip
            cursor.execute(statement, given)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in (
            "clearing_award", "dispatch_dispatchinstruction", "dispatch_servedneed",
            "dispatch_availabilitynotice", "metering_delivery", "metering_baseline",
            "metering_intervalreading", "metering_meter", "settlement_settlementline",
            "settlement_settlementitem", "settlement_dispute", "ledger_transfer",
            "parties_organisation", "registry_resource", "registry_site", "trading_auction",
        ):  # fmt: skip
            cursor.execute(f"ANALYZE {table}")


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)


def _plans(client: DoorClient, path: str, table: str) -> Iterator[tuple[float, set[str], set[str]]]:
    """Ask the door, then explain its queries of a table: ms, indexes used, tables read whole."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path)
    assert answer.status_code == 200, answer.json()
    assert answer.json()["items"], path
    found = [
        row["sql"] for row in queries if f'"{table}"' in row["sql"] or f" {table}" in row["sql"]
    ]
    with connection.cursor() as cursor:
        for text in found:
            if text.lstrip().startswith(("SELECT", "WITH")):
                cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {text.replace('%', '%%')}")
                (told,) = json.loads(json.dumps(cursor.fetchone()[0]))
                nodes = list(_nodes(told["Plan"]))
                yield (
                    told["Execution Time"],
                    {node["Index Name"] for node in nodes if "Index Name" in node},
                    {node["Relation Name"] for node in nodes if node["Node Type"] == "Seq Scan"},
                )


METER = f"03{101:020d}"
AUCTION = f"DA-{cast.DAY + timedelta(days=DAYS // 2)}"
OWNER = (Role.OPERATOR_TRADER, "inzai-dc")
GRID = (Role.GRID_PLANNER, "grid-t")
DESK = (Role.MARKET_DESK, "wattbit")
MONEY = (Role.SETTLEMENT, "wattbit")
LISTS = [
    (OWNER, "instructions", "dispatch_dispatchinstruction"),
    (GRID, "instructions", "dispatch_dispatchinstruction"),
    (DESK, "instructions", "dispatch_dispatchinstruction"),
    (OWNER, "availabilities", "dispatch_availabilitynotice"),
    (DESK, "availabilities", "dispatch_availabilitynotice"),
    (OWNER, f"deliveries?auction={AUCTION}", "metering_delivery"),
    (GRID, f"deliveries?auction={AUCTION}", "metering_delivery"),
    (DESK, f"deliveries?auction={AUCTION}", "metering_delivery"),
    (OWNER, "baselines?delivery_on=2020-01-08", "metering_baseline"),
    (DESK, "baselines?resource=inzai-dc-1-load", "metering_baseline"),
    (OWNER, f"readings?meter={METER}", "metering_intervalreading"),
    (GRID, f"readings?meter={METER}&known_at=2026-11-24T00:00:00Z", "metering_intervalreading"),
    (OWNER, f"settlement-lines?auction={AUCTION}", "settlement_settlementline"),
    (MONEY, f"settlement-lines?auction={AUCTION}", "settlement_settlementline"),
    (OWNER, "charges", "settlement_settlementitem"),
    (MONEY, "charges", "settlement_settlementitem"),
    (OWNER, "disputes", "settlement_dispute"),
    (MONEY, "disputes", "settlement_dispute"),
    (OWNER, "statements", "ledger_transfer"),
    (OWNER, "statements", "settlement_settlementitem"),
]


def test_an_index_finds_each_page_in_time(long_tables: None, as_member: AsMember) -> None:
    wrong, slow = [], []
    for caller, path, table in LISTS:
        client = as_member(*caller)
        plans = list(_plans(client, f"/api/v1/{path}", table))
        assert plans, (path, table)
        for ms, indexes, read_whole in plans:
            if os.environ.get("WATTBIT_LIST_ROWS"):
                told = f"{caller[0]:16} {path:60} {ms:8.2f} ms {sorted(indexes)}"
                sys.stdout.write(f"{told} {sorted(read_whole)}\n")
            if table in read_whole or not indexes:
                wrong.append((caller[0], path, sorted(indexes), sorted(read_whole)))
            if ms > EXECUTION_MAX_MS:
                slow.append((caller[0], path, ms))
    assert (wrong, slow) == ([], [])

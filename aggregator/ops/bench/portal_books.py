"""The books of a large market as SQL: sites, bids, results, orders, deliveries, lines, papers.

A hundred published days and one that is open. Bids, their envelopes and the auctions cover all
days; prices, flows and offers the latest fourteen; awards, orders, deliveries and lines a month.
Half of the sites are one operator's. Rows are made by the server from series, without triggers
and keys of others (they are right by construction) and with all checks.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import connection, transaction

from aggregator.ops.bench.portal_days import MONEY_SQL, ORDERS_SQL, RESULTS_SQL
from market.core.timegrid import INTERVALS_PER_DAY

TODAY: Final = date(2026, 8, 5)
JST_AHEAD: Final = timedelta(hours=9)
DAYS_COUNT: Final = 100
PRICED_COUNT: Final = 14
AWARDED_COUNT: Final = 31
OPERATORS_COUNT: Final = 20
AREAS_COUNT: Final = 10
BUSES_PER_AREA: Final = 40
# elements with a price, which a result tells sensitivities of
PRICED_ELEMENTS_COUNT: Final = 30
JOBS_COUNT: Final = 50_000
ALARMS_COUNT: Final = 5_000
MONTHS_COUNT: Final = 12
BIDS: Final = "trading_bid"

GRID_SQL: Final = (
    """
    INSERT INTO registry_gridmodel (id, name, version, convention, base_mva, source, sha256,
        bus_count, branch_count, link_count)
    VALUES (md5('grid')::uuid, 'bench', 1, 'reactance', 100, '', '', 0, 0, 0)
    """,
    """
    INSERT INTO registry_bus (grid_model_id, code, name, name_en, area_id, island, voltage_kv,
        slack_share_ratio, longitude_deg, latitude_deg)
    SELECT md5('grid')::uuid, format('b%%s-%%s', a, k), format('変電所%%s-%%s', a, k),
           format('Substation %%s-%%s', a, k), lpad(a::text, 2, '0'), 'main', 275, 0,
           142 - a + (k %% 8) * 0.12, 43 - 1.1 * a + (k / 8) * 0.15
    FROM generate_series(1, %(areas)s) AS a, generate_series(1, %(buses)s) AS k
    """,
    # each bus to the next two of its area, and one tie between neighbouring areas
    """
    INSERT INTO registry_branch (grid_model_id, code, name, name_en, kind, from_bus_id, to_bus_id,
        resistance_pu, reactance_pu, tap_ratio, shift_deg, rating_kw, flow_cost_jpy_per_kwh)
    SELECT md5('grid')::uuid, 'l' || row_number() OVER (ORDER BY f.id, t.id),
           f.name || '線', f.name_en || ' line', 'LINE', f.id, t.id, 0.001, 0.01, 1, 0, 200000, 0
    FROM registry_bus f JOIN registry_bus t ON t.grid_model_id = f.grid_model_id
     AND (t.area_id = f.area_id AND split_part(t.code, '-', 2)::int
              - split_part(f.code, '-', 2)::int IN (1, 2)
          OR f.code LIKE '%%-1' AND t.code LIKE '%%-1' AND t.area_id::int = f.area_id::int + 1)
    WHERE f.grid_model_id = md5('grid')::uuid
    """,
    """
    INSERT INTO registry_congestionpoint (id, grid_model_id, branch_id, owner_id, co_owner_id,
        code, name, name_en, rating_kw, version)
    SELECT md5('e' || n)::uuid, grid_model_id, id,
           (SELECT id FROM parties_organisation WHERE code = CASE
                WHEN area = 3 THEN 'grid-t' WHEN area < 3 THEN 'grid-n' ELSE 'grid-w' END),
           NULL, 'e' || n, name, name_en, 200000, 1
    FROM (SELECT b.*, f.area_id::int AS area, row_number() OVER (ORDER BY b.id) AS n
          FROM registry_branch b JOIN registry_bus f ON f.id = b.from_bus_id
          WHERE b.grid_model_id = md5('grid')::uuid) AS numbered
    WHERE n %% 4 = 0
    """,
)
PARTIES_SQL: Final = (
    """
    INSERT INTO parties_organisation (id, code, kind, name, name_en, registration_number, version)
    SELECT md5('operator' || n)::uuid, 'operator-' || n, 'DC_OPERATOR', '事業者' || n,
           'Operator ' || n, '', 1 FROM generate_series(2, %(operators)s) AS n
    """,
    """
    CREATE TEMP TABLE bench_operator AS
    SELECT 1 AS n, id FROM parties_organisation WHERE code = 'inzai'
    UNION ALL SELECT n, md5('operator' || n)::uuid FROM generate_series(2, %(operators)s) AS n
    """,
    # half of the sites are the first operator's
    """
    CREATE TEMP TABLE bench_site AS
    SELECT s, md5('site' || s)::uuid AS id, md5('resource' || s)::uuid AS resource_id,
           1 + s %% %(areas)s AS area, o.id AS organisation_id
    FROM generate_series(1, %(sites)s) AS s JOIN bench_operator o
      ON o.n = CASE WHEN s %% 2 = 0 THEN 1 ELSE 2 + (s / 2) %% (%(operators)s - 1) END
    """,
    """
    INSERT INTO registry_site (id, organisation_id, facility_owner_id, retailer_id, code, name,
        name_en, bus_code, area_id, point_number, contract_kw, loss_ratio, scale_class_id, labels,
        longitude_deg, latitude_deg, version)
    SELECT id, organisation_id, organisation_id, NULL, format('site-%%s', lpad(s::text, 5, '0')),
           '拠点' || s, 'Site ' || s, format('b%%s-%%s', area, 1 + (s / %(areas)s) %% %(buses)s),
           lpad(area::text, 2, '0'), lpad(area::text, 2, '0') || '7' || lpad(s::text, 19, '0'),
           30000, 0.03, 'small', '{country:JP}', 142 - area + (s %% 97) * 0.01, 43 - 1.1 * area
               + (s %% 89) * 0.01, 1
    FROM bench_site
    """,
    """
    INSERT INTO registry_resource (id, site_id, code, name, name_en, kind, limit_up_kw,
        limit_down_kw, is_behind_meter, hardware, response_s, version)
    SELECT md5(part || s)::uuid, id, format('site-%%s-%%s', lpad(s::text, 5, '0'), part),
           '拠点' || s || ' ' || part, 'Site ' || s || ' ' || part,
           CASE part WHEN 'resource' THEN 'DC_LOAD' ELSE 'BATTERY' END, 10000, 5000, true,
           '{gpu}', 1800, 1
    FROM bench_site, unnest('{resource,battery}'::text[]) AS part
    """,
    """
    INSERT INTO registry_storageunit (resource_id, energy_kwh, reserve_kwh, charge_kw,
        discharge_kw, charge_efficiency_ratio, discharge_efficiency_ratio, standing_loss_ratio)
    SELECT md5('battery' || s)::uuid, 20000, 2000, 5000, 10000, 0.97, 0.97, 0 FROM bench_site
    """,
    """
    INSERT INTO registry_workloadclass (resource_id, kind, pool, power_kw, slack_h,
        labels_required, value_jpy_per_kwh, version)
    SELECT resource_id, kind, 'gpu', 5000, 12, '{}', 90, 1
    FROM bench_site, unnest('{TRAINING,BATCH}'::text[]) AS kind
    """,
    """
    INSERT INTO metering_meter (point_number, resource_id)
    SELECT lpad(area::text, 2, '0') || '8' || lpad(s::text, 19, '0'), resource_id FROM bench_site
    """,
    """
    INSERT INTO registry_prequalification (id, resource_id, product_id, area_id, organisation_id,
        quantity_kw, state, state_reason, valid_until_at, findings, requested_at, version)
    SELECT md5('fit' || s)::uuid, resource_id, %(product)s, lpad(area::text, 2, '0'),
           organisation_id, 10000, 'QUALIFIED', '', %(today_at)s::timestamptz + interval '1 year',
           '[]', %(today_at)s::timestamptz - interval '1 year', 1
    FROM bench_site
    """,
)
# day 0 is today and published, day 1 is tomorrow and open
AUCTIONS_SQL: Final = (
    """
    CREATE TEMP TABLE bench_day AS
    SELECT day, md5('auction' || day)::uuid AS auction_id, md5('run' || day)::uuid AS run_id,
           %(today_on)s::date + day AS delivery_on,
           %(today_at)s::timestamptz + day * interval '1 day' AS start_at
    FROM generate_series(1 - %(days)s, 1) AS day
    """,
    """
    INSERT INTO trading_auction (id, gate_number, code, name, delivery_on, delivery_start,
        opens_at, gate_closure_at, closed_at, state, state_reason, ruleset_id, grid_model_id)
    SELECT auction_id, 1000 + day, format('DA-%%s-B', delivery_on), format('前日 %%s', delivery_on),
           delivery_on, start_at, start_at - interval '16 hours', start_at - interval '10 hours',
           CASE WHEN day < 1 THEN start_at - interval '10 hours' END,
           CASE WHEN day = 1 THEN 'OPEN' WHEN day > -31 THEN 'PUBLISHED' ELSE 'SETTLED' END, '',
           %(ruleset)s, md5('grid')::uuid
    FROM bench_day
    """,
    """
    INSERT INTO trading_need (id, auction_id, organisation_id, kind, code, congestion_point_id,
        flow_sign, area_id, direction, pricing, quantity_kw, cap_jpy_per_kwh, revision, state,
        available_at, is_by_order)
    SELECT md5('need' || day || '-' || n)::uuid, auction_id, c.owner_id, 'LOCAL', c.code || '-up',
           c.id, 1, NULL, 'UP', 'AUCTION',
           array_fill(0.0, ARRAY[24]) || array_fill(12000.0, ARRAY[12])
               || array_fill(0.0, ARRAY[12]), array_fill(180.0, ARRAY[48]), 1, 'PUBLISHED',
           start_at - interval '17 hours', false
    FROM bench_day, (SELECT c.*, row_number() OVER (ORDER BY code) AS n
                     FROM registry_congestionpoint c WHERE grid_model_id = md5('grid')::uuid) AS c
    WHERE n <= 20
    """,
    """
    INSERT INTO trading_need (id, auction_id, organisation_id, kind, code, area_id, direction,
        pricing, quantity_kw, cap_jpy_per_kwh, revision, state, available_at, is_by_order)
    SELECT md5('need' || day || '-' || area || way)::uuid, auction_id,
           (SELECT id FROM parties_organisation WHERE code = CASE
                WHEN area = 3 THEN 'grid-t' WHEN area < 3 THEN 'grid-n' ELSE 'grid-w' END),
           'BALANCE', format('area-%%s-%%s', area, lower(way)), lpad(area::text, 2, '0'), way,
           'AUCTION', array_fill(0.0, ARRAY[24]) || array_fill(9000.0, ARRAY[12])
               || array_fill(0.0, ARRAY[12]), array_fill(60.0, ARRAY[48]), 1, 'PUBLISHED',
           start_at - interval '17 hours', false
    FROM bench_day, generate_series(1, %(areas)s) AS area, unnest('{UP,DOWN}'::text[]) AS way
    """,
    """
    INSERT INTO trading_baseflow (auction_id, congestion_point_id, base_flow_kw, revision,
        available_at)
    SELECT auction_id, c.id, array_fill(150000.0 + (random() * 60000)::int, ARRAY[48]), 1,
           start_at - interval '17 hours'
    FROM bench_day, registry_congestionpoint c
    WHERE c.grid_model_id = md5('grid')::uuid AND day > -%(priced)s
    """,
    """
    INSERT INTO clearing_snapshotrecord (id, auction_id, sha256, content)
    SELECT md5('snapshot' || day)::uuid, auction_id, '', '{}'::bytea FROM bench_day WHERE day < 1
    """,
    """
    INSERT INTO clearing_clearingrun (id, auction_id, snapshot_id, number, reason, bids_left_out,
        state, token, engine_version, result, result_sha256, objective_jpy, certificate,
        error_code, error, published_at)
    SELECT run_id, auction_id, md5('snapshot' || day)::uuid, 1, '', '{}', 'PUBLISHED', 1, 'bench',
           CASE WHEN day > -%(priced)s THEN %(result)s::bytea END, %(result_sha256)s, 1000000,
           '{"passed": true, "checks": []}', '', '', start_at - interval '9 hours'
    FROM bench_day WHERE day < 1
    """,
)
BIDS_SQL: Final = (
    """
    INSERT INTO trading_bid (id, client_bid_id, version, auction_id, organisation_id, resource_id,
        form, mechanism, state, received_at, parent_client_bid_id, exclusive_group, leaf_sha256,
        content_mac)
    SELECT md5('bid' || day || '-' || n)::uuid,
           format('%%s-%%s', delivery_on, lpad(n::text, 6, '0')), 1, auction_id, organisation_id,
           resource_id, 'STEPS',
           (ARRAY['BATTERY','SPATIAL','DEFERRAL','POWER_CAP','STOP'])[1 + n / %(sites)s %% 5],
           CASE WHEN n %% 20 = 19 THEN 'WITHDRAWN' ELSE 'SUBMITTED' END,
           start_at - interval '16 hours' + n * interval '1 second', '', '', '', ''
    FROM bench_day, generate_series(1, %(bids)s / (%(days)s + 1)) AS n
    JOIN bench_site ON s = 1 + n %% %(sites)s
    """,
    """
    INSERT INTO trading_bidcontent (bid_id, content, salt)
    SELECT md5('bid' || day || '-' || n)::uuid, %(content)s::jsonb, ''
    FROM bench_day, generate_series(1, %(bids)s / (%(days)s + 1)) AS n
    WHERE day BETWEEN 1 - %(priced)s AND 0 AND n %% 20 <> 19
    """,
    """
    INSERT INTO clearing_bidoutcome (run_id, bid_id, outcome, explanation, make_whole_jpy)
    SELECT run_id, md5('bid' || day || '-' || n)::uuid,
           CASE WHEN n <= %(sites)s THEN 'ACCEPTED' ELSE 'REJECTED' END,
           '{"deciding": {"kind": "price"}, "margin_jpy_per_kwh": -1.5,
             "change_at_jpy_per_kwh": 20.0}', 0
    FROM bench_day, generate_series(1, %(bids)s / (%(days)s + 1)) AS n
    WHERE day BETWEEN 1 - %(priced)s AND 0 AND n %% 20 <> 19
    """,
)


def moment(day: date, hour: float = 0.0) -> datetime:
    """Return an hour of a Japanese day."""
    return datetime.combine(day, time(), UTC) - JST_AHEAD + timedelta(hours=hour)


def key(text: str) -> uuid.UUID:
    """Return the key that the statements make of a text."""
    return uuid.UUID(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def books_make(*, sites: int, bids: int, ruleset: str, product: str) -> dict[str, int]:
    """Fill the tables; return the rows of each kind."""
    result = _result(sites)
    values: dict[str, Any] = {
        "sites": sites, "bids": bids, "days": DAYS_COUNT, "priced": PRICED_COUNT,
        "awarded": AWARDED_COUNT, "operators": OPERATORS_COUNT, "areas": AREAS_COUNT,
        "buses": BUSES_PER_AREA, "jobs": JOBS_COUNT, "alarms": ALARMS_COUNT,
        "months": MONTHS_COUNT, "ruleset": ruleset, "product": product, "today_on": TODAY,
        "today_at": moment(TODAY), "result": result,
        "result_sha256": hashlib.sha256(result).hexdigest(), "content": json.dumps(_offer()),
    }  # fmt: skip
    rows: dict[str, int] = {}
    if connection.in_atomic_block:
        raise RuntimeError("the books are made in a transaction of their own")
    with _bulk(), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statements in (
            GRID_SQL, PARTIES_SQL, AUCTIONS_SQL, BIDS_SQL, RESULTS_SQL, ORDERS_SQL, MONEY_SQL
        ):  # fmt: skip
            indexes = _indexes_dropped(cursor, BIDS) if statements is BIDS_SQL else []
            for statement in statements:
                cursor.execute(statement, values)
                if statement.split()[0] == "INSERT":
                    table = statement.split()[2]
                    rows[table] = rows.get(table, 0) + cursor.rowcount
                while indexes:  # made of all bids at once, in a fraction of the time
                    cursor.execute(indexes.pop())
            # what later statements join is planned by its size
            cursor.execute("ANALYZE")
    return rows


def _indexes_dropped(cursor: Any, table: str) -> list[str]:
    """Drop a table's indexes that hold no constraint; return the statements that make them."""
    cursor.execute(
        """
        SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i
        LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid
        WHERE i.indrelid = %s::regclass AND c.oid IS NULL
        """,
        [table],
    )
    found = cursor.fetchall()
    for name, _ in found:
        cursor.execute(f"DROP INDEX {name}")
    return [statement for _, statement in found]


@contextmanager
def _bulk() -> Iterator[None]:
    """Lift limits that are meant for requests."""
    with connection.cursor() as cursor:
        for setting in (
            "statement_timeout = 0", "idle_in_transaction_session_timeout = 0",
            "work_mem = '128MB'", "maintenance_work_mem = '256MB'", "synchronous_commit = off",
        ):  # fmt: skip
            cursor.execute(f"SET {setting}")
    yield
    connection.close()


def _offer() -> dict[str, Any]:
    steps = [
        {"quantity_kw": str(200.0 + 100 * n), "ask_jpy_per_kwh": str(10.0 + 5 * n)}
        for n in range(5)
    ]
    return {"direction": "UP", "curves": [{"first_t": 24, "last_t": 35, "steps": steps}]}


def _result(sites: int) -> bytes:
    """Return what a result tells of its places: prices, and sensitivities of priced elements."""
    elements = [f"e{4 * n}" for n in range(1, PRICED_ELEMENTS_COUNT + 1)]
    places = [
        {
            "id": f"site-{site:05d}",
            "price_jpy_per_kwh": [8 + (site + t) % 40 for t in range(INTERVALS_PER_DAY)],
            "sensitivity_kw_per_kw": {
                name: round(-0.9 / (1 + (site + n) % 37), 12) for n, name in enumerate(elements)
            },
        }
        for site in range(1, sites + 1)
    ]
    document: dict[str, Any] = {"schema": "wattbit-result/2", "places": places}
    for name in ("needs", "elements", "links", "transfers", "paths", "trunks", "areas", "awards"):
        document[name] = []
    return json.dumps(document).encode()

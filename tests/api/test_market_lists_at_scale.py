"""Lists of the market stay quick when tables are long: an index finds each page.

The usual run looks at the plans; the slow one makes a million bids and holds every list to 50 ms.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from market.trading.models import AuctionState
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
ROWS = 30_000
ROWS_PROMISED = 1_000_000
LIST_MAX_MS = 50.0
SELLERS = 50
DAYS = 20
TABLES = ("trading_bid", "trading_need", "clearing_award", "trading_auction")

ORGANISATIONS = """
INSERT INTO parties_organisation (id, code, kind, name, name_en, registration_number, version)
SELECT ('50000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'seller-' || i,
       'DC_OPERATOR', 'seller', 'seller', '', 1
FROM generate_series(1, %(sellers)s - 1) AS i
"""
# a seller has one bid in fifty, in turn; one version in eight was replaced
BIDS = """
INSERT INTO trading_bid (id, client_bid_id, version, auction_id, organisation_id, resource_id,
                         form, mechanism, state, received_at, parent_client_bid_id,
                         exclusive_group, leaf_sha256, content_mac)
SELECT ('60000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, 'bid-' || i, 1, day.id,
       seller.id, %(resource)s, CASE WHEN i %% 1000 = 0 THEN 'BLOCK' ELSE 'STEPS' END, 'DEFERRAL',
       CASE WHEN i %% 4000 = 0 THEN 'WITHDRAWN' WHEN i %% 8 = 0 THEN 'SUPERSEDED'
            ELSE 'SUBMITTED' END,
       timestamptz '2026-11-01 00:00+00' + i * interval '100 ms', '', '', repeat('0', 64), ''
FROM generate_series(1, %(rows)s) AS i
JOIN (SELECT row_number() OVER (ORDER BY code = 'inzai-dc' DESC, code) - 1 AS n, id
      FROM parties_organisation WHERE code LIKE 'seller-%%' OR code = 'inzai-dc') AS seller
  ON seller.n = i %% %(sellers)s
JOIN (SELECT row_number() OVER (ORDER BY delivery_on) - 1 AS n, id FROM trading_auction) AS day
  ON day.n = i * %(days)s / (%(rows)s + 1)
"""
AWARDS = """
INSERT INTO clearing_award (id, run_id, auction_id, bid_id, organisation_id, resource_id, leg,
                            direction, version)
SELECT ('70000000-0000-4000-8000-' || substr(b.id::text, 25))::uuid, r.id, b.auction_id, b.id,
       b.organisation_id, b.resource_id, 'STEPS', 'UP', 1
FROM trading_bid b JOIN clearing_clearingrun r ON r.auction_id = b.auction_id
WHERE b.state = 'SUBMITTED'
"""
NEEDS = """
INSERT INTO trading_need (id, auction_id, organisation_id, kind, code, area_id, direction, pricing,
                          quantity_kw, cap_jpy_per_kwh, revision, state, available_at,
                          is_by_order)
SELECT ('80000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, day.id, %(grid)s, 'BALANCE',
       'need-' || i, '03', 'UP', 'AUCTION', array_fill(1::numeric, ARRAY[48]),
       array_fill(1::numeric, ARRAY[48]), 1, 'PUBLISHED',
       timestamptz '2026-11-01 00:00+00' + i * interval '1 s', false
FROM generate_series(1, %(needs)s) AS i
JOIN (SELECT row_number() OVER (ORDER BY delivery_on) - 1 AS n, id FROM trading_auction) AS day
  ON day.n = i %% %(days)s
"""


def _fill(rows: int) -> cast.Places:
    where = cast.places()
    for number in range(DAYS):
        auction = cast.auction(
            where,
            delivery_on=cast.DAY + timedelta(days=number),
            state=AuctionState.PUBLISHED,
        )
        cast.run(auction)
    facts = {
        "rows": rows,
        "needs": rows // 50,
        "sellers": SELLERS,
        "days": DAYS,
        "resource": where.resources["inzai-load"].id,
        "grid": where.people.grid_t.id,
    }
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        for statement in (ORGANISATIONS, BIDS, AWARDS, NEEDS):
            cursor.execute(statement, facts)
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in (*TABLES, "parties_organisation"):
            cursor.execute(f"ANALYZE {table}")
    return where


LISTS: list[tuple[str, str, Mapping[str, str]]] = [
    ("owner", "bids", {}),
    ("owner", "bids", {"auction": "DA-2026-11-30"}),
    ("owner", "bids", {"resource": "inzai-dc-1-load"}),
    ("owner", "bids", {"state": "WITHDRAWN"}),
    ("owner", "bids", {"form": "BLOCK"}),
    ("owner", "bids", {"client_bid_id": "bid-50"}),
    ("owner", "awards", {}),
    ("owner", "awards", {"auction": "DA-2026-11-30"}),
    ("auditor", "bids", {"auction": "DA-2026-11-30"}),
    ("auditor", "awards", {}),
    ("anonymous", "needs", {}),
    ("anonymous", "needs", {"auction": "DA-2026-11-30"}),
    ("anonymous", "auctions", {}),
]


@pytest.fixture
def callers(as_member: AsMember, anonymous: DoorClient) -> dict[str, DoorClient]:
    return {
        "owner": as_member(Role.OPERATOR_TRADER, "inzai-dc"),
        "auditor": as_member(Role.AUDITOR, "wattbit"),
        "anonymous": anonymous,
    }


def _plans(captured: CaptureQueriesContext) -> Iterator[dict[str, Any]]:
    """Yield the plan of each SELECT on one of the long tables."""
    for query in captured.captured_queries:
        text = query["sql"]
        if text.startswith("SELECT") and any(f'FROM "{table}"' in text for table in TABLES):
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (FORMAT JSON) {text}")
                found = cursor.fetchone()[0]
            yield (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def test_no_list_reads_a_long_table_through_or_sorts_it(callers: dict[str, DoorClient]) -> None:
    _fill(ROWS)
    for who, noun, query in LISTS:
        client = callers[who]
        first = client.get(f"/api/v1/{noun}", query).json()
        assert first["items"], (who, noun, query)
        with CaptureQueriesContext(connection) as captured:
            following = {**query, "cursor": first["next"]} if first["next"] else query
            assert client.get(f"/api/v1/{noun}", following).status_code == 200
        plans = list(_plans(captured))
        assert plans
        for plan in plans:
            for node in _nodes(plan):
                read_through = node["Node Type"] == "Seq Scan" and node["Relation Name"] in (
                    "trading_bid",
                    "clearing_award",
                )
                assert not read_through, (who, noun, query, plan)
        # a page costs the same number of statements whatever it shows
        assert len(captured) <= 14, (noun, len(captured))


@pytest.mark.slow
def test_every_list_takes_at_most_50_ms_at_a_million_rows(
    callers: dict[str, DoorClient], record_property: Any
) -> None:
    """Statements as the database times them, so that a busy machine is not measured with them."""
    _fill(ROWS_PROMISED)
    slow = {}
    for who, noun, query in LISTS:
        client = callers[who]
        cursor: dict[str, str] = {}
        taken = []
        for _ in range(3):
            with CaptureQueriesContext(connection) as captured:
                body = client.get(f"/api/v1/{noun}", {**query, **cursor}).json()
            cursor = {"cursor": body["next"]} if body["next"] else {}
            taken.append(sum(map(_execution_ms, captured.captured_queries)))
        taken_ms = min(taken)
        name = f"{who} {noun} {dict(query)}"
        record_property(name, round(taken_ms, 2))
        if taken_ms > LIST_MAX_MS:
            slow[name] = taken_ms
    assert not slow


def _execution_ms(query: Mapping[str, Any]) -> float:
    if not query["sql"].startswith("SELECT"):
        return 0.0
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {query['sql']}")
        found = cursor.fetchone()[0]
    plan = (json.loads(found) if isinstance(found, str) else found)[0]
    return float(plan["Planning Time"] + plan["Execution Time"])

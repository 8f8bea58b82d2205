"""Lists of the registry stay quick when tables are long: an index finds the page.

``WATTBIT_LIST_ROWS=1000000`` makes the tables as long as the promise (50 ms at a million rows);
the usual run is shorter and looks for reads of whole tables.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.models import OrganisationKind
from accounts.parties.roles import Role
from market.registry.models import MarketProduct
from tests import cast
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
ROWS = int(os.environ.get("WATTBIT_LIST_ROWS", "20000"))
# the promise where its number of rows is asked for; else only what no plan of ours can take
MOST_MS = 50 if ROWS >= 1_000_000 else 500
OPERATORS = 100
QUERIES_MAX = 12

# Every hundredth site is Inzai's; half of all are in Grid-T's area.
SITE = """
INSERT INTO registry_site (id, organisation_id, facility_owner_id, code, name, name_en, bus_code,
                           area_id, point_number, contract_kw, loss_ratio, labels, longitude_deg,
                           latitude_deg, version)
SELECT ('10000000-0000-4000-8000-' || lpad(i::text, 12, '0'))::uuid, o.id, %(hall)s, 'site-' || i,
       'x', 'x', 'inzai', CASE WHEN i %% 2 = 0 THEN '03' ELSE '04' END, '03' || lpad(i::text, 20,
       '0'), 1, 0, '{}', 0, 0, 1
FROM generate_series(1000, 999 + %(rows)s) AS i
JOIN (SELECT row_number() OVER (ORDER BY code = 'inzai-dc' DESC, code) - 1 AS n, id
      FROM parties_organisation WHERE kind = 'DC_OPERATOR') o ON o.n = i %% %(operators)s
"""
RESOURCE = """
INSERT INTO registry_resource (id, site_id, code, name, name_en, kind, limit_up_kw, limit_down_kw,
                               is_behind_meter, hardware, version)
SELECT id, id, 'resource-' || substr(code, 6), 'x', 'x', 'DC_LOAD', 1, 1, true, '{}', 1
FROM registry_site WHERE code LIKE 'site-%%'
"""
WORK = """
INSERT INTO registry_workloadclass (resource_id, kind, pool, power_kw, slack_h, labels_required,
                                    value_jpy_per_kwh, version)
SELECT id, 'BATCH', 'CPU', 1, 1, '{}', 1, 1 FROM registry_resource WHERE code LIKE 'resource-%%'
"""
CONSENT = """
INSERT INTO registry_consent (id, site_id, granted_by_id, granted_to_id, valid_from_on, version)
SELECT id, id, facility_owner_id, organisation_id, '2026-01-01', 1
FROM registry_site WHERE code LIKE 'site-%%'
"""
AGREEMENT = """
INSERT INTO registry_revenueagreement (id, site_id, proposed_by_id, proposed_at, valid_from_on,
                                       state, state_reason, version)
SELECT id, id, organisation_id, '2026-01-01', '2026-01-01', 'PROPOSED', '', 1
FROM registry_site WHERE code LIKE 'site-%%'
"""
SHARE = """
INSERT INTO registry_revenueshare (agreement_id, organisation_id, share_ratio, agreed_by)
SELECT a.id, s.organisation_id, 1, '' FROM registry_revenueagreement a
JOIN registry_site s ON s.id = a.site_id
"""
PREQUALIFICATION = """
INSERT INTO registry_prequalification (id, resource_id, product_id, area_id, organisation_id,
                                       quantity_kw, state, state_reason, findings, requested_at,
                                       version)
SELECT id, id, 'energy', area_id, organisation_id, 1, 'REQUESTED', '', '[]',
       timestamptz '2026-01-01' + substr(code, 6)::int * interval '1 second', 1
FROM registry_site WHERE code LIKE 'site-%%'
"""
PATH = """
INSERT INTO registry_opticalpath (id, owner_id, code, name, from_site_id, to_site_id, capacity_gb,
                                  price_jpy_per_gb, latency_ms, from_operator_id, to_operator_id)
SELECT id, %(hall)s, 'path-' || substr(code, 6), 'x', id, id, 1, 1, 1, organisation_id,
       organisation_id
FROM registry_site WHERE code LIKE 'site-%%'
"""
TABLES = (
    "site", "resource", "workloadclass", "consent", "revenueagreement", "revenueshare",
    "prequalification", "opticalpath",
)  # fmt: skip


@pytest.fixture
def long_tables(db: None) -> Iterator[None]:
    """Fill the tables past their foreign keys, which nothing here breaks."""
    where = cast.places()
    for n in range(OPERATORS - 3):  # beside Inzai, Shiroi and the stranger
        cast.organisation(f"operator-{n}", OrganisationKind.DC_OPERATOR, f"事業者{n}", f"O{n}")
    hall = cast.organisation("hall", OrganisationKind.FACILITY_OWNER, "ホール", "Hall")
    cast.area("04", "中部", "Chubu", tso=where.people.platform)
    MarketProduct.objects.create(
        code="energy",
        name="x",
        name_en="x",
        response_s=1,
        quantity_min_kw=1,
        quantity_tick_kw=1,
    )
    given = {"rows": ROWS, "operators": OPERATORS, "hall": hall.id}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', '10min', true)")
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in (
            SITE, RESOURCE, WORK, CONSENT, AGREEMENT, SHARE, PREQUALIFICATION, PATH,
        ):  # fmt: skip
            cursor.execute(statement, given)
        cursor.execute("SET LOCAL session_replication_role = origin")
        for table in TABLES:
            cursor.execute(f"ANALYZE registry_{table}")
    return


OWNER = (Role.OPERATOR_TRADER, "inzai-dc")
HALL = (Role.OPERATOR_TRADER, "hall")
GRID = (Role.GRID_PLANNER, "grid-t")
DESK = (Role.MARKET_DESK, "wattbit")
STRANGER = (Role.OPERATOR_TRADER, "stranger")
LISTS = [
    (caller, path)
    for path, callers in (
        ("sites", (OWNER, HALL, GRID, DESK, STRANGER)),
        ("sites?area=03", (OWNER, GRID, DESK)),
        ("sites?is_retired=false", (OWNER, GRID, DESK)),
        ("resources", (OWNER, GRID, DESK, STRANGER)),
        ("resources?site=site-1100", (OWNER, GRID, DESK)),
        ("resources/resource-1100/workload-classes", (OWNER, DESK)),
        ("consents", (OWNER, HALL, DESK, STRANGER)),
        ("revenue-splits", (OWNER, DESK, STRANGER)),
        ("prequalifications", (OWNER, GRID, DESK, STRANGER)),
        ("prequalifications?resource=resource-1100", (OWNER, GRID, DESK)),
        ("prequalifications?state=REQUESTED", (OWNER, GRID)),
        ("optical-paths", (OWNER, HALL, DESK, STRANGER)),
    )
    for caller in callers
]


def _asked(client: DoorClient, path: str) -> tuple[float, int, str | None]:
    """Return how long the door's reads of the registry run [ms], its queries, the next cursor."""
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(f"/api/v1/{path}")
    assert answer.status_code == 200, answer.content
    reads = [row["sql"] for row in queries if 'FROM "registry_' in row["sql"]]
    return sum(map(_execution_ms, reads)), len(queries), answer.json()["next"]


def _execution_ms(statement: str) -> float:
    """Return the server's own time of a statement, the second time it is run."""
    told = 0.0
    with connection.cursor() as cursor:
        for _ in range(2):
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.replace('%', '%%')}")
            told = float(cursor.fetchone()[0][0]["Execution Time"])
    return told


def test_each_page_comes_in_time_and_with_few_queries(
    long_tables: None, as_member: AsMember
) -> None:
    slow, many = [], []
    for caller, path in LISTS:
        client = as_member(*caller)
        first_ms, count, cursor = _asked(client, path)
        second = f"{path}{'&' if '?' in path else '?'}cursor={cursor}"
        second_ms = 0.0 if cursor is None else _asked(client, second)[0]
        if os.environ.get("WATTBIT_LIST_ROWS"):
            told = f"{caller[1]:10} {path:44} {first_ms:7.1f} {second_ms:7.1f} ms"
            sys.stdout.write(f"{told} {count} queries\n")
        if max(first_ms, second_ms) > MOST_MS:
            slow.append((caller[1], path, first_ms, second_ms))
        if count > QUERIES_MAX:
            many.append((caller[1], path, count))
    assert (slow, many) == ([], [])

"""Every list door: an index gives its page in order, whoever asks.

With sorts and reads of whole tables forbidden as far as they can be, what is left of them in a
plan has no index that could take its place. The tests of long tables look at what the planner
chooses of itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from aggregator.api.v1.pagination import LIMIT_DEFAULT
from tests.api.access_stage import WHO, Stage
from tests.api.test_access_matrix import LINES, Line

FORBIDDEN = ("seqscan", "sort", "bitmapscan", "hashjoin", "mergejoin", "material")
# whose rows: found by an index, not among everybody's; people and machines are few
OWN = re.compile(r"^\(*(organisation|counterparty|account|owner|\w+_operator|granted_\w+)_id = ")
PEOPLE = ("parties_", "usersessions_")
# whose a row is stands in another table, or its owners are few: the planner has both ways, by the
# owner's rows or by the order
JOINED = {
    "v1:envelope-list", "v1:flexible-connection-list", "v1:meter-list", "v1:optical-trunk-list",
    "v1:unit-list",
}  # fmt: skip
PAGE = re.compile(rf" LIMIT {LIMIT_DEFAULT + 1}\b")
# of an auction, an organisation or a person there are few: sorted when asked for
FEW = {
    "v1:invitation-list",
    "v1:resource-list",  # each site's resources, the sites in order
    "v1:statement-list",  # periods
}


@pytest.fixture(scope="module")
def stage(django_db_setup: Callable[[], None], django_db_blocker: Any) -> Iterator[Stage]:
    with django_db_blocker.unblock():
        django_db_setup()  # the planner goes by pages, and other tests' rows leave theirs
    with django_db_blocker.unblock(), transaction.atomic():
        made = Stage()
        _forget_statistics()
        yield made
        transaction.set_rollback(True)


def _forget_statistics() -> None:
    """Plan as for tables nobody has looked at, whatever autovacuum saw of the template."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL allow_system_table_mods = on")
        cursor.execute(
            "DELETE FROM pg_statistic WHERE starelid IN "
            "(SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)"
        )
        cursor.execute(
            "UPDATE pg_class SET reltuples = -1, relpages = 0 "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'i')"
        )


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from _nodes(below)


def _pages(stage: Stage, line: Line, who: str) -> list[str] | None:
    """Return the statements of a door that read a page; None if it is no list."""
    path = f"/api/v1/{line.path.format_map(stage.things)}"
    with transaction.atomic(), CaptureQueriesContext(connection) as captured:
        answer = stage.clients[who].get(path)
    if "json" not in answer.get("Content-Type", "") or "next" not in answer.json():
        return None
    return [row["sql"] for row in captured.captured_queries if PAGE.search(row["sql"])]


def _plan(statement: str) -> Mapping[str, Any]:
    with transaction.atomic(), connection.cursor() as cursor:
        for way in FORBIDDEN:
            cursor.execute(f"SET LOCAL enable_{way} = off")
        cursor.execute(f"EXPLAIN (FORMAT JSON) {statement.replace('%', '%%')}")
        plan: Mapping[str, Any] = cursor.fetchone()[0][0]["Plan"]
        transaction.set_rollback(True)
    return plan


def test_an_index_gives_each_page_in_order(stage: Stage) -> None:
    lists, wrong = set(), []
    for line in LINES:
        if line.method != "GET":
            continue
        for who in WHO:
            if line.status(who) != 200:
                continue
            for statement in _pages(stage, line, who) or ():
                lists.add(line.route)
                for node in _nodes(_plan(statement)):
                    table, kind = node.get("Relation Name", ""), node["Node Type"]
                    own = node.get("Filter", "")
                    if kind == "Seq Scan" or (kind == "Sort" and line.route not in FEW):
                        wrong.append((line.route, who, kind, table or node.get("Sort Key")))
                    elif (
                        OWN.match(own)
                        and " OR " not in own
                        and not table.startswith(PEOPLE)
                        and line.route not in JOINED
                    ):
                        wrong.append((line.route, who, table, own))
    assert wrong == [], "\n".join(map(repr, wrong))
    assert len(lists) >= 35, sorted(lists)

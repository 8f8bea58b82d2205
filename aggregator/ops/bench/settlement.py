"""A month of a large market: ours against the bare SQL of the same steps.

1,000 sites, 48 half hours, 31 days, twice: from stored deliveries to posted transfers
(:mod:`settled_month`), and all the way from readings (:mod:`metered_month`): baselines,
deliveries, lines, close and transfers.

Time is processor time, of this process and of its server process: other work on the machine does
not count.
"""

from __future__ import annotations

import statistics
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.db import connection

from aggregator.ops.bench.metered_month import METERED_TABLES, MeteredMonth
from aggregator.ops.bench.scratch import cpu_s, scratch_schema, server_cpu_s
from aggregator.ops.bench.settled_month import (
    BARE,
    DAYS_COUNT,
    LINES,
    SELLERS_COUNT,
    TABLES,
    Month,
)
from market.core.timegrid import INTERVALS_PER_DAY

ROUNDS_COUNT = 1
SCHEMA = "bench_settlement"


def run(*, size: int = 1_488_000) -> dict[str, Any]:
    """Measure `size` award half hours (sites × 48 × 31), each way after one that warms up."""
    sites_count = max(1, size // (DAYS_COUNT * INTERVALS_PER_DAY))
    sellers = {uuid.uuid4(): str(100 + n) for n in range(SELLERS_COUNT)}
    with scratch_schema(SCHEMA, TABLES):
        settled = _measured(Month(sites_count, sellers))
    with scratch_schema(SCHEMA, (*METERED_TABLES, *TABLES)):
        metered = _measured(MeteredMonth(sites_count, sellers))
    rows_count = sites_count * DAYS_COUNT * INTERVALS_PER_DAY
    return {
        "size": rows_count,
        "sites": sites_count,
        **settled,
        "rows_per_cpu_s": round(rows_count / settled["ours_cpu_s"]),
        "from_readings": metered,
    }


def _measured(month: Month) -> dict[str, Any]:
    spent: dict[str, list[float]] = {"ours": [], "floor": [], "correction": []}
    parts: dict[str, float] = {}
    lines: dict[str, int] = {}
    with connection.cursor() as cursor:
        # what other processes of the server did would not be counted
        cursor.execute("SET max_parallel_workers_per_gather = 0")
    for _ in range(ROUNDS_COUNT + 1):
        _emptied(month)
        works: Mapping[str, Callable[[], int]] = {
            "floor": month.floor, "ours": month.ours, "correction": month.correction,
        }  # fmt: skip
        for name, work in works.items():
            with connection.cursor() as cursor:
                # as autovacuum does soon after lines were written
                cursor.execute("SELECT brin_summarize_new_values(%s)", [month.summary])
            month.ready(name)
            client_s, server_s = cpu_s(), server_cpu_s()
            lines[name] = work()
            of_client_s, of_server_s = cpu_s() - client_s, server_cpu_s() - server_s
            spent[name].append(of_client_s + of_server_s)
            parts[f"{name}_client_cpu_s"] = round(of_client_s, 2)
            parts[f"{name}_server_cpu_s"] = round(of_server_s, 2)
    found = {name: statistics.median(values[1:]) for name, values in spent.items()}
    return {
        "lines": lines["ours"],
        "ours_cpu_s": round(found["ours"], 2),
        "floor_cpu_s": round(found["floor"], 2),
        "ratio": round(found["ours"] / found["floor"], 3),
        "correction_lines": lines["correction"],
        "correction_cpu_s": round(found["correction"], 3),
        "correction_ratio": round(found["correction"] / found["ours"], 4),
        **parts,
        **month.steps,
    }


def _emptied(month: Month) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {LINES}, {BARE}, bare_transfer")
        cursor.execute("TRUNCATE settlement_settlementitem, settlement_runtotal, ledger_transfer")
        cursor.execute("DELETE FROM settlement_settlementrun WHERE id > 100")
        month.emptied(cursor)
        cursor.execute("CHECKPOINT")

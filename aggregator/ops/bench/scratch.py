"""A schema of its own for a bench: copies of our tables, found first, gone afterwards."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.db import connection, transaction


@contextmanager
def scratch_schema(name: str, tables: Sequence[str]) -> Iterator[None]:
    """Copy `tables` (columns, defaults, checks, indexes) into schema `name` and look there first.

    The copies have the costs of the originals: what our bulk tables refer to carries no foreign
    key triggers, and their guards fire on UPDATE and DELETE only. A copy of a partitioned table
    is partitioned the same way.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('search_path'), current_setting('statement_timeout')"
        )
        path, timeout = cursor.fetchone()
        cursor.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        cursor.execute(f"CREATE SCHEMA {name}")
        for table in tables:
            table_copy(f"{name}.{table}", table)
        cursor.execute("SELECT set_config('search_path', %s, false)", [f"{name}, public"])
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SET idle_in_transaction_session_timeout = 0")
        cursor.execute("SET work_mem = '256MB'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('search_path', %s, false)", [path])
            cursor.execute("SELECT set_config('statement_timeout', %s, false)", [timeout])
            cursor.execute("RESET work_mem")
            cursor.execute("RESET idle_in_transaction_session_timeout")
            cursor.execute(f"DROP SCHEMA {name} CASCADE")


def table_copy(copy: str, table: str) -> None:
    """Make an empty table like `table`, partitioned by the same key if that is."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_partkeydef(%s::regclass)", [f"public.{table}"])
        key = cursor.fetchone()[0]
        partition = "" if key is None else f" PARTITION BY {key}"
        cursor.execute(f"CREATE TABLE {copy} (LIKE public.{table} INCLUDING ALL){partition}")


def emptied_alternately(
    rounds_count: int, *works: tuple[str, Callable[[], None]]
) -> list[list[float]]:
    """Time pieces of work in turn, each into its table, emptied beforehand; seconds each."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(rounds_count + 1):  # one more warms up
        for (table, work), seconds in zip(works, times, strict=True):
            with connection.cursor() as cursor:
                cursor.execute(f"TRUNCATE {table}")
                cursor.execute("CHECKPOINT")
            began = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - began)
    return [seconds[1:] for seconds in times]


def copy_in(statement: str, content: bytes) -> None:
    """COPY ready bytes, in a transaction of its own."""
    with (
        transaction.atomic(),
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.write(content)


def cpu_s() -> float:
    """Return the processor time this process has used so far, without the database's."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def server_cpu_s() -> float:
    """Return the processor time that this connection's server process has used so far.

    Read where the system shows it (Linux); elsewhere 0.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        stat = Path(f"/proc/{cursor.fetchone()[0]}/stat")
    if not stat.exists():
        return 0.0
    # the name of the process may hold blanks; user and system time are the 12th and 13th after it
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

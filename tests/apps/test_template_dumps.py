"""A template restored from a dump is the database that was migrated, and a bad dump is none."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from aggregator.ops import databases
from aggregator.ops.binaries import postgres_directory
from aggregator.ops.embedded import Servers

CAST = re.compile(r"::(character varying|text)(\[\])?|[()]")
NAMES = ("wattbit_test_dumps_a", "wattbit_test_dumps_b")


@pytest.fixture
def server(django_db_setup: Callable[[], None]) -> Iterator[str]:
    """Address of the maintenance database on the tests' server."""
    base = os.environ.get("DATABASE_URL") or Servers(instance="test").addresses.database_url
    if "@/" not in base:
        pytest.skip("dumps are for servers of ours, reached by a socket")
    yield base
    for name in databases.names_like(base, "wattbit_template_dumptest"):
        databases.drop(databases.url_of(base, name))
    for name in NAMES:
        databases.drop(databases.url_of(base, name))


def _text(url: str) -> list[str]:
    """Everything in a database, in an order of its own.

    Without the key of `restrict`, drawn anew each time, and without the casts of text, which
    PostgreSQL writes down on each element of a list when it reads what it had written on the list.
    """
    done = subprocess.run(
        [postgres_directory() / "pg_dump", f"--dbname={url}", "--inserts"],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    return [re.sub(CAST, "", line) for line in lines if "restrict" not in line]


def _empty(url: str) -> str:
    databases.drop(url)
    with psycopg.connect(databases.url_of(url, "postgres"), autocommit=True) as maintenance:
        maintenance.execute(f"CREATE DATABASE {databases.name_of(url)}")
    return url


def _version(url: str) -> int:
    with psycopg.connect(databases.url_of(url, "postgres")) as maintenance:
        return maintenance.info.server_version


def _tables(url: str) -> int:
    with psycopg.connect(url) as found:
        row = found.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
    assert row is not None
    return int(row[0])


def test_a_restored_template_is_the_migrated_one(server: str, tmp_path: Path) -> None:
    template = databases.url_of(server, databases.template_ensure(server))
    copy = _empty(databases.url_of(server, NAMES[0]))
    databases.template_dump(template, tmp_path / "made" / "a.dump")
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["a.dump"]
    assert databases.template_restore(copy, tmp_path / "made" / "a.dump")
    migrated = _text(template)
    assert len(migrated) > 5_000
    assert _text(copy) == migrated


def test_a_dump_that_is_cut_short_is_migrated_instead_and_made_again(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = databases.url_of(server, databases.template_ensure(server))
    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    monkeypatch.setattr(databases, "migrations_hash", lambda: "dumptest")
    dump = databases._dump_file(_version(server))
    databases.template_dump(template, dump)
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-64])
    began_with: list[int] = []

    def migrate(url: str) -> None:
        began_with.append(_tables(url))
        with psycopg.connect(url) as fresh:
            fresh.execute("CREATE TABLE only_one (number int)")

    monkeypatch.setattr(databases, "migrate", migrate)
    made = databases.template_ensure(server)
    assert began_with == [0]  # not upon half a dump
    assert _tables(databases.url_of(server, made)) == 1
    again = _empty(databases.url_of(server, NAMES[1]))
    assert databases.template_restore(again, dump)
    assert _tables(again) == 1


def test_another_server_has_its_template_from_the_dump(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = databases.url_of(server, databases.template_ensure(server))
    monkeypatch.setenv("WATTBIT_HOME", str(tmp_path))
    monkeypatch.setattr(databases, "migrations_hash", lambda: "dumptest")
    databases.template_dump(template, databases._dump_file(_version(server)))
    monkeypatch.setattr(databases, "migrate", lambda url: pytest.fail(f"migrated {url}"))
    made = databases.template_ensure(server)
    assert made == "wattbit_template_dumptest"
    assert _tables(databases.url_of(server, made)) == _tables(template) > 100

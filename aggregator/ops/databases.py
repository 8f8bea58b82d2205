"""Databases made in a blink: migrate one template, then copy it.

A template is named by a hash of every migration file, so it is made again only when one of them
changes. PostgreSQL copies a small database in a tenth of a second, seeded rows included, which
is how each demo starts afresh and each test that commits gets a clean one. The first template of
a checkout is kept as a dump, too: another server of it has its own in a second or two instead of
half a minute of migrations.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from aggregator.ops.binaries import POSTGRES_OLDEST, REDIS_OLDEST, postgres_directory
from aggregator.ops.embedded import ROOT, instance_home
from aggregator.ops.errors import ServersFailed

MAINTENANCE_DATABASE = "postgres"
TEMPLATE_LOCK = 0x57617474  # "Watt": one maker of templates at a time
TEMPLATES_KEPT = 3
OUR_MARK = "wattbit: may be dropped and made again; migrations "


def url_of(url: str, name: str) -> str:
    """Return `url` with another database name."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def name_of(url: str) -> str:
    """Return the database name of `url`."""
    return urlsplit(url).path.removeprefix("/")


def migrations_hash() -> str:
    """Hash every migration file of ours and the lock, which pins those of others."""
    digest = hashlib.sha256()
    files = sorted(
        path
        for package in ("accounts", "market", "aggregator")
        for path in (ROOT / package).glob("**/migrations/*.py")
    )
    for path in [*files, ROOT / "deploy" / "requirements" / "base.txt"]:
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@contextmanager
def _maintenance(url: str) -> Iterator[psycopg.Connection[Any]]:
    """Connect outside any transaction to a database that is always there."""
    with psycopg.connect(url_of(url, MAINTENANCE_DATABASE), autocommit=True) as connection:
        yield connection


def exists(url: str) -> bool:
    """Tell whether the database of `url` exists."""
    with _maintenance(url) as connection:
        found = connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [name_of(url)]
        ).fetchone()
    return found is not None


def names_like(url: str, prefix: str) -> list[str]:
    """Return the names of databases that start with `prefix`, the oldest first."""
    with _maintenance(url) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s) ORDER BY oid", [prefix]
        ).fetchall()
    return [name for (name,) in rows]


def template_ensure(url: str) -> str:
    """Return the name of a migrated template on the server of `url`, making it if need be.

    It is restored from the dump of another server's if there is one, else migrated and dumped.

    Raises
    ------
    ServersFailed
        If ``migrate`` fails; the message ends with its output.
    """
    name = f"wattbit_template_{migrations_hash()}"
    with _maintenance(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [TEMPLATE_LOCK])
        if exists(url_of(url, name)):
            return name
        # another branch's run may still copy from its own
        for stale in names_like(url, "wattbit_template_")[:-TEMPLATES_KEPT]:
            drop(url_of(url, stale))
        making = f"{name}_making"
        create = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(making))
        drop(url_of(url, making))  # left by a maker that failed or was killed
        connection.execute(create)
        dump = _dump_file(connection.info.server_version)
        if not (dump.exists() and template_restore(url_of(url, making), dump)):
            drop(url_of(url, making))
            connection.execute(create)
            migrate(url_of(url, making))
            template_dump(url_of(url, making), dump)
        connection.execute(
            sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                sql.Identifier(making), sql.Identifier(name)
            )
        )
    return name


def _dump_file(server_version: int) -> Path:
    return instance_home("templates") / f"{migrations_hash()}-{server_version}.dump"


def template_dump(url: str, path: Path) -> None:
    """Write the database of `url` to `path`, whole or not at all.

    Only of servers of ours: the password of another would stand in the list of processes, and
    its version need not be that of our tools. Without a dump the next server migrates.
    """
    with suppress(ServersFailed, OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        for stale in sorted(path.parent.glob("*.dump"), key=_age)[:-TEMPLATES_KEPT]:
            stale.unlink(missing_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        if _tool_run("pg_dump", "--format=custom", f"--file={partial}", url=url):
            partial.rename(path)
        partial.unlink(missing_ok=True)


def template_restore(url: str, path: Path) -> bool:
    """Fill the empty database of `url` from a dump; False leaves it to be dropped."""
    with suppress(ServersFailed):
        return _tool_run("pg_restore", "--exit-on-error", "--no-owner", str(path), url=url)
    return False


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _tool_run(program: str, *arguments: str, url: str) -> bool:
    if urlsplit(url).password:
        return False
    argv = [str(postgres_directory() / program), f"--dbname={url}", *arguments]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def migrate(url: str) -> None:
    """Run ``migrate`` on `url` in a process of its own, with patient limits."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--verbosity", "0"],
        env=child_environment(
            {
                "DATABASE_URL": url,
                "DATABASE_STATEMENT_TIMEOUT_S": "0",
                "DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S": "0",
                "DATABASE_POOL_SIZE": "0",
            }
        ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ServersFailed(f"migrate failed:\n{(done.stderr or done.stdout)[-3000:]}")


def child_environment(changes: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with `changes`, for a child that imports our code."""
    environment = {**os.environ, **changes}
    paths = [str(ROOT), *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
    environment["PYTHONUNBUFFERED"] = "1"
    return environment


def clone(url: str, *, template: str) -> None:
    """Make the database of `url` a fresh copy of `template`, ending whoever is connected."""
    drop(url)
    name = sql.Identifier(name_of(url))
    with _maintenance(url) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(name, sql.Identifier(template))
        )
        connection.execute(
            sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, OUR_MARK + migrations_hash())
        )


def drop(url: str) -> None:
    """Drop the database of `url` if it exists, ending whoever is connected."""
    with _maintenance(url) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name_of(url)))
        )


def mark_of(url: str) -> str | None:
    """Return the comment on the database of `url`, where :func:`clone` leaves its mark."""
    with _maintenance(url) as connection:
        found = connection.execute(
            "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s",
            [name_of(url)],
        ).fetchone()
    return found[0] if found else None


def schema_refresh(url: str) -> None:
    """Empty the database of `url`, a server of the operator's, if it is ours to empty.

    A role there need not be able to make databases, so the schema ``public`` is made again; it
    must be without tables, or carry the mark of an earlier call.

    Raises
    ------
    ServersFailed
        If it holds tables that did not come from here.
    """
    with psycopg.connect(url, connect_timeout=5) as connection:
        found = connection.execute(
            "SELECT obj_description('public'::regnamespace, 'pg_namespace'),"
            " (SELECT count(*) FROM pg_tables WHERE schemaname = 'public')"
        ).fetchone()
        mark, table_count = found or (None, 0)
        if table_count and not (mark or "").startswith(OUR_MARK):
            raise ServersFailed(
                f"the database of DATABASE_URL holds {table_count} tables that were not made by "
                "a demo: give it an empty database"
            )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(sql.SQL("COMMENT ON SCHEMA public IS {}").format(OUR_MARK))


def is_migrated(url: str) -> bool:
    """Tell by its mark whether the database of `url` was cloned from the current migrations."""
    return exists(url) and mark_of(url) == OUR_MARK + migrations_hash()


def postgres_check(url: str) -> None:
    """Refuse a server that is too old or does not answer.

    Raises
    ------
    ServersFailed
        Without the URL, which may hold a password.
    """
    try:
        with psycopg.connect(url, connect_timeout=5, autocommit=True) as connection:
            version = connection.info.server_version // 10_000
            sort = connection.execute(
                "SELECT pg_encoding_to_char(encoding) FROM pg_database "
                "WHERE datname = current_database()"
            ).fetchone()
    except psycopg.Error as error:
        raise ServersFailed(f"the PostgreSQL of DATABASE_URL does not answer: {error}") from error
    if version < POSTGRES_OLDEST:
        raise ServersFailed(
            f"the PostgreSQL of DATABASE_URL is version {version}; {POSTGRES_OLDEST} or newer "
            "is needed"
        )
    if sort is None or sort[0] != "UTF8":
        raise ServersFailed("the database of DATABASE_URL is not encoded in UTF8")


def redis_check(url: str) -> None:
    """Refuse a Redis that is too old, does not answer, or forgets under pressure.

    Raises
    ------
    ServersFailed
        Without the URL, which may hold a password.
    """
    import redis

    try:
        client = redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5)
        with client:
            facts = client.info()
    except (redis.RedisError, ValueError) as error:
        raise ServersFailed(f"the Redis of REDIS_URL does not answer: {error}") from error
    said = str(facts.get("valkey_version") or facts["redis_version"])
    if int(said.partition(".")[0]) < REDIS_OLDEST:
        raise ServersFailed(
            f"the Redis of REDIS_URL is version {said}; Redis {REDIS_OLDEST} or Valkey is needed"
        )

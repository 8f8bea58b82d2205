"""What tests stand on: real PostgreSQL, real Valkey, real worker processes.

The servers start with the first test that needs one and stop with the last run that uses them.
Each pytest process has a database of its own, copied from a migrated template; a test marked
``django_db(transaction=True)`` gets a fresh copy afterwards, seeded rows and triggers included.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

# The gate draws the same examples every time, so that it says the same of the same commit;
# `--hypothesis-profile=long` draws new ones and shrinks what fails.
settings.register_profile(
    "gate", derandomize=True, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.register_profile("long", settings.get_profile("default"))
settings.load_profile("gate")

pytest_plugins = ["tests.shared_files"]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first the files that start processes or browsers, and last the many that are quick.

    Two processes share the files; whichever has none left would wait for the other's long one.
    """
    first = {item.path for item in items if _commits(item) or "flow" in item.path.parts}
    items.sort(key=lambda item: item.path not in first)


def _commits(item: pytest.Item) -> bool:
    marker = item.get_closest_marker("django_db")
    return marker is not None and bool(marker.kwargs.get("transaction"))


@pytest.fixture(scope="session")
def servers() -> Iterator[None]:
    """PostgreSQL and Valkey of the instance ``test``, unless the environment names others."""
    from aggregator.ops import databases
    from aggregator.ops.embedded import Servers

    external_url = os.environ.get("DATABASE_URL")
    if external_url and os.environ.get("REDIS_URL"):
        databases.postgres_check(external_url)
        yield
        return
    embedded = Servers(instance="test", durable=False)
    embedded.start()
    yield
    embedded.leave()


def _test_database_url() -> str:
    from django.conf import settings

    from aggregator.ops import databases
    from aggregator.ops.embedded import Servers

    base = os.environ.get("DATABASE_URL") or Servers(instance="test").addresses.database_url
    name = settings.DATABASES["default"]["NAME"]
    return databases.url_of(base, name if name.startswith("wattbit_test_") else f"{name}_test")


def _left_over_remove(url: str) -> None:
    """Remove databases of test runs that were killed, and logs of runs that are over."""
    from aggregator.ops import databases
    from aggregator.ops.embedded import instance_home

    for name in databases.names_like(url, "wattbit_test_"):
        if _is_over(name.removeprefix("wattbit_test_")):
            databases.drop(databases.url_of(url, name))
    for path in (instance_home("test") / "log").glob("*-*-*.*"):
        if _is_over(path.name.split("-")[1]):
            path.unlink(missing_ok=True)


def _is_over(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (ValueError, PermissionError):
        return False
    return False


@pytest.fixture(scope="session")
def django_db_setup(servers: None, django_db_blocker: Any) -> Iterator[Callable[[], None]]:
    """Copy the template instead of migrating, and renew the copy instead of flushing it.

    Flushing would truncate tables that refuse it and lose rows that migrations seeded. Gives what
    renews the copy, for a test that looks at pages and not at rows only.
    """
    from django.db import connections
    from django.test import TransactionTestCase

    from aggregator.ops import databases

    url = _test_database_url()
    _left_over_remove(url)
    template = databases.template_ensure(url)
    databases.clone(url, template=template)
    for connection in connections.all():
        connection.settings_dict["NAME"] = databases.name_of(url)

    def renew() -> None:
        connections.close_all()
        databases.clone(url, template=template)

    original = TransactionTestCase._fixture_teardown
    TransactionTestCase._fixture_teardown = lambda _case: renew()  # type: ignore[method-assign]
    yield renew
    TransactionTestCase._fixture_teardown = original  # type: ignore[method-assign]
    with django_db_blocker.unblock():
        connections.close_all()
    databases.drop(url)


class WorkerProcesses:
    """Starts real Celery workers on the test's database and a Redis number of their own."""

    def __init__(self, redis_url: str) -> None:
        from aggregator.ops.embedded import Addresses
        from aggregator.ops.stack import Stack

        self.stack = Stack(
            instance="test",
            addresses=Addresses(database_url=_test_database_url(), redis_url=redis_url),
            settings_module="aggregator.config.settings.test",
        )
        self._started = 0

    def start(
        self,
        count: int = 1,
        *,
        concurrency: int = 1,
        beat: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> list[Any]:
        """Start `count` workers, each with `concurrency` pool processes; wait until they work.

        Returns the :class:`aggregator.ops.stack.Child` of each, beat last.
        """
        with _environment(env or {}):
            children = []
            for _ in range(count):
                self._started += 1
                name = f"worker-{os.getpid()}-{self._started}"
                children.append(
                    self.stack.start_worker(name=name, concurrency=concurrency, wait=False)
                )
            if beat:
                self._started += 1
                name = f"beat-{os.getpid()}-{self._started}"
                children.append(self.stack.start_beat(name=name, wait=False))
            self.stack.wait_ready()
        return children

    def kill(self, child: Any) -> None:
        """SIGKILL one worker and its whole pool, as the OOM killer or a power cut would."""
        import signal

        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        self.stack.stop_child(child)

    def redis(self) -> Any:
        """Connect to the workers' broker, for FLUSHALL-like faults (``flushdb`` here)."""
        import redis

        return redis.Redis.from_url(self.stack.addresses.redis_url, socket_timeout=5)


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@pytest.fixture
def celery_worker_processes(transactional_db: None) -> Iterator[WorkerProcesses]:
    """Real workers for one test: ``celery_worker_processes.start(2, beat=True)``.

    The test commits (``transactional_db``), shares its database and its broker with them, and
    they are gone before the database is renewed.
    """
    import redis
    from django.conf import settings

    redis_url = settings.REDIS_URL
    with redis.Redis.from_url(redis_url, socket_timeout=5) as client:
        client.flushdb()
    workers = WorkerProcesses(redis_url)
    yield workers
    workers.stack.stop()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Leave the counts for the gate, which adds them to its own."""
    if path := os.environ.get("WATTBIT_TEST_COUNTS"):
        stats = terminalreporter.stats
        counts = {
            "passed": len(stats.get("passed", [])),
            "failed": len(stats.get("failed", [])) + len(stats.get("error", [])),
            "skipped": len(stats.get("skipped", [])),
        }
        Path(path).write_text(json.dumps(counts))

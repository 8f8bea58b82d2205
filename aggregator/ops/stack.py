"""Start the whole product on one machine, and leave nothing behind.

>>> with Stack(instance="demo") as stack:            # doctest: +SKIP
...     stack.start_servers()
...     stack.migrate(fresh=True)
...     port = stack.start_web(wait=False)
...     stack.start_worker(wait=False)
...     stack.start_beat(wait=False)
...     stack.wait_ready()

Every child has a process group of its own and a log under ``.wattbit/<instance>/log/``. They end
with the ``with`` block; if this process is killed, a watchdog ends them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self, TextIO

from django.conf import settings
from django.db import OperationalError, connections

from aggregator.ops import databases
from aggregator.ops.embedded import (
    ROOT,
    Addresses,
    Servers,
    checkpoint_file,
    instance_home,
)
from aggregator.ops.errors import ChildFailed
from aggregator.ops.ports import answers_health, port_free
from aggregator.ops.secret import book_key_kept
from aggregator.ops.watchdog import process_identity

READY_WAIT_S = 60.0
STOP_WAIT_S = 8.0
OTHER_WAIT_S = 5.0  # the one before may be stopping
SHOWN_LOG_LENGTH = 2_000
API_IN_WORK_MAX = "26"  # of 32 threads: 3 more may wait for a place, the others refuse
QUEUES = ("wattbit", "wattbit-outbox")
SENDER_THREADS = "16"
WORKER_IDLE_IN_TRANSACTION_S = "30"  # bulk steps compute between statements; web requests do not


@dataclass(frozen=True, kw_only=True)
class Child:
    """One supervised process."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    identity: str

    @property
    def tail(self) -> str:
        """The end of its log, for messages."""
        return self.log.read_text(errors="replace")[-SHOWN_LOG_LENGTH:]


class Stack:
    """The servers and processes of one instance.

    Parameters
    ----------
    instance
        Names the embedded servers, logs and keys; ``demo`` or ``test``.
    durable
        False gives up crash safety of the embedded PostgreSQL; for tests only.
    addresses
        Use this database and this Redis, running already, instead of the instance's.
    settings_module
        Settings module of the children.
    """

    def __init__(
        self,
        *,
        instance: str = "demo",
        durable: bool = True,
        addresses: Addresses | None = None,
        settings_module: str = "aggregator.config.settings.local",
    ) -> None:
        self.instance = instance
        self.children: list[Child] = []
        self._servers = Servers(instance=instance, durable=durable)
        self._uses_servers = False
        self._settings = settings_module
        self._external_database = os.environ.get("DATABASE_URL") if addresses is None else None
        self._external_redis = os.environ.get("REDIS_URL") if addresses is None else None
        embedded = addresses or self._servers.addresses
        self.addresses = Addresses(
            database_url=self._external_database or embedded.database_url,
            redis_url=self._external_redis or embedded.redis_url,
        )
        self._home = instance_home(instance)
        self._ready: dict[str, Callable[[], bool]] = {}
        self._only_one: TextIO | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, _leave)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def home(self) -> Path:
        """Private directory of the instance: logs, keys, files of its children."""
        return self._home

    @property
    def book_key_file(self) -> str:
        """Path of the private halves of the book keys, for workers; made if it is not there."""
        return os.environ.get("BOOK_KEY_FILE") or str(book_key_kept(instance=self.instance))

    @property
    def environment(self) -> dict[str, str]:
        """What each child's environment adds to ours."""
        return {
            "DJANGO_SETTINGS_MODULE": self._settings,
            "WATTBIT_INSTANCE": self.instance,
            "DATABASE_URL": self.addresses.database_url,
            "REDIS_URL": self.addresses.redis_url,
            # workers are told; whatever else is started has no key to the book
            "BOOK_KEY_FILE": "",
        }

    def start_servers(self) -> None:
        """Start the embedded servers, or check the external ones.

        Raises
        ------
        ServersFailed
            If one does not start, does not answer or is too old.
        ChildFailed
            If another stack of this instance is running.
        """
        self._only_one_take()
        self.share_servers()
        if self._uses_servers:
            self._tell(f"servers {self.instance}")
        if self._external_database:
            databases.postgres_check(self._external_database)
        if self._external_redis:
            databases.redis_check(self._external_redis)

    def share_servers(self) -> None:
        """Start the embedded servers if need be, beside whoever has the instance."""
        if not (self._external_database and self._external_redis):
            self._servers.start()
            self._uses_servers = True

    def _only_one_take(self) -> None:
        """Hold the instance: two demos would empty each other's market."""
        self._home.mkdir(parents=True, exist_ok=True)
        lock = (self._home / "stack.lock").open("a")
        deadline = time.monotonic() + OTHER_WAIT_S
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() < deadline:
                    time.sleep(0.1)
                    continue
                lock.close()
                raise ChildFailed(
                    f"another WattBit of the instance {self.instance!r} is running in this "
                    "checkout: stop it first, or set WATTBIT_INSTANCE to another word"
                ) from None
            self._only_one = lock
            return

    def migrate(self, *, fresh: bool = False) -> None:
        """Bring the database to the current migrations; cheap when it already is.

        Parameters
        ----------
        fresh
            Start with an empty market: the database is made again from a template. Refused for
            an external database with tables that were not made so.

        Raises
        ------
        ServersFailed
            If ``migrate`` fails, or the database holds somebody's rows.
        """
        url = self.addresses.database_url
        _database_leave()
        if fresh:  # the file of another database would only accuse this one
            checkpoint_file(self.instance).unlink(missing_ok=True)
        if self._external_database:
            if fresh:
                databases.schema_refresh(url)
            databases.migrate(url)
        elif fresh or not databases.exists(url):
            databases.clone(url, template=databases.template_ensure(url))
        elif not databases.is_migrated(url):
            databases.migrate(url)

    def start_web(self, port: int = 0, *, name: str = "web", wait: bool = True) -> int:
        """Start the web server on 127.0.0.1 and wait until it answers.

        Parameters
        ----------
        port
            The port, or 0 for a free one.

        Returns
        -------
        int
            The port.

        Raises
        ------
        ChildFailed
            If the port is taken or the server does not answer.
        """
        port = port_free(port)
        argv = [sys.executable, "-m", "uvicorn", "aggregator.config.asgi:application"]
        argv += ["--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        argv += ["--lifespan", "off", "--timeout-graceful-shutdown", "3"]
        # whose word counts is TRUSTED_PROXIES_COUNT's business, not the server's
        argv += ["--no-proxy-headers", "--no-server-header"]
        child = self.spawn(name, argv, {"DATABASE_POOL_SIZE": "8"})
        self._ready[child.name] = lambda: answers_health(port)
        if wait:
            self.wait_ready()
        return port

    def start_api(self, port: int = 0, *, name: str = "api", processes_count: int = 2) -> int:
        """Start the threaded server of the API as it is deployed; :meth:`wait_ready` waits for it.

        Returns
        -------
        int
            The port.

        Raises
        ------
        ChildFailed
            If the port is taken.
        """
        port = port_free(port)
        argv = [sys.executable, "-m", "gunicorn", "--config", "deploy/gunicorn.api.conf.py"]
        argv += ["--bind", f"127.0.0.1:{port}", "--workers", str(processes_count)]
        argv += ["--log-level", "warning", "aggregator.config.wsgi:application"]
        child = self.spawn(name, argv, {"API_IN_WORK_MAX": API_IN_WORK_MAX})
        self._ready[child.name] = lambda: answers_health(port)
        return port

    def start_worker(
        self,
        *,
        name: str = "worker",
        concurrency: int = 2,
        queues: Sequence[str] = QUEUES,
        wait: bool = True,
    ) -> Child:
        """Start a Celery worker with `concurrency` processes; one for all queues, or for some.

        Raises
        ------
        ChildFailed
            If it does not take work in time.
        """
        argv = [sys.executable, "-m", "celery", "-A", "aggregator.config", "worker"]
        argv += ["--pool", "prefork", "--concurrency", str(concurrency)]
        argv += ["--hostname", f"{name}@%h", "--loglevel", "INFO"]
        argv += ["--queues", ",".join(queues)]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        # TERM re-queues what is not done soon, instead of waiting for it without end
        changes = {
            "REMAP_SIGTERM": "SIGQUIT",
            "DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_S": WORKER_IDLE_IN_TRANSACTION_S,
            "BOOK_KEY_FILE": self.book_key_file,
        }
        return self._start_celery(name, argv, changes, wait=wait)

    def start_sender(self, *, name: str = "sender", wait: bool = True) -> Child:
        """Start the worker of threads that waits for others' servers, as it is deployed.

        Raises
        ------
        ChildFailed
            If it does not take work in time.
        """
        argv = [sys.executable, "-m", "celery", "-A", "aggregator.config", "worker"]
        argv += ["--pool", "threads", "--concurrency", SENDER_THREADS, "--hostname", f"{name}@%h"]
        argv += ["--queues", QUEUES[1], "--loglevel", "INFO"]
        argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        return self._start_celery(name, argv, {"REMAP_SIGTERM": "SIGQUIT"}, wait=wait)

    def start_beat(self, *, name: str = "beat", wait: bool = True) -> Child:
        """Start Celery's beat.

        Raises
        ------
        ChildFailed
            If it does not ring in time.
        """
        argv = [sys.executable, "-m", "celery", "-A", "aggregator.config", "beat"]
        argv += ["--loglevel", "INFO", "--pidfile", ""]
        return self._start_celery(name, argv, {}, wait=wait)

    def _start_celery(
        self, name: str, argv: list[str], changes: dict[str, str], *, wait: bool
    ) -> Child:
        ready = self._home / "log" / f"{name}.ready"
        ready.unlink(missing_ok=True)
        # Django's checks are the gate's and manage.py's; they would load every page into each child
        told = {"READY_FILE": str(ready), "CELERY_SKIP_CHECKS": "true"}
        child = self.spawn(name, argv, {**changes, **told})
        self._ready[child.name] = ready.exists
        if wait:
            self.wait_ready()
        return child

    def spawn(
        self, name: str, argv: Sequence[str | Path], env: Mapping[str, str] | None = None
    ) -> Child:
        """Start any other process beside the platform, e.g. a site's agent.

        Parameters
        ----------
        name
            Names its log; unique in this stack.
        argv
            Program and arguments; ``sys.executable`` for our own modules.
        env
            Added to :attr:`environment`.
        """
        log = self._home / "log" / f"{name}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("wb") as output:
            process = subprocess.Popen(
                argv,
                env=databases.child_environment({**self.environment, **(env or {})}),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        child = Child(name=name, process=process, log=log, identity=process_identity(process.pid))
        self.children.append(child)
        self._tell(f"group {child.identity}")
        return child

    def check(self) -> None:
        """Raise if a child has ended by itself.

        Raises
        ------
        ChildFailed
            Naming it, with the end of its log.
        """
        for child in self.children:
            if child.process.poll() is not None:
                raise ChildFailed(
                    f"{child.name} ended with code {child.process.returncode}; "
                    f"{child.log} ends:\n{child.tail}"
                )

    def stop_child(self, child: Child, *, wait_s: float = STOP_WAIT_S) -> None:
        """End one child and its process group."""
        self._ready.pop(child.name, None)
        self.children = [other for other in self.children if other is not child]
        _reap([child], wait_s=wait_s)

    def stop(self) -> None:
        """End all children, the last started first, then the servers if nobody else uses them."""
        children, self.children = list(reversed(self.children)), []
        _reap(children, wait_s=STOP_WAIT_S)
        if self._uses_servers:
            self._uses_servers = False
            self._servers.leave()
        if self._only_one is not None:
            self._only_one.close()
            self._only_one = None
        if self._watchdog is not None and self._watchdog.stdin is not None:
            self._tell("done")
            self._watchdog.stdin.close()
            self._watchdog.wait(timeout=STOP_WAIT_S)
            self._watchdog = None

    def wait_ready(self) -> None:
        """Wait for every child started with ``wait=False``.

        Raises
        ------
        ChildFailed
            If one ends or is not ready in time, with the end of its log.
        """
        deadline = time.monotonic() + READY_WAIT_S
        while self._ready:
            self._ready = {name: ready for name, ready in self._ready.items() if not ready()}
            self.check()
            if time.monotonic() > deadline:
                late = next(child for child in self.children if child.name in self._ready)
                raise ChildFailed(
                    f"{late.name} is not ready after {READY_WAIT_S:.0f} s; "
                    f"{late.log} ends:\n{late.tail}"
                )
            time.sleep(0.05)

    def _tell(self, line: str) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-m", "aggregator.ops.watchdog"],
                env=databases.child_environment({}),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        if self._watchdog.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(line.encode() + b"\n")
                self._watchdog.stdin.flush()


@contextlib.contextmanager
def servers_for_command() -> Iterator[None]:
    """Give a command an instance's database, whether its servers run already or not.

    The instance is not taken, so that a command can look into a demo that serves.
    """
    with Stack(instance=os.environ.get("WATTBIT_INSTANCE", "demo")) as stack:
        stack.share_servers()
        if not _database_has_tables():
            stack.migrate()
        try:
            yield
        finally:
            _database_leave()


def _database_has_tables() -> bool:
    try:
        return bool(connections["default"].introspection.table_names())
    except OperationalError:
        return False


def _database_leave() -> None:
    """Close this process's own connections: the database under them is about to go.

    A transaction of the caller's keeps its connection.
    """
    if settings.configured:
        for connection in connections.all(initialized_only=True):
            if not connection.in_atomic_block:
                connection.close()


def _leave(number: int, frame: FrameType | None) -> None:
    """Turn a polite kill into an orderly end of the ``with`` block."""
    del frame
    sys.exit(128 + number)


def _reap(children: list[Child], *, wait_s: float) -> None:
    for child in children:
        # also for a child that ended by itself: its own children may live on in its group
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGTERM)
    deadline = time.monotonic() + wait_s
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(timeout=max(0.0, deadline - time.monotonic()))
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()

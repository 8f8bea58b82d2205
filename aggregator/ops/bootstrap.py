"""Make ``.venv`` from the hashed lock and run in it. Standard library only.

Loaded by path from ``manage.py`` before any package is there, hence no import of ours. An
environment made by hand, in which Django can be imported, is left as it is.
"""

from __future__ import annotations

import ast
import contextlib
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

PYTHON_NEXT_UNKNOWN = (3, 15)
SHOWN_ERROR_LINES = 12
PIP_QUIET = ("--quiet", "--disable-pip-version-check", "--no-warn-script-location")
UV_NAME_OF = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
}


class EnvironmentNotMade(Exception):
    """The environment could not be made ready; the message says what to do."""


def environment_ready(*, root: Path, group: str) -> None:
    """Return inside an environment that holds the lock of `group`, re-executing if need be.

    Parameters
    ----------
    root
        The checkout.
    group
        ``base`` for running, ``dev`` for the gate.

    Raises
    ------
    SystemExit
        With a message for the reader, when the environment cannot be made.
    """
    home = root / ".venv"
    if not _is_ours(home) and sys.prefix != sys.base_prefix and _django_is_here():
        return
    try:
        if not _is_stamped(root, home, group):
            _environment_make(root, home, group)
    except EnvironmentNotMade as failure:
        sys.exit(f"wattbit: {failure}")
    if not _is_ours(home):
        python = str(_python_of(home))
        os.execv(python, [python, *sys.argv])  # noqa: S606 - our own interpreter, no shell


def _is_ours(home: Path) -> bool:
    return Path(sys.prefix).resolve() == home.resolve()


def _django_is_here() -> bool:
    return importlib.util.find_spec("django") is not None


def _python_of(home: Path) -> Path:
    return home / "bin" / "python"


def _locks_of(root: Path, group: str) -> list[Path]:
    locks = root / "deploy" / "requirements"
    names = ["base.txt"] if group == "base" else ["base.txt", "dev.txt"]
    return [locks / name for name in names]


def _lock_hash(root: Path, group: str) -> str:
    digest = hashlib.sha256()
    for lock in _locks_of(root, group):
        digest.update(lock.read_bytes())
    return digest.hexdigest()


def _stamp_of(home: Path, group: str) -> Path:
    return home / f"wattbit-{group}.sha256"


def _is_stamped(root: Path, home: Path, group: str) -> bool:
    """Tell whether the lock of `group`, or of the larger one that contains it, is installed."""
    if not os.access(_python_of(home), os.X_OK):
        return False
    for candidate in {group, "dev"}:
        with contextlib.suppress(OSError):
            if _stamp_of(home, candidate).read_text() == _lock_hash(root, candidate):
                return True
    return False


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Hold the only right to change the environment; two starts at once make it once."""
    try:
        home.mkdir(exist_ok=True)
        lock = (home / "wattbit.lock").open("w")
    except OSError as error:
        raise EnvironmentNotMade(
            f"cannot write {home} ({error.strerror}). This checkout is read-only for you or "
            "belongs to someone else: clone it into a directory of your own, or make an "
            "environment by hand elsewhere (python3 -m venv DIR; DIR/bin/python -m pip install "
            "--require-hashes -r deploy/requirements/base.txt), run DIR/bin/python manage.py, "
            "and set WATTBIT_HOME to a directory you may write."
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _environment_make(root: Path, home: Path, group: str) -> None:
    if sys.version_info >= PYTHON_NEXT_UNKNOWN:
        raise EnvironmentNotMade(
            f"the lock is made for Python 3.11 to 3.14, this is {sys.version.split()[0]}: "
            "start manage.py with one of those."
        )
    with _locked(home):
        if _is_stamped(root, home, group):
            return
        _say(f"preparing the {group} environment in .venv (once; a minute or less) …")
        python = _python_of(home)
        if not _runs([str(python), "-c", "pass"]):
            venv.EnvBuilder(with_pip=False, symlinks=True, clear=False).create(home)
        _uv_install(root, home)
        _lock_install(root, home, _locks_of(root, group)[-1])
        _stamp_of(home, group).write_text(_lock_hash(root, group))


def lock_environment(*, root: Path, home: Path, lock: Path) -> Path:
    """Return the Python of an environment that holds exactly the hashed `lock`, made if need be.

    Parameters
    ----------
    root
        The checkout.
    home
        Where the environment stands or is to stand.
    lock
        Requirements with hashes.

    Raises
    ------
    EnvironmentNotMade
        If a package cannot be had.
    """
    stamp, wanted = home / "wattbit-lock.sha256", hashlib.sha256(lock.read_bytes()).hexdigest()
    home.parent.mkdir(parents=True, exist_ok=True)
    with _locked(home):
        if not (stamp.exists() and stamp.read_text() == wanted):
            _say(f"preparing the environment of {lock.name} in {home} …")
            venv.EnvBuilder(with_pip=False, symlinks=True, clear=False).create(home)
            _uv_install(root, home)
            _lock_install(root, home, lock)
            stamp.write_text(wanted)
    return _python_of(home)


def _lock_install(root: Path, home: Path, lock: Path) -> None:
    """Install a hashed lock with uv, and where uv cannot, slowly with the caller's pip."""
    python = str(_python_of(home))
    wanted = ["--require-hashes", "--requirement", str(lock)]
    uv = [str(home / "bin" / "uv"), "pip", "install", "--quiet", "--system-certs"]
    # as pip does: the best version of any index; the hashes say which files may be it
    uv += ["--index-strategy", "unsafe-best-match"]
    try:
        _run([*uv, "--python", python, *wanted], environment=_pip_settings_for_uv(home))
    except EnvironmentNotMade:
        _say("uv could not; trying pip, which takes some minutes …")
        try:
            _run([*_pip(home), "install", *PIP_QUIET, *wanted])
        except EnvironmentNotMade as failure:
            raise EnvironmentNotMade(
                f"installing {lock.relative_to(root)} failed:\n{failure}\n"
                "If your package index lacks one of these versions, make an environment by hand "
                "(python3 -m venv DIR), install the dependencies of pyproject.toml in the versions "
                "it has, and run DIR/bin/python manage.py: an environment of your own is used as "
                "it is."
            ) from failure


def _pip_settings_for_uv(home: Path) -> dict[str, str]:
    """Say to uv, which does not read pip's configuration, where packages come from here."""
    environment = dict(os.environ)
    listing = _run([*_pip(home), "config", "list"])
    for line in listing.splitlines():
        key, _, shown = line.partition("=")
        name = UV_NAME_OF.get(key.rpartition(".")[2])
        if name is not None and name not in os.environ:
            with contextlib.suppress(ValueError, SyntaxError):
                # pip writes several values on lines of their own, uv wants them on one
                environment[name] = " ".join(str(ast.literal_eval(shown)).split())
    return environment


def _uv_install(root: Path, home: Path) -> None:
    """Put uv into the environment with the caller's pip: needs neither ensurepip nor root.

    pip works on the new environment from outside, so a system Python marked as externally
    managed is not touched.
    """
    lock = root / "deploy" / "requirements" / "uv.txt"
    stamp = home / "wattbit-uv.sha256"
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and (home / "bin" / "uv").exists():
        return
    try:
        _run([*_pip(home), "install", *PIP_QUIET, "--require-hashes", "--requirement", str(lock)])
    except EnvironmentNotMade as failure:
        raise EnvironmentNotMade(
            f"installing uv failed:\n{failure}\n"
            "pip 22.3 or newer and a reachable package index are needed."
        ) from failure
    stamp.write_text(wanted)


def _pip(home: Path) -> list[str]:
    """Return the command of a pip that works on the environment: the caller's, or a fresh one."""
    python = str(_python_of(home))
    if _runs([sys.executable, "-m", "pip", "--version"]):
        return [sys.executable, "-m", "pip", "--python", python]
    if _runs([python, "-m", "pip", "--version"]) or _runs([python, "-m", "ensurepip"]):
        return [python, "-m", "pip"]
    raise EnvironmentNotMade(
        f"{sys.executable} has no pip. Install it (on Debian and Ubuntu: the package "
        "python3-pip) and run the same command again."
    )


def _runs(argv: list[str]) -> bool:
    try:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def _run(argv: list[str], *, environment: dict[str, str] | None = None) -> str:
    """Run a program and return what it printed; its last words are the error."""
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentNotMade("\n".join(said[-SHOWN_ERROR_LINES:]))
    return done.stdout


def _say(message: str) -> None:
    sys.stderr.write(f"wattbit: {message}\n")
    sys.stderr.flush()

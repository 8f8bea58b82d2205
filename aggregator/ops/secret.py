"""Keys for one's own machine, made once and kept in the instance's directory."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from aggregator.ops.embedded import instance_home
from aggregator.ops.errors import ServersFailed

SEED_LENGTH = 32


def secret_key_kept(*, instance: str) -> str:
    """Return the key of `instance`, making it at the first call; never used in production."""
    return _kept(instance, "secret_key", lambda: secrets.token_urlsafe(48)).read_text()


def receipt_key_kept(*, instance: str) -> str:
    """Return the seed that signs receipts of `instance`; never used in production."""
    return _kept(instance, "receipt_key", _seed).read_text()


def signing_key_kept(*, instance: str) -> str:
    """Return the seed that signs the audit chain of `instance`; never used in production."""
    made = _kept(instance, "audit_signing_key", lambda: secrets.token_hex(SEED_LENGTH))
    return made.read_text()


def book_key_kept(*, instance: str) -> Path:
    """Return the file of private book keys of `instance`; never used in production."""
    return _kept(instance, "book_key", _seed)


def _seed() -> str:
    return base64.b64encode(secrets.token_bytes(SEED_LENGTH)).decode()


def _kept(instance: str, name: str, make: Callable[[], str]) -> Path:
    """Return the file `name` of `instance`, written with what `make` says if there is none yet."""
    path = instance_home(instance) / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{name}.{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        try:
            # of two starts at once the first one's key stays: a link never replaces a file
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    except OSError as error:
        raise ServersFailed(
            f"cannot write {path} ({error.strerror}): set WATTBIT_HOME to a directory you may write"
        ) from error
    return path

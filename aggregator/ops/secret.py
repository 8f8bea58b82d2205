"""A key for one's own machine, made once and kept in the instance's directory."""

from __future__ import annotations

import os
import secrets

from aggregator.ops.embedded import instance_home
from aggregator.ops.errors import ServersFailed


def secret_key_kept(*, instance: str) -> str:
    """Return the key of `instance`, making it at the first call; never used in production."""
    path = instance_home(instance) / "secret_key"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"secret_key.{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
        try:
            # of two starts at once the first one's key stays: a link never replaces a file
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
        return path.read_text()
    except OSError as error:
        raise ServersFailed(
            f"cannot write {path} ({error.strerror}): set WATTBIT_HOME to a directory you may write"
        ) from error

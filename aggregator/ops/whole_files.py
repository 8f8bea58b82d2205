"""Files read and written as wholes: nothing half-written ever stands under its name."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from accounts.core.errors import Refused


class UnreadableFile(Refused):
    """A file that cannot be read or written, or is no document of ours."""


def content_of(path: Path) -> bytes:
    """Return a file's bytes.

    Raises
    ------
    UnreadableFile
        Naming the path and what the system says.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UnreadableFile(
            field=str(path), value=error.strerror, rule="a readable file"
        ) from error


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that at no moment a part of it stands under its name.

    Raises
    ------
    UnreadableFile
        Naming the path and what the system says.
    """
    temporary = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise UnreadableFile(
            field=str(path), value=error.strerror, rule="a writable file"
        ) from error

"""Checkpoints outside the database: a file that is only ever added to.

Who rewrites the whole chain, key and all, still meets what this file, the subscribers of
``audit.checkpoint`` and readers of the public door already hold.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from accounts.audit.models import AuditCheckpoint
from accounts.core.chain import Checkpoint, checkpoint_from_json

LINE_BYTES_MAX: Final = 1_000


class CheckpointsUnreadable(Exception):
    """The file of checkpoints cannot be read as one."""


def checkpoints_write(path: Path) -> int:
    """Append the checkpoints that `path` does not hold yet; returns how many.

    A crash between a checkpoint and its line costs nothing: the next call makes it up. A line
    that was cut is ended first, so that it never runs into the next.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, is_cut = _last(path)
    rows = AuditCheckpoint.objects.filter(number__gt=number).order_by("number")
    lines = [_line(row.as_checkpoint()) for row in rows.iterator(chunk_size=1_000)]
    if not lines:
        return 0
    text = ("\n" if is_cut else "") + "".join(lines)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
    return len(lines)


def checkpoints_read(path: Path) -> list[Checkpoint]:
    """Return the checkpoints of a file, one JSON object a line; a cut last line is left out.

    Raises
    ------
    CheckpointsUnreadable
        If there is no such file, or a line is something else.
    """
    return [checkpoint for checkpoint, _ in _read(path)]


def _read(path: Path) -> Iterator[tuple[Checkpoint, int]]:
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise CheckpointsUnreadable(f"{path}: {error.strerror}") from error
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield checkpoint_from_json(json.loads(line)), number
        except ValueError as error:
            # a crash in the middle of a line leaves one that no later line completes
            if line.endswith(b"}"):
                raise CheckpointsUnreadable(f"{path}, line {number}: {error}") from error


def _line(checkpoint: Checkpoint) -> str:
    return json.dumps(checkpoint.as_json(), sort_keys=True, separators=(",", ":")) + "\n"


def _last(path: Path) -> tuple[int, bool]:
    """Return the number of the last whole line, and whether the file ends in the middle of one."""
    if not path.exists():
        return 0, False
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 3 * LINE_BYTES_MAX))
        tail = file.read()
    for line in reversed(tail.split(b"\n")):
        try:
            return checkpoint_from_json(json.loads(line)).number, not tail.endswith(b"\n")
        except ValueError:
            continue
    return 0, bool(tail) and not tail.endswith(b"\n")

"""The solver process: ``python -m market.core.worker``.

It imports the solver once, says it is ready, and then answers each snapshot frame on standard
input with one frame on standard output, until its input ends. A process of its own can be killed
at the deadline, which no signal handler could do to a thread inside the solver, and a crash of
the solver takes nobody else with it.

Frames in: 8 bytes length (big-endian), then the snapshot. Frames out: one byte kind, 8 bytes
length, then the content. Kinds: ``R`` ready, ``O`` result bytes, ``E`` an error as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import struct
import sys
from typing import Any, BinaryIO, Final

from accounts.core.errors import Refused

READY: Final = b"R"
RESULT: Final = b"O"
ERROR: Final = b"E"
LENGTH: Final = struct.Struct(">Q")
BYTES_PER_MIB: Final = 1024 * 1024


def frame_read(stream: BinaryIO) -> bytes | None:
    """Return the next frame's content, or ``None`` at the end of the input."""
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    content = stream.read(length)
    return content if len(content) == length else None


def frame_write(stream: BinaryIO, kind: bytes, content: bytes) -> None:
    """Write one frame."""
    stream.write(kind + LENGTH.pack(len(content)) + content)
    stream.flush()


def answer(content: bytes) -> tuple[bytes, bytes]:
    """Return kind and content of the answer to a snapshot; never raises for what it reads."""
    from market.core.results import clear_bytes

    try:
        return RESULT, clear_bytes(content)
    except Exception as found:  # noqa: BLE001 - the parent decides; a worker has nobody above it
        return ERROR, json.dumps(_described(found)).encode()


def _described(found: Exception) -> dict[str, Any]:
    described: dict[str, Any] = {"error": type(found).__name__, "message": str(found)}
    if isinstance(found, Refused):
        simple = isinstance(found.value, (str, int, float, type(None)))
        value = found.value if simple else repr(found.value)
        described |= {"field": found.field, "value": value, "rule": found.rule}
    return described


def main() -> None:
    """Serve snapshots until the input ends."""
    parser = argparse.ArgumentParser(description="Clear snapshots read from standard input.")
    parser.add_argument("--memory-limit-mib", type=int, default=0, help="0 sets no limit")
    limit_mib = parser.parse_args().memory_limit_mib
    if limit_mib:
        resource.setrlimit(resource.RLIMIT_AS, (limit_mib * BYTES_PER_MIB,) * 2)
    # Frames own standard output; whatever a library prints goes to standard error.
    frames = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    from market.core.solver import SOLVER_NAME, solver_version, warm_up

    warm_up()
    frame_write(frames, READY, f"{SOLVER_NAME} {solver_version()}".encode())
    while (content := frame_read(sys.stdin.buffer)) is not None:
        frame_write(frames, *answer(content))


if __name__ == "__main__":
    main()

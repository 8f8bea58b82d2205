"""Ids of rows that are told apart by when they were written."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from typing import Final

TICKS_PER_MS: Final = 4096  # twelve bits below the millisecond: 244 ns
NS_PER_MS: Final = 1_000_000
RANDOM_BITS: Final = 62

_lock = threading.Lock()
_latest = 0  # tick of the last id; no two of a process share one


def uuid7() -> uuid.UUID:
    """Return a new id that sorts after every id this process made before.

    For rows shown in the order in which they were written: rows of one moment of the market's
    clock, which may stand still, are told apart by it. Between processes the order is that of
    the machine's clock; where it must be exact, the writer holds a lock meanwhile.

    Returns
    -------
    uuid.UUID
        Version 7: milliseconds since 1970, twelve bits of their fraction, 62 random bits.

    References
    ----------
    RFC 9562, §5.7 and §6.2, method 3.
    """
    global _latest  # noqa: PLW0603 - one row of ids per process
    with _lock:
        now_ms, rest_ns = divmod(time.time_ns(), NS_PER_MS)
        _latest = tick = max(
            now_ms * TICKS_PER_MS + rest_ns * TICKS_PER_MS // NS_PER_MS, _latest + 1
        )
    ms, fraction = divmod(tick, TICKS_PER_MS)
    return uuid.UUID(
        int=ms << 80 | 7 << 76 | fraction << 64 | 2 << RANDOM_BITS | secrets.randbits(RANDOM_BITS)
    )

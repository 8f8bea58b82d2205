"""How much a caller may ask, and how much is worked on at once.

All of it is in the memory of one process, so that no limit depends on a server that may hang.

Two questions are told apart. *Is this caller too fast?* A token bucket per caller and kind of
door: 429 with the time until the next token. *Is there room?* A count of requests in work: 503 at
once when it is full, instead of a queue in which all become late. The last places are kept for
organisations that have no request in work, so that one that floods us shuts out itself only.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from aggregator.api.v1.problem import Stopped

CALLERS_MAX: Final = 20_000
FULL_RETRY_S: Final = 1


@dataclass(frozen=True, kw_only=True)
class Rate:
    """A kind of door: so many a second in the long run, so many at once after a rest."""

    per_s: float
    burst: int


class Buckets:
    """Token buckets by caller; those that were used longest ago are forgotten first.

    Parameters
    ----------
    rates
        By kind of door.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, rates: Mapping[str, Rate], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rates = dict(rates)
        self._clock = clock
        self._lock = threading.Lock()
        self._held: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()

    def spend(self, caller: str, kind: str) -> None:
        """Take one token of `caller`.

        Raises
        ------
        Stopped
            ``too-many-requests``, with the time until there is a token again.
        """
        rate = self._rates[kind]
        with self._lock:
            now = self._clock()
            tokens, at = self._held.pop((caller, kind), (float(rate.burst), now))
            tokens = min(float(rate.burst), tokens + (now - at) * rate.per_s)
            is_empty = tokens < 1
            self._held[caller, kind] = (tokens if is_empty else tokens - 1, now)
            if len(self._held) > CALLERS_MAX:
                self._held.popitem(last=False)
        if is_empty:
            wait_s = math.ceil((1 - tokens) / rate.per_s)
            raise Stopped(
                "too-many-requests",
                f"at most {rate.per_s:g} a second, {rate.burst} at once",
                detail_ja=f"毎秒 {rate.per_s:g} 件、一度に {rate.burst} 件までです",
                retry_after_s=wait_s,
            )


class Admission:
    """Places for requests in work.

    Parameters
    ----------
    places
        Of one process.
    kept
        Of these, only for organisations without a request in work.
    """

    def __init__(self, places: int, kept: int) -> None:
        self._places, self._kept = places, kept
        self._lock = threading.Lock()
        self._in_work = 0
        self._of: dict[str, int] = {}

    @property
    def in_work(self) -> int:
        """Requests that have a place."""
        return self._in_work

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold a place while a request is worked on, before it is known whose it is."""
        with self._lock:
            if self._in_work >= self._places:
                raise _full()
            self._in_work += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_work -= 1

    @contextmanager
    def lane(self, whose: str) -> Iterator[None]:
        """Go on as `whose`; the place is held already."""
        with self._lock:
            held = self._of.get(whose, 0)
            if held and self._in_work > self._places - self._kept:
                raise _full()
            self._of[whose] = held + 1
        try:
            yield
        finally:
            with self._lock:
                if self._of[whose] == 1:
                    del self._of[whose]
                else:
                    self._of[whose] -= 1


def _full() -> Stopped:
    return Stopped(
        "unavailable",
        "too much is being worked on; nothing of this request was done",
        detail_ja="処理中の要求が多すぎます。この要求は処理していません",
        retry_after_s=FULL_RETRY_S,
    )


BUCKETS: Final = Buckets(
    {
        kind: Rate(per_s=rate["per_s"], burst=int(rate["burst"]))
        for kind, rate in settings.API_RATES.items()
    }
)
ADMISSION: Final = Admission(**settings.API_ADMISSION)

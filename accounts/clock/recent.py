"""Reads that may be a moment old: kept in this process for as long as the settings say.

For facts that change by hand, a few times a day, and are asked for hundreds of times a second. A
change is seen by every process at the latest after that moment. What decides a gate, a limit that
is being used up or money is never read this way.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from django.conf import settings

COUNT_MAX: Final = 20_000
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Values by key, each read at most ``settings.RECENT_S`` seconds ago.

    Parameters
    ----------
    read
        Returns the values of the keys asked for; keys it leaves out are asked for again each
        time, so that what was just registered is found at once.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        read: Callable[[Iterable[Key]], Mapping[Key, Value]],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, tuple[float, Value]] = OrderedDict()

    def of(self, keys: Iterable[Key]) -> dict[Key, Value]:
        """Return the values of `keys`, as far as there are any."""
        kept_s: float = settings.RECENT_S
        wanted = set(keys)
        if kept_s <= 0:
            return dict(self._read(wanted)) if wanted else {}
        found: dict[Key, Value] = {}
        # The moment before the read: what changes during it must not seem newer than it is.
        now_s = self._clock()
        with self._lock:
            for key in wanted:
                kept = self._kept.get(key)
                if kept is not None and now_s - kept[0] < kept_s:
                    found[key] = kept[1]
        missing = wanted - found.keys()
        if missing:
            read = self._read(missing)
            with self._lock:
                for key, value in read.items():
                    self._kept[key] = (now_s, value)
                    self._kept.move_to_end(key)
                while len(self._kept) > COUNT_MAX:
                    self._kept.popitem(last=False)
            found |= read
        return found

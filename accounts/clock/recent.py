"""Reads that may be a moment old: kept in this process for as long as the settings say.

For facts that change by hand, a few times a day, and are asked for hundreds of times a second. A
change is seen by every process at the latest after that moment. What decides a gate, a limit that
is being used up or money is never read this way.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final, Generic, TypeVar

from django.conf import settings

COUNT_MAX: Final = 20_000
AHEAD_MAX: Final = 1_000
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Kept(Generic[Value]):
    """A value, when it was read, and whether anybody asked for it since."""

    __slots__ = ("is_asked", "read_s", "value")

    def __init__(self, value: Value, read_s: float) -> None:
        self.value = value
        self.read_s = read_s
        self.is_asked = False


class Recent(Generic[Key, Value]):
    """Values by key, each read at most ``settings.RECENT_S`` seconds ago.

    Whatever is read anew takes along what is half as old and was asked for since it was read:
    hundreds of keys in use cost one read a second, not one each. One thread reads at a time, so
    that those who miss the same do not all read it.

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
        self._reading = threading.Lock()
        self._kept: OrderedDict[Key, _Kept[Value]] = OrderedDict()  # the oldest first

    def of(self, keys: Iterable[Key]) -> dict[Key, Value]:
        """Return the values of `keys`, as far as there are any."""
        kept_s: float = settings.RECENT_S
        wanted = set(keys)
        if kept_s <= 0:
            return dict(self._read(wanted)) if wanted else {}
        found = self._found(wanted, kept_s)
        missing = wanted - found.keys()
        if missing:
            with self._reading:
                found |= self._found(missing, kept_s)  # read by another thread meanwhile
                missing -= found.keys()
                if missing:
                    found |= self._anew(missing, kept_s)
        return found

    def _found(self, wanted: Iterable[Key], kept_s: float) -> dict[Key, Value]:
        """Return what is at hand and young enough."""
        found: dict[Key, Value] = {}
        oldest_s = self._clock() - kept_s
        with self._lock:
            for key in wanted:
                kept = self._kept.get(key)
                if kept is not None and kept.read_s > oldest_s:
                    kept.is_asked = True
                    found[key] = kept.value
        return found

    def _anew(self, missing: set[Key], kept_s: float) -> dict[Key, Value]:
        """Read what is missing, and what soon will be."""
        # The moment before the read: what changes during it must not seem newer than it is.
        now_s = self._clock()
        asked = missing | self._ageing(now_s, kept_s)
        read = self._read(asked)
        with self._lock:
            for key in asked - read.keys():
                self._kept.pop(key, None)
            for key, value in read.items():
                self._kept[key] = _Kept(value, now_s)
                self._kept.move_to_end(key)
            while len(self._kept) > COUNT_MAX:
                self._kept.popitem(last=False)
        return {key: read[key] for key in missing if key in read}

    def _ageing(self, now_s: float, kept_s: float) -> set[Key]:
        """Return what is past half its time and in use; forget what is past it and was not."""
        ageing: set[Key] = set()
        with self._lock:
            for key, kept in list(itertools.islice(self._kept.items(), AHEAD_MAX)):
                if kept.read_s > now_s - kept_s / 2:
                    break
                if kept.is_asked:
                    ageing.add(key)
                elif kept.read_s <= now_s - kept_s:
                    del self._kept[key]
        return ageing

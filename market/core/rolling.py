"""An intraday or rolling run: the same auction again, with changed bids and needs, warm.

The first run is an ordinary one. Each later run starts from the one before: a small book from its
basis, a large one from a point on the way to its optimum. Either is settled and checked like any
other. A warm result is the cold one to the solver's digits, not to the last bit: what is published
for replay is cleared cold (:func:`market.core.results.clear_bytes`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Self

import numpy as np

from market.core.clearing import (
    LARGE_COLUMN_COUNT,
    Clearing,
    both_ways,
    broken_rows,
    clear,
    cleared_fast,
    least,
)
from market.core.errors import SolverFailed
from market.core.fast.kept import Kept
from market.core.fast.threads import one_thread
from market.core.pivotal import pivotal_test
from market.core.programme import programme
from market.core.rerun import Rerun, is_same_grid
from market.core.snapshot import Snapshot


class Rolling:
    """Clears one snapshot after the other, and remembers."""

    def __init__(self) -> None:
        self._rerun: Rerun | None = None
        self._last: Clearing | None = None
        self._kept: Kept | None = None
        self._size = LARGE_COLUMN_COUNT

    @classmethod
    def after(cls, found: Clearing) -> Self:
        """Return one that goes on from a clearing made elsewhere; with integers it starts cold."""
        rolling = cls()
        rolling._remember(found)
        return rolling

    def _remember(self, found: Clearing) -> None:
        self._rerun, self._kept, self._size = None, None, found.programme.size
        self._last = None if found.is_held.any() or len(found.programme.binary) else found

    @property
    def iteration_count(self) -> int:
        """Return the simplex iterations of the last warm run; 0 if there was none."""
        return self._rerun.iteration_count if self._rerun is not None else 0

    def clear(self, snapshot: Snapshot) -> Clearing:
        """Return the clearing of a snapshot, settled in prices and ties.

        Parameters
        ----------
        snapshot
            Any; those before with the same network and columns make it cheap.

        Raises
        ------
        SolverFailed
            As :func:`market.core.clearing.clear`; a warm road that fails is left for the cold one.
        """
        found = self._large(snapshot) or self._warm(snapshot)
        if found is None:
            found = clear(snapshot)
            self._remember(found)
        return found

    def ready(self) -> None:
        """Prepare the next warm run; worth doing when nobody waits."""
        last = self._last
        if self._rerun is None and last is not None and last.programme.size < LARGE_COLUMN_COUNT:
            rerun = Rerun()
            rerun.adopt(last)
            self._rerun = rerun

    @one_thread()
    def _large(self, snapshot: Snapshot) -> Clearing | None:
        """Return the clearing of a large book, from where the one before was on its way."""
        last = self._last
        if self._size < LARGE_COLUMN_COUNT:
            return None
        tested = pivotal_test(snapshot)
        is_known = last is not None and is_same_grid(last.snapshot, tested.snapshot)
        flows = last.programme.sensitivity if last is not None and is_known else None
        found = cleared_fast(programme(tested.snapshot, flows=flows), self._kept, keeps=True)
        if found is None:
            return None
        cleared = replace(found[0], pivotal=tested.findings)
        self._remember(cleared)
        self._kept = found[1]
        return cleared

    def _warm(self, snapshot: Snapshot) -> Clearing | None:
        last = self._last
        if last is None or last.programme.size >= LARGE_COLUMN_COUNT:
            return None
        if pivotal_test(snapshot).findings:
            return None
        try:
            self.ready()
            if self._rerun is None:
                return None
            found = self._rerun.clear(snapshot)
            if len(found.programme.binary) or len(both_ways(found)):
                return None
            found = least(found)
        except SolverFailed:
            return None
        broken = broken_rows(found.programme, found.x_kw)
        is_whole = not np.any([len(keys) for keys in broken.values()])
        return found if is_whole and not len(both_ways(found)) else None

"""Needs: what grid operators and loads ask for, each a demand curve of falling steps.

A need of any kind has `steps`, each so many kW per half hour worth so many yen per kWh at most
(per kW and half hour for capacity). A need with one step may be written without the list. With
``pricing`` *posted* the need pays its cap to all it takes, whatever the auction's price.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    BoolArray,
    FloatArray,
    IntArray,
    frozen_floats,
    frozen_ints,
    frozen_series,
)
from market.core.reading import Reader
from market.core.units import DIRECTION_SIGN

AUCTION: Final = "auction"
POSTED: Final = "posted"
STEP_COUNT_MAX: Final = 20
DEMAND: Final = ("steps", "need_kw", "cap_jpy_per_kwh", "pricing")
"""The optional entries every need has, beside what says where it is."""


def demand_parse(reader: Reader, entry: Mapping[str, Reader], count: int) -> dict[str, Any]:
    """Return the canonical ``steps`` and ``pricing`` of a need.

    Parameters
    ----------
    reader, entry
        The need, and its entries as read.
    count
        Number of half hours T.

    Raises
    ------
    InvalidSnapshot
        If both or neither of the two ways to write a demand are used, a series is no series of T
        numbers, or caps rise along the steps.
    """
    pricing = entry["pricing"].choice((AUCTION, POSTED)) if "pricing" in entry else AUCTION
    short = {"need_kw", "cap_jpy_per_kwh"} & entry.keys()
    if ("steps" in entry) == bool(short):
        reader.refuse("must have either steps, or need_kw and cap_jpy_per_kwh")
    if short:
        for name in ("need_kw", "cap_jpy_per_kwh"):
            if name not in entry:
                reader.refuse(f"must have {name} too")
        return {"steps": [_step(entry, count)], "pricing": pricing}
    items = entry["steps"].items()
    if not 1 <= len(items) <= STEP_COUNT_MAX:
        entry["steps"].refuse(f"must have 1 to {STEP_COUNT_MAX} steps")
    steps = [_step(item.fields(required=("need_kw", "cap_jpy_per_kwh")), count) for item in items]
    for before, after in itertools.pairwise(steps):
        if np.any(np.greater(after["cap_jpy_per_kwh"], before["cap_jpy_per_kwh"])):
            entry["steps"].refuse("must have caps that do not rise from step to step")
    if pricing == POSTED and len(steps) > 1:
        entry["steps"].refuse("must be a single step where the price is posted")
    return {"steps": steps, "pricing": pricing}


def _step(entry: Mapping[str, Reader], count: int) -> dict[str, Any]:
    return {
        "need_kw": entry["need_kw"].series(count, low=0),
        "cap_jpy_per_kwh": entry["cap_jpy_per_kwh"].series(count, low=0, high=1e9),
    }


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Needs of one kind; axes D = needs, S = steps of all of them, in order.

    `where` is an element, an area, a place, or a product·areas + area; `sign` the sign of the
    flow to be reduced, or +1 for UP and −1 for DOWN.
    """

    ids: tuple[str, ...]
    where: IntArray
    sign: FloatArray
    is_posted: BoolArray
    step_need: IntArray
    """Need of each step, (S,)."""
    need_kw: FloatArray
    """(S, T)."""
    cap_jpy_per_kwh: FloatArray
    """(S, T); JPY/kW·30 min for capacity."""

    def total(self, of_steps: FloatArray) -> FloatArray:
        """Return sums over the steps of each need, (D, T)."""
        sums = np.zeros((len(self.ids), of_steps.shape[1]))
        np.add.at(sums, self.step_need, of_steps)
        return sums

    @property
    def asked_kw(self) -> FloatArray:
        """Return what each need asks for in all, (D, T)."""
        return self.total(self.need_kw)

    @property
    def top_cap_jpy_per_kwh(self) -> FloatArray:
        """Return the cap of each need's first step, (D, T)."""
        first = np.searchsorted(self.step_need, np.arange(len(self.ids)))
        return self.cap_jpy_per_kwh[first]


def table(entities: list[dict[str, Any]], where: IntArray, count: int) -> Needs:
    """Return the arrays of canonical needs of one kind.

    Parameters
    ----------
    entities
        Canonical needs, ascending by id.
    where
        Number of the place, element, area or product each is about, (D,).
    count
        Number of half hours T.
    """
    steps = [(row, step) for row, need in enumerate(entities) for step in need["steps"]]
    return Needs(
        ids=tuple(need["id"] for need in entities),
        where=where,
        sign=frozen_floats(
            DIRECTION_SIGN[need["direction"]] if "direction" in need else need.get("sign", 1)
            for need in entities
        ),
        is_posted=np.array([need["pricing"] == POSTED for need in entities], dtype=bool),
        step_need=frozen_ints(row for row, _ in steps),
        need_kw=frozen_series((step["need_kw"] for _, step in steps), count),
        cap_jpy_per_kwh=frozen_series((step["cap_jpy_per_kwh"] for _, step in steps), count),
    )

"""Blocks that differ in nothing but their id: which of them is accepted is a matter of rule.

Without a rule a search would try them all, and which one it ends with would be its own business.
So of such blocks the first ids are accepted first; no better decision is lost by that.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from market.core.offers.blocks import FORM, NONE, BlockTable
from market.core.offers.terms import IntArray
from market.core.programme import Programme


def twins(base: Programme) -> IntArray:
    """Return (earlier, later) acceptances of blocks that could change places, (k, 2).

    Resources of one place are as good as each other where neither has a limit that could bind
    nor sells capacity.

    Parameters
    ----------
    base
        The problem.
    """
    snapshot, book = base.snapshot, base.snapshot.books[FORM]
    count, resources = snapshot.interval_count, len(snapshot.resource_ids)
    is_limited = np.zeros(resources, dtype=bool)
    for name in ("sold_up", "sold_down"):
        is_limited[base.rows[name].keys // count] = True
    is_limited[snapshot.books["CAPACITY"].resource] = True
    place = resources + snapshot.resource_place[book.resource]
    alike = np.where(is_limited[book.resource], book.resource, place)
    return np.asarray(base.slices[FORM].start + twin_rows(book, alike))


def twin_rows(block: BlockTable, alike: IntArray) -> IntArray:
    """Return (earlier, later) rows of blocks that differ in nothing but their id, (k, 2).

    A block that others have as a parent has no twin.

    Parameters
    ----------
    block
        The blocks.
    alike
        Number of what a block's resource is interchangeable with, (B,).
    """
    is_parent = np.zeros(len(block.ids), dtype=bool)
    is_parent[block.parent[block.parent != NONE]] = True
    first = np.searchsorted(block.pair_bid, np.arange(len(block.ids) + 1))
    last_seen: dict[tuple[Any, ...], int] = {}
    found = []
    for row in range(len(block.ids)):
        pair = slice(first[row], first[row + 1])
        mark = (
            int(alike[row]),
            float(block.sign[row]),
            float(block.ask_jpy_per_kwh[row]),
            float(block.acceptance_min_ratio[row]),
            float(block.start_cost_jpy[row]),
            int(block.run_min_count[row]),
            int(block.parent[row]),
            int(block.group[row]),
            int(block.pair_t[pair.start]),
            block.quantity_kw[pair].tobytes(),
        )
        if is_parent[row]:
            continue
        if mark in last_seen:
            found.append((last_seen[mark], row))
        last_seen[mark] = row
    return np.array(found, dtype=np.int64).reshape(-1, 2)

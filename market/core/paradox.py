r"""Blocks in the money that are rejected: what prices alone do not explain.

With integers no price supports every decision. A block whose whole profile would gain at the
prices can still be left out, because it does not fit whole; such blocks are listed with what they
would have gained, so that nothing hides them. The gain is taken at unrounded prices, less what
the resource's own limit is worth (another bid of its owner uses it), at the best the block's rules
allow:

.. math:: \max_{r \le \alpha \le 1} \alpha\, h \sum_t q_t m_t - S, \qquad
          m_t = \pm \pi_t - a - \rho_t ,

or, with a minimum run, the best runs of its window, each less the start cost.

A block that its own side rules out is no paradox: where another of its exclusive group is
accepted, only what it would gain beyond that one counts; where its parent is rejected too, what
it and its rejected ancestors would gain together.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from market.core.clearing import Clearing
from market.core.offers.blocks import FORM, NONE, BlockTable
from market.core.offers.terms import FloatArray
from market.core.pricing import Prices

LEAST_JPY: Final = 0.01
"""A sen: less is told by no price tick."""
JPY_DIGITS: Final = 6


def rejected_in_money(clearing: Clearing, found: Prices) -> list[dict[str, Any]]:
    """Return the rejected blocks that would gain at the prices, in the order of their ids.

    Returns
    -------
    list of dict
        ``bid`` and ``surplus_jpy``, what acceptance would have gained it.
    """
    block: BlockTable = clearing.snapshot.books[FORM]
    if not len(block.ids):
        return []
    columns = clearing.programme.forms[FORM]
    x_kw = clearing.x_kw[clearing.programme.slices[FORM]]
    is_accepted = x_kw[columns.families["accepted"]] > 0.5  # noqa: PLR2004
    surplus_jpy = _best_jpy(block, _worth_jpy(clearing, found, block))
    lost_jpy = surplus_jpy - _taken_jpy(block, surplus_jpy, is_accepted)
    published = []
    for row in np.flatnonzero(~is_accepted):
        forgone_jpy, ancestor = lost_jpy[row], block.parent[row]
        while ancestor != NONE and not is_accepted[ancestor]:
            forgone_jpy += surplus_jpy[ancestor]
            ancestor = block.parent[ancestor]
        if forgone_jpy >= LEAST_JPY:
            amount_jpy = round(float(forgone_jpy), JPY_DIGITS)
            published.append({"bid": block.ids[row], "surplus_jpy": amount_jpy})
    return published


def _worth_jpy(clearing: Clearing, found: Prices, block: BlockTable) -> FloatArray:
    """Return what the whole quantity of each pair gains, start cost aside, (N,)."""
    snapshot, current = clearing.snapshot, clearing.programme
    resource, sign = block.resource[block.pair_bid], block.sign[block.pair_bid]
    scarce = []
    for name in ("sold_up", "sold_down"):
        full = np.zeros(len(snapshot.resource_ids) * snapshot.interval_count)
        full[current.rows[name].keys] = -clearing.dual_jpy_per_kw[name] / snapshot.interval_h
        scarce.append(full.reshape(-1, snapshot.interval_count)[resource, block.pair_t])
    price = found.place_jpy_per_kwh[snapshot.resource_place[resource], block.pair_t]
    margin = sign * price - np.where(sign > 0, *scarce) - block.ask_jpy_per_kwh[block.pair_bid]
    return np.asarray(snapshot.interval_h * block.quantity_kw * margin)


def _best_jpy(block: BlockTable, worth_jpy: FloatArray) -> FloatArray:
    """Return the gain of each block if it is accepted, (B,)."""
    count, least = len(block.ids), block.acceptance_min_ratio
    total_jpy = np.bincount(block.pair_bid, weights=worth_jpy, minlength=count)
    best_jpy = np.where(total_jpy > 0, total_jpy, least * total_jpy) - block.start_cost_jpy
    for row in np.flatnonzero(block.is_running):
        mine = worth_jpy[block.pair_bid == row]
        mine = np.where(mine > 0, mine, least[row] * mine)
        best_jpy[row] = best_runs_jpy(
            mine, int(block.run_min_count[row]), float(block.start_cost_jpy[row])
        )
    return best_jpy


def best_runs_jpy(worth_jpy: FloatArray, run_min_count: int, start_cost_jpy: float) -> float:
    """Return the most that one or more runs gain, each at least `run_min_count` long.

    Parameters
    ----------
    worth_jpy
        Gain of running in each half hour of the window, (n,).
    run_min_count
        Least length of a run, at most n.
    start_cost_jpy
        What each run costs beside.
    """
    total = np.concatenate([[0.0], np.cumsum(worth_jpy)])
    # Up to each half hour: the best with a run still going on, and the best with one that is over.
    best_over = np.full(len(total), -np.inf)
    going = -np.inf
    for end in range(run_min_count, len(total)):
        start = end - run_min_count
        before = max(0.0, best_over[start])
        going = max(going + worth_jpy[end - 1], before + total[end] - total[start] - start_cost_jpy)
        best_over[end] = max(best_over[end - 1], going)
    return float(best_over[-1])


def _taken_jpy(block: BlockTable, surplus_jpy: FloatArray, is_accepted: Any) -> FloatArray:
    """Return what the accepted block of each one's group gains, at least 0, (B,)."""
    taken_jpy = np.zeros(len(block.group_keys) + 1)
    chosen = np.flatnonzero(is_accepted & (block.group != NONE))
    taken_jpy[block.group[chosen]] = np.maximum(0.0, surplus_jpy[chosen])
    return np.asarray(taken_jpy[block.group])

"""Blocks listed as rejected in the money: the audit's own count of what each would have gained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from market.core.audit.awards import MONEY_NOISE_JPY, Figure
from market.core.audit.ledger import Array
from market.core.audit.whole import Parts

LEAST_JPY: Final = 0.01
"""Gains below a sen need not be listed."""


def rejected_figures(result: Mapping[str, Any], parts: Parts) -> Iterator[Figure]:
    """Yield name, value and limit of the check on the list of rejected blocks.

    Raises
    ------
    ValueError
        If it names a bid that is no rejected block, or one twice, or is out of order.
    """
    forgone_jpy = forgone(parts)
    listed = [item["bid"] for item in result["rejected_in_money"]]
    if listed != sorted(set(listed)) or not set(listed) <= set(forgone_jpy):
        raise ValueError(f"rejected_in_money: {', '.join(map(str, listed))}")
    off_jpy = [
        abs(item["surplus_jpy"] - forgone_jpy[item["bid"]]) for item in result["rejected_in_money"]
    ]
    off_jpy += [item["surplus_jpy"] < LEAST_JPY for item in result["rejected_in_money"]]
    off_jpy += [
        amount_jpy - LEAST_JPY for name, amount_jpy in forgone_jpy.items() if name not in listed
    ]
    yield "rejected in the money [JPY]", max([0.0, *map(float, off_jpy)]), MONEY_NOISE_JPY


def forgone(parts: Parts) -> dict[str, float]:
    """Return what each rejected block would have gained at the prices; negative is a loss.

    Beyond what the accepted block of its group gains, and together with its rejected ancestors.
    """
    book = parts.book
    blocks = {name: bid for name, bid in book.market.bids.items() if bid["form"] == "BLOCK"}
    position = {name: number for number, name in enumerate(book.bid_ids)}
    is_accepted = {
        name: book.x[book.start[position[name]]["accepted"]] > 0.5  # noqa: PLR2004
        for name in blocks
    }
    gain_jpy = {name: _gain_jpy(bid, parts) for name, bid in blocks.items()}
    taken_jpy: dict[tuple[str | None, str], float] = {}
    for name, bid in blocks.items():
        if is_accepted[name] and bid["exclusive_group"] is not None:
            taken_jpy[bid.get("owner"), bid["exclusive_group"]] = max(0.0, gain_jpy[name])
    found = {}
    for name, bid in blocks.items():
        if not is_accepted[name]:
            found[name] = gain_jpy[name] - taken_jpy.get(
                (bid.get("owner"), bid["exclusive_group"]), 0.0
            )
            found[name] += _of_ancestors(bid["parent"], blocks, is_accepted, gain_jpy)
    return found


def _of_ancestors(
    parent: str | None,
    blocks: Mapping[str, Mapping[str, Any]],
    is_accepted: Mapping[str, bool],
    gain_jpy: Mapping[str, float],
) -> float:
    total_jpy = 0.0
    while parent is not None and not is_accepted[parent]:
        total_jpy += gain_jpy[parent]
        parent = blocks[parent]["parent"]
    return total_jpy


def _gain_jpy(bid: Mapping[str, Any], parts: Parts) -> float:
    """Return the most a block gains if it is accepted."""
    profile_kw = np.array(bid["quantity_kw"], dtype=float)
    t = bid["first_t"] + np.arange(len(profile_kw))
    row = list(parts.book.market.resources).index(bid["resource"])
    prices, duals = parts.prices, parts.prices.duals
    if bid["direction"] == "UP":
        worth = prices.resource[row, t] - duals.sold_up[row, t]
    else:
        worth = -prices.resource[row, t] - duals.sold_down[row, t]
    gain_jpy = parts.book.market.h * profile_kw * (worth - bid["ask_jpy_per_kwh"])
    ratios = (bid["acceptance_min_ratio"], 1.0)
    if bid["run_min_count"] is None:
        return float(max(ratio * gain_jpy.sum() for ratio in ratios) - bid["start_cost_jpy"])
    best_jpy = np.maximum(*(ratio * gain_jpy for ratio in ratios))
    return _of_runs(best_jpy, bid["run_min_count"], bid["start_cost_jpy"])


def _of_runs(gain_jpy: Array, shortest: int, start_cost_jpy: float) -> float:
    """Return the best gain of one run or more, over every way to end the last one."""
    most = np.full(len(gain_jpy) + 1, -np.inf)
    for end in range(shortest, len(gain_jpy) + 1):
        for start in range(end - shortest + 1):
            run_jpy = float(gain_jpy[start:end].sum()) - start_cost_jpy
            most[end] = max(most[end], run_jpy + max(0.0, float(most[: start + 1].max())))
    return float(most.max())

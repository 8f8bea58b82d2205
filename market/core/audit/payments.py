"""Who pays whom beside the market's prices: make-whole, posted prices, asks, rents and the fee."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from market.core.audit.awards import MONEY_NOISE_JPY, Figure
from market.core.audit.ledger import Array
from market.core.audit.prices import Income
from market.core.audit.whole import Parts

SHORT_RATIO: Final = 1e-9


def make_whole_jpy(result: Mapping[str, Any], parts: Parts) -> Array:
    """Return what each bid is made whole by, as published, (B,).

    Raises
    ------
    ValueError
        If it names no bid, or one twice.
    """
    numbers = {name: number for number, name in enumerate(parts.book.bid_ids)}
    found = np.zeros(len(numbers))
    items = result["payments"]["make_whole"]
    names = [item["bid"] for item in items]
    strangers = sorted(set(names) - set(numbers))
    if strangers or len(set(names)) != len(names):
        raise ValueError(f"payments.make_whole: {', '.join(names)}")
    for item in items:
        found[numbers[item["bid"]]] = item["amount_jpy"]
    return found


def short_jpy(parts: Parts, income: Income) -> Array:
    """Return what integers leave each bid short of its ask at the unrounded prices, (B,).

    Bids that back each other have one surplus; what they lack together is shared by those that
    lack it, in that ratio. Only where some column is held by a decision can anything lack.
    """
    book = parts.book
    sold = income.energy + income.capacity + income.computing - income.traffic - book.cost_jpy
    left_jpy = book.by_bid(sold * book.x)
    gross_jpy = book.by_bid(np.abs(book.cost_jpy * book.x))
    decided = book.by_bid(book.is_held.astype(float))
    group, count = book.backed, len(book.bid_ids)
    lacking = -np.bincount(group, weights=left_jpy, minlength=count)
    size = np.maximum(1.0, np.bincount(group, weights=gross_jpy, minlength=count))
    is_short = np.bincount(group, weights=decided, minlength=count) > 0
    lacking = np.where(is_short & (lacking > SHORT_RATIO * size), lacking, 0.0)
    behind = np.maximum(-left_jpy, 0.0)
    total = np.bincount(group, weights=behind, minlength=count)[group]
    share = np.divide(behind, total, out=np.zeros(count), where=total > 0)
    return np.asarray(lacking[group] * share)


def payment_figures(result: Mapping[str, Any], parts: Parts, income: Income) -> Iterator[Figure]:
    """Yield name, value and limit of the checks on payments."""
    off_jpy = np.abs(make_whole_jpy(result, parts) - short_jpy(parts, income))
    yield "made whole by what integers leave short [JPY]", _worst(off_jpy), MONEY_NOISE_JPY
    items = [
        item["amount_jpy"]
        - sum(need["jpy"] for need in item["needs"])
        - item["congestion_rent_jpy"]
        - item["fee_jpy"]
        for item in result["payments"]["make_whole"]
    ]
    yield "make-whole borne in full [JPY]", _worst(np.abs(np.array(items))), MONEY_NOISE_JPY


def _worst(amounts: Array) -> float:
    return float(np.max(amounts, initial=0.0))

"""Which transfers a close makes out of exact items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from accounts.core.errors import ensure
from accounts.core.money import Rounding, exact_jpy, round_jpy, sum_exact_jpy

ROUNDING_ITEM = "ROUNDING"


@dataclass(frozen=True, kw_only=True, order=True)
class ExactItem:
    """What one account receives (+) or pays (−) for one kind of charge in a period [JPY]."""

    account: str
    item: str
    total_exact_jpy: Decimal


@dataclass(frozen=True, kw_only=True)
class RoundedItem:
    """An item in whole yen and what of it is still to be posted."""

    account: str
    item: str
    total_exact_jpy: Decimal
    amount_jpy: int
    posted_jpy: int

    @property
    def delta_jpy(self) -> int:
        """What this close must post so that the ledger shows `amount_jpy`."""
        return self.amount_jpy - self.posted_jpy


@dataclass(frozen=True, kw_only=True)
class Posting:
    """One debit, one credit, a positive number of whole yen."""

    account: str
    item: str
    debit: str
    credit: str
    amount_jpy: int


@dataclass(frozen=True, kw_only=True)
class Close:
    """Outcome of :func:`close_items`."""

    items: tuple[RoundedItem, ...]
    postings: tuple[Posting, ...]


def close_items(
    items: Sequence[ExactItem],
    *,
    clearing: str,
    rounding: str,
    methods: Mapping[str, Rounding] | None = None,
    posted_jpy: Mapping[tuple[str, str], int] | None = None,
) -> Close:
    """Turn exact items into transfers between each account and the clearing account.

    Every item is rounded once, by its account's method. What the clearing account would be
    left with goes to the rounding account as one item, so that after the transfers the
    clearing account stands at zero. Items already posted are posted no further: only the
    difference is, which makes a repeated close post nothing and a correction post deltas.

    Parameters
    ----------
    items
        Exact totals; several of one account and kind are added first. They sum to zero.
    clearing, rounding
        The house's two accounts.
    methods
        Rounding agreed with each account; DOWN where none is named.
    posted_jpy
        What earlier closes of the period posted per (account, item).

    Returns
    -------
    Close
        Items and postings in the order of (account, item); each posting has a positive
        amount, and the account of its item on one side, the clearing account on the other.

    Raises
    ------
    BrokenInvariant
        If the items do not sum to zero or the clearing account's own do not: money would
        appear from nowhere.
    """
    ensure(clearing != rounding, "the clearing and the rounding account are the same")
    methods = methods or {}
    posted_jpy = posted_jpy or {}
    parts: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
    for item in items:
        parts[item.account, item.item].append(exact_jpy(item.total_exact_jpy))
    totals = {key: sum_exact_jpy(values) for key, values in parts.items()}
    ensure(sum_exact_jpy(list(totals.values())) == 0, "the items of a close do not sum to zero")
    ensure(
        sum_exact_jpy([total for (account, _), total in totals.items() if account == clearing])
        == 0,
        "the clearing account keeps money of a close",
    )
    ensure((rounding, ROUNDING_ITEM) not in totals, "rounding is an outcome, not an item")

    keys = {key for key in totals | dict(posted_jpy) if key[0] != clearing}
    keys.discard((rounding, ROUNDING_ITEM))
    rounded = [
        _rounded(key, totals.get(key, Decimal(0)), methods, posted_jpy) for key in sorted(keys)
    ]
    left_jpy = -sum(item.amount_jpy for item in rounded)
    key = (rounding, ROUNDING_ITEM)
    if left_jpy or posted_jpy.get(key, 0):
        rounded.append(_rounded(key, Decimal(left_jpy), methods, posted_jpy))
    ensure(sum(item.amount_jpy for item in rounded) == 0, "a close leaves money in clearing")
    return Close(
        items=tuple(rounded),
        postings=tuple(_posting(item, clearing) for item in rounded if item.delta_jpy),
    )


def _rounded(
    key: tuple[str, str],
    total_exact_jpy: Decimal,
    methods: Mapping[str, Rounding],
    posted_jpy: Mapping[tuple[str, str], int],
) -> RoundedItem:
    account, item = key
    return RoundedItem(
        account=account,
        item=item,
        total_exact_jpy=total_exact_jpy,
        amount_jpy=round_jpy(total_exact_jpy, methods.get(account, Rounding.DOWN)),
        posted_jpy=posted_jpy.get(key, 0),
    )


def _posting(item: RoundedItem, clearing: str) -> Posting:
    receives = item.delta_jpy > 0
    return Posting(
        account=item.account,
        item=item.item,
        debit=clearing if receives else item.account,
        credit=item.account if receives else clearing,
        amount_jpy=abs(item.delta_jpy),
    )

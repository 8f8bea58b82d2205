"""A close: which transfers come out of exact items."""

from decimal import Decimal

import pytest

from accounts.core.errors import BrokenInvariant
from accounts.core.money import Rounding
from accounts.core.postings import ROUNDING_ITEM, Close, ExactItem, close_items


def _items(**totals: str) -> list[ExactItem]:
    return [
        ExactItem(account=key.split("_")[0], item=key.split("_")[1], total_exact_jpy=Decimal(value))
        for key, value in totals.items()
    ]


def _posted(close: Close) -> dict[tuple[str, str], int]:
    return {(item.account, item.item): item.amount_jpy for item in close.items}


def test_the_clearing_account_ends_at_zero_and_rounding_takes_the_difference() -> None:
    # Buyer pays 100.9 -> 100; sellers get 60.6 -> 60 and 40.3 -> 40; 100 - 60 - 40 = 0 left.
    # A third party's 0.0 makes no item. With 60.6/39.6/0.7: 100 - 60 - 39 - 0 = 1 left.
    close = close_items(
        _items(buyer_need="-100.9", x_energy="60.6", y_energy="39.6", z_energy="0.7"),
        clearing="house",
        rounding="rounding",
    )
    net = dict.fromkeys(["buyer", "x", "y", "z", "rounding", "house"], 0)
    for posting in close.postings:
        net[posting.debit] -= posting.amount_jpy
        net[posting.credit] += posting.amount_jpy
    assert net == {"buyer": -100, "x": 60, "y": 39, "z": 0, "rounding": 1, "house": 0}
    assert [posting.item for posting in close.postings][-1] == ROUNDING_ITEM


def test_every_posting_has_a_positive_amount_and_the_clearing_account_on_one_side() -> None:
    close = close_items(
        _items(buyer_need="-50.5", x_energy="50.5"), clearing="house", rounding="rounding"
    )
    assert all(posting.amount_jpy > 0 for posting in close.postings)
    assert all("house" in {posting.debit, posting.credit} for posting in close.postings)


def test_where_nothing_is_left_there_is_no_rounding_item() -> None:
    close = close_items(
        _items(buyer_need="-100.0", x_energy="100.0"), clearing="house", rounding="rounding"
    )
    assert _posted(close) == {("buyer", "need"): -100, ("x", "energy"): 100}


def test_the_clearing_account_s_own_items_are_no_postings() -> None:
    close = close_items(
        _items(buyer_need="-100.0", house_need="100.0", house_energy="-100.0", x_energy="100.0"),
        clearing="house",
        rounding="rounding",
    )
    assert _posted(close) == {("buyer", "need"): -100, ("x", "energy"): 100}


def test_a_repeated_close_posts_nothing() -> None:
    # 100 - 60 - 38 = 2 are left to the rounding account, and stay there.
    items = _items(buyer_need="-100.0", x_energy="60.6", y_energy="38.7", z_energy="0.7")
    first = close_items(items, clearing="house", rounding="rounding")
    assert _posted(first)["rounding", ROUNDING_ITEM] == 2
    again = close_items(items, clearing="house", rounding="rounding", posted_jpy=_posted(first))
    assert again.postings == ()


def test_a_correction_posts_only_the_difference() -> None:
    first = close_items(
        _items(buyer_need="-100.0", x_energy="100.0"), clearing="house", rounding="rounding"
    )
    # The seller delivered less after all: 100 -> 80, the buyer is credited 20.
    second = close_items(
        _items(buyer_need="-80.0", x_energy="80.0"),
        clearing="house",
        rounding="rounding",
        posted_jpy=_posted(first),
    )
    assert [(p.debit, p.credit, p.amount_jpy) for p in second.postings] == [
        ("house", "buyer", 20),
        ("x", "house", 20),
    ]


def test_an_item_that_disappears_is_taken_back() -> None:
    first = close_items(
        _items(buyer_need="-100.9", x_energy="60.6", y_energy="40.3"),
        clearing="house",
        rounding="rounding",
    )
    second = close_items([], clearing="house", rounding="rounding", posted_jpy=_posted(first))
    assert sum(abs(item.amount_jpy) for item in second.items) == 0
    assert len(second.postings) == len(first.postings)


def test_the_method_is_agreed_with_each_account() -> None:
    close = close_items(
        _items(buyer_need="-10.5", x_energy="10.5"),
        clearing="house",
        rounding="rounding",
        methods={"x": Rounding.UP},
    )
    assert _posted(close) == {
        ("buyer", "need"): -10,
        ("x", "energy"): 11,
        ("rounding", ROUNDING_ITEM): -1,
    }


def test_items_that_do_not_sum_to_zero_are_our_bug() -> None:
    with pytest.raises(BrokenInvariant, match="sum to zero"):
        close_items(_items(x_energy="1"), clearing="house", rounding="rounding")


def test_money_kept_in_clearing_is_our_bug() -> None:
    with pytest.raises(BrokenInvariant, match="keeps money"):
        close_items(_items(x_energy="1", house_energy="-1"), clearing="house", rounding="rounding")


def test_one_account_cannot_be_both_clearing_and_rounding() -> None:
    with pytest.raises(BrokenInvariant, match="the same"):
        close_items([], clearing="house", rounding="house")


def test_rounding_cannot_be_handed_in_as_an_item() -> None:
    items = [
        ExactItem(account="rounding", item=ROUNDING_ITEM, total_exact_jpy=Decimal(1)),
        ExactItem(account="x", item="energy", total_exact_jpy=Decimal(-1)),
    ]
    with pytest.raises(BrokenInvariant, match="outcome"):
        close_items(items, clearing="house", rounding="rounding")

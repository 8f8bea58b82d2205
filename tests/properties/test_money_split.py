"""Splits and closes conserve every yen."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.core.money import Rounding, split_largest_remainder
from accounts.core.postings import ExactItem, close_items

weights = st.lists(
    st.decimals(min_value=0, max_value=10**6, places=3), min_size=1, max_size=20
).filter(lambda values: sum(values) > 0)
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=6)


@given(total=st.integers(-(10**12), 10**12), shares=weights)
def test_parts_add_up_and_none_is_a_unit_off_its_quota(total: int, shares: list[Decimal]) -> None:
    parts = split_largest_remainder(total, shares)
    assert sum(parts) == total
    whole = sum(shares)
    for part, share in zip(parts, shares, strict=True):
        assert abs(part * whole - total * share) < whole
        assert share > 0 or part == 0


@given(total=st.integers(0, 10**9), shares=weights)
def test_a_heavier_share_never_gets_less(total: int, shares: list[Decimal]) -> None:
    parts = split_largest_remainder(total, shares)
    for a, one in enumerate(shares):
        for b, other in enumerate(shares):
            if one > other:
                assert parts[a] >= parts[b]


@settings(max_examples=60)
@given(
    totals=st.lists(
        st.tuples(st.sampled_from("abcdef"), st.sampled_from("xyz"), amounts),
        min_size=1,
        max_size=30,
    ),
    method=st.sampled_from(Rounding),
)
def test_a_close_empties_clearing_and_rounding_is_under_a_yen_per_item(
    totals: list[tuple[str, str, Decimal]], method: Rounding
) -> None:
    items = [
        ExactItem(account=account, item=item, total_exact_jpy=total)
        for account, item, total in totals
    ]
    whole = sum((item.total_exact_jpy for item in items), Decimal(0))
    items.append(ExactItem(account="buyer", item="x", total_exact_jpy=-whole))
    methods = dict.fromkeys([*"abcdef", "buyer"], method)
    close = close_items(items, clearing="house", rounding="rounding", methods=methods)
    net = dict.fromkeys([*"abcdef", "buyer", "house", "rounding"], 0)
    for posting in close.postings:
        assert posting.amount_jpy > 0
        net[posting.debit] -= posting.amount_jpy
        net[posting.credit] += posting.amount_jpy
    assert net["house"] == 0
    assert sum(net.values()) == 0
    assert abs(net["rounding"]) <= len(close.items)
    posted = {(item.account, item.item): item.amount_jpy for item in close.items}
    again = close_items(
        items[::-1], clearing="house", rounding="rounding", methods=methods, posted_jpy=posted
    )
    assert again.postings == ()

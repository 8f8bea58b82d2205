"""Lines conserve money whatever was awarded, delivered or missing."""

from dataclasses import replace
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.delivery import Direction, Ordered, deliver
from aggregator.core.settlement import (
    AwardPosition,
    House,
    Item,
    NeedPosition,
    Share,
    net_by_t,
    settle,
    totals_by_account,
)
from aggregator.core.terms import SettlementRules

HOUSE = House(clearing="house", fee="fee", rounding="rounding")
kwh = st.decimals(min_value=0, max_value=10**6, places=3)
prices = st.decimals(min_value=-999, max_value=999, places=2)
ratios = st.decimals(min_value=0, max_value=1, places=4)


@st.composite
def positions(draw: st.DrawFn) -> AwardPosition:
    ordered_kwh = draw(kwh)
    missing = draw(ratios)
    return AwardPosition(
        award=draw(st.uuids()).hex,
        t=draw(st.integers(0, 47)),
        direction=draw(st.sampled_from(Direction)),
        price_jpy_per_kwh=draw(prices),
        ordered_kwh=ordered_kwh,
        shortfall_kwh=(ordered_kwh * missing).quantize(Decimal("0.001"), "ROUND_DOWN"),
        seller=draw(st.sampled_from(["A", "B", "C"])),
        splits=tuple(
            Share(account=name, weight=draw(ratios))
            for name in draw(st.sets(st.sampled_from("OP")))
        ),
        credits=tuple(
            Share(account=name, weight=Decimal(draw(st.integers(1, 999))), need=name)
            for name in draw(st.sets(st.sampled_from(["T", "U"])))
        ),
    )


rules = st.builds(
    SettlementRules,
    tolerance_ratio=ratios,
    penalty_factor_ratio=st.decimals(min_value=1, max_value=10, places=2),
    fee_ratio=ratios,
)
needs = st.builds(
    NeedPosition,
    need=st.sampled_from(["n1", "n2"]),
    t=st.integers(0, 47),
    buyer=st.sampled_from(["T", "U"]),
    served_kwh=kwh,
    price_jpy_per_kwh=prices,
)


@settings(max_examples=80)
@given(awards=st.lists(positions(), max_size=8), bought=st.lists(needs, max_size=4), terms=rules)
def test_lines_sum_to_zero_and_the_house_keeps_nothing(
    awards: list[AwardPosition], bought: list[NeedPosition], terms: SettlementRules
) -> None:
    lines = settle(awards=awards, needs=bought, rents=(), rules=terms, house=HOUSE)
    totals = totals_by_account(lines)
    assert sum(totals.values(), Decimal(0)) == 0
    assert all(value == 0 for value in net_by_t(lines, "house").values())
    assert all(line.amount_exact_jpy > 0 for line in lines)
    assert all(line.payer != line.payee for line in lines)


@settings(max_examples=80)
@given(position=positions(), terms=rules)
def test_the_buyers_get_exactly_what_a_shortfall_took_from_the_seller(
    position: AwardPosition, terms: SettlementRules
) -> None:
    lines = settle(awards=[position], needs=(), rents=(), rules=terms, house=HOUSE)
    taken = {Item.SHORTFALL_REFUND, Item.SHORTFALL_PENALTY}
    taken_jpy = sum((x.amount_exact_jpy for x in lines if x.item in taken), Decimal(0))
    given_jpy = sum(
        (x.amount_exact_jpy for x in lines if x.item is Item.SHORTFALL_CREDIT), Decimal(0)
    )
    assert given_jpy == (taken_jpy if position.credits else 0)


@settings(max_examples=80)
@given(position=positions(), terms=rules)
def test_delivering_more_never_leaves_a_seller_worse_off_before_fee_and_splits(
    position: AwardPosition, terms: SettlementRules
) -> None:
    def receipt(shortfall_kwh: Decimal) -> Decimal:
        changed = replace(position, shortfall_kwh=shortfall_kwh)
        lines = settle(awards=[changed], needs=(), rents=(), rules=terms, house=HOUSE)
        skipped = {Item.PLATFORM_FEE, Item.REVENUE_SPLIT}
        return sum(
            (
                total
                for (account, item), total in totals_by_account(lines).items()
                if account == position.seller and item not in skipped
            ),
            Decimal(0),
        )

    assert receipt(Decimal(0)) >= receipt(position.shortfall_kwh)


orders = st.lists(
    st.builds(
        Ordered,
        award=st.uuids().map(str),
        direction=st.sampled_from(Direction),
        ordered_kwh=kwh,
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda order: order.award,
)
readings = st.none() | st.decimals(min_value=-(10**6), max_value=10**6, places=3)


@given(ordered=orders, baseline=readings, metered=readings, data=st.data())
def test_delivered_and_missing_make_up_the_order_in_any_order_of_arrival(
    ordered: list[Ordered], baseline: Decimal | None, metered: Decimal | None, data: st.DataObject
) -> None:
    rows = deliver(ordered, baseline_kwh=baseline, metered_kwh=metered)
    assert {row.award for row in rows} == {order.award for order in ordered}
    for row in rows:
        assert row.delivered_kwh + row.shortfall_kwh == row.ordered_kwh
        assert row.delivered_kwh >= 0
        assert row.shortfall_kwh >= 0
        assert row.over_kwh >= 0
    shuffled = data.draw(st.permutations(ordered))
    assert deliver(shuffled, baseline_kwh=baseline, metered_kwh=metered) == rows

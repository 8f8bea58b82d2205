"""Exact lines: the worked table of docs/algorithms/settlement.md, then rule by rule."""

from dataclasses import replace
from decimal import Decimal

import pytest

from accounts.core.errors import BrokenInvariant, Refused
from aggregator.core.delivery import Direction
from aggregator.core.settlement import (
    AwardPosition,
    House,
    Item,
    Line,
    NeedPosition,
    PathCharge,
    RentPosition,
    Share,
    award_lines,
    need_lines,
    path_lines,
    rent_lines,
    residual_lines,
    settle,
    share_lines,
    totals_by_account,
)
from aggregator.core.terms import SettlementRules, rules_from_mapping

HOUSE = House(clearing="house", fee="house fee", rounding="house rounding")
RULES = SettlementRules(
    tolerance_ratio=Decimal("0.1"),
    penalty_factor_ratio=Decimal("1.5"),
    fee_ratio=Decimal("0.02"),
)
INZAI = AwardPosition(
    award="inzai",
    t=36,
    direction=Direction.UP,
    price_jpy_per_kwh=Decimal("20.00"),
    ordered_kwh=Decimal(500),
    shortfall_kwh=Decimal(75),
    seller="Inzai DC",
    splits=(Share(account="Owner", weight=Decimal("0.15")),),
    credits=(
        Share(account="Grid-T", weight=Decimal(12), need="line"),
        Share(account="Grid-B", weight=Decimal(8), need="balance"),
    ),
)
SHIROI = AwardPosition(
    award="shiroi",
    t=36,
    direction=Direction.DOWN,
    price_jpy_per_kwh=Decimal("8.00"),
    ordered_kwh=Decimal(100),
    shortfall_kwh=Decimal(0),
    seller="Shiroi DC",
)
NEEDS = (
    NeedPosition(
        need="line",
        t=36,
        buyer="Grid-T",
        served_kwh=Decimal(500),
        price_jpy_per_kwh=Decimal("12.00"),
    ),
    NeedPosition(
        need="balance",
        t=36,
        buyer="Grid-B",
        served_kwh=Decimal(400),
        price_jpy_per_kwh=Decimal("8.00"),
    ),
)


def _settled(
    *awards: AwardPosition,
    needs: tuple[NeedPosition, ...] = (),
    rents: tuple[RentPosition, ...] = (),
) -> tuple[Line, ...]:
    return settle(awards=awards, needs=needs, rents=rents, rules=RULES, house=HOUSE)


def _table(lines: tuple[Line, ...] | list[Line]) -> list[tuple[str, str, str, Decimal]]:
    return [(line.item.value, line.payer, line.payee, line.amount_exact_jpy) for line in lines]


def test_the_worked_table() -> None:
    # UP 500 kWh x 20 = 10,000; 75 missing x 20 = 1,500 back; 75 - 10 % of 500 = 25 kWh x
    # (1.5 - 1) x 20 = 250; received 425 x 20 = 8,500, of it 2 % = 170 and 15 % = 1,275.
    # 1,750 to the buyers at 12 : 8 = 1,050 and 700. DOWN 100 kWh x 8 = 800 paid by the seller.
    # Buyers 500 x 12 = 6,000 and 400 x 8 = 3,200: 6,000 + 3,200 + 800 = 10,000.
    lines = _settled(INZAI, SHIROI, needs=NEEDS)
    assert _table(lines) == [
        ("SELLER_ENERGY", "house", "Inzai DC", Decimal(10_000)),
        ("SHORTFALL_REFUND", "Inzai DC", "house", Decimal(1_500)),
        ("SHORTFALL_PENALTY", "Inzai DC", "house", Decimal(250)),
        ("SHORTFALL_CREDIT", "house", "Grid-T", Decimal(1_050)),
        ("SHORTFALL_CREDIT", "house", "Grid-B", Decimal(700)),
        ("SELLER_ENERGY", "Shiroi DC", "house", Decimal(800)),
        ("PLATFORM_FEE", "Inzai DC", "house fee", Decimal(170)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(1_275)),
        ("NEED_CHARGE", "Grid-T", "house", Decimal(6_000)),
        ("NEED_CHARGE", "Grid-B", "house", Decimal(3_200)),
    ]
    net: dict[str, Decimal] = {}
    for (account, _), total in totals_by_account(lines).items():
        net[account] = net.get(account, Decimal(0)) + total
    assert net == {
        "Inzai DC": Decimal(6_805),
        "Owner": Decimal(1_275),
        "Shiroi DC": Decimal(-800),
        "Grid-T": Decimal(-4_950),
        "Grid-B": Decimal(-2_500),
        "house fee": Decimal(170),
        "house": Decimal(0),
    }


def test_a_shortfall_within_tolerance_is_refunded_without_penalty() -> None:
    lines = award_lines(replace(INZAI, shortfall_kwh=Decimal(50)), rules=RULES, house=HOUSE)
    items = {line.item: line.amount_exact_jpy for line in lines}
    assert items[Item.SHORTFALL_REFUND] == Decimal(1_000)
    assert Item.SHORTFALL_PENALTY not in items


def test_a_seller_of_load_that_takes_nothing_has_bought_it_none_the_less() -> None:
    # DOWN 100 kWh at +8: pays 800 and gets nothing back; beyond 10 kWh of tolerance 90 kWh x
    # 0.5 x 8 = 360 penalty.
    lines = award_lines(replace(SHIROI, shortfall_kwh=Decimal(100)), rules=RULES, house=HOUSE)
    assert _table(lines) == [
        ("SELLER_ENERGY", "Shiroi DC", "house", Decimal(800)),
        ("SHORTFALL_PENALTY", "Shiroi DC", "house", Decimal(360)),
    ]


def test_at_a_negative_price_the_seller_of_load_is_paid() -> None:
    # DOWN 100 kWh at -8 = 800 received; 20 missing: 160 back, 10 beyond tolerance x 4 = 40.
    position = replace(SHIROI, price_jpy_per_kwh=Decimal("-8.00"), shortfall_kwh=Decimal(20))
    lines = award_lines(position, rules=RULES, house=HOUSE)
    assert _table(lines) == [
        ("SELLER_ENERGY", "house", "Shiroi DC", Decimal(800)),
        ("SHORTFALL_REFUND", "Shiroi DC", "house", Decimal(160)),
        ("SHORTFALL_PENALTY", "Shiroi DC", "house", Decimal(40)),
    ]
    # 80 delivered kWh x 8 = 640, of it 2 %.
    assert _table(share_lines([position], rules=RULES, house=HOUSE)) == [
        ("PLATFORM_FEE", "Shiroi DC", "house fee", Decimal("12.80")),
    ]


def test_up_at_a_negative_price_is_paid_by_its_seller() -> None:
    position = replace(INZAI, price_jpy_per_kwh=Decimal("-1.00"), shortfall_kwh=Decimal(0))
    assert _table(award_lines(position, rules=RULES, house=HOUSE)) == [
        ("SELLER_ENERGY", "Inzai DC", "house", Decimal(500)),
    ]


def test_what_cannot_be_split_evenly_is_split_to_the_last_digit() -> None:
    # Refund 0.1 kWh x 1 = 0.1 yen over three equal buyers: 0.033334 + 0.033333 + 0.033333.
    position = replace(
        INZAI,
        price_jpy_per_kwh=Decimal(1),
        shortfall_kwh=Decimal("0.1"),
        credits=tuple(Share(account=name, weight=Decimal(1), need=name) for name in "abc"),
    )
    lines = _settled(position)
    assert [line.amount_exact_jpy for line in lines if line.item is Item.SHORTFALL_CREDIT] == [
        Decimal("0.033334"),
        Decimal("0.033333"),
        Decimal("0.033333"),
    ]


def test_a_shortfall_that_let_nobody_down_stays_in_the_rounding_account() -> None:
    lines = _settled(replace(INZAI, credits=()), SHIROI, needs=NEEDS)
    assert _table(lines)[-1] == ("RESIDUAL", "house", "house rounding", Decimal(1_750))


def test_the_rent_of_a_tie_is_halved() -> None:
    rent = RentPosition(
        item=Item.CONGESTION_RENT,
        element="tie",
        t=0,
        quantity_kwh=Decimal("10.05"),
        price_jpy_per_kwh=Decimal("3.01"),
        payees=(
            Share(account="Grid-T", weight=Decimal(1)),
            Share(account="Grid-B", weight=Decimal(1)),
        ),
    )
    # 10.05 x 3.01 = 30.2505; halves 15.12525.
    assert _table(rent_lines(rent, house=HOUSE)) == [
        ("CONGESTION_RENT", "house", "Grid-T", Decimal("15.125250")),
        ("CONGESTION_RENT", "house", "Grid-B", Decimal("15.125250")),
    ]


def test_a_path_is_paid_by_the_gigabyte() -> None:
    fee = RentPosition(
        item=Item.PATH_FEE,
        element="path",
        t=3,
        quantity_gb=Decimal("12.5"),
        price_jpy_per_gb=Decimal("0.0400"),
        payees=(Share(account="Fibre", weight=Decimal(1)),),
    )
    line = rent_lines(fee, house=HOUSE)[0]
    assert (line.payee, line.amount_exact_jpy) == ("Fibre", Decimal("0.500000"))
    assert (line.quantity_gb, line.quantity_kwh) == (Decimal("12.5"), None)


def test_an_imbalance_account_pays_for_energy_that_was_missing() -> None:
    position = RentPosition(
        item=Item.DEVIATION,
        element="03",
        t=0,
        quantity_kwh=Decimal(-5),
        price_jpy_per_kwh=Decimal(200),
        payees=(Share(account="Imbalance 03", weight=Decimal(1)),),
    )
    assert _table(rent_lines(position, house=HOUSE)) == [
        ("DEVIATION", "Imbalance 03", "house", Decimal(1_000)),
    ]


def test_a_rent_of_nothing_is_no_line() -> None:
    rent = RentPosition(
        item=Item.LINK_RENT,
        element="link",
        t=0,
        quantity_kwh=Decimal(0),
        price_jpy_per_kwh=Decimal(3),
        payees=(Share(account="Grid-T", weight=Decimal(1)),),
    )
    assert rent_lines(rent, house=HOUSE) == []


@pytest.mark.parametrize(
    "half",
    [
        {},
        {"quantity_kwh": Decimal(1)},
        {"price_jpy_per_kwh": Decimal(1)},
        {"quantity_gb": Decimal(1)},
    ],
)
def test_a_rent_without_a_quantity_or_a_price_is_our_bug(half: dict[str, Decimal]) -> None:
    rent = RentPosition(item=Item.LINK_RENT, element="link", t=0, payees=(), **half)  # type: ignore[arg-type]
    with pytest.raises(BrokenInvariant, match="neither"):
        rent_lines(rent, house=HOUSE)


def test_residuals_stand_in_the_order_of_the_day_and_those_of_the_day_last() -> None:
    left = {1: Decimal(1), None: Decimal(4), 2: Decimal(2), 0: Decimal(3)}
    lines = residual_lines(left, house=HOUSE)
    assert [(line.t, line.amount_exact_jpy) for line in lines] == [
        (0, Decimal(3)),
        (1, Decimal(1)),
        (2, Decimal(2)),
        (None, Decimal(4)),
    ]


def test_a_need_that_was_not_served_pays_nothing() -> None:
    assert need_lines(replace(NEEDS[0], served_kwh=Decimal(0)), house=HOUSE) == []


def test_nobody_pays_oneself() -> None:
    position = replace(INZAI, splits=(Share(account="Inzai DC", weight=Decimal("0.5")),))
    items = [line.item for line in share_lines([position], rules=RULES, house=HOUSE)]
    assert items == [Item.PLATFORM_FEE]


def test_a_share_is_taken_once_from_the_day_s_receipts() -> None:
    # 425 x 20 = 8,500 and, at another half hour, 100 x 1 = 100: 2 % of 8,600 = 172; a half
    # hour at a negative price, where the seller paid, counts for nothing.
    positions = [
        INZAI,
        replace(
            INZAI,
            t=37,
            price_jpy_per_kwh=Decimal(1),
            ordered_kwh=Decimal(100),
            shortfall_kwh=Decimal(0),
        ),
        replace(INZAI, t=38, price_jpy_per_kwh=Decimal(-5), shortfall_kwh=Decimal(0)),
    ]
    lines = share_lines(positions, rules=RULES, house=HOUSE)
    assert [(line.item, line.t, line.amount_exact_jpy) for line in lines] == [
        (Item.PLATFORM_FEE, None, Decimal(172)),
        (Item.REVENUE_SPLIT, None, Decimal(1_290)),
    ]
    assert lines[0].quantity_kwh == Decimal(525)
    assert share_lines([], rules=RULES, house=HOUSE) == []


def test_who_moves_work_pays_the_path_out_of_its_receipts() -> None:
    fee = RentPosition(
        item=Item.PATH_FEE,
        element="path",
        t=3,
        quantity_gb=Decimal("12.5"),
        price_jpy_per_gb=Decimal("0.0400"),
        payees=(Share(account="Fibre", weight=Decimal(1)),),
    )
    charge = PathCharge(award="inzai", seller="Inzai DC", total_exact_jpy=Decimal("0.500001"))
    lines = settle(awards=(), needs=(), rents=[fee], paths=[charge], rules=RULES, house=HOUSE)
    # What the digits of the two published numbers differ by goes to the rounding account.
    assert [(line.payer, line.payee, line.t, line.amount_exact_jpy) for line in lines] == [
        ("house", "Fibre", 3, Decimal("0.5")),
        ("Inzai DC", "house", None, Decimal("0.500001")),
        ("house", "house rounding", None, Decimal("0.000001")),
    ]
    nothing = PathCharge(award="inzai", seller="Inzai DC", total_exact_jpy=Decimal(0))
    assert path_lines(nothing, house=HOUSE) == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ordered_kwh": Decimal(-1)}, "ordered_kwh"),
        ({"ordered_kwh": Decimal(10**9) + 1}, "ordered_kwh"),
        ({"shortfall_kwh": Decimal(501)}, "shortfall_kwh"),
        ({"price_jpy_per_kwh": Decimal("NaN")}, "price_jpy_per_kwh"),
        ({"price_jpy_per_kwh": 20.0}, "price_jpy_per_kwh"),
    ],
)
def test_a_position_out_of_bounds_is_refused(changes: dict[str, object], field: str) -> None:
    with pytest.raises(Refused, match=field):
        award_lines(replace(INZAI, **changes), rules=RULES, house=HOUSE)  # type: ignore[arg-type]


def test_rules_are_read_from_a_ruleset() -> None:
    rules = rules_from_mapping({"tolerance_ratio": "0.05", "penalty_factor_ratio": 2})
    assert rules == SettlementRules(
        tolerance_ratio=Decimal("0.05"), penalty_factor_ratio=Decimal(2), fee_ratio=Decimal(0)
    )


@pytest.mark.parametrize(
    "mapping",
    [
        {"tolerance": "0.1"},
        {"tolerance_ratio": 0.1},
        {"tolerance_ratio": True},
        {"tolerance_ratio": "a tenth"},
        {"tolerance_ratio": "NaN"},
        {"tolerance_ratio": "1.1"},
        {"penalty_factor_ratio": "0.9"},
        {"fee_ratio": "-0.01"},
        {"pay_stage": "SOON"},
        {"period": "YEAR"},
        {"close_lag_h": -1},
        {"close_lag_h": "2"},
    ],
)
def test_a_rule_that_is_unknown_or_out_of_bounds_is_refused(mapping: dict[str, object]) -> None:
    with pytest.raises(Refused, match=next(iter(mapping))):
        rules_from_mapping(mapping)

"""Stand-ins' retailers, imbalance that was made up for, and whose receipt a dispute changes."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from aggregator.core.causes import StandInPosition, imbalance_lines, stand_in_lines
from aggregator.core.delivery import Direction
from aggregator.core.deltas import Decided, adjustment_lines
from aggregator.core.settlement import Item, Line, Share
from aggregator.core.terms import SettlementRules
from tests.core.test_settlement_items import BUYERS, ENERGY, HOUSE, OWNER, RULES, _table

CUT_INSTEAD = StandInPosition(
    award="a",
    instruction="i",
    t=36,
    seller="Shiroi DC",
    delivered_kwh=Decimal(80),
    ask_jpy_per_kwh=Decimal(25),
    market_jpy_per_kwh=Decimal(20),
    compensation=("Retailer", Decimal("7.10")),
    credits=BUYERS,
)


@pytest.mark.parametrize(
    ("bearer", "borne"),
    [
        ("SELLER", [("Shiroi DC", "house", Decimal(568))]),
        ("HOUSE", [("fee", "house", Decimal(568))]),
        (
            "BUYER",
            [("Grid-T", "house", Decimal("340.8")), ("Grid-B", "house", Decimal("227.2"))],
        ),
    ],
)
def test_the_retailer_of_a_load_that_stands_in_is_owed_as_of_any(
    bearer: str, borne: list[tuple[str, str, Decimal]]
) -> None:
    # 80 kWh at 7.10 are 568; of the buyers 12 : 8
    rules = SettlementRules(negawatt_borne_by=bearer)
    lines = stand_in_lines(CUT_INSTEAD, rules=rules, house=HOUSE)
    found = [line for line in lines if line.item is Item.NEGAWATT_COMPENSATION]
    assert [row[1:] for row in _table(found)] == [("house", "Retailer", Decimal(568)), *borne]
    assert {(line.t, line.award, line.element) for line in found} == {(36, "a", "i")}


@pytest.mark.parametrize("buyers", [BUYERS, ()])
@pytest.mark.parametrize(
    ("bearer", "borne_by"), [("SELLER", "Shiroi DC"), ("HOUSE", "fee"), ("BUYER", "Grid-P")]
)
def test_who_agreed_to_pay_for_more_is_the_buyer_that_its_retailer_is_borne_by(
    bearer: str, borne_by: str, buyers: tuple[Share, ...]
) -> None:
    # 80 kWh at 7.10 are 568; whoever bought the award has no part in what is beyond it
    lines = stand_in_lines(
        replace(CUT_INSTEAD, payers=(Share(account="Grid-P", weight=Decimal(1)),), credits=buyers),
        rules=SettlementRules(negawatt_borne_by=bearer),
        house=HOUSE,
    )
    found = [line for line in lines if line.item is Item.NEGAWATT_COMPENSATION]
    assert [row[1:] for row in _table(found)] == [
        ("house", "Retailer", Decimal(568)),
        (borne_by, "house", Decimal(568)),
    ]
    assert {(line.t, line.award, line.need, line.element) for line in found} == {
        (36, "a", None, "i")
    }


def test_a_stand_in_that_draws_more_or_has_no_contract_owes_no_retailer() -> None:
    for position in (
        replace(CUT_INSTEAD, direction=Direction.DOWN),
        replace(CUT_INSTEAD, compensation=None),
    ):
        lines = stand_in_lines(position, rules=RULES, house=HOUSE)
        assert {line.item for line in lines} == {Item.REPLACEMENT, Item.PLATFORM_FEE}


@pytest.mark.parametrize(("covered", "kwh"), [(0, 75), (60, 15), (75, 0), (90, 0)])
def test_what_stand_ins_made_up_for_was_no_imbalance(covered: int, kwh: int) -> None:
    rules = SettlementRules(imbalance_borne_by="SELLER")
    lines = imbalance_lines(
        replace(ENERGY, covered_kwh=Decimal(covered)),
        area="03",
        account="imbalance",
        price_jpy_per_kwh=Decimal(200),
        rules=rules,
        house=HOUSE,
    )
    owed = [(line.payer, line.quantity_kwh, line.amount_exact_jpy) for line in lines]
    expected = [("Inzai DC", Decimal(kwh), Decimal(200 * kwh)), ("house", Decimal(kwh), 200 * kwh)]
    assert owed == (expected if kwh else [])


def _decided_at(line: Line, amount: int) -> list[tuple[str, str, str, Decimal]]:
    decided = Decided(line=line, amount_exact_jpy=Decimal(amount), splits=(OWNER,))
    return _table(adjustment_lines([decided], fee_ratio=Decimal("0.02"), house=HOUSE))


def test_what_a_buyer_is_given_back_of_a_call_or_a_stand_in_is_shared_with_nobody() -> None:
    for item in (Item.ACTIVATION_DOWN, Item.REPLACEMENT):
        line = Line(
            item=item, payer="house", payee="Grid-T", t=3, award="a", need="local",
            amount_exact_jpy=Decimal(100),
        )  # fmt: skip
        assert _decided_at(line, 150) == [
            (item.value, "house", "Grid-T", Decimal(50)),
            ("ADJUSTMENT", "fee", "house", Decimal(50)),
        ]


def test_the_receipt_of_a_call_down_and_of_computing_is_shared_when_a_dispute_changes_it() -> None:
    call = Line(
        item=Item.ACTIVATION_DOWN, payer="house", payee="Inzai DC", t=3, award="a",
        amount_exact_jpy=Decimal(100),
    )  # fmt: skip
    # fee 2 % and the owner's 15 % of 50
    assert _decided_at(call, 150)[1:3] == [
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal("7.5")),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(1)),
    ]
    compute = Line(
        item=Item.COMPUTE, payer="house", payee="Inzai DC", t=None, element="bid",
        amount_exact_jpy=Decimal(100),
    )  # fmt: skip
    assert _decided_at(compute, 150)[1] == ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal("7.5"))


def test_several_who_bought_a_called_capacity_share_what_stands_in_to_the_millionth() -> None:
    # 80 kWh at the ask of 22 are 1,760, not at the market's 25: 1,760 / 3 and twice that
    called = replace(
        CUT_INSTEAD,
        ask_jpy_per_kwh=Decimal(22),
        market_jpy_per_kwh=Decimal(25),
        compensation=None,
        payers=(
            Share(account="Grid-T", weight=Decimal(1), need="n1"),
            Share(account="Grid-B", weight=Decimal(2), need="n2"),
        ),
    )
    lines = stand_in_lines(called, rules=RULES, house=HOUSE)
    found = [line for line in lines if line.item is Item.REPLACEMENT]
    assert [(line.payer, line.payee, line.need, line.amount_exact_jpy) for line in found] == [
        ("house", "Shiroi DC", None, Decimal(1_760)),
        ("Grid-T", "house", "n1", Decimal("586.666667")),
        ("Grid-B", "house", "n2", Decimal("1173.333333")),
    ]


@pytest.mark.parametrize(("bearer", "payer"), [("SELLER", "Shiroi DC"), ("HOUSE", "fee")])
def test_what_is_missing_of_a_changed_order_is_imbalance_like_any_other(
    bearer: str, payer: str
) -> None:
    # 80 of 100 kWh came: 20 at 200
    changed = replace(
        CUT_INSTEAD,
        compensation=None,
        changed_kwh=Decimal(100),
        imbalance=("03", "imbalance", Decimal(200)),
    )

    def charged(position: StandInPosition, bearer: str) -> list[tuple[str, str, Decimal]]:
        rules = SettlementRules(imbalance_borne_by=bearer)
        lines = stand_in_lines(position, rules=rules, house=HOUSE)
        return [row[1:] for row in _table(lines) if row[0] == "IMBALANCE_CAUSED"]

    assert charged(changed, bearer) == [
        (payer, "house", Decimal(4_000)),
        ("house", "imbalance", Decimal(4_000)),
    ]
    assert charged(changed, "NOBODY") == []
    # who stands in, and who is over, causes none; nor does a DOWN that others would be paid for
    assert charged(replace(changed, changed_kwh=Decimal(0)), bearer) == []
    assert charged(replace(changed, direction=Direction.DOWN), bearer) == []

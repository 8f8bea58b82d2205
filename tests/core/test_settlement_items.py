"""The items beside delivered energy, each by hand: the worked tables of the settlement page."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accounts.core.errors import BrokenInvariant, Refused
from aggregator.core.capacities import (
    CapacityPosition,
    capacity_lines,
    composite_jpy,
    penalties_jpy,
    sent_kwh,
)
from aggregator.core.causes import (
    Compensation,
    StandInPosition,
    compensation_lines,
    imbalance_lines,
    stand_in_lines,
)
from aggregator.core.delivery import Direction
from aggregator.core.deltas import Decided, adjustment_lines, decided_jpy, delta_lines, totals
from aggregator.core.settlement import (
    AwardPosition,
    House,
    Item,
    Line,
    Share,
    award_lines,
    credit_lines,
    share_lines,
)
from aggregator.core.terms import (
    PenaltyRules,
    SettlementRules,
)

HOUSE = House(clearing="house", fee="fee", rounding="rounding")
RULES = SettlementRules(fee_ratio=Decimal("0.02"))
OWNER = Share(account="Owner", weight=Decimal("0.15"))
BUYERS = (
    Share(account="Grid-T", weight=Decimal(12), need="local"),
    Share(account="Grid-B", weight=Decimal(8), need="area"),
)
CAPACITY = CapacityPosition(
    award="a",
    t=30,
    direction=Direction.UP,
    seller="Inzai DC",
    reserved_kw=Decimal(1_000),
    price_jpy_per_kw_30min=Decimal("2.50"),
    call_jpy_per_kwh=Decimal(28),
    loss_ratio=Decimal("0.03"),
    splits=(OWNER,),
    buyers=BUYERS,
)
ENERGY = AwardPosition(
    award="a",
    t=36,
    direction=Direction.UP,
    price_jpy_per_kwh=Decimal(20),
    ordered_kwh=Decimal(500),
    shortfall_kwh=Decimal(75),
    seller="Inzai DC",
    splits=(OWNER,),
    credits=BUYERS,
)


def _table(lines: list[Line]) -> list[tuple[str, str, str, Decimal]]:
    return [(line.item.value, line.payer, line.payee, line.amount_exact_jpy) for line in lines]


def test_capacity_that_was_not_there_costs_half_as_much_again() -> None:
    # 200 of 1,000 kW were missing: 200 x 2.50 x 1.5 = 750, to the buyers at 12 : 8; the owner
    # gives back its 15 % of the price of the 200 kW, 75.
    lines = capacity_lines(replace(CAPACITY, shortfall_kw=Decimal(200)), rules=RULES, house=HOUSE)
    assert _table(lines) == [
        ("CAPACITY_PENALTY_I", "Inzai DC", "house", Decimal(750)),
        ("CAPACITY_CREDIT", "house", "Grid-T", Decimal(450)),
        ("CAPACITY_CREDIT", "house", "Grid-B", Decimal(300)),
        ("REVENUE_SPLIT", "Owner", "Inzai DC", Decimal(75)),
    ]
    assert [line.need for line in lines] == [None, "local", "area", None]
    assert {line.t for line in lines} == {30}


def test_the_worked_table_of_capacity() -> None:
    # 200 of 1,000 kW short and not responsive: 200 x 2.50 x 1.5 by I, 800 x 2.50 x 1.5 by II. The
    # owner's 15 % are of 11,200 less 200 x 2.50.
    position = replace(
        CAPACITY,
        shortfall_kw=Decimal(200),
        instructed_kwh=Decimal(500),
        responded_kwh=Decimal(388),
        is_responsive=False,
    )
    lines = capacity_lines(position, rules=RULES, house=HOUSE)
    sums: dict[str, Decimal] = {}
    for line in lines:
        sums[line.item] = sums.get(line.item, Decimal(0)) + line.amount_exact_jpy
    assert sums == {
        "CAPACITY_PENALTY_I": Decimal(750),
        "CAPACITY_PENALTY_II": Decimal(3_000),
        "CAPACITY_CREDIT": Decimal(3_750),
        "ACTIVATION_UP": Decimal(22_400),
        "PLATFORM_FEE": Decimal(224),
        "REVENUE_SPLIT": Decimal(1_605),
    }
    assert totals(lines)["house"] == 0


def test_the_worked_table_of_a_correction() -> None:
    def lines(short_kwh: int) -> list[Line]:
        position = replace(ENERGY, shortfall_kwh=Decimal(short_kwh))
        terms: dict[str, Any] = {"rules": RULES, "house": HOUSE}
        return [
            *award_lines(position, **terms),
            *credit_lines(position, **terms),
            *share_lines([position], **terms),
        ]

    made = delta_lines(lines(75), lines(60))
    assert _table(made) == [
        ("SHORTFALL_REFUND", "house", "Inzai DC", Decimal(300)),
        ("SHORTFALL_PENALTY", "house", "Inzai DC", Decimal(150)),
        ("SHORTFALL_CREDIT", "Grid-T", "house", Decimal(270)),
        ("SHORTFALL_CREDIT", "Grid-B", "house", Decimal(180)),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(6)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(45)),
    ]
    assert totals(made)["house"] == 0


@pytest.mark.parametrize("word", ["is_declared", "is_excused"])
def test_what_was_told_before_the_gate_or_is_excused_is_given_back_alone(word: str) -> None:
    position = replace(CAPACITY, shortfall_kw=Decimal(200), **{word: True})  # type: ignore[arg-type]
    # 200 x 2.50
    assert penalties_jpy(position, RULES) == (Decimal(500), Decimal(0))


def test_a_block_that_did_not_respond_costs_all_of_its_kw() -> None:
    position = replace(
        CAPACITY, instructed_kwh=Decimal(500), responded_kwh=Decimal(388), is_responsive=False
    )
    # 1,000 x 2.50 x 1.5 = 3,750. The 388 kWh that came are 388 / 0.97 = 400 sent: at 28, 11,200.
    # 2 % of them to the fee, 15 % to the owner.
    assert sent_kwh(position) == Decimal(400)
    assert _table(capacity_lines(position, rules=RULES, house=HOUSE)) == [
        ("CAPACITY_PENALTY_II", "Inzai DC", "house", Decimal(3_750)),
        ("CAPACITY_CREDIT", "house", "Grid-T", Decimal(2_250)),
        ("CAPACITY_CREDIT", "house", "Grid-B", Decimal(1_500)),
        ("ACTIVATION_UP", "house", "Inzai DC", Decimal(11_200)),
        ("ACTIVATION_UP", "Grid-T", "house", Decimal(6_720)),
        ("ACTIVATION_UP", "Grid-B", "house", Decimal(4_480)),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(224)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(1_680)),
    ]
    assert penalties_jpy(replace(position, is_excused=True), RULES)[1] == 0


@pytest.mark.parametrize(
    ("factor_i", "factor_ii", "expected"),
    [
        # both would punish the 200 kW: the higher factor does, once
        ("1.5", "1.5", (Decimal(750), Decimal(3_000))),
        ("2", "1.5", (Decimal(1_000), Decimal(3_000))),
        ("1.5", "2", (Decimal(0), Decimal(5_000))),
    ],
)
def test_the_same_kw_is_punished_once_by_the_higher_sanction(
    factor_i: str, factor_ii: str, expected: tuple[Decimal, Decimal]
) -> None:
    rules = replace(
        RULES,
        penalties=PenaltyRules(
            penalty_i_factor_ratio=Decimal(factor_i), penalty_ii_factor_ratio=Decimal(factor_ii)
        ),
    )
    position = replace(
        CAPACITY,
        shortfall_kw=Decimal(200),
        instructed_kwh=Decimal(500),
        responded_kwh=Decimal(0),
        is_responsive=False,
    )
    assert penalties_jpy(position, rules) == expected


def test_who_is_called_down_pays_v2_to_the_buyers() -> None:
    position = replace(
        CAPACITY,
        direction=Direction.DOWN,
        call_jpy_per_kwh=Decimal(6),
        instructed_kwh=Decimal("48.5"),
        responded_kwh=Decimal(60),
        is_responsive=True,
    )
    # No more counts than was called: 48.5 / 0.97 = 50 kWh at 6; no fee on a payment.
    assert _table(capacity_lines(position, rules=RULES, house=HOUSE)) == [
        ("ACTIVATION_DOWN", "Inzai DC", "house", Decimal(300)),
        ("ACTIVATION_DOWN", "house", "Grid-T", Decimal(180)),
        ("ACTIVATION_DOWN", "house", "Grid-B", Decimal(120)),
    ]


def test_capacity_that_nobody_called_and_that_was_there_costs_nothing() -> None:
    assert capacity_lines(CAPACITY, rules=RULES, house=HOUSE) == []
    assert sent_kwh(CAPACITY) == 0


def test_a_call_is_told_whole_or_not_at_all() -> None:
    with pytest.raises(BrokenInvariant, match="a call"):
        capacity_lines(replace(CAPACITY, responded_kwh=Decimal(1)), rules=RULES, house=HOUSE)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"reserved_kw": Decimal(-1)}, "reserved_kw"),
        ({"shortfall_kw": Decimal(1_001)}, "shortfall_kw"),
        ({"price_jpy_per_kw_30min": Decimal("NaN")}, "price_jpy_per_kw_30min"),
        ({"call_jpy_per_kwh": Decimal(100_000)}, "call_jpy_per_kwh"),
        ({"loss_ratio": Decimal("0.51")}, "loss_ratio"),
        (
            {
                "instructed_kwh": Decimal(-1),
                "responded_kwh": Decimal(0),
                "is_responsive": False,
            },
            "instructed_kwh",
        ),
    ],
)
def test_a_capacity_out_of_bounds_is_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Refused, match=field):
        capacity_lines(replace(CAPACITY, **change), rules=RULES, house=HOUSE)


def test_a_composite_is_paid_for_its_most_kw_and_never_for_the_sum() -> None:
    # 5, 8, 10 and 15 MW of one product each: 15 MW. At one price of 2: 30,000.
    at_two = [(Decimal(mw * 1_000), Decimal(2)) for mw in (5, 8, 10, 15)]
    assert composite_jpy(at_two) == Decimal(30_000)
    # 5 kW at 3 are among 15 kW at 2: 5 x 3 + 10 x 2 = 35
    dear = [(Decimal(5), Decimal(3)), (Decimal(15), Decimal(2))]
    assert composite_jpy(dear) == composite_jpy(dear[::-1]) == Decimal(35)
    # 15 kW at 3 cover the 5 at 2
    assert composite_jpy([(Decimal(5), Decimal(2)), (Decimal(15), Decimal(3))]) == Decimal(45)
    assert composite_jpy([]) == 0


def test_a_retailer_is_compensated_by_who_cut_its_sales() -> None:
    owed = Compensation(retailer="Retailer", price_jpy_per_kwh={36: Decimal("7.10")})
    # 425 kWh delivered at 7.10: 3,017.50
    amount = Decimal("3017.50")
    ends = {
        "SELLER": [("NEGAWATT_COMPENSATION", "Inzai DC", "house", amount)],
        "HOUSE": [("NEGAWATT_COMPENSATION", "fee", "house", amount)],
        # 12 : 8
        "BUYER": [
            ("NEGAWATT_COMPENSATION", "Grid-T", "house", Decimal("1810.50")),
            ("NEGAWATT_COMPENSATION", "Grid-B", "house", Decimal("1207.00")),
        ],
    }
    for bearer, expected in ends.items():
        rules = replace(RULES, negawatt_borne_by=bearer)
        lines = compensation_lines([ENERGY], owed, rules=rules, house=HOUSE)
        paid = ("NEGAWATT_COMPENSATION", "house", "Retailer", amount)
        assert _table(lines) == [paid, *expected]
        assert sum(totals(lines).values()) == totals(lines)["house"] == 0


def test_more_load_and_half_hours_without_a_price_owe_the_retailer_nothing() -> None:
    owed = Compensation(retailer="Retailer", price_jpy_per_kwh={36: Decimal(7)})
    down = replace(ENERGY, direction=Direction.DOWN)
    later = replace(ENERGY, t=37)
    assert compensation_lines([down, later], owed, rules=RULES, house=HOUSE) == []


def test_a_shortfall_s_imbalance_is_borne_as_the_rules_say() -> None:
    facts: dict[str, Any] = {
        "area": "03",
        "account": "Imbalance 03",
        "price_jpy_per_kwh": Decimal(200),
        "house": HOUSE,
    }
    # 75 kWh at 200
    for bearer, account in (("SELLER", "Inzai DC"), ("HOUSE", "fee")):
        rules = replace(RULES, imbalance_borne_by=bearer)
        assert _table(imbalance_lines(ENERGY, rules=rules, **facts)) == [
            ("IMBALANCE_CAUSED", account, "house", Decimal(15_000)),
            ("IMBALANCE_CAUSED", "house", "Imbalance 03", Decimal(15_000)),
        ]
        excused = replace(ENERGY, is_excused=True)
        assert imbalance_lines(excused, rules=rules, **facts) == []
        # load that was not taken is sold at the price: no cost, and no gain by failing
        down = replace(ENERGY, direction=Direction.DOWN)
        assert imbalance_lines(down, rules=rules, **facts) == []
        cheap = {**facts, "price_jpy_per_kwh": Decimal(-3)}
        assert imbalance_lines(down, rules=rules, **cheap)[0].amount_exact_jpy == Decimal(225)
    assert imbalance_lines(ENERGY, rules=RULES, **facts) == []


STAND_IN = StandInPosition(
    award="a",
    instruction="i",
    t=36,
    seller="Shiroi DC",
    delivered_kwh=Decimal(80),
    ask_jpy_per_kwh=Decimal(22),
    market_jpy_per_kwh=Decimal(25),
    splits=(OWNER,),
)


def test_a_stand_in_is_paid_its_ask_or_the_market_s_price_if_higher() -> None:
    # 80 kWh at 25: 2,000, of it 2 % and 15 %
    assert _table(stand_in_lines(STAND_IN, rules=RULES, house=HOUSE)) == [
        ("REPLACEMENT", "house", "Shiroi DC", Decimal(2_000)),
        ("PLATFORM_FEE", "Shiroi DC", "fee", Decimal(40)),
        ("REVENUE_SPLIT", "Shiroi DC", "Owner", Decimal(300)),
    ]
    at_ask = replace(RULES, replacement_pay="ASK")
    assert stand_in_lines(STAND_IN, rules=at_ask, house=HOUSE)[0].amount_exact_jpy == 1_760
    # who stands in by taking load pays, and has no receipt to share
    down = replace(STAND_IN, ask_jpy_per_kwh=Decimal(-4), market_jpy_per_kwh=Decimal(-6))
    assert _table(stand_in_lines(down, rules=RULES, house=HOUSE)) == [
        ("REPLACEMENT", "Shiroi DC", "house", Decimal(320))
    ]


def test_a_stand_in_is_borne_by_who_failed_and_beyond_that_by_the_buyers() -> None:
    # Refund 75 x 20 = 1,500 and penalty 25 x 0.5 x 20 = 250: 1,750.
    within = replace(ENERGY, stand_in_jpy=Decimal(1_500))
    assert _table(credit_lines(within, rules=RULES, house=HOUSE)) == [
        ("SHORTFALL_CREDIT", "house", "Grid-T", Decimal(150)),
        ("SHORTFALL_CREDIT", "house", "Grid-B", Decimal(100)),
    ]
    beyond = replace(ENERGY, stand_in_jpy=Decimal(2_000))
    assert _table(credit_lines(beyond, rules=RULES, house=HOUSE)) == [
        ("REPLACEMENT", "Grid-T", "house", Decimal(150)),
        ("REPLACEMENT", "Grid-B", "house", Decimal(100)),
    ]
    exactly = replace(ENERGY, stand_in_jpy=Decimal(1_750))
    assert credit_lines(exactly, rules=RULES, house=HOUSE) == []


def test_an_excused_shortfall_is_given_back_without_a_penalty() -> None:
    lines = award_lines(replace(ENERGY, is_excused=True), rules=RULES, house=HOUSE)
    assert [line.item for line in lines] == [Item.SELLER_ENERGY, Item.SHORTFALL_REFUND]


def test_lines_that_differ_are_netted_and_a_lower_amount_turns_its_line_round() -> None:
    before = award_lines(ENERGY, rules=RULES, house=HOUSE)
    after = award_lines(replace(ENERGY, shortfall_kwh=Decimal(60)), rules=RULES, house=HOUSE)
    # refund 1,200 for 1,500, penalty 10 x 10 = 100 for 250; the energy is the same
    made = delta_lines(before, after)
    assert _table(made) == [
        ("SHORTFALL_REFUND", "house", "Inzai DC", Decimal(300)),
        ("SHORTFALL_PENALTY", "house", "Inzai DC", Decimal(150)),
    ]
    assert [line.quantity_kwh for line in made] == [Decimal(15), Decimal(15)]
    assert delta_lines(after, after) == []
    assert delta_lines([], before) == before
    back = delta_lines(before, [])
    assert [(line.payee, line.payer) for line in back] == [
        (line.payer, line.payee) for line in before
    ]
    assert totals([*before, *made]) == totals(after)


REFUND = award_lines(ENERGY, rules=RULES, house=HOUSE)[1]


def test_a_decision_names_the_amount_or_what_it_is_computed_from() -> None:
    half = Decided(line=REFUND, quantity_kwh=Decimal("37.5"))
    assert decided_jpy(half) == Decimal(750)
    cheaper = Decided(line=REFUND, price_jpy_per_kwh=Decimal(16))
    assert decided_jpy(cheaper) == Decimal(1_200)
    both = Decided(line=REFUND, quantity_kwh=Decimal(50), price_jpy_per_kwh=Decimal(-10))
    assert decided_jpy(both) == Decimal(-500)
    assert decided_jpy(Decided(line=REFUND, amount_exact_jpy=Decimal(7))) == Decimal(7)
    bare = replace(REFUND, price_jpy_per_kwh=None, quantity_kwh=None)
    for wrong, field in (
        (Decided(line=REFUND), "amount_exact_jpy"),
        (Decided(line=bare, price_jpy_per_kwh=Decimal(1)), "price_jpy_per_kwh"),
        (Decided(line=bare, quantity_kwh=Decimal(1)), "quantity_kwh"),
        (Decided(line=REFUND, quantity_kwh=Decimal(-1)), "quantity_kwh"),
        (Decided(line=REFUND, price_jpy_per_kwh=Decimal(100_000)), "price_jpy_per_kwh"),
        (
            Decided(line=REFUND, quantity_kwh=Decimal(1), amount_exact_jpy=Decimal(1)),
            "amount_exact_jpy",
        ),
    ):
        with pytest.raises(Refused, match=field):
            decided_jpy(wrong)


def _adjusted(**facts: Any) -> list[tuple[str, str, str, Decimal]]:
    decided = Decided(splits=(OWNER,), credits=BUYERS, **facts)
    lines = adjustment_lines([decided], fee_ratio=Decimal("0.02"), house=HOUSE)
    assert totals(lines).get("house", Decimal(0)) == 0
    return _table(lines)


def test_a_refund_decided_lower_comes_from_its_credits_with_fee_and_split() -> None:
    assert _adjusted(line=REFUND, quantity_kwh=Decimal(50)) == [
        ("SHORTFALL_REFUND", "house", "Inzai DC", Decimal(500)),
        ("SHORTFALL_CREDIT", "Grid-T", "house", Decimal(300)),
        ("SHORTFALL_CREDIT", "Grid-B", "house", Decimal(200)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(75)),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(10)),
    ]


def test_energy_decided_higher_is_borne_by_the_aggregator() -> None:
    energy = award_lines(ENERGY, rules=RULES, house=HOUSE)[0]
    assert _adjusted(line=energy, price_jpy_per_kwh=Decimal(21)) == [
        ("SELLER_ENERGY", "house", "Inzai DC", Decimal(500)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(75)),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(10)),
        ("ADJUSTMENT", "fee", "house", Decimal(500)),
    ]


def test_a_penalty_and_a_payment_change_nobody_s_fee() -> None:
    penalty = award_lines(ENERGY, rules=RULES, house=HOUSE)[2]
    assert _adjusted(line=penalty, amount_exact_jpy=Decimal(0)) == [
        ("SHORTFALL_PENALTY", "house", "Inzai DC", Decimal(250)),
        ("SHORTFALL_CREDIT", "Grid-T", "house", Decimal(150)),
        ("SHORTFALL_CREDIT", "Grid-B", "house", Decimal(100)),
    ]
    paid = replace(ENERGY, price_jpy_per_kwh=Decimal(-20))
    energy = award_lines(paid, rules=RULES, house=HOUSE)[0]
    assert _adjusted(line=energy, amount_exact_jpy=Decimal(9_900)) == [
        ("SELLER_ENERGY", "house", "Inzai DC", Decimal(100)),
        ("ADJUSTMENT", "fee", "house", Decimal(100)),
    ]


def test_a_correction_s_line_is_decided_on_like_any_other() -> None:
    # A correction had given 300 of the refund back; decided is that 500 were due.
    turned = replace(
        REFUND, payer="house", payee="Inzai DC", amount_exact_jpy=Decimal(300),
        quantity_kwh=Decimal(15),
    )  # fmt: skip
    assert _adjusted(line=turned, amount_exact_jpy=Decimal(500)) == [
        ("SHORTFALL_REFUND", "house", "Inzai DC", Decimal(200)),
        ("SHORTFALL_CREDIT", "Grid-T", "house", Decimal(120)),
        ("SHORTFALL_CREDIT", "Grid-B", "house", Decimal(80)),
        ("REVENUE_SPLIT", "Inzai DC", "Owner", Decimal(30)),
        ("PLATFORM_FEE", "Inzai DC", "fee", Decimal(4)),
    ]


def test_what_a_decision_leaves_as_it_is_writes_nothing() -> None:
    assert _adjusted(line=REFUND, amount_exact_jpy=Decimal(1_500)) == []

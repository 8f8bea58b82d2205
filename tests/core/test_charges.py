"""Charges beside energy: each a line between the house and one account, the right way round."""

from __future__ import annotations

from decimal import Decimal

import pytest

from aggregator.core.charges import Charge, charge_lines
from aggregator.core.settlement import House, Item

HOUSE = House(clearing="house", fee="fee", rounding="rounding")


def _line(amount: str, **changes: object) -> list[tuple[str, str, str, Decimal]]:
    charge = Charge(
        **{  # type: ignore[arg-type]
            "item": Item.CAPACITY,
            "account": "inzai",
            "amount_exact_jpy": Decimal(amount),
            **changes,
        }
    )
    return [
        (line.item.value, line.payer, line.payee, line.amount_exact_jpy)
        for line in charge_lines([charge], house=HOUSE)
    ]


def test_a_positive_amount_is_owed_to_the_house_and_a_negative_one_by_it() -> None:
    assert _line("12.5") == [("CAPACITY", "inzai", "house", Decimal("12.5"))]
    assert _line("-12.5") == [("CAPACITY", "house", "inzai", Decimal("12.5"))]


@pytest.mark.parametrize("amount", ["0", "0.0000004", "-0.0000004"])
def test_nothing_owed_is_no_line(amount: str) -> None:
    # half of the smallest amount held, a millionth of a yen
    assert _line(amount) == []


def test_the_house_owes_itself_nothing_but_its_fee() -> None:
    assert _line("5", account="house") == []
    assert _line("-5", account="fee", item=Item.MARKET_FEE) == [
        ("MARKET_FEE", "house", "fee", Decimal(5))
    ]


def test_a_line_keeps_what_it_is_for() -> None:
    (line,) = charge_lines(
        [
            Charge(
                item=Item.CAPACITY_CHARGE,
                account="grid-t",
                amount_exact_jpy=Decimal(7),
                t=34,
                need="need",
                element="element",
                award="award",
            )
        ],
        house=HOUSE,
    )
    assert (line.t, line.need, line.element, line.award) == (34, "need", "element", "award")

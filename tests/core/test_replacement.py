"""The merit order after the auction, on one line and one area, by hand."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import numpy as np

from aggregator.core.replacement import Element, Loss, Offer, Step, covered_ratio, stand_ins


def _loss(kw: str = "100", **changes: Any) -> Loss:
    facts: dict[str, Any] = {
        "area": "03",
        "sign": 1,
        "sent_per_received_ratio": 1.0,
        "sensitivity_kw_per_kw": {"line": -0.5},
        "quantity_kw": [Decimal(kw)],
        "price_max_jpy_per_kwh": [Decimal(100)],
    }
    return Loss(**facts | changes)


def _offer(key: str, *steps: tuple[str, str], **changes: Any) -> Offer:
    facts: dict[str, Any] = {
        "key": key,
        "resource": key,
        "area": "03",
        "sign": 1,
        "sent_per_received_ratio": 1.0,
        "sensitivity_kw_per_kw": {"line": -0.5},
        "steps": [
            [Step(quantity_kw=Decimal(kw), ask_jpy_per_kwh=Decimal(ask)) for kw, ask in steps]
        ],
        "left_kw": [Decimal(1_000)],
    }
    return Offer(**facts | changes)


def _line(flow_kw: float = 0.0, rating_kw: float = 1_000.0, sign: int = 1) -> Element:
    return Element(
        code="line", rating_kw=rating_kw, flow_kw=np.array([flow_kw]), relieved_sign=[sign]
    )


def _taken(loss: Loss, offers: list[Offer], elements: list[Element]) -> dict[str, Decimal]:
    return {row.key: row.quantity_kw[0] for row in stand_ins(loss, offers, elements)}


def test_cheapest_steps_first_across_offers() -> None:
    offers = [_offer("a", ("30", "10"), ("50", "40")), _offer("b", ("60", "20"))]
    # 30 at 10, 60 at 20, then 10 of a's second step
    assert _taken(_loss(), offers, [_line()]) == {"a": Decimal(40), "b": Decimal(60)}


def test_each_is_paid_its_mean_ask_rounded_up() -> None:
    (row,) = stand_ins(_loss("90"), [_offer("a", ("30", "10"), ("60", "10.01"))], [_line()])
    # (30 · 10 + 60 · 10.01) / 90 = 10.00666…
    assert row.price_jpy_per_kwh(0) == Decimal("10.01")


def test_equal_asks_are_taken_in_the_order_of_their_keys() -> None:
    offers = [_offer("b", ("80", "10")), _offer("a", ("80", "10"))]
    assert _taken(_loss(), offers, [_line()]) == {"a": Decimal(80), "b": Decimal(20)}


def test_less_relief_than_the_lost_action_is_not_enough() -> None:
    weak = _offer("weak", ("100", "1"), sensitivity_kw_per_kw={"line": -0.4})
    strong = _offer("strong", ("100", "50"), sensitivity_kw_per_kw={"line": -0.6})
    assert _taken(_loss(), [weak, strong], [_line()]) == {"strong": Decimal(100)}
    # without a need on the line the price alone decides
    assert _taken(_loss(), [weak, strong], [_line(sign=0)]) == {"weak": Decimal(100)}


def test_another_area_and_the_other_direction_do_not_stand_in() -> None:
    offers = [_offer("far", ("100", "1"), area="02"), _offer("down", ("100", "1"), sign=-1)]
    assert _taken(_loss(), offers, [_line()]) == {}


def test_no_element_is_brought_beyond_its_rating() -> None:
    # injecting 1 kW adds 0.5 kW to the other line, which has 20 kW of room: 40 kW fit
    offer = _offer("a", ("100", "1"), sensitivity_kw_per_kw={"line": -0.5, "other": 0.5})
    other = Element(code="other", rating_kw=100.0, flow_kw=np.array([80.0]), relieved_sign=[0])
    assert _taken(_loss(), [offer], [_line(), other]) == {"a": Decimal(40)}


def test_an_overloaded_element_is_not_made_worse_but_may_be_relieved() -> None:
    worse = _offer("worse", ("100", "1"), sensitivity_kw_per_kw={"line": -0.5, "other": 0.5})
    better = _offer("better", ("100", "2"), sensitivity_kw_per_kw={"line": -0.5, "other": -0.1})
    other = Element(code="other", rating_kw=100.0, flow_kw=np.array([110.0]), relieved_sign=[0])
    assert _taken(_loss(), [worse, better], [_line(), other]) == {"better": Decimal(100)}


def test_losses_scale_the_quantity_up_to_the_next_tick() -> None:
    # 100 received at the lost place are 105 sent; at 1.1 that is 95.4545… -> 95.5 received
    offer = _offer("a", ("200", "1"), sent_per_received_ratio=1.1)
    loss = _loss(sent_per_received_ratio=1.05)
    assert _taken(loss, [offer], [_line()]) == {"a": Decimal("95.5")}


def test_an_exact_fit_costs_no_extra_tick() -> None:
    # in floating point 0.8 − 0.1 is 0.7000000000000001
    offer = _offer("a", ("0.1", "1"), ("100", "3"))
    assert _taken(_loss("0.8"), [offer], [_line()]) == {"a": Decimal("0.8")}


def test_asks_above_what_the_needs_would_pay_are_left() -> None:
    offer = _offer("a", ("10", "100"), ("10", "100.01"))
    assert _taken(_loss(), [offer], [_line()]) == {"a": Decimal(10)}


def test_two_offers_of_one_resource_share_what_it_has_left() -> None:
    offers = [
        _offer("a", ("50", "1"), resource="r", left_kw=[Decimal(70)]),
        _offer("b", ("50", "2"), resource="r", left_kw=[Decimal(70)]),
    ]
    assert _taken(_loss(), offers, [_line()]) == {"a": Decimal(50), "b": Decimal(20)}


def test_part_of_the_loss_is_better_than_nothing_and_is_said() -> None:
    loss, offers = _loss(), [_offer("a", ("25", "1"))]
    found = stand_ins(loss, offers, [_line()])
    assert covered_ratio(loss, offers, found) == 0.25


def test_nothing_suitable_is_nobody() -> None:
    assert stand_ins(_loss(), [], [_line()]) == ()


def test_the_order_of_the_input_does_not_matter() -> None:
    offers = [_offer(key, ("40", ask)) for key, ask in (("c", "3"), ("a", "1"), ("b", "2"))]
    assert stand_ins(_loss(), offers, [_line()]) == stand_ins(_loss(), offers[::-1], [_line()])

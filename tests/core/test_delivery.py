"""Ordered against measured: who delivered what."""

from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.delivery import Delivered, Direction, Ordered, deliver


def _ordered(award: str, kwh: str, direction: Direction = Direction.UP) -> Ordered:
    return Ordered(award=award, direction=direction, ordered_kwh=Decimal(kwh))


def _delivered(rows: tuple[Delivered, ...]) -> dict[str, tuple[str, str, str]]:
    return {
        row.award: (str(row.delivered_kwh), str(row.shortfall_kwh), str(row.over_kwh))
        for row in rows
    }


def test_a_reduction_below_the_baseline_is_delivered_up() -> None:
    # 500 usual, 380 metered: 120 less, of which 100 were ordered.
    rows = deliver([_ordered("a", "100")], baseline_kwh=Decimal(500), metered_kwh=Decimal(380))
    assert _delivered(rows) == {"a": ("100", "0", "20")}


def test_an_increase_is_delivered_down() -> None:
    rows = deliver(
        [_ordered("a", "50", Direction.DOWN)],
        baseline_kwh=Decimal(500),
        metered_kwh=Decimal(530),
    )
    assert _delivered(rows) == {"a": ("30", "20", "0")}


def test_a_discharge_shows_on_a_store_s_own_meter_as_flow_away() -> None:
    rows = deliver([_ordered("a", "40")], baseline_kwh=Decimal(0), metered_kwh=Decimal(-36))
    assert _delivered(rows) == {"a": ("36", "4", "0")}


def test_the_wrong_direction_delivers_nothing() -> None:
    rows = deliver([_ordered("a", "40")], baseline_kwh=Decimal(100), metered_kwh=Decimal(110))
    assert _delivered(rows) == {"a": ("0", "40", "0")}


def test_two_awards_share_pro_rata_with_the_remainder_in_id_order() -> None:
    # 10.000 delivered of 30 ordered, 1:1:1 -> 3.334, 3.333, 3.333.
    rows = deliver(
        [_ordered("c", "10"), _ordered("a", "10"), _ordered("b", "10")],
        baseline_kwh=Decimal(10),
        metered_kwh=Decimal(0),
    )
    assert [str(row.delivered_kwh) for row in rows] == ["3.334", "3.333", "3.333"]
    assert [row.award for row in rows] == ["a", "b", "c"]


def test_opposite_orders_cancel_and_only_the_net_is_measured() -> None:
    # UP 100 and DOWN 40: net 60 UP; 45 measured. DOWN is whole, UP has 40 + 45 = 85.
    rows = deliver(
        [_ordered("up", "100"), _ordered("down", "40", Direction.DOWN)],
        baseline_kwh=Decimal(500),
        metered_kwh=Decimal(455),
    )
    assert _delivered(rows) == {"down": ("40", "0", "0"), "up": ("85", "15", "0")}


def test_equal_opposite_orders_are_both_delivered_by_doing_nothing() -> None:
    rows = deliver(
        [_ordered("up", "40"), _ordered("down", "40", Direction.DOWN)],
        baseline_kwh=Decimal(500),
        metered_kwh=Decimal(500),
    )
    assert _delivered(rows) == {"down": ("40", "0", "0"), "up": ("40", "0", "0")}


@pytest.mark.parametrize(("baseline", "metered"), [(None, Decimal(1)), (Decimal(1), None)])
def test_what_is_not_measured_is_not_delivered(
    baseline: Decimal | None, metered: Decimal | None
) -> None:
    rows = deliver([_ordered("a", "10")], baseline_kwh=baseline, metered_kwh=metered)
    assert _delivered(rows) == {"a": ("0", "10", "0")}


def test_an_order_of_nothing_is_delivered() -> None:
    rows = deliver([_ordered("a", "0")], baseline_kwh=Decimal(5), metered_kwh=Decimal(4))
    assert _delivered(rows) == {"a": ("0", "0", "0")}


def test_the_same_award_twice_is_refused() -> None:
    with pytest.raises(Refused, match="one order per award"):
        deliver([_ordered("a", "1"), _ordered("a", "1")], baseline_kwh=None, metered_kwh=None)


@pytest.mark.parametrize("kwh", ["-1", "NaN", "Infinity", "0.0005"])
def test_an_order_that_is_no_quantity_is_refused(kwh: str) -> None:
    with pytest.raises(Refused, match="ordered_kwh"):
        deliver([_ordered("a", kwh)], baseline_kwh=Decimal(1), metered_kwh=Decimal(1))


@pytest.mark.parametrize("kwh", ["NaN", "Infinity", "0.0005"])
def test_a_reading_that_is_no_quantity_is_refused(kwh: str) -> None:
    with pytest.raises(Refused, match="reading"):
        deliver([_ordered("a", "1")], baseline_kwh=Decimal(1), metered_kwh=Decimal(kwh))

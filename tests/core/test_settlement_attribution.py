"""Whom an award served."""

from dataclasses import replace
from decimal import Decimal

from aggregator.core.attribution import ServedNeed, need_weights
from aggregator.core.delivery import Direction

LINE = ServedNeed(
    need="line",
    served_kwh=Decimal(500),
    price_jpy_per_kwh=Decimal(12),
    element="275kV",
    flow_sign=1,
)
TOKYO = ServedNeed(
    need="tokyo",
    served_kwh=Decimal(400),
    price_jpy_per_kwh=Decimal(8),
    area="03",
    direction=Direction.UP,
)
KYUSHU = ServedNeed(
    need="kyushu",
    served_kwh=Decimal(100),
    price_jpy_per_kwh=Decimal(-3),
    area="09",
    direction=Direction.DOWN,
)


def _weights(
    *needs: ServedNeed,
    direction: Direction = Direction.UP,
    area: str = "03",
    area_price: str = "8",
    sensitivity: str = "-0.5",
) -> dict[str, Decimal]:
    return need_weights(
        needs,
        direction=direction,
        area=area,
        area_price_jpy_per_kwh=Decimal(area_price),
        sensitivity_kw_per_kw={"275kV": Decimal(sensitivity)},
    )


def test_one_action_serves_both_needs_by_their_price_components() -> None:
    # Half a kW of relief per kW: 0.5 x 12 = 6 beside the area's 8.
    assert _weights(LINE, TOKYO) == {"line": Decimal(6), "tokyo": Decimal(8)}


def test_a_need_that_the_action_harms_has_no_weight() -> None:
    assert _weights(LINE, TOKYO, sensitivity="0.5") == {"tokyo": Decimal(8)}


def test_two_balance_needs_share_the_area_price_by_what_they_pay() -> None:
    # 3,200 and 800 yen: four fifths and one fifth of 8.
    second = ServedNeed(
        need="second",
        served_kwh=Decimal(100),
        price_jpy_per_kwh=Decimal(8),
        area="03",
        direction=Direction.UP,
    )
    assert _weights(TOKYO, second) == {"tokyo": Decimal("6.4"), "second": Decimal("1.6")}


def test_energy_that_went_on_through_a_link_served_the_other_area() -> None:
    assert _weights(TOKYO, area="02") == {"tokyo": Decimal(8)}


def test_a_need_that_is_paid_for_its_surplus_is_let_down_all_the_same() -> None:
    # At +3 the taker of surplus pays 3 and the need receives 3: no component is positive, so
    # the need weighs the 300 yen that it was to get.
    assert _weights(KYUSHU, direction=Direction.DOWN, area="09", area_price="3") == {
        "kyushu": Decimal(300)
    }


def test_at_a_negative_area_price_the_taker_of_surplus_serves_who_pays_for_it() -> None:
    # At -5 the taker of surplus receives 5, and the need pays them.
    paying = replace(KYUSHU, price_jpy_per_kwh=Decimal(5))
    weights = _weights(paying, direction=Direction.DOWN, area="09", area_price="-5")
    assert weights == {"kyushu": Decimal(5)}


def test_a_leg_without_a_component_serves_what_the_pair_served() -> None:
    # DOWN in an area priced at +8 pays; the local need behind the pair gets its shortfall.
    assert _weights(LINE, direction=Direction.DOWN, sensitivity="-0.5") == {"line": Decimal(6000)}


def test_nothing_served_nobody_let_down() -> None:
    unserved = ServedNeed(
        need="line",
        served_kwh=Decimal(0),
        price_jpy_per_kwh=Decimal(12),
        element="275kV",
        flow_sign=1,
    )
    assert _weights(unserved) == {}

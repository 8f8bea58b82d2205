"""Reserved capacity: was it there, did it respond."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.assessment import (
    AssessmentRules,
    LoadState,
    Reserved,
    StoreState,
    assess_available,
    assess_response,
    load_available_kw,
    required_kw,
    store_available_kw,
    stored_kwh_after,
)
from aggregator.core.delivery import Direction

D = Decimal
UP, DOWN = Direction.UP, Direction.DOWN
COMPOSITE = (frozenset({"primary", "secondary"}),)


def _load(used: str, least: str = "100") -> LoadState:
    return LoadState(
        used_kw=D(used),
        min_kw=D(least),
        limit_up_kw=D(400),
        limit_down_kw=D(300),
        contract_kw=D(1000),
    )


def _store(stored: str | None, *, output: str = "0") -> StoreState:
    return StoreState(
        output_kw=D(output),
        discharge_kw=D(500),
        charge_kw=D(400),
        stored_kwh=None if stored is None else D(stored),
        energy_kwh=D(2000),
        reserve_kwh=D(200),
        discharge_efficiency_ratio=D("0.9"),
        charge_efficiency_ratio=D("0.8"),
    )


def _held(award: str, kw: str, product: str = "x", direction: Direction = UP) -> Reserved:
    return Reserved(award=award, product=product, direction=direction, reserved_kw=D(kw))


@pytest.mark.parametrize(
    ("used", "up", "down"),
    [
        ("700", "400.0", "300.0"),  # 700 − 100 = 600 > 400; 1,000 − 700 = 300
        ("350", "250.0", "300.0"),  # 350 − 100
        ("900", "400.0", "100.0"),  # 1,000 − 900
        ("50", "0.0", "300.0"),  # below its least
        ("1100", "400.0", "0.0"),  # beyond its connection
    ],
)
def test_a_load_gives_what_it_uses_above_its_least(used: str, up: str, down: str) -> None:
    assert str(load_available_kw(_load(used), UP)) == up
    assert str(load_available_kw(_load(used), DOWN)) == down


@pytest.mark.parametrize(
    ("stored", "output", "last", "up", "down"),
    [
        ("2000", "0", "3", "500.0", "0.0"),  # (2,000 − 200) · 0.9 / 3 = 540 > 500; full
        ("1000", "0", "3", "240.0", "400.0"),  # 800 · 0.9 / 3; 1,000 / (0.8 · 3) = 416.7 > 400
        ("1000", "300", "0.5", "200.0", "700.0"),  # 500 − 300; 400 + 300 < 1,000/(0.8 · 0.5)
        ("200", "0", "3", "0.0", "400.0"),  # at its reserve
        (None, "-100", "3", "600.0", "300.0"),  # nobody told what it holds: power alone
    ],
)
def test_a_store_gives_what_power_and_energy_allow(
    stored: str | None, output: str, last: str, up: str, down: str
) -> None:
    state = _store(stored, output=output)
    assert str(store_available_kw(state, UP, last_h=D(last))) == up
    assert str(store_available_kw(state, DOWN, last_h=D(last))) == down


def test_a_store_is_followed_through_its_meter() -> None:
    # 1,000 + 100 · 0.8 = 1,080; 1,080 − 90 / 0.9 = 980; after a gap nobody can tell
    found = stored_kwh_after(
        D(1000),
        [D(100), D(-90), None, D(5)],
        charge_efficiency_ratio=D("0.8"),
        discharge_efficiency_ratio=D("0.9"),
    )
    assert found == (D(1000), D(1080), D(980), None, None)
    # 19 % lost per hour: 1,000 · 0.81^0.5 = 900
    (_, after) = stored_kwh_after(
        D(1000),
        [D(0)],
        charge_efficiency_ratio=D(1),
        discharge_efficiency_ratio=D(1),
        standing_loss_ratio=D("0.19"),
    )
    assert after == D(900)


def test_what_is_missing_is_the_shortfall() -> None:
    (row,) = assess_available([_held("a", "500")], {UP: D(420)})
    assert (row.available_kw, row.shortfall_kw) == (D(420), D(80))


def test_what_is_not_metered_is_not_there() -> None:
    (row,) = assess_available([_held("a", "500")], {UP: None})
    assert (row.available_kw, row.shortfall_kw) == (D(0), D(500))


def test_a_composite_needs_its_largest_component() -> None:
    held = [_held("a", "300", "primary"), _held("b", "500", "secondary"), _held("c", "100", "z")]
    assert required_kw(held, composites=COMPOSITE) == D(600)
    assert required_kw(held) == D(900)
    whole = assess_available(held, {UP: D(600)}, composites=COMPOSITE)
    assert {row.shortfall_kw for row in whole} == {D(0)}
    # 300 of 600 there: each has half of its own
    half = assess_available(held, {UP: D(300)}, composites=COMPOSITE)
    assert [row.available_kw for row in half] == [D(150), D(250), D(50)]


def test_two_products_from_one_resource_share_what_is_there() -> None:
    # 250 of 400: 300 · 5/8 = 187.5, 100 · 5/8 = 62.5
    rows = assess_available([_held("a", "300"), _held("b", "100", "y")], {UP: D(250)})
    assert [(row.available_kw, row.shortfall_kw) for row in rows] == [
        (D("187.5"), D("112.5")),
        (D("62.5"), D("37.5")),
    ]


@pytest.mark.parametrize(
    ("direction", "metered", "responded", "passes"),
    [
        (UP, ["400"], "100.000", True),  # 500 − 400 = 100, as called
        (UP, ["412"], "88.000", False),  # 12 off; 10 % of 200 kW · 0.5 h = 10 kWh
        (UP, ["410"], "90.000", True),  # 10 off: on the edge
        (UP, ["380"], "120.000", False),  # too much fails, too
        (DOWN, ["595"], "95.000", True),
        (DOWN, ["400"], "0.000", False),  # the wrong way
        (UP, [None], "0.000", False),
    ],
)
def test_a_response_may_differ_by_a_tenth_of_the_contract(
    *, direction: Direction, metered: list[str | None], responded: str, passes: bool
) -> None:
    found = assess_response(
        instructed_kw=D(200),
        reserved_kw=D(200),
        direction=direction,
        baseline_kwh=D(500),
        metered_kwh=[None if kwh is None else D(kwh) for kwh in metered],
    )
    assert str(found.responded_kwh) == responded
    assert found.is_responsive is passes


def test_a_fast_product_must_hold_at_every_point() -> None:
    # 6 points of 5 min: 600 kW baseline is 50 kWh, 120 kW called is 10, a tenth of 240 kW is 2.
    metered = [D(40), D(42), D(38), D(40), D("42.1"), D(40)]
    found = assess_response(
        instructed_kw=D(120),
        reserved_kw=D(240),
        direction=UP,
        baseline_kwh=D(300),
        metered_kwh=metered,
    )
    # in all 300 − 242.1 = 57.9 of 60: by the half hour it would pass
    assert (found.points_count, found.points_failed) == (6, (4,))
    assert not found.is_responsive
    assert str(found.responded_kwh) == "57.900"


@pytest.mark.parametrize(
    ("direction", "asked", "called", "metered", "responded", "passes"),
    [
        # two calls of 100 kW ask 50 kWh each; 50 in all are 25 each, 100 in all are 50 each
        (UP, "100", {UP: "200"}, "450", "25.000", False),
        (UP, "100", {UP: "200"}, "400", "50.000", True),
        # 300 and 100: of 180 kWh three quarters and one quarter
        (UP, "300", {UP: "400"}, "320", "135.000", False),
        (UP, "100", {UP: "400"}, "320", "45.000", True),
        # too much is shared as well: 140 are 70 each, 20 over a band of 5
        (UP, "100", {UP: "200"}, "360", "70.000", False),
        # one call serves both components of a composite: each has the whole change
        (UP, "100", {UP: "100"}, "450", "50.000", True),
        # 100 UP against 60 DOWN: 20 kWh net; DOWN counts whole, UP is 30 + what is measured
        (UP, "100", {UP: "100", DOWN: "60"}, "480", "50.000", True),
        (UP, "100", {UP: "100", DOWN: "60"}, "500", "30.000", False),
        (DOWN, "60", {UP: "100", DOWN: "60"}, "500", "30.000", True),
    ],
)
def test_calls_of_one_meter_share_its_change(
    *,
    direction: Direction,
    asked: str,
    called: dict[Direction, str],
    metered: str,
    responded: str,
    passes: bool,
) -> None:
    found = assess_response(
        instructed_kw=D(asked),
        reserved_kw=D(100),
        direction=direction,
        baseline_kwh=D(500),
        metered_kwh=[D(metered)],
        called_kw={side: D(kw) for side, kw in called.items()},
    )
    assert str(found.responded_kwh) == responded
    assert found.is_responsive is passes


def test_without_a_baseline_nothing_responded() -> None:
    found = assess_response(
        instructed_kw=D(200), reserved_kw=D(200), direction=UP, baseline_kwh=None,
        metered_kwh=[D(1)],
    )  # fmt: skip
    assert (found.responded_kwh, found.is_responsive) == (D(0), False)


@pytest.mark.parametrize(
    "rules",
    [
        {"tolerance_ratio": Decimal("1.1")},
        {"declare_before_min": -1},
        {"composites": (frozenset({"a", "b"}), frozenset({"b", "c"}))},
    ],
)
def test_terms_out_of_bounds_are_refused(rules: dict[str, object]) -> None:
    with pytest.raises(Refused):
        AssessmentRules(**rules)  # type: ignore[arg-type]


KW = st.integers(0, 10**7).map(lambda n: D(n) / 10)


@given(
    held=st.lists(
        st.builds(
            Reserved,
            award=st.uuids().map(str),
            product=st.sampled_from(["primary", "secondary", "z"]),
            direction=st.sampled_from(list(Direction)),
            reserved_kw=KW,
        ),
        max_size=6,
        unique_by=lambda row: row.award,
    ),
    up=KW,
    down=KW,
)
def test_nobody_has_more_than_reserved_nor_all_more_than_there_is(
    held: list[Reserved], up: Decimal, down: Decimal
) -> None:
    available: dict[Direction, Decimal | None] = {UP: up, DOWN: down}
    rows = assess_available(held, available, composites=COMPOSITE)
    assert rows == assess_available(held[::-1], available, composites=COMPOSITE)
    kw_of = {row.award: row.available_kw for row in rows}
    for row in held:
        assert 0 <= kw_of[row.award] <= row.reserved_kw
    for direction, there in ((UP, up), (DOWN, down)):
        mine = [row for row in held if row.direction is direction]
        parts = [
            Reserved(
                award=row.award,
                product=row.product,
                direction=direction,
                reserved_kw=kw_of[row.award],
            )
            for row in mine
        ]
        # a tenth of a kW per award is rounding
        assert required_kw(parts, composites=COMPOSITE) <= there + D("0.1") * len(mine)

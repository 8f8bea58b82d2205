"""Orders shared among units: by hand, whatever the order of arguments, and never too much."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.disaggregation import Unit, disaggregate

D = Decimal


def _unit(code: str, rank: int, limit: str, *, least: str = "0", ramp: str | None = None) -> Unit:
    return Unit(
        code=code,
        rank=rank,
        limit_kw=D(limit),
        minimum_kw=D(least),
        ramp_kw_per_min=None if ramp is None else D(ramp),
    )


def test_the_lowest_rank_acts_first_and_to_its_limit() -> None:
    units = [_unit("b", 2, "500"), _unit("a", 1, "300")]
    found = disaggregate({34: D(400)}, units)
    assert found.quantity_kw == {34: {"a": D(300), "b": D(100)}}
    assert found.left_kw == {}


def test_what_nobody_can_do_is_left_and_said() -> None:
    found = disaggregate({34: D(1_000)}, [_unit("a", 1, "300")])
    assert (found.quantity_kw[34], found.left_kw) == ({"a": D(300)}, {34: D(700)})


def test_a_unit_acts_with_its_minimum_and_others_make_room() -> None:
    units = [_unit("a", 1, "300"), _unit("b", 2, "500", least="200")]
    assert disaggregate({0: D(400)}, units).quantity_kw == {0: {"a": D(200), "b": D(200)}}


def test_a_minimum_nobody_can_make_room_for_is_not_started() -> None:
    units = [_unit("a", 1, "300", least="300"), _unit("b", 2, "500", least="200")]
    found = disaggregate({0: D(400)}, units)
    assert (found.quantity_kw[0], found.left_kw) == ({"a": D(300)}, {0: D(100)})


def test_a_slow_unit_rises_and_falls_by_what_its_ramp_lets_it() -> None:
    # 5 kW a minute are 150 in a half hour
    units = [_unit("slow", 1, "400", ramp="5"), _unit("quick", 2, "400")]
    found = disaggregate({10: D(400), 11: D(400), 12: D(100)}, units)
    assert found.quantity_kw == {
        10: {"slow": D(150), "quick": D(250)},
        11: {"slow": D(300), "quick": D(100)},
        # 300 falls to 150 at most: more than ordered, and nobody else acts
        12: {"slow": D(150)},
    }


def test_who_acts_keeps_acting_and_the_last_gives_way_first() -> None:
    # a is slow to start, so b had to act; with more room it is not stopped for a
    units = [_unit("a", 1, "400", ramp="4"), _unit("b", 2, "400")]
    found = disaggregate({0: D(300), 1: D(300), 2: D(150)}, units)
    assert found.quantity_kw == {
        0: {"a": D(120), "b": D(180)},
        1: {"a": D(240), "b": D(60)},
        2: {"a": D(150)},
    }
    before = disaggregate({0: D(300)}, units, before_kw={"b": D(300)})
    assert before.quantity_kw == {0: {"b": D(300)}}


def test_two_units_of_one_code_are_refused() -> None:
    with pytest.raises(Refused) as refusal:
        disaggregate({0: D(1)}, [_unit("a", 1, "1"), _unit("a", 2, "1")])
    assert refusal.value.field == "units"


_KW = st.integers(0, 5_000).map(lambda tenths: D(tenths) / 10)
_UNITS = st.lists(
    st.builds(
        lambda rank, limit, least, ramp: (rank, limit, min(least, limit), ramp),
        st.integers(0, 3),
        _KW,
        _KW,
        st.one_of(st.none(), st.integers(1, 200).map(lambda tenths: D(tenths) / 10)),
    ),
    max_size=5,
)


@given(_UNITS, st.lists(_KW, min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_limits_minimums_and_ramps_hold_whatever_is_ordered(
    units: list[tuple[int, Decimal, Decimal, Decimal | None]],
    ordered: list[Decimal],
    dice: random.Random,
) -> None:
    made = [
        Unit(code=f"u{n}", rank=rank, limit_kw=limit, minimum_kw=least, ramp_kw_per_min=ramp)
        for n, (rank, limit, least, ramp) in enumerate(units)
    ]
    asked = dict(enumerate(ordered))
    found = disaggregate(asked, made)
    shuffled = list(made)
    dice.shuffle(shuffled)
    assert disaggregate(asked, shuffled) == found
    before: dict[str, Decimal] = {}
    for t, kw in asked.items():
        of_t = found.quantity_kw[t]
        for unit in made:
            share, was = of_t.get(unit.code, D(0)), before.get(unit.code, D(0))
            assert 0 <= share <= unit.limit_kw
            assert share == 0 or share >= unit.minimum_kw
            assert share - was <= unit.step_kw
            assert was - share <= unit.step_kw
        total = sum(of_t.values(), D(0))
        assert total + found.left_kw.get(t, D(0)) >= kw
        before = dict(of_t)

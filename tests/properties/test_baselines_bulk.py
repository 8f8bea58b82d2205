"""Baselines of many resources at once are those of each alone, to the Wh."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.core.errors import Refused
from aggregator.core.baseline_variants import CATALOGUE, Facts, baseline_of, variant_from_mapping
from aggregator.core.baselines import LOOKBACK_MAX_DAYS, BaselineNotComputable
from aggregator.core.baselines_bulk import Asked, baselines_in_bulk
from aggregator.core.loads import Loads, events_of, wh_of

DAY = date(2026, 11, 25)
HOLIDAYS = {date(2026, 11, 3), date(2026, 11, 23)}
RESOURCES = 4
EXTRA: dict[str, dict[str, Any]] = {
    "FROZEN": {
        "method": "X_OF_Y", "weekday_days": 3, "weekday_keep": 2, "holiday_days": 2,
        "holiday_keep": 1, "lookback_days": 7, "frozen_days": 2, "frozen_lookback_days": 20,
    },
    "CAPPED": {"method": "X_OF_Y", "cap_ratio": "0.137", "window": [-48, 0], "rank": "MIDDLE"},
    "FLOORED": {"method": "X_OF_Y", "floor_kwh": "1.5", "lookback_days": 12},
    "FINE_FLOOR": {"method": "X_OF_Y", "floor_kwh": "0.0005"},
    "GUARDED": {
        "method": "SIMILAR_DAYS", "days": 2, "lookback_days": 9, "guard_slots": 40,
        "compare": [-48, 0],
    },
    "BESIDE": {"method": "BEFORE_AFTER", "before": [-48, -46], "after": [0, 48]},
}  # fmt: skip
STANDING = {
    name: entry
    for name, entry in (CATALOGUE | EXTRA).items()
    if entry["method"] not in {"JUST_BEFORE", "DECLARED", "GENERATION_PLAN"}
}


def _loads(seed: int, days: int, spread_wh: int, gaps: float) -> Loads:
    dice = np.random.default_rng(seed)  # noqa: TID251 - seeded
    shape = (RESOURCES, days + 2, 48)
    known = dice.random(shape) >= gaps * dice.integers(0, 2, (RESOURCES, days + 2, 1))
    values = dice.integers(-spread_wh // 4, spread_wh + 1, shape)
    values[::2] *= 1 - 2 * int(dice.integers(0, 2))  # loads, or places that feed in
    # whole days that repeat others make equal sums, and low ones are passed over
    values[:, 1 : 1 + days // 2] = values[:, days // 2 : 2 * (days // 2)]
    values[:, :: int(dice.integers(2, 9))] //= 7
    return Loads(
        first_on=DAY - timedelta(days=days),
        values_wh=np.where(known, values, 0).astype(np.int64),
        known=known,
        stage=known.astype(np.int8),
        revision=known.astype(np.int16),
    )


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(STANDING)),
    seed=st.integers(0, 2**32),
    spread_wh=st.sampled_from([3, 40, 3_000_000, 10**12]),
    gaps=st.sampled_from([0.0, 0.01, 0.2]),
    called_share=st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    back=st.integers(0, 6),
    slots=st.lists(
        st.sets(st.integers(0, 47), min_size=1, max_size=48), min_size=RESOURCES, max_size=RESOURCES
    ),
)
def test_baselines_in_bulk_are_those_of_each_resource_alone(  # noqa: PLR0917 - drawn
    name: str,
    seed: int,
    spread_wh: int,
    gaps: float,
    called_share: float,
    back: int,
    slots: list[set[int]],
) -> None:
    variant = variant_from_mapping(name, STANDING[name])
    day = DAY - timedelta(days=back)
    loads = _loads(seed, variant.reach_days + 8, spread_wh, gaps)
    reach = max(variant.reach_days, 1)
    dice = np.random.default_rng(seed + 1)  # noqa: TID251 - seeded
    called = dice.random((RESOURCES, reach)) < called_share
    busy = dice.random((RESOURCES, 144)) < called_share * 0.9
    rows = np.array([2, 0, 3, 1])
    found = baselines_in_bulk(
        variant,
        loads,
        Asked(
            day=day,
            rows=rows,
            event=events_of([sorted(of) for of in slots]),
            called=called,
            busy=busy,
            holidays=HOLIDAYS,
        ),
    )
    for n, row in enumerate(rows.tolist()):
        facts = Facts(
            load_kwh=loads.days_kwh(row, 0, LOOKBACK_MAX_DAYS),
            day=day,
            event=slots[n],
            called_on={day - timedelta(days=1 + k) for k in np.flatnonzero(called[n]).tolist()},
            holidays=HOLIDAYS,
            busy=set((np.flatnonzero(busy[n]) - 48).tolist()),
        )
        try:
            alone = baseline_of(variant, facts)
        except (BaselineNotComputable, Refused):
            assert not found.is_found[n]
            continue
        if not found.is_found[n]:
            # left to the function of one resource: finer than a Wh, or too large for 64 bits
            assert name == "FINE_FLOOR" or spread_wh == 10**12
            continue
        assert found.values_wh[n].tolist() == [wh_of(kwh) for kwh in alone.baseline_kwh]
        assert int(found.adjustment_wh[n]) == wh_of(alone.adjustment_kwh)
        assert [day - timedelta(days=k) for k in found.days_back[n].tolist()] == list(
            alone.days_used
        )


def test_a_mean_and_an_adjustment_that_add_up_to_a_half_round_to_even() -> None:
    # 1/3 Wh and 1/6 Wh are a half together; two rounded quotients might miss it
    variant = variant_from_mapping(
        "x",
        {"method": "X_OF_Y", "weekday_days": 3, "weekday_keep": 3, "window": [-2, 0],
         "low_day_ratio": "0"},
    )  # fmt: skip
    zero = Decimal(0)
    days = {DAY - timedelta(days=n): [zero] * 48 for n in range(10)}
    first = DAY - timedelta(days=1)
    days[first] = [zero] * 20 + [Decimal("0.001")] + [zero] * 27
    days[DAY] = [zero] * 18 + [Decimal("0.001"), zero] + [zero] * 28
    # window of the day: 1 Wh over two half hours less nothing is 1/2; the mean at 20 is 1/3
    alone = baseline_of(variant, Facts(load_kwh=days, day=DAY, event={20}))
    assert alone.baseline_kwh[20] == Decimal("0.001")  # 5/6 Wh
    assert alone.baseline_kwh[21] == zero  # 1/2 Wh, to even


def test_a_place_that_feeds_in_has_low_days_too() -> None:
    # four days feed in 100 kWh a half hour, the nearest one 20: under a quarter of the mean of 84
    variant = variant_from_mapping("x", {"method": "X_OF_Y", "window": None, "floor_kwh": "0"})
    weekdays = [day for n in range(1, 20) if (day := DAY - timedelta(days=n)).weekday() < 5]
    days = {day: [Decimal(-100)] * 48 for day in weekdays}
    days[weekdays[0]] = [Decimal(-20)] * 48
    alone = baseline_of(variant, Facts(load_kwh=days, day=DAY, event={20}))
    assert weekdays[0] not in alone.days_used
    assert len(alone.days_used) == 4


def test_a_window_across_midnight_leaves_out_what_was_called_the_evening_before() -> None:
    # the hour before 00:00 was called at 23:30 and read 40 there, 100 at 23:00
    variant = variant_from_mapping("x", {"method": "BEFORE"})
    evening = [Decimal(100)] * 47 + [Decimal(40)]
    days = {DAY - timedelta(days=1): evening, DAY: [Decimal(0)] * 48}
    facts = Facts(load_kwh=days, day=DAY, event={0}, busy={-1, 0})
    assert baseline_of(variant, facts).baseline_kwh[0] == Decimal(100)

"""What exclusion implies: true of every decided state, broken where both sides act at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.core.exclusion import exclusion_rows
from market.core.programme import Programme, programme
from market.core.snapshot import snapshot_from_json
from tests.books import book, store

T = 4
H = 0.5
CHARGE, DISCHARGE = 0.8, 0.5


def _programme(**parts: float) -> Programme:
    bid = store(
        "battery",
        "a",
        T - 1,
        charge_limit_kw=100.0,
        discharge_limit_kw=60.0,
        charge_efficiency_ratio=CHARGE,
        discharge_efficiency_ratio=DISCHARGE,
        **parts,
    )
    return programme(snapshot_from_json(book(T, bids=[bid], elements=[])))


def _columns(base: Programme, charge_kw: list[float], discharge_kw: list[float]) -> np.ndarray:
    """Return all columns of a lossless-in-rest store that starts with 50 kWh."""
    x = np.zeros(base.size)
    part, families = base.slices["STORAGE"].start, base.forms["STORAGE"].families
    gained = H * (CHARGE * np.array(charge_kw) - np.array(discharge_kw) / DISCHARGE)
    for name, values in (
        ("charge", charge_kw),
        ("discharge", discharge_kw),
        ("energy", 50.0 + np.cumsum(gained)),
    ):
        x[part + families[name].start : part + families[name].stop] = values
    return x


def test_a_full_store_that_charges_and_discharges_at_once_is_found() -> None:
    base = _programme(energy_limit_kwh=50.0, start_kwh=50.0)
    rows = exclusion_rows(base)
    # 24 kW × 0.8 = 19.2 kW into the store, 9.6 kW ÷ 0.5 = 19.2 kW out: it stays full.
    x = _columns(base, [24.0, 0.0, 0.0, 0.0], [9.6, 0.0, 0.0, 0.0])
    excess = rows.matrix @ x - rows.rhs
    # By charging alone: 50 kWh + 0.5 h × 19.2 kW, above 50 kWh.
    assert excess.max() == pytest.approx(9.6)
    shared = x[base.slices["STORAGE"]][[0, T]]
    assert shared[0] / 100 + shared[1] / 60 < 1


def test_more_of_both_than_either_limit_allows_is_found() -> None:
    base = _programme(energy_limit_kwh=1000.0, start_kwh=50.0)
    rows = exclusion_rows(base)
    # 60 + (100 ÷ 60) × 30 = 110 > 100
    x = _columns(base, [0.0, 60.0, 0.0, 0.0], [0.0, 30.0, 0.0, 0.0])
    assert (rows.matrix @ x - rows.rhs).max() == pytest.approx(10.0)


@settings(max_examples=100, deadline=None)
@given(
    actions=st.lists(st.tuples(st.booleans(), st.integers(0, 100)), min_size=T, max_size=T),
    end_kwh=st.integers(0, 50),
    reserve_kwh=st.integers(0, 20),
)
def test_no_decided_state_breaks_a_row(
    actions: list[tuple[bool, int]], end_kwh: int, reserve_kwh: int
) -> None:
    base = _programme(
        energy_limit_kwh=120.0,
        start_kwh=50.0,
        end_min_kwh=float(end_kwh),
        reserve_kwh=float(reserve_kwh),
    )
    held_kwh, charge_kw, discharge_kw = 50.0, [], []
    for number, (charges, percent) in enumerate(actions):
        least_kwh = max(reserve_kwh, end_kwh) if number == T - 1 else reserve_kwh
        room_kw = (120.0 - held_kwh) / H / CHARGE
        spare_kw = (held_kwh - least_kwh) / H * DISCHARGE
        must_kw = max(0.0, -spare_kw) / CHARGE / DISCHARGE
        charge = min(100.0, room_kw) * percent / 100 if charges else 0.0
        discharge = 0.0 if charges else max(0.0, min(60.0, spare_kw)) * percent / 100
        if must_kw > 0:
            charge, discharge = max(charge, must_kw), 0.0
        if charge > 100.0:
            return  # not a state the store could be in
        held_kwh += H * (CHARGE * charge - discharge / DISCHARGE)
        charge_kw.append(charge)
        discharge_kw.append(discharge)
    rows = exclusion_rows(base)
    x = _columns(base, charge_kw, discharge_kw)
    assert (rows.matrix @ x - rows.rhs).max() <= 1e-9

"""What counts on many meters at once is what counts on each alone."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator.core.delivery import Direction, Ordered, deliver
from aggregator.core.delivery_bulk import deliver_in_bulk
from aggregator.core.loads import kwh_of, wh_of

ENERGY = st.one_of(st.integers(0, 30), st.integers(0, 10**12))
ORDERS = st.lists(st.tuples(st.booleans(), ENERGY), min_size=1, max_size=5)
CHANGES = st.none() | st.one_of(st.integers(-40, 40), st.integers(-(10**12), 10**12))


@settings(max_examples=300, deadline=None)
@given(meters=st.lists(st.tuples(ORDERS, CHANGES), min_size=1, max_size=6))
def test_sharing_in_bulk_is_sharing_meter_by_meter(
    meters: list[tuple[list[tuple[bool, int]], int | None]],
) -> None:
    group = [n for n, (orders, _) in enumerate(meters) for _ in orders]
    flat = [order for orders, _ in meters for order in orders]
    delivered, over = deliver_in_bulk(
        group=np.array(group),
        is_up=np.array([is_up for is_up, _ in flat]),
        ordered_wh=np.array([wh for _, wh in flat]),
        change_wh=np.array([change or 0 for _, change in meters]),
        is_known=np.array([change is not None for _, change in meters]),
    )
    at = 0
    for orders, change in meters:
        alone = deliver(
            [
                Ordered(
                    award=f"{n}",
                    direction=Direction.UP if is_up else Direction.DOWN,
                    ordered_kwh=kwh_of(wh),
                )
                for n, (is_up, wh) in enumerate(orders)
            ],
            baseline_kwh=None if change is None else kwh_of(change),
            metered_kwh=Decimal(0),
        )
        for n, row in enumerate(alone):
            assert (int(delivered[at + n]), int(over[at + n])) == (
                wh_of(row.delivered_kwh), wh_of(row.over_kwh),
            )  # fmt: skip
        at += len(orders)

r"""Deferral: work that waits, within a deadline, and comes back as a bounded rebound.

Work arrives at :math:`A_t` kW over the bid's window. What is deferred, :math:`d` (UP), waits in a
backlog until it runs, :math:`r` (DOWN), and then takes :math:`1 + \rho` times its energy (restart,
checkpoint); with the backlog :math:`B_t` in kWh at the end of each half hour,

.. math:: B_t = B_{t-1} + h(1+\rho)\,d_t - h\,r_t, \qquad B_{\text{first}-1} = B_{\text{last}} = 0,

.. math:: 0 \le d_t \le A_t, \qquad 0 \le r_t \le \min(\bar r,\; \bar y_t - A_t), \qquad
          0 \le B_t \le (1+\rho)\, h \sum_{s=t-L+1}^{t} A_s .

The bound on the backlog *is* the deadline: work runs first in, first out, so nothing waits longer
than L half hours exactly when all that waits has arrived within the last L [1]_. The service limit
:math:`\bar y` bounds what runs, the rebound limit :math:`\bar r` what comes back on top of the
work of that half hour. The rebound is not bid: it follows from what the auction defers, and is
awarded, half hour by half hour, as the leg REBOUND.

The ask is paid per kWh deferred. Deferring and running deferred work at once would burn energy
(:math:`\rho > 0`), which pays only where prices are negative; the clearing first relaxes that rule
and adds one binary per half hour in which the relaxation breaks it.

References
----------
.. [1] J.-Y. Le Boudec and P. Thiran, "Network Calculus". Berlin: Springer, 2001, ch. 1 (the
   delay of a first-in first-out system is the horizontal distance of arrivals and departures).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from market.core.offers.terms import (
    COMMON_OPTIONAL,
    Columns,
    FloatArray,
    IntArray,
    Leg,
    Numbers,
    Own,
    Terms,
    family_slices,
    frozen_floats,
    frozen_ints,
    incidence,
    ramp,
)
from market.core.reading import Reader
from market.core.units import DOWN, UP

FORM: Final = "DEFERRAL"
EXTRA_WORK_RATIO_MAX: Final = 10.0


def parse(reader: Reader, terms: Terms) -> dict[str, Any]:
    """Return the canonical content of a deferral bid; refuse what breaks its rules.

    The service limit must leave room for the work that arrives: the schedule itself, with nothing
    deferred, is then always a solution.
    """
    entry = reader.fields(
        required=(
            "id",
            "form",
            "resource",
            "first_t",
            "last_t",
            "arriving_kw",
            "slack_count",
            "service_limit_kw",
            "rebound_limit_kw",
            "extra_work_ratio",
            "ask_jpy_per_kwh",
        ),
        optional=COMMON_OPTIONAL,
    )
    window = terms.window(entry)
    length = window["last_t"] - window["first_t"] + 1
    bid: dict[str, Any] = {
        **terms.head(entry, FORM),
        **window,
        "arriving_kw": entry["arriving_kw"].series(length, low=0),
        "slack_count": entry["slack_count"].integer(low=1, high=terms.interval_count),
        "service_limit_kw": entry["service_limit_kw"].series(length, low=0),
        "rebound_limit_kw": entry["rebound_limit_kw"].number(low=0),
        "extra_work_ratio": entry["extra_work_ratio"].number(low=0, high=EXTRA_WORK_RATIO_MAX),
        "ask_jpy_per_kwh": entry["ask_jpy_per_kwh"].number(low=-1e6, high=1e6),
    }
    pairs = zip(bid["service_limit_kw"], bid["arriving_kw"], strict=True)
    if any(limit_kw < arriving_kw for limit_kw, arriving_kw in pairs):
        entry["service_limit_kw"].refuse("must leave room for the work that arrives")
    return bid


@dataclass(frozen=True, kw_only=True)
class DeferralTable:
    """All deferral bids; axis B = bids, axis n = (bid, half hour) pairs of their windows."""

    ids: tuple[str, ...]
    resource: IntArray
    first_t: IntArray
    last_t: IntArray
    slack_count: IntArray
    """Half hours that work may wait at most, (B,)."""
    rebound_limit_kw: FloatArray
    extra_work_ratio: FloatArray
    ask_jpy_per_kwh: FloatArray
    pair_bid: IntArray
    pair_t: IntArray
    arriving_kw: FloatArray
    """(n,)"""
    service_limit_kw: FloatArray
    """(n,)"""


def table(bids: list[dict[str, Any]], numbers: Numbers) -> DeferralTable:
    """Return the arrays of canonical deferral bids."""
    chosen = [bid for bid in bids if bid["form"] == FORM]
    first_t = frozen_ints(bid["first_t"] for bid in chosen)
    last_t = frozen_ints(bid["last_t"] for bid in chosen)
    pair_bid, pair_t = ramp(first_t, last_t)

    def floats(name: str) -> FloatArray:
        return frozen_floats(bid[name] for bid in chosen)

    return DeferralTable(
        ids=tuple(bid["id"] for bid in chosen),
        resource=frozen_ints(numbers.resources[bid["resource"]] for bid in chosen),
        first_t=first_t,
        last_t=last_t,
        slack_count=frozen_ints(bid["slack_count"] for bid in chosen),
        rebound_limit_kw=floats("rebound_limit_kw"),
        extra_work_ratio=floats("extra_work_ratio"),
        ask_jpy_per_kwh=floats("ask_jpy_per_kwh"),
        pair_bid=pair_bid,
        pair_t=pair_t,
        arriving_kw=frozen_floats(kw for bid in chosen for kw in bid["arriving_kw"]),
        service_limit_kw=frozen_floats(kw for bid in chosen for kw in bid["service_limit_kw"]),
    )


def _backlog_limit_kwh(deferral: DeferralTable, interval_h: float) -> FloatArray:
    """Return what may wait at the end of each half hour, none of it late, (n,), in kWh."""
    bid = deferral.pair_bid
    arrived_kw = np.concatenate([[0.0], np.cumsum(deferral.arriving_kw)])
    pair = np.arange(len(bid))
    start = pair - (deferral.pair_t - deferral.first_t[bid])
    since = np.maximum(start, pair + 1 - deferral.slack_count[bid])
    # A difference of sums may come out a hair below zero, or above it where nothing arrived.
    recent_kw = np.maximum(arrived_kw[pair + 1] - arrived_kw[since], 0.0)
    limit_kwh = (1.0 + deferral.extra_work_ratio[bid]) * interval_h * recent_kw
    return np.where(deferral.pair_t == deferral.last_t[bid], 0.0, limit_kwh)


def settled(deferral: DeferralTable, x_kw: FloatArray, interval_h: float) -> FloatArray:
    """Return the columns with the backlog that deferring and running leave, (3n,).

    What is deferred and run decides; the backlog follows from it to the last digit.

    Parameters
    ----------
    deferral
        The bids.
    x_kw
        Deferred and rebound of all pairs, and (unread) backlogs, (3n,). [kW; kWh]
    interval_h
        Length of an interval. [h]
    """
    pairs = len(deferral.pair_t)
    bid = deferral.pair_bid
    owed_kwh = interval_h * (
        (1.0 + deferral.extra_work_ratio[bid]) * x_kw[:pairs] - x_kw[pairs : 2 * pairs]
    )
    length = deferral.last_t - deferral.first_t + 1
    first = np.cumsum(length) - length
    waiting_kwh, found_kwh = np.zeros(len(deferral.ids)), np.zeros(pairs)
    for step in range(int(length.max(initial=0))):
        alive = step < length
        waiting_kwh[alive] += owed_kwh[first[alive] + step]
        found_kwh[first[alive] + step] = waiting_kwh[alive]
    # What is left at the end is the solver's rounding; nothing waits beyond the window.
    found_kwh[first + length - 1] = 0.0
    return np.concatenate([x_kw[: 2 * pairs], found_kwh])


def columns(deferral: DeferralTable, *, interval_h: float) -> Columns:
    """Return the columns of all deferral bids: deferred, rebound, backlog, in turn.

    Parameters are those of :func:`market.core.offers.steps.columns`.
    """
    bid, t = deferral.pair_bid, deferral.pair_t
    pairs = len(t)
    pair = np.arange(pairs)
    one = np.ones(pairs)
    resource = deferral.resource[bid]
    later = pair[t > deferral.first_t[bid]]
    rebound_kw = np.minimum(
        deferral.rebound_limit_kw[bid], deferral.service_limit_kw - deferral.arriving_kw
    )
    grown = interval_h * (1.0 + deferral.extra_work_ratio[bid])
    return Columns(
        ids=deferral.ids,
        families=family_slices(deferred=pairs, rebound=pairs, backlog=pairs),
        bid=np.tile(bid, 3),
        lower_kw=np.zeros(3 * pairs),
        upper_kw=np.concatenate(
            [deferral.arriving_kw, rebound_kw, _backlog_limit_kwh(deferral, interval_h)]
        ),
        cost_jpy=np.concatenate([interval_h * deferral.ask_jpy_per_kwh[bid], np.zeros(2 * pairs)]),
        is_shared=np.repeat([True, True, False], pairs),
        legs=(
            Leg(
                name="DEFERRED",
                direction=UP,
                column=pair,
                resource=resource,
                t=t,
                kw_per_unit=one,
            ),
            Leg(
                name="REBOUND",
                direction=DOWN,
                column=pairs + pair,
                resource=resource,
                t=t,
                kw_per_unit=one,
            ),
        ),
        own={
            "backlog": Own(
                matrix=incidence(
                    (pairs, 3 * pairs),
                    (pair, 2 * pairs + pair, one),
                    (later, 2 * pairs + later - 1, -np.ones(len(later))),
                    (pair, pair, -grown),
                    (pair, pairs + pair, interval_h * one),
                ),
                rhs=np.zeros(pairs),
                is_equal=True,
                bid=bid,
            )
        },
        exclusive=np.stack([pair, pairs + pair], axis=1),
    )

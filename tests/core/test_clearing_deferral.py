"""Deferral: deadline, extra work, bounded rebound, and the transfer form as an oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from market.core.errors import InvalidSnapshot
from market.core.offers import deferral
from market.core.offers.terms import Numbers, Terms
from market.core.reading import Reader
from tests.books import Result, balance_need, book, steps

H = 0.5


def defer(name: str = "job", last_t: int = 3, **parts: Any) -> dict[str, Any]:
    """Return 100 kW of arriving work at resource a that may wait one half hour."""
    return {
        "id": name,
        "form": "DEFERRAL",
        "resource": "a",
        "first_t": 0,
        "last_t": last_t,
        "arriving_kw": 100.0,
        "slack_count": 1,
        "service_limit_kw": 1000.0,
        "rebound_limit_kw": 1000.0,
        "extra_work_ratio": 0.0,
        "ask_jpy_per_kwh": 10.0,
    } | parts


def terms(count: int) -> Terms:
    """Return a horizon with one resource."""
    return Terms(interval_count=count, interval_h=H, resources={"a": {"id": "a"}}, paths={})


def parsed(bid: dict[str, Any], count: int = 4) -> dict[str, Any]:
    """Return a bid's canonical content."""
    return deferral.parse(Reader(bid, "bid", InvalidSnapshot), terms(count))


def table(*bids: dict[str, Any], count: int = 4) -> deferral.DeferralTable:
    """Return the table of bids."""
    numbers = Numbers(terms(count), {"a": 0}, {}, {}, {})
    return deferral.table([parsed(bid, count) for bid in bids], numbers)


def test_the_backlog_may_hold_what_arrived_within_the_slack() -> None:
    found = deferral.columns(
        table(defer(arriving_kw=[10, 20, 40, 80], slack_count=2, extra_work_ratio=0.5)),
        interval_h=H,
    )
    # (1 + 0.5) × 0.5 h × what arrived in this half hour and the one before; nothing at the end.
    backlog = found.upper_kw[found.families["backlog"]]
    assert backlog.tolist() == [7.5, 22.5, 45.0, 0.0]


def test_the_rebound_keeps_within_its_limit_and_the_service_limit() -> None:
    found = deferral.columns(
        table(
            defer(
                arriving_kw=[10, 20, 40, 80],
                service_limit_kw=[100, 100, 100, 90],
                rebound_limit_kw=75,
            )
        ),
        interval_h=H,
    )
    # min(75, 100 − 10), min(75, 100 − 20), min(75, 100 − 40), min(75, 90 − 80)
    assert found.upper_kw[found.families["rebound"]].tolist() == [75.0, 75.0, 60.0, 10.0]
    assert found.upper_kw[found.families["deferred"]].tolist() == [10.0, 20.0, 40.0, 80.0]


def test_deferring_one_kilowatt_leaves_half_a_kilowatt_hour_and_its_extra_work() -> None:
    bids = table(defer(last_t=1, extra_work_ratio=0.1), defer("later", last_t=1), count=2)
    found = deferral.columns(bids, interval_h=H)
    own = found.own["backlog"]
    # Columns: deferred of both bids (4), rebound (4), backlog (4).
    x = np.array([10, 0, 6, 0, 0, 11, 0, 6, 5.5, 0, 3, 0])
    # 0.5 × 1.1 × 10 = 5.5 kWh wait and 0.5 × 11 = 5.5 kWh run; without extra work 3 and 3.
    assert np.abs(own.matrix @ x - own.rhs).max() < 1e-15
    assert own.bid.tolist() == [0, 0, 1, 1]
    assert found.bid[found.families["rebound"]].tolist() == [0, 0, 1, 1]
    assert found.cost_jpy[found.families["deferred"]].tolist() == [5.0] * 4
    x[8:] = 9.0
    assert deferral.settled(bids, x, H)[8:] == pytest.approx([5.5, 0, 3, 0], abs=1e-15)


def test_what_the_solver_leaves_waiting_at_the_end_is_no_backlog() -> None:
    x = np.array([10, 0, 0, 10 - 1e-9, 0, 0])
    found = deferral.settled(table(defer(last_t=1), count=2), x, H)
    assert found.tolist() == [10, 0, 0, 10 - 1e-9, 5.0, 0.0]


def test_no_deferral_bids_have_no_columns() -> None:
    found = deferral.columns(table(), interval_h=H)
    assert found.count == 0
    assert deferral.settled(table(), np.zeros(0), H).tolist() == []


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        ({"service_limit_kw": [100, 99, 100, 100]}, "service_limit_kw", "leave room"),
        ({"slack_count": 0}, "slack_count", "at least 1"),
        ({"slack_count": 5}, "slack_count", "at most 4"),
        ({"arriving_kw": [1, 2, 3]}, "arriving_kw", "4 numbers"),
        ({"arriving_kw": [1, 2, 3, -1]}, "arriving_kw[3]", "at least 0"),
        ({"extra_work_ratio": float("nan")}, "extra_work_ratio", "finite"),
        ({"ask_jpy_per_kwh": None}, "ask_jpy_per_kwh", "number"),
        ({"resource": "z"}, "resource", "known resource"),
        ({"last_t": 4}, "last_t", "at most 3"),
        ({"deadline": 3}, "deadline", "not an entry"),
    ],
)
def test_a_deferral_that_breaks_a_rule_is_refused(
    parts: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        parsed(defer(**parts))
    assert refusal.value.field == f"bid.{field}"
    assert rule in refusal.value.rule


def _backlog_form_jpy(bid: dict[str, Any], price: Any, count: int) -> float:
    """Return what the bid earns at best at given prices, by its own columns."""
    found = deferral.columns(table(bid, count=count), interval_h=H)
    cost = found.cost_jpy.copy()
    for leg in found.legs:
        cost[leg.column] += (-H if leg.direction == "UP" else H) * price[leg.t]
    own = found.own["backlog"]
    solved = linprog(
        cost, A_eq=own.matrix, b_eq=own.rhs, bounds=np.stack([found.lower_kw, found.upper_kw]).T
    )
    assert solved.status == 0
    return -float(solved.fun)


def _transfer_form_jpy(bid: dict[str, Any], price: Any, count: int) -> float:
    """Return the same with a column for every arrival and every half hour it may run in.

    m[t, j] is the work that arrives in t and runs in t + j, j = 0 … L. What runs beyond what
    arrives is rebound, and takes 1 + ρ times its energy; what arrives beyond what runs is deferred.
    """
    first, last, slack = bid["first_t"], bid["last_t"], bid["slack_count"]
    length, grown = last - first + 1, 1.0 + bid["extra_work_ratio"]
    moves = [(t, t + j) for t in range(length) for j in range(slack + 1) if t + j < length]
    n = len(moves) + 2 * length
    arrive, net = np.zeros((length, n)), np.zeros((length, n))
    for column, (start, end) in enumerate(moves):
        arrive[start, column] = 1.0
        net[end, column] = 1.0
    deferred, rebound = len(moves) + np.arange(length), len(moves) + length + np.arange(length)
    net[np.arange(length), deferred] = 1.0
    net[np.arange(length), rebound] = -1.0 / grown
    cost = np.zeros(n)
    own_price = price[first : last + 1]
    cost[deferred] = H * (bid["ask_jpy_per_kwh"] - own_price)
    cost[rebound] = H * own_price
    arriving = np.array(bid["arriving_kw"])
    room = np.minimum(bid["rebound_limit_kw"], np.array(bid["service_limit_kw"]) - arriving)
    upper = np.concatenate([np.full(len(moves), np.inf), arriving, room])
    solved = linprog(
        cost,
        A_eq=np.vstack([arrive, net]),
        b_eq=np.concatenate([arriving, arriving]),
        bounds=np.stack([np.zeros(n), upper]).T,
    )
    assert solved.status == 0
    return -float(solved.fun)


@st.composite
def deferrals(draw: st.DrawFn, count: int) -> dict[str, Any]:
    """Draw a bid over most of a horizon, with idle half hours and tight services among them."""
    first, last = draw(st.integers(0, 2)), draw(st.integers(count - 4, count - 1))
    length = last - first + 1
    series = st.lists(st.sampled_from([0.0, 50.0, 120.0, 333.3]), min_size=length, max_size=length)
    arriving_kw, spare_kw = draw(series), draw(series)
    return defer(
        first_t=first,
        last_t=last,
        arriving_kw=arriving_kw,
        service_limit_kw=[kw + spare for kw, spare in zip(arriving_kw, spare_kw, strict=True)],
        rebound_limit_kw=draw(st.sampled_from([80.0, 200.0, 1000.0])),
        slack_count=draw(st.integers(1, 5)),
        extra_work_ratio=draw(st.sampled_from([0.0, 0.1, 0.4])),
        ask_jpy_per_kwh=draw(st.sampled_from([0.0, 3.0, 10.0])),
    )


@settings(max_examples=25, deadline=None)
@given(deferrals(12), st.lists(st.integers(-500, 6000), min_size=12, max_size=12))
def test_the_bound_on_the_backlog_is_the_deadline_of_each_arrival(
    bid: dict[str, Any], sen_per_kwh: list[int]
) -> None:
    bid, price = parsed(bid, 12), np.array(sen_per_kwh) / 100
    earned_jpy = _backlog_form_jpy(bid, price, 12)
    assert earned_jpy == pytest.approx(_transfer_form_jpy(bid, price, 12), rel=1e-9, abs=1e-9)
    assert earned_jpy >= 0


def test_prices_of_the_oracle_make_deferral_worth_while() -> None:
    # 100 kW of t = 0 earn 60 and cost 10 + 20 when they run in t = 1: 0.5 × 100 × 30.
    bid, price = parsed(defer(last_t=1), 2), np.array([60.0, 20.0])
    assert _backlog_form_jpy(bid, price, 2) == pytest.approx(1500)
    assert _transfer_form_jpy(bid, price, 2) == pytest.approx(1500)


def test_deferred_work_comes_back_with_its_extra_energy_in_the_cheapest_half_hour() -> None:
    result = Result(
        book(
            3,
            bids=[
                defer(last_t=2, extra_work_ratio=0.1),
                steps("dear", "b", "UP", (1000, 9), window=(2, 2)),
                steps("cheap", "b", "UP", (1000, 8), window=(1, 1)),
            ],
            balance_needs=[balance_need([100, 0, 0], cap=50)],
            elements=[],
        )
    )
    assert result.award_kw("job", "DEFERRED") == [100.0, 0.0, 0.0]
    # 1.1 × 100 kW, awarded as the rebound that the operator is told of.
    assert result.award_kw("job", "REBOUND") == [0.0, 110.0, 0.0]
    # 0.5 × (100 × (50 − 10) − 110 × 8)
    assert result.json["objective_jpy"] == pytest.approx(1560, abs=1e-6)
    # 10 + 1.1 × 8 for what is deferred in t = 0. In t = 2 a price below 8 would draw the backlog
    # on: the work of t = 1 would wait in place of that of t = 0.
    assert result.price("areas", "03") == [18.8, 8.0, 8.0]


@pytest.mark.parametrize(("slack_count", "at"), [(1, 1), (2, 2)])
def test_work_runs_by_its_deadline_however_cheap_it_is_later(slack_count: int, at: int) -> None:
    result = Result(
        book(
            3,
            bids=[
                defer(last_t=2, arriving_kw=[100, 0, 0], slack_count=slack_count),
                steps("dear", "b", "UP", (1000, 20), window=(1, 1)),
                steps("cheap", "b", "UP", (1000, 2), window=(2, 2)),
            ],
            balance_needs=[balance_need([100, 0, 0], cap=50)],
            elements=[],
        )
    )
    rebound_kw = result.award_kw("job", "REBOUND")
    assert rebound_kw[at] == sum(rebound_kw) == 100.0


def test_no_more_is_deferred_than_can_come_back() -> None:
    result = Result(
        book(
            2,
            bids=[
                defer(last_t=1, rebound_limit_kw=33.0, extra_work_ratio=0.1),
                steps("supply", "b", "UP", (1000, 5), window=(1, 1)),
            ],
            balance_needs=[balance_need([100, 0], cap=50)],
            elements=[],
        )
    )
    # 33 kW ÷ 1.1
    assert result.award_kw("job", "DEFERRED") == [30.0, 0.0]
    assert result.award_kw("job", "REBOUND") == [0.0, 33.0]


def test_work_is_not_deferred_and_run_at_once_to_burn_energy() -> None:
    result = Result(
        book(
            1,
            bids=[defer(last_t=0, extra_work_ratio=0.5, ask_jpy_per_kwh=0.0)],
            balance_needs=[balance_need(1000, "DOWN", cap=100)],
            elements=[],
        )
    )
    # Deferring 100 kW while running 150 would have sold 50 kW of DOWN at 100 JPY/kWh.
    assert result.json["awards"] == []
    assert result.json["gap_ratio"] == 0.0

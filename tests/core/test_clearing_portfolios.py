"""Portfolios: one curve, several members, each at its own place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from market.core.errors import InvalidSnapshot
from market.core.offers import portfolios
from market.core.offers.terms import Numbers, Terms
from market.core.reading import Reader
from tests.books import Result, balance_need, book, local_need, resource

H = 0.5


def portfolio(name: str = "fleet", direction: str = "UP", **parts: Any) -> dict[str, Any]:
    """Return 30 kW at 10 and 20 kW at 15 from members of 1 kW at a and 40 kW at b, in t = 0."""
    return {
        "id": name,
        "form": "PORTFOLIO",
        "direction": direction,
        "members": [
            {"resource": "b", "limit_kw": 40.0},
            {"resource": "a", "limit_kw": 1.0},
        ],
        "curves": [
            {
                "first_t": 0,
                "last_t": 0,
                "steps": [
                    {"quantity_kw": 30.0, "ask_jpy_per_kwh": 10.0},
                    {"quantity_kw": 20.0, "ask_jpy_per_kwh": 15.0},
                ],
            }
        ],
    } | parts


def curve(first_t: int, last_t: int, quantity_kw: float = 10.0) -> dict[str, Any]:
    """Return a curve of one step at 5 JPY/kWh."""
    step = {"quantity_kw": quantity_kw, "ask_jpy_per_kwh": 5.0}
    return {"first_t": first_t, "last_t": last_t, "steps": [step]}


def terms(count: int) -> Terms:
    """Return a horizon with two resources."""
    known = {name: {"id": name} for name in "ab"}
    return Terms(interval_count=count, interval_h=H, resources=known, paths={})


def parsed(bid: dict[str, Any], count: int = 1) -> dict[str, Any]:
    """Return a bid's canonical content."""
    return portfolios.parse(Reader(bid, "bid", InvalidSnapshot), terms(count))


def table(*bids: dict[str, Any], count: int = 1) -> portfolios.PortfolioTable:
    """Return the table of bids."""
    numbers = Numbers(terms(count), {"a": 0, "b": 1}, {}, {}, {})
    return portfolios.table([parsed(bid, count) for bid in bids], numbers)


def test_what_the_steps_sell_is_what_the_members_do() -> None:
    found = portfolios.columns(table(portfolio()), interval_h=H)
    # Two steps at 0.5 h × 10 and 0.5 h × 15, then members a and b, which cost nothing themselves.
    assert found.upper_kw.tolist() == [30.0, 20.0, 1.0, 40.0]
    assert found.cost_jpy.tolist() == [5.0, 7.5, 0.0, 0.0]
    own = found.own["placement"]
    assert own.matrix.toarray().tolist() == [[1.0, 1.0, -1.0, -1.0]]
    assert own.rhs.tolist() == [0.0]


def test_members_act_only_where_there_is_a_curve() -> None:
    found = portfolios.columns(
        table(
            portfolio(curves=[curve(3, 3), curve(0, 1)]),
            portfolio(
                "soak",
                "DOWN",
                curves=[curve(2, 2)],
                members=[{"resource": "a", "limit_kw": [0, 1, 2, 3]}],
            ),
            count=4,
        ),
        interval_h=H,
    )
    up, down = found.legs
    # Members a and b in t = 0, 1 and 3, after the three steps of the first and one of the second.
    assert up.column.tolist() == [4, 5, 6, 7, 8, 9]
    assert up.resource.tolist() == [0, 0, 0, 1, 1, 1]
    assert up.t.tolist() == [0, 1, 3, 0, 1, 3]
    assert (down.column.tolist(), down.resource.tolist(), down.t.tolist()) == ([10], [0], [2])
    assert found.upper_kw[10] == 2.0
    # One row per bid and half hour with a curve: t = 0, 1, 3 of the first, t = 2 of the second.
    own = found.own["placement"]
    assert own.bid.tolist() == [0, 0, 0, 1]
    each = np.array([10, 10, 10, 5, 4, 4, 4, 6, 6, 6, 5])
    assert (own.matrix @ each).tolist() == [0.0] * 4
    assert found.bid.tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("parts", "field", "rule"),
    [
        ({"members": []}, "members", "1 to"),
        (
            {"members": [{"resource": "a", "limit_kw": 1}, {"resource": "a", "limit_kw": 2}]},
            "members[1].resource",
            "once",
        ),
        ({"members": [{"resource": "z", "limit_kw": 1}]}, "members[0].resource", "known resource"),
        ({"members": [{"resource": "a", "limit_kw": [1, 2]}]}, "members[0].limit_kw", "1 numbers"),
        ({"members": [{"resource": "a", "limit_kw": -1}]}, "members[0].limit_kw", "at least 0"),
        ({"curves": [curve(0, 0), curve(0, 0)]}, "curves", "one curve per half hour"),
        ({"direction": "SIDEWAYS"}, "direction", "UP, DOWN"),
        ({"resource": "a"}, "resource", "not an entry"),
    ],
)
def test_a_portfolio_that_breaks_a_rule_is_refused(
    parts: dict[str, Any], field: str, rule: str
) -> None:
    with pytest.raises(InvalidSnapshot) as refusal:
        parsed(portfolio(**parts))
    assert refusal.value.field == f"bid.{field}"
    assert rule in refusal.value.rule


def award_kw_of(result: Result, resource: str) -> list[float]:
    """Return what a member of the portfolio was awarded."""
    found = [award for award in result.json["awards"] if award["resource"] == resource]
    return [0.0] if not found else list(found[0]["quantity_kw"])


def test_the_clearing_places_a_portfolio_where_it_helps_most() -> None:
    result = Result(
        book(
            bids=[
                portfolio(
                    members=[
                        {"resource": "a", "limit_kw": 30.0},
                        {"resource": "b", "limit_kw": 40.0},
                    ]
                )
            ],
            balance_needs=[balance_need(30, cap=50)],
            local_needs=[local_need(100, cap=100)],
        )
    )
    # Either member serves the balance need; only a, behind the line, relieves it as well.
    assert award_kw_of(result, "a") == [30.0]
    assert award_kw_of(result, "b") == [0.0]
    # 0.5 × (30 × 50 + 30 × 100 − 30 × 10)
    assert result.json["objective_jpy"] == pytest.approx(2100, abs=1e-6)
    # One kWh more at B would cost the second step's 15; one less would cost a its relief, 10 − 100.
    # The least price between is 0. At A the unserved relief is on top.
    assert result.price("places", "B") == [0.0]
    assert result.price("places", "A") == [100.0]


def test_members_that_cost_the_same_share_in_the_ratio_of_their_limits() -> None:
    result = Result(
        book(
            bids=[
                portfolio(
                    members=[
                        {"resource": "a", "limit_kw": 10.0},
                        {"resource": "b", "limit_kw": 40.0},
                    ]
                )
            ],
            balance_needs=[balance_need(25, cap=50)],
            elements=[],
        )
    )
    # 25 × 10 ÷ 50 and 25 × 40 ÷ 50
    assert award_kw_of(result, "a") == [5.0]
    assert award_kw_of(result, "b") == [20.0]
    # 0.5 × 25 × 10, asked once for both members.
    asked_jpy = sum(award["cost_jpy"] for award in result.json["awards"])
    assert asked_jpy == pytest.approx(125, abs=1e-6)


def test_a_resource_in_two_portfolios_is_not_sold_twice() -> None:
    members = [{"resource": "a", "limit_kw": 40.0}]
    result = Result(
        book(
            bids=[portfolio("one", members=members), portfolio("two", members=members)],
            resources=[resource("a", "A", 50.0), resource("b", "B")],
            balance_needs=[balance_need(100, cap=50)],
            elements=[],
        )
    )
    sold_kw = [sum(result.award_kw(name, "PORTFOLIO")) for name in ("one", "two")]
    # 50 kW between two equal bids that offer 40 kW each.
    assert sold_kw == [25.0, 25.0]


def test_a_member_of_one_kilowatt_is_awarded() -> None:
    result = Result(
        book(
            bids=[portfolio(members=[{"resource": "a", "limit_kw": 1.0}])],
            balance_needs=[balance_need(100, cap=50)],
            elements=[],
        )
    )
    assert result.award_kw("fleet", "PORTFOLIO") == [1.0]
    assert result.price("places", "A") == [50.0]

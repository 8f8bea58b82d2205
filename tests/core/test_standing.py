"""Standing bids: which days they stand for, and what they are then."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from market.core.errors import InvalidSnapshot
from market.core.offers.forms import FORMS
from market.core.offers.standing import (
    InvalidStandingBid,
    Standing,
    standing_bid,
    standing_book,
)
from market.core.offers.terms import Terms
from market.core.reading import Reader

MONDAY = date(2026, 7, 6)
WORKDAYS = (0, 1, 2, 3, 4)


def template(name: str = "sun", **parts: Any) -> dict[str, Any]:
    """Return a plant that offers its output from t = 20 to 21 of every day."""
    return {
        "id": name,
        "form": "RENEWABLE",
        "resource": "a",
        "first_t": 20,
        "last_t": 21,
        "available_kw": [100.0, 90.0],
        "scheduled_kw": 80.0,
        "curtail_jpy_per_kwh": 4.0,
    } | parts


def standing(name: str = "sun", weekdays: Any = WORKDAYS, **parts: Any) -> Standing:
    """Return a template that stands on working days from a Monday on."""
    return Standing(
        template=template(name, **parts), valid_from=MONDAY, valid_to=None, weekdays=weekdays
    )


@pytest.mark.parametrize(
    ("day", "stands"),
    [
        (date(2026, 7, 5), False),  # the Sunday before it begins
        (date(2026, 7, 6), True),
        (date(2026, 7, 10), True),
        (date(2026, 7, 11), False),  # a Saturday
        (date(2026, 7, 13), True),
        (date(2026, 7, 14), False),  # the day on which it no longer stands
    ],
)
def test_a_template_stands_on_its_weekdays_between_its_first_and_last_day(
    day: date, *, stands: bool
) -> None:
    found = standing_bid(
        template(), day=day, valid_from=MONDAY, valid_to=date(2026, 7, 14), weekdays=WORKDAYS
    )
    assert (found is not None) == stands


def test_the_bid_is_the_template_under_an_id_of_its_day_or_auction() -> None:
    given = template(scheduled_kw=[80.0, 80.0])
    found = standing_bid(given, day=MONDAY, valid_from=MONDAY, valid_to=None, weekdays=[0])
    assert found == given | {"id": "sun@2026-07-06"}
    other = standing_bid(
        given, day=MONDAY, valid_from=MONDAY, valid_to=None, weekdays=[0], auction="intraday-3"
    )
    assert other == given | {"id": "sun@intraday-3"}
    found["scheduled_kw"][0] = 0.0
    assert given["scheduled_kw"] == [80.0, 80.0]


def test_a_renewed_template_is_a_bid_like_any_other() -> None:
    found = standing_bid(template(), day=MONDAY, valid_from=MONDAY, valid_to=None, weekdays=[0])
    terms = Terms(interval_count=48, interval_h=0.5, resources={"a": {}}, paths={})
    read = FORMS["RENEWABLE"].parse(Reader(found, "bid", InvalidSnapshot), terms)
    assert (read["id"], read["first_t"]) == ("sun@2026-07-06", 20)


def test_a_child_follows_the_parent_of_its_day_and_stays_away_without_one() -> None:
    book = [
        standing("child", parent="parent"),
        standing("parent", weekdays=[0]),
        standing("grandchild", parent="child"),
        standing("alone", parent=None),
    ]
    on_monday = standing_book(book, day=MONDAY)
    assert [bid["id"] for bid in on_monday] == [
        "alone@2026-07-06",
        "child@2026-07-06",
        "grandchild@2026-07-06",
        "parent@2026-07-06",
    ]
    assert on_monday[1]["parent"] == "parent@2026-07-06"
    # On Tuesday the parent rests, so its child and grandchild do.
    assert [bid["id"] for bid in standing_book(book, day=date(2026, 7, 7))] == ["alone@2026-07-07"]


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"template": {"form": "STEPS"}}, "template.id"),
        ({"template": {"id": "x", "form": 3}}, "template.form"),
        ({"valid_to": MONDAY}, "valid_to"),
        ({"valid_from": datetime(2026, 7, 6, tzinfo=UTC)}, "valid_from"),
        ({"valid_to": "2026-07-07"}, "valid_to"),
        ({"weekdays": []}, "weekdays"),
        ({"weekdays": [7]}, "weekdays"),
        ({"weekdays": [True]}, "weekdays"),
        ({"weekdays": [1, 1]}, "weekdays"),
    ],
)
def test_a_standing_bid_that_breaks_a_rule_is_refused(parts: dict[str, Any], field: str) -> None:
    good = {"template": template(), "valid_from": MONDAY, "valid_to": None, "weekdays": [0]}
    with pytest.raises(InvalidStandingBid) as refusal:
        Standing(**(good | parts))
    assert refusal.value.field == field

"""Changed orders, limits of connections and scores of tests: pure, by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from accounts.core.errors import Refused
from aggregator.core.changes import extended, reduced
from aggregator.core.envelopes import Limit, Span, limit_spans, permitted_kw
from aggregator.core.trials import score

D = Decimal
AT = datetime(2026, 11, 25, tzinfo=UTC)
ORDER = {34: D(9), 35: D(9), 36: D(9)}


def _at(minutes: int) -> datetime:
    return AT + timedelta(minutes=minutes)


def test_a_reduced_order_starts_with_its_first_change_and_drops_what_is_zero() -> None:
    found = reduced(ORDER, {35: D(0)}, from_t=34)
    assert (found.first_t, dict(found.quantity_kw), found.differs_t) == (35, {36: D(9)}, {35})


def test_an_extended_order_is_what_follows_its_end() -> None:
    found = extended(ORDER, {37: D(5), 38: D("2.5")}, from_t=36)
    assert (found.first_t, dict(found.quantity_kw)) == (37, {37: D(5), 38: D("2.5")})


@pytest.mark.parametrize("asked", [{}, {38: D(1)}, {36: D(1)}, {37: D(0)}, {37: D(1), 39: D(1)}])
def test_an_extension_with_a_gap_or_of_nothing_is_refused(asked: dict[int, Decimal]) -> None:
    with pytest.raises(Refused):
        extended(ORDER, asked, from_t=34)


def test_an_extension_does_not_reach_into_the_next_day() -> None:
    with pytest.raises(Refused):
        extended({47: D(1)}, {48: D(1)}, from_t=0)


def test_the_last_word_counts_and_the_whole_where_nothing_was_said() -> None:
    limits = [
        Limit(starts_at=_at(10), ends_at=_at(60), limit_kw=D(60)),
        Limit(starts_at=_at(30), ends_at=_at(40), limit_kw=D(80)),
    ]
    found = limit_spans(limits, firm_kw=D(50), flexible_kw=D(50), from_at=AT)
    assert [(s.starts_at, s.ends_at, s.limit_kw) for s in found] == [
        (AT, _at(10), D(100)),
        (_at(10), _at(30), D(60)),
        (_at(30), _at(40), D(80)),
        (_at(40), _at(60), D(60)),
        (_at(60), None, D(100)),
    ]


def test_the_firm_part_is_never_taken_away() -> None:
    limits = [Limit(starts_at=AT, ends_at=_at(60), limit_kw=D(10))]
    found = limit_spans(limits, firm_kw=D(50), flexible_kw=D(50), from_at=_at(5))
    assert found[0].limit_kw == D(50)


@pytest.mark.parametrize(
    ("silent_s", "kw"), [(0, 80), (60, 80), (61, 20)], ids=["just heard", "in time", "too long"]
)
def test_a_site_that_hears_nothing_falls_to_its_firm_part(silent_s: int, kw: int) -> None:
    spans = [Span(starts_at=AT, ends_at=None, limit_kw=D(80))]
    now = _at(60)
    heard = now - timedelta(seconds=silent_s)
    found = permitted_kw(
        spans, firm_kw=D(20), now=now, heard_at=heard, failsafe=timedelta(seconds=60)
    )
    assert found == kw


def test_a_site_that_never_heard_anything_draws_the_firm_part() -> None:
    assert permitted_kw([], firm_kw=D(20), now=AT, heard_at=None, failsafe=timedelta(days=1)) == D(
        20
    )


def test_a_test_is_scored_on_what_came_in_each_interval() -> None:
    before = [D(510), D(490)]
    found = score(asked_kw=D(100), is_up=True, before_kw=before, during_kw=[D(380), D(420), None])
    # 120 counts as all, 80 as 0.8, a gap as nothing
    assert (found.score_ratio, found.lowest_ratio, found.is_passed) == (D("0.6"), D(0), False)
    assert found.change_kw == (D(120), D(80), None)


def test_more_load_counts_for_down() -> None:
    found = score(asked_kw=D(100), is_up=False, before_kw=[D(0)], during_kw=[D(95), D(85)])
    assert (found.score_ratio, found.is_passed) == (D("0.9"), True)


def test_a_good_mean_over_a_failed_interval_does_not_pass() -> None:
    during = [D(0)] * 9 + [D(21)]
    found = score(asked_kw=D(100), is_up=True, before_kw=[D(100)], during_kw=during)
    assert (found.score_ratio, found.lowest_ratio) == (D("0.979"), D("0.79"))
    assert not found.is_passed


def test_nothing_before_it_leaves_nothing_to_score() -> None:
    with pytest.raises(Refused):
        score(asked_kw=D(1), is_up=True, before_kw=[], during_kw=[D(1)])

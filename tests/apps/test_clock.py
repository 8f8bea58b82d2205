"""Market time: one SQL function, shifted only where settings allow it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from accounts.clock.models import MarketClock
from accounts.clock.selectors import market_now
from accounts.clock.services import ClockFixed, clock_advance, clock_reset, clock_set
from accounts.core.errors import Refused

pytestmark = pytest.mark.django_db

THEN = datetime(2026, 8, 4, 1, 0, tzinfo=UTC)


def _database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def test_without_a_shift_market_time_is_the_database_clock() -> None:
    before, now, after = _database_now(), market_now(), _database_now()
    assert before <= now <= after


def test_a_shifted_clock_stands_where_it_was_set_and_runs_at_its_speed() -> None:
    clock_set(market_at=THEN, speed_ratio=Decimal(3600))
    began = _database_now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1)")
    passed = market_now() - THEN
    real = _database_now() - began
    assert timedelta(seconds=360) <= passed <= (real + timedelta(seconds=1)) * 3600


def test_market_time_moves_within_one_transaction() -> None:
    with transaction.atomic():
        assert market_now() < market_now()


def test_market_time_never_runs_backwards_once_set() -> None:
    clock_set(market_at=THEN)
    with pytest.raises(Refused, match="never runs backwards"):
        clock_set(market_at=THEN - timedelta(hours=1))


def test_a_fast_clock_is_stopped_where_it_is_when_the_hour_has_passed() -> None:
    clock_set(market_at=THEN, speed_ratio=Decimal(21_600))
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(0.1)")  # 36 minutes of the market
    clock_advance(market_at=THEN + timedelta(minutes=30))
    stopped = market_now()
    assert stopped >= THEN + timedelta(minutes=36)
    assert market_now() - stopped < timedelta(seconds=30)


def test_a_clock_is_advanced_to_an_hour_that_is_still_to_come() -> None:
    clock_set(market_at=THEN)
    clock_advance(market_at=THEN + timedelta(hours=1))
    assert timedelta(hours=1) <= market_now() - THEN < timedelta(hours=1, seconds=30)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(Refused, match="offset"):
        clock_set(market_at=datetime(2026, 8, 4, 1, 0))  # noqa: DTZ001 - that is the point
    assert not MarketClock.objects.exists()


def test_settings_without_leave_cannot_shift_time(settings: Any) -> None:
    settings.MARKET_CLOCK_MAY_SHIFT = False
    with pytest.raises(ClockFixed):
        clock_set(market_at=THEN)
    with pytest.raises(ClockFixed):
        clock_reset()
    assert not MarketClock.objects.exists()

"""Shift market time; only demo and test settings allow it."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import connection, transaction

from accounts.clock.models import MarketClock
from accounts.core.errors import Refused


class ClockFixed(Refused):
    """These settings run on the database clock alone."""


def _refuse_unless_allowed() -> None:
    if not getattr(settings, "MARKET_CLOCK_MAY_SHIFT", False):
        raise ClockFixed(
            field="market_clock",
            value="shift",
            rule="only demo and test settings may shift market time",
        )


@transaction.atomic
def clock_set(*, market_at: datetime, speed_ratio: Decimal = Decimal(1)) -> None:
    """Make it `market_at` now, running at `speed_ratio` market seconds per real second.

    Raises
    ------
    ClockFixed
        In settings without ``MARKET_CLOCK_MAY_SHIFT``.
    Refused
        If `market_at` has no zone, or lies before the present market time: stamps
        already given must stay in the past.
    """
    real_at, market_was_at = _moments(market_at)
    shifted = MarketClock.objects.filter(id=1).exists()
    if shifted and market_at < market_was_at - timedelta(milliseconds=1):
        raise Refused(field="market_at", value=market_at, rule="market time never runs backwards")
    _write(real_at, market_at, speed_ratio)


@transaction.atomic
def clock_advance(*, market_at: datetime, speed_ratio: Decimal = Decimal(1)) -> None:
    """Do as :func:`clock_set`, but go on from where the clock is if `market_at` has passed.

    For stopping a fast clock: whoever asks cannot know by how much it has run on meanwhile.
    """
    real_at, market_was_at = _moments(market_at)
    _write(real_at, max(market_at, market_was_at), speed_ratio)


def _moments(market_at: datetime) -> tuple[datetime, datetime]:
    """Return the database's clock and market time at one moment."""
    _refuse_unless_allowed()
    if market_at.tzinfo is None:
        raise Refused(field="market_at", value=market_at, rule="must carry a UTC offset")
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp(), market_now()")
        real_at, market_was_at = cursor.fetchone()
    return real_at, market_was_at


def _write(real_at: datetime, market_at: datetime, speed_ratio: Decimal) -> None:
    MarketClock.objects.update_or_create(
        id=1,
        defaults={
            "anchor_real_at": real_at,
            "anchor_market_at": market_at,
            "speed_ratio": speed_ratio,
        },
    )


def clock_reset() -> None:
    """Return to the database clock."""
    _refuse_unless_allowed()
    MarketClock.objects.all().delete()

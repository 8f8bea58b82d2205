"""A published day, and people who look at it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client

from accounts.parties.models import User
from aggregator.portal.desk import live
from tests import cast


@pytest.fixture(autouse=True)
def _room_forgotten() -> Iterator[None]:
    """Let no test's control room be shown in another's market."""
    yield
    live.WATCH.forget()


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return the cast's published day, seen four hours before delivery."""
    made = cast.published_day()
    cast.market_time(made.auction.delivery_start - timedelta(hours=4))
    return made


@pytest.fixture
def open_day(db: None) -> cast.MarketDay:
    """Return a day whose gate is still open, seen an hour before it closes."""
    made = cast.open_day()
    cast.market_time(made.auction.gate_closure_at - timedelta(hours=1))
    return made


def client_of(user: User | None, language: str = "ja") -> Client:
    """Return a browser of `user`, or of nobody."""
    client = Client(headers={"accept-language": language})
    if user is not None:
        client.force_login(user)
    return client

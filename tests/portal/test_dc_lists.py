"""Lists that find their keys first show, count and order what they did before."""

from __future__ import annotations

from django.test import Client
from django.test.client import RequestFactory

from aggregator.portal.lists import Listing, listed
from market.trading.models import Bid
from tests import cast
from tests.portal.conftest import client_of


def names_of(listing: Listing) -> list[str]:
    return [bid.client_bid_id for bid in listing.shown]


def test_keys_first_or_not_a_list_is_the_same(day: cast.MarketDay) -> None:
    rows = Bid.objects.select_related("resource__site")
    sorts = {"name": ("client_bid_id", "id")}
    asked = RequestFactory().get("/", {"sort": "-name"})
    plain = listed(asked, rows, sorts=sorts, sort="name")
    keyed = listed(asked, rows, sorts=sorts, sort="name", ids_first=True)
    short = listed(asked, rows, sorts=sorts, sort="name", ids_first=True, is_short=True)
    expected = sorted((bid.client_bid_id for bid in day.bids.values()), reverse=True)
    assert names_of(plain) == names_of(keyed) == names_of(short) == expected
    assert plain.count == keyed.count == short.count == 4


def test_a_page_that_is_not_there_is_nowhere(day: cast.MarketDay) -> None:
    mine: Client = client_of(day.places.people.owner)
    assert mine.get("/dc/bids/?page=2").status_code == 404
    assert mine.get("/dc/awards/?page=2").status_code == 404

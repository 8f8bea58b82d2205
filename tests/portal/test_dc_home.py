"""A trader's home: the day's price where one's own load is; awards that are not final yet."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.parties.sight import sight_of
from aggregator.dispatch.confirming import orders_apply
from aggregator.metering.models import DeliveryVerification
from aggregator.portal.dc import day_price, looks, selectors
from market.clearing.models import BidOutcome
from tests import cast
from tests.portal.conftest import client_of


def test_the_days_price_at_the_site_is_told_beside_the_areas_and_their_difference(
    day: cast.MarketDay,
) -> None:
    sight = sight_of(day.places.people.owner)
    published = selectors.days_published(sight)
    today = day.auction.delivery_on
    found = day_price.day_price(sight, published, today)
    assert found is not None
    assert found.site.code == "inzai-dc-1"
    # the evening's scarce half hour: 30 + 2/3 of the line's 180 = 150; of the others 30 + 30
    assert found.dearest_t == cast.SCARCE
    assert str(found.dearest_jpy_per_kwh) == "150.00"
    assert found.area_then_jpy_per_kwh == 30
    assert found.congestion[cast.SCARCE] == 120
    assert found.congestion[0] == 0
    page = client_of(day.places.people.owner).get("/dc/").content.decode()
    assert "約定価格" in page
    assert "<b>150.00</b>" in page
    assert "11月25日" in page


def test_a_rivals_site_has_no_price_chart_of_mine(day: cast.MarketDay) -> None:
    mine = client_of(day.places.people.owner)
    assert mine.get("/dc/price.json?site=inzai-dc-1").status_code == 200
    assert mine.get("/dc/price.json?site=shiroi-dc-1").status_code == 404
    drawn = json.loads(mine.get("/dc/price.json").content)
    assert drawn["item"]["doc"]["roots"]


def test_home_asks_twenty_statements_at_most(day: cast.MarketDay) -> None:
    later = cast.auction(
        day.places, delivery_on=day.auction.delivery_on + timedelta(days=1), code="DA-NEXT"
    )
    assert later.state == "OPEN"
    mine = client_of(day.places.people.owner)
    mine.get("/dc/")
    with CaptureQueriesContext(connection) as asked:
        mine.get("/dc/")
    assert len(asked) <= 20


@pytest.fixture
def by_order(db: None) -> cast.MarketDay:
    """Return a day whose local need is bought by an order that has not come yet."""
    made = cast.published_day(by_order=("local",))
    for bid in made.bids.values():
        BidOutcome.objects.create(run=made.run, bid=bid, outcome="ACCEPTED", explanation={})
    cast.market_time(made.auction.gate_closure_at + timedelta(hours=1))
    return made


def test_an_award_that_waits_for_its_order_is_called_tentative_everywhere(
    by_order: cast.MarketDay,
) -> None:
    mine = client_of(by_order.places.people.owner)
    listed = mine.get("/dc/awards/").content.decode()
    # the battery upwards and deferred work; what is charged at midday relieves no line
    assert listed.count("仮約定") == 2
    battery = by_order.awards["inzai-battery-up"]
    one = mine.get(f"/dc/awards/{battery.bid_id}/").content.decode()
    assert "仮約定です。" in one
    home = mine.get("/dc/").content.decode()
    assert "仮約定が2件、注文を待っています" in home


def test_what_was_ordered_is_final_and_what_was_let_go_says_so(by_order: cast.MarketDay) -> None:
    mine = client_of(by_order.places.people.owner)
    battery = by_order.awards["inzai-battery-up"]
    orders_apply(
        auction_id=by_order.auction.id, ordered=[], released=[by_order.needs["local"].id],
        cause="test",
    )  # fmt: skip
    one = mine.get(f"/dc/awards/{battery.bid_id}/").content.decode()
    assert "仮約定" not in one
    assert "買い手が注文しなかったため" in one
    assert "注文を待っています" not in mine.get("/dc/").content.decode()


def test_an_auction_goes_by_its_code_in_english(day: cast.MarketDay) -> None:
    english = client_of(day.places.people.owner, "en")
    for address in ("/dc/", "/dc/bids/", "/dc/awards/"):
        page = english.get(address).content.decode()
        assert "前日" not in page, address


def test_the_upload_says_what_a_sealed_book_keeps_from_the_file(open_day: cast.MarketDay) -> None:
    mine = client_of(open_day.places.people.owner)
    page = mine.get(f"/dc/bids/{open_day.auction.code}/upload/").content.decode()
    # battery up and down and deferred work came without a draft
    assert "CSV や API で出した 3 件は入っていません。" in page
    cast.book_opened(open_day.auction)
    page = mine.get(f"/dc/bids/{open_day.auction.code}/upload/").content.decode()
    assert "入っていません" not in page


def test_the_latest_look_is_at_the_latest_delivery_that_was_sold(day: cast.MarketDay) -> None:
    unsold = cast.auction(
        day.places, delivery_on=day.auction.delivery_on + timedelta(days=1), state="PUBLISHED",
        code="DA-NEXT",
    )  # fmt: skip
    for auction, revision in ((day.auction, 1), (day.auction, 2), (unsold, 1)):
        DeliveryVerification.objects.create(
            auction=auction, revision=revision, stage="FINAL", as_of=auction.delivery_start,
            ruleset=day.places.ruleset, input_sha256="",
        )  # fmt: skip
    published = selectors.days_published(sight_of(day.places.people.owner))
    found = looks.verified_latest(published)
    assert found is not None
    assert (found[0], found[1].revision) == (day.auction, 2)
    assert looks.verified_latest([]) is None

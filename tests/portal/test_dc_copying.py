"""Yesterday's bids as today's drafts, all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.test import Client

from aggregator.portal.drafts import draft_text
from aggregator.portal.models import Draft
from market.registry.models import Resource
from market.trading.models import Auction, Bid
from tests import cast
from tests.portal.conftest import client_of


@pytest.fixture
def target(day: cast.MarketDay) -> Auction:
    """Return the next day's auction, open an hour before its gate."""
    made = cast.auction(
        day.places, delivery_on=day.auction.delivery_on + timedelta(days=1), code="DA-NEXT"
    )
    cast.market_time(made.gate_closure_at - timedelta(hours=1))
    return made


@pytest.fixture
def owner(day: cast.MarketDay, target: Auction) -> Client:
    return client_of(day.places.people.owner)


def test_all_bids_of_yesterday_become_drafts_of_the_next_auction_by_one_click(
    day: cast.MarketDay, target: Auction, owner: Client
) -> None:
    assert 'action="/dc/bids/DA-NEXT/yesterday/"' in owner.get("/dc/").content.decode()
    assert 'action="/dc/bids/DA-NEXT/yesterday/"' in owner.get("/dc/bids/").content.decode()
    led = owner.post("/dc/bids/DA-NEXT/yesterday/")
    assert (led.status_code, led.headers["Location"]) == (302, "/dc/bids/DA-NEXT/copied/")
    page = owner.get("/dc/bids/DA-NEXT/copied/").content.decode()
    assert "11月25日(水) 受渡しの入札から 3件を下書きに複写しました。" in page
    drafts = list(Draft.objects.filter(subject="DA-NEXT").order_by("id"))
    assert [draft.name for draft in drafts] == [
        "inzai-dc-1-battery-battery-1126-1",
        "inzai-dc-1-battery-battery-1126-2",
        "inzai-dc-1-load-deferral-1126-1",
    ]
    fields = draft_text(drafts[2]).fields
    assert (fields["direction"], fields["t_first"], fields["t_end"]) == ("UP", "34", "40")
    assert (fields["kw_0"], fields["ask_0"]) == ("9,000", "21.00")
    assert not Bid.objects.filter(auction=target).exists()
    edit = owner.get("/dc/bids/DA-NEXT/inzai-dc-1-load-deferral-1126-1/")
    assert edit.status_code == 200


def test_a_second_click_copies_nothing_and_says_what_is_there(
    target: Auction, owner: Client
) -> None:
    owner.post("/dc/bids/DA-NEXT/yesterday/")
    owner.post("/dc/bids/DA-NEXT/yesterday/")
    assert Draft.objects.filter(subject=target.code).count() == 3
    page = owner.get("/dc/bids/DA-NEXT/copied/").content.decode()
    assert page.count("このリソースと手段は、すでに入札か下書きがあります。") == 3


def test_what_could_not_be_copied_is_listed_with_its_reason(
    day: cast.MarketDay, target: Auction, owner: Client
) -> None:
    Resource.objects.filter(id=day.places.resources["inzai-load"].id).update(limit_up_kw=8_000)
    Resource.objects.filter(id=day.places.resources["inzai-battery"].id).update(retired_at=Now())
    owner.post("/dc/bids/DA-NEXT/yesterday/")
    page = owner.get("/dc/bids/DA-NEXT/copied/").content.decode()
    assert page.count("このリソースは使われていません。") == 2
    # 9,000 kW of a load that can now give 8,000
    assert "9000：リソース inzai-dc-1-load の UP は 8000.0 kW まで" in page
    assert "3件は複写していません。" in page
    assert not Draft.objects.filter(subject=target.code).exists()


def test_only_ones_own_bids_are_copied_and_only_into_an_open_auction(
    day: cast.MarketDay, target: Auction, owner: Client
) -> None:
    rival = client_of(day.places.people.rival)
    rival.post("/dc/bids/DA-NEXT/yesterday/")
    (draft,) = Draft.objects.filter(subject="DA-NEXT")
    assert draft.organisation == day.places.people.shiroi_dc
    assert owner.post(f"/dc/bids/{day.auction.code}/yesterday/").status_code == 404
    # what another person copied is not mine to look at
    assert owner.get("/dc/bids/DA-NEXT/copied/").status_code == 302

"""Standing bids: given once, renewed when a gate opens, refused by name, never twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.audit.models import AuditEntry
from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim, job_create
from market.registry.models import Resource
from market.trading.bids import bid_withdraw
from market.trading.models import (
    Auction,
    AuctionState,
    Bid,
    BidState,
    StandingBid,
    StandingBidContent,
    StandingRenewal,
    StandingState,
)
from market.trading.selectors import standing_bids_of
from market.trading.services import auction_open, auction_schedule
from market.trading.standing_services import (
    RENEW_KIND,
    StandingDays,
    standing_bid_create,
    standing_bid_pause,
    standing_bid_resume,
    standing_bid_withdraw,
    standing_bids_renew,
)
from tests import cast, forms

pytestmark = pytest.mark.django_db

ALWAYS = StandingDays(valid_from_on=date(2026, 11, 1))


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction for Wednesday 25 November 2026."""
    return forms.products_day()


def _bid(**changes: Any) -> dict[str, Any]:
    bid = forms.block(**changes)
    return {name: value for name, value in bid.items() if name != "client_bid_id"}


def _stand(day: cast.MarketDay, code: str = "evening", **changes: Any) -> StandingBid:
    days = changes.pop("days", ALWAYS)
    return standing_bid_create(
        organisation=day.places.people.inzai_dc, code=code, bid=_bid(**changes), days=days
    )


def _renew(auction: Auction, again: str = "") -> int:
    job_create(kind=RENEW_KIND, key=f"{auction.id}{again}", payload={"auction": str(auction.id)})
    job = Job.objects.get(kind=RENEW_KIND, key=f"{auction.id}{again}")
    claim: Claim | None = job_claim(job_id=job.id)
    assert claim is not None
    return standing_bids_renew(claim=claim)


def test_an_opening_auction_gets_the_standing_bids(day: cast.MarketDay) -> None:
    _stand(day)
    eve = day.auction.delivery_start
    later = auction_schedule(
        code="DA-next",
        name="翌日",
        delivery_on=date(2026, 11, 26),
        opens_at=eve,
        gate_closure_at=eve + timedelta(hours=2),
        grid_model=day.places.grid_model,
    )
    clock_set(market_at=eve + timedelta(minutes=1))
    claim = job_claim(job_id=Job.objects.get(kind="market.trading.auction_open").id)
    assert claim is not None
    auction_open(claim=claim)
    renewal = job_claim(job_id=Job.objects.get(kind=RENEW_KIND, key=str(later.id)).id)
    assert renewal is not None
    assert standing_bids_renew(claim=renewal) == 1
    bid = Bid.objects.get(auction=later)
    assert (bid.client_bid_id, bid.form, bid.state) == ("evening@DA-next", "BLOCK", "SUBMITTED")
    assert StandingRenewal.objects.get().bid_id == bid.id


def test_a_standing_bid_reaches_auctions_that_are_open_already(day: cast.MarketDay) -> None:
    standing = _stand(day)
    job = Job.objects.get(kind=RENEW_KIND)
    assert job.key == f"{day.auction.id}/{standing.id}"
    claim = job_claim(job_id=job.id)
    assert claim is not None
    assert standing_bids_renew(claim=claim) == 1
    assert Bid.objects.get().client_bid_id == f"evening@{day.auction.code}"


def test_a_withdrawn_bid_is_not_renewed_again(day: cast.MarketDay) -> None:
    _stand(day)
    assert _renew(day.auction) == 1
    bid_withdraw(
        auction_id=day.auction.id,
        organisation=day.places.people.inzai_dc,
        client_bid_id=f"evening@{day.auction.code}",
    )
    assert _renew(day.auction, "/again") == 0
    assert Bid.objects.get().state == BidState.WITHDRAWN


@pytest.mark.parametrize(
    "days",
    [
        replace(ALWAYS, valid_from_on=date(2026, 11, 26)),
        replace(ALWAYS, valid_to_on=date(2026, 11, 25)),  # the end is no delivery day any more
        replace(ALWAYS, weekdays=(0, 1, 3, 4, 5, 6)),  # the day is a Wednesday, 2
    ],
)
def test_days_that_are_not_meant_get_no_bid(day: cast.MarketDay, days: StandingDays) -> None:
    _stand(day, days=days)
    assert not Job.objects.filter(kind=RENEW_KIND).exists()
    assert _renew(day.auction) == 0
    assert not Bid.objects.exists()
    assert not StandingRenewal.objects.exists()


def test_a_child_is_renewed_with_its_parent(day: cast.MarketDay) -> None:
    _stand(day, code="child", parent="zz-parent")
    _stand(day, code="zz-parent")
    assert _renew(day.auction) == 2
    parent = f"zz-parent@{day.auction.code}"
    assert Bid.objects.get(client_bid_id__startswith="child@").parent_client_bid_id == parent
    cast.book_opened(day.auction)
    child = Bid.objects.select_related("content").get(client_bid_id__startswith="child@")
    assert child.content.content["parent"] == parent


def test_one_refused_bid_is_named_and_holds_up_no_other(day: cast.MarketDay) -> None:
    _stand(day, code="good", quantity_kw=["1000"])
    _stand(day, code="too-much")
    Resource.objects.filter(code="inzai-dc-1-load").update(limit_up_kw=1_500)
    assert _renew(day.auction) == 1
    refused = StandingRenewal.objects.get(bid=None)
    assert refused.standing_bid.code == "too-much"
    assert refused.refusal.startswith("bids[0].quantity_kw: at most 1500")
    assert "2000" not in refused.refusal  # what it offers stays sealed
    assert AuditEntry.objects.filter(action="market.standing_bid.refused").count() == 1


def test_the_same_standing_bid_twice_is_one_and_a_change_replaces_it(day: cast.MarketDay) -> None:
    first = _stand(day)
    assert _stand(day).id == first.id
    second = _stand(day, ask_jpy_per_kwh="25")
    first.refresh_from_db()
    assert (first.state, second.state) == (StandingState.WITHDRAWN, StandingState.ACTIVE)
    assert StandingBid.objects.count() == 2


def test_a_withdrawn_standing_bid_is_renewed_no_more(day: cast.MarketDay) -> None:
    _stand(day)
    inzai = day.places.people.inzai_dc
    standing_bid_withdraw(organisation=inzai, code="evening")
    assert _renew(day.auction) == 0
    with pytest.raises(NotFound):
        standing_bid_withdraw(organisation=inzai, code="evening")


def test_after_the_gate_nothing_is_renewed(day: cast.MarketDay) -> None:
    _stand(day)
    clock_set(market_at=day.auction.gate_closure_at)
    assert _renew(day.auction) == 0
    Auction.objects.filter(id=day.auction.id).update(state=AuctionState.CLOSED)
    assert _renew(day.auction, "/closed") == 0
    assert not Bid.objects.exists()
    assert not StandingRenewal.objects.exists()  # nobody is refused for being late


@pytest.mark.parametrize(
    ("field", "code", "days", "changes"),
    [
        ("code", "", ALWAYS, {}),
        ("code", "x" * 21, ALWAYS, {}),
        ("weekdays", "e", replace(ALWAYS, weekdays=()), {}),
        ("weekdays", "e", replace(ALWAYS, weekdays=(7,)), {}),
        ("valid_to", "e", replace(ALWAYS, valid_to_on=date(2026, 11, 1)), {}),
        ("valid_from_on", "e", replace(ALWAYS, valid_from_on="2026-11-01"), {}),
        ("bids[0].quantity_kw[0]", "e", ALWAYS, {"quantity_kw": ["NaN"]}),
        ("bids[0].resource", "e", ALWAYS, {"resource": "nothing"}),
    ],
)
def test_a_standing_bid_that_breaks_a_rule_is_refused(
    day: cast.MarketDay, field: str, code: str, days: Any, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _stand(day, code=code, days=days, **changes)
    assert refused.value.field == field
    assert not StandingBid.objects.exists()


def test_a_standing_bid_is_its_owners_and_its_offer_sealed(day: cast.MarketDay) -> None:
    standing = _stand(day)
    people = day.places.people
    assert list(standing_bids_of(seen_by=people.inzai_dc)) == [standing]
    assert not standing_bids_of(seen_by=people.shiroi_dc).exists()
    assert not standing_bids_of(seen_by=people.platform).exists()
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        StandingBidContent.objects.update(ciphertext=b"")
    with pytest.raises(IntegrityError, match="refused"), transaction.atomic():
        StandingBid.objects.update(weekdays=[1])


def _latest_renewal() -> Claim:
    """Claim the one renewal that nobody has claimed yet."""
    (job,) = Job.objects.filter(kind=RENEW_KIND, token=0)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    return claim


def test_a_paused_standing_bid_is_renewed_once_it_is_resumed(day: cast.MarketDay) -> None:
    standing = _stand(day)
    inzai = day.places.people.inzai_dc
    standing_bid_pause(organisation=inzai, code=standing.code)
    assert standing_bids_renew(claim=_latest_renewal()) == 0
    standing_bid_resume(organisation=inzai, code=standing.code)
    assert standing_bids_renew(claim=_latest_renewal()) == 1
    # paused and resumed again, it is not renewed twice in one auction
    standing_bid_pause(organisation=inzai, code=standing.code)
    standing_bid_resume(organisation=inzai, code=standing.code)
    assert standing_bids_renew(claim=_latest_renewal()) == 0
    assert Bid.objects.count() == 1

"""Blocks, deferral, sun, portfolios, ΔkW and computing at the door: exact, or refused whole."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction

from accounts.core.errors import NotFound, Refused
from market.clearing.book import snapshot_of_book
from market.core.errors import InvalidSnapshot
from market.core.offers.forms import FORMS
from market.core.snapshot import snapshot_from_bytes
from market.trading.bid_checks import FITS
from market.trading.bids import bid_withdraw, bids_submit
from market.trading.contents import InvalidBid, content_canonical
from market.trading.models import Auction, Bid, BidContent, BidForm, BidState
from tests import cast, forms

pytestmark = pytest.mark.django_db


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction with a ΔkW product."""
    return forms.products_day()


def _submit(day: cast.MarketDay, *bids: dict[str, Any]) -> Any:
    return bids_submit(
        auction_id=day.auction.id, organisation=day.places.people.inzai_dc, bids=list(bids)
    )


def _ask(day: cast.MarketDay, **changes: Any) -> Any:
    return bids_submit(
        auction_id=day.auction.id,
        organisation=forms.customer(),
        bids=[forms.compute_request(**changes)],
    )


def _snapshot(day: cast.MarketDay) -> dict[str, Any]:
    cast.book_opened(day.auction)
    auction = Auction.objects.select_related("ruleset", "grid_model").get(id=day.auction.id)
    return dict(json.loads(snapshot_of_book(auction)))


def test_the_doors_know_every_form_of_the_engine() -> None:
    assert set(BidForm.values) == set(FORMS)
    assert set().union(*FITS.values()) | {"PORTFOLIO", "COMPUTE_REQUEST"} == set(FORMS)


def test_one_bid_of_every_form_is_in_the_snapshot_that_the_engine_reads(
    day: cast.MarketDay,
) -> None:
    receipts = _submit(day, *(form() for form in forms.SELLERS))
    receipts += _ask(day)
    found = {bid["id"]: bid for bid in _snapshot(day)["bids"]}
    assert {found[str(receipt.bid_id)]["form"] for receipt in receipts} == {
        "BLOCK", "DEFERRAL", "RENEWABLE", "PORTFOLIO", "CAPACITY", "COMPUTE_OFFER",
        "COMPUTE_REQUEST",
    }  # fmt: skip
    by_form = {bid["form"]: bid for bid in found.values()}
    assert by_form["BLOCK"]["quantity_kw"] == [2000.0, 2000.0, 1500.5]
    assert by_form["PORTFOLIO"]["members"][1]["limit_kw"] == [1.0] * 48
    # asked for a window with one number: nothing outside it
    assert by_form["COMPUTE_REQUEST"]["quantity_kw"] == [0.0] * 20 + [600.0] * 6 + [0.0] * 22
    assert by_form["COMPUTE_REQUEST"]["place"] == "shiroi-dc-1"
    owners = {bid["owner"] for bid in found.values()}
    assert owners == {str(day.places.people.inzai_dc.id), str(forms.customer().id)}


def test_the_snapshot_has_what_bids_refer_to(day: cast.MarketDay) -> None:
    _submit(day, *(form() for form in forms.SELLERS))
    _ask(day)
    document = _snapshot(day)
    assert {row["id"] for row in document["places"]} == {"inzai-dc-1", "shiroi-dc-1"}
    assert {row["id"] for row in document["resources"]} == {
        "inzai-dc-1-battery", "inzai-dc-1-load", "inzai-dc-1-sun", "inzai-dc-1-unit",
    }  # fmt: skip
    # the one path from where computing is asked to where it is offered
    assert [row["id"] for row in document["paths"]] == ["shiroi-inzai"]
    assert document["products"] == forms.PRODUCTS


def test_canonical_content_reads_as_itself(day: cast.MarketDay) -> None:
    _submit(day, *(form() for form in forms.SELLERS))
    _ask(day)
    cast.book_opened(day.auction)
    for bid in Bid.objects.select_related("content"):
        content = bid.content.content
        assert content_canonical(bid.form, content, field="again") == content


def test_a_retry_of_any_form_stores_nothing(day: cast.MarketDay) -> None:
    bids = [form() for form in forms.SELLERS]
    first = _submit(day, *bids)
    again = _submit(day, *bids)
    assert [receipt.bid_id for receipt in again] == [receipt.bid_id for receipt in first]
    assert not any(receipt.is_new for receipt in again)


def _member(code: str, limit_kw: str) -> dict[str, Any]:
    return {"resource": code, "limit_kw": limit_kw}


def _offer(quantity_kw: str, ask: str) -> dict[str, Any]:
    return {"first_t": 0, "last_t": 0, "quantity_kw": quantity_kw, "ask_jpy_per_kw": ask}


WRONG: list[tuple[Callable[..., dict[str, Any]], str, dict[str, Any]]] = [
    (forms.block, "quantity_kw", {"quantity_kw": []}),
    (forms.block, "quantity_kw", {"quantity_kw": ["0", "0"]}),
    (forms.block, "quantity_kw[1]", {"quantity_kw": ["1", "NaN"]}),
    (forms.block, "quantity_kw", {"first_t": 46}),  # three half hours do not fit
    (forms.block, "first_t", {"first_t": 48}),
    (forms.block, "quantity_kw", {"quantity_kw": ["12000.1"]}),  # the hall can give 12,000
    (forms.block, "acceptance_min_ratio", {"acceptance_min_ratio": "1.01"}),
    (forms.block, "start_cost_jpy", {"start_cost_jpy": "-1"}),
    (forms.block, "run_min_count", {"run_min_count": 4}),
    (forms.block, "run_min_count", {"run_min_count": True}),
    (forms.block, "parent", {"parent": "nobody"}),
    (forms.block, "parent", {"parent": "block"}),
    (forms.block, "mechanism", {"mechanism": "BATTERY"}),
    (forms.block, "colour", {"colour": "red"}),
    (forms.deferral, "arriving_kw", {"arriving_kw": ["1"] * 9}),
    (forms.deferral, "slack_count", {"slack_count": 0}),
    (forms.deferral, "service_limit_kw[0]", {"service_limit_kw": ["2999.9"] + ["4000"] * 9}),
    (forms.deferral, "extra_work_ratio", {"extra_work_ratio": "-0.1"}),
    (forms.deferral, "mechanism", {"mechanism": "STOP"}),
    (forms.renewable, "scheduled_kw", {"scheduled_kw": ["1"]}),
    (forms.renewable, "quantity_kw", {"scheduled_kw": ["6000.1"] * 3}),
    (forms.renewable, "curtail_jpy_per_kwh", {"release_jpy_per_kwh": "-0.51"}),
    (forms.renewable, "form", {"resource": "inzai-dc-1-load"}),
    (forms.portfolio, "members", {"members": []}),
    (forms.portfolio, "members[0].limit_kw", {"members": [_member("inzai-dc-1-unit", "1.1")]}),
    (forms.portfolio, "members[0].mechanism", {"mechanism": "BATTERY"}),
    (forms.portfolio, "mechanism", {"mechanism": "WISH"}),
    (forms.capacity, "offers", {"offers": [_offer("8000.1", "1")]}),
    (forms.capacity, "offers[0].ask_jpy_per_kw", {"offers": [_offer("1", "-1")]}),
    (forms.capacity, "v2_jpy_per_kwh", {"v2_jpy_per_kwh": "30.01"}),
    (forms.compute_offer, "pue_ratio", {"pue_ratio": "0.99"}),
    (forms.compute_offer, "hardware", {"hardware": "QPU"}),
    (forms.compute_offer, "quantity_kw", {"capacity_kw": "3077"}),  # · 1.3 = 4,000.1 > 4,000
]  # fmt: skip


@pytest.mark.parametrize(("form", "field", "changes"), WRONG)
def test_a_bid_that_breaks_a_rule_is_refused_whole(
    day: cast.MarketDay,
    form: Callable[..., dict[str, Any]],
    field: str,
    changes: dict[str, Any],
) -> None:
    with pytest.raises(InvalidBid) as refused:
        _submit(day, forms.block(client_bid_id="sound"), form(**changes))
    assert refused.value.field == f"bids[1].{field}"
    assert not Bid.objects.exists()
    assert not BidContent.objects.exists()


@pytest.mark.parametrize(
    ("form", "field", "changes"),
    [
        (forms.block, "resource", {"resource": "shiroi-dc-1-load"}),
        (forms.portfolio, "portfolio", {"portfolio": "shiroi-all"}),
        (forms.portfolio, "members[0].resource", {"members": [_member("inzai-dc-1-battery", "1")]}),
        (forms.capacity, "product", {"product": "dkw-down"}),
    ],
)  # fmt: skip
def test_what_is_not_the_bidders_does_not_exist(
    day: cast.MarketDay,
    form: Callable[..., dict[str, Any]],
    field: str,
    changes: dict[str, Any],
) -> None:
    with pytest.raises(NotFound) as refused:
        _submit(day, form(**changes))
    assert refused.value.field == f"bids[0].{field}"


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("place", {"place": "nowhere"}),
        ("quantity_kw[0]", {"quantity_kw": ["1"] * 48}),  # outside the window
        ("value_jpy_per_kwh", {"value_jpy_per_kwh": "-1"}),
        ("labels_required", {"labels_required": ["country:JP"] * 2}),
        ("labels_required", {"labels_required": ["country:JQ"]}),  # no site has it
        ("mechanism", {"mechanism": "STOP"}),
        ("last_t", {"last_t": 19}),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused(
    day: cast.MarketDay, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _ask(day, **changes)
    assert refused.value.field == f"bids[0].{field}"
    assert not Bid.objects.exists()


def test_only_compute_customers_ask_for_computing(day: cast.MarketDay) -> None:
    with pytest.raises(InvalidBid) as refused:
        _submit(day, forms.compute_request())
    assert refused.value.field == "bids[0].place"


def test_a_parent_may_come_in_the_same_basket_and_stays_while_it_has_children(
    day: cast.MarketDay,
) -> None:
    child = forms.block(client_bid_id="child", parent="block", exclusive_group="one-of")
    parent, born = _submit(day, forms.block(), child)
    inzai = day.places.people.inzai_dc
    with pytest.raises(InvalidBid, match="withdraw child first"):
        bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="block")
    # nor may the parent become something else
    with pytest.raises(InvalidBid) as refused:
        _submit(day, forms.deferral(client_bid_id="block"))
    assert refused.value.field == "bids"
    row = next(bid for bid in _snapshot(day)["bids"] if bid["id"] == str(born.bid_id))
    assert row["parent"] == str(parent.bid_id)
    assert row["exclusive_group"] == f"{inzai.id}/one-of"


def test_what_the_desk_leaves_out_takes_its_children_along(day: cast.MarketDay) -> None:
    parent, _, other = _submit(
        day,
        forms.block(),
        forms.block(client_bid_id="child", parent="block"),
        forms.deferral(),
    )
    cast.book_opened(day.auction)
    auction = Auction.objects.select_related("ruleset", "grid_model").get(id=day.auction.id)
    left = json.loads(snapshot_of_book(auction, without=[parent.bid_id]))["bids"]
    assert [bid["id"] for bid in left] == [str(other.bid_id)]


def test_parents_that_lead_back_are_refused(day: cast.MarketDay) -> None:
    _submit(day, forms.block(client_bid_id="a"), forms.block(client_bid_id="b", parent="a"))
    with pytest.raises(InvalidBid) as refused:
        _submit(day, forms.block(client_bid_id="a", parent="b"))
    assert refused.value.field == "bids[0].parent"
    assert "a → b → a" in refused.value.rule
    assert Bid.objects.filter(state=BidState.SUBMITTED).count() == 2


@pytest.mark.parametrize("form", ["BLOCK", "PORTFOLIO", "COMPUTE_REQUEST"])
def test_the_database_refuses_a_bid_without_its_subject(day: cast.MarketDay, form: str) -> None:
    with pytest.raises(IntegrityError, match="bid_subject"), transaction.atomic():
        Bid.objects.create(
            client_bid_id="bare",
            auction=day.auction,
            organisation=day.places.people.inzai_dc,
            form=form,
            mechanism="STOP",
            received_at=day.auction.opens_at,
            leaf_sha256="0" * 64,
        )


def test_a_snapshot_of_the_book_is_read_back_without_loss(day: cast.MarketDay) -> None:
    _submit(day, *(form() for form in forms.SELLERS))
    _ask(day)
    cast.book_opened(day.auction)
    auction = Auction.objects.select_related("ruleset", "grid_model").get(id=day.auction.id)
    content = snapshot_of_book(auction)
    assert snapshot_from_bytes(content).canonical == content
    with pytest.raises(InvalidSnapshot):
        snapshot_from_bytes(content.replace(b'"first_t":34', b'"first_t":48', 1))

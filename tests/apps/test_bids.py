"""Bids: all or nothing, versioned, exact, and closed at the gate."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from accounts.clock.services import clock_set
from accounts.core.errors import NotFound, Refused
from market.registry.models import OpticalPath, Resource
from market.trading.bids import bid_submit, bid_withdraw, bids_submit
from market.trading.contents import InvalidBid
from market.trading.gates import GateClosed
from market.trading.models import Bid, BidContent, BidState
from market.trading.refusals import RowsRefused
from tests import cast

pytestmark = pytest.mark.django_db

STEPS: dict[str, Any] = {
    "client_bid_id": "evening",
    "resource": "inzai-dc-1-load",
    "form": "STEPS",
    "mechanism": "DEFERRAL",
    "direction": "UP",
    "curves": [
        {
            "first_t": 34,
            "last_t": 39,
            "steps": [
                {"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"},
                {"quantity_kw": "2000.5", "ask_jpy_per_kwh": "28"},
            ],
        }
    ],
}
STORAGE: dict[str, Any] = {
    "client_bid_id": "battery",
    "resource": "inzai-dc-1-battery",
    "form": "STORAGE",
    "mechanism": "BATTERY",
    "first_t": 0,
    "last_t": 47,
    "charge_limit_kw": "8000",
    "discharge_limit_kw": "8000",
    "energy_limit_kwh": "32000",
    "reserve_kwh": "2000",
    "start_kwh": "16000",
    "end_min_kwh": "16000",
    "charge_efficiency_ratio": "0.95",
    "discharge_efficiency_ratio": "0.95",
    "standing_loss_ratio": "0",
    "wear_jpy_per_kwh": "3",
    "cycles_max": "1.5",
}


@pytest.fixture
def day() -> cast.MarketDay:
    """Return an open auction on the triangle, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    clock_set(market_at=auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _changed(bid: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**deepcopy(bid), **changes}


def _step(**changes: Any) -> dict[str, Any]:
    bid = deepcopy(STEPS)
    bid["curves"][0]["steps"][0].update(changes)
    return bid


def _submit(day: cast.MarketDay, *bids: Any) -> Any:
    return bids_submit(
        auction_id=day.auction.id, organisation=day.places.people.inzai_dc, bids=list(bids)
    )


def test_a_bid_is_stamped_hashed_and_its_content_kept_apart(day: cast.MarketDay) -> None:
    (receipt,) = _submit(day, STEPS)
    bid = Bid.objects.get()
    assert (bid.id, bid.version, bid.state) == (receipt.bid_id, 1, BidState.SUBMITTED)
    assert bid.received_at == receipt.received_at < day.auction.gate_closure_at
    assert bid.leaf_sha256 == receipt.leaf_sha256
    assert not BidContent.objects.exists()
    cast.book_opened(day.auction)
    assert BidContent.objects.get().content == {
        "direction": "UP",
        "curves": [
            {
                "first_t": 34,
                "last_t": 39,
                "steps": [
                    {"quantity_kw": "4000", "ask_jpy_per_kwh": "12.5"},
                    {"quantity_kw": "2000.5", "ask_jpy_per_kwh": "28"},
                ],
            }
        ],
    }
    assert "12.5" not in json.dumps(
        {field.name: str(getattr(bid, field.attname)) for field in Bid._meta.concrete_fields}
    )


def test_a_retry_returns_the_first_receipt_and_stores_nothing(day: cast.MarketDay) -> None:
    (first,) = _submit(day, STEPS)
    # 12.5 and 12.50 and Decimal("12.5") are the same offer.
    (again,) = _submit(day, _step(ask_jpy_per_kwh=Decimal("12.5")))
    assert again.bid_id == first.bid_id
    assert not again.is_new
    assert Bid.objects.count() == 1


def test_a_changed_offer_supersedes_the_version_before(day: cast.MarketDay) -> None:
    (first,) = _submit(day, STEPS)
    (second,) = _submit(day, _step(ask_jpy_per_kwh="11"))
    before, after = Bid.objects.order_by("version")
    assert (before.id, before.state) == (first.bid_id, BidState.SUPERSEDED)
    assert (after.id, after.version, after.supersedes_id) == (second.bid_id, 2, first.bid_id)


def test_a_withdrawn_bid_leaves_the_book_and_may_come_back_as_the_next_version(
    day: cast.MarketDay,
) -> None:
    _submit(day, STEPS)
    inzai = day.places.people.inzai_dc
    bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="evening")
    assert Bid.objects.get().state == BidState.WITHDRAWN
    (back,) = _submit(day, STEPS)
    assert (back.version, back.is_new) == (2, True)
    with pytest.raises(NotFound, match="a bid in the book"):
        bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="nothing")


def test_one_bad_bid_refuses_the_whole_basket(day: cast.MarketDay) -> None:
    bad = _changed(STORAGE, start_kwh="33000")
    with pytest.raises(InvalidBid) as refused:
        _submit(day, STEPS, bad)
    assert refused.value.field == "bids[1].start_kwh"
    assert refused.value.rule == "between the reserve 2000 and the limit 32000"
    assert not Bid.objects.exists()


def test_the_same_client_id_twice_in_a_basket_is_refused(day: cast.MarketDay) -> None:
    with pytest.raises(InvalidBid, match="once in a basket"):
        _submit(day, STEPS, _step(ask_jpy_per_kwh="13"))
    assert not Bid.objects.exists()


def test_at_the_gate_nothing_is_taken_and_nothing_withdrawn(day: cast.MarketDay) -> None:
    _submit(day, STEPS)
    clock_set(market_at=day.auction.gate_closure_at)
    inzai = day.places.people.inzai_dc
    with pytest.raises(GateClosed, match="gate closed at"):
        bid_submit(auction_id=day.auction.id, organisation=inzai, bid=STORAGE)
    with pytest.raises(GateClosed):
        bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="evening")
    assert [bid.state for bid in Bid.objects.all()] == [BidState.SUBMITTED]


def test_a_rivals_resource_answers_like_none(day: cast.MarketDay) -> None:
    foreign = _changed(STEPS, resource="shiroi-dc-1-load")
    absent = _changed(STEPS, resource="no-such")
    for bid in (foreign, absent):
        with pytest.raises(NotFound) as refused:
            _submit(day, bid)
        assert (refused.value.field, refused.value.rule) == ("bids[0].resource", "a known resource")
    assert not Bid.objects.exists()


def test_a_tenant_needs_the_owners_consent(day: cast.MarketDay) -> None:
    people, site = day.places.people, day.places.sites["inzai"]
    site.facility_owner = people.stranger_org
    site.save(update_fields=["facility_owner"])
    with pytest.raises(NotFound):
        _submit(day, STEPS)
    site.consents.create(
        granted_by=people.stranger_org,
        granted_to=people.inzai_dc,
        valid_from_on=day.auction.delivery_on,
    )
    assert len(_submit(day, STEPS)) == 1


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("NaN", "plain decimal"),
        ("Infinity", "plain decimal"),
        (float("nan"), "plain decimal"),
        (float("inf"), "plain decimal"),
        (12.5, "plain decimal"),
        (Decimal("NaN"), "plain decimal"),
        (Decimal("1e1000000"), "plain decimal"),
        ("1e3", "plain decimal"),
        ("1_000", "plain decimal"),
        ("１２", "plain decimal"),
        ("0x10", "plain decimal"),
        (" 12", "plain decimal"),
        ("", "plain decimal"),
        (True, "plain decimal"),
        (None, "plain decimal"),
        ("9" * 30, "plain decimal"),
        ("-1", "between 0"),
        ("100000001", "between 0"),
        ("0.05", "decimal places"),
    ],
)
def test_a_quantity_that_is_no_quantity_is_refused_whole(
    day: cast.MarketDay, value: object, rule: str
) -> None:
    with pytest.raises(InvalidBid, match=rule) as refused:
        _submit(day, _step(quantity_kw=value))
    assert refused.value.field == "bids[0].curves[0].steps[0].quantity_kw"
    assert not Bid.objects.exists()
    assert not BidContent.objects.exists()


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("bids[0].curves[0].first_t", {"first_t": 48}),
        ("bids[0].curves[0].first_t", {"first_t": -1}),
        ("bids[0].curves[0].last_t", {"last_t": 33}),
        ("bids[0].curves[0].first_t", {"first_t": True}),
        ("bids[0].curves[0].steps", {"steps": []}),
        ("bids[0].curves[0].steps", {"steps": [STEPS["curves"][0]["steps"][0]] * 21}),
        ("bids[0].curves[0].extra", {"extra": 1}),
    ],
)
def test_a_curve_outside_the_horizon_or_the_layout_is_refused(
    day: cast.MarketDay, path: str, change: dict[str, Any]
) -> None:
    bid = deepcopy(STEPS)
    bid["curves"][0].update(change)
    with pytest.raises(InvalidBid) as refused:
        _submit(day, bid)
    assert refused.value.field == path


def test_curves_of_one_bid_may_not_overlap_and_asks_may_not_fall(day: cast.MarketDay) -> None:
    twice = deepcopy(STEPS)
    twice["curves"].append({**twice["curves"][0], "first_t": 39, "last_t": 40})
    with pytest.raises(InvalidBid, match="do not overlap"):
        _submit(day, twice)
    with pytest.raises(InvalidBid, match="asks do not fall"):
        _submit(day, _step(ask_jpy_per_kwh="29"))


def test_more_than_the_resource_can_change_is_refused(day: cast.MarketDay) -> None:
    # 10,000 + 2,000.5 kW against a limit of 12,000 kW
    with pytest.raises(InvalidBid, match=r"at most 12000\.0 kW UP") as refused:
        _submit(day, _step(quantity_kw="10000"))
    assert refused.value.value == "12000.5"


def test_a_shift_needs_a_path_between_its_two_sites(day: cast.MarketDay) -> None:
    inzai = day.places.sites["inzai"]
    there = day.places.sites["shiroi"]
    there.organisation = there.facility_owner = inzai.organisation
    there.save(update_fields=["organisation", "facility_owner"])
    shift = SHIFT
    with pytest.raises(NotFound, match="a path from the bid's site"):
        _submit(day, shift)
    OpticalPath.objects.create(
        owner=day.places.people.stranger_org,
        code="apn",
        name="apn",
        from_site=inzai,
        to_site=there,
        capacity_gb=18_000,
        price_jpy_per_gb=Decimal("0.02"),
        latency_ms=1,
    )
    assert len(_submit(day, shift)) == 1


def test_a_store_must_keep_its_promise_when_nobody_uses_it(day: cast.MarketDay) -> None:
    # 16,000 kWh, 1 % lost each hour of 24: 16,000 · 0.99^24 = 12,570.85 are left
    lossy = _changed(STORAGE, standing_loss_ratio="0.01")
    with pytest.raises(InvalidBid, match=r"at most 12570\.8 kWh") as refused:
        _submit(day, lossy)
    assert refused.value.field == "bids[0].end_min_kwh"
    assert len(_submit(day, _changed(lossy, end_min_kwh="12570"))) == 1


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("reserve_kwh", {"reserve_kwh": "1999"}),
        ("energy_limit_kwh", {"energy_limit_kwh": "32001"}),
        ("charge_efficiency_ratio", {"charge_efficiency_ratio": "0.96"}),
        ("charge_limit_kw", {"charge_limit_kw": "0", "discharge_limit_kw": "0"}),
        ("resource", {"resource": "inzai-dc-1-load"}),
        ("mechanism", {"mechanism": "SPATIAL"}),
        ("form", {"form": "SHIFT"}),
        ("form", {"form": ["STORAGE"]}),
        ("client_bid_id", {"client_bid_id": "a\0"}),
        ("client_bid_id", {"client_bid_id": "\udfff"}),
        ("client_bid_id", {"client_bid_id": None}),
        ("resource", {"resource": "a\0"}),
        ("resource", {"resource": ["inzai-dc-1-battery"]}),
        ("extra", {"extra": 1}),
        ("z", {5: 1, "z": 2}),
    ],
)
def test_more_than_the_registered_store_or_another_kind_is_refused(
    day: cast.MarketDay, field: str, changes: dict[Any, Any]
) -> None:
    with pytest.raises(Refused) as refused:
        _submit(day, {**STORAGE, **changes})
    expected = "form" if field == "resource" and "load" in str(changes) else field
    assert refused.value.field == f"bids[0].{expected}"
    assert not Bid.objects.exists()


SHIFT: dict[str, Any] = {
    "client_bid_id": "move",
    "resource": "inzai-dc-1-load",
    "form": "SHIFT",
    "mechanism": "SPATIAL",
    "destinations": [{"resource": "shiroi-dc-1-load", "path": "apn", "ratio": "1.02"}],
    "offers": [{"first_t": 34, "last_t": 39, "quantity_kw": "3000", "ask_jpy_per_kwh": "3"}],
    "change_cost_jpy_per_kw": "1",
    "gb_per_kw": "0.4",
    "gb_per_kwh": "0.01",
}


@pytest.mark.parametrize(
    ("field", "changes"),
    [
        ("labels_required[0]", {"labels_required": [""]}),
        ("labels_required[0]", {"labels_required": ["a\n"]}),
        ("labels_required[0]", {"labels_required": ["x" * 41]}),
        ("labels_required[0]", {"labels_required": [None]}),
        ("labels_required", {"labels_required": "abc"}),
        ("labels_required", {"labels_required": None}),
        ("labels_required", {"labels_required": ["a", "a"]}),
        ("hardware", {"hardware": ""}),
        ("hardware", {"hardware": ["GPU"]}),
        ("hardware", {"hardware": 5}),
        (
            "destinations[0].ratio",
            {"destinations": [{"resource": "shiroi-dc-1-load", "path": "apn", "ratio": "100"}]},
        ),
        (
            "destinations[0].resource",
            {"destinations": [{"resource": "a\0", "path": "apn", "ratio": "1"}]},
        ),
        (
            "destinations[0].path",
            {"destinations": [{"resource": "shiroi-dc-1-load", "path": 7, "ratio": "1"}]},
        ),
    ],
)
def test_a_movement_that_the_snapshot_would_refuse_is_refused_at_the_door(
    day: cast.MarketDay, field: str, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidBid) as refused:
        _submit(day, {**SHIFT, **changes})
    assert refused.value.field == f"bids[0].{field}"
    assert not Bid.objects.exists()


def test_a_site_outside_the_auctions_network_cannot_bid(day: cast.MarketDay) -> None:
    site = day.places.sites["inzai"]
    site.bus_code = "nowhere"
    site.save(update_fields=["bus_code"])
    with pytest.raises(NotFound, match="at a bus of the auction's grid model"):
        _submit(day, STEPS)


def test_a_basket_is_bounded(day: cast.MarketDay) -> None:
    with pytest.raises(InvalidBid, match="a list of 1 to 5000"):
        _submit(day)
    with pytest.raises(InvalidBid, match="a list of 1 to 5000"):
        bids_submit(
            auction_id=day.auction.id,
            organisation=day.places.people.inzai_dc,
            bids=None,  # type: ignore[arg-type]
        )
    with pytest.raises(InvalidBid, match="an object"):
        _submit(day, "bid")


def test_units_of_one_kilowatt_can_be_bid(day: cast.MarketDay) -> None:
    Resource.objects.create(
        site=day.places.sites["inzai"],
        code="unit",
        name="unit",
        name_en="unit",
        kind="DC_LOAD",
        limit_up_kw=1,
        limit_down_kw=0,
    )
    unit = _changed(STEPS, client_bid_id="unit", resource="unit")
    unit["curves"][0]["steps"] = [{"quantity_kw": "1", "ask_jpy_per_kwh": "9"}]
    assert len(_submit(day, unit)) == 1


def test_the_database_refuses_what_no_service_does(day: cast.MarketDay) -> None:
    from django.db import IntegrityError, connection, transaction

    _submit(day, STEPS)
    cast.book_opened(day.auction)
    for statement in (
        "UPDATE trading_bid SET received_at = received_at - interval '1 hour'",
        "UPDATE trading_bidcontent SET content = '{}'",
        "DELETE FROM trading_bidcontent",
        "DELETE FROM trading_bid",
        "UPDATE trading_sealedbasket SET ciphertext = ''",
        "DELETE FROM trading_sealedbasket",
        "UPDATE trading_bookroot SET leaf_count = 2",
        "UPDATE trading_bookkey SET public_key = ''",
        "UPDATE trading_auction SET state = 'PUBLISHED'",
        "UPDATE trading_auction SET gate_closure_at = gate_closure_at + interval '1 hour'",
    ):
        with (
            pytest.raises(IntegrityError),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_a_refusal_says_field_value_and_rule() -> None:
    refused = Refused(field="a.b", value="x" * 200, rule="short")
    assert str(refused).startswith("a.b: 'xxx")
    assert str(refused).endswith("… — short")
    assert GateClosed(field="f", value=1, rule="r").code == "gate-closed"


def test_a_basket_is_told_everything_that_is_wrong_with_its_rows(day: cast.MarketDay) -> None:
    bad = [
        _changed(STEPS, client_bid_id="a", form="STEP"),
        STEPS,
        _changed(STEPS, client_bid_id="b", resource="nowhere"),
        _changed(STORAGE, client_bid_id="c", start_kwh="33000"),
        STEPS,
    ]
    with pytest.raises(RowsRefused) as refused:
        _submit(day, *bad)
    assert [(type(found).__name__, found.field) for found in refused.value.refusals] == [
        ("InvalidBid", "bids[0].form"),
        ("NotFound", "bids[2].resource"),
        ("InvalidBid", "bids[3].start_kwh"),
        ("InvalidBid", "bids[4].client_bid_id"),
    ]
    # another's resource is told apart from none by nothing, in each row
    others = [_changed(STEPS, client_bid_id=str(i), resource="shiroi-dc-1-load") for i in range(2)]
    with pytest.raises(RowsRefused) as refused:
        _submit(day, *others)
    assert [found.field for found in refused.value.refusals] == [
        "bids[0].resource",
        "bids[1].resource",
    ]
    many = [_changed(STEPS, client_bid_id=str(i), form="") for i in range(300)]
    with pytest.raises(RowsRefused) as refused:
        _submit(day, *many)
    assert len(refused.value.refusals) == 100
    assert not Bid.objects.exists()


def test_what_a_rule_says_of_anothers_resource_does_not_tell_it_from_none(
    day: cast.MarketDay,
) -> None:
    told = []
    for name in ("shiroi-dc-1-load", "nowhere"):
        # wrong for a load, and more than its limit: neither may be told of another's
        for change in ({"mechanism": "BATTERY"}, {"direction": "DOWN"}):
            with pytest.raises(Refused) as refused:
                _submit(day, _changed(STEPS, resource=name, **change))
            told.append((type(refused.value), refused.value.field, refused.value.rule))
    assert set(told) == {(NotFound, "bids[0].resource", "a known resource")}


def test_a_book_is_full_at_its_limit_however_it_was_counted(
    day: cast.MarketDay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("market.trading.bids.BOOK_MAX", 4)
    for name in "abc":
        _submit(day, _changed(STEPS, client_bid_id=name))
    with pytest.raises(InvalidBid, match="at most 4 bids"):
        _submit(day, *(_changed(STEPS, client_bid_id=name) for name in "de"))
    inzai = day.places.people.inzai_dc
    bid_withdraw(auction_id=day.auction.id, organisation=inzai, client_bid_id="a")
    _submit(day, *(_changed(STEPS, client_bid_id=name) for name in "de"))
    with pytest.raises(InvalidBid, match="at most 4 bids"):
        _submit(day, _changed(STEPS, client_bid_id="f"))

"""Bids as CSV: rows of one bid, three forms, two encodings, and errors by line and column."""

from __future__ import annotations

from datetime import timedelta

import pytest

from accounts.parties.roles import Role
from aggregator.api.v1.bids_csv import sheet_of
from aggregator.api.v1.uploads import read_csv
from market.trading.models import Bid
from tests import cast
from tests.api.conftest import AsMember, DoorClient

STEPS = """\
client_bid_id,form,mechanism,resource,direction,first_t,last_t,quantity_kw,ask_jpy_per_kwh
evening,STEPS,DEFERRAL,inzai-dc-1-load,UP,34,39,4000,12.50
evening,,,,,,,2000.5,28
evening,,,,,40,41,1000,10
noon,STEPS,BATTERY,inzai-dc-1-battery,DOWN,20,25,5000,-4
"""
STORE = """\
client_bid_id,form,mechanism,resource,first_t,last_t,charge_limit_kw,discharge_limit_kw,\
energy_limit_kwh,reserve_kwh,start_kwh,end_min_kwh,charge_efficiency_ratio,\
discharge_efficiency_ratio,standing_loss_ratio,wear_jpy_per_kwh,cycles_max
battery,STORAGE,BATTERY,inzai-dc-1-battery,0,47,8000,8000,32000,2000,16000,16000,0.95,0.95,0,3,1.5
"""
SHIFT = """\
client_bid_id,form,mechanism,resource,first_t,last_t,quantity_kw,ask_jpy_per_kwh,destination,\
path,ratio,change_cost_jpy_per_kw,gb_per_kw,gb_per_kwh,labels_required
move,SHIFT,SPATIAL,inzai-dc-1-load,34,39,1000,5,z-load,p-2,1.1,2,0.5,0.1,country:JP; iso
move,,,,40,41,500,6,a-load,p-1,1,,,,
"""


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


def _post(day: cast.MarketDay, owner: DoorClient, body: bytes, **more: str) -> object:
    address = f"/api/v1/auctions/{day.auction.code}/bids"
    return owner.post(address, body, content_type="text/csv", **more)


def test_rows_of_one_bid_become_its_curves() -> None:
    evening, noon = sheet_of(read_csv(STEPS.encode())).bids
    assert evening["curves"] == [
        {
            "first_t": 34,
            "last_t": 39,
            "steps": [
                {"quantity_kw": "4000", "ask_jpy_per_kwh": "12.50"},
                {"quantity_kw": "2000.5", "ask_jpy_per_kwh": "28"},
            ],
        },
        {
            "first_t": 40,
            "last_t": 41,
            "steps": [{"quantity_kw": "1000", "ask_jpy_per_kwh": "10"}],
        },
    ]
    assert (noon["direction"], noon["mechanism"]) == ("DOWN", "BATTERY")


def test_a_store_and_a_shift_read_as_their_json_does() -> None:
    (store,) = sheet_of(read_csv(STORE.encode())).bids
    assert (store["first_t"], store["wear_jpy_per_kwh"], store["cycles_max"]) == (0, "3", "1.5")
    (shift,) = sheet_of(read_csv(SHIFT.encode())).bids
    # destinations in the order of the canonical form, in which refusals count them
    assert shift["destinations"] == [
        {"resource": "a-load", "path": "p-1", "ratio": "1"},
        {"resource": "z-load", "path": "p-2", "ratio": "1.1"},
    ]
    assert [offer["quantity_kw"] for offer in shift["offers"]] == ["1000", "500"]
    assert shift["labels_required"] == ["country:JP", "iso"]
    sheet = sheet_of(read_csv(SHIFT.encode()))
    assert sheet.where("bids[0].destinations[0].path") == ("path", 3)
    assert sheet.where("bids[0].destinations[1].resource") == ("destination", 2)
    assert sheet.where("bids[0].offers[1].quantity_kw") == ("quantity_kw", 3)
    assert sheet.where("bids[0].gb_per_kw") == ("gb_per_kw", 2)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_file_in_either_encoding_is_stored(
    day: cast.MarketDay, as_member: AsMember, encoding: str
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    text = STEPS.replace("evening", "夕方").replace("\n", "\r\n")
    answer = _post(day, owner, text.encode(encoding))
    assert answer.status_code == 201, answer.content
    assert [row["client_bid_id"] for row in answer.json()["receipts"]] == ["夕方", "noon"]
    stored = _post(day, owner, STORE.encode())
    assert stored.status_code == 201, stored.content
    assert Bid.objects.count() == 3


def test_errors_name_line_and_column_and_nothing_is_stored(
    day: cast.MarketDay, as_member: AsMember
) -> None:
    owner = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    bad = (
        STEPS.replace("2000.5,28", "2000.55,28").replace(  # line 3: a tenth of a kW is the least
            "20,25,5000", "20,xx,5000"
        )  # line 5
    )
    answer = _post(day, owner, bad.encode())
    body = answer.json()
    assert (answer.status_code, body["code"]) == (400, "rows-refused")
    assert [(row["line"], row["field"]) for row in body["errors"]] == [
        (3, "quantity_kw"),
        (5, "last_t"),
    ]
    unknown = STEPS.replace("DEFERRAL,inzai-dc-1-load", "DEFERRAL,nowhere")
    answer = _post(day, owner, unknown.encode())
    assert [(row["line"], row["field"]) for row in answer.json()["errors"]] == [(2, "resource")]
    form = STEPS.replace("noon,STEPS", "noon,PORTFOLIO")
    answer = _post(day, owner, form.encode())
    assert [(row["line"], row["field"]) for row in answer.json()["errors"]] == [(5, "form")]
    for broken in (b"", b"client_bid_id\r\na", b"\xff\xfe", STEPS.encode()[:100]):
        assert _post(day, owner, broken).status_code == 400, broken
    assert not Bid.objects.exists()

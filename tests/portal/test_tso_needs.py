"""A grid operator's needs: demand curves by form and file, read back as they were written."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpResponse, QueryDict
from django.test import Client

from aggregator.portal.tso.need_form import reshaped
from market.registry.models import MarketProduct, Ruleset
from market.trading.models import Auction, Need, NeedStep
from tests import cast
from tests.portal.conftest import client_of

ELEMENT = "point:inzai-line:1"


@pytest.fixture
def open_auction(open_day: cast.MarketDay) -> Auction:
    """Return an auction that still takes needs."""
    return open_day.auction


def planner(day: cast.MarketDay) -> Client:
    return client_of(day.places.people.planner)


def sent(client: Client, address: str, **fields: Any) -> HttpResponse:
    """Send a form as the page has it: with the token it was shown under."""
    page = client.get(address)
    token = page.context["form_token"]
    text = {name: str(value) for name, value in fields.items()}
    return client.post(address, {"form_token": token, **text})  # type: ignore[return-value]


def two_steps(**more: Any) -> dict[str, Any]:
    """Return 20 MW up to 180 yen, of which one half hour up to 200, and 5 MW more up to 60."""
    return {
        "place": ELEMENT, "direction": "UP", "pricing": "AUCTION", "code": "inzai-peak",
        "steps": 2, "cap_0": "180", "cap_1": "60",
        "kw_0_35": "２０，０００", "kw_0_36": "2万", "cap_0_36": "200", "kw_1_36": "5,000",
        **more,
    }  # fmt: skip


def test_a_demand_curve_is_published_as_it_was_typed(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    address = f"/tso/auctions/{open_auction.code}/needs/new/"
    shown = sent(planner(open_day), address, **two_steps())
    text = shown.content.decode()
    # 20,000 × 0.5 × 180 + 20,000 × 0.5 × 200 + 5,000 × 0.5 × 60 = 3,950,000
    assert "3,950,000円" in text
    assert "25,000 kW を公表する" in text
    assert "20,000 kW・上限 200.00 円/kWh" in text
    assert not Need.objects.filter(code="inzai-peak").exists()
    done = sent(planner(open_day), address, **two_steps(confirmed=1))
    assert done.status_code == 303
    need = Need.objects.get(code="inzai-peak")
    assert (need.quantity_kw[35], need.quantity_kw[36], need.quantity_kw[37]) == (20_000, 25_000, 0)
    first, second = NeedStep.objects.filter(need=need).order_by("number")
    assert (first.cap_jpy_per_kwh or [])[35:37] == [180, 200]
    assert (second.quantity_kw[36], (second.cap_jpy_per_kwh or [])[36]) == (5_000, 60)


def test_a_revision_starts_from_every_quantity_and_cap(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    client = planner(open_day)
    sent(client, f"/tso/auctions/{open_auction.code}/needs/new/", **two_steps(confirmed=1))
    need = Need.objects.get(code="inzai-peak")
    form = client.get(f"/tso/needs/{need.id}/").context["form"]
    text = {name: str(form.fields[name].prepare_value(v)) for name, v in form.initial.items()
            if name.startswith(("kw", "cap"))}  # fmt: skip
    # of two caps in as many half hours the higher one stands above, the other at its half hour
    assert text == {
        "cap_0": "200.00", "kw_0_35": "20,000.0", "cap_0_35": "180.00", "kw_0_36": "20,000.0",
        "cap_1": "60.00", "kw_1_36": "5,000.0",
    }  # fmt: skip
    assert form.initial["steps"] == "2"
    changed = two_steps(version=need.revision, kw_0_35="15000")
    shown = sent(client, f"/tso/needs/{need.id}/", **changed).content.decode()
    assert '<s class="muted">22.5 MWh</s> → <b>20.0 MWh</b>' in shown  # (20+25)/2, (15+25)/2
    assert sent(client, f"/tso/needs/{need.id}/", confirmed=1, **changed).status_code == 303
    latest = Need.objects.get(code="inzai-peak", state="PUBLISHED")
    assert (latest.revision, latest.quantity_kw[35]) == (2, 15_000)


def test_caps_that_rise_are_refused_where_they_were_typed(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    address = f"/tso/auctions/{open_auction.code}/needs/new/"
    client = planner(open_day)
    at_cell = sent(client, address, **two_steps(confirmed=1, cap_1_36="250"))
    assert at_cell.status_code == 422
    assert list(at_cell.context["form"].errors) == ["cap_1_36"]
    above = sent(client, address, **two_steps(confirmed=1, cap_1="250"))
    assert list(above.context["form"].errors) == ["cap_1"]
    empty = sent(client, address, **two_steps(kw_1_36=""))
    assert "段2に量がありません" in empty.content.decode()
    assert not Need.objects.filter(code="inzai-peak").exists()


def test_a_cap_where_nothing_is_asked_for_breaks_no_rule(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    """The second step asks at t = 40, where the first does not: its cap there means nothing."""
    address = f"/tso/auctions/{open_auction.code}/needs/new/"
    fields = two_steps(confirmed=1, kw_1_36="", kw_1_40="1000", cap_1_40="300")
    assert sent(planner(open_day), address, **fields).status_code == 303
    first, second = NeedStep.objects.filter(need__code="inzai-peak").order_by("number")
    assert ((first.cap_jpy_per_kwh or [])[40], (second.cap_jpy_per_kwh or [])[40]) == (300, 300)
    assert first.quantity_kw[40] == 0


def test_steps_come_and_go_without_losing_text() -> None:
    fields = QueryDict("", mutable=True)
    fields.update({"code": "a", "steps": "2", "cap_0": "９", "kw_0_3": "1", "cap_1": "8",
                   "kw_1_4": "たくさん", "cap_1_4": "7"})  # fmt: skip
    more = fields.copy()
    more["add_step"] = "1"
    assert reshaped(more) == {**fields.dict(), "steps": "3"}
    less = fields.copy()
    less["drop_step"] = "0"
    assert reshaped(less) == {
        "code": "a", "steps": "1", "cap_0": "8", "kw_0_4": "たくさん", "cap_0_4": "7",
    }  # fmt: skip


def test_a_step_is_added_on_the_page_and_nothing_is_judged_yet(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    address = f"/tso/auctions/{open_auction.code}/needs/new/"
    page = sent(planner(open_day), address, place=ELEMENT, steps=1, kw_0_36="多め", add_step=1)
    text = page.content.decode()
    assert page.status_code == 200
    assert 'name="kw_1_36"' in text
    assert 'value="多め"' in text
    assert 'id="errors"' not in text


def test_capacity_and_posted_prices_stay_what_they_are(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    client = planner(open_day)
    address = f"/tso/auctions/{open_auction.code}/needs/new/"
    posted = two_steps(confirmed=1, steps=1, pricing="POSTED")
    assert sent(client, address, **posted).status_code == 303
    need = Need.objects.get(code="inzai-peak")
    form = client.get(f"/tso/needs/{need.id}/").context["form"]
    assert (need.pricing, form.initial["pricing"]) == ("POSTED", "POSTED")
    both = sent(client, address, **two_steps(confirmed=1, code="b", pricing="POSTED"))
    assert list(both.context["form"].errors) == ["pricing"]  # a posted price has one step


def test_a_capacity_need_is_revised_as_one(db: None) -> None:
    product = {"id": "RESERVE-UP", "direction": "UP", "sustained_h": 3}
    Ruleset.objects.create(
        version="2026-09-01",
        valid_from_on=cast.date(2026, 9, 1),
        rules={**cast.RULES, "products": [product]},
    )
    MarketProduct.objects.create(
        code="RESERVE-UP", name="予備力", name_en="Reserve", response_s=2700, quantity_min_kw=1,
        quantity_tick_kw=1,
    )  # fmt: skip
    day = cast.open_day()
    cast.market_time(day.auction.gate_closure_at - timedelta(hours=1))
    fields = {
        "place": f"product:{day.places.area.code}:RESERVE-UP", "direction": "UP",
        "code": "reserve", "steps": 1, "cap_0": "2.5", "kw_0_36": "10000", "confirmed": 1,
    }  # fmt: skip
    client = planner(day)
    done = sent(client, f"/tso/auctions/{day.auction.code}/needs/new/", **fields)
    assert done.status_code == 303
    need = Need.objects.get(code="reserve")
    assert (need.kind, need.product_id, need.cap_jpy_per_kwh) == ("CAPACITY", "RESERVE-UP", None)
    shown = client.get(f"/tso/needs/{need.id}/").context["form"].initial
    assert (shown["place"], shown["cap_0"]) == (fields["place"], Decimal("2.5"))
    summary = sent(client, f"/tso/needs/{need.id}/", **{**fields, "version": 1}).status_code
    assert summary == 303


def test_a_file_of_a_demand_curve_is_read_back_as_it_is_handed_out(
    open_day: cast.MarketDay, open_auction: Auction
) -> None:
    client = planner(open_day)
    address = f"/tso/auctions/{open_auction.code}/needs"
    sent(client, f"{address}/new/", **two_steps(confirmed=1))
    body = client.get(f"{address}.csv").content.decode("utf-8-sig")
    mine = [line for line in body.splitlines() if line.startswith(("code", "inzai-peak"))]
    assert len(mine) == 4  # a head, 35, 36 of the first step, 36 of the second
    Need.objects.filter(code="inzai-peak").update(state="WITHDRAWN")
    token = client.get(f"{address}/upload/").context["form_token"]
    file = SimpleUploadedFile("n.csv", "\r\n".join(mine).encode(), "text/csv")
    done = client.post(f"{address}/upload/", {"form_token": token, "file": file})
    assert done.status_code == 303
    again = Need.objects.get(code="inzai-peak", state="PUBLISHED")
    assert [(s.quantity_kw[36], s.cap_jpy_per_kwh[36]) for s in again.steps.order_by("number")] == [
        (Decimal(20_000), Decimal(200)), (Decimal(5_000), Decimal(60)),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a,LOCAL,UP,3,4,1000,60,2", "2: 2：step は1から、前の段に続けて"),
        ("a,LOCAL,UP,3,4,1000,60,1\r\na,LOCAL,UP,4,5,1000,60,1", "3: 4：段ごとに各コマを一度だけ"),
        ("a,LOCAL,UP,9,8,1000,60,1", "2: 9–8"),
    ],
)
def test_rows_that_contradict_each_other_are_refused_whole(
    open_day: cast.MarketDay, open_auction: Auction, row: str, said: str
) -> None:
    client = planner(open_day)
    address = f"/tso/auctions/{open_auction.code}/needs/upload/"
    head = "code,kind,direction,first_t,last_t,quantity_kw,cap_jpy_per_kwh,step"
    before = Need.objects.count()
    token = client.get(address).context["form_token"]
    file = SimpleUploadedFile("n.csv", f"{head}\r\n{row}".encode(), "text/csv")
    refused = client.post(address, {"form_token": token, "file": file})
    assert refused.status_code == 422
    assert said in refused.content.decode()
    assert Need.objects.count() == before

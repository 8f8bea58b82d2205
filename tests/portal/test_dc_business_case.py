"""Does it pay? The page's numbers are those of a hand, in both languages."""

from __future__ import annotations

import pytest
from django.test import Client

from market.registry.models import WorkloadClass
from tests import cast
from tests.portal.conftest import client_of

ASKED = {
    "subject": "inzai-dc-1-load|DEFERRAL|TRAINING",
    "kw": "1,000",
    "value": "240",
    "displaced": "5",
    "longest": "2",
    "days": "300",
    "missing": "0",
    "capital": "１，０００万",
    "fixed": "0",
    "years": "10",
    "discount": "0",
}


@pytest.fixture
def owner(day: cast.MarketDay) -> Client:
    WorkloadClass.objects.create(
        resource=day.places.resources["inzai-load"], kind="TRAINING", pool="GPU", power_kw=9_000,
        slack_h=6, value_jpy_per_kwh=240,
    )  # fmt: skip
    cast.market_time(day.auction.delivery_start)
    return client_of(day.places.people.owner)


def test_the_case_is_filled_in_from_what_is_registered(owner: Client) -> None:
    page = owner.get(f"/dc/business-case/?subject={ASKED['subject']}").content.decode()
    assert 'name="kw" value="9,000"' in page
    assert 'name="value" value="240"' in page
    assert 'name="longest" value="6"' in page


def test_the_page_says_what_a_hand_comes_to_and_how(owner: Client) -> None:
    page = owner.get("/dc/business-case/", ASKED).content.decode()
    # the evening at Inzai: 150 once, else 60; four half hours of 500 kWh, 300 days:
    # 300 × 500 × (150 + 3 × 60) = 49,500,000; 300 × 2,000 × 18.67 = 11,202,000
    assert "49,500,000" in page
    assert "−11,202,000" in page
    assert "38,298,000" in page
    assert "売れる電力量 600,000 kWh × そのときの地点価格" in page
    # ten years without interest: 10 × 38,298,000 − 10,000,000
    assert 'title="372,980,000 円"' in page
    assert "0.3<small>年" in page


def test_it_is_said_in_english_as_well(day: cast.MarketDay, owner: Client) -> None:
    english = client_of(day.places.people.owner, "en")
    page = english.get("/dc/business-case/", ASKED).content.decode()
    assert "Business case" in page
    assert "Energy sold, 600,000 kWh" in page


def test_what_cannot_be_is_refused_at_its_field_and_stays_as_typed(owner: Client) -> None:
    answer = owner.get("/dc/business-case/", {**ASKED, "years": "41", "kw": "x"})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert 'value="41"' in page
    assert "「x」は数として読めません。" in page
    assert "40 年 以下で入力してください。" in page
    assert "38,298,000" not in page


def test_a_store_is_reckoned_with_what_is_registered_of_it(owner: Client) -> None:
    page = owner.get("/dc/business-case/?subject=inzai-dc-1-battery|BATTERY|").content.decode()
    assert 'name="usable" value="30,000"' in page
    assert 'name="wear" value="3"' in page

"""What strangers write into an address is refused or read, never an error of ours."""

from __future__ import annotations

import pytest
from django.test import Client

from aggregator.portal.urls import urlpatterns
from tests import cast
from tests.portal.conftest import client_of

# NUL, line ends, ESC, DEL and a control character of Latin-1, as an address carries them
NEVER = ("%00", "%0D%0A", "%1B", "%7F", "%C2%85", "a%00b")
DAY = "/day/2026-11-25/"
QUERIES = (
    "/statements/?organisation=",
    "/statements/inzai-dc.csv?period=",
    DAY + "?auction=",
    DAY + "?need=",
    DAY + "?place=",
    DAY + "?koma=",
    DAY + "?theme=",
    DAY + "need.json?need=",
    DAY + "price.json?place=",
    DAY + "needs.csv?auction=",
    "/login/?next=",
    "/?x=",
    "/?",
)
PATHS = ("/statements/{}.csv", "/day/{}/", "/static/{}.css", "/{}", "/admin/{}/")


@pytest.mark.parametrize("text", NEVER)
def test_a_control_character_in_a_query_is_a_bad_request(day: cast.MarketDay, text: str) -> None:
    client = client_of(day.places.people.owner)
    answers = {query: client.get(query + text) for query in QUERIES}
    assert {query: answer.status_code for query, answer in answers.items()} == dict.fromkeys(
        QUERIES, 400
    )
    page = answers[QUERIES[1]]
    assert "アドレスに使えない文字" in page.content.decode()
    assert "Content-Security-Policy" in page.headers


@pytest.mark.parametrize("text", NEVER)
def test_a_control_character_in_a_path_is_no_page(day: cast.MarketDay, text: str) -> None:
    client = client_of(day.places.people.owner)
    for path in PATHS:
        assert client.get(path.format(text)).status_code in (400, 404), path


def test_broken_utf_8_is_read_as_the_replacement_character(day: cast.MarketDay) -> None:
    # a lone surrogate's three bytes are no UTF-8
    answer = client_of(day.places.people.owner).get("/statements/inzai-dc.csv?period=%ED%A0%80")
    assert answer.status_code == 200


def test_the_admin_refuses_them_in_filters(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.desk)
    assert client.get("/admin/registry/scaleclass/?q=%00").status_code == 400
    assert client.get("/admin/registry/scaleclass/?code__exact=%00").status_code == 400


def test_a_session_key_with_nul_is_nobodys(day: cast.MarketDay) -> None:
    # cookies carry NUL as an octal escape in quotes
    cookie = 'sessionid="' + "\\000" * 32 + '"'
    assert Client(headers={"cookie": cookie}).get("/statements/").status_code == 302


@pytest.mark.parametrize("koma", ["0", "49", "-1", "１", "9" * 5_000])
def test_a_half_hour_that_is_none_shows_the_default_one(day: cast.MarketDay, koma: str) -> None:
    client = client_of(None)
    plain = client.get(DAY).context["t"]
    answer = client.get(DAY, {"koma": koma})
    assert (answer.status_code, answer.context["t"]) == (200, plain)


@pytest.mark.parametrize("day_text", ["0000-01-01", "0001-01-01", "9999-12-31", "2026-02-30"])
def test_a_day_without_a_market_is_not_found(day: cast.MarketDay, day_text: str) -> None:
    for pattern in urlpatterns:
        if "iso_day" in str(pattern.pattern):
            path = "/" + str(pattern.pattern).replace("<iso_day:day>", day_text)
            assert client_of(None).get(path).status_code == 404, path

"""Pages are whole, lean and obey the content policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from market.trading.models import Need
from tests import cast
from tests.portal.conftest import client_of

DAY = "/day/2026-11-25/"
TEMPLATES = Path(__file__).parents[2] / "aggregator" / "portal" / "templates"
STATIC = Path(__file__).parents[2] / "aggregator" / "portal" / "static"
POLICY = {
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'", "manifest-src 'self'", "form-action 'self'", "base-uri 'none'",
    "frame-ancestors 'none'", "object-src 'none'",
}  # fmt: skip
VOID = {"meta", "link", "input", "br", "hr", "img"}


class Page(HTMLParser):
    """Collects what the policy would refuse, and tags left open."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        for name, value in attrs:
            if name == "style" or name.startswith(("on", "hx-on")):
                self.refused.append(f"{tag} {name}")
            if name in ("src", "href", "action", "hx-get") and re.match(
                r"(https?:)?//", value or ""
            ):
                self.refused.append(f"{tag} {name}={value}")
        if tag == "style":
            self.refused.append("style element")
        if tag == "script" and "src" not in values and values.get("type") != "application/json":
            self.refused.append("inline script")
        if tag == "label" and values.get("for"):
            self.labels.add(str(values["for"]))
        if tag in ("select", "input") and values.get("type") != "hidden":
            self.fields.add(str(values.get("id")))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()


def page_of(client: Client, address: str, status: int = 200) -> Page:
    answer = client.get(address)
    assert answer.status_code == status, address
    page = Page()
    page.feed(answer.content.decode())
    assert page.open == [], address
    return page


ADDRESSES = (DAY, "/statements/", "/day/2026-11-26/")


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize("who", ["owner", "planner", "desk"])
def test_pages_hold_nothing_inline_and_nothing_foreign(
    day: cast.MarketDay, who: str, language: str
) -> None:
    cast.open_day(day.places, delivery_on=cast.DAY.replace(day=26))
    client = client_of(getattr(day.places.people, who), language)
    for address in ADDRESSES:
        status = 403 if (who, address) == ("desk", "/statements/") else 200
        page = page_of(client, address, status)
        assert page.refused == [], address
        assert len(page.ids) == len(set(page.ids)), address
        assert page.fields <= page.labels, address


def test_the_sign_in_and_error_pages_too(day: cast.MarketDay) -> None:
    client = client_of(None)
    for address, status in (("/login/", 200), ("/nowhere/", 404)):
        assert page_of(client, address, status).refused == []


def test_no_template_has_a_style_an_event_or_a_foreign_host() -> None:
    for path in TEMPLATES.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\sstyle=|<style|\son\w+=|hx-on|https?://", text), path.name
        assert not re.search(r'<script(?![^>]*\bsrc=)(?! type="application/json")', text), path.name


def test_no_script_of_ours_needs_eval_or_inline_styles() -> None:
    for path in STATIC.rglob("*.js"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\beval\(|new Function|innerHTML|setAttribute\(.style", text), (
            path.name
        )


@pytest.mark.parametrize("address", ["/login/", DAY, DAY + "need.json", "/nowhere/"])
def test_the_policy_is_exactly_ours(day: cast.MarketDay, address: str) -> None:
    header = client_of(None).get(address).headers["Content-Security-Policy"]
    assert {part.strip() for part in header.split(";")} == POLICY


def test_the_looser_policy_ends_with_the_admin(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.desk)
    assert "unsafe" in client.get("/admin/").headers["Content-Security-Policy"]
    assert "unsafe" not in client.get(DAY).headers["Content-Security-Policy"]


def test_without_any_auction_the_first_page_says_so(db: None) -> None:
    page = client_of(None).get("/")
    assert page.status_code == 200
    assert "まだ市場の日がありません" in page.content.decode()


def test_a_day_without_needs_or_network_still_stands(db: None) -> None:
    cast.auction(cast.places())
    page = client_of(None).get(DAY)
    assert page.status_code == 200
    assert "公表された必要量はありません" in page.content.decode()


def test_the_day_says_how_it_went(day: cast.MarketDay) -> None:
    text = client_of(None).get(DAY).content.decode()
    assert "印西線 に未充足 1,000 kWh が残りました。" in text  # 2,000 kW for half an hour
    assert "108% から 101%" in text  # 194,000 and 182,000 over 180,000 kW
    assert "115.0" in text  # (5 · 12,000 + 14,000 + 6 · 21,000 + 6 · 5,000) / 2 = 115,000 kWh
    # 5 · 12,000 · 45 / 2 + 12,000 · 180 / 2 + 6 · 21,000 · 30 / 2 + 6 · 5,000 · 6 / 2
    # = 1,350,000 + 1,080,000 + 1,890,000 + 90,000
    assert "4,410,000" in text


def test_english_is_whole(day: cast.MarketDay) -> None:
    text = client_of(None, "en").get(DAY).content.decode()
    body = re.sub(r"<svg.*?</svg>|<button[^>]*lang=.*?</button>", "", text, flags=re.DOTALL)
    assert set(re.findall(r"[぀-ヿ一-鿿、-〟（）]+", body)) == set()


def test_panels_come_alone_when_htmx_asks(day: cast.MarketDay) -> None:
    client = client_of(None)
    for panel in ("need", "price", "lines"):
        answer = client.get(
            DAY + "?koma=21", headers={"HX-Request": "true", "HX-Target": f"{panel}-panel"}
        )
        text = answer.content.decode()
        assert text.strip().startswith("<section")
        assert f'id="{panel}-panel"' in text
        assert "HX-Request" in answer.headers["Vary"]


def test_the_line_table_follows_the_half_hour(day: cast.MarketDay) -> None:
    headers = {"HX-Request": "true", "HX-Target": "lines-panel"}
    evening = client_of(None).get(DAY + "?koma=37", headers=headers).content.decode()
    night = client_of(None).get(DAY + "?koma=1", headers=headers).content.decode()
    assert "コマ37（18:00–18:30）" in evening
    assert ">108<" in evening  # 194 / 180
    assert ">78<" in night  # 140 / 180
    assert ">108<" not in night


@pytest.mark.parametrize("koma", ["0", "49", "-1", "１", "x", "37; drop"])
def test_an_impossible_half_hour_falls_back_to_the_worst(day: cast.MarketDay, koma: str) -> None:
    answer = client_of(None).get(DAY, {"koma": koma})
    assert 'value="37"' in answer.content.decode()


@pytest.mark.parametrize("who", ["anonymous", "owner", "desk"])
def test_the_page_asks_the_database_a_bounded_number_of_times(
    day: cast.MarketDay, who: str
) -> None:
    client = client_of(None if who == "anonymous" else getattr(day.places.people, who))
    with CaptureQueriesContext(
        connection,
    ) as few:
        client.get(DAY)
    more = cast.published_day(day.places, delivery_on=cast.DAY.replace(day=27))
    for number in range(5):
        Need.objects.create(
            auction=more.auction,
            organisation=day.places.people.grid_t,
            available_at=more.auction.opens_at.replace(day=20),
            kind="BALANCE",
            code=f"more-{number}",
            area=day.places.area,
            direction="UP",
            quantity_kw=cast.during(cast.EVENING, 1_000),
            cap_jpy_per_kwh=cast.half_hours(60),
        )
    cast.market_time(more.auction.delivery_start)
    address = f"/day/{more.auction.delivery_on}/"
    with CaptureQueriesContext(connection) as again:
        assert "more-4" in client.get(address).content.decode()
    assert len(few) <= 26
    assert len(again) <= len(few)


def test_the_theme_of_the_cookie_is_there_before_the_first_paint(day: cast.MarketDay) -> None:
    client = client_of(None)
    assert b"data-theme" not in client.get(DAY).content.split(b"<head>")[0]
    client.cookies["theme"] = "dark"
    assert b'<html lang="ja" data-theme="dark">' in client.get(DAY).content
    client.cookies["theme"] = '"><script>'
    assert b"<script>" not in client.get(DAY).content


def test_the_table_of_needs_is_offered_as_csv(day: cast.MarketDay) -> None:
    answer = client_of(None).get(DAY + "needs.csv")
    lines = answer.content.decode("utf-8-sig").splitlines()
    assert len(lines) == 1 + 6 + 6 + 6
    assert lines[3] == (
        "DA-2026-11-25,inzai-line-up,LOCAL,inzai-line,UP,2026-11-25,37,"
        "14000.0,12000.0,2000.0,180.00"
    )

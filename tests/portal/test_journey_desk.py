"""A shift at the desk in a browser: an order moves live, an alarm, an early gate by two people."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import F

from aggregator.control.models import Alarm
from aggregator.control.services import alarm_raise
from aggregator.dispatch.models import DispatchInstruction
from aggregator.portal.desk import live
from market.trading.models import Auction
from tests import cast
from tests.portal.browsing import browser_open, needs_browser, shot, signed_in
from tests.portal.matrix_desk import instruction_of

pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
WORDS = {
    "ja": {
        "live": "ライブ", "waits": "受諾待ち", "taken": "受諾", "seen": "確認済",
        "close": "早期締切",
    },
    "en": {
        "live": "Live", "waits": "Sent", "taken": "Acknowledged", "seen": "acknowledged",
        "close": "Close early",
    },
}  # fmt: skip
SIZE = {"width": 1440, "height": 900}


@pytest.fixture
def room_ended() -> Iterator[None]:
    """Close the room's reader before the database goes."""
    yield
    live.WATCH.end()


@pytest.mark.parametrize("language", ["ja", "en"])
def test_the_desk_sees_an_order_move_acknowledges_and_closes_early_by_two(
    live_server: Any, room_ended: None, language: str
) -> None:
    day = cast.published_day()
    coming = cast.open_day(day.places, delivery_on=cast.DAY + timedelta(days=1))
    cast.market_time(coming.auction.opens_at + timedelta(minutes=30))
    row = instruction_of(day)
    alarm_raise(kind="instruction.silent", priority=1, subject=row, text="", key="silent")
    colleague = cast.member("desk-b", day.places.people.platform, "market_desk")
    said = WORDS[language]
    with browser_open() as browser:
        ours = signed_in(
            browser, live_server.url, day.places.people.desk, language=language, viewport=SIZE
        )
        page = ours.new_page()
        page.goto("/desk/")
        page.get_by_text(said["live"], exact=True).wait_for()
        order = page.locator(f"#order-{row.id}")
        assert said["waits"] in order.inner_text()
        shot(page, f"desk-{language}-1-room")
        # the site answers: the row changes by itself, a second after the commit at most
        DispatchInstruction.objects.filter(id=row.id).update(
            state="ACKNOWLEDGED", token=F("token") + 1
        )
        began = time.monotonic()
        order.locator(".pill.acc").wait_for(timeout=5_000)
        assert time.monotonic() - began <= 1.0 + 0.5  # half a second for the driver's own polling
        assert said["taken"] in order.inner_text()
        shot(page, f"desk-{language}-2-answered")
        # the alarm is taken note of by name, by keyboard
        page.keyboard.press("j")
        page.keyboard.press("a")
        page.wait_for_url("**/desk/alarms/*/")
        shot(page, f"desk-{language}-3-alarm")
        page.locator("main button.primary").click()
        page.wait_for_url("**/desk/")
        assert said["seen"] in page.locator("#room-alarms").inner_text()
        alarm = Alarm.objects.get(key="silent")
        assert (alarm.state, alarm.acknowledged_by) == ("ACKNOWLEDGED", day.places.people.desk)
        # an early gate: one asks …
        page.locator("#room-auction").get_by_text(said["close"]).first.click()
        page.locator("textarea[name=reason]").fill("台風のため")
        shot(page, f"desk-{language}-4-ask")
        page.locator("main button.primary").click()
        page.wait_for_url(f"**/desk/auctions/{coming.auction.code}/")
        assert Auction.objects.get(id=coming.auction.id).state == "OPEN"
        page.locator("a[href*='/desk/approvals/']").click()
        assert page.locator("main button.primary").count() == 0  # … who asks does not decide
        # … and another one decides
        theirs = signed_in(browser, live_server.url, colleague, language=language, viewport=SIZE)
        other = theirs.new_page()
        other.goto("/desk/auctions/")
        other.locator("a[href*='/desk/approvals/']").click()
        shot(other, f"desk-{language}-5-decide")
        other.locator("button[value=approve]").click()
        other.wait_for_url(f"**/desk/auctions/{coming.auction.code}/")
        assert Auction.objects.get(id=coming.auction.id).state == "CLOSED"
        shot(other, f"desk-{language}-6-closed")
        for one in (page, other):
            assert one.locator("html").get_attribute("data-violations") is None

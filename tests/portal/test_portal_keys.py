"""Single keys lead through the portal, never out of a field, and not for who switched them off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from aggregator.portal.frame import GOES
from tests import cast
from tests.portal.browsing import browser_open, needs_browser, signed_in
from tests.portal.conftest import client_of


@needs_browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_keys_lead_where_they_say(live_server: Any) -> None:
    made = cast.open_day()
    cast.market_time(made.auction.gate_closure_at - timedelta(hours=1))
    trader = made.places.people.owner
    with browser_open() as browser:
        context = signed_in(browser, live_server.url, trader)
        page = context.new_page()
        page.goto("/dc/")
        page.keyboard.press("?")
        told = page.locator("#keys[open] dl").inner_text().split()
        assert told[:4] == ["n", "新しく作成", "g", "h"]
        assert "/" not in told  # nothing to search on this page
        page.keyboard.press("b")  # the list is read, not gone from
        page.keyboard.press("Escape")
        assert page.url.endswith("/dc/")
        page.keyboard.press("g")
        page.keyboard.press("b")
        page.wait_for_url("**/dc/bids/")
        page.keyboard.press("n")
        assert page.evaluate("document.activeElement.id") == "offer"
        page.keyboard.press("g")
        page.keyboard.press("h")
        assert page.url.endswith("/dc/bids/")  # a field has the keys
        page.evaluate("document.activeElement.blur()")
        context.add_cookies([{"name": "keys", "value": "off", "url": live_server.url}])
        page.reload()
        page.keyboard.press("?")
        assert page.locator("#keys[open]").count() == 0


@pytest.mark.parametrize("who", ["owner", "planner", "desk"])
def test_no_letter_leads_to_two_pages(open_day: cast.MarketDay, who: str) -> None:
    body = client_of(getattr(open_day.places.people, who)).get("/team/preferences/")
    letters = [entry.goes for entry in body.context["rail"] if entry.goes]
    assert letters
    assert sorted(letters) == sorted(set(letters))
    assert set(letters) <= set(GOES.values())

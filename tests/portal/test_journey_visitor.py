"""A visitor reads a published day, and takes its files home."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from tests import cast
from tests.portal.browsing import browser_open, needs_browser, shot, signed_in

pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.mark.parametrize(("language", "width"), [("ja", 1440), ("en", 390)])
def test_a_visitor_reads_a_day_and_downloads_its_files(
    live_server: Any, language: str, width: int
) -> None:
    day = cast.published_day()
    cast.market_time(day.auction.delivery_start - timedelta(hours=4))
    size = {"width": width, "height": 900}
    with browser_open() as browser:
        ours = signed_in(browser, live_server.url, None, language=language, viewport=size)
        page = ours.new_page()
        page.goto("/results/")
        shot(page, f"visitor-{language}-1-archive")
        page.locator("a[href*='/results/2026-11-25/']").first.click()
        page.wait_for_url("**/results/2026-11-25/**")
        shot(page, f"visitor-{language}-2-day")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        with page.expect_download() as waited:
            page.locator("a[href*='prices.csv']").click()
        text = waited.value.path().read_text("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        # one area and two places of 48 half hours; at koma 37 Inzai pays 30 + 2/3 of 180
        assert len(rows) == 3 * 48
        found = {(row["of"], row["code"], row["koma"]): row["price_jpy_per_kwh"] for row in rows}
        assert found["place", "inzai", "37"] == "150.00"
        assert "inzai-dc-1" not in text
        page.goto("/results/verify/")
        shot(page, f"visitor-{language}-3-verify")
        page.goto("/results/downloads/")
        with page.expect_download() as waited:
            page.locator("a[href*='certificate.json']").first.click()
        assert b'"passed": true' in waited.value.path().read_bytes()
        assert page.locator("html").get_attribute("data-violations") is None

"""A trader's day in a browser: bid, revise, see the result and its reason, answer, deliver."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
from django.db import transaction

from accounts.jobs.models import Job
from accounts.jobs.services import job_claim, job_create
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.metering.models import Delivery, DeliveryVerification
from market.clearing import services as clearing
from market.clearing.models import Award, ClearingRun, RunState
from market.trading.models import Bid, BidState
from tests import cast, dispatching
from tests.portal.browsing import browser_open, needs_browser, shot, signed_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PATIENCE_MS = 45_000  # a busy machine is no failure of a page
CLEAR_KIND = "market.clearing.run_execute"
WORDS = {
    "ja": {"ready": "検証済み・このまま提出できます", "number": "は数として読めません",
           "submit": "6,000 kW を提出する", "revised": "版 2", "accepted": "約定",
           "reason": "提示した量がすべて約定しました", "acknowledged": "指令の受領を確認しました",
           "undone": "を取り下げました", "ratio": "達成率"},
    "en": {"ready": "Checked, ready to submit", "number": "is not a number",
           "submit": "Submit 6,000 kW", "revised": "Version 2", "accepted": "Accepted",
           "reason": "All that was offered was accepted", "acknowledged": "is acknowledged",
           "undone": "is withdrawn", "ratio": "Delivery ratio"},
}  # fmt: skip


def _open_day() -> cast.MarketDay:
    where = cast.places()
    auction = cast.auction(where)
    cast.base_flows(where, auction)
    day = cast.MarketDay(places=where, auction=auction, needs=cast.needs(where, auction))
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return day


def _cleared(day: cast.MarketDay) -> None:
    """Close the gate, open the book and clear, as the workers do."""
    with transaction.atomic():
        cast.book_opened(day.auction)
    job_create(kind=CLEAR_KIND, key=str(day.auction.id))
    claim = job_claim(job_id=Job.objects.get(kind=CLEAR_KIND).id)
    assert claim is not None
    clearing.clearing_run_execute(claim=claim)
    run = ClearingRun.objects.get()
    assert (run.error, run.state) == ("", RunState.PUBLISHED)


def _instructed(day: cast.MarketDay) -> DispatchInstruction:
    """Plan the day's instructions, and send them six hours before their start."""
    from aggregator.dispatch.services import PLAN_KIND

    job_create(kind=PLAN_KIND, key=str(day.auction.id), payload={"auction": str(day.auction.id)})
    dispatching.work(PLAN_KIND)
    row = DispatchInstruction.objects.order_by("starts_at").first()
    assert row is not None
    dispatching.freeze(row.send_at + timedelta(minutes=1))
    DispatchInstruction.objects.filter(id=row.id).update(
        state=InstructionState.SENT, sent_at=row.send_at
    )
    return row


def _delivered(day: cast.MarketDay) -> None:
    """Verify the day: 96 % of what was ordered, against a baseline of 20,000 kWh."""
    look = DeliveryVerification.objects.create(
        auction=day.auction, revision=1, stage="FINAL", as_of=day.auction.delivery_start,
        ruleset=day.places.ruleset, input_sha256="0" * 64,
    )  # fmt: skip
    award = Award.objects.get()
    rows = []
    for one in award.intervals.order_by("t"):
        ordered = one.quantity_kw / 2
        delivered = (ordered * Decimal("0.96")).quantize(Decimal("0.001"))
        rows.append(
            Delivery(
                verification=look, award=award, t=one.t, start_at=one.start_at,
                ordered_kwh=ordered, baseline_kwh=20_000, metered_kwh=20_000 - delivered,
                delivered_kwh=delivered, shortfall_kwh=ordered - delivered, over_kwh=0,
                reading_revision=1, reading_stage=30,
            )
        )  # fmt: skip
    Delivery.objects.bulk_create(rows)
    cast.market_time(day.auction.delivery_start + timedelta(days=1, hours=9))


def _policy_kept(page: Page) -> None:
    assert page.locator("html").get_attribute("data-violations") is None


def _drawn(page: Page, name: str) -> None:
    page.wait_for_selector(f"figure[data-name='{name}'][data-state='shown']")


def _draft(page: Page, said: dict[str, str]) -> None:
    page.goto("/dc/")
    page.locator("a.btn.primary").click()
    page.select_option("#offer", "inzai-dc-1-load|STEPS|DEFERRAL|")
    page.locator(".new-bid button").click()
    _drawn(page, "curve")
    page.fill("#id_kw_0", "４千")
    page.fill("#id_ask_0", "安い")
    page.wait_for_selector(f"#live-errors:has-text('{said['number']}')")
    page.fill("#id_ask_0", "１２．５０")
    page.fill("#id_kw_1", "2,000")
    page.fill("#id_ask_1", "20")
    page.wait_for_selector(f"#verdict:has-text('{said['ready']}')")
    _drawn(page, "effect")


def _dragged(page: Page) -> None:
    """Drag the first corner of the curve: the table follows, in steps of 10 kW."""
    at: Any = page.evaluate(
        """() => { const chart = Bokeh.documents.map((d) => d.get_model_by_name('handles'))
             .find(Boolean); return [chart.data.x[0], chart.data.y[0]]; }"""
    )
    assert at == [4000, 12.5]
    page.evaluate(
        """() => { const handles = Bokeh.documents.map((d) => d.get_model_by_name('handles'))
             .find(Boolean); handles.data = { x: [4204, 6000], y: [12.504, 20] }; }"""
    )
    page.wait_for_function("document.querySelector('#id_kw_0').value === '4,200'")
    assert page.input_value("#id_ask_0") == "１２．５０"  # not moved by a whole 0.01 yen
    assert page.input_value("#id_kw_1") == "1,800"


def _submitted(page: Page, label: str) -> None:
    page.locator("button[value=review]").click()
    page.wait_for_url("**/confirm/")
    page.get_by_role("button", name=label).click()
    page.wait_for_url("**/dc/bids/?auction=**")


def _result_seen(page: Page, said: dict[str, str], language: str) -> None:
    page.goto("/dc/awards/")
    shot(page, f"trader-{language}-4-awards")
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/dc/awards/**")
    assert said["reason"] in page.content()
    shot(page, f"trader-{language}-5-reason")


def _answered(page: Page, day: cast.MarketDay, said: dict[str, str], language: str) -> None:
    instruction = _instructed(day)
    page.goto("/dc/")
    page.locator(".todo a.btn.primary").first.click()
    shot(page, f"trader-{language}-6-instruction")
    page.locator("button[value=yes]").click()
    page.wait_for_selector(f".toast:has-text('{said['acknowledged']}')")
    instruction.refresh_from_db()
    assert instruction.state == InstructionState.ACKNOWLEDGED


def _delivery_seen(page: Page, day: cast.MarketDay, language: str) -> None:
    _delivered(day)
    page.goto("/dc/deliveries/")
    page.locator("tbody th a").first.click()
    _drawn(page, "delivery")
    assert "96.0" in page.locator("footer").first.inner_text()
    _policy_kept(page)
    shot(page, f"trader-{language}-7-delivery")


@pytest.mark.parametrize("language", ["ja", "en"])
def test_a_trader_bids_revises_sees_the_reason_acknowledges_and_delivers(
    live_server: Any, language: str
) -> None:
    day = _open_day()
    said = WORDS[language]
    size = {"width": 1440, "height": 900}
    owner = day.places.people.owner
    with browser_open() as browser:
        window = signed_in(browser, live_server.url, owner, language=language, viewport=size)
        window.set_default_timeout(PATIENCE_MS)
        page = window.new_page()
        page.goto("/dc/")
        assert page.locator("[data-left]").first.inner_text().startswith("01:00:0")
        shot(page, f"trader-{language}-1-home")
        page.goto("/dc/")
        _draft(page, said)
        with page.expect_response("**/check/"):
            _dragged(page)
        page.wait_for_selector(f"#verdict:has-text('{said['ready']}')")
        _policy_kept(page)
        shot(page, f"trader-{language}-2-editor")
        page.reload()
        assert page.input_value("#id_kw_0") == "4,200"  # it was kept as it was typed
        _submitted(page, said["submit"])
        assert Bid.objects.get().version == 1
        shot(page, f"trader-{language}-3-submitted")
        page.locator(f"a.btn[href$='/{Bid.objects.get().client_bid_id}/']").click()
        page.wait_for_selector(f"#verdict:has-text('{said['ready']}')")
        page.fill("#id_ask_1", "21")
        _submitted(page, said["submit"])
        assert Bid.objects.filter(state=BidState.SUBMITTED).get().version == 2
        # withdrawn by mistake, and taken back from the toast
        page.locator("form[action$='/withdraw/'] button").first.click()
        page.wait_for_selector(f".toast:has-text('{said['undone']}')")
        page.locator(".toast form button").click()
        page.wait_for_selector(".toast")
        assert Bid.objects.filter(state=BidState.SUBMITTED).get().version == 3
        _cleared(day)
        _result_seen(page, said, language)
        _answered(page, day, said, language)
        _delivery_seen(page, day, language)


def test_a_session_that_ends_while_typing_is_renewed_over_the_page(live_server: Any) -> None:
    day = _open_day()
    with browser_open() as browser:
        window = signed_in(browser, live_server.url, day.places.people.owner)
        window.set_default_timeout(PATIENCE_MS)
        page = window.new_page()
        _draft(page, WORDS["ja"])
        before = [one for one in window.cookies() if one["name"] != "sessionid"]
        window.clear_cookies()
        window.add_cookies(before)
        page.fill("#id_ask_1", "23.45")
        page.wait_for_selector("#sign-in-again[open]")
        page.fill("#again-name", "inzai")
        page.fill("#again-password", "wrong")
        page.locator("#sign-in-again button.primary").click()
        page.wait_for_selector("#sign-in-again [role=alert]:not([hidden])")
        shot(page, "trader-ja-8-session")
        page.fill("#again-password", cast.PASSWORD)
        page.locator("#sign-in-again button.primary").click()
        page.wait_for_selector("#sign-in-again:not([open])", state="attached")
        page.wait_for_selector(f"#verdict:has-text('{WORDS['ja']['ready']}')")
        assert page.input_value("#id_ask_1") == "23.45"
        page.locator("button[value=save]").click()
        page.wait_for_selector(".toast")
        assert page.input_value("#id_ask_1") == "23.45"


def test_a_gate_that_closes_on_an_open_page_says_so_and_keeps_the_text(live_server: Any) -> None:
    day = _open_day()
    with browser_open() as browser:
        window = signed_in(browser, live_server.url, day.places.people.owner)
        window.set_default_timeout(PATIENCE_MS)
        page = window.new_page()
        _draft(page, WORDS["ja"])
        soon = day.auction.gate_closure_at - timedelta(seconds=6)
        cast.market_time(soon, speed_ratio=Decimal(1))
        page.reload()
        page.wait_for_selector("[data-gate-shut]:not([hidden])")
        assert page.input_value("#id_kw_0") == "４千"
        assert page.locator("#id_kw_0").get_attribute("readonly") is not None
        assert page.locator("button[value=review]").is_hidden()
        shot(page, "trader-ja-9-gate")

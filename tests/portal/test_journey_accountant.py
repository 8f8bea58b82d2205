"""An accountant's month-end in a browser: download, dispute, decision, correction seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from accounts.parties.models import Organisation, User
from accounts.parties.roles import Role
from aggregator.settlement.closes import period_close
from aggregator.settlement.documents.issuing import documents_issue
from aggregator.settlement.models import Dispute, Document
from tests import cast
from tests.apps.paying import Clerks
from tests.portal.browsing import browser_open, needs_browser, shot, signed_in

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = [
    needs_browser,
    pytest.mark.django_db(transaction=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
REASON = "計量値が現地の記録と違います。9:00 の記録は 2,900 kWh です。"
WORDS = {
    "ja": {"held": "保留中", "raised": "申立済", "accepted": "認容", "fixed": "訂正の精算",
           "revision": "版 2", "dispute": "この行に異議を申し立てる", "now": "必要量"},
    "en": {"held": "Held", "raised": "Raised", "accepted": "Accepted", "fixed": "Put right by",
           "revision": "revision 2", "dispute": "Dispute this line", "now": "Need"},
}  # fmt: skip


def _saved(page: Page, link: str) -> bytes:
    """Click a link that downloads, and return the file."""
    with page.expect_download() as waited:
        page.locator(link).first.click()
    path = waited.value.path()
    return path.read_bytes()


def _policy_kept(page: Page) -> None:
    assert page.locator("html").get_attribute("data-violations") is None


@pytest.mark.parametrize("language", ["ja", "en"])
def test_an_accountant_downloads_disputes_and_sees_the_correction(
    live_server: Any, tmp_path: Path, language: str
) -> None:
    clerks = Clerks()
    shiroi = Organisation.objects.get(code="shiroi-dc")
    accountant = cast.member("shiroi-accountant", shiroi, Role.OPERATOR_TRADER)
    said = WORDS[language]
    day = clerks.period.start_on.isoformat()
    proof = tmp_path / "log.csv"
    proof.write_text("time,kwh\n09:00,2900\n", encoding="utf-8")
    size = {"width": 1440, "height": 900}
    with browser_open() as browser:
        ours = signed_in(browser, live_server.url, accountant, language=language, viewport=size)
        page = ours.new_page()
        page.goto("/money/statements/")
        shot(page, f"accountant-{language}-1-statements")
        page.locator(f"a[href='/money/statements/shiroi-dc/{day}/']").first.click()
        page.wait_for_url(f"**/statements/shiroi-dc/{day}/")
        shot(page, f"accountant-{language}-2-statement")
        _downloads_and_walks(page, language, said)
        page.get_by_text(said["dispute"]).click()
        page.locator("select[name=reason_code]").select_option("READING")
        # sent without its reason: the choice stays, the place is named
        page.locator("main button.primary").click()
        page.wait_for_selector("#errors")
        assert page.locator("select[name=reason_code]").input_value() == "READING"
        page.locator("textarea[name=reason]").fill(REASON)
        page.locator("input[name=evidence]").set_input_files(proof)
        shot(page, f"accountant-{language}-5-raise")
        page.locator("main button.primary").click()
        page.wait_for_url("**/money/disputes/*-*/")
        assert said["raised"] in page.locator(".head").inner_text()
        assert said["held"] in page.locator(".head").inner_text()
        shot(page, f"accountant-{language}-6-dispute")
        _policy_kept(page)
        # the desk takes it up and decides
        dispute = Dispute.objects.get()
        clerk = User.objects.get(pk=clerks.checker.user_id)
        desk = signed_in(browser, live_server.url, clerk, language=language, viewport=size)
        _decided(desk.new_page(), language, proof)
        _reissued(clerks, dispute)
        page.reload()
        assert said["accepted"] in page.locator(".head").inner_text()
        assert said["fixed"] in page.locator(".note.good").inner_text()
        page.goto(f"/money/statements/shiroi-dc/{day}/")
        assert said["revision"] in page.locator(".panel header").first.inner_text()
        shot(page, f"accountant-{language}-8-corrected")
        _policy_kept(page)


def _downloads_and_walks(page: Page, language: str, said: dict[str, str]) -> None:
    """Take files in both languages, then go from a yen to its need."""
    other = "en" if language == "ja" else "ja"
    assert _saved(page, f"a[href*='/pdf?language={language}']").startswith(b"%PDF")
    assert _saved(page, f"a[href*='/xlsx?language={other}']").startswith(b"PK")
    assert _saved(page, "a[href*='/documents/zip']").startswith(b"PK")
    page.locator("a[href*='item=SELLER_ENERGY']").first.click()
    page.wait_for_url("**/lines/**")
    shot(page, f"accountant-{language}-3-lines")
    page.locator("tbody th a").first.click()
    page.wait_for_url("**/money/lines/**")
    assert page.locator(".chain > li").count() == 5
    assert said["now"] in page.locator(".chain").inner_text()
    assert page.locator(".chain a[href*='need=']").count() >= 1
    shot(page, f"accountant-{language}-4-line")


def _decided(theirs: Page, language: str, proof: Path) -> None:
    """Read the objection with its evidence, accept it and correct the line."""
    theirs.goto("/money/disputes/")
    theirs.locator("tbody th a").first.click()
    assert REASON in theirs.locator(".history").inner_text()
    assert _saved(theirs, ".history a[href*='/evidence/']") == proof.read_bytes()
    theirs.locator("form[action$='/review/'] button").click()
    theirs.locator("form[action$='/decide/'] select").select_option("ACCEPTED")
    theirs.locator("form[action$='/decide/'] textarea").fill("記録を確認しました。")
    theirs.locator("form[action$='/decide/'] button").click()
    theirs.wait_for_selector(".note.good")
    shot(theirs, f"accountant-{language}-7-decided")
    theirs.locator(".head a.primary").click()
    theirs.wait_for_url("**/correct/")
    # 2,900 kWh at 45: 130,500, typed as people do
    theirs.locator("input[name^=quantity_kwh]").fill("２，９００")
    shot(theirs, f"accountant-{language}-7b-correct")
    theirs.locator("main button.primary").click()
    theirs.wait_for_selector(".note.good")


def _reissued(clerks: Clerks, dispute: Dispute) -> None:
    """Close again and issue: what the jobs do by themselves."""
    dispute.refresh_from_db()
    assert not dispute.is_held
    period_close(period_id=clerks.period.pk)
    documents_issue(period_id=clerks.period.pk)
    row = Document.objects.get(
        organisation__code="shiroi-dc", kind="STATEMENT", corrected_by__isnull=True
    )
    # 945,000 less 135,000 and more 130,500, 100 kWh less
    assert row.revision == 2
    assert row.content["lines"][0]["amount_jpy"] == 940_500
    assert row.content["lines"][0]["quantity"] == "17900"

"""The bid editor under bad conditions: nothing is lost, nothing done twice, and it says why."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.parties.roles import Role
from aggregator.portal.drafts import DraftText, draft_save, draft_text
from aggregator.portal.models import Draft, FormSent
from aggregator.portal.once import sent_sweep, token_made
from market.trading.models import Bid, BidState
from tests import cast
from tests.portal.conftest import client_of

NAME = "inzai-evening"
FIELDS = {
    "direction": "UP",
    "t_first": "34",
    "t_end": "40",
    "kw_0": "４，０００",
    "ask_0": "12.50",
    "kw_1": "2千",
    "ask_1": "28",
}
HEAD = {"form": "STEPS", "resource": "inzai-dc-1-load", "mechanism": "DEFERRAL"}


@pytest.fixture
def day(db: None) -> cast.MarketDay:
    """Return an open auction without bids, an hour before its gate."""
    where = cast.places()
    auction = cast.auction(where)
    cast.needs(where, auction)
    cast.market_time(auction.gate_closure_at - timedelta(hours=1))
    return cast.MarketDay(places=where, auction=auction)


@pytest.fixture
def draft(day: cast.MarketDay) -> Draft:
    people = day.places.people
    return draft_save(
        organisation=people.inzai_dc, author_id=people.owner.pk, kind="BID",
        subject=day.auction.code, name=NAME, version=None,
        text=DraftText(head=HEAD, fields=FIELDS),
    )  # fmt: skip


@pytest.fixture
def owner(day: cast.MarketDay) -> Client:
    return client_of(day.places.people.owner)


def here(day: cast.MarketDay, tail: str = "") -> str:
    return f"/dc/bids/{day.auction.code}/{NAME}/{tail}"


def sent(day: cast.MarketDay, draft: Draft, act: str = "save", **changed: str) -> dict[str, str]:
    return {
        **FIELDS,
        "version": str(draft.version),
        "form_token": token_made(day.places.people.owner.pk),
        "act": act,
        **changed,
    }


def confirmation(day: cast.MarketDay, draft: Draft, **changed: str) -> dict[str, str]:
    return {
        "version": str(draft.version),
        "bid_version": "0",
        "form_token": token_made(day.places.people.owner.pk),
        **changed,
    }


def test_a_bid_is_drafted_reviewed_and_submitted_as_typed(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    page = owner.get(here(day)).content.decode()
    assert 'value="４，０００"' in page
    review = owner.post(here(day), sent(day, draft, act="review"))
    assert (review.status_code, review.headers["Location"]) == (303, here(day, "confirm/"))
    page = owner.get(here(day, "confirm/")).content.decode()
    assert "4,000 kW を 12.50 円/kWh で" in page
    assert "6,000 kW を提出する" in page
    done = owner.post(here(day, "confirm/"), confirmation(day, draft))
    assert done.status_code == 303
    bid = Bid.objects.get()
    assert (bid.client_bid_id, bid.version, bid.state) == (NAME, 1, BidState.SUBMITTED)
    cast.book_opened(day.auction)
    assert bid.content.content == {
        "direction": "UP",
        "curves": [
            {
                "first_t": 34,
                "last_t": 39,
                "steps": [
                    {"quantity_kw": "4000", "ask_jpy_per_kwh": "12.5"},
                    {"quantity_kw": "2000", "ask_jpy_per_kwh": "28"},
                ],
            }
        ],
    }


def test_a_double_submit_makes_one_bid_and_shows_its_result(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    form = confirmation(day, draft)
    first = owner.post(here(day, "confirm/"), form)
    again = owner.post(here(day, "confirm/"), form)
    assert first.status_code == again.status_code == 303
    assert again.headers["Location"] == first.headers["Location"]
    assert Bid.objects.count() == 1
    page = owner.get(again.headers["Location"]).content.decode()
    assert "13:00:00 に受け付け済みです。" in page


def test_back_and_a_changed_form_is_not_taken_for_the_first_and_keeps_its_text(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    form = sent(day, draft)
    assert owner.post(here(day), form).status_code == 303
    changed = owner.post(here(day), {**form, "ask_1": "31"})
    page = changed.content.decode()
    assert changed.status_code == 409
    assert "13:00:00 に送信済みです。その後の変更は送られていません。" in page
    assert 'value="31"' in page
    draft.refresh_from_db()
    assert draft_text(draft).fields["ask_1"] == "28"


def test_two_tabs_see_both_values_and_nothing_is_overwritten(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    first = owner.post(here(day), sent(day, draft, ask_1="30"))
    second = owner.post(here(day), sent(day, draft, ask_1="33"))
    assert (first.status_code, second.status_code) == (303, 409)
    page = second.content.decode()
    assert "あなたは別の画面で 13:00:00 にこの入札を保存しました。" in page
    assert 'name="theirs-ask_1" value="30"' in page
    assert 'name="ask_1" value="33"' in page
    draft.refresh_from_db()
    assert (draft.version, draft_text(draft).fields["ask_1"]) == (2, "30")
    choice = {
        **FIELDS, "ask_1": "33", "version": "1", "version_now": "2", "merge": "1",
        "theirs-ask_1": "30", "pick-ask_1": "mine",
    }  # fmt: skip
    merged = owner.post(here(day), choice).content.decode()
    assert 'name="ask_1" value="33"' in merged
    kept = owner.post(here(day), sent(day, draft, ask_1="33"))
    assert kept.status_code == 303
    draft.refresh_from_db()
    assert (draft.version, draft_text(draft).fields["ask_1"]) == (3, "33")


def test_a_colleague_is_named_where_both_edit_one_bid(day: cast.MarketDay, draft: Draft) -> None:
    colleague = cast.member("sato", day.places.people.inzai_dc, Role.OPERATOR_TRADER)
    theirs = {**sent(day, draft, ask_1="30"), "form_token": token_made(colleague.pk)}
    assert client_of(colleague).post(here(day), theirs).status_code == 303
    mine = client_of(day.places.people.owner).post(here(day), sent(day, draft, ask_1="33"))
    assert "satoさんが 13:00:00 にこの入札を保存しました。" in mine.content.decode()


def test_a_session_that_ended_loses_no_text_and_submits_nothing(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    form = sent(day, draft, act="review", ask_1="29.75")
    owner.session.flush()
    led = owner.post(here(day), form)
    assert led.status_code == 302
    assert led.headers["Location"] == f"/login/?{urlencode({'next': here(day)})}"
    draft.refresh_from_db()
    assert draft_text(draft).fields["ask_1"] == "28"
    back = owner.post(
        led.headers["Location"],
        {"username": "inzai", "password": cast.PASSWORD, "next": here(day)},
    )
    assert back.headers["Location"] == here(day)
    page = owner.get(here(day)).content.decode()
    assert "サインインの前に入力した内容です。まだ送っていません。" in page
    assert 'value="29.75"' in page
    assert 'value="29.75"' not in owner.get(here(day)).content.decode()


def test_kept_text_is_never_shown_to_somebody_else(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    colleague = cast.member("sato", day.places.people.inzai_dc, Role.OPERATOR_TRADER)
    owner.session.flush()
    owner.post(here(day), sent(day, draft, ask_1="29.75"))
    owner.post("/login/", {"username": colleague.username, "password": cast.PASSWORD})
    assert "29.75" not in owner.get(here(day)).content.decode()


def test_a_stranger_cannot_have_texts_kept(day: cast.MarketDay, draft: Draft) -> None:
    nobody = client_of(None)
    nobody.post(here(day), {**sent(day, draft), "form_token": "made-up"})
    assert "portal_kept_text" not in nobody.session


def test_a_script_whose_session_ended_gets_401_and_the_new_token_afterwards(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.session.flush()
    asked = owner.post(here(day, "check/"), sent(day, draft), headers={"HX-Request": "true"})
    assert asked.status_code == 401
    assert owner.get("/account/state/").json()["user"] is None
    owner.force_login(day.places.people.owner)
    state = owner.get("/account/state/").json()
    assert (state["user"], bool(state["csrf"])) == (day.places.people.owner.pk, True)


def test_a_gate_that_closes_while_typing_keeps_the_text_and_offers_two_ways_out(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    later = cast.auction(
        day.places, delivery_on=day.auction.delivery_on + timedelta(days=1), code="DA-NEXT"
    )
    cast.market_time(day.auction.gate_closure_at + timedelta(seconds=2))
    late = owner.post(here(day), sent(day, draft, act="review", ask_1="29.75"))
    page = late.content.decode()
    assert late.status_code == 409
    assert "締切 14:00:00、受付 14:00:02 のため提出できませんでした。" in page
    assert 'value="29.75"' in page
    assert 'value="DA-NEXT"' in page
    assert "CSV で保存" in page
    copied = owner.post(here(day, "copy/"), {**sent(day, draft, ask_1="29.75"), "to": later.code})
    assert copied.status_code == 303
    made = Draft.objects.get(subject="DA-NEXT")
    assert draft_text(made).fields == {**FIELDS, "ask_1": "29.75"}
    saved = owner.get(here(day, "bid.csv")).content.decode("utf-8-sig")
    # the columns of an upload: what was saved can be taken in again
    assert f"{NAME},STEPS,DEFERRAL,inzai-dc-1-load,,UP,34,39,4000,12.5," in saved
    assert f"{NAME},,,,,,34,39,2000,28," in saved


def test_a_confirmation_after_the_gate_submits_nothing_and_says_both_times(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    form = confirmation(day, draft)
    cast.market_time(day.auction.gate_closure_at)
    late = owner.post(here(day, "confirm/"), form)
    assert late.status_code == 409
    assert "締切 14:00:00 を過ぎました（現在 14:00:00）。" in late.content.decode()
    assert not Bid.objects.exists()
    assert not FormSent.objects.exists()


def test_what_was_confirmed_is_what_is_submitted(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    form = confirmation(day, draft)
    owner.post(here(day), sent(day, draft, ask_1="99"))  # in another tab, after the confirmation
    assert owner.post(here(day, "confirm/"), form).status_code == 409
    assert not Bid.objects.exists()


def test_a_revision_is_the_next_version_and_the_page_says_so(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.post(here(day, "confirm/"), confirmation(day, draft))
    draft.refresh_from_db()
    owner.post(here(day), sent(day, draft, act="review", ask_1="30"))
    draft.refresh_from_db()
    assert "版 1</s> → " in owner.get(here(day, "confirm/")).content.decode()
    owner.post(here(day, "confirm/"), confirmation(day, draft, bid_version="1"))
    assert list(Bid.objects.order_by("version").values_list("version", "state")) == [
        (1, BidState.SUPERSEDED),
        (2, BidState.SUBMITTED),
    ]


def test_a_withdrawal_can_be_taken_back_before_the_gate(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.post(here(day, "confirm/"), confirmation(day, draft))
    led = owner.post(here(day, "withdraw/"))
    assert Bid.objects.get().state == BidState.WITHDRAWN
    page = owner.get(led.headers["Location"]).content.decode()
    assert f"{NAME} を取り下げました。" in page
    assert f'action="{here(day, "restore/")}"' in page
    owner.post(here(day, "restore/"))
    assert list(Bid.objects.order_by("version").values_list("version", "state")) == [
        (1, BidState.WITHDRAWN),
        (2, BidState.SUBMITTED),
    ]


def test_a_withdrawal_after_the_gate_is_refused_in_words(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.post(here(day, "confirm/"), confirmation(day, draft))
    cast.market_time(day.auction.gate_closure_at)
    led = owner.post(here(day, "withdraw/"))
    assert "締切後のため、取下げできません。" in owner.get(led.headers["Location"]).content.decode()
    assert Bid.objects.get().state == BidState.SUBMITTED


def test_typing_is_checked_by_the_market_and_kept_whatever_it_says(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    typed = sent(day, draft, kw_0="13,000", ask_0="x")
    answer = owner.post(here(day, "check/"), typed)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "「x」は数として読めません。" in page
    assert "13:00:00 自動保存" in page
    draft.refresh_from_db()
    assert draft_text(draft).fields["ask_0"] == "x"
    over = owner.post(here(day, "check/"), sent(day, draft, kw_0="13,000")).content.decode()
    assert "inzai-dc-1-load" in over  # 15,000 kW of a resource that can give 12,000
    assert "検証済み" not in over
    draft.refresh_from_db()
    fine = owner.post(here(day, "check/"), sent(day, draft)).content.decode()
    assert "検証済み・このまま提出できます" in fine


def test_an_autosave_from_an_old_tab_overwrites_nothing(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.post(here(day, "check/"), sent(day, draft, ask_1="30"))
    old = owner.post(here(day, "check/"), sent(day, draft, ask_1="33"))
    assert old.status_code == 409
    assert "ここでの変更は自動保存されていません。" in old.content.decode()
    draft.refresh_from_db()
    assert draft_text(draft).fields["ask_1"] == "30"


def test_a_draft_is_not_readable_in_the_database_nor_by_a_rival(
    day: cast.MarketDay, draft: Draft
) -> None:
    assert b"12.50" not in bytes(Draft.objects.get().sealed_text)
    rival = client_of(day.places.people.rival)
    assert rival.get(here(day)).status_code == 404
    assert NAME not in rival.get("/dc/bids/").content.decode()
    assert rival.post(here(day, "confirm/"), confirmation(day, draft)).status_code == 404


def test_a_viewer_reads_and_cannot_write(day: cast.MarketDay, draft: Draft) -> None:
    viewer = client_of(cast.member("viewer", day.places.people.inzai_dc, Role.OPERATOR_VIEWER))
    assert viewer.get("/dc/bids/").status_code == 200
    assert viewer.get(here(day)).status_code == 404
    assert viewer.post(here(day, "withdraw/")).status_code == 404


def test_a_new_bid_is_prefilled_where_something_is_needed(
    day: cast.MarketDay, owner: Client
) -> None:
    led = owner.post(
        f"/dc/bids/{day.auction.code}/new/",
        {"offer": "inzai-dc-1-battery|STORAGE|BATTERY|"},
    )
    page = owner.get(led.headers["Location"]).content.decode()
    assert 'name="energy_kwh" value="32,000"' in page
    assert 'name="reserve_kwh" value="2,000"' in page
    assert "検証済み・このまま提出できます" in page
    refused = owner.post(
        f"/dc/bids/{day.auction.code}/new/", {"offer": "shiroi-dc-1-load|STEPS|DEFERRAL|"}
    )
    assert refused.status_code == 404


UPLOAD = (
    "client_bid_id,form,mechanism,resource,direction,first_t,last_t,quantity_kw,ask_jpy_per_kwh\r\n"
    "one,STEPS,DEFERRAL,inzai-dc-1-load,UP,34,39,1000,{first}\r\n"
    "one,STEPS,DEFERRAL,inzai-dc-1-load,UP,34,39,500,{second}\r\n"
)


def _uploaded(day: cast.MarketDay, client: Client, text: str) -> Any:
    from django.core.files.uploadedfile import SimpleUploadedFile

    file = SimpleUploadedFile("bids.csv", text.encode("utf-8-sig"), content_type="text/csv")
    token = token_made(day.places.people.owner.pk)
    return client.post(f"/dc/bids/{day.auction.code}/upload/", {"file": file, "form_token": token})


def test_a_file_is_submitted_whole_or_refused_by_line_and_column(
    day: cast.MarketDay, owner: Client
) -> None:
    wrong = _uploaded(day, owner, UPLOAD.format(first="28", second="cheap"))
    page = wrong.content.decode()
    assert wrong.status_code == 422
    assert '<th scope="row" class="num">3</th><td>ask_jpy_per_kwh</td>' in page
    assert not Bid.objects.exists()
    right = _uploaded(day, owner, UPLOAD.format(first="28", second="30"))
    assert right.status_code == 303
    assert Bid.objects.get().client_bid_id == "one"


@pytest.mark.parametrize("address", ["/dc/", "/dc/bids/", "/dc/sites/", "/dc/standing/"])
def test_a_page_costs_few_queries(day: cast.MarketDay, owner: Client, address: str) -> None:
    owner.get(address)
    with CaptureQueriesContext(connection) as counted:
        assert owner.get(address).status_code == 200
    assert len(counted) <= 20, [query["sql"][:90] for query in counted.captured_queries]


def test_the_editor_costs_few_queries(day: cast.MarketDay, draft: Draft, owner: Client) -> None:
    owner.get(here(day))
    with CaptureQueriesContext(connection) as counted:
        owner.get(here(day))
    assert len(counted) <= 20, [query["sql"][:90] for query in counted.captured_queries]


def test_forms_sent_long_ago_are_forgotten(
    day: cast.MarketDay, draft: Draft, owner: Client
) -> None:
    owner.post(here(day), sent(day, draft))
    assert sent_sweep() == 0
    FormSent.objects.update(created_at=Now() - timedelta(hours=49))
    assert sent_sweep() == 1
    assert not FormSent.objects.exists()

"""Orders changed from the page: kW and yen before the click, two people, and who stands in."""

from __future__ import annotations

import re
from typing import Any

import lxml.html
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.approvals.models import Approval
from accounts.jobs.models import Job
from accounts.jobs.services import job_claim
from accounts.parties.roles import Role
from aggregator.dispatch import seeking, services
from aggregator.dispatch.models import DispatchInstruction
from tests import cast
from tests.dispatching import freeze, instruction, jst, sent_day, work
from tests.portal.conftest import client_of

pytestmark = pytest.mark.django_db


def told(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.content.decode()))


def form_fields(answer: Any) -> dict[str, str]:
    """Return what a browser would send of the page's form, no button pressed."""
    page = lxml.html.fromstring(answer.content.decode())
    form = next(one for one in page.forms if "form_token" in one.fields)
    return {name: value or "" for name, value in form.form_values()}


def desk_of(day: cast.MarketDay, name: str) -> Client:
    return client_of(cast.member(name, day.places.people.platform, Role.MARKET_DESK))


def accepted(day: cast.MarketDay) -> DispatchInstruction:
    row = instruction(day, "inzai-defer")
    services.instruction_acknowledge(instruction_id=row.id, organisation=row.organisation)
    return row


def test_less_is_typed_counted_asked_and_approved_from_the_page() -> None:
    day = sent_day()
    row = accepted(day)
    first, second = desk_of(day, "first"), desk_of(day, "second")
    address = f"/desk/instructions/{row.id}/less/"
    fields = form_fields(first.get(address))
    assert fields["kw_37"] == "9,000"
    typed = {**fields, "kw_37": "6,000", "kw_38": "６０００", "reason": "線路が戻った"}
    counted = first.post(address, {**typed, "count": "1"})
    text = told(counted)
    # 2 half hours of 3,000 kW less: 2 · 1,500 kWh, at the price they were sold at
    price = day.awards["inzai-defer"].intervals.get(t=37).price_jpy_per_kwh
    assert f"最大 {round(3_000 * price):,}円（3,000 kWh）減り" in text
    assert "9,000 kW" in text
    assert "6,000 kW" in text
    assert "3,000 kW の減量を依頼する" in text
    assert "減らした量は元に戻せず" in text
    assert not Approval.objects.exists()  # nothing is kept of what was only counted
    done = first.post(address, form_fields(counted))
    assert (done.status_code, done["Location"]) == (303, f"/desk/instructions/{row.id}/")
    asked = Approval.objects.get()
    assert asked.detail["change"]["quantities_kw"] == {"37": "6000", "38": "6000"}
    page = f"/desk/changes/{asked.id}/"
    assert "9,000 kW → 6,000 kW" in told(second.get(page))
    assert "3,000 kWh" in told(second.get(page))
    second.post(page, {**form_fields(second.get(page)), "decision": "approve"})
    made = DispatchInstruction.objects.get(replaces=row)
    assert dict(made.intervals.values_list("t", "quantity_kw"))[38] == 6_000


def test_more_than_ordered_is_refused_at_its_half_hour_and_the_text_stays() -> None:
    day = sent_day()
    row = accepted(day)
    client = desk_of(day, "first")
    address = f"/desk/instructions/{row.id}/less/"
    fields = form_fields(client.get(address))
    answer = client.post(address, {**fields, "kw_37": "9,500", "reason": "x", "count": "1"})
    assert answer.status_code == 422
    form = answer.context["form"]
    assert list(form.errors) == ["kw_37"]
    assert form["kw_37"].value() == "9,500"


def test_longer_names_who_pays_and_what_it_costs_them() -> None:
    day = sent_day()
    row = accepted(day)
    client = desk_of(day, "first")
    address = f"/desk/instructions/{row.id}/longer/"
    page = client.get(address)
    fields = form_fields(page)
    assert list(page.context["form"].slots) == [40, 41, 42, 43, 44, 45]
    assert fields["payer"]
    typed = {
        **fields, "kw_40": "5,000", "price_jpy_per_kwh": "70", "reason": "山",
    }  # fmt: skip
    code = day.places.people.grid_t.code
    counted = client.post(address, {**typed, "payer": code, "count": "1"})
    # 5,000 kW for half an hour at 70.00: 2,500 · 70
    assert "2,500 kWh に 175,000円 を支払います" in told(counted)
    client.post(address, form_fields(counted))
    asked = Approval.objects.get()
    assert (asked.kind, asked.organisation) == ("instruction.extend", day.places.people.grid_t)
    assert asked.detail["change"]["price_jpy_per_kwh"] == "70"
    approver = cast.member("approver", day.places.people.grid_t, Role.GRID_APPROVER)
    shown = told(client_of(approver).get(f"/tso/approvals/{asked.id}/"))
    assert "0 kW → 5,000 kW（70.00円/kWh・175,000円）" in shown
    assert "2,500 kWh に 175,000円 を支払います" in shown


def test_a_stop_for_safety_takes_one_person_and_says_so() -> None:
    day = sent_day()
    row = accepted(day)
    client = desk_of(day, "first")
    address = f"/desk/instructions/{row.id}/halt/"
    page = client.get(address)
    assert "1人の判断で止まり" in told(page)
    assert "最大 9,000 kW" in told(page)
    client.post(address, {**form_fields(page), "reason": "火災"})
    row.refresh_from_db()
    assert (row.state, row.reason) == ("CANCELLED", "火災")


def test_what_an_order_cannot_do_has_no_page() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")  # sent, not accepted
    client = desk_of(day, "first")
    page = told(client.get(f"/desk/instructions/{row.id}/"))
    assert "取り消す…" in page
    assert "減らす…" not in page
    assert client.get(f"/desk/instructions/{row.id}/less/").status_code == 404
    assert client.get(f"/desk/instructions/{row.id}/melt/").status_code == 404


def test_candidates_of_a_silent_site_are_shown_and_nothing_of_it_is_kept() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    client = desk_of(day, "first")
    with CaptureQueriesContext(connection) as queries:
        page = client.get(f"/desk/instructions/{row.id}/stand-ins/")
    assert len(queries) <= 45
    supposed = {
        (one.candidate.bid.resource.site.code, one.top_kw) for one in page.context["candidates"]
    }
    assert "応答期限までは拠点の返事を待ちます" in told(page)
    row.refresh_from_db()
    assert row.state == "SENT"
    # declined, the same are asked by the job
    services.instruction_opt_out(
        instruction_id=row.id, organisation=row.organisation, reason="no batch"
    )
    work(services.REPLACE_KIND)
    made = DispatchInstruction.objects.filter(replaces=row)
    assert supposed == {
        (one.resource.site.code, max(one.intervals.values_list("quantity_kw", flat=True)))
        for one in made
    }


def test_where_nobody_stood_in_the_desk_asks_again() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    services.instruction_opt_out(
        instruction_id=row.id, organisation=row.organisation, reason="no batch"
    )
    Job.objects.filter(kind=services.REPLACE_KIND).delete()
    client = desk_of(day, "first")
    page = client.get(f"/desk/instructions/{row.id}/stand-ins/")
    found = len(page.context["candidates"])
    client.post(
        f"/desk/instructions/{row.id}/stand-ins/", {**form_fields(page), "reason": "空きが出た"}
    )
    job = Job.objects.get(kind=seeking.REPEAT_KIND)
    again = client.get(f"/desk/instructions/{row.id}/stand-ins/")
    refused = client.post(
        f"/desk/instructions/{row.id}/stand-ins/", {**form_fields(again), "reason": "もう一度"}
    )
    assert refused.status_code == 409
    claim = job_claim(job_id=job.id)
    assert claim is not None
    assert seeking.replacement_repeat(claim=claim) == found
    job.refresh_from_db()
    assert job.state == "DONE"


def test_after_its_time_nobody_is_looked_for() -> None:
    day = sent_day()
    row = instruction(day, "inzai-defer")
    services.instruction_opt_out(
        instruction_id=row.id, organisation=row.organisation, reason="no batch"
    )
    freeze(jst(21))
    client = desk_of(day, "first")
    assert client.get(f"/desk/instructions/{row.id}/stand-ins/").status_code == 404
    assert "差し替えはありませんでした" in told(client.get(f"/desk/instructions/{row.id}/"))

"""One form after another: sent twice, altered and sent again, sent after the session ended.

Whatever the form, nothing is stored twice, nothing typed is lost, and the answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from django.conf import settings
from django.db.models import QuerySet
from django.test import Client

from accounts.approvals.models import Approval
from accounts.parties.models import Invitation, User
from accounts.parties.roles import Role
from accounts.parties.sight import sight_of
from aggregator.dispatch.models import (
    DispatchInstruction,
    FlexibleConnection,
    ResourceUnit,
    Trial,
)
from aggregator.metering.models import CapacityActivation
from market.registry.models import Resource, Site, WorkloadClass
from tests import cast
from tests.portal.conftest import client_of
from tests.portal.matrix_desk import drill_of, instruction_of, reserved_of
from tests.portal.test_dc_registering import BATTERY, SITE, bus_of
from tests.portal.test_dc_units import ROW

TOKEN = re.compile(r'name="form_token" value="([^"]+)"')


@dataclass(frozen=True, kw_only=True)
class Case:
    """A form: who fills it in where, what is typed, what it makes, and a field to alter."""

    who: User
    url: str
    fields: dict[str, str]
    made: Callable[[], QuerySet[object]]
    altered: tuple[str, str]


def site(day: cast.MarketDay) -> Case:
    number = f"{day.places.area.pk}00000000000000000042"
    place = {"area": day.places.area.pk, "bus_code": bus_of(day), "point_number": number}
    return Case(
        who=day.places.people.owner, url="/dc/new-site/", fields={**SITE, **place},
        made=Site.objects.all, altered=("name", "我孫子第二"),
    )  # fmt: skip


def resource(day: cast.MarketDay) -> Case:
    return Case(
        who=day.places.people.owner, url="/dc/sites/inzai-dc-1/new-resource/", fields=BATTERY,
        made=Resource.objects.all, altered=("name", "蓄電池三号"),
    )  # fmt: skip


def work(day: cast.MarketDay) -> Case:
    fields = {
        "kind": "TRAINING", "pool": "GPU", "power_kw": "9,000", "slack_h": "6",
        "value_jpy_per_kwh": "240",
    }  # fmt: skip
    return Case(
        who=day.places.people.owner, url="/dc/resources/inzai-dc-1-load/new-work/", fields=fields,
        made=WorkloadClass.objects.all, altered=("power_kw", "８，０００"),
    )  # fmt: skip


def unit(day: cast.MarketDay) -> Case:
    return Case(
        who=day.places.people.owner, url="/dc/resources/inzai-dc-1-load/units/", fields=ROW,
        made=ResourceUnit.objects.all, altered=("limit_up_kw", "１，２００"),
    )  # fmt: skip


def drill(day: cast.MarketDay) -> Case:
    first = drill_of(day, sight_of(day.places.people.desk))
    fields = {
        "direction": "UP", "quantity_kw": "1,500", "day": f"{day.auction.delivery_on}",
        "koma_first": "30", "koma_end": "32",
    }  # fmt: skip
    return Case(
        who=day.places.people.desk, url=f"/desk/drills/new/{first.prequalification_id}/",
        fields=fields, made=Trial.objects.all, altered=("quantity_kw", "１，６００"),
    )  # fmt: skip


def call(day: cast.MarketDay) -> Case:
    return Case(
        who=day.places.people.desk, url=f"/desk/calls/{reserved_of(day).id}/",
        fields={"kw_10": "4,000"}, made=CapacityActivation.objects.all,
        altered=("kw_10", "３，０００"),
    )  # fmt: skip


def cancelled_result(day: cast.MarketDay) -> Case:
    return Case(
        who=day.places.people.desk, url=f"/desk/auctions/{day.auction.code}/cancel/",
        fields={"reason": "系統事故のため"}, made=Approval.objects.all,
        altered=("reason", "再計算のため"),
    )  # fmt: skip


def halted_order(day: cast.MarketDay) -> Case:
    row = instruction_of(day)
    return Case(
        who=day.places.people.desk, url=f"/desk/instructions/{row.id}/halt/",
        fields={"reason": "火災のため"},
        made=lambda: DispatchInstruction.objects.filter(state="CANCELLED"),
        altered=("reason", "設備故障のため"),
    )  # fmt: skip


def connection(day: cast.MarketDay) -> Case:
    fields = {"firm_kw": "1000", "flexible_kw": "2千", "heartbeat_s": "60", "failsafe_s": "120"}
    place = day.places.sites["shiroi"]
    return Case(
        who=day.places.people.planner, url=f"/tso/connections/new/{place.id}/", fields=fields,
        made=FlexibleConnection.objects.all, altered=("flexible_kw", "３千"),
    )  # fmt: skip


def invitation(day: cast.MarketDay) -> Case:
    organisation = day.places.people.inzai_dc
    admin = cast.member("inzai-admin", organisation, Role.ADMINISTRATOR)
    fields = {
        "organisation": organisation.code, "email": "new@example.jp",
        "role": str(Role.OPERATOR_TRADER),
    }  # fmt: skip
    return Case(
        who=admin, url="/team/invite/", fields=fields, made=Invitation.objects.all,
        altered=("email", "other@example.jp"),
    )  # fmt: skip


CASES = (
    site, resource, work, unit, drill, call, cancelled_result, halted_order, connection, invitation,
)  # fmt: skip


@pytest.fixture(params=CASES, ids=lambda made: made.__name__)
def case(request: pytest.FixtureRequest, day: cast.MarketDay) -> Case:
    return request.param(day)  # type: ignore[no-any-return]


def filled(client: Client, case: Case) -> dict[str, str]:
    """Open the form and fill it in."""
    token = TOKEN.search(client.get(case.url).content.decode())
    assert token is not None
    return {"form_token": token[1], **case.fields}


def test_a_form_sent_twice_does_its_work_once_and_altered_keeps_the_text(case: Case) -> None:
    client = client_of(case.who)
    form = filled(client, case)
    before = case.made().count()
    first = client.post(case.url, form)
    assert first.status_code == 303
    assert case.made().count() == before + 1
    # the second click, or back and sent again as it was
    again = client.post(case.url, form)
    assert (again.status_code, again.headers["Location"]) == (303, first.headers["Location"])
    assert "受け付け済みです。" in client.get(first.headers["Location"]).content.decode()
    # back, altered, sent again: a question, not a second row, and the text stays
    name, value = case.altered
    other = client.post(case.url, {**form, name: value})
    page = other.content.decode()
    assert other.status_code in (404, 409), page
    if other.status_code == 409:
        assert "送信済みです。その後の変更は送られていません。" in page
        assert value in page
    assert case.made().count() == before + 1


def test_what_was_typed_before_the_session_ended_is_there_after_signing_in(case: Case) -> None:
    client = client_of(case.who)
    form = filled(client, case)
    name, value = case.altered
    before = case.made().count()
    client.logout()
    sent = client.post(case.url, {**form, name: value})
    assert (sent.status_code, sent.headers["Location"].split("?")[0]) == (302, settings.LOGIN_URL)
    assert case.made().count() == before
    client.force_login(case.who)
    page = client.get(case.url).content.decode()
    assert value in page
    # and is sent from there
    token = TOKEN.search(page)
    assert token is not None
    assert client.post(case.url, {**form, name: value, "form_token": token[1]}).status_code == 303
    assert case.made().count() == before + 1


def test_nobody_else_gets_the_text_of_a_session_that_ended(case: Case) -> None:
    client = client_of(case.who)
    form = filled(client, case)
    name, value = case.altered
    client.logout()
    client.post(case.url, {**form, name: value})
    own = case.who.memberships.get()
    client.force_login(cast.member("colleague", own.organisation, own.role))
    page = client.get(case.url)
    assert page.status_code == 200
    assert value not in page.content.decode()


def test_the_forms_of_two_tabs_are_both_kept(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.owner)
    both = [site(day), unit(day)]
    forms = [filled(client, one) for one in both]
    client.logout()
    for one, form in zip(both, forms, strict=True):
        name, value = one.altered
        assert client.post(one.url, {**form, name: value}).status_code == 302
    client.force_login(day.places.people.owner)
    for one in both:
        assert one.altered[1] in client.get(one.url).content.decode()
        # it is given back once
        assert one.altered[1] not in client.get(one.url).content.decode()


def test_a_page_of_a_list_is_a_plain_number_or_none(day: cast.MarketDay) -> None:
    client = client_of(day.places.people.desk)
    for text in ("0", "-1", "2", "1e0", "１", "0000010", "9" * 400, "%00"):
        assert client.get(f"/desk/drills/?page={text}").status_code in (400, 404), text
    assert client.get("/desk/drills/?page=1").status_code == 200

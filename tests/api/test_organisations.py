"""Organisations: one's own, all for the market; changed with the version that was read."""

from __future__ import annotations

import pytest

from accounts.parties.models import Membership, Organisation
from accounts.parties.roles import Role
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
HERE = "/api/v1/organisations"


def test_each_sees_its_own_and_the_market_sees_all(
    as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    owner = as_member(Role.OPERATOR_VIEWER, "inzai-dc")
    assert [row["code"] for row in owner.get(HERE).json()["items"]] == ["inzai-dc"]
    assert [row["code"] for row in as_stranger.get(HERE).json()["items"]] == ["stranger"]
    desk = as_member(Role.MARKET_DESK, "wattbit")
    everybody = sorted(Organisation.objects.values_list("code", flat=True))
    assert [row["code"] for row in desk.get(HERE).json()["items"]] == everybody
    assert anonymous.get(HERE).status_code == 401


def test_another_s_is_as_unknown_as_none(as_stranger: DoorClient) -> None:
    theirs = as_stranger.get(f"{HERE}/inzai-dc")
    none = as_stranger.get(f"{HERE}/nobody")
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert {**theirs.json(), "instance": ""} == {**none.json(), "instance": ""}


def test_an_administrator_changes_names_with_the_version_read(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    shown = admin.get(f"{HERE}/inzai-dc")
    tag = shown["ETag"]
    assert admin.patch(f"{HERE}/inzai-dc", {"name": "印西"}).status_code == 428
    changed = admin.patch(f"{HERE}/inzai-dc", {"name": "印西"}, headers={"If-Match": tag})
    assert (changed.status_code, changed.json()["name"]) == (200, "印西")
    assert changed.json() == {**shown.json(), "name": "印西", "version": 2}
    late = admin.patch(f"{HERE}/inzai-dc", {"name": "遅い"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["code"]) == (412, "version-changed")
    assert Organisation.objects.get(code="inzai-dc").name == "印西"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": ""}, "name"), ({"name": "x" * 121}, "name"), ({"name_en": None}, "name_en"),
        ({"registration_number": "T0"}, "registration_number"),
        ({"registration_number": 7}, "registration_number"),
        ({"kind": "TSO"}, "kind"), ({"code": "grid-t"}, "code"),
    ],
)  # fmt: skip
def test_bad_changes_name_the_field_and_change_nothing(
    as_member: AsMember, body: dict[str, object], field: str
) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    before = admin.get(f"{HERE}/inzai-dc").json()
    answer = admin.patch(f"{HERE}/inzai-dc", body, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.json()
    assert admin.get(f"{HERE}/inzai-dc").json() == before


def test_a_trader_and_another_s_administrator_change_nothing(as_member: AsMember) -> None:
    trader = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    rival = as_member(Role.ADMINISTRATOR, "shiroi-dc")
    body, match = {"name": "x"}, {"If-Match": "*"}
    assert trader.patch(f"{HERE}/inzai-dc", body, headers=match).status_code == 403
    assert rival.patch(f"{HERE}/inzai-dc", body, headers=match).status_code == 404


def test_who_administers_one_changes_no_other_that_they_only_see(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    shiroi = Organisation.objects.get(code="shiroi-dc")
    Membership.objects.create(user=admin.person, organisation=shiroi, role=Role.OPERATOR_VIEWER)
    assert admin.get(f"{HERE}/shiroi-dc").status_code == 200
    answer = admin.patch(f"{HERE}/shiroi-dc", {"name": "x"}, headers={"If-Match": "*"})
    assert (answer.status_code, answer.json()["code"]) == (403, "not-permitted")


def test_only_administrators_of_the_market_register(as_member: AsMember) -> None:
    body = {"code": "chiba-dc", "kind": "DC_OPERATOR", "name": "千葉", "name_en": "Chiba"}
    assert as_member(Role.ADMINISTRATOR, "inzai-dc").post(HERE, body).status_code == 403
    assert as_member(Role.MARKET_DESK, "wattbit").post(HERE, body).status_code == 403
    admin = as_member(Role.ADMINISTRATOR, "wattbit")
    made = admin.post(HERE, body)
    assert (made.status_code, made["ETag"]) == (201, '"1"')
    assert made.json() == {**body, "registration_number": "", "version": 1}
    assert admin.post(HERE, body).json()["field"] == "code"
    assert admin.post(HERE, {**body, "code": "x", "kind": "BANK"}).json()["field"] == "kind"

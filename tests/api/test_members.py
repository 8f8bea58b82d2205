"""Members and invitations through the doors; one's own account and sessions."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from accounts.jobs.models import Job
from accounts.parties.invitations import JOB_KIND
from accounts.parties.models import Invitation, Membership
from accounts.parties.roles import MAY, Role
from tests import cast_places
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
MEMBERS, INVITATIONS = "/api/v1/members", "/api/v1/invitations"


def match(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


def role_row(client: DoorClient, username: str) -> dict[str, Any]:
    rows = client.get(MEMBERS).json()["items"]
    return dict(next(row for row in rows if row["username"] == username))


def test_administrators_see_the_members_of_their_own_organisation(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    rows = admin.get(MEMBERS).json()["items"]
    assert {row["organisation"] for row in rows} == {"inzai-dc"}
    market = as_member(Role.ADMINISTRATOR, "wattbit")
    assert len(market.get(MEMBERS).json()["items"]) == Membership.objects.count()
    only = market.get(f"{MEMBERS}?organisation=grid-t").json()["items"]
    assert {row["organisation"] for row in only} == {"grid-t"}
    assert as_member(Role.OPERATOR_TRADER, "inzai-dc").get(MEMBERS).status_code == 403


def test_a_role_is_given_changed_and_taken(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(MEMBERS, {"username": "inzai", "role": "operator_viewer"})
    assert made.status_code == 201, made.json()
    here = f"{MEMBERS}/{made.json()['id']}"
    assert admin.get(here).json() == made.json()
    changed = admin.put(here, {"role": "auditor"}, headers=match(1))
    assert (changed.json()["role"], changed["ETag"]) == ("auditor", '"2"')
    assert admin.put(here, {"role": "operator_viewer"}, headers=match(1)).status_code == 412
    assert admin.delete(here).status_code == 428
    assert admin.delete(here, headers=match(2)).status_code == 204
    assert admin.get(here).status_code == 404


def test_another_s_members_are_as_unknown_as_none(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "shiroi-dc")
    theirs = Membership.objects.get(user__username="inzai")
    for member_id in (theirs.uid, uuid.uuid4()):
        here = f"{MEMBERS}/{member_id}"
        assert admin.get(here).status_code == 404
        assert admin.put(here, {"role": "auditor"}, headers={"If-Match": "*"}).status_code == 404
        assert admin.delete(here, headers={"If-Match": "*"}).status_code == 404
    given = {"username": "shiroi", "role": "operator_trader", "organisation": "inzai-dc"}
    assert admin.post(MEMBERS, given).status_code == 404
    assert Membership.objects.filter(pk=theirs.pk).exists()


def test_the_last_administrator_stays(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    own = role_row(admin, admin.person.username)
    here = f"{MEMBERS}/{own['id']}"
    refused = admin.delete(here, headers=match(own["version"]))
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert admin.put(here, {"role": "auditor"}, headers={"If-Match": "*"}).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"username": "inzai", "role": "market_desk"}, "role"),
        ({"username": "inzai", "role": "root"}, "role"),
        ({"username": "inzai", "role": None}, "role"),
        ({"username": "inzai"}, "role"),
        ({"username": "inzai", "role": "auditor", "is_staff": True}, "is_staff"),
    ],
)
def test_bad_grants_name_the_field(as_member: AsMember, body: dict[str, Any], field: str) -> None:
    answer = as_member(Role.ADMINISTRATOR, "inzai-dc").post(MEMBERS, body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.json()


def test_an_invitation_is_made_listed_sent_again_and_revoked(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(INVITATIONS, {"email": "hana@example.jp", "role": "operator_trader"})
    assert made.status_code == 201, made.json()
    body = made.json()
    assert (body["state"], body["organisation"], body["sent_at"]) == ("OPEN", "inzai-dc", None)
    assert body["invited_by"] == f"user:{admin.person.pk}"
    nonce = str(Invitation.objects.get().nonce)
    assert nonce not in made.content.decode()
    assert admin.get(INVITATIONS).json()["items"] == [body]
    here = f"{INVITATIONS}/{body['id']}"
    assert admin.get(here).json() == body
    assert admin.post(f"{here}/resend").status_code == 428
    again = admin.post(f"{here}/resend", headers=match(1))
    assert (again.status_code, again.json()["version"]) == (200, 2)
    assert Job.objects.filter(kind=JOB_KIND).count() == 2
    revoked = admin.post(f"{here}/revoke", headers=match(2))
    assert revoked.json()["state"] == "REVOKED"
    assert admin.post(f"{here}/revoke", headers=match(3)).status_code == 409


def test_a_second_click_invites_once(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    given = {"email": "hana@example.jp", "role": "operator_trader"}
    first = admin.post(INVITATIONS, given, key="one")
    assert admin.post(INVITATIONS, given, key="one").json() == first.json()
    assert admin.post(INVITATIONS, given).status_code == 409
    assert Invitation.objects.count() == 1


def test_who_runs_the_market_invites_to_any_organisation_others_to_their_own(
    as_member: AsMember,
) -> None:
    given = {"email": "a@example.jp", "role": "grid_planner", "organisation": "grid-t"}
    assert as_member(Role.ADMINISTRATOR, "wattbit").post(INVITATIONS, given).status_code == 201
    rival = as_member(Role.ADMINISTRATOR, "shiroi-dc")
    assert rival.post(INVITATIONS, {**given, "email": "b@example.jp"}).status_code == 404
    row = Invitation.objects.get()
    assert rival.get(f"{INVITATIONS}/{row.id}").status_code == 404
    assert rival.post(f"{INVITATIONS}/{row.id}/revoke", headers=match(1)).status_code == 404
    assert rival.get(INVITATIONS).json()["items"] == []


def test_i_am_told_who_i_am_and_what_i_may(as_member: AsMember, anonymous: DoorClient) -> None:
    trader = as_member(Role.OPERATOR_TRADER, "inzai-dc")
    assert trader.get("/api/v1/me").json() == {
        "kind": "person",
        "actor": f"user:{trader.person.pk}",
        "runs_the_market": False,
        "lacks_second_factor": False,
        "places": [
            {
                "organisation": "inzai-dc",
                "roles": ["operator_trader"],
                "actions": sorted(MAY[Role.OPERATOR_TRADER]),
            }
        ],
    }
    assert anonymous.get("/api/v1/me").status_code == 401


def test_i_see_and_end_my_own_sessions_only(as_member: AsMember) -> None:
    person = as_member(Role.OPERATOR_TRADER, "inzai-dc").person
    trader, elsewhere = DoorClient(), DoorClient()
    given = {"username": person.username, "password": cast_places.PASSWORD}
    for client in (trader, elsewhere):
        assert client.post("/login/", given, format="multipart").status_code == 302
    rival = as_member(Role.OPERATOR_TRADER, "shiroi-dc")
    rows = trader.get("/api/v1/sessions").json()["items"]
    assert [row["is_current"] for row in rows] == [True, False]
    other = rows[1]["id"]
    here = f"/api/v1/sessions/{other}"
    assert rival.get(here).status_code == 404
    assert rival.delete(here, headers={"If-Match": "*"}).status_code == 404
    assert elsewhere.get("/api/v1/me").status_code == 200
    assert trader.delete(here, headers={"If-Match": f'"{other}"'}).status_code == 204
    assert elsewhere.get("/api/v1/me").status_code == 401
    assert trader.get("/api/v1/me").status_code == 200

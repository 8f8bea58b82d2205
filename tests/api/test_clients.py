"""Machines through the doors: keys shown once, rotated with an overlap; tokens that work."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client
from oauth2_provider.models import AccessToken

from accounts.parties.models import ApiClient
from accounts.parties.roles import Role
from aggregator.api.models import IdempotentAnswer
from tests.api.conftest import AsMember, DoorClient

pytestmark = pytest.mark.django_db
HERE = "/api/v1/clients"
GIVEN = {"client_id": "inzai-robot", "role": "operator_trader"}


def token(client_id: str, secret: str) -> Any:
    basic = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    return Client().post(
        "/oauth/token",
        "grant_type=client_credentials",
        content_type="application/x-www-form-urlencoded",
        headers={"Authorization": f"Basic {basic}"},
    )


def me(text: str) -> Any:
    return DoorClient().get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})


def match(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


def test_a_machine_is_made_gets_a_token_and_acts_for_its_organisation(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(HERE, GIVEN)
    assert (made.status_code, made["ETag"], made["Cache-Control"]) == (201, '"1"', "no-store")
    body = made.json()
    secret = body.pop("client_secret")
    assert admin.get(f"{HERE}/{body['id']}").json() == body
    assert admin.get(HERE).json()["items"] == [body]
    text = token("inzai-robot", secret).json()["access_token"]
    answer = me(text).json()
    assert (answer["kind"], answer["actor"]) == ("machine", f"client:{body['id']}")
    assert [place["roles"] for place in answer["places"]] == [["operator_trader"]]


def test_a_secret_is_kept_nowhere(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    secret = admin.post(HERE, GIVEN).json()["client_secret"]
    assert not IdempotentAnswer.objects.exists()
    assert secret not in str(ApiClient.objects.values_list().get())


@pytest.mark.parametrize("text", ["", "x", "x" * 300, "a b", "é"])
def test_a_wrong_token_is_401_and_says_how_to_knock(db: None, text: str) -> None:
    answer = me(text)
    assert (answer.status_code, answer.json()["code"]) == (401, "not-authenticated")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_and_one_of_a_switched_off_machine_are_401(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(HERE, GIVEN).json()
    text = token("inzai-robot", made["client_secret"]).json()["access_token"]
    assert me(text).status_code == 200
    AccessToken.objects.update(expires=Now())
    assert me(text).status_code == 401
    text = token("inzai-robot", made["client_secret"]).json()["access_token"]
    off = admin.patch(f"{HERE}/{made['id']}", {"is_active": False}, headers=match(1))
    assert (off.status_code, off.json()["is_active"]) == (200, False)
    assert me(text).status_code == 401
    assert token("inzai-robot", made["client_secret"]).status_code == 401


def test_a_machine_without_a_role_is_known_but_may_nothing(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(HERE, {**GIVEN, "role": ""}).json()
    text = token("inzai-robot", made["client_secret"]).json()["access_token"]
    assert me(text).json()["places"] == [{"organisation": "inzai-dc", "roles": [], "actions": []}]
    headers = {"Authorization": f"Bearer {text}"}
    assert DoorClient().get(HERE, headers=headers).status_code == 403


def test_a_key_is_rotated_with_an_overlap(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(HERE, GIVEN).json()
    here = f"{HERE}/{made['id']}"
    assert admin.post(f"{here}/rotate").status_code == 428
    rotated = admin.post(f"{here}/rotate", {"grace_s": 3_600}, headers=match(1))
    assert rotated.status_code == 200, rotated.json()
    new = rotated.json()["client_secret"]
    assert rotated.json()["previous_until"] is not None
    assert [token("inzai-robot", s).status_code for s in (made["client_secret"], new)] == [200, 200]
    # of two who rotate at once the second has read what is no longer so
    assert admin.post(f"{here}/rotate", headers=match(1)).status_code == 412
    ended = admin.post(f"{here}/revoke-previous", headers=match(2))
    assert (ended.status_code, ended.json()["previous_until"]) == (200, None)
    assert [token("inzai-robot", s).status_code for s in (made["client_secret"], new)] == [401, 200]


def test_without_a_grace_tokens_end_at_once(as_member: AsMember) -> None:
    admin = as_member(Role.ADMINISTRATOR, "inzai-dc")
    made = admin.post(HERE, GIVEN).json()
    text = token("inzai-robot", made["client_secret"]).json()["access_token"]
    assert admin.post(
        f"{HERE}/{made['id']}/rotate", {"grace_s": 0}, headers=match(1)
    ).status_code == 200  # fmt: skip
    assert me(text).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"client_id": "", "role": ""}, "client_id"),
        ({"client_id": "x" * 129, "role": ""}, "client_id"),
        ({"client_id": "a b", "role": ""}, "client_id"),
        ({"client_id": "a:b", "role": ""}, "client_id"),  # HTTP Basic could not carry it
        ({"client_id": 7, "role": ""}, "client_id"),
        ({"client_id": "a", "role": "market_desk"}, "role"),
        ({"client_id": "a", "role": None}, "role"),
        ({"client_id": "a"}, "role"),
        ({"client_id": "a", "role": "", "secret": "mine"}, "secret"),
        ({"client_id": "a", "role": "", "name": "x" * 121}, "name"),
    ],
)
def test_bad_machines_name_the_field(as_member: AsMember, body: dict[str, Any], field: str) -> None:
    answer = as_member(Role.ADMINISTRATOR, "inzai-dc").post(HERE, body)
    assert (answer.status_code, answer.json()["field"]) == (400, field), answer.json()
    assert not ApiClient.objects.exists()


def test_others_machines_are_as_unknown_as_none(
    as_member: AsMember, as_stranger: DoorClient
) -> None:
    made = as_member(Role.ADMINISTRATOR, "inzai-dc").post(HERE, GIVEN).json()
    here = f"{HERE}/{made['id']}"
    rival = as_member(Role.ADMINISTRATOR, "shiroi-dc")
    assert rival.get(HERE).json()["items"] == []
    assert rival.get(here).status_code == 404
    assert rival.patch(here, {"is_active": False}, headers={"If-Match": "*"}).status_code == 404
    assert rival.post(f"{here}/rotate", headers={"If-Match": "*"}).status_code == 404
    assert rival.post(f"{here}/revoke-previous", headers={"If-Match": "*"}).status_code == 404
    assert rival.post(HERE, {**GIVEN, "client_id": "x", "organisation": "inzai-dc"}).status_code \
        == 404  # fmt: skip
    assert as_stranger.get(HERE).status_code == 403
    assert ApiClient.objects.get().version == 1
    market = as_member(Role.ADMINISTRATOR, "wattbit")
    assert market.get(here).status_code == 200

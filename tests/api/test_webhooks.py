"""Webhooks through the doors: their owners' business alone, secrets shown once."""

from __future__ import annotations

from typing import Any

import pytest
from django.db.models.functions import Now
from django.urls import resolve

from accounts.parties.roles import Role
from aggregator.api.models import IdempotentAnswer
from aggregator.outbox.models import MessageState, OutboxMessage, Topic, WebhookSubscription
from tests.api.conftest import AsMember, DoorClient

HERE = "/api/v1/webhooks"
GIVEN = {
    "url": "https://hooks.example.com/wattbit",
    "topics": ["auction.opened", "award.published"],
}
pytestmark = pytest.mark.django_db


def match(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


@pytest.fixture
def admin(as_member: AsMember) -> DoorClient:
    return as_member(Role.ADMINISTRATOR, "inzai-dc")


def made(client: DoorClient, *, confirmed: bool = False) -> dict[str, Any]:
    answer = client.post(HERE, GIVEN)
    assert answer.status_code == 201, answer.json()
    if confirmed:
        WebhookSubscription.objects.filter(id=answer.json()["id"]).update(confirmed_at=Now())
    body: dict[str, Any] = answer.json()
    return body


def test_a_subscription_is_made_and_its_secret_shown_once(admin: DoorClient) -> None:
    answer = admin.post(HERE, GIVEN)
    assert (answer.status_code, answer["ETag"], answer["Cache-Control"]) == (201, '"1"', "no-store")
    body = answer.json()
    secret = body.pop("secret")
    assert secret.startswith("whsec_")
    assert body == {
        "id": body["id"],
        "organisation": "inzai-dc",
        **GIVEN,
        "is_active": True,
        "confirmed_at": None,
        "paused_until": None,
        "failures_count": 0,
        "created_at": body["created_at"],
        "rotated_at": None,
        "secret_before_until": None,
        "version": 1,
    }
    assert admin.get(f"{HERE}/{body['id']}").json() == body
    assert admin.get(HERE).json()["items"] == [body]
    assert not IdempotentAnswer.objects.exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://0x7f000001/"}, "url"),
        ({"url": "https://2130706433/"}, "url"),
        ({"url": "https://[::ffff:169.254.169.254]/"}, "url"),
        ({"url": "https://user:pw@hooks.example.com/"}, "url"),
        ({"url": "https://hooks.example.com:22/"}, "url"),
        ({"url": 7}, "url"),
        ({"url": ""}, "url"),
        ({"topics": []}, "topics"),
        ({"topics": ["bid.submitted"]}, "topics[0]"),
        ({"topics": ["auction.opened"] * 2}, "topics"),
        ({"topics": "auction.opened"}, "topics"),
        ({"secret": "mine"}, "secret"),
    ],
)
def test_what_cannot_be_is_refused_by_field(
    admin: DoorClient, changes: dict[str, Any], field: str
) -> None:
    answer = admin.post(HERE, {**GIVEN, **changes})
    assert (answer.status_code, answer.json()["field"]) == (400, field)
    assert not WebhookSubscription.objects.exists()


def test_a_change_needs_the_version_that_was_read(admin: DoorClient) -> None:
    one = f"{HERE}/{made(admin)['id']}"
    assert admin.patch(one, {"is_active": False}).status_code == 428
    first = admin.patch(one, {"is_active": False}, headers=match(1))
    assert (first.status_code, first.json()["is_active"], first["ETag"]) == (200, False, '"2"')
    assert admin.patch(one, {"is_active": True}, headers=match(1)).status_code == 412
    topics = admin.patch(one, {"topics": ["need.published"]}, headers=match(2)).json()
    assert (topics["topics"], topics["is_active"]) == (["need.published"], False)


def test_another_address_must_be_confirmed_again(admin: DoorClient) -> None:
    one = f"{HERE}/{made(admin, confirmed=True)['id']}"
    assert admin.get(one).json()["confirmed_at"] is not None
    moved = admin.patch(one, {"url": "https://other.example.com/"}, headers=match(1)).json()
    assert moved["confirmed_at"] is None


def test_a_rotation_gives_a_new_secret_and_keeps_the_old_for_a_day(admin: DoorClient) -> None:
    before = made(admin)
    one = f"{HERE}/{before['id']}"
    assert admin.post(f"{one}/rotate").status_code == 428
    answer = admin.post(f"{one}/rotate", headers=match(1))
    after = answer.json()
    assert answer.status_code == 200
    assert after["secret"] not in ("", before["secret"])
    assert after["secret_before_until"] is not None
    assert "secret" not in admin.get(one).json()
    assert admin.post(f"{one}/rotate", headers=match(1)).status_code == 412
    assert not IdempotentAnswer.objects.exists()


def test_what_was_ended_is_gone(admin: DoorClient) -> None:
    one = f"{HERE}/{made(admin)['id']}"
    assert admin.delete(one).status_code == 428
    assert admin.delete(one, headers=match(1)).status_code == 204
    assert admin.get(one).status_code == 404
    assert admin.get(HERE).json()["items"] == []


def test_a_test_message_goes_to_a_confirmed_address_only(admin: DoorClient) -> None:
    one = f"{HERE}/{made(admin)['id']}"
    assert admin.post(f"{one}/test").status_code == 409
    assert admin.post(f"{one}/challenge").status_code == 202
    WebhookSubscription.objects.update(confirmed_at=Now())
    assert admin.post(f"{one}/challenge").status_code == 409
    sent = admin.post(f"{one}/test")
    assert (sent.status_code, sent.json()["topic"], sent.json()["state"]) == (
        202,
        "ping",
        "WAITING",
    )
    assert admin.get(f"{one}/messages").json()["items"] == [sent.json()]
    assert admin.get(f"{one}/messages", {"state": "DEAD"}).json()["items"] == []


def test_a_message_that_was_given_up_is_sent_again(admin: DoorClient) -> None:
    one = f"{HERE}/{made(admin, confirmed=True)['id']}"
    message_id = admin.post(f"{one}/test").json()["id"]
    again = f"{one}/messages/{message_id}/resend"
    assert admin.post(again).status_code == 409
    OutboxMessage.objects.update(state=MessageState.DEAD, error="answered 503", status=503)
    answer = admin.post(again)
    assert (answer.status_code, answer.json()["state"]) == (202, "WAITING")
    assert answer.json()["id"] == message_id


def test_others_see_nothing_of_it(
    admin: DoorClient, as_member: AsMember, as_stranger: DoorClient, anonymous: DoorClient
) -> None:
    one = f"{HERE}/{made(admin, confirmed=True)['id']}"
    message_id = admin.post(f"{one}/test").json()["id"]
    others = [
        as_stranger,
        as_member(Role.ADMINISTRATOR, "shiroi-dc"),
        as_member(Role.GRID_PLANNER, "grid-t"),
        as_member(Role.MARKET_DESK, "wattbit"),  # an address is nearly as secret as a key
        as_member(Role.ADMINISTRATOR, "wattbit"),
    ]
    for other in others:
        assert other.get(HERE).json()["items"] == []
        statuses = [
            other.get(one).status_code,
            other.patch(one, {"is_active": False}, headers=match(1)).status_code,
            other.delete(one, headers=match(1)).status_code,
            other.post(f"{one}/rotate", headers=match(1)).status_code,
            other.post(f"{one}/challenge").status_code,
            other.post(f"{one}/test").status_code,
            other.get(f"{one}/messages").status_code,
            other.post(f"{one}/messages/{message_id}/resend").status_code,
        ]
        assert statuses == [404] * 8
    assert anonymous.get(HERE).status_code == 401
    assert as_member(Role.OPERATOR_VIEWER, "inzai-dc").get(HERE).status_code == 403
    # own messages are found under their own subscription only
    second = f"{HERE}/{made(admin)['id']}"
    assert admin.post(f"{second}/messages/{message_id}/resend").status_code == 404


def test_every_topic_is_documented_and_links_lead_to_doors(anonymous: DoorClient) -> None:
    from aggregator.outbox import fanout

    assert Topic.values
    code, some_id = "DA-2026-11-25", "00000000-0000-4000-8000-000000000000"
    for path, name in (
        (f"/auctions/{code}", "auction"),
        (f"/auctions/{code}/prices", "price-list"),
        (f"/needs/{some_id}", "need"),
        ("/awards", "award-list"),
        (f"/instructions/{some_id}", "instruction"),
        (f"/prequalifications/{some_id}", "prequalification"),
        ("/statements", "statement-list"),
        ("/audit/checkpoints/1", "audit-checkpoint"),
        (f"/webhooks/{some_id}", "webhook"),
    ):
        assert resolve(f"{fanout.DOORS}{path}").url_name == name

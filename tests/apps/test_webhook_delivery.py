"""Webhooks: told once per cause, signed, to confirmed addresses; who hangs holds up nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from accounts.audit.models import AuditEntry
from accounts.core.errors import BrokenInvariant, Conflict, NotFound, Refused
from accounts.jobs.models import Job
from accounts.parties.sight import sight_of
from aggregator.outbox import services, signing, subscriptions
from aggregator.outbox.client import Answer
from aggregator.outbox.models import (
    MessageState,
    OutboxMessage,
    WebhookSubscription,
)
from tests import cast
from tests.hooks import URL, admin_of, claim_of, confirmed, deliver, message_to, sending
from tests.listening import Listener, listening


class Receiver(Listener):
    """Echoes challenges; else answers as its path says, and keeps what came."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def posted(self, body: bytes) -> None:
        said = json.loads(body)
        if said["topic"] == "challenge":
            self.answer(200, json.dumps({"challenge": said["challenge"]}).encode())
            return
        self.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.path == "/hang":
            time.sleep(8)
        self.answer(503 if self.path == "/busy" else 204, b"")


@pytest.fixture
def receiver(settings: Any) -> Iterator[str]:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    Receiver.seen.clear()
    with listening(Receiver) as address:
        yield address


# signatures


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # as any library of Standard Webhooks computes it
    secret, body = "whsec_" + base64.b64encode(b"0" * 32).decode(), '{"a":"日本"}'.encode()
    headers = signing.headers_of(
        message_id="m-1", timestamp_s=1700000000, body=body, under=[secret]
    )
    mac = hmac.new(b"0" * 32, b"m-1.1700000000." + body, hashlib.sha256).digest()
    assert headers == {
        "webhook-id": "m-1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def verified(headers: dict[str, str], body: bytes, secret: str) -> bool:
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    mac = "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return mac in headers["webhook-signature"].split(" ")


@pytest.mark.django_db
def test_what_arrives_is_signed_by_the_secret_and_by_the_one_before_for_a_day(
    receiver: str,
) -> None:
    people = cast.people()
    row, first = confirmed(people.inzai_dc, url=f"{receiver}/ok")
    assert deliver(message_to(row)) == MessageState.DELIVERED
    ((_, headers, body),) = Receiver.seen
    assert verified(headers, body, first)
    assert headers["webhook-id"] == json.loads(body)["id"]
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    row, second = subscriptions.subscription_rotate(
        subscription_id=row.id, by=admin_of(people.inzai_dc)
    )
    deliver(message_to(row))
    _, headers, body = Receiver.seen[1]
    assert verified(headers, body, first)
    assert verified(headers, body, second)
    WebhookSubscription.objects.update(secret_before_until=Now())
    deliver(message_to(row))
    _, headers, body = Receiver.seen[2]
    assert verified(headers, body, second)
    assert not verified(headers, body, first)


@pytest.mark.django_db
def test_secrets_are_stored_encrypted_under_a_key_of_this_site(settings: Any) -> None:
    row, secret = confirmed(cast.people().inzai_dc)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT secret_sealed, outbox_webhooksubscription::text FROM outbox_webhooksubscription"
        )
        sealed, whole = cursor.fetchone()
    assert secret.encode() not in bytes(sealed)
    assert secret not in whole
    assert signing.secret_open(row.secret_sealed) == secret
    before = settings.SECRET_KEY
    settings.SECRET_KEY = "another key of fifty characters or more, as is demanded"
    with pytest.raises(BrokenInvariant):
        signing.secret_open(row.secret_sealed)
    settings.SECRET_KEY_FALLBACKS = [before]
    assert signing.secret_open(row.secret_sealed) == secret


# the challenge


@pytest.mark.django_db
def test_an_address_that_echoes_the_challenge_is_confirmed(receiver: str) -> None:
    row, _ = subscriptions.subscription_create(
        organisation=cast.people().inzai_dc, url=f"{receiver}/ok", topics=["auction.opened"]
    )
    assert row.confirmed_at is None
    assert subscriptions.subscription_challenge(claim=claim_of(f"{row.id}/1"))
    row.refresh_from_db()
    assert row.confirmed_at is not None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=200, body=b"ok"),
        Answer(status=200, body=b'{"challenge": "other"}'),
        Answer(status=200, body=b"[" * 100_000),
        Answer(status=200, body=b'["challenge"]'),
        Answer(status=302, body=b""),
        Answer(status=500, body=b""),
    ],
)
def test_an_address_that_does_not_echo_it_is_told_nothing(answer: Answer) -> None:
    people = cast.people()
    row, _ = subscriptions.subscription_create(
        organisation=people.inzai_dc, url=URL, topics=["auction.opened"]
    )
    key = f"{row.id}/1"
    for _ in range(5):
        claim = claim_of(key)
        with pytest.raises(subscriptions.ChallengeFailed):
            subscriptions.subscription_challenge(claim=claim, send=lambda *_, **__: answer)
        Job.objects.filter(key=key).update(state="READY")
    assert not subscriptions.subscription_challenge(
        claim=claim_of(key), send=lambda *_, **__: answer
    )
    row.refresh_from_db()
    assert row.confirmed_at is None
    with pytest.raises(Conflict):
        message_to(row)
    entry = AuditEntry.objects.get(action="aggregator.webhook.unconfirmed")
    assert "other" not in json.dumps(entry.detail)  # what it answered is nobody's to see


@pytest.mark.django_db
def test_another_address_is_challenged_again() -> None:
    people = cast.people()
    row, _ = confirmed(people.inzai_dc)
    changed = subscriptions.subscription_change(
        subscription_id=row.id, by=admin_of(people.inzai_dc), url="https://other.example.com/"
    )
    assert (changed.confirmed_at, changed.version) == (None, 2)
    assert Job.objects.filter(kind=subscriptions.CHALLENGE_KIND, key=f"{row.id}/2").exists()
    # the challenge of the address before comes too late
    assert not subscriptions.subscription_challenge(
        claim=claim_of(f"{row.id}/1"), send=lambda *_, **__: Answer(status=200, body=b"{}")
    )


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("url", "topics", "field"),
    [
        ("http://example.com/", ["auction.opened"], "url"),
        ("https://127.0.0.1/", ["auction.opened"], "url"),
        ("https://0x7f000001/", ["auction.opened"], "url"),
        (URL, [], "topics"),
        (URL, ["auction.opened", "auction.opened"], "topics"),
        (URL, ["bid.submitted"], "topics"),
    ],
)
def test_what_cannot_be_a_subscription_is_refused(url: str, topics: list[str], field: str) -> None:
    with pytest.raises(Refused) as refused:
        subscriptions.subscription_create(
            organisation=cast.people().inzai_dc, url=url, topics=topics
        )
    assert refused.value.field == field
    assert not WebhookSubscription.objects.exists()


@pytest.mark.django_db
def test_others_cannot_touch_a_subscription() -> None:
    people = cast.people()
    row, _ = confirmed(people.inzai_dc)
    message = message_to(row)
    for stranger in (admin_of(people.shiroi_dc), sight_of(people.desk), admin_of(people.platform)):
        for touch in (
            lambda by: subscriptions.subscription_change(
                subscription_id=row.id, by=by, is_active=False
            ),
            lambda by: subscriptions.subscription_rotate(subscription_id=row.id, by=by),
            lambda by: subscriptions.subscription_remove(subscription_id=row.id, by=by),
            lambda by: subscriptions.subscription_ping(subscription_id=row.id, by=by),
            lambda by: subscriptions.message_resend(
                subscription_id=row.id, message_id=message.id, by=by
            ),
        ):
            with pytest.raises(NotFound):
                touch(stranger)


@pytest.mark.django_db
def test_subscriptions_are_never_erased() -> None:
    row, _ = confirmed(cast.people().inzai_dc)
    with pytest.raises(IntegrityError), transaction.atomic():
        WebhookSubscription.objects.filter(id=row.id).delete()
    with pytest.raises(IntegrityError), transaction.atomic():
        WebhookSubscription.objects.filter(id=row.id).update(organisation=cast.people().shiroi_dc)


# retries, the breaker, giving up


@pytest.mark.django_db
def test_retries_come_later_and_later_and_not_at_the_same_moment() -> None:
    row, _ = confirmed(cast.people().inzai_dc)
    message = message_to(row)
    pauses = []
    for _ in range(6):
        WebhookSubscription.objects.update(paused_until=None)
        deliver(message, sending(503))
        message.refresh_from_db()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT extract(epoch FROM next_attempt_at - clock_timestamp()) "
                "FROM outbox_outboxmessage WHERE id = %s",
                [message.id],
            )
            pauses.append(float(cursor.fetchone()[0]))
    for n, pause_s in enumerate(pauses):
        assert 2 * 2**n * 0.7 < pause_s <= 2 * 2**n * 1.25
    assert len({round(pause_s / 2**n, 3) for n, pause_s in enumerate(pauses)}) == 6


@pytest.mark.django_db
def test_after_a_day_a_message_is_dead_and_its_owner_sends_it_again() -> None:
    people = cast.people()
    admin = admin_of(people.inzai_dc)
    row, _ = confirmed(people.inzai_dc)
    message = message_to(row)
    OutboxMessage.objects.update(retry_until=Now())
    assert deliver(message, sending(503)) == MessageState.DEAD
    assert AuditEntry.objects.get(action="aggregator.message.given_up").organisation_id == (
        people.inzai_dc.id
    )
    again = subscriptions.message_resend(subscription_id=row.id, message_id=message.id, by=admin)
    assert (again.id, again.state) == (message.id, MessageState.WAITING)
    with pytest.raises(Conflict):
        subscriptions.message_resend(subscription_id=row.id, message_id=message.id, by=admin)
    claim = claim_of(f"{message.id}/1")
    assert services.message_deliver(claim=claim, send=sending(200)) == MessageState.DELIVERED


@pytest.mark.django_db
def test_one_message_at_a_time_goes_to_a_subscription() -> None:
    row, _ = confirmed(cast.people().inzai_dc)
    first, second = message_to(row), message_to(row)
    inner: list[str] = []

    def meanwhile(*_: Any, **__: Any) -> int:
        inner.append(deliver(second, sending()))  # asking `sending()` would raise
        return 200

    assert deliver(first, meanwhile) == MessageState.DELIVERED
    assert inner == [MessageState.WAITING]
    second.refresh_from_db()
    assert second.attempts_count == 0  # waiting is no failure
    assert deliver(second, sending(200)) == MessageState.DELIVERED


@pytest.mark.django_db
def test_a_receiver_that_fails_is_left_alone_for_a_while_and_then_asked_by_one() -> None:
    row, _ = confirmed(cast.people().inzai_dc)
    messages = [message_to(row) for _ in range(5)]
    for message in messages[:3]:
        deliver(message, sending(503))
    row.refresh_from_db()
    assert row.paused_until is not None
    assert row.failures_count == 3
    assert deliver(messages[3], sending()) == MessageState.WAITING  # nobody is called
    job = Job.objects.get(key=str(messages[3].id))
    assert job.state == "READY"
    assert job.due_at >= row.paused_until - timedelta(seconds=1)
    WebhookSubscription.objects.update(paused_until=Now())
    deliver(messages[3], sending(503))
    row.refresh_from_db()
    assert row.failures_count == 4
    WebhookSubscription.objects.update(paused_until=Now())
    deliver(messages[4], sending(200))
    row.refresh_from_db()
    assert (row.failures_count, row.paused_until, row.busy_until) == (0, None, None)


@pytest.mark.django_db
def test_to_a_subscription_that_was_ended_nothing_more_is_sent() -> None:
    people = cast.people()
    row, _ = confirmed(people.inzai_dc)
    message = message_to(row)
    subscriptions.subscription_remove(subscription_id=row.id, by=admin_of(people.inzai_dc))
    assert deliver(message, sending()) == MessageState.DEAD


@pytest.mark.django_db
def test_a_message_goes_where_its_subscription_is_now(receiver: str) -> None:
    people = cast.people()
    row, _ = confirmed(people.inzai_dc)
    message = message_to(row)
    subscriptions.subscription_change(
        subscription_id=row.id, by=admin_of(people.inzai_dc), url=f"{receiver}/new"
    )
    WebhookSubscription.objects.update(confirmed_at=Now())
    assert deliver(message) == MessageState.DELIVERED
    assert [path for path, _, _ in Receiver.seen] == ["/new"]


@pytest.mark.django_db
def test_an_organisation_has_so_many_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "SUBSCRIPTIONS_MAX", 1)
    people = cast.people()
    confirmed(people.inzai_dc)
    with pytest.raises(Conflict):
        confirmed(people.inzai_dc)
    confirmed(people.shiroi_dc)

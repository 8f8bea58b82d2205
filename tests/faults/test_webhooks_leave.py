"""Webhooks by real workers: an address proves itself, hears of a cause; who hangs waits alone."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from django.db import transaction

from accounts.audit.services import entry_append
from aggregator.outbox.models import MessageState, OutboxMessage, WebhookSubscription
from aggregator.outbox.subscriptions import subscription_create
from tests import cast
from tests.faults.market import wait_for
from tests.listening import Listener, listening

pytestmark = pytest.mark.django_db(transaction=True)
LOOSE = {"OUTBOX_CALLS_THIS_MACHINE": "true"}


class Receiver(Listener):
    """Echoes challenges; the path /hang never answers anything else."""

    seen: ClassVar[list[tuple[str, dict[str, str], bytes]]] = []

    def posted(self, body: bytes) -> None:
        said = json.loads(body)
        answer = b""
        if said["topic"] == "challenge":
            answer = json.dumps({"challenge": said["challenge"]}).encode()
        else:
            self.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if self.path == "/hang":
                time.sleep(30)
        self.answer(200, answer)


@pytest.fixture
def receiver(settings: Any) -> Iterator[str]:
    settings.OUTBOX_CALLS_THIS_MACHINE = True
    Receiver.seen.clear()
    with listening(Receiver) as address:
        yield address


def _seen(path: str) -> list[tuple[dict[str, str], bytes]]:
    return [(headers, body) for at, headers, body in Receiver.seen if at == path]


def _subscribed(receiver: str, *paths: str) -> list[str]:
    people = cast.people()
    secrets = [
        subscription_create(
            organisation=people.inzai_dc, url=f"{receiver}{path}", topics=["auction.opened"]
        )[1]
        for path in paths
    ]
    unconfirmed = WebhookSubscription.objects.filter(confirmed_at=None)
    wait_for("the addresses have echoed their challenges", lambda: not unconfirmed.exists())
    return secrets


def test_a_cause_arrives_signed_though_another_receiver_hangs(
    celery_worker_processes: Any, receiver: str
) -> None:
    day = cast.open_day()
    celery_worker_processes.start(concurrency=2, beat=True, env=LOOSE)
    _, secret = _subscribed(receiver, "/hang", "/ok")
    for _ in range(3):
        with transaction.atomic():
            entry_append(action="market.auction.opened", subject=day.auction)
    took_s = wait_for("three messages have arrived", lambda: len(_seen("/ok")) == 3)
    assert took_s < 20
    for headers, body in _seen("/ok"):
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = hmac.digest(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256)
        assert headers["webhook-signature"] == "v1," + base64.b64encode(mac).decode()
        assert json.loads(body)["topic"] == "auction.opened"
    # the one that hangs is asked one at a time, and nothing is lost to it
    assert 1 <= len(_seen("/hang")) <= 2
    waiting = OutboxMessage.objects.filter(subscription__url=f"{receiver}/hang")
    assert set(waiting.values_list("state", flat=True)) == {MessageState.WAITING}


def test_a_worker_killed_after_sending_sends_again_under_the_same_id(
    celery_worker_processes: Any, receiver: str
) -> None:
    day = cast.open_day()
    (victim, beat) = celery_worker_processes.start(beat=True, env=LOOSE)
    _subscribed(receiver, "/ok")
    celery_worker_processes.kill(victim)
    (victim,) = celery_worker_processes.start(env={**LOOSE, "FAILPOINTS": "outbox.sent=kill9"})
    with transaction.atomic():
        entry_append(action="market.auction.opened", subject=day.auction)
    wait_for("it has been sent", lambda: len(_seen("/ok")) == 1)
    celery_worker_processes.kill(victim)
    # as if the lease and the line of the dead had run out: half a minute, not waited for here
    from accounts.jobs.models import Job

    def freed() -> bool:
        WebhookSubscription.objects.update(busy_until=None)
        Job.objects.filter(state="RUNNING").update(lease_until="2000-01-01T00:00Z")
        return len(_seen("/ok")) >= 2

    celery_worker_processes.start(env=LOOSE)
    wait_for("it is sent again", freed)
    wait_for(
        "it is known to be delivered",
        lambda: OutboxMessage.objects.get().state == MessageState.DELIVERED,
    )
    assert len({headers["webhook-id"] for headers, _ in _seen("/ok")}) == 1
    assert beat is not None

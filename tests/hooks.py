"""What tests of webhooks share: confirmed subscriptions, and the steps of workers by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from django.db.models.functions import Now

from accounts.audit.sealing import chain_extend
from accounts.jobs.models import Job
from accounts.jobs.services import Claim, job_claim
from accounts.parties.models import Organisation
from accounts.parties.roles import Role
from accounts.parties.sight import Sight, sight_of
from aggregator.outbox import fanout, services, subscriptions
from aggregator.outbox.models import OutboxMessage, Topic, WebhookSubscription
from tests import cast

URL = "https://hooks.example.com/wattbit"


def admin_of(organisation: Organisation) -> Sight:
    user = cast.member(f"admin-{organisation.code}", organisation, Role.ADMINISTRATOR)
    return sight_of(user)


def confirmed(
    organisation: Organisation, *topics: str, url: str = URL
) -> tuple[WebhookSubscription, str]:
    row, secret = subscriptions.subscription_create(
        organisation=organisation,
        url=url,
        topics=topics or sorted(set(Topic.values) - {Topic.AUDIT_CHECKPOINT}),
    )
    WebhookSubscription.objects.filter(id=row.id).update(confirmed_at=Now())
    row.refresh_from_db()
    return row, secret


def tell() -> int:
    """Seal what was committed, and tell it."""
    chain_extend()
    return fanout.causes_tell()


def told(row: WebhookSubscription) -> list[dict[str, Any]]:
    return [json.loads(message.body) for message in row.messages.order_by("created_at", "id")]


def claim_of(key: str) -> Claim:
    job = Job.objects.get(key=key)
    Job.objects.filter(id=job.id).update(due_at="2000-01-01T00:00Z", not_before=None)
    claim = job_claim(job_id=job.id)
    assert claim is not None
    return claim


def deliver(message: OutboxMessage, send: Callable[..., int] | None = None) -> str:
    claim = claim_of(str(message.id))
    return services.message_deliver(claim=claim, **({"send": send} if send else {}))


def message_to(row: WebhookSubscription) -> OutboxMessage:
    return subscriptions.subscription_ping(subscription_id=row.id, by=admin_of(row.organisation))


def sending(*statuses: int) -> Callable[..., int]:
    answers = iter(statuses)
    return lambda *_, **__: next(answers)

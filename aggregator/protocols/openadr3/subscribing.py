"""Subscriptions: the address is asked to echo a word first, outside any transaction."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID

from django.conf import settings
from django.db import transaction

from accounts.core.errors import Conflict, NotFound, Refused
from aggregator.outbox import client
from aggregator.outbox.client import Answer, DeliveryFailed, DestinationRefused
from aggregator.outbox.endpoints import endpoint_register
from aggregator.outbox.signing import secret_open
from aggregator.protocols.openadr3.models import (
    ObjectKind,
    Subscription,
    SubscriptionRule,
)
from aggregator.protocols.openadr3.selectors import Caller, object_shown
from aggregator.protocols.openadr3.wire_requests import RuleRequest, SubscriptionRequest
from aggregator.protocols.openadr3.writing import (
    Sent,
    Written,
    owned,
    row_change,
    row_create,
    row_remove,
    subscription_hide,
)

SUBSCRIPTIONS_MAX: Final = 100  # of one client
WORD_BYTES_COUNT: Final = 24
CHALLENGES_AT_ONCE: Final = 4
OK: Final = 200
_asking = threading.BoundedSemaphore(CHALLENGES_AT_ONCE)


def addresses_confirm(
    *, urls: Collection[str], send: Callable[..., Answer] = client.exchange
) -> None:
    """Ask each address to echo a random word; nobody is told of anything at an address that fails.

    Called before anything is written, as the exchange takes a stranger's time.

    Raises
    ------
    Refused
        If an address may not be called, or does not echo.
    Conflict
        If too many addresses are being asked at this moment.
    """
    for url in dict.fromkeys(urls):
        try:
            client.destination_of(url, policy=client.policy_now())
        except DestinationRefused as error:
            raise Refused(field="callbackUrl", value=url, rule=str(error)) from error
    if not settings.OPENADR_ECHO_CHALLENGE:
        return
    if not _asking.acquire(blocking=False):
        raise Conflict(field="callbackUrl", value=len(urls), rule="ask again in a few seconds")
    try:
        for url in dict.fromkeys(urls):
            _echo(url, send)
    finally:
        _asking.release()


def _echo(url: str, send: Callable[..., Answer]) -> None:
    word = secrets.token_urlsafe(WORD_BYTES_COUNT)
    joint = "&" if urlsplit(url).query else "?"
    try:
        answer = send(
            f"{url}{joint}{urlencode({'echo': word})}",
            content=b"",
            headers={"User-Agent": "WattBit-Webhooks/1"},
            policy=client.policy_now(),
            method="GET",
        )
    except (DeliveryFailed, DestinationRefused) as failure:
        raise Refused(
            field="callbackUrl", value=url, rule=f"an address that answers ({failure})"
        ) from failure
    if answer.status != OK or word.encode() not in answer.body:
        raise Refused(
            field="callbackUrl", value=url, rule="an address that answers ?echo=word with the word"
        )


def urls_new(*, caller: Caller, subscription_id: UUID | None, urls: Sequence[str]) -> list[str]:
    """Return those addresses that a subscription of the caller does not have yet."""
    if subscription_id is None:
        return sorted(set(urls))
    known = SubscriptionRule.objects.filter(
        subscription_id=subscription_id,
        subscription__client_id=caller.client.id,
        subscription__removed_at=None,
    ).values_list("endpoint__url", flat=True)
    return sorted(set(urls) - set(known))


@transaction.atomic
def subscription_create(*, caller: Caller, request: SubscriptionRequest, sent: Sent) -> Written:
    """Make a subscription whose addresses have been confirmed.

    Raises
    ------
    NotFound
        If it is about a program that the caller does not see.
    Conflict
        If the client has too many.
    """
    program_id = _program_id(caller, request)
    type(caller.client).objects.select_for_update(of=("self",), no_key=True).get(
        pk=caller.client.id
    )
    mine = Subscription.objects.filter(client_id=caller.client.id, removed_at=None)
    if mine.count() >= SUBSCRIPTIONS_MAX:
        raise Conflict(
            field="clientName",
            value=request.client_name,
            rule=f"at most {SUBSCRIPTIONS_MAX} subscriptions of a client",
        )
    row = Subscription(
        client_id=caller.client.id,
        client_name=request.client_name,
        program_id=program_id,
        targets=list(request.targets),
        **_without_tokens(sent).columns,
    )
    written = row_create(
        caller,
        ObjectKind.SUBSCRIPTION,
        row,
        client_id=caller.client.id,
        program_id=program_id,
    )
    _rules_write(caller, row, request.rules, {})
    return written


@transaction.atomic
def subscription_change(
    *, caller: Caller, subscription_id: UUID | None, request: SubscriptionRequest, sent: Sent
) -> Written:
    """Change a subscription of the caller's client; an address that stays keeps what waits.

    A token of null leaves an address the token it has: answers never show it, so that a client
    that sends back what it read would lose it.
    """
    row = _own(caller, subscription_id)
    program_id = _program_id(caller, request)
    known = {rule.endpoint.url: rule.endpoint for rule in row.rules.select_related("endpoint")}
    written = row_change(
        caller,
        ObjectKind.SUBSCRIPTION,
        row,
        {
            "client_name": request.client_name,
            "program_id": program_id,
            "targets": list(request.targets),
            **_without_tokens(sent).columns,
        },
        client_id=caller.client.id,
        program_id=program_id,
    )
    row.rules.all().delete()
    kept = _rules_write(caller, row, request.rules, known)
    for endpoint in known.values():
        if endpoint.id not in kept:
            type(endpoint).objects.filter(id=endpoint.id).update(is_active=False)
    return written


@transaction.atomic
def subscription_remove(*, caller: Caller, subscription_id: UUID | None) -> Written:
    """End a subscription of the caller's client."""
    row = _own(caller, subscription_id)
    written = row_remove(
        caller,
        ObjectKind.SUBSCRIPTION,
        row,
        Written(id=row.id),
        client_id=caller.client.id,
        program_id=row.program_id,
    )
    subscription_hide(row)
    return written


def _own(caller: Caller, subscription_id: UUID | None) -> Subscription:
    row: Subscription = owned(caller, ObjectKind.SUBSCRIPTION, Subscription, subscription_id)
    if row.client_id != caller.client.id:
        # business logic reads those of its organisation; a token is its client's alone
        raise NotFound(field="id", value=str(subscription_id), rule="a subscription of yours")
    return row


def _program_id(caller: Caller, request: SubscriptionRequest) -> UUID | None:
    if request.program_id is None:
        return None
    try:
        known = UUID(request.program_id)
    except ValueError:
        known = None
    shown = object_shown(ObjectKind.PROGRAM, caller, known)
    if shown is None:
        raise NotFound(field="programID", value=request.program_id, rule="a program you can see")
    return shown.id


def _rules_write(
    caller: Caller,
    row: Subscription,
    rules: Sequence[RuleRequest],
    known: Mapping[str, Any],
) -> set[UUID]:
    """Write the rules; an address that is known and keeps its token stays the same endpoint."""
    kept: set[UUID] = set()
    made: dict[tuple[str, str | None], Any] = {}
    for rule in rules:
        endpoint = known.get(rule.url)
        if endpoint is not None and rule.bearer is not None:
            sealed = endpoint.bearer_sealed
            if sealed is None or secret_open(sealed) != rule.bearer:
                endpoint = None
        if endpoint is None:
            endpoint = made.get((rule.url, rule.bearer)) or endpoint_register(
                url=rule.url,
                bearer=rule.bearer,
                organisation_id=caller.client.organisation_id,
            )
            made[rule.url, rule.bearer] = endpoint
        kept.add(endpoint.id)
        SubscriptionRule.objects.create(
            subscription=row,
            endpoint=endpoint,
            objects_told=list(rule.objects),
            operations_told=list(rule.operations),
            speaks_verbs=rule.speaks_verbs,
        )
    return kept


def _without_tokens(sent: Sent) -> Sent:
    """Keep the key of each token and not the token, which lies sealed with its address."""
    return Sent(
        body=tokens_hidden(sent.body),
        body_3_0=None if sent.body_3_0 is None else tokens_hidden(sent.body_3_0),
    )


def tokens_hidden(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body of a subscription with null for every token."""
    rules = body.get("objectOperations")
    if not isinstance(rules, list):
        return dict(body)
    hidden = [{**rule, "bearerToken": None} if isinstance(rule, dict) else rule for rule in rules]
    return {**body, "objectOperations": hidden}

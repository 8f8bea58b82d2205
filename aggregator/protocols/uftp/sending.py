"""Say something by UFTP: written, held against the schema, signed, logged, put in the outbox."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from typing import Any
from uuid import uuid4

from django.db import models

from accounts.audit.services import subject_of
from accounts.clock.selectors import market_now
from accounts.fields.keys import uuid7
from aggregator.messages.models import Direction, Protocol
from aggregator.messages.services import message_record
from aggregator.outbox.endpoints import Outgoing, endpoint_register, messages_post
from aggregator.outbox.models import OutboxEndpoint
from aggregator.protocols.uftp import wire
from aggregator.protocols.uftp.keys import ROLE, own_domain, own_key
from aggregator.protocols.uftp.messages import (
    NAME_OF,
    RESPONSE_OF,
    Payload,
    Response,
    TestMessage,
    TestMessageResponse,
    reference_field,
)
from aggregator.protocols.uftp.models import InboundMessage, Participant, SentMessage


def head(participant: Participant, *, conversation_id: str = "") -> dict[str, Any]:
    """Return what every message of ours to a participant begins with."""
    return {
        "sender_domain": own_domain(),
        "recipient_domain": participant.domain,
        "time_stamp": market_now().replace(microsecond=0),
        "message_id": str(uuid4()),
        "conversation_id": conversation_id or str(uuid4()),
    }


def message_send(
    *, participant: Participant, message: Payload, subject: models.Model | str
) -> bytes:
    """Put a message in the outbox, inside the transaction that causes it; returns its XML."""
    inner = wire.message_render(message)
    envelope = wire.envelope_render(
        inner, sender_domain=own_domain(), sender_role=ROLE, key=own_key()
    )
    message_record(
        direction=Direction.OUT,
        protocol=Protocol.UFTP,
        message_id=message.message_id,
        peer=participant.domain,
        content=inner,
        subject=subject,
        organisation_id=participant.organisation_id,
        kind=NAME_OF[type(message)],
        conversation_id=message.conversation_id,
        outcome=getattr(message, "result", ""),
    )
    endpoint = _endpoint(participant)
    messages_post(
        [
            Outgoing(
                id=uuid7(),
                endpoint_id=endpoint.id,
                url=endpoint.url,
                body=envelope,
                topic="uftp",
                cause=subject_of(subject),
                content_type=wire.CONTENT_TYPE,
            )
        ]
    )
    return inner


def _endpoint(participant: Participant) -> OutboxEndpoint:
    """Return the outbox's line to a participant: messages go out in the order of their causes."""
    known = participant.outbox_endpoint
    if known is not None and known.url == participant.endpoint:
        return known
    # one line each, also when two workers say the first word at once
    row = Participant.objects.select_for_update(of=("self",)).get(id=participant.id)
    known = row.outbox_endpoint
    if known is None or known.url != row.endpoint:
        known = endpoint_register(url=row.endpoint, organisation_id=row.organisation_id)
        Participant.objects.filter(id=row.id).update(outbox_endpoint=known)
    participant.outbox_endpoint = known
    return known


def told(
    *, participant: Participant, message: Payload, about: str, subject: models.Model | str
) -> SentMessage:
    """Send a message that will be answered, and remember it until it is."""
    message_send(participant=participant, message=message, subject=subject)
    return SentMessage.objects.create(
        participant=participant,
        message_id=message.message_id,
        conversation_id=message.conversation_id,
        kind=NAME_OF[type(message)],
        about=about,
        revision=getattr(message, "revision", 1),
        content_sha256=content_sha256(message),
        sent_at=market_now(),
    )


def content_sha256(message: Payload) -> str:
    """Return a hash of what a message says, whenever and under whatever id it is said."""
    told = {
        item.name: getattr(message, item.name)
        for item in fields(message)
        if item.name not in ("message_id", "conversation_id", "time_stamp", "revision")
    }
    text = repr((NAME_OF[type(message)], told))
    return hashlib.sha256(text.encode()).hexdigest()


def answer(
    inbound: InboundMessage, message: Payload, *, result: str, reason: str = "", **more: Any
) -> Payload | None:
    """Answer a message in its conversation, if it is of a kind that is answered."""
    participant = inbound.participant
    common = head(participant, conversation_id=inbound.conversation_id)
    kind = RESPONSE_OF.get(type(message))
    reply: Payload
    if isinstance(message, TestMessage):
        if reason:
            return None  # the answer to a test has no way to say no
        reply = TestMessageResponse(**common)
    elif kind is None:
        return None
    else:
        reply = response_of(kind, common, inbound, result=result, reason=reason, **more)
    message_send(participant=participant, message=reply, subject=inbound)
    return reply


def response_of(
    kind: type[Response],
    common: dict[str, Any],
    inbound: InboundMessage,
    *,
    result: str,
    reason: str,
    **more: Any,
) -> Response:
    """Return an answer that names the message it answers."""
    told: dict[str, Any] = {
        **common,
        **more,
        "result": result,
        "rejection_reason": reason or None,
        reference_field(kind): inbound.message_id,
    }
    return kind(**told)

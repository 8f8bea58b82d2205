"""Take messages in, once each, and decide them afterwards: the answer goes out by the outbox."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import F
from django.db.models.expressions import RawSQL

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import ClaimLost, Refused
from accounts.jobs.services import Claim, job_claim_next, job_create, job_fail, job_finish
from aggregator.messages.models import Direction, Protocol
from aggregator.messages.services import message_record
from aggregator.protocols.uftp import (
    messages,
    offering,
    ordering,
    requesting,
    reserving,
    settling,
    wire,
)
from aggregator.protocols.uftp.keys import own_domain
from aggregator.protocols.uftp.mapping import REASON_LENGTH_MAX, Rejection
from aggregator.protocols.uftp.messages import ACCEPTED, NAME_OF, REJECTED, Payload, Response
from aggregator.protocols.uftp.models import InboundMessage, Participant, SentMessage
from aggregator.protocols.uftp.sending import answer

DECIDE_KIND: Final = "aggregator.protocols.uftp.message_decide"
REPEAT_KIND: Final = "aggregator.protocols.uftp.repetition_answer"
ALREADY_SUBMITTED: Final = "Already Submitted"
DUPLICATE_IDENTIFIER: Final = "Duplicate Identifier"
REPEATS_ANSWERED_MAX: Final = 10
ATTEMPTS_MAX: Final = 20
IN_ONE_GO_COUNT: Final = 100
_NOW = RawSQL("market_now()", ())
logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What became of a message at the door."""

    inbound_id: UUID
    is_new: bool


@transaction.atomic
def message_take(*, participant: Participant, message: Payload, inner: bytes, raw: bytes) -> Taken:
    """Write a message down whose signature holds; a job decides it.

    A message that came before is answered by its id: `Already Submitted` if it says the same,
    `Duplicate Identifier` if not; at most ten times, so that a replay cannot be made a flood.
    """
    digest = hashlib.sha256(inner).hexdigest()
    sender, message_id = participant.domain, message.message_id.lower()
    inbound, is_new = InboundMessage.objects.get_or_create(
        sender_domain=sender,
        message_id=message_id,
        defaults={
            "participant": participant,
            "conversation_id": message.conversation_id,
            "kind": NAME_OF[type(message)],
            "content": inner.decode(),
            "content_sha256": digest,
            "received_at": _NOW,
        },
    )
    if is_new:
        message_record(
            direction=Direction.IN,
            protocol=Protocol.UFTP,
            message_id=message_id,
            peer=sender,
            content=raw,
            subject=inbound,
            organisation_id=participant.organisation_id,
            kind=NAME_OF[type(message)],
            conversation_id=message.conversation_id,
        )
        job_create(kind=DECIDE_KIND, key=str(inbound.id), attempts_max=ATTEMPTS_MAX)
        return Taken(inbound_id=inbound.id, is_new=True)
    InboundMessage.objects.filter(id=inbound.id).update(repeated_count=F("repeated_count") + 1)
    inbound.refresh_from_db()
    if inbound.repeated_count <= REPEATS_ANSWERED_MAX:
        same = inbound.content_sha256 == digest
        job_create(
            kind=REPEAT_KIND,
            key=f"{inbound.id}/{inbound.repeated_count}",
            payload={
                "inbound": str(inbound.id),
                "reason": ALREADY_SUBMITTED if same else DUPLICATE_IDENTIFIER,
                "kind": NAME_OF[type(message)],
            },
        )
    return Taken(inbound_id=inbound.id, is_new=False)


@transaction.atomic
def repetition_answer(*, claim: Claim) -> None:
    """Tell a sender that a message came before, under the id that it was sent with."""
    inbound = InboundMessage.objects.select_related("participant").get(
        id=UUID(claim.payload["inbound"])
    )
    reason = claim.payload["reason"]
    message = wire.message_read(inbound.content.encode())
    if claim.payload["kind"] == inbound.kind:
        more = settling.none_settled(message, reason)
        answer(inbound, message, result=REJECTED, reason=reason, **more)
    entry_append(
        action="uftp.message.repeated",
        subject=inbound,
        organisation_id=inbound.participant.organisation_id,
        detail={"reason": reason},
    )
    job_finish(claim=claim)


TAKERS: Final[Mapping[type[Payload], Callable[..., str]]] = {
    messages.FlexRequest: requesting.request_take,
    messages.FlexOrder: ordering.order_take,
    messages.FlexReservationUpdate: reserving.reservation_take,
    messages.FlexSettlement: settling.settlement_take,
}


@transaction.atomic
def message_decide(*, claim: Claim) -> str:
    """Decide a message and answer it; returns the result, empty if it is none that is answered.

    A rejection undoes whatever was begun; the answer alone is left.
    """
    inbound = (
        InboundMessage.objects.select_for_update(of=("self",))
        .select_related("participant__organisation")
        .get(id=UUID(claim.key))
    )
    if inbound.decided_at is not None:
        job_finish(claim=claim)
        return inbound.result
    message = wire.message_read(inbound.content.encode())
    reason = ""
    try:
        with transaction.atomic():
            _addressed(inbound, message)
            outcome = _decided(inbound, message)
    except Rejection as rejection:
        outcome, reason = REJECTED, str(rejection)
    except Refused as refusal:
        # of our own rules: told by field, value and rule
        outcome, reason = REJECTED, f"Invalid Message ({refusal})"[:REASON_LENGTH_MAX]
    if outcome == ordering.WAITING:
        # answered when its linked offers are ordered too, or let go
        return _done(claim, inbound, "", "waits for its linked offers")
    if outcome == settling.WAITING:
        settling.patience(claim=claim)
        return ""
    if outcome in (ACCEPTED, REJECTED):
        more = settling.statuses_of(inbound, message, reason)
        answer(inbound, message, result=outcome, reason=reason, **more)
    return _done(claim, inbound, outcome or "", reason)


def messages_decide() -> int:
    """Decide what else has come, one claim after another, for a worker that is at it already.

    A burst is a job for each message; running them in one go saves ringing for each.

    Returns
    -------
    int
        How many were decided here.
    """
    count = 0
    while count < IN_ONE_GO_COUNT:
        claim = job_claim_next(kind=DECIDE_KIND)
        if claim is None:
            break
        try:
            message_decide(claim=claim)
        except ClaimLost:
            logger.warning("%s %s: taken over by another worker", claim.kind, claim.key)
        except Exception as error:
            logger.exception("%s %s failed", claim.kind, claim.key)
            job_fail(claim=claim, error=f"{type(error).__name__}: {error}")
        count += 1
    return count


def _done(claim: Claim, inbound: InboundMessage, result: str, reason: str) -> str:
    InboundMessage.objects.filter(id=inbound.id).update(
        decided_at=_NOW, result=result, reason=reason
    )
    entry_append(
        action="uftp.message.decided",
        subject=inbound,
        organisation_id=inbound.participant.organisation_id,
        detail={"kind": inbound.kind, "result": result, "reason": reason},
    )
    job_finish(claim=claim)
    return result


def _addressed(inbound: InboundMessage, message: Payload) -> None:
    """Refuse what says to be from or for somebody else than its envelope and we are."""
    if message.sender_domain != inbound.sender_domain:
        raise Rejection("Mismatch SenderDomain", f"{inbound.sender_domain} signed it")
    if message.recipient_domain != own_domain():
        raise Rejection("Unknown RecipientDomain", own_domain())


def _decided(inbound: InboundMessage, message: Payload) -> str | None:
    if isinstance(message, messages.TestMessage):
        return ACCEPTED
    if isinstance(message, messages.TestMessageResponse):
        return None
    taker = TAKERS.get(type(message))
    if taker is not None:
        _version_check(message)
        outcome: str = taker(inbound=inbound, message=message)
        return outcome
    if isinstance(message, Response):
        _response_noted(inbound, message)
        return None
    raise Rejection("Invalid Message", f"an aggregator receives no {inbound.kind}")


def _version_check(message: Payload) -> None:
    """Refuse a message of another version: the schema lets it pass, its words may mean otherwise.

    Answers and tests of the line are taken whatever they say: nothing is bought by them.
    """
    major_minor = messages.VERSION.rpartition(".")[0]
    if message.version.rpartition(".")[0] != major_minor:
        raise Rejection("Invalid Message", f"version {major_minor}, not {message.version}")


def _response_noted(inbound: InboundMessage, message: Response) -> None:
    """Note an answer to a message of ours; an offer that is not accepted is let go."""
    reference = getattr(message, messages.reference_field(type(message)))
    sent = (
        SentMessage.objects.select_for_update()
        .filter(participant=inbound.participant, message_id=reference.lower())
        .first()
    )
    if sent is None or messages.RESPONSE_OF.get(messages.MESSAGES[sent.kind]) is not type(message):
        entry_append(
            action="uftp.response.unknown",
            subject=inbound,
            organisation_id=inbound.participant.organisation_id,
            detail={"reference": reference},
        )
        return
    if sent.answered_at is not None:
        return  # the first answer counts
    reason = (message.rejection_reason or "")[:REASON_LENGTH_MAX]
    sent.result, sent.reason, sent.answered_at = message.result, reason, market_now()
    sent.save(update_fields=["result", "reason", "answered_at"])
    if sent.kind == "FlexOffer" and message.result == REJECTED:
        offering.offer_decline(message_id=sent.message_id, reason=reason)

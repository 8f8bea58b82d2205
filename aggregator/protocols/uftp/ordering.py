"""An order confirms what the auction found; what nobody orders is let go."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from aggregator.dispatch.confirming import LIVE, NOT_ORDERED, orders_apply
from aggregator.dispatch.models import DispatchInstruction
from aggregator.dispatch.tentative import tentative_awards
from aggregator.protocols.uftp import wire
from aggregator.protocols.uftp.mapping import Offered, Rejection, flex_check, order_check
from aggregator.protocols.uftp.messages import ACCEPTED, REJECTED, FlexOfferRevocation
from aggregator.protocols.uftp.messages import FlexOrder as Message
from aggregator.protocols.uftp.models import (
    FlexOffer,
    FlexOrder,
    InboundMessage,
    OfferState,
)
from aggregator.protocols.uftp.selectors import need_ids_of
from aggregator.protocols.uftp.sending import answer, head, told
from market.trading.models import Auction

WAITING: Final = "Waiting"
UNKNOWN: Final = "Unknown FlexOfferMessageID reference"
NOT_LINKED: Final = "Linked offer not ordered"
EXPIRED: Final = "Reference message expired"
REVOKED: Final = "Reference message revoked"
_S = OfferState
REFUSED_IN: Final = {
    _S.ORDERED.value: "FlexOffer already ordered",
    _S.EXPIRED.value: EXPIRED,
    _S.DECLINED.value: EXPIRED,
    _S.REVOKED.value: REVOKED,
}


def order_take(*, inbound: InboundMessage, message: Message) -> str:
    """Confirm an offer, and start the dispatch of what it offered.

    An order of a linked offer is answered when the last of the link is ordered, or one is let go.

    Returns
    -------
    str
        ``Accepted``, or ``Waiting`` for the rest of its link.

    Raises
    ------
    Rejection
        If it is not of an open offer, not exactly what was offered, or what was offered is not
        there any more.
    """
    flex_check(message)
    offer = _offer(inbound, message)
    request = offer.request
    if message.period != request.period_on:
        raise Rejection("Reference Period mismatch", request.period_on.isoformat())
    if message.congestion_point != request.congestion_address.address:
        raise Rejection("Invalid CongestionPoint", request.congestion_address.address)
    if offer.state != _S.OPEN:
        raise Rejection(REFUSED_IN[offer.state])
    order_check(message, offered_of(offer), received_at=inbound.received_at)
    reference = message.order_reference
    if not 1 <= len(reference) <= 200:  # noqa: PLR2004 - the column's
        raise Rejection("OrderReference rejected", "1 to 200 characters")
    if FlexOrder.objects.filter(
        participant=inbound.participant, order_reference=reference
    ).exists():
        raise Rejection("Duplicate OrderReference", "one that was not used before")
    FlexOrder.objects.create(
        offer=offer,
        inbound=inbound,
        participant=inbound.participant,
        order_reference=reference,
        activation_ratio=message.activation_factor,
        ordered_at=inbound.received_at,
    )
    offer_close(offer, _S.ORDERED)
    link = _link(offer)
    if any(other.state == _S.OPEN for other in link):
        return WAITING
    ordered = [id_ for other in link for id_ in need_ids_of(other.request)]
    orders_apply(auction_id=request.auction_id, ordered=ordered, released=(), cause=str(offer.id))
    _still_there_check(request.auction_id, ordered)
    _others_answer(link, but=offer, result=ACCEPTED)
    return ACCEPTED


def _offer(inbound: InboundMessage, message: Message) -> FlexOffer:
    if message.unsolicited or not message.flex_offer_message_id:
        raise Rejection(UNKNOWN, "an order is of an offer of ours")
    found = offer_locked(message_id=message.flex_offer_message_id.lower())
    if found is None or found.request.congestion_address.participant != inbound.participant:
        raise Rejection(UNKNOWN)
    return found


def offer_locked(*, message_id: str) -> FlexOffer | None:
    """Lock an offer with its link, inside the caller's transaction; return it as it stands then.

    Those of a link are decided one after another, whichever comes first: they are locked together
    and always in the same order, so that two decisions never wait for each other.
    """
    known = (
        FlexOffer.objects.filter(message_id=message_id)
        .values_list("id", "linked", "request__auction_id")
        .first()
    )
    if known is None:
        return None
    offer_id, linked, auction_id = known
    whole = Q(id=offer_id)
    if linked:
        whole |= Q(linked=linked, request__auction_id=auction_id)
    rows = (
        FlexOffer.objects.select_for_update(of=("self",))
        .select_related("request__congestion_address__participant", "request__inbound")
        .filter(whole)
        .order_by("id")
    )
    return next(row for row in rows if row.id == offer_id)


def _still_there_check(auction_id: UUID, need_ids: Collection[UUID]) -> None:
    """Refuse the order of what was let go by others: a result taken back, or the dispatch's time.

    The auction is locked by then, so nothing of it changes until the order stands.
    """
    auction = Auction.objects.select_related("ruleset").get(id=auction_id)
    if auction.state not in LIVE:
        raise Rejection(REVOKED, "the auction's result was cancelled")
    wanted = set(need_ids)
    ties = [id_ for id_, needs in tentative_awards(auction).items() if needs & wanted]
    if DispatchInstruction.objects.filter(
        award_id__in=ties, version=1, reason=NOT_ORDERED
    ).exists():
        raise Rejection(EXPIRED, "what was offered was let go")


def offered_of(offer: FlexOffer) -> Offered:
    """Return an offer as the pure rules look at it."""
    return Offered(
        option_reference=offer.option_reference,
        power_w=offer.power_w,
        price_jpy=offer.price_jpy,
        min_activation_ratio=offer.min_activation_ratio,
        expires_at=offer.expires_at,
    )


def _link(offer: FlexOffer) -> list[FlexOffer]:
    """Return an offer and those linked to it, as they stand now."""
    if not offer.linked:
        return [offer]
    return list(
        FlexOffer.objects.filter(request__auction_id=offer.request.auction_id, linked=offer.linked)
        .select_related("request__congestion_address__participant", "request__inbound")
        .order_by("id")
    )


def offer_close(offer: FlexOffer, state: str, *, reason: str = "") -> None:
    """Move an open offer to where it ends, audited."""
    offer.state, offer.reason, offer.closed_at = state, reason[:200], market_now()
    offer.save(update_fields=["state", "reason", "closed_at"])
    participant = offer.request.congestion_address.participant
    entry_append(
        action=f"uftp.offer.{state.lower()}",
        subject=offer,
        organisation_id=participant.organisation_id,
        detail={"reason": reason} if reason else {},
    )


@transaction.atomic
def offers_let_go(offers: Iterable[FlexOffer], state: str, *, reason: str) -> int:
    """End open offers unordered, inside the caller's transaction; returns released awards.

    Their links fall with them: what was ordered is answered with a rejection, what could still be
    ordered is taken back. What is taken back is told to its grid operator.
    """
    released = 0
    for offer in offers:
        # one of the same link may have taken it along
        offer.refresh_from_db(fields=["state"])
        if offer.state != _S.OPEN:
            continue
        _let_go(offer, state, reason)
        link = _link(offer)
        for other in link:
            if other.state == _S.ORDERED or _is_over(other):
                _let_go(other, _S.EXPIRED, NOT_LINKED)
            elif other.state == _S.OPEN:
                _let_go(other, _S.REVOKED, NOT_LINKED)
        _, count = orders_apply(
            auction_id=offer.request.auction_id,
            ordered=(),
            released=[id_ for other in link for id_ in need_ids_of(other.request)],
            cause=str(offer.id),
        )
        released += count
        _others_answer(link, but=offer, result=REJECTED)
    return released


def _is_over(offer: FlexOffer) -> bool:
    return offer.state == _S.OPEN and offer.expires_at <= market_now()


def _let_go(offer: FlexOffer, state: str, reason: str) -> None:
    offer_close(offer, state, reason=reason)
    if state != _S.REVOKED:
        return
    participant = offer.request.congestion_address.participant
    message = FlexOfferRevocation(
        **head(participant, conversation_id=offer.request.inbound.conversation_id),
        flex_offer_message_id=offer.message_id,
    )
    told(participant=participant, message=message, about=offer.message_id, subject=offer)


def _others_answer(link: list[FlexOffer], *, but: FlexOffer, result: str) -> None:
    """Answer the orders of a link that waited for its last."""
    ids: list[UUID] = [offer.id for offer in link if offer.id != but.id]
    orders = FlexOrder.objects.filter(offer_id__in=ids, inbound__result="")
    for order in orders.select_related("inbound__participant").order_by("id"):
        message = wire.message_read(order.inbound.content.encode())
        reason = NOT_LINKED if result == REJECTED else ""
        answer(order.inbound, message, result=result, reason=reason)
        InboundMessage.objects.filter(id=order.inbound_id).update(result=result, reason=reason)

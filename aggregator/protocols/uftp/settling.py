"""A grid operator's settlement beside ours: accepted order by order, or disputed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from accounts.clock.selectors import market_now
from accounts.core.errors import Conflict
from accounts.jobs.services import Claim, job_postpone
from aggregator.protocols.uftp.mapping import (
    CURRENCY,
    REASON_LENGTH_MAX,
    Rejection,
    amount,
    settlement_difference,
)
from aggregator.protocols.uftp.messages import (
    ACCEPTED,
    DISPUTED,
    FlexSettlement,
    Payload,
    SettlementStatus,
)
from aggregator.protocols.uftp.messages import OrderSettlement as Said
from aggregator.protocols.uftp.models import (
    FlexOffer,
    FlexOrder,
    InboundMessage,
    OfferState,
    OrderSettlement,
)
from aggregator.protocols.uftp.selectors import lines_of_order, net_exact_jpy
from aggregator.settlement.disputes import LINES_MAX, dispute_open
from aggregator.settlement.models import Dispute, SettlementLine

WAITING: Final = "Unsettled"
PATIENCE = timedelta(days=14)
LOOK_AGAIN = timedelta(minutes=30)
NOT_SETTLED: Final = "we have not settled this order yet"
UNKNOWN_ORDER: Final = "Unknown OrderReference"


def settlement_take(*, inbound: InboundMessage, message: FlexSettlement) -> str:
    """Hold what a grid operator means to pay against our settlement.

    A difference opens a dispute in the buyer's name about the order's lines, whose amounts are
    held until it is decided. While our own settlement of a day is not there, the answer waits.

    Returns
    -------
    str
        ``Accepted`` (of the message: each order is accepted or disputed by itself), or
        ``Unsettled`` to come back later.

    Raises
    ------
    Rejection
        If it speaks of days or a currency that cannot be, or leaves out an order of its days.
    """
    _head_check(message)
    orders = {
        order.order_reference: order
        for order in FlexOrder.objects.filter(
            participant=inbound.participant,
            offer__state=OfferState.ORDERED,
            offer__request__period_on__range=(message.period_start, message.period_end),
        )
        .select_related("offer__request__auction")
        .select_related("offer__request__congestion_address__participant__organisation")
        .order_by("id")
    }
    said = [row.order_reference or "" for row in message.order_settlements]
    if len(set(said)) != len(said):
        raise Rejection("Invalid Message", "each OrderReference once")
    if missing := sorted(orders.keys() - set(said)):
        raise Rejection("Missing Settlement Items", ", ".join(missing)[:100])
    found = {reference: lines_of_order(order) for reference, order in orders.items()}
    is_late = market_now() - inbound.received_at >= PATIENCE
    if not is_late and any(
        lines is None for reference, lines in found.items() if reference in said
    ):
        return WAITING
    for row in message.order_settlements:
        reference = row.order_reference or ""
        _compared(inbound, row, orders.get(reference), found.get(reference))
    return ACCEPTED


def _head_check(message: FlexSettlement) -> None:
    if message.period_start > message.period_end:
        raise Rejection("PeriodStart rejected", "not after PeriodEnd")
    for row in message.order_settlements:
        if not message.period_start <= row.period <= message.period_end:
            raise Rejection("Period out of bounds", f"{row.period} is not of these days")
    if message.currency != CURRENCY:
        raise Rejection("Currency rejected", CURRENCY)


def _compared(
    inbound: InboundMessage,
    said: Said,
    order: FlexOrder | None,
    lines: list[SettlementLine] | None,
) -> None:
    ours, dispute = None, None
    if order is None:
        reason = UNKNOWN_ORDER
    elif lines is None:
        reason = NOT_SETTLED
    else:
        offer = order.offer
        participant = offer.request.congestion_address.participant
        ours = net_exact_jpy(lines, buyer_id=participant.organisation_id)
        reason = _misplaced(said, offer) or settlement_difference(
            said,
            power_w=offer.power_w,
            price_jpy=offer.price_jpy,
            activation_ratio=order.activation_ratio,
            ours_exact_jpy=ours,
        )
        if reason and lines:
            dispute = _dispute(inbound, order, lines, said, reason)
    OrderSettlement.objects.create(
        inbound=inbound,
        order=order,
        order_reference=(said.order_reference or "")[:200],
        price_jpy=said.price,
        penalty_jpy=said.penalty,
        net_jpy=said.net_settlement,
        ours_exact_jpy=ours,
        disposition=DISPUTED if reason else ACCEPTED,
        reason=reason[:REASON_LENGTH_MAX],
        dispute=dispute,
    )


def _misplaced(said: Said, offer: FlexOffer) -> str:
    request = offer.request
    if said.period != request.period_on:
        return f"Period is {request.period_on}, not {said.period}"
    if said.congestion_point != request.congestion_address.address:
        return f"CongestionPoint is {request.congestion_address.address}"
    return ""


def _dispute(
    inbound: InboundMessage,
    order: FlexOrder,
    lines: Sequence[SettlementLine],
    said: Said,
    reason: str,
) -> Dispute:
    """Open the buyer's dispute about an order's lines; one that holds them already stays."""
    participant = inbound.participant
    text = (
        f"FlexSettlement {inbound.message_id}, order {order.order_reference}: "
        f"NetSettlement {amount(said.net_settlement)} {CURRENCY}. {reason}"
    )
    try:
        return dispute_open(
            organisation=participant.organisation,
            line_ids=[line.pk for line in lines][:LINES_MAX],
            reason_code="DELIVERY",
            reason=text,
            actor=f"uftp:{participant.domain}"[:60],
        )
    except Conflict:
        return Dispute.objects.filter(
            organisation=participant.organisation, is_held=True, disputed_lines__line__in=lines
        ).order_by("id")[0]


def statuses_of(inbound: InboundMessage, message: Payload, reason: str) -> dict[str, Any]:
    """Return what an answer to a settlement says of each order; nothing for other messages."""
    if not isinstance(message, FlexSettlement):
        return {}
    if reason:
        return none_settled(message, reason)
    rows = OrderSettlement.objects.filter(inbound=inbound).order_by("id")
    return {
        "statuses": tuple(
            SettlementStatus(
                order_reference=row.order_reference or None,
                disposition=row.disposition,
                dispute_reason=row.reason or None,
            )
            for row in rows
        )
    }


def none_settled(message: Payload, reason: str) -> dict[str, Any]:
    """Return that every order of a rejected settlement is in doubt, as the standard has it."""
    if not isinstance(message, FlexSettlement):
        return {}
    return {
        "statuses": tuple(
            SettlementStatus(
                order_reference=row.order_reference,
                disposition=DISPUTED,
                dispute_reason=reason,
            )
            for row in message.order_settlements
        )
    }


def patience(*, claim: Claim) -> None:
    """Look again in a while."""
    job_postpone(claim=claim, due_at=market_now() + LOOK_AGAIN)

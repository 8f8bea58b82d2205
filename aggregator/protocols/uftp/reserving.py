"""What a grid operator keeps reserved of a contract, as it last said."""

from __future__ import annotations

from accounts.clock.selectors import market_now
from aggregator.protocols.uftp.mapping import ISP_COUNT, Rejection, flex_check, slots_of
from aggregator.protocols.uftp.messages import ACCEPTED, FlexReservationUpdate
from aggregator.protocols.uftp.models import InboundMessage, Reservation
from aggregator.protocols.uftp.requesting import address_for


def reservation_take(*, inbound: InboundMessage, message: FlexReservationUpdate) -> str:
    """Note what stays reserved; what it says nothing of stays as it was.

    Raises
    ------
    Rejection
        If the place or the contract is none that was agreed, or an ISP is none of the day.
    """
    flex_check(message)
    slots = slots_of(message.isps)
    address = address_for(inbound, message.congestion_point)
    if message.contract_id != address.contract_id:
        raise Rejection("Unknown ContractID", address.contract_id or "no contract is agreed here")
    Reservation.objects.create(
        inbound=inbound,
        congestion_address=address,
        contract_id=message.contract_id,
        reference=message.reference[:200],
        period_on=message.period,
        power_w=[slots[t].power if t in slots else None for t in range(ISP_COUNT)],
        received_at=market_now(),
    )
    return ACCEPTED

"""A request for relief becomes needs of the auction, beside those that came by other doors."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.services import job_create
from aggregator.protocols.uftp.mapping import (
    Rejection,
    Relief,
    flex_check,
    flow_sign_of,
    reliefs_of,
)
from aggregator.protocols.uftp.messages import ACCEPTED
from aggregator.protocols.uftp.messages import FlexRequest as Message
from aggregator.protocols.uftp.models import (
    CongestionAddress,
    FlexRequest,
    InboundMessage,
    RequestedNeed,
)
from aggregator.protocols.uftp.selectors import (
    auction_for,
    congestion_address_of,
    request_latest,
)
from aggregator.protocols.uftp.telling import PROGNOSIS_KIND
from market.trading.gates import GateClosed
from market.trading.models import Auction, NeedKind, NeedState
from market.trading.needs import NeedDetails, need_publish, need_withdraw

DIRECTIONS: Final = ("UP", "DOWN")
DAY: Final = timedelta(days=1)


def request_take(*, inbound: InboundMessage, message: Message) -> str:
    """Publish what is requested as needs that are bought by order, or their next revision.

    Raises
    ------
    Rejection
        Naming what the standard calls it; nothing is stored.
    """
    flex_check(message)
    reliefs = reliefs_of(message)
    address = address_for(inbound, message.congestion_point)
    if address.contract_id and message.contract_id not in (None, "", address.contract_id):
        raise Rejection("Unknown ContractID", address.contract_id)
    # revisions of one place one after another, or the lower might be written last
    CongestionAddress.objects.select_for_update(no_key=True).get(id=address.id)
    auction = auction_for(address=address, period=message.period)
    if auction is None:
        raise Rejection("Period out of bounds", "a day whose auction is open for this place")
    now = market_now()
    if message.expiration_date_time <= max(now, auction.gate_closure_at):
        raise Rejection(
            "ExpirationDateTime out of bounds",
            f"after the gate of the day's auction at {auction.gate_closure_at.isoformat()}",
        )
    before = request_latest(address=address, period=message.period)
    if before is not None and message.revision <= before.revision:
        raise Rejection("Subordinate Sequence Number", f"a Revision above {before.revision}")
    request = FlexRequest.objects.create(
        inbound=inbound,
        congestion_address=address,
        auction=auction,
        period_on=message.period,
        revision=message.revision,
        # an end of time would be none that a calendar can hold
        expires_at=min(message.expiration_date_time, auction.delivery_start + DAY),
        contract_id=message.contract_id or "",
        service_type=message.service_type or "",
    )
    _publish(request, address, auction, reliefs)
    job_create(
        kind=PROGNOSIS_KIND,
        key=f"{address.id}/{message.period}",
        payload={"address": str(address.id), "period": message.period.isoformat()},
        due_at=auction.gate_closure_at,
    )
    return ACCEPTED


def address_for(inbound: InboundMessage, text: str) -> CongestionAddress:
    """Return the congestion point that a message of its grid operator names.

    Raises
    ------
    Rejection
        If it is none of the sender's.
    """
    address = congestion_address_of(participant=inbound.participant, address=text)
    if address is None:
        raise Rejection("Invalid CongestionPoint", "one that was agreed with us")
    return address


def _publish(
    request: FlexRequest,
    address: CongestionAddress,
    auction: Auction,
    reliefs: tuple[Relief, ...],
) -> None:
    organisation = address.participant.organisation
    wanted = {relief.direction: relief for relief in reliefs}
    try:
        for direction in DIRECTIONS:
            code = f"uftp-{address.id}-{direction.lower()}"
            relief = wanted.get(direction)
            if relief is None:
                # asked for by an earlier revision, and not any more
                _withdraw(auction, address, code)
                continue
            need = need_publish(
                auction_id=auction.id,
                organisation=organisation,
                details=NeedDetails(
                    code=code,
                    kind=NeedKind.LOCAL,
                    direction=direction,
                    quantity_kw=list(relief.quantity_kw),
                    cap_jpy_per_kwh=[address.cap_jpy_per_kwh] * len(relief.quantity_kw),
                    congestion_point=address.element,
                    flow_sign=flow_sign_of(direction, address.consumption_sign),
                ),
                is_by_order=True,
            )
            RequestedNeed.objects.create(request=request, need=need)
    except GateClosed as refusal:
        raise Rejection("Period out of bounds", str(refusal)) from refusal
    except Refused as refusal:
        if refusal.field == "congestion_point":
            raise Rejection("Invalid CongestionPoint", refusal.rule) from refusal
        raise


def _withdraw(auction: Auction, address: CongestionAddress, code: str) -> None:
    earlier = RequestedNeed.objects.filter(
        need__auction=auction,
        need__code=code,
        need__state__in=(NeedState.PUBLISHED, NeedState.PROPOSED),
    )
    if not earlier.exists():
        return
    try:
        need_withdraw(
            auction_id=auction.id, organisation=address.participant.organisation, code=code
        )
    except NotFound:
        return  # taken back at another door already

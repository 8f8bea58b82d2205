"""After the result: what the auction found for a request is offered, and waits to be ordered."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final
from uuid import UUID, uuid5

from django.db import transaction
from django.db.models import Exists, OuterRef

from accounts.audit.services import entry_append
from accounts.clock.selectors import market_now
from accounts.core.errors import NotFound, Refused
from accounts.jobs.services import Claim, job_create, job_finish, job_postpone
from aggregator.dispatch.confirming import GRACE, confirm_by_at, orders_apply
from aggregator.dispatch.tentative import tentative_awards
from aggregator.protocols.uftp.mapping import (
    CURRENCY,
    ISP_DURATION,
    TIME_ZONE,
    isps_of,
    offer_of,
)
from aggregator.protocols.uftp.messages import ACCEPTED, OfferOption
from aggregator.protocols.uftp.messages import FlexOffer as Message
from aggregator.protocols.uftp.models import (
    FlexOffer,
    FlexRequest,
    InboundMessage,
    OfferState,
    SentMessage,
)
from aggregator.protocols.uftp.ordering import offer_locked, offers_let_go
from aggregator.protocols.uftp.selectors import found_for, need_ids_of, requests_live
from aggregator.protocols.uftp.sending import head, told
from market.clearing.models import ClearingRun, RunState
from market.trading.models import Auction, AuctionState

OFFERS_KIND: Final = "aggregator.protocols.uftp.offers_make"
EXPIRE_KIND: Final = "aggregator.protocols.uftp.offers_expire"
REVOKE_KIND: Final = "aggregator.protocols.uftp.offers_revoke"
OPTION: Final = "1"
NO_BASELINE: Final = "WattBit"
LIVE = (AuctionState.PUBLISHED, AuctionState.PUBLISHED_BY_FALLBACK)
SLACK = timedelta(seconds=2)
ORDER_PATIENCE = GRACE - timedelta(minutes=1)  # dispatch lets go by itself after its own
_S = OfferState


@transaction.atomic
def offers_make(*, claim: Claim) -> int:
    """Offer what a published auction found for its requests; returns how many offers are new.

    Runs any number of times: a request that has its offer keeps it. What was found too late to be
    ordered is let go at once.
    """
    auction = Auction.objects.select_related("ruleset").get(id=UUID(claim.payload["auction"]))
    made = 0
    run = ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED).first()
    if auction.state in LIVE and run is not None:
        requests = requests_live(auction_id=auction.id)
        offered = set(
            FlexOffer.objects.filter(request__in=requests).values_list("request_id", flat=True)
        )
        limits, links = _limits_and_links(auction, requests)
        for request in requests:
            if request.id not in offered:
                made += _offer(request, run, limits.get(request.id), links.get(request.id, ""))
        if requests:
            job_create(kind=EXPIRE_KIND, key=claim.key, payload=claim.payload, attempts_max=20)
    job_finish(claim=claim)
    return made


def _limits_and_links(
    auction: Auction, requests: Collection[FlexRequest]
) -> tuple[dict[UUID, datetime], dict[UUID, str]]:
    """Return until when each request's awards can be ordered, and which requests share awards.

    Requests that share awards (the ends of a shift between two congestion points, an action that
    relieves both) can only be ordered together: their offers carry the same link.
    """
    request_of = {need_id: row.id for row in requests for need_id in need_ids_of(row)}
    ties = tentative_awards(auction)
    by = confirm_by_at(auction, award_ids=ties.keys()) if ties else {}
    limits: dict[UUID, datetime] = {}
    groups: dict[UUID, set[UUID]] = {row.id: {row.id} for row in requests}
    for award_id, needs in ties.items():
        tied = {request_of[id_] for id_ in needs if id_ in request_of}
        for id_ in tied:
            limits[id_] = min(limits.get(id_, by[award_id]), by[award_id])
        joined = set().union(*(groups[id_] for id_ in tied)) if tied else set()
        for id_ in joined:
            groups[id_] = joined
    links = {
        id_: str(uuid5(auction.id, ":".join(sorted(map(str, group)))))
        for id_, group in groups.items()
        if len(group) > 1
    }
    for id_, group in groups.items():
        known = [limits[other] for other in group if other in limits]
        if known:
            limits[id_] = min(known)
    return limits, links


def _offer(request: FlexRequest, run: ClearingRun, limit: datetime | None, link: str) -> int:
    found = found_for(run_id=run.id, need_ids=need_ids_of(request))
    power_w, price_jpy = offer_of(found)
    if not any(power_w):
        return 0  # nothing was found: there is nothing to offer, and nothing waits
    now = market_now()
    address = request.congestion_address
    window = now + timedelta(minutes=address.order_within_min)
    expires_at = min(at for at in (limit, window, request.expires_at) if at is not None)
    expires_at = expires_at.replace(microsecond=0)
    if expires_at <= now:
        orders_apply(
            auction_id=request.auction_id,
            ordered=(),
            released=need_ids_of(request),
            cause=str(request.id),
        )
        entry_append(
            action="uftp.request.too_late",
            subject=request,
            organisation_id=address.participant.organisation_id,
            detail={"expires_at": expires_at.isoformat()},
        )
        return 0
    common = head(address.participant, conversation_id=request.inbound.conversation_id)
    offer = FlexOffer.objects.create(
        request=request,
        message_id=common["message_id"],
        option_reference=f"{OPTION};linked={link}" if link else OPTION,
        linked=link,
        power_w=power_w,
        price_jpy=price_jpy,
        min_activation_ratio=Decimal("1.00"),
        offered_at=now,
        expires_at=expires_at,
    )
    message = offer_message(offer, common)
    told(
        participant=address.participant,
        message=message,
        about=f"{address.address} {request.period_on} {request.revision}",
        subject=offer,
    )
    entry_append(
        action="uftp.offer.made",
        subject=offer,
        organisation_id=address.participant.organisation_id,
        detail={"price": f"{price_jpy:f} JPY", "expires_at": expires_at.isoformat()},
    )
    return 1


def offer_message(offer: FlexOffer, common: Mapping[str, object]) -> Message:
    """Return an offer as it is said."""
    request = offer.request
    prognosis = (
        SentMessage.objects.filter(
            participant=request.congestion_address.participant,
            kind="D-Prognosis",
            about=f"{request.congestion_address.address} {request.period_on}",
            result=ACCEPTED,
        )
        .order_by("-revision")
        .first()
    )
    return Message(
        **common,  # type: ignore[arg-type]  # of `head`
        isp_duration=ISP_DURATION,
        time_zone=TIME_ZONE,
        period=request.period_on,
        congestion_point=request.congestion_address.address,
        expiration_date_time=offer.expires_at,
        flex_request_message_id=request.inbound.message_id,
        contract_id=request.contract_id or None,
        d_prognosis_message_id=prognosis.message_id if prognosis else None,
        baseline_reference=None if prognosis else NO_BASELINE,
        currency=CURRENCY,
        offer_options=(
            OfferOption(
                option_reference=offer.option_reference,
                price=offer.price_jpy,
                min_activation_factor=offer.min_activation_ratio,
                isps=isps_of(offer.power_w),
            ),
        ),
    )


@transaction.atomic
def offers_expire(*, claim: Claim) -> int:
    """End offers whose time is over; returns how many. Sleeps until the next.

    An order that came in time and is still to be decided is waited for, for a while.
    """
    auction_id = UUID(claim.payload["auction"])
    now = market_now()
    pending = InboundMessage.objects.filter(
        kind="FlexOrder",
        decided_at__isnull=True,
        received_at__lt=OuterRef("expires_at"),
        participant=OuterRef("request__congestion_address__participant"),
    )
    rows = list(
        FlexOffer.objects.select_for_update(of=("self",))
        .filter(request__auction_id=auction_id, state=_S.OPEN)
        .select_related("request__congestion_address__participant")
        .annotate(is_awaited=Exists(pending))
        .order_by("id")
    )
    over = [
        row
        for row in rows
        if row.expires_at <= now and not (row.is_awaited and now < row.expires_at + ORDER_PATIENCE)
    ]
    offers_let_go(over, _S.EXPIRED, reason="not ordered in time")
    left = [
        max(row.expires_at, now) + SLACK
        for row in FlexOffer.objects.filter(request__auction_id=auction_id, state=_S.OPEN)
    ]
    if left:
        job_postpone(claim=claim, due_at=min(left))
    else:
        job_finish(claim=claim)
    return len(over)


def offer_decline(*, message_id: str, reason: str) -> None:
    """End an offer that the grid operator did not accept, inside the caller's transaction."""
    offer = _open_offer(message_id=message_id)
    if offer is not None:
        offers_let_go([offer], _S.DECLINED, reason=reason)


@transaction.atomic
def offer_revoke(*, offer_id: UUID, reason: str, user_id: int | None = None) -> FlexOffer:
    """Take an offer back before it is ordered, for the desk; its awards are let go.

    Raises
    ------
    NotFound, Refused
        If there is no such offer; without a reason; or if it is not open.
    """
    if not reason.strip():
        raise Refused(field="reason", value=reason, rule="taking an offer back needs a reason")
    offer = FlexOffer.objects.filter(id=offer_id).first()
    if offer is None:
        raise NotFound(field="offer", value=str(offer_id), rule="an offer")
    held = _open_offer(message_id=offer.message_id)
    if held is None:
        raise Refused(field="offer", value=offer.state, rule="an open offer")
    offers_let_go([held], _S.REVOKED, reason=reason)
    if user_id is not None:
        entry_append(
            action="uftp.offer.revoke_ordered",
            subject=held,
            organisation_id=held.request.congestion_address.participant.organisation_id,
            user_id=user_id,
            detail={"reason": reason},
        )
    return held


@transaction.atomic
def offers_revoke(*, claim: Claim) -> int:
    """Take back the open offers of an auction that was cancelled; returns how many."""
    rows = list(
        FlexOffer.objects.select_for_update(of=("self",))
        .filter(request__auction_id=UUID(claim.payload["auction"]), state=_S.OPEN)
        .select_related("request__congestion_address__participant", "request__inbound")
        .order_by("id")
    )
    offers_let_go(rows, _S.REVOKED, reason="the auction's result was cancelled")
    job_finish(claim=claim)
    return len(rows)


def _open_offer(*, message_id: str) -> FlexOffer | None:
    offer = offer_locked(message_id=message_id)
    return offer if offer is not None and offer.state == _S.OPEN else None

"""Whom a message is from, what it speaks of, and what we have settled for an order."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db.models import Case, F, Q, Sum, Value, When

from aggregator.protocols.uftp.mapping import Found
from aggregator.protocols.uftp.models import (
    CongestionAddress,
    FlexOrder,
    FlexRequest,
    Participant,
)
from aggregator.settlement.chains import runs_in_force
from aggregator.settlement.models import SettlementLine
from market.clearing.models import ClearingPrice, PriceKind
from market.trading.models import Auction, AuctionState, BaseFlow, NeedState

ZERO = Decimal(0)


def participant_of(*, domain: str, role: str) -> Participant | None:
    """Return who speaks under a domain in a role, if we speak with them."""
    return (
        Participant.objects.select_related("organisation")
        .filter(domain=domain, role=role, is_active=True)
        .first()
    )


def congestion_address_of(*, participant: Participant, address: str) -> CongestionAddress | None:
    """Return a congestion point by the name that its grid operator calls it."""
    return CongestionAddress.objects.filter(
        participant=participant, address=address, is_active=True
    ).first()


def auction_for(*, address: CongestionAddress, period: date) -> Auction | None:
    """Return the open auction of a day that the element's relief can be bought in.

    Of several it is the one whose gate closes first; one whose forecast flows name the element.
    """
    named = BaseFlow.objects.filter(congestion_point__code=address.element)
    return (
        Auction.objects.filter(
            delivery_on=period, state=AuctionState.OPEN, id__in=named.values("auction_id")
        )
        .order_by("gate_closure_at", "id")
        .first()
    )


def request_latest(*, address: CongestionAddress, period: date) -> FlexRequest | None:
    """Return the latest revision of what is asked for at a place on a day."""
    return (
        FlexRequest.objects.filter(congestion_address=address, period_on=period)
        .order_by("-revision")
        .first()
    )


def requests_live(*, auction_id: UUID) -> list[FlexRequest]:
    """Return the requests of an auction whose needs are in its book."""
    return list(
        FlexRequest.objects.filter(
            auction_id=auction_id,
            needs__need__state=NeedState.PUBLISHED,
            needs__need__is_by_order=True,
        )
        .select_related("congestion_address__participant", "inbound")
        .distinct()
        .order_by("id")
    )


def need_ids_of(request: FlexRequest) -> list[UUID]:
    """Return the needs of a request that are in the book."""
    rows = request.needs.filter(need__state=NeedState.PUBLISHED, need__is_by_order=True)
    return list(rows.order_by("need_id").values_list("need_id", flat=True))


def found_for(*, run_id: UUID, need_ids: list[UUID]) -> list[Found]:
    """Return what a run served of needs, half hour by half hour."""
    rows = (
        ClearingPrice.objects.filter(
            run_id=run_id, kind=PriceKind.NEED, need_id__in=need_ids, served_kw__gt=0
        )
        .select_related("need")
        .order_by("t", "need_id")
    )
    return [
        Found(
            direction=row.need.direction,
            t=row.t,
            served_kw=row.served_kw or ZERO,
            price_jpy_per_kwh=row.price_jpy_per_kwh,
        )
        for row in rows
        if row.need is not None
    ]


def lines_of_order(order: FlexOrder) -> list[SettlementLine] | None:
    """Return the lines by which an order's buyer pays or gets back; None before any settlement."""
    request = order.offer.request
    runs = runs_in_force(auction=request.auction)
    if not runs:
        return None
    buyer = request.congestion_address.participant.organisation_id
    rows = SettlementLine.objects.filter(run__in=runs, need_id__in=need_ids_of(request)).filter(
        Q(payer__organisation_id=buyer) | Q(payee__organisation_id=buyer)
    )
    return list(rows.select_related("payer", "payee").order_by("id"))


def net_exact_jpy(lines: list[SettlementLine], *, buyer_id: UUID) -> Decimal:
    """Return what the buyer pays in all, less what it gets back."""
    total = SettlementLine.objects.filter(id__in=[line.pk for line in lines]).aggregate(
        net=Sum(
            Case(
                When(payer__organisation_id=buyer_id, then=F("amount_exact_jpy")),
                default=Value(-1) * F("amount_exact_jpy"),
            )
        )
    )["net"]
    return total or ZERO

"""Read what replacing an instruction depends on, as plain data for the pure core."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np

from accounts.fields import HALF_HOURS_COUNT
from aggregator.core import replacement
from aggregator.core.replacement import Element, Loss, Offer, Step
from aggregator.dispatch.availability import unavailable_within
from aggregator.dispatch.calls import call_price_max
from aggregator.dispatch.models import (
    OPEN_STATES,
    DispatchInstruction,
    InstructionInterval,
    InstructionState,
)
from aggregator.dispatch.site_reports import shed_available_kw
from market.clearing.models import (
    AwardInterval,
    CapacityInterval,
    ClearingPrice,
    ClearingRun,
    ElementFlow,
    Leg,
    PriceKind,
)
from market.clearing.sensitivities import sensitivities_of
from market.core.timegrid import INTERVAL
from market.core.units import DIRECTION_SIGN
from market.registry.models import Resource, Site
from market.trading.models import Auction, Bid, BidForm, BidState, Direction, NeedKind
from market.trading.sealing import contents_open

ZERO = Decimal(0)
_S = InstructionState
# of a version that will not be carried out, and of one that will or was
VOID_STATES = (_S.OPTED_OUT, _S.UNREACHED, _S.REPLACED, _S.CANCELLED)
DECLINED_STATES = (_S.OPTED_OUT, _S.UNREACHED, _S.REPLACED)
Ordered = dict[int, Decimal]


@dataclass(frozen=True, kw_only=True)
class Served:
    """A local need that was served in one half hour: the flow's sign, and its cap."""

    t: int
    sign: int
    cap_jpy_per_kwh: Decimal


@dataclass(frozen=True, kw_only=True)
class Merit:
    """What :func:`aggregator.core.replacement.stand_ins` is asked with."""

    loss: Loss
    offers: tuple[Offer, ...]
    elements: tuple[Element, ...]
    bids: Mapping[str, Bid]


def merit_order(*, lost: DispatchInstruction, now: datetime) -> Merit:
    """Return the loss, the offers left of the book and the elements as they now stand.

    Half hours that have begun are lost for good and are not asked for again.
    """
    run = ClearingRun.objects.get(id=lost.award.run_id)
    auction = lost.award.auction
    instructions = _instructions(auction)
    places = _places(lost, instructions)
    ordered = _ordered(InstructionInterval.objects.filter(instruction__in=instructions))
    quantity_kw = [ZERO] * HALF_HOURS_COUNT
    lost_intervals = list(lost.intervals.filter(start_at__gt=now))
    for interval in lost_intervals:
        quantity_kw[interval.t] = interval.quantity_kw
    site = lost.resource.site
    sensitivity = places.get(site.code, {})
    served = _served(run)
    is_call = lost.award.leg == Leg.RESERVED
    price_max = (
        [call_price_max(lost.award)] * HALF_HOURS_COUNT
        if is_call
        else _price_max(run, lost, sensitivity, served)
    )
    for interval in lost_intervals:
        # beyond the award its payer has agreed to a price, and to no more
        if is_call:
            break
        if interval.is_added and interval.replacement_price_jpy_per_kwh is not None:
            price_max[interval.t] = interval.replacement_price_jpy_per_kwh
    loss = Loss(
        area=site.area_id,
        sign=int(DIRECTION_SIGN[lost.direction]),
        sent_per_received_ratio=_sent_ratio(site),
        sensitivity_kw_per_kw=sensitivity,
        quantity_kw=quantity_kw,
        price_max_jpy_per_kwh=price_max,
    )
    chains = _chains(auction, instructions, ordered)
    offers, bids = _offers(lost, chains, places, now)
    elements = _elements(run, [*chains, *_called(auction)], places, served)
    return Merit(loss=loss, offers=offers, elements=elements, bids=bids)


def room_kw(row: DispatchInstruction, slots: Iterable[int]) -> dict[int, Decimal]:
    """Return how much more a resource can act in some half hours before an element is full."""
    run = ClearingRun.objects.get(id=row.award.run_id)
    instructions = _instructions(row.award.auction)
    places = _places(row, instructions)
    ordered = _ordered(InstructionInterval.objects.filter(instruction__in=instructions))
    chains = [*_chains(row.award.auction, instructions, ordered), *_called(row.award.auction)]
    elements = _elements(run, chains, places, _served(run))
    site = row.resource.site
    return {
        t: replacement.room_kw(
            sign=int(DIRECTION_SIGN[row.direction]),
            sent_per_received_ratio=_sent_ratio(site),
            sensitivity_kw_per_kw=places.get(site.code, {}),
            elements=elements,
            t=t,
        )
        for t in slots
    }


def _instructions(auction: Auction) -> list[DispatchInstruction]:
    """Return what was ordered of energy in an auction, in every version."""
    return list(
        DispatchInstruction.objects.filter(award__auction=auction, call__isnull=True)
        .select_related("resource__site")
        .order_by("version", "id")
    )


@dataclass(kw_only=True)
class Chain:
    """The versions of one order to one resource, and what of them is in force.

    `sold_kw` is what the result published for it, nothing for a stand-in; `beyond_kw` is what is
    ordered above it, below zero where less is.
    """

    resource: Resource
    bid_id: UUID
    direction: str
    sold_kw: Ordered
    beyond_kw: Ordered


def _chains(
    auction: Auction, instructions: Sequence[DispatchInstruction], ordered: Mapping[UUID, Ordered]
) -> list[Chain]:
    found: dict[tuple[UUID, UUID, UUID], list[DispatchInstruction]] = {}
    for row in instructions:
        found.setdefault((row.award_id, row.bid_id, row.resource_id), []).append(row)
    made = []
    for versions in found.values():
        first = versions[0]
        slots = sorted({t for row in versions for t in ordered.get(row.id, {})})
        sold = dict(ordered.get(first.id, {})) if first.version == 1 else {}
        beyond: Ordered = {}
        for t in slots:
            start_at = auction.delivery_start + t * INTERVAL
            in_force = [
                row
                for row in versions
                if row.takes_over_at is None or row.takes_over_at <= start_at
            ]
            kw = ZERO
            if in_force and in_force[-1].state not in VOID_STATES:
                kw = ordered.get(in_force[-1].id, {}).get(t, ZERO)
            if kw != sold.get(t, ZERO):
                beyond[t] = kw - sold.get(t, ZERO)
        made.append(
            Chain(
                resource=first.resource,
                bid_id=first.bid_id,
                direction=first.direction,
                sold_kw=sold,
                beyond_kw=beyond,
            )
        )
    return made


def _called(auction: Auction) -> list[Chain]:
    """Return the calls of capacity that are in force: no result published the flows they move."""
    calls = list(
        DispatchInstruction.objects.filter(
            award__auction=auction, call__isnull=False, state__in=OPEN_STATES
        )
        .select_related("resource__site")
        .order_by("award_id")
    )
    ordered = _ordered(InstructionInterval.objects.filter(instruction__in=calls))
    return [
        Chain(
            resource=row.resource,
            bid_id=row.bid_id,
            direction=row.direction,
            sold_kw={},
            beyond_kw=ordered.get(row.id, {}),
        )
        for row in calls
    ]


def _places(
    lost: DispatchInstruction, instructions: list[DispatchInstruction]
) -> dict[str, dict[str, float]]:
    """Sensitivities on every element, of the sites that act and of those that could stand in."""
    auction = lost.award.auction
    sites = {row.resource.site for row in instructions} | {lost.resource.site}
    sites |= set(
        Site.objects.filter(
            resources__bid__auction=auction, resources__bid__state=BidState.SUBMITTED
        ).distinct()
    )
    return sensitivities_of(auction, sites)


def _sent_ratio(site: Site) -> float:
    return 1.0 / (1.0 - float(site.loss_ratio))


def _ordered(rows: Iterable[InstructionInterval]) -> dict[UUID, Ordered]:
    found: dict[UUID, Ordered] = {}
    for row in rows:
        found.setdefault(row.instruction_id, {})[row.t] = row.quantity_kw
    return found


def _elements(
    run: ClearingRun,
    chains: Sequence[Chain],
    places: dict[str, dict[str, float]],
    served: Mapping[str, list[Served]],
) -> tuple[Element, ...]:
    """Return the elements as they now stand: published, and what is ordered otherwise since."""
    flows: dict[str, Any] = {}
    ratings_kw: dict[str, float] = {}
    for row in ElementFlow.objects.filter(run=run).select_related("congestion_point"):
        code = row.congestion_point.code
        flows.setdefault(code, np.zeros(HALF_HOURS_COUNT))[row.t] = float(row.after_kw)
        ratings_kw[code] = float(row.congestion_point.rating_kw)
    for chain in chains:
        site = chain.resource.site
        scale = DIRECTION_SIGN[chain.direction] * _sent_ratio(site)
        for code, kw_per_kw in places.get(site.code, {}).items():
            for t, kw in chain.beyond_kw.items():
                if code in flows:
                    flows[code][t] += scale * kw_per_kw * float(kw)
    return tuple(
        Element(
            code=code,
            rating_kw=ratings_kw[code],
            flow_kw=flow_kw,
            relieved_sign=_signs(served.get(code, ())),
        )
        for code, flow_kw in sorted(flows.items())
    )


def _signs(rows: Iterable[Served]) -> tuple[int, ...]:
    signs = [0] * HALF_HOURS_COUNT
    for row in rows:
        signs[row.t] = row.sign
    return tuple(signs)


def _served(run: ClearingRun) -> dict[str, list[Served]]:
    """Return where local needs were served, by element."""
    found: dict[str, list[Served]] = {}
    rows = ClearingPrice.objects.filter(
        run=run, kind=PriceKind.NEED, need__kind=NeedKind.LOCAL, served_kw__gt=0
    ).select_related("need__congestion_point")
    for price in rows:
        need = price.need
        if need is None or need.congestion_point is None or need.flow_sign is None:
            continue
        served = Served(
            t=price.t, sign=need.flow_sign, cap_jpy_per_kwh=need.cap_jpy_per_kwh[price.t]
        )
        found.setdefault(need.congestion_point.code, []).append(served)
    return found


def _price_max(
    run: ClearingRun,
    lost: DispatchInstruction,
    sensitivity: Mapping[str, float],
    served: Mapping[str, list[Served]],
) -> list[Decimal]:
    """Return what the needs that the lost action served would pay at most for a kWh of it."""
    sign = DIRECTION_SIGN[lost.direction]
    ratio = _sent_ratio(lost.resource.site)
    most = [0.0] * HALF_HOURS_COUNT
    for code, rows in served.items():
        for row in rows:
            relief = -row.sign * sign * sensitivity.get(code, 0.0)
            most[row.t] += max(0.0, relief) * ratio * float(row.cap_jpy_per_kwh)
    balance = ClearingPrice.objects.filter(
        run=run,
        kind=PriceKind.NEED,
        need__kind=NeedKind.BALANCE,
        need__area_id=lost.resource.site.area_id,
        need__direction=lost.direction,
        served_kw__gt=0,
    ).select_related("need")
    dearest = [0.0] * HALF_HOURS_COUNT
    for price in balance:
        if price.need is not None:
            dearest[price.t] = max(dearest[price.t], float(price.need.cap_jpy_per_kwh[price.t]))
    return [
        Decimal(repr(round(local + ratio * area, 2)))
        for local, area in zip(most, dearest, strict=True)
    ]


def _offers(
    lost: DispatchInstruction,
    chains: Sequence[Chain],
    places: dict[str, dict[str, float]],
    now: datetime,
) -> tuple[tuple[Offer, ...], dict[str, Bid]]:
    """Return what is left of the step curves, without resources that declined or cannot act."""
    declined = set(
        DispatchInstruction.objects.filter(
            award__auction_id=lost.award.auction_id, state__in=DECLINED_STATES
        ).values_list("resource_id", flat=True)
    )
    bids = list(
        Bid.objects.filter(
            auction_id=lost.award.auction_id, state=BidState.SUBMITTED, form=BidForm.STEPS
        )
        .exclude(resource_id__in=declined | {lost.resource_id})
        .select_related("resource__site")
        .order_by("id")
    )
    away = unavailable_within(
        resource_ids={bid.resource_id for bid in bids if bid.resource_id is not None},
        starts_at=lost.starts_at,
        ends_at=lost.ends_at,
    )
    contents = contents_open(bid.id for bid in bids)
    by_bid, by_resource = _taken(lost.award.auction_id, chains)
    said = shed_available_kw(
        resource_ids={bid.resource_id for bid in bids if bid.resource_id is not None},
        direction=lost.direction,
        starts_at=lost.starts_at,
        ends_at=lost.ends_at,
    )
    offers = []
    for bid in bids:
        content = contents.get(bid.id)
        if content is None or content["direction"] != lost.direction:
            continue
        resource = bid.resource
        if resource is None or resource.id in away:  # no step bid is without one in the table
            continue
        site = resource.site
        offers.append(
            Offer(
                key=str(bid.id),
                resource=resource.code,
                area=site.area_id,
                sign=int(DIRECTION_SIGN[lost.direction]),
                sent_per_received_ratio=_sent_ratio(site),
                sensitivity_kw_per_kw=places.get(site.code, {}),
                steps=_steps_left(content, by_bid.get(bid.id, {})),
                left_kw=_in_time(
                    _left_kw(
                        resource,
                        lost.direction,
                        by_resource.get(resource.id, {}),
                        said.get(resource.id, {}),
                    ),
                    resource,
                    lost.award.auction,
                    now,
                ),
            )
        )
    return tuple(offers), {str(bid.id): bid for bid in bids}


def _taken(
    auction_id: UUID, chains: Sequence[Chain]
) -> tuple[dict[UUID, Ordered], dict[UUID, dict[str, Ordered]]]:
    """Return what awards and what is ordered beyond them take, by bid and by resource.

    What was sold and is not ordered any more is not offered again.
    """
    by_bid: dict[UUID, Ordered] = {}
    by_resource: dict[UUID, dict[str, Ordered]] = {}

    def take(bid_id: UUID, resource_id: UUID, direction: str, t: int, kw: Decimal) -> None:
        of_bid = by_bid.setdefault(bid_id, {})
        of_bid[t] = of_bid.get(t, ZERO) + kw
        of_resource = by_resource.setdefault(resource_id, {}).setdefault(direction, {})
        of_resource[t] = of_resource.get(t, ZERO) + kw

    rows = AwardInterval.objects.filter(award__auction_id=auction_id).select_related("award")
    # Capacity that is reserved moves nothing, but nobody may sell it a second time.
    held = CapacityInterval.objects.filter(award__auction_id=auction_id).select_related("award")
    taken: list[AwardInterval | CapacityInterval] = [*rows, *held]
    for row in taken:
        award = row.award
        take(award.bid_id, award.resource_id, award.direction, row.t, row.quantity_kw)
    for chain in chains:
        for t, kw in chain.beyond_kw.items():
            if kw > ZERO:
                take(chain.bid_id, chain.resource.id, chain.direction, t, kw)
    return by_bid, by_resource


def _steps_left(content: Mapping[str, Any], taken: Ordered) -> list[list[Step]]:
    steps: list[list[Step]] = [[] for _ in range(HALF_HOURS_COUNT)]
    for curve in content["curves"]:
        for t in range(curve["first_t"], curve["last_t"] + 1):
            used = taken.get(t, ZERO)
            for step in curve["steps"]:
                offered = Decimal(step["quantity_kw"])
                eaten = min(used, offered)
                used -= eaten
                if offered > eaten:
                    ask = Decimal(step["ask_jpy_per_kwh"])
                    steps[t].append(Step(quantity_kw=offered - eaten, ask_jpy_per_kwh=ask))
    return steps


def _left_kw(
    resource: Resource, direction: str, taken: Mapping[str, Ordered], said_kw: Ordered
) -> list[Decimal]:
    """Return what the resource can still do; nothing where it acts the other way already.

    What its site says it has available counts where it says less.
    """
    limit = resource.limit_up_kw if direction == Direction.UP else resource.limit_down_kw
    same = taken.get(direction, {})
    other = taken.get(Direction.DOWN if direction == Direction.UP else Direction.UP, {})
    return [
        ZERO
        if other.get(t, ZERO) > 0
        else max(ZERO, min(limit - same.get(t, ZERO), said_kw.get(t, limit)))
        for t in range(HALF_HOURS_COUNT)
    ]


def _in_time(
    left_kw: list[Decimal], resource: Resource, auction: Auction, now: datetime
) -> list[Decimal]:
    """Leave out half hours that the resource is too slow for."""
    ready_at = now + timedelta(seconds=resource.response_s or 0)
    return [
        kw if auction.delivery_start + t * INTERVAL >= ready_at else ZERO
        for t, kw in enumerate(left_kw)
    ]

"""Auctions and needs: scheduling, publishing, revising, closing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Max

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound, Refused
from accounts.core.numbers import decimals_of, zoned
from accounts.fields import HALF_HOURS_COUNT, KW_MAX, PRICE_MAX_JPY_PER_KWH
from accounts.jobs.services import Claim, job_create, job_finish
from accounts.parties.models import Organisation, OrganisationKind
from market.core.timegrid import day_start_at
from market.registry.models import Area, Bus, CongestionPoint, ControllableLink, GridModel
from market.registry.selectors import ruleset_on
from market.trading.gates import gate_enter, gate_shut
from market.trading.models import (
    Auction,
    AuctionState,
    BaseFlow,
    Direction,
    Need,
    NeedKind,
    NeedState,
    TransferLimit,
)

KW_HIGH = Decimal(KW_MAX)
PRICE_HIGH = Decimal(PRICE_MAX_JPY_PER_KWH)
CODE = re.compile(r"[A-Za-z0-9._-]{1,60}", re.ASCII)


class InvalidNeed(Refused):
    """The need breaks a rule."""


@transaction.atomic
def auction_schedule(
    *,
    code: str,
    name: str,
    delivery_on: date,
    opens_at: datetime,
    gate_closure_at: datetime,
    grid_model: GridModel,
) -> Auction:
    """Announce an auction; opening and closing are jobs due by the market clock.

    Raises
    ------
    Refused
        If times lack an offset or are out of order, or the code is taken.
    """
    opens_at = zoned(opens_at, field="opens_at")
    gate_closure_at = zoned(gate_closure_at, field="gate_closure_at")
    delivery_start = day_start_at(delivery_on)
    if not opens_at < gate_closure_at <= delivery_start:
        raise Refused(
            field="gate_closure_at",
            value=gate_closure_at,
            rule="after opens_at and not after the delivery day begins",
        )
    if Auction.objects.filter(code=code).exists():
        raise Refused(field="code", value=code, rule="already used")
    with connection.cursor() as cursor:
        cursor.execute("SELECT nextval('trading_gate_number')")
        gate_number = cursor.fetchone()[0]
    auction = Auction.objects.create(
        code=code,
        name=name,
        gate_number=gate_number,
        delivery_on=delivery_on,
        delivery_start=delivery_start,
        opens_at=opens_at,
        gate_closure_at=gate_closure_at,
        ruleset=ruleset_on(delivery_on),
        grid_model=grid_model,
    )
    key = str(auction.id)
    job_create(kind="market.trading.auction_open", key=key, due_at=opens_at)
    job_create(kind="market.trading.gate_close", key=key, due_at=gate_closure_at)
    entry_append(action="market.auction.scheduled", subject=auction, detail={"code": code})
    return auction


@transaction.atomic
def auction_open(*, claim: Claim) -> None:
    """Open the auction the claim is about."""
    changed = Auction.objects.filter(id=UUID(claim.key), state=AuctionState.SCHEDULED).update(
        state=AuctionState.OPEN
    )
    if changed:
        entry_append(action="market.auction.opened", subject=f"trading.auction:{claim.key}")
    job_finish(claim=claim)


@transaction.atomic
def gate_close(*, claim: Claim) -> None:
    """Close the gate and put the clearing on the list, in one transaction."""
    auction_id = UUID(claim.key)
    moment = gate_shut(auction_id)
    if moment is not None:
        entry_append(
            action="market.auction.closed",
            subject=f"trading.auction:{claim.key}",
            detail={"closed_at": moment.isoformat()},
        )
        job_create(kind="market.clearing.run_execute", key=claim.key, attempts_max=4)
        auction = Auction.objects.select_related("ruleset").get(id=auction_id)
        minutes = auction.ruleset.rules["publication"]["deadline_min"]
        job_create(
            kind="market.clearing.deadline",
            key=claim.key,
            due_at=auction.gate_closure_at + timedelta(minutes=minutes),
        )
    job_finish(claim=claim)


@transaction.atomic
def auction_cancel(*, auction_id: UUID, reason: str) -> bool:
    """Cancel before publication; returns whether this call did it."""
    before = (
        AuctionState.SCHEDULED,
        AuctionState.OPEN,
        AuctionState.CLOSED,
        AuctionState.CLEARING,
    )
    changed = Auction.objects.filter(id=auction_id, state__in=before).update(
        state=AuctionState.CANCELLED, state_reason=reason[:200]
    )
    if changed:
        entry_append(
            action="market.auction.cancelled",
            subject=f"trading.auction:{auction_id}",
            detail={"reason": reason},
        )
    return bool(changed)


@dataclass(frozen=True, kw_only=True)
class NeedDetails:
    """Where, which way, how much and at most for how much; arrays of 48."""

    code: str
    kind: str
    direction: str
    quantity_kw: Any
    cap_jpy_per_kwh: Any
    congestion_point: str | None = None
    flow_sign: int | None = None
    area_code: str | None = None


@transaction.atomic
def need_publish(*, auction_id: UUID, organisation: Organisation, details: NeedDetails) -> Need:
    """Publish a need, or its next revision if the code is known; until the gate only.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidNeed, NotFound
        Naming field, value and rule; nothing is stored.
    """
    auction, moment = gate_enter(auction_id)
    if organisation.kind != OrganisationKind.TSO:
        raise InvalidNeed(field="organisation", value=organisation.code, rule="a grid operator")
    if type(details.code) is not str or not CODE.fullmatch(details.code):
        raise InvalidNeed(
            field="code", value=details.code, rule="1 to 60 letters, digits, dots, dashes"
        )
    place = _need_place(auction, organisation, details)
    quantity_kw = decimals_of(
        details.quantity_kw,
        field="quantity_kw",
        count=HALF_HOURS_COUNT,
        low=Decimal(0),
        high=KW_HIGH,
        places=1,
    )
    cap_jpy_per_kwh = decimals_of(
        details.cap_jpy_per_kwh,
        field="cap_jpy_per_kwh",
        count=HALF_HOURS_COUNT,
        low=Decimal(0),
        high=PRICE_HIGH,
        places=2,
    )
    before = (
        Need.objects.select_for_update(of=("self",))
        .filter(
            auction=auction,
            organisation=organisation,
            code=details.code,
            state=NeedState.PUBLISHED,
        )
        .first()
    )
    if before is not None:
        Need.objects.filter(id=before.id).update(state=NeedState.SUPERSEDED)
    need = Need.objects.create(
        auction=auction,
        organisation=organisation,
        kind=details.kind,
        code=details.code,
        direction=details.direction,
        quantity_kw=quantity_kw,
        cap_jpy_per_kwh=cap_jpy_per_kwh,
        revision=_next_revision(auction, organisation, details.code),
        supersedes=before,
        available_at=moment,
        **place,
    )
    entry_append(
        action="market.need.published",
        subject=need,
        organisation_id=organisation.id,
        detail={"code": need.code, "revision": need.revision},
    )
    return need


def _next_revision(auction: Auction, organisation: Organisation, code: str) -> int:
    last = Need.objects.filter(auction=auction, organisation=organisation, code=code).aggregate(
        last=Max("revision")
    )["last"]
    return (last or 0) + 1


def _need_place(
    auction: Auction, organisation: Organisation, details: NeedDetails
) -> Mapping[str, Any]:
    if details.direction not in Direction.values:
        raise InvalidNeed(field="direction", value=details.direction, rule="UP or DOWN")
    if details.kind == NeedKind.LOCAL:
        point = CongestionPoint.objects.filter(
            grid_model=auction.grid_model, code=details.congestion_point
        ).first()
        if point is None:
            raise NotFound(
                field="congestion_point",
                value=details.congestion_point,
                rule="a monitored element of the auction's grid model",
            )
        if organisation.id not in (point.owner_id, point.co_owner_id):
            raise InvalidNeed(
                field="congestion_point",
                value=details.congestion_point,
                rule="an element of this grid operator",
            )
        if (
            type(details.flow_sign) is not int
            or details.flow_sign not in (-1, 1)
            or details.area_code is not None
        ):
            raise InvalidNeed(field="flow_sign", value=details.flow_sign, rule="+1 or -1, no area")
        if not BaseFlow.objects.filter(auction=auction, congestion_point=point).exists():
            raise InvalidNeed(
                field="congestion_point",
                value=details.congestion_point,
                rule="an element whose forecast flow is published for this auction",
            )
        return {"congestion_point": point, "flow_sign": details.flow_sign}
    if details.kind != NeedKind.BALANCE:
        raise InvalidNeed(field="kind", value=details.kind, rule="LOCAL or BALANCE")
    area = Area.objects.filter(code=details.area_code).first()
    if area is None:
        raise NotFound(field="area_code", value=details.area_code, rule="a known area code")
    if area.tso_id != organisation.id or details.congestion_point is not None:
        raise InvalidNeed(
            field="area_code", value=details.area_code, rule="the operator's own area"
        )
    _refuse_without_bus(auction, area.code, "area_code")
    return {"area": area}


def _refuse_without_bus(auction: Auction, area_code: str, field: str) -> None:
    if not Bus.objects.filter(grid_model=auction.grid_model_id, area=area_code).exists():
        raise InvalidNeed(
            field=field, value=area_code, rule="an area with buses in the auction's grid model"
        )


@transaction.atomic
def need_withdraw(*, auction_id: UUID, organisation: Organisation, code: str) -> None:
    """Take a published need back before the gate."""
    auction, _ = gate_enter(auction_id)
    need = Need.objects.filter(
        auction=auction, organisation=organisation, code=code, state=NeedState.PUBLISHED
    ).first()
    if need is None:
        raise NotFound(field="code", value=code, rule="a published need of this operator")
    Need.objects.filter(id=need.id).update(state=NeedState.WITHDRAWN)
    entry_append(action="market.need.withdrawn", subject=need, organisation_id=organisation.id)


@transaction.atomic
def base_flows_publish(
    *, auction_id: UUID, organisation: Organisation, base_flow_kw_of: Mapping[str, Any]
) -> None:
    """Publish forecast flows of monitored elements; a second call is the next revision.

    Parameters
    ----------
    base_flow_kw_of
        48 signed values [kW] per element code, positive from the branch's start to its end.
    """
    auction, moment = gate_enter(auction_id)
    points = {
        point.code: point
        for point in CongestionPoint.objects.filter(
            grid_model=auction.grid_model, code__in=list(base_flow_kw_of)
        )
    }
    for code, values in base_flow_kw_of.items():
        if code not in points:
            raise NotFound(field="base_flows", value=code, rule="a monitored element")
        point = points[code]
        if organisation.id not in (point.owner_id, point.co_owner_id):
            raise InvalidNeed(field="base_flows", value=code, rule="an element of this operator")
        flow_kw = decimals_of(
            values,
            field=f"base_flows.{code}",
            count=HALF_HOURS_COUNT,
            low=-KW_HIGH,
            high=KW_HIGH,
            places=1,
        )
        last = BaseFlow.objects.filter(auction=auction, congestion_point=point).aggregate(
            last=Max("revision")
        )["last"]
        BaseFlow.objects.create(
            auction=auction,
            congestion_point=point,
            base_flow_kw=flow_kw,
            revision=(last or 0) + 1,
            available_at=moment,
        )
    entry_append(
        action="market.base_flows.published",
        subject=auction,
        organisation_id=organisation.id,
        detail={"elements": sorted(base_flow_kw_of)},
    )


@transaction.atomic
def transfer_limit_publish(
    *,
    auction_id: UUID,
    organisation: Organisation,
    from_area: str,
    to_area: str,
    limit_kw: Any,
    link_code: str | None = None,
) -> TransferLimit:
    """Let the market move power between two areas, over a link or by AC transfer.

    The limit holds in both directions; one of the two areas' operators publishes it.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidNeed, NotFound
        Naming field, value and rule; nothing is stored.
    """
    auction, moment = gate_enter(auction_id)
    values = decimals_of(
        limit_kw, field="limit_kw", count=HALF_HOURS_COUNT, low=Decimal(0), high=KW_HIGH, places=1
    )
    areas = _transfer_areas(auction, organisation, from_area, to_area)
    link = None if link_code is None else _transfer_link(auction, areas, link_code)
    if link is None:
        _refuse_across_islands(auction, areas)
    pair = {from_area, to_area}
    known = TransferLimit.objects.filter(auction=auction).values_list(
        "from_area", "to_area", "link__code"
    )
    for one, other, used in known:
        if {one, other} == pair and (used is None) == (link is None):
            raise InvalidNeed(
                field="to_area", value=to_area, rule="one limit between two areas in an auction"
            )
        if link is not None and used == link.code:
            raise InvalidNeed(field="link", value=link.code, rule="each link once in an auction")
    limit = TransferLimit.objects.create(
        auction=auction,
        from_area=areas[0],
        to_area=areas[1],
        link=link,
        limit_kw=values,
        available_at=moment,
    )
    entry_append(
        action="market.transfer_limit.published",
        subject=limit,
        organisation_id=organisation.id,
        detail={"from": from_area, "to": to_area},
    )
    return limit


def _transfer_areas(
    auction: Auction, organisation: Organisation, from_area: str, to_area: str
) -> tuple[Area, Area]:
    known = {area.code: area for area in Area.objects.filter(code__in=[from_area, to_area])}
    for field, code in (("from_area", from_area), ("to_area", to_area)):
        if code not in known:
            raise NotFound(field=field, value=code, rule="a known area code")
        _refuse_without_bus(auction, code, field)
    if from_area == to_area:
        raise InvalidNeed(field="to_area", value=to_area, rule="another area than from_area")
    if organisation.id not in {area.tso_id for area in known.values()}:
        raise InvalidNeed(
            field="organisation", value=organisation.code, rule="the operator of one of the areas"
        )
    return known[from_area], known[to_area]


def _transfer_link(auction: Auction, areas: tuple[Area, Area], link_code: str) -> ControllableLink:
    link = (
        ControllableLink.objects.filter(grid_model=auction.grid_model, code=link_code)
        .select_related("from_bus", "to_bus")
        .first()
    )
    if link is None:
        raise NotFound(field="link", value=link_code, rule="a link of the grid model")
    if {link.from_bus.area_id, link.to_bus.area_id} != {area.code for area in areas}:
        raise InvalidNeed(field="link", value=link_code, rule="a link between the two areas")
    return link


def _refuse_across_islands(auction: Auction, areas: tuple[Area, Area]) -> None:
    islands = [
        set(
            Bus.objects.filter(grid_model=auction.grid_model_id, area=area).values_list(
                "island", flat=True
            )
        )
        for area in areas
    ]
    if islands[0] != islands[1]:
        raise InvalidNeed(
            field="to_area", value=areas[1].code, rule="in the same island, or over a link"
        )

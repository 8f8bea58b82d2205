"""Publish what the grid allows: forecast flows, limits between areas, envelopes of connections."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Max

from accounts.audit.services import entry_append
from accounts.core.errors import NotFound
from accounts.core.numbers import decimals_of
from accounts.fields import HALF_HOURS_COUNT, KW_MAX
from accounts.parties.models import Organisation
from market.registry.models import Area, Bus, CongestionPoint, ControllableLink, Site
from market.trading.gates import conditions_enter
from market.trading.models import Auction, BaseFlow, Envelope, EnvelopeKind, TransferLimit
from market.trading.needs import InvalidNeed, refuse_without_bus

KW_HIGH = Decimal(KW_MAX)


@transaction.atomic
def base_flows_publish(
    *, auction_id: UUID | str, organisation: Organisation, base_flow_kw_of: Mapping[str, Any]
) -> None:
    """Publish forecast flows of monitored elements; a second call is the next revision.

    Parameters
    ----------
    base_flow_kw_of
        48 signed values [kW] per element code, positive from the branch's start to its end.
    """
    auction, moment = conditions_enter(auction_id)
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
    auction_id: UUID | str,
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
    auction, moment = conditions_enter(auction_id)
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
        refuse_without_bus(auction, code, field)
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


@transaction.atomic
def envelope_publish(
    *,
    auction_id: UUID | str,
    organisation: Organisation,
    site_code: str,
    kind: str,
    scheduled_import_kw: Any,
    max_import_kw: Any = None,
) -> Envelope:
    """Publish the most a flexible connection may import, with the schedule the flows contain.

    A second call is the next revision. Of a FIXED pattern only the schedule changes from auction
    to auction; without `max_import_kw` it is the site's pattern of before.

    Raises
    ------
    GateClosed
        At or after the gate.
    InvalidNeed, NotFound
        Naming field, value and rule; nothing is stored.
    """
    auction, moment = conditions_enter(auction_id)
    if kind not in EnvelopeKind.values:
        raise InvalidNeed(field="kind", value=kind, rule="FIXED or ONLINE")
    site = Site.objects.select_related("area").filter(code=site_code).first()
    if site is None:
        raise NotFound(field="site", value=site_code, rule="a registered site")
    if site.area.tso_id != organisation.id:
        raise InvalidNeed(field="site", value=site_code, rule="a site in the operator's own area")
    if not Bus.objects.filter(grid_model=auction.grid_model_id, code=site.bus_code).exists():
        raise InvalidNeed(
            field="site", value=site_code, rule="at a bus of the auction's grid model"
        )
    last = Envelope.objects.filter(auction=auction, site=site).order_by("-revision").first()
    envelope = Envelope.objects.create(
        auction=auction,
        site=site,
        organisation=organisation,
        kind=kind,
        max_import_kw=_max_import_kw(site, kind, max_import_kw, last),
        scheduled_import_kw=decimals_of(
            scheduled_import_kw,
            field="scheduled_import_kw",
            count=HALF_HOURS_COUNT,
            low=-KW_HIGH,
            high=KW_HIGH,
            places=1,
        ),
        revision=1 if last is None else last.revision + 1,
        available_at=moment,
    )
    entry_append(
        action="market.envelope.published",
        subject=envelope,
        organisation_id=organisation.id,
        detail={"site": site.code, "kind": kind, "revision": envelope.revision},
    )
    return envelope


def _max_import_kw(site: Site, kind: str, given: Any, last: Envelope | None) -> list[Decimal]:
    """Return the envelope's limits: as given, or the fixed pattern in force."""
    if given is None:
        pattern = (
            Envelope.objects.filter(site=site, kind=EnvelopeKind.FIXED)
            .order_by("-available_at", "-id")
            .first()
        )
        if kind != EnvelopeKind.FIXED or pattern is None:
            raise InvalidNeed(
                field="max_import_kw", value=None, rule="given, unless a fixed pattern is in force"
            )
        return list(pattern.max_import_kw)
    limits_kw = decimals_of(
        given,
        field="max_import_kw",
        count=HALF_HOURS_COUNT,
        low=Decimal(0),
        high=KW_HIGH,
        places=1,
    )
    is_revised = last is not None and last.kind == EnvelopeKind.FIXED
    if is_revised and last is not None and limits_kw != list(last.max_import_kw):
        raise InvalidNeed(
            field="max_import_kw",
            value=given,
            rule="the fixed pattern, which is not revised within an auction",
        )
    return limits_kw

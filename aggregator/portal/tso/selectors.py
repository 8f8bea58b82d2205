"""What a grid operator's pages read: own elements, own needs, own approvals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_UP, Decimal
from typing import Final
from uuid import UUID

from django.db.models import QuerySet

from accounts.approvals.kinds import INSTRUCTION_EXTEND, NEED_PUBLISH
from accounts.approvals.models import Approval
from accounts.approvals.selectors import approvals_seen
from accounts.parties.sight import Sight
from aggregator.portal.selectors import HALF_HOURS, Loading, run_published, spans_of
from market.registry.models import Area, CongestionPoint
from market.trading.models import Auction, AuctionState, BaseFlow, Need, NeedState
from market.trading.selectors import base_flows_seen

NETWORK: Final = "network.read"
PUBLISH: Final = "need.publish"
READ: Final = "need.read"
FULL_RATIO: Final = 1.0
MARGIN_RATIO: Final = Decimal("0.03")
TEN_KW: Final = Decimal(10)
SHOWN: Final = (NeedState.PUBLISHED, NeedState.PROPOSED)


@dataclass(frozen=True, kw_only=True)
class Overload:
    """An element that the forecast puts above its operating limit."""

    loading: Loading
    over: Sequence[tuple[int, int]]
    quantity_kw: Sequence[Decimal]
    flow_sign: int
    has_need: bool

    @property
    def point(self) -> CongestionPoint:
        """The element."""
        return self.loading.point

    @property
    def quantity_max_kw(self) -> Decimal:
        """The most that must be relieved in a half hour."""
        return max(self.quantity_kw)

    @property
    def energy_kwh(self) -> Decimal:
        """All that must be relieved."""
        return sum(self.quantity_kw, Decimal(0)) / 2


def auctions_for_needs(now: datetime) -> list[Auction]:
    """Auctions whose needs can still change, the nearest gate first."""
    return list(
        Auction.objects.filter(
            state__in=(AuctionState.SCHEDULED, AuctionState.OPEN), gate_closure_at__gt=now
        )
        .select_related("grid_model", "ruleset")
        .order_by("gate_closure_at", "code")[:20]
    )


def day_of_work(now: datetime) -> date | None:
    """Return the day a planner works on: of the nearest gate, else the latest day there is."""
    coming = auctions_for_needs(now)
    if coming:
        return coming[0].delivery_on
    latest = Auction.objects.order_by("-delivery_on").first()
    return latest.delivery_on if latest is not None else None


def forecast(auction: Auction, *, seen_by: Sight) -> list[BaseFlow]:
    """Return the latest forecast flow of each element the visitor may read."""
    rows = base_flows_seen(auction, seen_by=seen_by).order_by("revision")
    return list({row.congestion_point_id: row for row in rows}.values())


def overloads(
    auction: Auction, *, seen_by: Sight, flows: Sequence[BaseFlow] | None = None
) -> list[Overload]:
    """Return own elements above their limit before the market acts, the worst first.

    What must be relieved is the flow above the limit less a margin, rounded up to 10 kW.

    Parameters
    ----------
    flows
        The forecast, if it is read already.
    """
    known = forecast(auction, seen_by=seen_by) if flows is None else flows
    over = [(flow, _loading(flow)) for flow in known]
    over = [(flow, row) for flow, row in over if row.worst_ratio > FULL_RATIO]
    if not over:
        return []
    asked = set(
        Need.objects.filter(
            auction=auction, state__in=SHOWN, congestion_point__isnull=False
        ).values_list("congestion_point_id", flat=True)
    )
    found = [_overload(row, flow, has_need=flow.congestion_point_id in asked) for flow, row in over]
    return sorted(found, key=lambda one: (-one.loading.worst_ratio, one.point.code))


def _loading(flow: BaseFlow) -> Loading:
    rating_kw = float(flow.congestion_point.rating_kw) or 1.0
    return Loading(
        point=flow.congestion_point,
        before_ratio=[abs(float(kw)) / rating_kw for kw in flow.base_flow_kw],
        after_ratio=None,
    )


def _overload(row: Loading, flow: BaseFlow, *, has_need: bool) -> Overload:
    limit_kw = row.point.rating_kw
    target_kw = limit_kw * (1 - MARGIN_RATIO)
    sign = 1 if max(flow.base_flow_kw, key=abs) >= 0 else -1
    quantity = []
    for kw in flow.base_flow_kw:
        # a need relieves one direction of the flow; what is over in the other is another need
        over = kw * sign - target_kw if kw * sign > limit_kw else Decimal(0)
        quantity.append((over / TEN_KW).to_integral_value(ROUND_UP) * TEN_KW)
    return Overload(
        loading=row,
        over=spans_of([kw > 0 for kw in quantity]),
        quantity_kw=quantity,
        flow_sign=sign,
        has_need=has_need,
    )


def own_needs(auction: Auction, *, seen_by: Sight) -> QuerySet[Need]:
    """Needs of the visitor's operators in force or waiting; the auditor and desk see all."""
    rows = (
        Need.objects.filter(auction=auction, state__in=SHOWN)
        .select_related("congestion_point", "area", "organisation")
        .order_by("-kind", "code", "-revision")
    )
    if seen_by.may_everywhere(READ):
        return rows
    return rows.filter(organisation_id__in=seen_by.organisations_for(READ))


def points_own(auction: Auction, *, seen_by: Sight) -> list[CongestionPoint]:
    """Elements a planner may ask relief on."""
    own = seen_by.organisations_for(PUBLISH)
    rows = CongestionPoint.objects.filter(grid_model_id=auction.grid_model_id)
    found = rows.filter(owner_id__in=own) | rows.filter(co_owner_id__in=own)
    return list(found.distinct().order_by("code"))


def areas_own(*, seen_by: Sight) -> list[Area]:
    """Areas a planner may ask balance in."""
    return list(Area.objects.filter(tso_id__in=seen_by.organisations_for(PUBLISH)).order_by("code"))


def approvals_waiting(*, seen_by: Sight) -> list[Approval]:
    """Return what waits for a second person of the visitor's operators."""
    rows = approvals_seen(seen_by=seen_by, state="REQUESTED").filter(
        kind__in=(NEED_PUBLISH, INSTRUCTION_EXTEND)
    )
    return list(rows.order_by("expires_at", "id")[:50])


def result_latest(now: datetime) -> Auction | None:
    """Return the auction of the latest published result up to now."""
    return (
        Auction.objects.filter(runs__state="PUBLISHED", gate_closure_at__lte=now)
        .select_related("grid_model")
        .order_by("-delivery_on", "-gate_closure_at")
        .first()
    )


def need_named(need_id: UUID, *, seen_by: Sight) -> Need | None:
    """Return one of the visitor's own needs."""
    return (
        Need.objects.filter(
            id=need_id, state__in=SHOWN, organisation_id__in=seen_by.organisations_for(PUBLISH)
        )
        .select_related("auction", "organisation", "congestion_point", "area")
        .first()
    )


__all__ = (
    "HALF_HOURS", "Overload", "approvals_waiting", "areas_own", "auctions_for_needs",
    "day_of_work", "forecast", "need_named", "overloads", "own_needs", "points_own",
    "result_latest", "run_published",
)  # fmt: skip

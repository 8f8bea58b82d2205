"""What a data-centre operator's pages read; rows with owners are filtered by `seen_by`."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db.models import (
    BooleanField,
    Count,
    Exists,
    ExpressionWrapper,
    Max,
    OuterRef,
    Q,
    QuerySet,
    Sum,
)

from accounts.clock.selectors import market_now
from accounts.parties.models import Organisation
from accounts.parties.sight import Sight
from aggregator.dispatch.models import DispatchInstruction, InstructionState
from aggregator.dispatch.selectors import instructions_seen
from aggregator.metering.models import (
    IntervalReading,
    Meter,
)
from aggregator.metering.selectors import readings_latest
from aggregator.portal.models import Draft, DraftKind
from aggregator.portal.run_facts import Kept
from aggregator.settlement.models import SettlementLine, SettlementRun
from aggregator.settlement.seen import line_view_of
from market.clearing.models import (
    Award,
    AwardInterval,
    ClearingPrice,
    ClearingRun,
    PriceKind,
    RunState,
)
from market.clearing.selectors import awards_seen
from market.registry.models import OpticalPath, Resource, Site
from market.registry.selectors import resources_seen
from market.trading.models import (
    Auction,
    AuctionState,
    Bid,
    BidState,
    Direction,
    Need,
    NeedState,
)
from market.trading.selectors import bids_seen, needs_of

HALF_HOURS: Final = 48
HALF_HOUR_H: Final = Decimal("0.5")
JST_AHEAD: Final = timedelta(hours=9)
PRICE_DAYS: Final = 7
AUCTIONS_MAX: Final = 200
DAYS_LOOKED_AT: Final = 60


def day_start(day: date) -> datetime:
    """Return 00:00 JST of a day."""
    return datetime.combine(day, time(), UTC) - JST_AHEAD


def jst_day(moment: datetime) -> date:
    """Return the JST day of an instant."""
    return (moment.astimezone(UTC) + JST_AHEAD).date()


def operators_of(sight: Sight, action: str = "bid.read") -> list[Organisation]:
    """Return the organisations in whose name the person trades or looks, by code."""
    allowed = sight.organisations_for(action)
    return [row for row in sight.organisations if row.id in allowed]


def auctions_open() -> list[Auction]:
    """Auctions that take bids now, the next gate first."""
    return list(
        Auction.objects.filter(state=AuctionState.OPEN).order_by("gate_closure_at", "code")[
            :AUCTIONS_MAX
        ]
    )


def auction_coming() -> Auction | None:
    """Return the next auction that will open."""
    return Auction.objects.filter(state=AuctionState.SCHEDULED).order_by("opens_at", "code").first()


def auctions_recent(count: int = 20) -> list[Auction]:
    """Auctions by delivery day, the latest first."""
    return list(Auction.objects.order_by("-delivery_on", "code")[:count])


def resources_own(seen_by: Sight, action_sites: Sequence[UUID] | None = None) -> list[Resource]:
    """Resources in use that the person's organisations operate, by site and code."""
    rows = _in_use(seen_by)
    if action_sites is not None:
        rows = rows.filter(site_id__in=action_sites)
    return list(_with_parts(rows))


def resources_typical(seen_by: Sight) -> list[Resource]:
    """Return of each kind the first of :func:`resources_own`, and the first at another site."""
    own = _in_use(seen_by)
    # a store whose figures are known before one of its kind without
    bare = ExpressionWrapper(Q(storage__isnull=True), output_field=BooleanField())

    def firsts(rows: QuerySet[Resource]) -> list[Resource]:
        return list(
            rows.select_related("site", "storage")
            .order_by("kind", bare, "site__code", "code")
            .distinct("kind")
        )

    found = firsts(own)
    there = Q(pk__in=[])
    for row in found:
        there |= Q(kind=row.kind, site_id=row.site_id)
    both = found + firsts(own.exclude(there))
    return sorted(both, key=lambda row: (row.site.code, row.code))


def resource_own(seen_by: Sight, code: str) -> Resource | None:
    """Return one of :func:`resources_own` by its code."""
    return _with_parts(_in_use(seen_by).filter(code=code)).first()


def resources_named(seen_by: Sight, text: str, *, most: int) -> list[Resource]:
    """Return the first of :func:`resources_own` whose code, name or site is like a text."""
    rows = _in_use(seen_by)
    if text:
        fields = ("code", "name", "name_en", "site__code", "site__name", "site__name_en")
        rows = rows.filter(reduce(or_, (Q(**{f"{name}__icontains": text}) for name in fields)))
    return list(_with_parts(rows)[:most])


def _in_use(seen_by: Sight) -> QuerySet[Resource]:
    return resources_seen(seen_by=seen_by).filter(
        site__organisation_id__in=seen_by.organisations_for("bid.read"),
        retired_at__isnull=True,
        site__retired_at__isnull=True,
    )


def _with_parts(rows: QuerySet[Resource]) -> QuerySet[Resource]:
    return (
        rows.select_related("site", "storage", "site__organisation")
        .prefetch_related("workload_classes")
        .order_by("site__code", "code")
    )


def sites_of(seen_by: Sight) -> QuerySet[Site]:
    """Sites that the person's organisations operate, by code."""
    return (
        Site.objects.filter(
            organisation_id__in=seen_by.organisations_for("site.read"), retired_at__isnull=True
        )
        .select_related("area", "organisation", "scale_class")
        .order_by("code")
    )


def limits_by_site(sites: Sequence[Site]) -> dict[UUID, dict[str, Any]]:
    """Return for each site the sums of its resources' limits, and how many there are."""
    rows = (
        Resource.objects.filter(site__in=sites, retired_at__isnull=True)
        .order_by()
        .values("site_id")
        .annotate(up_kw=Sum("limit_up_kw"), down_kw=Sum("limit_down_kw"), count=Count("id"))
    )
    return {row["site_id"]: dict(row) for row in rows}


def paths_of(seen_by: Sight) -> list[OpticalPath]:
    """Optical paths that work may take; that they are there is public."""
    del seen_by
    return list(OpticalPath.objects.order_by("code"))


def destinations_for(resource: Resource) -> list[Resource]:
    """Return computing loads of other sites; the service judges which of them are allowed."""
    return list(
        Resource.objects.filter(
            site__organisation_id=resource.site.organisation_id,
            kind=resource.kind,
            retired_at__isnull=True,
        )
        .exclude(site_id=resource.site_id)
        .select_related("site")
        .order_by("code")
    )


def resources_coded(codes: Sequence[str], organisation: Organisation) -> list[Resource]:
    """Return an organisation's resources of these codes, with their sites."""
    if not codes:
        return []
    return list(
        Resource.objects.filter(code__in=codes, site__organisation=organisation)
        .select_related("site")
        .order_by("code")
    )


def paths_named(codes: Collection[str]) -> list[OpticalPath]:
    """Return optical paths by code, with their ends."""
    if not codes:
        return []
    rows = OpticalPath.objects.filter(code__in=codes)
    return list(rows.select_related("from_site", "to_site").order_by("code"))


def prices_before(site: Site, day: date, *, days: int = PRICE_DAYS) -> dict[date, list[Decimal]]:
    """Return the published prices at a site of the latest days before `day`, 48 per day."""
    rows = (
        ClearingPrice.objects.filter(
            run__state=RunState.PUBLISHED,
            kind=PriceKind.PLACE,
            site=site,
            run__auction__delivery_on__lt=day,
            run__auction__delivery_on__gte=day - timedelta(days=60),
        )
        .order_by("-run__auction__delivery_on", "run__auction__code", "t")
        .values_list("run__auction__delivery_on", "run__auction_id", "t", "price_jpy_per_kwh")
    )
    found: dict[date, list[Decimal]] = {}
    first_of: dict[date, UUID] = {}
    for on, auction_id, t, price in rows.iterator():
        if on not in found:
            if len(found) == days:
                break
            found[on], first_of[on] = [Decimal(0)] * HALF_HOURS, auction_id
        if first_of[on] == auction_id:
            found[on][t] = price
    return dict(sorted(found.items()))


def need_kw_of(auction: Auction) -> list[Decimal]:
    """Return what is asked for in each half hour, UP and DOWN together; to tint a strip."""
    total = [Decimal(0)] * HALF_HOURS
    for need in needs_of(auction):
        for t, kw in enumerate(need.quantity_kw):
            total[t] += kw
    return total


def load_latest(resource: Resource) -> tuple[date, list[float]] | None:
    """Return the latest day of which a resource's own meter is known whole, and its kW."""
    meter = Meter.objects.filter(resource=resource).first()
    if meter is None:
        return None
    latest = IntervalReading.objects.filter(meter=meter).aggregate(at=Max("start_at"))["at"]
    if latest is None:
        return None
    now = market_now()
    for back in range(3):
        day = jst_day(min(latest, now)) - timedelta(days=back)
        start = day_start(day)
        rows = readings_latest(
            meter_ids=[meter.pk], start_at=start, end_at=start + timedelta(days=1), as_of=now
        )
        known = {row.t: row.energy_kwh for row in rows if row.energy_kwh is not None}
        if len(known) == HALF_HOURS:
            return day, [float(known[t]) * 2 for t in range(HALF_HOURS)]
    return None


def bids_own(seen_by: Sight, auction: Auction | None = None) -> QuerySet[Bid]:
    """Bids of the person's organisations."""
    return bids_seen(seen_by=seen_by, auction=auction).filter(
        organisation_id__in=seen_by.organisations_for("bid.read")
    )


def bid_current(organisation: Organisation, auction: Auction, name: str) -> Bid | None:
    """Return the latest version of a bid."""
    return (
        Bid.objects.filter(organisation=organisation, auction=auction, client_bid_id=name)
        .select_related("resource__site", "workload_class", "auction", "organisation")
        .order_by("-version")
        .first()
    )


def drafts_of(organisation: Organisation, auction: Auction) -> QuerySet[Draft]:
    """Kept texts of an auction's bids, submitted or not."""
    return Draft.objects.filter(
        organisation=organisation, kind=DraftKind.BID, subject=auction.code
    ).order_by("id")


def bid_count(seen_by: Sight, auction: Auction) -> int:
    """How many bids of one's own stand in the book."""
    return bids_own(seen_by, auction).filter(state=BidState.SUBMITTED).count()


def instructions_own(seen_by: Sight) -> QuerySet[DispatchInstruction]:
    """Instructions to the person's own sites."""
    own = seen_by.organisations_for("instruction.read")
    return instructions_seen(seen_by=seen_by).filter(organisation_id__in=own)


def instructions_waiting(seen_by: Sight) -> QuerySet[DispatchInstruction]:
    """Instructions that wait for an answer of one's own."""
    return instructions_own(seen_by).filter(state=InstructionState.SENT)


@dataclass(frozen=True, kw_only=True)
class PublishedDay:
    """A published result: its day and run, whether one's own sold in it, or orders follow it."""

    delivery_on: date
    auction_id: UUID
    run_id: UUID
    is_sold: bool
    is_by_order: bool


def days_published(seen_by: Sight) -> list[PublishedDay]:
    """Return the latest results, the latest day first and in a day the first gate.

    Each is asked for one award of theirs; a join would read all awards ever made.
    """
    own = seen_by.organisations_for("award.read")
    sold = Exists(
        Award.objects.filter(
            auction=OuterRef("auction"), run=OuterRef("pk"), organisation_id__in=own
        )
    )
    by_order = Exists(
        Need.objects.filter(
            auction=OuterRef("auction"), is_by_order=True, state=NeedState.PUBLISHED
        )
    )
    rows = (
        ClearingRun.objects.filter(state=RunState.PUBLISHED)
        .annotate(is_sold=sold, is_by_order=by_order)
        .order_by("-auction__delivery_on", "auction__gate_closure_at", "auction__code")
        .values("auction__delivery_on", "auction_id", "id", "is_sold", "is_by_order")[
            :DAYS_LOOKED_AT
        ]
    )
    return [
        PublishedDay(
            delivery_on=row["auction__delivery_on"],
            auction_id=row["auction_id"],
            run_id=row["id"],
            is_sold=row["is_sold"],
            is_by_order=row["is_by_order"],
        )
        for row in rows[:DAYS_LOOKED_AT]
    ]


def position_day(published: Sequence[PublishedDay], today: date) -> date:
    """Return the day whose position is shown: today, else the next one sold, else the last."""
    sold = [row.delivery_on for row in published if row.is_sold]
    coming = [day for day in sold if day >= today]
    return min(coming) if coming else max(sold, default=today)


def position_on(
    seen_by: Sight, day: date
) -> tuple[dict[str, list[Decimal]], list[Decimal], list[Decimal | None]]:
    """Return what was awarded for a day.

    Returns
    -------
    tuple
        kW of UP by mechanism; kW of DOWN; highest price received in each half hour.
    """
    own = seen_by.organisations_for("award.read")
    rows = (
        AwardInterval.objects.filter(
            award__organisation_id__in=own,
            award__auction__delivery_on=day,
            award__run__state=RunState.PUBLISHED,
        )
        .order_by()
        .values("award__bid__mechanism", "award__direction", "t")
        .annotate(kw=Sum("quantity_kw"), top=Max("price_jpy_per_kwh"))
    )
    up: dict[str, list[Decimal]] = {}
    down = [Decimal(0)] * HALF_HOURS
    price: list[Decimal | None] = [None] * HALF_HOURS
    for row in rows:
        t, kw, jpy = row["t"], row["kw"], row["top"]
        if row["award__direction"] == Direction.UP:
            up.setdefault(row["award__bid__mechanism"], [Decimal(0)] * HALF_HOURS)[t] += kw
            known = price[t]
            price[t] = jpy if known is None else max(jpy, known)
        else:
            down[t] += kw
    return up, down, price


def awards_own(seen_by: Sight) -> QuerySet[Award]:
    """Awards of the person's organisations."""
    own = seen_by.organisations_for("award.read")
    return awards_seen(seen_by=seen_by).filter(organisation_id__in=own)


def awards_published(seen_by: Sight, auction: Auction) -> QuerySet[Award]:
    """Awards of the person's organisations in the published result of an auction, bare."""
    own = seen_by.organisations_for("award.read")
    return Award.objects.filter(
        auction=auction, organisation_id__in=own, run__state=RunState.PUBLISHED
    ).order_by("id")


def month_money(seen_by: Sight, now: datetime) -> dict[str, Any]:
    """Return what the present month's auctions give and take, as settled so far [JPY]."""
    own = line_view_of(seen_by).account_ids
    first = jst_day(now).replace(day=1)
    runs = (
        SettlementRun.objects.filter(
            auction__delivery_on__gte=first, auction__delivery_on__lte=jst_day(now)
        )
        .order_by("auction_id", "kind", "-revision")
        .distinct("auction_id")
    )
    sums = dict.fromkeys(("received", "paid", "penalty"), Decimal(0))
    for run in runs:
        for account_id, found in _settled.of((run.pk, run.auction_id)).items():
            for name in sums if account_id in own else ():
                sums[name] += found[name]
    return {"first": first, **{f"{name}_jpy": value for name, value in sums.items()}}


def _settled_sums(key: tuple[int, UUID]) -> dict[int, dict[str, Decimal]]:
    """Return what a settlement run gives and takes by account; its lines never change."""
    lines = SettlementLine.objects.filter(run_id=key[0]).order_by()
    found: dict[int, dict[str, Decimal]] = {}
    for side, name in (("payee_id", "received"), ("payer_id", "paid")):
        rows = lines.values_list(side).annotate(
            jpy=Sum("amount_exact_jpy"),
            penalty=Sum("amount_exact_jpy", filter=Q(item="SHORTFALL_PENALTY"), default=0),
        )
        for account_id, jpy, penalty in rows:
            of = found.setdefault(
                account_id, dict.fromkeys(("received", "paid", "penalty"), Decimal(0))
            )
            of[name] = jpy
            if name == "paid":
                of["penalty"] = penalty
    return found


# by the run and its auction; a month of several auctions a day
_settled = Kept(_settled_sums, most=250)

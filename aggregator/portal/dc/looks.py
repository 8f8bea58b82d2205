"""Looks at one's own deliveries: what was ordered, delivered and lacking, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Exists, OuterRef, QuerySet, Sum

from accounts.parties.sight import Sight
from aggregator.metering.models import Delivery, DeliveryVerification
from aggregator.metering.seen import deliveries_seen
from aggregator.portal.dc.selectors import PublishedDay
from market.clearing.models import Award
from market.trading.models import Auction


def verifications_latest(auction_ids: Sequence[UUID]) -> dict[UUID, DeliveryVerification]:
    """Return the latest look at the delivery of each auction."""
    rows = (
        DeliveryVerification.objects.filter(auction_id__in=auction_ids)
        .order_by("auction_id", "-revision")
        .distinct("auction_id")
    )
    return {row.auction_id: row for row in rows}


def deliveries_own(seen_by: Sight, verification: DeliveryVerification) -> QuerySet[Delivery]:
    """Deliveries of the person's organisations in one look."""
    own = seen_by.organisations_for("delivery.read")
    return deliveries_seen(seen_by=seen_by, verification=verification).filter(
        award__organisation_id__in=own
    )


@dataclass(frozen=True, kw_only=True)
class ResourceSums:
    """What a resource was ordered, delivered and lacked in one look at a delivery."""

    code: str
    name: str
    name_en: str
    ordered_kwh: Decimal
    delivered_kwh: Decimal
    missing_kwh: Decimal


def sums_by_resource(deliveries: QuerySet[Delivery]) -> list[ResourceSums]:
    """Add up ordered, delivered and missing energy of each resource [kWh], most ordered first."""
    rows = (
        deliveries.order_by()
        .values("award__resource__code", "award__resource__name", "award__resource__name_en")
        .annotate(
            ordered=Sum("ordered_kwh"),
            delivered=Sum("delivered_kwh"),
            missing=Sum("shortfall_kwh"),
        )
        .order_by("-ordered", "award__resource__code")
    )
    return [
        ResourceSums(
            code=row["award__resource__code"],
            name=row["award__resource__name"],
            name_en=row["award__resource__name_en"],
            ordered_kwh=row["ordered"],
            delivered_kwh=row["delivered"],
            missing_kwh=row["missing"],
        )
        for row in rows
    ]


def sums_of(deliveries: QuerySet[Delivery]) -> dict[str, Decimal]:
    """Add up ordered, delivered and missing energy [kWh]."""
    found = deliveries.order_by().aggregate(
        ordered=Sum("ordered_kwh"), delivered=Sum("delivered_kwh"), missing=Sum("shortfall_kwh")
    )
    return {name: value or Decimal(0) for name, value in found.items()}


def delivery_groups(deliveries: QuerySet[Delivery]) -> Any:
    """Return sums [kWh] and causes by resource and direction, by the resource's code."""
    return (
        deliveries.order_by()
        .values("award__resource__code", "award__resource_id", "award__direction")
        .annotate(
            ordered=Sum("ordered_kwh"),
            delivered=Sum("delivered_kwh"),
            missing=Sum("shortfall_kwh"),
            causes=ArrayAgg("cause", distinct=True),
        )
        .order_by("award__resource__code", "award__direction")
    )


def auctions_verified(organisation_ids: Collection[UUID]) -> QuerySet[Auction]:
    """Auctions with awards of some organisations, whose delivery was looked at.

    Each auction is asked for one award of theirs; a join would read all awards ever made.
    """
    return Auction.objects.filter(
        Exists(Award.objects.filter(auction=OuterRef("pk"), organisation_id__in=organisation_ids)),
        Exists(DeliveryVerification.objects.filter(auction=OuterRef("pk"))),
    )


def verified_latest(
    published: Sequence[PublishedDay],
) -> tuple[Auction, DeliveryVerification] | None:
    """Return the latest auction of some results with a look at one's own delivery, and that look.

    Of results that sold something of one's own: no award is read again for it.
    """
    row = (
        DeliveryVerification.objects.filter(
            auction_id__in=[result.auction_id for result in published if result.is_sold]
        )
        .select_related("auction")
        .order_by("-auction__delivery_on", "-auction__code", "-revision")
        .first()
    )
    return None if row is None else (row.auction, row)

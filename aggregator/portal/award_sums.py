"""What the awards that somebody may see come to, summed where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, F, Sum

from accounts.parties.sight import Sight
from aggregator.portal.selectors import HALF_HOUR_H, ZERO, rows_seen
from market.clearing.models import Award, AwardInterval, ClearingRun
from market.trading.models import Direction


@dataclass(frozen=True, kw_only=True)
class AwardSums:
    """How many awards there are, and what they come to."""

    count: int
    up_kwh: Decimal
    down_kwh: Decimal
    receipt_jpy: Decimal


def award_sums(run: ClearingRun, *, seen_by: Sight) -> AwardSums:
    """Return the sums of the awards the viewer may see."""
    rows = (
        AwardInterval.objects.filter(
            award__in=rows_seen(Award.objects.filter(run=run), "award.read", seen_by),
            quantity_kw__gt=0,
        )
        .order_by()
        .values("award__direction")
        .annotate(
            count=Count("award_id", distinct=True),
            kw=Sum("quantity_kw"),
            jpy=Sum(F("quantity_kw") * F("price_jpy_per_kwh")),
        )
    )
    found: dict[str, dict[str, Any]] = {row["award__direction"]: dict(row) for row in rows}
    none: dict[str, Any] = {"count": 0, "kw": ZERO, "jpy": ZERO}
    up, down = found.get(Direction.UP, none), found.get(Direction.DOWN, none)
    return AwardSums(
        count=up["count"] + down["count"],
        up_kwh=HALF_HOUR_H * up["kw"],
        down_kwh=HALF_HOUR_H * down["kw"],
        receipt_jpy=HALF_HOUR_H * (up["jpy"] - down["jpy"]),
    )

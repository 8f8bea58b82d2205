"""What the awards that somebody may see come to, summed where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.db.models import Count, F, Sum

from accounts.parties.sight import Sight
from aggregator.portal.run_facts import Kept
from aggregator.portal.selectors import HALF_HOUR_H, ZERO
from market.clearing.models import Award, AwardInterval, ClearingRun
from market.trading.models import Direction

SUMS_KEPT: Final = 64


@dataclass(frozen=True, kw_only=True)
class AwardSums:
    """How many awards there are, and what they come to."""

    count: int
    up_kwh: Decimal
    down_kwh: Decimal
    receipt_jpy: Decimal


def award_sums(run: ClearingRun, *, seen_by: Sight) -> AwardSums:
    """Return the sums of the awards the viewer may see."""
    sees_all = seen_by.may_everywhere("award.read")
    whose = None if sees_all else frozenset(seen_by.organisations_for("award.read"))
    return _sums.of((run.id, whose))


def _sums_read(key: tuple[UUID, frozenset[UUID] | None]) -> AwardSums:
    run_id, whose = key
    awards = Award.objects.filter(run_id=run_id)
    if whose is not None:
        awards = awards.filter(organisation_id__in=whose)
    rows = (
        AwardInterval.objects.filter(award__in=awards, quantity_kw__gt=0)
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


# a published run's awards never change, so their sums are read once for whoever sees the same
_sums = Kept(_sums_read, most=SUMS_KEPT)

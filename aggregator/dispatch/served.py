"""Whose needs an award serves: noted with its instruction, for the grid operators to look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from aggregator.core.attribution import ServedNeed as Served
from aggregator.core.attribution import need_weights
from aggregator.core.delivery import Direction
from aggregator.dispatch.models import ServedNeed
from market.clearing.models import Award, AwardInterval, ClearingPrice, PriceKind
from market.clearing.sensitivities import sensitivities_of
from market.trading.models import Auction, Need, NeedKind

HOURS_PER_INTERVAL = Decimal("0.5")
ZERO = Decimal(0)
# kW per kW to a billionth: more digits of a binary fraction say nothing
PLACES = 9


def needs_served_note(
    *, auction: Auction, intervals: Mapping[UUID, Sequence[AwardInterval]]
) -> int:
    """Note the needs that awards serve, inside the caller's transaction.

    A need is served by an award if it has a part in the award's price in some half hour
    (:func:`aggregator.core.attribution.need_weights`), which is also how shortfalls are
    credited. Noting again adds nothing.

    Parameters
    ----------
    auction
        Published.
    intervals
        Half hours of each award, without those of zero kW.

    Returns
    -------
    int
        How many rows are new.
    """
    awards = list(
        Award.objects.filter(id__in=intervals).select_related("resource__site").order_by("id")
    )
    if not awards:
        return 0
    run_ids = {award.run_id for award in awards}
    needs = {
        need.id: need
        for need in Need.objects.filter(auction=auction).select_related("congestion_point")
    }
    served = served_by_half_hour(run_ids, needs)
    prices = area_prices(run_ids)
    sensitivities = sensitivities_exact(auction, awards)
    weighed: dict[tuple[UUID, str, int], Collection[str]] = {}
    rows = []
    for award in awards:
        site = award.resource.site
        found: set[str] = set()
        for t in {interval.t for interval in intervals[award.id]}:
            at = (site.id, award.direction, t)
            if at not in weighed:
                weighed[at] = need_weights(
                    served.get(t, ()),
                    direction=Direction(award.direction),
                    area=site.area_id,
                    area_price_jpy_per_kwh=prices.get((site.area_id, t), ZERO),
                    sensitivity_kw_per_kw=sensitivities.get(site.code, {}),
                ).keys()
            found.update(weighed[at])
        rows += [
            ServedNeed(
                award=award, need_id=UUID(need), organisation_id=needs[UUID(need)].organisation_id
            )
            for need in sorted(found)
        ]
    before = ServedNeed.objects.filter(award__in=awards).count()
    ServedNeed.objects.bulk_create(rows, ignore_conflicts=True, batch_size=5_000)
    return len(rows) - before


def served_by_half_hour(run_ids: set[UUID], needs: Mapping[UUID, Need]) -> dict[int, list[Served]]:
    """Return what runs served of needs, by half hour."""
    found: dict[int, list[Served]] = defaultdict(list)
    prices = ClearingPrice.objects.filter(
        run_id__in=run_ids, kind=PriceKind.NEED, served_kw__gt=0
    ).order_by("t", "need_id")
    for price in prices:
        if price.need_id is None or price.need_id not in needs or price.served_kw is None:
            continue
        need = needs[price.need_id]
        is_local = need.kind == NeedKind.LOCAL
        point = need.congestion_point
        found[price.t].append(
            Served(
                need=str(need.id),
                served_kwh=price.served_kw * HOURS_PER_INTERVAL,
                price_jpy_per_kwh=price.price_jpy_per_kwh,
                element=point.code if is_local and point is not None else None,
                flow_sign=need.flow_sign or 0,
                area=None if is_local else need.area_id,
                direction=None if is_local else Direction(need.direction),
            )
        )
    return found


def area_prices(run_ids: set[UUID]) -> dict[tuple[str, int], Decimal]:
    """Return what runs found a kWh to be worth in each area and half hour."""
    prices = ClearingPrice.objects.filter(run_id__in=run_ids, kind=PriceKind.AREA)
    return {
        (area, t): price
        for area, t, price in prices.values_list("area_id", "t", "price_jpy_per_kwh")
    }


def sensitivities_exact(auction: Auction, awards: Sequence[Award]) -> dict[str, dict[str, Decimal]]:
    """Return kW on each element per kW sent, by site of the awards and element, to a billionth."""
    found = sensitivities_of(auction, {award.resource.site for award in awards})
    return {
        site: {code: Decimal(repr(round(value, PLACES))) for code, value in effects.items()}
        for site, effects in found.items()
    }

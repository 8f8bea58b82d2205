"""Awards that wait for an order: what serves a need that its buyer has yet to buy.

Some buyers ask first and buy afterwards: their needs are in the auction like all others, and what
was awarded for them is tentative until the order (`Need.is_by_order`). No instruction stands for
such an award before. Which awards these are follows from published prices alone, by the same
weights that credit buyers for what was not delivered, so that an award that is released is given
back to exactly those it was cleared for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from accounts.core.errors import Refused
from aggregator.core.attribution import ServedNeed, need_weights
from aggregator.core.delivery import Direction
from aggregator.dispatch.served import area_prices, sensitivities_exact, served_by_half_hour
from market.clearing.models import Award, AwardInterval, ClearingRun, RunState
from market.trading.models import Auction, Need, NeedState

PART_MIN_RATIO: Final = Decimal("0.05")
PART_NAME: Final = "by_order_part_min_ratio"
ZERO = Decimal(0)
Ties = dict[UUID, frozenset[UUID]]


def part_min_ratio(rules: Mapping[str, Any]) -> Decimal:
    """Return how large a part in an award's price makes it wait for that need's order.

    Raises
    ------
    Refused
        If the ruleset's ``by_order_part_min_ratio`` is no number above 0 and at most 1.
    """
    given = rules.get(PART_NAME, float(PART_MIN_RATIO))
    if type(given) not in (int, float) or not 0 < given <= 1:
        raise Refused(field=f"rules.{PART_NAME}", value=given, rule="a ratio above 0, at most 1")
    return Decimal(repr(given))


def tentative_awards(auction: Auction) -> Ties:
    """Return the awards of a published auction that wait for orders, with the needs they wait for.

    An award waits for a need that is bought by order if the need has at least the ruleset's part
    in the price of the award's energy. A leg that only balances others (no need has a part in its
    own price) waits with the awards of its own area that it balances. Legs of one bid wait
    together: they were accepted as a whole.
    """
    by_order = set(
        Need.objects.filter(
            auction=auction, is_by_order=True, state=NeedState.PUBLISHED
        ).values_list("id", flat=True)
    )
    run = ClearingRun.objects.filter(auction=auction, state=RunState.PUBLISHED).first()
    if not by_order or run is None:
        return {}
    awards = list(Award.objects.filter(run=run).select_related("resource__site").order_by("id"))
    intervals: dict[UUID, list[AwardInterval]] = defaultdict(list)
    rows = AwardInterval.objects.filter(award__run=run, quantity_kw__gt=0)
    for row in rows.order_by("award_id", "t"):
        intervals[row.award_id].append(row)
    awards = [award for award in awards if award.id in intervals]
    parts, legs = _parts(auction, run, awards, intervals)
    least = part_min_ratio(auction.ruleset.rules)
    ties: dict[UUID, set[UUID]] = {}
    for award in awards:
        if award.id not in legs:
            held = {id_ for id_ in by_order if parts[award.id].get(id_, ZERO) >= least}
            if held:
                ties[award.id] = held
    _legs_tie(awards, legs, ties, intervals)
    _bids_tie(awards, ties)
    return {award_id: frozenset(needs) for award_id, needs in ties.items()}


def _parts(
    auction: Auction,
    run: ClearingRun,
    awards: Sequence[Award],
    intervals: Mapping[UUID, Sequence[AwardInterval]],
) -> tuple[dict[UUID, dict[UUID, Decimal]], set[UUID]]:
    """Return each award's parts by need, and the awards that only balance others."""
    needs = {
        need.id: need
        for need in Need.objects.filter(auction=auction).select_related("congestion_point")
    }
    served = served_by_half_hour({run.id}, needs)
    prices = area_prices({run.id})
    sensitivities = sensitivities_exact(auction, awards)
    parts: dict[UUID, dict[UUID, Decimal]] = {}
    legs: set[UUID] = set()
    for award in awards:
        site = award.resource.site
        effects = sensitivities.get(site.code, {})
        direction = Direction(award.direction)
        sums: dict[UUID, Decimal] = defaultdict(Decimal)
        has_own = False
        for row in intervals[award.id]:
            of_t = served.get(row.t, [])
            weights = need_weights(
                of_t,
                direction=direction,
                area=site.area_id,
                area_price_jpy_per_kwh=prices.get((site.area_id, row.t), ZERO),
                sensitivity_kw_per_kw=effects,
            )
            total = sum(weights.values(), ZERO)
            for need, weight in weights.items():
                sums[UUID(need)] += weight / total * row.quantity_kw
            has_own = has_own or _has_own(of_t, weights, direction, effects)
        energy = sum((row.quantity_kw for row in intervals[award.id]), ZERO)
        parts[award.id] = {need: part / energy for need, part in sums.items()}
        if not has_own:
            legs.add(award.id)
    return parts, legs


def _has_own(
    served: Iterable[ServedNeed],
    weights: Mapping[str, Decimal],
    direction: Direction,
    effects: Mapping[str, Decimal],
) -> bool:
    """Whether some need of the half hour has a part in the award's own price."""
    up = 1 if direction is Direction.UP else -1
    return any(
        need.direction is direction
        if need.element is None
        else -up * need.flow_sign * effects.get(need.element, ZERO) * need.price_jpy_per_kwh > 0
        for need in served
        if need.need in weights
    )


def _legs_tie(
    awards: Sequence[Award],
    legs: set[UUID],
    ties: dict[UUID, set[UUID]],
    intervals: Mapping[UUID, Sequence[AwardInterval]],
) -> None:
    """Let legs that balance tentative awards wait with them, unless firm ones need them too."""
    against: dict[tuple[str, str, int], list[UUID]] = defaultdict(list)
    for award in awards:
        if award.id not in legs:
            for row in intervals[award.id]:
                area = award.resource.site.area_id
                against[area, award.direction, row.t].append(award.id)
    for award in awards:
        if award.id not in legs:
            continue
        other = "DOWN" if award.direction == "UP" else "UP"
        area = award.resource.site.area_id
        balanced = {
            id_ for row in intervals[award.id] for id_ in against.get((area, other, row.t), ())
        }
        if balanced and balanced <= ties.keys():
            ties[award.id] = set().union(*(ties[id_] for id_ in balanced))


def _bids_tie(awards: Sequence[Award], ties: dict[UUID, set[UUID]]) -> None:
    of_bid: dict[UUID, set[UUID]] = defaultdict(set)
    for award in awards:
        of_bid[award.bid_id] |= ties.get(award.id, set())
    for award in awards:
        if of_bid[award.bid_id]:
            ties[award.id] = set(of_bid[award.bid_id])
